//! The registry alone, in process, on a database and a directory of its own.
//!
//! Callers say who they are in a header, so that a test needs no tokens. Whatever is asked goes
//! through the dispatcher, as every request does.

mod blobs;
mod cost;
mod interleavings;
mod pulls;
mod tickets;
mod uploads;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, StatusCode};
use seawall_blob::Blobs;
use seawall_blob::fixture::{SeededRandom, ShiftedClock};
use seawall_kernel::auth::{
    Actor, ActorIdentity, Ceiling, CredentialKind, Identity, IdentitySource, Verifier,
};
use seawall_kernel::catalog::principals;
use seawall_kernel::http::{Dispatcher, RouteTable};
use seawall_kernel::secrets::Secrets;
use seawall_kernel::tasks::Tracker;
use seawall_kernel::{Kernel, KernelParts, Op, Origin, Settings};
use seawall_meta::fixture::{DatabaseBackend, TestDatabase};
use seawall_meta::{Meta, Tx};
use seawall_types::permission::PrincipalKind;
use seawall_types::scope::Scopes;
use seawall_types::time::Millis;
use seawall_types::{Algorithm, Clock, Digest, Lane, NamespaceName, PrincipalId, Result, Spawner};

use crate::{Config, Content};

/// A registry of which a test knows everything.
pub(super) struct Harness {
    pub(super) content: Arc<Content>,
    clock: Arc<ShiftedClock>,
    dispatcher: Arc<Dispatcher>,
    known: Arc<KnownRights>,
    directory: tempfile::TempDir,
    _database: TestDatabase,
}

/// Who there is.
#[derive(Default)]
struct KnownRights {
    users: Mutex<BTreeMap<String, PrincipalId>>,
    /// Every request that came, for what it has cost.
    asked: Mutex<Vec<Op>>,
}

impl KnownRights {
    fn actor(&self, name: &str) -> Actor {
        let Some(id) = self.users.lock().unwrap().get(name).copied() else {
            return Actor::anonymous();
        };
        let identity = Identity {
            id,
            name: name.into(),
            kind: PrincipalKind::User,
            superuser: false,
            generation: 1,
            credential: 1.into(),
            credential_kind: CredentialKind::Password,
        };
        Actor {
            who: ActorIdentity::Principal(Arc::new(identity)),
            ceiling: Ceiling::Unlimited,
        }
    }
}

impl IdentitySource for KnownRights {
    fn renew<'a>(
        &'a self,
        _: &'a mut Tx,
        identity: &'a Identity,
        _: Millis,
    ) -> BoxFuture<'a, Result<Identity>> {
        futures::future::ready(Ok(identity.clone())).boxed()
    }
}

impl Verifier for KnownRights {
    fn verify<'a>(
        &'a self,
        op: &'a Op,
        head: &'a http::request::Parts,
    ) -> BoxFuture<'a, Result<Actor>> {
        self.asked.lock().unwrap().push(op.clone());
        let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap());
        let mut actor = self.actor(text("x-user").unwrap_or_default());
        if let Some(scope) = text("x-scope") {
            actor.ceiling = Ceiling::Scopes(Arc::new(Scopes::parse([scope]).unwrap()));
        }
        futures::future::ready(Ok(actor)).boxed()
    }
}

impl Harness {
    /// A registry with the users `ann` and `bob`, each with a namespace.
    pub(super) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    /// The same with other settings.
    pub(super) async fn with(config: Config) -> Self {
        let sets = [seawall_kernel::MIGRATIONS, crate::MIGRATIONS];
        let database = TestDatabase::migrated(DatabaseBackend::chosen().unwrap(), &sets)
            .await
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (tracker, clock) = (Arc::<Tracker>::default(), Arc::new(ShiftedClock::default()));
        let tasks = || Arc::clone(&tracker) as Arc<dyn Spawner>;
        let time = || Arc::clone(&clock) as Arc<dyn Clock>;
        let meta = Meta::open(&database.config(), directory.path(), tasks(), time())
            .await
            .unwrap();
        let random = Arc::new(SeededRandom::default());
        let storage = seawall_blob::Config::default();
        let blobs = Blobs::open(&storage, directory.path(), tasks(), time(), random.clone());
        let parts = KernelParts {
            meta,
            blobs: blobs.await.unwrap(),
            clock: time(),
            random,
            secrets: Secrets::from_bytes(&[7; 32]),
            settings: Settings::default(),
            cache_bytes: 16 << 20,
            declarations: crate::declarations(),
            tracker,
        };
        let kernel = Kernel::open(parts).await.unwrap();
        let content = Content::new(Arc::clone(&kernel), config).unwrap();
        let known = Arc::new(KnownRights::default());
        let feature = crate::feature(&content);
        let table = RouteTable::new(feature.routes, feature.mounts).unwrap();
        let dispatcher = Dispatcher::new(kernel, table, Arc::clone(&known) as _, None);
        let rig = Self {
            content,
            clock,
            dispatcher,
            known,
            directory,
            _database: database,
        };
        for name in ["ann", "bob"] {
            rig.make_user(name).await;
        }
        rig
    }

    async fn make_user(&self, name: &str) {
        let op = self.content.kernel().internal_op(Lane::Control, "test");
        let parsed = NamespaceName::parse(name).unwrap();
        let user = op
            .transaction(parsed, |tx, op, name| {
                Box::pin(async move {
                    principals::create_user(tx, op, &op.installation()?, name, false).await
                })
            })
            .await
            .unwrap();
        let id = user.id();
        self.known.users.lock().unwrap().insert(name.to_owned(), id);
    }

    /// An operation of a user.
    pub(super) fn op(&self, user: &str) -> Op {
        let actor = self.known.actor(user);
        let verifier = Arc::clone(&self.known) as Arc<dyn IdentitySource>;
        self.content
            .kernel()
            .op(Lane::Push, actor, Origin::internal("test"), None)
            .proved_by(verifier)
    }

    /// Moves the time of the process and of the database.
    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.content.kernel().meta().shift_time(by);
    }

    /// A request of a user; the empty name is nobody.
    pub(super) fn ask(&self, user: &str, method: &str, path: &str) -> TestRequest<'_> {
        let builder = Request::builder()
            .method(method)
            .uri(path)
            .header("x-user", user);
        TestRequest {
            rig: self,
            builder,
            body: Body::empty(),
        }
    }

    /// Pushes a blob in one request.
    pub(super) async fn push(&self, user: &str, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.ask(user, "POST", &path)
            .bytes(bytes)
            .expect(StatusCode::CREATED)
            .await;
        digest
    }

    /// Opens an upload and says where it goes on.
    pub(super) async fn open(&self, user: &str, repository: &str) -> String {
        let path = format!("/v2/{repository}/blobs/uploads/");
        self.ask(user, "POST", &path)
            .expect(StatusCode::ACCEPTED)
            .await
            .text("location")
    }

    /// How many requests came since this was asked last, and how many statements they took.
    pub(super) fn spent(&self) -> (u64, u64) {
        let asked = std::mem::take(&mut *self.known.asked.lock().unwrap());
        let statements = |op: &Op| {
            let spent = op.cost().snapshot();
            spent.reads + spent.writes
        };
        (asked.len() as u64, asked.iter().map(statements).sum())
    }

    /// Where the files of uploads are.
    pub(super) fn uploads(&self) -> std::path::PathBuf {
        self.directory.path().join("blobs/uploads")
    }

    /// Every blob that lies in the store, whether a row names it or not.
    pub(super) async fn stored(&self) -> usize {
        use futures::StreamExt;
        self.op("").transfers().list().count().await
    }
}

/// A request in the making.
pub(super) struct TestRequest<'r> {
    rig: &'r Harness,
    builder: http::request::Builder,
    body: Body,
}

impl TestRequest<'_> {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// A body of known length.
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let length = bytes.len().to_string();
        let mut ask = self.header("content-length", &length);
        ask.body = Body::from(bytes.to_vec());
        ask
    }

    /// A body of unknown length.
    pub(super) fn stream(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    pub(super) async fn send(self) -> Told {
        let request = self.builder.body(self.body).unwrap();
        let origin = Origin::internal("test");
        let (head, body) = self
            .rig
            .dispatcher
            .dispatch(request, origin)
            .await
            .into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Told {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    /// Sends it, and fails the test if the answer has another status.
    pub(super) async fn expect(self, status: StatusCode) -> Told {
        let told = self.send().await;
        assert_eq!(told.status, status, "{told:?}");
        told
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Told {
    /// A header, or nothing.
    pub(super) fn text(&self, name: &str) -> String {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
            .to_owned()
    }

    /// The code of the first error.
    pub(super) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn every_statement_is_one_that_the_database_takes() {
    let rig = Harness::new().await;
    let refused = rig
        .content
        .kernel()
        .meta()
        .check(&crate::statements())
        .await
        .unwrap();
    assert_eq!(refused, Vec::<String>::new());
}
