//! Uploads over HTTP: opening, status, chunks, the end, cancelling (distribution §6–§8).
//!
//! Whoever may push is asked for first, then what the request says is checked, and only then is
//! anything made. Content types and unknown parameters are none of this server's business (§6.8,
//! §8.10).

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderName, Method, StatusCode, header};
use seawall_kernel::Repo;
use seawall_kernel::auth::{ActKind, Push};
use seawall_kernel::http::{Access, Call, Dialect, LaneRule, Response, Route};
use seawall_types::{Algorithm, Digest, Error, Lane, Reason, RepositoryName, Result};
use uuid::Uuid;

use super::answer::{Answer, blob_location};
use super::bind;
use crate::upload::{self, Chunk, Named, Progress, Refusal, Ticket};
use crate::{Content, blob};

const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// The parameter of a Location that carries what is known of an upload.
const STATE: &str = "_state";

const UPLOADS: &str = "/v2/{name...}/blobs/uploads/";
const UPLOADS_BARE: &str = "/v2/{name...}/blobs/uploads";
const UPLOAD: &str = "/v2/{name...}/blobs/uploads/{uuid}";

pub(super) fn routes(content: &Arc<Content>) -> Vec<Route> {
    let push = (Access::Repository(ActKind::Push), Dialect::Oci);
    let lane = Lane::Push;
    vec![
        Route::new(
            "upload.open",
            (Method::POST, UPLOADS),
            lane,
            push,
            bind(content, open),
        ),
        Route::new(
            "upload.open",
            (Method::POST, UPLOADS_BARE),
            lane,
            push,
            bind(content, open),
        ),
        Route::new(
            "upload.status",
            (Method::GET, UPLOAD),
            lane,
            push,
            bind(content, status),
        ),
        Route::new(
            "upload.status",
            (Method::HEAD, UPLOAD),
            lane,
            push,
            bind(content, status),
        ),
        Route::new(
            "upload.append",
            (Method::PATCH, UPLOAD),
            lane,
            push,
            bind(content, append),
        ),
        Route::new(
            "upload.finish",
            (Method::PUT, UPLOAD),
            LaneRule::Of(finishing_lane),
            push,
            bind(content, finish),
        ),
        Route::new(
            "upload.cancel",
            (Method::DELETE, UPLOAD),
            lane,
            push,
            bind(content, cancel),
        ),
    ]
}

/// A PUT without a body, or with a chunk that is not the first, ends an upload whose bytes are here
/// already: that work is not to be lost. One that brings all the bytes itself is a push like another.
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
struct Opening<'q> {
    mount: Option<Digest>,
    from: Option<&'q str>,
    whole: Option<Digest>,
    algorithm: Option<Algorithm>,
}

impl<'q> Opening<'q> {
    /// Reads the query. Errors: `DigestInvalid` for a digest or an algorithm that cannot be, or a
    /// parameter that is there twice (distribution §2.8, §6.20, §8.7).
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
    let opening = Opening::read(&call)?;
    if let Some(digest) = &opening.mount
        && blob::mount(&call.op, &repo, digest, opening.from).await?
    {
        return created(repo.name(), digest);
    }
    if let Some(digest) = &opening.whole {
        let bytes = (digest, call.declared_length()?);
        upload::push_whole(&content, &call.op, &repo, bytes, call.stream()).await?;
        return created(repo.name(), digest);
    }
    let (uuid, ticket) = upload::open(&content, &call.op, &repo, opening.algorithm);
    let progress = Progress { uuid, offset: 0 };
    let answer = told(StatusCode::ACCEPTED, repo.name(), progress, Some(&ticket));
    match content.config().chunk_min_length {
        Some(length) => answer.number(OCI_CHUNK_MIN_LENGTH, length).empty(),
        None => answer.empty(),
    }
}

/// GET and HEAD: how far an upload is. Whatever the query says is ignored (distribution §7.10).
async fn status(content: Arc<Content>, call: Call) -> Result<Response> {
    let at = Addressed::read(&content, &call).await?;
    let progress = upload::progress(&content, &call.op, at.named()).await?;
    at.told(StatusCode::NO_CONTENT, progress).empty()
}

/// PATCH: a chunk, or a stream of unknown length.
async fn append(content: Arc<Content>, call: Call) -> Result<Response> {
    let at = Addressed::read(&content, &call).await?;
    let chunk = chunk(&call)?;
    match upload::append(&content, &call.op, at.named(), chunk, call.stream()).await {
        Ok(progress) => at.told(StatusCode::ACCEPTED, progress).empty(),
        Err(refusal) => refuse(&call, &at, refusal),
    }
}

/// PUT: the last bytes, if any, and the digest of all.
async fn finish(content: Arc<Content>, call: Call) -> Result<Response> {
    let at = Addressed::read(&content, &call).await?;
    let missing = || {
        let text = "the parameter digest must name the content; the upload goes on";
        Error::new(Reason::DigestInvalid, text)
    };
    let digest = Digest::parse(digest(&call)?.ok_or_else(missing)?)?;
    let chunk = chunk(&call)?;
    let last = (chunk, &digest);
    match upload::finish(&content, &call.op, at.named(), last, call.stream()).await {
        Ok(()) => created(at.repo.name(), &digest),
        Err(refusal) => refuse(&call, &at, refusal),
    }
}

/// DELETE: whoever may push may give up (distribution §7.11).
async fn cancel(content: Arc<Content>, call: Call) -> Result<Response> {
    let at = Addressed::read(&content, &call).await?;
    upload::cancel(&content, &call.op, at.named()).await?;
    Answer::new(StatusCode::NO_CONTENT).empty()
}

/// The upload that a Location names.
struct Addressed {
    repo: Repo<Push>,
    uuid: Uuid,
    ticket: Option<Ticket>,
}

impl Addressed {
    /// Errors: `UploadUnknown` for what is no UUID.
    async fn read(content: &Content, call: &Call) -> Result<Self> {
        let repo = call.op.repo::<Push>(&call.name()?).await?;
        let uuid = Uuid::try_parse(&call.param("uuid")?)
            .map_err(|_| Error::new(Reason::UploadUnknown, "no such upload; begin anew"))?;
        let (state, _) = state(call);
        let ticket = state.and_then(|state| Ticket::read(content, &call.op, (&repo, uuid), state));
        Ok(Self { repo, uuid, ticket })
    }

    fn named(&self) -> Named<'_> {
        (&self.repo, self.uuid, self.ticket.as_ref())
    }

    /// Tells where the upload goes on, in the words that the client knows it by.
    fn told(&self, status: StatusCode, progress: Progress) -> Answer {
        told(status, self.repo.name(), progress, self.ticket.as_ref())
    }
}

/// What a Location carried of its upload, and what a client wrote behind it that appends its own
/// query with a second `?`.
fn state(call: &Call) -> (Option<&str>, Option<&str>) {
    match call.query().all(STATE).next() {
        Some(text) => match text.split_once('?') {
            Some((state, rest)) => (Some(state), Some(rest)),
            None => (Some(text), None),
        },
        None => (None, None),
    }
}

/// The digest that ends an upload, wherever the client has put it.
fn digest(call: &Call) -> Result<Option<&str>> {
    let behind = state(call).1.and_then(|rest| rest.strip_prefix("digest="));
    match (once(call, "digest")?, behind) {
        (Some(_), Some(_)) => Err(repeated("digest")),
        (digest, behind) => Ok(digest.or(behind)),
    }
}

fn chunk(call: &Call) -> Result<Chunk<'_>> {
    Ok(Chunk {
        content_range: call.header(&header::CONTENT_RANGE)?,
        declared: call.declared_length()?,
    })
}

/// 201 for a blob that is in the repository now.
fn created(name: &RepositoryName, digest: &Digest) -> Result<Response> {
    Answer::new(StatusCode::CREATED)
        .header(header::LOCATION, blob_location(name, digest))
        .digest(digest)
        .empty()
}

/// Where an upload goes on and how far it is. Both ends of the range count, so an empty upload and
/// one of a single byte look alike: that is what clients know (distribution §7.6).
fn told(
    status: StatusCode,
    name: &RepositoryName,
    progress: Progress,
    ticket: Option<&Ticket>,
) -> Answer {
    let Progress { uuid, offset } = progress;
    let path = format!("/v2/{}/blobs/uploads/{uuid}", name.as_written());
    let location = match ticket {
        Some(ticket) => format!("{path}?{STATE}={}", ticket.as_str()),
        None => path,
    };
    Answer::new(status)
        .header(header::LOCATION, location)
        .header(header::RANGE, format!("0-{}", offset.saturating_sub(1)))
        .header(DOCKER_UPLOAD_UUID, uuid.to_string())
}

/// A refusal; 416 says where the upload is, so that the client goes on from there (§7.7).
fn refuse(call: &Call, at: &Addressed, refusal: Refusal) -> Result<Response> {
    match refusal {
        Refusal {
            error,
            at: Some(progress),
        } if error.reason == Reason::RangeInvalid => {
            let answer = at.told(StatusCode::RANGE_NOT_SATISFIABLE, progress);
            let headers = answer.into_headers()?;
            Ok(call.refuse(&error, headers))
        }
        Refusal { error, .. } => Err(error),
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
        let name = RepositoryName::parse("hello").unwrap();
        let told = |offset| {
            let progress = Progress {
                uuid: Uuid::from_u128(7),
                offset,
            };
            told(StatusCode::ACCEPTED, &name, progress, None)
                .empty()
                .unwrap()
        };
        let range = |offset| {
            told(offset).headers()[header::RANGE]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!([range(0), range(1), range(1000)], ["0-0", "0-0", "0-999"]);
        assert_eq!(
            told(0).headers()[header::LOCATION],
            "/v2/hello/blobs/uploads/00000000-0000-0000-0000-000000000007"
        );
    }
}
