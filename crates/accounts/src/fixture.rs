//! Access to the parsers of this crate, for tests that feed them: forms, and tokens without a
//! database behind them.
//!
//! What is called here is what requests go through; nothing is parsed here itself.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, Validation};
use seawall_types::scope::Scopes;
use seawall_types::{CredentialId, PrincipalId, Result, Secret};

use crate::api::form::Form;
use crate::tokens::{key_named_in, prove, validation};

/// The values of `name` in a form, as `get` and `all` give them.
pub fn form(body: &[u8], name: &str) -> Result<(Result<Option<Secret>>, Vec<Secret>)> {
    let form = Form::parse(body)?;
    let all = form.all(name).cloned().collect();
    Ok((form.get(name).map(Option::<&Secret>::cloned), all))
}

/// What a token was found to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenContents {
    /// Whom it was issued to.
    pub subject: Option<(PrincipalId, CredentialId)>,
    /// Its ceiling.
    pub access: Scopes,
}

/// An installation with one key, which is called `k`.
pub struct TestIssuer {
    pair: EcdsaKeyPair,
    verifier: DecodingKey,
    validation: Validation,
}

impl TestIssuer {
    /// An installation of this name; `None` if no key can be made.
    pub fn new(name: &str) -> Option<Self> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).ok()?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).ok()?;
        let verifier = DecodingKey::from_ec_der(pair.public_key().as_ref());
        let validation = validation(name);
        Some(Self {
            pair,
            verifier,
            validation,
        })
    }

    /// Signs any head and any claims whatever with the right key.
    pub fn sign(&self, head: &[u8], claims: &[u8]) -> Option<String> {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(head),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .ok()?;
        Some(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature.as_ref())
        ))
    }

    /// What the token says, if it is one of this installation's. When it is good is not asked here.
    pub fn read(&self, token: &str) -> Option<TokenContents> {
        let kid = key_named_in(token).filter(|kid| kid == "k")?;
        let verified = prove(token, kid, &self.verifier, &self.validation).ok()?;
        let access = Scopes::clone(&verified.access);
        Some(TokenContents {
            subject: verified.subject,
            access,
        })
    }
}
