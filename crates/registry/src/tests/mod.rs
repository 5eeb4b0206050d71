//! The rules against a real database, which `SEAWALL_TEST_DB` names: what HTTP cannot show, such as
//! history, references, locks.

mod catalog;
mod clearing;
mod deletion;
mod keeping;
mod pinned;
mod pushes;
mod races;
mod referrers;
mod rights;
mod store;
mod untagging;

use std::sync::Arc;

use bytes::Bytes;
use seawall_blob::{BlobPlace, Blobs, StoredBlob};
use seawall_kernel::clock::SystemRandom;
use seawall_kernel::secrets::Secrets;
use seawall_kernel::tasks::Tracker;
use seawall_kernel::{Kernel, KernelParts, Op, Repo, Settings};
use seawall_meta::fixture::{DatabaseBackend, TestClock, TestDatabase, TestTasks};
use seawall_meta::{Meta, Row, Statement, args};
use seawall_types::media_type::{OCI_INDEX, OCI_MANIFEST};
use seawall_types::tag::Tag;
use seawall_types::{
    Algorithm, Digest, Lane, Reference, RepositoryId, RepositoryName, Result, Tasks,
};
use serde_json::{Value, json};

use self::store::{EVENTS, HISTORY, KEPT};
use crate::acts::{Delete, Pull, Push};
use crate::manifest::{self, Conditions, NewManifest, PutManifest};
use crate::{blob, tag};

/// A registry on a database of its own, and a repository to push to.
pub(super) struct Fixture {
    pub(super) kernel: Arc<Kernel>,
    pub(super) shelf: manifest::ManifestCache,
    pub(super) name: RepositoryName,
    _directory: tempfile::TempDir,
    database: TestDatabase,
}

impl Fixture {
    pub(super) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// With another configuration of the database.
    pub(super) async fn with(change: impl FnOnce(&mut seawall_meta::Config)) -> Self {
        Self::at(TestClock::new(), change).await
    }

    /// With this clock of the process, beside the database's.
    pub(super) async fn at(
        time: Arc<TestClock>,
        change: impl FnOnce(&mut seawall_meta::Config),
    ) -> Self {
        let migrations = [seawall_kernel::MIGRATIONS, crate::MIGRATIONS];
        let backend = DatabaseBackend::chosen().unwrap();
        let database = TestDatabase::migrated(backend, &migrations).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let tracker = Arc::<Tracker>::default();
        let tasks = Arc::clone(&tracker) as Tasks;
        let (clock, random) = (Arc::clone(&time), Arc::new(SystemRandom));
        let config = seawall_blob::Config::default();
        let blobs = Blobs::open(
            &config,
            directory.path(),
            tasks,
            Arc::clone(&clock) as _,
            Arc::clone(&random) as _,
        );
        let mut config = database.config();
        change(&mut config);
        let data = database.directory();
        let meta = Meta::open(&config, data, TestTasks::tasks(), time).await;
        let meta = meta.unwrap();
        let parts = KernelParts {
            meta,
            blobs: blobs.await.unwrap(),
            clock,
            random,
            tracker,
            secrets: Secrets::from_bytes(&[7; 32]),
            settings: Settings::default(),
            cache_bytes: 16 << 20,
            declarations: crate::declarations(),
        };
        let kernel = Kernel::open(parts).await.unwrap();
        Self {
            shelf: manifest::ManifestCache::new(&kernel).unwrap(),
            kernel,
            name: RepositoryName::parse("ann/app").unwrap(),
            _directory: directory,
            database,
        }
    }

    pub(super) fn op(&self) -> Op {
        self.kernel.internal_op(Lane::Push, "test")
    }

    pub(super) async fn pull(&self) -> Repo<Pull> {
        self.op().repo(&self.name).await.unwrap()
    }

    pub(super) async fn deleting(&self) -> Repo<Delete> {
        self.op().repo(&self.name).await.unwrap()
    }

    pub(super) async fn id(&self) -> RepositoryId {
        self.pull().await.id()
    }

    /// Links a blob of these bytes to the repository; nobody looks for the bytes here.
    pub(super) async fn blob(&self, bytes: &str) -> Value {
        let digest = Digest::of(Algorithm::Sha256, bytes.as_bytes());
        let place = BlobPlace {
            location: "local".into(),
            key: format!("00/{}", digest.hex()),
        };
        let stored = StoredBlob {
            digest,
            size: bytes.len() as u64,
            place,
            also: Vec::new(),
        };
        let op = self.op();
        let repo = op.repo::<Push>(&self.name).await.unwrap();
        let linking = op.transaction((repo, stored), |tx, op, (repo, stored)| {
            Box::pin(async move {
                let recorded = seawall_kernel::blobs::record(tx, &stored.digest, stored).await?;
                let linked = (&stored.digest, stored.size);
                blob::link(tx, op, repo, linked, recorded.fresh).await
            })
        });
        linking.await.unwrap();
        descriptor("application/x", &digest, bytes.len())
    }

    /// An image whose config and layers are here.
    pub(super) async fn image(&self, name: &str, layers: usize) -> Value {
        let config = self.blob(&format!("config of {name}")).await;
        let mut found = Vec::new();
        for layer in 0..layers {
            found.push(self.blob(&format!("layer {layer} of {name}")).await);
        }
        image(&config, &found)
    }

    pub(super) async fn push(&self, manifest: &Value, target: &str) -> Result<Digest> {
        self.push_on(&self.op(), manifest, target).await
    }

    pub(super) async fn push_on(&self, op: &Op, manifest: &Value, target: &str) -> Result<Digest> {
        let target = Reference::parse(target)?;
        let body = Bytes::from(manifest.to_string());
        let draft = NewManifest::new(None, body, &target)?;
        let digest = *draft.digest();
        let tags = match &target {
            Reference::Tag(tag) => vec![tag.clone()],
            Reference::Digest(_) => Vec::new(),
        };
        let repo = op.repo::<Push>(&self.name).await?;
        let by_tag = !tags.is_empty();
        let conditions = Conditions::default();
        manifest::store_manifest(
            op,
            PutManifest {
                repo,
                draft,
                tags,
                by_tag,
                conditions,
            },
        )
        .await?;
        Ok(digest)
    }

    /// What a pull of `reference` finds.
    pub(super) async fn found(&self, reference: &str) -> Result<Digest> {
        let reference = Reference::parse(reference)?;
        let (op, repo) = (self.op(), self.pull().await);
        let served = manifest::find(&op, &self.shelf, &repo, &reference).await?;
        assert_eq!(served.size, served.body.len() as u64);
        assert_eq!(
            Digest::of(served.digest.algorithm(), &served.body),
            served.digest
        );
        Ok(served.digest)
    }

    pub(super) async fn delete(&self, digest: &Digest) -> Result<()> {
        let window = std::time::Duration::from_hours(1);
        manifest::delete(&self.op(), &self.deleting().await, digest, window).await
    }

    pub(super) async fn delete_tag(&self, tag: &str) -> Result<()> {
        tag::delete(&self.op(), &self.deleting().await, &Tag::parse(tag)?).await
    }

    pub(super) async fn rows(&self, statement: &'static Statement, tag: Option<&str>) -> Vec<Row> {
        let repository = self.id().await;
        let arguments = match tag {
            Some(tag) => args![repository, tag],
            None => args![repository],
        };
        self.op().sql().all(statement, arguments).await.unwrap()
    }

    /// (digest, still open, cause) of a tag's history.
    pub(super) async fn history(&self, tag: &str) -> Vec<(Digest, bool, i64)> {
        let rows = self.rows(&HISTORY, Some(tag)).await;
        let read = |row: &Row| {
            let open = row.opt_int(3).unwrap().is_none();
            (row.digest(1).unwrap(), open, row.int(4).unwrap())
        };
        rows.iter().map(read).collect()
    }

    /// What manifests keep alive, and whether for good.
    pub(super) async fn kept(&self) -> Vec<(Digest, bool)> {
        let rows = self.rows(&KEPT, None).await;
        rows.iter()
            .map(|row| (row.digest(0).unwrap(), row.opt_int(1).unwrap().is_none()))
            .collect()
    }

    pub(super) async fn events(&self) -> Vec<i64> {
        let rows = self.op().sql().all(&EVENTS, args![]).await.unwrap();
        rows.iter().map(|row| row.int(0).unwrap()).collect()
    }
}

pub(super) fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

pub(super) fn image(config: &Value, layers: &[Value]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config,
        "layers": layers,
    })
}

pub(super) fn index(children: &[&Value]) -> Value {
    let of = |child: &&Value| {
        let text = child.to_string();
        let digest = Digest::of(Algorithm::Sha256, text.as_bytes());
        descriptor(OCI_MANIFEST, &digest, text.len())
    };
    let manifests: Vec<Value> = children.iter().map(of).collect();
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
}

/// The same manifest about a subject.
pub(super) fn about(manifest: &Value, subject: &Digest) -> Value {
    let mut manifest = manifest.clone();
    manifest["subject"] = descriptor(OCI_MANIFEST, subject, 1);
    manifest
}
