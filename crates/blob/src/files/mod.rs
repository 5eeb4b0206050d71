//! The file system, as the only module that touches it.
//!
//! Everything that this crate does to files goes through [`Files`], so that a test can make any
//! single operation fail, and can replay what a power loss would have left. Nothing here decides
//! anything: which failure is fatal, what is retried and what a file means is decided by the
//! callers. No function here may be called on a thread of the asynchronous runtime, since they all
//! may wait for a disk; all but [`Files::read_cached`].

mod disk;
#[cfg(feature = "test-fixture")]
mod faulty;

pub use disk::DiskFiles;
#[cfg(feature = "test-fixture")]
pub use faulty::{Fault, FaultyFiles, FileEvent, FileOperation};

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// An open file and the path under which it was opened (a later rename does not change it).
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    path: PathBuf,
}

impl OpenFile {
    fn new(file: File, path: &Path) -> Self {
        Self {
            file,
            path: path.to_owned(),
        }
    }

    /// The path under which the file was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What is known about a name in the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMetadata {
    /// Bytes.
    pub size: u64,
    /// Last modification, milliseconds since 1970 (the file system's clock).
    pub modified: i64,
    /// Neither a directory nor anything special.
    pub is_file: bool,
}

/// The operations on files that blobs need. Offsets and lengths are in bytes.
pub trait Files: Debug + Send + Sync + 'static {
    /// Creates a file that must not exist yet, for reading and writing.
    fn create(&self, path: &Path) -> io::Result<OpenFile>;
    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> io::Result<OpenFile>;
    /// Opens an existing file for reading and writing.
    fn open_writable(&self, path: &Path) -> io::Result<OpenFile>;
    /// Takes the exclusive lock of the file without waiting; false if someone else has it. It ends
    /// with the `OpenFile`.
    fn lock(&self, file: &OpenFile) -> io::Result<bool>;
    /// Says whether `path` still names this very file.
    fn names(&self, path: &Path, file: &OpenFile) -> io::Result<bool>;
    /// The size of an open file.
    fn size(&self, file: &OpenFile) -> io::Result<u64>;
    /// Appends exactly `length` bytes found at `offset` to `into`; a file that ends earlier is
    /// `UnexpectedEof`.
    fn read_at(
        &self,
        file: &OpenFile,
        into: &mut Vec<u8>,
        length: usize,
        offset: u64,
    ) -> io::Result<()>;
    /// Fills `into` from `offset` if that needs no disk; false if it does, or if that is unknown.
    /// The one operation that a thread of the runtime may call.
    fn read_cached(&self, file: &OpenFile, into: &mut [u8], offset: u64) -> bool;
    /// Writes all bytes at `offset`. After an error any part of them may have been written.
    fn write_at(&self, file: &OpenFile, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Asks the system to begin writing these bytes to the disk, without waiting. A hint: it makes
    /// nothing durable, and errors show at `fsync`.
    fn write_back(&self, file: &OpenFile, offset: u64, length: u64);
    /// Cuts or extends the file.
    fn set_size(&self, file: &OpenFile, size: u64) -> io::Result<()>;
    /// Makes content and size of a file durable. After an error nothing written since the last
    /// success is.
    fn fsync(&self, file: &OpenFile) -> io::Result<()>;
    /// Renames within one file system, replacing what was there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes one directory; false if it was there.
    fn make_directory(&self, path: &Path) -> io::Result<bool>;
    /// Makes the entries of a directory durable.
    fn fsync_directory(&self, path: &Path) -> io::Result<()>;
    /// Looks up a name.
    fn facts(&self, path: &Path) -> io::Result<FileMetadata>;
    /// The names in a directory, in no particular order. Names that are not UTF-8 are left out:
    /// none of ours are such.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
}
