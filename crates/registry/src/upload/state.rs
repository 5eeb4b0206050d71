//! The state of an upload as a request finds it, and the refusal that says how far it is.

use seawall_blob::UploadState;
use seawall_kernel::Op;
use seawall_meta::args;
use seawall_types::{Error, Result};
use uuid::Uuid;

use super::store;

/// How far an upload is, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UploadProgress {
    /// The upload.
    pub(crate) uuid: Uuid,
    /// The number of durable bytes.
    pub(crate) offset: u64,
}

/// Why a step was refused.
#[derive(Debug)]
pub(crate) struct StepRefusal {
    /// The reason.
    pub(crate) error: Error,
    /// How far the upload is, where it is known and lives on: a client resumes from there.
    pub(crate) at: Option<UploadProgress>,
}

impl From<Error> for StepRefusal {
    fn from(error: Error) -> Self {
        Self { error, at: None }
    }
}

impl From<seawall_blob::Error> for StepRefusal {
    fn from(error: seawall_blob::Error) -> Self {
        Error::from(error).into()
    }
}

/// An upload as its row says, or, before its first byte, as its token does.
pub(super) struct UploadSession {
    pub(super) uuid: Uuid,
    pub(super) state: UploadState,
    /// Whether it has a row.
    pub(super) row: bool,
}

impl UploadSession {
    pub(super) fn progress(&self) -> UploadProgress {
        UploadProgress {
            uuid: self.uuid,
            offset: self.state.offset(),
        }
    }

    /// Refuses a step and leaves the upload as it is.
    pub(super) fn refuse(&self, error: Error) -> StepRefusal {
        StepRefusal {
            error,
            at: Some(self.progress()),
        }
    }
}

/// Removes an upload's row; says whether it was there.
pub(super) async fn remove_row(op: &Op, uuid: Uuid) -> Result<bool> {
    op.transaction(uuid.to_string(), |tx, _op, uuid| {
        Box::pin(async move { Ok(tx.execute(&store::CANCEL, args![uuid]).await? > 0) })
    })
    .await
}
