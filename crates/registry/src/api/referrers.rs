//! `GET /v2/<name>/referrers/<digest>` (protocol §10).
//!
//! In the lane of pulls: signatures are asked for in the midst of them (§12.5).

use std::sync::Arc;

use http::{HeaderName, StatusCode, header};
use seawall_kernel::auth::ActKind;
use seawall_kernel::http::{Call, Response, Route};
use seawall_types::media_type::OCI_INDEX;
use seawall_types::scope::Action;
use seawall_types::{Digest, Error, Lane, Reason, RepositoryName, Result, link};

use super::EXAMPLE_DIGEST;
use super::answer::Answer;
use crate::Content;
use crate::acts::Pull;
use crate::referrer::{self, ReferrerFilter, ReferrerPage};

const REFERRERS: &str = "/v2/{name...}/referrers/{digest}";
const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

pub(super) fn routes(content: &Arc<Content>) -> Vec<Route> {
    vec![
        Route::get("referrers.list", REFERRERS)
            .lane(Lane::Pull)
            .act(ActKind::Pull)
            .summary("Lists the manifests that refer to a digest as their subject.")
            .path_param("digest", "The subject.", EXAMPLE_DIGEST)
            .query_param(
                "artifactType",
                "Only manifests of this type.",
                "application/spdx+json",
            )
            .to(content, list),
    ]
}

async fn list(_: Arc<Content>, call: Call) -> Result<Response> {
    let name = call.name()?;
    let subject = Digest::parse(&call.param("digest")?)?;
    let artifact_type = filter(&call);
    // Ours alone: it stands only in links that this route has given out.
    let last = call.query().get("last").filter(|last| !last.is_empty());
    let after = last.map(Digest::parse).transpose()?;
    let wanted = ReferrerFilter {
        subject,
        artifact_type,
        after,
    };
    let page = page(&call, &name, &wanted).await?;
    let next = page.next.map(|last| next(&name, &wanted, &last));
    let mut answer = Answer::new(StatusCode::OK)
        .header(header::CONTENT_TYPE, OCI_INDEX)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if wanted.artifact_type.is_some() {
        answer = answer.header(OCI_FILTERS_APPLIED, "artifactType");
    }
    answer
        .next_page(next)
        .whole(call.method(), index(&page.descriptors))
}

/// The artifact type asked for. A `+` may come as itself, escaped, or as the space that a form's
/// encoding makes of it; no media type holds a space (§10.5).
fn filter(call: &Call) -> Option<String> {
    let asked = call
        .query()
        .get("artifactType")
        .filter(|asked| !asked.is_empty());
    asked.map(|asked| asked.replace(' ', "+"))
}

/// A page of referrers; an empty one for a repository that is not there yet, if the caller could
/// make it: clients ask before they push anything, and a 404 would mean to them that there is no
/// such API (§10.2).
async fn page(call: &Call, name: &RepositoryName, wanted: &ReferrerFilter) -> Result<ReferrerPage> {
    let refusal = match call.op.repo::<Pull>(name).await {
        Ok(repo) => return referrer::page(&call.op, &repo, wanted).await,
        Err(refusal) => refusal,
    };
    if !matches!(refusal.reason, Reason::Hidden | Reason::NameUnknown) {
        return Err(refusal);
    }
    if !call.op.allowed(name).await?.creates {
        return Err(refusal);
    }
    if !call.op.actor().ceiling.admits(name, Action::Pull) {
        let words = "the token does not cover this; ask for one with the scope that is named";
        return Err(Error::new(Reason::InsufficientScope, words));
    }
    Ok(ReferrerPage::default())
}

fn next(name: &RepositoryName, wanted: &ReferrerFilter, last: &Digest) -> String {
    let path = format!("/v2/{}/referrers/{}", name.as_written(), wanted.subject);
    let last = last.to_string();
    let mut query = Vec::new();
    if let Some(artifact_type) = &wanted.artifact_type {
        query.push(("artifactType", artifact_type.as_str()));
    }
    query.push(("last", last.as_str()));
    link::next(&path, &query)
}

/// An image index of descriptors that are JSON already.
fn index(descriptors: &[String]) -> String {
    let entries = descriptors.join(",");
    format!("{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[{entries}]}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_types::Algorithm;

    #[test]
    fn an_index_of_any_length_is_json() {
        for count in 0..3 {
            let descriptors = vec!["{\"size\":1}".to_owned(); count];
            let index: serde_json::Value = serde_json::from_str(&index(&descriptors)).unwrap();
            assert_eq!(index["schemaVersion"], 2);
            assert_eq!(index["mediaType"], OCI_INDEX);
            assert_eq!(index["manifests"].as_array().unwrap().len(), count);
        }
    }

    #[test]
    fn the_link_keeps_the_filter() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let name = RepositoryName::parse("hello").unwrap();
        let wanted = ReferrerFilter {
            subject: digest,
            artifact_type: Some("a/b+json".into()),
            after: None,
        };
        let link = next(&name, &wanted, &digest);
        assert!(link.starts_with("</v2/hello/referrers/sha256:"), "{link}");
        assert!(
            link.contains("?artifactType=a%2Fb%2Bjson&last=sha256%3A"),
            "{link}"
        );
    }
}
