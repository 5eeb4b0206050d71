//! Cross-repository mounts (protocol §8): a blob that the caller may read elsewhere is linked
//! instead of uploaded.
//!
//! For a source that is named, what counts is the permission of the token's subject, since a
//! client's token often covers only the target. Without one, a token finds only what is public or
//! what it covers: it was made narrow so that who gets hold of it cannot read everything by
//! digests. A source that the subject may not read is never asked for the blob, so neither answer
//! nor time shows what is in it; a mount that is not possible is no error, but opens an upload.

use seawall_kernel::catalog::rights::CatalogReader;
use seawall_kernel::{Ceiling, Op, Repo};
use seawall_meta::args;
use seawall_types::permission::{Role, Visibility};
use seawall_types::scope::Action;
use seawall_types::{Digest, Reason, RepositoryName, Result};

use super::store;
use crate::acts::Push;

/// Mounts a blob from the repository called `from`, or else from any that the caller may read; says
/// whether it did. At most three reads and one small transaction.
pub(crate) async fn mount(
    op: &Op,
    repo: &Repo<Push>,
    digest: &Digest,
    from: Option<&str>,
) -> Result<bool> {
    let found = match from {
        Some(from) => find_in(op, digest, from).await?,
        None => find_anywhere(op, digest).await?,
    };
    let Some(size) = found else { return Ok(false) };
    let linked = op
        .transaction(
            (repo.clone(), *digest, size),
            |tx, op, (repo, digest, size)| {
                Box::pin(async move { super::link(tx, op, repo, (digest, *size), false).await })
            },
        )
        .await;
    match linked {
        Ok(ids) => {
            repo.made(ids);
            Ok(true)
        }
        // It was collected between the read and the link.
        Err(error) if error.reason == Reason::BlobUnknown => Ok(false),
        Err(error) => Err(error),
    }
}

/// The blob's size, if `from` is a repository that the caller may read and that serves it.
async fn find_in(op: &Op, digest: &Digest, from: &str) -> Result<Option<u64>> {
    let Ok(from) = RepositoryName::parse(from) else {
        return Ok(None);
    };
    if op.allowed(&from).await?.role < Some(Role::Read) {
        return Ok(None);
    }
    let arguments = args![from.namespace(), from.path(), digest];
    let row = op.sql().optional(&store::SIZE_BY_NAME, arguments).await?;
    Ok(row.map(|row| row.size(0)).transpose()?)
}

/// The blob's size, if some repository serves it that the caller may read, and that is public or
/// under the ceiling. Looks at a bounded number of those that hold it, and so may miss one: the
/// client then uploads.
async fn find_anywhere(op: &Op, digest: &Digest) -> Result<Option<u64>> {
    let actor = op.actor();
    let limit = match actor.ceiling {
        Ceiling::Unlimited => 1,
        Ceiling::Scopes(_) => store::CANDIDATES,
    };
    let arguments = CatalogReader::of(op).args(args![digest, limit]);
    for row in op.sql().all(&store::SIZE_ANYWHERE, arguments).await? {
        let name = RepositoryName::from_parts(row.text(1)?, row.text(2)?)?;
        let open = row.int(3)? == Visibility::Public.code();
        if open || actor.ceiling.admits(&name, Action::Pull) {
            return Ok(Some(row.size(0)?));
        }
    }
    Ok(None)
}
