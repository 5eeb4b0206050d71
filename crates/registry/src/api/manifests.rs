//! Manifests over HTTP: pulling, asking, pushing, deleting (protocol §4, §9, §15.1–15.2).
//!
//! What was pushed is what is served, whatever `Accept` says: nothing is ever converted, and a
//! client that lists too little gets the manifest that its tag means, not a 404 or another one
//! (§4.9, §12.3). So the digest of a tag does not depend on who asks. `?ns=` is ignored (§4.13).

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderName, StatusCode, header};
use seawall_kernel::auth::ActKind;
use seawall_kernel::events::{PullClient, PullNotice};
use seawall_kernel::http::{Call, Response, Route, RouteBuilder, RouteWithoutLane};
use seawall_kernel::{Op, Repo};
use seawall_types::manifest::MAX_MANIFEST_BYTES;
use seawall_types::reference::ReferenceError;
use seawall_types::tag::Tag;
use seawall_types::{Lane, Reference, Result};

use super::answer::{Answer, ContentAnswer, NO_CACHE, NOSNIFF, SANDBOX, is_known};
use super::pushed::PushHead;
use crate::acts::{Delete, Pull, Push};
use crate::manifest::{self, CachedManifest, SizeMismatch};
use crate::{Content, tag};

const MANIFEST: &str = "/v2/{name...}/manifests/{reference}";
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

pub(super) fn routes(content: &Arc<Content>) -> Vec<Route> {
    let described = |route: RouteBuilder, summary| {
        let meaning = "A tag, or the digest of a manifest.";
        route
            .summary(summary)
            .path_param("reference", meaning, "v1")
    };
    let pull = |route: RouteWithoutLane, summary| {
        described(route.lane(Lane::Pull).act(ActKind::Pull), summary)
    };
    let storing = Route::put("manifest.put", MANIFEST)
        .lane(Lane::Commit)
        .act(ActKind::Push)
        .body_limit(MAX_MANIFEST_BYTES);
    let removal = Route::delete("manifest.delete", MANIFEST)
        .lane(Lane::Push)
        .act(ActKind::Delete);
    vec![
        pull(Route::get("manifest.get", MANIFEST), "Serves a manifest.").to(content, get),
        pull(
            Route::head("manifest.head", MANIFEST),
            "Serves a manifest's head.",
        )
        .to(content, head),
        described(
            storing,
            "Stores a manifest, and sets a tag if it is put at one.",
        )
        .to(content, put),
        described(removal, "Removes a tag, or a manifest with its tags.").to(content, delete),
    ]
}

async fn head(content: Arc<Content>, call: Call) -> Result<Response> {
    let found = RequestedManifest::find(&content, &call).await?;
    if is_known(call.headers(), found.etag()) {
        return found.answer(StatusCode::NOT_MODIFIED).empty();
    }
    found.whole().body(Body::empty())
}

async fn get(content: Arc<Content>, call: Call) -> Result<Response> {
    let found = RequestedManifest::find(&content, &call).await?;
    if is_known(call.headers(), found.etag()) {
        return found.answer(StatusCode::NOT_MODIFIED).empty();
    }
    if let Some(namespace) = found.repo.namespace() {
        let repository = found.repo.id();
        call.op.kernel().watchers().pulled(&PullNotice {
            namespace,
            repository,
            digest: &found.served.digest,
            tag: found.tag(),
            bytes: found.served.size,
            client: client(&call.op),
        });
    }
    found.whole().body(found.served.body.clone())
}

/// Who is served, for watchers.
fn client(op: &Op) -> PullClient<'_> {
    let identity = op.actor().identity();
    PullClient {
        principal: identity.map(|identity| identity.id),
        credential: identity.map(|identity| identity.credential),
        address: op.origin().address,
        agent: &op.origin().agent,
    }
}

/// A manifest that a request asks for, and how it asks.
struct RequestedManifest {
    repo: Repo<Pull>,
    reference: Reference,
    served: Arc<CachedManifest>,
}

impl RequestedManifest {
    /// What the caller may do, and the manifest.
    async fn find(content: &Content, call: &Call) -> Result<Self> {
        let repo = call.op.repo::<Pull>(&call.name()?).await?;
        let reference = existing(&call.param("reference")?)?;
        let served = manifest::find(&call.op, &content.shelf, &repo, &reference).await?;
        Ok(Self {
            repo,
            reference,
            served,
        })
    }

    /// The tag by which it is asked for.
    fn tag(&self) -> Option<&Tag> {
        match &self.reference {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => None,
        }
    }

    /// The entity tag, without its quotes.
    fn etag(&self) -> &str {
        self.served.names.tag()
    }

    /// What every answer says of the manifest. A digest never means anything else; a tag may the
    /// next moment, so no cache may serve it without asking (§4.8).
    fn answer(&self, status: StatusCode) -> Answer {
        let answer = Answer::new(status)
            .immutable(&self.served.names, self.repo.is_public())
            .value(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF)
            .value(header::CONTENT_SECURITY_POLICY, SANDBOX);
        match self.reference {
            Reference::Digest(_) => answer,
            Reference::Tag(_) => answer.value(header::CACHE_CONTROL, NO_CACHE),
        }
    }

    fn whole(&self) -> Answer {
        self.answer(StatusCode::OK)
            .value(header::CONTENT_TYPE, self.served.media_type.clone())
            .number(header::CONTENT_LENGTH, self.served.size)
    }
}

/// What names something that may be here. No tag has a name outside the grammar, so there is no
/// such manifest; a digest is malformed or not (§2.5).
fn existing(text: &str) -> Result<Reference> {
    Reference::parse(text).map_err(|error| match error {
        ReferenceError::Tag(_) => manifest::unknown(),
        ReferenceError::Digest(error) => error.into(),
    })
}

/// A caller who may not push is refused before the body is read (§12.4.1).
async fn put(content: Arc<Content>, call: Call) -> Result<Response> {
    let name = call.name()?;
    let repo = call.op.repo::<Push>(&name).await?;
    let pushed = PushHead::read(&call)?;
    let body = call.whole_body().await?;
    let draft = pushed.judge(body).await?.under(content.config().manifests);
    let mut answer = Answer::new(StatusCode::CREATED)
        .header(
            header::LOCATION,
            format!("/v2/{}/manifests/{}", name.as_written(), draft.digest()),
        )
        .digest(draft.digest());
    if let Some(subject) = draft.subject() {
        answer = answer.header(OCI_SUBJECT, subject.to_string());
    }
    if let Some(tags) = pushed.accepted() {
        answer = answer.header(OCI_TAG, tags);
    }
    let digest = *draft.digest();
    let wrong = manifest::store_manifest(&call.op, pushed.into_put(repo, draft)).await?;
    if let Some(warning) = warning(&wrong) {
        tracing::warn!(repository = name.as_canonical(), %digest, warning, "a manifest was accepted with wrong sizes");
        answer = answer.header(header::WARNING, format!("299 - \"{warning}\""));
    }
    answer.empty()
}

/// What is said of wrong sizes, however many there are (protocol §3.7, §9.14).
fn warning(wrong: &[SizeMismatch]) -> Option<String> {
    let first = wrong.first()?;
    let words = format!(
        "the manifest gives {} bytes for {}, which has {}",
        first.said, first.digest, first.real
    );
    Some(match wrong.len() - 1 {
        0 => words,
        more => format!("{words}; and {more} more wrong sizes"),
    })
}

async fn delete(content: Arc<Content>, call: Call) -> Result<Response> {
    let repo = call.op.repo::<Delete>(&call.name()?).await?;
    match existing(&call.param("reference")?)? {
        Reference::Tag(tag) => tag::delete(&call.op, &repo, &tag).await?,
        Reference::Digest(digest) => {
            let window = content.config().manifests.time_machine();
            manifest::delete(&call.op, &repo, &digest, window).await?;
        }
    }
    Answer::new(StatusCode::ACCEPTED).empty()
}

#[cfg(test)]
mod tests {
    use seawall_types::Reason;

    use super::*;

    #[test]
    fn a_name_that_no_tag_has_is_not_here() {
        assert_eq!(
            existing(".INVALID").unwrap_err().reason,
            Reason::ManifestUnknown
        );
        assert_eq!(
            existing("sha256:bad").unwrap_err().reason,
            Reason::DigestInvalid
        );
        assert!(matches!(existing("v1"), Ok(Reference::Tag(_))));
    }
}
