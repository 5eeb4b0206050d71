//! Parsing and checking the body of a manifest.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use super::strict::{
    Cursor, IntegerSeed, Members, ObjectSeed, Pass, SkipSeed, StringListSeed, StringMapSeed,
    StringSeed, ValueSeed, shorten,
};
use super::{Descriptor, MAX_MANIFEST_BYTES, Manifest, ManifestError, ManifestKind};
use crate::digest::Digest;
use crate::media_type::{DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, MAX_MEDIA_TYPE_BYTES, MediaType};

/// Parses and judges a manifest.
pub(super) fn parse(
    content_type: Option<&MediaType>,
    bytes: &[u8],
) -> Result<Manifest, ManifestError> {
    if bytes.len() > MAX_MANIFEST_BYTES {
        return Err(ManifestError::TooLarge);
    }
    if let Some(content_type) = content_type {
        kind_of(content_type)?;
    }
    judge(content_type, read(bytes)?)
}

/// The kind of a manifest of this type, or why there is none.
fn kind_of(media_type: &MediaType) -> Result<ManifestKind, ManifestError> {
    if [DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED].contains(&media_type.as_str()) {
        return Err(ManifestError::Schema1);
    }
    let unsupported = || ManifestError::UnsupportedMediaType(media_type.to_string());
    ManifestKind::of(media_type).ok_or_else(unsupported)
}

/// A member that is absent, null, or there.
#[derive(Default)]
enum Presence<T> {
    #[default]
    Absent,
    /// What Go writes for a list that was never made; an empty one to every reader.
    Null,
    There(T),
}

impl<T: Default> Presence<T> {
    /// The value; a list that is missing has no entries (protocol §9.8).
    fn or_empty(self) -> T {
        match self {
            Self::Absent | Self::Null => T::default(),
            Self::There(value) => value,
        }
    }

    fn is_there(&self) -> bool {
        matches!(self, Self::There(_))
    }
}

/// The members of a manifest of either kind, as written.
#[derive(Default)]
struct ManifestMembers<'de> {
    schema_version: Option<u64>,
    media_type: Option<Cow<'de, str>>,
    artifact_type: Option<Cow<'de, str>>,
    config: Option<Descriptor>,
    layers: Presence<Vec<Descriptor>>,
    manifests: Presence<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
    fs_layers: bool,
    history: bool,
    signatures: bool,
}

impl<'de> Members<'de> for ManifestMembers<'de> {
    const WHAT: &'static str = "a manifest object";
    const KNOWN: &'static [&'static str] = &[
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
        "fsLayers",
        "history",
        "signatures",
    ];

    fn take<A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        at: Cursor<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "schemaVersion" => self.schema_version = map.next_value_seed(IntegerSeed)?,
            "mediaType" => self.media_type = map.next_value_seed(StringSeed)?,
            "artifactType" => self.artifact_type = map.next_value_seed(StringSeed)?,
            "config" => self.config = map.next_value_seed(DescriptorSeed(at))?,
            "layers" => self.layers = map.next_value_seed(DescriptorListSeed(at))?,
            "manifests" => self.manifests = map.next_value_seed(DescriptorListSeed(at))?,
            "subject" => self.subject = map.next_value_seed(DescriptorSeed(at))?,
            "annotations" => self.annotations = map.next_value_seed(StringMapSeed(at))?,
            "fsLayers" => self.fs_layers = map.next_value_seed(SkipSeed(at))?,
            "history" => self.history = map.next_value_seed(SkipSeed(at))?,
            "signatures" => self.signatures = map.next_value_seed(SkipSeed(at))?,
            _ => drop(map.next_value_seed(SkipSeed(at))?),
        }
        Ok(())
    }
}

/// Reads the text: one JSON object in strict UTF-8 with nothing but blanks after it.
fn read(bytes: &[u8]) -> Result<ManifestMembers<'_>, ManifestError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ManifestError::Json(format!("not UTF-8: {error}")))?;
    if text.starts_with('\u{feff}') {
        return Err(ManifestError::Json(
            "it begins with a byte order mark".to_owned(),
        ));
    }
    let reading = Pass::default();
    let mut body = ManifestMembers::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object = ObjectSeed {
        at: Cursor::start(&reading),
        members: &mut body,
    };
    let read = object
        .deserialize(&mut deserializer)
        .and_then(|there| deserializer.end().map(|()| there));
    match read {
        Ok(true) => Ok(body),
        Ok(false) => Err(ManifestError::Malformed(
            "null is not a manifest".to_owned(),
        )),
        Err(error) => Err(reading.into_fault().unwrap_or_else(|| explain(&error))),
    }
}

/// What serde says, which may repeat the client's text at any length.
fn explain(error: &serde_json::Error) -> ManifestError {
    let text = shorten(&error.to_string()).into_owned();
    match error.classify() {
        Category::Data => ManifestError::Malformed(text),
        Category::Io | Category::Syntax | Category::Eof => ManifestError::Json(text),
    }
}

/// Judges what was read.
fn judge(
    content_type: Option<&MediaType>,
    body: ManifestMembers<'_>,
) -> Result<Manifest, ManifestError> {
    match body.schema_version {
        Some(2) => {}
        Some(1) => return Err(ManifestError::Schema1),
        Some(_) => {
            return Err(ManifestError::Malformed(
                "schemaVersion is not 2".to_owned(),
            ));
        }
        None => {
            return Err(ManifestError::Malformed(
                "schemaVersion is missing".to_owned(),
            ));
        }
    }
    let media_type = media_type(content_type, body.media_type.as_deref())?;
    let kind = kind_of(&media_type)?;
    let foreign = match kind {
        ManifestKind::Image if body.manifests.is_there() => Some("an image with manifests"),
        ManifestKind::Index if body.config.is_some() => Some("an index with a config"),
        ManifestKind::Index if body.layers.is_there() => Some("an index with layers"),
        _ if body.fs_layers => Some("fsLayers of schema 1"),
        _ if body.history && body.signatures => Some("history and signatures of schema 1"),
        _ => None,
    };
    if let Some(foreign) = foreign {
        return Err(ManifestError::Ambiguous(foreign.to_owned()));
    }
    let own_type = type_text(body.artifact_type, "artifactType")?;
    let (config, layers, manifests) = match kind {
        ManifestKind::Image => {
            let missing = || ManifestError::Malformed("config is missing".to_owned());
            let config = body.config.ok_or_else(missing)?;
            (Some(config), body.layers.or_empty(), Vec::new())
        }
        ManifestKind::Index => (None, Vec::new(), body.manifests.or_empty()),
    };
    let config_type = || config.as_ref().map(|config| config.media_type.clone());
    Ok(Manifest {
        artifact_type: own_type.or_else(config_type),
        media_type,
        kind,
        config,
        layers,
        manifests,
        subject: body.subject,
        annotations: body.annotations,
    })
}

/// The type under which the manifest is stored: that of the header, with which the body must agree,
/// else that of the body.
fn media_type(header: Option<&MediaType>, body: Option<&str>) -> Result<MediaType, ManifestError> {
    match (header, body.filter(|body| !body.is_empty())) {
        (None, None) => Err(ManifestError::NoMediaType),
        (Some(header), None) => Ok(header.clone()),
        (Some(header), Some(body)) if header == body => Ok(header.clone()),
        (Some(header), Some(body)) => Err(ManifestError::MediaTypeMismatch {
            header: header.to_string(),
            body: shorten(body).into_owned(),
        }),
        (None, Some(body)) => match MediaType::parse(body) {
            // Parameters are cut off a header, but have no place in a body.
            Ok(media_type) if media_type == body => Ok(media_type),
            _ => Err(ManifestError::UnsupportedMediaType(
                shorten(body).into_owned(),
            )),
        },
    }
}

/// A media type that is never judged, but kept in columns of a certain width; empty is as good as
/// absent.
fn type_text(text: Option<Cow<'_, str>>, what: &str) -> Result<Option<String>, ManifestError> {
    match text {
        Some(text) if text.len() > MAX_MEDIA_TYPE_BYTES => {
            let limit = format!("{what} has more than {MAX_MEDIA_TYPE_BYTES} bytes");
            Err(ManifestError::Malformed(limit))
        }
        Some(text) if text.chars().any(char::is_control) => Err(ManifestError::Malformed(format!(
            "{what} holds control characters"
        ))),
        Some(text) if !text.is_empty() => Ok(Some(text.into_owned())),
        _ => Ok(None),
    }
}

/// One descriptor, or null for none.
struct DescriptorSeed<'r>(Cursor<'r>);

impl<'de> DeserializeSeed<'de> for DescriptorSeed<'_> {
    type Value = Option<Descriptor>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let reading = self.0.reading;
        reading.count_descriptor()?;
        let mut parts = DescriptorMembers::default();
        let there = ObjectSeed {
            at: self.0,
            members: &mut parts,
        }
        .deserialize(deserializer)?;
        if !there {
            return Ok(None);
        }
        parts
            .build()
            .map(Some)
            .map_err(|fault| reading.refuse(fault))
    }
}

/// An array of descriptors.
struct DescriptorListSeed<'r>(Cursor<'r>);

impl<'de> DeserializeSeed<'de> for DescriptorListSeed<'_> {
    type Value = Presence<Vec<Descriptor>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DescriptorListSeed<'_> {
    type Value = Presence<Vec<Descriptor>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of descriptors")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Presence::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let at = self.0.inside()?;
        let mut descriptors = Vec::new();
        while let Some(descriptor) = seq.next_element_seed(DescriptorSeed(at))? {
            let missing = || ManifestError::Malformed("null is not a descriptor".to_owned());
            descriptors.push(descriptor.ok_or_else(|| at.reading.refuse(missing()))?);
        }
        Ok(Presence::There(descriptors))
    }
}

/// The members of a descriptor, as written.
#[derive(Default)]
struct DescriptorMembers<'de> {
    media_type: Option<Cow<'de, str>>,
    digest: Option<Cow<'de, str>>,
    size: Option<u64>,
    urls: Vec<String>,
    artifact_type: Option<Cow<'de, str>>,
    annotations: BTreeMap<String, String>,
    data: Option<Cow<'de, str>>,
    platform: Option<Value>,
}

impl<'de> Members<'de> for DescriptorMembers<'de> {
    const WHAT: &'static str = "a descriptor object";
    const KNOWN: &'static [&'static str] = &[
        "mediaType",
        "digest",
        "size",
        "urls",
        "artifactType",
        "annotations",
        "data",
        "platform",
    ];

    fn take<A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        at: Cursor<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "mediaType" => self.media_type = map.next_value_seed(StringSeed)?,
            "digest" => self.digest = map.next_value_seed(StringSeed)?,
            "size" => self.size = map.next_value_seed(IntegerSeed)?,
            "urls" => self.urls = map.next_value_seed(StringListSeed(at))?,
            "artifactType" => self.artifact_type = map.next_value_seed(StringSeed)?,
            "annotations" => self.annotations = map.next_value_seed(StringMapSeed(at))?,
            "data" => self.data = map.next_value_seed(StringSeed)?,
            "platform" => {
                let platform = map.next_value_seed(ValueSeed(at))?;
                self.platform = Some(platform).filter(|platform| !platform.is_null());
            }
            _ => drop(map.next_value_seed(SkipSeed(at))?),
        }
        Ok(())
    }
}

impl DescriptorMembers<'_> {
    fn build(self) -> Result<Descriptor, ManifestError> {
        let missing =
            |what| move || ManifestError::Malformed(format!("a descriptor without {what}"));
        let media_type = type_text(self.media_type, "mediaType")?;
        let digest = self.digest.ok_or_else(missing("digest"))?;
        let descriptor = Descriptor {
            media_type: media_type.ok_or_else(missing("mediaType"))?,
            digest: Digest::parse(&digest).map_err(ManifestError::Digest)?,
            size: self.size.ok_or_else(missing("size"))?,
            urls: self.urls,
            artifact_type: type_text(self.artifact_type, "artifactType")?,
            annotations: self.annotations,
            platform: self.platform,
        };
        if let Some(data) = self.data.filter(|data| !data.is_empty()) {
            check_data(&descriptor, &data)?;
        }
        Ok(descriptor)
    }
}

/// Embedded content must be what the descriptor says it is: clients may use it instead of asking.
fn check_data(descriptor: &Descriptor, data: &str) -> Result<(), ManifestError> {
    let malformed = |fault: &str| ManifestError::Malformed(fault.to_owned());
    let bytes = STANDARD
        .decode(data)
        .map_err(|_| malformed("data is not base64"))?;
    if u64::try_from(bytes.len()).ok() != Some(descriptor.size) {
        return Err(malformed("data has not the size that its descriptor says"));
    }
    if Digest::of(descriptor.digest.algorithm(), &bytes) != descriptor.digest {
        return Err(malformed(
            "data has not the digest that its descriptor says",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
