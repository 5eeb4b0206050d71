//! Every SQL statement of the catalog. No policy.

use sea_query::{Cond, Expr, ExprTrait, Func, JoinType, Order, Query, UnionType};
use seawall_meta::{Batch, arg, arg_limit, item};
use seawall_types::permission::{AccountState, PrincipalKind, RepositoryState};

use super::rights::store::{is_generation, is_public, stands, with_grants, with_namespace_grant};

/// The generation of a row that was just made.
pub const FIRST: i64 = 1;

seawall_meta::statements! {
    /// Namespaces, repositories and grants of one caller, each row with the place of its name in
    /// the lists; no row where there is no namespace. One branch for each name, so that each is
    /// found by the index, whatever the others are. Arguments: namespaces, paths, principal.
    FACTS[n]: |_d, n| {
        let mut query = facts(0);
        for place in 1..n {
            query.union(UnionType::All, facts(place));
        }
        query
    };

    /// Arguments: name.
    NAMESPACE_BY_NAME: |_d| Query::select()
        .columns(["id", "kind", "owner_id", "state"])
        .from("namespace")
        .and_where(Expr::col("name").eq(arg(0)))
        .to_owned();

    /// Makes a namespace unless the name is taken. Arguments: name, kind, owner.
    NAMESPACE_INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("namespace")
            .columns([
                "name", "kind", "owner_id", "state", "generation", "created_at", "shows_public",
            ])
            .values_panic([
                arg(0), arg(1), arg(2), Expr::val(AccountState::Active.code()), Expr::val(FIRST), d.now(), Expr::val(0i64),
            ]);
        d.insert_ignore(&insert, &["name"])
    };

    /// All namespaces, by id, for the command line. Arguments: id to begin after, limit.
    NAMESPACE_LIST: |_d| Query::select()
        .columns([("n", "id"), ("n", "name"), ("n", "kind")])
        .column(("p", "name"))
        .column(("n", "created_at"))
        .from_as("namespace", "n")
        .join_as(JoinType::LeftJoin, "principal", "p",
            Expr::col(("p", "id")).equals(("n", "owner_id")))
        .and_where(Expr::col(("n", "id")).gt(arg(0)))
        .and_where(Expr::col(("n", "name")).is_not_null())
        .order_by(("n", "id"), Order::Asc)
        .limit(arg_limit(1))
        .to_owned();

    /// Takes the name from a namespace, which hides all that is in it. Arguments: id.
    NAMESPACE_DELETE: |_d| Query::update()
        .table("namespace")
        .value("name", Expr::cust("NULL"))
        .value("state", Expr::val(AccountState::Deleting.code()))
        .value("generation", Expr::col("generation").add(1i64))
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("state").ne(AccountState::Deleting.code()))
        .to_owned();

    /// A namespace and the caller's grant on it. Arguments: name, principal.
    NAMESPACE_FACTS: |_d| {
        let mut query = Query::select();
        query
            .columns([("n", "id"), ("n", "kind"), ("n", "owner_id"), ("n", "generation")])
            .column(("ng", "role"))
            .from_as("namespace", "n");
        with_namespace_grant(&mut query, 1)
            .and_where(Expr::col(("n", "name")).eq(arg(0)))
            .to_owned()
    };

    /// Counts up a namespace's generation if it is what a judgement was found with, and keeps the
    /// row alone until the transaction ends. Arguments: id, generation.
    NAMESPACE_ALTER: |_d| Query::update()
        .table("namespace")
        .value("generation", Expr::col("generation").add(1i64))
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("generation").eq(arg(1)))
        .and_where(Expr::col("state").ne(AccountState::Deleting.code()))
        .to_owned();

    /// Arguments: namespace id.
    NAMESPACE_REMOVE: |_d| Query::delete()
        .from_table("namespace")
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Removes some grants on a namespace. Arguments: namespace id, limit.
    NAMESPACE_GRANTS_REMOVE: |d| {
        let batch = Batch {
            table: "namespace_grant",
            key: &["namespace_id", "principal_id"],
            order: &["namespace_id", "principal_id"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("namespace_id").eq(arg(0)))
    };

    /// The first repositories of a namespace that still have a name. Arguments: namespace id,
    /// limit.
    NAMESPACE_NAMED: |_d| Query::select()
        .column("id")
        .from("repository")
        .and_where(Expr::col("namespace_id").eq(arg(0)))
        .and_where(Expr::col("name").is_not_null())
        .order_by("name", Order::Asc)
        .limit(arg_limit(1))
        .to_owned();

    /// A repository of a namespace, with a name or without. Arguments: namespace id.
    NAMESPACE_HOLDS: |_d| Query::select()
        .column("id")
        .from("repository")
        .and_where(Expr::col("namespace_id").eq(arg(0)))
        .order_by("name", Order::Asc)
        .limit(1)
        .to_owned();

    /// Arguments: namespace id, 1 or 0.
    NAMESPACE_SHOWS_PUBLIC: |_d| Query::update()
        .table("namespace")
        .value("shows_public", arg(1))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Arguments: namespace id.
    NAMESPACE_LOCK: |d| d.for_update(Query::select()
        .column("id")
        .from("namespace")
        .and_where(Expr::col("id").eq(arg(0))));

    /// A public repository of a namespace, of whatever kind. Arguments: namespace id.
    NAMESPACE_PUBLIC: |_d| Query::select()
        .column("id")
        .from("repository")
        .and_where(Expr::col("namespace_id").eq(arg(0)))
        .and_where(is_public("repository"))
        .and_where(Expr::col("name").is_not_null())
        // In the order of the index.
        .order_by("kind", Order::Asc)
        .order_by("name", Order::Asc)
        .limit(1)
        .to_owned();

    /// The last id of the next namespaces, or null. Arguments: id to begin after, how many.
    MARKS_NEXT: |_d| {
        let range = Query::select()
            .column("id")
            .from("namespace")
            .and_where(Expr::col("id").gt(arg(0)))
            .order_by("id", Order::Asc)
            .limit(arg_limit(1))
            .to_owned();
        Query::select()
            .expr(Func::max(Expr::col("id")))
            .from_subquery(range, "range")
            .to_owned()
    };

    /// Arguments: id to begin after, last id.
    MARKS_LOCK: |d| d.for_update(Query::select()
        .column("id")
        .from("namespace")
        .and_where(Expr::col("id").gt(arg(0)))
        .and_where(Expr::col("id").lte(arg(1)))
        .order_by("id", Order::Asc));

    /// Takes the mark from namespaces that show nothing public. Arguments: id to begin after, last
    /// id.
    MARKS_FILL: |_d| {
        let public = Query::select()
            .column(("r", "id"))
            .from_as("repository", "r")
            .and_where(Expr::col(("r", "namespace_id")).equals(("namespace", "id")))
            .and_where(is_public("r"))
            .and_where(Expr::col(("r", "name")).is_not_null())
            .to_owned();
        Query::update()
            .table("namespace")
            .value("shows_public", 0i64)
            .and_where(Expr::col("id").gt(arg(0)))
            .and_where(Expr::col("id").lte(arg(1)))
            .and_where(Expr::exists(public).not())
            .to_owned()
    };

    /// Arguments: namespace id, principal id, role.
    NAMESPACE_GRANT_SET: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("namespace_grant")
            .columns(["namespace_id", "principal_id", "role", "created_at"])
            .values_panic([arg(0), arg(1), arg(2), d.now()]);
        d.upsert(&insert, &["namespace_id", "principal_id"], &["role"])
    };

    /// Arguments: namespace id, principal id.
    NAMESPACE_GRANT_REMOVE: |_d| Query::delete()
        .from_table("namespace_grant")
        .and_where(Expr::col("namespace_id").eq(arg(0)))
        .and_where(Expr::col("principal_id").eq(arg(1)))
        .to_owned();

    /// Arguments: namespace id.
    NAMESPACE_GRANT_LIST: |_d| Query::select()
        .column(("p", "name"))
        .column(("g", "role"))
        .from_as("namespace_grant", "g")
        .join_as(JoinType::InnerJoin, "principal", "p",
            Expr::col(("p", "id")).equals(("g", "principal_id")))
        .and_where(Expr::col(("g", "namespace_id")).eq(arg(0)))
        .and_where(Expr::col(("p", "name")).is_not_null())
        .order_by(("p", "name"), Order::Asc)
        .to_owned();

    /// Whether a judgement stands; its repository stays so until the transaction ends.
    /// Arguments: the judgement's.
    REPOSITORY_STANDS: |_d| {
        let mut select = Query::select();
        select
            .column(("r", "id"))
            .from_as("repository", "r")
            .cond_where(stands("r"))
            .lock_shared();
        select
    };

    /// Counts up a repository's generation if a judgement stands. Arguments: the judgement's.
    REPOSITORY_ALTER: |_d| Query::update()
        .table("repository")
        .value("generation", Expr::col("generation").add(1i64))
        .cond_where(stands("repository"))
        .to_owned();

    /// Makes a repository unless it exists, or its namespace or its maker have changed, and
    /// keeps the namespace as it is until the transaction ends.
    /// Arguments: namespace id, name, visibility, generation, principal, generation, kind.
    REPOSITORY_INSERT: |d| {
        let mut standing = Query::select();
        standing
            .column("id")
            .exprs([
                arg(1),
                arg(6),
                arg(2),
                Expr::val(RepositoryState::Normal.code()),
                Expr::val(FIRST),
                d.now(),
            ])
            .from("namespace")
            .and_where(Expr::col("id").eq(arg(0)))
            .and_where(Expr::col("generation").eq(arg(3)))
            .and_where(is_generation(4))
            .lock_shared();
        let mut insert = Query::insert();
        insert
            .into_table("repository")
            .columns([
                "namespace_id", "name", "kind", "visibility", "state", "generation", "created_at",
            ]);
        // Both sides have seven columns, which is all that this can fail by.
        let _ = insert.select_from(standing);
        let insert = d.insert_returning(&insert, "id");
        d.insert_ignore(&insert, &["namespace_id", "name"])
    };

    /// Arguments: id, visibility.
    REPOSITORY_SET_VISIBILITY: |_d| Query::update()
        .table("repository")
        .value("visibility", arg(1))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Takes the name from a repository; its rows go by a job. Arguments: id.
    REPOSITORY_DELETE: |_d| Query::update()
        .table("repository")
        .value("name", Expr::cust("NULL"))
        .value("state", Expr::val(RepositoryState::Deleting.code()))
        .value("generation", Expr::col("generation").add(1i64))
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("state").ne(RepositoryState::Deleting.code()))
        .to_owned();

    /// Arguments: id.
    REPOSITORY_REMOVE: |_d| Query::delete()
        .from_table("repository")
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Removes some grants on a repository. Arguments: repository id, limit.
    REPOSITORY_GRANTS_REMOVE: |d| {
        let batch = Batch {
            table: "repository_grant",
            key: &["repository_id", "principal_id"],
            order: &["repository_id", "principal_id"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };

    /// The namespace of a repository that is, or was, public. Arguments: id.
    REPOSITORY_PUBLIC_IN: |_d| Query::select()
        .column("namespace_id")
        .from("repository")
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(is_public("repository"))
        .to_owned();

    /// How many repositories wait to be cleared.
    REPOSITORY_CLEARING: |d| Query::select()
        .expr(d.integer(Expr::col("id").count()))
        .from("repository")
        .and_where(Expr::col("state").eq(RepositoryState::Deleting.code()))
        .to_owned();

    /// All repositories that have a name, by id. Arguments: id to begin after, limit.
    REPOSITORY_WALK: |_d| Query::select()
        .column(("r", "id"))
        .columns([("n", "name"), ("r", "name")])
        .from_as("repository", "r")
        .join_as(JoinType::InnerJoin, "namespace", "n",
            Expr::col(("n", "id")).equals(("r", "namespace_id")))
        .and_where(Expr::col(("r", "id")).gt(arg(0)))
        .and_where(Expr::col(("r", "name")).is_not_null())
        .and_where(Expr::col(("n", "name")).is_not_null())
        .order_by(("r", "id"), Order::Asc)
        .limit(arg_limit(1))
        .to_owned();

    /// All repositories, by id, for the command line. Arguments: id to begin after, limit.
    REPOSITORY_LIST: |_d| Query::select()
        .column(("r", "id"))
        .columns([("n", "name"), ("r", "name")])
        .columns([("r", "visibility"), ("r", "kind"), ("r", "state"), ("r", "created_at")])
        .from_as("repository", "r")
        .join_as(JoinType::InnerJoin, "namespace", "n",
            Expr::col(("n", "id")).equals(("r", "namespace_id")))
        .and_where(Expr::col(("r", "id")).gt(arg(0)))
        .and_where(Expr::col(("n", "name")).is_not_null())
        .and_where(Expr::col(("r", "name")).is_not_null())
        .order_by(("r", "id"), Order::Asc)
        .limit(arg_limit(1))
        .to_owned();

    /// Arguments: repository id, principal id, role.
    REPOSITORY_GRANT_SET: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("repository_grant")
            .columns(["repository_id", "principal_id", "role", "created_at"])
            .values_panic([arg(0), arg(1), arg(2), d.now()]);
        d.upsert(&insert, &["repository_id", "principal_id"], &["role"])
    };

    /// Arguments: repository id, principal id.
    REPOSITORY_GRANT_REMOVE: |_d| Query::delete()
        .from_table("repository_grant")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("principal_id").eq(arg(1)))
        .to_owned();

    /// Arguments: repository id.
    REPOSITORY_GRANT_LIST: |_d| Query::select()
        .column(("p", "name"))
        .column(("g", "role"))
        .from_as("repository_grant", "g")
        .join_as(JoinType::InnerJoin, "principal", "p",
            Expr::col(("p", "id")).equals(("g", "principal_id")))
        .and_where(Expr::col(("g", "repository_id")).eq(arg(0)))
        .and_where(Expr::col(("p", "name")).is_not_null())
        .order_by(("p", "name"), Order::Asc)
        .to_owned();

    /// Makes a principal unless the name is taken. Arguments: kind, name, superuser.
    PRINCIPAL_INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("principal")
            .columns(["kind", "name", "superuser", "state", "generation", "created_at"])
            .values_panic([arg(0), arg(1), arg(2), Expr::val(AccountState::Active.code()), Expr::val(FIRST), d.now()]);
        d.insert_ignore(&insert, &["name"])
    };

    /// Arguments: name.
    PRINCIPAL_BY_NAME: |_d| Query::select()
        .columns(["id", "kind", "superuser", "state"])
        .from("principal")
        .and_where(Expr::col("name").eq(arg(0)))
        .to_owned();

    /// Whether a principal is as a judgement found it; it stays so until the transaction ends.
    /// Arguments: id, generation.
    PRINCIPAL_STANDS: |_d| {
        let mut select = Query::select();
        select
            .column("id")
            .from("principal")
            .and_where(Expr::col("id").eq(arg(0)))
            .and_where(Expr::col("generation").eq(arg(1)))
            .lock_shared();
        select
    };

    /// Keeps a principal that was not deleted alone until the transaction ends. Arguments: id.
    PRINCIPAL_LOCK: |d| d.for_update(Query::select()
        .column("id")
        .from("principal")
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("name").is_not_null()));

    /// Arguments: id, state.
    PRINCIPAL_SET_STATE: |_d| Query::update()
        .table("principal")
        .value("state", arg(1))
        .value("generation", Expr::col("generation").add(1i64))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Counts up a principal's generation, as every end of a credential must, and locks it.
    /// Arguments: id.
    PRINCIPAL_ALTER: |_d| Query::update()
        .table("principal")
        .value("generation", Expr::col("generation").add(1i64))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Takes the name from a principal. Arguments: id.
    PRINCIPAL_DELETE: |_d| Query::update()
        .table("principal")
        .value("name", Expr::cust("NULL"))
        .value("state", Expr::val(AccountState::Deleting.code()))
        .value("generation", Expr::col("generation").add(1i64))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Arguments: principal id.
    PRINCIPAL_NAMESPACE_GRANTS_REMOVE: |_d| Query::delete()
        .from_table("namespace_grant")
        .and_where(Expr::col("principal_id").eq(arg(0)))
        .to_owned();

    /// Arguments: principal id.
    PRINCIPAL_REPOSITORY_GRANTS_REMOVE: |_d| Query::delete()
        .from_table("repository_grant")
        .and_where(Expr::col("principal_id").eq(arg(0)))
        .to_owned();

    /// All users, by id. Arguments: id to begin after, limit.
    USER_LIST: |_d| Query::select()
        .columns(["id", "name", "superuser", "state", "created_at"])
        .from("principal")
        .and_where(Expr::col("id").gt(arg(0)))
        .and_where(Expr::col("kind").eq(PrincipalKind::User.code()))
        .and_where(Expr::col("name").is_not_null())
        .order_by("id", Order::Asc)
        .limit(arg_limit(1))
        .to_owned();
}

/// The facts about one name of a list, with its place there.
fn facts(place: usize) -> sea_query::SelectStatement {
    let mut query = Query::select();
    query
        .columns([("n", "id"), ("n", "kind"), ("n", "owner_id")])
        .columns([
            ("r", "id"),
            ("r", "visibility"),
            ("r", "kind"),
            ("r", "state"),
        ])
        .column(("ng", "role"))
        .column(("rg", "role"))
        .columns([("n", "generation"), ("r", "generation")])
        .expr(Expr::val(i64::try_from(place).unwrap_or(i64::MAX)))
        .from_as("namespace", "n")
        .join_as(
            JoinType::LeftJoin,
            "repository",
            "r",
            Cond::all()
                .add(Expr::col(("r", "namespace_id")).equals(("n", "id")))
                .add(Expr::col(("r", "name")).eq(item(1, place))),
        );
    with_grants(&mut query, 2)
        .and_where(Expr::col(("n", "name")).eq(item(0, place)))
        .to_owned()
}
