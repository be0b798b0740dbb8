//! Sets of field paths as `metadata.managedFields` holds them (`FieldsV1`), and what differs between two objects as such
//! sets (structured-merge-diff, `fieldpath.Set` and `typed.Compare`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A set of paths: what is below each path element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Whether the path that ends here belongs to the set.
    member: bool,
    children: BTreeMap<String, Set>,
}

/// What differs between two objects.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// Paths that are new.
    pub added: Set,
    /// Paths with another value.
    pub modified: Set,
    /// Paths that are gone.
    pub removed: Set,
}

/// Where in an object a value stands; decides how it is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The object.
    Root,
    /// `metadata`.
    Metadata,
    /// `metadata.ownerReferences`: entries have their uid for a key, and are replaced as a whole.
    OwnerReferences,
    /// `metadata.finalizers`: a set.
    Finalizers,
    /// `secrets` of a service account: entries have their name for a key, and are replaced as a whole.
    Named,
    /// Anything else: maps are merged, lists are replaced as a whole.
    Elsewhere,
    /// A value that is replaced as a whole.
    Atom,
}

/// Fields that the system sets; nobody owns them (apiserver, `stripmeta.go`).
const UNOWNED: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

// === impl Place ===

impl Place {
    /// The place of a field; none when nobody owns it.
    pub fn child(self, key: &str, parent: &Value) -> Option<Self> {
        match (self, key) {
            (Self::Root, "apiVersion" | "kind") => None,
            (Self::Root, "metadata") => Some(Self::Metadata),
            (Self::Root, "secrets") if parent["kind"] == "ServiceAccount" => Some(Self::Named),
            (Self::Root, "involvedObject") => Some(Self::Atom),
            (Self::Metadata, key) if UNOWNED.contains(&key) => None,
            (Self::Metadata, "ownerReferences") => Some(Self::OwnerReferences),
            (Self::Metadata, "finalizers") => Some(Self::Finalizers),
            _ => Some(Self::Elsewhere),
        }
    }

    /// Whether lists are merged by the keys of their elements.
    pub fn is_keyed(self) -> bool {
        matches!(self, Self::OwnerReferences | Self::Finalizers | Self::Named)
    }

    /// The path element of a list element, for lists that are merged.
    pub fn key(self, item: &Value) -> Option<String> {
        match self {
            Self::OwnerReferences => Some(format!("k:{}", json!({ "uid": item.get("uid")? }))),
            Self::Named => Some(format!("k:{}", json!({ "name": item.get("name")? }))),
            Self::Finalizers => Some(format!("v:{item}")),
            _ => None,
        }
    }
}

// === impl Set ===

impl Set {
    /// Reads `fieldsV1`.
    pub fn parse(value: &Value) -> Self {
        let mut set = Self::read(value);
        set.member = false;
        set
    }

    fn read(value: &Value) -> Self {
        let Some(map) = value.as_object() else { return Self::default() };
        let member = map.is_empty() || map.contains_key(".");
        let children = map.iter().filter(|(key, _)| *key != ".");
        Self { member, children: children.map(|(key, value)| (key.clone(), Self::read(value))).collect() }
    }

    /// Writes `fieldsV1`.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), json!({}));
        }
        map.extend(self.children.iter().map(|(key, child)| (key.clone(), child.to_value())));
        Value::Object(map)
    }

    /// Whether there is no path in it.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// The paths of either.
    pub fn union(&mut self, other: &Self) {
        self.member |= other.member;
        for (key, child) in &other.children {
            self.children.entry(key.clone()).or_default().union(child);
        }
    }

    /// Takes the paths of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (key, child) in &other.children {
            if let Some(own) = self.children.get_mut(key) {
                own.subtract(child);
                if own.is_empty() {
                    self.children.remove(key);
                }
            }
        }
    }

    /// The paths of both.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self { member: self.member && other.member, children: BTreeMap::new() };
        for (key, child) in &self.children {
            let inner = other.children.get(key).map(|other| child.intersection(other));
            if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
                both.children.insert(key.clone(), inner);
            }
        }
        both
    }

    /// The paths as messages print them.
    pub fn paths(&self) -> Vec<String> {
        fn step(path: &str, key: &str) -> String {
            match key.split_once(':') {
                Some(("f", name)) => format!("{path}.{name}"),
                Some(("k", keys)) => {
                    let text = keys.trim_matches(['{', '}']).replacen("\":", "=", 1);
                    format!("{path}[{}]", text.trim_start_matches('"'))
                }
                Some(("v", value)) => format!("{path}[={value}]"),
                _ => path.to_owned(),
            }
        }
        // What is a member itself comes before what is below.
        fn walk(set: &Set, path: &str, out: &mut Vec<String>) {
            let members = set.children.iter().filter(|(_, child)| child.member);
            out.extend(members.map(|(key, _)| step(path, key)));
            for (key, child) in &set.children {
                walk(child, &step(path, key), out);
            }
        }
        let mut out = Vec::new();
        walk(self, "", &mut out);
        out
    }

    /// The set that an applied configuration claims: its leaves.
    pub fn of(config: &Value) -> Self {
        let mut set = Self::default();
        set.fill(config, Place::Root);
        set.children.retain(|_, child| !child.is_empty());
        set
    }

    fn fill(&mut self, value: &Value, place: Place) {
        match value {
            Value::Object(map) if place != Place::Atom && (!map.is_empty() || place == Place::Metadata) => {
                for (key, child) in map {
                    let Some(inner) = place.child(key, value) else { continue };
                    let mut set = Self::default();
                    set.fill(child, inner);
                    if !set.is_empty() {
                        self.children.insert(format!("f:{key}"), set);
                    }
                }
            }
            Value::Array(items) if place.is_keyed() && !items.is_empty() => {
                for item in items {
                    let Some(key) = place.key(item) else { continue };
                    let mut set = Self::default();
                    set.fill(item, Place::Atom);
                    set.member = true;
                    self.children.insert(key, set);
                }
            }
            _ => self.member = true,
        }
    }

    /// Every path of a value: its leaves and what holds them.
    fn all(value: &Value, place: Place) -> Self {
        let mut set = Self { member: true, children: BTreeMap::new() };
        match value {
            Value::Object(map) if place != Place::Atom => {
                for (key, child) in map {
                    let Some(inner) = place.child(key, value) else { continue };
                    set.children.insert(format!("f:{key}"), Self::all(child, inner));
                }
                // Nobody owns `metadata` itself.
                set.member = place != Place::Metadata;
            }
            Value::Array(items) if place.is_keyed() => {
                for item in items {
                    let Some(key) = place.key(item) else { continue };
                    set.children.insert(key, Self::all(item, Place::Atom));
                }
            }
            _ => {}
        }
        set
    }

    /// The child for a path element, when there is one.
    pub fn child(&self, key: &str) -> Option<&Self> {
        self.children.get(key)
    }

    /// Whether the path that ends here belongs to the set.
    pub fn is_member(&self) -> bool {
        self.member
    }

    fn put(&mut self, key: String, child: Self) {
        if !child.is_empty() {
            self.children.insert(key, child);
        }
    }
}

// === impl Difference ===

impl Difference {
    /// Between two objects.
    pub fn between(old: &Value, new: &Value) -> Self {
        Self::at(old, new, Place::Root)
    }

    /// What is new or has another value.
    pub fn written(&self) -> Set {
        let mut set = self.added.clone();
        set.union(&self.modified);
        set
    }

    fn at(old: &Value, new: &Value, place: Place) -> Self {
        let mut difference = Self::default();
        match (old, new) {
            (Value::Object(before), Value::Object(after)) if place != Place::Atom => {
                for (key, value) in after {
                    let Some(inner) = place.child(key, new) else { continue };
                    let field = format!("f:{key}");
                    match before.get(key) {
                        None => difference.added.put(field, Set::all(value, inner)),
                        Some(old) if old != value => difference.put(field, Self::at(old, value, inner)),
                        Some(_) => {}
                    }
                }
                for (key, value) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
                    let Some(inner) = place.child(key, old) else { continue };
                    difference.removed.put(format!("f:{key}"), Set::all(value, inner));
                }
            }
            (Value::Array(before), Value::Array(after)) if place.is_keyed() => {
                let find = |items: &[Value], key: &str| {
                    items.iter().find(|item| place.key(item).as_deref() == Some(key)).cloned()
                };
                for item in after {
                    let Some(key) = place.key(item) else { continue };
                    match find(before, &key) {
                        None => difference.added.put(key, Set::all(item, Place::Atom)),
                        Some(old) if old != *item => {
                            difference.put(key, Self::at(&old, item, Place::Atom));
                        }
                        Some(_) => {}
                    }
                }
                for item in before {
                    let Some(key) = place.key(item) else { continue };
                    if find(after, &key).is_none() {
                        difference.removed.put(key, Set::all(item, Place::Atom));
                    }
                }
            }
            _ => difference.modified.member = true,
        }
        difference
    }

    fn put(&mut self, key: String, inner: Self) {
        self.added.put(key.clone(), inner.added);
        self.modified.put(key.clone(), inner.modified);
        self.removed.put(key, inner.removed);
    }
}
