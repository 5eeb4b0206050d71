//! The catalog of repositories that a caller may read, in pages (distribution §11.7).

use seawall_meta::args;
use seawall_types::Result;
use seawall_types::ids::PrincipalId;
use seawall_types::name::{DEFAULT_NAMESPACE, RepositoryName};

use super::store;
use crate::auth::Actor;
use crate::op::Op;

/// One page of the catalog: up to `limit` names after `last`, in the order of (namespace, name).
///
/// A namespace's rest and the namespaces after it are two reads, since one condition over both
/// columns is one that MariaDB answers by scanning.
pub async fn page(op: &Op, last: Option<&str>, limit: u32) -> Result<Vec<RepositoryName>> {
    let (namespace, path) = last.map(split).unwrap_or_default();
    let mut names = Vec::new();
    let mut left = i64::from(limit);
    for (statement, wanted) in [
        (&store::CATALOG_WITHIN, last.is_some()),
        (&store::CATALOG_AFTER, true),
    ] {
        if !wanted || left == 0 {
            continue;
        }
        let flags = visible(op.actor(), op.kernel().settings().anonymous_pull);
        let arguments = args![
            namespace,
            path,
            flags.principal,
            flags.everything,
            flags.public,
            left
        ];
        for row in op.sql().all(statement, arguments).await? {
            names.push(RepositoryName::from_parts(row.text(0)?, row.text(1)?)?);
            left -= 1;
        }
    }
    Ok(names)
}

/// The position that `last` names, whether such a repository exists or not.
fn split(last: &str) -> (&str, &str) {
    last.split_once('/').unwrap_or((DEFAULT_NAMESPACE, last))
}

struct Visible {
    principal: i64,
    everything: bool,
    public: bool,
}

fn visible(actor: &Actor, anonymous_pull: bool) -> Visible {
    Visible {
        principal: actor.principal().map_or(0, PrincipalId::get),
        everything: actor.is_superuser(),
        public: anonymous_pull || !actor.is_anonymous(),
    }
}
