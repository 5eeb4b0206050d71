//! A real file system that is small: memory, mounted where only the server sees it.
//!
//! The server gets a mount namespace of its own (with a user namespace where we are not the
//! superuser), so nothing is left behind and no other process is disturbed. Some sandboxes allow
//! neither; [`SmallDisk::at`] then says so loudly, and what remains are the tests on files that
//! fail on purpose.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::process::ServerProcess;

/// Mounts `$2` with `$1` mebibytes, then becomes the program that follows.
const MOUNT: &str =
    "mount -t tmpfs -o \"size=$1m,mode=0755\" seawall-test \"$2\" && shift 2 && exec \"$@\"";

/// How to get a namespace in which one may mount: as the superuser, or as any user.
const WAYS: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];

/// A file system for the server that a [`crate::Site`] starts.
#[derive(Debug)]
pub struct SmallDisk {
    way: &'static [&'static str],
    place: PathBuf,
    mebibytes: u32,
}

impl SmallDisk {
    /// A file system of so many mebibytes, to be mounted on this directory; `None` where that is
    /// not allowed.
    pub async fn at(place: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir_all(place).expect("a directory");
        for way in WAYS {
            let disk = Self {
                way,
                place: place.to_owned(),
                mebibytes,
            };
            let tried = disk
                .command(Path::new("true"))
                .stderr(Stdio::null())
                .status();
            if tried.await.is_ok_and(|status| status.success()) {
                return Some(disk);
            }
        }
        // Not a line for the test's own output, which is not read of a test that passes.
        let words =
            "SKIPPED: this sandbox lets nobody mount a file system, so none is filled for real\n";
        let _ = io::stderr().write_all(words.as_bytes());
        None
    }

    /// A command that runs the program with the file system in place.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(self.way)
            .args(["--", "sh", "-c", MOUNT, "sh", &self.mebibytes.to_string()])
            .arg(&self.place)
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// A path as the server sees it.
    pub(crate) fn seen_by(id: u32, path: &Path) -> PathBuf {
        let mut seen = PathBuf::from(format!("/proc/{id}/root"));
        seen.extend(path.components().skip(1));
        seen
    }

    fn filler(&self, server: &ServerProcess) -> PathBuf {
        Self::seen_by(server.id(), &self.place.join("filler"))
    }

    /// Leaves not one byte free.
    pub fn fill(&self, server: &ServerProcess) {
        let mut file = fs::File::create(self.filler(server)).expect("a file");
        let block = [0x5a; 4096];
        let error = loop {
            if let Err(error) = file.write_all(&block) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// Gives back what was filled.
    pub fn free(&self, server: &ServerProcess) {
        fs::remove_file(self.filler(server)).expect("the filler is there");
    }

    /// Makes it read-only, or writable again.
    pub async fn set_read_only(&self, server: &ServerProcess, read_only: bool) {
        let mode = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        let mut command = Command::new("nsenter");
        command.args(["--target", &server.id().to_string(), "--mount"]);
        if self.way.contains(&"--map-root-user") {
            command.args(["--user", "--preserve-credentials"]);
        }
        let done = command
            .args(["--", "mount", "-o", mode])
            .arg(&self.place)
            .output();
        let done = done.await.expect("nsenter runs");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{mode}: {said}");
    }
}
