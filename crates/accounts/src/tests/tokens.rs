//! Tokens that are not ours, not yet or not any more; keys that change.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use seawall_meta::args;
use seawall_types::scope::Action;
use seawall_types::{NamespaceName, Reason, RepositoryName, Result};
use serde_json::{Value, json};

use super::{Fixture, basic};
use crate::credentials;
use crate::keys::{self, KeyRing, SigningKey};

const MINUTE: Duration = Duration::from_mins(1);

impl Fixture {
    /// The installation's signing key, as whoever holds its secret may read it.
    async fn key(&self) -> SigningKey {
        let rows = self
            .operator()
            .sql()
            .all(&keys::store::LOAD, args![])
            .await
            .unwrap();
        SigningKey::read(self.kernel.secrets(), &rows[0]).unwrap()
    }

    /// The claims of a good token.
    async fn claims(&self) -> Value {
        claims_of(&self.token("ann", "repository:ann/app:pull").await)
    }

    async fn refused(&self, token: Result<String, jsonwebtoken::errors::Error>) -> bool {
        let answer = self.bearer(&token.unwrap()).await;
        answer.is_err_and(|error| error.reason == Reason::InvalidToken)
    }
}

fn claims_of(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn head(key: &SigningKey) -> Header {
    Header {
        kid: Some(key.kid.clone()),
        ..Header::new(Algorithm::ES256)
    }
}

fn with(claims: &Value, key: &str, value: impl Into<Value>) -> Value {
    let mut changed = claims.clone();
    changed[key] = value.into();
    changed
}

fn without(claims: &Value, key: &str) -> Value {
    let mut changed = claims.clone();
    changed.as_object_mut().unwrap().remove(key);
    changed
}

#[tokio::test]
async fn only_our_own_signature_counts() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let (key, claims) = (fixture.key().await, fixture.claims().await);
    let sign = |head: &Header| jsonwebtoken::encode(head, &claims, &key.signer);
    assert!(fixture.bearer(&sign(&head(&key)).unwrap()).await.is_ok());

    // Another key under the name of ours, and another name.
    let stranger = EncodingKey::from_ec_der(&pkcs8());
    assert!(
        fixture
            .refused(jsonwebtoken::encode(&head(&key), &claims, &stranger))
            .await
    );
    let other = Header {
        kid: Some("other".into()),
        ..head(&key)
    };
    assert!(fixture.refused(sign(&other)).await);
    assert!(
        fixture
            .refused(sign(&Header {
                kid: None,
                ..head(&key)
            }))
            .await
    );
    assert!(
        fixture
            .refused(sign(&Header {
                typ: Some("JOSE".into()),
                ..head(&key)
            }))
            .await
    );
    let critical = Header {
        crit: Some(vec!["exp".into()]),
        ..head(&key)
    };
    assert!(fixture.refused(sign(&critical)).await);

    // The public key taken for a shared secret.
    let public = key.verifier.try_get_as_bytes().unwrap();
    let confused = Header {
        alg: Algorithm::HS256,
        ..head(&key)
    };
    let secret = EncodingKey::from_secret(public);
    assert!(
        fixture
            .refused(jsonwebtoken::encode(&confused, &claims, &secret))
            .await
    );

    // No signature at all, in two spellings.
    let good = sign(&head(&key)).unwrap();
    let payload = good.split('.').nth(1).unwrap();
    for alg in ["none", "NONE"] {
        let head = json!({ "alg": alg, "typ": "JWT", "kid": key.kid }).to_string();
        let token = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(head));
        assert!(fixture.refused(Ok(token)).await);
    }
}

#[tokio::test]
async fn a_key_in_the_head_is_not_believed() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let (key, claims) = (fixture.key().await, fixture.claims().await);
    let pkcs8 = pkcs8();
    let stranger = EncodingKey::from_ec_der(&pkcs8);
    let point = public_point(&pkcs8);
    let (x, y) = (
        URL_SAFE_NO_PAD.encode(&point[1..33]),
        URL_SAFE_NO_PAD.encode(&point[33..]),
    );
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": key.kid });
    let mut head = head(&key);
    head.jwk = Some(serde_json::from_value(jwk).unwrap());
    head.jku = Some("https://stranger.example/keys".into());
    head.x5u = head.jku.clone();
    head.x5c = Some(vec!["MIIB".into()]);
    assert!(
        fixture
            .refused(jsonwebtoken::encode(&head, &claims, &stranger))
            .await
    );
    // Beside our own signature they change nothing.
    let good = jsonwebtoken::encode(&head, &claims, &key.signer).unwrap();
    assert!(fixture.bearer(&good).await.is_ok());
}

#[tokio::test]
async fn every_claim_must_be_right() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let (key, claims) = (fixture.key().await, fixture.claims().await);
    let sign = |claims: &Value| jsonwebtoken::encode(&head(&key), claims, &key.signer);
    assert!(fixture.bearer(&sign(&claims).unwrap()).await.is_ok());
    let now = fixture.kernel.now().seconds();
    for bad in [
        with(&claims, "iss", "somebody"),
        with(&claims, "aud", "somebody"),
        with(&claims, "exp", now - 10),
        with(&claims, "nbf", now + 90),
        with(&claims, "v", 2),
        with(&claims, "pid", 4711),
        with(&claims, "cid", 4711),
        with(&claims, "sub", ""),
        with(&claims, "access", "all"),
        without(&claims, "iss"),
        without(&claims, "aud"),
        without(&claims, "sub"),
        without(&claims, "exp"),
        without(&claims, "nbf"),
        without(&claims, "v"),
        without(&claims, "pid"),
        without(&claims, "cid"),
        without(&claims, "access"),
        json!({}),
    ] {
        assert!(fixture.refused(sign(&bad)).await, "{bad}");
    }
    // A clock that is a little ahead elsewhere is forgiven.
    assert!(
        fixture
            .bearer(&sign(&with(&claims, "nbf", now + 30)).unwrap())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_token_says_who_and_how_far() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let token = fixture.token("ann", "repository:ann/app:pull,push").await;
    let op = fixture.op();
    let actor = fixture
        .verify(&op, &format!("Bearer {token}"))
        .await
        .unwrap();
    assert_eq!(op.cost().snapshot().reads, 1);
    assert_eq!(actor.name(), "ann");
    let name = RepositoryName::parse("ann/app").unwrap();
    assert!(actor.ceiling.admits(&name, Action::Push));
    assert!(!actor.ceiling.admits(&name, Action::Delete));
    assert!(
        !actor
            .ceiling
            .admits(&RepositoryName::parse("ann/b").unwrap(), Action::Pull)
    );
    assert!(!actor.ceiling.admits_catalog());

    let nobody = fixture
        .get("scope=repository:ann/app:pull", None)
        .await
        .text("token");
    let op = fixture.op();
    let actor = fixture
        .verify(&op, &format!("Bearer {nobody}"))
        .await
        .unwrap();
    assert_eq!(op.cost().snapshot().reads, 0);
    assert!(actor.is_anonymous());
    assert!(!actor.ceiling.admits(&name, Action::Pull));
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let token = fixture.token("ann", "repository:ann/app:pull").await;
    fixture.pass(Duration::from_secs(298));
    assert!(fixture.bearer(&token).await.is_ok());
    fixture.pass(Duration::from_secs(10));
    assert_eq!(
        fixture.bearer(&token).await.unwrap_err().reason,
        Reason::InvalidToken
    );
}

#[tokio::test]
async fn a_token_ends_with_its_principal_and_its_password() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let ann = NamespaceName::parse("ann").unwrap();
    let operator = fixture.operator();
    let token = fixture.token("ann", "").await;
    fixture
        .directory
        .set_enabled(&operator, &operator.user(&ann).await.unwrap(), false)
        .await
        .unwrap();
    assert_eq!(
        fixture.bearer(&token).await.unwrap_err().reason,
        Reason::InvalidToken
    );
    fixture
        .directory
        .set_enabled(&operator, &operator.user(&ann).await.unwrap(), true)
        .await
        .unwrap();
    assert!(fixture.bearer(&token).await.is_ok());

    fixture
        .directory
        .set_password(&operator, &operator.user(&ann).await.unwrap(), None)
        .await
        .unwrap();
    assert_eq!(
        fixture.bearer(&token).await.unwrap_err().reason,
        Reason::InvalidToken
    );
    let wrong = fixture.verify(&fixture.op(), &basic("ann")).await;
    assert_eq!(wrong.unwrap_err().reason, Reason::Unauthenticated);
}

#[tokio::test]
async fn old_tokens_outlive_their_key_and_new_keys_are_known_everywhere() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let other = fixture.beside().await;
    let old = fixture.token("ann", "").await;
    fixture
        .directory
        .rotate_keys(
            &fixture.operator(),
            &fixture.operator().installation().unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(
        kid(&fixture.token("ann", "").await),
        kid(&old),
        "a new key signs later"
    );
    fixture.pass(Duration::from_secs(11));
    other.pass(Duration::from_secs(11));
    let new = fixture.token("ann", "").await;
    assert_ne!(kid(&new), kid(&old));
    for fixture in [&fixture, &other] {
        assert!(fixture.bearer(&old).await.is_ok());
        assert!(fixture.bearer(&new).await.is_ok());
    }

    // What the old key signs now is accepted until its last honest token has ended.
    let (key, claims) = (fixture.key().await, claims_of(&new));
    assert_eq!(key.kid, kid(&old));
    let forever = with(&claims, "exp", claims["exp"].as_i64().unwrap() + 100_000);
    let late = jsonwebtoken::encode(&head(&key), &forever, &key.signer).unwrap();
    assert!(fixture.bearer(&late).await.is_ok());
    fixture.pass(7 * MINUTE);
    assert!(fixture.refused(Ok(late)).await);
    keys::rotate_if_old(&fixture.operator(), &crate::Config::default())
        .await
        .unwrap();
    assert_eq!(kid(&fixture.token("ann", "").await), kid(&new));
}

#[tokio::test]
async fn old_keys_are_replaced_by_the_job() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let first = kid(&fixture.token("ann", "").await);
    fixture.pass(Duration::from_hours(31 * 24));
    keys::rotate_if_old(&fixture.operator(), &crate::Config::default())
        .await
        .unwrap();
    fixture.directory.tokens().expire();
    fixture.pass(Duration::from_secs(11));
    assert_ne!(kid(&fixture.token("ann", "").await), first);
}

#[tokio::test]
async fn replicas_that_start_together_accept_each_other() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let (one, two) = tokio::join!(fixture.beside(), fixture.beside());
    assert!(one.bearer(&two.token("ann", "").await).await.is_ok());
    assert!(two.bearer(&one.token("ann", "").await).await.is_ok());
    let empty = KeyRing::new(Vec::new());
    assert!(empty.is_empty());
}

#[tokio::test]
async fn what_has_ended_is_swept_and_what_holds_stays() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let operator = fixture.operator();
    let ann = NamespaceName::parse("ann").unwrap();
    fixture
        .directory
        .set_password(&operator, &operator.user(&ann).await.unwrap(), None)
        .await
        .unwrap();
    assert!(!credentials::sweep(&operator).await.unwrap());
    fixture.pass(Duration::from_hours(8 * 24));
    assert!(credentials::sweep(&operator).await.unwrap());
    assert!(!credentials::sweep(&operator).await.unwrap());
    assert!(
        credentials::by_name(&operator, fixture.directory.known(), "ann")
            .await
            .unwrap()
            .is_some()
    );
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

fn pkcs8() -> Vec<u8> {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .unwrap()
        .as_ref()
        .to_vec()
}

fn public_point(pkcs8: &[u8]) -> Vec<u8> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap();
    pair.public_key().as_ref().to_vec()
}
