//! From the tree of a file to its documents, reporting every field that is not as it should be.

mod action;
mod example;

use std::ops::Range;

use super::tree::{Entry, Kind, Node};
use super::{API_VERSION, Document, Filter, KIND, Let, LetSource, Pattern, Presence, Text, tree};
use crate::diagnostic::{Diagnostic, Report, did_you_mean};
use crate::event::name::is_dns_label;

/// Kinds of documents that are not read yet.
const LATER_KINDS: [&str; 2] = ["Strategy", "Stage"];
/// Kinds of documents that stand in the settings file.
const SETTINGS_KINDS: [&str; 3] = ["Settings", "Source", "Sink"];
const DIALECTS: [&str; 8] = ["exact", "prefix", "suffix", "all", "any", "not", "cel", "cesql"];
const MAX_FILTER_DEPTH: usize = 16;

/// Reports findings in one file.
pub(crate) struct Place<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
    pub(crate) report: &'a mut Report,
}

// === impl Place ===

impl Place<'_> {
    pub(crate) fn error(&mut self, code: &'static str, span: Range<usize>, message: String, hint: &str) {
        let finding = Diagnostic::error(code, message).at(self.file, self.text, span);
        self.report.push(if hint.is_empty() { finding } else { finding.hint(hint) });
    }

    pub(crate) fn warning(&mut self, code: &'static str, span: Range<usize>, message: String, hint: &str) {
        self.report.push(Diagnostic::warning(code, message).at(self.file, self.text, span).hint(hint));
    }

    fn wrong_type(&mut self, node: &Node, what: &str, wanted: &str) {
        self.error(
            "wrong-type",
            node.span.clone(),
            format!("{what} must be {wanted}, not {}", node.kind_name()),
            match (&node.kind, wanted) {
                (Kind::Bool(_) | Kind::Number(_), "a string") => "put the value in quotes",
                (Kind::Null, _) => "give it a value or remove the line",
                (Kind::String(_), "`true` or `false`") => "write it without quotes",
                (Kind::String(_), "a list") if what == "`events`" => "begin each item with `- `: `- type: …`",
                (Kind::String(_), "a list") if what == "a filter" => "begin each item with `- `: `- cel: …`",
                (Kind::String(_), "a map from attribute names to strings")
                    if what == "an entry of `events`" =>
                {
                    "write `- type: …`"
                }
                (Kind::String(_), "a map") if what == "a filter clause" => "write `- cel: …`",
                (Kind::Map(_) | Kind::String(_), "a list") => "begin each item with `- `",
                _ => "see the schema of the document: `pipewright schema`",
            },
        );
    }

    /// The entries of a map whose keys are all in `known`; others and repeated ones are reported.
    fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Option<&'n [Entry]> {
        self.fields_and(node, what, known, &[])
    }

    /// The same; those in `silent` are known too, and named to nobody.
    fn fields_and<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
        silent: &[&str],
    ) -> Option<&'n [Entry]> {
        let Some(entries) = node.entries() else {
            self.wrong_type(node, what, "a map");
            return None;
        };
        for (index, entry) in entries.iter().enumerate() {
            let name = entry.key.text.as_str();
            if !known.contains(&name) && !silent.contains(&name) {
                let hint = did_you_mean(name, known.iter().copied()).map_or_else(
                    || format!("{what} knows: {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.error(
                    "unknown-field",
                    entry.key.span.clone(),
                    format!("unknown field `{name}` in {what}"),
                    &hint,
                );
            }
            self.refuse_repeated(entries, index);
        }
        Some(entries)
    }

    fn refuse_repeated(&mut self, entries: &[Entry], index: usize) {
        let entry = &entries[index];
        if entries[..index].iter().any(|earlier| earlier.key.text == entry.key.text) {
            self.error(
                "duplicate-key",
                entry.key.span.clone(),
                format!("`{}` stands here twice", entry.key.text),
                "keep one of the two",
            );
        }
    }

    fn required<'n>(&mut self, node: &'n Node, what: &str, name: &str, hint: &str) -> Option<&'n Node> {
        let found = node.get(name);
        if found.is_none() && node.entries().is_some() {
            self.error(
                "missing-field",
                node.span.start..node.span.start,
                format!("{what} needs `{name}`"),
                hint,
            );
        }
        found
    }

    fn string(&mut self, node: &Node, what: &str) -> Option<Text> {
        let text = Text::new(node);
        if text.is_none() {
            self.wrong_type(node, what, "a string");
        }
        text.filter(|text| {
            let empty = text.trim().is_empty();
            if empty {
                self.error("empty-value", text.span(), format!("{what} must not be empty"), "");
            }
            !empty
        })
    }

    fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        if let Kind::List(items) = &node.kind {
            items
        } else {
            self.wrong_type(node, what, "a list");
            &[]
        }
    }

    fn flag(&mut self, node: &Node, what: &str) -> bool {
        if let Kind::Bool(flag) = node.kind {
            flag
        } else {
            self.wrong_type(node, what, "`true` or `false`");
            false
        }
    }

    fn label(&mut self, text: &Text, what: &str) {
        if !is_dns_label(text) {
            self.error(
                "invalid-name",
                text.span(),
                format!("{what} `{}` is not a valid name", &**text),
                "use at most 63 lower-case letters, digits and `-`, with a letter or digit first and last",
            );
        }
    }
}

/// Reads every mapping of one file.
pub(crate) fn read(file: usize, name: &str, text: &str, report: &mut Report) -> Vec<Document> {
    let nodes = match tree::parse(name, text) {
        Ok(nodes) => nodes,
        Err(diagnostic) => {
            report.push(*diagnostic);
            return Vec::new();
        }
    };
    let mut place = Place { file: name, text, report };
    nodes.iter().filter_map(|node| document(&mut place, file, node)).collect()
}

fn document(place: &mut Place<'_>, file: usize, node: &Node) -> Option<Document> {
    warn_of_booleans(place, node);
    if node.entries().is_none() {
        place.wrong_type(node, "a document", "a map");
        return None;
    }
    if !kind(place, node) {
        return None;
    }
    place.fields(node, "a mapping document", &["apiVersion", "kind", "metadata", "spec"]);
    let name = place
        .required(node, "a mapping document", "metadata", "add `metadata: {name: …}`")
        .and_then(|metadata| {
            place.fields(metadata, "`metadata`", &["name", "labels", "annotations"]);
            place.required(metadata, "`metadata`", "name", "give the mapping a name")
        })
        .and_then(|name| place.string(name, "`metadata.name`"));
    if let Some(name) = &name {
        place.label(name, "the mapping's name");
    }
    let spec = place.required(node, "a mapping document", "spec", "add `spec:` with `events` and `do`")?;
    place.fields(spec, "`spec`", &["events", "filter", "let", "do", "dedupeBy", "examples"])?;
    let events = place
        .required(
            spec,
            "`spec`",
            "events",
            "say which events it is for, such as `- type: dev.cdevents.change.*`",
        )
        .map(|events| patterns(place, events))
        .unwrap_or_default();
    let filter = spec.get("filter").map(|filter| filters(place, filter, 0)).unwrap_or_default();
    let lets = spec.get("let").map(|lets| let_items(place, lets)).unwrap_or_default();
    let actions = place
        .required(spec, "`spec`", "do", "say what to do, such as `- {name: build, pipelineRun: {…}}`")
        .map(|actions| action::list(place, actions))
        .unwrap_or_default();
    let dedupe_by = spec.get("dedupeBy").map(|names| strings(place, names, "`dedupeBy`")).unwrap_or_default();
    let examples = spec.get("examples").map(|examples| example::list(place, examples)).unwrap_or_default();
    Some(Document { file, name: name?, events, filter, lets, actions, dedupe_by, examples })
}

/// Whether the document is a mapping; other kinds are reported.
fn kind(place: &mut Place<'_>, node: &Node) -> bool {
    let version =
        place.required(node, "a document", "apiVersion", "add `apiVersion: pipewright.dev/v1alpha1`");
    if let Some(version) = version.and_then(|version| place.string(version, "`apiVersion`"))
        && &*version != API_VERSION
    {
        place.error(
            "unknown-api-version",
            version.span(),
            format!("unknown apiVersion `{}`", &*version),
            &format!("write `{API_VERSION}`"),
        );
    }
    let Some(kind) = place
        .required(node, "a document", "kind", "add `kind: Mapping`")
        .and_then(|kind| place.string(kind, "`kind`"))
    else {
        return false;
    };
    if &*kind == KIND {
        return true;
    }
    let (message, hint) = if SETTINGS_KINDS.contains(&&*kind) {
        (
            format!(
                "a document of the kind `{}` stands in the settings file and not among the mappings",
                &*kind
            ),
            "move it into the file that `--settings` names, parted from the others by `---`".to_owned(),
        )
    } else if LATER_KINDS.contains(&&*kind) {
        (format!("documents of the kind `{}` are not supported yet", &*kind), String::new())
    } else {
        let near = did_you_mean(&kind, [KIND]).map(|near| format!("did you mean `{near}`?"));
        (
            format!("unknown kind `{}`", &*kind),
            near.unwrap_or_else(|| "the kind here is `Mapping`".to_owned()),
        )
    };
    place.error("unknown-kind", kind.span(), message, &hint);
    false
}

/// Plain scalars that kubectl and other YAML 1.1 readers turn into booleans.
fn warn_of_booleans(place: &mut Place<'_>, node: &Node) {
    let mut warn = |text: &str, span: &Range<usize>| {
        let is_boolean = ["y", "n", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
        if is_boolean && place.text.get(span.clone()).is_some_and(|written| written.trim_end() == text) {
            place.warning(
                "yaml-1.1-boolean",
                span.clone(),
                format!("`{text}` is a boolean to kubectl and other YAML 1.1 readers"),
                &format!("write \"{text}\" in quotes"),
            );
        }
    };
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        match &node.kind {
            Kind::String(text) => warn(text, &node.span),
            Kind::List(items) => open.extend(items),
            Kind::Map(entries) => {
                for entry in entries {
                    warn(&entry.key.text, &entry.key.span);
                    open.push(&entry.value);
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => {}
        }
    }
}

fn strings(place: &mut Place<'_>, node: &Node, what: &str) -> Vec<Text> {
    place
        .list(node, what)
        .iter()
        .filter_map(|item| place.string(item, &format!("an entry of {what}")))
        .collect()
}

fn patterns(place: &mut Place<'_>, node: &Node) -> Vec<Pattern> {
    let items = place.list(node, "`events`");
    if items.is_empty() && matches!(node.kind, Kind::List(_)) {
        place.error(
            "empty-value",
            node.span.clone(),
            "`events` must not be empty".to_owned(),
            "write `- type: \"*\"` for every event",
        );
    }
    items
        .iter()
        .map(|item| Pattern { attributes: attributes(place, item, "an entry of `events`") })
        .filter(|pattern| !pattern.attributes.is_empty())
        .collect()
}

/// A map from attribute names to non-empty strings.
fn attributes(place: &mut Place<'_>, node: &Node, what: &str) -> Vec<(String, Text)> {
    let Some(entries) = node.entries() else {
        place.wrong_type(node, what, "a map from attribute names to strings");
        return Vec::new();
    };
    if entries.is_empty() {
        place.error("empty-value", node.span.clone(), format!("{what} must not be empty"), "");
    }
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        place.refuse_repeated(entries, index);
        let name = &entry.key.text;
        let legal = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !legal || name == "data" {
            place.error(
                "invalid-attribute",
                entry.key.span.clone(),
                format!("`{name}` is not a CloudEvents attribute"),
                "attributes are `type`, `source`, `subject` and the like, in lower-case letters and digits; \
                 look into the data with `- cel: event.data.…`",
            );
        }
        if let Some(value) = place.string(&entry.value, &format!("`{name}`")) {
            found.push((name.clone(), value));
        }
    }
    found
}

fn filters(place: &mut Place<'_>, node: &Node, depth: usize) -> Vec<Filter> {
    if depth > MAX_FILTER_DEPTH {
        place.error("too-deep", node.span.clone(), "the filter is nested too deeply".to_owned(), "");
        return Vec::new();
    }
    place.list(node, "a filter").iter().filter_map(|item| filter(place, item, depth)).collect()
}

fn filter(place: &mut Place<'_>, node: &Node, depth: usize) -> Option<Filter> {
    let entries = place.fields(node, "a filter clause", &DIALECTS)?;
    let [entry] = entries else {
        place.error(
            "one-dialect",
            node.span.clone(),
            format!("a filter clause has exactly one dialect, not {}", entries.len()),
            "write one list item for each clause: all of them must hold",
        );
        return None;
    };
    let value = &entry.value;
    Some(match entry.key.text.as_str() {
        "exact" => Filter::Exact(attributes(place, value, "`exact`")),
        "prefix" => Filter::Prefix(attributes(place, value, "`prefix`")),
        "suffix" => Filter::Suffix(attributes(place, value, "`suffix`")),
        "all" => Filter::All(group(place, value, "`all`", depth)),
        "any" => Filter::Any(group(place, value, "`any`", depth)),
        "not" if depth <= MAX_FILTER_DEPTH => Filter::Not(Box::new(filter(place, value, depth + 1)?)),
        "cel" => Filter::Cel(place.string(value, "`cel`")?),
        "cesql" => {
            place.error(
                "not-supported",
                entry.key.span.clone(),
                "the dialect `cesql` is not supported yet".to_owned(),
                "use `cel`",
            );
            return None;
        }
        _ => return None,
    })
}

fn group(place: &mut Place<'_>, node: &Node, what: &str, depth: usize) -> Vec<Filter> {
    if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
        place.error("empty-value", node.span.clone(), format!("{what} must not be empty"), "");
    }
    filters(place, node, depth + 1)
}

fn let_items(place: &mut Place<'_>, node: &Node) -> Vec<Let> {
    let Some(entries) = node.entries() else {
        place.wrong_type(node, "`let`", "a map from names to values");
        return Vec::new();
    };
    let mut items = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        place.refuse_repeated(entries, index);
        let what = format!("`let.{}`", entry.key.text);
        let known = ["path", "cel", "template", "required", "default"];
        if place.fields(&entry.value, &what, &known).is_none() {
            continue;
        }
        let sources: Vec<&Entry> = entry
            .value
            .entries()
            .unwrap_or_default()
            .iter()
            .filter(|field| ["path", "cel", "template"].contains(&field.key.text.as_str()))
            .collect();
        let [source] = sources[..] else {
            place.error(
                "one-source",
                entry.key.span.clone(),
                format!("{what} needs exactly one of `path`, `cel` and `template`, not {}", sources.len()),
                "such as `{path: $.data.subject.id}`",
            );
            continue;
        };
        let required = entry.value.get("required").is_some_and(|flag| place.flag(flag, "`required`"));
        let presence = match entry.value.get("default") {
            Some(default) if required => {
                place.error(
                    "contradiction",
                    default.span.clone(),
                    format!("{what} is both required and has a default"),
                    "remove one of the two",
                );
                Presence::Required
            }
            Some(default) => Presence::Default(default.to_json()),
            None if required => Presence::Required,
            None => Presence::Optional,
        };
        let Some(text) = place.string(&source.value, &format!("`{}`", source.key.text)) else { continue };
        let source = match source.key.text.as_str() {
            "path" => LetSource::Path(text),
            "cel" => LetSource::Cel(text),
            _ => LetSource::Template(text),
        };
        items.push(Let { name: entry.key.clone(), source, presence });
    }
    items
}
