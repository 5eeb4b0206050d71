//! The acts: what can be done to a repository, a namespace, a user or the installation, and the one
//! table of what each needs.
//!
//! An act is a type, so that a function that pushes cannot be given a repository that was opened
//! for a pull, and a value ([`ActKind`]) for routes and for the table. What is opened for an act is
//! a [`Repo`](crate::Repo), [`Namespace`](crate::Namespace), [`User`](crate::User) or
//! [`Installation`](crate::Installation), which only the judgement in [`crate::catalog`] makes. A
//! new act is a row here; no other place may say which role an act needs.
//!
//! What is done to the content of a repository is done to one of a [`StaticKind`], which is a part
//! of the act's type: a crate that serves repositories of a kind names its acts once, as in `type
//! Pull = seawall_kernel::auth::Pull<Image>`, and cannot be given one of another kind.

use std::marker::PhantomData;

use seawall_types::permission::{NamespaceRole, RepositoryKind, Role};
use seawall_types::scope::Action;

/// A kind of repository as a type. The crate that declares the kind has one.
pub trait StaticKind: Send + Sync + 'static {
    /// The kind, as the crate declares it to the kernel.
    const KIND: RepositoryKind;
}

/// An act on a repository.
pub trait Act: Send + Sync + 'static {
    /// The same act as a value.
    const KIND: ActKind;
    /// The kind of repository that it is done to; `None` for one of any kind.
    const ON: Option<RepositoryKind>;
}

/// An act that only makes sense on a repository that exists.
pub trait ExistingAct: Act {}

/// An act on a namespace.
pub trait NamespaceAct: Send + Sync + 'static {
    /// The same act as a value.
    const KIND: ActKind;
}

/// An act on a user.
pub trait UserAct: Send + Sync + 'static {
    /// The same act as a value.
    const KIND: ActKind;
}

/// An act on the installation as a whole.
pub trait InstallationAct: Send + Sync + 'static {
    /// The same act as a value.
    const KIND: ActKind;
}

/// What an act is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActTarget {
    /// A repository.
    Repository,
    /// A namespace with everything in it.
    Namespace,
    /// A user's account.
    User,
    /// The installation as a whole.
    Installation,
}

/// What the subject of an act must hold on its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// This role on the repository, or one that includes it.
    Role(Role),
    /// This role on the namespace, or one that includes it. The owner and superusers hold the
    /// highest.
    NamespaceRole(NamespaceRole),
    /// To be the user, or a superuser.
    Oneself,
    /// To be a superuser.
    Superuser,
}

/// What an act needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActRule {
    /// What the act is done to.
    pub target: ActTarget,
    /// What the subject must hold now.
    pub needs: Requirement,
    /// What the credential's ceiling must include; `None` is covered by no token's scope.
    pub action: Option<Action>,
    /// Whether the target's state must admit writes.
    pub writes: bool,
}

macro_rules! act_kinds {
    ($($(#[$doc:meta])* $kind:ident: $target:ident, $needs:expr, $action:expr, $writes:literal;)*) => {
        /// The acts as values.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ActKind {
            $($(#[$doc])* $kind,)*
        }

        impl ActKind {
            /// Every act.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// What the act needs: the row of the table.
            pub const fn rule(self) -> ActRule {
                match self {
                    $(Self::$kind => ActRule {
                        target: ActTarget::$target,
                        needs: $needs,
                        action: $action,
                        writes: $writes,
                    },)*
                }
            }
        }
    };
}

// The table: act, target, what the subject must hold, the action that a token's scope must name,
// whether it writes. A `write` role may delete tags, manifests and blobs.
act_kinds! {
    /// Read manifests and blobs.
    Pull: Repository, Requirement::Role(Role::Read), Some(Action::Pull), false;
    /// Upload blobs, write manifests, set tags; creates the repository where the caller may.
    Push: Repository, Requirement::Role(Role::Write), Some(Action::Push), true;
    /// Delete tags, manifests and blobs.
    Delete: Repository, Requirement::Role(Role::Write), Some(Action::Delete), true;
    /// List tags and referrers.
    Describe: Repository, Requirement::Role(Role::Read), Some(Action::Pull), false;
    /// Change the repository itself: visibility, grants, deletion.
    Administer: Repository, Requirement::Role(Role::Admin), Some(Action::All), false;

    /// See that a namespace exists, and what it is.
    ViewNamespace: Namespace, Requirement::NamespaceRole(NamespaceRole::Creator), None, false;
    /// Make a repository in a namespace.
    CreateRepository: Namespace, Requirement::NamespaceRole(NamespaceRole::Creator), None, true;
    /// Change the namespace itself: grants, deletion.
    AdministerNamespace: Namespace, Requirement::NamespaceRole(NamespaceRole::Admin), None, true;

    /// See a user's account.
    ViewUser: User, Requirement::Oneself, None, false;
    /// Set a user's password, list and end a user's refresh tokens.
    ManageCredentials: User, Requirement::Oneself, None, true;
    /// Disable, enable and delete a user.
    AdministerUser: User, Requirement::Superuser, None, true;

    /// See all namespaces, repositories and users, and what was done to them.
    Inspect: Installation, Requirement::Superuser, None, false;
    /// Make users and organizations, replace signing keys.
    AdministerInstallation: Installation, Requirement::Superuser, None, true;
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident: $($act:ident is $kind:ident),+;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        $(impl $act for $name {
            const KIND: ActKind = ActKind::$kind;
        })+
    )*};
}

macro_rules! content_acts {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name<K>(PhantomData<fn() -> K>);

        impl<K: StaticKind> Act for $name<K> {
            const KIND: ActKind = ActKind::$name;
            const ON: Option<RepositoryKind> = Some(K::KIND);
        }
    )*};
}

content_acts! {
    /// See [`ActKind::Pull`].
    Pull;
    /// See [`ActKind::Push`].
    Push;
    /// See [`ActKind::Delete`].
    Delete;
    /// See [`ActKind::Describe`].
    Describe;
}

impl Act for Administer {
    const KIND: ActKind = ActKind::Administer;
    const ON: Option<RepositoryKind> = None;
}

acts! {
    /// See [`ActKind::ViewNamespace`], [`ActKind::ViewUser`].
    View: NamespaceAct is ViewNamespace, UserAct is ViewUser;
    /// See [`ActKind::CreateRepository`].
    CreateRepository: NamespaceAct is CreateRepository;
    /// See [`ActKind::ManageCredentials`].
    ManageCredentials: UserAct is ManageCredentials;
    /// See [`ActKind::Inspect`].
    Inspect: InstallationAct is Inspect;
    /// See [`ActKind::Administer`], [`ActKind::AdministerNamespace`], [`ActKind::AdministerUser`],
    /// [`ActKind::AdministerInstallation`].
    Administer: NamespaceAct is AdministerNamespace, UserAct is AdministerUser, InstallationAct is AdministerInstallation;
}

impl<K: StaticKind> ExistingAct for Pull<K> {}
impl<K: StaticKind> ExistingAct for Delete<K> {}
impl<K: StaticKind> ExistingAct for Describe<K> {}
impl ExistingAct for Administer {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Image;

    impl StaticKind for Image {
        const KIND: RepositoryKind = RepositoryKind::new(1, "image");
    }

    #[test]
    fn the_types_are_of_the_target_that_the_table_says() {
        let on = |kind: ActKind| kind.rule().target;
        for kind in [
            <Pull<Image> as Act>::KIND,
            <Push<Image> as Act>::KIND,
            <Delete<Image> as Act>::KIND,
            <Describe<Image> as Act>::KIND,
            <Administer as Act>::KIND,
        ] {
            assert_eq!(on(kind), ActTarget::Repository, "{kind:?}");
        }
        for kind in [
            <View as NamespaceAct>::KIND,
            <CreateRepository as NamespaceAct>::KIND,
            <Administer as NamespaceAct>::KIND,
        ] {
            assert_eq!(on(kind), ActTarget::Namespace, "{kind:?}");
        }
        for kind in [
            <View as UserAct>::KIND,
            <ManageCredentials as UserAct>::KIND,
            <Administer as UserAct>::KIND,
        ] {
            assert_eq!(on(kind), ActTarget::User, "{kind:?}");
        }
        for kind in [
            <Inspect as InstallationAct>::KIND,
            <Administer as InstallationAct>::KIND,
        ] {
            assert_eq!(on(kind), ActTarget::Installation, "{kind:?}");
        }
    }

    #[test]
    fn what_an_act_needs_can_be_held_on_its_target() {
        for kind in ActKind::ALL {
            let ActRule { target, needs, .. } = kind.rule();
            let fits = match needs {
                Requirement::Role(_) => target == ActTarget::Repository,
                Requirement::NamespaceRole(_) => target == ActTarget::Namespace,
                Requirement::Oneself => target == ActTarget::User,
                Requirement::Superuser => {
                    matches!(target, ActTarget::User | ActTarget::Installation)
                }
            };
            assert!(fits, "{kind:?}");
        }
    }
}
