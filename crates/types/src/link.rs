//! The writer of `Link: <…>; rel="next"` (protocol §11.4, RFC 8288).
//!
//! Everything that is not plainly harmless is percent-encoded, so that no name or cursor, however
//! odd, can leave the angle brackets or begin another header.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Paths keep their slashes, and the colon of a digest.
const PATH: &AsciiSet = &QUERY.remove(b'/').remove(b':');

/// Escapes of a path that came in a request stay as they are: escaped again, they would be others.
const ESCAPED_PATH: &AsciiSet = &PATH.remove(b'%');

/// The value of a `Link` header to the next page: a path-absolute reference with these query
/// parameters in this order.
pub fn next(path: &str, query: &[(&str, &str)]) -> String {
    link_to(path, PATH, query)
}

/// The same for a path that is percent-encoded already, such as that of the request.
pub fn next_from(path: &str, query: &[(&str, &str)]) -> String {
    link_to(path, ESCAPED_PATH, query)
}

fn link_to(path: &str, escaped: &'static AsciiSet, query: &[(&str, &str)]) -> String {
    let mut link = format!("<{}", utf8_percent_encode(path, escaped));
    for (index, (name, value)) in query.iter().enumerate() {
        link.push(if index == 0 { '?' } else { '&' });
        link.extend(utf8_percent_encode(name, QUERY));
        link.push('=');
        link.extend(utf8_percent_encode(value, QUERY));
    }
    link.push_str(">; rel=\"next\"");
    link
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_page() {
        assert_eq!(
            next("/v2/a/b/tags/list", &[("n", "50"), ("last", "v1.0_x-y")]),
            "</v2/a/b/tags/list?n=50&last=v1.0_x-y>; rel=\"next\""
        );
        assert_eq!(next("/v2/_catalog", &[]), "</v2/_catalog>; rel=\"next\"");
    }

    #[test]
    fn escapes_of_a_request_stay_as_they_are() {
        let link = next_from("/a%20b%2fc/>x", &[("n", "%")]);
        assert_eq!(link, "</a%20b%2fc/%3Ex?n=%25>; rel=\"next\"");
    }

    #[test]
    fn what_could_break_out_is_encoded() {
        let link = next(
            "/v2/x>/referrers/sha256:0",
            &[("artifactType", "a/b+json>; rel=\"x\r\n&")],
        );
        assert_eq!(
            link,
            "</v2/x%3E/referrers/sha256:0\
             ?artifactType=a%2Fb%2Bjson%3E%3B%20rel%3D%22x%0D%0A%26>; rel=\"next\""
        );
    }

    proptest! {
        #[test]
        fn values_lead_back_and_stay_inside(value in "\\PC{0,40}") {
            let link = next("/v2/_catalog", &[("last", &value)]);
            let inner = link.strip_prefix("</v2/_catalog?last=").unwrap();
            let inner = inner.strip_suffix(">; rel=\"next\"").unwrap();
            prop_assert!(inner.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert_eq!(percent_decode_str(inner).decode_utf8().unwrap(), value);
        }
    }
}
