//! Watches: the log of a resource as lines of JSON, from a resourceVersion on.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::json;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};
use tower::BoxError;

use super::api::Api;
use super::failure::Failure;
use super::object::Object;
use super::present::{self, Columns, Style};
use super::resource::Id;
use super::selector::Selector;
use super::store::{Change, Compacted, Kind, Page};

/// How many changes go into one piece of the body.
const BATCH: usize = 256;

/// What a watch request asks for.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The resource.
    pub id: Id,
    /// The namespace; empty for all.
    pub namespace: String,
    /// Which objects.
    pub selector: Selector,
    /// Where to begin.
    pub from: From,
    /// Whether bookmarks are sent now and then.
    pub bookmarks: Bookmarks,
    /// When the stream ends.
    pub timeout: Duration,
    /// The form of objects.
    pub style: Style,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the objects that there are, and then with what changes.
    Present {
        /// Whether a bookmark says where the objects end (`sendInitialEvents`).
        end: EndMark,
    },
    /// After a version.
    Version(u64),
    /// After a version that there is not yet; the watch fails.
    Future(u64),
}

/// Whether the end of the initial events is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndMark {
    /// By a bookmark.
    Bookmark,
    /// Not at all.
    None,
}

/// Whether a watch gets bookmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bookmarks {
    /// At this distance, when there was something to skip.
    Every(Duration),
    /// Never.
    Never,
}

struct State {
    api: Arc<Api>,
    watch: Watch,
    cursor: u64,
    latest: Receiver<u64>,
    /// Changes when all watches are to be cut.
    cut: Receiver<u64>,
    columns: Columns,
    deadline: Instant,
    bookmark_at: Option<Instant>,
    /// The version that the client knows, by an event or a bookmark.
    told: u64,
    ended: bool,
}

/// Opens a watch. A watch that begins in the forgotten past is an open stream with one error in it, as on the real
/// server.
pub fn open(api: Arc<Api>, watch: Watch, cut: Receiver<u64>) -> BoxStream<'static, Result<Bytes, BoxError>> {
    let latest = api.subscribe(watch.id);
    let mut first = BytesMut::new();
    let mut columns = Columns::Defined;
    let cursor = match watch.from {
        From::Version(version) => version,
        From::Future(version) => {
            let current = api.store().version();
            let failure = Failure::too_large_version(version, current).to_value();
            return stream::iter([Ok(present::error(&failure))]).boxed();
        }
        From::Present { end } => {
            let (version, objects) = present_objects(&api, &watch);
            for object in objects {
                first.extend_from_slice(&present::event("ADDED", watch.id, &object, watch.style, columns));
                columns = Columns::Known;
            }
            if end == EndMark::Bookmark {
                first.extend_from_slice(&present::bookmark(watch.id, version, true, watch.style));
            }
            version
        }
    };
    let now = Instant::now();
    let bookmark_at = match watch.bookmarks {
        Bookmarks::Every(distance) => Some(now + distance),
        Bookmarks::Never => None,
    };
    let deadline = now + watch.timeout;
    let state =
        State { api, watch, cursor, latest, cut, columns, deadline, bookmark_at, told: cursor, ended: false };
    let head = stream::iter((!first.is_empty()).then(|| Ok(first.freeze())));
    head.chain(stream::unfold(state, next)).boxed()
}

fn present_objects(api: &Api, watch: &Watch) -> (u64, Vec<Arc<Object>>) {
    let store = api.store();
    let version = store.version();
    let page = Page {
        id: watch.id,
        namespace: &watch.namespace,
        after: None,
        version,
        limit: usize::MAX,
        selector: &watch.selector,
    };
    let objects = store.list(&page).map(|(objects, _)| objects).unwrap_or_default();
    (version, objects)
}

/// An object that ceases to match is told as it was when it last matched, at the version of the change.
fn last_seen(change: &Change) -> Arc<Object> {
    let Some(previous) = &change.previous else { return change.object.clone() };
    let mut value = previous.value.clone();
    super::object::meta_mut(&mut value)
        .insert("resourceVersion".to_owned(), json!(change.version.to_string()));
    super::update::unsaved(value, change.version)
}

async fn next(mut state: State) -> Option<(Result<Bytes, BoxError>, State)> {
    if state.ended {
        return None;
    }
    loop {
        // Marked before the look at the log: a change after the look wakes the wait below.
        state.latest.mark_unchanged();
        let (changes, version) = {
            let store = state.api.store();
            (store.changes(state.watch.id, state.cursor, BATCH), store.version())
        };
        let changes = match changes {
            Ok(changes) => changes,
            Err(Compacted(oldest)) => {
                let message = format!("too old resource version: {} ({oldest})", state.cursor);
                state.ended = true;
                return Some((Ok(present::error(&Failure::expired(message).to_value())), state));
            }
        };
        let caught_up = changes.len() < BATCH;
        let lines = state.lines(&changes);
        if !lines.is_empty() {
            return Some((Ok(lines), state));
        }
        if !caught_up {
            continue;
        }
        state.cursor = state.cursor.max(version);
        if Instant::now() >= state.deadline {
            // A last bookmark spares the client a relist.
            state.ended = true;
            let bookmark = state.bookmark()?;
            return Some((Ok(bookmark), state));
        }
        let wake_at = state.bookmark_at.map_or(state.deadline, |at| at.min(state.deadline));
        tokio::select! {
            woken = state.latest.changed() => {
                woken.ok()?;
            }
            _ = state.cut.changed() => return Some((Err("the watch was cut".into()), State { ended: true, ..state })),
            () = sleep_until(wake_at) => {
                if let (Some(at), Bookmarks::Every(distance)) = (state.bookmark_at, state.watch.bookmarks)
                    && Instant::now() >= at
                {
                    state.bookmark_at = Some(Instant::now() + distance);
                    if let Some(bookmark) = state.bookmark() {
                        return Some((Ok(bookmark), state));
                    }
                }
            }
        }
    }
}

// === impl State ===

impl State {
    fn lines(&mut self, changes: &[Change]) -> Bytes {
        let mut out = BytesMut::new();
        for change in changes {
            self.cursor = change.version;
            if let Some(kind) = self.seen_as(change) {
                let left = (kind == "DELETED" && change.kind != Kind::Deleted).then(|| last_seen(change));
                out.extend_from_slice(&present::event(
                    kind,
                    self.watch.id,
                    left.as_deref().unwrap_or(&change.object),
                    self.watch.style,
                    self.columns,
                ));
                self.columns = Columns::Known;
                self.told = change.version;
            }
        }
        out.freeze()
    }

    /// An object that begins or ceases to match is added or deleted, whatever happened to it.
    fn seen_as(&self, change: &Change) -> Option<&'static str> {
        let watch = &self.watch;
        if !watch.namespace.is_empty() && super::object::namespace(&change.object.value) != watch.namespace {
            return None;
        }
        let matches = |object: &Object| watch.selector.is_empty() || watch.selector.matches(&object.value);
        let before = change.previous.as_deref().is_some_and(matches);
        let now = change.kind != Kind::Deleted && matches(&change.object);
        match (before, now) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }

    fn bookmark(&mut self) -> Option<Bytes> {
        if self.watch.bookmarks == Bookmarks::Never || self.cursor <= self.told {
            return None;
        }
        self.told = self.cursor;
        Some(present::bookmark(self.watch.id, self.cursor, false, self.watch.style))
    }
}
