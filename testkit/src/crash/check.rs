//! The judge: is what the server shows one of the worlds that its promise allows?
//!
//! Pure, so that it can be shown to find each kind of broken promise.

use std::collections::BTreeMap;
use std::fmt;

use super::model::{ClientModel, ModelKey, Observed};

/// Something that the server shows and must not, or does not show and must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What was asked for.
    pub key: ModelKey,
    /// What it must have shown: one for each world that is allowed.
    pub allowed: Vec<Observed>,
    /// What it showed.
    pub seen: Observed,
}

/// Holds what was seen against the allowed worlds, and says which of them it is.
///
/// All that was seen must be of one world: half of a step is as wrong as a push that is lost. If it
/// is of none, the violations are those of the world that comes closest.
pub fn check(
    allowed: &[ClientModel],
    seen: &BTreeMap<ModelKey, Observed>,
) -> Result<usize, Vec<Violation>> {
    let differences = |world: &ClientModel| -> Vec<ModelKey> {
        let differs = |(key, seen): &(&ModelKey, &Observed)| world.shows(key) != **seen;
        let found = seen.iter().filter(differs);
        found.map(|(key, _)| key.clone()).collect()
    };
    let mut closest: Option<Vec<ModelKey>> = None;
    for (index, world) in allowed.iter().enumerate() {
        let found = differences(world);
        if found.is_empty() {
            return Ok(index);
        }
        if closest.as_ref().is_none_or(|best| found.len() < best.len()) {
            closest = Some(found);
        }
    }
    let violation = |key: ModelKey| Violation {
        allowed: allowed.iter().map(|world| world.shows(&key)).collect(),
        seen: seen.get(&key).cloned().unwrap_or(Observed::Nothing),
        key,
    };
    Err(closest.into_iter().flatten().map(violation).collect())
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shows {}, and must show", self.key, self.seen)?;
        for (index, allowed) in self.allowed.iter().enumerate() {
            write!(f, "{} {allowed}", if index > 0 { " or" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for ModelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(name, digest) => write!(f, "blob {name} {digest}"),
            Self::Manifest(name, digest) => write!(f, "manifest {name} {digest}"),
            Self::Tag(name, tag) => write!(f, "tag {name} {tag}"),
            Self::Tags(name) => write!(f, "tags {name}"),
            Self::Upload(path) => write!(f, "upload {path}"),
        }
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use seawall_types::digest::{Algorithm, Digest};
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Bytes(bytes) => {
                let digest = Digest::of(Algorithm::Sha256, bytes);
                write!(f, "{} bytes ({digest})", bytes.len())
            }
            Self::Names(names) => write!(f, "{names:?}"),
            Self::Range(range) => write!(f, "the bytes {range}"),
            Self::Odd(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use seawall_types::digest::{Algorithm, Digest};

    use super::*;
    use crate::crash::step::{LabStep, PushedManifest};

    const REPOSITORY: &str = "lab/one";

    fn blob(text: &'static str) -> (Digest, Bytes) {
        let bytes = Bytes::from_static(text.as_bytes());
        (Digest::of(Algorithm::Sha256, &bytes), bytes)
    }

    fn single(text: &'static str) -> LabStep {
        let (digest, bytes) = blob(text);
        LabStep::Single {
            repository: REPOSITORY.to_owned(),
            digest,
            bytes,
        }
    }

    fn put(number: u64, tag: &str) -> LabStep {
        LabStep::PutManifest {
            repository: REPOSITORY.to_owned(),
            tag: Some(tag.to_owned()),
            manifest: PushedManifest::of(number, &[blob("a"), blob("b")]),
        }
    }

    fn world(steps: &[LabStep]) -> ClientModel {
        let mut world = ClientModel::default();
        for step in steps {
            world.take(step, Some("/v2/lab/one/blobs/uploads/1"));
        }
        world
    }

    /// What a server shows that holds exactly this world, asked for all that either knows.
    fn shown(world: &ClientModel, asked: &ClientModel) -> BTreeMap<ModelKey, Observed> {
        let keys = asked.keys().into_iter().chain(world.keys());
        keys.map(|key| (key.clone(), world.shows(&key))).collect()
    }

    /// The violations if `acknowledged` were answered, `unanswered` was not, and the server then
    /// holds `held`.
    fn violations(
        acknowledged: &[LabStep],
        unanswered: Option<LabStep>,
        held: &[LabStep],
    ) -> Vec<String> {
        let mut allowed = vec![world(acknowledged)];
        if let Some(step) = unanswered {
            let steps = [acknowledged, &[step]].concat();
            allowed.push(world(&steps));
        }
        let asked = allowed.last().unwrap();
        match check(&allowed, &shown(&world(held), asked)) {
            Ok(_) => Vec::new(),
            Err(found) => found.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_was_acknowledged_and_is_there_is_right() {
        let steps = [single("a"), single("b"), put(1, "v1")];
        assert!(violations(&steps, None, &steps).is_empty());
    }

    #[test]
    fn an_acknowledged_push_that_is_missing_is_found() {
        let found = violations(&[single("a"), single("b")], None, &[single("a")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains(&blob("b").0.to_string()) && found[0].contains("shows nothing"));
    }

    #[test]
    fn an_acknowledged_push_with_other_bytes_is_found() {
        let acknowledged = world(&[single("a")]);
        let mut seen = shown(&acknowledged, &acknowledged);
        let key = ModelKey::Blob(REPOSITORY.to_owned(), blob("a").0);
        seen.insert(key, Observed::Bytes(Bytes::from_static(b"A")));
        assert_eq!(check(&[acknowledged], &seen).unwrap_err().len(), 1);
    }

    #[test]
    fn an_unanswered_push_may_be_there_or_not() {
        let before = [single("a")];
        let step = single("b");
        let after = [single("a"), single("b")];
        assert!(violations(&before, Some(step.clone()), &before).is_empty());
        assert!(violations(&before, Some(step), &after).is_empty());
    }

    #[test]
    fn a_push_that_nobody_sent_is_found() {
        let found = violations(&[single("a")], None, &[single("a"), single("b")]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_deletion_that_came_back_is_found() {
        let delete = LabStep::DeleteTag {
            repository: REPOSITORY.to_owned(),
            tag: "v1".to_owned(),
        };
        let pushed = [single("a"), single("b"), put(1, "v1")];
        let acknowledged = [pushed.as_slice(), &[delete]].concat();
        let found = violations(&acknowledged, None, &pushed);
        // The tag itself and the list of tags.
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn half_of_a_step_is_found() {
        let before = [single("a"), single("b"), put(1, "v1")];
        // The manifest came and its tag still names the old one.
        let (after, step) = (
            world(&[&before[..], &[put(2, "v1")]].concat()),
            put(2, "v1"),
        );
        let mut half = after.clone();
        let old = world(&before).repositories[REPOSITORY].tags.clone();
        half.repositories.get_mut(REPOSITORY).unwrap().tags = old;
        let allowed = [world(&before), after];
        assert!(check(&allowed, &shown(&half, &allowed[1])).is_err());
        assert!(violations(&before, Some(step), &before).is_empty());
    }

    #[test]
    fn a_tag_that_names_a_third_manifest_is_found() {
        let before = [single("a"), single("b"), put(1, "v1"), put(3, "v3")];
        let held = [
            single("a"),
            single("b"),
            put(1, "v1"),
            put(3, "v3"),
            put(3, "v1"),
        ];
        assert!(!violations(&before, Some(put(2, "v1")), &held).is_empty());
    }

    #[test]
    fn a_manifest_without_its_blobs_is_found() {
        let before = [single("a"), single("b")];
        assert!(!violations(&before, Some(put(1, "v1")), &[single("a"), put(1, "v1")]).is_empty());
    }

    #[test]
    fn an_upload_that_forgot_acknowledged_bytes_is_found() {
        let (digest, bytes) = blob("abc");
        let path = "/v2/lab/one/blobs/uploads/1".to_owned();
        let open = LabStep::Open {
            repository: REPOSITORY.to_owned(),
            digest,
            bytes,
        };
        let append = LabStep::Append {
            upload: path.clone(),
            until: 2,
        };
        let opened = [single("a"), open];
        let appended = [&opened[..], std::slice::from_ref(&append)].concat();
        let found = violations(&appended, None, &opened);
        assert_eq!(found.len(), 1);
        assert!(violations(&opened, Some(append), &opened).is_empty());
    }
}
