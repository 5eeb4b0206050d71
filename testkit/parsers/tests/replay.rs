//! Feeds every check its seeds and all that ever failed, with an ordinary compiler: what `make
//! fuzz` once found stays found. It must never be satisfied with nothing: a check without seeds
//! fails.

#![expect(clippy::expect_used, reason = "these are tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The inputs below `folder`, by path; none if it does not exist.
fn inputs(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("a folder can be read").path();
        let bytes = fs::read(&path).expect("an input can be read");
        (path, bytes)
    };
    entries.map(read).collect()
}

fn names(folder: &Path, suffix: &str) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.expect("a folder can be read").file_name();
        let name = name.to_str().expect("a name is text");
        name.strip_suffix(suffix).map(str::to_owned)
    };
    entries.filter_map(name).collect()
}

#[test]
fn seeds_and_what_once_failed_hold() {
    for (name, check) in seawall_parsers::ALL {
        let seeds = inputs(&fuzz().join("corpus").join(name));
        assert!(!seeds.is_empty(), "{name} has no seeds");
        let kept = inputs(&fuzz().join("regressions").join(name));
        for (path, bytes) in seeds.into_iter().chain(kept) {
            let held = std::panic::catch_unwind(|| check(&bytes));
            assert!(held.is_ok(), "{name} does not hold for {}", path.display());
        }
    }
}

/// What is cut short or has one byte changed is where parsers stumble; no fuzzer is needed for
/// that.
#[test]
fn pieces_of_the_seeds_hold() {
    for (name, check) in seawall_parsers::ALL {
        for (_, bytes) in inputs(&fuzz().join("corpus").join(name)) {
            for at in 0..bytes.len() {
                check(bytes.get(..at).unwrap_or_default());
                for change in [0x01, 0x20, 0x80] {
                    let mut other = bytes.clone();
                    other[at] ^= change;
                    check(&other);
                }
            }
        }
    }
}

/// A target that is in one place and not in the other would never be run.
#[test]
fn every_check_has_its_target() {
    let known: BTreeSet<_> = seawall_parsers::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(names(&fuzz().join("fuzz_targets"), ".rs"), known);
    assert!(names(&fuzz().join("corpus"), "").is_subset(&known));
    assert!(names(&fuzz().join("regressions"), "").is_subset(&known));
    let manifest =
        fs::read_to_string(fuzz().join("Cargo.toml")).expect("the manifest of the targets");
    for name in known {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not built"
        );
    }
}
