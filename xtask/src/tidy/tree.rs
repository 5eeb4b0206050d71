//! The tree on disk: every text file that the rules look at.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::TextFile;

/// Folders that hold no sources: what is built, fetched or recorded.
const SKIPPED: &[&str] = &["target", "node_modules", "dist", "results", "data"];

/// Endings of files that are read.
const EXTENSIONS: &[&str] = &[
    "rs", "toml", "sql", "md", "sh", "py", "yml", "yaml", "ts", "tsx", "json", "snap",
];

/// Files without an ending that are read.
const NAMES: &[&str] = &["Makefile", "Dockerfile"];

/// Nothing that a person wrote is longer than this, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The root of the workspace that this program was built from.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads all text files below `root`, sorted by path. Hidden files and folders are left out.
pub fn read(root: &Path) -> anyhow::Result<Vec<TextFile>> {
    let mut files = Vec::new();
    read_folder(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<TextFile>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        let path = format!("{prefix}{name}");
        if name.starts_with('.') || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            read_folder(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && is_source(&name) && entry.metadata()?.len() <= MAX_BYTES {
            let bytes = fs::read(entry.path()).with_context(|| format!("reading {path}"))?;
            files.push(TextFile {
                path,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            });
        }
    }
    Ok(())
}

fn is_source(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    NAMES.contains(&name) || extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}
