//! Every SQL statement on `tag` and `tag_history`. No policy.

use sea_query::{CaseStatement, Cond, Expr, ExprTrait, Func, Order, Query};
use seawall_meta::{Batch, SqlBuilder, arg, arg_limit, item};

use super::HistoryCause;

seawall_meta::statements! {
    /// Some tags as they are, locked until the transaction ends, always in the same order; and
    /// whether each is out of sight: it has expired, or its manifest was deleted; and whether it is
    /// immutable. Arguments: repository, names.
    LOCK[n]: |d, n| {
        let expired = Expr::col("expires_at").lte(d.now());
        let gone = CaseStatement::new()
            .case(expired.or(going().is_not_null()), 1i64)
            .finally(0i64);
        let mut select = Query::select();
        select
            .columns(["name", "digest", "history_id", "expires_at"])
            .expr(gone)
            .column("immutable")
            .from("tag")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("name").is_in((0..n).map(|k| item(1, k))))
            .order_by("name", Order::Asc);
        d.for_update(&select)
    };

    /// Sets a tag that is not there. Arguments: repository, name, digest, history.
    INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("tag")
            .columns(["repository_id", "name", "digest", "history_id", "updated_at"])
            .values_panic([arg(0), arg(1), arg(2), arg(3), d.now()]);
        d.insert_ignore(&insert, &["repository_id", "name"])
    };

    /// Sets a tag that is not there to where its open row of history says.
    /// Arguments: repository, name, digest.
    INSERT_OPEN: |d| {
        // The open row is the last one, however often the tag has moved.
        let last = Query::select()
            .expr(Func::max(Expr::col("id")))
            .from("tag_history")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("name").eq(arg(1)))
            .to_owned();
        let mut open = Query::select();
        open.columns(["repository_id", "name", "digest", "id", "from_at"])
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

    /// Moves a tag. Arguments: repository, name, digest, history.
    MOVE: |d| Query::update()
        .table("tag")
        .value("digest", arg(2))
        .value("history_id", arg(3))
        .value("updated_at", d.now())
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

    /// Some tags of one manifest, not locked. Arguments: repository, digest, limit.
    OF_MANIFEST: |_d| Query::select()
        .column("name")
        .from("tag")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .limit(arg_limit(2))
        .to_owned();

    /// One immutable tag of a manifest, if it has any. Arguments: repository, digest.
    IMMUTABLE_OF: |_d| Query::select()
        .column("name")
        .from("tag")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .and_where(Expr::col("immutable").eq(1i64))
        .limit(1)
        .to_owned();

    /// Deletes some tags of one manifest. Arguments: repository, digest, names.
    DELETE_OF[n]: |_d, n| Query::delete()
        .from_table("tag")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .and_where(Expr::col("name").is_in((0..n).map(|k| item(2, k))))
        .to_owned();

    /// Begins a row of history now. Arguments: repository, name, digest, cause, actor id, actor.
    HISTORY_OPEN: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("tag_history")
            .columns(["repository_id", "name", "digest", "from_at", "cause", "actor_id", "actor"])
            .values_panic([arg(0), arg(1), arg(2), d.now(), arg(3), arg(4), arg(5)]);
        d.insert_returning(&insert, "id")
    };

    /// Writes a row of history that ends as it begins, now.
    /// Arguments: repository, name, digest, cause, actor id, actor.
    HISTORY_MARK: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("tag_history")
            .columns([
                "repository_id", "name", "digest", "from_at", "until_at", "cause", "actor_id",
                "actor",
            ])
            .values_panic([arg(0), arg(1), arg(2), d.now(), d.now(), arg(3), arg(4), arg(5)]);
        d.insert_returning(&insert, "id")
    };

    /// Ends a row of history as another begins. Arguments: id of the other, id.
    HISTORY_END: |_d| {
        let other = Query::select()
            .column("from_at")
            .from("tag_history")
            .and_where(Expr::col("id").eq(arg(0)))
            .to_owned();
        // MariaDB reads the table that it changes one level down only.
        let begun = Query::select()
            .column("from_at")
            .from_subquery(other, "begun")
            .to_owned();
        Query::update()
            .table("tag_history")
            .value("until_at", Expr::from(begun))
            .and_where(Expr::col("id").eq(arg(1)))
            .to_owned()
    };

    /// Ends rows of history as their manifest was hidden. Arguments: repository, digest, ids.
    HISTORY_END_OF[n]: |d, n| Query::update()
        .table("tag_history")
        .value("until_at", hidden_at(d))
        .and_where(Expr::col("id").is_in((0..n).map(|k| item(2, k))))
        .to_owned();

    /// Marks the deletion of some tags of a manifest that was hidden.
    /// Arguments: repository, digest, actor id, actor, names.
    HISTORY_MARK_OF[n]: |d, n| {
        let tags = Query::select()
            .columns(["repository_id", "name", "digest"])
            .exprs([hidden_at(d), hidden_at(d)])
            .exprs([Expr::val(HistoryCause::ManifestDeleted.code()), arg(2), arg(3)])
            .from("tag")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("digest").eq(arg(1)))
            .and_where(Expr::col("name").is_in((0..n).map(|k| item(4, k))))
            .to_owned();
        let mut insert = Query::insert();
        insert.into_table("tag_history").columns([
            "repository_id", "name", "digest", "from_at", "until_at", "cause", "actor_id", "actor",
        ]);
        // Both sides have eight columns, which is all that this can fail by.
        let _ = insert.select_from(tags);
        d.insert_ignore(&insert, &["id"])
    };

    /// Notes that a hidden manifest has more tags than were deleted with it.
    /// Arguments: repository, digest, actor id, actor.
    GOING_INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("manifest_untagging")
            .columns(["repository_id", "digest", "actor_id", "actor"])
            .values_panic([arg(0), arg(1), arg(2), arg(3)]);
        d.insert_ignore(&insert, &["repository_id", "digest"])
    };

    /// Who has deleted a manifest that still has tags, locked. Arguments: repository, digest.
    GOING_LOCK: |d| d.for_update(
        Query::select()
            .columns(["actor_id", "actor"])
            .from("manifest_untagging")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("digest").eq(arg(1)))
    );

    /// Arguments: repository, digest.
    GOING_REMOVE: |_d| Query::delete()
        .from_table("manifest_untagging")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .to_owned();

    /// Takes back a row of history that came to nothing. Arguments: id.
    HISTORY_REMOVE: |_d| Query::delete()
        .from_table("tag_history")
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// A page of the tags that are to be seen. Arguments: repository, name to begin after, limit.
    LIST: |d| Query::select()
        .column("name")
        .from("tag")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("name").gt(arg(1)))
        .cond_where(Cond::any()
            .add(Expr::col("expires_at").is_null())
            .add(Expr::col("expires_at").gt(d.now())))
        .and_where(going().is_null())
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
            order: &["repository_id", "id"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };
}

/// The digest that a tag points to, if its manifest was deleted with more tags than one transaction
/// takes; of a statement on `tag` whose first argument is the repository. Not a join, so that the
/// order of the tags stays that of their key.
fn going() -> Expr {
    let going = Query::select()
        .column(("u", "digest"))
        .from_as("manifest_untagging", "u")
        .and_where(Expr::col(("u", "repository_id")).eq(arg(0)))
        .and_where(Expr::col(("u", "digest")).equals(("tag", "digest")))
        .to_owned();
    Expr::from(going)
}

/// When the manifest of the first two arguments, repository and digest, was hidden; now, if it is
/// not.
fn hidden_at(d: &SqlBuilder) -> Expr {
    let hidden = Query::select()
        .column("hidden_at")
        .from("manifest")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .to_owned();
    Func::coalesce([Expr::from(hidden), d.now()]).into()
}
