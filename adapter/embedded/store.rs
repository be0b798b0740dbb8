//! The store: every object, one counter of versions, and for each resource a bounded log of changes.
//!
//! It knows nothing of verbs or HTTP. Callers hold its lock for the time of one method; what comes out is shared
//! snapshots.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::object::{self, Object};
use super::resource::{Id, Key, RESOURCES};
use super::selector::Selector;

/// How much of the past is kept for watches and for paging, for each resource.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most changes.
    pub changes: usize,
    /// The most bytes of their objects.
    pub bytes: usize,
}

/// Which objects a list wants.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The resource.
    pub id: Id,
    /// The namespace; empty for all.
    pub namespace: &'a str,
    /// The last key of the page before.
    pub after: Option<&'a (String, String)>,
    /// The version to look at.
    pub version: u64,
    /// The most objects.
    pub limit: usize,
    /// Which objects.
    pub selector: &'a Selector,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is another than before.
    Modified,
    /// It is gone.
    Deleted,
}

/// One entry of the log.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version of the store that it made.
    pub version: u64,
    /// What happened.
    pub kind: Kind,
    /// The object afterwards; its last state when it is gone.
    pub object: Arc<Object>,
    /// The object before.
    pub previous: Option<Arc<Object>>,
}

/// Every object and the recent past.
#[derive(Debug)]
pub struct Store {
    version: u64,
    shelves: Vec<Shelf>,
    /// Where the object of a uid is.
    uids: HashMap<String, Key>,
    /// Which objects name a uid as their owner.
    dependents: HashMap<String, BTreeSet<Key>>,
    limits: Limits,
    touched: BTreeSet<Id>,
}

#[derive(Debug, Default)]
struct Shelf {
    objects: BTreeMap<(String, String), Arc<Object>>,
    labels: Labels,
    log: VecDeque<Change>,
    log_bytes: usize,
    /// Changes up to this version are forgotten.
    compacted: u64,
}

/// Where the objects with a label are, by its key and its value: a controller lists the children of one object among
/// those of thousands.
#[derive(Debug, Default)]
struct Labels(HashMap<String, HashMap<String, BTreeSet<(String, String)>>>);

/// Objects with the places that they are at, in the order of the places.
type Places<'a> = Box<dyn Iterator<Item = (&'a (String, String), &'a Arc<Object>)> + 'a>;

/// The past that a caller asks for is forgotten; holds the oldest version that is still known.
#[derive(Clone, Copy, Debug)]
pub struct Compacted(pub u64);

// === impl Store ===

impl Store {
    /// An empty store whose first change gets the version after `version`.
    pub fn new(version: u64, limits: Limits) -> Self {
        let shelf = || Shelf { compacted: version, ..Shelf::default() };
        Self {
            version,
            shelves: RESOURCES.iter().map(|_| shelf()).collect(),
            uids: HashMap::new(),
            dependents: HashMap::new(),
            limits,
            touched: BTreeSet::new(),
        }
    }

    /// The resources that changed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<Id> {
        std::mem::take(&mut self.touched)
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<Arc<Object>> {
        // A borrowed pair cannot look up an owned one without a copy of both strings.
        self.shelves[key.id.index()].objects.get(&(key.namespace.clone(), key.name.clone())).cloned()
    }

    /// Where the object of a uid is.
    pub fn by_uid(&self, uid: &str) -> Option<&Key> {
        self.uids.get(uid)
    }

    /// The objects that name a uid as their owner.
    pub fn dependents(&self, uid: &str) -> Vec<Key> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Keys of everything in a namespace.
    pub fn contents(&self, namespace: &str) -> Vec<Key> {
        Id::all()
            .filter(|id| id.get().is_namespaced())
            .flat_map(|id| {
                self.range(id, namespace, None).map(move |((namespace, name), _)| Key {
                    id,
                    namespace: namespace.clone(),
                    name: name.clone(),
                })
            })
            .collect()
    }

    fn range<'a>(
        &'a self,
        id: Id,
        namespace: &'a str,
        after: Option<&(String, String)>,
    ) -> impl Iterator<Item = (&'a (String, String), &'a Arc<Object>)> {
        self.shelves[id.index()]
            .objects
            .range((start(namespace, after), Bound::Unbounded))
            .take_while(move |((ns, _), _)| namespace.is_empty() || ns == namespace)
    }

    /// The objects of the present that may match: those of the rarest label that the selector demands, or all.
    fn candidates<'a>(&'a self, page: &Page<'a>) -> Places<'a> {
        let Some(places) = self.labelled(page) else {
            return Box::new(self.range(page.id, page.namespace, page.after));
        };
        let (objects, namespace) = (&self.shelves[page.id.index()].objects, page.namespace);
        let places = places
            .range((start(namespace, page.after), Bound::Unbounded))
            .take_while(move |(ns, _)| namespace.is_empty() || ns == namespace);
        Box::new(places.filter_map(|place| objects.get_key_value(place)))
    }

    /// Where the objects with the rarest demanded label are; `None` when no label is demanded, or of the past.
    fn labelled(&self, page: &Page<'_>) -> Option<&BTreeSet<(String, String)>> {
        // An object of the past may have had other labels.
        if page.version < self.version {
            return None;
        }
        let labels = &self.shelves[page.id.index()].labels;
        page.selector
            .demanded()
            .map(|(key, value)| labels.places(key, value))
            .min_by_key(|places| places.len())
    }

    /// Up to `limit` objects that match, in the order of their keys, as they were at a version. The flag says whether
    /// any object follows, matching or not: as on the real server, a page may be followed by an empty one.
    pub fn list(&self, page: &Page<'_>) -> Result<(Vec<Arc<Object>>, bool), Compacted> {
        let mut found = Vec::new();
        self.visit(page, |object| {
            if page.selector.matches(&object.value) {
                found.push(object.clone());
            }
            if found.len() == page.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let last = found.last().filter(|_| found.len() == page.limit);
        let more = last.is_some_and(|last| self.count_after(page, last, 1).is_ok_and(|count| count > 0));
        Ok((found, more))
    }

    /// How many objects follow one in a list, matching or not; not more than `limit`.
    pub fn count_after(&self, page: &Page<'_>, last: &Object, limit: usize) -> Result<usize, Compacted> {
        let (all, after, mut count) = (Selector::default(), key_of(&last.value), 0);
        self.visit(&Page { after: Some(&after), selector: &all, ..*page }, |_| {
            count += 1;
            if count == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(count)
    }

    /// Shows objects of a page that may match, in the order of their keys: the present with the later changes taken back.
    fn visit(
        &self,
        page: &Page<'_>,
        mut see: impl FnMut(&Arc<Object>) -> ControlFlow<()>,
    ) -> Result<(), Compacted> {
        let kept = &self.shelves[page.id.index()];
        if page.version < kept.compacted && page.version < self.version {
            return Err(Compacted(kept.compacted));
        }
        let mut before: BTreeMap<(String, String), Option<&Arc<Object>>> = BTreeMap::new();
        for change in kept.log.iter().rev().take_while(|change| change.version > page.version) {
            let key = key_of(&change.object.value);
            if (page.namespace.is_empty() || key.0 == page.namespace)
                && page.after.is_none_or(|after| key > *after)
            {
                before.insert(key, change.previous.as_ref());
            }
        }
        let mut before = before.iter().peekable();
        let mut now = self.candidates(page).peekable();
        loop {
            let next = match (now.peek(), before.peek()) {
                (Some((here, _)), Some((then, _))) if then <= here => {
                    if then == here {
                        now.next();
                    }
                    before.next().and_then(|(_, object)| *object)
                }
                (Some(_), _) => now.next().map(|(_, object)| object),
                (None, Some(_)) => before.next().and_then(|(_, object)| *object),
                (None, None) => return Ok(()),
            };
            if next.is_some_and(|object| see(object).is_break()) {
                return Ok(());
            }
        }
    }

    /// Up to `limit` changes of a resource after a version.
    pub fn changes(&self, id: Id, after: u64, limit: usize) -> Result<Vec<Change>, Compacted> {
        let kept = &self.shelves[id.index()];
        if after < kept.compacted {
            return Err(Compacted(kept.compacted));
        }
        let start = kept.log.partition_point(|change| change.version <= after);
        Ok(kept.log.range(start..).take(limit).cloned().collect())
    }

    /// Stores an object, new or in the place of another.
    pub fn put(&mut self, key: &Key, value: Value) -> Arc<Object> {
        self.version += 1;
        let object = seal(value, self.version);
        let place = (key.namespace.clone(), key.name.clone());
        let kept = &mut self.shelves[key.id.index()];
        let previous = kept.objects.insert(place.clone(), object.clone());
        kept.labels.change(&place, previous.as_ref().map(|it| &it.value), Some(&object.value));
        if let Some(previous) = &previous {
            self.forget_owners(key, &previous.value);
        }
        for owner in object::owners(&object.value) {
            let uid = object::text(owner, &["uid"]).to_owned();
            self.dependents.entry(uid).or_default().insert(key.clone());
        }
        self.uids.insert(object::uid(&object.value).to_owned(), key.clone());
        let kind = if previous.is_some() { Kind::Modified } else { Kind::Added };
        self.record(key.id, Change { version: self.version, kind, object: object.clone(), previous });
        object
    }

    /// Removes an object and gives its last state, at the version of the removal.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let place = (key.namespace.clone(), key.name.clone());
        let kept = &mut self.shelves[key.id.index()];
        let previous = kept.objects.remove(&place)?;
        kept.labels.change(&place, Some(&previous.value), None);
        self.version += 1;
        self.forget_owners(key, &previous.value);
        self.uids.remove(object::uid(&previous.value));
        let object = seal(previous.value.clone(), self.version);
        let change = Change {
            version: self.version,
            kind: Kind::Deleted,
            object: object.clone(),
            previous: Some(previous),
        };
        self.record(key.id, change);
        Some(object)
    }

    /// Forgets the past of every resource.
    pub fn compact(&mut self) {
        // The present version counts as passed, so that a watch from it is refused too.
        self.version += 1;
        self.touched.extend(Id::all());
        for shelf in &mut self.shelves {
            shelf.log.clear();
            shelf.log_bytes = 0;
            shelf.compacted = self.version;
        }
    }

    fn forget_owners(&mut self, key: &Key, value: &Value) {
        for owner in object::owners(value) {
            let uid = object::text(owner, &["uid"]);
            if let Some(keys) = self.dependents.get_mut(uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
    }

    fn record(&mut self, id: Id, change: Change) {
        let limits = self.limits;
        self.touched.insert(id);
        let kept = &mut self.shelves[id.index()];
        kept.log_bytes += change.object.json.len();
        kept.log.push_back(change);
        while kept.log.len() > limits.changes || (kept.log_bytes > limits.bytes && kept.log.len() > 1) {
            let Some(oldest) = kept.log.pop_front() else { break };
            kept.log_bytes -= oldest.object.json.len();
            kept.compacted = oldest.version;
        }
    }
}

// === impl Labels ===

impl Labels {
    fn places(&self, key: &str, value: &str) -> &BTreeSet<(String, String)> {
        static NONE: BTreeSet<(String, String)> = BTreeSet::new();
        self.0.get(key).and_then(|values| values.get(value)).unwrap_or(&NONE)
    }

    /// Takes note of an object that was `old` and is `new` now.
    fn change(&mut self, place: &(String, String), old: Option<&Value>, new: Option<&Value>) {
        let (old, new) = (labels(old), labels(new));
        // Nearly always: labels seldom change.
        if old == new {
            return;
        }
        for (key, value) in pairs(old) {
            let Some(values) = self.0.get_mut(key) else { continue };
            let Some(places) = values.get_mut(value) else { continue };
            places.remove(place);
            if places.is_empty() {
                values.remove(value);
                if values.is_empty() {
                    self.0.remove(key);
                }
            }
        }
        for (key, value) in pairs(new) {
            let values = self.0.entry(key.to_owned()).or_default();
            values.entry(value.to_owned()).or_default().insert(place.clone());
        }
    }
}

fn labels(value: Option<&Value>) -> Option<&Value> {
    value.and_then(|value| object::meta(value).get("labels"))
}

fn pairs(labels: Option<&Value>) -> impl Iterator<Item = (&str, &str)> {
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// Where a page begins.
fn start(namespace: &str, after: Option<&(String, String)>) -> Bound<(String, String)> {
    match after {
        Some(after) => Bound::Excluded(after.clone()),
        None => Bound::Included((namespace.to_owned(), String::new())),
    }
}

fn key_of(value: &Value) -> (String, String) {
    (object::namespace(value).to_owned(), object::name(value).to_owned())
}

fn seal(mut value: Value, version: u64) -> Arc<Object> {
    object::meta_mut(&mut value).insert("resourceVersion".to_owned(), json!(version.to_string()));
    let json = Bytes::from(value.to_string());
    Arc::new(Object { value, json, version })
}

#[cfg(test)]
mod tests;
