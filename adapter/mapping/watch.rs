//! The running mappings, reloaded when their files change.
//!
//! Changes are seen by comparing a fingerprint of the files: that works for editors that replace files, for the link
//! swap of a mounted `ConfigMap`, and on file systems without notifications.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use arc_swap::{ArcSwap, Guard};

use super::{Catalog, File, MappingSet, load};
use crate::diagnostic::{Diagnostic, Report};
use crate::event::identity::Key;

/// How often the files are looked at.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The mappings in use. A file that does not compile never replaces its last version that does; the others are as new as
/// on the disk.
#[derive(Debug)]
pub struct Store {
    paths: Vec<PathBuf>,
    catalog: Catalog,
    current: ArcSwap<MappingSet>,
    problems: ArcSwap<Report>,
    files: Mutex<Files>,
    invalid: AtomicUsize,
    is_loaded: AtomicBool,
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
    /// The versions of the files in the set, by path.
    good: HashMap<String, Arc<str>>,
}

/// What the files come to.
struct Loaded {
    /// The set to use; `None` when none can be made.
    set: Option<MappingSet>,
    /// The versions of the files in it.
    good: HashMap<String, Arc<str>>,
    /// How many files have a newest version that is not in it.
    invalid: usize,
    /// Everything about the newest versions.
    report: Report,
}

/// What a look at the files came to.
#[derive(Clone, Debug)]
pub enum Reload {
    /// The files are as they were.
    Unchanged,
    /// A new set is in use; the report holds warnings only.
    Replaced(Arc<Report>),
    /// Some files have mistakes, and their last good versions are in use, if they had one.
    Refused(Arc<Report>),
}

// === impl Store ===

impl Store {
    /// Loads the files under `paths` for the first time. Those with mistakes are left out, and [`Store::problems`] has the
    /// report.
    pub fn open(paths: Vec<PathBuf>, catalog: Catalog) -> Self {
        let store = Self {
            paths,
            catalog,
            current: ArcSwap::default(),
            problems: ArcSwap::default(),
            files: Mutex::default(),
            invalid: AtomicUsize::default(),
            is_loaded: AtomicBool::default(),
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

    /// Whether files on disk were refused, so that older versions of them, or none, are in use.
    pub fn is_stale(&self) -> bool {
        self.problems.load().has_errors()
    }

    /// Whether a set could ever be made of the files, be it of a part of them.
    pub fn is_loaded(&self) -> bool {
        self.is_loaded.load(Ordering::Relaxed)
    }

    /// Whether there are files, and none of them can be used.
    pub fn is_unusable(&self) -> bool {
        self.current.load().is_empty() && self.is_stale()
    }

    /// How many files have a newest version that cannot be used.
    pub fn invalid(&self) -> usize {
        self.invalid.load(Ordering::Relaxed)
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
        let before = self.files().good.clone();
        let loaded = self.load(&before);
        let report = Arc::new(loaded.report);
        self.invalid.store(loaded.invalid, Ordering::Relaxed);
        self.problems.store(Arc::clone(&report));
        let replaced = loaded.set.map(|set| {
            self.is_loaded.store(true, Ordering::Relaxed);
            self.current.swap(Arc::new(set))
        });
        *self.files() =
            Files { seen: Some(fingerprint), took: started.elapsed(), replaced, good: loaded.good };
        if report.has_errors() { Reload::Refused(report) } else { Reload::Replaced(report) }
    }

    /// Compiles the files; of a file with mistakes the version of `before` takes its place.
    fn load(&self, before: &HashMap<String, Arc<str>>) -> Loaded {
        let mut report = Report::default();
        let found = load::read(&self.paths, &mut report);
        match MappingSet::compile(&found, &self.catalog) {
            Ok((set, warnings)) => {
                report.extend(warnings);
                if !report.has_errors() {
                    return Loaded { set: Some(set), good: texts(&found), invalid: 0, report };
                }
            }
            Err(errors) => report.extend(errors),
        }
        let bad = named(&report);
        let is_general = |finding: &Diagnostic| {
            let file = finding.file.as_deref();
            file.is_none_or(|file| {
                self.paths.iter().any(|path| path.display().to_string() == file && !path.is_file())
            })
        };
        if report.errors().any(is_general) {
            return Loaded { set: None, good: before.clone(), invalid: bad.len(), report };
        }
        let mut files: Vec<File> = found.into_iter().filter(|file| !bad.contains(&file.path)).collect();
        let older = bad.iter().filter_map(|path| Some((path, before.get(path)?)));
        files.extend(older.map(|(path, text)| File { path: path.clone(), text: Arc::clone(text) }));
        files.sort_by(|one, other| Path::new(&one.path).cmp(Path::new(&other.path)));
        loop {
            match MappingSet::compile(&files, &self.catalog) {
                Ok((set, _)) => {
                    return Loaded { set: Some(set), good: texts(&files), invalid: bad.len(), report };
                }
                Err(errors) => {
                    let number = files.len();
                    let wrong = named(&errors);
                    // An older version that does not go with the newer files gives way to them.
                    let is_older = |file: &File| bad.contains(&file.path);
                    if files.iter().any(|file| is_older(file) && wrong.contains(&file.path)) {
                        files.retain(|file| !is_older(file) || !wrong.contains(&file.path));
                    } else if files.iter().any(is_older) {
                        files.retain(|file| !is_older(file));
                    } else {
                        files.retain(|file| !wrong.contains(&file.path));
                    }
                    if files.len() == number {
                        return Loaded { set: None, good: before.clone(), invalid: bad.len(), report };
                    }
                }
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

/// The files that have errors.
fn named(report: &Report) -> BTreeSet<String> {
    report.errors().filter_map(|finding| finding.file.clone()).collect()
}

fn texts(files: &[File]) -> HashMap<String, Arc<str>> {
    files.iter().map(|file| (file.path.clone(), Arc::clone(&file.text))).collect()
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}
