//! The token service over HTTP: `GET` and `POST /v2/auth` (distribution §13.2, §13.3).

pub(crate) mod form;
mod token;

use std::sync::Arc;

use http::Method;
use http::request::Parts;
use seawall_kernel::http::{Access, Dialect, LaneRule, Query, Route};
use seawall_types::lane::Lane;

use crate::directory::Directory;
use crate::tokens::grant;

const PATH: &str = "/v2/auth";

/// The routes of the token service.
pub(crate) fn routes(directory: &Arc<Directory>) -> [Route; 2] {
    let (get, post) = (Arc::clone(directory), Arc::clone(directory));
    let said = (Access::Anyone, Dialect::Oci);
    [
        Route::new(
            "token.get",
            (Method::GET, PATH),
            LaneRule::Of(lane),
            said,
            move |call| {
                let directory = Arc::clone(&get);
                async move { token::get(&directory, &call).await }
            },
        ),
        // What it asks for is in its body; it is narrowed once that is read.
        Route::new(
            "token.post",
            (Method::POST, PATH),
            Lane::Interactive,
            said,
            move |call| {
                let directory = Arc::clone(&post);
                async move { token::post(&directory, &call).await }
            },
        ),
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
