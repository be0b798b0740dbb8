//! Which events mappings may meet without anybody's doing: the types that forges and runs are told in, and the settings that
//! some of them need.

pub mod raw;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::occurrence::Row;
use super::options::{OPTIONAL, Optional, Options};
use super::schema::SHIPPED;
use super::tekton::PROGRESSED;
use super::types::TYPES;
use super::{bitbucket, bitbucket_data_center, gitea, github, gitlab};
use crate::event::glob::Glob;

/// What custom types of ours about forges begin with. Those of a tool, such as `dev.cdeventsx.tekton-`, may be its own too.
const OURS: [&str; 2] = ["dev.cdeventsx.forge-", "dev.cdeventsx.git-"];
/// The tables of all forges.
static TABLES: [&[Row]; 5] =
    [github::ROWS, gitlab::ROWS, gitea::ROWS, bitbucket::ROWS, bitbucket_data_center::ROWS];

/// What has to be in the settings for a type to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// One of these `optionalEvents`, by their names.
    OptionalEvents(Vec<&'static str>),
    /// `announceProgress: true`.
    Progress,
}

/// All types of events that are known.
#[derive(Debug, Default)]
pub struct Types {
    /// With their version where they have one.
    full: BTreeSet<String>,
    /// Without it, and the version.
    bare: BTreeMap<String, Option<String>>,
    /// Those without their version, by their length.
    by_length: BTreeMap<usize, Vec<String>>,
    /// Beginnings of raw events whose end the forge is free to choose.
    open: Vec<String>,
    /// The types that a setting decides on.
    needs: BTreeMap<String, Vec<Optional>>,
}

/// All of them.
pub fn types() -> &'static Types {
    static ALL: LazyLock<Types> = LazyLock::new(Types::gather);
    &ALL
}

/// Whether a type looks as if it were one that we tell, whatever it is.
pub fn looks_ours(ty: &str) -> bool {
    let lower = ty.to_ascii_lowercase();
    let mut known = raw::prefixes().chain(OURS).chain(["dev.cdevents."]);
    known.any(|prefix| lower.starts_with(prefix))
}

// === impl Types ===

impl Types {
    fn gather() -> Self {
        let mut types = Self::default();
        for ty in &TYPES {
            types.add_version(ty.base(), ty.to_string());
        }
        for (name, _) in SHIPPED {
            // The version of a custom type is three digits with a dot before each.
            types.add_version(name[..name.len() - ".0.0.0".len()].to_owned(), (*name).to_owned());
        }
        for event in raw::events() {
            let stem = event.stem();
            if event.suffix == raw::Suffix::Free {
                types.open.push(format!("{stem}."));
            }
            for word in event.words() {
                types.add(format!("{stem}.{word}"));
            }
            if event.may_stand_alone() {
                types.add(stem);
            }
        }
        for ty in TABLES.iter().flat_map(|table| table.iter()).flat_map(|row| row.becomes) {
            let rows = || TABLES.iter().flat_map(|table| table.iter()).filter(|row| row.becomes.contains(ty));
            if rows().all(|row| row.only.is_some()) {
                let mut needed: Vec<Optional> = Vec::new();
                for optional in rows().filter_map(|row| row.only) {
                    if !needed.contains(&optional) {
                        needed.push(optional);
                    }
                }
                types.needs.insert((*ty).to_owned(), needed);
            }
        }
        for bare in types.bare.keys() {
            types.by_length.entry(bare.len()).or_default().push(bare.clone());
        }
        types
    }

    fn add(&mut self, ty: String) {
        self.full.insert(ty.clone());
        self.bare.insert(ty, None);
    }

    fn add_version(&mut self, bare: String, full: String) {
        self.full.insert(full.clone());
        self.bare.insert(bare, Some(full));
    }

    /// The types, with their versions, that are meant by a type with or without one, or with `*` in it.
    pub fn matching(&self, ty: &str) -> Vec<&str> {
        if ty.contains('*') {
            let glob = Glob::new(ty);
            let matching = self.bare.iter().filter_map(|(bare, version)| {
                let full = version.as_deref().unwrap_or(bare);
                (glob.matches(bare) || glob.matches(full)).then_some(full)
            });
            return matching.collect();
        }
        if let Some(full) = self.full.get(ty) {
            return vec![full];
        }
        self.version_of(ty).into_iter().collect()
    }

    /// The types, without their versions, that are nearly as long as this one.
    pub fn as_long_as(&self, ty: &str) -> impl Iterator<Item = &str> {
        let lengths = ty.len().saturating_sub(1)..=ty.len() + 1;
        self.by_length.range(lengths).flat_map(|(_, types)| types).map(String::as_str)
    }

    /// Every type, without its version.
    pub fn bare(&self) -> impl Iterator<Item = &str> {
        self.bare.keys().map(String::as_str)
    }

    /// Whether the type, with or without its version, is one of them.
    pub fn has(&self, ty: &str) -> bool {
        self.bare.contains_key(ty) || self.full.contains(ty) || self.is_free(ty)
    }

    /// Whether the type begins as that of a raw event whose end its forge chooses.
    pub fn is_free(&self, ty: &str) -> bool {
        self.open.iter().any(|open| ty.starts_with(open) || open.strip_suffix('.') == Some(ty))
    }

    /// The beginnings of such types.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        self.open.iter().map(String::as_str)
    }

    /// The type with the version that is sent; `None` where types have none.
    pub fn version_of(&self, bare: &str) -> Option<&str> {
        self.bare.get(bare)?.as_deref()
    }

    /// What is lacking in the settings for a type, without its version, to be told.
    pub fn lacks(&self, bare: &str, options: &Options, with_progress: bool) -> Option<Needs> {
        if PROGRESSED.strip_suffix(".0.1.0") == Some(bare) {
            return (!with_progress).then_some(Needs::Progress);
        }
        let needed = self.needs.get(bare)?;
        if needed.iter().any(|optional| options.wants(*optional)) {
            return None;
        }
        let name =
            |wanted: &Optional| OPTIONAL.iter().find(|(it, ..)| it == wanted).map(|(_, name, _)| *name);
        Some(Needs::OptionalEvents(needed.iter().filter_map(name).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_all_kinds_are_known_and_others_are_not() {
        for ty in [
            "dev.cdevents.change.created",
            "dev.cdevents.change.created.0.4.0",
            "dev.cdevents.build.queued",
            "dev.cdeventsx.git-ref.updated",
            "dev.cdeventsx.tekton-pipelinerun.progressed.0.1.0",
            "com.github.pull_request.opened",
            "com.github.push",
            "com.github.repository_dispatch",
            "com.github.repository_dispatch.deploy",
            "com.gitlab.job.success",
            "com.forgejo.push",
            "com.bitbucket.pullrequest.created",
            "com.bitbucket.pr.comment.added",
        ] {
            assert!(types().has(ty), "{ty}");
        }
        for ty in [
            "dev.cdevents.change.created.0.1.2",
            "com.github.pull_request",
            "com.github.pull_request.merged",
            "com.github.push.created",
            "com.github.issues.opened",
            "com.gitlab.build.success",
            "com.bitbucket.pullrequest",
        ] {
            assert!(!types().has(ty), "{ty}");
        }
    }

    /// Every row of a forge's table is an event of the forge.
    #[test]
    fn every_event_of_the_tables_is_among_the_raw_ones() {
        let of = |prefix: &str, rows: &[Row]| {
            for row in rows {
                let name = match row.event {
                    "build" => "job".to_owned(),
                    // The specification says so.
                    "issues" if prefix == "com.github." => "issue".to_owned(),
                    other => other.replace(':', "."),
                };
                let stem = format!("{prefix}{name}");
                let begins =
                    |ty: &str| ty == stem || ty.strip_prefix(&stem).is_some_and(|it| it.starts_with('.'));
                assert!(types().is_free(&stem) || types().bare().any(begins), "{stem}");
            }
        };
        of("com.github.", github::ROWS);
        of("com.gitlab.", gitlab::ROWS);
        of("com.gitea.", gitea::ROWS);
        of("com.forgejo.", gitea::ROWS);
        of("com.bitbucket.", bitbucket::ROWS);
        of("com.bitbucket.", bitbucket_data_center::ROWS);
    }

    #[test]
    fn what_a_setting_decides_on_is_lacking_without_it() {
        let (none, all) = (Options::default(), Options::everything());
        let comments = Needs::OptionalEvents(vec!["comments"]);
        assert_eq!(types().lacks("dev.cdeventsx.forge-comment.created", &none, false), Some(comments));
        assert_eq!(types().lacks("dev.cdeventsx.forge-comment.created", &all, false), None);
        let dispatches = Needs::OptionalEvents(vec!["dispatches"]);
        assert_eq!(types().lacks("dev.cdeventsx.forge-dispatch.requested", &none, false), Some(dispatches));
        assert_eq!(types().lacks("dev.cdevents.change.updated", &none, false), None);
        let progressed = "dev.cdeventsx.tekton-pipelinerun.progressed";
        assert_eq!(types().lacks(progressed, &none, false), Some(Needs::Progress));
        assert_eq!(types().lacks(progressed, &none, true), None);
    }
}
