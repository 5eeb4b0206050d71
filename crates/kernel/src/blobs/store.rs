//! Every SQL statement on `blob`, `blob_place` and `blob_ref`. No policy.

use sea_query::{Expr, ExprTrait, JoinType, Order, Query};
use seawall_meta::{arg, arg_limit, item};

seawall_meta::statements! {
    /// Arguments: digest, size.
    BLOB_INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("blob")
            .columns(["digest", "size", "created_at"])
            .values_panic([arg(0), arg(1), d.now()]);
        d.insert_ignore(&insert, &["digest"])
    };

    /// Arguments: digest, location, key, state.
    PLACE_INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("blob_place")
            .columns(["digest", "location", "place_key", "state"])
            .values_panic([arg(0), arg(1), arg(2), arg(3)]);
        d.insert_ignore(&insert, &["digest", "location"])
    };

    /// Arguments: digest, location.
    PLACE_AT: |_d| Query::select()
        .column("place_key")
        .from("blob_place")
        .and_where(Expr::col("digest").eq(arg(0)))
        .and_where(Expr::col("location").eq(arg(1)))
        .to_owned();

    /// Says that the bytes are elsewhere in a location, unless somebody else has said so already.
    /// Arguments: digest, location, key before, key, state.
    PLACE_MOVE: |_d| Query::update()
        .table("blob_place")
        .value("place_key", arg(3))
        .value("state", arg(4))
        .and_where(Expr::col("digest").eq(arg(0)))
        .and_where(Expr::col("location").eq(arg(1)))
        .and_where(Expr::col("place_key").eq(arg(2)))
        .to_owned();

    /// Arguments: digest, state.
    BLOB_FIND: |_d| Query::select()
        .column(("b", "size"))
        .columns([("p", "location"), ("p", "place_key")])
        .from_as("blob", "b")
        .join_as(JoinType::InnerJoin, "blob_place", "p",
            Expr::col(("p", "digest")).equals(("b", "digest")))
        .and_where(Expr::col(("b", "digest")).eq(arg(0)))
        .and_where(Expr::col(("p", "state")).eq(arg(1)))
        .limit(1)
        .to_owned();

    /// Keeps blobs, and leaves what is kept already as it is.
    /// Arguments: namespace, repository, kind, owner, until, digests.
    KEEP[n]: |d, n| {
        let mut insert = Query::insert();
        insert.into_table("blob_ref").columns([
            "namespace_id", "repository_id", "owner_kind", "owner", "until", "digest",
        ]);
        d.rows(&mut insert, |k| vec![arg(0), arg(1), arg(2), arg(3), arg(4), item(5, k)]);
        d.insert_ignore(&insert, &["digest"])
    };

    /// Promises a blob to a pusher for some time from now.
    /// Arguments: namespace, repository, kind, owner, lease in ms, digest.
    LEASE: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("blob_ref")
            .columns(["namespace_id", "repository_id", "owner_kind", "owner", "until", "digest"])
            .values_panic([arg(0), arg(1), arg(2), arg(3), d.now().add(arg(4)), arg(5)]);
        d.upsert(&insert, &["digest", "repository_id", "owner_kind", "owner"], &["until"])
    };

    /// Arguments: repository, kind, owner.
    RELEASE: |_d| Query::delete()
        .from_table("blob_ref")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("owner_kind").eq(arg(1)))
        .and_where(Expr::col("owner").eq(arg(2)))
        .to_owned();

    /// Arguments: repository, kind, owner, digest.
    RELEASE_ONE: |_d| Query::delete()
        .from_table("blob_ref")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("owner_kind").eq(arg(1)))
        .and_where(Expr::col("owner").eq(arg(2)))
        .and_where(Expr::col("digest").eq(arg(3)))
        .to_owned();

    /// Arguments: repository, kind, owner, until.
    KEEP_UNTIL: |_d| Query::update()
        .table("blob_ref")
        .value("until", arg(3))
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("owner_kind").eq(arg(1)))
        .and_where(Expr::col("owner").eq(arg(2)))
        .to_owned();

    /// Arguments: repository.
    RELEASE_REPOSITORY: |_d| Query::delete()
        .from_table("blob_ref")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .to_owned();

    /// Arguments: digest to begin after, limit.
    WALK: |_d| Query::select()
        .column(("b", "size"))
        .columns([("p", "location"), ("p", "place_key")])
        .column(("b", "digest"))
        .from_as("blob", "b")
        .join_as(JoinType::InnerJoin, "blob_place", "p",
            Expr::col(("p", "digest")).equals(("b", "digest")))
        .and_where(Expr::col(("b", "digest")).gt(arg(0)))
        .order_by(("b", "digest"), Order::Asc)
        .limit(arg_limit(1))
        .to_owned();
}
