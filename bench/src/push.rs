//! Pushing, as clients do it, over one connection and with a token that was fetched before.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, StatusCode, Uri};
use seawall_types::digest::Digest;

use crate::client::{BenchResponse, PreparedRequest};
use crate::connection::Connection;
use crate::content::{BenchImage, Blob, MANIFEST};
use crate::target::BenchTarget;

const OCTETS: &str = "application/octet-stream";

/// A client that pushes.
pub(crate) struct Pusher {
    target: Arc<BenchTarget>,
    connection: Connection,
    /// The `Authorization` of its requests.
    pub(crate) ticket: Option<HeaderValue>,
}

impl Pusher {
    /// A client with this token.
    pub(crate) async fn open(
        target: &Arc<BenchTarget>,
        ticket: Option<HeaderValue>,
    ) -> Result<Self> {
        Ok(Self {
            target: Arc::clone(target),
            connection: Connection::open(&target.host).await?,
            ticket,
        })
    }

    fn ask(&self, method: Method, path: String) -> Result<PreparedRequest> {
        let ask = self.target.ask(method, path)?;
        Ok(ask.authorized(self.ticket.as_ref()))
    }

    async fn created(&mut self, ask: &PreparedRequest) -> Result<()> {
        let answer = self.connection.send(ask, false).await?;
        answer.expect_status(StatusCode::CREATED).map(drop)
    }

    /// Whether the repository has the blob.
    pub(crate) async fn has(&mut self, repository: &str, digest: &Digest) -> Result<bool> {
        let ask = self.ask(Method::HEAD, format!("/v2/{repository}/blobs/{digest}"))?;
        Ok(self.connection.send(&ask, false).await?.status == StatusCode::OK)
    }

    /// Pushes a blob in two requests: POST, and PUT with the bytes.
    pub(crate) async fn whole(&mut self, repository: &str, blob: &Blob) -> Result<()> {
        let session = self.begin(repository).await?;
        let path = closing(&session, &blob.digest);
        let ask = self.ask(Method::PUT, path)?.header(CONTENT_TYPE, OCTETS)?;
        self.created(&ask.body(blob.payload.clone())).await
    }

    /// Pushes a blob in three requests, as docker does: POST, PATCH with the bytes, PUT.
    pub(crate) async fn streamed(&mut self, repository: &str, blob: &Blob) -> Result<()> {
        let session = self.begin(repository).await?;
        let ask = self
            .ask(Method::PATCH, session)?
            .header(CONTENT_TYPE, OCTETS)?;
        let answer = self
            .connection
            .send(&ask.body(blob.payload.clone()), false)
            .await?;
        let session = location(&answer.expect_status(StatusCode::ACCEPTED)?)?;
        let ask = self.ask(Method::PUT, closing(&session, &blob.digest))?;
        self.created(&ask).await
    }

    async fn begin(&mut self, repository: &str) -> Result<String> {
        let ask = self.ask(Method::POST, format!("/v2/{repository}/blobs/uploads/"))?;
        let answer = self.connection.send(&ask, false).await?;
        location(&answer.expect_status(StatusCode::ACCEPTED)?)
    }

    /// Makes a blob of another repository known to this one.
    pub(crate) async fn mount(
        &mut self,
        repository: &str,
        digest: &Digest,
        from: &str,
    ) -> Result<()> {
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
        let ask = self.ask(Method::POST, path)?;
        self.created(&ask).await
    }

    /// Puts a manifest under a tag.
    pub(crate) async fn manifest(
        &mut self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<()> {
        let ask = self.ask(Method::PUT, format!("/v2/{repository}/manifests/{tag}"))?;
        let ask = ask.header(CONTENT_TYPE, media_type)?.body(bytes);
        self.created(&ask).await
    }

    /// Pushes an image: asks for each blob, sends those that are missing, then the manifest.
    pub(crate) async fn image(
        &mut self,
        repository: &str,
        tag: &str,
        image: &BenchImage,
    ) -> Result<()> {
        for blob in &image.blobs {
            if !self.has(repository, &blob.digest).await? {
                self.whole(repository, blob).await?;
            }
        }
        let manifest = image.manifest.clone();
        self.manifest(repository, tag, MANIFEST, manifest).await
    }
}

/// The path and query of the place where an upload goes on.
pub(crate) fn location(answer: &BenchResponse) -> Result<String> {
    let value = answer.headers.all(&LOCATION).next();
    let uri: Uri = value.context("no Location")?.parse()?;
    let path = uri.path_and_query().context("a Location without a path")?;
    Ok(path.to_string())
}

fn closing(session: &str, digest: &Digest) -> String {
    let mark = if session.contains('?') { '&' } else { '?' };
    format!("{session}{mark}digest={digest}")
}
