//! Whether what a manifest refers to is here, and as long as it says (protocol §9.8, §9.14).
//!
//! References count in the manifest's own repository only: a blob that another repository holds is
//! as good as missing.

use std::collections::{BTreeMap, BTreeSet};

use seawall_kernel::catalog::Judgement;
use seawall_meta::{Row, Tx, args, list};
use seawall_types::tag::Tag;
use seawall_types::{Digest, Error, Reason, Result};

use super::hints::{Hints, Likely};
use super::new_manifest::{ManifestEdge, NewManifest};
use super::{EdgeKind, store};
use crate::config::{ContentPolicy, ManifestsConfig};

type Sizes = BTreeMap<Digest, u64>;

/// What of a manifest's references is in its repository.
#[derive(Debug, Default)]
pub(super) struct ResolvedReferences {
    manifests: Sizes,
    blobs: Sizes,
    /// Whether the judgement is known to hold until the transaction ends: the links said so.
    pub(super) stands: bool,
    /// What the same read suggests about the tag and the manifest.
    pub(super) hints: Hints,
}

/// Looks for every reference of `draft`, and locks the links to the blobs among them until the
/// transaction ends. One statement for an image.
pub(super) async fn look(
    tx: &mut Tx,
    judgement: &Judgement,
    draft: &NewManifest,
    tag: Option<&Tag>,
) -> Result<ResolvedReferences> {
    let (_, repository) = judgement.ids();
    let of = |kinds: &'static [EdgeKind]| {
        let chosen = draft
            .pointers
            .iter()
            .filter(|pointer| kinds.contains(&pointer.kind));
        chosen
            .map(|pointer| pointer.digest)
            .collect::<BTreeSet<_>>()
    };
    let children = of(&[EdgeKind::Child]);
    let manifests = sizes(
        &tx.all(&store::PRESENT, args![repository, list(&children)])
            .await?,
    )?;
    let mut wanted = of(&[EdgeKind::Config, EdgeKind::Layer]);
    wanted.extend(
        children
            .into_iter()
            .filter(|child| !manifests.contains_key(child)),
    );
    let tag = tag.map_or("", Tag::as_str);
    let arguments = judgement.args(args![list(&wanted), tag, draft.digest]);
    let rows = tx.all(&store::BLOBS, arguments).await?;
    let may_be = |column| rows.first().map_or(Ok(1), |row| row.int(column));
    let hints = Hints {
        tag: Likely::unless(may_be(2)? != 0),
        manifest: Likely::unless(may_be(3)? != 0),
    };
    let (blobs, stands) = (sizes(&rows)?, !rows.is_empty());
    Ok(ResolvedReferences {
        manifests,
        blobs,
        stands,
        hints,
    })
}

/// A size that a manifest gives and the content has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeMismatch {
    /// Of what.
    pub(crate) digest: Digest,
    /// In bytes, by the manifest.
    pub(crate) said: u64,
    /// In bytes.
    pub(crate) real: u64,
}

impl ResolvedReferences {
    /// The blobs that `draft` will keep alive, if all that it refers to is here, and the sizes in
    /// it that are wrong.
    ///
    /// Errors: `MissingReferences` with every missing digest; `ManifestInvalid` for a wrong size,
    /// if the rules refuse those.
    pub(super) fn judge(self, draft: &NewManifest) -> Result<(Vec<Digest>, Vec<SizeMismatch>)> {
        let wrong = judge(&draft.pointers, &self.manifests, &self.blobs, draft.rules)?;
        Ok((self.blobs.into_keys().collect(), wrong))
    }
}

fn sizes(rows: &[Row]) -> Result<Sizes> {
    rows.iter()
        .map(|row| Ok((row.digest(0)?, row.size(1)?)))
        .collect()
}

fn judge(
    pointers: &[ManifestEdge],
    manifests: &Sizes,
    blobs: &Sizes,
    rules: ManifestsConfig,
) -> Result<Vec<SizeMismatch>> {
    let size = |pointer: &ManifestEdge| match pointer.kind {
        EdgeKind::Config | EdgeKind::Layer => blobs.get(&pointer.digest),
        // An entry of an index may be a blob: so are BuildKit's older caches (§9.8).
        EdgeKind::Child => manifests
            .get(&pointer.digest)
            .or(blobs.get(&pointer.digest)),
        EdgeKind::Subject => None,
    };
    let mut missing = Vec::new();
    let mut seen = BTreeSet::new();
    let sparse = |pointer: &ManifestEdge| {
        rules.sparse_indexes == ContentPolicy::Accept && pointer.kind == EdgeKind::Child
    };
    for pointer in pointers.iter().filter(|pointer| pointer.required) {
        if size(pointer).is_none() && !sparse(pointer) && seen.insert(pointer.digest) {
            missing.push(pointer.digest.to_string());
        }
    }
    if !missing.is_empty() {
        let words = "the manifest refers to content that is not in this repository";
        return Err(Error::new(Reason::MissingReferences, words).with_detail(missing));
    }
    let mut wrong = Vec::new();
    for pointer in pointers {
        let Some(real) = size(pointer).filter(|size| **size != pointer.size) else {
            continue;
        };
        if rules.sizes == ContentPolicy::Refuse {
            let words = format!(
                "the manifest gives {} bytes for {}, which has another size",
                pointer.size, pointer.digest
            );
            return Err(Error::new(Reason::ManifestInvalid, words));
        }
        wrong.push(SizeMismatch {
            digest: pointer.digest,
            said: pointer.size,
            real: *real,
        });
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use seawall_types::Algorithm;

    use super::*;

    const AS_SET: ManifestsConfig = ManifestsConfig {
        sizes: ContentPolicy::Accept,
        sparse_indexes: ContentPolicy::Refuse,
        keep_deleted_days: 14,
    };

    fn digest(name: &str) -> Digest {
        Digest::of(Algorithm::Sha256, name.as_bytes())
    }

    fn pointer(kind: EdgeKind, name: &str, required: bool) -> ManifestEdge {
        ManifestEdge {
            kind,
            digest: digest(name),
            size: 7,
            required,
        }
    }

    fn here(names: &[(&str, u64)]) -> Sizes {
        names
            .iter()
            .map(|(name, size)| (digest(name), *size))
            .collect()
    }

    #[test]
    fn every_missing_digest_is_named_once() {
        let pointers = [
            pointer(EdgeKind::Config, "a", true),
            pointer(EdgeKind::Layer, "b", true),
            pointer(EdgeKind::Layer, "b", true),
            pointer(EdgeKind::Layer, "foreign", false),
            pointer(EdgeKind::Subject, "subject", false),
            pointer(EdgeKind::Layer, "c", true),
        ];
        let error = judge(&pointers, &here(&[]), &here(&[("c", 7)]), AS_SET).unwrap_err();
        assert_eq!(error.reason, Reason::MissingReferences);
        let named = serde_json::json!([digest("a"), digest("b")]);
        assert_eq!(error.detail, Some(named));
    }

    #[test]
    fn an_entry_of_an_index_is_a_manifest_or_a_blob() {
        let pointers = [
            pointer(EdgeKind::Child, "a", true),
            pointer(EdgeKind::Child, "b", true),
        ];
        assert!(judge(&pointers, &here(&[("a", 7)]), &here(&[("b", 7)]), AS_SET).is_ok());
        let config = [pointer(EdgeKind::Config, "a", true)];
        assert!(judge(&config, &here(&[("a", 7)]), &here(&[]), AS_SET).is_err());
    }

    #[test]
    fn only_entries_of_an_index_may_be_nowhere_and_only_where_that_is_set() {
        let sparse = ManifestsConfig {
            sparse_indexes: ContentPolicy::Accept,
            ..AS_SET
        };
        for (kind, taken) in [(EdgeKind::Child, true), (EdgeKind::Layer, false)] {
            let pointers = [pointer(kind, "a", true)];
            let judged = |rules| judge(&pointers, &here(&[]), &here(&[]), rules).is_ok();
            assert_eq!((judged(AS_SET), judged(sparse)), (false, taken));
        }
    }

    #[test]
    fn wrong_sizes_are_told_even_of_what_could_be_missing() {
        let strict = ManifestsConfig {
            sizes: ContentPolicy::Refuse,
            ..AS_SET
        };
        for required in [true, false] {
            let pointers = [pointer(EdgeKind::Layer, "a", required)];
            let judged = |rules| judge(&pointers, &here(&[]), &here(&[("a", 8)]), rules);
            let wrong = SizeMismatch {
                digest: digest("a"),
                said: 7,
                real: 8,
            };
            assert_eq!(judged(AS_SET).unwrap(), [wrong]);
            assert_eq!(judged(strict).unwrap_err().reason, Reason::ManifestInvalid);
        }
    }
}
