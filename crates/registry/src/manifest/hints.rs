//! Hints of an unlocked read about rows that a push is about to write.
//!
//! A hint saves a statement where it is right: the row is inserted without being looked for first.
//! A wrong one costs a run of the transaction more and nothing else, since the insertion must make
//! a row ([`seawall_meta::Expectation::ARow`]) or the transaction is run again.

/// Whether a row is most likely new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Likely {
    /// It was not there a moment ago.
    New,
    /// It was, or nothing is known.
    #[default]
    Unknown,
}

impl Likely {
    /// By whether an unlocked read has seen the row.
    pub(super) fn unless(seen: bool) -> Self {
        if seen { Self::Unknown } else { Self::New }
    }
}

/// The hints of one read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hints {
    /// The one tag that was asked for.
    pub(super) tag: Likely,
    /// The manifest.
    pub(super) manifest: Likely,
}
