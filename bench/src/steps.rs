//! What clients do over and over: one type for each kind of work.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;

use crate::client::{BenchResponse, PreparedRequest};
use crate::connection::{Connection, Dialer};
use crate::content::{BenchImage, Blob, ContentMaker, LARGE, MANIFEST};
use crate::load::LoadStep;
use crate::push::Pusher;
use crate::target::{BenchTarget, scope};

/// So many new repositories share a token.
const REPOSITORIES_PER_TOKEN: usize = 10;

/// A request, and what has to come back.
#[derive(Clone, Debug)]
pub(crate) struct ExpectedAnswer {
    ask: PreparedRequest,
    status: StatusCode,
    length: Option<u64>,
}

impl ExpectedAnswer {
    /// Any body with status 200.
    pub(crate) fn ok(ask: PreparedRequest) -> Self {
        Self {
            ask,
            status: StatusCode::OK,
            length: None,
        }
    }

    /// Another status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A body of so many bytes.
    pub(crate) fn length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// Sends it, and fails if anything else comes back; the body is kept where `keep` says so.
    pub(crate) async fn fetch(
        &self,
        connection: &mut Connection,
        keep: bool,
    ) -> Result<BenchResponse> {
        let answer = connection.send(&self.ask, keep).await?;
        let answer = answer.expect_status(self.status)?;
        let (found, wanted) = (answer.length, self.length.unwrap_or(answer.length));
        ensure!(found == wanted, "{found} bytes instead of {wanted}");
        Ok(answer)
    }
}

/// Sends the same requests over and over.
pub(crate) struct Fetch {
    connection: Connection,
    wanted: Arc<[ExpectedAnswer]>,
    next: usize,
}

impl Fetch {
    /// So many clients, each of which begins with another of these requests.
    pub(crate) async fn clients(
        number: usize,
        door: &Dialer,
        wanted: Vec<ExpectedAnswer>,
    ) -> Result<Vec<Self>> {
        let wanted: Arc<[ExpectedAnswer]> = wanted.into();
        let mut clients = Vec::new();
        for client in 0..number {
            clients.push(Self {
                connection: Connection::through(door).await?,
                next: client * wanted.len() / number,
                wanted: Arc::clone(&wanted),
            });
        }
        Ok(clients)
    }
}

impl LoadStep for Fetch {
    async fn step(&mut self) -> Result<()> {
        let wanted = self.wanted.get(self.next % self.wanted.len().max(1));
        let wanted = wanted.context("nothing to ask for")?;
        self.next = self.next.wrapping_add(1);
        wanted.fetch(&mut self.connection, false).await.map(drop)
    }
}

/// Pushes large layers into one repository. Making and hashing them is not timed.
pub(crate) struct PushLayer {
    pusher: Pusher,
    content: Arc<ContentMaker>,
    repository: String,
    next: Option<Blob>,
}

impl PushLayer {
    /// The only client there is of this kind.
    pub(crate) async fn open(
        target: &Arc<BenchTarget>,
        content: &Arc<ContentMaker>,
    ) -> Result<Self> {
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

impl LoadStep for PushLayer {
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
    content: Arc<ContentMaker>,
    repository: String,
    next: Option<BenchImage>,
}

impl PushImage {
    /// The only client there is of this kind.
    pub(crate) async fn open(
        target: &Arc<BenchTarget>,
        content: &Arc<ContentMaker>,
    ) -> Result<Self> {
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

impl LoadStep for PushImage {
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
    content: Arc<ContentMaker>,
    repository: String,
    blobs: Arc<[Blob]>,
}

impl PushTag {
    /// So many clients; the blobs are pushed here.
    pub(crate) async fn clients(
        number: usize,
        target: &Arc<BenchTarget>,
        content: &Arc<ContentMaker>,
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

impl LoadStep for PushTag {
    async fn step(&mut self) -> Result<()> {
        let mark = self.content.mark();
        let manifest = BenchImage::marked(&self.blobs, &mark);
        let repository = &self.repository;
        self.pusher
            .manifest(repository, &mark, MANIFEST, manifest)
            .await
    }
}

/// Makes repositories by pushing an image of one blob, its configuration, into each.
pub(crate) struct NewRepository {
    pusher: Pusher,
    target: Arc<BenchTarget>,
    content: Arc<ContentMaker>,
    names: Vec<String>,
}

impl NewRepository {
    /// So many clients.
    pub(crate) async fn clients(
        number: usize,
        target: &Arc<BenchTarget>,
        content: &Arc<ContentMaker>,
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

impl LoadStep for NewRepository {
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
