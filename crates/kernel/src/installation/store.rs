//! The statements on the installation's row.

use sea_query::{Expr, ExprTrait, Query};
use seawall_meta::arg;

seawall_meta::statements! {
    /// Makes the one row unless it is there. Arguments: uuid, check.
    INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("installation")
            .columns(["id", "uuid", "secret_check", "created_at"])
            .values_panic([Expr::val(1i64), arg(0), arg(1), d.now()]);
        d.insert_ignore(&insert, &["id"])
    };

    /// The one row.
    LOAD: |_d| Query::select()
        .columns(["uuid", "secret_check"])
        .from("installation")
        .and_where(Expr::col("id").eq(1i64))
        .to_owned();
}
