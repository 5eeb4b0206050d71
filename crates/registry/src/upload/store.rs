//! Every SQL statement on `upload`. No policy.

use sea_query::{Expr, ExprTrait, JoinType, Order, Query};
use seawall_kernel::catalog::rights::store::stands;
use seawall_meta::{Batch, arg, arg_limit, item};

seawall_meta::statements! {
    /// Arguments: uuid, repository, principal, generation, offset, state.
    INSERT: |d| Query::insert()
        .into_table("upload")
        .columns([
            "uuid", "repository_id", "principal_id", "generation", "upload_offset", "state",
            "created_at", "active_at",
        ])
        .values_panic([arg(0), arg(1), arg(2), arg(3), arg(4), arg(5), d.now(), d.now()])
        .to_owned();

    /// Whether a user has more than so many uploads under way.
    /// Arguments: principal, time in ms in which one was active, how many.
    MORE_THAN: |d| Query::select()
        .column("uuid")
        .from("upload")
        .and_where(Expr::col("principal_id").eq(arg(0)))
        .and_where(Expr::col("active_at").gt(d.now().sub(arg(1))))
        .limit(1)
        .offset(arg_limit(2))
        .to_owned();

    /// An upload, whosever it is, and what its repository is called now. Arguments: uuid.
    FIND: |_d| Query::select()
        .columns([
            ("u", "principal_id"), ("u", "generation"), ("u", "upload_offset"), ("u", "state"),
            ("n", "name"), ("r", "name"),
        ])
        .from_as("upload", "u")
        .join_as(JoinType::InnerJoin, "repository", "r",
            Expr::col(("r", "id")).equals(("u", "repository_id")))
        .join_as(JoinType::InnerJoin, "namespace", "n",
            Expr::col(("n", "id")).equals(("r", "namespace_id")))
        .and_where(Expr::col(("u", "uuid")).eq(arg(0)))
        .to_owned();

    /// Records what an append brought, if no other request has been there since and a judgement
    /// stands. Arguments: the judgement's, uuid, generation before, offset before, generation,
    /// offset, state.
    ADVANCE: |d| {
        let standing = Query::select()
            .column(("r", "id"))
            .from_as("repository", "r")
            .cond_where(stands("r"))
            .to_owned();
        Query::update()
            .table("upload")
            .value("generation", arg(9))
            .value("upload_offset", arg(10))
            .value("state", arg(11))
            .value("active_at", d.now())
            .and_where(Expr::col("uuid").eq(arg(6)))
            .and_where(Expr::col("generation").eq(arg(7)))
            .and_where(Expr::col("upload_offset").eq(arg(8)))
            .and_where(Expr::exists(standing))
            .to_owned()
    };

    /// Ends an upload of this generation. Arguments: uuid, generation.
    END: |_d| Query::delete()
        .from_table("upload")
        .and_where(Expr::col("uuid").eq(arg(0)))
        .and_where(Expr::col("generation").eq(arg(1)))
        .to_owned();

    /// Ends an upload, however far it has come. Arguments: uuid.
    CANCEL: |_d| Query::delete()
        .from_table("upload")
        .and_where(Expr::col("uuid").eq(arg(0)))
        .to_owned();

    /// Uploads without a request for some time, the longest first, after a point in that order.
    /// Arguments: time in ms, active at, limit.
    EXPIRED: |d| Query::select()
        .columns(["uuid", "state", "active_at"])
        .from("upload")
        .and_where(Expr::col("active_at").lt(d.now().sub(arg(0))))
        .and_where(Expr::col("active_at").gte(arg(1)))
        .order_by("active_at", Order::Asc)
        .order_by("uuid", Order::Asc)
        .limit(arg_limit(2))
        .to_owned();

    /// Ends an upload that still has had no request for some time. Arguments: uuid, time in ms.
    EXPIRE: |d| Query::delete()
        .from_table("upload")
        .and_where(Expr::col("uuid").eq(arg(0)))
        .and_where(Expr::col("active_at").lt(d.now().sub(arg(1))))
        .to_owned();

    /// Which of some uploads have a row. Arguments: uuids.
    KNOWN[n]: |_d, n| Query::select()
        .column("uuid")
        .from("upload")
        .and_where(Expr::col("uuid").is_in((0..n).map(|k| item(0, k))))
        .to_owned();

    /// Takes some uploads from a repository that is going. Arguments: repository, limit.
    CLEAR: |d| {
        let batch = Batch {
            table: "upload",
            key: &["uuid"],
            order: &["repository_id"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };
}
