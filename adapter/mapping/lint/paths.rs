//! Paths of expressions, paths and templates that no event of the mapping has.

use std::collections::HashMap;
use std::ops::Range;

use super::{EXTENSIONS, Told, dotted, is_from_outside, is_one_edit};
use crate::diagnostic::did_you_mean;
use crate::event::attribute::RESERVED;
use crate::expression::pattern::without_version;
use crate::mapping::document::Pattern;
use crate::mapping::document::reader::Place;
use crate::vocabulary::members::{Members, all_custom_data, members, raw_members};
use crate::vocabulary::told::{raw, types};

/// What others call the payload.
const PAYLOADS: [&str; 3] = ["body", "payload", "requestbody"];
/// The most names that a hint lists.
const MAX_NAMES: usize = 16;

/// What an author does about an absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// Nothing.
    Unforeseen,
    /// There is a default.
    Foreseen,
}

/// One path that the mapping follows, from `event`, `vars` or a name of `let`.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) path: Vec<String>,
    pub(crate) span: Range<usize>,
    pub(crate) absence: Absence,
}

/// Everything that a mapping looks at.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    pub(crate) followed: Vec<Look>,
    /// Paths that the author asks for before: they may be absent, and so may be what is below.
    pub(crate) asked: Vec<Vec<String>>,
    /// Names of `let` that stand for a path.
    pub(crate) aliases: HashMap<String, Vec<String>>,
}

/// What is wrong with a path.
struct Finding {
    message: String,
    hint: String,
}

impl Looks {
    /// Warns of paths that lead nowhere.
    pub(crate) fn check(&self, events: &[Pattern], told: &Told, place: &mut Place<'_>) {
        if self.followed.is_empty() {
            return;
        }
        let types = types_of(events, told);
        let asked: Vec<Vec<String>> = self.asked.iter().filter_map(|path| self.resolved(path)).collect();
        for look in &self.followed {
            let Some(path) = self.resolved(&look.path) else { continue };
            if asked.iter().any(|asked| path.starts_with(asked)) {
                continue;
            }
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let finding = attribute(&path, told)
                .or_else(|| types.as_deref().and_then(|types| member(&path, types, look.absence)));
            if let Some(Finding { message, hint }) = finding {
                place.warning("unknown-path", look.span.clone(), message, &hint);
            }
        }
    }

    /// The path below `event`; `None` when it is not known to be one.
    fn resolved(&self, path: &[String]) -> Option<Vec<String>> {
        match path {
            [root, rest @ ..] if root == "event" => Some(rest.to_vec()),
            [root, name, rest @ ..] if root == "vars" => self.behind(name, rest),
            [name, rest @ ..] => self.behind(name, rest),
            [] => None,
        }
    }

    fn behind(&self, name: &str, rest: &[String]) -> Option<Vec<String>> {
        // What the item looks at itself is told where it stands.
        if rest.is_empty() {
            return None;
        }
        let mut path = self.aliases.get(name)?.clone();
        path.extend_from_slice(rest);
        Some(path)
    }
}

/// The types of the events that the mapping is for, without versions; `None` when others may be among them.
fn types_of(events: &[Pattern], told: &Told) -> Option<Vec<Kind>> {
    let mut all = Vec::new();
    for entry in events {
        let (_, ty) = entry.attributes.iter().find(|(name, _)| name == "type")?;
        let begins = ty.split('*').next().unwrap_or_default();
        if is_from_outside(entry) {
            return None;
        }
        if raw::prefixes().any(|prefix| begins.starts_with(prefix)) {
            all.push(Kind { bare: ty.to_string(), is_customised: false, is_raw: true });
            continue;
        }
        if !begins.starts_with("dev.cdevents") {
            return None;
        }
        // A custom type may be anybody's.
        let is_ours = begins.starts_with("dev.cdevents.") || types().has(ty);
        let hits = types().matching(ty).into_iter();
        let before = all.len();
        all.extend(hits.map(|full| {
            let bare = without_version(full).unwrap_or(full);
            Kind { bare: bare.to_owned(), is_customised: told.customised.contains(bare), is_raw: false }
        }));
        if !is_ours || all.len() == before {
            return None;
        }
    }
    Some(all)
}

/// A type of event.
struct Kind {
    bare: String,
    /// A mapping emits it, with `customData` of its author's.
    is_customised: bool,
    /// Its data is the forge's payload.
    is_raw: bool,
}

/// The first name: an attribute of the event.
fn attribute(path: &[&str], told: &Told) -> Option<Finding> {
    let name = *path.first()?;
    let known = RESERVED.contains(&name) || EXTENSIONS.contains(&name) || told.extensions.contains(name);
    if known {
        return None;
    }
    let legal = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = dotted(&path[1..]);
    let hint = if PAYLOADS.contains(&name) {
        format!("the payload is `event.data` (`$.data` in a path): write `event.data{rest}`")
    } else if all_custom_data().any(|it| it == name) && !legal || name == "customData" {
        let below = if name == "customData" { String::new() } else { format!(".{name}") };
        format!("write `event.data.customData{below}{rest}` (`$.data.customData{below}{rest}` in a path)")
    } else if let Some(near) = RESERVED.iter().find(|it| it.len() > 3 && is_one_edit(it, name)) {
        format!("did you mean `{near}`?")
    } else if !legal {
        format!("the payload is `event.data` (`$.data` in a path): `event.data.{name}{rest}`")
    } else {
        return None;
    };
    let message = if legal {
        format!("an event hardly has the attribute `{name}`")
    } else {
        format!("no event has `{name}`: names of attributes have lower-case letters and digits only")
    };
    Some(Finding { message, hint })
}

/// What is below `data`.
fn member(path: &[&str], types: &[Kind], absence: Absence) -> Option<Finding> {
    let ["data", path @ ..] = path else { return None };
    for depth in 0..path.len() {
        let (above, name) = (&path[..depth], path[depth]);
        let mut names: Vec<&'static str> = Vec::new();
        let (mut is_open, mut exists) = (false, false);
        for kind in types {
            if kind.is_customised && above.first() == Some(&"customData") {
                return None;
            }
            let found = match (kind.is_raw, path[0]) {
                (false, _) => members(&kind.bare, above),
                (true, "customData") => Members::None,
                (true, _) => raw_members(&kind.bare, above),
            };
            match found {
                Members::Any => return None,
                Members::None => continue,
                Members::Usual(more) => {
                    is_open = true;
                    names.extend(more);
                }
                Members::Only(more) => names.extend(more),
            }
            exists = true;
        }
        if names.contains(&name) {
            continue;
        }
        if !exists && types.iter().all(|kind| kind.is_raw) {
            return Some(Finding {
                message: "a raw event has no `customData`: its data is the forge's payload".to_owned(),
                hint: "listen to the CDEvent, such as `dev.cdevents.change.created` or `dev.cdeventsx.git-ref.updated`, or take the \
                       value from where the payload has it"
                    .to_owned(),
            });
        }
        if !exists {
            return None;
        }
        names.sort_unstable();
        names.dedup();
        let near = names.iter().find(|it| is_one_edit(it, name)).copied();
        let near = near.or_else(|| did_you_mean(name, names.iter().copied()).filter(|_| !is_open));
        let elsewhere = is_open && above == ["customData"] && all_custom_data().any(|it| it == name);
        if near.is_none() && ((is_open && !elsewhere) || absence == Absence::Foreseen) {
            return None;
        }
        return Some(finding(above, name, near, &names, types));
    }
    None
}

fn finding(above: &[&str], name: &str, near: Option<&str>, names: &[&str], types: &[Kind]) -> Finding {
    let whole = dotted(above);
    let of = match types {
        [only] => format!("`{}`", only.bare),
        _ => "the mapping".to_owned(),
    };
    let message = format!("no event of {of} has `{name}` in `event.data{whole}`");
    let listed = names[..names.len().min(MAX_NAMES)].join(", ");
    let more = if names.len() > MAX_NAMES { " and others" } else { "" };
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if above.is_empty() => format!(
            "a CDEvent's data has {listed}; the forge's payload is the data of the raw event, such as `com.github.push`"
        ),
        None => format!("there are: {listed}{more}"),
    };
    Finding { message, hint }
}
