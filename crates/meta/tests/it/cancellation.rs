//! Callers that go away at any moment leave no transaction behind.

use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, Query};
use seawall_meta::{Error, arg, args, statements};

use crate::{eventually, on_every_database};

statements! {
    INSERT: |d| Query::insert().into_table("test_name").columns(["name", "value", "changed_at"])
        .values_panic([arg(0), arg(1), d.now()]);
    VALUE: |_d| Query::select().column("value").from("test_name")
        .and_where(Expr::col("name").eq(arg(0)));
    ADD: |_d| Query::update().table("test_name").value("value", Expr::col("value").add(1))
        .and_where(Expr::col("name").eq(arg(0)));
}

on_every_database! {
    async fn two_hundred_callers_hang_up(fixture: Fixture) {
        fixture.session().transaction::<_, Error, _>(|tx| {
            Box::pin(async move { tx.execute(&INSERT, args!["a", 0]).await })
        }).await.unwrap();
        let mut callers = Vec::new();
        for caller in 0..200_u64 {
            let session = fixture.session();
            let patience = Duration::from_micros(caller * 7919 % 20_000);
            callers.push(async move {
                let work = async {
                    session.optional(&VALUE, args!["a"]).await?;
                    session.transaction::<_, Error, _>(|tx| Box::pin(async move {
                        tx.execute(&ADD, args!["a"]).await?;
                        tx.one(&VALUE, args!["a"]).await?.int(0)
                    })).await
                };
                tokio::time::timeout(patience, work).await.is_ok()
            });
        }
        let finished = futures::future::join_all(callers).await;
        assert!(finished.iter().any(|finished| !finished), "nobody hung up");
        eventually("no open transaction", || async { fixture.database.open_transactions(&fixture.session()).await.unwrap() == 0 }).await;
        // And a write goes through at once.
        let session = fixture.session();
        let written = session.transaction::<_, Error, _>(|tx| {
            Box::pin(async move { tx.execute(&ADD, args!["a"]).await })
        });
        assert_eq!(written.await.unwrap().value, 1);
        eventually("no open transaction", || async { fixture.database.open_transactions(&fixture.session()).await.unwrap() == 0 }).await;
    }
}
