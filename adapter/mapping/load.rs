//! Mapping files from the disk: single files, directories, a mounted `ConfigMap`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{File, foreign};
use crate::diagnostic::{Diagnostic, Report};

/// The most bytes of one file.
const MAX_FILE: u64 = 1024 * 1024;
/// The most bytes of all files.
const MAX_TOTAL: u64 = 64 * 1024 * 1024;
/// The most files.
const MAX_FILES: usize = 20_000;
/// How deep directories may nest.
const MAX_DEPTH: usize = 16;

/// Finds the mapping files under `paths`, ordered by name and each once.
///
/// A path to a file is taken as it is. Of a directory, `*.yaml` and `*.yml` at any depth are taken; names that begin
/// with a dot are skipped, so that in a mounted ConfigMap each file is found once, through its link and not through
/// `..data`.
pub fn find(paths: &[PathBuf], report: &mut Report) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => walk(path, 0, is_yaml, &mut found, report),
            Ok(_) => found.push(path.clone()),
            Err(error) => report.push(unreadable(path, &error)),
        }
    }
    found.sort();
    found.dedup();
    if found.len() > MAX_FILES {
        let message = format!("there are {} mapping files, more than {MAX_FILES}", found.len());
        report.push(Diagnostic::error("too-many", message));
        found.truncate(MAX_FILES);
    }
    found
}

/// Reads the mapping files under `paths`; what cannot be read is reported, and what is left out in a folder.
pub fn read(paths: &[PathBuf], report: &mut Report) -> Vec<File> {
    let mut files = Vec::new();
    let mut total = 0;
    for path in find(paths, report) {
        match read_one(&path) {
            Ok(text) if !paths.contains(&path) && foreign::is(&path, &text) => {
                let message = "this file is another tool's, and is left out";
                report.push(Diagnostic::warning("skipped", message).in_file(shown(&path)));
            }
            Ok(text) => {
                total += text.len() as u64;
                if total > MAX_TOTAL {
                    let message = format!("the mapping files are larger than {MAX_TOTAL} bytes together");
                    report.push(Diagnostic::error("too-large", message).in_file(shown(&path)));
                    break;
                }
                files.push(File { path: shown(&path), text: Arc::from(text) });
            }
            Err(error) => report.push(unreadable(&path, &error)),
        }
    }
    report_json(paths, report);
    files
}

/// Names the mappings that a folder has in JSON: beside payloads and schemas there, `*.json` is not looked for.
fn report_json(paths: &[PathBuf], report: &mut Report) {
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| path.is_dir()) {
        // What is wrong with the folder has been told.
        walk(path, 0, is_json, &mut found, &mut Report::default());
    }
    found.retain(|path| read_one(path).is_ok_and(|text| foreign::is_mapping_in_json(&text)));
    for path in found {
        let message = "a mapping in JSON is left out: of a folder only *.yaml and *.yml are read";
        let hint = "call it *.yaml, since JSON is YAML, or name the file itself";
        report.push(Diagnostic::warning("skipped", message).in_file(shown(&path)).hint(hint));
    }
}

/// Reads a file that an example names: relative to the mapping file, at most 25 MiB.
pub fn read_beside(mapping: &str, name: &str) -> Result<Vec<u8>, String> {
    const MAX_BODY: u64 = 25 * 1024 * 1024;
    let path = Path::new(mapping).parent().unwrap_or_else(|| Path::new("")).join(name);
    let read = || {
        let mut bytes = Vec::new();
        fs::File::open(&path)?.take(MAX_BODY + 1).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = read().map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    if bytes.len() as u64 > MAX_BODY {
        return Err(format!("`{}` is larger than {MAX_BODY} bytes", path.display()));
    }
    Ok(bytes)
}

fn walk(
    directory: &Path,
    depth: usize,
    wanted: fn(&Path) -> bool,
    found: &mut Vec<PathBuf>,
    report: &mut Report,
) {
    if depth > MAX_DEPTH {
        let message = format!("directories are nested more than {MAX_DEPTH} deep");
        report.push(Diagnostic::error("too-deep", message).in_file(shown(directory)));
        return;
    }
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            report.push(unreadable(directory, &error));
            return;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') || found.len() > MAX_FILES {
            continue;
        }
        match fs::metadata(&path) {
            // A link to a directory is not followed: it may lead back up.
            Ok(metadata) if metadata.is_dir() => {
                if entry.file_type().is_ok_and(|ty| ty.is_dir()) {
                    walk(&path, depth + 1, wanted, found, report);
                }
            }
            _ if !wanted(&path) => {}
            Ok(_) => found.push(path),
            Err(error) => report.push(unreadable(&path, &error)),
        }
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn read_one(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not UTF-8 text"))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error("unreadable", format!("`{}` cannot be read: {error}", path.display()))
        .in_file(shown(path))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
