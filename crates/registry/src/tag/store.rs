//! Every SQL statement on `tag` and `tag_history`. No policy.

use sea_query::{Cond, Expr, ExprTrait, Func, Order, Query};
use seawall_meta::{Batch, arg, arg_limit, item};

use super::Cause;

seawall_meta::statements! {
    /// Some tags as they are, locked until the transaction ends, always in the same order.
    /// Arguments: repository, names.
    LOCK[n]: |d, n| {
        let mut select = Query::select();
        select
            .columns(["name", "digest", "history_id", "expires_at"])
            .from("tag")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("name").is_in((0..n).map(|k| item(1, k))))
            .order_by("name", Order::Asc);
        d.for_update(&select)
    };

    /// Sets a tag that is not there. Arguments: repository, name, digest, history, time.
    INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("tag")
            .columns(["repository_id", "name", "digest", "history_id", "updated_at"])
            .values_panic([arg(0), arg(1), arg(2), arg(3), arg(4)]);
        d.insert_ignore(&insert, &["repository_id", "name"])
    };

    /// Sets a tag that is not there to where its open row of history says.
    /// Arguments: repository, name, digest, time.
    INSERT_OPEN: |d| {
        // The open row is the last one, however often the tag has moved.
        let last = Query::select()
            .expr(Func::max(Expr::col("id")))
            .from("tag_history")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("name").eq(arg(1)))
            .to_owned();
        let mut open = Query::select();
        open.columns(["repository_id", "name", "digest", "id"])
            .expr(arg(3))
            .from("tag_history")
            .and_where(Expr::col("id").eq(Expr::SubQuery(None, Box::new(last.into()))))
            .and_where(Expr::col("digest").eq(arg(2)))
            .and_where(Expr::col("until_at").is_null());
        let mut insert = Query::insert();
        insert
            .into_table("tag")
            .columns(["repository_id", "name", "digest", "history_id", "updated_at"]);
        // Both sides have five columns, which is all that this can fail by.
        let _ = insert.select_from(open);
        d.insert_ignore(&insert, &["repository_id", "name"])
    };

    /// Moves a tag. Arguments: repository, name, digest, history, time.
    MOVE: |_d| Query::update()
        .table("tag")
        .value("digest", arg(2))
        .value("history_id", arg(3))
        .value("updated_at", arg(4))
        .value("expires_at", Expr::cust("NULL"))
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("name").eq(arg(1)))
        .to_owned();

    /// Arguments: repository, name.
    DELETE: |_d| Query::delete()
        .from_table("tag")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("name").eq(arg(1)))
        .to_owned();

    /// The tags of one manifest, locked in the same order as by their names.
    /// Arguments: repository, digest.
    LOCK_OF: |d| {
        let mut select = Query::select();
        select
            .columns(["name", "history_id"])
            .from("tag")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("digest").eq(arg(1)))
            .order_by("name", Order::Asc);
        d.for_update(&select)
    };

    /// Arguments: repository, digest.
    DELETE_OF: |_d| Query::delete()
        .from_table("tag")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .to_owned();

    /// Begins a row of history. Arguments: repository, name, digest, from, until, cause, actor id,
    /// actor.
    HISTORY_OPEN: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("tag_history")
            .columns([
                "repository_id", "name", "digest", "from_at", "until_at", "cause", "actor_id",
                "actor",
            ])
            .values_panic([arg(0), arg(1), arg(2), arg(3), arg(4), arg(5), arg(6), arg(7)]);
        d.insert_returning(&insert, "id")
    };

    /// Marks the deletion of all tags of one manifest.
    /// Arguments: repository, digest, time, actor id, actor.
    HISTORY_MARK_OF: |_d| {
        let tags = Query::select()
            .columns(["repository_id", "name", "digest"])
            .exprs([arg(2), arg(2), Expr::val(Cause::ManifestDeleted.code()), arg(3), arg(4)])
            .from("tag")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("digest").eq(arg(1)))
            .to_owned();
        let mut insert = Query::insert();
        insert.into_table("tag_history").columns([
            "repository_id", "name", "digest", "from_at", "until_at", "cause", "actor_id", "actor",
        ]);
        // Both sides have eight columns, which is all that this can fail by.
        let _ = insert.select_from(tags);
        insert
    };

    /// Ends rows of history. Arguments: time, ids.
    HISTORY_END[n]: |_d, n| Query::update()
        .table("tag_history")
        .value("until_at", arg(0))
        .and_where(Expr::col("id").is_in((0..n).map(|k| item(1, k))))
        .to_owned();

    /// Takes back a row of history that came to nothing. Arguments: id.
    HISTORY_REMOVE: |_d| Query::delete()
        .from_table("tag_history")
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// A page of tags. Arguments: repository, name to begin after, limit.
    LIST: |d| Query::select()
        .column("name")
        .from("tag")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("name").gt(arg(1)))
        .cond_where(Cond::any()
            .add(Expr::col("expires_at").is_null())
            .add(Expr::col("expires_at").gt(d.now())))
        .order_by("name", Order::Asc)
        .limit(arg_limit(2))
        .to_owned();

    /// Takes some tags from a repository that is going. Arguments: repository, limit.
    CLEAR: |d| {
        let batch = Batch {
            table: "tag",
            key: &["repository_id", "name"],
            order: &["repository_id", "name"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };

    /// Takes some history from a repository that is going. Arguments: repository, limit.
    CLEAR_HISTORY: |d| {
        let batch = Batch {
            table: "tag_history",
            key: &["id"],
            order: &["repository_id", "name", "id"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };
}
