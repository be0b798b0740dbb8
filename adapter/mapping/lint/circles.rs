//! Mappings that trigger each other: what one sends, another answers, and so on until the first is asked again; and runs whose
//! own end starts the next.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use serde_json::Value;

use crate::action::Destination;
use crate::diagnostic::{Diagnostic, Report};
use crate::event::VOUCHER;
use crate::expression::cel::{Expression, Fact, Facts};
use crate::expression::filter;
use crate::expression::filter::Certainty;
use crate::expression::pattern::{Pattern, is_cdevent, without_version};
use crate::mapping::compile::{Action, ActionKind, Emit, EmitBody, Mapping, NewEvent, Run, Shape};
use crate::mapping::{Catalog, File};
use crate::vocabulary::types::resolve;

/// The most circles that are told.
const MAX_TOLD: usize = 20;
/// The most pairs of an action and a mapping that are looked at: a load has to end.
const MAX_PAIRS: usize = 200_000;
/// Transitions of a run, and of the tasks that it has, each without its version.
const TRANSITIONS: [(&str, &str); 5] = [
    ("dev.cdevents.pipelinerun.queued", "PipelineRun"),
    ("dev.cdevents.pipelinerun.started", "PipelineRun"),
    ("dev.cdevents.pipelinerun.finished", "PipelineRun"),
    ("dev.cdevents.taskrun.started", "TaskRun"),
    ("dev.cdevents.taskrun.finished", "TaskRun"),
];
/// What tells no run from another.
const COMMON: [&[&str]; 5] = [
    &["type"],
    &["specversion"],
    &["data", "context", "type"],
    &["data", "subject", "content", "outcome"],
    &["data", "customData", "tekton", "status"],
];

/// One action of one mapping, by their places.
type Step = (usize, usize);

/// What comes of one action and makes another happen.
#[derive(Clone)]
struct Edge {
    to: Step,
    /// Whether it does so each time.
    is_certain: bool,
    /// The type of the event between them.
    ty: String,
    is_of_run: bool,
}

/// Looks at all mappings together.
pub(crate) fn check(mappings: &[Mapping], files: &[File], catalog: &Catalog, report: &mut Report) {
    let edges = edges(mappings, catalog);
    let certain: HashMap<Step, Vec<Edge>> = edges
        .iter()
        .map(|(from, to)| (*from, to.iter().filter(|edge| edge.is_certain).cloned().collect()))
        .collect();
    let mut told: HashSet<usize> = HashSet::new();
    for (edges, is_certain) in [(&certain, true), (&edges, false)] {
        let mut starts: Vec<Step> = edges.keys().copied().collect();
        starts.sort_unstable();
        for start in starts {
            if told.contains(&start.0) || told.len() >= MAX_TOLD {
                continue;
            }
            let Some(circle) = circle(start, edges) else { continue };
            told.extend(circle.iter().map(|(step, _)| step.0));
            tell(&circle, is_certain, mappings, files, report);
        }
    }
}

/// The shortest way from an action back to itself: every step with the edge that leads on.
fn circle(start: Step, edges: &HashMap<Step, Vec<Edge>>) -> Option<Vec<(Step, Edge)>> {
    let mut came: HashMap<Step, (Step, Edge)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(step) = queue.pop_front() {
        for edge in edges.get(&step).into_iter().flatten() {
            if came.contains_key(&edge.to) {
                continue;
            }
            came.insert(edge.to, (step, edge.clone()));
            if edge.to == start {
                let mut way = Vec::new();
                let mut at = start;
                loop {
                    let (before, edge) = came.get(&at)?.clone();
                    way.push((before, edge));
                    at = before;
                    if at == start {
                        way.reverse();
                        return Some(way);
                    }
                }
            }
            queue.push_back(edge.to);
        }
    }
    None
}

fn tell(
    circle: &[(Step, Edge)],
    is_certain: bool,
    mappings: &[Mapping],
    files: &[File],
    report: &mut Report,
) {
    let name = |step: Step| mappings[step.0].name.as_str();
    let steps: Vec<String> = circle
        .iter()
        .map(|(step, edge)| {
            let verb = if edge.is_of_run { "creates a run that is told as" } else { "emits" };
            format!("`{}` {verb} `{}`, for which `{}` is", name(*step), edge.ty, name(edge.to))
        })
        .collect();
    let members: BTreeSet<usize> = circle.iter().map(|(step, _)| step.0).collect();
    let may = if is_certain { "" } else { " may" };
    let message = if members.len() == 1 {
        let s = if is_certain { "s" } else { "" };
        format!("`{}`{may} trigger{s} itself for ever: {}", name(circle[0].0), steps.join("; "))
    } else {
        format!("these mappings{may} trigger each other for ever: {}", steps.join("; "))
    };
    // Whoever came last closed the circle.
    let Some((last, _)) = circle.iter().max_by_key(|(step, _)| *step) else { return };
    let (mapping, action) = (&mappings[last.0], &mappings[last.0].actions[last.1]);
    let hint = if circle.iter().any(|(_, edge)| edge.is_of_run) {
        let runs = circle.iter().find(|(_, edge)| edge.is_of_run).map_or(*last, |(step, _)| *step);
        format!(
            "leave its own runs out with a filter, `- not: {{cel: event.data.customData.mapping == '{}'}}`; or ask for those \
             of a forge, such as `pipewrightsource: github` in `events`",
            name(runs)
        )
    } else {
        "emit another type in one of them; or give what it emits a `source` of its own, and leave that out where it would be \
         answered: `- not: {exact: {source: …}}`"
            .to_owned()
    };
    let finding = if is_certain {
        Diagnostic::error("event-loop", message)
    } else {
        Diagnostic::warning("event-loop", message)
    };
    let text = files.iter().find(|file| file.path == mapping.file).map_or("", |file| &*file.text);
    report.push(finding.at(mapping.file.clone(), text, action.span.clone()).hint(hint));
}

/// Which mappings are for a type, by its name or by its beginning.
struct Listeners<'m> {
    by_type: HashMap<&'m str, Vec<usize>>,
    by_beginning: HashMap<&'m str, Vec<usize>>,
}

impl<'m> Listeners<'m> {
    fn of(mappings: &'m [Mapping]) -> Self {
        let mut listeners = Self { by_type: HashMap::new(), by_beginning: HashMap::new() };
        for (at, mapping) in mappings.iter().enumerate() {
            for pattern in &mapping.patterns {
                let ty = pattern.attributes.iter().find(|(name, _)| name == "type").map(|(_, glob)| glob);
                let list = match ty.map(|glob| (glob.as_str(), glob.as_str().split_once('*'))) {
                    Some((ty, None)) => listeners.by_type.entry(ty).or_default(),
                    Some((_, Some((begins, _)))) => {
                        let end = begins.rfind('.').map_or(0, |dot| dot + 1);
                        listeners.by_beginning.entry(&begins[..end]).or_default()
                    }
                    None => listeners.by_beginning.entry("").or_default(),
                };
                list.push(at);
            }
        }
        listeners
    }

    fn of_type(&self, ty: &str) -> Vec<usize> {
        let names = [Some(ty), without_version(ty)].into_iter().flatten();
        let mut found: Vec<usize> = names.filter_map(|ty| self.by_type.get(ty)).flatten().copied().collect();
        let ends = std::iter::once(0).chain(ty.match_indices('.').map(|(dot, _)| dot + 1));
        found.extend(ends.filter_map(|end| self.by_beginning.get(&ty[..end])).flatten());
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Which action makes which others happen.
fn edges(mappings: &[Mapping], catalog: &Catalog) -> HashMap<Step, Vec<Edge>> {
    let listeners = Listeners::of(mappings);
    let of_runs: Vec<(String, &str, Vec<usize>)> = TRANSITIONS
        .iter()
        .filter_map(|(base, kind)| Some((resolve(base)?.to_string(), *kind)))
        .map(|(ty, kind)| {
            let found = listeners.of_type(&ty);
            (ty, kind, found)
        })
        .collect();
    let mut all = HashMap::new();
    let mut left = MAX_PAIRS;
    for (at, mapping) in mappings.iter().enumerate() {
        for (place, action) in mapping.actions.iter().enumerate() {
            let mut found = Vec::new();
            match &action.kind {
                ActionKind::Emit(Emit { to, body: EmitBody::New(new) }) => {
                    let facts = |path: &[&str]| of_emit(new, catalog, path);
                    let is_brokers = match to {
                        Destination::Reply => true,
                        Destination::Sink(name) => name == "default",
                    };
                    for listener in listeners.of_type(&new.ty) {
                        let come = |edge: Edge| Edge { is_certain: edge.is_certain && is_brokers, ..edge };
                        found.extend(
                            to_mapping(listener, &mappings[listener], &facts, &new.ty, false).map(come),
                        );
                        left = left.saturating_sub(1);
                    }
                }
                // What is forwarded goes to a sink that is no broker of ours.
                ActionKind::Emit(_) => {}
                ActionKind::PipelineRun(run) => {
                    let namespace = run.namespace.as_deref().unwrap_or(&catalog.namespace);
                    // One that folds what means the same makes no second run of it.
                    if catalog.watched != "*" && catalog.watched != namespace || !mapping.dedupe_by.is_empty()
                    {
                        continue;
                    }
                    for (ty, kind, listeners) in &of_runs {
                        let facts = |path: &[&str]| of_run(mapping, action, run, kind, ty, catalog, path);
                        for listener in listeners {
                            found.extend(to_mapping(*listener, &mappings[*listener], &facts, ty, true));
                            left = left.saturating_sub(1);
                        }
                    }
                }
            }
            if !found.is_empty() {
                all.insert((at, place), found);
            }
            if left == 0 {
                return all;
            }
        }
    }
    all
}

/// The actions of a mapping that an event, of which the facts are known, makes happen.
fn to_mapping<'m>(
    at: usize,
    mapping: &'m Mapping,
    facts: &'m Facts<'m>,
    ty: &'m str,
    is_of_run: bool,
) -> impl Iterator<Item = Edge> + 'm {
    let listens = mapping
        .patterns
        .iter()
        .filter(|pattern| comes_so(pattern, is_of_run))
        .map(|pattern| pattern.certainty(facts))
        .max_by_key(|certainty| match certainty {
            Certainty::Never => 0,
            Certainty::Possible => 1,
            Certainty::Always => 2,
        })
        .unwrap_or(Certainty::Never);
    let passes = filter::all(mapping.filter.iter().map(|clause| clause.certainty(facts)));
    let is_told_apart = move |when: Option<&'m Expression>| {
        let open = mapping.filter.iter().filter(|clause| clause.certainty(facts) == Certainty::Possible);
        let expressions: Vec<&Expression> =
            open.clone().flat_map(|clause| clause.expressions()).chain(when).collect();
        let by_attribute = open.into_iter().any(|clause| clause.expressions().is_empty());
        by_attribute || expressions.iter().any(|it| tells_apart(it))
    };
    mapping.actions.iter().enumerate().filter_map(move |(place, action)| {
        let when = action.when.as_ref().map(|when| when.foresee(facts));
        if listens == Certainty::Never || passes == Certainty::Never || when == Some(Some(false)) {
            return None;
        }
        let asks = action.when.as_ref().filter(|_| when == Some(None));
        // A filter on what a run is about is what its author tells it from others by.
        if is_of_run && (listens == Certainty::Possible || is_told_apart(asks)) {
            return None;
        }
        let is_certain = listens == Certainty::Always
            && passes == Certainty::Always
            && when.is_none_or(|it| it == Some(true))
            && (!is_of_run || mapping.patterns.iter().any(names_runs));
        Some(Edge {
            to: (at, place),
            is_certain,
            ty: without_version(ty).unwrap_or(ty).to_owned(),
            is_of_run,
        })
    })
}

/// Whether an entry of `events` may be for what comes as a CloudEvent, or from the watch of runs.
fn comes_so(pattern: &Pattern, is_of_run: bool) -> bool {
    let Some((_, glob)) = pattern.attributes.iter().find(|(name, _)| name == VOUCHER) else { return true };
    let begins = glob.as_str().split('*').next().unwrap_or_default();
    let way = if is_of_run { "tekton:watch" } else { "events:" };
    way.starts_with(begins) || begins.starts_with(way)
}

/// Whether an entry of `events` speaks of types such as those of runs. An author who asks for everything may never have
/// thought of runs, and whose are not told has none.
fn names_runs(pattern: &Pattern) -> bool {
    let ty = pattern.attributes.iter().find(|(name, _)| name == "type").map(|(_, glob)| glob.as_str());
    ty.is_some_and(|ty| ty.starts_with("dev.cdevents."))
}

/// Whether an expression looks at anything but what all runs have alike.
fn tells_apart(expression: &Expression) -> bool {
    let looks = expression.looks();
    let is_common = |path: &[String]| {
        let below = path.split_first().filter(|(root, _)| *root == "event").map(|(_, below)| below);
        below.is_some_and(|below| COMMON.contains(&&*below.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let paths = looks.followed.iter().map(|(path, _)| path).chain(&looks.asked);
    paths.into_iter().any(|path| !is_common(path))
}

fn text(text: impl Into<String>) -> Fact {
    Fact::Is(Value::String(text.into()))
}

/// What is known of an event that a mapping emits.
fn of_emit(new: &NewEvent, catalog: &Catalog, path: &[&str]) -> Fact {
    match path {
        ["type"] => text(&*new.ty),
        ["specversion"] => text("1.0"),
        ["id" | "time"] => Fact::Present,
        ["source"] => {
            new.source.as_ref().map_or_else(|| text(&*catalog.event_source), |it| of_shape(it, &[]))
        }
        ["subject"] => new.subject.as_ref().map_or(Fact::Unknown, |it| of_shape(it, &[])),
        // It is the id of the event that came, unless the new one has the same.
        ["causationid"] if new.id.is_none() && new.links.is_none() => Fact::Present,
        ["data", rest @ ..] => match rest {
            [] => Fact::Present,
            _ if !is_cdevent(&new.ty) => part(new.content.as_ref(), rest),
            ["subject", "content", rest @ ..] => part(new.content.as_ref(), rest),
            ["customData", rest @ ..] => part(new.custom_data.as_ref(), rest),
            ["context", "type"] => text(&*new.ty),
            ["context" | "subject", ..] => Fact::Unknown,
            _ => Fact::Absent,
        },
        [name] => match new.extensions.iter().find(|(it, _)| it == name) {
            Some((_, shape)) => match of_shape(shape, &[]) {
                Fact::Is(Value::String(text)) if !text.is_empty() => Fact::Is(Value::String(text)),
                // One without a text is left out.
                _ => Fact::Unknown,
            },
            None => Fact::Unknown,
        },
        _ => Fact::Unknown,
    }
}

/// What is known of an event about a run that an action creates, or about a task of it.
fn of_run(
    mapping: &Mapping,
    action: &Action,
    run: &Run,
    kind: &str,
    ty: &str,
    catalog: &Catalog,
    path: &[&str],
) -> Fact {
    let pipeline = || match of_shape(&run.spec, &["pipelineRef", "name"]) {
        Fact::Is(name) if kind == "PipelineRun" => Fact::Is(name),
        _ => Fact::Unknown,
    };
    match path {
        ["type"] | ["data", "context", "type"] => text(ty),
        ["specversion"] => text("1.0"),
        ["source"] => text(&*catalog.event_source),
        [VOUCHER] => text("tekton:watch"),
        ["data"] | ["data", "customData" | "subject" | "context"] | ["data", "customData", "tekton"] => {
            Fact::Present
        }
        ["data", "customData", "mapping"] if kind == "PipelineRun" => text(&*mapping.name),
        ["data", "customData", "action"] if kind == "PipelineRun" => text(&*action.name),
        ["data", "customData", "tekton", "kind"] => text(kind),
        ["data", "customData", "tekton", "namespace"] => {
            text(run.namespace.as_deref().unwrap_or(&catalog.namespace))
        }
        ["data", "customData", "tekton", "pipeline"] | ["data", "subject", "content", "pipelineName"] => {
            pipeline()
        }
        ["data", "customData", "forge" | "repository" | "change" | "push" | "run", ..] => Fact::Absent,
        _ => Fact::Unknown,
    }
}

fn part(shape: Option<&Shape>, path: &[&str]) -> Fact {
    shape.map_or(Fact::Absent, |shape| of_shape(shape, path))
}

fn of_shape(shape: &Shape, path: &[&str]) -> Fact {
    match (shape, path) {
        (Shape::Literal(value), _) => {
            let found = path.iter().try_fold(value, |value, name| value.as_object()?.get(*name));
            found.map_or(Fact::Absent, |value| Fact::Is(value.clone()))
        }
        (Shape::Map(members), [name, rest @ ..]) => {
            part(members.iter().find(|(it, _)| it == name).map(|(_, inner)| inner), rest)
        }
        (Shape::Map(_) | Shape::List(_), []) => Fact::Present,
        (Shape::Leaf(_) | Shape::Commit(_) | Shape::List(_), _) => Fact::Unknown,
    }
}
