//! What a conditional push asks of its target as it is (protocol §9.18).

use seawall_types::condition::ETags;
use seawall_types::{Digest, Error, Reason, Result};

/// What must be true of the target before it is written (protocol §9.18).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// `If-Match`.
    pub(crate) if_match: Option<ETags>,
    /// `If-None-Match`.
    pub(crate) if_none_match: Option<ETags>,
}

impl Conditions {
    /// Errors: `Precondition`, if the target as it is now does not meet them.
    pub(crate) fn check(&self, current: Option<&Digest>) -> Result<()> {
        let current = current.map(Digest::to_string);
        let current = current.as_deref();
        let met = self
            .if_match
            .as_ref()
            .is_none_or(|tags| tags.if_match(current))
            && self
                .if_none_match
                .as_ref()
                .is_none_or(|tags| tags.if_none_match(current));
        if met {
            return Ok(());
        }
        Err(Error::new(
            Reason::Precondition,
            "the target is not what the request expects",
        ))
    }
}

#[cfg(test)]
mod tests {
    use seawall_types::Algorithm;

    use super::*;

    #[test]
    fn conditions_are_about_the_target_as_it_is() {
        let (here, other) = (
            Digest::of(Algorithm::Sha256, b"a"),
            Digest::of(Algorithm::Sha256, b"b"),
        );
        let tags = |digest: &Digest| ETags::parse(&format!("\"{digest}\"")).unwrap();
        let absent = Conditions {
            if_none_match: ETags::parse("*").ok(),
            ..Conditions::default()
        };
        assert!(absent.check(None).is_ok());
        assert_eq!(
            absent.check(Some(&here)).unwrap_err().reason,
            Reason::Precondition
        );
        let same = Conditions {
            if_match: Some(tags(&here)),
            ..Conditions::default()
        };
        assert!(same.check(Some(&here)).is_ok());
        assert!(same.check(Some(&other)).is_err() && same.check(None).is_err());
        assert!(Conditions::default().check(None).is_ok());
    }
}
