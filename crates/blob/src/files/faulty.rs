//! Files with injected faults and a record of what was done to them.
//!
//! For tests. A [`Fault`] makes the nth operation of a kind fail with a given error number; every
//! operation that changes something is recorded as an [`FileEvent`] in the order in which it took
//! effect, so that a test can check the order of fsync and rename, and can replay any prefix of it
//! as a power loss would have left it.

use std::io;
use std::path::{Path, PathBuf};

use super::{DiskFiles, FileMetadata, Files, OpenFile};
use parking_lot::{Mutex, MutexGuard};

/// The kinds of operation that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileOperation {
    /// Creating a file.
    Create,
    /// Opening a file, for reading or writing.
    Open,
    /// Reading from a file.
    Read,
    /// Writing to a file. Half of the bytes are written before it fails.
    Write,
    /// Cutting a file.
    SetSize,
    /// Making a file durable.
    Fsync,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Making a directory.
    MakeDirectory,
    /// Making a directory durable.
    FsyncDirectory,
}

/// Makes operations fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which kind.
    pub operation: FileOperation,
    /// Which one of that kind, counted from 1 from now on.
    pub nth: u64,
    /// With which error number, for example 28 for ENOSPC.
    pub errno: i32,
    /// Whether all later ones of that kind fail, too.
    pub lasting: bool,
}

/// One change that took effect, in order. Paths of files are those under which they were opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileEvent {
    /// A file was created.
    Created(PathBuf),
    /// Bytes were written.
    Wrote {
        /// To which file.
        path: PathBuf,
        /// Where, in bytes.
        offset: u64,
        /// How many.
        length: u64,
        /// Which, if asked for with [`FaultyFiles::keeping_data`].
        data: Option<Vec<u8>>,
    },
    /// A file was cut or extended.
    SetSize {
        /// Which file.
        path: PathBuf,
        /// To how many bytes.
        size: u64,
    },
    /// A file became durable.
    Synced(PathBuf),
    /// A file was renamed.
    Renamed {
        /// Its old name.
        from: PathBuf,
        /// Its new name.
        to: PathBuf,
    },
    /// A file was removed.
    Removed(PathBuf),
    /// A directory was made.
    MadeDirectory(PathBuf),
    /// The entries of a directory became durable.
    SyncedDirectory(PathBuf),
}

#[derive(Debug, Default)]
struct FaultRecord {
    /// Each with the number of operations of its kind since it was added.
    faults: Vec<(Fault, u64)>,
    events: Vec<FileEvent>,
    keeps_data: bool,
}

/// The real file system with faults and a memory.
#[derive(Debug, Default)]
pub struct FaultyFiles {
    record: Mutex<FaultRecord>,
}

impl FaultyFiles {
    /// Files without a fault.
    pub fn new() -> Self {
        Self::default()
    }

    /// Files whose events hold the bytes written, for a replay.
    pub fn keeping_data() -> Self {
        let files = Self::default();
        files.record().keeps_data = true;
        files
    }

    /// Adds a fault.
    pub fn fail(&self, fault: Fault) {
        self.record().faults.push((fault, 0));
    }

    /// Adds a fault that hits once.
    pub fn fail_nth(&self, operation: FileOperation, nth: u64, errno: i32) {
        self.fail(Fault {
            operation,
            nth,
            errno,
            lasting: false,
        });
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.record().faults.clear();
    }

    /// What has happened so far.
    pub fn events(&self) -> Vec<FileEvent> {
        self.record().events.clone()
    }

    /// What has happened since the last call; forgets it.
    pub fn take_events(&self) -> Vec<FileEvent> {
        std::mem::take(&mut self.record().events)
    }

    fn record(&self) -> MutexGuard<'_, FaultRecord> {
        self.record.lock()
    }

    fn check(&self, operation: FileOperation) -> io::Result<()> {
        let mut failed = Ok(());
        for (fault, count) in &mut self.record().faults {
            if fault.operation == operation {
                *count += 1;
                if *count == fault.nth || fault.lasting && *count > fault.nth {
                    failed = Err(io::Error::from_raw_os_error(fault.errno));
                }
            }
        }
        failed
    }

    fn add(&self, event: FileEvent) {
        self.record().events.push(event);
    }

    fn wrote(&self, file: &OpenFile, bytes: &[u8], offset: u64) {
        let mut record = self.record();
        let data = record.keeps_data.then(|| bytes.to_vec());
        let event = FileEvent::Wrote {
            path: file.path.clone(),
            offset,
            length: bytes.len() as u64,
            data,
        };
        record.events.push(event);
    }
}

impl Files for FaultyFiles {
    fn create(&self, path: &Path) -> io::Result<OpenFile> {
        self.check(FileOperation::Create)?;
        let file = DiskFiles.create(path)?;
        self.add(FileEvent::Created(path.to_owned()));
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<OpenFile> {
        self.check(FileOperation::Open)?;
        DiskFiles.open(path)
    }

    fn open_writable(&self, path: &Path) -> io::Result<OpenFile> {
        self.check(FileOperation::Open)?;
        DiskFiles.open_writable(path)
    }

    fn lock(&self, file: &OpenFile) -> io::Result<bool> {
        DiskFiles.lock(file)
    }

    fn names(&self, path: &Path, file: &OpenFile) -> io::Result<bool> {
        DiskFiles.names(path, file)
    }

    fn size(&self, file: &OpenFile) -> io::Result<u64> {
        DiskFiles.size(file)
    }

    fn read_at(
        &self,
        file: &OpenFile,
        into: &mut Vec<u8>,
        length: usize,
        offset: u64,
    ) -> io::Result<()> {
        self.check(FileOperation::Read)?;
        DiskFiles.read_at(file, into, length, offset)
    }

    fn read_cached(&self, _: &OpenFile, _: &mut [u8], _: u64) -> bool {
        // Reads that may fail go the long way.
        false
    }

    fn write_at(&self, file: &OpenFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.check(FileOperation::Write) {
            let half = &bytes[..bytes.len() / 2];
            DiskFiles.write_at(file, half, offset)?;
            self.wrote(file, half, offset);
            return Err(error);
        }
        DiskFiles.write_at(file, bytes, offset)?;
        self.wrote(file, bytes, offset);
        Ok(())
    }

    fn write_back(&self, file: &OpenFile, offset: u64, length: u64) {
        DiskFiles.write_back(file, offset, length);
    }

    fn set_size(&self, file: &OpenFile, size: u64) -> io::Result<()> {
        self.check(FileOperation::SetSize)?;
        DiskFiles.set_size(file, size)?;
        self.add(FileEvent::SetSize {
            path: file.path.clone(),
            size,
        });
        Ok(())
    }

    fn fsync(&self, file: &OpenFile) -> io::Result<()> {
        self.check(FileOperation::Fsync)?;
        DiskFiles.fsync(file)?;
        self.add(FileEvent::Synced(file.path.clone()));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(FileOperation::Rename)?;
        DiskFiles.rename(from, to)?;
        self.add(FileEvent::Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check(FileOperation::Remove)?;
        DiskFiles.remove(path)?;
        self.add(FileEvent::Removed(path.to_owned()));
        Ok(())
    }

    fn make_directory(&self, path: &Path) -> io::Result<bool> {
        self.check(FileOperation::MakeDirectory)?;
        let made = DiskFiles.make_directory(path)?;
        if made {
            self.add(FileEvent::MadeDirectory(path.to_owned()));
        }
        Ok(made)
    }

    fn fsync_directory(&self, path: &Path) -> io::Result<()> {
        self.check(FileOperation::FsyncDirectory)?;
        DiskFiles.fsync_directory(path)?;
        self.add(FileEvent::SyncedDirectory(path.to_owned()));
        Ok(())
    }

    fn facts(&self, path: &Path) -> io::Result<FileMetadata> {
        DiskFiles.facts(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        DiskFiles.list(path)
    }
}
