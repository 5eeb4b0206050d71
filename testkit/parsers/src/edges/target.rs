//! Paths, queries, pages and forms: nothing is decoded twice, nothing gets lost, and what a page
//! links to leads on.

use std::sync::LazyLock;

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use seawall_accounts::fixture;
use seawall_kernel::http::{Query, Response, Route, RouteTable};
use seawall_types::lane::Lane;
use seawall_types::link;
use seawall_types::page::{MAX_LAST_BYTES, Page};

use crate::text;

const PATTERNS: &[&str] = &[
    "/v2/",
    "/v2/auth",
    "/v2/_catalog",
    "/v2/{name...}/tags/list",
    "/v2/{name...}/manifests/{reference}",
    "/v2/{name...}/blobs/{digest}",
    "/v2/{name...}/blobs/uploads/",
    "/v2/{name...}/blobs/uploads/{session}",
    "/v2/{name...}/referrers/{digest}",
];

/// The table of all patterns; making it draws on no request.
static TABLE: LazyLock<RouteTable> = LazyLock::new(|| {
    let routes = PATTERNS.iter().map(|pattern| {
        let nothing = |_| std::future::ready(Ok(Response::default()));
        Route::get("pattern", pattern)
            .lane(Lane::Listing)
            .handler(nothing)
    });
    RouteTable::new(routes, []).expect("patterns that can be served together")
});

/// A pattern with its parameters filled in is the path again, byte by byte, so no part of a path is
/// overlooked.
pub(crate) fn paths(bytes: &[u8]) {
    let Some(path) = text(bytes) else { return };
    let Some((route, params)) = TABLE.lookup(&Method::GET, path) else {
        return;
    };
    for (name, value) in &params {
        assert!(!value.is_empty());
        assert!(
            *name == "name" || !value.contains('/'),
            "only a name spans slashes"
        );
    }
    let built = route.example_path(|name| {
        let (_, value) = params.iter().find(|(known, _)| *known == name)?;
        Some((*value).to_owned())
    });
    assert_eq!(built, path);
}

/// Queries and the page that they ask for.
pub(crate) fn query(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(query) = Query::parse(text) else {
        return;
    };
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        assert!(query.all(&name).any(|own| own == value));
        let spaced = value.replace('+', " ");
        assert!(query.form(&name).any(|own| own == spaced));
    }
    let (n, last) = (query.get("n"), query.get("last"));
    let Ok(page) = Page::parse(n, last) else {
        return;
    };
    assert!(page.limit(100, 1000) <= 1000);
    let Some(last) = &page.last else { return };
    assert!(last.len() <= MAX_LAST_BYTES && !last.chars().any(char::is_control));
    linked(last);
}

/// The link to the next page holds nothing that ends it early, and leads to the page that was
/// meant.
fn linked(last: &str) {
    let link = link::next("/v2/_catalog", &[("n", "7"), ("last", last)]);
    assert!(link.bytes().all(|b| (b' '..0x7f).contains(&b)));
    let inside = link
        .strip_prefix("</v2/_catalog?")
        .and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
    let inside = inside.expect("the frame of a link");
    assert!(!inside.contains(['<', '>', '"', ';', ' ']));
    let query = Query::parse(inside).expect("a query of ours");
    let page = Page::parse(query.get("n"), query.get("last")).expect("a page of ours");
    assert_eq!((page.n, page.last.as_deref()), (Some(7), Some(last)));
}

fn decoded(text: &str) -> String {
    percent_decode_str(text)
        .decode_utf8()
        .expect("it was taken")
        .into_owned()
}

/// Forms, read for the name `password`.
pub(crate) fn form(bytes: &[u8]) {
    let Ok((one, all)) = fixture::form(bytes, "password") else {
        return;
    };
    match (one, all.as_slice()) {
        (Ok(Some(one)), [only]) => assert_eq!(one.expose(), only.expose()),
        (Ok(None), []) | (Err(_), [_, _, ..]) => {}
        (Ok(None), [only]) => assert!(only.is_empty()),
        (one, all) => panic!("{one:?} of {all:?}"),
    }
    // Whatever a password is, it arrives.
    for secret in all {
        let body = format!(
            "password={}",
            utf8_percent_encode(secret.expose(), NON_ALPHANUMERIC)
        );
        let (one, _) = fixture::form(body.as_bytes(), "password").expect("a form of ours");
        let one = one
            .expect("it is there once")
            .map(|one| one.expose().to_owned());
        assert_eq!(one.unwrap_or_default(), secret.expose());
    }
}
