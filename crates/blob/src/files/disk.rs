//! The real file system.
//!
//! Files are readable by their owner and group only: a blob may belong to a private repository.
//! Nothing here is clever; the two points of interest are the read into memory that was never
//! zeroed and the lock, which is `flock` and therefore belongs to the open file, not to the
//! process.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::io::ReadWriteFlags;

use super::{FileMetadata, Files, OpenFile};

const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn create(&self, path: &Path) -> io::Result<OpenFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(OpenFile::new(file, path))
    }

    fn open(&self, path: &Path) -> io::Result<OpenFile> {
        Ok(OpenFile::new(File::open(path)?, path))
    }

    fn open_writable(&self, path: &Path) -> io::Result<OpenFile> {
        Ok(OpenFile::new(
            OpenOptions::new().read(true).write(true).open(path)?,
            path,
        ))
    }

    fn lock(&self, file: &OpenFile) -> io::Result<bool> {
        match file.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn names(&self, path: &Path, file: &OpenFile) -> io::Result<bool> {
        let named = match fs::metadata(path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let open = file.file.metadata()?;
        Ok(named.ino() == open.ino() && named.dev() == open.dev())
    }

    fn size(&self, file: &OpenFile) -> io::Result<u64> {
        Ok(file.file.metadata()?.len())
    }

    fn read_at(
        &self,
        file: &OpenFile,
        into: &mut Vec<u8>,
        length: usize,
        offset: u64,
    ) -> io::Result<()> {
        let end = into.len() + length;
        let mut offset = offset;
        into.reserve_exact(length);
        while into.len() < end {
            let missing = end - into.len();
            // The buffer may be larger than what is asked for; reading beyond would hand out bytes
            // nobody wants.
            let read = if into.spare_capacity_mut().len() == missing {
                rustix::io::pread(&file.file, rustix::buffer::spare_capacity(into), offset)
            } else {
                let start = into.len();
                into.resize(end, 0);
                let read = rustix::io::pread(&file.file, &mut into[start..], offset);
                into.truncate(start + read.unwrap_or(0));
                read
            };
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => offset += read as u64,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn read_cached(&self, file: &OpenFile, into: &mut [u8], offset: u64) -> bool {
        let (wanted, flags) = (into.len(), ReadWriteFlags::NOWAIT);
        // Short where the rest is on the disk; an error where the file system does not know how to
        // tell.
        let read = rustix::io::preadv2(&file.file, &mut [IoSliceMut::new(into)], offset, flags);
        read == Ok(wanted)
    }

    fn write_at(&self, file: &OpenFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.file.write_all_at(bytes, offset)
    }

    fn write_back(&self, file: &OpenFile, offset: u64, length: u64) {
        // Pages that are dirty are not dropped by this advice, only queued; that is why it is
        // given.
        let length = NonZeroU64::new(length);
        let _ = rustix::fs::fadvise(&file.file, offset, length, rustix::fs::Advice::DontNeed);
    }

    fn set_size(&self, file: &OpenFile, size: u64) -> io::Result<()> {
        file.file.set_len(size)
    }

    fn fsync(&self, file: &OpenFile) -> io::Result<()> {
        file.file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_directory(&self, path: &Path) -> io::Result<bool> {
        match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn fsync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn facts(&self, path: &Path) -> io::Result<FileMetadata> {
        let facts = fs::symlink_metadata(path)?;
        let modified = facts
            .mtime()
            .saturating_mul(1000)
            .saturating_add(facts.mtime_nsec() / 1_000_000);
        Ok(FileMetadata {
            size: facts.len(),
            modified,
            is_file: facts.is_file(),
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(path)?
            .filter_map(|entry| match entry {
                Ok(entry) => entry.file_name().into_string().ok().map(Ok),
                Err(error) => Some(Err(error)),
            })
            .collect()
    }
}
