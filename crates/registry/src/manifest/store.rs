//! Every SQL statement on `manifest` and `manifest_edge`, and the locked read of the blobs that a
//! manifest refers to. No policy.

use sea_query::{CaseStatement, Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use seawall_kernel::catalog::rights::store::stands;
use seawall_meta::{Batch, SqlBuilder, arg, arg_limit, item};

use super::{EdgeKind, ManifestState};

/// Descriptors of referrers up to this length in bytes come with their page; longer ones are
/// fetched by themselves, so that a page's memory is bounded whatever annotations were pushed.
pub(crate) const SHORT_REFERRER: i64 = 4096;

seawall_meta::statements! {
    /// A live manifest. Arguments: repository, digest.
    BY_DIGEST: |_d| by_digest();

    /// The manifest that a tag points to. Arguments: repository, tag.
    BY_TAG: |d| by_tag(d);

    /// Stores a manifest unless it is there. Arguments: repository, digest, media type, size,
    /// artifact type, subject, referrer, length of referrer, body, size of layers, media type of
    /// the config.
    INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("manifest")
            .columns([
                "repository_id", "digest", "media_type", "size", "artifact_type", "subject",
                "referrer", "referrer_size", "body", "layers_size", "config_media_type", "state",
                "created_at",
            ])
            .values_panic([
                arg(0), arg(1), arg(2), arg(3), arg(4), arg(5), arg(6), arg(7), arg(8), arg(9),
                arg(10), Expr::val(ManifestState::Live.code()), d.now(),
            ]);
        d.insert_ignore(&insert, &["repository_id", "digest"])
    };

    /// A manifest in whatever state, kept from being deleted until the transaction ends.
    /// Arguments: repository, digest.
    SHARE: |_d| {
        let mut select = state_of();
        select.lock_shared();
        select
    };

    /// A manifest in whatever state, for who deletes it. Arguments: repository, digest.
    LOCK: |d| d.for_update(&state_of());

    /// Brings a hidden manifest back, with what its media type has a say in.
    /// Arguments: repository, digest, media type, artifact type, referrer, length of referrer.
    REVIVE: |_d| Query::update()
        .table("manifest")
        .value("state", Expr::val(ManifestState::Live.code()))
        .value("hidden_at", Expr::cust("NULL"))
        .value("media_type", arg(2))
        .value("artifact_type", arg(3))
        .value("referrer", arg(4))
        .value("referrer_size", arg(5))
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .to_owned();

    /// Arguments: repository, digest.
    HIDE: |d| Query::update()
        .table("manifest")
        .value("state", Expr::val(ManifestState::Hidden.code()))
        .value("hidden_at", d.now())
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .to_owned();

    /// What a manifest refers to. Arguments: repository, manifest, kinds, digests.
    EDGES[n]: |d, n| {
        let mut insert = Query::insert();
        insert
            .into_table("manifest_edge")
            .columns(["repository_id", "manifest", "kind", "digest"]);
        d.rows(&mut insert, |k| vec![arg(0), arg(1), item(2, k), item(3, k)]);
        d.insert_ignore(&insert, &["repository_id"])
    };

    /// Which of some digests are live manifests, and their sizes. Arguments: repository, digests.
    PRESENT[n]: |d, n| Query::select()
        .columns(["digest", "size"])
        .from("manifest")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").is_in((0..n).map(|k| item(1, k))))
        .and_where(Expr::col("state").eq(ManifestState::Live.code()))
        .to_owned();

    /// Which of some blobs the repository serves, if a judgement stands, and their sizes; and
    /// whether it has a tag and a manifest, in whatever state, which are not locked. The links
    /// cannot be deleted until the transaction ends, nor can the repository. The lock is shared,
    /// since many pushes name the same base layers and the same empty config at once. Arguments:
    /// the judgement's, digests, tag, manifest.
    BLOBS[n]: |_d, n| {
        let tagged = Query::select()
            .column("name")
            .from("tag")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("name").eq(arg(7)))
            .to_owned();
        let known = Query::select()
            .column("digest")
            .from("manifest")
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("digest").eq(arg(8)))
            .to_owned();
        let is_there = |query| CaseStatement::new().case(Expr::exists(query), 1i64).finally(0i64);
        let mut select = Query::select();
        select
            .columns([("l", "digest"), ("l", "size")])
            .expr(is_there(tagged))
            .expr(is_there(known))
            .from_as("repository_blob", "l")
            .join_as(JoinType::InnerJoin, "repository", "r",
                Expr::col(("r", "id")).equals(("l", "repository_id")))
            .and_where(Expr::col(("l", "repository_id")).eq(arg(0)))
            .and_where(Expr::col(("l", "digest")).is_in((0..n).map(|k| item(6, k))))
            .cond_where(stands("r"))
            .order_by(("l", "digest"), Order::Asc)
            .lock_shared();
        select
    };

    /// Whether a live manifest has this digest for a config, layer or child.
    /// Arguments: repository, digest.
    REFERS: |_d| Query::select()
        .column(("e", "manifest"))
        .from_as("manifest_edge", "e")
        .join_as(JoinType::InnerJoin, "manifest", "m", Cond::all()
            .add(Expr::col(("m", "repository_id")).equals(("e", "repository_id")))
            .add(Expr::col(("m", "digest")).equals(("e", "manifest"))))
        .and_where(Expr::col(("e", "repository_id")).eq(arg(0)))
        .and_where(Expr::col(("e", "digest")).eq(arg(1)))
        .and_where(Expr::col(("e", "kind")).ne(EdgeKind::Subject.code()))
        .and_where(Expr::col(("m", "state")).eq(ManifestState::Live.code()))
        .limit(1)
        .to_owned();

    /// Descriptors of what refers to a subject; null where one is long.
    /// Arguments: repository, subject, digest to begin after, limit.
    REFERRERS: |_d| referrers();

    /// The same, of one artifact type.
    /// Arguments: repository, subject, digest to begin after, limit, artifact type.
    REFERRERS_OF_TYPE: |_d| {
        let mut select = referrers();
        select.and_where(Expr::col("artifact_type").eq(arg(4)));
        select
    };

    /// Descriptors by themselves. Arguments: repository, digests.
    REFERRERS_LONG[n]: |_d, n| Query::select()
        .columns(["digest", "referrer"])
        .from("manifest")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").is_in((0..n).map(|k| item(1, k))))
        .to_owned();

    /// Manifests that have been hidden for longer than some time, the longest hidden first.
    /// Arguments: time in ms, limit.
    FORGETTABLE: |d| Query::select()
        .column(("m", "repository_id"))
        .column(("r", "namespace_id"))
        .column(("m", "digest"))
        .from_as("manifest", "m")
        .join_as(JoinType::InnerJoin, "repository", "r",
            Expr::col(("r", "id")).equals(("m", "repository_id")))
        .and_where(Expr::col(("m", "hidden_at")).lt(d.now().sub(arg(0))))
        .order_by(("m", "hidden_at"), Order::Asc)
        .limit(arg_limit(1))
        .to_owned();

    /// Arguments: repository, manifest.
    EDGES_REMOVE: |_d| Query::delete()
        .from_table("manifest_edge")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("manifest").eq(arg(1)))
        .to_owned();

    /// Arguments: repository, digest.
    REMOVE: |_d| Query::delete()
        .from_table("manifest")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .to_owned();

    /// All manifests of one repository after one. Arguments: repository, digest, limit.
    WALK_WITHIN: |_d| {
        let mut select = walk();
        select
            .and_where(Expr::col("repository_id").eq(arg(0)))
            .and_where(Expr::col("digest").gt(arg(1)));
        select
    };

    /// All manifests of the repositories after one.
    /// Arguments: repository, digest (unused), limit.
    WALK_AFTER: |_d| {
        let mut select = walk();
        select.and_where(Expr::col("repository_id").gt(arg(0)));
        select
    };

    /// What some manifests refer to. Arguments: repository, manifests.
    EDGES_OF[n]: |_d, n| Query::select()
        .columns(["manifest", "kind", "digest"])
        .from("manifest_edge")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("manifest").is_in((0..n).map(|k| item(1, k))))
        .to_owned();

    /// The manifests of one repository after one, without their bytes.
    /// Arguments: repository, digest, limit.
    DIGESTS_WITHIN: |_d| digests()
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").gt(arg(1)))
        .limit(arg_limit(2))
        .to_owned();

    /// The manifests of the repositories after one, without their bytes. Arguments: repository,
    /// limit.
    DIGESTS_AFTER: |_d| digests()
        .and_where(Expr::col("repository_id").gt(arg(0)))
        .limit(arg_limit(1))
        .to_owned();

    /// The namespace of a repository. Arguments: repository.
    NAMESPACE: |_d| Query::select()
        .column("namespace_id")
        .from("repository")
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Takes the edges of some manifests from a repository that is going.
    /// Arguments: repository, limit.
    CLEAR_EDGES: |d| {
        let batch = Batch {
            table: "manifest_edge",
            key: &["repository_id", "manifest", "kind", "digest"],
            order: &["repository_id", "manifest", "kind", "digest"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };

    /// Takes some manifests from a repository that is going. Arguments: repository, limit.
    CLEAR: |d| {
        let batch = Batch {
            table: "manifest",
            key: &["repository_id", "digest"],
            order: &["repository_id", "digest"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("repository_id").eq(arg(0)))
    };
}

/// Manifests in the order of their repositories and digests.
fn digests() -> SelectStatement {
    Query::select()
        .columns(["repository_id", "digest"])
        .from("manifest")
        .order_by("repository_id", Order::Asc)
        .order_by("digest", Order::Asc)
        .to_owned()
}

/// The columns of a manifest as it is served: digest, media type, size, and `more`.
fn by_digest() -> SelectStatement {
    Query::select()
        .columns(["digest", "media_type", "size", "body"])
        .from("manifest")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .and_where(Expr::col("state").eq(ManifestState::Live.code()))
        .to_owned()
}

fn by_tag(d: &SqlBuilder) -> SelectStatement {
    let unexpired = Cond::any()
        .add(Expr::col(("t", "expires_at")).is_null())
        .add(Expr::col(("t", "expires_at")).gt(d.now()));
    Query::select()
        .columns(["digest", "media_type", "size", "body"].map(|column| ("m", column)))
        .column(("t", "expires_at"))
        .from_as("tag", "t")
        .join_as(
            JoinType::InnerJoin,
            "manifest",
            "m",
            Cond::all()
                .add(Expr::col(("m", "repository_id")).equals(("t", "repository_id")))
                .add(Expr::col(("m", "digest")).equals(("t", "digest"))),
        )
        .and_where(Expr::col(("t", "repository_id")).eq(arg(0)))
        .and_where(Expr::col(("t", "name")).eq(arg(1)))
        .and_where(Expr::col(("m", "state")).eq(ManifestState::Live.code()))
        .cond_where(unexpired)
        .to_owned()
}

fn state_of() -> SelectStatement {
    Query::select()
        .columns(["state", "media_type", "hidden_at"])
        .from("manifest")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("digest").eq(arg(1)))
        .to_owned()
}

fn referrers() -> SelectStatement {
    let short = CaseStatement::new()
        .case(
            Expr::col("referrer_size").lte(SHORT_REFERRER),
            Expr::col("referrer"),
        )
        .finally(Expr::cust("NULL"));
    Query::select()
        .columns(["digest", "referrer_size"])
        .expr(short)
        .from("manifest")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("subject").eq(arg(1)))
        .and_where(Expr::col("digest").gt(arg(2)))
        .and_where(Expr::col("state").eq(ManifestState::Live.code()))
        .order_by("digest", Order::Asc)
        .limit(arg_limit(3))
        .to_owned()
}

fn walk() -> SelectStatement {
    Query::select()
        .columns(["repository_id", "digest", "media_type", "state", "body"])
        .from("manifest")
        .order_by("repository_id", Order::Asc)
        .order_by("digest", Order::Asc)
        .limit(arg_limit(2))
        .to_owned()
}
