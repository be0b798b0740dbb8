//! The files of private vocabularies' schemas.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::vocabulary::schema::{SchemaError, Schemas};

/// The most bytes of one file.
const MAX_FILE: u64 = 1024 * 1024;
/// The most files.
const MAX_FILES: usize = 1000;

/// Why `schemas` of the settings cannot be used: every problem of every file, one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schemas cannot be used:\n{0}")]
pub struct SchemaFilesError(String);

/// Reads the schemas at these paths: files, and of folders every `*.json` that is not in a folder below.
///
/// # Errors
/// A file cannot be read, or is no schema of a custom type that is complete in itself.
pub fn read_schemas(paths: &[PathBuf]) -> Result<Schemas, SchemaFilesError> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        match find(path) {
            Ok(found) => files.extend(found),
            Err(error) => problems.push(format!("`{}` cannot be read: {error}", path.display())),
        }
    }
    files.sort();
    files.dedup();
    if files.len() > MAX_FILES {
        return Err(SchemaFilesError(format!("there are {} files, more than {MAX_FILES}", files.len())));
    }
    let mut texts = Vec::new();
    for file in files {
        match read(&file) {
            Ok(text) => texts.push((file.display().to_string(), text)),
            Err(error) => problems.push(format!("`{}` cannot be read: {error}", file.display())),
        }
    }
    let read = Schemas::with(texts.iter().map(|(name, text)| (name.clone(), text.as_str())));
    match read {
        Ok(schemas) if problems.is_empty() => Ok(schemas),
        read => {
            let refused = read.err().unwrap_or_default();
            problems.extend(
                refused.iter().map(|(name, error): &(String, SchemaError)| format!("`{name}`: {error}")),
            );
            Err(SchemaFilesError(problems.join("\n")))
        }
    }
}

fn find(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        // In a mounted ConfigMap each file is found once, through its link and not through `..data`.
        let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes"));
    }
    Ok(text)
}
