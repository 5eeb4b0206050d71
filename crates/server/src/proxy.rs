//! The client's address and the host it asked for, where proxies stand between.
//!
//! Headers that anyone can send count only if the peer of the socket is a trusted proxy, and only
//! as far back as the chain of trusted proxies reaches: the client is the rightmost address that is
//! not one of them. All functions are pure.
//!
//! Where both are there, `X-Forwarded-For` counts and `Forwarded` does not. Nearly all proxies
//! write the first and pass the second on as it came, so believing the second would let clients
//! write it.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HOST, HeaderMap, HeaderName};
use ipnet::IpNet;
use seawall_types::host::Host;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How many addresses of a chain are read; no real chain is as long.
const MAX_HOPS: usize = 32;

/// The longest request id that is taken over.
const MAX_REQUEST_ID: usize = 128;

/// The client as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedClient {
    /// Its address.
    pub address: IpAddr,
    /// Whether it speaks TLS, to us or to the outermost trusted proxy.
    pub tls: bool,
    /// The host that it asked for, if there is a valid one.
    pub host: Option<Host>,
    /// Whether the peer of the socket is a trusted proxy.
    pub proxied: bool,
}

impl ForwardedClient {
    /// The word for it in a URL.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// The trusted proxies.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// The networks.
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether an address is a trusted proxy's.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request. `authority` is that of the request's target, which HTTP/2 has in
    /// place of the header `Host`.
    pub fn client(
        &self,
        peer: SocketAddr,
        tls: bool,
        authority: Option<&str>,
        headers: &HeaderMap,
    ) -> ForwardedClient {
        let asked = authority.or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok()));
        let direct = ForwardedClient {
            address: peer.ip().to_canonical(),
            tls,
            host: asked.and_then(|host| Host::parse(host).ok()),
            proxied: false,
        };
        if !self.contains(peer.ip()) {
            return direct;
        }
        let hops = hops(headers);
        let (address, depth) = self.outermost(direct.address, &hops);
        // What the outermost trusted proxy wrote about the client stands in the same element as the
        // client's address.
        let hop = depth.and_then(|depth| hops.get(depth));
        let scheme = hop.and_then(|hop| hop.proto.as_deref());
        let host = hop.and_then(|hop| hop.host.as_deref());
        ForwardedClient {
            address,
            tls: match scheme {
                Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
                Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
                _ => tls,
            },
            host: host.and_then(|host| Host::parse(host).ok()).or(direct.host),
            proxied: true,
        }
    }

    /// The first address from the right that is not trusted, and which hop told it. Where the chain
    /// breaks off, the last proxy that is known stands for the client.
    fn outermost(&self, peer: IpAddr, hops: &[Hop]) -> (IpAddr, Option<usize>) {
        let mut last = (peer, None);
        for (depth, hop) in hops.iter().enumerate() {
            // A proxy that hides its client's address may still tell the scheme it was asked with.
            last.1 = Some(depth);
            let Some(address) = hop.address else { break };
            last.0 = address;
            if !self.contains(address) {
                break;
            }
        }
        last
    }
}

/// What one proxy wrote about its client. Index 0 is the proxy next to us.
#[derive(Debug, Default)]
struct Hop {
    address: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

fn hops(headers: &HeaderMap) -> Vec<Hop> {
    let addresses = list(headers, &X_FORWARDED_FOR);
    let protos = list(headers, &X_FORWARDED_PROTO);
    let hosts = list(headers, &X_FORWARDED_HOST);
    if addresses.is_empty() && headers.contains_key(FORWARDED) {
        return forwarded(headers);
    }
    // Proxies append addresses, and either append or replace the other two: the value as far from
    // the right, or the leftmost.
    let at = |values: &[&str], depth: usize| {
        let value = values.get(depth).or(values.last())?;
        Some((*value).to_owned())
    };
    let depth = addresses
        .len()
        .max(usize::from(!protos.is_empty() || !hosts.is_empty()));
    (0..depth)
        .map(|depth| Hop {
            address: addresses.get(depth).and_then(|text| node(text)),
            proto: at(&protos, depth),
            host: at(&hosts, depth),
        })
        .collect()
}

/// The elements of a comma-separated header over all its lines, the rightmost first.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines: Vec<&str> = headers
        .get_all(name)
        .iter()
        // A line that is no text breaks the chain there, since an element that no one can read is
        // an unknown one.
        .map(|line| line.to_str().unwrap_or("unknown"))
        .collect();
    lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(','))
        .map(str::trim)
        .take(MAX_HOPS)
        .collect()
}

/// The elements of `Forwarded` (RFC 7239), the rightmost first.
fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let lines: Vec<&str> = headers
        .get_all(FORWARDED)
        .iter()
        .map(|line| line.to_str().unwrap_or("for=unknown"))
        .collect();
    let mut hops: Vec<Hop> = lines.iter().flat_map(|line| elements(line)).collect();
    hops.reverse();
    hops.truncate(MAX_HOPS);
    hops
}

/// The elements of one line. Commas and semicolons within quotes separate nothing.
fn elements(line: &str) -> Vec<Hop> {
    let mut hops = vec![Hop::default()];
    let mut pair = String::new();
    let mut quoted = false;
    let mut escaped = false;
    for letter in line.chars().chain([',']) {
        match letter {
            _ if escaped => {
                pair.push(letter);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' | ';' if !quoted => {
                if let Some(hop) = hops.last_mut() {
                    note(hop, pair.trim());
                }
                pair.clear();
                if letter == ',' {
                    hops.push(Hop::default());
                }
            }
            _ => pair.push(letter),
        }
    }
    match hops.last_mut() {
        // A quote that never ends swallows what a proxy appended behind it, and what was before it
        // is the client's.
        Some(last) if quoted => *last = Hop::default(),
        _ => drop(hops.pop()),
    }
    hops
}

fn note(hop: &mut Hop, pair: &str) {
    let Some((name, value)) = pair.split_once('=') else {
        return;
    };
    let (name, value) = (name.trim(), value.trim());
    if name.eq_ignore_ascii_case("for") {
        hop.address = node(value);
    } else if name.eq_ignore_ascii_case("proto") {
        hop.proto = Some(value.to_owned());
    } else if name.eq_ignore_ascii_case("host") {
        hop.host = Some(value.to_owned());
    }
}

/// An address with or without a port, an IPv6 one with or without brackets; `unknown` and `_names`
/// are none.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare.or_else(with_port)
        .or_else(in_brackets)
        .map(|address| address.to_canonical())
}

/// The id that a trusted proxy gave the request, if it is harmless wherever it will be written.
pub fn request_id(headers: &HeaderMap, proxied: bool) -> Option<&str> {
    let id = headers
        .get(X_REQUEST_ID)
        .filter(|_| proxied)?
        .to_str()
        .ok()?;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    ((1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(safe)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map
    }

    /// Seen from 10.0.0.1, which is trusted like all of 10.0.0.0/8.
    fn client(lines: &[(&str, &str)]) -> ForwardedClient {
        from("10.0.0.1:4000", lines)
    }

    fn from(peer: &str, lines: &[(&str, &str)]) -> ForwardedClient {
        let trusted =
            TrustedProxies::new(["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        trusted.client(peer.parse().unwrap(), false, None, &headers(lines))
    }

    #[track_caller]
    fn address(lines: &[(&str, &str)], expected: &str) {
        assert_eq!(client(lines).address.to_string(), expected, "{lines:?}");
    }

    #[test]
    fn strangers_are_not_believed() {
        let seen = from(
            "203.0.113.9:1",
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-proto", "https"),
                ("forwarded", "for=1.1.1.1;host=evil"),
                ("x-forwarded-host", "evil"),
                ("host", "registry:5000"),
            ],
        );
        assert_eq!(seen.address.to_string(), "203.0.113.9");
        assert!(!seen.tls && !seen.proxied);
        assert_eq!(seen.host.unwrap().as_str(), "registry:5000");
    }

    #[test]
    fn the_rightmost_untrusted_address_counts() {
        address(&[("x-forwarded-for", "9.9.9.9")], "9.9.9.9");
        address(
            &[("x-forwarded-for", "6.6.6.6, 9.9.9.9, 10.0.0.7")],
            "9.9.9.9",
        );
        address(
            &[
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-for", "9.9.9.9,10.0.0.7"),
            ],
            "9.9.9.9",
        );
        address(&[("x-forwarded-for", "10.0.0.8, 10.0.0.7")], "10.0.0.8");
        address(&[("x-forwarded-for", "9.9.9.9:1234")], "9.9.9.9");
        address(&[("x-forwarded-for", "[2001:db8::1]:80")], "2001:db8::1");
        address(&[("x-forwarded-for", "::ffff:9.9.9.9")], "9.9.9.9");
        address(&[], "10.0.0.1");
    }

    #[test]
    fn a_chain_that_breaks_ends_at_the_last_known_proxy() {
        address(
            &[("x-forwarded-for", "6.6.6.6, garbage, 10.0.0.7")],
            "10.0.0.7",
        );
        address(&[("x-forwarded-for", "unknown")], "10.0.0.1");
        address(&[("forwarded", "for=6.6.6.6, for=_hidden")], "10.0.0.1");
        address(&[("x-forwarded-for", "6.6.6.6,")], "10.0.0.1");
    }

    #[test]
    fn a_quote_that_is_left_open_makes_nothing_of_the_clients_choice_count() {
        for swallowed in [
            "for=6.6.6.6, for=\"x",
            "for=6.6.6.6;by=\"",
            "for=6.6.6.6, by=\"\\",
        ] {
            let line = format!("{swallowed}, for=9.9.9.9");
            address(&[("forwarded", &line)], "10.0.0.1");
            let line = format!("{swallowed}, for=\"9.9.9.9:80\"");
            address(&[("forwarded", &line)], "10.0.0.1");
        }
    }

    #[test]
    fn forwarded_is_read_with_its_quotes() {
        let seen = client(&[(
            "forwarded",
            "for=6.6.6.6;host=\"a,b;c\", For=\"[2001:db8::7]:4711\";Proto=HTTPS;host=\"pub.example:8443\", for=10.0.0.7;proto=http",
        )]);
        assert_eq!(seen.address.to_string(), "2001:db8::7");
        assert!(seen.tls);
        assert_eq!(seen.host.unwrap().as_str(), "pub.example:8443");
    }

    #[test]
    fn x_forwarded_for_counts_before_forwarded() {
        address(
            &[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "9.9.9.9")],
            "9.9.9.9",
        );
    }

    #[test]
    fn scheme_and_host_stand_where_the_address_stands() {
        let forged = client(&[
            ("x-forwarded-for", "6.6.6.6, 9.9.9.9"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "evil, good"),
        ]);
        assert!(!forged.tls);
        assert_eq!(forged.host.unwrap().as_str(), "good");
        let alone = client(&[
            ("x-forwarded-for", "9.9.9.9, 10.0.0.7"),
            ("x-forwarded-proto", "https"),
        ]);
        assert!(alone.tls);
        let without_address = client(&[("x-forwarded-proto", "https"), ("host", "h")]);
        assert_eq!(
            (without_address.tls, without_address.host.unwrap().as_str()),
            (true, "h")
        );
        let nonsense = client(&[
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", "a b"),
            ("host", "h"),
        ]);
        assert_eq!(
            (nonsense.tls, nonsense.host.unwrap().as_str()),
            (false, "h")
        );
    }

    #[test]
    fn the_target_of_the_request_counts_before_its_header() {
        let map = headers(&[("host", "other")]);
        let seen =
            TrustedProxies::default().client("1.1.1.1:1".parse().unwrap(), true, Some("h:1"), &map);
        assert_eq!(seen.host.unwrap().as_str(), "h:1");
        assert!(!seen.proxied);
    }

    #[test]
    fn request_ids_are_taken_over_only_when_safe() {
        let id = |value: &str, proxied| {
            request_id(&headers(&[("x-request-id", value)]), proxied).map(str::to_owned)
        };
        assert_eq!(id("abc-1:2/3", true), Some("abc-1:2/3".to_owned()));
        assert_eq!(id("abc", false), None);
        for bad in ["", "a b", "a\"b", "<x>", &"x".repeat(129)] {
            assert_eq!(id(bad, true), None, "{bad}");
        }
    }
}
