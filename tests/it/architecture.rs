//! The folders are the stages of the flow, and imports go forward or down.

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules each module may import. A new arrow is a change of this table, on purpose, with a reason in
/// `docs/architecture.md`.
const TABLE: &[(&str, &[&str])] = &[
    ("diagnostic", &[]),
    ("telemetry", &[]),
    ("event", &[]),
    ("tekton", &[]),
    ("embedded", &["tekton"]),
    ("vocabulary", &["event"]),
    ("cluster", &["event"]),
    ("source", &["vocabulary", "event"]),
    ("sink", &["event", "telemetry"]),
    ("action", &["sink", "cluster", "event", "telemetry"]),
    ("expression", &["event", "diagnostic", "tekton"]),
    ("mapping", &["expression", "action", "vocabulary", "tekton", "event", "diagnostic"]),
    ("pipeline", &["mapping", "action", "event", "telemetry"]),
    ("server", &["source", "pipeline", "telemetry", "event"]),
];
/// The modules that are crates of their own; others name them `pipewright_tekton` and so on.
const CRATES: &[&str] = &["tekton", "embedded"];
/// The composition root may import anything.
const ROOT: &[&str] = &["app", "cli", "settings", "main", "lib"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn adapter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapter")
}

fn files() -> Vec<(String, PathBuf)> {
    let root = adapter();
    let mut found = Vec::new();
    rust_files(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
            let module = Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap().to_owned();
            (module, path)
        })
        .collect()
}

/// `foo/tests.rs` and what lies in `foo/tests/`.
fn is_tests(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// The modules that a file names: `crate::x` and `pipewright_x`, in `use` lines (also grouped ones) and elsewhere.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found: BTreeSet<String> = CRATES
        .iter()
        .filter(|name| code.contains(&format!("pipewright_{name}")))
        .map(ToString::to_string)
        .collect();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && (c.is_alphanumeric() || c == '_') {
                    word.push(c);
                } else if !word.is_empty() {
                    if c == ':' || c == ',' {
                        found.insert(std::mem::take(&mut word));
                    }
                    word.clear();
                }
            }
        } else {
            found.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
}

#[test]
fn imports_go_forward_or_down() {
    let mut wrong = Vec::new();
    for (module, path) in files() {
        if ROOT.contains(&module.as_str()) {
            continue;
        }
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{}: module `{module}` is not in the table", path.display()));
            continue;
        };
        for import in imports(&fs::read_to_string(&path).unwrap()) {
            let known = TABLE.iter().any(|(name, _)| *name == import) || ROOT.contains(&import.as_str());
            if known && import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{}: `{module}` may not import `{import}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_arrow_of_the_table_is_used() {
    let mut unused: BTreeSet<(&str, &str)> =
        TABLE.iter().flat_map(|(module, allowed)| allowed.iter().map(|to| (*module, *to))).collect();
    for (module, path) in files() {
        if is_tests(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let found = imports(text.split("#[cfg(test)]").next().unwrap());
        unused.retain(|(from, to)| *from != module || !found.contains(*to));
    }
    assert!(unused.is_empty(), "nothing uses {unused:?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let root = adapter();
    let mut sources = BTreeMap::new();
    for (_, path) in files() {
        if is_tests(&path) {
            continue;
        }
        let name = path.strip_prefix(&root).unwrap().with_extension("");
        let mut module: graph::Module = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if module.len() > 1 && module.last().is_some_and(|last| last == "lib") {
            module.pop();
        }
        sources.insert(module, fs::read_to_string(&path).unwrap());
    }
    let edges = graph::edges(&sources, CRATES);
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 500, "the imports were not read");
    let circles = graph::circles(&edges);
    let shown: Vec<Vec<String>> =
        circles.iter().map(|circle| circle.iter().map(|module| module.join("/")).collect()).collect();
    assert!(circles.is_empty(), "{shown:#?}");
}

#[test]
fn the_reader_of_imports_sees_every_spelling() {
    let text = "use crate::event::Event;\nuse crate::{action::{Plan, Action}, sink, mapping::Store};\n\
                fn f() { crate::server::go() }\n// crate::cluster in a comment\nuse pipewright_tekton as tekton;\n";
    let found = imports(text);
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["action", "event", "mapping", "server", "sink", "tekton"]);
}

#[test]
fn every_file_says_in_its_first_line_what_it_is() {
    for (_, path) in files() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!") || is_tests(&path), "{} does not start with `//!`", path.display());
    }
}

#[test]
fn there_is_no_mod_rs_and_no_file_grows_without_end() {
    for (_, path) in files() {
        assert_ne!(path.file_name().unwrap(), "mod.rs", "{}", path.display());
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 700, "{} has {lines} lines: split it", path.display());
    }
}

#[test]
fn the_pure_core_does_no_io_and_reads_no_clock() {
    // `mapping` reads its files in these two.
    let edges = ["mapping/load.rs", "mapping/watch.rs"];
    for (module, path) in files() {
        if !["vocabulary", "expression", "mapping"].contains(&module.as_str())
            || edges.iter().any(|edge| path.ends_with(edge))
            || is_tests(&path)
        {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for banned in [
            "std::fs",
            "tokio::",
            "reqwest::Client",
            "kube::",
            "Timestamp::now",
            "SystemTime",
            "Instant::now",
            "rand::",
        ] {
            let used = code.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(banned));
            assert!(!used, "{} uses `{banned}`", path.display());
        }
    }
}
