//! Migrations: numbered steps, one statement each, one history for all dialects.
//!
//! A step that was applied is never applied again and never edited. On SQLite
//! and PostgreSQL a step and its bookkeeping commit together; MariaDB commits
//! schema changes by themselves, so a step is booked as begun first and, if the
//! process died, told from an applied one by "already exists".
//!
//! A step that builds an index (`CREATE INDEX {online} name ON …`) never keeps
//! writers away: it runs outside a transaction, may be interrupted at any moment
//! and is run again. No statement depends on an index to be right, so a binary
//! whose indexes are not built yet starts all the same.

mod apply;

use std::collections::BTreeSet;

use crate::dialect::Dialect;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::meta::Meta;
use crate::session;
pub(crate) use apply::ALL;
use apply::{History, apply, has_history, history, oldest};

/// The steps of one owner (a crate), in order.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// Whose they are; the prefix of the tables mostly.
    pub owner: &'static str,
    /// In the order of their numbers.
    pub steps: &'static [Step],
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// `NNNN_verb_noun`.
    pub file: &'static str,
    /// One statement with type tokens.
    pub sql: &'static str,
}

/// The steps in `migrations/` of the calling crate, without `.sql`: `migrations!("kernel", ["0001_create_principal"])`.
#[macro_export]
macro_rules! migrations {
    ($owner:expr, [$($file:literal),* $(,)?]) => {
        $crate::Migrations {
            owner: $owner,
            steps: &[$($crate::Step {
                file: $file,
                sql: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $file, ".sql")),
            }),*],
        }
    };
}

/// Which binary this is, for the check that release N and N+1 may run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// The release number of this binary, counted up by one each release.
    pub number: i64,
    /// The oldest release that can still run on the schema that this binary makes.
    pub admits: i64,
}

impl Default for Release {
    fn default() -> Self {
        Self {
            number: 1,
            admits: 1,
        }
    }
}

/// What is applied and what is not. Steps are written `owner/NNNN_name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Applied steps that this binary knows.
    pub applied: Vec<String>,
    /// Known steps that are not applied, in the order in which they would be.
    pub missing: Vec<String>,
    /// Applied steps of a newer release.
    pub unknown: Vec<String>,
    /// The oldest release that the schema admits.
    pub oldest_release: i64,
}

/// Applies migrations.
pub struct Migrator {
    meta: Meta,
    sets: Vec<Migrations>,
    release: Release,
}

static OWN: Migrations = migrations!(
    "meta",
    [
        "0001_create_change",
        "0002_create_log_floor",
        "0005_create_backfill",
    ]
);

impl Step {
    /// The number at the beginning of the file's name.
    pub fn number(&self) -> i64 {
        self.file
            .split('_')
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    }

    /// The file's name without the number.
    pub fn name(&self) -> &'static str {
        self.file.split_once('_').map_or("", |(_, name)| name)
    }

    /// The statement in a dialect: comments gone, tokens replaced.
    pub fn render(&self, dialect: Dialect) -> Result<String> {
        expand(self.sql, dialect)
            .map_err(|what| Error::Configuration(format!("migration {}: {what}", self.file)))
    }

    /// The name of the index that it builds, for a step that runs beside writers.
    pub(crate) fn index(&self) -> Option<&'static str> {
        let (_, rest) = self.sql.split_once(ONLINE)?;
        rest.split_whitespace().next()
    }

    /// Whether a history with this checksum speaks of this step: as it is, or as it was before a line
    /// `-- replaces <checksum>` was put into it.
    fn is_booked_as(&self, checksum: i64) -> bool {
        let replaced = self
            .sql
            .lines()
            .filter_map(|line| line.strip_prefix("-- replaces "))
            .filter_map(|number| number.trim().parse::<i64>().ok());
        replaced.chain([self.checksum()]).any(|it| it == checksum)
    }

    fn checksum(&self) -> i64 {
        // FNV-1a: an edit is to be noticed, not an attack.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.sql
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, hash)
            .cast_signed()
    }
}

/// The token of a step that builds an index beside writers.
const ONLINE: &str = "{online}";

/// A number that changes with any of these steps and this crate's own.
#[cfg(feature = "test-fixture")]
pub(crate) fn fingerprint(sets: &[Migrations]) -> u64 {
    let steps = std::iter::once(&OWN).chain(sets).flat_map(|set| set.steps);
    steps.fold(0, |print: u64, step| {
        print.rotate_left(7) ^ step.checksum().cast_unsigned()
    })
}

/// One step among those of its owner.
#[derive(Clone, Copy)]
struct Item {
    owner: &'static str,
    step: Step,
}

impl Item {
    fn key(&self) -> (String, i64) {
        (self.owner.to_owned(), self.step.number())
    }

    fn label(&self) -> String {
        format!("{}/{}", self.owner, self.step.file)
    }
}

impl Migrator {
    /// A migrator for these owners, in this order; the database layer's own tables come first by themselves.
    pub fn new(meta: &Meta, sets: &[Migrations]) -> Self {
        let sets = std::iter::once(OWN).chain(sets.iter().copied()).collect();
        Self {
            meta: meta.clone(),
            sets,
            release: Release::default(),
        }
    }

    /// The same for this release.
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// What is applied and what is not. Changes nothing, works on an empty database.
    pub async fn status(&self) -> Result<Status> {
        let (meta, items) = (self.meta.clone(), self.items()?);
        let asked = async move {
            let mut lease = meta.shared.pools.writer().await?;
            let (history, oldest) = if has_history(&mut lease).await {
                let history = history(&mut lease, &meta.shared).await?;
                (history, oldest(&mut lease, &meta.shared).await?)
            } else {
                (History::new(), 0)
            };
            lease.finish().await;
            Ok(status(&items, &history, oldest))
        };
        let asked: Result<Status, Failure> =
            session::detached(&self.meta.shared.tasks, "meta.status", asked).await?;
        asked.map_err(|failure| failure.error)
    }

    /// The missing steps with their text in this database's dialect.
    pub async fn plan(&self) -> Result<Vec<(String, String)>> {
        let missing: BTreeSet<String> = self.status().await?.missing.into_iter().collect();
        let missing = self
            .items()?
            .into_iter()
            .filter(|item| missing.contains(&item.label()));
        missing
            .map(|item| Ok((item.label(), item.step.render(self.meta.dialect())?)))
            .collect()
    }

    /// Refuses a schema that this binary must not run on: too new for it, or with steps missing. A missing index makes
    /// it slow, not wrong, and is only told to the log.
    pub async fn check(&self) -> Result<()> {
        let status = self.status().await?;
        if status.oldest_release > self.release.number {
            return Err(Error::SchemaTooNew {
                oldest: status.oldest_release,
                this: self.release.number,
            });
        }
        let indexes: BTreeSet<String> = self
            .items()?
            .iter()
            .filter(|item| item.step.index().is_some())
            .map(Item::label)
            .collect();
        let (slow, missing): (Vec<_>, Vec<_>) = status
            .missing
            .into_iter()
            .partition(|label| indexes.contains(label));
        if !missing.is_empty() {
            return Err(Error::SchemaTooOld { missing });
        }
        if !slow.is_empty() {
            tracing::warn!(?slow, "indexes are missing, run `seawall migrate apply`");
        }
        Ok(())
    }

    /// Applies all missing steps; returns those that this call applied. Safe beside others that do the same.
    pub async fn apply(&self) -> Result<Vec<String>> {
        let (meta, items, release) = (self.meta.clone(), self.items()?, self.release);
        let applying = async move { apply(&meta.shared, &items, release).await };
        let applied = session::detached(&self.meta.shared.tasks, "meta.migrate", applying).await?;
        applied.map_err(|failure| failure.error)
    }

    /// All steps in order, checked for form.
    fn items(&self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for set in &self.sets {
            let mut last = 0;
            for step in set.steps {
                let item = Item {
                    owner: set.owner,
                    step: *step,
                };
                if step.number() <= last || step.name().is_empty() {
                    return Err(Error::Configuration(format!(
                        "migration {} is out of order",
                        item.label()
                    )));
                }
                last = step.number();
                items.push(item);
            }
        }
        Ok(items)
    }
}

fn status(items: &[Item], history: &History, oldest_release: i64) -> Status {
    let known: BTreeSet<_> = items.iter().map(Item::key).collect();
    let applied = |item: &&Item| {
        history
            .get(&item.key())
            .is_some_and(|booked| booked.applied)
    };
    let unknown = history.iter().filter(|(key, _)| !known.contains(key));
    Status {
        applied: items.iter().filter(applied).map(Item::label).collect(),
        missing: items
            .iter()
            .filter(|item| !applied(item))
            .map(Item::label)
            .collect(),
        unknown: unknown
            .map(|((owner, number), booked)| format!("{owner}/{number:04}_{}", booked.name))
            .collect(),
        oldest_release,
    }
}

/// Takes comments away and puts types in the place of tokens.
fn expand(sql: &str, dialect: Dialect) -> Result<String, String> {
    let lines = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = text.trim().trim_end_matches(';').trim_end();
    if text.contains(';') {
        return Err("more than one statement".into());
    }
    let indexes = text.contains(ONLINE);
    if indexes && !(text.starts_with("CREATE INDEX {online} ") && text.contains(" ON ")) {
        return Err("only CREATE INDEX {online} name ON … runs beside writers".into());
    }
    let mut parts = text.split('{');
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (token, rest) = part.split_once('}').ok_or("a token that does not end")?;
        let word = dialect.column_type(token).or(dialect.online(token));
        match (token.split_once(' '), word) {
            (Some(("given", column)), _) => expanded.push_str(&dialect.given(column)),
            (Some(("of", table)), _) => expanded.push_str(&dialect.of_table(table)),
            (_, Some(word)) => expanded.push_str(word),
            (_, None) => return Err(format!("unknown token {{{token}}}")),
        }
        expanded.push_str(rest);
    }
    if indexes {
        expanded.push_str(dialect.online_options());
    }
    Ok(expanded.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_become_types_and_comments_go() {
        let sql =
            "-- why\nCREATE TABLE t (\n id {id}, -- {nonsense}\n n {name} NOT NULL\n) {table};\n";
        let check = |dialect| expand(sql, dialect).unwrap();
        assert!(check(Dialect::Sqlite).ends_with("n TEXT NOT NULL\n) STRICT"));
        assert!(check(Dialect::Postgres).ends_with(')'));
        assert!(check(Dialect::Mysql).contains("VARBINARY(255) NOT NULL"));
        assert!(!check(Dialect::Mysql).contains("nonsense"));
    }

    #[test]
    fn small_keyed_tables_and_partial_indexes_are_what_each_database_has() {
        let keyed = |dialect| expand("CREATE TABLE t (a {int}) {keyed}", dialect).unwrap();
        assert!(keyed(Dialect::Sqlite).ends_with("STRICT, WITHOUT ROWID"));
        assert!(keyed(Dialect::Postgres).ends_with(')'));
        assert!(keyed(Dialect::Mysql).contains("InnoDB"));
        let given = |dialect| expand("CREATE INDEX i ON t (a, b) {given a}", dialect).unwrap();
        assert!(given(Dialect::Sqlite).ends_with("(a, b) WHERE a IS NOT NULL"));
        assert!(given(Dialect::Mysql).ends_with("(a, b)"));
        let dropped = |dialect| expand("DROP INDEX i {of t}", dialect).unwrap();
        assert_eq!(dropped(Dialect::Postgres), "DROP INDEX i");
        assert_eq!(dropped(Dialect::Mysql), "DROP INDEX i ON t");
    }

    #[test]
    fn an_index_is_built_beside_writers_as_each_database_can() {
        let sql = "CREATE INDEX {online} t_by_a ON t (a)";
        let step = Step {
            file: "0001_index_t",
            sql,
        };
        assert_eq!(step.index(), Some("t_by_a"));
        let texts = [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql]
            .map(|dialect| expand(sql, dialect).unwrap());
        assert_eq!(texts[0], "CREATE INDEX IF NOT EXISTS t_by_a ON t (a)");
        assert_eq!(
            texts[1],
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_by_a ON t (a)"
        );
        assert_eq!(
            texts[2],
            "CREATE INDEX  t_by_a ON t (a) ALGORITHM=INPLACE LOCK=NONE"
        );
        assert!(expand("ALTER TABLE t {online} ADD a {int}", Dialect::Sqlite).is_err());
    }

    #[test]
    fn a_step_may_say_which_text_it_replaces() {
        let step = Step {
            file: "0001_fill_t",
            sql: "-- replaces -42\nUPDATE t SET a = 1 WHERE a IS NULL",
        };
        assert!(step.is_booked_as(-42) && step.is_booked_as(step.checksum()));
        assert!(!step.is_booked_as(42));
    }

    #[test]
    fn malformed_steps_are_refused() {
        assert!(expand("CREATE TABLE t (a {wat})", Dialect::Sqlite).is_err());
        assert!(expand("CREATE TABLE t (a {int", Dialect::Sqlite).is_err());
        assert!(expand("DROP TABLE a; DROP TABLE b", Dialect::Sqlite).is_err());
    }

    #[test]
    fn a_step_knows_its_number() {
        let step = Step {
            file: "0012_create_thing",
            sql: "",
        };
        assert_eq!((step.number(), step.name()), (12, "create_thing"));
    }
}
