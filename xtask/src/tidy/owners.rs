//! What only its owner may name: `sqlx` is meta's, `axum` belongs to the edges, SQL to stores, and
//! time, tasks and the environment to those who hand them out.

use super::rings::{crate_of, listed};
use super::source::{RustFile, has_word};
use super::{Finding, TextFile};

/// The rings that know no HTTP.
const INNER: &[&str] = &["types", "meta", "blob", "cache"];

/// The one file that makes answers.
const ANSWER: &str = "crates/kernel/src/http/answer.rs";
const BY_HAND: &str = "answers are built by `kernel::http::Answer`";

/// Checks the dependencies of a `Cargo.toml`.
pub fn dependencies(file: &TextFile) -> Vec<Finding> {
    let Some(own) = crate_of(&file.path) else {
        return Vec::new();
    };
    let objection = |name: &str| match name {
        "sqlx" if own != "meta" => Some("only meta depends on sqlx"),
        "axum" if INNER.contains(&own) => Some("the inner rings know no HTTP"),
        "tokio" if own == "types" => Some("types knows no runtime"),
        "clap" if !["server", "bench"].contains(&own) => {
            Some("only the server and the benchmark have a command line")
        }
        _ => None,
    };
    let check = |dependency: super::rings::Dependency<'_>| {
        let text = objection(dependency.name)?;
        Some(Finding::new("owners", &file.path, dependency.line, text))
    };
    listed(&file.text).into_iter().filter_map(check).collect()
}

/// Whether the path is a part of a crate's `api`: the file, or something in the folder.
fn is_api(path: &str) -> bool {
    path.contains("/src/api/") || path.ends_with("/src/api.rs")
}

fn is_store(path: &str) -> bool {
    path.ends_with("/store.rs")
}

/// Checks that libraries are named where they belong only.
pub fn named_by_its_owner(file: &RustFile) -> Vec<Finding> {
    let Some(own) = crate_of(&file.path) else {
        return Vec::new();
    };
    if own == "xtask" {
        return Vec::new();
    }
    let path = file.path.as_str();
    let edge = ["net", "kernel", "server", "testkit"].contains(&own) || is_api(path);
    let stored = own == "meta" || is_store(path);
    let answers = path == ANSWER || ["net", "testkit", "bench"].contains(&own);
    let rules = [
        ("Response::new", answers, BY_HAND),
        ("Response::builder", answers, BY_HAND),
        ("sqlx", own == "meta", "sqlx is named in meta only"),
        (
            "axum",
            edge,
            "axum is named in net, kernel, server, testkit and in `api` only",
        ),
        (
            "sea_query",
            stored,
            "statements are built in files named store.rs only",
        ),
        (
            "statements!",
            stored,
            "statements are declared in files named store.rs only",
        ),
    ];
    let mut findings = Vec::new();
    for (word, allowed, text) in rules {
        if !allowed {
            let lines = file.lines_with(word).into_iter();
            let counts = |line: &usize| text != BY_HAND || !file.is_test_line(*line);
            let finding = |line| Finding::new("owners", path, line, text);
            findings.extend(lines.filter(counts).map(finding));
        }
    }
    findings
}

/// Checks that no string outside a store is SQL.
pub fn sql_in_stores(file: &RustFile) -> Vec<Finding> {
    let own = crate_of(&file.path);
    if matches!(own, None | Some("meta" | "xtask")) || is_store(&file.path) {
        return Vec::new();
    }
    let text = "SQL is written in files named store.rs only";
    let found = file.strings.iter().filter(|literal| is_sql(&literal.text));
    found
        .map(|literal| Finding::new("sql", &file.path, literal.line, text))
        .collect()
}

/// Whether a text begins as a statement: a verb in capitals, or a verb in any case with the word
/// that has to follow it. "Delete the tag" is not one.
fn is_sql(text: &str) -> bool {
    // Escapes are as they are written; one that stands before the verb is a line end or a blank.
    let text = text.replace("\\n", " ").replace('\\', " ");
    let mut words = text.split_whitespace();
    let (Some(first), Some(second)) = (words.next(), words.next()) else {
        return false;
    };
    let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE"];
    let (verb, next) = (first.to_ascii_uppercase(), second.to_ascii_uppercase());
    let follows = match verb.as_str() {
        "SELECT" => text.to_ascii_uppercase().contains(" FROM "),
        "INSERT" => ["INTO", "IGNORE", "OR"].contains(&next.as_str()),
        "UPDATE" => text.to_ascii_uppercase().contains(" SET "),
        "DELETE" => next == "FROM",
        "CREATE" => ["TABLE", "INDEX", "UNIQUE", "VIEW"].contains(&next.as_str()),
        _ => return false,
    };
    verbs.contains(&first) || follows
}

/// What comes from the process's surroundings, and what hands it out.
const AMBIENT: &[(&str, &str)] = &[
    ("tokio::spawn", "spawn through `Tasks`"),
    ("task::spawn", "spawn through `Tasks`"),
    ("thread::spawn", "spawn through `Tasks`"),
    ("Instant::now", "durations come from `Clock::elapsed`"),
    (
        "SystemTime::now",
        "civil time comes from `Clock::wall` or the database",
    ),
    (
        "Utc::now",
        "civil time comes from `Clock::wall` or the database",
    ),
    ("env::var", "the environment is read by the server only"),
    ("env::var_os", "the environment is read by the server only"),
    ("env::vars", "the environment is read by the server only"),
];

/// Checks that time, tasks and environment are taken from what hands them out. Those modules are
/// the kernel's modules for tasks, clock and randomness; server, testkit, tests and build scripts
/// are free.
pub fn ambient(file: &RustFile) -> Vec<Finding> {
    let path = file.path.as_str();
    let free = match crate_of(path) {
        None | Some("server" | "net" | "testkit" | "xtask" | "bench") => true,
        Some("kernel") => {
            let module = path.trim_start_matches("crates/kernel/src/");
            let top = module.split(['/', '.']).next().unwrap_or_default();
            ["task", "tasks", "clock", "random"].contains(&top)
        }
        Some(_) => path.ends_with("/build.rs"),
    };
    if free {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, code) in file
        .code_lines()
        .filter(|(line, _)| !file.is_test_line(*line))
    {
        let found = AMBIENT.iter().filter(|(word, _)| has_word(code, word));
        findings.extend(found.map(|(word, door)| {
            Finding::new(
                "ambient",
                path,
                line,
                format!("{word} is not for this place: {door}"),
            )
        }));
    }
    findings
}
