//! Lanes: the classes of work between which nothing may leak (decision 17).
//!
//! Every route and every job names its lane. A lane has seats, a share of the database and of the
//! CPU, bytes in flight, a bounded queue and a deadline; how large these are is the kernel's
//! configuration. The order of the variants is the order of priority.

use std::fmt;

/// A class of work, highest priority first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Health, metrics and the kill list: what an operator needs when all else is stuck.
    Control,
    /// Reads of manifests and blobs, and tokens asked for pulling only: what the promise protects.
    Pull,
    /// Ending an upload already begun and storing a manifest: work that a client has already paid
    /// for with bytes.
    Commit,
    /// Opening uploads and receiving bytes.
    Push,
    /// The API and the console: a person is waiting.
    Interactive,
    /// Catalog, tag lists, search and the App Registry: cheap to ask for and expensive to answer.
    Listing,
    /// Garbage collection, mirroring, scanning, building, notifying, exporting: no client waits.
    Background,
}

impl Lane {
    /// All lanes, highest priority first.
    pub const ALL: [Self; 7] = [
        Self::Control,
        Self::Pull,
        Self::Commit,
        Self::Push,
        Self::Interactive,
        Self::Listing,
        Self::Background,
    ];

    /// The lane's name in configuration, metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Pull => "pull",
            Self::Commit => "commit",
            Self::Push => "push",
            Self::Interactive => "interactive",
            Self::Listing => "listing",
            Self::Background => "background",
        }
    }

    /// The lane with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }

    /// A dense index from 0, for arrays with one entry for each lane.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indices_lead_back() {
        for (index, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(lane.index(), index);
            assert_eq!(Lane::parse(lane.name()), Some(lane));
        }
        assert_eq!(Lane::parse("Pull"), None);
    }

    #[test]
    fn pulls_go_before_everything_but_control() {
        assert!(Lane::ALL.iter().skip(2).all(|lane| Lane::Pull < *lane));
    }
}
