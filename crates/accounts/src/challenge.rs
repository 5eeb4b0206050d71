//! The challenge of a refused request: where a token for it is given out (protocol §13.1).
//!
//! It names the scopes that the route needs, whatever the method, and never says whether what it
//! names exists.

use seawall_kernel::Op;
use seawall_kernel::auth::{ActKind, RequestedAccess};
use seawall_types::Reason;
use seawall_types::scope::Action;

use crate::api;

/// The challenge that asks for a bearer token.
pub(crate) fn bearer(op: &Op, wanted: &RequestedAccess, reason: Reason) -> String {
    let scope = match wanted {
        RequestedAccess::Identity => String::new(),
        RequestedAccess::Catalog => ",scope=\"registry:catalog:*\"".to_owned(),
        RequestedAccess::Repository(name, act) => {
            let (name, actions) = (name.as_written(), actions(*act));
            format!(",scope=\"repository:{name}:{actions}\"")
        }
    };
    let wrong = match reason {
        Reason::InvalidToken => ",error=\"invalid_token\"",
        Reason::InsufficientScope => ",error=\"insufficient_scope\"",
        _ => "",
    };
    let (realm, service) = (realm(op), op.kernel().installation());
    format!("Bearer realm=\"{realm}\",service=\"{service}\"{scope}{wrong}")
}

/// The actions that a token needs for the act, in the order that clients know; empty for an act
/// that no scope covers.
const fn actions(act: ActKind) -> &'static str {
    match act.rule().action {
        Some(Action::Pull) => "pull",
        Some(Action::Push) => "pull,push",
        Some(Action::Delete) => "delete",
        Some(Action::All) => "*",
        None => "",
    }
}

/// The token endpoint's address: under the configured public address, else under the host that the
/// client used, which was validated when it came in.
fn realm(op: &Op) -> String {
    let path = api::PATH;
    if let Some(url) = &op.kernel().settings().public_url {
        return format!("{}{path}", url.trim_end_matches('/'));
    }
    let scheme = if op.origin().secure { "https" } else { "http" };
    let host = op.origin().host.as_deref().unwrap_or("localhost");
    format!("{scheme}://{host}{path}")
}
