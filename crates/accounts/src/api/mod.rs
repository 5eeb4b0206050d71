//! The token service over HTTP: `GET` and `POST /v2/auth` (protocol §13.2, §13.3).

pub(crate) mod form;
mod token;

use std::sync::Arc;

use http::request::Parts;
use seawall_kernel::http::{LaneRule, Query, Route, RouteAccess};
use seawall_types::lane::Lane;

use crate::directory::Directory;
use crate::tokens::grant;

pub(crate) const PATH: &str = "/v2/auth";

/// The routes of the token service.
pub(crate) fn routes(directory: &Arc<Directory>) -> [Route; 2] {
    [
        Route::get("token.get", PATH)
            .lane(LaneRule::Of(lane))
            .access(RouteAccess::Anyone)
            .without_head()
            .summary("Gives out a token for the scopes that are asked for and allowed.")
            .query_param(
                "service",
                "The service, as the challenge names it.",
                "registry",
            )
            .query_param(
                "scope",
                "What the token is for.",
                "repository:library/hello:pull",
            )
            .to(directory, |directory, call| async move {
                token::get(&directory, &call).await
            }),
        // What it asks for is in its body; it is narrowed once that is read.
        Route::post("token.post", PATH)
            .lane(Lane::Interactive)
            .access(RouteAccess::Anyone)
            .body_limit(token::MAX_FORM_BYTES)
            .summary("Gives out a token for a password or a refresh token (OAuth 2).")
            .to(directory, |directory, call| async move {
                token::post(&directory, &call).await
            }),
    ]
}

/// The lane of a GET. What is malformed will be refused, in whichever lane.
fn lane(parts: &Parts) -> Lane {
    let query = Query::parse(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let values: Vec<String> = query.form("scope").collect();
    let scopes = grant::parse(values.iter().map(String::as_str));
    scopes.map_or(Lane::Interactive, |scopes| grant::lane(&scopes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_only_pulls_goes_with_the_pulls() {
        let of = |uri: &str| {
            lane(
                &http::Request::get(uri)
                    .body(())
                    .map(|request| request.into_parts().0)
                    .unwrap(),
            )
        };
        assert_eq!(of("/v2/auth?service=x"), Lane::Interactive);
        assert_eq!(of("/v2/auth?scope=repository:a/b:pull"), Lane::Pull);
        assert_eq!(
            of("/v2/auth?scope=repository:a/b:pull+repository:c:pull"),
            Lane::Pull
        );
        assert_eq!(
            of("/v2/auth?scope=repository:a/b:pull&scope=repository:c:push"),
            Lane::Push
        );
        assert_eq!(of("/v2/auth?scope=nonsense"), Lane::Interactive);
        assert_eq!(of("/v2/auth?scope=%"), Lane::Interactive);
    }
}
