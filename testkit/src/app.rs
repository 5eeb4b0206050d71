//! `TestApp`: the whole server in process, on a database and a directory of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use seawall::compose::{self, App, CoreServices, Runtime};
use seawall::config::Config;
use seawall::frontend;
use seawall::verify::{VerifyReport, verify_storage};
use seawall_accounts::NewUser;
use seawall_blob::files::{DiskFiles, Files};
use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::{grants, repositories};
use seawall_kernel::http::Dispatcher;
use seawall_kernel::{FeaturePlan, Op};
use seawall_meta::fixture::{DatabaseBackend, TestDatabase};
use seawall_types::Secret;
use seawall_types::lane::Lane;
use seawall_types::name::{NamespaceName, RepositoryName};
use seawall_types::permission::{Role, Visibility};

use crate::client::Client;
use crate::requests::RequestCapture;

/// The password of every user that a test makes.
const PASSWORD: &str = "correct horse battery staple";

/// How long a test waits for what happens beside requests.
const PATIENCE: Duration = Duration::from_secs(20);

/// A whole server in process.
pub struct TestApp {
    /// What is put together.
    pub server: App,
    /// The log of all requests so far.
    pub requests: RequestCapture,
    dispatcher: Arc<Dispatcher>,
    plans: Arc<Vec<FeaturePlan<CoreServices>>>,
    config: Config,
    data: PathBuf,
    files: Arc<dyn Files>,
    // Fields are dropped in order: the database and the directory outlive what uses them.
    database: TestDatabase,
    directory: tempfile::TempDir,
}

/// The memory for caches; by `SEAWALL_TEST_CACHE=0` every answer is found without any.
#[expect(
    clippy::disallowed_methods,
    reason = "the suite is run once more with a cache that forgets everything"
)]
fn cache_bytes() -> u64 {
    std::env::var("SEAWALL_TEST_CACHE").map_or(16 << 20, |bytes| bytes.parse().expect("bytes"))
}

fn dispatch(server: &App, requests: &RequestCapture) -> Arc<Dispatcher> {
    let journal = Arc::new(requests.clone());
    server
        .dispatcher(frontend::routes(None), Some(journal))
        .expect("routes that can be served together")
}

impl TestApp {
    /// A server with the defaults.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A server whose configuration was changed before it started.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::made(compose::plans(), change, Arc::new(DiskFiles)).await
    }

    /// A server whose blobs are on files that may fail.
    pub async fn on(files: Arc<dyn Files>) -> Self {
        Self::made(compose::plans(), |_| {}, files).await
    }

    /// A server with one feature more, whose configuration was changed before it started.
    pub async fn with_feature(
        plan: FeaturePlan<CoreServices>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut plans = compose::plans();
        plans.push(plan);
        Self::made(plans, change, Arc::new(DiskFiles)).await
    }

    async fn made(
        plans: Vec<FeaturePlan<CoreServices>>,
        change: impl FnOnce(&mut Config),
        files: Arc<dyn Files>,
    ) -> Self {
        let plans = Arc::new(plans);
        let backend = DatabaseBackend::chosen().expect("SEAWALL_TEST_DB");
        let database = TestDatabase::migrated(backend, &compose::tables(&plans))
            .await
            .expect("a database");
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = compose::layout_of(&plans).expect("the sections").default();
        config.database.url = Some(Secret::new(database.url.clone()));
        config.database.max_connections = 8;
        config.cache.bytes = cache_bytes();
        change(&mut config);
        let data = directory.path().join("data");
        std::fs::create_dir_all(&data).expect("a data directory");
        let server = Self::open(&plans, &config, &data, &files).await;
        let operator = server.kernel.internal_op(Lane::Control, "test");
        Self::make(&server, &operator, "admin", true).await;
        let requests = RequestCapture::default();
        let dispatcher = dispatch(&server, &requests);
        Self {
            server,
            requests,
            dispatcher,
            plans,
            config,
            data,
            files,
            database,
            directory,
        }
    }

    /// The same server, stopped and started again over the same data.
    pub async fn restarted(self) -> Self {
        let Self {
            server,
            requests,
            dispatcher,
            plans,
            config,
            data,
            files,
            database,
            directory,
        } = self;
        drop(dispatcher);
        server.close(Duration::from_secs(5)).await;
        let server = Self::open(&plans, &config, &data, &files).await;
        let dispatcher = dispatch(&server, &requests);
        Self {
            server,
            requests,
            dispatcher,
            plans,
            config,
            data,
            files,
            database,
            directory,
        }
    }

    /// A second server beside this one, over the same data, as another replica would be.
    pub async fn beside(&self) -> (App, Client) {
        let server = Self::open(&self.plans, &self.config, &self.data, &self.files).await;
        let client = Client::anonymous(dispatch(&server, &self.requests));
        (server, client)
    }

    async fn open(
        plans: &[FeaturePlan<CoreServices>],
        config: &Config,
        data: &Path,
        files: &Arc<dyn Files>,
    ) -> App {
        let runtime = Runtime {
            files: Arc::clone(files),
            ..Runtime::machine()
        };
        let meta = compose::open_meta(config, data, &runtime)
            .await
            .expect("the database opens");
        let server = App::open_with(plans, config, data, meta, &runtime)
            .await
            .expect("the server opens");
        server.start().await.expect("the server starts");
        server
    }

    async fn make(server: &App, operator: &Op, name: &str, superuser: bool) {
        let name = NamespaceName::parse(name).expect("a user's name");
        let password = Some(Secret::new(PASSWORD.to_owned()));
        let user = NewUser {
            name,
            password,
            superuser,
        };
        let installation = operator.installation().expect("the operator");
        let made = server.directory.create_user(operator, &installation, user);
        made.await.expect("a user");
    }

    /// An operation as the command line makes them.
    pub fn operator(&self) -> Op {
        self.server.kernel.internal_op(Lane::Control, "test")
    }

    /// What is served, with all its routes.
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// The configuration that it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// An anonymous client.
    pub fn anonymous(&self) -> Client {
        Client::anonymous(Arc::clone(&self.dispatcher))
    }

    /// The administrator, with a password.
    pub fn admin(&self) -> Client {
        self.anonymous().with_password("admin", PASSWORD)
    }

    /// A new user, with a password.
    pub async fn user(&self, name: &str) -> Client {
        Self::make(&self.server, &self.operator(), name, false).await;
        self.known(name)
    }

    /// A user that was made before, with a password.
    pub fn known(&self, name: &str) -> Client {
        self.anonymous().with_password(name, PASSWORD)
    }

    /// Grants a user a role on a repository.
    pub async fn grant(&self, repository: &str, user: &str, role: Role) {
        let op = self.operator();
        let name = RepositoryName::parse(repository).expect("a repository's name");
        let repo = op.repo::<Administer>(&name).await.expect("the repository");
        grants::on_repository(&op, &repo, user, Some(role))
            .await
            .expect("the grant");
    }

    /// Makes a repository public or private.
    pub async fn set_visibility(&self, repository: &str, visibility: Visibility) {
        let op = self.operator();
        let name = RepositoryName::parse(repository).expect("a repository's name");
        let repo = op.repo::<Administer>(&name).await.expect("the repository");
        repositories::set_visibility(&op, &repo, visibility)
            .await
            .expect("the change");
    }

    /// Moves the database's time forward, for everything that two replicas compare.
    pub async fn advance(&self, by: Duration) {
        self.server.kernel.meta().shift_time(by);
        self.server
            .kernel
            .meta()
            .observe_time()
            .await
            .expect("the database's time");
    }

    /// Waits until `holds`, for what happens beside requests; fails the test if it never does.
    pub async fn eventually<F, R>(&self, what: &str, holds: F)
    where
        F: Fn() -> R,
        R: Future<Output = bool>,
    {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
            "never: {what}"
        );
    }

    /// How many transactions of this database are open without a statement running in them.
    pub async fn open_transactions(&self) -> i64 {
        let session = self.operator().sql();
        self.database
            .open_transactions(&session)
            .await
            .expect("the database answers")
    }

    /// What `seawall verify` finds.
    pub async fn verify(&self) -> VerifyReport {
        verify_storage(&self.operator(), true)
            .await
            .expect("a verification")
    }

    /// Ends the test: everything that is stored must be whole, and nothing of ours left open.
    pub async fn finish(self) {
        let report = self.verify().await;
        assert!(report.damage.is_empty(), "{:?}", report.damage);
        self.server.close(Duration::from_secs(5)).await;
    }
}
