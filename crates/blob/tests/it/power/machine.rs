//! A machine that loses power: what a disk may hold after any beginning of a record of file
//! operations.
//!
//! It is as unkind as POSIX allows, with one mercy that every journaling file system grants: a
//! rename happens whole or not at all. Content is durable up to the last fsync of the file, a name
//! since the last fsync of its directory; of whatever came later, any part may be there, in any
//! combination, and a write may be torn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seawall_blob::files::FileEvent;

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
enum Node {
    Directory,
    File(usize),
}

/// A change of a file's content.
#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Cut(size) => bytes.resize(*size, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

type DirectoryEntries = BTreeMap<PathBuf, Node>;

/// Changes of names that happen together.
#[derive(Clone, Debug)]
struct Renaming(Vec<(PathBuf, Option<Node>)>);

impl Renaming {
    fn apply(&self, names: &mut DirectoryEntries) {
        for (path, node) in &self.0 {
            match node {
                Some(node) => names.insert(path.clone(), *node),
                None => names.remove(path),
            };
        }
    }

    fn is_in(&self, directory: &Path) -> bool {
        self.0
            .iter()
            .any(|(path, _)| path.parent() == Some(directory))
    }

    fn shares_a_name(&self, other: &Self) -> bool {
        let mine = self.0.iter().map(|(path, _)| path);
        mine.into_iter()
            .any(|path| other.0.iter().any(|(theirs, _)| path == theirs))
    }
}

/// What of the unsynced is still there after the power is back.
#[derive(Clone, Copy, Debug)]
pub(super) enum SyncOutcome {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// Some of it, drawn from a seed.
    Some(u64),
}

/// A disk and what has not reached it.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    files: Vec<File>,
    /// As the running system sees them.
    names: DirectoryEntries,
    durable: DirectoryEntries,
    pending: Vec<Renaming>,
}

impl Machine {
    /// Does what was recorded.
    pub(super) fn take(&mut self, event: &FileEvent) {
        match event {
            FileEvent::Created(path) => {
                self.files.push(File::default());
                let node = Node::File(self.files.len() - 1);
                self.name(vec![(path.clone(), Some(node))]);
            }
            FileEvent::MadeDirectory(path) => {
                self.name(vec![(path.clone(), Some(Node::Directory))]);
            }
            FileEvent::Removed(path) => self.name(vec![(path.clone(), None)]),
            FileEvent::Renamed { from, to } => {
                let node = self.names.get(from).copied();
                self.name(vec![(from.clone(), None), (to.clone(), node)]);
            }
            FileEvent::Wrote {
                path, offset, data, ..
            } => {
                let offset = usize::try_from(*offset).unwrap();
                let data = data.clone().unwrap();
                self.change(path, Change::Write(offset, data));
            }
            FileEvent::SetSize { path, size } => {
                self.change(path, Change::Cut(usize::try_from(*size).unwrap()));
            }
            FileEvent::Synced(path) => {
                if let Some(file) = self.file(path) {
                    let pending = std::mem::take(&mut file.pending);
                    let durable = &mut file.durable;
                    for change in pending {
                        change.apply(durable);
                    }
                }
            }
            FileEvent::SyncedDirectory(path) => self.sync_directory(path),
        }
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        match self.names.get(path) {
            Some(Node::File(index)) => self.files.get_mut(*index),
            _ => None,
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        // A file that was removed while it was open is of no interest any more.
        if let Some(file) = self.file(path) {
            file.pending.push(change);
        }
    }

    fn name(&mut self, changes: Vec<(PathBuf, Option<Node>)>) {
        let renaming = Renaming(changes);
        renaming.apply(&mut self.names);
        self.pending.push(renaming);
    }

    /// All changes of this directory become durable, and with each what came before it under the
    /// same name.
    fn sync_directory(&mut self, directory: &Path) {
        let mut synced = vec![false; self.pending.len()];
        for last in (0..self.pending.len()).rev() {
            let renaming = &self.pending[last];
            let followed = (last + 1..self.pending.len())
                .any(|later| synced[later] && renaming.shares_a_name(&self.pending[later]));
            synced[last] = followed || renaming.is_in(directory);
        }
        let pending = std::mem::take(&mut self.pending);
        for (renaming, synced) in pending.into_iter().zip(synced) {
            if synced {
                renaming.apply(&mut self.durable);
            } else {
                self.pending.push(renaming);
            }
        }
    }

    /// Whether a crash now has more than one outcome.
    pub(super) fn is_unsettled(&self) -> bool {
        !self.pending.is_empty() || self.files.iter().any(|file| !file.pending.is_empty())
    }

    /// Cuts the power and writes what is left of `root` into a directory.
    pub(super) fn crash(&self, luck: SyncOutcome, root: &Path, into: &Path) {
        let mut dice = SeededRandom(luck);
        let mut names = self.durable.clone();
        for renaming in &self.pending {
            if dice.keeps() {
                renaming.apply(&mut names);
            }
        }
        // In the order of paths, a directory comes before what is in it; without it, all that is
        // lost.
        for (path, node) in &names {
            let Ok(path) = path.strip_prefix(root) else {
                continue;
            };
            let path = into.join(path);
            if !path.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match node {
                Node::Directory => std::fs::create_dir(path).unwrap(),
                Node::File(index) => {
                    let bytes = self.content(*index, &mut dice);
                    std::fs::write(path, bytes).unwrap();
                }
            }
        }
    }

    fn content(&self, index: usize, dice: &mut SeededRandom) -> Vec<u8> {
        let file = &self.files[index];
        let mut bytes = file.durable.clone();
        for change in &file.pending {
            if !dice.keeps() {
                continue;
            }
            match change {
                Change::Write(offset, data) if dice.tears() => {
                    let torn = data[..dice.below(data.len())].to_vec();
                    Change::Write(*offset, torn).apply(&mut bytes);
                }
                change => change.apply(&mut bytes),
            }
        }
        bytes
    }
}

struct SeededRandom(SyncOutcome);

impl SeededRandom {
    fn keeps(&mut self) -> bool {
        match self.0 {
            SyncOutcome::None => false,
            SyncOutcome::All => true,
            SyncOutcome::Some(_) => self.below(2) == 0,
        }
    }

    fn tears(&mut self) -> bool {
        matches!(self.0, SyncOutcome::Some(_)) && self.below(3) == 0
    }

    fn below(&mut self, bound: usize) -> usize {
        let SyncOutcome::Some(seed) = &mut self.0 else {
            return 0;
        };
        *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap()
    }
}
