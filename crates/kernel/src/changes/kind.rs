//! Kinds of changes, and what a change of a kind is about.
//!
//! A crate that writes changes declares their kinds, each with a number that is stored in the
//! change log: numbers are never reused. The type of a kind says which parts of a change identify
//! its [`Subject`], so that readers and writers of a kind cannot disagree about it.

use std::marker::PhantomData;

use seawall_meta::Change;

use crate::declare::member::Member;

/// Which parts of a change say what it is about.
pub trait ChangeShape: Copy {
    /// Whether the first id does.
    const FIRST: bool;
    /// Whether the second id does.
    const SECOND: bool;
    /// Whether the name does; a change of such a kind without a name is about everything.
    const NAME: bool;
}

/// The shape of a kind whose changes have a name.
pub trait NamedShape: ChangeShape {}

/// The shape of a kind whose changes have no name.
pub trait UnnamedShape: ChangeShape {}

macro_rules! shapes {
    ($($(#[$doc:meta])* $shape:ident: $named:ident, $first:literal, $second:literal, $name:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub struct $shape;

            impl ChangeShape for $shape {
                const FIRST: bool = $first;
                const SECOND: bool = $second;
                const NAME: bool = $name;
            }

            impl $named for $shape {}
        )+
    };
}

shapes! {
    /// There is only one thing of the kind.
    Single: UnnamedShape, false, false, false;
    /// The first id says which thing it is.
    ById: UnnamedShape, true, false, false;
    /// Both ids say which thing it is.
    ByIds: UnnamedShape, true, true, false;
    /// The name says which thing it is.
    ByName: NamedShape, false, false, true;
    /// The first id and the name say which thing it is.
    ByIdAndName: NamedShape, true, false, true;
}

/// A kind of change, as the crate that writes it declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeKind<S> {
    number: i64,
    name: &'static str,
    shape: PhantomData<S>,
}

impl<S: ChangeShape> ChangeKind<S> {
    /// The kind stored as `number`, called `name` in errors.
    pub const fn new(number: i64, name: &'static str) -> Self {
        Self {
            number,
            name,
            shape: PhantomData,
        }
    }

    /// What [`Declarations`](crate::declare::Declarations) take of it.
    pub const fn declared(self) -> ChangeDeclaration {
        ChangeDeclaration {
            number: self.number,
            name: self.name,
            first: S::FIRST,
            second: S::SECOND,
            named: S::NAME,
        }
    }

    /// The number under which it is stored, as a notice of a change carries it.
    pub const fn number(self) -> i64 {
        self.number
    }

    const fn about(self, a: i64, b: i64, name: Option<&str>) -> Subject<'_> {
        let kind = self.number;
        Subject { kind, a, b, name }
    }
}

impl<S: UnnamedShape> ChangeKind<S> {
    /// A change of this kind; what is no part of its subject is for subscribers.
    pub const fn change(self, a: i64, b: i64) -> Change {
        Change {
            kind: self.number,
            a,
            b,
            name: None,
        }
    }
}

impl<S: NamedShape> ChangeKind<S> {
    /// A change of this kind, of something that readers know by name.
    pub fn change_of(self, a: i64, b: i64, name: &str) -> Change {
        Change {
            kind: self.number,
            a,
            b,
            name: Some(name.to_owned()),
        }
    }
}

impl ChangeKind<Single> {
    /// The only thing of this kind.
    pub const fn subject(self) -> Subject<'static> {
        self.about(0, 0, None)
    }
}

impl ChangeKind<ById> {
    /// The thing of this kind with this id.
    pub const fn subject(self, id: i64) -> Subject<'static> {
        self.about(id, 0, None)
    }
}

impl ChangeKind<ByIds> {
    /// The thing of this kind between these two.
    pub const fn subject(self, a: i64, b: i64) -> Subject<'static> {
        self.about(a, b, None)
    }
}

impl ChangeKind<ByName> {
    /// The thing of this kind and name.
    pub const fn subject(self, name: &str) -> Subject<'_> {
        self.about(0, 0, Some(name))
    }
}

impl ChangeKind<ByIdAndName> {
    /// The thing of this name within that of this id.
    pub const fn subject(self, id: i64, name: &str) -> Subject<'_> {
        self.about(id, 0, Some(name))
    }
}

/// What a change ends, and what a cached value depends on. A value that depends on a subject which
/// a change is about was read before that change, or is not given out any more.
///
/// It borrows its name and is hashed as it is: neither a reader nor a change allocates for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject<'a> {
    kind: i64,
    a: i64,
    b: i64,
    name: Option<&'a str>,
}

/// A kind of change in the set of all that are declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeDeclaration {
    number: i64,
    name: &'static str,
    first: bool,
    second: bool,
    named: bool,
}

impl ChangeDeclaration {
    /// What a change of this kind is about; `None` if it lacks the name that would say so.
    fn subject<'a>(&self, a: i64, b: i64, name: Option<&'a str>) -> Option<Subject<'a>> {
        if self.named && name.is_none() {
            return None;
        }
        Some(Subject {
            kind: self.number,
            a: if self.first { a } else { 0 },
            b: if self.second { b } else { 0 },
            name: name.filter(|_| self.named),
        })
    }
}

impl Member for ChangeDeclaration {
    const SET: &'static str = "change kind";

    fn number(&self) -> Option<i64> {
        Some(self.number)
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// The kinds of changes that a process knows.
#[derive(Debug, Default)]
pub struct ChangeKinds(Vec<ChangeDeclaration>);

impl ChangeKinds {
    /// These kinds, of which no two have one number.
    pub fn new(mut kinds: Vec<ChangeDeclaration>) -> Self {
        kinds.sort_unstable_by_key(|kind| kind.number);
        Self(kinds)
    }

    /// What a change is about; `None` for everything, since the kind is unknown here.
    pub(super) fn subject<'a>(
        &self,
        kind: i64,
        a: i64,
        b: i64,
        name: Option<&'a str>,
    ) -> Option<Subject<'a>> {
        let place = self.0.binary_search_by_key(&kind, |kind| kind.number);
        self.0.get(place.ok()?)?.subject(a, b, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONLY: ChangeKind<Single> = ChangeKind::new(1, "only");
    const ID: ChangeKind<ById> = ChangeKind::new(2, "id");
    const IDS: ChangeKind<ByIds> = ChangeKind::new(3, "ids");
    const NAME: ChangeKind<ByName> = ChangeKind::new(4, "name");
    const BOTH: ChangeKind<ByIdAndName> = ChangeKind::new(40, "id and name");

    fn kinds() -> ChangeKinds {
        ChangeKinds::new(vec![
            BOTH.declared(),
            NAME.declared(),
            ONLY.declared(),
            ID.declared(),
            IDS.declared(),
        ])
    }

    #[test]
    fn a_change_is_about_what_readers_of_its_kind_depend_on() {
        let kinds = kinds();
        let about = |change: &Change| {
            kinds
                .subject(change.kind, change.a, change.b, change.name.as_deref())
                .map(|subject| format!("{subject:?}"))
        };
        let of = |subject: Subject<'_>| Some(format!("{subject:?}"));
        assert_eq!(about(&ONLY.change(5, 6)), of(ONLY.subject()));
        assert_eq!(about(&ID.change(5, 6)), of(ID.subject(5)));
        assert_eq!(about(&IDS.change(5, 6)), of(IDS.subject(5, 6)));
        assert_eq!(about(&NAME.change_of(5, 6, "x")), of(NAME.subject("x")));
        assert_eq!(about(&BOTH.change_of(5, 6, "x")), of(BOTH.subject(5, "x")));
    }

    #[test]
    fn what_cannot_be_understood_is_about_everything() {
        let kinds = kinds();
        assert_eq!(kinds.subject(41, 1, 2, Some("x")), None);
        assert_eq!(kinds.subject(5, 1, 2, None), None);
        assert_eq!(kinds.subject(NAME.number(), 1, 2, None), None);
        assert_eq!(ChangeKinds::default().subject(1, 1, 2, None), None);
    }
}
