//! A run as we hold it.

use std::borrow::Cow;

use kube::Resource;
use kube::core::{DynamicResourceScope, ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::vocabulary::tekton::RunKind;

/// A run: its metadata, and the whole object as JSON or nothing where only its existence matters.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) metadata: ObjectMeta,
    pub(super) object: Value,
}

// === impl Run ===

impl Run {
    /// A run of which nothing is known but that it is there.
    pub(super) fn named(namespace: &str, name: &str) -> Self {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        };
        Self { metadata, object: Value::Null }
    }

    /// What of this run is kept in memory while it lives: its name.
    pub(super) fn slim(&self) -> Self {
        Self::named(
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default(),
        )
    }

    /// Whether the object came with it.
    pub(super) fn is_whole(&self) -> bool {
        !self.object.is_null()
    }

    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }
}

impl Resource for Run {
    type DynamicType = RunKind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &RunKind) -> Cow<'_, str> {
        kind.as_str().into()
    }

    fn group(kind: &RunKind) -> Cow<'_, str> {
        kind.api_version().split_once('/').map_or("", |(group, _)| group).into()
    }

    fn version(kind: &RunKind) -> Cow<'_, str> {
        kind.api_version().split_once('/').map_or("", |(_, version)| version).into()
    }

    fn plural(kind: &RunKind) -> Cow<'_, str> {
        kind.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            // Often half of an object, and nobody here reads it.
            metadata.remove("managedFields");
        }
        let metadata = ObjectMeta::deserialize(&object["metadata"]).map_err(serde::de::Error::custom)?;
        Ok(Self { metadata, object })
    }
}
