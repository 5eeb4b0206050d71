//! The catalog of repositories that a caller may read, in pages (protocol §11.7).
//!
//! A page costs what the page holds, whatever is hidden from its caller. It is a merge
//! of branches, each of which yields no more than the page, in the order of (namespace, name):
//!
//! * what is **public**: namespaces that are marked as showing something public, by name, and the
//!   public repositories of each. The mark, `namespace.shows_public`, is kept by [`mark`] and
//!   [`unmark`]; where it says too much, a namespace is looked into in vain, and it never says too
//!   little. So no number of namespaces without anything public is walked, and neither a joined
//!   path nor a namespace's name stands in a second place.
//! * what is the caller's **own**: the namespaces that they own or are an admin of. These are read
//!   whole, their repositories are not.
//! * what was **granted** to them, read whole: rows that were made for this caller one by one.
//!
//! An administrator walks all namespaces instead. Those without a repository are passed over a
//! thousand at a time.
//!
//! No statement joins namespaces with repositories in order: namespaces are read in small batches,
//! and of the repositories of a batch the first few of each, then the rest of those that have more.

pub mod store;

use std::collections::HashMap;

use seawall_meta::{Statement, Tx, args, list};
use seawall_types::Result;
use seawall_types::ids::{NamespaceId, PrincipalId};
use seawall_types::name::{DEFAULT_NAMESPACE, RepositoryName};
use seawall_types::permission::RepositoryKind;

use super::store as catalog;
use crate::op::Op;

/// So many namespaces are read at once, and their repositories by one statement.
const BATCH: usize = 64;
/// So many at most, where those before held nothing.
const EMPTY_BATCH: usize = 1024;
/// For so many namespaces repositories are read at once; what a batch is cut into.
const GROUPS: [usize; 4] = [64, 16, 4, 1];
/// So many repositories of each namespace of a group are read at first.
const FEW: usize = 16;

/// One page of the catalog of a kind: up to `limit` names after `last`, in the order of (namespace,
/// name).
pub async fn page(
    op: &Op,
    kind: RepositoryKind,
    last: Option<&str>,
    limit: u32,
) -> Result<Vec<RepositoryName>> {
    let limit = limit as usize;
    let (namespace, path) = last.map(split).unwrap_or_default();
    let mut found = Vec::new();
    for branch in Branch::of(op) {
        found.extend(match branch {
            Branch::Granted(principal) => {
                let arguments = args![principal, namespace, path, limit, kind.code()];
                let rows = op.sql().all(&store::GRANTED, arguments).await?;
                let names = rows.iter().map(|row| Ok((row.string(0)?, row.string(1)?)));
                names.collect::<Result<Vec<_>>>()?
            }
            _ => {
                NamespaceWalk::new(op, kind, branch, limit)
                    .from(namespace, path)
                    .await?
            }
        });
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(limit);
    found
        .iter()
        .map(|(namespace, path)| Ok(RepositoryName::from_parts(namespace, path)?))
        .collect()
}

/// The position that `last` names, whether such a repository exists or not.
fn split(last: &str) -> (&str, &str) {
    last.split_once('/').unwrap_or((DEFAULT_NAMESPACE, last))
}

/// Where names come from.
#[derive(Clone, Copy)]
enum Branch {
    All,
    Public,
    Own(PrincipalId),
    Granted(PrincipalId),
}

impl Branch {
    /// All that the caller may read is in these.
    fn of(op: &Op) -> Vec<Self> {
        let actor = op.actor();
        if actor.is_superuser() {
            return vec![Self::All];
        }
        let mut branches = Vec::new();
        if op.reads_public() {
            branches.push(Self::Public);
        }
        if let Some(principal) = actor.principal() {
            branches.extend([Self::Own(principal), Self::Granted(principal)]);
        }
        branches
    }

    fn repositories(self) -> &'static Statement {
        match self {
            Self::Public => &store::PUBLIC_REPOSITORIES,
            _ => &store::REPOSITORIES,
        }
    }
}

/// Namespaces in order, and the repositories of each.
struct NamespaceWalk<'a> {
    op: &'a Op,
    kind: RepositoryKind,
    branch: Branch,
    limit: usize,
    found: Vec<(String, String)>,
}

/// A namespace, and the name after which its repositories are wanted.
struct WalkPosition {
    id: i64,
    name: String,
    after: String,
}

impl<'a> NamespaceWalk<'a> {
    fn new(op: &'a Op, kind: RepositoryKind, branch: Branch, limit: usize) -> Self {
        let found = Vec::new();
        Self {
            op,
            kind,
            branch,
            limit,
            found,
        }
    }

    /// Up to `limit` names after this position.
    async fn from(mut self, namespace: &str, path: &str) -> Result<Vec<(String, String)>> {
        let mut begin = namespace.to_owned();
        let mut passed: Option<String> = None;
        let mut size = BATCH.min(self.limit);
        while self.found.len() < self.limit {
            // One more than wanted: the first one may be that at which the batch before ended.
            let rows = self.namespaces(&begin, size + 1).await?;
            let end = rows.len() <= size;
            let mut places = Vec::new();
            for (id, name, holds) in rows {
                if holds && passed.as_ref() != Some(&name) {
                    let after = if name == namespace { path } else { "" };
                    let (name, after) = (name.clone(), after.to_owned());
                    places.push(WalkPosition { id, name, after });
                }
                begin = name;
            }
            passed = Some(begin.clone());
            if places.is_empty() {
                size = (size * 4).min(EMPTY_BATCH);
            }
            self.read(&places).await?;
            if end {
                break;
            }
        }
        Ok(self.found)
    }

    /// Namespaces from this name on: id, name, whether there is a repository to be listed in it.
    async fn namespaces(&self, begin: &str, limit: usize) -> Result<Vec<(i64, String, bool)>> {
        let sql = self.op.sql();
        let rows = match self.branch {
            Branch::Public => {
                let arguments = args![begin, limit, self.kind.code()];
                sql.all(&store::PUBLIC_NAMESPACES, arguments).await?
            }
            Branch::Own(principal) | Branch::Granted(principal) => {
                let arguments = args![begin, limit, principal];
                sql.all(&store::OWN_NAMESPACES, arguments).await?
            }
            Branch::All => sql.all(&store::ALL_NAMESPACES, args![begin, limit]).await?,
        };
        rows.iter()
            .map(|row| Ok((row.int(0)?, row.string(1)?, row.opt_int(2)?.is_some())))
            .collect()
    }

    /// Adds the repositories of these namespaces, in order, until the page is full.
    async fn read(&mut self, mut places: &[WalkPosition]) -> Result<()> {
        while !places.is_empty() {
            let left = self.limit.saturating_sub(self.found.len());
            if left == 0 {
                break;
            }
            let size = GROUPS.into_iter().find(|size| *size <= places.len());
            let (group, rest) = places.split_at(size.unwrap_or(1));
            let few = if group.len() == 1 {
                left
            } else {
                left.min(FEW)
            };
            let mut names = self.repositories(group, few).await?;
            for place in group {
                let mut paths = names.remove(&place.id).unwrap_or_default();
                if paths.len() == few
                    && few < left
                    && let Some(after) = paths.last().cloned()
                {
                    let (id, name) = (place.id, place.name.clone());
                    let alone = [WalkPosition { id, name, after }];
                    let mut rest = self.repositories(&alone, left).await?;
                    paths.extend(rest.remove(&id).unwrap_or_default());
                }
                let paths = paths.into_iter().map(|path| (place.name.clone(), path));
                self.found.extend(paths);
                if self.found.len() >= self.limit {
                    return Ok(());
                }
            }
            places = rest;
        }
        Ok(())
    }

    /// Up to `limit` names in each of these namespaces, in order.
    async fn repositories(
        &self,
        places: &[WalkPosition],
        limit: usize,
    ) -> Result<HashMap<i64, Vec<String>>> {
        let ids = list(places.iter().map(|place| place.id));
        let after = list(places.iter().map(|place| place.after.as_str()));
        let statement = self.branch.repositories();
        let rows = self
            .op
            .sql()
            .all(statement, args![ids, after, limit, self.kind.code()])
            .await?;
        let mut names: HashMap<i64, Vec<String>> = HashMap::new();
        for row in rows {
            names.entry(row.int(0)?).or_default().push(row.string(1)?);
        }
        for paths in names.values_mut() {
            paths.sort_unstable();
        }
        Ok(names)
    }
}

/// Marks a namespace as showing something public, inside the transaction that makes it so, after
/// the repository was changed: a transaction that unmarks then waits for this one, or has not read
/// yet.
pub(super) async fn mark(tx: &mut Tx, namespace: NamespaceId) -> Result<()> {
    tx.execute(&catalog::NAMESPACE_SHOWS_PUBLIC, args![namespace, 1i64])
        .await?;
    Ok(())
}

/// Takes the mark from a namespace in which nothing is public any more.
pub(super) async fn unmark(tx: &mut Tx, namespace: NamespaceId) -> Result<()> {
    // The look comes after the lock: what a transaction has made public that is over by now is
    // seen.
    tx.all(&catalog::NAMESPACE_LOCK, args![namespace]).await?;
    let left = tx
        .optional(&catalog::NAMESPACE_PUBLIC, args![namespace])
        .await?;
    if left.is_none() {
        tx.execute(&catalog::NAMESPACE_SHOWS_PUBLIC, args![namespace, 0i64])
            .await?;
    }
    Ok(())
}
