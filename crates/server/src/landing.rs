//! The page at `/`: what this is, and how to log in, push and pull, with the host as the caller
//! wrote it.
//!
//! The host is a validated one, so nothing of the request reaches the page but letters, digits,
//! dots, dashes, brackets and a port; it is escaped all the same. No scripts, no images, nothing
//! from elsewhere, and a policy that says so.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use seawall_kernel::http::{Answer, Response};
use seawall_types::host::Host;

/// The page allows itself its own style and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a client is to write before a repository's name, and how it gets there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicEndpoint {
    /// Host and port.
    pub host: String,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl PublicEndpoint {
    /// The endpoint at a host.
    pub fn new(host: &Host, tls: bool) -> Self {
        Self {
            host: host.as_str().to_owned(),
            tls,
        }
    }

    /// Whether docker talks plain HTTP to it without being told to: it does to this machine.
    fn is_local(&self) -> bool {
        let name = self
            .host
            .rsplit_once(':')
            .map_or(self.host.as_str(), |(name, _)| name);
        name == "localhost"
            || name == "[::1]"
            || name
                .parse()
                .is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback())
    }

    /// The lines that log in, push and pull, ready to paste, each with what it is for.
    pub fn lines(&self, user: &str) -> Vec<(&'static str, Vec<String>)> {
        let host = &self.host;
        let image = format!("{host}/{user}/hello:latest");
        let (login, destination, source) = if self.tls {
            ("", "", "")
        } else {
            (
                " --tls-verify=false",
                " --dest-tls-verify=false",
                " --src-tls-verify=false",
            )
        };
        vec![
            (
                "docker",
                vec![
                    format!("docker login {host}"),
                    "docker pull hello-world".to_owned(),
                    format!("docker tag hello-world {image}"),
                    format!("docker push {image}"),
                    format!("docker pull {image}"),
                ],
            ),
            (
                "skopeo",
                vec![
                    format!("skopeo login{login} {host}"),
                    format!(
                        "skopeo copy{destination} docker://docker.io/library/hello-world:latest docker://{image}"
                    ),
                    format!("skopeo copy{source} docker://{image} dir:hello"),
                ],
            ),
        ]
    }

    /// What must be done first where docker would insist on TLS.
    pub fn hint(&self) -> Option<String> {
        (!self.tls && !self.is_local()).then(|| {
            format!(
                "Plain HTTP: docker needs \"insecure-registries\": [\"{}\"] in /etc/docker/daemon.json and a restart.",
                self.host
            )
        })
    }
}

/// The page: HTML for browsers, plain text for the rest.
pub fn page(headers: &HeaderMap, door: &PublicEndpoint) -> Response {
    let html = wants_html(headers);
    let (kind, text) = if html {
        ("text/html; charset=utf-8", as_html(door))
    } else {
        ("text/plain; charset=utf-8", as_text(door))
    };
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Accept, Host"),
    ];
    let mut answer = Answer::new(StatusCode::OK);
    for (name, value) in fixed {
        answer = answer.value(name, HeaderValue::from_static(value));
    }
    // Only browsers heed it, and this is their only page.
    if door.tls {
        let year = HeaderValue::from_static("max-age=31536000");
        answer = answer.value(header::STRICT_TRANSPORT_SECURITY, year);
    }
    answer.fixed(text)
}

/// Browsers name `text/html` first of all; the rest says `*/*` or nothing.
fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|range| {
                let mut parts = range.split(';').map(str::trim);
                let html = parts.next().is_some_and(|kind| {
                    kind.eq_ignore_ascii_case("text/html")
                        || kind.eq_ignore_ascii_case("application/xhtml+xml")
                });
                html && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
            })
        })
}

/// The user's name in the examples.
const USER: &str = "USER";

fn as_text(door: &PublicEndpoint) -> String {
    let mut text = format!(
        "Seawall, a container registry. Its API is at {}/v2/\n",
        door.host
    );
    for (_, lines) in door.lines(USER) {
        text.push('\n');
        for line in lines {
            text.push_str("  ");
            text.push_str(&line);
            text.push('\n');
        }
    }
    if let Some(hint) = door.hint() {
        text.push('\n');
        text.push_str(&hint);
        text.push('\n');
    }
    text
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:4rem auto;padding:0 1.25rem}\
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1rem;margin:2rem 0 .5rem}p{margin:.5rem 0}\
pre{margin:0;padding:1rem;overflow-x:auto;border-radius:.5rem;background:color-mix(in srgb,currentColor 8%,transparent);\
font:.875rem/1.6 ui-monospace,monospace}";

fn as_html(door: &PublicEndpoint) -> String {
    let host = escape(&door.host);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{host} – container registry</title><style>{STYLE}</style></head>\n<body>\n\
         <main><h1>{host}</h1>\n<p>A container registry, served by Seawall. Log in, push and pull with the tool that you have:</p>\n"
    );
    for (tool, lines) in door.lines(USER) {
        let lines = escape(&lines.join("\n"));
        let _ = writeln!(page, "<h2>{tool}</h2>\n<pre><code>{lines}</code></pre>");
    }
    if let Some(hint) = door.hint() {
        let _ = writeln!(page, "<p>{}</p>", escape(&hint));
    }
    page.push_str("</main>\n</body></html>\n");
    page
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn shown(accept: Option<&str>, host: &str, tls: bool) -> (HeaderMap, String) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        let door = PublicEndpoint::new(&Host::parse(host).unwrap(), tls);
        let (head, body) = page(&headers, &door).into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (head.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[tokio::test]
    async fn browsers_get_html_and_others_text() {
        let (headers, html) = shown(Some(BROWSER), "registry.example", true).await;
        assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(
            headers[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'")
        );
        assert!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
        let (plain, _) = shown(Some(BROWSER), "registry.example", false).await;
        assert!(!plain.contains_key(header::STRICT_TRANSPORT_SECURITY));
        assert!(html.contains("docker login registry.example\n"), "{html}");
        assert!(
            !html.contains("tls-verify") && !html.contains("<script"),
            "{html}"
        );
        for accept in [
            None,
            Some("*/*"),
            Some("application/json"),
            Some("text/html;q=0"),
        ] {
            let (headers, text) = shown(accept, "registry.example", true).await;
            assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
            assert!(
                text.contains("  docker push registry.example/USER/hello:latest\n"),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn plain_http_says_what_it_needs() {
        let (_, local) = shown(None, "localhost:5000", false).await;
        assert!(
            local.contains("skopeo login --tls-verify=false localhost:5000"),
            "{local}"
        );
        assert!(!local.contains("insecure-registries"), "{local}");
        for host in ["127.0.0.2:5000", "[::1]:5000"] {
            assert!(
                !shown(None, host, false)
                    .await
                    .1
                    .contains("insecure-registries")
            );
        }
        let (_, remote) = shown(None, "10.1.2.3:5000", false).await;
        assert!(
            remote.contains("\"insecure-registries\": [\"10.1.2.3:5000\"]"),
            "{remote}"
        );
        let (_, html) = shown(Some(BROWSER), "10.1.2.3:5000", false).await;
        assert!(html.contains("&quot;insecure-registries&quot;"), "{html}");
    }
}
