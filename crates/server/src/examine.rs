//! `seawall verify`: is everything there that the database says, and is it what it says?
//!
//! It reads and changes nothing, and works beside a running server: what is pushed while it looks
//! may be listed as an orphan, never as damage. The order sees to that: files are listed first,
//! rows are read after them, and rows always come after their bytes.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::StreamExt;
use seawall_blob::Place;
use seawall_kernel::catalog::repositories;
use seawall_kernel::{Op, blobs};
use seawall_registry::{Walked, links, walk_manifests};
use seawall_types::Result;
use seawall_types::digest::Digest;
use seawall_types::ids::RepositoryId;
use seawall_types::manifest::Manifest;
use serde::Serialize;

/// How many rows are read at once.
const PAGE: u32 = 500;
/// Manifests have up to 4 MiB each.
const MANIFESTS: u32 = 16;

/// What an examination found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// How many blobs were looked at.
    pub blobs: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many manifests were looked at.
    pub manifests: u64,
    /// What is damaged.
    pub damage: Vec<Damage>,
    /// Stored bytes that no row names: left by an upload that was cut short. They harm nothing.
    pub orphans: Vec<String>,
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
pub async fn examine(op: &Op, rehash: bool) -> Result<Report> {
    let mut report = Report::default();
    let mut stored = list(op).await?;
    let known = examine_blobs(op, rehash, &mut stored, &mut report).await?;
    examine_repositories(op, &known, &mut report).await?;
    report.orphans = stored
        .into_keys()
        .map(|(location, key)| format!("{location}/{key}"))
        .collect();
    Ok(report)
}

type Stored = BTreeMap<(String, String), u64>;

/// Every stored file with its size.
async fn list(op: &Op) -> Result<Stored> {
    let transfers = op.transfers();
    let mut files = std::pin::pin!(transfers.list());
    let mut stored = Stored::new();
    while let Some(listed) = files.next().await {
        let listed = listed?;
        stored.insert((listed.place.location, listed.place.key), listed.stat.size);
    }
    Ok(stored)
}

/// Looks at every blob's bytes; says which digests the database knows, with their sizes.
async fn examine_blobs(
    op: &Op,
    rehash: bool,
    stored: &mut Stored,
    report: &mut Report,
) -> Result<HashMap<Digest, u64>> {
    let mut known = HashMap::new();
    let mut after = None;
    loop {
        let page = blobs::walk(&op.sql(), after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok(known);
        };
        after = Some(*last);
        for (digest, facts) in page {
            report.blobs += 1;
            report.bytes += facts.size;
            known.insert(digest, facts.size);
            stored.remove(&(facts.place.location.clone(), facts.place.key.clone()));
            if let Some(why) = examine_blob(op, &digest, &facts.place, facts.size, rehash).await? {
                report.damage.push(Damage {
                    what: digest.to_string(),
                    why,
                });
            }
        }
    }
}

async fn examine_blob(
    op: &Op,
    digest: &Digest,
    place: &Place,
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

/// Looks at what each repository shows: its links, and the blobs that its manifests refer to. A child
/// that is gone is no damage: it may be deleted while an index still names it.
async fn examine_repositories(
    op: &Op,
    known: &HashMap<Digest, u64>,
    report: &mut Report,
) -> Result<()> {
    let mut names = HashMap::new();
    let mut last = RepositoryId::from(0);
    loop {
        let page = repositories::walk(op, last, PAGE).await?;
        let Some((id, _)) = page.last() else { break };
        last = *id;
        names.extend(page);
    }
    let mut views = HashMap::new();
    for (id, name) in &names {
        let linked = links(&op.sql(), *id).await?;
        for digest in linked.iter().filter(|digest| !known.contains_key(*digest)) {
            let why = "the repository links a blob that is not there".to_owned();
            report.damage.push(Damage {
                what: format!("{name}@{digest}"),
                why,
            });
        }
        views.insert(
            *id,
            View {
                name: name.clone(),
                linked,
            },
        );
    }
    let mut after = None;
    loop {
        let page = walk_manifests(&op.sql(), after, MANIFESTS).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.repository, last.digest));
        for walked in page.iter().filter(|walked| walked.live) {
            // A repository that is being cleared shows nothing any more.
            let Some(view) = views.get(&walked.repository) else {
                continue;
            };
            report.manifests += 1;
            examine_manifest(walked, view, report);
        }
    }
    Ok(())
}

/// What a repository shows.
struct View {
    name: String,
    linked: HashSet<Digest>,
}

fn examine_manifest(walked: &Walked, view: &View, report: &mut Report) {
    let what = format!("{}@{}", view.name, walked.digest);
    let mut damaged = |why: String| {
        report.damage.push(Damage {
            what: what.clone(),
            why,
        });
    };
    let actual = Digest::of(walked.digest.algorithm(), &walked.body);
    if actual != walked.digest {
        return damaged(format!("the manifest's bytes hash to {actual}"));
    }
    let manifest = match Manifest::parse(Some(&walked.media_type), &walked.body) {
        Ok(manifest) => manifest,
        Err(error) => return damaged(format!("the manifest cannot be read: {error}")),
    };
    let blobs = manifest.config.iter().chain(&manifest.layers);
    for descriptor in blobs.filter(|descriptor| descriptor.must_exist()) {
        let digest = &descriptor.digest;
        // What it says of sizes may have been wrong when it was pushed.
        if !view.linked.contains(digest) {
            damaged(format!(
                "it refers to {digest}, which the repository does not link"
            ));
        }
    }
}
