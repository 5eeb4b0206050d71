//! The `Authorization` header: Basic (RFC 7617) and Bearer (RFC 6750).
//!
//! Parsing proves nothing; it only says what the client claims. The password and the token are
//! [`Secret`]s from the first moment.

use std::fmt;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::error::{Error, Reason};
use crate::secret::Secret;

/// The longest encoded credentials of Basic, in bytes.
pub const MAX_BASIC_BYTES: usize = 4 * 1024;

/// The longest token of Bearer, in bytes.
pub const MAX_BEARER_BYTES: usize = 8 * 1024;

/// Some clients leave out the padding; decoding it costs nothing and is unambiguous.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Who a client claims to be.
#[derive(Clone)]
pub enum Credentials {
    /// Anonymous: Basic with an empty user and an empty password, which some clients send instead
    /// of nothing.
    Anonymous,
    /// A user name and a password.
    Basic {
        /// The user name: anything but a colon or a control character; possibly empty.
        user: String,
        /// The password, robot token or API token.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}

/// Why an `Authorization` header was refused. None of the texts repeats what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Neither Basic nor Bearer.
    #[error("only Basic and Bearer authorization are understood")]
    Scheme,
    /// Not the base64 of `user:password`, or not a token.
    #[error("the authorization header is malformed")]
    Malformed,
    /// Longer than the limit.
    #[error("the authorization header is too long")]
    TooLong,
}

impl From<CredentialsError> for Error {
    fn from(error: CredentialsError) -> Self {
        Self::new(Reason::InvalidToken, error.to_string())
    }
}

impl Credentials {
    /// Parses the value of an `Authorization` header.
    pub fn parse(header: &str) -> Result<Self, CredentialsError> {
        let header = header.trim_matches(' ');
        let (scheme, value) = header.split_once(' ').unwrap_or((header, ""));
        let value = value.trim_start_matches(' ');
        if scheme.eq_ignore_ascii_case("basic") {
            parse_basic(value)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            parse_bearer(value)
        } else {
            Err(CredentialsError::Scheme)
        }
    }
}

fn parse_basic(value: &str) -> Result<Credentials, CredentialsError> {
    if value.len() > MAX_BASIC_BYTES {
        return Err(CredentialsError::TooLong);
    }
    let bytes = BASE64
        .decode(value)
        .map_err(|_| CredentialsError::Malformed)?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => Secret::new(text),
        Err(error) => {
            // Hold the bytes as a secret as well, so that they are erased.
            drop(Secret::new(String::from_utf8_lossy(error.as_bytes())));
            return Err(CredentialsError::Malformed);
        }
    };
    // RFC 7617: the user has no colon, the password may; neither has control characters.
    let (user, password) = text
        .expose()
        .split_once(':')
        .ok_or(CredentialsError::Malformed)?;
    if text.expose().chars().any(char::is_control) {
        return Err(CredentialsError::Malformed);
    }
    if user.is_empty() && password.is_empty() {
        return Ok(Credentials::Anonymous);
    }
    Ok(Credentials::Basic {
        user: user.to_owned(),
        password: Secret::new(password),
    })
}

/// `b64token` of RFC 6750 §2.1, which is `token68` of RFC 9110.
fn parse_bearer(value: &str) -> Result<Credentials, CredentialsError> {
    if value.len() > MAX_BEARER_BYTES {
        return Err(CredentialsError::TooLong);
    }
    let body = value.trim_end_matches('=');
    let is_token_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    if body.is_empty() || !body.bytes().all(is_token_byte) {
        return Err(CredentialsError::Malformed);
    }
    Ok(Credentials::Bearer(Secret::new(value)))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { user, password } => f
                .debug_struct("Basic")
                .field("user", user)
                .field("password", password)
                .finish(),
            Self::Bearer(token) => f.debug_tuple("Bearer").field(token).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn basic(text: &str) -> Result<Credentials, CredentialsError> {
        Credentials::parse(&format!("Basic {}", STANDARD.encode(text)))
    }

    fn user_and_password(credentials: &Credentials) -> (&str, &str) {
        match credentials {
            Credentials::Basic { user, password } => (user, password.expose()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn basic_splits_at_the_first_colon() {
        assert_eq!(
            user_and_password(&basic("ann:a:b").unwrap()),
            ("ann", "a:b")
        );
        assert_eq!(
            user_and_password(&basic("acme+ci:").unwrap()),
            ("acme+ci", "")
        );
        assert_eq!(user_and_password(&basic(":x").unwrap()), ("", "x"));
        assert_eq!(
            user_and_password(&basic("ännchen:пароль").unwrap()),
            ("ännchen", "пароль")
        );
        assert!(matches!(
            Credentials::parse("basic   YTpi"),
            Ok(Credentials::Basic { .. })
        ));
    }

    #[test]
    fn empty_user_and_password_are_nobody() {
        assert!(matches!(
            Credentials::parse("Basic Og=="),
            Ok(Credentials::Anonymous)
        ));
        assert!(matches!(
            Credentials::parse("Basic Og"),
            Ok(Credentials::Anonymous)
        ));
    }

    #[test]
    fn malformed_headers_are_refused() {
        for header in [
            "Basic",
            "Basic ",
            "Basic !",
            "Basic YQ==",
            "Basic Og==x",
            "Basic Og== Og==",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a\"b",
            "Bearer ==",
            "Bearer a=b",
        ] {
            assert_eq!(
                Credentials::parse(header).unwrap_err(),
                CredentialsError::Malformed,
                "{header}"
            );
        }
        assert_eq!(basic("a\n:b").unwrap_err(), CredentialsError::Malformed);
        assert_eq!(basic("a:b\0").unwrap_err(), CredentialsError::Malformed);
        let latin1 = format!("Basic {}", STANDARD.encode([0xe4, b':', 0xe4]));
        assert_eq!(
            Credentials::parse(&latin1).unwrap_err(),
            CredentialsError::Malformed
        );
        for header in ["", "Digest x", "Basicx Og==", "Negotiate"] {
            assert_eq!(
                Credentials::parse(header).unwrap_err(),
                CredentialsError::Scheme,
                "{header}"
            );
        }
    }

    #[test]
    fn lengths_are_limited() {
        let token = |length| format!("Bearer {}", "a".repeat(length));
        assert!(Credentials::parse(&token(MAX_BEARER_BYTES)).is_ok());
        assert_eq!(
            Credentials::parse(&token(MAX_BEARER_BYTES + 1)).unwrap_err(),
            CredentialsError::TooLong
        );
        assert!(basic(&format!("a:{}", "b".repeat(3000))).is_ok());
        assert_eq!(
            basic(&format!("a:{}", "b".repeat(3072))).unwrap_err(),
            CredentialsError::TooLong
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", basic("ann:hunter2").unwrap());
        assert_eq!(shown, "Basic { user: \"ann\", password: Secret(…) }");
        assert_eq!(
            format!("{:?}", Credentials::parse("Bearer abc").unwrap()),
            "Bearer(Secret(…))"
        );
    }

    proptest! {
        #[test]
        fn basic_leads_back(user in "[^:\\pC]{1,20}", password in "[^\\pC]{0,20}") {
            let parsed = basic(&format!("{user}:{password}")).unwrap();
            prop_assert_eq!(user_and_password(&parsed), (user.as_str(), password.as_str()));
        }

        #[test]
        fn nothing_panics(text in "(Basic |Bearer )?\\PC{0,60}") {
            let _ = Credentials::parse(&text);
        }
    }
}
