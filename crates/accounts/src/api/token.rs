//! Handing out tokens: what is asked, met with what the subject may do now.
//!
//! Wrong credentials are 401; asking for more than is allowed is no error, it only gives less. What
//! a request says about an account is a hint to people and is not looked at.

use futures::FutureExt;
use http::{StatusCode, header};
use seawall_kernel::auth::Identity;
use seawall_kernel::http::{Answer, Call, Response};
use seawall_kernel::{Ceiling, Op};
use seawall_types::scope::Scopes;
use seawall_types::{Error, Reason, Result, Secret};
use serde::Serialize;

use super::form::Form;
use crate::directory::Directory;
use crate::tokens::{grant, refresh};
use crate::verifier::known;

/// The longest form, in bytes.
pub(super) const MAX_FORM_BYTES: usize = 64 * 1024;

/// The answer; both names of the token are in use.
#[derive(Serialize)]
struct TokenAnswer<'a> {
    token: &'a str,
    access_token: &'a str,
    expires_in: u64,
    issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// What a request wants beside its token.
struct TokenOptions<'a> {
    scopes: Scopes,
    /// A refresh token, for the client of this name, if any are given out here.
    offline: bool,
    client: Option<&'a str>,
    /// Whether the answer says what was granted.
    told: bool,
}

/// `GET /v2/auth` (protocol §13.2). The dispatcher has verified the `Authorization` header.
pub(super) async fn get(directory: &Directory, call: &Call) -> Result<Response> {
    // A token must not be good for the next one, or it would never end.
    if matches!(call.op.actor().ceiling, Ceiling::Scopes(_)) {
        let words = "a token is not exchanged for another; send a user name and a password";
        return Err(Error::new(Reason::Unauthenticated, words));
    }
    let query = call.query();
    let values: Vec<String> = query.form("scope").collect();
    let scopes = grant::parse(values.iter().map(String::as_str))?;
    if call.op.actor().is_anonymous() {
        grant::few(&scopes)?;
    }
    let wanted = TokenOptions {
        scopes,
        offline: query.get("offline_token") == Some("true")
            || query.get("access_type") == Some("offline"),
        client: query.get("client_id"),
        told: false,
    };
    answer(directory, &call.op, &wanted).boxed().await
}

/// `POST /v2/auth` (protocol §13.3). Who asks is in the body.
pub(super) async fn post(directory: &Directory, call: &Call) -> Result<Response> {
    is_form(call)?;
    let form = Form::parse(&call.whole_body().await?)?;
    let grant_type = form.need("grant_type")?.expose();
    // The standard asks for `service` and `client_id`; not all clients send them.
    let client = form.get("client_id")?.map(Secret::expose);
    let scopes = grant::parse(form.all("scope").map(Secret::expose))?;
    let op = call.op.in_lane(grant::lane(&scopes));
    let (identity, may_refresh) = match grant_type {
        "password" => {
            let (user, password) = (form.need("username")?, form.need("password")?);
            (directory.log_in(&op, user.expose(), password).await?, true)
        }
        "refresh_token" => (
            refresh::redeem(&op, form.need("refresh_token")?).await?,
            false,
        ),
        _ => return Err(Error::new(Reason::BadRequest, "unsupported grant_type")),
    };
    let op = op.acting_as(known(identity, Ceiling::Unlimited));
    call.moved_to_lane(&op);
    // Who comes with a refresh token keeps it: it is not made anew at each use.
    let offline = may_refresh
        && form
            .get("access_type")?
            .is_some_and(|value| value.expose() == "offline");
    let wanted = TokenOptions {
        scopes,
        offline,
        client,
        told: true,
    };
    answer(directory, &op, &wanted).boxed().await
}

/// Errors: `BadRequest` for another type of body; a character set beside it is fine.
fn is_form(call: &Call) -> Result<()> {
    let given = call.header(&header::CONTENT_TYPE)?.unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(());
    }
    Err(Error::new(
        Reason::BadRequest,
        "the body must be application/x-www-form-urlencoded",
    ))
}

async fn answer(directory: &Directory, op: &Op, wanted: &TokenOptions<'_>) -> Result<Response> {
    let granted = grant::intersect(op, &wanted.scopes).await?;
    let scope = wanted.told.then(|| granted.to_string());
    let identity = op.actor().identity().map(|identity| &**identity);
    let issued = directory.tokens().issue(op, identity, granted).await?;
    let offline = wanted.offline && directory.tokens().config().refresh_tokens;
    let refresh = match identity.filter(|_| offline) {
        Some(identity) => refresh_token(directory, op, identity, wanted.client).await?,
        None => None,
    };
    let body = TokenAnswer {
        token: &issued.token,
        access_token: &issued.token,
        expires_in: issued.lifetime.as_secs(),
        issued_at: issued.at.to_string(),
        scope,
        refresh_token: refresh.as_ref().map(Secret::expose),
    };
    Answer::new(StatusCode::OK)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .json(&body)
}

/// A refresh token, or none while the database takes no writes: a client that gets none keeps its
/// password, and its login succeeds.
async fn refresh_token(
    directory: &Directory,
    op: &Op,
    identity: &Identity,
    client: Option<&str>,
) -> Result<Option<Secret>> {
    match refresh::issue(op, identity, client, directory.tokens().config()).await {
        Ok(token) => Ok(Some(token)),
        Err(error) if matches!(error.reason, Reason::Unavailable | Reason::StorageFull) => {
            tracing::warn!(%error, "a refresh token could not be stored; the login goes on without one");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
