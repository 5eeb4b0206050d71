//! What the tests ask the tables themselves, and many rows by few statements.

use sea_query::{Expr, ExprTrait, Order, Query};
use seawall_meta::arg;
use seawall_meta::fixture::damage;
use seawall_types::RepositoryId;
use seawall_types::ids::NamespaceId;

use super::Fixture;

seawall_meta::statements! {
    /// Arguments: repository, tag.
    HISTORY: |_d| Query::select()
        .columns(["id", "digest", "from_at", "until_at", "cause"])
        .from("tag_history")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("name").eq(arg(1)))
        .order_by("id", Order::Asc)
        .to_owned();

    /// What manifests keep alive. Arguments: repository.
    KEPT: |_d| Query::select()
        .columns(["digest", "until"])
        .from("blob_ref")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("owner_kind").eq(2i64))
        .to_owned();

    /// What is kept for good, and for whom.
    REFS: |_d| Query::select()
        .columns(["digest", "repository_id", "owner_kind", "owner"])
        .from("blob_ref")
        .and_where(Expr::col("until").is_null())
        .to_owned();

    /// What pushers were promised. Arguments: repository.
    PROMISED: |_d| Query::select()
        .column("digest")
        .from("blob_ref")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("owner_kind").eq(1i64))
        .to_owned();

    /// Takes no changes any more. Arguments: repository.
    CLOSE: |_d| Query::update()
        .table("repository")
        .value("state", 2i64)
        .value("generation", Expr::col("generation").add(1i64))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Becomes one of another kind. Arguments: repository, kind.
    BECOME: |_d| Query::update()
        .table("repository")
        .value("kind", arg(1))
        .value("generation", Expr::col("generation").add(1i64))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// A tag may not move any more. Arguments: repository, tag.
    PIN: |_d| Query::update()
        .table("tag")
        .value("immutable", 1i64)
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("name").eq(arg(1)))
        .to_owned();

    /// What manifests say of their layers and their config. Arguments: repository.
    DESCRIBED: |_d| Query::select()
        .columns(["layers_size", "config_media_type"])
        .from("manifest")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .order_by("size", Order::Asc)
        .to_owned();

    /// A tag expires at a time. Arguments: repository, tag, time.
    EXPIRE: |_d| Query::update()
        .table("tag")
        .value("expires_at", arg(2))
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("name").eq(arg(1)))
        .to_owned();

    /// The tags that have a row, to be seen or not. Arguments: repository.
    TAGS: |_d| Query::select()
        .column("name")
        .from("tag")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .to_owned();

    /// What the last event says.
    LAST_EVENT: |_d| Query::select()
        .columns(["kind", "payload"])
        .from("event")
        .order_by("id", Order::Desc)
        .limit(1)
        .to_owned();

    /// The kinds of all events.
    EVENTS: |_d| Query::select()
        .column("kind")
        .from("event")
        .order_by("id", Order::Asc)
        .to_owned();

    /// How much a repository keeps alive. Arguments: repository.
    LEFT: |d| Query::select()
        .expr(d.integer(Expr::col("digest").count()))
        .from("blob_ref")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .to_owned();

    /// How many repositories of a namespace have a name. Arguments: namespace.
    NAMED: |d| Query::select()
        .expr(d.integer(Expr::col("name").count()))
        .from("repository")
        .and_where(Expr::col("namespace_id").eq(arg(0)))
        .to_owned();
}

/// A selection of the numbers from 1 to `last` (at most 100,000) as `i`, which every database
/// takes.
fn numbers(last: u32) -> String {
    let digit = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
                 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let digits = ["a", "b", "c", "d", "e"].map(|name| format!("{digit} AS {name}"));
    format!(
        "(SELECT i FROM (SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d AS i FROM {}) AS n \
         WHERE i <= {last}) AS numbers",
        digits.join(", ")
    )
}

impl Fixture {
    /// Runs statements as they stand, with foreign keys switched off.
    async fn seed(&self, statements: &[String]) {
        damage(&self.database.url, statements).await.unwrap();
    }

    /// Organizations `<prefix>1000001` and so on, with ids from `first` on.
    pub(super) async fn namespaces(&self, prefix: &str, first: u32, count: u32) {
        self.seed(&[format!(
            "INSERT INTO namespace (id, name, kind, state, generation, created_at, shows_public) \
             SELECT {first} - 1 + i, CONCAT('{prefix}', 1000000 + i), 2, 1, 1, 0, 0 FROM {}",
            numbers(count)
        )])
        .await;
    }

    /// References of a repository to blobs, where digest and owner are expressions of `i`.
    pub(super) async fn keeps(
        &self,
        repository: RepositoryId,
        (digest, owner): (&str, &str),
        (kind, count): (u32, u32),
    ) {
        self.seed(&[format!(
            "INSERT INTO blob_ref (digest, repository_id, owner_kind, owner, namespace_id) \
             SELECT {digest}, {repository}, {kind}, {owner}, 1 FROM {}",
            numbers(count)
        )])
        .await;
    }

    /// Takes all repositories from a namespace.
    pub(super) async fn empty(&self, namespace: NamespaceId) {
        self.seed(&[format!(
            "DELETE FROM repository WHERE namespace_id = {namespace}"
        )])
        .await;
    }

    /// Private repositories `<prefix>1000001` and so on in the namespace that `namespace` (an
    /// expression of `i`) says.
    pub(super) async fn repositories(&self, namespace: &str, prefix: &str, count: u32) {
        self.seed(&[format!(
            "INSERT INTO repository (namespace_id, name, kind, visibility, state, generation, created_at) \
             SELECT {namespace}, CONCAT('{prefix}', 1000000 + i), 1, 2, 1, 1, 0 FROM {}",
            numbers(count)
        )])
        .await;
    }
}
