//! What a PUT of a manifest says in its head, read and judged before its body (protocol §9.5,
//! §9.6, §9.18).

use bytes::Bytes;
use http::header;
use seawall_kernel::Repo;
use seawall_kernel::http::{Call, condition};
use seawall_types::tag::Tag;
use seawall_types::{Error, MediaType, Reason, Reference, Result};

use crate::acts::Push;
use crate::manifest::{Conditions, NewManifest, PutManifest};

/// How many tags one push may set: so many of the longest fit into a request line of 8 KiB, of
/// which 2 KiB are for the rest (§9.5).
const MOST_TAGS: usize = (8192 - 2048) / (4 + 128 + 1);

/// Larger manifests are hashed and parsed where they hold up no other request.
const INLINE_BYTES: usize = 64 * 1024;

/// The head of a push.
pub(super) struct PushHead {
    target: Reference,
    /// The tags to set, sorted and each once.
    tags: Vec<Tag>,
    content_type: Option<MediaType>,
    conditions: Conditions,
}

impl PushHead {
    /// Errors: `DigestInvalid`, `TagInvalid`, `UriTooLong`, `ManifestInvalid`, `BadRequest`.
    pub(super) fn read(call: &Call) -> Result<Self> {
        let target = Reference::parse(&call.param("reference")?)?;
        let named: Vec<&str> = call.query().all("tag").collect();
        let tags = tags(&target, &named)?;
        let content_type = call
            .header(&header::CONTENT_TYPE)?
            .map(MediaType::parse)
            .transpose()
            .map_err(|error| Error::new(Reason::ManifestInvalid, error.to_string()))?;
        let conditions = Conditions {
            if_match: condition(call.headers(), &header::IF_MATCH)?,
            if_none_match: condition(call.headers(), &header::IF_NONE_MATCH)?,
        };
        Ok(Self {
            target,
            tags,
            content_type,
            conditions,
        })
    }

    /// Judges the body that came with the head.
    pub(super) async fn judge(&self, body: Bytes) -> Result<NewManifest> {
        if body.len() <= INLINE_BYTES {
            return NewManifest::new(self.content_type.as_ref(), body, &self.target);
        }
        let (content_type, target) = (self.content_type.clone(), self.target.clone());
        let judging = move || NewManifest::new(content_type.as_ref(), body, &target);
        tokio::task::spawn_blocking(judging)
            .await
            .map_err(Error::internal)?
    }

    /// The tags of `?tag=`, as the answer lists those that were accepted.
    pub(super) fn accepted(&self) -> Option<String> {
        if matches!(self.target, Reference::Tag(_)) || self.tags.is_empty() {
            return None;
        }
        Some(
            self.tags
                .iter()
                .map(Tag::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        )
    }

    /// The push itself.
    pub(super) fn into_put(self, repo: Repo<Push>, draft: NewManifest) -> PutManifest {
        let by_tag = matches!(self.target, Reference::Tag(_));
        PutManifest {
            repo,
            draft,
            tags: self.tags,
            by_tag,
            conditions: self.conditions,
        }
    }
}

/// The tags that a push sets: that of the path, or those of the query, all of them checked before
/// anything is written.
fn tags(target: &Reference, named: &[&str]) -> Result<Vec<Tag>> {
    let mut tags = match target {
        Reference::Tag(_) if !named.is_empty() => {
            let words = "tag parameters go with a push by digest only";
            return Err(Error::new(Reason::BadRequest, words));
        }
        Reference::Tag(tag) => vec![tag.clone()],
        Reference::Digest(_) if named.len() > MOST_TAGS => {
            let words = format!("a push sets at most {MOST_TAGS} tags");
            return Err(Error::new(Reason::UriTooLong, words));
        }
        Reference::Digest(_) => named
            .iter()
            .map(|tag| Ok(Tag::parse(tag)?))
            .collect::<Result<_>>()?,
    };
    tags.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    tags.dedup();
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use seawall_types::{Algorithm, Digest};

    use super::*;

    #[test]
    fn tags_are_checked_before_anything_is_written() {
        let digest = Reference::from(Digest::of(Algorithm::Sha256, b""));
        let read = |named: &[&str]| {
            let tags = tags(&digest, named);
            tags.map(|tags| tags.iter().map(ToString::to_string).collect::<Vec<_>>())
                .map_err(|error| error.reason)
        };
        assert_eq!(
            read(&["b", "a", "b"]),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&["a", ""]), Err(Reason::TagInvalid));
        assert_eq!(read(&["a", ".b"]), Err(Reason::TagInvalid));
        assert_eq!(MOST_TAGS, 46);
        assert!(read(&["a"; 46]).is_ok());
        assert_eq!(read(&["a"; 47]), Err(Reason::UriTooLong));
        let tag = Reference::from(Tag::parse("v1").unwrap());
        assert_eq!(tags(&tag, &["a"]).unwrap_err().reason, Reason::BadRequest);
        assert_eq!(tags(&tag, &[]).unwrap().len(), 1);
    }
}
