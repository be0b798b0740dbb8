//! The running mappings, reloaded when their files change.
//!
//! Changes are seen by comparing a fingerprint of the files: that works for editors that replace files, for the link
//! swap of a mounted `ConfigMap`, and on file systems without notifications.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use arc_swap::{ArcSwap, Guard};

use super::{Catalog, File, MappingSet, load};
use crate::diagnostic::Report;
use crate::event::identity::Key;

/// How often the files are looked at.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The mappings in use. A set that does not compile never replaces one that does.
#[derive(Debug)]
pub struct Store {
    paths: Vec<PathBuf>,
    catalog: Catalog,
    current: ArcSwap<MappingSet>,
    problems: ArcSwap<Report>,
    files: Mutex<Files>,
}

/// What is known of the files.
#[derive(Debug, Default)]
struct Files {
    /// Their fingerprint at the last load.
    seen: Option<Key>,
    /// What the last load took.
    took: Duration,
    /// The set that was in use before. It is freed by the next look, since whoever lets go of it last pays for that:
    /// for ten thousand mappings several milliseconds, which would be a request's.
    replaced: Option<Arc<MappingSet>>,
}

/// What a look at the files came to.
#[derive(Clone, Debug)]
pub enum Reload {
    /// The files are as they were.
    Unchanged,
    /// A new set is in use; the report holds warnings only.
    Replaced(Arc<Report>),
    /// The files have mistakes, and the set that was in use still is.
    Refused(Arc<Report>),
}

// === impl Store ===

impl Store {
    /// Loads the files under `paths` for the first time. With mistakes in them the store starts out empty and
    /// [`Store::problems`] has the report.
    pub fn open(paths: Vec<PathBuf>, catalog: Catalog) -> Self {
        let store = Self {
            paths,
            catalog,
            current: ArcSwap::default(),
            problems: ArcSwap::default(),
            files: Mutex::default(),
        };
        store.reload();
        store
    }

    /// The set in use. Hold the guard for one request only.
    pub fn current(&self) -> Guard<Arc<MappingSet>> {
        self.current.load()
    }

    /// The report of the last load: errors when the files were refused, else warnings or nothing.
    pub fn problems(&self) -> Arc<Report> {
        self.problems.load_full()
    }

    /// Whether the files on disk were refused, so that an older set is in use.
    pub fn is_stale(&self) -> bool {
        self.problems.load().has_errors()
    }

    /// Reads and compiles the files when they have changed since the last look.
    pub fn refresh(&self) -> Reload {
        let replaced = self.files().replaced.take();
        drop(replaced);
        let fingerprint = self.fingerprint();
        let unchanged = self.files().seen == Some(fingerprint);
        if unchanged { Reload::Unchanged } else { self.reload() }
    }

    /// What the last load took, from the first file read to the set being in use or refused.
    pub fn load_time(&self) -> Duration {
        self.files().took
    }

    /// Reads and compiles the files, changed or not.
    pub fn reload(&self) -> Reload {
        // Taken before reading: a change while reading is seen by the next look.
        let fingerprint = self.fingerprint();
        let started = Instant::now();
        let mut report = Report::default();
        let files = load::read(&self.paths, &mut report);
        let result = self.compile(&files, report);
        let (replaced, reload) = self.take(result);
        *self.files() = Files { seen: Some(fingerprint), took: started.elapsed(), replaced };
        reload
    }

    fn take(&self, result: Result<(MappingSet, Report), Report>) -> (Option<Arc<MappingSet>>, Reload) {
        match result {
            Ok((set, report)) => {
                let report = Arc::new(report);
                let replaced = self.current.swap(Arc::new(set));
                self.problems.store(Arc::clone(&report));
                (Some(replaced), Reload::Replaced(report))
            }
            Err(report) => {
                let report = Arc::new(report);
                self.problems.store(Arc::clone(&report));
                (None, Reload::Refused(report))
            }
        }
    }

    /// Looks at the files every `interval` until the future is dropped, and tells `on_change` what came of a change.
    pub async fn watch(self: Arc<Self>, interval: Duration, mut on_change: impl FnMut(&Reload)) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let store = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || store.refresh()).await {
                Ok(Reload::Unchanged) | Err(_) => {}
                Ok(reload) => on_change(&reload),
            }
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compile(&self, files: &[File], mut report: Report) -> Result<(MappingSet, Report), Report> {
        match MappingSet::compile(files, &self.catalog) {
            Ok((set, warnings)) => {
                report.extend(warnings);
                if report.has_errors() { Err(report) } else { Ok((set, report)) }
            }
            Err(errors) => {
                report.extend(errors);
                Err(report)
            }
        }
    }

    /// Names, sizes, times and, where there are any, inodes of the files behind all links.
    fn fingerprint(&self) -> Key {
        let mut parts = Vec::new();
        for path in load::find(&self.paths, &mut Report::default()) {
            parts.push(path.display().to_string());
            parts.push(match fs::metadata(&path) {
                Ok(metadata) => {
                    let modified =
                        metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                    format!("{} {:?} {}", metadata.len(), modified, inode(&metadata))
                }
                Err(error) => error.kind().to_string(),
            });
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Key::of("files", &parts)
    }
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}
