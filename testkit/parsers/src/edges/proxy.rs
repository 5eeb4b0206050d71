//! Headers of proxies: whatever a client writes into them, it cannot choose the address under which
//! it is known.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use seawall::proxy::{ForwardedClient, TrustedProxies, request_id};

use crate::text;

const PROXY: &str = "10.0.0.1:4000";
const STRANGER: &str = "198.51.100.9:4000";
const REAL: &str = "203.0.113.9";

static TRUSTED: LazyLock<TrustedProxies> = LazyLock::new(|| {
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
    TrustedProxies::new(networks)
});

/// Each line is a header: one letter for its name, then its value.
pub(crate) fn proxy(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((letter, value)) = line.split_first() else {
            continue;
        };
        let name = match letter {
            b'f' => "forwarded",
            b'x' => "x-forwarded-for",
            b'p' => "x-forwarded-proto",
            b'h' => "x-forwarded-host",
            b'i' => "x-request-id",
            _ => "host",
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let direct = seen(STRANGER, &headers);
    assert_eq!(
        direct.address,
        address(STRANGER),
        "a stranger is not believed"
    );
    assert!(!direct.proxied && !direct.tls);
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    assert!(direct.host.is_none_or(|own| host == Some(own.as_str())));
    let proxied = seen(PROXY, &headers);
    assert!(proxied.proxied);
    if let Some(id) = request_id(&headers, true) {
        assert!(
            (1..=128).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"\"<>\\".contains(&b))
        );
    }
    assert_eq!(request_id(&headers, false), None);
    for name in ["x-forwarded-for", "forwarded"] {
        appended(&headers, name);
    }
}

/// A proxy that notes the client's address behind what the client wrote, on the same line or on its
/// own. Then that address counts, or, if the client's part makes it unreadable, the proxy's own:
/// never one of the client's choice.
fn appended(headers: &HeaderMap, name: &'static str) {
    if name == "forwarded" && headers.contains_key("x-forwarded-for") {
        return;
    }
    let noted = if name == "forwarded" {
        format!("for={REAL};proto=http")
    } else {
        REAL.to_owned()
    };
    let mut apart = headers.clone();
    apart.append(name, HeaderValue::from_str(&noted).expect("a value"));
    assert_eq!(seen(PROXY, &apart).address, address(&format!("{REAL}:1")));
    let last = headers
        .get_all(name)
        .iter()
        .next_back()
        .map(HeaderValue::as_bytes);
    let Some(last) = last.and_then(text) else {
        return;
    };
    let mut joined = headers.clone();
    let before: Vec<_> = headers.get_all(name).iter().cloned().collect();
    joined.remove(name);
    for value in before.iter().take(before.len() - 1) {
        joined.append(name, value.clone());
    }
    let Ok(value) = HeaderValue::from_bytes(format!("{last}, {noted}").as_bytes()) else {
        return;
    };
    joined.append(name, value);
    let known = [address(&format!("{REAL}:1")), address(PROXY)];
    let found = seen(PROXY, &joined).address;
    assert!(known.contains(&found), "the client chose {found}");
}

fn seen(peer: &str, headers: &HeaderMap) -> ForwardedClient {
    TRUSTED.client(peer.parse().expect("an address"), false, None, headers)
}

fn address(peer: &str) -> IpAddr {
    peer.parse::<SocketAddr>().expect("an address").ip()
}
