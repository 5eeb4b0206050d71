//! `GET /v2/`: whether this is a registry, and whether the caller's credentials are good
//! (protocol §1.1, §1.3, §1.4).

use std::sync::Arc;

use http::{StatusCode, header};
use seawall_kernel::http::{Call, Response, Route, RouteAccess};
use seawall_kernel::{Actor, Ceiling};
use seawall_types::{Error, Lane, Reason, Result};

use super::answer::Answer;
use crate::Content;

pub(super) fn routes(content: &Arc<Content>) -> Vec<Route> {
    // The challenge of this route names no scope.
    ["/v2/", "/v2"]
        .map(|path| {
            Route::get("base", path)
                .lane(Lane::Pull)
                .access(RouteAccess::Anyone)
                .summary(
                    "Says that the registry speaks the protocol, and whether the caller is known.",
                )
                .to(content, base)
        })
        .into()
}

async fn base(_: Arc<Content>, call: Call) -> Result<Response> {
    if !is_welcome(call.op.actor()) {
        return Err(Error::new(
            Reason::Unauthenticated,
            "authentication required",
        ));
    }
    let answer = Answer::new(StatusCode::OK)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store");
    answer.whole(call.method(), "{}")
}

/// A caller without credentials is asked for them, even where the public may be pulled by all: a
/// client that is not asked here drops the credentials that it has, and its pushes fail later
/// (§1.4). Any valid token will do, an anonymous one without any scope as well.
pub(super) fn is_welcome(actor: &Actor) -> bool {
    !actor.is_anonymous() || matches!(actor.ceiling, Ceiling::Scopes(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_types::scope::Scopes;

    #[test]
    fn an_anonymous_token_is_welcome_and_nothing_is_not() {
        assert!(!is_welcome(&Actor::anonymous()));
        let ceiling = Ceiling::Scopes(Arc::new(Scopes::none()));
        assert!(is_welcome(&Actor {
            ceiling,
            ..Actor::anonymous()
        }));
        assert!(is_welcome(&Actor::operator()));
    }
}
