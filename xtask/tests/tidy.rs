//! The tidy test: the tree is tidy, and every rule fails on a sample that is not.

use xtask::tidy::source::{RustFile, has_word};
use xtask::tidy::{
    self, Finding, TextFile, circles, citations, comments, docs, invariants, migrations, names,
    owners, rings, sizes, vocabulary, words,
};

fn rust(path: &str, text: &str) -> RustFile {
    RustFile::new(&TextFile::new(path, text))
}

/// The lines on which a rule found something.
fn lines(findings: &[Finding]) -> Vec<usize> {
    findings.iter().map(|finding| finding.line).collect()
}

#[test]
fn the_tree_is_tidy() {
    let files = tidy::tree::read(&tidy::tree::root()).unwrap();
    assert!(
        files.iter().any(|file| file.path == "xtask/tests/tidy.rs"),
        "the tree was not found"
    );
    let report = tidy::check(&files);
    assert!(report.findings.is_empty(), "\n{report}");
}

#[test]
fn comments_and_strings_are_not_code() {
    let text = concat!(
        "// sqlx\n",
        "/* sqlx /* nested */ sqlx */ fn a() {}\n",
        "let s = \"sqlx \\\" sqlx\"; let r = r#\"sqlx \" \"#; ",
        "let c = '\"'; let l: &'a str = b\"x\";\n",
        "sqlx::query(); let n = '\\''; let u = '\\u{7f}'; // '\n",
    );
    let file = rust("crates/gc/src/x.rs", text);
    assert_eq!(file.lines_with("sqlx"), [4]);
    assert_eq!(file.code.lines().count(), 4);
    let literals: Vec<_> = file
        .strings
        .iter()
        .map(|literal| literal.text.as_str())
        .collect();
    assert_eq!(literals, ["sqlx \\\" sqlx", "sqlx \" ", "x"]);
    assert!(has_word("a::sqlx;", "sqlx") && !has_word("my_sqlx sqlxy", "sqlx"));
}

#[test]
fn functions_are_measured_to_their_last_brace() {
    let text = "fn one(a: [u8; 2]) -> u8 {\n  if a { b }\n}\n\
                trait T { fn no(&self); }\nasync fn two() {}\n";
    let found: Vec<_> = rust("crates/gc/src/x.rs", text)
        .functions()
        .into_iter()
        .map(|function| (function.name, function.line, function.lines))
        .collect();
    assert_eq!(found, [("one".to_owned(), 1, 3), ("two".to_owned(), 5, 1)]);
}

#[test]
fn modules_of_tests_are_known_by_their_declaration() {
    let mut files = [
        rust(
            "crates/gc/src/lib.rs",
            "#[cfg(feature = \"test-fixture\")]\nmod fixture;\n#[cfg(not(test))]\nmod sweep;\n",
        ),
        rust(
            "crates/gc/src/sweep.rs",
            "#[cfg(test)]\npub(crate) mod samples;\n",
        ),
        rust("crates/gc/src/fixture.rs", ""),
        rust("crates/gc/src/fixture/inner.rs", ""),
        rust("crates/gc/src/sweep/samples/mod.rs", ""),
        rust("crates/gc/src/fixtures.rs", ""),
    ];
    RustFile::mark_tests(&mut files);
    let marked = files.map(|file| file.is_test_file());
    assert_eq!(marked, [false, false, true, true, true, false]);
}

#[test]
fn dependencies_go_inward_only() {
    let check = |path: &str, text: &str| lines(&rings::dependencies(&TextFile::new(path, text)));
    let outward =
        "[dependencies]\nseawall-types.workspace = true\nseawall-kernel = { path = \"\" }\n";
    assert_eq!(check("crates/meta/Cargo.toml", outward), [3]);
    assert_eq!(check("crates/types/Cargo.toml", outward), [3]);
    assert_eq!(check("crates/accounts/Cargo.toml", outward), [0; 0]);
    let sideways = "[dependencies]\nseawall-usage.workspace = true\n";
    assert_eq!(
        check("crates/gc/Cargo.toml", sideways),
        [2],
        "no feature imports another"
    );
    assert_eq!(check("crates/registry/Cargo.toml", sideways), [2]);
    assert_eq!(check("crates/server/Cargo.toml", sideways), [0; 0]);
    assert_eq!(check("testkit/Cargo.toml", sideways), [0; 0]);
    assert_eq!(check("xtask/Cargo.toml", sideways), [2]);
    assert_eq!(
        check("crates/blob/Cargo.toml", "[dependencies.seawall-meta]\n"),
        [1]
    );
    let testkit = "[dev-dependencies]\nseawall-testkit.workspace = true\n";
    assert_eq!(check("crates/gc/Cargo.toml", testkit), [0; 0]);
    assert_eq!(
        check("crates/gc/Cargo.toml", &testkit.replace("dev-", "")),
        [2]
    );
    assert_eq!(check("crates/types/Cargo.toml", testkit), [2]);
}

#[test]
fn imports_go_inward_only() {
    let check = |path: &str, text: &str| lines(&rings::imports(&rust(path, text)));
    let text = "use seawall_types::Tag;\n// seawall_registry\nuse seawall_registry::Content;\n";
    assert_eq!(check("crates/accounts/src/lib.rs", text), [3]);
    assert_eq!(check("crates/usage/src/lib.rs", text), [0; 0]);
    let tests = "fn a() {}\n#[cfg(test)]\nmod tests {\n    use seawall_testkit::TestApp;\n}\n";
    assert_eq!(check("crates/usage/src/lib.rs", tests), [0; 0]);
    assert_eq!(
        check(
            "crates/usage/src/lib.rs",
            &tests.replace("#[cfg(test)]", "")
        ),
        [4]
    );
}

#[test]
fn libraries_are_named_by_their_owners() {
    let check = |path: &str, text: &str| lines(&owners::named_by_its_owner(&rust(path, text)));
    assert_eq!(
        check("crates/registry/src/service.rs", "use sqlx::Row;"),
        [1]
    );
    assert_eq!(check("testkit/src/lib.rs", "use sqlx::Row;"), [1]);
    assert_eq!(check("crates/meta/src/pool.rs", "use sqlx::Row;"), [0; 0]);
    for (path, allowed) in [
        ("crates/registry/src/service.rs", false),
        ("crates/registry/src/apidocs.rs", false),
        ("crates/registry/src/api/blobs.rs", true),
        ("crates/registry/src/api.rs", true),
        ("crates/kernel/src/http/table.rs", true),
        ("crates/server/src/main.rs", true),
        ("testkit/src/app.rs", true),
    ] {
        assert_eq!(
            check(path, "use axum::Router;").is_empty(),
            allowed,
            "{path}"
        );
    }
    let by_hand = "let answer = Response::new(body);";
    assert_eq!(check("crates/registry/src/api/blobs.rs", by_hand), [1]);
    assert_eq!(check("crates/kernel/src/http/answer.rs", by_hand), [0; 0]);
    assert_eq!(
        check("crates/kernel/src/tests/requests.rs", by_hand),
        [0; 0]
    );
    for text in ["use sea_query::Expr;", "statements! {}"] {
        assert_eq!(check("crates/registry/src/service.rs", text), [1]);
        assert_eq!(check("crates/registry/src/tags/store.rs", text), [0; 0]);
    }
    let check = |path: &str, text: &str| lines(&owners::dependencies(&TextFile::new(path, text)));
    assert_eq!(
        check(
            "crates/kernel/Cargo.toml",
            "[dependencies]\nsqlx = \"0.9\"\n"
        ),
        [2]
    );
    assert_eq!(
        check(
            "crates/blob/Cargo.toml",
            "[dependencies]\naxum.workspace = true\n"
        ),
        [2]
    );
    assert_eq!(
        check(
            "crates/types/Cargo.toml",
            "[dev-dependencies]\ntokio = \"1\"\n"
        ),
        [2]
    );
}

#[test]
fn sql_is_in_stores() {
    let check = |path: &str, text: &str| lines(&owners::sql_in_stores(&rust(path, text)));
    let service = "crates/registry/src/service.rs";
    for sql in [
        "SELECT 1",
        "INSERT INTO a VALUES (1)",
        "UPDATE a SET b = 1",
        "delete from a",
        "create table a (b int)",
        "\\n  select a from b",
        "CREATE UNIQUE INDEX i ON a (b)",
    ] {
        let text = format!("\nrun(\"{sql}\");");
        assert_eq!(check(service, &text), [2], "{sql}");
        assert_eq!(check("testkit/src/db.rs", &text), [2], "{sql}");
        assert_eq!(check("crates/registry/src/store.rs", &text), [0; 0]);
        assert_eq!(check("crates/meta/src/migrate.rs", &text), [0; 0]);
    }
    for text in [
        "Delete the tag first",
        "Select a repository",
        "update",
        "creates",
        "Create a robot",
    ] {
        assert_eq!(
            check(service, &format!("say(\"{text}\");")),
            [0; 0],
            "{text}"
        );
    }
}

#[test]
fn time_tasks_and_environment_come_through_doors() {
    let check = |path: &str, text: &str| lines(&owners::ambient(&rust(path, text)));
    for text in [
        "tokio::spawn(x)",
        "task::spawn(x)",
        "Instant::now()",
        "std::env::var(\"A\")",
        "SystemTime::now()",
    ] {
        assert_eq!(check("crates/blob/src/lib.rs", text), [1], "{text}");
        assert_eq!(check("crates/kernel/src/op.rs", text), [1], "{text}");
        for free in [
            "crates/kernel/src/clock.rs",
            "crates/kernel/src/tasks/drain.rs",
            "crates/server/src/main.rs",
            "testkit/src/lib.rs",
            "crates/blob/tests/suite.rs",
            "crates/blob/examples/throughput.rs",
        ] {
            assert_eq!(check(free, text), [0; 0], "{free}");
        }
    }
    assert_eq!(
        check("crates/blob/src/lib.rs", "task::spawn_blocking(x)"),
        [0; 0]
    );
    let tests = "#[cfg(test)]\nmod tests {\n  fn a() { tokio::spawn(x); }\n}\n\
                 fn b() { tokio::spawn(x); }\n";
    assert_eq!(check("crates/blob/src/lib.rs", tests), [5]);
}

#[test]
fn files_and_functions_stay_short() {
    let long = "//\n".repeat(sizes::MAX_FILE_LINES);
    assert!(sizes::files(&rust("crates/gc/src/x.rs", &long)).is_empty());
    assert_eq!(
        sizes::files(&rust("crates/gc/src/x.rs", &format!("{long}//\n"))).len(),
        1
    );
    let function = |lines: usize| format!("\nfn f() {{\n{}}}\n", "a();\n".repeat(lines - 2));
    let check = |lines| sizes::functions(&rust("crates/gc/src/x.rs", &function(lines)));
    assert!(check(sizes::MAX_FUNCTION_LINES).is_empty());
    assert_eq!(lines(&check(sizes::MAX_FUNCTION_LINES + 1)), [2]);

    let file = |lines: usize| rust("crates/gc/src/x.rs", &"//\n".repeat(lines));
    let measured: Vec<_> = (1..=10).map(file).collect();
    let sizes = sizes::Sizes::of(&measured);
    assert_eq!(
        (sizes.files, sizes.median, sizes.p90, sizes.longest),
        (10, 5, 9, 10)
    );
}

#[test]
fn names_say_something() {
    for path in [
        "crates/gc/src/utils.rs",
        "crates/gc/src/helpers/x.rs",
        "crates/misc/src/lib.rs",
        "crates/gc/src/impl.rs",
    ] {
        assert_eq!(names::names(&rust(path, "//! x\n")).len(), 1, "{path}");
    }
    assert_eq!(
        lines(&names::names(&rust(
            "crates/gc/src/lib.rs",
            "\npub(crate) mod common;"
        ))),
        [2]
    );
    assert!(names::names(&rust("crates/gc/src/commonly.rs", "mod handled;")).is_empty());
}

#[test]
fn files_open_with_docs() {
    for bad in [
        "",
        "use x;\n",
        "//!\n",
        "/// An item, not a module.\n",
        "\n//! Not on the first line.\n",
    ] {
        assert_eq!(
            docs::opens_with_docs(&rust("crates/gc/src/x.rs", bad)).len(),
            1,
            "{bad}"
        );
    }
    assert!(docs::opens_with_docs(&rust("crates/gc/src/x.rs", "//! What it is for.\n")).is_empty());
}

#[test]
fn unfinished_business_is_found() {
    let check = |text: &str| lines(&words::forbidden(&rust("crates/gc/src/x.rs", text)));
    let fixme = concat!("x\n// FIX", "ME: y\n");
    assert_eq!(check(fixme), [2]);
    for bad in [
        "todo!()",
        "unimplemented!(\"x\")",
        "#[ignore]",
        "#[ignore = \"x\"]",
        "#[allow(dead_code)]",
        "#![allow(x)]",
    ] {
        assert_eq!(check(bad), [1], "{bad}");
    }
    assert_eq!(
        check("// todo! and #[allow( in words\n#[expect(x, reason = \"y\")]"),
        [0; 0]
    );
}

#[test]
fn paths_of_a_machine_are_found() {
    for name in ["work", "farm", "root"] {
        let file = TextFile::new("docs/x.md", format!("a\nsee /{name}/x\n"));
        assert_eq!(lines(&words::machine_paths(&file)), [2]);
    }
    assert!(words::machine_paths(&TextFile::new("x.md", "/workers/ /roots/ work/x")).is_empty());
}

#[test]
fn crates_take_the_lints_of_the_workspace() {
    let check = |text: &str| words::lints(&TextFile::new("crates/gc/Cargo.toml", text)).len();
    assert_eq!(check("[package]\n"), 1);
    assert_eq!(check("[lints]\n[dependencies]\n"), 1);
    assert_eq!(check("[lints]\nworkspace = true\n"), 0);
}

#[test]
fn migrations_are_single_statements_with_speaking_names() {
    let check =
        |path: &str, text: &str| migrations::one_statement(&TextFile::new(path, text)).len();
    let good = "crates/registry/migrations/0001_create_tag.sql";
    for text in [
        "CREATE TABLE a (b {bigint})",
        "-- why; and why not\nCREATE TABLE a (b {text} DEFAULT ';');\n",
    ] {
        assert_eq!(check(good, text), 0, "{text}");
    }
    for text in ["", "-- nothing\n", "A; B", "A;\nB;\n"] {
        assert_eq!(check(good, text), 1, "{text}");
    }
    for name in [
        "1_create_tag",
        "0001_tag",
        "0001-create-tag",
        "0001_Create_tag",
        "0001_create_",
        "0001_2_tag",
    ] {
        assert_eq!(
            check(&format!("crates/registry/migrations/{name}.sql"), "A"),
            1,
            "{name}"
        );
    }
    assert_eq!(check("crates/registry/src/tag.sql", "A"), 1);

    let folder = |names: &[&str]| {
        let file = |name: &&str| TextFile::new(format!("crates/gc/migrations/{name}.sql"), "A");
        migrations::numbers(&names.iter().map(file).collect::<Vec<_>>()).len()
    };
    assert_eq!(folder(&["0002_add_b", "0001_create_a"]), 0);
    assert_eq!(folder(&["0001_create_a", "0003_add_b"]), 0);
    assert_eq!(folder(&["0001_create_a", "0001_add_b"]), 1);
}

#[test]
fn invariants_name_tests_that_exist() {
    let source = rust("crates/gc/tests/a.rs", "fn blobs_stay() {}\n");
    let check = |text: &str| {
        let script = TextFile::new("e2e/conformance.sh", "");
        let files = [TextFile::new(invariants::FILE, text), script];
        lines(&invariants::check(&files, std::slice::from_ref(&source)))
    };
    let good = concat!(
        "# A\n1. Not an invariant.\n## Invariants\nWords.\n\n",
        "1. Blobs stay,\n   whatever happens. (test: gc::blobs_stay)\n",
        "2. It conforms. (tests: `e2e/conformance.sh`, `blobs_stay`)\n## B\n3. Not one.\n",
    );
    assert_eq!(check(good), [0; 0]);
    assert_eq!(check(&good.replace("blobs_stay", "blobs_go")), [6, 8]);
    assert_eq!(check(&good.replace("(test: gc::blobs_stay)", "")), [6]);
    assert_eq!(check("# Nothing\n"), [0]);
    assert_eq!(lines(&invariants::check(&[], &[])), [0]);
}

#[test]
fn the_security_page_names_tests_that_exist() {
    let source = rust("crates/gc/tests/a.rs", "fn blobs_stay() {}\n");
    let check = |text: &str| {
        let files = [TextFile::new(invariants::SECURITY, text)];
        lines(&invariants::check_security(
            &files,
            std::slice::from_ref(&source),
        ))
    };
    let good = "# S\n`cargo test -- a::` | `gc::blobs_stay`, `n`\n";
    assert_eq!(check(good), [0; 0]);
    assert_eq!(check(&good.replace("blobs_stay", "blobs_go")), [2]);
    assert_eq!(lines(&invariants::check_security(&[], &[])), [0]);
}

#[test]
fn files_import_each_other_in_no_circle() {
    let found = |files: &[(&str, &str)]| {
        let files: Vec<_> = files.iter().map(|(path, text)| rust(path, text)).collect();
        circles::check(&files).len()
    };
    let (one, two) = ("crates/gc/src/one.rs", "crates/gc/src/two.rs");
    assert_eq!(
        found(&[(one, "use super::two::Two;\n"), (two, "pub struct Two;\n")]),
        0
    );
    assert_eq!(
        found(&[
            (one, "use super::two::{self, Two};\n"),
            (two, "use crate::one;\n")
        ]),
        1
    );
    let in_code = "fn a() { crate::two::b(); }\n";
    assert_eq!(found(&[(one, in_code), (two, "use super::one::a;\n")]), 1);
    // What only tests import, and what another crate has, is no circle.
    let in_tests = "#[cfg(test)]\nmod tests {\n    use crate::two::Two;\n}\n";
    assert_eq!(
        found(&[(one, in_tests), (two, "use super::one::One;\n")]),
        0
    );
    assert_eq!(
        found(&[
            (one, "use seawall_meta::two;\n"),
            (two, "use crate::one;\n")
        ]),
        0
    );
    // A folder passes on what its files have: the circle is between the files, or there is none.
    let folder = (
        "crates/gc/src/tag/mod.rs",
        "mod set;\npub(crate) use set::{Moved, set};\n",
    );
    let set = "crates/gc/src/tag/set.rs";
    assert_eq!(
        found(&[
            folder,
            (set, "use crate::one::One;\n"),
            (one, "pub struct One;\n")
        ]),
        0
    );
    assert_eq!(
        found(&[
            folder,
            (set, "use crate::one::One;\n"),
            (one, "use crate::tag::Moved;\n")
        ]),
        1
    );
    assert_eq!(
        found(&[
            folder,
            (set, "use super::history;\n"),
            (one, "use crate::tag;\n")
        ]),
        0
    );
}

#[test]
fn what_is_cited_stands_in_the_tree() {
    let protocol = "# P\n\n## 4 Pulling\n\n**4.2** A digest.\n\n### 13.1 Challenge\n";
    let files = [
        TextFile::new(citations::PROTOCOL, protocol),
        TextFile::new("docs/decisions/0008-group-commit.md", ""),
    ];
    let cites = |text: &str| {
        let file = rust("crates/gc/src/x.rs", text);
        lines(&citations::check(&files, &[file]))
    };
    let fine = "// protocol §4, §4.2 and §13.1; RFC 9110 §13.1.2, §8.8; decision 8\n";
    assert!(cites(fine).is_empty());
    assert_eq!(cites("// (protocol §4.2, §4.3)\n// decision 9\n"), [1, 2]);
    assert_eq!(cites("// RFC 9110 §8.8 allows it (§7)\n"), [1]);
}

#[test]
fn a_public_name_has_one_crate_and_a_retired_one_does_not_come_back() {
    let files = [
        rust(
            "crates/gc/src/a.rs",
            "pub struct Sweep {}\npub enum Error {}\n",
        ),
        rust(
            "crates/mirror/src/a.rs",
            "pub(crate) struct Sweep;\npub enum Error {}\n",
        ),
    ];
    assert!(
        vocabulary::check(&files)
            .iter()
            .all(|finding| finding.text.contains("given up"))
    );
    let files = [
        rust("crates/gc/src/a.rs", "pub struct Collector<T>(T);\n"),
        rust("crates/mirror/src/a.rs", "\npub trait Collector: Send {}\n"),
    ];
    let findings = vocabulary::check(&files);
    assert_eq!(lines(&findings), [2]);
    let file = rust(
        "crates/gc/src/a.rs",
        "// struct Asked\nstruct Asked;\nenum Question { Asked }\n",
    );
    assert_eq!(lines(&vocabulary::check(&[file])), [2]);
}

#[test]
fn comments_wrap() {
    let long = format!("// {}\n", "word ".repeat(30));
    let text = format!(
        "{long}/// {}\n//! | {} |\n",
        "x".repeat(120),
        "a b ".repeat(30)
    );
    assert_eq!(
        lines(&comments::width(&rust("crates/gc/src/x.rs", &text))),
        [1]
    );
}
