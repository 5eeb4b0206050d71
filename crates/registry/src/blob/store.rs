//! Every SQL statement on `repository_blob`, and the reads that join it. No policy.

use sea_query::{Cond, Expr, ExprTrait, JoinType, Query, UnionType};
use seawall_kernel::catalog::rights::store::{readable, stands, with_grants};
use seawall_meta::{Batch, arg, arg_limit, item};

use crate::acts::IMAGE;

/// How many repositories that hold a blob are looked at for one that the caller may read.
pub(super) const CANDIDATES: u64 = 256;

seawall_meta::statements! {
    /// A blob that a repository serves, and where its bytes are. Arguments: repository, digest.
    VISIBLE: |_d| Query::select()
        .columns([("b", "size"), ("b", "location"), ("b", "place_key")])
        .from_as("repository_blob", "l")
        .join_as(JoinType::InnerJoin, "blob", "b", Cond::all()
            .add(Expr::col(("b", "digest")).equals(("l", "digest")))
            .add(Expr::col(("b", "location")).is_not_null()))
        .and_where(Expr::col(("l", "repository_id")).eq(arg(0)))
        .and_where(Expr::col(("l", "digest")).eq(arg(1)))
        .to_owned();

    /// Whether a blob is kept for a repository for some time yet, or for good: by its own age, or
    /// by something. Arguments: digest, repository, for how long in ms, age in ms that keeps so
    /// long.
    KEPT: |d| {
        let keeper = Query::select()
            .column("digest")
            .from("blob_ref")
            .and_where(Expr::col("digest").eq(arg(0)))
            .and_where(Expr::col("repository_id").eq(arg(1)))
            .cond_where(Cond::any()
                .add(Expr::col("until").is_null())
                .add(Expr::col("until").gt(d.now().add(arg(2)))))
            .to_owned();
        Query::select()
            .column("digest")
            .from("blob")
            .and_where(Expr::col("digest").eq(arg(0)))
            .cond_where(Cond::any()
                .add(Expr::col("created_at").gt(d.now().sub(arg(3))))
                .add(Expr::exists(keeper)))
            .to_owned()
    };

    /// Lets a repository serve a blob if a judgement stands, and keeps the repository as it is
    /// until the transaction ends. Arguments: the judgement's, digest, size.
    LINK: |d| {
        let mut standing = Query::select();
        standing
            .column(("r", "id"))
            .exprs([arg(6), arg(7), d.now()])
            .from_as("repository", "r")
            .cond_where(stands("r"))
            .lock_shared();
        let mut insert = Query::insert();
        insert
            .into_table("repository_blob")
            .columns(["repository_id", "digest", "size", "created_at"]);
        // Both sides have four columns, which is all that this can fail by.
        let _ = insert.select_from(standing);
        d.insert_ignore(&insert, &["repository_id", "digest"])
    };

    /// Arguments: repository, digest.
    UNLINK: |_d| Query::delete()
        .from_table("repository_blob")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .to_owned();

    /// A blob's size, if a repository of that name serves it. Arguments: namespace, path, digest.
    SIZE_BY_NAME: |_d| Query::select()
        .column(("l", "size"))
        .from_as("namespace", "n")
        .join_as(JoinType::InnerJoin, "repository", "r", Cond::all()
            .add(Expr::col(("r", "namespace_id")).equals(("n", "id")))
            .add(Expr::col(("r", "name")).eq(arg(1)))
            .add(Expr::col(("r", "kind")).eq(IMAGE.code())))
        .join_as(JoinType::InnerJoin, "repository_blob", "l", Cond::all()
            .add(Expr::col(("l", "repository_id")).equals(("r", "id")))
            .add(Expr::col(("l", "digest")).eq(arg(2))))
        .and_where(Expr::col(("n", "name")).eq(arg(0)))
        .to_owned();

    /// A blob's size, and the repositories that the caller may read and that serve it: those among
    /// the first few that hold it, so that a blob which very many hold costs no more than another.
    /// Arguments: the reader's, digest, limit.
    SIZE_ANYWHERE: |_d| {
        let holders = Query::select()
            .columns(["repository_id", "size"])
            .from("repository_blob")
            .and_where(Expr::col("digest").eq(arg(3)))
            .limit(CANDIDATES)
            .to_owned();
        let mut query = Query::select();
        query
            .column(("l", "size"))
            .columns([("n", "name"), ("r", "name")])
            .column(("r", "visibility"))
            .from_subquery(holders, "l")
            .join_as(JoinType::InnerJoin, "repository", "r", Cond::all()
                .add(Expr::col(("r", "id")).equals(("l", "repository_id")))
                .add(Expr::col(("r", "name")).is_not_null())
                .add(Expr::col(("r", "kind")).eq(IMAGE.code())))
            .join_as(JoinType::InnerJoin, "namespace", "n", Cond::all()
                .add(Expr::col(("n", "id")).equals(("r", "namespace_id")))
                .add(Expr::col(("n", "name")).is_not_null()));
        with_grants(&mut query, 0)
            .cond_where(readable(0))
            .limit(arg_limit(4))
            .to_owned()
    };

    /// The links of a repository in order, with the size of the blob behind each.
    /// Arguments: repository, digest to begin after, limit.
    WALK: |_d| Query::select()
        .column(("l", "digest"))
        .column(("b", "size"))
        .from_as("repository_blob", "l")
        .join_as(JoinType::LeftJoin, "blob", "b", Cond::all()
            .add(Expr::col(("b", "digest")).equals(("l", "digest")))
            .add(Expr::col(("b", "location")).is_not_null()))
        .and_where(Expr::col(("l", "repository_id")).eq(arg(0)))
        .and_where(Expr::col(("l", "digest")).gt(arg(1)))
        .order_by(("l", "digest"), sea_query::Order::Asc)
        .limit(arg_limit(2))
        .to_owned();

    /// Which of these digests a repository links; one selection for each, since a list would be
    /// looked up by the index on digests alone, and some digests are linked everywhere. Arguments:
    /// repository, digests.
    LINKED[n]: |_d, n| {
        let one = |k| Query::select()
            .column("digest")
            .from("repository_blob")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("digest").eq(item(1, k)))
            .to_owned();
        (1..n).fold(one(0), |mut all, k| all.union(UnionType::All, one(k)).to_owned())
    };

    /// Takes some links from a repository that is going. Arguments: repository, limit.
    CLEAR: |d| {
        let batch = Batch {
            table: "repository_blob",
            key: &["repository_id", "digest"],
            order: &["repository_id", "digest"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };
}
