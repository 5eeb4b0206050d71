//! Locks on uploads: one request at a time.
//!
//! One request at a time may touch the bytes of an upload (protocol §7.14). Inside the process that
//! is a set of ids; among processes it is the lock of the session file. An upload without a file
//! needs no lock: the file is made in such a way that only one can make it. A piece of work that
//! outlives its request (a write that a hung-up client left behind) keeps the hold, so nothing ever
//! writes beside it.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::files::OpenFile;
use crate::{Error, Result};

/// The right to change one upload; it ends when this and all work begun under it are gone.
#[derive(Debug)]
pub struct UploadLock {
    held: Arc<LockedUpload>,
}

impl UploadLock {
    /// The upload that is held.
    pub fn id(&self) -> Uuid {
        self.held.id
    }

    /// How many bytes the upload's file had when it was locked; `None` while there is no file.
    pub fn length(&self) -> Option<u64> {
        self.held.file().map(|session| session.length)
    }

    /// Begins work under this lock. Fails while earlier work runs, be it beside this or left
    /// behind by a future that was dropped.
    pub(crate) fn work(&self) -> Result<Arc<LockedUpload>> {
        let work = Arc::clone(&self.held);
        // Counted after taking part: of two that begin at once, none can miss the other.
        if Arc::strong_count(&self.held) == 2 {
            Ok(work)
        } else {
            Err(Error::Busy)
        }
    }
}

/// The uploads that this process works on.
#[derive(Debug, Default)]
pub(crate) struct UploadLocks {
    busy: Mutex<HashSet<Uuid>>,
}

impl UploadLocks {
    /// Takes an upload, as far as this process is concerned.
    pub(crate) fn take(self: &Arc<Self>, id: Uuid) -> Result<UploadLock> {
        if !self.busy().insert(id) {
            return Err(Error::Busy);
        }
        Ok(UploadLock {
            held: Arc::new(LockedUpload {
                id,
                holds: Arc::clone(self),
                file: Mutex::default(),
            }),
        })
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.busy.lock()
    }
}

/// What a hold keeps: the id and, once there is one, the locked session file.
#[derive(Debug)]
pub(crate) struct LockedUpload {
    id: Uuid,
    holds: Arc<UploadLocks>,
    file: Mutex<Option<SessionFile>>,
}

/// The locked file of an upload and the location it is in.
#[derive(Clone, Debug)]
pub(crate) struct SessionFile {
    pub(crate) location: String,
    pub(crate) file: Arc<OpenFile>,
    /// Bytes, when it was locked.
    pub(crate) length: u64,
}

impl LockedUpload {
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) fn file(&self) -> Option<SessionFile> {
        self.slot().clone()
    }

    pub(crate) fn set_file(&self, file: Option<SessionFile>) {
        *self.slot() = file;
    }

    fn slot(&self) -> MutexGuard<'_, Option<SessionFile>> {
        self.file.lock()
    }
}

impl Drop for LockedUpload {
    fn drop(&mut self) {
        // The lock first: where the id is free, the file must be free, too.
        self.set_file(None);
        self.holds.busy().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_left_behind_keeps_it() {
        let holds = Arc::new(UploadLocks::default());
        let id = Uuid::from_u128(1);
        let hold = holds.take(id).unwrap();
        let left_behind = hold.work().unwrap();
        assert!(matches!(hold.work(), Err(Error::Busy)));
        drop(hold);
        assert!(matches!(holds.take(id), Err(Error::Busy)));
        assert!(holds.take(Uuid::from_u128(2)).is_ok());
        drop(left_behind);
        assert!(holds.take(id).is_ok());
    }
}
