//! Migrations are applied once, whoever applies them and wherever it stopped.

use sea_query::{Expr, ExprTrait as _, Query};
use seawall_meta::fixture::{DatabaseBackend, TestDatabase};
use seawall_meta::{
    BinaryRelease, Error, MigrationStep, Migrations, Migrator, arg, args, statements,
};

use crate::{Fixture, TABLES, on_every_database};

statements! {
    /// As if the process had died between a step and its bookkeeping.
    FORGET: |_d| Query::update().table("schema_migration").value("applied_at", None::<i64>)
        .and_where(Expr::col("owner").eq("test")).and_where(Expr::col("number").eq(arg(0)));
}

static EDITED: Migrations = Migrations {
    owner: "test",
    steps: &[MigrationStep {
        file: "0001_create_test_value",
        sql: "CREATE TABLE test_value (id {id}) {table}",
    }],
};

static BROKEN: Migrations = Migrations {
    owner: "broken",
    steps: &[MigrationStep {
        file: "0001_create_broken",
        sql: "CREATE TABLE broken (id {id}, wat WAT(,)) {table}",
    }],
};

/// A table that later steps have changed.
static UNFOLDED: [MigrationStep; 2] = [
    MigrationStep {
        file: "0001_create_folded",
        sql: "CREATE TABLE folded (id {id}, a {bigint}) {table}",
    },
    MigrationStep {
        file: "0002_add_folded_b",
        sql: "ALTER TABLE folded ADD COLUMN b {name}",
    },
];

/// The same table since they were folded into the first.
static FOLDED: Migrations = Migrations {
    owner: "folded",
    steps: &[MigrationStep {
        file: "0001_create_folded",
        sql: "-- replaces 8011996236360934304\n-- folds 2\nCREATE TABLE folded (id {id}, a {bigint}, b {name}) {table}",
    }],
};

fn unfolded(steps: &'static [MigrationStep]) -> Migrations {
    let owner = "folded";
    Migrations { owner, steps }
}

async fn empty(like: &Fixture) -> Fixture {
    Fixture::over(TestDatabase::create(like.database.backend()).await.unwrap()).await
}

on_every_database! {
    async fn steps_are_applied_once(fixture: Fixture) {
        let fixture = empty(&fixture).await;
        let migrator = Migrator::new(&fixture.meta, &[TABLES]);
        assert_eq!(migrator.status().await.unwrap().missing.len(), 6);
        assert_eq!(migrator.plan().await.unwrap().len(), 6);
        assert!(matches!(migrator.check().await, Err(Error::SchemaTooOld { missing }) if missing.len() == 6));
        let applied = migrator.apply().await.unwrap();
        assert_eq!(applied.last().unwrap(), "test/0003_create_test_child");
        assert_eq!(migrator.apply().await.unwrap(), [""; 0]);
        let status = migrator.status().await.unwrap();
        assert_eq!((status.applied.len(), status.missing.len()), (6, 0));
        migrator.check().await.unwrap();
        // An older binary sees steps that it does not know, and does not mind.
        let older = Migrator::new(&fixture.meta, &[]);
        assert_eq!(older.status().await.unwrap().unknown.len(), 3);
        older.check().await.unwrap();
    }

    async fn several_apply_at_once(fixture: Fixture) {
        let fixture = empty(&fixture).await;
        let apply = || async { Migrator::new(&fixture.meta, &[TABLES]).apply().await.unwrap().len() };
        let (a, b, c) = tokio::join!(apply(), apply(), apply());
        assert_eq!(a + b + c, 6);
    }

    async fn a_crash_before_the_bookkeeping_is_overcome(fixture: Fixture) {
        if !fixture.is(DatabaseBackend::Mariadb) {
            return; // There, both are one transaction.
        }
        fixture.session().transaction::<_, Error, _>(|tx| {
            Box::pin(async move { tx.execute(&FORGET, args![3]).await })
        }).await.unwrap();
        let migrator = Migrator::new(&fixture.meta, &[TABLES]);
        assert_eq!(migrator.status().await.unwrap().missing, ["test/0003_create_test_child"]);
        assert_eq!(migrator.apply().await.unwrap(), ["test/0003_create_test_child"]);
        migrator.check().await.unwrap();
    }

    async fn steps_that_were_folded_are_known_and_a_half_of_them_is_refused(fixture: Fixture) {
        let migrator = |steps: Migrations| Migrator::new(&fixture.meta, &[TABLES, steps]);
        migrator(unfolded(&UNFOLDED[..1])).apply().await.unwrap();
        for refused in [
            migrator(FOLDED).apply().await.map(drop),
            migrator(FOLDED).check().await,
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("folded/0001") && error.contains("release before"), "{error}");
        }
        migrator(unfolded(&UNFOLDED)).apply().await.unwrap();
        assert_eq!(migrator(FOLDED).apply().await.unwrap(), [""; 0]);
        migrator(FOLDED).check().await.unwrap();
        let status = migrator(FOLDED).status().await.unwrap();
        assert_eq!((status.unknown, status.unfolded), (Vec::new(), Vec::new()));
        // A new database has the table as a whole.
        let fixture = empty(&fixture).await;
        let migrator = Migrator::new(&fixture.meta, &[FOLDED]);
        assert_eq!(migrator.apply().await.unwrap().last().unwrap(), "folded/0001_create_folded");
        migrator.check().await.unwrap();
    }

    async fn an_edited_or_broken_step_is_refused(fixture: Fixture) {
        let edited = Migrator::new(&fixture.meta, &[EDITED]).apply().await.unwrap_err();
        assert!(edited.to_string().contains("edited"), "{edited}");
        let broken = Migrator::new(&fixture.meta, &[TABLES, BROKEN]);
        let error = broken.apply().await.unwrap_err();
        assert!(error.to_string().contains("broken/0001_create_broken"), "{error}");
        assert_eq!(broken.status().await.unwrap().missing, ["broken/0001_create_broken"]);
        Migrator::new(&fixture.meta, &[TABLES]).check().await.unwrap();
    }

    async fn the_schema_says_which_binaries_it_admits(fixture: Fixture) {
        let release = |number, admits| {
            Migrator::new(&fixture.meta, &[TABLES]).release(BinaryRelease { number, admits })
        };
        release(4, 3).apply().await.unwrap();
        release(3, 2).check().await.unwrap();
        release(3, 2).apply().await.unwrap();
        let refused = release(2, 1);
        assert!(matches!(refused.check().await, Err(Error::SchemaTooNew { oldest: 3, this: 2 })));
        assert!(matches!(refused.apply().await, Err(Error::SchemaTooNew { .. })));
    }
}
