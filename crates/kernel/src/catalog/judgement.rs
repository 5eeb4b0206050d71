//! What a judgement at the door has found, with the generations that it rests on: values that
//! [`Repo`](super::Repo) carries and that transactions compare.

use seawall_meta::{Args, args};
use seawall_types::ids::{NamespaceId, RepositoryId};
use seawall_types::permission::NamespaceRole;

use super::facts::RepositoryFacts;
use crate::auth::Actor;

/// A repository whose caller may do what it was opened for, and what that rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    namespace: (NamespaceId, i64),
    repository: (RepositoryId, i64),
    principal: (i64, i64),
}

impl Judgement {
    /// The namespace and the repository.
    pub fn ids(&self) -> (NamespaceId, RepositoryId) {
        (self.namespace.0, self.repository.0)
    }

    /// What [`stands`](super::rights::store::stands) compares, and behind it the arguments of the
    /// statement itself.
    pub fn args(&self, more: Args) -> Args {
        let mut all = args![
            self.repository.0,
            self.repository.1,
            self.namespace.0,
            self.namespace.1,
            self.principal.0,
            self.principal.1,
        ];
        all.0.extend(more.0);
        all
    }
}

/// What a judgement has found, of a repository that may not be there yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundRepository {
    pub(super) namespace: Option<(NamespaceId, i64)>,
    pub(super) repository: Option<(RepositoryId, i64)>,
    /// Id and generation; zeros where no principal acts.
    pub(super) principal: (i64, i64),
    /// The caller may make repositories in the namespace, and owns none of what is in it by that.
    pub(super) creator: bool,
}

impl FoundRepository {
    pub(super) fn new(actor: &Actor, facts: &RepositoryFacts) -> Self {
        let namespace = facts.namespace.as_ref();
        let repository = facts.repository.as_ref();
        let principal = actor.identity();
        Self {
            namespace: namespace.map(|namespace| (namespace.id, namespace.generation)),
            repository: repository.map(|row| (row.id, row.generation)),
            principal: principal.map_or((0, 0), |who| (who.id.get(), who.generation)),
            creator: facts.namespace_role == Some(NamespaceRole::Creator),
        }
    }

    /// The same of a repository that is there.
    pub(super) fn judgement(&self) -> Option<Judgement> {
        let (namespace, repository) = self.namespace.zip(self.repository)?;
        Some(Judgement {
            namespace,
            repository,
            principal: self.principal,
        })
    }

    /// The same with the generations of a judgement.
    pub(super) fn at(&self, judgement: &Judgement) -> Self {
        Self {
            namespace: Some(judgement.namespace),
            repository: Some(judgement.repository),
            principal: judgement.principal,
            ..*self
        }
    }
}
