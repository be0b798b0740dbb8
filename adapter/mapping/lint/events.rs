//! Types of `events` that nothing sends, and those that a setting would have to turn on.

use std::ops::Range;

use super::{EXTENSIONS, Told, is_from_outside, is_one_edit, is_typo};
use crate::diagnostic::did_you_mean;
use crate::event::attribute::RESERVED;
use crate::expression::pattern::{Glob, without_version};
use crate::mapping::Catalog;
use crate::mapping::document::reader::Place;
use crate::mapping::document::{Document, Filter, Pattern, Text};
use crate::mapping::known;
use crate::vocabulary::told::raw::{self, RawEvent, Suffix};
use crate::vocabulary::told::{Needs, looks_ours, types};

/// What people write for what a forge calls otherwise.
const INSTEAD: [(&str, &str); 5] = [
    (
        "com.github.pull_request.merged",
        "it is `com.github.pull_request.closed` where `event.data.pull_request.merged`; for all forges `dev.cdevents.change.merged`",
    ),
    ("com.github.pull_request.created", "write `com.github.pull_request.opened`"),
    ("com.github.pull_request.updated", "write `com.github.pull_request.synchronize`"),
    ("com.github.issues.*", "write `com.github.issue.*`, as the CloudEvents project's mapping has it"),
    ("com.gitlab.build.*", "write `com.gitlab.job.*`, as the CloudEvents project's mapping has it"),
];
/// The most actions that a hint lists.
const MAX_WORDS: usize = 24;

/// Warns of types for which the mapping waits in vain.
pub(crate) fn check(document: &Document, told: &Told, catalog: &Catalog, place: &mut Place<'_>) {
    for pattern in &document.events {
        for (name, value) in &pattern.attributes {
            attribute(name, value, told, place);
        }
        let Some((_, ty)) = pattern.attributes.iter().find(|(name, _)| name == "type") else { continue };
        let glob = Glob::new(&**ty);
        // What others may send as a CloudEvent can be anything.
        if is_from_outside(pattern) {
            continue;
        }
        if glob.is_literal() {
            let has_more = document.events.iter().any(|other| is_below(other, ty));
            literal(ty, has_more, told, catalog, place);
        } else {
            glob_of(ty, &glob, told, catalog, place);
        }
    }
    for clause in &document.filter {
        of_filter(clause, told, place);
    }
}

/// Whether an entry is for types that begin with this one.
fn is_below(pattern: &Pattern, ty: &str) -> bool {
    let of = pattern.attributes.iter().find(|(name, _)| name == "type");
    of.is_some_and(|(_, other)| other.strip_prefix(ty).is_some_and(|rest| rest.starts_with('.')))
}

/// Attributes and types in a filter.
fn of_filter(clause: &Filter, told: &Told, place: &mut Place<'_>) {
    match clause {
        Filter::Exact(pairs) | Filter::Prefix(pairs) | Filter::Suffix(pairs) => {
            for (name, value) in pairs {
                attribute(name, value, told, place);
                if let (Filter::Exact(_), "type") = (clause, name.as_str()) {
                    compared(value, value.span(), told, place);
                }
            }
        }
        Filter::All(inner) | Filter::Any(inner) => {
            for clause in inner {
                of_filter(clause, told, place);
            }
        }
        Filter::Not(inner) => of_filter(inner, told, place),
        Filter::Cel(_) => {}
    }
}

/// Warns of an attribute that is a letter away from one that all events have.
fn attribute(name: &str, value: &Text, told: &Told, place: &mut Place<'_>) {
    if RESERVED.contains(&name) || EXTENSIONS.contains(&name) || told.extensions.contains(name) {
        return;
    }
    if let Some(near) = RESERVED.iter().find(|known| known.len() > 3 && is_one_edit(known, name)) {
        let message = format!("an event hardly has the attribute `{name}`");
        place.warning("unknown-attribute", value.span(), message, &format!("did you mean `{near}`?"));
    }
}

/// Warns of a whole type that `event.type` is compared with and never is.
pub(crate) fn compared(ty: &str, span: Range<usize>, told: &Told, place: &mut Place<'_>) {
    let known = types();
    let bare = without_version(ty).unwrap_or(ty);
    if told.emitted.contains(ty) {
        return;
    }
    if let Some(sent) = known.version_of(bare).filter(|sent| *sent != ty) {
        let message = format!("the type of no event is `{ty}`: it has a version, and `{sent}` is sent");
        let hint = format!(
            "compare its beginning: `event.type.startsWith('{bare}.')`, or `prefix: {{type: {bare}.}}`"
        );
        place.warning("unknown-type", span, message, &hint);
    } else if looks_ours(ty)
        && !ty.starts_with("dev.cdevents")
        && !known.has(ty)
        && !told.sends(&Glob::new(ty))
    {
        let (message, hint) = ours(ty, told);
        place.warning("unknown-type", span, message, &hint);
    }
}

/// `has_more` says that the mapping is for types that begin with this one, too.
fn literal(ty: &Text, has_more: bool, told: &Told, catalog: &Catalog, place: &mut Place<'_>) {
    let known = types();
    let bare = without_version(ty).unwrap_or(ty);
    if known.has(ty) {
        let has_words = |event: &RawEvent| event.stem() == **ty && matches!(event.suffix, Suffix::Maybe(_));
        let is_raw = ty.starts_with("com.");
        if is_raw && !has_more && raw::events().any(|event| has_words(&event)) {
            let message =
                format!("`{}` is only what comes without an action: with one, the type has it", &**ty);
            place.warning("unknown-type", ty.span(), message, &format!("write `{}.*`", &**ty));
        }
        let needs = known.lacks(bare, &catalog.options, catalog.with_progress);
        if let Some(needs) = needs.filter(|_| !told.sends(&Glob::new(&**ty))) {
            warn_of_setting(ty, &needs, place);
        }
        return;
    }
    if told.sends(&Glob::new(&**ty)) {
        return;
    }
    if let (true, Some(sent)) = (bare != &**ty, known.version_of(bare)) {
        let message = format!(
            "no event will match `{}`: events of this type come as `{sent}`, also those that were sent with an older version",
            &**ty
        );
        let hint = format!("leave the version out: `{bare}`");
        return place.warning("unknown-type", ty.span(), message, &hint);
    }
    let (message, hint) = if ty.starts_with("dev.cdevents.") {
        let hint = known::nearest_type(bare).map_or_else(
            || "custom types start with `dev.cdeventsx.`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        (format!("`{}` is not a CDEvents type: no event will match", &**ty), hint)
    } else if looks_ours(ty) {
        ours(ty, told)
    } else {
        let Some(near) = short_for(bare).or_else(|| near(bare, told)) else { return };
        let message = format!("nothing that is known here sends `{}`", &**ty);
        (message, format!("did you mean `{near}`?"))
    };
    place.warning("unknown-type", ty.span(), message, &hint);
}

/// What to say of a type that begins as ours do.
fn ours(ty: &str, told: &Told) -> (String, String) {
    let message = format!("nothing sends `{ty}`: no event will match");
    if let Some((_, instead)) = INSTEAD.iter().find(|(wrong, _)| Glob::new(*wrong).matches(ty)) {
        return (message, (*instead).to_owned());
    }
    let event = raw::events().find(|event| event.stem() == ty);
    if let Some(event) = event {
        let message = format!("`{ty}` is not a whole type: more follows in every event, so none will match");
        let usual = ["opened", "open", "created", "success"];
        let word = event.words().find(|word| usual.contains(word)).or_else(|| event.words().next());
        return (
            message,
            format!("write `{ty}.*`, or one of them, such as `{ty}.{}`", word.unwrap_or_default()),
        );
    }
    let bare = without_version(ty).unwrap_or(ty);
    let stems: Vec<String> =
        raw::events().filter(|event| !event.may_stand_alone()).map(|it| it.stem()).collect();
    let candidates = types().bare().chain(told.names()).chain(stems.iter().map(String::as_str));
    if let Some(near) = did_you_mean(bare, candidates.filter(|it| same_prefix(it, bare))) {
        let rest = if stems.iter().any(|stem| stem == near) { ".*" } else { "" };
        return (message, format!("did you mean `{near}{rest}`?"));
    }
    let above = |event: &RawEvent| ty.strip_prefix(&event.stem()).is_some_and(|rest| rest.starts_with('.'));
    match raw::events().filter(above).max_by_key(|event| event.name.len()) {
        Some(event) if event.suffix == Suffix::Never => {
            (message, format!("nothing follows the name of this event: write `{}`", event.stem()))
        }
        Some(event) => (message, words(event)),
        None => {
            let hint = "docs/events.md has the types; `pipewright explain` shows those of a payload";
            (message, hint.to_owned())
        }
    }
}

/// What may follow the event's name.
fn words(event: RawEvent) -> String {
    let words: Vec<&str> = event.words().take(MAX_WORDS).collect();
    format!("after `{}` there is one of {}", event.stem(), words.join(", "))
}

fn same_prefix(one: &str, other: &str) -> bool {
    let head = |ty: &str| ty.split('.').take(2).map(str::to_ascii_lowercase).collect::<Vec<_>>();
    head(one) == head(other)
}

fn glob_of(ty: &Text, glob: &Glob, told: &Told, catalog: &Catalog, place: &mut Place<'_>) {
    let known = types();
    let literal = ty.split('*').next().unwrap_or_default();
    let hits = known.matching(ty);
    if hits.is_empty() {
        let is_free = known.open().any(|open| open.starts_with(literal) || literal.starts_with(open));
        if looks_ours(literal) && !is_free && !told.sends(glob) {
            let message = format!("nothing sends a type such as `{}`: no event will match", &**ty);
            let (_, instead) = INSTEAD.iter().find(|(wrong, _)| *wrong == &**ty).copied().unzip();
            let hint = match (instead, near_beginning(literal)) {
                (Some(instead), _) => instead.to_owned(),
                (None, Some(near)) => format!("did you mean `{near}.*`?"),
                (None, None) => {
                    "docs/events.md has the types; `pipewright explain` shows those of a payload".to_owned()
                }
            };
            place.warning("unknown-type", ty.span(), message, &hint);
        }
        return;
    }
    let needs = hits.iter().map(|full| {
        known.lacks(without_version(full).unwrap_or(full), &catalog.options, catalog.with_progress)
    });
    let needs = needs.reduce(|one, other| one.filter(|_| other.is_some())).flatten();
    if let Some(needs) = needs.filter(|_| !told.sends(glob)) {
        warn_of_setting(ty, &needs, place);
    }
}

/// A beginning of known types that is nearly this one, which ends with a dot or in the middle of a word.
fn near_beginning(literal: &str) -> Option<String> {
    let wanted = literal.strip_suffix('.')?;
    let depth = wanted.split('.').count();
    let head = |ty: &str| ty.split('.').take(depth).collect::<Vec<_>>().join(".");
    let mut heads: Vec<String> = types().bare().filter(|ty| same_prefix(ty, wanted)).map(head).collect();
    heads.dedup();
    did_you_mean(wanted, heads.iter().map(String::as_str)).map(str::to_owned)
}

fn warn_of_setting(ty: &Text, needs: &Needs, place: &mut Place<'_>) {
    let (setting, hint) = match needs {
        Needs::OptionalEvents(names) => (
            format!("`optionalEvents: [{}]`", names.join(", ")),
            format!("add `{}` to `optionalEvents` of the settings", names.join("` or `")),
        ),
        Needs::Progress => (
            "`announceProgress: true`".to_owned(),
            "write `announceProgress: true` in the settings".to_owned(),
        ),
    };
    let message = format!("`{}` is told with {setting} only, which is off here", &**ty);
    let hint =
        format!("{hint}; `check` reads them with `--settings FILE`, and takes the defaults without it");
    place.warning("optional-event", ty.span(), message, &hint);
}

/// The type that this is a part of, such as `com.github.push` for `push`, `dev.cdevents.change.created` for `change.created`.
fn short_for(ty: &str) -> Option<String> {
    let ty = &*ty.to_ascii_lowercase();
    let alone = !ty.contains('.');
    let before = ["dev.cdevents.", "dev.cdeventsx."].into_iter().filter(|_| !alone);
    let whole = before.chain(raw::prefixes()).chain(["com.", "dev."].into_iter().filter(|_| !alone));
    for prefix in whole {
        let full = format!("{prefix}{ty}");
        if types().bare().any(|it| it == full) {
            return Some(full);
        }
        if raw::events().any(|event| event.stem() == full) {
            return Some(format!("{full}.*"));
        }
    }
    // Other domains of the same forges.
    let (_, rest) = ty.split_once('.')?;
    let other = format!("com.{rest}");
    types().bare().any(|it| it == other).then_some(other)
}

/// A known type of which one part is a letter away.
fn near(ty: &str, told: &Told) -> Option<String> {
    let parts: Vec<&str> = ty.split('.').collect();
    let is_near = |other: &str| {
        let others: Vec<&str> = other.split('.').collect();
        if others.len() != parts.len() {
            return false;
        }
        let mut different = parts.iter().zip(&others).filter(|(one, other)| one != other);
        let Some((one, other)) = different.next() else { return false };
        different.next().is_none() && is_typo(one, other)
    };
    let candidates = types().as_long_as(ty).chain(told.as_long_as(ty));
    let mut found: Vec<&str> = candidates.filter(|other| is_near(other)).collect();
    found.sort_unstable();
    found.first().map(|near| (*near).to_owned())
}
