//! Deleting tags: one by its name, or all of a manifest that goes.

use seawall_kernel::auth::Delete;
use seawall_kernel::changes;
use seawall_kernel::events::{Event, EventKind};
use seawall_kernel::{Op, Repo};
use seawall_meta::{Tx, args, list};
use seawall_types::ids::RepositoryId;
use seawall_types::tag::Tag;
use seawall_types::time::Millis;
use seawall_types::{Digest, Result};

use super::{Cause, Spot, record, store};
use crate::manifest::unknown;

/// Deletes one tag and nothing else (distribution §15.1).
///
/// Errors: `ManifestUnknown`; those of [`Repo::enter`].
pub(crate) async fn delete(op: &Op, repo: &Repo<Delete>, tag: &Tag) -> Result<()> {
    op.transaction((repo.clone(), tag.clone()), |tx, op, (repo, tag)| {
        Box::pin(async move {
            repo.enter(tx, op).await?;
            let repository = repo.id();
            let found = tx
                .optional(&store::LOCK, args![repository, list([tag])])
                .await?;
            let row = found.ok_or_else(unknown)?;
            let (digest, history) = (row.digest(1)?, row.int(2)?);
            let now = op.now();
            tx.execute(&store::DELETE, args![repository, tag]).await?;
            tx.execute(&store::HISTORY_END, args![now, list([history])])
                .await?;
            let spot = Spot {
                repository,
                tag: tag.as_str(),
                digest: &digest,
            };
            record(tx, op, spot, Cause::Deleted, (now, Some(now))).await?;
            tx.change(changes::named(
                changes::TAG,
                repository.get(),
                0,
                tag.as_str(),
            ))
            .await?;
            let detail = serde_json::json!({ "tag": tag.as_str(), "digest": digest });
            op.emit(
                tx,
                Event::new(EventKind::TagDeleted)
                    .within(repo)
                    .detail(detail),
            )
            .await
        })
    })
    .await
}

/// Deletes all tags of a manifest whose row the transaction holds exclusively; returns their names.
pub(crate) async fn delete_of(
    tx: &mut Tx,
    op: &Op,
    (repository, digest): (RepositoryId, &Digest),
    now: Millis,
) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut open = Vec::new();
    for row in tx.all(&store::LOCK_OF, args![repository, digest]).await? {
        names.push(row.string(0)?);
        open.push(row.int(1)?);
    }
    if names.is_empty() {
        return Ok(names);
    }
    tx.execute(&store::HISTORY_END, args![now, list(open)])
        .await?;
    let actor = op.actor();
    let arguments = args![repository, digest, now, actor.principal(), actor.name()];
    tx.execute(&store::HISTORY_MARK_OF, arguments).await?;
    tx.execute(&store::DELETE_OF, args![repository, digest])
        .await?;
    Ok(names)
}
