//! Who may read what, as conditions of SQL statements: the same rules as in `access`, for
//! statements that look at many repositories at once.
//!
//! A statement of any crate that is about what its caller may see takes its conditions from
//! [`store`] and its arguments from [`CatalogReader`], and writes down no rule of its own. A
//! property test holds both forms together. Grants have one kind of subject, a principal; where a
//! caller acts for several (teams), [`store::is_of_caller`] and [`CatalogReader`] are what changes.

pub mod store;

use seawall_meta::{Args, args};
use seawall_types::ids::PrincipalId;

use super::access::reads_public;
use crate::op::Op;

impl Op {
    /// Whether the subject of this operation may read what is public.
    pub fn reads_public(&self) -> bool {
        reads_public(self.actor(), self.kernel().settings())
    }
}

/// The caller as [`store::readable`] takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogReader {
    principal: i64,
    everything: bool,
    public: bool,
}

impl CatalogReader {
    /// The subject of an operation, whatever its ceiling.
    pub fn of(op: &Op) -> Self {
        let actor = op.actor();
        Self {
            principal: actor.principal().map_or(0, PrincipalId::get),
            everything: actor.is_superuser(),
            public: op.reads_public(),
        }
    }

    /// The three arguments of [`store::readable`], in its order, and behind them those of the
    /// statement itself.
    pub fn args(&self, more: Args) -> Args {
        let mut all = args![self.principal, self.everything, self.public];
        all.0.extend(more.0);
        all
    }
}
