//! The open sets: what crates declare to the kernel before it opens, and the checks that keep two
//! crates from declaring the same thing.
//!
//! Change kinds, event types, kinds of blob owners and of repositories, and caches belong to the
//! crates that use them. Each crate hands over its [`Declarations`], the composition merges them,
//! and [`Kernel::open`](crate::Kernel::open) refuses a number or a name that stands in one set
//! twice: numbers are stored, so a process with a clash would read the rows of one crate as
//! another's. This module must never know which crates there are.

pub(crate) mod member;
pub(crate) mod own;

use std::collections::HashMap;

use seawall_types::permission::RepositoryKind;

use crate::blobs::OwnerKind;
use crate::cache::{CacheShare, CacheShares};
use crate::changes::kind::{ChangeDeclaration, ChangeKinds};
use crate::clearing::Clearing;
use crate::events::kind::{EventDeclaration, EventTypes};

pub use member::Member;

/// A member of an open set, and the crate that declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration<T> {
    /// The crate, as errors name it.
    pub by: &'static str,
    /// What it declares.
    pub member: T,
}

/// What one crate declares, or, merged, what all crates of a process declare.
#[derive(Debug, Clone, Default)]
pub struct Declarations {
    /// Kinds of changes that other processes must hear of.
    pub changes: Vec<Declaration<ChangeDeclaration>>,
    /// Types of events.
    pub events: Vec<Declaration<EventDeclaration>>,
    /// Kinds of things that keep blobs alive.
    pub owners: Vec<Declaration<OwnerKind>>,
    /// Caches with their shares of the memory for caches.
    pub caches: Vec<Declaration<CacheShare>>,
    /// Kinds of repositories.
    pub repositories: Vec<Declaration<RepositoryKind>>,
    /// What goes with deleted repositories and namespaces, in the order of composition.
    pub clearings: Vec<Clearing>,
    by: &'static str,
}

/// Why the declarations of a process cannot hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationClash {
    /// Two members of a set have the same stored number.
    #[error("the {set} {number} is declared twice: as {one} by {by} and as {other} by {other_by}")]
    Number {
        /// Which set.
        set: &'static str,
        /// The number.
        number: i64,
        /// The name of the one.
        one: &'static str,
        /// Which crate declares it.
        by: &'static str,
        /// The name of the other.
        other: &'static str,
        /// Which crate declares that.
        other_by: &'static str,
    },
    /// Two members of a set have the same name.
    #[error("the {set} {name} is declared twice: by {by} and by {other_by}")]
    Name {
        /// Which set.
        set: &'static str,
        /// The name.
        name: &'static str,
        /// Which crate declares the one.
        by: &'static str,
        /// Which crate declares the other.
        other_by: &'static str,
    },
    /// A stored number below 1, which no row may carry.
    #[error("the {set} {name} of {by} has the number {number}; numbers begin with 1")]
    NotPositive {
        /// Which set.
        set: &'static str,
        /// The member's name.
        name: &'static str,
        /// Which crate declares it.
        by: &'static str,
        /// The number.
        number: i64,
    },
}

/// The open sets of a process, checked: no number and no name stands in one of them twice.
#[derive(Debug)]
pub(crate) struct OpenSets {
    pub(crate) changes: ChangeKinds,
    pub(crate) events: EventTypes,
    pub(crate) caches: CacheShares,
    pub(crate) repositories: Vec<RepositoryKind>,
    pub(crate) clearings: Vec<Clearing>,
}

impl Declarations {
    /// What the crate `by` declares; nothing yet.
    pub fn new(by: &'static str) -> Self {
        Self {
            by,
            ..Self::default()
        }
    }

    /// Adds kinds of changes: `TAG.declared()` for each.
    pub fn changes(mut self, kinds: &[ChangeDeclaration]) -> Self {
        self.changes.extend(declared(self.by, kinds));
        self
    }

    /// Adds types of events: `EventDeclaration::of::<TagMoved>()` for each.
    pub fn events(mut self, types: &[EventDeclaration]) -> Self {
        self.events.extend(declared(self.by, types));
        self
    }

    /// Adds kinds of things that keep blobs alive.
    pub fn owners(mut self, kinds: &[OwnerKind]) -> Self {
        self.owners.extend(declared(self.by, kinds));
        self
    }

    /// Adds caches.
    pub fn caches(mut self, shares: &[CacheShare]) -> Self {
        self.caches.extend(declared(self.by, shares));
        self
    }

    /// Adds kinds of repositories.
    pub fn repositories(mut self, kinds: &[RepositoryKind]) -> Self {
        self.repositories.extend(declared(self.by, kinds));
        self
    }

    /// Adds what goes with a deleted repository or namespace.
    pub fn clears(mut self, clearing: Clearing) -> Self {
        self.clearings.push(clearing);
        self
    }

    /// Adds all that `other` declares, which stays declared by the crates of `other`.
    pub fn merge(mut self, other: Self) -> Self {
        self.changes.extend(other.changes);
        self.events.extend(other.events);
        self.owners.extend(other.owners);
        self.caches.extend(other.caches);
        self.repositories.extend(other.repositories);
        self.clearings.extend(other.clearings);
        self
    }

    /// Looks for clashes in every set.
    pub fn check(&self) -> Result<(), DeclarationClash> {
        check(&self.changes)?;
        check(&self.events)?;
        check(&self.owners)?;
        check(&self.caches)?;
        check(&self.repositories)
    }

    /// The sets, ready for use, once they are checked.
    pub(crate) fn into_sets(self) -> Result<OpenSets, DeclarationClash> {
        self.check()?;
        Ok(OpenSets {
            changes: ChangeKinds::new(members(&self.changes)),
            events: EventTypes::new(members(&self.events)),
            caches: CacheShares::new(members(&self.caches)),
            repositories: members(&self.repositories),
            clearings: self.clearings,
        })
    }
}

fn declared<T: Member>(by: &'static str, of: &[T]) -> impl Iterator<Item = Declaration<T>> {
    of.iter().map(move |&member| Declaration { by, member })
}

fn members<T: Member>(declared: &[Declaration<T>]) -> Vec<T> {
    declared.iter().map(|declared| declared.member).collect()
}

/// Looks for two members of one number or of one name.
fn check<T: Member>(set: &[Declaration<T>]) -> Result<(), DeclarationClash> {
    let (mut numbers, mut names) = (HashMap::new(), HashMap::new());
    for this in set {
        let (name, by) = (this.member.name(), this.by);
        if let Some(number) = this.member.number() {
            if number < 1 {
                return Err(DeclarationClash::NotPositive {
                    set: T::SET,
                    name,
                    by,
                    number,
                });
            }
            if let Some(Declaration { by: first, member }) = numbers.insert(number, this) {
                return Err(DeclarationClash::Number {
                    set: T::SET,
                    number,
                    one: member.name(),
                    by: first,
                    other: name,
                    other_by: by,
                });
            }
        }
        if let Some(first) = names.insert(name, by) {
            return Err(DeclarationClash::Name {
                set: T::SET,
                name,
                by: first,
                other_by: by,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::kind::{ById, ByName, ChangeKind};

    const TAG: ChangeKind<ById> = ChangeKind::new(8, "tag");
    const CHANNEL: ChangeKind<ByName> = ChangeKind::new(8, "channel");

    fn one() -> Declarations {
        Declarations::new("registry").changes(&[TAG.declared()])
    }

    #[test]
    fn two_crates_with_one_number_are_both_named() {
        let other = Declarations::new("app_registry").changes(&[CHANNEL.declared()]);
        let clash = one().merge(other).check().unwrap_err();
        assert_eq!(
            clash.to_string(),
            "the change kind 8 is declared twice: as tag by registry and as channel by app_registry"
        );
    }

    #[test]
    fn two_kinds_of_repositories_with_one_number_are_refused() {
        let kinds = |by, name| {
            let kind = RepositoryKind::new(2, name);
            Declarations::new(by).repositories(&[kind])
        };
        let clash = kinds("apps", "application").merge(kinds("charts", "chart"));
        assert_eq!(
            clash.check().unwrap_err().to_string(),
            "the repository kind 2 is declared twice: as application by apps and as chart by charts"
        );
    }

    #[test]
    fn two_caches_of_one_name_are_refused() {
        let caches = |by| Declarations::new(by).caches(&[CacheShare::new("tags", 10)]);
        let clash = caches("registry").merge(caches("mirror")).check();
        assert_eq!(
            clash.unwrap_err().to_string(),
            "the cache tags is declared twice: by registry and by mirror"
        );
    }

    #[test]
    fn a_number_may_stand_in_two_sets_but_never_below_one() {
        let owner = OwnerKind::new(8, "tag");
        one().owners(&[owner]).check().unwrap();
        let clash = one().owners(&[OwnerKind::new(0, "nothing")]).check();
        assert_eq!(
            clash.unwrap_err().to_string(),
            "the blob owner nothing of registry has the number 0; numbers begin with 1"
        );
    }

    #[test]
    fn what_the_kernel_declares_holds_together() {
        own::declarations().check().unwrap();
    }
}
