//! What must be there before anything is measured: images to pull, and long lists to page through.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::Method;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::client::PreparedRequest;
use crate::connection::Connection;
use crate::content::{BenchImage, ContentMaker, INDEX, LARGE, SMALL, empty_index};
use crate::push::Pusher;
use crate::target::{BenchTarget, scope};

/// How many clients prepare at once.
const CLIENTS: usize = 8;

/// So many repositories of the long list share a token.
const REPOSITORIES_PER_TOKEN: usize = 50;

/// How many entries a page is asked to have.
pub(crate) const PAGE: usize = 100;

/// What was prepared in one registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fixture {
    /// The repository with the image to pull.
    pub(crate) pull: String,
    /// The digest of its manifest, which has the tag `v1`.
    pub(crate) manifest: String,
    /// The manifest's length in bytes.
    pub(crate) manifest_length: u64,
    /// The digest of the blob of 1 KiB.
    pub(crate) small: String,
    /// The digest of the blob of 64 MiB.
    pub(crate) large: String,
    /// The digest of a blob that was never pushed.
    pub(crate) missing: String,
    /// The path of a page in the middle of the long list of tags.
    pub(crate) tags: String,
    /// The path of a page in the middle of the catalog.
    pub(crate) catalog: String,
    /// What is peculiar about the answers of this registry.
    pub(crate) remarks: Vec<String>,
}

/// What has to be there beside a small image.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FixtureNeeds {
    /// A blob of 64 MiB.
    pub(crate) large: bool,
    /// A repository of many tags.
    pub(crate) tags: bool,
    /// Many repositories.
    pub(crate) catalog: bool,
}

/// Prepares what is needed, with long lists of `entries`.
pub(crate) async fn prepare(
    target: &Arc<BenchTarget>,
    content: &Arc<ContentMaker>,
    needs: FixtureNeeds,
    entries: usize,
) -> Result<Fixture> {
    let mut fixture = pull(target, content, needs.large).await?;
    if needs.tags {
        let repository = target.repository("tags");
        many_tags(target, &repository, entries).await?;
        let last = tag(entries / 2);
        fixture.tags = format!("/v2/{repository}/tags/list?n={PAGE}&last={last}");
        let ticket = target.ticket_for(&repository, "pull").await?;
        let ask = target
            .ask(Method::GET, &fixture.tags)?
            .authorized(ticket.as_ref());
        fixture.remark(target, "tags/list", &ask).await?;
    }
    if needs.catalog {
        many_repositories(target, content, entries).await?;
        let last = repository(target, entries / 2);
        fixture.catalog = format!("/v2/_catalog?n={PAGE}&last={last}");
        let ticket = target.ticket(&[CATALOG.to_owned()]).await?;
        let ask = target
            .ask(Method::GET, &fixture.catalog)?
            .authorized(ticket.as_ref());
        fixture.remark(target, "the catalog", &ask).await?;
    }
    Ok(fixture)
}

/// The scope of the catalog.
pub(crate) const CATALOG: &str = "registry:catalog:*";

impl Fixture {
    /// The path of a manifest of the image to pull.
    pub(crate) fn manifest(&self, reference: &str) -> String {
        format!("/v2/{}/manifests/{reference}", self.pull)
    }

    /// The path of one of its blobs.
    pub(crate) fn blob(&self, digest: &str) -> String {
        format!("/v2/{}/blobs/{digest}", self.pull)
    }

    async fn remark(
        &mut self,
        target: &BenchTarget,
        what: &str,
        ask: &PreparedRequest,
    ) -> Result<()> {
        let mut connection = Connection::open(&target.host).await?;
        let answer = connection.send(ask, true).await?;
        let answer = answer.expect_status(http::StatusCode::OK)?;
        let found = entries_of(&answer.body)?.len();
        if found != PAGE {
            let text = format!("a page of {PAGE} of {what} has {found} entries");
            self.remarks.push(text);
        }
        Ok(())
    }
}

/// The names in a page of tags or repositories.
pub(crate) fn entries_of(page: &[u8]) -> Result<Vec<String>> {
    let document: Value = serde_json::from_slice(page)?;
    let found = ["tags", "repositories"]
        .iter()
        .find_map(|key| document.get(key)?.as_array());
    let names = found.into_iter().flatten();
    Ok(names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect())
}

async fn pull(
    target: &Arc<BenchTarget>,
    content: &Arc<ContentMaker>,
    large: bool,
) -> Result<Fixture> {
    let repository = target.repository("pull");
    let ticket = target.ticket_for(&repository, "pull,push").await?;
    let mut pusher = Pusher::open(target, ticket).await?;
    let image = content.image(2).context("making an image")?;
    pusher.image(&repository, "v1", &image).await?;
    let small = content.layer(SMALL).context("making a blob")?;
    pusher.whole(&repository, &small).await?;
    let mut blobs = vec![
        image.blobs.first().context("no blob")?.clone(),
        small.clone(),
    ];
    let mut large_digest = String::new();
    if large {
        let blob = content.layer(LARGE).context("making a blob")?;
        pusher.streamed(&repository, &blob).await?;
        large_digest = blob.digest.to_string();
        blobs.push(blob);
    }
    // Named by a manifest, so that no registry takes the blobs for garbage.
    let holder = BenchImage::marked(&blobs, "holder");
    let media_type = crate::content::MANIFEST;
    pusher
        .manifest(&repository, "blobs", media_type, holder)
        .await?;
    let manifest = seawall_types::digest::Digest::of(
        seawall_types::digest::Algorithm::Sha256,
        &image.manifest,
    );
    Ok(Fixture {
        pull: repository,
        manifest: manifest.to_string(),
        manifest_length: image.manifest.len() as u64,
        small: small.digest.to_string(),
        large: large_digest,
        missing: content
            .layer(SMALL)
            .context("making a blob")?
            .digest
            .to_string(),
        ..Fixture::default()
    })
}

fn tag(number: usize) -> String {
    format!("t{number:06}")
}

fn repository(target: &BenchTarget, number: usize) -> String {
    target.repository(&format!("many/r{number:06}"))
}

async fn many_tags(target: &Arc<BenchTarget>, repository: &str, entries: usize) -> Result<()> {
    let ticket = target.ticket_for(repository, "pull,push").await?;
    let mut running = JoinSet::new();
    for client in 0..CLIENTS {
        let mut pusher = Pusher::open(target, ticket.clone()).await?;
        let (target, repository) = (Arc::clone(target), repository.to_owned());
        running.spawn(async move {
            for (done, number) in (client..entries).step_by(CLIENTS).enumerate() {
                // Tokens do not live long enough for slow registries.
                if done % 200 == 199 {
                    pusher.ticket = target.ticket_for(&repository, "pull,push").await?;
                }
                let index = empty_index();
                pusher
                    .manifest(&repository, &tag(number), INDEX, index)
                    .await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// Each repository has one blob, mounted from elsewhere, for a registry of files does not count
/// others; and a manifest that names nothing.
async fn many_repositories(
    target: &Arc<BenchTarget>,
    content: &Arc<ContentMaker>,
    entries: usize,
) -> Result<()> {
    let from = target.repository("many/source");
    let ticket = target.ticket_for(&from, "pull,push").await?;
    let mut pusher = Pusher::open(target, ticket).await?;
    let blob = content.layer(SMALL).context("making a blob")?;
    pusher.whole(&from, &blob).await?;
    let mut running = JoinSet::new();
    for client in 0..CLIENTS {
        let mut pusher = Pusher::open(target, None).await?;
        let (target, from, digest) = (Arc::clone(target), from.clone(), blob.digest);
        running.spawn(async move {
            let numbers: Vec<_> = (client..entries).step_by(CLIENTS).collect();
            for some in numbers.chunks(REPOSITORIES_PER_TOKEN) {
                let names: Vec<_> = some.iter().map(|n| repository(&target, *n)).collect();
                let mut scopes: Vec<_> =
                    names.iter().map(|name| scope(name, "pull,push")).collect();
                scopes.push(scope(&from, "pull"));
                pusher.ticket = target.ticket(&scopes).await?;
                for name in &names {
                    pusher.mount(name, &digest, &from).await?;
                    pusher.manifest(name, "v1", INDEX, empty_index()).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}
