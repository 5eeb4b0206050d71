//! The serializable state of an upload between two requests.
//!
//! The caller keeps this in the upload's row and hands it back; the row counts, whatever a file
//! holds. It is written by one release and read by another, so it carries a version, and a reader
//! refuses what it does not know.

use seawall_types::digest::{Algorithm, AlgorithmSet, Hasher};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Result};

const VERSION: u8 = 1;

/// An upload as of its last durable byte. Serialisable; see [`UploadState::to_bytes`] for the form
/// that belongs in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct UploadState {
    pub(crate) id: Uuid,
    pub(crate) location: String,
    pub(crate) offset: u64,
    pub(crate) generation: u64,
    pub(crate) hash: Vec<u8>,
}

impl UploadState {
    pub(crate) fn new(id: Uuid, location: &str, algorithm: Option<Algorithm>) -> Self {
        // An upload that does not say is nearly always asked for by SHA-256 in the end; the rest is
        // read again then.
        let set = algorithm.map_or(AlgorithmSet::SHA256, AlgorithmSet::from);
        let hash = Hasher::new(set).state();
        Self {
            id,
            location: location.to_owned(),
            offset: 0,
            generation: 0,
            hash,
        }
    }

    /// The upload.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The name of the location that has its bytes.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The number of durable bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Counts the appends that changed it. A row is replaced only if offset and generation are
    /// still those that were read.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The same bytes in the next generation. A row that is moved there is replaced by no append
    /// that was begun before.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self {
            generation: self.generation + 1,
            ..self.clone()
        }
    }

    /// The form for a row: the version as one byte, then JSON; about 400 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Writing plain data into memory cannot fail; were it to, the reader refuses the lone
        // version byte.
        if serde_json::to_writer(&mut bytes, self).is_err() {
            bytes.truncate(1);
        }
        bytes
    }

    /// Reads what [`UploadState::to_bytes`] wrote; anything else is [`Error::State`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match bytes.split_first() {
            Some((&VERSION, json)) => {
                serde_json::from_slice(json).map_err(|error| Error::State(error.to_string()))
            }
            Some((version, _)) => Err(Error::State(format!("version {version}"))),
            None => Err(Error::State("empty".to_owned())),
        }
    }

    pub(crate) fn hasher(&self) -> Result<Hasher> {
        Hasher::resume(&self.hash).map_err(|error| Error::State(error.to_string()))
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u8,
    id: Uuid,
    location: String,
    offset: u64,
    generation: u64,
    #[serde(with = "hex::serde")]
    hash: Vec<u8>,
}

impl From<UploadState> for Wire {
    fn from(state: UploadState) -> Self {
        let UploadState {
            id,
            location,
            offset,
            generation,
            hash,
        } = state;
        Self {
            version: VERSION,
            id,
            location,
            offset,
            generation,
            hash,
        }
    }
}

impl TryFrom<Wire> for UploadState {
    type Error = String;

    fn try_from(wire: Wire) -> std::result::Result<Self, String> {
        let Wire {
            version,
            id,
            location,
            offset,
            generation,
            hash,
        } = wire;
        if version != VERSION {
            return Err(format!("version {version}"));
        }
        Ok(Self {
            id,
            location,
            offset,
            generation,
            hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_travels_and_refuses_the_unknown() {
        let state = UploadState::new(Uuid::from_u128(7), "local", Some(Algorithm::Sha512));
        assert_eq!(UploadState::from_bytes(&state.to_bytes()).unwrap(), state);
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<UploadState>(&json).unwrap(), state);
        let newer = json.replace("\"version\":1", "\"version\":2");
        assert!(serde_json::from_str::<UploadState>(&newer).is_err());
        assert!(matches!(
            UploadState::from_bytes(&[2, 0]),
            Err(Error::State(_))
        ));
        assert!(matches!(UploadState::from_bytes(&[]), Err(Error::State(_))));
    }
}
