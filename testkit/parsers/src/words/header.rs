//! Headers of requests: media types, hosts, ranges, conditions, authorization. What is accepted is
//! within its limits and harmless where it goes next, and reads the same when it is written out
//! again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seawall_types::basic::{Credentials, MAX_BASIC_BYTES, MAX_BEARER_BYTES};
use seawall_types::condition::{ETag, ETags, MAX_CONDITION_BYTES, MAX_ETAGS, if_range};
use seawall_types::host::{Host, MAX_HOST_BYTES};
use seawall_types::media_type::{MAX_MEDIA_TYPE_BYTES, MediaType};
use seawall_types::range::{ByteRange, ByteRanges, ContentRange, MAX_RANGES, RangeAnswer};
use seawall_types::{ManifestKind, Secret};

use crate::{survives_json, text};

/// `Content-Type` and the types in manifests.
pub(crate) fn media_type(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(media_type) = MediaType::parse(text) else {
        return;
    };
    let bare = media_type.as_str();
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"/!#$&-^_.+".contains(&b);
    assert!(bare.len() <= MAX_MEDIA_TYPE_BYTES && bare.bytes().all(harmless));
    assert_eq!(bare.bytes().filter(|b| *b == b'/').count(), 1);
    assert!(text.contains(bare));
    assert_eq!(MediaType::parse(bare).as_ref(), Ok(&media_type));
    let with_parameter = format!(" {bare} ; charset=\"utf-8;\"");
    assert_eq!(MediaType::parse(&with_parameter).as_ref(), Ok(&media_type));
    // Only a type that is spelt exactly so is one of a manifest.
    let known = bare.starts_with("application/vnd.oci.image.")
        || bare.starts_with("application/vnd.docker.distribution.manifest.");
    assert!(known || ManifestKind::of(&media_type).is_none());
    survives_json(&media_type);
}

/// `Host`, which goes into the realm of a challenge.
pub(crate) fn host(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(host) = Host::parse(text) else { return };
    assert_eq!(host.as_str(), text);
    assert!(host.host().len() <= MAX_HOST_BYTES && !host.host().is_empty());
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b);
    assert!(text.bytes().all(harmless), "{text:?}");
    match host.port() {
        Some(port) => {
            let digits = text.rsplit(':').next().expect("a port");
            assert_eq!(digits.parse(), Ok(port));
            assert_eq!(text.len(), host.host().len() + 1 + digits.len());
        }
        None => assert_eq!(host.host(), text),
    }
    let alone = Host::parse(host.host()).expect("a host without its port");
    assert_eq!((alone.ip(), alone.port()), (host.ip(), None));
    assert_eq!(
        text.starts_with('['),
        host.ip().is_some_and(|ip| ip.is_ipv6())
    );
    survives_json(&host);
}

/// `Range`: the first eight bytes are the size of the blob.
pub(crate) fn range(bytes: &[u8]) {
    let Some((size, header)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let (size, Some(header)) = (u64::from_be_bytes(*size), text(header)) else {
        return;
    };
    let RangeAnswer::Parts(parts) = ByteRanges::parse(header, size) else {
        return;
    };
    assert!((1..=MAX_RANGES).contains(&parts.len()));
    assert!(
        parts
            .iter()
            .all(|part| part.start <= part.end && part.end < size)
    );
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    let mut pairs = sorted.iter().zip(sorted.iter().skip(1));
    assert!(pairs.all(|(a, b)| a.end < b.start), "a byte is sent twice");
    // So what is sent is never more than what there is, however it is asked for.
    let sum: u128 = parts.iter().map(|part| u128::from(part.length())).sum();
    assert!(sum <= u128::from(size));
    let written: Vec<_> = parts.iter().map(written).collect();
    let again = ByteRanges::parse(&format!("bytes={}", written.join(",")), size);
    assert_eq!(again, RangeAnswer::Parts(parts));
}

fn written(part: &ByteRange) -> String {
    format!("{}-{}", part.start, part.end)
}

/// `Content-Range` of a chunk.
pub(crate) fn content_range(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(range) = ContentRange::parse(text) else {
        return;
    };
    let ContentRange { start, end } = range;
    assert!(start <= end && i64::try_from(end).is_ok());
    assert_eq!(range.length(), end - start + 1);
    for form in ["{}-{}", "bytes={}-{}", "bytes {}-{}/*", "bytes {}-{}/9"] {
        let form = form
            .replacen("{}", &start.to_string(), 1)
            .replacen("{}", &end.to_string(), 1);
        assert_eq!(ContentRange::parse(&form), Ok(range));
    }
}

/// `If-Match`, `If-None-Match` and `If-Range`.
pub(crate) fn conditions(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let tags = match ETags::parse(text) {
        Ok(ETags::List(tags)) => tags,
        Ok(ETags::Any) => return assert_eq!(text.trim(), "*"),
        Err(_) => return assert!(!if_range(text, "x")),
    };
    assert!(text.len() <= MAX_CONDITION_BYTES && (1..=MAX_ETAGS).contains(&tags.len()));
    let list = ETags::List(tags.clone());
    for tag in &tags {
        let harmless = |b: u8| b > b' ' && b != b'"' && b != 0x7f;
        assert!(tag.opaque.bytes().all(harmless));
        assert!(!list.if_none_match(Some(&tag.opaque)));
        assert!(tag.weak || list.if_match(Some(&tag.opaque)));
        let strong_and_alone = tags.len() == 1 && !tag.weak;
        assert_eq!(if_range(text, &tag.opaque), strong_and_alone);
    }
    assert!(list.if_none_match(None) && !list.if_match(None));
    let written: Vec<_> = tags.iter().map(quoted).collect();
    let written = written.join(", ");
    if written.len() <= MAX_CONDITION_BYTES {
        assert_eq!(ETags::parse(&written), Ok(list));
    }
}

fn quoted(tag: &ETag) -> String {
    format!("{}\"{}\"", if tag.weak { "W/" } else { "" }, tag.opaque)
}

/// `Authorization`.
pub(crate) fn authorization(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match Credentials::parse(text) {
        Ok(Credentials::Basic { user, password }) => {
            let inside = format!("{user}:{}", password.expose());
            assert!(!user.contains(':') && !inside.chars().any(char::is_control));
            let header = format!("bAsIc {}", STANDARD.encode(&inside));
            if header.len() > MAX_BASIC_BYTES {
                return;
            }
            match Credentials::parse(&header).expect("what was written can be read") {
                Credentials::Basic {
                    user: u,
                    password: p,
                } => {
                    assert_eq!((u, p.expose()), (user.clone(), password.expose()));
                }
                other => panic!("{other:?}"),
            }
            // What is shown is the same whatever the password is.
            let shown = |password| {
                format!(
                    "{:?}",
                    Credentials::Basic {
                        user: user.clone(),
                        password
                    }
                )
            };
            assert_eq!(shown(password), shown(Secret::new("another")));
        }
        Ok(Credentials::Bearer(token)) => {
            let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
            let token = token.expose();
            assert!((1..=MAX_BEARER_BYTES).contains(&token.len()) && token.bytes().all(harmless));
            match Credentials::parse(&format!("BEARER  {token} ")) {
                Ok(Credentials::Bearer(again)) => assert_eq!(again.expose(), token),
                other => panic!("{other:?}"),
            }
        }
        Ok(Credentials::Anonymous) | Err(_) => {}
    }
}
