//! Which file names which: the `crate::` and `super::` paths of the sources, resolved to files.

use std::collections::{BTreeMap, BTreeSet};

/// The path of a module below `adapter/`, such as `["sink", "http"]`.
pub type Module = Vec<String>;

/// The modules of all files, and for each the modules of other files that it names. What a file says of its own parts
/// (`mod part; use part::Item;`) is no import.
pub fn edges(sources: &BTreeMap<Module, String>, crates: &[&str]) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut edges: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, text) in sources {
        let found = edges.entry(module.clone()).or_default();
        for path in paths(&code(text)) {
            if let Some(target) = resolve(module, &path, sources, crates)
                && target != *module
            {
                found.insert(target);
            }
        }
    }
    edges
}

/// The groups of files that can reach each other, each with two members at least.
pub fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reach: BTreeMap<&Module, BTreeSet<&Module>> =
        edges.keys().map(|from| (from, reachable(from, edges))).collect();
    let mut found: Vec<BTreeSet<Module>> = Vec::new();
    for (from, there) in &reach {
        let mut group: BTreeSet<Module> =
            there.iter().filter(|to| reach[**to].contains(from)).map(|to| (*to).clone()).collect();
        group.insert((*from).clone());
        if group.len() > 1 && !found.contains(&group) {
            found.push(group);
        }
    }
    found
}

fn reachable<'a>(from: &Module, edges: &'a BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&Module> = edges[from].iter().collect();
    while let Some(next) = open.pop() {
        if seen.insert(next) {
            open.extend(edges.get(next).into_iter().flatten());
        }
    }
    seen
}

/// A file without its comments and without its unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path that begins with `crate` or `super`; a group gives one for each of its members.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for word in ["crate::", "super::"] {
        for (at, _) in code.match_indices(word) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                tree(&code[at..], &[], &mut found);
            }
        }
    }
    found
}

/// Reads one path or group from the beginning of `text`; gives how many bytes it was.
fn tree(text: &str, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('{') {
            at += 1;
            while !text[at..].trim_start_matches([' ', '\n', ',']).starts_with('}') {
                at += text[at..].len() - text[at..].trim_start_matches([' ', '\n', ',']).len();
                let read = tree(&text[at..], &path, found);
                if read == 0 {
                    return at;
                }
                at += read;
            }
            return at + text[at..].find('}').unwrap_or_default() + 1;
        }
        let word: String = text[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        at += word.len();
        if !word.is_empty() {
            path.push(word);
        }
        if !text[at..].starts_with("::") {
            break;
        }
        at += 2;
    }
    if let Some(rest) = text[at..].strip_prefix(" as ") {
        at += 4 + rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').count();
    }
    found.push(path);
    at.max(usize::from(text.starts_with('*')))
}

/// The file that a path leads to: the longest beginning of it that is a module with a file.
fn resolve(
    from: &Module,
    path: &[String],
    sources: &BTreeMap<Module, String>,
    crates: &[&str],
) -> Option<Module> {
    let mut rest = path;
    let mut here = from.clone();
    if rest.first()? == "crate" {
        here.truncate(usize::from(crates.contains(&here[0].as_str())));
        rest = &rest[1..];
    }
    while rest.first().is_some_and(|word| word == "super") {
        here.pop();
        rest = &rest[1..];
    }
    for word in rest {
        let next: Module = here.iter().chain([word]).cloned().collect();
        if !sources.contains_key(&next) {
            break;
        }
        here = next;
    }
    sources.contains_key(&here).then_some(here)
}

#[test]
fn a_circle_of_files_is_seen_through_groups_and_grandparents() {
    let module = |path: &str| path.split('/').map(str::to_owned).collect::<Module>();
    let sources = BTreeMap::from([
        (module("a"), "mod b;\nmod c;\nuse b::B;".to_owned()),
        (module("a/b"), "use super::{c::{self, C}, Top};".to_owned()),
        (module("a/c"), "mod d;".to_owned()),
        (module("a/c/d"), "fn f() -> super::super::b::B {}\n// use crate::e::E;".to_owned()),
        (module("e"), "use crate::a::c as other;\n#[cfg(test)]\nmod tests { use crate::a::b; }".to_owned()),
    ]);
    let edges = edges(&sources, &[]);
    assert_eq!(edges[&module("a/b")], BTreeSet::from([module("a"), module("a/c")]));
    assert_eq!(edges[&module("a/c/d")], BTreeSet::from([module("a/b")]));
    assert_eq!(edges[&module("e")], BTreeSet::from([module("a/c")]));
    assert!(circles(&edges).is_empty());

    let mut closed = edges;
    closed.get_mut(&module("a/c")).unwrap().insert(module("a/c/d"));
    let circle = BTreeSet::from([module("a/b"), module("a/c"), module("a/c/d")]);
    assert_eq!(circles(&closed), [circle]);
}
