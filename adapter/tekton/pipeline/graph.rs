//! The order of a pipeline's tasks: what a task waits for is there, and nothing waits for itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::fields::FieldErrors;
use super::super::view::{list, text, texts, texts_of};
use super::super::{expression, matrix, task as steps, when};

/// The tasks whose results a task reads.
pub fn results(task: &Value) -> BTreeSet<&str> {
    let params = list(task, "params").iter().chain(matrix::params(task));
    let mut all: Vec<&str> =
        params.filter_map(|param| param.get("value")).flat_map(texts_of).flat_map(expression::all).collect();
    all.extend(list(task, "when").iter().flat_map(when::expressions));
    if let Some(spec) = task.get("taskSpec") {
        all.extend(list(spec, "steps").iter().chain(list(spec, "sidecars")).flat_map(steps::expressions));
    }
    all.into_iter().filter_map(expression::result).map(|result| result.task).collect()
}

/// Checks the graph of the tasks that stand at `path`.
pub fn check(tasks: &[Value], path: &str, errors: &mut FieldErrors) {
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for task in tasks {
        let name = text(task, "name");
        let mut wanted = results(task);
        wanted.extend(texts(task, "runAfter"));
        if needs.insert(name, wanted).is_some() {
            let message = format!(
                "invalid value: task {name} is already present in Graph, can't add it again: duplicate pipeline task"
            );
            errors.add(message, path);
            return;
        }
    }
    let missing: Vec<(&str, &str)> = needs
        .iter()
        .flat_map(|(name, wanted)| wanted.iter().map(move |wanted| (*name, *wanted)))
        .filter(|(_, wanted)| !needs.contains_key(wanted))
        .collect();
    if let Some((name, wanted)) = cycle(needs) {
        let wanted: Vec<String> = wanted.iter().map(|wanted| format!("{wanted:?}")).collect();
        let message =
            format!("invalid value: cycle detected; task {name:?} depends on {}", wanted.join(", "));
        errors.add(message, path);
        return;
    }
    if let Some((name, wanted)) = missing.first() {
        let message = format!(
            "invalid value: couldn't add link between {name} and {wanted}: task {name} depends on {wanted} but {wanted} \
             wasn't present in Pipeline"
        );
        errors.add(message, path);
    }
}

/// The first task of those that wait for each other.
fn cycle<'a>(mut needs: BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<(&'a str, BTreeSet<&'a str>)> {
    // What depends on nothing any more is taken out until the cycles are left; what is not there counts as done.
    loop {
        let names: BTreeSet<&str> = needs.keys().copied().collect();
        let free: Vec<&str> = needs
            .iter()
            .filter(|(_, needs)| needs.iter().all(|need| !names.contains(need)))
            .map(|(name, _)| *name)
            .collect();
        if free.is_empty() {
            let (name, wanted) = needs.into_iter().next()?;
            return Some((name, wanted.into_iter().filter(|wanted| names.contains(wanted)).collect()));
        }
        for name in free {
            needs.remove(name);
        }
    }
}
