//! What a Location carries of an upload that has no row (protocol §6.3, decision 13).
//!
//! An upload to local files that has no bytes yet leaves nothing behind when it is forgotten, so
//! opening one writes nothing: what must be known of it travels with the client, authenticated by a
//! key of this installation. A token is good for one upload, one repository and one principal, for
//! as long as an upload may be idle, on every replica and across restarts. It says that an upload
//! was opened, never how far it has come: whether there is a row is asked of the database. And it
//! gives no right: who may push is asked at every request. What is altered, expired, another's or
//! of another version is no token, and never says why.

use seawall_kernel::{Op, Repo};
use seawall_types::{Algorithm, Millis, PrincipalId, RepositoryId};
use uuid::Uuid;

use crate::Content;
use crate::acts::Push;

/// What the key is derived for.
const PURPOSE: &str = "upload-state";
const VERSION: u8 = 2;

/// Version, algorithm, repository and expiry, in front of the tag.
const HEAD: usize = 18;
const TAG: usize = 32;

/// A token that this installation wrote for this upload, repository and principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadToken {
    /// As it goes into a Location: letters and digits.
    text: String,
    /// The algorithm that the opening asked for.
    pub(super) algorithm: Option<Algorithm>,
}

impl UploadToken {
    /// A token for an upload that is opened now, or is under way.
    pub(crate) fn issue(
        content: &Content,
        op: &Op,
        (repo, uuid): (&Repo<Push>, Uuid),
        algorithm: Option<Algorithm>,
    ) -> Self {
        let lasts = i64::try_from(content.config().uploads.expiry().as_millis());
        let expires = op.now().0.saturating_add(lasts.unwrap_or(i64::MAX));
        let mut bytes = vec![VERSION, algorithm.map_or(0, Algorithm::code)];
        // Where there is none yet, the name is enough: the first upload makes it for all.
        let repository = repo.existing().map_or(0, RepositoryId::get);
        bytes.extend_from_slice(&repository.to_be_bytes());
        bytes.extend_from_slice(&expires.to_be_bytes());
        let message = message(op, (repo, uuid), &bytes);
        bytes.extend_from_slice(&op.kernel().secrets().tag(PURPOSE, &message));
        let text = hex::encode(bytes);
        Self { text, algorithm }
    }

    /// Reads what a Location carried; `None` for anything but a token of the caller's for this
    /// upload of this repository that has not expired.
    pub(crate) fn read(op: &Op, (repo, uuid): (&Repo<Push>, Uuid), text: &str) -> Option<Self> {
        // The length first: nothing is decoded that cannot be one.
        if text.len() != 2 * (HEAD + TAG) {
            return None;
        }
        let bytes = hex::decode(text).ok()?;
        let (head, tag) = bytes.split_at_checked(HEAD)?;
        let message = message(op, (repo, uuid), head);
        if !op.kernel().secrets().is_tagged(PURPOSE, &message, tag) {
            return None;
        }
        let (&[version, code], rest) = head.split_first_chunk::<2>()?;
        let (repository, expires) = rest.split_first_chunk::<8>()?;
        let expires = <[u8; 8]>::try_from(expires).ok()?;
        let repository = i64::from_be_bytes(*repository);
        // The name may have gone to another repository meanwhile.
        if repository != 0 && repo.existing().map(RepositoryId::get) != Some(repository) {
            return None;
        }
        if version != VERSION || Millis(i64::from_be_bytes(expires)) <= op.now() {
            return None;
        }
        let algorithm = match code {
            0 => None,
            code => Some(Algorithm::from_code(code)?),
        };
        let text = text.to_owned();
        Some(Self { text, algorithm })
    }

    /// As it goes into a Location.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// What the tag is over. All parts but the last have a fixed length, so no two meanings share
/// bytes.
fn message(op: &Op, (repo, uuid): (&Repo<Push>, Uuid), head: &[u8]) -> Vec<u8> {
    let principal = op.actor().principal().map_or(0, PrincipalId::get);
    let (namespace, path) = (repo.name().namespace(), repo.name().path());
    let mut message = head.to_vec();
    message.extend_from_slice(uuid.as_bytes());
    message.extend_from_slice(&principal.to_be_bytes());
    // Neither part of a name holds a space.
    message.extend_from_slice(format!("{namespace} {path}").as_bytes());
    message
}
