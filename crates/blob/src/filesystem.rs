//! One directory that keeps blobs: `uploads/<uuid>` while they arrive, `store/<xx>/<uuid>` once
//! they are whole.
//!
//! The order of things is the point here. Data is durable before its file is renamed, the rename is
//! durable before it is acknowledged, so that a crash leaves a session file or a whole blob that no
//! row names, and nothing in between. The hard part is an fsync that fails: the kernel may have
//! dropped the pages and forgotten the error, so a second fsync proves nothing. The session is then
//! broken for good: its file is removed, and a client that comes back with an offset finds no bytes
//! for it ([`Error::Lost`]); an upload that had no durable byte yet simply begins in a new file.
//!
//! Everything here waits for disks: never call it on a thread of the runtime.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::files::{FileMetadata, Files, OpenFile};
use crate::upload_lock::{LockedUpload, SessionFile};
use crate::{BlobPlace, Error, Result};

/// After how many bytes the system is asked to begin writing to the disk. Left to itself it gathers
/// a share of all memory first, and the fsync at the end of a large upload would be a silence that
/// outlasts its client's timeout (protocol §7.19).
const WRITE_BACK: u64 = 8 * 1024 * 1024;

/// A directory with uploads and blobs.
#[derive(Debug)]
pub(crate) struct Filesystem {
    name: String,
    uploads: PathBuf,
    store: PathBuf,
    files: Arc<dyn Files>,
    /// Which `store/<xx>` this process knows to be durable.
    prefixes: Vec<AtomicBool>,
    /// Uploads whose fsync failed and whose file could not be removed either.
    broken: Mutex<HashSet<Uuid>>,
}

impl Filesystem {
    /// Whether the directory takes new files now: writes one and removes it. `durably` goes the
    /// whole way of a blob, fsync and rename included, since there are disks on which only those
    /// fail; it waits for the disk.
    pub(crate) fn probe(&self, durably: bool) -> Result<()> {
        match self.try_probe(durably) {
            // Another server is at the same place at this very moment: what it finds, the next
            // probe finds here.
            Err(Error::Io { source, .. }) if in_the_way(&source) => Ok(()),
            probed => probed,
        }
    }

    fn try_probe(&self, durably: bool) -> Result<()> {
        let path = self.uploads.with_file_name("probe");
        // What an earlier probe left behind, if its process died in between.
        let _ = self.files.remove(&path);
        let file = self
            .files
            .create(&path)
            .map_err(Error::io("making a file"))?;
        let written = self
            .files
            .write_at(&file, b"probe", 0)
            .map_err(Error::io("writing"));
        if durably && written.is_ok() {
            return self.keep_probe(&file, &path);
        }
        let removed = self.files.remove(&path);
        written.and(removed.map_err(Error::io("removing a file")))
    }

    fn keep_probe(&self, file: &OpenFile, path: &Path) -> Result<()> {
        let kept = path.with_file_name("probe.kept");
        let root = path.parent().unwrap_or(Path::new("."));
        let synced = self.files.fsync(file);
        let renamed = self.files.rename(path, &kept);
        let named = self.files.fsync_directory(root);
        let removed = self
            .files
            .remove(if renamed.is_ok() { &kept } else { path });
        synced.map_err(Error::io("making a file durable"))?;
        renamed.map_err(Error::io("renaming a file"))?;
        named.map_err(Error::io("making a name durable"))?;
        removed.map_err(Error::io("removing a file"))
    }

    /// Makes the directories that are missing and makes them durable.
    pub(crate) fn open(name: &str, root: &Path, files: Arc<dyn Files>) -> Result<Self> {
        let directories = Self {
            name: name.to_owned(),
            uploads: root.join("uploads"),
            store: root.join("store"),
            files,
            prefixes: (0..256).map(|_| AtomicBool::new(false)).collect(),
            broken: Mutex::default(),
        };
        directories.make_path(&directories.uploads)?;
        directories.make_path(&directories.store)?;
        // Also if they were there: the process that made them may have died before this.
        let failed = Error::io("making a directory");
        directories.files.fsync_directory(root).map_err(&failed)?;
        match directories.files.fsync_directory(parent(root)) {
            // A directory that this user may not open is none in which this user has made one.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(failed(error)),
            _ => Ok(directories),
        }
    }

    pub(crate) fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// Finds and locks the file of an upload. Without one, there is nothing that another process
    /// could be writing to.
    pub(crate) fn lock_session(&self, id: Uuid) -> Result<Option<SessionFile>> {
        let failed = Error::io("locking an upload");
        let path = self.session_path(id);
        loop {
            let file = match self.files.open_writable(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            if !self.files.lock(&file).map_err(&failed)? {
                return Err(Error::Busy);
            }
            // It may have been finished or aborted between opening and locking.
            if self.files.names(&path, &file).map_err(&failed)? {
                let length = self.files.size(&file).map_err(&failed)?;
                return Ok(Some(self.session(file, length)));
            }
        }
    }

    /// The file of an upload, holding its `offset` durable bytes and nothing beyond; made if there
    /// are none. Also says whether a tail was cut off, which only the next fsync makes durable.
    pub(crate) fn session_at(
        &self,
        held: &LockedUpload,
        offset: u64,
    ) -> Result<(Arc<OpenFile>, bool)> {
        let failed = Error::io("opening an upload");
        if self.broken().contains(&held.id()) {
            return Err(Error::Lost(held.id()));
        }
        let session = match held.file() {
            Some(session) => session,
            None if offset == 0 => return Ok((self.create_session(held)?, false)),
            // Another process may have made it since this one checked, and then recorded the bytes
            // that are asked for.
            None => {
                let found = self.lock_session(held.id())?;
                let session = found.ok_or(Error::Lost(held.id()))?;
                held.set_file(Some(session.clone()));
                session
            }
        };
        if session.location != self.name {
            return Err(Error::Lost(held.id()));
        }
        let size = self.files.size(&session.file).map_err(&failed)?;
        if size < offset {
            return Err(Error::Lost(held.id()));
        }
        if size > offset {
            // Bytes of an append that never reached its row: the row counts.
            self.files
                .set_size(&session.file, offset)
                .map_err(&failed)?;
        }
        Ok((session.file, size > offset))
    }

    fn create_session(&self, held: &LockedUpload) -> Result<Arc<OpenFile>> {
        let failed = Error::io("creating an upload");
        let file = match self.files.create(&self.session_path(held.id())) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(Error::Busy),
            Err(error) => return Err(failed(error)),
        };
        if !self.files.lock(&file).map_err(failed)? {
            return Err(Error::Busy);
        }
        let session = self.session(file, 0);
        held.set_file(Some(session.clone()));
        Ok(session.file)
    }

    /// Writes bytes of an append that began at `start`; its first bytes are those at `start`. If it
    /// fails, all that the append has written is given up.
    pub(crate) fn write(
        &self,
        held: &LockedUpload,
        start: u64,
        bytes: &[u8],
        offset: u64,
    ) -> Result<()> {
        let file = if offset == start {
            self.session_at(held, start)?.0
        } else {
            held.file().ok_or(Error::Lost(held.id()))?.file
        };
        self.files.write_at(&file, bytes, offset).map_err(|error| {
            self.roll_back(held, start);
            Error::io("writing an upload")(error)
        })?;
        let end = offset + bytes.len() as u64;
        let (before, after) = (offset / WRITE_BACK, end / WRITE_BACK);
        if after > before {
            self.files
                .write_back(&file, before * WRITE_BACK, (after - before) * WRITE_BACK);
        }
        Ok(())
    }

    /// Makes an append durable that began at `start`: the bytes, and for the first one the name,
    /// too.
    pub(crate) fn settle(&self, held: &LockedUpload, start: u64) -> Result<()> {
        self.sync(held)?;
        if start == 0
            && let Err(error) = self.files.fsync_directory(&self.uploads)
        {
            self.break_session(held);
            return Err(Error::io("making an upload durable")(error));
        }
        Ok(())
    }

    /// Makes the bytes of an upload durable, or breaks it.
    pub(crate) fn sync(&self, held: &LockedUpload) -> Result<()> {
        let session = held.file().ok_or(Error::Lost(held.id()))?;
        self.files.fsync(&session.file).map_err(|error| {
            self.break_session(held);
            Error::io("making an upload durable")(error)
        })
    }

    /// Turns an upload whose last append is durable into a blob under a fresh key.
    pub(crate) fn finish(&self, held: &LockedUpload, offset: u64, key: Uuid) -> Result<BlobPlace> {
        let (_, cut) = self.session_at(held, offset)?;
        if cut || offset == 0 {
            self.sync(held)?;
        }
        self.store_session(held, key)
    }

    /// Turns the session file, whole and durable, into a blob under a fresh key.
    pub(crate) fn store_session(&self, held: &LockedUpload, key: Uuid) -> Result<BlobPlace> {
        let place = BlobPlace::fresh(&self.name, key);
        let target = self.store.join(&place.key);
        let prefix = key.as_bytes()[0];
        let source = self.session_path(held.id());
        self.rename_into(prefix, &source, &target)?;
        if let Err(error) = self.files.fsync_directory(&self.prefix_path(prefix)) {
            // The bytes are durable and so was their old name, which they get back.
            if self.files.rename(&target, &source).is_err() {
                self.remove_quietly(&target);
                held.set_file(None);
            }
            return Err(Error::io("storing a blob")(error));
        }
        held.set_file(None);
        Ok(place)
    }

    /// Makes an upload again of a blob that no row names, durably. Fails while the upload has a
    /// file.
    pub(crate) fn take_back(&self, held: &LockedUpload, place: &BlobPlace) -> Result<()> {
        let failed = Error::io("taking a blob back");
        let source = self.store.join(place.checked_key()?);
        let target = self.session_path(held.id());
        match self.files.facts(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(_) => return Err(Error::Busy),
        }
        self.files.rename(&source, &target).map_err(&failed)?;
        self.files.fsync_directory(&self.uploads).map_err(failed)
    }

    fn rename_into(&self, prefix: u8, source: &Path, target: &Path) -> Result<()> {
        self.ensure_prefix(prefix)?;
        let renamed = match self.files.rename(source, target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Someone has tidied an empty directory away.
                self.prefixes[usize::from(prefix)].store(false, Ordering::Release);
                self.ensure_prefix(prefix)?;
                self.files.rename(source, target)
            }
            renamed => renamed,
        };
        renamed.map_err(Error::io("storing a blob"))
    }

    /// Gives up what an append wrote beyond `start`. A failure is harmless: the row counts, not the
    /// file.
    pub(crate) fn roll_back(&self, held: &LockedUpload, start: u64) {
        let Some(session) = held.file() else { return };
        if start == 0 {
            self.remove_quietly(&self.session_path(held.id()));
            held.set_file(None);
        } else if let Err(error) = self.files.set_size(&session.file, start) {
            tracing::warn!(upload = %held.id(), %error, "an upload's file could not be truncated; its tail will be overwritten");
        }
    }

    /// Removes an upload's bytes. If that fails, they are never taken for another upload's.
    pub(crate) fn abort(&self, held: &LockedUpload) -> Result<()> {
        match self.files.remove(&self.session_path(held.id())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.mark_broken(held);
                held.set_file(None);
                return Err(Error::io("removing an upload")(error));
            }
            _ => {}
        }
        // Not before: the lock keeps others from a file that is about to go.
        held.set_file(None);
        self.broken().remove(&held.id());
        Ok(())
    }

    fn break_session(&self, held: &LockedUpload) {
        let removed = self.files.remove(&self.session_path(held.id()));
        if let Err(error) = removed {
            tracing::error!(upload = %held.id(), %error, "the file of a broken upload cannot be removed");
            self.mark_broken(held);
        }
        held.set_file(None);
    }

    /// Keeps a file that cannot be removed from being used.
    fn mark_broken(&self, held: &LockedUpload) {
        self.broken().insert(held.id());
        // Emptied, it holds fewer bytes than any offset, whatever process looks.
        if let Some(session) = held.file()
            && let Err(error) = self.files.set_size(&session.file, 0)
        {
            tracing::error!(upload = %held.id(), %error, "the file of a broken upload cannot be emptied");
        }
    }

    /// The uploads that have a file, with what is known of it.
    pub(crate) fn sessions(&self) -> Result<Vec<(Uuid, FileMetadata)>> {
        let failed = Error::io("listing uploads");
        let names = self.files.list(&self.uploads).map_err(&failed)?;
        let known = names
            .iter()
            .filter_map(|name| Uuid::parse_str(name).ok())
            .filter_map(|id| {
                let facts = self.session_facts(id).transpose()?;
                Some(facts.map(|facts| (id, facts)))
            });
        known.collect()
    }

    /// What is known of an upload's file, if it has one.
    pub(crate) fn session_facts(&self, id: Uuid) -> Result<Option<FileMetadata>> {
        match self.files.facts(&self.session_path(id)) {
            Ok(facts) => Ok(Some(facts)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("listing uploads")(error)),
        }
    }

    /// The blobs whose keys begin with this byte.
    pub(crate) fn blobs(&self, prefix: u8) -> Result<Vec<(BlobPlace, FileMetadata)>> {
        let failed = Error::io("listing blobs");
        let directory = self.prefix_path(prefix);
        let names = match self.files.list(&directory) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let known =
            names
                .into_iter()
                .filter_map(|name| match self.files.facts(&directory.join(&name)) {
                    Ok(facts) if facts.is_file => {
                        let key = format!("{prefix:02x}/{name}");
                        Some(Ok((
                            BlobPlace {
                                location: self.name.clone(),
                                key,
                            },
                            facts,
                        )))
                    }
                    Ok(_) => None,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => Some(Err(failed(error))),
                });
        known.collect()
    }

    /// Opens a stored blob; gives its size, too.
    pub(crate) fn open_blob(&self, place: &BlobPlace) -> Result<(OpenFile, u64)> {
        let path = self.store.join(place.checked_key()?);
        let file = self
            .files
            .open(&path)
            .map_err(|error| not_found(place, error, "opening a blob"))?;
        let size = self
            .files
            .size(&file)
            .map_err(Error::io("opening a blob"))?;
        Ok((file, size))
    }

    /// What is known of a stored blob without opening it.
    pub(crate) fn blob_facts(&self, place: &BlobPlace) -> Result<FileMetadata> {
        let path = self.store.join(place.checked_key()?);
        self.files
            .facts(&path)
            .map_err(|error| not_found(place, error, "looking up a blob"))
    }

    /// Removes a stored blob; false if it was not there. Not durable: after a power loss it may be
    /// back, and is then a blob that no row names.
    pub(crate) fn delete_blob(&self, place: &BlobPlace) -> Result<bool> {
        let path = self.store.join(place.checked_key()?);
        match self.files.remove(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("deleting a blob")(error)),
        }
    }

    /// Makes `store/<xx>`, and makes its name durable before anything in it is relied upon.
    fn ensure_prefix(&self, prefix: u8) -> Result<()> {
        let known = &self.prefixes[usize::from(prefix)];
        if known.load(Ordering::Acquire) {
            return Ok(());
        }
        let failed = Error::io("making a directory");
        self.files
            .make_directory(&self.prefix_path(prefix))
            .map_err(&failed)?;
        // Also if it was there: the process that made it may have died before this.
        self.files.fsync_directory(&self.store).map_err(&failed)?;
        known.store(true, Ordering::Release);
        Ok(())
    }

    fn make_path(&self, path: &Path) -> Result<()> {
        let failed = Error::io("making a directory");
        if path.as_os_str().is_empty() || self.files.facts(path).is_ok() {
            return Ok(());
        }
        self.make_path(path.parent().unwrap_or(Path::new("")))?;
        self.files.make_directory(path).map_err(&failed)?;
        self.files.fsync_directory(parent(path)).map_err(&failed)
    }

    fn remove_quietly(&self, path: &Path) {
        if let Err(error) = self.files.remove(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a temporary file could not be removed");
        }
    }

    fn session(&self, file: OpenFile, length: u64) -> SessionFile {
        SessionFile {
            location: self.name.clone(),
            file: Arc::new(file),
            length,
        }
    }

    fn session_path(&self, id: Uuid) -> PathBuf {
        self.uploads.join(id.to_string())
    }

    fn prefix_path(&self, prefix: u8) -> PathBuf {
        self.store.join(format!("{prefix:02x}"))
    }

    fn broken(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.broken.lock()
    }
}

/// The directory that a name is in.
fn parent(path: &Path) -> &Path {
    let parent = path.parent().unwrap_or(Path::new("/"));
    if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    }
}

fn in_the_way(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, NotFound};
    matches!(error.kind(), AlreadyExists | NotFound)
}

fn not_found(place: &BlobPlace, error: io::Error, doing: &'static str) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        Error::NotFound(place.to_string())
    } else {
        Error::io(doing)(error)
    }
}
