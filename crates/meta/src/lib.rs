//! Metadata: SQLite, PostgreSQL and MariaDB behind one face.
//!
//! This is the only crate that names a database driver. A store (`store.rs` of a crate) names its
//! statements, runs them through the [`Session`] of its operation and turns [`Row`]s into its own
//! types. No other file contains SQL.
//!
//! What holds everywhere: integers, booleans, times and ids are 64-bit integers; names and digests
//! compare byte by byte; isolation is READ COMMITTED; every call runs to its end in a task of its
//! own, so that a caller who hangs up cancels nothing; a transaction whose statement has failed is
//! lost, and is run again when the database asks for it.
//!
//! # A complete `store.rs`
//!
//! ```no_run
//! use sea_query::{Expr, ExprTrait as _, Order, Query};
//! use seawall_meta::{Change, CommitOutcome, Error, Result, Row, Session, arg, arg_limit, args, item, list, statements};
//! use seawall_types::{Digest, Millis, RepositoryId};
//!
//! // Arguments are numbered, whatever place the text puts them in, and may be used more than once. Constants (`eq(1)`)
//! // are bound as such. Everything is rendered once per dialect. `ALL` lists the statements for the prepare-all test.
//! statements! {
//!     /// A tag's digest. Arguments: repository, name.
//!     TAG: |_d| Query::select().columns(["digest", "changed_at"]).from("tag")
//!         .and_where(Expr::col("repository").eq(arg(0)))
//!         .and_where(Expr::col("name").eq(arg(1)));
//!     /// A page of names. Arguments: repository, last name seen, limit.
//!     TAG_LIST: |_d| Query::select().column("name").from("tag")
//!         .and_where(Expr::col("repository").eq(arg(0)))
//!         .and_where(Expr::col("name").gt(arg(1)))
//!         .order_by("name", Order::Asc)
//!         .limit(arg_limit(2));
//!     /// Which of these blobs are known. Arguments: list of digests. Sized: rendered for 1, 4, 16, 64 and 256
//!     /// elements, padded by repeating the last one; longer lists take several statements, empty ones none.
//!     BLOBS_KNOWN[n]: |d, _n| Query::select().column("digest").from("blob")
//!         .and_where(Expr::col("digest").is_in(d.items(0)));
//!     /// Keeps blobs alive; rows that are there already stay. Arguments: repository, list of digests. Padding repeats a
//!     /// row, so a sized insert must ignore duplicates.
//!     REFERENCES_INSERT[n]: |d, _n| d.insert_ignore(
//!         d.rows(
//!             Query::insert().into_table("blob_ref").columns(["repository", "digest", "since"]),
//!             |k| vec![arg(0), item(1, k), d.now()],
//!         ),
//!         &["repository", "digest"],
//!     );
//!     /// Arguments: repository, name, digest.
//!     TAG_SET: |d| d.upsert(
//!         Query::insert().into_table("tag").columns(["repository", "name", "digest", "changed_at"])
//!             .values_panic([arg(0), arg(1), arg(2), d.now()]),
//!         &["repository", "name"],           // the key
//!         &["digest", "changed_at"],         // what an existing row takes over
//!     );
//!     /// Arguments: id, holder (may be null), lease in milliseconds.
//!     JOB_LEASE: |d| Query::update().table("job")
//!         .value("holder", arg(1))
//!         .value("lease_until", d.now().add(arg(2)))
//!         .and_where(Expr::col("id").eq(arg(0)))
//!         .and_where(Expr::col("lease_until").lt(d.now()));
//!     /// A job that no worker has.
//!     JOB_NEXT: |d| d.skip_locked(
//!         Query::select().columns(["id", "kind"]).from("job")
//!             .and_where(Expr::col("lease_until").lt(d.now()))
//!             .order_by("id", Order::Asc).limit(1),
//!     );
//!     /// Arguments: kind.
//!     JOB_INSERT: |d| d.insert_returning(
//!         Query::insert().into_table("job").columns(["kind", "lease_until"]).values_panic([arg(0), 0.into()]),
//!         "id",
//!     );
//! }
//!
//! pub(crate) async fn tag(session: &Session, repository: RepositoryId, name: &str) -> Result<Option<Digest>> {
//!     let row = session.optional(&TAG, args![repository, name]).await?;
//!     row.map(|row| row.digest(0)).transpose()
//! }
//!
//! pub(crate) async fn blobs_known(session: &Session, digests: &[Digest]) -> Result<Vec<Digest>> {
//!     let rows = session.all(&BLOBS_KNOWN, args![list(digests)]).await?;
//!     rows.iter().map(|row| row.digest(0)).collect()
//! }
//!
//! /// The body owns what it needs and clones per run, since it may be run again. The error type of a transaction is the
//! /// caller's: anything that is `From<seawall_meta::Error>`.
//! pub(crate) async fn push(
//!     session: &Session,
//!     repository: RepositoryId,
//!     name: String,
//!     digest: Digest,
//!     layers: Vec<Digest>,
//! ) -> Result<CommitOutcome<Millis>> {
//!     session.transaction::<_, Error, _>(move |tx| {
//!         let (name, layers) = (name.clone(), list(&layers));
//!         Box::pin(async move {
//!             tx.execute(&REFERENCES_INSERT, args![repository, layers]).await?;
//!             tx.execute(&TAG_SET, args![repository, &name, digest]).await?;
//!             let job: i64 = tx.insert(&JOB_INSERT, args![7]).await?;
//!             let leased = tx.execute(&JOB_LEASE, args![job, None::<i64>, 30_000]).await?;
//!             assert_eq!(leased, 1);                               // rows matched, on every dialect
//!             tx.change(Change { kind: 3, a: repository.get(), b: 0, name: Some(name) }).await?;
//!             tx.now().await                                       // Ok commits, Err rolls back
//!         })
//!     }).await
//! }
//! ```

mod args;
mod backfill;
mod bind;
mod builder;
mod cells;
mod change;
mod commit;
mod config;
mod connection;
mod database_time;
mod detached;
mod dialect;
mod driver;
mod error;
#[cfg(feature = "test-fixture")]
pub mod fixture;
mod group_commit;
mod handshake;
mod listing;
pub mod log;
mod meta;
mod migrate;
mod pipeline;
mod pool;
mod pools;
mod random;
mod row;
mod run;
mod server;
mod session;
mod shared;
mod start;
mod statement;
mod tx;
mod wal;
mod write_queue;

pub use args::{Arg, Args, list};
pub use backfill::{Backfill, BackfillKey};
pub use bind::{arg, arg_limit, item};
pub use builder::{Batch, SqlBuilder, SqlQuery, SqlText};
pub use change::{CHANGES, Change};
pub use config::Config;
pub use dialect::SqlDialect;
pub use error::{Error, Result, may_be_committed};
pub use meta::{ConnectionStats, DatabaseHealth, Meta};
pub use migrate::{BinaryRelease, MigrationStatus, MigrationStep, Migrations, Migrator};
pub use pipeline::Expectation;
pub use row::Row;
pub use session::Session;
pub use statement::Statement;
pub use tx::{CommitOutcome, Tx};

/// Every statement of this crate; other crates offer theirs alike, and a test lets all databases
/// check them ([`Meta::check`]).
pub static STATEMENTS: &[&[&Statement]] = &[
    backfill::ALL,
    change::ALL,
    CHANGES.statements,
    log::PRUNE_STATEMENTS,
    migrate::ALL,
    tx::ALL,
];
