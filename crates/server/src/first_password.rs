//! The file in the data directory that holds the first administrator's password until that is
//! changed.
//!
//! It is written beside and renamed, so that no link that lies there is followed and no laxer mode
//! of a file before it is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use seawall_types::Secret;

/// The name of the user whose password it is.
pub const ADMIN: &str = "admin";

/// The file of one data directory.
#[derive(Debug)]
pub struct FirstPassword {
    file: PathBuf,
    draft: PathBuf,
}

impl FirstPassword {
    /// That of the directory `data`, be it there or not.
    pub fn of(data: &Path) -> Self {
        Self {
            file: data.join("admin-password"),
            draft: data.join("admin-password.new"),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Writes it for its owner alone, durably.
    pub fn keep(&self, secret: &Secret) -> io::Result<()> {
        // What an earlier start left half-way, or whatever else lies there.
        gone(fs::remove_file(&self.draft))?;
        let follow_nothing = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(follow_nothing)
            .open(&self.draft)?;
        writeln!(file, "{}", secret.expose())?;
        file.sync_all()?;
        fs::rename(&self.draft, &self.file)?;
        self.sync()
    }

    /// Removes it, if it is there.
    pub fn remove(&self) -> io::Result<()> {
        if gone(fs::remove_file(&self.file))? {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let directory = self.file.parent();
        directory.map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }
}

/// Whether something was removed; that there was nothing is fine.
fn gone(removed: io::Result<()>) -> io::Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn no_link_is_followed_and_no_laxer_mode_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let first = FirstPassword::of(directory.path());
        let mode = || fs::metadata(first.path()).unwrap().permissions().mode() & 0o777;

        fs::write(at("victim"), "precious").unwrap();
        symlink(at("victim"), first.path()).unwrap();
        symlink(at("victim"), at("admin-password.new")).unwrap();
        first.keep(&Secret::new("one")).unwrap();
        assert_eq!(fs::read_to_string(at("victim")).unwrap(), "precious");
        assert_eq!(fs::read_to_string(first.path()).unwrap(), "one\n");
        assert_eq!(mode(), 0o600);

        fs::set_permissions(first.path(), fs::Permissions::from_mode(0o644)).unwrap();
        first.keep(&Secret::new("two")).unwrap();
        assert_eq!(fs::read_to_string(first.path()).unwrap(), "two\n");
        assert_eq!(mode(), 0o600);

        first.remove().unwrap();
        first.remove().unwrap();
        assert!(!first.path().exists());
    }
}
