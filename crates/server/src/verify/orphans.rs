//! Stored files that no row names.
//!
//! Files are listed directory by directory and rows are walked by digest, which have nothing to do
//! with each other. So files are taken in shares that fit into memory, and for each share all rows
//! are read once: one walk for up to [`SHARE`] files, two for twice as many.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::pin::pin;

use futures::StreamExt;
use seawall_blob::BlobPlace;
use seawall_kernel::{Op, blobs};
use seawall_types::Result;

use super::PAGE;

/// So many files are remembered at once.
pub const SHARE: usize = 2_000_000;

/// The stored files that no row names, as `location/key`, in order; `share` of them are remembered
/// at once.
pub async fn find(op: &Op, share: usize) -> Result<Vec<String>> {
    let transfers = op.transfers();
    let mut files = pin!(transfers.list());
    let mut orphans = Vec::new();
    loop {
        let mut listed = UnmatchedFiles::default();
        while listed.len() < share
            && let Some(file) = files.next().await
        {
            listed.add(file?.place);
        }
        if listed.len() == 0 {
            orphans.sort_unstable();
            let named = |(location, key)| format!("{location}/{key}");
            return Ok(orphans.into_iter().map(named).collect());
        }
        listed
            .files
            .sort_unstable_by_key(|file| (file.location, file.id));
        let mut after = None;
        loop {
            let page = blobs::walk(&op.sql(), after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (_, facts) in &page {
                listed.strike(&facts.place);
            }
        }
        orphans.extend(listed.left());
    }
}

/// Files of which no row has been seen yet.
#[derive(Default)]
struct UnmatchedFiles {
    locations: Vec<String>,
    files: Vec<File>,
    /// What is not called as we call our files.
    others: BTreeSet<(String, String)>,
}

/// A file that is called as we call them: `<xx>/<uuid>`.
struct File {
    id: [u8; 16],
    location: u8,
    named: bool,
}

impl UnmatchedFiles {
    fn len(&self) -> usize {
        self.files.len() + self.others.len()
    }

    fn add(&mut self, place: BlobPlace) {
        let location = self.location(&place.location).or_else(|| {
            self.locations.push(place.location.clone());
            u8::try_from(self.locations.len() - 1).ok()
        });
        match (location, id(&place.key)) {
            (Some(location), Some(id)) => self.files.push(File {
                id,
                location,
                named: false,
            }),
            _ => drop(self.others.insert((place.location, place.key))),
        }
    }

    /// A row names this file.
    fn strike(&mut self, place: &BlobPlace) {
        if let (Some(location), Some(id)) = (self.location(&place.location), id(&place.key)) {
            let found = self
                .files
                .binary_search_by_key(&(location, id), |file| (file.location, file.id));
            if let Some(file) = found.ok().and_then(|at| self.files.get_mut(at)) {
                file.named = true;
            }
        } else {
            let other = (place.location.clone(), place.key.clone());
            self.others.remove(&other);
        }
    }

    fn location(&self, name: &str) -> Option<u8> {
        let at = self.locations.iter().position(|known| known == name)?;
        u8::try_from(at).ok()
    }

    /// What no row has named.
    fn left(self) -> impl Iterator<Item = (String, String)> {
        let Self {
            locations,
            files,
            others,
        } = self;
        let files = files.into_iter().filter(|file| !file.named);
        let files = files.filter_map(move |file| {
            let location = locations.get(usize::from(file.location))?;
            Some((location.clone(), key(file.id)))
        });
        files.chain(others)
    }
}

/// Where the digits of a UUID are followed by a dash.
const GROUPS: [usize; 4] = [4, 6, 8, 10];

/// The UUID in a key, if the key is that of a blob as we store it.
fn id(stored: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = stored
        .get(3..)?
        .bytes()
        .filter_map(|byte| char::from(byte).to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    let mut id = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    for (byte, digits) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digits.iter().fold(0, |byte, digit| byte << 4 | digit);
    }
    (key(id) == stored).then_some(id)
}

/// The key of the blob that is stored under this UUID.
fn key(id: [u8; 16]) -> String {
    let mut key = format!("{:02x}/", id[0]);
    for (place, byte) in id.iter().enumerate() {
        if GROUPS.contains(&place) {
            key.push('-');
        }
        // Writing into a string does not fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> BlobPlace {
        BlobPlace {
            location: "local".into(),
            key: key.into(),
        }
    }

    const OURS: &str = "0a/0a000000-0000-4000-8000-0000000000ff";
    const STRANGE: [&str; 4] = [
        "0a/0a000000-0000-4000-8000-0000000000FF",
        "0b/0a000000-0000-4000-8000-0000000000ff",
        "0a/0a000000-0000-4000-8000-0000000000ff.tmp",
        "0a/ä",
    ];

    #[test]
    fn a_key_is_remembered_as_its_uuid_only_if_it_comes_back() {
        assert_eq!(id(OURS).map(key).as_deref(), Some(OURS));
        for strange in STRANGE {
            assert_eq!(id(strange), None, "{strange}");
        }
    }

    #[test]
    fn what_no_row_names_is_left_whatever_it_is_called() {
        let mut listed = UnmatchedFiles::default();
        let other = OURS.replace("ff", "fe");
        for key in STRANGE.into_iter().chain([OURS, &other]) {
            listed.add(place(key));
        }
        listed
            .files
            .sort_unstable_by_key(|file| (file.location, file.id));
        for key in [OURS, STRANGE[0], "0c/nowhere"] {
            listed.strike(&place(key));
        }
        let left: BTreeSet<String> = listed.left().map(|(_, key)| key).collect();
        let expected = STRANGE[1..]
            .iter()
            .map(|key| (*key).to_owned())
            .chain([other]);
        assert_eq!(left, expected.collect());
    }
}
