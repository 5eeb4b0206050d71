//! Setting and moving tags, inside the transaction that stores their manifest.

use std::collections::BTreeMap;

use seawall_kernel::Op;
use seawall_meta::{Expectation, Row, Tx, args, list};
use seawall_types::ids::RepositoryId;
use seawall_types::tag::Tag;
use seawall_types::{Digest, Error, Reason, Result};

use super::{HistoryCause, TagPointer, history, immutable, store};
use crate::manifest::{Conditions, Likely};

/// How often a tag that others set and delete at the same time is read again.
const ROUNDS: usize = 4;

/// A tag that was set or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpdatedTag {
    /// Which one.
    pub(crate) tag: Tag,
    /// What it pointed to before.
    pub(crate) before: Option<Digest>,
}

/// A tag as it is, locked.
#[derive(Debug, Clone)]
struct LockedTag {
    digest: Digest,
    history: i64,
    expires: bool,
    /// It is out of sight.
    gone: bool,
    immutable: bool,
}

impl LockedTag {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            digest: row.digest(1)?,
            history: row.int(2)?,
            expires: row.opt_int(3)?.is_some(),
            gone: row.bool(4)?,
            immutable: row.opt_int(5)?.is_some(),
        })
    }

    /// Whether it is immutable and to be seen: what is out of sight is as good as not there.
    fn must_not_move(&self) -> bool {
        self.immutable && !self.gone
    }

    /// What it points to for a reader.
    fn seen(&self) -> Option<Digest> {
        (!self.gone).then_some(self.digest)
    }
}

/// Where tags are to point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TagUpdate<'a> {
    /// The repository.
    pub(crate) repository: RepositoryId,
    /// The manifest, live and held by the transaction.
    pub(crate) digest: &'a Digest,
    /// What must be true of each tag before.
    pub(crate) conditions: Option<&'a Conditions>,
    /// Whether a single tag is most likely not there, so that it is not looked for first.
    pub(crate) hint: Likely,
}

/// Makes `tags` (sorted, each once) point to a manifest; returns those that did not before. A tag
/// that was to expire stays for good from now on. The caller announces the changes.
///
/// Errors: `Precondition`, `TagImmutable` for one that would move.
pub(crate) async fn set(
    tx: &mut Tx,
    op: &Op,
    moving: TagUpdate<'_>,
    tags: &[Tag],
) -> Result<Vec<UpdatedTag>> {
    let TagUpdate {
        repository, digest, ..
    } = moving;
    // If it turns out to be there after all, it is locked then.
    let mut current = match tags {
        [_] if moving.hint == Likely::New => BTreeMap::new(),
        tags => lock(tx, repository, tags).await?,
    };
    let mut moved = Vec::new();
    for tag in tags {
        let spot = TagPointer {
            repository,
            tag: tag.as_str(),
            digest,
        };
        let now = current.remove(tag.as_str());
        let as_it_is = match now {
            None if moving.hint == Likely::New => TagState::LikelyNew,
            now => TagState::Locked(now),
        };
        if let Some(before) = set_one(tx, op, spot, as_it_is, moving.conditions).await? {
            moved.push(UpdatedTag {
                tag: tag.clone(),
                before: before.0,
            });
        }
    }
    Ok(moved)
}

/// What is known of a tag before it is set.
enum TagState {
    /// Locked, or not there when it was looked for.
    Locked(Option<LockedTag>),
    /// Most likely not there, and not looked for.
    LikelyNew,
}

/// What a tag pointed to before it was moved.
struct PreviousTarget(Option<Digest>);

async fn set_one(
    tx: &mut Tx,
    op: &Op,
    spot: TagPointer<'_>,
    as_it_is: TagState,
    conditions: Option<&Conditions>,
) -> Result<Option<PreviousTarget>> {
    let mut current = match as_it_is {
        TagState::Locked(current) => current,
        TagState::LikelyNew => {
            set_new(tx, op, spot).await?;
            return Ok(Some(PreviousTarget(None)));
        }
    };
    let mut opened = None;
    for _ in 0..ROUNDS {
        let before = current.as_ref().and_then(LockedTag::seen);
        conditions.map_or(Ok(()), |conditions| conditions.check(before.as_ref()))?;
        if current
            .as_ref()
            .is_some_and(|c| c.digest == *spot.digest && !c.expires)
        {
            if let Some(row) = opened {
                tx.execute(&store::HISTORY_REMOVE, args![row]).await?;
            }
            return Ok(None);
        }
        if current.as_ref().is_some_and(LockedTag::must_not_move) {
            return Err(immutable());
        }
        let row = if let Some(row) = opened {
            row
        } else {
            let arguments = history(op, spot, HistoryCause::Pushed);
            tx.insert(&store::HISTORY_OPEN, arguments).await?
        };
        opened = Some(row);
        let arguments = args![spot.repository, spot.tag, spot.digest, row];
        if let Some(current) = &current {
            tx.send(&store::MOVE, arguments, Expectation::ARow).await?;
            let ended = args![row, current.history];
            tx.send(&store::HISTORY_END, ended, Expectation::Nothing)
                .await?;
            return Ok(Some(PreviousTarget(before)));
        }
        if tx.execute(&store::INSERT, arguments).await? > 0 {
            return Ok(Some(PreviousTarget(None)));
        }
        // Another push set it first. That was a move before ours: the last writer wins.
        current = lock(tx, spot.repository, [spot.tag])
            .await?
            .remove(spot.tag);
    }
    Err(Error::new(
        Reason::Conflict,
        "the tag is being changed by others; try again",
    ))
}

/// Sets a tag that is not there. If another push set it first, the transaction runs again, and
/// looks for it.
async fn set_new(tx: &mut Tx, op: &Op, spot: TagPointer<'_>) -> Result<()> {
    let opened = history(op, spot, HistoryCause::Pushed);
    tx.send(&store::HISTORY_OPEN, opened, Expectation::Nothing)
        .await?;
    let arguments = args![spot.repository, spot.tag, spot.digest];
    tx.send(&store::INSERT_OPEN, arguments, Expectation::ARow)
        .await?;
    Ok(())
}

async fn lock<I>(
    tx: &mut Tx,
    repository: RepositoryId,
    tags: I,
) -> Result<BTreeMap<String, LockedTag>>
where
    I: IntoIterator,
    I::Item: Into<seawall_meta::Arg>,
{
    let rows = tx.all(&store::LOCK, args![repository, list(tags)]).await?;
    rows.iter()
        .map(|row| Ok((row.string(0)?, LockedTag::read(row)?)))
        .collect()
}
