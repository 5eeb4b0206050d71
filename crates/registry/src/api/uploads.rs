//! Uploads over HTTP: opening, status, chunks, the end, cancelling (protocol §6–§8).
//!
//! The right to push is judged first, then what the request says is checked, and only then is
//! anything made. Content types and unknown parameters are none of this server's business (§6.8,
//! §8.10).

use std::option;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, Chain, Iter};
use http::request::Parts;
use http::{HeaderName, StatusCode, header};
use seawall_blob::BodyError;
use seawall_kernel::Repo;
use seawall_kernel::auth::ActKind;
use seawall_kernel::http::{
    BodyStream, Call, Deadline, LaneRule, Response, Route, RouteBuilder, RouteWithoutLane,
};
use seawall_types::{Algorithm, Digest, Error, Lane, Reason, RepositoryName, Result};
use uuid::Uuid;

use super::EXAMPLE_DIGEST;
use super::answer::{Answer, ContentAnswer, blob_location};
use crate::acts::Push;
use crate::upload::{self, Chunk, StepRefusal, UploadProgress, UploadRequest, UploadToken};
use crate::{Content, blob};

const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

const UPLOADS: &str = "/v2/{name...}/blobs/uploads/";
const UPLOADS_BARE: &str = "/v2/{name...}/blobs/uploads";
const UPLOAD: &str = "/v2/{name...}/blobs/uploads/{upload}";

/// For what brings bytes: as many as there are, as slowly as the settings allow.
const STREAMING: Deadline = Deadline::Streaming(None);

pub(super) fn routes(content: &Arc<Content>) -> Vec<Route> {
    let pushing = |route: RouteWithoutLane, lane: LaneRule| route.lane(lane).act(ActKind::Push);
    let push = |route| pushing(route, Lane::Push.into());
    let known = |route: RouteBuilder, summary| {
        let example = "00000000-0000-4000-8000-000000000000";
        route
            .summary(summary)
            .path_param("upload", "The upload.", example)
    };
    let finish_route = pushing(
        Route::put("upload.finish", UPLOAD),
        LaneRule::Of(finishing_lane),
    );
    [UPLOADS, UPLOADS_BARE]
        .map(|path| {
            push(Route::post("upload.open", path))
                .deadline(STREAMING)
                .summary("Begins an upload, mounts a blob, or stores the body as one.")
                .query_param(
                    "mount",
                    "A blob that another repository has.",
                    EXAMPLE_DIGEST,
                )
                .query_param("from", "The repository that has it.", "library/hello")
                .query_param("digest", "The digest of the body.", EXAMPLE_DIGEST)
                .to(content, open)
        })
        .into_iter()
        .chain([
            known(
                push(Route::get("upload.status", UPLOAD)),
                "Says how far an upload has come.",
            )
            .to(content, status),
            known(
                push(Route::patch("upload.append", UPLOAD)),
                "Adds the body to an upload.",
            )
            .deadline(STREAMING)
            .to(content, append),
            known(
                finish_route,
                "Adds the body, and makes a blob of the upload.",
            )
            .deadline(STREAMING)
            .query_param("digest", "The digest of the whole.", EXAMPLE_DIGEST)
            .to(content, finish),
            known(
                push(Route::delete("upload.cancel", UPLOAD)),
                "Drops an upload.",
            )
            .to(content, cancel),
        ])
        .collect()
}

/// A PUT without a body, or with a chunk that is not the first, ends an upload whose bytes are here
/// already: that work is not to be lost. One that brings all the bytes itself is a push like
/// another.
fn finishing_lane(parts: &Parts) -> Lane {
    let text = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let empty = text(header::CONTENT_LENGTH) == Some("0")
        || !(parts.headers.contains_key(header::CONTENT_LENGTH)
            || parts.headers.contains_key(header::TRANSFER_ENCODING)
            || parts.version == http::Version::HTTP_2);
    let later = text(header::CONTENT_RANGE)
        .and_then(|range| seawall_types::range::ContentRange::parse(range).ok())
        .is_some_and(|range| range.start > 0);
    if empty || later {
        Lane::Commit
    } else {
        Lane::Push
    }
}

/// What a POST asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct StartUpload<'q> {
    mount: Option<Digest>,
    from: Option<&'q str>,
    whole: Option<Digest>,
    algorithm: Option<Algorithm>,
}

impl<'q> StartUpload<'q> {
    /// Reads the query. Errors: `DigestInvalid` for a digest or an algorithm that cannot be, or a
    /// parameter that is there twice (protocol §2.8, §6.20, §8.7).
    fn read(call: &'q Call) -> Result<Self> {
        let mount = once(call, "mount")?.map(Digest::parse).transpose()?;
        let whole = once(call, "digest")?.map(Digest::parse).transpose()?;
        let algorithm = once(call, "digest-algorithm")?
            .map(Algorithm::parse)
            .transpose()?;
        Ok(Self {
            mount,
            from: once(call, "from")?,
            whole,
            algorithm,
        })
    }
}

fn once<'q>(call: &'q Call, name: &'static str) -> Result<Option<&'q str>> {
    let mut values = call.query().all(name);
    let first = values.next();
    if values.next().is_some() {
        return Err(repeated(name));
    }
    Ok(first)
}

fn repeated(name: &str) -> Error {
    let text = format!("the parameter {name} may be there only once");
    Error::new(Reason::DigestInvalid, text)
}

/// POST: mounts, takes a whole blob, or opens an upload.
async fn open(content: Arc<Content>, call: Call) -> Result<Response> {
    let repo = call.op.repo::<Push>(&call.name()?).await?;
    let opening = StartUpload::read(&call)?;
    if let Some(digest) = &opening.mount
        && blob::mount(&call.op, &repo, digest, opening.from).await?
    {
        return created(repo.name(), digest);
    }
    if let Some(digest) = &opening.whole {
        let sent = UploadBytes::read(&call, true).await?;
        // Who sends nothing asks where to send the blob, unless it is the one without bytes
        // (§6.14).
        if !sent.is_empty || *digest == Digest::of(digest.algorithm(), b"") {
            let bytes = (digest, sent.chunk.declared);
            upload::push_whole(&content, &call.op, &repo, bytes, sent.body).await?;
            return created(repo.name(), digest);
        }
    }
    let (uuid, ticket) = upload::open(&content, &call.op, &repo, opening.algorithm);
    let progress = UploadProgress { uuid, offset: 0 };
    let answer = told(StatusCode::ACCEPTED, repo.name(), progress, &ticket);
    match content.config().uploads.chunk_min_bytes {
        Some(length) => answer.number(OCI_CHUNK_MIN_LENGTH, length).empty(),
        None => answer.empty(),
    }
}

/// GET and HEAD: how far an upload is. Whatever the query says is ignored (protocol §7.10).
async fn status(content: Arc<Content>, call: Call) -> Result<Response> {
    let at = UploadAddress::read(&call).await?;
    let progress = upload::progress(&content, &call.op, at.request()).await?;
    let answer = at.told(&content, &call, (StatusCode::NO_CONTENT, progress));
    answer.empty()
}

/// PATCH: a chunk, or a stream of unknown length.
async fn append(content: Arc<Content>, call: Call) -> Result<Response> {
    let at = UploadAddress::read(&call).await?;
    let UploadBytes { chunk, body, .. } = UploadBytes::read(&call, false).await?;
    match upload::append(&content, &call.op, at.request(), chunk, body).await {
        Ok(progress) => {
            let answer = at.told(&content, &call, (StatusCode::ACCEPTED, progress));
            answer.empty()
        }
        Err(refusal) => refuse(&content, &call, &at, refusal),
    }
}

/// PUT: the last bytes, if any, and the digest of all.
async fn finish(content: Arc<Content>, call: Call) -> Result<Response> {
    let at = UploadAddress::read(&call).await?;
    let missing = || {
        let text = "the parameter digest must name the content; the upload goes on";
        Error::new(Reason::DigestInvalid, text)
    };
    let digest = Digest::parse(at.digest(&call)?.ok_or_else(missing)?)?;
    let UploadBytes { chunk, body, .. } = UploadBytes::read(&call, false).await?;
    let last = (chunk, &digest);
    match upload::finish(&content, &call.op, at.request(), last, body).await {
        Ok(()) => created(at.repo.name(), &digest),
        Err(refusal) => refuse(&content, &call, &at, refusal),
    }
}

/// DELETE: the right to push is the right to give up (protocol §7.11).
async fn cancel(content: Arc<Content>, call: Call) -> Result<Response> {
    let at = UploadAddress::read(&call).await?;
    upload::cancel(&content, &call.op, at.request()).await?;
    Answer::new(StatusCode::NO_CONTENT).empty()
}

/// The upload that a Location names.
struct UploadAddress {
    repo: Repo<Push>,
    uuid: Uuid,
    ticket: Option<UploadToken>,
    /// What a client wrote behind the Location that takes it for one with a query.
    behind: Option<String>,
}

impl UploadAddress {
    /// Reads the last segment of a Location: the upload's id and, behind a dot, its state. All is
    /// in the path, since there are clients that drop a query or write it anew (protocol §2.9).
    ///
    /// Errors: `UploadUnknown` for what begins with no UUID.
    async fn read(call: &Call) -> Result<Self> {
        let repo = call.op.repo::<Push>(&call.name()?).await?;
        let last = call.param("upload")?;
        let (last, behind) = match last.split_once('&') {
            Some((last, behind)) => (last, Some(behind.to_owned())),
            None => (last.as_str(), None),
        };
        let (uuid, state) = match last.split_once('.') {
            Some((uuid, state)) => (uuid, Some(state)),
            None => (last, None),
        };
        let uuid = Uuid::try_parse(uuid)
            .map_err(|_| Error::new(Reason::UploadUnknown, "no such upload; begin anew"))?;
        let ticket = state.and_then(|state| UploadToken::read(&call.op, (&repo, uuid), state));
        Ok(Self {
            repo,
            uuid,
            ticket,
            behind,
        })
    }

    fn request(&self) -> UploadRequest<'_> {
        UploadRequest {
            repo: &self.repo,
            uuid: self.uuid,
            ticket: self.ticket.as_ref(),
        }
    }

    /// The digest that ends an upload, wherever the client has put it.
    fn digest<'a>(&'a self, call: &'a Call) -> Result<Option<&'a str>> {
        let behind = self.behind.iter().flat_map(|behind| behind.split('&'));
        let mut digests = behind
            .filter_map(|parameter| parameter.strip_prefix("digest="))
            .chain(once(call, "digest")?);
        match (digests.next(), digests.next()) {
            (_, Some(_)) => Err(repeated("digest")),
            (digest, None) => Ok(digest),
        }
    }

    /// Adds the Location at which the upload goes on: as the client knows it, or as it should.
    fn told(
        &self,
        content: &Content,
        call: &Call,
        (status, progress): (StatusCode, UploadProgress),
    ) -> Answer {
        let issue = || UploadToken::issue(content, &call.op, (&self.repo, self.uuid), None);
        let ticket = self.ticket.clone().unwrap_or_else(issue);
        told(status, self.repo.name(), progress, &ticket)
    }
}

type UploadBody = Chain<Iter<option::IntoIter<UploadPiece>>, BodyStream>;
type UploadPiece = Result<Bytes, BodyError>;

/// What a request sends of an upload.
struct UploadBytes<'c> {
    chunk: Chunk<'c>,
    /// Whether it is known that nothing comes.
    is_empty: bool,
    body: UploadBody,
}

impl<'c> UploadBytes<'c> {
    /// Reads what a request says of its bytes. A range does not count where there are none
    /// (protocol §7.3): for that, or if it `matters` otherwise, the first byte of a body whose
    /// length is not declared is waited for.
    async fn read(call: &'c Call, matters: bool) -> Result<Self> {
        let (content_range, declared) = (
            call.header(&header::CONTENT_RANGE)?,
            call.declared_length()?,
        );
        let mut body = call.stream();
        let mut first = None;
        let is_empty = match declared {
            Some(length) => length == 0,
            None if matters || content_range.is_some() => {
                first = first_piece(&mut body).await;
                first.is_none()
            }
            None => false,
        };
        let chunk = if is_empty {
            Chunk {
                content_range: None,
                declared: Some(0),
            }
        } else {
            Chunk {
                content_range,
                declared,
            }
        };
        let body = stream::iter(first).chain(body);
        Ok(Self {
            chunk,
            is_empty,
            body,
        })
    }
}

/// The first piece of a body that has bytes, or why there is none; nothing at its end.
async fn first_piece(body: &mut BodyStream) -> Option<UploadPiece> {
    loop {
        match body.next().await {
            Some(Ok(piece)) if piece.is_empty() => {}
            other => return other,
        }
    }
}

/// 201 for a blob that is in the repository now.
fn created(name: &RepositoryName, digest: &Digest) -> Result<Response> {
    Answer::new(StatusCode::CREATED)
        .header(header::LOCATION, blob_location(name, digest))
        .digest(digest)
        .empty()
}

/// Where an upload goes on and how far it is. Both ends of the range count, so an empty upload and
/// one of a single byte look alike: that is what clients know (protocol §7.6).
fn told(
    status: StatusCode,
    name: &RepositoryName,
    progress: UploadProgress,
    ticket: &UploadToken,
) -> Answer {
    let UploadProgress { uuid, offset } = progress;
    let (name, state) = (name.as_written(), ticket.as_str());
    let location = format!("/v2/{name}/blobs/uploads/{uuid}.{state}");
    Answer::new(status)
        .header(header::LOCATION, location)
        .header(header::RANGE, range(offset))
        .header(DOCKER_UPLOAD_UUID, uuid.to_string())
}

fn range(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

/// A refusal; 416 says where the upload is, so that the client goes on from there (§7.7).
fn refuse(
    content: &Content,
    call: &Call,
    at: &UploadAddress,
    refusal: StepRefusal,
) -> Result<Response> {
    match refusal {
        StepRefusal {
            error,
            at: Some(progress),
        } if error.reason == Reason::RangeInvalid => {
            let told = (StatusCode::RANGE_NOT_SATISFIABLE, progress);
            let headers = at.told(content, call, told).into_headers()?;
            Ok(call.refuse(&error, headers))
        }
        StepRefusal { error, .. } => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(headers: &[(HeaderName, &str)]) -> Lane {
        let mut request = http::Request::put("/v2/a/blobs/uploads/x");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        finishing_lane(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn ending_an_upload_is_more_urgent_than_bringing_one() {
        assert_eq!(lane(&[]), Lane::Commit);
        assert_eq!(lane(&[(header::CONTENT_LENGTH, "0")]), Lane::Commit);
        let last = [
            (header::CONTENT_LENGTH, "5"),
            (header::CONTENT_RANGE, "10-14"),
        ];
        assert_eq!(lane(&last), Lane::Commit);
        assert_eq!(lane(&[(header::CONTENT_LENGTH, "5")]), Lane::Push);
        let first = [
            (header::CONTENT_LENGTH, "5"),
            (header::CONTENT_RANGE, "0-4"),
        ];
        assert_eq!(lane(&first), Lane::Push);
        assert_eq!(lane(&[(header::TRANSFER_ENCODING, "chunked")]), Lane::Push);
    }

    #[test]
    fn the_range_counts_both_ends() {
        assert_eq!([range(0), range(1), range(1000)], ["0-0", "0-0", "0-999"]);
    }
}
