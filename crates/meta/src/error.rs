//! What can go wrong between a store and its database, in words that every
//! dialect shares.
//!
//! Never carries an address or an argument: only what the database said.

use std::borrow::Cow;

use seawall_types::error::Reason;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed statement, transaction or connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A unique or primary key already holds this value. The text names the key where the database
    /// says so.
    #[error("already there: {0}")]
    Unique(String),
    /// A foreign key refused: what is referred to is missing, or what is to go is still referred
    /// to.
    #[error("reference refused: {0}")]
    ForeignKey(String),
    /// Others hold what is needed (deadlock, lock timeout, serialization), still so after all
    /// repetitions.
    #[error("busy: {0}")]
    Busy(String),
    /// The database cannot be reached, gave no connection in time, ended the connection or the
    /// statement.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The connection broke while a commit was on its way: it may have happened or not.
    #[error("commit uncertain: {0}")]
    Uncertain(String),
    /// The database refuses writes (a standby, a read-only file or server).
    #[error("database is read-only: {0}")]
    ReadOnly(String),
    /// No space left where the database writes.
    #[error("database is full: {0}")]
    Full(String),
    /// The database's files are damaged.
    #[error("database is corrupt: {0}")]
    Corrupt(String),
    /// A row is not what the statement promised: wrong column, wrong type, null, or none where one
    /// must be.
    #[error("cannot read row: {0}")]
    Decode(String),
    /// The schema was changed by a release that no longer admits this binary.
    #[error("the schema admits binaries from release {oldest} on; this one is release {this}")]
    SchemaTooNew {
        /// The oldest release that the schema admits.
        oldest: i64,
        /// The release of this binary.
        this: i64,
    },
    /// Migrations are missing; `seawall migrate apply` applies them.
    #[error("the schema lacks {} migrations, first {}; run `seawall migrate apply`", missing.len(), missing.first().map_or("", String::as_str))]
    SchemaTooOld {
        /// Missing steps as `owner/NNNN_name`.
        missing: Vec<String>,
    },
    /// The schema is that of a release from which this one cannot go on.
    #[error(
        "the schema is too old: {step} was applied by a release that this one cannot go on from; run `seawall migrate apply` of the release before this one first"
    )]
    SchemaUnfolded {
        /// The step whose later changes are missing, as `owner/NNNN_name`.
        step: String,
    },
    /// The configuration or the server itself does not fit.
    #[error("database configuration: {0}")]
    Configuration(String),
    /// Anything else: a bug of ours more often than not.
    #[error("database error: {0}")]
    Other(String),
}

impl Error {
    /// Whether a unique key refused.
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Unique(_))
    }

    /// Whether a foreign key refused.
    pub fn is_foreign_key(&self) -> bool {
        matches!(self, Self::ForeignKey(_))
    }

    /// The same of a transaction of whose end nothing is known.
    pub(crate) fn of_unknown_end(self) -> Self {
        match self {
            Self::Unavailable(text) => Self::Uncertain(text),
            other => other,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Busy(_) | Self::Unavailable(_) | Self::Uncertain(_) | Self::ReadOnly(_) => {
                Reason::Unavailable
            }
            Self::Full(_) => Reason::StorageFull,
            _ => Reason::Internal,
        }
    }
}

/// Whether the transaction that ended in this error may have been committed all the same. After
/// every other error it certainly was not, and what was done for it beside the database may be
/// undone.
pub fn may_be_committed(error: &seawall_types::error::Error) -> bool {
    let source = error.source.as_deref();
    source
        .and_then(|source| source.downcast_ref())
        .is_some_and(|error| matches!(error, Error::Uncertain(_)))
}

impl From<Error> for seawall_types::error::Error {
    fn from(error: Error) -> Self {
        let public: Cow<'static, str> = match error.reason() {
            Reason::Unavailable => "the database is not available at the moment".into(),
            Reason::StorageFull => "no space left".into(),
            _ => "internal error".into(),
        };
        let renamed = Self::new(error.reason(), public);
        let renamed = if error.reason() == Reason::Unavailable {
            renamed.retry_after(1)
        } else {
            renamed
        };
        renamed.with_source(error)
    }
}
