//! Storing a manifest and setting its tags: one transaction, all or nothing (protocol §9).

use futures::future::BoxFuture;
use seawall_kernel::blobs::{self, Owner};
use seawall_kernel::events::Event;
use seawall_kernel::{Op, Repo};
use seawall_meta::{Expectation, Tx, args, list};
use seawall_types::ids::{NamespaceId, RepositoryId};
use seawall_types::tag::Tag;
use seawall_types::{Digest, Error, Reason, Result};

use super::check::{self, ResolvedReferences, SizeMismatch};
use super::conditions::Conditions;
use super::hints::Likely;
use super::new_manifest::NewManifest;
use super::{ManifestState, store};
use crate::acts::Push;
use crate::changes;
use crate::events::{ManifestPushed, TagMoved};
use crate::tag::{self, UpdatedTag};

/// How often a row that others insert and remove at the same time is read again.
const ROUNDS: usize = 4;

/// A manifest on its way into a repository.
#[derive(Clone)]
pub(crate) struct PutManifest {
    /// Where to.
    pub(crate) repo: Repo<Push>,
    /// The manifest.
    pub(crate) draft: NewManifest,
    /// The tags that will point to it, sorted and each once.
    pub(crate) tags: Vec<Tag>,
    /// Whether it was pushed by a tag, so that the conditions are about the tag.
    pub(crate) by_tag: bool,
    /// What must be true before.
    pub(crate) conditions: Conditions,
}

/// How a manifest met what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoreOutcome {
    /// It was not there.
    New,
    /// It was hidden, and can be pulled again.
    Revived,
    /// It was there already.
    Known,
    /// It was deleted with more tags than are gone yet.
    Going,
}

/// Stores a manifest and sets its tags; says which of its sizes are wrong.
///
/// An image of a config, ten layers and one new tag takes 8 statements. A push of what is there
/// already writes nothing.
///
/// Errors: `MissingReferences`, `ManifestInvalid`, `Precondition`; those of [`Repo::enter`].
pub(crate) async fn store_manifest(op: &Op, put: PutManifest) -> Result<Vec<SizeMismatch>> {
    for _ in 0..ROUNDS {
        let stored = op.transaction(put.clone(), |tx, op, put| apply(tx, op, put));
        if let Some((ids, wrong)) = stored.await? {
            put.repo.made(ids);
            return Ok(wrong);
        }
        // What is left of its tags must not come back with it.
        if let Some(repository) = put.repo.existing() {
            tag::untag(op, repository, &put.draft.digest).await?;
        }
    }
    let words = "the manifest is still being deleted; try again";
    Err(Error::new(Reason::Conflict, words))
}

/// Where a manifest was put, and which of its sizes are wrong.
type PutOutcome = ((NamespaceId, RepositoryId), Vec<SizeMismatch>);

/// One transaction; nothing is stored while tags of the manifest are still being deleted.
fn apply<'t>(
    tx: &'t mut Tx,
    op: &'t Op,
    put: &'t PutManifest,
) -> BoxFuture<'t, Result<Option<PutOutcome>>> {
    Box::pin(async move {
        let (ids, references) = enter(tx, op, put).await?;
        let (namespace, repository) = ids;
        let digest = put.draft.digest;
        let hints = references.hints;
        let (kept, wrong) = references.judge(&put.draft)?;
        let arrival = admit(tx, repository, &put.draft, hints.manifest).await?;
        if arrival == StoreOutcome::Going {
            return Ok(None);
        }
        let about_tag = put.by_tag.then_some(&put.conditions);
        if about_tag.is_none() {
            put.conditions
                .check((arrival == StoreOutcome::Known).then_some(&digest))?;
        }
        let mut changes = Vec::new();
        if arrival != StoreOutcome::Known {
            let owner = super::owner(namespace, repository, &digest);
            connect(tx, &owner, put, arrival, &kept).await?;
            let (kind, name) = (changes::MANIFEST, digest.to_string());
            changes.push(kind.change_of(repository.get(), 0, &name));
        }
        let moving = tag::TagUpdate {
            repository,
            digest: &digest,
            conditions: about_tag,
            // A condition is about what is there, so the tag has to be looked for.
            hint: if put.conditions == Conditions::default() {
                hints.tag
            } else {
                Likely::Unknown
            },
        };
        let moved = tag::set(tx, op, moving, &put.tags).await?;
        changes.extend(moved.iter().map(|moved| {
            let (kind, tag) = (changes::TAG, moved.tag.as_str());
            kind.change_of(repository.get(), 0, tag)
        }));
        tx.changes(&changes).await?;
        if arrival != StoreOutcome::Known || !moved.is_empty() {
            announce(tx, op, put, ids, (&moved, &wrong)).await?;
        }
        Ok(Some((ids, wrong)))
    })
}

/// The repository, made if it is not there and the caller may, and what of the references is in it.
/// Nothing is missing before it is certain that there is a repository which takes changes.
async fn enter(
    tx: &mut Tx,
    op: &Op,
    put: &PutManifest,
) -> Result<((NamespaceId, RepositoryId), ResolvedReferences)> {
    let tag = match put.tags.as_slice() {
        [tag] => Some(tag),
        _ => None,
    };
    let mut judgement = put.repo.opened(tx, op).await?;
    loop {
        let references = check::look(tx, &judgement, &put.draft, tag).await?;
        if references.stands {
            return Ok((judgement.ids(), references));
        }
        match put.repo.reopened(tx, op, &judgement).await? {
            Some(changed) => judgement = changed,
            // None of the blobs is here, or it refers to none.
            None => return Ok((judgement.ids(), references)),
        }
    }
}

/// Makes the manifest's row be there and live, whatever it meets.
async fn admit(
    tx: &mut Tx,
    repository: RepositoryId,
    draft: &NewManifest,
    hint: Likely,
) -> Result<StoreOutcome> {
    let referrer_size = draft.referrer.as_ref().map_or(0, String::len);
    let media_type = draft.media_type.as_str();
    for _ in 0..ROUNDS {
        let arguments = args![
            repository,
            draft.digest,
            media_type,
            draft.body.len(),
            draft.artifact_type.as_deref(),
            draft.subject,
            draft.referrer.as_deref(),
            referrer_size,
            draft.body.as_ref(),
            draft.layers_size,
            draft.config_media_type.as_deref(),
        ];
        if hint == Likely::New {
            tx.send(&store::INSERT, arguments, Expectation::ARow)
                .await?;
            return Ok(StoreOutcome::New);
        }
        let inserted = tx
            .execute(&store::INSERT, arguments)
            .await
            .map_err(|error| {
                if error.is_foreign_key() {
                    // The repository was deleted and cleared since it was opened.
                    return Error::new(Reason::NameUnknown, "no such repository");
                }
                error.into()
            });
        if inserted? > 0 {
            return Ok(StoreOutcome::New);
        }
        let found = tx
            .optional(&store::SHARE, args![repository, draft.digest])
            .await?;
        // Between the two statements a job may have forgotten a hidden one.
        let Some(row) = found else { continue };
        if row.int(0)? == ManifestState::Hidden.code() {
            if tag::is_going(tx, repository, &draft.digest).await? {
                return Ok(StoreOutcome::Going);
            }
            let arguments = args![
                repository,
                draft.digest,
                media_type,
                draft.artifact_type.as_deref(),
                draft.referrer.as_deref(),
                referrer_size,
            ];
            tx.execute(&store::REVIVE, arguments).await?;
            return Ok(StoreOutcome::Revived);
        }
        if row.text(1)? != media_type {
            // Two readings of the same bytes are an attack or a mistake (protocol §14.4).
            let words = format!("the same bytes are here as {}", row.text(1)?);
            return Err(Error::new(Reason::ManifestInvalid, words));
        }
        return Ok(StoreOutcome::Known);
    }
    Err(Error::new(
        Reason::Conflict,
        "the manifest is being changed by others; try again",
    ))
}

/// Writes what the manifest refers to, and keeps the blobs among that alive.
async fn connect(
    tx: &mut Tx,
    owner: &Owner,
    put: &PutManifest,
    arrival: StoreOutcome,
    kept: &[Digest],
) -> Result<()> {
    let pointers = &put.draft.pointers;
    let arguments = args![
        owner.repository,
        put.draft.digest,
        list(pointers.iter().map(|pointer| pointer.kind.code())),
        list(pointers.iter().map(|pointer| pointer.digest)),
    ];
    tx.send(&store::EDGES, arguments, Expectation::Nothing)
        .await?;
    if arrival == StoreOutcome::Revived {
        // What was still kept until the end of the time machine's window is kept for good again.
        blobs::keep_for(tx, owner, None).await?;
    }
    blobs::keep(tx, owner, kept).await
}

async fn announce(
    tx: &mut Tx,
    op: &Op,
    put: &PutManifest,
    (namespace, repository): (NamespaceId, RepositoryId),
    (moved, wrong): (&[UpdatedTag], &[SizeMismatch]),
) -> Result<()> {
    let name = put.repo.name();
    let within = |event: Event| {
        event
            .namespace(namespace, name.namespace())
            .repository(repository, name.path())
    };
    let digest = put.draft.digest;
    let pushed = ManifestPushed {
        digest,
        media_type: put.draft.media_type.as_str().to_owned(),
        tags: put.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        wrong_sizes: (!wrong.is_empty()).then_some(wrong.len()),
    };
    let mut events = vec![within(Event::new(&pushed)?)];
    for moved in moved {
        let tag = moved.tag.as_str().to_owned();
        let before = moved.before;
        let moved = TagMoved {
            tag,
            digest,
            before,
        };
        events.push(within(Event::new(&moved)?));
    }
    op.emit_all(tx, events).await
}
