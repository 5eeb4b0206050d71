//! The values that are bound to the parameters of a statement.
//!
//! Three types exist at this border: 64-bit integers, text and bytes; each may
//! be null, and a null knows its type, since PostgreSQL asks for it.

use std::time::Duration;

use seawall_types::digest::Digest;
use seawall_types::ids::{
    ChangeId, CredentialId, EventId, JobId, NamespaceId, PrincipalId, RepositoryId,
};
use seawall_types::tag::Tag;
use seawall_types::time::Millis;

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// Integers, booleans (0 or 1), times in milliseconds, ids, codes of small enums.
    Int(Option<i64>),
    /// Text.
    Text(Option<String>),
    /// Bytes, digests among them.
    Bytes(Option<Vec<u8>>),
    /// The values of a sized statement, see [`list`].
    List(Vec<Arg>),
}

/// The arguments of one execution, made by [`args!`](crate::args).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args(pub Vec<Arg>);

/// The arguments of a statement in the order of their numbers: anything that is `Into<Arg>`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { $crate::Args(vec![$($crate::Arg::from($value)),*]) };
}

/// The values of one list argument of a sized statement. All lists of one execution must be equally
/// long.
pub fn list<I>(values: I) -> Arg
where
    I: IntoIterator,
    I::Item: Into<Arg>,
{
    Arg::List(values.into_iter().map(Into::into).collect())
}

impl Args {
    /// The length of the list arguments, `None` when there are none.
    pub(crate) fn list_len(&self) -> Result<Option<usize>, String> {
        let mut length = None;
        for arg in &self.0 {
            if let Arg::List(values) = arg {
                if length.is_some_and(|known| known != values.len()) {
                    return Err("list arguments differ in length".into());
                }
                length = Some(values.len());
            }
        }
        Ok(length)
    }

    /// The same arguments with `len` values of each list from `start` on.
    pub(crate) fn slice(&self, start: usize, len: usize) -> Self {
        let cut = |arg: &Arg| match arg {
            Arg::List(values) => Arg::List(values.iter().skip(start).take(len).cloned().collect()),
            other => other.clone(),
        };
        Self(self.0.iter().map(cut).collect())
    }
}

macro_rules! from {
    ($variant:ident: $($type:ty => |$value:ident| $convert:expr),* $(,)?) => {$(
        impl From<$type> for Arg {
            fn from($value: $type) -> Self { Self::$variant(Some($convert)) }
        }
        impl From<Option<$type>> for Arg {
            fn from(value: Option<$type>) -> Self { Self::$variant(value.map(|$value| $convert)) }
        }
    )*};
}

from! { Int:
    i64 => |v| v,
    i32 => |v| i64::from(v),
    u32 => |v| i64::from(v),
    u8 => |v| i64::from(v),
    // Sizes and counts beyond 2^63 do not exist; saturating keeps comparisons right.
    u64 => |v| i64::try_from(v).unwrap_or(i64::MAX),
    usize => |v| i64::try_from(v).unwrap_or(i64::MAX),
    bool => |v| i64::from(v),
    Millis => |v| v.0,
    // In milliseconds, the unit of all stored times; longer than 2^63 of them saturates.
    Duration => |v| i64::try_from(v.as_millis()).unwrap_or(i64::MAX),
    PrincipalId => |v| v.get(),
    CredentialId => |v| v.get(),
    NamespaceId => |v| v.get(),
    RepositoryId => |v| v.get(),
    JobId => |v| v.get(),
    EventId => |v| v.get(),
    ChangeId => |v| v.get(),
}

from! { Text:
    &str => |v| v.to_owned(),
    String => |v| v,
    &String => |v| v.clone(),
    Tag => |v| v.as_str().to_owned(),
    &Tag => |v| v.as_str().to_owned(),
}

from! { Bytes:
    &[u8] => |v| v.to_vec(),
    Vec<u8> => |v| v,
    &Vec<u8> => |v| v.clone(),
    Digest => |v| v.to_bytes(),
    &Digest => |v| v.to_bytes(),
}

impl From<&Arg> for Arg {
    fn from(value: &Arg) -> Self {
        value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_keep_their_type() {
        assert_eq!(Arg::from(None::<i64>), Arg::Int(None));
        assert_eq!(Arg::from(None::<&str>), Arg::Text(None));
        assert_eq!(Arg::from(None::<Vec<u8>>), Arg::Bytes(None));
        assert_eq!(Arg::from(true), Arg::Int(Some(1)));
    }

    #[test]
    fn a_duration_is_whole_milliseconds_and_saturates() {
        let cases = [
            (Duration::from_micros(1_999), 1),
            (Duration::from_secs(30), 30_000),
            (Duration::MAX, i64::MAX),
        ];
        for (duration, milliseconds) in cases {
            assert_eq!(Arg::from(duration), Arg::Int(Some(milliseconds)));
        }
        assert_eq!(Arg::from(None::<Duration>), Arg::Int(None));
    }

    #[test]
    fn lists_must_agree() {
        assert_eq!(args![1_i64].list_len(), Ok(None));
        assert_eq!(
            args![list([1_i64, 2]), list(["a", "b"])].list_len(),
            Ok(Some(2))
        );
        assert!(args![list([1_i64, 2]), list(["a"])].list_len().is_err());
    }
}
