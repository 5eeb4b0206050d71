//! What the tests ask that no code of ours does.

use sea_query::{Expr, ExprTrait, JoinType, Order, Query};
use seawall_meta::arg;
use seawall_meta::fixture::DatabaseBackend;

use crate::catalog::rights::store::{readable, with_grants};

seawall_meta::statements! {
    /// All jobs.
    JOBS: |_d| Query::select()
        .columns(["kind", "state", "attempts", "fence", "run_at", "last_error"])
        .from("job")
        .order_by("id", Order::Asc)
        .to_owned();

    /// What an earlier release did with a job that had failed ten times.
    GIVE_UP: |_d| Query::update()
        .table("job")
        .value("state", 2i64)
        .value("attempts", 10i64)
        .to_owned();

    /// What another worker does that takes the job.
    TAKE_OVER: |d| Query::update()
        .table("job")
        .value("fence", Expr::col("fence").add(1i64))
        .value("lease_until", d.now().add(60_000i64))
        .to_owned();

    /// Arguments: payload.
    JOB_SET: |_d| Query::update().table("job").value("payload", arg(0)).to_owned();

    /// The repositories that a caller may read. Arguments: the reader's.
    READABLE: |_d| {
        let mut query = Query::select();
        query
            .columns([("n", "name"), ("r", "name")])
            .from_as("repository", "r")
            .join_as(JoinType::InnerJoin, "namespace", "n",
                Expr::col(("n", "id")).equals(("r", "namespace_id")));
        with_grants(&mut query, 0).cond_where(readable(0)).to_owned()
    };

    /// Arguments: repository, state.
    REPOSITORY_IS: |_d| Query::update()
        .table("repository")
        .value("state", arg(1))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Changes nothing of the installation's row, but needs it.
    INSTALLATION_TOUCH: |_d| Query::update()
        .table("installation")
        .value("created_at", Expr::col("created_at"))
        .to_owned();

    /// The events, in their order.
    EVENTS: |_d| Query::select()
        .columns(["id"])
        .from("event")
        .order_by("id", Order::Asc)
        .to_owned();

    /// Arguments: id, kind.
    EVENT_SET: |_d| Query::update()
        .table("event")
        .value("kind", arg(1))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();
}

/// Holds the installation's row, while its transaction stands.
pub(super) const HOLD_INSTALLATION: &str = "UPDATE installation SET created_at = created_at + 1";

/// What makes the queue refuse each change of a job, and what ends that. On SQLite the table stays:
/// the driver's thread does not survive a statement whose table has gone since it was prepared.
pub(super) fn refusal_of_updates(backend: DatabaseBackend) -> [&'static str; 2] {
    match backend {
        DatabaseBackend::Sqlite => [
            "CREATE TRIGGER refusal BEFORE UPDATE ON job BEGIN SELECT RAISE(ABORT, 'refused'); END",
            "DROP TRIGGER refusal",
        ],
        DatabaseBackend::Postgres | DatabaseBackend::Mariadb => [
            "ALTER TABLE job RENAME TO job_away",
            "ALTER TABLE job_away RENAME TO job",
        ],
    }
}
