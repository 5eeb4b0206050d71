//! Schema changes beside writers: indexes that are built while rows come in, steps that wait for
//! their lock without keeping others from it, tables that are filled range by range.

use std::sync::{Arc, Mutex};

use sea_query::{Expr, ExprTrait as _, Func, Query};
use seawall_meta::fixture::{DatabaseBackend, damage};
use seawall_meta::{
    Backfill, BackfillKey, Error, MigrationStep, Migrations, Migrator, arg, arg_limit, args,
    statements,
};
use tokio::sync::oneshot;

use crate::{Fixture, TABLES, eventually, on_every_database};

statements! {
    NAME: |_d| Query::insert().into_table("test_name").columns(["name", "value", "changed_at"])
        .values_panic([arg(0), Expr::val(7), Expr::val(0)]);
    REMOVE: |_d| Query::delete().from_table("test_name").and_where(Expr::col("name").eq(arg(0)));
    NAMES: |_d| Query::select().column("name").from("test_name");
    /// As if the process had died before the end of a step.
    FORGET: |_d| Query::update().table("schema_migration").value("applied_at", None::<i64>)
        .and_where(Expr::col("owner").eq("test")).and_where(Expr::col("number").eq(arg(0)));
    VALUE: |_d| Query::insert().into_table("test_value").columns(["number"]).values_panic([arg(0)]);
    FILLED: |_d| Query::select().column("id").from("test_value").and_where(Expr::col("small").is_not_null());
    NEXT: |_d| {
        let range = Query::select().column("id").from("test_value").and_where(Expr::col("id").gt(arg(0)))
            .order_by("id", sea_query::Order::Asc).limit(arg_limit(1)).to_owned();
        Query::select().expr(Func::max(Expr::col("id"))).from_subquery(range, "range").to_owned()
    };
    FILL: |_d| Query::update().table("test_value").value("small", Expr::col("number"))
        .and_where(Expr::col("id").gt(arg(0))).and_where(Expr::col("id").lte(arg(1)));
}

mod postgres_only {
    use sea_query::{Expr, Query};

    seawall_meta::statements! {
        INVALID: |_d| Query::select().expr(Expr::cust("CAST(1 AS BIGINT)")).from("pg_index")
            .and_where(Expr::cust("NOT indisvalid"));
        WAITING: |_d| Query::select().expr(Expr::cust("CAST(1 AS BIGINT)")).from("pg_stat_activity")
            .and_where(Expr::cust("datname = current_database() AND wait_event_type = 'Lock' \
                AND (query LIKE 'CREATE INDEX%' OR query LIKE 'ALTER TABLE%')"));
    }
}

mod mariadb_only {
    use sea_query::{Expr, Query};

    seawall_meta::statements! {
        // Not by a look at the table, which would wait as well.
        WAITING: |_d| Query::select().column("id").from(("information_schema", "processlist"))
            .and_where(Expr::cust("db = DATABASE() AND state LIKE 'Waiting for table metadata lock%'"));
    }
}

static INDEX: MigrationStep = MigrationStep {
    file: "0004_index_test_name_by_value",
    sql: "CREATE INDEX {online} test_name_by_value ON test_name (value)",
};

static INDEXED: Migrations = Migrations {
    owner: "test",
    steps: &[TABLES.steps[0], TABLES.steps[1], TABLES.steps[2], INDEX],
};

static WIDENED: Migrations = Migrations {
    owner: "test",
    steps: &[
        TABLES.steps[0],
        TABLES.steps[1],
        TABLES.steps[2],
        INDEX,
        MigrationStep {
            file: "0005_add_test_name_more",
            sql: "ALTER TABLE test_name ADD COLUMN more {bigint}",
        },
    ],
};

static NUMBERS: Backfill = Backfill {
    name: "test_value.small",
    key: BackfillKey::Id,
    next: &NEXT,
    lock: None,
    fill: &FILL,
};

async fn write(fixture: &Fixture, name: &'static str) {
    let session = fixture.session();
    let written = session.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { tx.execute(&NAME, args![name]).await })
    });
    written.await.unwrap();
}

/// A transaction that uses the table, says so, and stays open until it is let go.
async fn occupy(fixture: &Fixture, used: oneshot::Sender<()>, gone: oneshot::Receiver<()>) {
    let both = Arc::new(Mutex::new(Some((used, gone))));
    let session = fixture.session();
    let open = session.transaction::<_, Error, _>(move |tx| {
        let both = Arc::clone(&both);
        Box::pin(async move {
            tx.execute(&NAME, args!["occupant"]).await?;
            let both = both.lock().unwrap().take();
            if let Some((used, gone)) = both {
                drop(used);
                drop(gone.await);
            }
            Ok(())
        })
    });
    open.await.unwrap();
}

on_every_database! {
    async fn an_index_that_was_interrupted_is_built_again(fixture: Fixture) {
        let migrator = Migrator::new(&fixture.meta, &[INDEXED]);
        let label = "test/0004_index_test_name_by_value";
        assert_eq!(migrator.status().await.unwrap().missing, [label]);
        // Without it everything is right, if slow.
        migrator.check().await.unwrap();
        assert_eq!(migrator.apply().await.unwrap(), [label]);
        fixture.session().transaction::<_, Error, _>(|tx| {
            Box::pin(async move { tx.execute(&FORGET, args![4]).await })
        }).await.unwrap();
        assert_eq!(migrator.status().await.unwrap().missing, [label]);
        assert_eq!(migrator.apply().await.unwrap(), [label]);
        assert_eq!(migrator.apply().await.unwrap(), [""; 0]);
    }

    async fn an_index_that_is_not_valid_is_built_anew(fixture: Fixture) {
        if !fixture.is(DatabaseBackend::Postgres) {
            return; // The others leave none behind.
        }
        write(&fixture, "a").await;
        write(&fixture, "b").await;
        let torn = "CREATE UNIQUE INDEX CONCURRENTLY test_name_by_value ON test_name (value)";
        damage(&fixture.database.url, &[torn.to_owned()]).await.unwrap_err();
        let invalid = async || fixture.session().all(postgres_only::ALL[0], args![]).await.unwrap().len();
        assert_eq!(invalid().await, 1);
        Migrator::new(&fixture.meta, &[INDEXED]).apply().await.unwrap();
        assert_eq!(invalid().await, 0);
        write(&fixture, "c").await;
    }

    async fn writers_go_on_while_the_schema_changes(fixture: Fixture) {
        let waiting = if fixture.is(DatabaseBackend::Postgres) {
            postgres_only::ALL[1]
        } else if fixture.is(DatabaseBackend::Mariadb) {
            mariadb_only::ALL[0]
        } else {
            return; // One writer at a time there.
        };
        write(&fixture, "first").await;
        for (steps, name) in [(INDEXED, "during the index"), (WIDENED, "during the column")] {
            let (used, in_use) = oneshot::channel();
            let (let_go, gone) = oneshot::channel();
            let migrator = Migrator::new(&fixture.meta, &[steps]);
            let writing = async {
                eventually("the change waits", || async {
                    !fixture.session().all(waiting, args![]).await.unwrap().is_empty()
                }).await;
                write(&fixture, name).await;
                drop(let_go);
            };
            let changing = async {
                drop(in_use.await);
                tokio::join!(migrator.apply(), writing).0
            };
            let ((), applied) = tokio::join!(occupy(&fixture, used, gone), changing);
            assert_eq!(applied.unwrap().len(), 1, "{name}");
            fixture.session().transaction::<_, Error, _>(|tx| Box::pin(async move {
                tx.execute(&REMOVE, args!["occupant"]).await
            })).await.unwrap();
        }
        assert_eq!(fixture.session().all(&NAMES, args![]).await.unwrap().len(), 3);
    }

    async fn a_table_is_filled_range_by_range_and_once(fixture: Fixture) {
        let session = fixture.session();
        session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            for number in 1..=25 {
                tx.execute(&VALUE, args![number]).await?;
            }
            Ok(())
        })).await.unwrap();
        let step = async || session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.backfill(&NUMBERS, 10).await
        })).await.unwrap().value;
        let filled = async || session.all(&FILLED, args![]).await.unwrap().len();
        let mut seen = Vec::new();
        while !step().await {
            seen.push(filled().await);
        }
        assert_eq!(seen, [10, 20, 25]);
        // What comes later is written whole and is not touched.
        session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.execute(&VALUE, args![26]).await
        })).await.unwrap();
        assert!(step().await);
        assert_eq!(filled().await, 25);
    }
}
