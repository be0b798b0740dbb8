//! A run as we hold it.

use std::borrow::Cow;

use kube::Resource;
use kube::core::{DynamicResourceScope, ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::vocabulary::tekton::{RunKind, lean};

/// A run: its metadata, and the object as JSON or nothing where only its existence matters.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) metadata: ObjectMeta,
    pub(super) object: Value,
    /// Whether the object is as it came; else a look has to ask for it.
    pub(super) is_whole: bool,
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
        Self { metadata, object: Value::Null, is_whole: false }
    }

    /// What of this run is kept in memory while nothing is due and nothing will be: its name.
    pub(super) fn slim(&self) -> Self {
        let mut slim = Self::named(
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default(),
        );
        slim.metadata.uid.clone_from(&self.metadata.uid);
        slim
    }

    /// What of this run is kept while something may still be told of it, in case that it is gone when it is looked for.
    pub(super) fn lean(self) -> Self {
        Self { object: lean(self.object), is_whole: false, ..self }
    }

    /// The same, of which a look asks the API server.
    pub(super) fn to_be_asked(&self) -> Self {
        Self { is_whole: false, ..self.clone() }
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
        Ok(Self { metadata, object, is_whole: true })
    }
}
