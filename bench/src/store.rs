//! Long lists, written straight into Seawall's SQLite file while no server has it open: a million
//! pushes would take hours. The only SQL of the benchmark.
//!
//! Every row is a copy of one that a push made, under another name, so whatever the server writes
//! into the other columns is right in the copies as well.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use crate::process::feed;

/// The program that writes.
const SQLITE: &str = "sqlite3";

/// Numbers from 1 to one less than `COUNT`; a list's first entry was pushed.
const NUMBERS: &str = "WITH RECURSIVE numbers (n) AS \
    (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < COUNT) ";

const HISTORY: &str = "INSERT INTO tag_history \
    (repository_id, name, digest, from_at, until_at, cause, actor_id, actor) \
    SELECT h.repository_id, NAME, h.digest, h.from_at, h.until_at, h.cause, h.actor_id, h.actor \
    FROM tag_history h, numbers WHERE h.name = 'FIRST' ORDER BY n;";

const TAGS: &str = "INSERT INTO tag \
    (repository_id, name, digest, history_id, expires_at, updated_at) \
    SELECT t.repository_id, h.name, t.digest, h.id, t.expires_at, t.updated_at FROM tag t \
    JOIN tag_history h ON h.repository_id = t.repository_id AND h.name > t.name \
    WHERE t.name = 'FIRST' ORDER BY h.name;";

const REPOSITORIES: &str = "INSERT INTO repository \
    (namespace_id, name, kind, visibility, state, generation, created_at) \
    SELECT r.namespace_id, NAME, r.kind, r.visibility, r.state, r.generation, r.created_at \
    FROM repository r, numbers WHERE r.name = 'FIRST' ORDER BY n;";

/// Copies the tag and the repository with these first names until there are `number` of each; the
/// last digits of names are counted up in twos.
pub(crate) fn multiply(database: &Path, number: usize, first: [&str; 2]) -> Result<()> {
    let database = database.display().to_string();
    let script = script(number, first);
    feed(Path::new(SQLITE), &["-batch", "-bail", &database], &script)
}

fn script(number: usize, [tag, repository]: [&str; 2]) -> String {
    let mut script = String::from("PRAGMA synchronous = OFF;\nBEGIN;\n");
    let numbers = NUMBERS.replace("COUNT", &number.to_string());
    for (numbers, statement, first) in [
        (numbers.as_str(), HISTORY, tag),
        ("", TAGS, tag),
        (numbers.as_str(), REPOSITORIES, repository),
    ] {
        let stem = first.trim_end_matches('0');
        let digits = first.len() - stem.len();
        let name = format!("printf('{stem}%0{digits}d', 2 * n)");
        let statement = statement.replace("NAME", &name).replace("FIRST", first);
        let _ = writeln!(script, "{numbers}{statement}");
    }
    script.push_str("COMMIT;\nPRAGMA wal_checkpoint(TRUNCATE);\n");
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_digits_and_nothing_is_left_to_fill_in() {
        let script = script(500, ["t000", "many/r0000"]);
        assert!(script.contains("printf('t%03d', 2 * n)"), "{script}");
        assert!(script.contains("printf('many/r%04d', 2 * n)"), "{script}");
        assert!(script.contains("n + 1 < 500"), "{script}");
        for word in ["COUNT", "NAME", "FIRST"] {
            assert!(!script.contains(word), "{word} in {script}");
        }
    }
}
