//! Tests of what is accepted as a manifest and what is not, one section of the specification after
//! the other.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::digest::{Algorithm, DigestError};
use crate::manifest::{MAX_DEPTH, MAX_DESCRIPTORS};
use crate::media_type::{
    DOCKER_MANIFEST, OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST,
};

const EMPTY_DIGEST: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn descriptor(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": EMPTY_DIGEST, "size": 2})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG),
        "layers": [descriptor(OCI_LAYER_GZIP)],
    })
}

fn index() -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(OCI_MANIFEST)]})
}

/// Pushes with the type that the body names.
fn push(body: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(None, body.to_string().as_bytes())
}

fn push_text(content_type: &str, body: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(
        Some(&MediaType::parse(content_type).unwrap()),
        body.as_bytes(),
    )
}

/// The manifest with one member set.
fn with(mut body: Value, key: &str, value: Value) -> Value {
    body.as_object_mut().unwrap().insert(key.to_owned(), value);
    body
}

fn without(mut body: Value, key: &str) -> Value {
    body.as_object_mut().unwrap().remove(key).unwrap();
    body
}

fn malformed<T: std::fmt::Debug>(result: Result<T, ManifestError>) -> String {
    match result {
        Err(ManifestError::Malformed(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn ambiguous<T: std::fmt::Debug>(result: Result<T, ManifestError>) -> String {
    match result {
        Err(ManifestError::Ambiguous(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_image_and_an_index() {
    let manifest = push(&image()).unwrap();
    assert_eq!(manifest.kind, ManifestKind::Image);
    assert_eq!(manifest.media_type, MediaType::OCI_MANIFEST);
    assert_eq!(manifest.layers.len(), 1);
    let config = manifest.config.unwrap();
    assert_eq!((config.media_type.as_str(), config.size), (OCI_CONFIG, 2));
    assert_eq!(config.digest.to_string(), EMPTY_DIGEST);

    let manifest = push(&index()).unwrap();
    assert_eq!(
        (manifest.kind, manifest.manifests.len()),
        (ManifestKind::Index, 1)
    );
    assert_eq!((manifest.config, manifest.artifact_type), (None, None));
}

/// Protocol §9.10: what has to be accepted although it is unusual.
#[test]
fn unusual_manifests_are_accepted() {
    let platform =
        json!({"architecture": "arm64", "os": "linux", "os.features": ["x"], "Odd": 1.5});
    let entry = with(descriptor(OCI_MANIFEST), "platform", platform.clone());
    let manifest = push(&with(index(), "manifests", json!([entry]))).unwrap();
    assert_eq!(manifest.manifests[0].platform, Some(platform));

    for body in [
        with(image(), "layers", json!([])),
        with(image(), "layers", Value::Null),
        without(image(), "layers"),
        with(index(), "manifests", json!([])),
        with(index(), "manifests", Value::Null),
        without(index(), "manifests"),
        with(index(), "manifests", json!([descriptor(OCI_INDEX)])),
        with(
            image(),
            "org.example.custom",
            json!({"deep": [1, -1, 1.5e3, null, true, "x"]}),
        ),
        with(
            image(),
            "config",
            with(descriptor("application/x.unheard-of"), "custom", json!([])),
        ),
        with(
            image(),
            "layers",
            json!([descriptor("not even a media type")]),
        ),
        with(image(), "subject", Value::Null),
        with(image(), "annotations", Value::Null),
        with(image(), "manifests", Value::Null),
        with(index(), "layers", Value::Null),
        with(index(), "config", Value::Null),
        with(image(), "history", json!([])),
    ] {
        push(&body).unwrap();
    }
    let spaced = format!(" \r\n{}\n\n", image());
    push_text(OCI_MANIFEST, &spaced).unwrap();
}

/// Protocol §10.4: what a listing of referrers says of a manifest.
#[test]
fn artifact_types_and_annotations() {
    let artifact_type = |body: Value| push(&body).unwrap().artifact_type;
    assert_eq!(artifact_type(image()).as_deref(), Some(OCI_CONFIG));
    let sbom = json!("application/spdx+json");
    let artifact = with(
        with(image(), "config", descriptor(OCI_EMPTY)),
        "artifactType",
        sbom.clone(),
    );
    assert_eq!(artifact_type(artifact.clone()).as_deref(), sbom.as_str());
    assert_eq!(
        artifact_type(with(image(), "artifactType", json!(""))).as_deref(),
        Some(OCI_CONFIG)
    );
    assert_eq!(
        artifact_type(with(index(), "artifactType", sbom.clone())).as_deref(),
        sbom.as_str()
    );

    let notes = json!({"b": "2", "a": "", "\u{1f980}": "\n"});
    let body = with(
        with(artifact, "annotations", notes.clone()),
        "subject",
        descriptor(OCI_MANIFEST),
    );
    let manifest = push(&body).unwrap();
    assert_eq!(serde_json::to_value(&manifest.annotations).unwrap(), notes);
    assert_eq!(manifest.subject.unwrap().digest.to_string(), EMPTY_DIGEST);
    // Null is read as an empty text wherever Go is.
    let void = push(&with(image(), "annotations", json!({"": "", "a": null}))).unwrap();
    assert_eq!(json!(void.annotations), json!({"": "", "a": ""}));
    for notes in [json!({"a": 1}), json!({"a": []}), json!([]), json!("x")] {
        malformed(push(&with(image(), "annotations", notes)));
    }
}

/// Protocol §9.6.
#[test]
fn header_and_body_must_agree_on_the_type() {
    let text = image().to_string();
    assert!(push_text(&format!("{OCI_MANIFEST}; charset=utf-8"), &text).is_ok());
    let mismatch = push_text(DOCKER_MANIFEST, &text);
    assert!(
        matches!(mismatch, Err(ManifestError::MediaTypeMismatch { .. })),
        "{mismatch:?}"
    );
    let bare = without(image(), "mediaType").to_string();
    assert_eq!(
        push_text(DOCKER_MANIFEST, &bare).unwrap().media_type,
        MediaType::DOCKER_MANIFEST
    );
    assert_eq!(
        Manifest::parse(None, bare.as_bytes()),
        Err(ManifestError::NoMediaType)
    );
    let parameters = with(image(), "mediaType", json!(format!("{OCI_MANIFEST};x=y")));
    assert!(matches!(
        push(&parameters),
        Err(ManifestError::UnsupportedMediaType(_))
    ));
}

#[test]
fn other_types_are_refused() {
    for other in [
        "application/json",
        "application/vnd.oci.artifact.manifest.v1+json",
    ] {
        let refused = Err(ManifestError::UnsupportedMediaType(other.to_owned()));
        assert_eq!(push_text(other, "not even JSON"), refused);
        assert_eq!(push(&with(image(), "mediaType", json!(other))), refused);
    }
}

/// Protocol §9.19.
#[test]
fn schema_1_is_refused_by_name() {
    let old =
        json!({"schemaVersion": 1, "name": "a", "fsLayers": [{"blobSum": "x"}], "history": []});
    for content_type in [DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_MANIFEST] {
        assert_eq!(
            push_text(content_type, &old.to_string()),
            Err(ManifestError::Schema1)
        );
    }
    assert_eq!(push(&old), Err(ManifestError::Schema1));
}

/// Protocol §9.12.
#[test]
fn what_could_be_two_things_is_refused() {
    ambiguous(push(&with(image(), "manifests", json!([]))));
    ambiguous(push(&with(index(), "layers", json!([]))));
    ambiguous(push(&with(index(), "config", descriptor(OCI_CONFIG))));
    ambiguous(push(&with(image(), "fsLayers", json!([]))));
    ambiguous(push(&with(
        with(index(), "history", json!([])),
        "signatures",
        json!([]),
    )));
}

#[test]
fn repeated_keys_are_refused_at_every_depth() {
    let text = image().to_string();
    for (from, to) in [
        ("\"layers\":", "\"layers\":null,\"layers\":"),
        ("\"layers\":", "\"layers\":[],\"l\\u0061yers\":"),
        ("\"size\":2", "\"size\":2,\"size\":2"),
        (
            "\"size\":2",
            "\"size\":2,\"platform\":{\"os\":\"a\",\"os\":\"b\"}",
        ),
        (
            "\"size\":2",
            "\"size\":2,\"annotations\":{\"a\":\"1\",\"a\":\"1\"}",
        ),
        (
            "\"layers\":",
            "\"x\":[[{\"y\":{\"z\":0,\"z\":0}}]],\"layers\":",
        ),
    ] {
        let text = text.replacen(from, to, 1);
        assert!(
            ambiguous(push_text(OCI_MANIFEST, &text)).contains("repeated"),
            "{text}"
        );
    }
}

#[test]
fn keys_that_differ_by_case_only_are_refused() {
    for key in [
        "MediaType",
        "Layers",
        "LAYERS",
        "layer\u{17f}",
        "schemaversion",
        "fslayers",
        "Manifests",
    ] {
        ambiguous(push(&with(image(), key, Value::Null)));
    }
    let config = with(descriptor(OCI_CONFIG), "Digest", json!("x"));
    ambiguous(push(&with(image(), "config", config)));
}

/// Protocol §9.13.
#[test]
fn only_one_json_object_in_utf_8() {
    let text = image().to_string();
    for bad in [
        String::new(),
        format!("\u{feff}{text}"),
        format!("{text}{text}"),
        format!("{text}x"),
        format!("{text}\0"),
        text[..text.len() - 1].to_owned(),
        text.replace(':', "="),
        text.replacen("sha256", "\\ud800", 1),
    ] {
        let refused = push_text(OCI_MANIFEST, &bad);
        assert!(
            matches!(refused, Err(ManifestError::Json(_))),
            "{bad} {refused:?}"
        );
    }
    let mut bytes = text.clone().into_bytes();
    bytes[20] = 0xff;
    assert!(matches!(
        Manifest::parse(Some(&MediaType::OCI_MANIFEST), &bytes),
        Err(ManifestError::Json(_))
    ));
    for bad in ["null", "[]", "1", "\"x\"", "{}"] {
        malformed(push_text(OCI_MANIFEST, bad));
    }
}

#[test]
fn the_schema_version_is_the_number_2() {
    for bad in [
        json!(0),
        json!(3),
        json!("2"),
        json!(2.0),
        json!(-2),
        Value::Null,
        json!([2]),
    ] {
        malformed(push(&with(image(), "schemaVersion", bad)));
    }
    malformed(push(&without(image(), "schemaVersion")));
    malformed(push_text(
        OCI_MANIFEST,
        &image().to_string().replace("Version\":2", "Version\":2e0"),
    ));
}

#[test]
fn members_that_are_missing_or_of_another_type() {
    malformed(push(&without(image(), "config")));
    for key in ["config", "layers", "subject", "annotations"] {
        malformed(push(&with(image(), key, json!("x"))));
        malformed(push(&with(image(), key, json!(1))));
    }
    malformed(push(&with(image(), "layers", json!([null]))));
    malformed(push(&with(image(), "artifactType", json!(7))));
    malformed(push(&with(image(), "artifactType", json!("x".repeat(256)))));
    malformed(push(&with(image(), "artifactType", json!("x\n"))));
}

/// Protocol §9.14.
#[test]
fn descriptors_are_sane() {
    let config = |key, value| {
        push(&with(
            image(),
            "config",
            with(descriptor(OCI_CONFIG), key, value),
        ))
    };
    for size in [
        json!(-1),
        json!(1.5),
        json!("2"),
        json!(1e3),
        json!(9_223_372_036_854_775_808_u64),
        Value::Null,
    ] {
        malformed(config("size", size));
    }
    assert!(config("size", json!(i64::MAX)).is_ok());
    assert_eq!(
        config("digest", json!("sha256:xyz")),
        Err(ManifestError::Digest(DigestError::Malformed))
    );
    assert_eq!(
        config("digest", json!("blake3:00")),
        Err(ManifestError::Digest(DigestError::Unsupported))
    );
    malformed(config("digest", json!(5)));
    malformed(config("mediaType", json!("")));
    malformed(config("urls", json!([1])));
    malformed(config("urls", json!("https://x")));
    for key in ["mediaType", "digest", "size"] {
        malformed(push(&with(
            image(),
            "config",
            without(descriptor(OCI_CONFIG), key),
        )));
    }
    let urls = config("urls", json!(["https://a", "b"]))
        .unwrap()
        .config
        .unwrap()
        .urls;
    assert_eq!(urls, ["https://a", "b"]);
}

/// Protocol §9.11.
#[test]
fn embedded_data_is_verified() {
    let config = |data: &str, size: u64| {
        let config = with(descriptor(OCI_EMPTY), "data", json!(data));
        push(&with(image(), "config", with(config, "size", json!(size))))
    };
    assert!(config("e30=", 2).is_ok());
    assert!(config("", 2).is_ok(), "as good as absent");
    for (data, size) in [
        ("e30=", 3),
        ("e31=", 2),
        ("e30", 2),
        ("e30=\n", 2),
        ("!", 2),
        ("AAAA", 3),
    ] {
        malformed(config(data, size));
    }
    let wide = Digest::of(Algorithm::Sha512, b"{}").to_string();
    let config = json!({"mediaType": OCI_EMPTY, "data": "e30=", "digest": wide, "size": 2});
    assert!(push(&with(image(), "config", config)).is_ok());
}

/// Protocol §14.3.
#[test]
fn depth_and_numbers_are_limited() {
    let nested = |depth: usize| {
        let inner = format!("{}0{}", "[".repeat(depth), "]".repeat(depth));
        push_text(
            OCI_MANIFEST,
            &image()
                .to_string()
                .replacen('{', &format!("{{\"x\":{inner},"), 1),
        )
    };
    assert!(nested(MAX_DEPTH - 1).is_ok());
    assert!(malformed(nested(MAX_DEPTH)).contains("deep"));
    assert!(nested(100_000).is_err(), "and no stack overflow");

    let layers = |count| {
        let layers = vec![descriptor(OCI_LAYER_GZIP).to_string(); count].join(",");
        let body = with(image(), "layers", json!("LAYERS")).to_string();
        push_text(
            OCI_MANIFEST,
            &body.replace("\"LAYERS\"", &format!("[{layers}]")),
        )
    };
    assert_eq!(
        layers(MAX_DESCRIPTORS - 1).unwrap().layers.len(),
        MAX_DESCRIPTORS - 1
    );
    assert!(malformed(layers(MAX_DESCRIPTORS)).contains("too many"));

    let platform = json!(vec![0; 16 * MAX_DESCRIPTORS]);
    let entry = with(descriptor(OCI_MANIFEST), "platform", platform);
    assert!(malformed(push(&with(index(), "manifests", json!([entry])))).contains("too many"));
}

#[test]
fn the_length_is_limited_before_anything_is_read() {
    let text = image().to_string();
    let padded = |length: usize| format!("{text}{}", " ".repeat(length - text.len()));
    assert!(push_text(OCI_MANIFEST, &padded(MAX_MANIFEST_BYTES)).is_ok());
    assert_eq!(
        push_text(OCI_MANIFEST, &padded(MAX_MANIFEST_BYTES + 1)),
        Err(ManifestError::TooLarge)
    );
}

#[test]
fn messages_do_not_repeat_endless_texts() {
    let long = "x".repeat(1_000_000);
    for body in [
        with(image(), "config", json!(long)),
        with(image(), "mediaType", json!(long)),
    ] {
        assert!(push(&body).unwrap_err().to_string().len() < 1000);
    }
    let twice = format!("{{\"{long}\":1,\"{long}\":1}}");
    assert!(
        push_text(OCI_MANIFEST, &twice)
            .unwrap_err()
            .to_string()
            .len()
            < 1000
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\\u{e4}\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("[a-z.\u{e4}]{0,6}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What a manifest says is what was read of it, in their order.
    #[test]
    fn what_is_written_leads_back(
        layers in proptest::collection::vec(("[a-z]{1,9}/[a-z]{1,9}", any::<u32>(), "\\PC{0,9}"), 0..9),
        annotations in proptest::collection::btree_map("\\PC{0,9}", "\\PC{0,9}", 0..5),
        artifact_type in proptest::option::of("[a-z]{1,9}/[a-z+.]{1,9}"),
    ) {
        let layers: Vec<_> = layers
            .into_iter()
            .map(|(media_type, size, text)| Descriptor {
                digest: Digest::of(Algorithm::Sha512, text.as_bytes()),
                size: size.into(),
                urls: vec![text.clone()],
                artifact_type: Some(media_type.clone()),
                annotations: BTreeMap::from([(text, media_type.clone())]),
                media_type,
                platform: None,
            })
            .collect();
        let written = |layer: &Descriptor| json!({
            "mediaType": layer.media_type, "digest": layer.digest, "size": layer.size,
            "urls": layer.urls, "artifactType": layer.artifact_type, "annotations": layer.annotations,
        });
        let body = json!({
            "schemaVersion": 2, "config": descriptor(OCI_CONFIG), "artifactType": artifact_type,
            "layers": layers.iter().map(written).collect::<Vec<_>>(), "annotations": annotations,
        });
        let bytes = body.to_string();
        let manifest = Manifest::parse(Some(&MediaType::OCI_MANIFEST), bytes.as_bytes()).unwrap();
        prop_assert_eq!(manifest.layers, layers);
        prop_assert_eq!(manifest.annotations, annotations);
        let own = artifact_type.unwrap_or_else(|| OCI_CONFIG.to_owned());
        prop_assert_eq!(manifest.artifact_type, Some(own));
    }

    /// Whatever else is in a manifest, it is accepted, and a platform comes back as it was.
    #[test]
    fn unknown_members_are_no_obstacle(extra in any_json(), platform in any_json()) {
        let entry = with(descriptor(OCI_MANIFEST), "platform", platform.clone());
        let body = with(with(index(), "manifests", json!([entry])), "extra", extra);
        let manifest = push(&body).unwrap();
        prop_assert_eq!(manifest.manifests[0].platform.clone().unwrap_or_default(), platform);
    }

    /// Whatever known member is replaced by whatever, nothing panics, and what passes has only
    /// valid descriptors.
    #[test]
    fn odd_members_never_panic(key in 0usize..11, value in any_json(), as_index: bool) {
        let key = ManifestMembers::KNOWN[key];
        let _ = push(&with(if as_index { index() } else { image() }, key, value.clone()));
        let key = DescriptorMembers::KNOWN[key.len() % DescriptorMembers::KNOWN.len()];
        let _ = push(&with(image(), "config", with(descriptor(OCI_CONFIG), key, value)));
    }

    #[test]
    fn odd_bytes_never_panic(at in 0usize..400, byte: u8, cut in 0usize..400) {
        let mut bytes = image().to_string().into_bytes();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let _ = Manifest::parse(None, &bytes);
        bytes.truncate(cut);
        let _ = Manifest::parse(Some(&MediaType::OCI_INDEX), &bytes);
    }
}
