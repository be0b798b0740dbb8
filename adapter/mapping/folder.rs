//! Folders of mappings that may only create in some namespaces.

use std::path::{Path, PathBuf};

use super::Catalog;
use crate::expression::pattern::Glob;

/// A file or folder, and the namespaces of its mappings.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    namespaces: Vec<Glob>,
}

// === impl Folder ===

impl Folder {
    /// What lies below `path` may create in these namespaces; `*` stands for any characters.
    pub fn new(path: PathBuf, namespaces: &[String]) -> Self {
        Self { path, namespaces: namespaces.iter().map(Glob::new).collect() }
    }

    fn allows(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|glob| glob.matches(namespace))
    }

    /// The namespaces, for people.
    pub(crate) fn shown(&self) -> String {
        let names: Vec<&str> = self.namespaces.iter().map(Glob::as_str).collect();
        format!("`{}` may create in {}", self.path.display(), names.join(", "))
    }
}

impl Catalog {
    /// The folders that limit a file, the narrowest first.
    fn limits<'a>(&'a self, file: &'a str) -> Vec<&'a Folder> {
        let mut limits: Vec<&Folder> =
            self.folders.iter().filter(|folder| Path::new(file).starts_with(&folder.path)).collect();
        limits.sort_by_key(|folder| std::cmp::Reverse(folder.path.components().count()));
        limits
    }

    /// The first folder that keeps the mappings of `file` from creating in `namespace`.
    pub(crate) fn forbids<'a>(&'a self, file: &str, namespace: &str) -> Option<&'a Folder> {
        self.folders
            .iter()
            .find(|folder| Path::new(file).starts_with(&folder.path) && !folder.allows(namespace))
    }

    /// The namespace of a run of `file` that names none: the first that its folder names without a `*`, or that of the
    /// settings where no folder limits it.
    ///
    /// # Errors
    /// The folder that names none.
    pub(crate) fn namespace_of<'a>(&'a self, file: &'a str) -> Result<String, &'a Folder> {
        let Some(folder) = self.limits(file).first().copied() else { return Ok(self.namespace.clone()) };
        let literal = folder.namespaces.iter().map(Glob::as_str).find(|name| !name.contains('*'));
        literal.map(str::to_owned).ok_or(folder)
    }
}
