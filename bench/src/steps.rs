//! What clients do over and over: one type for each kind of work.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;

use crate::client::{Ask, Connection};
use crate::content::{Blob, Content, Image, LARGE, MANIFEST};
use crate::load::Step;
use crate::push::Pusher;
use crate::target::{Target, scope};

/// So many new repositories share a token.
const REPOSITORIES_PER_TOKEN: usize = 10;

/// Sends the same request, and wants the same answer.
pub(crate) struct Fetch {
    connection: Connection,
    ask: Ask,
    status: StatusCode,
    length: Option<u64>,
}

impl Fetch {
    /// So many clients that send this request to `host` and want 200 or 201, and `length` bytes.
    pub(crate) async fn clients(
        number: usize,
        host: &str,
        ask: &Ask,
        length: Option<u64>,
    ) -> Result<Vec<Self>> {
        Self::wanting(number, host, ask, (StatusCode::OK, length)).await
    }

    /// The same with another status.
    pub(crate) async fn wanting(
        number: usize,
        host: &str,
        ask: &Ask,
        (status, length): (StatusCode, Option<u64>),
    ) -> Result<Vec<Self>> {
        let mut clients = Vec::new();
        for _ in 0..number {
            clients.push(Self {
                connection: Connection::open(host).await?,
                ask: ask.clone(),
                status,
                length,
            });
        }
        Ok(clients)
    }
}

impl Step for Fetch {
    async fn step(&mut self) -> Result<()> {
        let answer = self.connection.send(&self.ask, false).await?;
        let answer = answer.expect_status(self.status)?;
        if let Some(length) = self.length {
            ensure!(
                answer.length == length,
                "{} bytes instead of {length}",
                answer.length
            );
        }
        Ok(())
    }
}

/// Pushes large layers into one repository. Making and hashing them is not timed.
pub(crate) struct PushLayer {
    pusher: Pusher,
    content: Arc<Content>,
    repository: String,
    next: Option<Blob>,
}

impl PushLayer {
    /// The only client there is of this kind.
    pub(crate) async fn open(target: &Arc<Target>, content: &Arc<Content>) -> Result<Self> {
        let repository = target.repository("layers");
        let ticket = target.ticket_for(&repository, "pull,push").await?;
        Ok(Self {
            pusher: Pusher::open(target, ticket).await?,
            content: Arc::clone(content),
            repository,
            next: None,
        })
    }
}

impl Step for PushLayer {
    async fn prepare(&mut self) -> Result<()> {
        self.next = self.content.layer(LARGE);
        Ok(())
    }

    async fn step(&mut self) -> Result<()> {
        let blob = self.next.take().context("nothing was prepared")?;
        self.pusher.streamed(&self.repository, &blob).await
    }
}

/// Pushes images of ten small layers into one repository. Making them is not timed.
pub(crate) struct PushImage {
    pusher: Pusher,
    content: Arc<Content>,
    repository: String,
    next: Option<Image>,
}

impl PushImage {
    /// The only client there is of this kind.
    pub(crate) async fn open(target: &Arc<Target>, content: &Arc<Content>) -> Result<Self> {
        let repository = target.repository("images");
        let ticket = target.ticket_for(&repository, "pull,push").await?;
        Ok(Self {
            pusher: Pusher::open(target, ticket).await?,
            content: Arc::clone(content),
            repository,
            next: None,
        })
    }
}

impl Step for PushImage {
    async fn prepare(&mut self) -> Result<()> {
        self.next = self.content.image(10);
        Ok(())
    }

    async fn step(&mut self) -> Result<()> {
        let image = self.next.take().context("nothing was prepared")?;
        let tag = self.content.mark();
        self.pusher.image(&self.repository, &tag, &image).await
    }
}

/// Puts manifests that were not there before under new tags of one repository. Their blobs are
/// there already.
pub(crate) struct PushTag {
    pusher: Pusher,
    content: Arc<Content>,
    repository: String,
    blobs: Arc<[Blob]>,
}

impl PushTag {
    /// So many clients; the blobs are pushed here.
    pub(crate) async fn clients(
        number: usize,
        target: &Arc<Target>,
        content: &Arc<Content>,
    ) -> Result<Vec<Self>> {
        let repository = target.repository("pushed");
        let ticket = target.ticket_for(&repository, "pull,push").await?;
        let image = content.image(2).context("making an image")?;
        let mut first = Pusher::open(target, ticket.clone()).await?;
        first.image(&repository, "first", &image).await?;
        let blobs: Arc<[Blob]> = image.blobs.into();
        let mut clients = Vec::new();
        for _ in 0..number {
            clients.push(Self {
                pusher: Pusher::open(target, ticket.clone()).await?,
                content: Arc::clone(content),
                repository: repository.clone(),
                blobs: Arc::clone(&blobs),
            });
        }
        Ok(clients)
    }
}

impl Step for PushTag {
    async fn step(&mut self) -> Result<()> {
        let mark = self.content.mark();
        let manifest = Image::marked(&self.blobs, &mark);
        let repository = &self.repository;
        self.pusher
            .manifest(repository, &mark, MANIFEST, manifest)
            .await
    }
}

/// Makes repositories by pushing an image of one blob, its configuration, into each.
pub(crate) struct NewRepository {
    pusher: Pusher,
    target: Arc<Target>,
    content: Arc<Content>,
    names: Vec<String>,
}

impl NewRepository {
    /// So many clients.
    pub(crate) async fn clients(
        number: usize,
        target: &Arc<Target>,
        content: &Arc<Content>,
    ) -> Result<Vec<Self>> {
        let mut clients = Vec::new();
        for _ in 0..number {
            clients.push(Self {
                pusher: Pusher::open(target, None).await?,
                target: Arc::clone(target),
                content: Arc::clone(content),
                names: Vec::new(),
            });
        }
        Ok(clients)
    }

    /// Names for the next repositories, and a token for them.
    async fn name_more(&mut self) -> Result<()> {
        let more = (0..REPOSITORIES_PER_TOKEN).map(|_| self.content.mark());
        let name = |mark: String| self.target.repository(&format!("new/{mark}"));
        self.names = more.map(name).collect();
        let scopes: Vec<_> = self
            .names
            .iter()
            .map(|name| scope(name, "pull,push"))
            .collect();
        self.pusher.ticket = self.target.ticket(&scopes).await?;
        Ok(())
    }
}

impl Step for NewRepository {
    async fn step(&mut self) -> Result<()> {
        if self.names.is_empty() {
            self.name_more().await?;
        }
        let repository = self.names.pop().context("no name")?;
        let image = self.content.image(0).context("making an image")?;
        for blob in &image.blobs {
            self.pusher.whole(&repository, blob).await?;
        }
        let manifest = image.manifest;
        self.pusher
            .manifest(&repository, "v1", MANIFEST, manifest)
            .await
    }
}
