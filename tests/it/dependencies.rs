//! What we depend on: licences that a company can ship, no OpenSSL, no second TLS library, and a bounded number.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Licences that need nothing but a notice. An expression with `OR` needs one of them, with `AND` all.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// Crates that must not come in by the back door.
const BANNED: [&str; 8] =
    ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys", "serde_yaml", "zstd-sys", "brotli"];
/// The most crates that the program is linked from.
const MAX_CRATES: usize = 320;

fn cargo(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn is_allowed(expression: &str) -> bool {
    // `A/B` is the old way to write `A OR B`.
    expression.replace('/', " OR ").split(" AND ").all(|part| {
        part.trim_matches(['(', ')', ' '])
            .split(" OR ")
            .any(|licence| LICENCES.contains(&licence.trim_matches(['(', ')', ' '])))
    })
}

#[test]
fn every_licence_is_a_permissive_one() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--locked"])).unwrap();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_default();
        // It names its licence by a file, which holds the Apache License 2.0.
        let by_file = name == "cloudevents-sdk" && package["license_file"].is_string();
        if !is_allowed(licence) && !by_file {
            wrong.push(format!("{name}: `{licence}`"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_program_is_linked_from_few_crates_and_none_that_are_banned() {
    let tree = cargo(&["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--locked"]);
    let crates: BTreeSet<&str> =
        tree.lines().map(|line| line.trim_end_matches(" (*)")).filter(|line| !line.is_empty()).collect();
    assert!(crates.len() > 100, "the tree was not read: {tree}");
    assert!(crates.len() <= MAX_CRATES, "{} crates", crates.len());
    let names: BTreeSet<&str> = crates.iter().filter_map(|line| line.split(' ').next()).collect();
    for banned in BANNED {
        assert!(!names.contains(banned), "`{banned}` came in");
    }
}

#[test]
fn the_program_and_its_tests_share_one_build_of_every_library() {
    let features = |edges: &str| {
        let format = ["--prefix", "none", "--format", "{p}|{f}", "--locked"];
        let tree = cargo(&[&["tree", "--edges", edges], &format[..]].concat());
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in tree.lines() {
            if let Some((package, features)) = line.trim_end_matches(" (*)").split_once('|') {
                found.entry(package.to_owned()).or_default().insert(features.to_owned());
            }
        }
        found
    };
    let program = features("normal,build");
    let tests = features("normal,build,dev");
    assert!(program.len() > 100, "the tree was not read");
    let built_twice: Vec<String> = program
        .iter()
        .filter(|(package, features)| !features.is_subset(&tests[*package]))
        .map(|(package, features)| format!("{package}: {features:?}, and for the tests {:?}", tests[package]))
        .collect();
    assert!(
        built_twice.is_empty(),
        "name these features in Cargo.toml, so that `cargo test` builds nothing again: {built_twice:#?}"
    );
}
