//! Accounts over a real database and the kernel's own dispatcher.

mod dialect;
mod directory;
mod doors;
mod logins;
mod refresh;
mod rights;
mod service;
mod store;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use seawall_kernel::auth::{Administer, Push, StaticKind, Verifier};
use seawall_kernel::catalog::repositories;
use seawall_kernel::clock::SystemRandom;
use seawall_kernel::http::{Dispatcher, RouteTable};
use seawall_kernel::secrets::Secrets;
use seawall_kernel::tasks::Tracker;
use seawall_kernel::{Actor, Ceiling, Kernel, KernelParts, Op, Origin, Settings};
use seawall_meta::Meta;
use seawall_meta::fixture::{DatabaseBackend, TestClock, TestDatabase};
use seawall_types::lane::Lane;
use seawall_types::permission::{RepositoryKind, Visibility};
use seawall_types::{Clock, NamespaceName, RepositoryName, Result, Secret, Tasks};
use serde_json::Value;

use crate::verifier::known;
use crate::{Config, Directory, MIGRATIONS, NewUser, feature};
use dialect::NEUTRAL;

/// A kind of repository, as another crate has it.
struct Image;

impl StaticKind for Image {
    const KIND: RepositoryKind = RepositoryKind::new(1, "image");
}

/// A process over a database of its own.
struct Fixture {
    kernel: Arc<Kernel>,
    directory: Arc<Directory>,
    dispatcher: Arc<Dispatcher>,
    clock: Arc<TestClock>,
    database: Arc<TestDatabase>,
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(Config::default()).await
    }

    /// A process that gives out refresh tokens.
    async fn with_refresh_tokens() -> Self {
        Self::with(Config {
            refresh_tokens: true,
            ..Config::default()
        })
        .await
    }

    async fn with(config: Config) -> Self {
        let backend = DatabaseBackend::chosen().unwrap();
        let sets = [seawall_kernel::MIGRATIONS, MIGRATIONS];
        let database = TestDatabase::migrated(backend, &sets).await.unwrap();
        Self::over(Arc::new(database), config).await
    }

    /// Another process over the same database.
    async fn beside(&self) -> Self {
        let config = self.directory.tokens().config().clone();
        Self::over(Arc::clone(&self.database), config).await
    }

    async fn over(database: Arc<TestDatabase>, config: Config) -> Self {
        let clock = TestClock::new();
        let shared = || Arc::clone(&clock) as Arc<dyn Clock>;
        let tracker = Arc::<Tracker>::default();
        let tasks = || Arc::clone(&tracker) as Tasks;
        let place = database.directory();
        let meta = Meta::open(&database.config(), place, tasks(), shared())
            .await
            .unwrap();
        let blobs = seawall_blob::Config::default();
        let random = Arc::new(SystemRandom);
        let blobs =
            seawall_blob::Blobs::open(&blobs, place, tasks(), shared(), Arc::clone(&random) as _);
        let parts = KernelParts {
            meta,
            blobs: blobs.await.unwrap(),
            clock: shared(),
            random,
            tracker: Arc::clone(&tracker),
            secrets: Secrets::from_bytes(&[5; 32]),
            settings: Settings::default(),
            cache_bytes: 16 << 20,
            declarations: crate::declarations(),
        };
        let kernel = Kernel::open(parts).await.unwrap();
        let directory = Directory::new(&kernel, config).await.unwrap();
        let feature = feature(&directory).mount("/v2", &NEUTRAL);
        let table = RouteTable::new(feature.routes, feature.mounts).unwrap();
        let verifier = Arc::clone(&directory) as Arc<dyn Verifier>;
        let dispatcher = Dispatcher::new(Arc::clone(&kernel), table, verifier, None);
        Self {
            kernel,
            directory,
            dispatcher,
            clock,
            database,
        }
    }

    fn operator(&self) -> Op {
        self.kernel.internal_op(Lane::Control, "test")
    }

    fn op(&self) -> Op {
        self.kernel.op(
            Lane::Pull,
            Actor::anonymous(),
            Origin::internal("test"),
            None,
        )
    }

    /// Moves the database's time, and the process's clock by as little as lets keys be read again.
    fn pass(&self, time: Duration) {
        let beat = Duration::from_secs(1);
        self.kernel.meta().shift_time(time.saturating_sub(beat));
        self.clock.advance(beat);
    }

    async fn user(&self, name: &str) {
        let name = NamespaceName::parse(name).unwrap();
        let password = Some(Secret::new(format!("{name}'s password")));
        let user = NewUser {
            name,
            password,
            superuser: false,
        };
        let operator = self.operator();
        let installation = operator.installation().unwrap();
        let made = self.directory.create_user(&operator, &installation, user);
        made.await.unwrap();
    }

    async fn repository(&self, owner: &str, name: &str, visibility: Visibility) {
        let password = Secret::new(format!("{owner}'s password"));
        let identity = self
            .directory
            .log_in(&self.op(), owner, &password)
            .await
            .unwrap();
        let op = self.op().acting_as(known(identity, Ceiling::Unlimited));
        let name = RepositoryName::parse(name).unwrap();
        let repo = op.repo::<Push<Image>>(&name).await.unwrap();
        op.transaction(repo, |tx, op, repo| {
            Box::pin(async move { repo.ensure(tx, op).await })
        })
        .await
        .unwrap();
        let repo = op.repo::<Administer>(&name).await.unwrap();
        repositories::set_visibility(&op, &repo, visibility)
            .await
            .unwrap();
    }

    async fn get(&self, query: &str, authorization: Option<&str>) -> Answer {
        let mut request = Request::get(format!("/v2/auth?{query}"));
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request.body(String::new()).unwrap().map(Into::into);
        read(
            self.dispatcher
                .dispatch(request, Origin::internal("test"))
                .await,
        )
        .await
    }

    async fn post(&self, form: &str) -> Answer {
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let request = Request::post("/v2/auth").header(header::CONTENT_TYPE, kind);
        let request = request.body(form.to_owned()).unwrap().map(Into::into);
        read(
            self.dispatcher
                .dispatch(request, Origin::internal("test"))
                .await,
        )
        .await
    }

    /// A token for `user`, who asks for `scope`.
    async fn token(&self, user: &str, scope: &str) -> String {
        let answer = self
            .get(&format!("scope={scope}"), Some(&basic(user)))
            .await;
        answer.text("token")
    }

    /// Who the kernel takes the bearer of `token` for.
    async fn bearer(&self, token: &str) -> Result<Actor> {
        self.verify(&self.op(), &format!("Bearer {token}")).await
    }

    async fn verify(&self, op: &Op, authorization: &str) -> Result<Actor> {
        let request = Request::post("/").header(header::AUTHORIZATION, authorization);
        let (head, ()) = request.body(()).unwrap().into_parts();
        self.directory.verify(op, &head).await
    }
}

impl Answer {
    fn text(&self, key: &str) -> String {
        self.body[key]
            .as_str()
            .unwrap_or_else(|| panic!("no {key} in {}", self.body))
            .to_owned()
    }

    fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }
}

async fn read<B>(response: Response<B>) -> Answer
where
    B: http_body_util::BodyExt,
    B::Error: std::fmt::Debug,
{
    let (parts, body) = response.into_parts();
    let bytes = BodyExt::collect(body).await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

/// The header of a user made by [`Fixture::user`].
fn basic(user: &str) -> String {
    pair(user, &format!("{user}'s password"))
}

fn pair(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
