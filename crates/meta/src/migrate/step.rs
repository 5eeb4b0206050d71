//! Migration steps: their numbers, their text in each dialect, and what a history knows them by.

use crate::dialect::SqlDialect;
use crate::error::{Error, Result};

/// The steps of one owner (a crate), in order.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// Whose they are; the prefix of the tables mostly.
    pub owner: &'static str,
    /// In the order of their numbers.
    pub steps: &'static [MigrationStep],
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct MigrationStep {
    /// `NNNN_verb_noun`.
    pub file: &'static str,
    /// One statement with type tokens.
    pub sql: &'static str,
}

/// Which binary this is, for the check that release N and N+1 may run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryRelease {
    /// The release number of this binary, counted up by one each release.
    pub number: i64,
    /// The oldest release that can still run on the schema that this binary makes.
    pub admits: i64,
}

impl Default for BinaryRelease {
    fn default() -> Self {
        Self {
            number: 1,
            admits: 1,
        }
    }
}

impl MigrationStep {
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
    pub fn render(&self, dialect: SqlDialect) -> Result<String> {
        expand(self.sql, dialect)
            .map_err(|what| Error::Configuration(format!("migration {}: {what}", self.file)))
    }

    /// The name of the index that it builds, for a step that runs beside writers.
    pub(crate) fn index(&self) -> Option<&'static str> {
        let (_, rest) = self.sql.split_once(ONLINE)?;
        rest.split_whitespace().next()
    }

    /// Whether a history with this checksum speaks of this step: as it is, or as it was before a
    /// line `-- replaces <checksum>` was put into it.
    pub(super) fn is_booked_as(&self, checksum: i64) -> bool {
        let replaced = self
            .sql
            .lines()
            .filter_map(|line| line.strip_prefix("-- replaces "))
            .filter_map(|number| number.trim().parse::<i64>().ok());
        replaced.chain([self.checksum()]).any(|it| it == checksum)
    }

    /// The numbers of later steps whose effect is part of this one since its text was replaced:
    /// those in a line `-- folds <number> …`.
    pub(super) fn folds(&self) -> impl Iterator<Item = i64> {
        let lines = self.sql.lines();
        let folds = lines.filter_map(|line| line.strip_prefix("-- folds "));
        folds
            .flat_map(str::split_whitespace)
            .filter_map(|number| number.parse().ok())
    }

    pub(super) fn checksum(&self) -> i64 {
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

/// One step among those of its owner.
#[derive(Clone, Copy)]
pub(super) struct OrderedStep {
    pub(super) owner: &'static str,
    pub(super) step: MigrationStep,
}

impl OrderedStep {
    pub(super) fn key(&self) -> (String, i64) {
        (self.owner.to_owned(), self.step.number())
    }

    /// The keys of the steps that are part of this one.
    pub(super) fn folded(&self) -> impl Iterator<Item = (String, i64)> {
        let key = |number| (self.owner.to_owned(), number);
        self.step.folds().map(key)
    }

    pub(super) fn label(&self) -> String {
        format!("{}/{}", self.owner, self.step.file)
    }
}

/// Takes comments away and puts types in the place of tokens.
pub(super) fn expand(sql: &str, dialect: SqlDialect) -> Result<String, String> {
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
        assert!(check(SqlDialect::Sqlite).ends_with("n TEXT NOT NULL\n) STRICT"));
        assert!(check(SqlDialect::Postgres).ends_with(')'));
        assert!(check(SqlDialect::Mysql).contains("VARBINARY(255) NOT NULL"));
        assert!(!check(SqlDialect::Mysql).contains("nonsense"));
    }

    #[test]
    fn small_keyed_tables_and_partial_indexes_are_what_each_database_has() {
        let keyed = |dialect| expand("CREATE TABLE t (a {int}) {keyed}", dialect).unwrap();
        assert!(keyed(SqlDialect::Sqlite).ends_with("STRICT, WITHOUT ROWID"));
        assert!(keyed(SqlDialect::Postgres).ends_with(')'));
        assert!(keyed(SqlDialect::Mysql).contains("InnoDB"));
        let given = |dialect| expand("CREATE INDEX i ON t (a, b) {given a}", dialect).unwrap();
        assert!(given(SqlDialect::Sqlite).ends_with("(a, b) WHERE a IS NOT NULL"));
        assert!(given(SqlDialect::Mysql).ends_with("(a, b)"));
        let dropped = |dialect| expand("DROP INDEX i {of t}", dialect).unwrap();
        assert_eq!(dropped(SqlDialect::Postgres), "DROP INDEX i");
        assert_eq!(dropped(SqlDialect::Mysql), "DROP INDEX i ON t");
    }

    #[test]
    fn an_index_is_built_beside_writers_as_each_database_can() {
        let sql = "CREATE INDEX {online} t_by_a ON t (a)";
        let step = MigrationStep {
            file: "0001_index_t",
            sql,
        };
        assert_eq!(step.index(), Some("t_by_a"));
        let texts = [SqlDialect::Sqlite, SqlDialect::Postgres, SqlDialect::Mysql]
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
        assert!(expand("ALTER TABLE t {online} ADD a {int}", SqlDialect::Sqlite).is_err());
    }

    #[test]
    fn a_step_may_say_which_text_it_replaces() {
        let step = MigrationStep {
            file: "0001_fill_t",
            sql: "-- replaces -42\nUPDATE t SET a = 1 WHERE a IS NULL",
        };
        assert!(step.is_booked_as(-42) && step.is_booked_as(step.checksum()));
        assert!(!step.is_booked_as(42));
    }

    #[test]
    fn malformed_steps_are_refused() {
        assert!(expand("CREATE TABLE t (a {wat})", SqlDialect::Sqlite).is_err());
        assert!(expand("CREATE TABLE t (a {int", SqlDialect::Sqlite).is_err());
        assert!(expand("DROP TABLE a; DROP TABLE b", SqlDialect::Sqlite).is_err());
    }

    #[test]
    fn a_step_knows_its_number() {
        let step = MigrationStep {
            file: "0012_create_thing",
            sql: "",
        };
        assert_eq!((step.number(), step.name()), (12, "create_thing"));
    }
}
