//! Real payloads of public projects, which are not part of this repository.

use std::path::{Path, PathBuf};

/// A folder of the corpus: `PIPEWRIGHT_CORPUS`, or `../shared/data` beside the project. `None` where there is none;
/// in CI that fails the test.
pub fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PIPEWRIGHT_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no corpus at {}", folder.display());
    println!("skipped: no corpus at {}", folder.display());
    None
}

/// The JSON files below a folder, in the order of their paths.
pub fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
