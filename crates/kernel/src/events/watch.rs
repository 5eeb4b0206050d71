//! Watchers: told of what is served, in memory, on the path of the request.
//!
//! A watcher must be quick, must not block, and must bound what it keeps: it stands beside a pull.

use std::sync::{Arc, OnceLock};

use seawall_types::ids::{NamespaceId, PrincipalId, RepositoryId};

/// One pull of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// The namespace it was pulled from.
    pub namespace: NamespaceId,
    /// The repository it was pulled from.
    pub repository: RepositoryId,
    /// Who pulled; `None` for nobody in particular.
    pub principal: Option<PrincipalId>,
}

/// Someone who watches what is served.
pub trait Watch: Send + Sync + 'static {
    /// A manifest was served to a GET.
    fn pulled(&self, pulled: Pulled);
}

/// The watchers of this process, fixed once at the start.
#[derive(Default)]
pub struct Watchers(OnceLock<Vec<Arc<dyn Watch>>>);

impl Watchers {
    /// Fixes who watches. Only the first call counts.
    pub fn fix(&self, watchers: Vec<Arc<dyn Watch>>) {
        let _ = self.0.set(watchers);
    }

    /// Tells every watcher.
    pub fn pulled(&self, pulled: Pulled) {
        for watcher in self.0.get().into_iter().flatten() {
            watcher.pulled(pulled);
        }
    }
}
