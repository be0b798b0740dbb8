//! `mappings`: paths, and the namespaces that the mappings below a path may create in.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::mapping::Folder;

/// A file or a folder of mappings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingPath {
    /// Where it is.
    pub path: PathBuf,
    /// Names of namespaces, `*` standing for any characters; `None` is all.
    pub namespaces: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limited {
    path: PathBuf,
    namespaces: Vec<String>,
}

// === impl MappingPath ===

impl MappingPath {
    /// What mappings are told of it; `None` where it has no limit.
    pub fn folder(&self) -> Option<Folder> {
        let namespaces = self.namespaces.as_ref()?;
        Some(Folder::new(self.path.clone(), namespaces))
    }
}

impl From<PathBuf> for MappingPath {
    fn from(path: PathBuf) -> Self {
        Self { path, namespaces: None }
    }
}

impl AsRef<Path> for MappingPath {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl PartialEq<PathBuf> for MappingPath {
    fn eq(&self, path: &PathBuf) -> bool {
        self.namespaces.is_none() && self.path == *path
    }
}

impl<'de> Deserialize<'de> for MappingPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = MappingPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, or `{path: teams/a, namespaces: [team-a]}`")
    }

    fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<MappingPath, E> {
        Ok(PathBuf::from(path).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MappingPath, A::Error> {
        let Limited { path, namespaces } = Limited::deserialize(MapAccessDeserializer::new(map))?;
        let is_name = |name: &String| {
            let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'*';
            (1..=63).contains(&name.len()) && name.bytes().all(is_part)
        };
        if namespaces.is_empty() {
            let text = "`namespaces` of a path of `mappings` must name at least one; without the field all are allowed";
            return Err(serde::de::Error::custom(text));
        }
        if let Some(wrong) = namespaces.iter().find(|name| !is_name(name)) {
            let text =
                format!("`namespaces` of a path of `mappings`: `{wrong}` is not the name of a namespace");
            return Err(serde::de::Error::custom(text));
        }
        Ok(MappingPath { path, namespaces: Some(namespaces) })
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    fn parse(mappings: &str) -> Result<Vec<super::MappingPath>, String> {
        let text =
            format!("apiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec: {{mappings: {mappings}}}\n");
        Settings::parse(&text).map(|settings| settings.process.mappings)
    }

    #[test]
    fn a_path_is_alone_or_with_namespaces() {
        let paths = parse("[common, {path: teams/a, namespaces: [team-a, 'team-a-*']}]").unwrap();
        assert_eq!((paths.len(), paths[0].namespaces.is_none()), (2, true));
        assert_eq!(paths[1].namespaces.as_ref().unwrap(), &["team-a", "team-a-*"]);
        for (wrong, text) in [
            ("[{path: a, namespaces: []}]", "at least one"),
            ("[{path: a, namespaces: [Team]}]", "`Team` is not the name of a namespace"),
            ("[{path: a, namespace: [b]}]", "unknown field `namespace`"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(text), "{wrong}: {error}");
        }
    }
}
