//! The one shared state: substrate, clock, secrets, settings. Features hold it and nothing global.
//!
//! It knows no operation: [`Op`](crate::Op) stands above it and takes one up by `Kernel::op`.

use std::hash::Hash;
use std::sync::Arc;

use seawall_blob::Blobs;
use seawall_cache::MemorySize;
use seawall_meta::Meta;
use seawall_types::lane::Lane;
use seawall_types::permission::RepositoryKind;
use seawall_types::time::{Clock, Millis, Random};
use seawall_types::work::Tasks;
use seawall_types::{Error, Result};
use uuid::Uuid;

use crate::cache::{CacheShare, CacheShares, ReadCache};
use crate::catalog::{FACTS, FactsKey, RepositoryFacts};
use crate::changes::Changes;
use crate::clearing::Clearing;
use crate::declare::{Declarations, own};
use crate::events::PullWatchers;
use crate::events::kind::EventTypes;
use crate::installation::{self, InstallationIdentity};
use crate::lanes::Lanes;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::tasks::Tracker;

/// What a kernel is made of.
pub struct KernelParts {
    /// The database, migrated.
    pub meta: Meta,
    /// The blob store.
    pub blobs: Blobs,
    /// The process's clock.
    pub clock: Arc<dyn Clock>,
    /// The process's randomness.
    pub random: Arc<dyn Random>,
    /// Who runs what outlives a call.
    pub tracker: Arc<Tracker>,
    /// The installation secret's keys.
    pub secrets: Secrets,
    /// What the installation is set to.
    pub settings: Settings,
    /// How many bytes all caches together may take; 0 to remember nothing.
    pub cache_bytes: u64,
    /// What the crates of this process declare; the kernel adds its own.
    pub declarations: Declarations,
}

/// The one shared state of a process.
pub struct Kernel {
    parts: KernelParts,
    installation: InstallationIdentity,
    changes: Changes,
    caches: CacheShares,
    events: EventTypes,
    watchers: PullWatchers,
    lanes: Arc<Lanes>,
    repositories: Vec<RepositoryKind>,
    clearings: Vec<Clearing>,
    facts: ReadCache<FactsKey, Arc<RepositoryFacts>>,
}

impl Kernel {
    /// Opens the kernel over a migrated database; makes the installation at its first start.
    ///
    /// Errors: `Internal` with a [`DeclarationClash`](crate::declare::Clash) as its source if two
    /// crates declare the same thing.
    pub async fn open(mut parts: KernelParts) -> Result<Arc<Self>> {
        let declarations = own::declarations().merge(std::mem::take(&mut parts.declarations));
        let sets = declarations.into_sets().map_err(Error::internal)?;
        let context = seawall_types::work::Context::new(Lane::Control);
        let installation = installation::load_or_create(
            &parts.meta.session(context),
            &parts.secrets,
            &*parts.random,
        )
        .await?;
        let changes = Changes::new(sets.changes);
        let bytes = sets.caches.part(FACTS, parts.cache_bytes);
        Ok(Arc::new(Self {
            facts: FACTS.cache(changes.coherence(), bytes)?,
            parts,
            installation,
            changes,
            caches: sets.caches,
            events: sets.events,
            repositories: sets.repositories,
            clearings: sets.clearings,
            watchers: PullWatchers::default(),
            lanes: Arc::default(),
        }))
    }

    /// This installation's identity, the issuer and audience of its tokens.
    pub fn installation(&self) -> Uuid {
        self.installation.id
    }

    /// What goes with a deleted repository or namespace: that of later crates first, which may
    /// refer to rows of earlier ones.
    pub(crate) fn clearings(&self) -> impl Iterator<Item = Clearing> {
        self.clearings.iter().rev().copied()
    }

    /// The kind of repository that is stored as `code`, if a crate of this process declares it.
    pub fn repository_kind(&self, code: i64) -> Option<RepositoryKind> {
        let mut kinds = self.repositories.iter();
        kinds.find(|kind| kind.code() == code).copied()
    }

    /// What the installation is set to.
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// Keys derived from the installation secret.
    pub fn secrets(&self) -> &Secrets {
        &self.parts.secrets
    }

    /// The process's clock, for durations.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// The process's randomness.
    pub fn random(&self) -> &dyn Random {
        &*self.parts.random
    }

    /// The database's time, for whatever two replicas compare.
    pub fn now(&self) -> Millis {
        self.parts.meta.now()
    }

    /// Who runs what outlives a call.
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.parts.tracker
    }

    /// The same tracker as the substrate knows it.
    pub fn tasks(&self) -> Tasks {
        Arc::clone(&self.parts.tracker) as Tasks
    }

    /// Who hears of changes that other processes made.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Where work under way has its seats.
    pub fn lanes(&self) -> &Arc<Lanes> {
        &self.lanes
    }

    /// The declared cache `share`, with its part of the memory for caches.
    ///
    /// Errors: `Internal` if no crate of this process declares it.
    pub fn cache<K, V>(&self, share: CacheShare) -> Result<ReadCache<K, V>>
    where
        K: Eq + Hash + Clone + MemorySize,
        V: Clone + MemorySize,
    {
        let bytes = self.caches.part(share, self.parts.cache_bytes);
        share.cache(self.changes.coherence(), bytes)
    }

    /// What was read about repositories and their callers.
    pub(crate) fn facts(&self) -> &ReadCache<FactsKey, Arc<RepositoryFacts>> {
        &self.facts
    }

    /// The types of events that crates of this process declare.
    pub fn event_types(&self) -> &EventTypes {
        &self.events
    }

    /// Who watches what is served, without a word to the database.
    pub fn watchers(&self) -> &PullWatchers {
        &self.watchers
    }

    /// The database itself, for health and for handles; SQL goes through
    /// [`Op::sql`](crate::Op::sql).
    pub fn meta(&self) -> &Meta {
        &self.parts.meta
    }

    /// The blob store itself, for health and for handles; transfers go through
    /// [`Op::transfers`](crate::Op::transfers).
    pub fn blobs(&self) -> &Blobs {
        &self.parts.blobs
    }
}
