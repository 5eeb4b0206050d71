//! `FeaturePlan`: all that a crate brings, in the form in which it can be known before the kernel
//! opens.
//!
//! Tables, statements, the section of the configuration and the members of open sets are declared
//! without a kernel. What needs one (routes, jobs, consumers, watchers, health checks) is built by
//! a closure from `C`, the facades of the rings below; a feature asks of it only what it uses, by
//! `AsRef`. A crate whose feature is switched off is composed all the same: its tables are migrated
//! and its rows cleared.

use seawall_config::{Section, SectionType, SectionValues};
use seawall_meta::{Migrations, Statement};
use seawall_types::Result;
use seawall_types::ids::{NamespaceId, RepositoryId};

use crate::blobs::BlobKeeper;
use crate::clearing::{ClearStep, Clearing};
use crate::declare::Declarations;
use crate::feature::Feature;

type FeatureBuilder<C> = Box<dyn Fn(&C, &SectionValues) -> Result<Option<Feature>> + Send + Sync>;

/// What one crate brings.
pub struct FeaturePlan<C> {
    name: &'static str,
    migrations: Option<Migrations>,
    statements: Vec<&'static Statement>,
    declarations: Declarations,
    keepers: Vec<BlobKeeper>,
    section: Option<SectionType>,
    build: Option<FeatureBuilder<C>>,
}

impl<C: 'static> FeaturePlan<C> {
    /// A feature that brings nothing yet. Its name is that of its section, its consumer and its
    /// switch.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            migrations: None,
            statements: Vec::new(),
            declarations: Declarations::new(name),
            keepers: Vec::new(),
            section: None,
            build: None,
        }
    }

    /// Its tables.
    pub fn migrations(mut self, migrations: Migrations) -> Self {
        self.migrations = Some(migrations);
        self
    }

    /// Its statements, for the tests that run each of them on every database.
    pub fn statements(mut self, statements: impl IntoIterator<Item = &'static Statement>) -> Self {
        self.statements.extend(statements);
        self
    }

    /// Its members of open sets: kinds of changes, events, blob owners and repositories, and
    /// caches.
    pub fn declares(mut self, declarations: Declarations) -> Self {
        self.declarations = self.declarations.merge(declarations);
        self
    }

    /// What says which blobs its tables name.
    pub fn keeps(mut self, keeper: BlobKeeper) -> Self {
        self.keepers.push(keeper);
        self
    }

    /// What goes with a deleted repository.
    pub fn clears_repository(mut self, clear: ClearStep<RepositoryId>) -> Self {
        self.declarations = self.declarations.clears(Clearing::Repository(clear));
        self
    }

    /// What goes with a deleted namespace.
    pub fn clears_namespace(mut self, clear: ClearStep<NamespaceId>) -> Self {
        self.declarations = self.declarations.clears(Clearing::Namespace(clear));
        self
    }

    /// What it runs, made from the facades below it and from its section of the configuration,
    /// which has its name; `None` if that says that it is off.
    pub fn build<S: Section>(
        mut self,
        build: impl Fn(&C, S) -> Result<Option<Feature>> + Send + Sync + 'static,
    ) -> Self {
        let name = self.name;
        self.section = Some(SectionType::of::<S>(name));
        self.build = Some(Box::new(move |core, values| build(core, values.get(name))));
        self
    }

    /// What it runs, made from the facades below it; it has no section of its own.
    pub fn build_plain(mut self, build: impl Fn(&C) -> Feature + Send + Sync + 'static) -> Self {
        self.build = Some(Box::new(move |core, _| Ok(Some(build(core)))));
        self
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its tables, if it has any.
    pub fn tables(&self) -> Option<Migrations> {
        self.migrations
    }

    /// Its statements.
    pub fn all_statements(&self) -> &[&'static Statement] {
        &self.statements
    }

    /// What it declares to the kernel.
    pub fn declarations(&self) -> &Declarations {
        &self.declarations
    }

    /// What says which blobs its tables name.
    pub fn keepers(&self) -> &[BlobKeeper] {
        &self.keepers
    }

    /// Its section of the configuration.
    pub fn section(&self) -> Option<SectionType> {
        self.section
    }

    /// Makes what it runs in this process.
    pub fn built(&self, core: &C, values: &SectionValues) -> Result<Option<Feature>> {
        match &self.build {
            Some(build) => build(core, values),
            None => Ok(None),
        }
    }
}
