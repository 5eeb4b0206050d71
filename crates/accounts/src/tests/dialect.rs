//! A dialect for tests: it says the neutral reason itself.

use http::StatusCode;
use seawall_kernel::http::{ErrorDialect, RenderedError};
use seawall_types::{Error, Reason};

pub(super) static NEUTRAL: Neutral = Neutral;

pub(super) struct Neutral;

impl ErrorDialect for Neutral {
    fn render(&self, error: &Error) -> RenderedError {
        use Reason as R;
        RenderedError {
            status: match error.reason {
                R::Unauthenticated | R::InvalidToken | R::InsufficientScope => {
                    StatusCode::UNAUTHORIZED
                }
                R::TooMany => StatusCode::TOO_MANY_REQUESTS,
                R::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                R::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
                R::NotFound => StatusCode::NOT_FOUND,
                R::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                R::Internal => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            },
            content_type: "application/json",
            body: serde_json::json!({"reason": error.reason.name()}).to_string(),
        }
    }
}
