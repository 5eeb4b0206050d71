//! Every SQL statement on `blob` and `blob_ref`. No policy.

use sea_query::{Expr, ExprTrait, Order, Query};
use seawall_meta::{Batch, arg, arg_limit, item};

seawall_meta::statements! {
    /// Records a blob and where its bytes are, unless it is known. Arguments: digest, size,
    /// location, key.
    BLOB_INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("blob")
            .columns(["digest", "size", "location", "place_key", "created_at"])
            .values_panic([arg(0), arg(1), arg(2), arg(3), d.now()]);
        d.insert_ignore(&insert, &["digest"])
    };

    /// Says that the bytes are elsewhere, unless another transaction has said so already.
    /// Arguments: digest, location before, key before, location, key.
    PLACE_MOVE: |_d| Query::update()
        .table("blob")
        .value("location", arg(3))
        .value("place_key", arg(4))
        .and_where(Expr::col("digest").eq(arg(0)))
        .and_where(Expr::col("location").eq(arg(1)))
        .and_where(Expr::col("place_key").eq(arg(2)))
        .to_owned();

    /// Arguments: digest.
    BLOB_FIND: |_d| Query::select()
        .columns(["size", "location", "place_key"])
        .from("blob")
        .and_where(Expr::col("digest").eq(arg(0)))
        .and_where(Expr::col("location").is_not_null())
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

    /// Arguments: repository, kind, owner, for how long in ms from now (null for good).
    KEEP_FOR: |d| Query::update()
        .table("blob_ref")
        .value("until", d.now().add(arg(3)))
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("owner_kind").eq(arg(1)))
        .and_where(Expr::col("owner").eq(arg(2)))
        .to_owned();

    /// Lets go of some of what a repository keeps. Arguments: repository, limit.
    RELEASE_SOME: |d| {
        let batch = Batch {
            table: "blob_ref",
            key: &["digest", "repository_id", "owner_kind", "owner"],
            order: &["repository_id", "owner_kind", "owner"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };

    /// Arguments: digest to begin after, limit.
    WALK: |_d| Query::select()
        .columns(["size", "location", "place_key", "digest"])
        .from("blob")
        .and_where(Expr::col("digest").gt(arg(0)))
        .and_where(Expr::col("location").is_not_null())
        .order_by("digest", Order::Asc)
        .limit(arg_limit(1))
        .to_owned();
}
