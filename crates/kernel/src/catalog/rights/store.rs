//! The conditions that decide who may read a repository and who may write to it, as SQL. The only
//! place that builds them.
//!
//! Their tables have the names `n` (namespace), `r` (repository), `ng` (the caller's grant on the
//! namespace) and `rg` (that on the repository).

use sea_query::{Cond, Expr, ExprTrait, Func, JoinType, Query, SelectStatement};
use seawall_meta::arg;
use seawall_types::permission::{NamespaceRole, Visibility};

/// Joins the caller's grants to a query that has `n` and `r`. Argument `principal` is the caller.
pub fn with_grants(query: &mut SelectStatement, principal: u8) -> &mut SelectStatement {
    with_namespace_grant(query, principal).join_as(
        JoinType::LeftJoin,
        "repository_grant",
        "rg",
        Cond::all()
            .add(Expr::col(("rg", "repository_id")).equals(("r", "id")))
            .add(is_of_caller("rg", principal)),
    )
}

/// Joins the caller's grant on the namespace to a query that has `n`.
pub fn with_namespace_grant(query: &mut SelectStatement, principal: u8) -> &mut SelectStatement {
    query.join_as(
        JoinType::LeftJoin,
        "namespace_grant",
        "ng",
        Cond::all()
            .add(Expr::col(("ng", "namespace_id")).equals(("n", "id")))
            .add(is_of_caller("ng", principal)),
    )
}

/// Whether a row of `r` may be read, in a query that has all four tables ([`with_grants`]).
///
/// Three arguments from `at` on, which [`CatalogReader::args`](super::Reader::args) gives: the
/// principal, whether they read everything, whether they read what is public.
pub fn readable(at: u8) -> Cond {
    Cond::any()
        .add(arg(at + 1).eq(1i64))
        .add(is_public("r").and(arg(at + 2).eq(1i64)))
        .add(is_owned("n", at))
        .add(is_admin("ng"))
        .add(Expr::col(("rg", "role")).is_not_null())
}

/// Whether a repository may be read by all who may read what is public.
pub fn is_public(repository: &'static str) -> Expr {
    Expr::col((repository, "visibility")).eq(Visibility::Public.code())
}

/// Whether a namespace is the caller's own, which lets them do everything in it.
pub fn is_owned(namespace: &'static str, principal: u8) -> Expr {
    Expr::col((namespace, "owner_id")).eq(arg(principal))
}

/// Whether a grant on a namespace lets its subject do everything in it.
pub fn is_admin(grant: &'static str) -> Expr {
    Expr::col((grant, "role")).eq(NamespaceRole::Admin.code())
}

/// Whether a grant is the caller's.
pub fn is_of_caller(grant: &'static str, principal: u8) -> Expr {
    Expr::col((grant, "principal_id")).eq(arg(principal))
}

/// Whether a repository still takes what a [`Judgement`](super::super::Judgement) lets its caller
/// write: whether the repository, its namespace and the principal are as the judgement found them.
/// The statement's `table` is the repository and its first six arguments are the judgement's.
pub fn stands(table: &'static str) -> Cond {
    let namespace = Query::select()
        .column("generation")
        .from("namespace")
        .and_where(Expr::col("id").eq(arg(2)))
        .to_owned();
    Cond::all()
        .add(Expr::col((table, "id")).eq(arg(0)))
        .add(Expr::col((table, "generation")).eq(arg(1)))
        .add(arg(3).eq(Expr::from(namespace)))
        .add(is_generation(4))
}

/// Whether argument `at` + 1 is the generation of the principal whose id is argument `at`, or both
/// are 0.
pub(in crate::catalog) fn is_generation(at: u8) -> Expr {
    let principal = Query::select()
        .column("generation")
        .from("principal")
        .and_where(Expr::col("id").eq(arg(at)))
        .to_owned();
    arg(at + 1).eq(Func::coalesce([Expr::from(principal), Expr::val(0i64)]))
}
