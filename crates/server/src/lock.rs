//! The lock on the data directory: one server at a time. Other commands work beside a server and do
//! not take it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another server has it.
    #[error(
        "another server{who} is running on the data directory {directory}; stop it first, or use another directory with --data",
        directory = directory.display()
    )]
    Held {
        /// The directory.
        directory: PathBuf,
        /// ` (process 123)`, if it can be told.
        who: String,
    },
    /// It cannot be made or written.
    #[error("the data directory {directory} cannot be used: {error}", directory = directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A data directory that is ours until this is dropped, or the process ends in any way.
#[derive(Debug)]
pub struct DataLock {
    // The lock is the open file's; the name `seawall.lock` stays, since removing it would race with
    // the next server.
    _file: File,
}

impl DataLock {
    /// Makes the directory if it is not there, and locks it.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let io = |error| LockError::Io {
            directory: directory.to_owned(),
            error,
        };
        make_private(directory).map_err(io)?;
        let path = directory.join("seawall.lock");
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let mut file = open.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    directory: directory.to_owned(),
                    who: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        file.set_len(0).map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

/// Makes the data directory, if it is not there, for its owner alone: the embedded database in it
/// has password hashes. One that is there keeps its mode. Its name is made
/// durable in either case, since the process that made it may have died before that.
pub fn make_private(directory: &Path) -> io::Result<()> {
    let missing = directory
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .count();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    for parent in directory.ancestors().skip(1).take(missing.max(1)) {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        match File::open(parent).and_then(|parent| parent.sync_all()) {
            // A directory that this user may not open is none in which this user has made one.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Who holds the lock, as it wrote down itself.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file
        .read_to_string(&mut text)
        .map(|_| text.trim().parse::<u32>())
    {
        Ok(Ok(id)) => format!(" (process {id})"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let first = DataLock::take(&data).unwrap();
        let refused = DataLock::take(&data).unwrap_err().to_string();
        let own = format!("(process {})", std::process::id());
        assert!(
            refused.contains("another server") && refused.contains(&own),
            "{refused}"
        );
        drop(first);
        DataLock::take(&data).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = DataLock::take(&file.path().join("data")).unwrap_err();
        assert!(refused.to_string().contains("cannot be used"), "{refused}");
    }
}
