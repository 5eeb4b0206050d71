//! `seawall verify`: is everything there that the database says, and is it what it says?
//!
//! It reads and changes nothing, and works beside a running server: what is pushed while it looks
//! may be listed as an orphan, never as damage. The order sees to that: files are listed first,
//! rows are read after them, and rows always come after their bytes.
//!
//! Everything is walked in the order of its key, page by page, and looked up page by page where it
//! has to be compared. What is held in memory does not grow with the number of blobs, links,
//! repositories or manifests, but with what is found: the names of two million files as 18 bytes
//! each (`orphans`), what lies in one of the 256 directories, and sixteen manifests of 4 MiB. That
//! is less than 200 MiB, and some 60 MiB where manifests are as large as they mostly are.

pub mod orphans;
mod shown;

use seawall_blob::BlobPlace;
use seawall_kernel::{Op, blobs};
use seawall_types::Result;
use seawall_types::digest::Digest;
use serde::Serialize;

/// How many rows are read at once.
const PAGE: u32 = 500;

/// What an examination found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
    /// How many blobs were checked.
    pub blobs: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many manifests were checked.
    pub manifests: u64,
    /// What is damaged.
    pub damage: Vec<Damage>,
    /// Stored bytes that no row names: left by an upload that was cut short. They harm nothing.
    pub orphans: Vec<String>,
}

impl VerifyReport {
    fn damaged(&mut self, what: String, why: String) {
        self.damage.push(Damage { what, why });
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Damage {
    /// What is damaged: a blob's or a manifest's digest, with its repository.
    pub what: String,
    /// In which way.
    pub why: String,
}

/// Looks at every blob, every link and every manifest. With `rehash`, reads all bytes.
pub async fn verify_storage(op: &Op, rehash: bool) -> Result<VerifyReport> {
    let mut report = VerifyReport {
        orphans: orphans::find(op, orphans::SHARE).await?,
        ..VerifyReport::default()
    };
    examine_blobs(op, rehash, &mut report).await?;
    shown::examine_links(op, &mut report).await?;
    shown::examine_manifests(op, &mut report).await?;
    Ok(report)
}

/// Looks at every blob's bytes.
async fn examine_blobs(op: &Op, rehash: bool, report: &mut VerifyReport) -> Result<()> {
    let mut after = None;
    loop {
        let page = blobs::walk(&op.sql(), after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = Some(*last);
        for (digest, facts) in page {
            report.blobs += 1;
            report.bytes += facts.size;
            if let Some(why) = examine_blob(op, &digest, &facts.place, facts.size, rehash).await? {
                report.damaged(digest.to_string(), why);
            }
        }
    }
}

async fn examine_blob(
    op: &Op,
    digest: &Digest,
    place: &BlobPlace,
    size: u64,
    rehash: bool,
) -> Result<Option<String>> {
    let transfers = op.transfers();
    let found = match transfers.stat(place).await {
        Ok(stat) => stat.size,
        Err(seawall_blob::Error::NotFound(_)) => {
            return Ok(Some(format!(
                "its bytes are missing: {}/{}",
                place.location, place.key
            )));
        }
        Err(error) => return Ok(Some(format!("its bytes cannot be read: {error}"))),
    };
    if found != size {
        return Ok(Some(format!(
            "{found} bytes are stored where {size} should be"
        )));
    }
    if !rehash {
        return Ok(None);
    }
    match transfers.rehash(place, digest.algorithm()).await {
        Ok(actual) if actual == *digest => Ok(None),
        Ok(actual) => Ok(Some(format!("its bytes hash to {actual}"))),
        Err(error) => Ok(Some(format!("its bytes cannot be read: {error}"))),
    }
}
