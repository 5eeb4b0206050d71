//! Every SQL statement on credentials. No policy.

use sea_query::{Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use seawall_meta::{Batch, arg, arg_limit};
use seawall_types::permission::AccountState;

/// A credential's kind, as stored: a password, kept as an argon2id string.
pub(crate) const PASSWORD: i64 = 1;
/// A refresh token, kept as its SHA-256.
pub(crate) const REFRESH: i64 = 2;

/// A credential's state, as stored: it may be used.
pub(crate) const USABLE: i64 = 1;
/// It may not be used any more, and a job will remove it.
pub(crate) const REVOKED: i64 = 2;

seawall_meta::statements! {
    /// A principal with its password, by name. Arguments: name.
    LOGIN: |_d| {
        let mut query = standing();
        query
            .and_where(Expr::col(("p", "name")).eq(arg(0)))
            .and_where(Expr::col(("c", "kind")).eq(PASSWORD))
            .and_where(Expr::col(("c", "state")).eq(USABLE))
            .order_by(("c", "id"), Order::Desc)
            .limit(1);
        query
    };

    /// A principal with one of its credentials. Arguments: credential id.
    CREDENTIAL: |_d| {
        let mut query = standing();
        query.and_where(Expr::col(("c", "id")).eq(arg(0)));
        query
    };

    /// A principal with one of its credentials, without the secret. Arguments: credential id.
    STANDING: |_d| {
        let mut query = bare();
        query.and_where(Expr::col(("c", "id")).eq(arg(0)));
        query
    };

    /// Locks a principal that may log in, by a credential that may be used; no row otherwise.
    /// Arguments: principal id, credential id.
    USABLE_LOCK: |d| d.for_update(
        Query::select()
            .column(("p", "id"))
            .from_as("principal", "p")
            .join_as(JoinType::InnerJoin, "credential", "c", Cond::all()
                .add(Expr::col(("c", "principal_id")).equals(("p", "id")))
                .add(Expr::col(("c", "id")).eq(arg(1)))
                .add(Expr::col(("c", "state")).eq(USABLE)))
            .and_where(Expr::col(("p", "id")).eq(arg(0)))
            .and_where(Expr::col(("p", "state")).eq(AccountState::Active.code()))
    );

    /// Arguments: principal id, kind, secret, label, lifetime in ms (null for one without end).
    INSERT: |d| d.insert_returning(
        Query::insert()
            .into_table("credential")
            .columns([
                "principal_id", "kind", "secret", "state", "label", "created_at", "expires_at",
            ])
            .values_panic([
                arg(0), arg(1), arg(2), Expr::val(USABLE), arg(3), d.now(), d.now().add(arg(4)),
            ]),
        "id",
    );

    /// Revokes all credentials of a kind. Arguments: principal id, kind.
    REVOKE: |d| Query::update()
        .table("credential")
        .value("state", REVOKED)
        .value("expires_at", d.now())
        .and_where(Expr::col("principal_id").eq(arg(0)))
        .and_where(Expr::col("kind").eq(arg(1)))
        .and_where(Expr::col("state").eq(USABLE))
        .to_owned();

    /// Revokes one credential of a kind. Arguments: principal id, kind, credential id.
    REVOKE_ONE: |d| Query::update()
        .table("credential")
        .value("state", REVOKED)
        .value("expires_at", d.now())
        .and_where(Expr::col("id").eq(arg(2)))
        .and_where(Expr::col("principal_id").eq(arg(0)))
        .and_where(Expr::col("kind").eq(arg(1)))
        .and_where(Expr::col("state").eq(USABLE))
        .to_owned();

    /// A principal's credentials of a kind that may be used, by age. Arguments: principal id, kind,
    /// how many at most.
    USABLE_LIST: |d| Query::select()
        .columns(["id", "label", "created_at", "expires_at", "last_used_at"])
        .from("credential")
        .and_where(Expr::col("principal_id").eq(arg(0)))
        .and_where(Expr::col("kind").eq(arg(1)))
        .and_where(Expr::col("state").eq(USABLE))
        .and_where(Expr::col("expires_at").gt(d.now()))
        .order_by("id", Order::Asc)
        .limit(arg_limit(2))
        .to_owned();

    /// The newest credential of a kind that has so many newer ones beside it, in whatever state
    /// they are. Arguments: principal id, kind, how many.
    NTH_NEWEST: |_d| Query::select()
        .column("id")
        .from("credential")
        .and_where(Expr::col("principal_id").eq(arg(0)))
        .and_where(Expr::col("kind").eq(arg(1)))
        .order_by("id", Order::Desc)
        .limit(1)
        .offset(arg_limit(2))
        .to_owned();

    /// Removes the oldest credentials of a kind. Arguments: principal id, kind, the last id to go.
    REMOVE_UP_TO: |_d| Query::delete()
        .from_table("credential")
        .and_where(Expr::col("principal_id").eq(arg(0)))
        .and_where(Expr::col("kind").eq(arg(1)))
        .and_where(Expr::col("id").lte(arg(2)))
        .to_owned();

    /// Notes that a credential was used, unless that is known of the time since. Arguments: id, how
    /// long ago in ms.
    USED: |d| Query::update()
        .table("credential")
        .value("last_used_at", d.now())
        .and_where(Expr::col("id").eq(arg(0)))
        .cond_where(
            Cond::any()
                .add(Expr::col("last_used_at").is_null())
                .add(Expr::col("last_used_at").lt(d.now().sub(arg(1)))),
        )
        .to_owned();

    /// Removes what ended long ago. Arguments: how long ago in ms, how many at most.
    SWEEP: |d| {
        let batch = Batch {
            table: "credential",
            key: &["id"],
            order: &["expires_at"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("expires_at").lt(d.now().sub(arg(0))))
    };

    /// Whether the installation has an administrator.
    SUPERUSER: |_d| Query::select()
        .column("id")
        .from("principal")
        .and_where(Expr::col("superuser").eq(1i64))
        .and_where(Expr::col("name").is_not_null())
        .limit(1)
        .to_owned();
}

/// The columns that [`CredentialState`](super::Standing) is read from.
fn bare() -> SelectStatement {
    Query::select()
        .columns([
            ("p", "id"),
            ("p", "name"),
            ("p", "kind"),
            ("p", "superuser"),
            ("p", "state"),
        ])
        .columns([
            ("c", "id"),
            ("c", "kind"),
            ("c", "state"),
            ("c", "expires_at"),
        ])
        .column(("p", "generation"))
        .from_as("principal", "p")
        .join_as(
            JoinType::InnerJoin,
            "credential",
            "c",
            Expr::col(("c", "principal_id")).equals(("p", "id")),
        )
        .and_where(Expr::col(("p", "name")).is_not_null())
        .to_owned()
}

/// The same with the secret.
fn standing() -> SelectStatement {
    let mut query = bare();
    query.columns([("c", "secret"), ("c", "last_used_at")]);
    query
}
