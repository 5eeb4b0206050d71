//! Verification of repositories: their links, and the blobs that their manifests refer to. A child
//! that is gone is no damage: it may be deleted while an index still names it.

use std::collections::{BTreeSet, VecDeque};

use seawall_kernel::Op;
use seawall_kernel::catalog::repositories;
use seawall_registry::{ManifestRow, linked, walk_links, walk_manifests};
use seawall_types::Result;
use seawall_types::digest::Digest;
use seawall_types::ids::RepositoryId;
use seawall_types::manifest::{Descriptor, Manifest};

use super::{PAGE, VerifyReport};

/// Manifests have up to 4 MiB each.
const MANIFESTS: u32 = 16;

/// Looks at every link of every repository.
pub(super) async fn examine_links(op: &Op, report: &mut VerifyReport) -> Result<()> {
    let installation = op.installation()?;
    let mut repositories = Repositories::new(op);
    while let Some((id, name)) = repositories.next().await? {
        let mut after = None;
        loop {
            let page = walk_links(op, &installation, id, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (digest, _) in page.iter().filter(|(_, size)| size.is_none()) {
                let why = "the repository links a blob that is not there";
                report.damaged(format!("{name}@{digest}"), why.to_owned());
            }
        }
    }
    Ok(())
}

/// Looks at every manifest that can be pulled.
pub(super) async fn examine_manifests(op: &Op, report: &mut VerifyReport) -> Result<()> {
    let installation = op.installation()?;
    let mut repositories = Repositories::new(op);
    let mut after = None;
    loop {
        let page = walk_manifests(op, &installation, after, MANIFESTS).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some((last.repository, last.digest));
        for group in page.chunk_by(|a, b| a.repository == b.repository) {
            let Some(id) = group.first().map(|walked| walked.repository) else {
                continue;
            };
            // A repository that is being cleared shows nothing any more.
            if let Some(name) = repositories.name_of(id).await? {
                examine_group(op, (id, &name), group, report).await?;
            }
        }
    }
}

/// Looks at some manifests of one repository.
async fn examine_group(
    op: &Op,
    (repository, name): (RepositoryId, &str),
    group: &[ManifestRow],
    report: &mut VerifyReport,
) -> Result<()> {
    let mut manifests = Vec::with_capacity(group.len());
    for walked in group.iter().filter(|walked| walked.live) {
        report.manifests += 1;
        let what = format!("{name}@{}", walked.digest);
        match read(walked) {
            Ok(manifest) => manifests.push((what, manifest)),
            Err(why) => report.damaged(what, why),
        }
    }
    let wanted: BTreeSet<Digest> = manifests
        .iter()
        .flat_map(|(_, manifest)| needed(manifest))
        .map(|descriptor| descriptor.digest)
        .collect();
    let linked = linked(op, &op.installation()?, repository, wanted).await?;
    for (what, manifest) in &manifests {
        // What it says of sizes may have been wrong when it was pushed.
        for Descriptor { digest, .. } in needed(manifest) {
            if !linked.contains(digest) {
                let why = format!("it refers to {digest}, which the repository does not link");
                report.damaged(what.clone(), why);
            }
        }
    }
    Ok(())
}

fn read(walked: &ManifestRow) -> std::result::Result<Manifest, String> {
    let actual = Digest::of(walked.digest.algorithm(), &walked.body);
    if actual != walked.digest {
        return Err(format!("the manifest's bytes hash to {actual}"));
    }
    Manifest::parse(Some(&walked.media_type), &walked.body)
        .map_err(|error| format!("the manifest cannot be read: {error}"))
}

/// The blobs without which a manifest cannot be used.
fn needed(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let blobs = manifest.config.iter().chain(&manifest.layers);
    blobs.filter(|descriptor| descriptor.must_exist())
}

/// The repositories that have a name, by id.
struct Repositories<'a> {
    op: &'a Op,
    page: VecDeque<(RepositoryId, String)>,
    last: RepositoryId,
}

impl<'a> Repositories<'a> {
    fn new(op: &'a Op) -> Self {
        Self {
            op,
            page: VecDeque::new(),
            last: RepositoryId::from(0),
        }
    }

    async fn next(&mut self) -> Result<Option<(RepositoryId, String)>> {
        self.fill().await?;
        Ok(self.page.pop_front())
    }

    /// The name of a repository, if it has one. Asked in the order of ids.
    async fn name_of(&mut self, id: RepositoryId) -> Result<Option<String>> {
        loop {
            self.fill().await?;
            match self.page.front() {
                Some((before, _)) if *before < id => drop(self.page.pop_front()),
                Some((found, name)) if *found == id => return Ok(Some(name.clone())),
                _ => return Ok(None),
            }
        }
    }

    async fn fill(&mut self) -> Result<()> {
        if self.page.is_empty() {
            let installation = self.op.installation()?;
            let page = repositories::walk(self.op, &installation, self.last, PAGE);
            self.page = page.await?.into();
            if let Some((last, _)) = self.page.back() {
                self.last = *last;
            }
        }
        Ok(())
    }
}
