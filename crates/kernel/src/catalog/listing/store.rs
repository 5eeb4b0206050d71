//! Every SQL statement of the catalog's pages. No policy.
//!
//! Each reads a bounded number of rows through an index that has them in the order in which they
//! are wanted: namespaces by name, and the repositories of one namespace by name. A join of both
//! would leave it to the planner in which order it goes, and to a limit how much of it is thrown
//! away.

use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement, UnionType};
use seawall_meta::{SqlBuilder, arg, arg_limit, item};

use super::super::rights::store::{is_admin, is_of_caller, is_owned, is_public};

/// Keeps a derived table apart from the query around it, so that every database begins with it.
const FENCE: u64 = 1 << 31;

seawall_meta::statements! {
    /// Namespaces by name, each with a repository of its own if it holds one.
    /// Arguments: name to begin with, limit.
    ALL_NAMESPACES: |_d| {
        let mut page = head(false);
        page.from_as("namespace", "n");
        within(&mut page).to_owned()
    };

    /// Namespaces that may show something public, by name, each with a public repository if there
    /// is one of the kind. Arguments: name to begin with, limit, kind.
    PUBLIC_NAMESPACES: |d| {
        let mut page = head(true);
        page.from_as("namespace", "n")
            .and_where(d.prefix(("n", "shows_public"), 1))
            .order_by(("n", "shows_public"), Order::Asc);
        within(&mut page).to_owned()
    };

    /// The namespaces that a principal owns or is an admin of, by name, each with a repository of
    /// its own if it holds one. Arguments: name to begin with, limit, principal.
    OWN_NAMESPACES: |_d| {
        let owned = Query::select()
            .column("id")
            .from("namespace")
            .and_where(is_owned("namespace", 2))
            .to_owned();
        let mut own = Query::select();
        own.expr_as(Expr::col("namespace_id"), "id")
            .from("namespace_grant")
            .and_where(is_of_caller("namespace_grant", 2))
            .and_where(is_admin("namespace_grant"))
            .union(UnionType::Distinct, owned);
        let mut page = head(false);
        page.from_subquery(own, "own").join_as(
            sea_query::JoinType::InnerJoin,
            "namespace",
            "n",
            Expr::col(("n", "id")).equals(("own", "id")),
        );
        within(&mut page).to_owned()
    };

    /// The first repositories of a kind in each of these namespaces, by name.
    /// Arguments: namespaces, name to begin after in each, limit for each, kind.
    REPOSITORIES[n]: |d, _n| repositories(d, false);

    /// The same of public ones.
    PUBLIC_REPOSITORIES[n]: |d, _n| repositories(d, true);

    /// The repositories of a kind on which a principal holds a grant, in order: all of its grants
    /// are read. Arguments: principal, namespace, name to begin after, limit, kind.
    GRANTED: |_d| {
        let granted = Query::select()
            .column("repository_id")
            .from("repository_grant")
            .and_where(is_of_caller("repository_grant", 0))
            .limit(FENCE)
            .to_owned();
        let join = sea_query::JoinType::InnerJoin;
        Query::select()
            .columns([("n", "name"), ("r", "name")])
            .from_subquery(granted, "g")
            .join_as(join, "repository", "r", Expr::col(("r", "id")).equals(("g", "repository_id")))
            .join_as(join, "namespace", "n", Expr::col(("n", "id")).equals(("r", "namespace_id")))
            .and_where(Expr::col(("r", "kind")).eq(arg(4)))
            .and_where(Expr::col(("r", "name")).is_not_null())
            .and_where(
                Expr::col(("n", "name")).gt(arg(1)).or(Expr::col(("n", "name"))
                    .eq(arg(1))
                    .and(Expr::col(("r", "name")).gt(arg(2)))),
            )
            .order_by(("n", "name"), Order::Asc)
            .order_by(("r", "name"), Order::Asc)
            .limit(arg_limit(3))
            .to_owned()
    };
}

/// A namespace's id and name, and the id of one repository in it.
fn head(public: bool) -> SelectStatement {
    let mut first = Query::select();
    first
        .column(("r", "id"))
        .from_as("repository", "r")
        .and_where(Expr::col(("r", "namespace_id")).equals(("n", "id")))
        .and_where(Expr::col(("r", "name")).is_not_null())
        // In the order of the index; else PostgreSQL reads the whole table for a namespace without
        // any, if it has reason to believe that most have many.
        .order_by(("r", "name"), Order::Asc)
        .limit(1);
    if public {
        first
            .and_where(is_public("r"))
            .and_where(Expr::col(("r", "kind")).eq(arg(2)));
    }
    Query::select()
        .columns([("n", "id"), ("n", "name")])
        .expr(Expr::SubQuery(None, Box::new(first.into())))
        .to_owned()
}

fn within(page: &mut SelectStatement) -> &mut SelectStatement {
    page.and_where(Expr::col(("n", "name")).gte(arg(0)))
        .order_by(("n", "name"), Order::Asc)
        .limit(arg_limit(1))
}

/// One limited selection for each namespace, which reads nothing beyond its limit.
fn repositories(d: &SqlBuilder, public: bool) -> SelectStatement {
    let mut of_each = (0..d.size()).map(|k| {
        let mut some = Query::select();
        some.columns(["namespace_id", "name"])
            .from("repository")
            .and_where(Expr::col("namespace_id").eq(item(0, k)))
            .and_where(Expr::col("kind").eq(arg(3)))
            .and_where(Expr::col("name").gt(item(1, k)))
            .order_by("name", Order::Asc)
            .limit(arg_limit(2));
        if public {
            some.and_where(is_public("repository"));
        }
        Query::select()
            .columns(["namespace_id", "name"])
            .from_subquery(some, "some")
            .to_owned()
    });
    let mut all = of_each.next().unwrap_or_default();
    for some in of_each {
        all.union(UnionType::All, some);
    }
    all
}
