//! Migrations: one statement in each file, because MariaDB's DDL is not transactional, under names
//! that say what they do.

use std::collections::BTreeMap;

use super::{Finding, TextFile};

const RULE: &str = "migrations";

/// The folder and the name of a migration; `None` for any other file.
fn split(path: &str) -> Option<(&str, &str)> {
    let (folder, name) = path.rsplit_once('/')?;
    let sql = name.strip_suffix(".sql")?;
    folder.ends_with("/migrations").then_some((folder, sql))
}

/// The number of a name like `0001_create_tag`: four digits, a verb, and at least one word more.
fn number(name: &str) -> Option<u32> {
    let (number, rest) = name.split_once('_')?;
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let named = rest.split('_').all(word) && rest.contains('_');
    let verb = rest
        .split('_')
        .next()
        .is_some_and(|verb| verb.bytes().all(|b| b.is_ascii_lowercase()));
    let digits = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
    if digits && named && verb {
        number.parse().ok()
    } else {
        None
    }
}

/// Checks name and content of one migration. SQL files elsewhere are not migrations and not
/// welcome.
pub fn one_statement(file: &TextFile) -> Vec<Finding> {
    let finding = |text: &str| vec![Finding::new(RULE, &file.path, 0, text)];
    // Rows of a feature for tests, in its own folder.
    if file.path.ends_with("/samples.sql") {
        return Vec::new();
    }
    let Some((_, name)) = split(&file.path) else {
        return finding("SQL files lie in a folder `migrations`");
    };
    if number(name).is_none() {
        return finding("a migration is called NNNN_verb_noun.sql");
    }
    match statements(&file.text) {
        1 => Vec::new(),
        0 => finding("a migration without a statement"),
        _ => finding("a migration has one statement: MariaDB cannot roll back half of two"),
    }
}

/// Checks that no number in a folder stands twice: the order would be a matter of luck.
pub fn numbers(files: &[TextFile]) -> Vec<Finding> {
    let mut folders: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (folder, name) in files.iter().filter_map(|file| split(&file.path)) {
        folders.entry(folder).or_default().extend(number(name));
    }
    let mut findings = Vec::new();
    for (folder, mut found) in folders {
        found.sort_unstable();
        for pair in found.windows(2).filter(|pair| pair.first() == pair.last()) {
            let text = format!("two migrations have the same number: {pair:?}");
            findings.push(Finding::new(RULE, folder, 0, text));
        }
    }
    findings
}

/// How many statements a text holds: what is between semicolons, comments and quoted texts aside.
fn statements(text: &str) -> usize {
    let mut count = 0;
    let mut open = false;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(end), _) => quote = Some(end).filter(|end| *end != c),
            (None, '\'' | '"' | '`') => {
                (quote, open) = (Some(c), true);
            }
            (None, '-') if chars.peek() == Some(&'-') => {
                while chars.next_if(|c| *c != '\n').is_some() {}
            }
            (None, ';') => {
                count += usize::from(open);
                open = false;
            }
            (None, c) => open |= !c.is_whitespace(),
        }
    }
    count + usize::from(open)
}
