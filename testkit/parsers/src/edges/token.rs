//! Bearer tokens: nothing but what the installation signed for itself is believed, whatever head
//! and claims say.

use std::sync::LazyLock;

use seawall_accounts::fixture::TestIssuer;
use serde_json::Value;

use crate::text;

const NAME: &str = "installation";
const HEAD: &[u8] = br#"{"alg":"ES256","typ":"JWT","kid":"k"}"#;
const CLAIMS: &[u8] = br#"{"iss":"installation","aud":"installation","sub":"","exp":9,"nbf":1,"iat":1,"jti":"j","v":1,"access":[]}"#;

static ISSUER: LazyLock<TestIssuer> =
    LazyLock::new(|| TestIssuer::new(NAME).expect("a key can be made"));

/// By the first byte: a whole token without a valid signature, claims that are signed, or a head
/// that is signed.
pub(crate) fn token(bytes: &[u8]) {
    let Some((mode, rest)) = bytes.split_first() else {
        return;
    };
    match mode % 3 {
        0 => {
            if let Some(token) = text(rest) {
                assert_eq!(ISSUER.read(token), None, "forged");
                grafted(token);
            }
        }
        1 => claims(rest),
        _ => head(rest),
    }
}

/// A good token of which one part is another.
fn grafted(part: &str) {
    let good = ISSUER.sign(HEAD, CLAIMS).expect("it can be signed");
    assert!(ISSUER.read(&good).is_some());
    let own: Vec<_> = good.split('.').collect();
    for at in 0..own.len() {
        let mut parts = own.clone();
        parts[at] = part;
        let other = parts.join(".");
        assert!(
            other == good || ISSUER.read(&other).is_none(),
            "part {at} does not matter"
        );
    }
}

fn claims(claims: &[u8]) {
    let token = ISSUER.sign(HEAD, claims).expect("it can be signed");
    let Some(said) = ISSUER.read(&token) else {
        return;
    };
    let value: Value = serde_json::from_slice(claims).expect("claims are JSON");
    assert_eq!(value["iss"], NAME);
    let audience = match &value["aud"] {
        Value::Array(all) => all.contains(&NAME.into()),
        one => *one == NAME,
    };
    assert!(audience && value["v"] == 1);
    assert!(
        value["exp"].is_i64() && value["nbf"].is_i64(),
        "it begins and ends"
    );
    let named = value["sub"].as_str().is_some_and(|name| !name.is_empty());
    assert_eq!(said.subject.is_some(), named);
    if let Some((principal, credential)) = said.subject {
        assert_eq!(
            value["pid"],
            serde_json::to_value(principal).expect("a number")
        );
        assert_eq!(
            value["cid"],
            serde_json::to_value(credential).expect("a number")
        );
    }
    assert!(said.access.len() <= value["access"].as_array().map_or(0, Vec::len));
}

fn head(head: &[u8]) {
    let token = ISSUER.sign(head, CLAIMS).expect("it can be signed");
    if ISSUER.read(&token).is_none() {
        return;
    }
    let value: Value = serde_json::from_slice(head).expect("a head is JSON");
    assert_eq!(value["alg"], "ES256");
    assert_eq!(value["typ"], "JWT");
    assert_eq!(value["kid"], "k");
    assert!(value["crit"].is_null());
}
