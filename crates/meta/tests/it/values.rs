//! What goes in comes out, and compares byte by byte.

use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, OnConflict, Order, Query};
use seawall_meta::{Batch, Error, STATEMENTS, arg, arg_limit, args, item, list, statements};
use seawall_types::{Algorithm, Digest};

use crate::on_every_database;

statements! {
    VALUE_INSERT: |d| d.insert_returning(
        Query::insert().into_table("test_value")
            .columns(["number", "small", "name", "wide", "narrow", "digest", "body"])
            .values_panic((0..7).map(arg)),
        "id",
    );
    VALUE: |_d| Query::select()
        .columns(["number", "small", "name", "wide", "narrow", "digest", "body"])
        .from("test_value").and_where(Expr::col("id").eq(arg(0)));
    VALUE_SUM: |d| Query::select().expr(d.integer(Expr::col("number").sum()))
        .expr(Expr::col("number").max()).expr(Expr::col("id").count()).from("test_value");
    VALUE_BATCH: |d| d.delete_batch(
        &Batch { table: "test_value", key: &["id"], order: &["id"], limit: arg_limit(1) },
        Expr::col("number").lt(arg(0)),
    );
    NAME_INSERT: |d| d.insert_ignore(
        Query::insert().into_table("test_name").columns(["name", "value", "changed_at"])
            .values_panic([arg(0), arg(1), d.now()]),
        &["name"],
    );
    NAMES_INSERT[n]: |d, _n| d.insert_ignore(
        d.rows(Query::insert().into_table("test_name").columns(["name", "value", "changed_at"]),
            |k| vec![item(0, k), arg(1), d.now()]),
        &["name"],
    );
    NAME_SET: |d| d.upsert(
        Query::insert().into_table("test_name").columns(["name", "value", "changed_at"])
            .values_panic([arg(0), arg(1), d.now()]),
        &["name"], &["value"],
    );
    NAME_ADD: |d| d.upsert_with(
        Query::insert().into_table("test_name").columns(["name", "value", "changed_at"])
            .values_panic([arg(0), arg(1), d.now()]),
        OnConflict::column("name")
            .value("value", Expr::col(("test_name", "value")).add(arg(1))).to_owned(),
    );
    NAME: |_d| Query::select().columns(["value", "changed_at"]).from("test_name")
        .and_where(Expr::col("name").eq(arg(0)));
    NAME_UPDATE: |_d| Query::update().table("test_name").value("value", arg(1))
        .and_where(Expr::col("name").eq(arg(0)));
    NAME_LOWER: |d| Query::select().column("name").from("test_name")
        .and_where(d.lower(Expr::col("name")).eq(arg(0)));
    NAMES: |_d| Query::select().column("name").from("test_name").order_by("name", Order::Asc);
    NAMES_AMONG[n]: |d, _n| Query::select().column("name").from("test_name")
        .and_where(Expr::col("name").is_in(d.items(0)));
    NAME_LOCKED: |d| d.skip_locked(Query::select().column("name").from("test_name").limit(1));
    CHILD_INSERT: |d| d.insert_returning(
        Query::insert().into_table("test_child").columns(["name"]).values_panic([arg(0)]), "id");
}

on_every_database! {
    async fn every_type_round_trips(fixture: Fixture) {
        let session = fixture.session();
        let digest = Digest::of(Algorithm::Sha256, b"x");
        for body in [Vec::new(), vec![0, 255, 10], vec![0xA5; 4 << 20]] {
            let sent = body.clone();
            let id = session.transaction::<_, Error, _>(move |tx| {
                let body = sent.clone();
                Box::pin(async move {
                    let text = "zażółć '\"\\%_\0 🦀".replace('\0', "");
                    let row = args![i64::MIN, true, "Na/me ", text, vec![0_u8, 1], digest, body];
                    tx.insert(&VALUE_INSERT, row).await
                })
            }).await.unwrap().value;
            let row = session.one(&VALUE, args![id]).await.unwrap();
            assert_eq!(row.int(0).unwrap(), i64::MIN);
            assert!(row.bool(1).unwrap());
            assert_eq!(row.text(2).unwrap(), "Na/me ");
            assert_eq!(row.text(3).unwrap(), "zażółć '\"\\%_ 🦀");
            assert_eq!(row.bytes(4).unwrap(), [0, 1]);
            assert_eq!(row.digest(5).unwrap(), digest);
            assert_eq!(row.bytes(6).unwrap(), body);
        }
    }

    async fn every_type_can_be_null(fixture: Fixture) {
        let session = fixture.session();
        let id = session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            let row = args![
                None::<i64>, None::<bool>, None::<&str>, None::<String>, None::<Vec<u8>>,
                None::<Digest>, None::<&[u8]>
            ];
            tx.insert(&VALUE_INSERT, row).await
        })).await.unwrap().value;
        let row = session.one(&VALUE, args![id]).await.unwrap();
        assert_eq!((row.opt_int(0).unwrap(), row.opt_int(1).unwrap()), (None, None));
        assert_eq!((row.opt_text(2).unwrap(), row.opt_text(3).unwrap()), (None, None));
        assert_eq!((row.opt_bytes(4).unwrap(), row.opt_digest(5).unwrap()), (None, None));
        assert_eq!(row.opt_bytes(6).unwrap(), None);
        assert!(row.int(0).is_err());
    }

    async fn names_compare_byte_by_byte(fixture: Fixture) {
        let session = fixture.session();
        let names = ["A", "a", "a ", "ä", "a\u{308}", "b", "Z", "a-b", "a/b", "a_b"];
        session.transaction::<_, Error, _>(move |tx| Box::pin(async move {
            for name in names {
                assert_eq!(tx.execute(&NAME_INSERT, args![name, 1]).await?, 1, "{name}");
                assert_eq!(tx.execute(&NAME_INSERT, args![name, 2]).await?, 0, "{name}");
            }
            Ok(())
        })).await.unwrap();
        let rows = session.all(&NAMES, args![]).await.unwrap();
        let found: Vec<_> = rows.iter().map(|row| row.string(0).unwrap()).collect();
        let mut sorted = names.map(str::to_owned);
        sorted.sort();
        assert_eq!(found, sorted);
        assert_eq!(session.one(&NAME, args!["a "]).await.unwrap().int(0).unwrap(), 1);
        assert!(session.optional(&NAME, args!["b "]).await.unwrap().is_none());
        assert_eq!(session.all(&NAME_LOWER, args!["a"]).await.unwrap().len(), 2);
    }

    async fn counts_mean_the_same_everywhere(fixture: Fixture) {
        fixture.session().transaction::<_, Error, _>(|tx| Box::pin(async move {
            assert_eq!(tx.execute(&NAME_SET, args!["a", 1]).await?, 1);
            assert_eq!(tx.execute(&NAME_SET, args!["a", 1]).await?, 1);
            assert_eq!(tx.execute(&NAME_SET, args!["a", 2]).await?, 1);
            assert_eq!(tx.execute(&NAME_ADD, args!["a", 5]).await?, 1);
            assert_eq!(tx.one(&NAME, args!["a"]).await?.int(0)?, 7);
            // Matched, though nothing changes.
            assert_eq!(tx.execute(&NAME_UPDATE, args!["a", 7]).await?, 1);
            assert_eq!(tx.execute(&NAME_UPDATE, args!["b", 7]).await?, 0);
            assert_eq!(tx.all(&NAME_LOCKED, args![]).await?.len(), 1);
            Ok(())
        })).await.unwrap();
    }

    async fn lists_of_any_length(fixture: Fixture) {
        let session = fixture.session();
        for len in [0_usize, 1, 3, 4, 5, 100, 300, 600] {
            let names: Vec<String> = (0..len).map(|i| format!("n{len}-{i}")).collect();
            let wanted = names.clone();
            session.transaction::<_, Error, _>(move |tx| {
                let names = list(&names);
                Box::pin(async move { tx.execute(&NAMES_INSERT, args![names, 1]).await })
            }).await.unwrap();
            let rows = session.all(&NAMES_AMONG, args![list(&wanted)]).await.unwrap();
            assert_eq!(rows.len(), len);
        }
        assert!(session.all(&NAMES_AMONG, args!["no list"]).await.is_err());
        assert!(session.all(&NAME, args![]).await.is_err());
    }

    async fn batches_are_deleted(fixture: Fixture) {
        fixture.session().transaction::<_, Error, _>(|tx| Box::pin(async move {
            for number in 0..10 {
                let row = args![
                    number, 0, "", "", Vec::<u8>::new(), None::<Digest>, Vec::<u8>::new()
                ];
                tx.insert(&VALUE_INSERT, row).await?;
            }
            let sums = tx.one(&VALUE_SUM, args![]).await?;
            assert_eq!((sums.int(0)?, sums.int(1)?, sums.int(2)?), (45, 9, 10));
            assert_eq!(tx.execute(&VALUE_BATCH, args![7, 5]).await?, 5);
            assert_eq!(tx.execute(&VALUE_BATCH, args![7, 5]).await?, 2);
            Ok(())
        })).await.unwrap();
    }

    async fn time_is_the_database_s_and_can_be_shifted(fixture: Fixture) {
        let session = fixture.session();
        let set = || session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.execute(&NAME_INSERT, args!["t", 0]).await?;
            tx.now().await
        }));
        let hour = Duration::from_hours(1);
        fixture.meta.shift_time(hour);
        let now = set().await.unwrap().value;
        let real = seawall_types::Clock::wall(&*fixture.clock);
        assert!((now.0 - real.0 - 3_600_000).abs() < 5_000, "{now} {real}");
        let written = session.one(&NAME, args!["t"]).await.unwrap().millis(1).unwrap();
        assert!((written.0 - now.0).abs() < 5_000);
        assert!((fixture.meta.now().0 - now.0).abs() < 5_000);
        let observed = fixture.meta.observe_time().await.unwrap();
        assert!((observed.0 - now.0).abs() < 5_000);
    }

    async fn every_statement_is_understood(fixture: Fixture) {
        for statements in STATEMENTS.iter().chain(&[ALL]) {
            assert_eq!(fixture.meta.check(statements).await.unwrap(), [""; 0]);
        }
    }

    async fn errors_are_classified(fixture: Fixture) {
        let session = fixture.session();
        let orphan = session.transaction::<_, Error, _>(|tx| {
            Box::pin(async move { tx.insert(&CHILD_INSERT, args!["nobody"]).await })
        }).await.unwrap_err();
        assert!(orphan.is_foreign_key(), "{orphan:?}");
        let writing = session.all(&NAME_INSERT, args!["x", 1]).await.unwrap_err();
        assert!(matches!(writing, Error::Other(_)), "{writing:?}");
    }
}
