//! Blobs over HTTP: pulling whole or in ranges, asking, deleting (protocol §5, §15.5).
//!
//! Bytes go out as they were pushed: never compressed, never with a type that a browser would act
//! upon (§5.10, §14.16). Once the head is out, a failure breaks the stream (§5.15).

use std::sync::Arc;

use axum::body::Body;
use futures::TryStreamExt;
use http::{HeaderValue, StatusCode, header};
use seawall_blob::ByteStream;
use seawall_kernel::Repo;
use seawall_kernel::auth::ActKind;
use seawall_kernel::blobs::BlobFacts;
use seawall_kernel::http::{Call, Response, Route, RouteBuilder, RouteWithoutLane};
use seawall_types::condition::if_range;
use seawall_types::range::{ByteRange, ByteRanges, RangeAnswer};
use seawall_types::{Digest, Error, Lane, Reason, Result};

use super::EXAMPLE_DIGEST;
use super::answer::{Answer, ContentAnswer, NOSNIFF, SANDBOX, is_known};
use super::multipart::Boundary;
use crate::Content;
use crate::acts::{Delete, Pull};
use crate::blob::{self, BlobLink};

const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const BLOB: &str = "/v2/{name...}/blobs/{digest}";

pub(super) fn routes(content: &Arc<Content>) -> Vec<Route> {
    let described = |route: RouteBuilder, summary| {
        let example = EXAMPLE_DIGEST;
        route
            .summary(summary)
            .path_param("digest", "The blob.", example)
    };
    let pull = |route: RouteWithoutLane, summary| {
        described(route.lane(Lane::Pull).act(ActKind::Pull), summary)
    };
    let removal = Route::delete("blob.delete", BLOB)
        .lane(Lane::Push)
        .act(ActKind::Delete);
    vec![
        pull(
            Route::get("blob.get", BLOB),
            "Serves a blob, or ranges of it.",
        )
        .to(content, get),
        pull(
            Route::head("blob.head", BLOB),
            "Says whether a blob is here.",
        )
        .to(content, head),
        described(removal, "Takes a blob out of a repository.").to(content, remove),
    ]
}

/// The blob that a request asks for, and where it asks.
struct RequestedBlob {
    repo: Repo<Pull>,
    digest: Digest,
    link: Arc<BlobLink>,
}

impl RequestedBlob {
    /// What the caller may do, and where the blob is.
    async fn find(content: &Content, call: &Call) -> Result<Self> {
        let repo = call.op.repo::<Pull>(&call.name()?).await?;
        let digest = Digest::parse(&call.param("digest")?)?;
        let link = blob::find(&call.op, &content.links, &repo, &digest).await?;
        Ok(Self { repo, digest, link })
    }

    /// The entity tag, without its quotes.
    fn etag(&self) -> &str {
        self.link.names().tag()
    }

    /// What every answer says of the content.
    fn answer(&self, status: StatusCode) -> Answer {
        Answer::new(status)
            .immutable(self.link.names(), self.repo.is_public())
            .value(header::ACCEPT_RANGES, BYTES)
            .value(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF)
            .value(header::CONTENT_SECURITY_POLICY, SANDBOX)
    }

    fn octets(&self, status: StatusCode, length: u64) -> Answer {
        self.answer(status)
            .value(header::CONTENT_TYPE, OCTETS)
            .number(header::CONTENT_LENGTH, length)
    }
}

async fn head(content: Arc<Content>, call: Call) -> Result<Response> {
    let wanted = RequestedBlob::find(&content, &call).await?;
    if blob::may_promise(&call.op, &wanted.repo) {
        // Seldom gone, and large: see `Op::recall`.
        Box::pin(blob::promise(&call.op, &wanted.repo, &wanted.digest)).await?;
    }
    if is_known(call.headers(), wanted.etag()) {
        return wanted.answer(StatusCode::NOT_MODIFIED).empty();
    }
    wanted
        .octets(StatusCode::OK, wanted.link.size())
        .body(Body::empty())
}

async fn get(content: Arc<Content>, call: Call) -> Result<Response> {
    let wanted = RequestedBlob::find(&content, &call).await?;
    if is_known(call.headers(), wanted.etag()) {
        return wanted.answer(StatusCode::NOT_MODIFIED).empty();
    }
    match ranges(&call, &wanted) {
        RangeAnswer::Whole if wanted.link.size() <= blob::SMALL => {
            let bytes = blob::whole(&call.op, &content.links, &wanted.digest, &wanted.link).await?;
            wanted
                .octets(StatusCode::OK, wanted.link.size())
                .body(bytes)
        }
        RangeAnswer::Whole => Box::pin(whole(&call, &wanted)).await,
        RangeAnswer::Unsatisfiable => unsatisfiable(&call, &wanted),
        RangeAnswer::Parts(parts) => match parts.as_slice() {
            [part] => Box::pin(one_part(&call, &wanted, *part)).await,
            _ => several_parts(&call, &wanted, parts),
        },
    }
}

/// Which part of the blob the request is about.
fn ranges(call: &Call, wanted: &RequestedBlob) -> RangeAnswer {
    // What is no text is no range that we know, and a condition that we cannot read does not hold.
    let text = |name| {
        call.headers()
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let Some(range) = text(header::RANGE) else {
        return RangeAnswer::Whole;
    };
    if text(header::IF_RANGE).is_some_and(|condition| !if_range(condition, wanted.etag())) {
        return RangeAnswer::Whole;
    }
    ByteRanges::parse(range, wanted.link.size())
}

async fn whole(call: &Call, wanted: &RequestedBlob) -> Result<Response> {
    let BlobFacts { size, place } = wanted.link.facts();
    let mut download = call.op.transfers().open(place, *size, None).await?;
    let answer = wanted.octets(StatusCode::OK, *size);
    match download.stream.take_whole() {
        Some(bytes) => answer.body(bytes),
        None => answer.body(stream(download.stream)),
    }
}

async fn one_part(call: &Call, wanted: &RequestedBlob, part: ByteRange) -> Result<Response> {
    let BlobFacts { size, place } = wanted.link.facts();
    let (start, end, length) = (part.start, part.end, part.length());
    let download = call
        .op
        .transfers()
        .open(place, *size, Some((start, length)))
        .await?;
    wanted
        .octets(StatusCode::PARTIAL_CONTENT, length)
        .header(header::CONTENT_RANGE, format!("bytes {start}-{end}/{size}"))
        .body(stream(download.stream))
}

fn several_parts(call: &Call, wanted: &RequestedBlob, parts: Vec<ByteRange>) -> Result<Response> {
    let BlobFacts { size, place } = wanted.link.facts();
    let mut random = [0; 16];
    call.op.kernel().random().fill(&mut random);
    let boundary = Boundary::of(random);
    let answer = wanted
        .answer(StatusCode::PARTIAL_CONTENT)
        .header(header::CONTENT_TYPE, boundary.content_type())
        .number(header::CONTENT_LENGTH, boundary.length(&parts, *size));
    let body = boundary.stream(call.op.transfers(), (place.clone(), *size), parts);
    answer.body(Body::from_stream(body.inspect_err(broken)))
}

fn unsatisfiable(call: &Call, wanted: &RequestedBlob) -> Result<Response> {
    let headers = Answer::new(StatusCode::RANGE_NOT_SATISFIABLE)
        .header(
            header::CONTENT_RANGE,
            format!("bytes */{}", wanted.link.size()),
        )
        .value(header::ACCEPT_RANGES, BYTES)
        .into_headers()?;
    let error = Error::new(Reason::RangeInvalid, "the blob has no such bytes");
    Ok(call.refuse(&error, headers))
}

fn stream(bytes: ByteStream) -> Body {
    Body::from_stream(bytes.inspect_err(broken))
}

/// The client sees the connection break; why is for us to know.
fn broken(error: &seawall_blob::Error) {
    tracing::error!(%error, "a blob could not be read to its end");
}

async fn remove(_: Arc<Content>, call: Call) -> Result<Response> {
    let repo = call.op.repo::<Delete>(&call.name()?).await?;
    let digest = Digest::parse(&call.param("digest")?)?;
    blob::unlink(&call.op, &repo, &digest).await?;
    Answer::new(StatusCode::ACCEPTED).digest(&digest).empty()
}
