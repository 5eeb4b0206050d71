//! Manifests: whatever is accepted says the same to every reader, however lenient, and nothing that
//! makes it say something else is accepted.

use seawall_types::manifest::{MAX_DEPTH, MAX_DESCRIPTORS, MAX_MANIFEST_BYTES};
use seawall_types::media_type::{
    DOCKER_LIST, DOCKER_MANIFEST, DOCKER_SCHEMA1, OCI_INDEX, OCI_MANIFEST,
};
use seawall_types::{Descriptor, Manifest, ManifestKind, MediaType};
use serde_json::{Map, Value, json};

use super::tree::Tree;

/// What may stand in `Content-Type`.
const TYPES: &[&str] = &[
    OCI_MANIFEST,
    OCI_INDEX,
    DOCKER_MANIFEST,
    DOCKER_LIST,
    DOCKER_SCHEMA1,
    "application/json",
];

/// The members that mean something, of manifests and of descriptors.
const MEMBERS: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
];
const DESCRIPTOR_MEMBERS: &[&str] = &[
    "mediaType",
    "digest",
    "size",
    "urls",
    "artifactType",
    "annotations",
    "data",
];

/// A manifest: the first byte chooses the header, the rest is the body.
pub(crate) fn manifest(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else {
        return;
    };
    let header = TYPES.get(usize::from(*first) % (TYPES.len() + 1));
    let header = header.map(|text| MediaType::parse(text).expect("a media type"));
    let Ok(manifest) = Manifest::parse(header.as_ref(), body) else {
        return;
    };
    assert!(body.len() <= MAX_MANIFEST_BYTES);
    assert!(header.is_none_or(|header| header == manifest.media_type));
    assert_eq!(ManifestKind::of(&manifest.media_type), Some(manifest.kind));
    let again = Manifest::parse(Some(&manifest.media_type), body);
    assert_eq!(again.as_ref(), Ok(&manifest), "the header adds nothing");
    one_meaning(&manifest, body);
    within_limits(&manifest, body);
    nothing_slips_in(&manifest, body);
    let (written, bare) = write(&manifest);
    let read = Manifest::parse(Some(&manifest.media_type), written.to_string().as_bytes());
    assert_eq!(read, Ok(bare));
}

/// Other readers see what we saw, in particular those that ignore case or take the last of equal
/// keys.
fn one_meaning(manifest: &Manifest, body: &[u8]) {
    let tree: Tree = serde_json::from_slice(body).expect("it is JSON");
    assert!(!tree.repeats(), "a key is there twice");
    assert!(tree.depth() <= MAX_DEPTH);
    let exact = |tree: &Tree, members: &[&str]| {
        for member in members {
            let all = |(key, _): (&str, &Tree)| assert_eq!(key, *member, "by case only");
            tree.all(member).for_each(all);
        }
    };
    exact(&tree, MEMBERS);
    let said = tree
        .get("mediaType")
        .and_then(Tree::text)
        .filter(|text| !text.is_empty());
    assert!(said.is_none_or(|said| said == manifest.media_type.as_str()));
    let lists = [
        ("layers", &manifest.layers),
        ("manifests", &manifest.manifests),
    ];
    for (key, ours) in lists {
        let theirs = tree.get(key).map_or(&[][..], Tree::elements);
        let digests = |tree: &Tree| tree.get("digest").and_then(Tree::text).map(str::to_owned);
        let theirs_digests: Vec<_> = theirs.iter().map(digests).collect();
        let ours: Vec<_> = ours
            .iter()
            .map(|one| Some(one.digest.to_string()))
            .collect();
        assert_eq!(ours, theirs_digests, "{key}");
        for one in theirs {
            exact(one, DESCRIPTOR_MEMBERS);
        }
    }
    for key in ["config", "subject"] {
        if let Some(one) = tree.get(key) {
            exact(one, DESCRIPTOR_MEMBERS);
        }
    }
    let image = manifest.kind == ManifestKind::Image;
    assert_eq!(manifest.config.is_some(), image);
    assert!(if image {
        manifest.manifests.is_empty()
    } else {
        manifest.layers.is_empty()
    });
}

fn descriptors(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let lists = manifest.layers.iter().chain(&manifest.manifests);
    lists.chain(&manifest.config).chain(&manifest.subject)
}

/// Nothing is larger than what was sent.
fn within_limits(manifest: &Manifest, body: &[u8]) {
    assert!(descriptors(manifest).count() <= MAX_DESCRIPTORS);
    let mut kept = manifest.artifact_type.as_ref().map_or(0, String::len);
    kept += manifest
        .annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum::<usize>();
    for one in descriptors(manifest) {
        assert!(i64::try_from(one.size).is_ok());
        assert!(!one.media_type.is_empty() && !one.media_type.chars().any(char::is_control));
        kept += one.media_type.len() + one.artifact_type.as_ref().map_or(0, String::len);
        kept += one.urls.iter().map(String::len).sum::<usize>();
        kept += one
            .annotations
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
    }
    // The type of the config counts for the artifact once more.
    assert!(kept <= 2 * body.len());
}

/// One more member that a reader could take for another makes it ambiguous, wherever it stands.
fn nothing_slips_in(manifest: &Manifest, body: &[u8]) {
    let open = body
        .iter()
        .position(|byte| *byte == b'{')
        .expect("an object");
    let with = |text: &str| {
        let (head, tail) = body.split_at(open + 1);
        Manifest::parse(
            Some(&manifest.media_type),
            &[head, text.as_bytes(), tail].concat(),
        )
    };
    for text in [
        "\"schemaVersion\":2,",
        "\"SchemaVersion\":2,",
        "\"\\u0073chemaVersion\":2,",
        "\"\u{17f}chemaVersion\":2,",
        "\"x\":{\"a\":1,\"a\":1},",
        "\"fsLayers\":[],",
        "\"x\":NaN,",
        "'x':1,",
        "//\n",
    ] {
        assert!(with(text).is_err(), "{text} slips in");
    }
    let trailing = [body, b"{}"].concat();
    assert!(Manifest::parse(Some(&manifest.media_type), &trailing).is_err());
}

/// The manifest written anew, and what is to be read from that: platforms are left out, since the
/// text of a number is not kept.
fn write(manifest: &Manifest) -> (Value, Manifest) {
    let mut bare = manifest.clone();
    let lists = bare.layers.iter_mut().chain(&mut bare.manifests);
    for one in lists.chain(&mut bare.config).chain(&mut bare.subject) {
        one.platform = None;
    }
    let list = |list: &[Descriptor]| Value::Array(list.iter().map(written).collect());
    let mut value = json!({
        "schemaVersion": 2,
        "mediaType": bare.media_type,
        "annotations": bare.annotations,
        "artifactType": bare.artifact_type,
        "subject": bare.subject.as_ref().map(written),
    });
    match bare.kind {
        ManifestKind::Image => {
            value["config"] = bare.config.as_ref().map(written).into();
            value["layers"] = list(&bare.layers);
        }
        ManifestKind::Index => value["manifests"] = list(&bare.manifests),
    }
    (value, bare)
}

fn written(one: &Descriptor) -> Value {
    let mut map = Map::new();
    map.insert("mediaType".to_owned(), json!(one.media_type));
    map.insert("digest".to_owned(), json!(one.digest));
    map.insert("size".to_owned(), json!(one.size));
    map.insert("urls".to_owned(), json!(one.urls));
    map.insert("artifactType".to_owned(), json!(one.artifact_type));
    map.insert("annotations".to_owned(), json!(one.annotations));
    Value::Object(map)
}
