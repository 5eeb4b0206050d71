//! Watchers: told of what is served, in memory, on the path of the request.
//!
//! A watcher must be quick, must not block, and must bound what it keeps: it stands beside a pull.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use seawall_types::Digest;
use seawall_types::ids::{CredentialId, NamespaceId, PrincipalId, RepositoryId};
use seawall_types::tag::Tag;

/// One pull of a manifest. It borrows from the request, so that telling of it copies nothing; a
/// watcher copies what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullNotice<'a> {
    /// The namespace it was pulled from.
    pub namespace: NamespaceId,
    /// The repository it was pulled from.
    pub repository: RepositoryId,
    /// Which manifest.
    pub digest: &'a Digest,
    /// The tag by which it was pulled; `None` if it was pulled by its digest.
    pub tag: Option<&'a Tag>,
    /// The manifest's length in bytes.
    pub bytes: u64,
    /// Who pulled, and from where.
    pub client: PullClient<'a>,
}

/// Who was served, and from where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PullClient<'a> {
    /// The principal; `None` for an anonymous caller.
    pub principal: Option<PrincipalId>,
    /// The credential that proved it.
    pub credential: Option<CredentialId>,
    /// The client's address, behind configured proxies.
    pub address: Option<IpAddr>,
    /// The client's `User-Agent`, cut to 256 characters.
    pub agent: &'a str,
}

/// A watcher of what is served.
pub trait PullWatcher: Send + Sync + 'static {
    /// A manifest was served to a GET.
    fn pulled(&self, pulled: &PullNotice<'_>);
}

/// The watchers of this process, fixed once at the start.
#[derive(Default)]
pub struct PullWatchers(OnceLock<Vec<Arc<dyn PullWatcher>>>);

impl PullWatchers {
    /// Fixes who watches. Only the first call counts.
    pub fn fix(&self, watchers: Vec<Arc<dyn PullWatcher>>) {
        let _ = self.0.set(watchers);
    }

    /// Tells every watcher.
    pub fn pulled(&self, pulled: &PullNotice<'_>) {
        for watcher in self.0.get().into_iter().flatten() {
            watcher.pulled(pulled);
        }
    }
}
