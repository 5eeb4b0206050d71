//! No file of a crate imports another in a circle: each can be read after those that it names.
//!
//! A file is a module. It imports what its `use` trees and the paths in its code name, by `crate`,
//! `self` and `super`. A name that the module of a folder only passes on (`pub use put::Put`)
//! counts for the file that it comes from, so that a folder may show what its files have and they
//! may use one another through it. A folder's own file is no part of a circle for what it passes
//! on, and tests are free. Names behind a glob and those that macros make are not seen.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::rings::crate_of;
use super::source::RustFile;

const RULE: &str = "circles";

/// How many times a name is followed through modules that pass it on.
const MOST_STEPS: usize = 8;

/// The path of a module below its crate's root; empty for the root.
type Module = Vec<String>;

/// Checks every crate of the product.
pub fn check(files: &[RustFile]) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Vec<&RustFile>> = BTreeMap::new();
    for file in files {
        let own = crate_of(&file.path).filter(|_| file.path.starts_with("crates/"));
        if let Some(own) = own.filter(|_| file.path.contains("/src/") && !file.is_test_file()) {
            crates.entry(own).or_default().push(file);
        }
    }
    crates.values().flat_map(|files| within(files)).collect()
}

/// The circles among the files of one crate.
fn within(files: &[&RustFile]) -> Vec<Finding> {
    let sources: BTreeMap<Module, Source> = files
        .iter()
        .map(|file| (module_of(&file.path), Source::new(file)))
        .collect();
    let imports: BTreeMap<&Module, BTreeSet<Module>> = sources
        .iter()
        .map(|(module, source)| (module, source.imports(&sources)))
        .collect();
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for (module, source) in &sources {
        let reached = reachable(&imports, module);
        if !reached.contains(module) {
            continue;
        }
        let returns = |other: &&Module| reachable(&imports, other).contains(module);
        let circle: BTreeSet<_> = reached.iter().filter(returns).cloned().collect();
        if told.insert(circle.clone()) {
            let names: Vec<_> = circle.iter().map(|module| module.join("::")).collect();
            let text = format!("these files import each other: {}", names.join(", "));
            findings.push(Finding::new(RULE, &source.path, 0, text));
        }
    }
    findings
}

/// All modules that `from` imports, and those that they import.
fn reachable(imports: &BTreeMap<&Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from.clone()];
    while let Some(module) = next.pop() {
        for other in imports.get(&module).into_iter().flatten() {
            if reached.insert(other.clone()) {
                next.push(other.clone());
            }
        }
    }
    reached
}

fn module_of(path: &str) -> Module {
    let (_, inside) = path.split_once("/src/").unwrap_or(("", path));
    let mut parts: Module = inside
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if parts
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

/// What a file names of its own crate.
struct Source {
    path: String,
    module: Module,
    /// Full paths, and whether they are only passed on.
    named: Vec<(Module, bool)>,
}

impl Source {
    fn new(file: &RustFile) -> Self {
        let mut code = String::new();
        for (line, text) in file.code_lines() {
            if !file.is_test_line(line) {
                code.push_str(text);
            }
            code.push('\n');
        }
        let module = module_of(&file.path);
        let mut named = Vec::new();
        let mut rest = String::new();
        for statement in code.split_inclusive(';') {
            let Some((before, tree, passed_on)) = use_tree(statement) else {
                rest.push_str(statement);
                continue;
            };
            rest.push_str(before);
            for path in expand(tree) {
                named.extend(absolute(&module, &path, passed_on).map(|path| (path, passed_on)));
            }
        }
        for path in paths_in(&rest) {
            named.extend(absolute(&module, &path, false).map(|path| (path, false)));
        }
        Self {
            path: file.path.clone(),
            module,
            named,
        }
    }

    /// The modules that this one uses, not counting what it only passes on.
    fn imports(&self, sources: &BTreeMap<Module, Self>) -> BTreeSet<Module> {
        let used = self.named.iter().filter(|(_, passed_on)| !passed_on);
        used.filter_map(|(path, _)| owner(sources, path, MOST_STEPS))
            // The root passes on and puts together.
            .filter(|module| *module != self.module && !module.is_empty())
            .collect()
    }
}

/// The module that a path's name is defined in.
fn owner(sources: &BTreeMap<Module, Source>, path: &[String], steps: usize) -> Option<Module> {
    let length = (0..=path.len())
        .rev()
        .find(|length| sources.contains_key(path.get(..*length).unwrap_or_default()))?;
    let module = path.get(..length)?.to_vec();
    let (Some(name), Some(steps)) = (path.get(length), steps.checked_sub(1)) else {
        return Some(module);
    };
    let mut passed = sources.get(&module)?.named.iter();
    let from = passed.find(|(passed, on)| *on && passed.last() == Some(name) && passed != path);
    match from {
        Some((passed, _)) => owner(sources, passed, steps),
        None => Some(module),
    }
}

/// What stands before the `use` at the end of `statement`, its tree, and whether it passes its
/// names on.
fn use_tree(statement: &str) -> Option<(&str, &str, bool)> {
    let statement = statement.strip_suffix(';')?;
    let (at, passed_on) = statement.match_indices("use ").find_map(|(at, _)| {
        let before = statement.get(..at)?;
        let word = before.trim_end();
        let begins = word.is_empty() || word.ends_with([']', '}', '{']);
        let passed_on = word.ends_with("pub") || word.ends_with(')');
        let apart = before.is_empty() || before.ends_with(char::is_whitespace);
        (apart && (begins || passed_on)).then_some((at, passed_on))
    })?;
    Some((statement.get(..at)?, statement.get(at + 4..)?, passed_on))
}

/// The paths of a `use` tree. A name that is given another one keeps its own.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.trim().trim_end_matches("::self").to_owned()];
    };
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let mut depth = 0_usize;
    let mut parts = vec![String::new()];
    for letter in inside.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if letter == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| expand(&format!("{before}{}", part.trim())))
        .collect()
}

/// The paths below `crate`, `self` and `super` that code names in full.
fn paths_in(code: &str) -> Vec<String> {
    let part_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let within = |word: &&str| {
        ["crate::", "self::", "super::"]
            .iter()
            .any(|root| word.starts_with(root))
    };
    code.split(|c| !part_of_path(c))
        .filter(within)
        .map(|word| word.trim_end_matches(':').to_owned())
        .collect()
}

/// A path from the crate's root; `None` for another crate's.
fn absolute(module: &[String], path: &str, passed_on: bool) -> Option<Module> {
    let mut parts = path.split("::").map(str::trim).peekable();
    let mut base = match *parts.peek()? {
        "crate" => {
            parts.next();
            Vec::new()
        }
        "self" => {
            parts.next();
            module.to_vec()
        }
        "super" => module.to_vec(),
        // A folder passes on what its own modules have by their bare names.
        _ if passed_on => module.to_vec(),
        _ => return None,
    };
    while parts.next_if_eq(&"super").is_some() {
        base.pop()?;
    }
    base.extend(parts.map(str::to_owned));
    Some(base)
}
