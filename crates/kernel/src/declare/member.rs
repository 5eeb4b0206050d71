//! What the members of every open set have in common, for the checks.

use seawall_types::permission::RepositoryKind;

/// Something that crates declare: a member of an open set.
pub trait Member: Copy {
    /// What a member is called in errors: "change kind".
    const SET: &'static str;

    /// Its stored number, from 1 on; `None` in a set whose members have only names.
    fn number(&self) -> Option<i64>;

    /// Its name; stored or shown, and never two of one name in a set.
    fn name(&self) -> &'static str;
}

impl Member for RepositoryKind {
    const SET: &'static str = "repository kind";

    fn number(&self) -> Option<i64> {
        Some(self.code())
    }

    fn name(&self) -> &'static str {
        Self::name(*self)
    }
}
