//! What holds for every parser of outside bytes, whatever the bytes are.
//!
//! Each check is a function of bytes that panics where a parser breaks its word: not only by
//! panicking itself, but by accepting what its grammar (written down here a second time, as a
//! regular expression or as a reader of our own) refuses, by losing on the way out and back what it
//! took in, or by passing its limits. `fuzz/` feeds them what a fuzzer invents (`make fuzz`); the
//! tests of this crate feed them the seeds and everything that ever failed.
//!
//! Nothing here may depend on anything but its bytes: an input that failed must fail again.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a check that does not hold panics: that is what it is for"
)]

mod edges;
mod words;

/// A check: it panics when what it stands for does not hold for these bytes.
pub type ParserCheck = fn(&[u8]);

/// Every check under the name of its fuzz target.
pub const ALL: &[(&str, ParserCheck)] = &[
    ("names", words::name::names),
    ("digest", words::name::digest),
    ("media_type", words::header::media_type),
    ("host", words::header::host),
    ("range", words::header::range),
    ("content_range", words::header::content_range),
    ("conditions", words::header::conditions),
    ("authorization", words::header::authorization),
    ("scopes", words::scope::scopes),
    ("manifest", words::manifest::manifest),
    ("paths", edges::target::paths),
    ("query", edges::target::query),
    ("form", edges::target::form),
    ("proxy", edges::proxy::proxy),
    ("token", edges::token::token),
    ("upload_state", edges::kept::upload_state),
    ("configuration", edges::kept::configuration),
];

/// Runs one check.
pub fn check(name: &str, bytes: &[u8]) {
    let found = ALL.iter().find(|(known, _)| *known == name);
    let (_, check) = found.unwrap_or_else(|| panic!("there is no check {name}"));
    check(bytes);
}

/// The bytes as text, if they are one.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A value comes back from JSON as it went in.
fn survives_json<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let json = serde_json::to_string(value).expect("it can be written");
    let back: T = serde_json::from_str(&json).expect("what was written can be read");
    assert_eq!(&back, value);
}
