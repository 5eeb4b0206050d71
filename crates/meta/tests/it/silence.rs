//! A database that went silent, stands still or is down costs nobody a wait without end, and no
//! connection for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, Query};
use seawall_meta::fixture::{
    DatabaseBackend, OpenTransaction, TestClock, TestDatabase, TestProxy, TestTasks,
};
use seawall_meta::{Change, Config, Error, Meta, arg, args, statements};
use seawall_types::{Context, Lane};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::{Fixture, TABLES, eventually};

statements! {
    INSERT: |d| Query::insert().into_table("test_name").columns(["name", "value", "changed_at"])
        .values_panic([arg(0), arg(1), d.now()]);
    VALUE: |_d| Query::select().column("value").from("test_name")
        .and_where(Expr::col("name").eq(arg(0)));
    SLEEP_POSTGRES: |_d| Query::select().expr(Expr::cust("CAST(pg_sleep(1.5) AS TEXT)"));
    SLEEP_MARIADB: |_d| Query::select().expr(Expr::cust("SLEEP(1.5)"));
}

/// Longer than any wait that is bounded, on a busy machine.
const FOR_EVER: Duration = Duration::from_mins(1);

/// Connections of the process under test.
const MOST: u32 = 4;

/// A database behind a proxy.
struct Far {
    meta: Meta,
    proxy: TestProxy,
    // Last, so that it is dropped after its connections.
    database: TestDatabase,
}

impl Far {
    async fn new(backend: DatabaseBackend, change: impl FnOnce(&mut Config)) -> Option<Self> {
        if !backend.is_available() {
            return None;
        }
        let database = TestDatabase::migrated(backend, &[TABLES]).await.unwrap();
        let (proxy, url) = TestProxy::before(&database.url).unwrap();
        let mut config = Config {
            max_connections: MOST,
            statement_timeout_ms: 1_000,
            acquire_timeout_ms: 2_000,
            ..Config::at(url)
        };
        change(&mut config);
        let data = database.directory().to_owned();
        let opened = Meta::open(&config, &data, TestTasks::tasks(), TestClock::new());
        let meta = opened.await.unwrap();
        Some(Self {
            meta,
            proxy,
            database,
        })
    }

    /// Reads; says whether that went well.
    async fn reads(&self) -> Result<(), Error> {
        let session = self.meta.session(Context::new(Lane::Pull));
        let read = session.optional(&VALUE, args!["a"]);
        timeout(FOR_EVER, read).await.unwrap().map(drop)
    }

    async fn writes(&self) -> Result<(), Error> {
        let session = self.meta.session(Context::new(Lane::Push));
        let written = session.transaction::<_, Error, _>(|tx| {
            Box::pin(async move { tx.optional(&VALUE, args!["a"]).await.map(drop) })
        });
        timeout(FOR_EVER, written).await.unwrap().map(drop)
    }

    /// So many at once as there may be connections, and as many again.
    async fn crowd(&self) -> Vec<Result<(), Error>> {
        futures::future::join_all((0..2 * MOST).map(|_| self.reads())).await
    }
}

/// Runs a story on each server for which there is one.
macro_rules! on_every_server {
    ($(async fn $name:ident($backend:ident: DatabaseBackend) $body:block)*) => {$(
        async fn $name($backend: DatabaseBackend) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(crate::DatabaseBackend::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                super::$name(crate::DatabaseBackend::Mariadb).await;
            }
        }
    )*};
}

on_every_server! {
    async fn a_follower_whose_connection_went_silent_goes_on_with_another(backend: DatabaseBackend) {
        let Some(far) = Far::new(backend, |_| ()).await else { return };
        let mut follower = far.meta.changes(0).await.unwrap();
        follower.poll().await.unwrap();
        far.proxy.swallow();
        let following = async {
            while follower.poll().await.is_err() {}
        };
        timeout(FOR_EVER, following).await.unwrap();
        let session = far.meta.session(Context::new(Lane::Push));
        let change = Change { kind: 3, ..Change::default() };
        let committed = session.transaction::<_, Error, _>(move |tx| {
            let change = change.clone();
            Box::pin(async move { tx.change(change).await })
        });
        let change = committed.await.unwrap().change.unwrap();
        let rows = timeout(FOR_EVER, follower.poll()).await.unwrap().unwrap().rows;
        assert_eq!(rows.last().map(|row| row.id), Some(change.get()));
    }

    async fn a_follower_sees_while_every_connection_is_taken(backend: DatabaseBackend) {
        let Some(far) = Far::new(backend, |config| {
            config.statement_timeout_ms = 30_000;
            config.acquire_timeout_ms = 60_000;
        }).await else { return };
        let sleep = if backend == DatabaseBackend::Postgres { &SLEEP_POSTGRES } else { &SLEEP_MARIADB };
        let mut follower = far.meta.changes(0).await.unwrap();
        let slept = AtomicU32::new(0);
        let sleepers = futures::future::join_all((0..3 * MOST).map(|_| async {
            loop {
                far.meta.session(Context::new(Lane::Listing)).one(sleep, args![]).await.unwrap();
                slept.fetch_add(1, Ordering::SeqCst);
            }
        }));
        let polling = async {
            // Once some have slept and sleep again, all places are taken and others wait for them.
            while slept.load(Ordering::SeqCst) < MOST {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let before = slept.load(Ordering::SeqCst);
            follower.poll().await.unwrap();
            slept.load(Ordering::SeqCst) - before
        };
        let meanwhile = tokio::select! {
            meanwhile = polling => meanwhile,
            _ = sleepers => unreachable!("they sleep for ever"),
        };
        // Behind all who waited it would have been two for each place.
        assert!(meanwhile < MOST, "it waited for {meanwhile} others");
    }

    async fn silent_connections_cost_no_place_for_ever(backend: DatabaseBackend) {
        let Some(far) = Far::new(backend, |_| ()).await else { return };
        far.crowd().await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        far.writes().await.unwrap();
        far.proxy.swallow();
        let told = futures::join!(far.crowd(), far.writes());
        for told in told.0.into_iter().chain([told.1]).filter_map(Result::err) {
            assert!(matches!(told, Error::Unavailable(_)), "{told:?}");
        }
        // All is as before.
        far.crowd().await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        far.writes().await.unwrap();
        assert!(far.proxy.open() <= MOST as usize, "{}", far.proxy.open());
    }

    async fn a_commit_whose_answer_never_came_is_told_as_uncertain(backend: DatabaseBackend) {
        let Some(far) = Far::new(backend, |_| ()).await else { return };
        let far = Arc::new(far);
        let proxy = Arc::clone(&far);
        let session = far.meta.session(Context::new(Lane::Push));
        let ended = session.transaction::<_, Error, _>(move |tx| {
            let proxy = Arc::clone(&proxy);
            Box::pin(async move {
                tx.execute(&INSERT, args!["a", 1]).await?;
                proxy.proxy.swallow();
                Ok(())
            })
        });
        let ended = timeout(FOR_EVER, ended).await.unwrap();
        assert!(matches!(ended, Err(Error::Uncertain(_))), "{ended:?}");
    }

    async fn a_server_that_stands_still_never_sees_more_than_the_budget(backend: DatabaseBackend) {
        let Some(far) = Far::new(backend, |_| ()).await else { return };
        far.crowd().await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        far.proxy.freeze(true);
        far.proxy.most_open();
        let work = async {
            let asked = Duration::from_millis(100);
            for _ in 0..30 {
                // A check that gives up before it has heard, as those of readiness do.
                drop(timeout(asked, far.meta.health()).await);
                drop(timeout(asked, far.crowd()).await);
            }
        };
        work.await;
        let most = far.proxy.most_open();
        assert!(most <= MOST as usize + 1, "{most} sockets");
        far.proxy.freeze(false);
        let far = &far;
        eventually("all is as before", || async move {
            far.crowd().await.into_iter().all(|read| read.is_ok()) && far.meta.health().await.is_ok()
        }).await;
        assert!(far.proxy.most_open() <= MOST as usize + 1);
    }

    async fn a_database_that_is_down_is_told_at_once_and_asked_by_one_at_a_time(backend: DatabaseBackend) {
        let Some(far) = Far::new(backend, |config| {
            config.acquire_timeout_ms = 600_000;
        }).await else { return };
        far.crowd().await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        far.proxy.refuse(true);
        eventually("the connections are gone", || async { far.proxy.open() == 0 }).await;
        for _ in 0..20 {
            for told in far.crowd().await {
                assert!(matches!(told, Err(Error::Unavailable(_))), "{told:?}");
            }
            assert!(far.meta.health().await.is_err());
        }
        far.proxy.refuse(false);
        let far = &far;
        eventually("all is as before", || async move {
            far.crowd().await.into_iter().all(|read| read.is_ok())
        }).await;
    }

    async fn readers_who_hang_up_while_they_wait_leave_the_line(backend: DatabaseBackend) {
        let Some(far) = Far::new(backend, |config| {
            config.max_connections = 2;
            config.acquire_timeout_ms = 60_000;
            config.statement_timeout_ms = 60_000;
        }).await else { return };
        let (held, over) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (holds, ends) = (Arc::clone(&held), Arc::clone(&over));
        let session = far.meta.session(Context::new(Lane::Push));
        let holding = session.transaction::<_, Error, _>(move |_| {
            let (holds, ends) = (Arc::clone(&holds), Arc::clone(&ends));
            Box::pin(async move {
                holds.notify_one();
                ends.notified().await;
                Ok(())
            })
        });
        let hanging_up = async {
            // The one place of the pool is taken from here on.
            held.notified().await;
            let contexts: Vec<_> = (0..100).map(|_| Context::new(Lane::Pull)).collect();
            let readers = contexts.iter().map(|context| {
                let session = far.meta.session(context.clone());
                async move { session.optional(&VALUE, args!["a"]).await }
            });
            drop(timeout(Duration::from_millis(100), futures::future::join_all(readers)).await);
            over.notify_one();
            contexts
        };
        let (held, contexts) = futures::join!(holding, hanging_up);
        held.unwrap();
        far.reads().await.unwrap();
        let read: u64 = contexts.iter().map(|context| context.cost.snapshot().reads).sum();
        assert_eq!(read, 0, "statements that nobody waited for");
    }

    async fn closing_ends_though_the_database_is_silent(backend: DatabaseBackend) {
        let Some(far) = Far::new(backend, |config| config.statement_timeout_ms = 600_000).await else { return };
        far.reads().await.unwrap();
        far.proxy.freeze(true);
        let session = far.meta.session(Context::new(Lane::Pull));
        // Its caller has gone; it still waits.
        drop(timeout(Duration::from_millis(200), session.optional(&VALUE, args!["a"])).await);
        timeout(FOR_EVER, far.meta.close()).await.unwrap();
        drop(far.database);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_program_writes_to_fails_all_who_wait_together() {
    let fixture = Fixture::new(DatabaseBackend::Sqlite).await;
    let holder = OpenTransaction::open(&fixture.database.url, &[])
        .await
        .unwrap();
    let one = |number: i64| {
        let session = fixture.session();
        async move {
            session
                .transaction::<_, Error, _>(move |tx| {
                    Box::pin(async move {
                        let name = format!("n{number}");
                        tx.execute(&INSERT, args![&name, number]).await
                    })
                })
                .await
        }
    };
    // The lock's own patience is five seconds. One after the other, they would need a hundred.
    let all = futures::future::join_all((0..20).map(one));
    let told = timeout(Duration::from_secs(25), all).await.unwrap();
    for told in told {
        assert!(matches!(told, Err(Error::Busy(_))), "{told:?}");
    }
    holder.end().await.unwrap();
    one(20).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_of_writers_has_an_end_and_none_stands_in_it_for_ever() {
    let database = TestDatabase::migrated(DatabaseBackend::Sqlite, &[TABLES])
        .await
        .unwrap();
    let config = Config {
        acquire_timeout_ms: 500,
        ..database.config()
    };
    let data = database.directory().to_owned();
    let meta = Meta::open(&config, &data, TestTasks::tasks(), TestClock::new())
        .await
        .unwrap();
    let session = meta.session(Context::new(Lane::Push));
    let (held, over) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (holds, ends) = (Arc::clone(&held), Arc::clone(&over));
    let long = session.transaction::<_, Error, _>(move |tx| {
        let (holds, ends) = (Arc::clone(&holds), Arc::clone(&ends));
        Box::pin(async move {
            tx.execute(&INSERT, args!["long", 1]).await?;
            holds.notify_one();
            ends.notified().await;
            Ok(())
        })
    });
    let others = async {
        held.notified().await;
        let one = |number: i64| {
            let session = session.clone();
            async move {
                let written = session.transaction::<_, Error, _>(move |tx| {
                    Box::pin(async move {
                        let name = format!("n{number}");
                        tx.execute(&INSERT, args![&name, number]).await
                    })
                });
                written.await
            }
        };
        let all = futures::future::join_all((0..1500).map(one));
        let told = timeout(FOR_EVER, all).await.unwrap();
        over.notify_one();
        told
    };
    let (long, told) = futures::join!(long, others);
    long.unwrap();
    let full =
        |told: &&Result<_, Error>| matches!(told, Err(Error::Busy(why)) if why.contains("is full"));
    let late = |told: &&Result<_, Error>| matches!(told, Err(Error::Busy(why)) if why.contains("too long"));
    let (full, late) = (
        told.iter().filter(full).count(),
        told.iter().filter(late).count(),
    );
    // Those who come as others leave have the places of those.
    assert!(
        full > 0 && full + late == 1500,
        "{full} found no place, {late} no turn"
    );
}
