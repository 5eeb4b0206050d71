//! `seawall serve` from start to end: lock, database, composition, listeners, banner, stop.
//!
//! Everything that can be refused is refused before the first connection is accepted, with one
//! clear sentence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use seawall_kernel::http::Dispatcher;
use seawall_kernel::{HealthFinding, Kernel};
use seawall_meta::{Meta, SqlDialect};
use seawall_types::lane::Lane;
use seawall_types::work::Spawner;
use seawall_types::{Error, Secret};

use crate::banner::Banner;
use crate::command::CommonOptions;
use crate::compose::{self, App, Runtime};
use crate::config::{Config, ListenAddress};
use crate::first_password::FirstPassword;
use crate::frontend::{self, Frontend};
use crate::health::Health;
use crate::lock::DataLock;
use crate::ops::ManagementRoutes;
use crate::proxy::TrustedProxies;
use crate::telemetry::Telemetry;
use crate::terminal::Terminal;
use crate::{memory, signals};
use seawall_net::lifecycle::Lifecycle;
use seawall_net::{RequestService, Server, raise_open_files};

/// How long work beside requests may take to end, once the listeners are closed.
const AFTERWORK: Duration = Duration::from_secs(10);

/// Serves until the process stops.
pub async fn serve(
    common: &CommonOptions,
    listen: Option<ListenAddress>,
    terminal: Terminal,
) -> Result<()> {
    let config = common.load(listen)?;
    let runtime = Runtime::machine();
    let logging = crate::log::install(&config.log, Arc::clone(&runtime.clock))?;
    warn_of_gaps(&config);
    let telemetry = Telemetry::install()?;
    raise_open_files();
    let data = config.data.clone();
    let _lock = DataLock::take(&data)?;
    let meta = compose::open_meta(&config, &data, &runtime).await?;
    prepare_schema(&meta).await?;
    let app = App::open(&config, &data, meta, &runtime).await?;
    let file = FirstPassword::of(&data);
    let first = first_administrator(&app, &file).await?;
    app.start().await?;

    let lifecycle = runtime.tracker.lifecycle().clone();
    let health = checks(Health::new(&lifecycle), &app.kernel);
    let health = Arc::new(health.with_features(app.checks()));
    let token = config.management.token.clone();
    let ops = ManagementRoutes::new(Arc::clone(&health), telemetry.clone(), token);
    let own = config.management.address.is_none().then_some(&ops);
    let dispatcher = app.dispatcher(frontend::routes(own), logging.requests.clone())?;
    let server = listeners(&config, dispatcher, &ops, &lifecycle, &runtime)?;
    let addresses = server.addresses();
    // Before the loop starts: two checks of the disk at once would be in each other's way.
    health.check().await;
    watch(&runtime, &lifecycle, &health, &telemetry);
    health.started();

    let banner = Banner {
        config: &config,
        addresses: &addresses,
        made: first.as_ref().map(|_| file.path()),
        // Elsewhere than at a terminal it would stay, as in a container's log.
        password: first.as_ref().filter(|_| terminal.shows_output()),
    };
    terminal.write(&banner.text())?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        database = app.kernel.meta().server(),
        "serving"
    );
    let ended = server.run(&config.shutdown).await;
    app.close(AFTERWORK).await;
    tracing::info!(cut_off = ended.cut_off, "stopped");
    Ok(())
}

/// Brings the embedded database's schema up to date, and refuses any other that is not.
async fn prepare_schema(meta: &Meta) -> Result<()> {
    let migrator = compose::migrator(meta);
    if meta.dialect() == SqlDialect::Sqlite {
        migrator
            .apply()
            .await
            .context("the embedded database cannot be brought up to date")?;
    }
    migrator
        .check()
        .await
        .context("the schema does not fit this binary")
}

/// Makes the first administrator at the very first start. The password is kept before the user is
/// made, and said once.
async fn first_administrator(app: &App, file: &FirstPassword) -> Result<Option<Secret>> {
    let op = app.kernel.internal_op(Lane::Control, "start");
    let mut kept = false;
    let made = app
        .directory
        .ensure_admin(&op, &op.installation()?, |password| {
            kept = true;
            file.keep(password).map_err(Error::internal)
        })
        .await
        .with_context(|| {
            let path = file.path().display();
            format!("the first administrator, kept in {path}")
        })?;
    if kept && made.is_none() {
        // Another server made the administrator, with another password.
        file.remove()?;
    }
    Ok(made)
}

/// Warns of settings that give strangers more than was meant.
fn warn_of_gaps(config: &Config) {
    if !config.trusted_proxies.is_empty() && config.public_url.is_none() {
        tracing::warn!(
            "trusted_proxies is set and public_url is not: clients are sent to whatever host the proxy passes on; set public_url, or \
             see to it that the proxy sets X-Forwarded-Host and Forwarded itself"
        );
    }
}

fn listeners(
    config: &Config,
    dispatcher: Arc<Dispatcher>,
    ops: &ManagementRoutes,
    lifecycle: &Lifecycle,
    runtime: &Runtime,
) -> Result<Server> {
    let networks: Vec<_> = config
        .trusted_proxies
        .iter()
        .map(|network| network.net())
        .collect();
    let clock = Arc::clone(&runtime.clock);
    let mut server = Server::new(&config.limits, &networks, lifecycle, clock);
    let front: Arc<dyn RequestService> = Arc::new(Frontend::new(
        dispatcher,
        TrustedProxies::new(networks),
        &*runtime.random,
    ));
    server.listen(&config.listeners, &front)?;
    if let Some(address) = &config.management.address {
        let ops: Arc<dyn RequestService> = Arc::new(ops.clone());
        server.listen_management(address.socket(), &ops)?;
    }
    if server.addresses().is_empty() {
        bail!("there is nothing to listen on");
    }
    Ok(server)
}

/// After a probe of the disk with an fsync that found nothing wrong, so many probes do without: at
/// the interval of [`Health::watch`] that is one fsync in ten seconds.
const CHEAP_LOOKS: u32 = 4;

/// The checks of readiness. Only what pulls need may fail it; the rest degrades (decision 16).
pub fn checks(health: Health, kernel: &Arc<Kernel>) -> Health {
    let database = Arc::clone(kernel);
    let storage = Arc::clone(kernel);
    // How many probes may still do without an fsync; none while the last one failed.
    let cheap = Arc::new(AtomicU32::new(0));
    health
        .with("database", move || {
            let kernel = Arc::clone(&database);
            async move {
                match kernel.meta().health().await {
                    Ok(health) if health.writable => HealthFinding::Ok,
                    Ok(_) => HealthFinding::Degraded("the database takes no writes".to_owned()),
                    Err(_) => HealthFinding::Degraded("the database does not answer".to_owned()),
                }
            }
            .boxed()
        })
        .with("storage", move || {
            let (kernel, cheap) = (Arc::clone(&storage), Arc::clone(&cheap));
            async move {
                let left = cheap.load(Ordering::Relaxed);
                // Until this probe has succeeded, the next one has an fsync, too.
                cheap.store(0, Ordering::Relaxed);
                match kernel.blobs().health(left == 0).await {
                    Ok(()) => {
                        let next = left.checked_sub(1).unwrap_or(CHEAP_LOOKS);
                        cheap.store(next, Ordering::Relaxed);
                        HealthFinding::Ok
                    }
                    Err(error) => HealthFinding::Degraded(error.to_string()),
                }
            }
            .boxed()
        })
}

/// Starts the background tasks beside the listeners.
fn watch(runtime: &Runtime, lifecycle: &Lifecycle, health: &Arc<Health>, telemetry: &Telemetry) {
    let tracker = &runtime.tracker;
    let phases = lifecycle.clone();
    tracker.spawn(
        "signals",
        Box::pin(async move {
            if let Err(error) = signals::follow(phases).await {
                tracing::error!(%error, "signals cannot be followed");
            }
        }),
    );
    tracker.spawn("health", Box::pin(Arc::clone(health).watch()));
    tracker.spawn(
        "metrics-upkeep",
        Box::pin(telemetry.clone().upkeep(lifecycle.clone())),
    );
    tracker.spawn("memory", Box::pin(memory::give_back(lifecycle.clone())));
}
