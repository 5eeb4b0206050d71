//! Refresh tokens: long-lived, opaque, rows in the database, good at the token service only.
//!
//! One holds its row's id and 256 random bits; the row holds their SHA-256. It ends with the
//! password it was made from, and when its principal is disabled. A principal has so many at most:
//! with each one more the oldest goes, in the same transaction, so that no client that asks again
//! and again grows the table.

use std::time::Duration;

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use seawall_kernel::Op;
use seawall_kernel::auth::{CredentialKind, Identity, ManageCredentials};
use seawall_kernel::catalog::principals;
use seawall_meta::args;
use seawall_types::{CredentialId, Error, Reason, Result, Secret};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::credentials::{self, store};

const ID_BYTES: usize = 8;
const RANDOM_BYTES: usize = 32;
const TOKEN_BYTES: usize = ID_BYTES + RANDOM_BYTES;

/// The longest note of the client that asked, in bytes.
const LABEL_BYTES: usize = 128;

/// A principal has so many rows of them at most, ended ones among them.
pub(crate) const MOST: i64 = 100;

/// When one was used is known to the day.
const DAY: Duration = Duration::from_hours(24);
/// Noting it may take so long; then the login goes on without.
const NOTING: Duration = Duration::from_secs(1);

/// Makes a refresh token for the user who acts, who has just proved themselves by a password.
/// `client` is what they call their program. Costs one read and one write.
///
/// Errors: `Unauthenticated` if the password was changed in the meantime; those of [`Op::account`].
pub(crate) async fn issue(
    op: &Op,
    identity: &Identity,
    client: Option<&str>,
    config: &Config,
) -> Result<Secret> {
    let mut random = Zeroizing::new([0u8; RANDOM_BYTES]);
    op.kernel().random().fill(&mut *random);
    let lifetime = i64::try_from(config.refresh_lifetime().as_millis()).unwrap_or(i64::MAX / 4);
    let hash = hash(&*random);
    let user = op.account::<ManageCredentials>()?;
    let input = (user, identity.credential, hash, client.map(label), lifetime);
    let made = op.transaction(
        input,
        |tx, _op, (user, credential, hash, label, lifetime)| {
            Box::pin(async move {
                let id = user.id();
                let arguments = args![id, *credential];
                if tx.optional(&store::USABLE_LOCK, arguments).await?.is_none() {
                    let words = "the password was changed a moment ago";
                    return Err(Error::new(Reason::Unauthenticated, words));
                }
                let arguments = args![id, store::REFRESH, MOST - 1];
                if let Some(row) = tx.optional(&store::NTH_NEWEST, arguments).await? {
                    let oldest = row.id(0)?;
                    let arguments = args![id, store::REFRESH, oldest];
                    tx.execute(&store::REMOVE_UP_TO, arguments).await?;
                    // The tokens that were got by it end as well.
                    principals::alter(tx, user, Some(oldest)).await?;
                }
                let label = label.as_deref();
                let arguments = args![id, store::REFRESH, hash, label, *lifetime];
                Ok(tx.insert(&store::INSERT, arguments).await?)
            })
        },
    );
    Ok(write(made.await?, &random))
}

/// Who holds `token`, if it is good now. Errors: `Unauthenticated`. One read, and a write a day.
pub(crate) async fn redeem(op: &Op, token: &Secret) -> Result<Identity> {
    let refusal = || {
        Error::new(
            Reason::Unauthenticated,
            "the refresh token is not valid (any more)",
        )
    };
    let (id, random) = read(token).ok_or_else(refusal)?;
    let standing = credentials::by_id(op, id).await?.filter(|standing| {
        standing.is_refresh()
            && standing.holds(op.now())
            && constant_time::verify_slices_are_equal(&standing.secret, &hash(&random)).is_ok()
    });
    let standing = standing.ok_or_else(refusal)?;
    let known = standing.last_used_at;
    if known.is_none_or(|last| last + DAY <= op.now()) {
        record_use(op, standing.credential()).await;
    }
    Ok(standing.identity(CredentialKind::Refresh))
}

/// Notes that a token was used. That it is not noted, where the database takes no writes or takes
/// them slowly, stops no login.
async fn record_use(op: &Op, id: CredentialId) {
    let day = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX / 4);
    let noting = op.transaction((id, day), |tx, _op, (id, day)| {
        Box::pin(async move { Ok(tx.execute(&store::USED, args![*id, *day]).await?) })
    });
    if let Ok(Err(error)) = timeout(NOTING, noting).await {
        tracing::debug!(%error, "the use of a refresh token could not be recorded");
    }
}

fn hash(random: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, random).as_ref().to_vec()
}

fn write(id: i64, random: &[u8; RANDOM_BYTES]) -> Secret {
    let mut bytes = Zeroizing::new(id.to_be_bytes().to_vec());
    bytes.extend_from_slice(random);
    Secret::new(URL_SAFE_NO_PAD.encode(&*bytes))
}

fn read(token: &Secret) -> Option<(CredentialId, Zeroizing<Vec<u8>>)> {
    // Nothing longer is decoded at all.
    let text = Some(token.expose()).filter(|text| text.len() <= TOKEN_BYTES * 4 / 3 + 1)?;
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
    let (id, random) = bytes.split_first_chunk::<ID_BYTES>()?;
    let id = CredentialId::from(i64::from_be_bytes(*id));
    (random.len() == RANDOM_BYTES).then(|| (id, Zeroizing::new(random.to_vec())))
}

/// What a client calls itself, made harmless.
fn label(client: &str) -> String {
    let visible = client.chars().filter(|letter| !letter.is_control());
    let mut bytes = 0;
    visible
        .take_while(|letter| {
            bytes += letter.len_utf8();
            bytes <= LABEL_BYTES
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_its_row_and_its_bits() {
        let random = [9; RANDOM_BYTES];
        let token = write(77, &random);
        assert_eq!(token.expose().len(), 54);
        let (id, bits) = read(&token).unwrap();
        assert_eq!((id.get(), bits.as_slice()), (77, random.as_slice()));
    }

    #[test]
    fn other_texts_lead_nowhere() {
        let token = write(77, &[9; RANDOM_BYTES]);
        let long = format!("{}AAAA", token.expose());
        for text in [
            "",
            "x",
            "eyJhbGciOiJFUzI1NiJ9.e30.x",
            &token.expose()[1..],
            &long,
        ] {
            assert!(read(&Secret::new(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn labels_are_short_and_harmless() {
        assert_eq!(label("dock\ner"), "docker");
        assert_eq!(label(&"é".repeat(200)).len(), LABEL_BYTES);
    }
}
