//! References to the context, to results and to the status of other tasks, and where they may stand.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::expression::{self, Names, PIPELINE, PIPELINE_RUN, PIPELINE_TASK};
use super::super::fields::{FieldErrors, join};
use super::super::view::{list, text, texts_of};
use super::super::{matrix, when};

/// Variables of the context; Tekton looks at the last task only.
pub fn check_context(tasks: &[Value], path: &str, errors: &mut FieldErrors) {
    let Some(task) = tasks.last() else { return };
    let params = list(task, "params").iter().chain(matrix::params(task));
    let place = join(path, "value");
    for value in params.filter_map(|param| param.get("value")).flat_map(texts_of) {
        PIPELINE_RUN.known(value, &Names::from(["name", "namespace", "uid"]), &place, errors);
        PIPELINE.known(value, &Names::from(["name"]), &place, errors);
        PIPELINE_TASK.known(value, &Names::from(["retries"]), &place, errors);
    }
}

/// The expressions of each param and each `when` of a task, with their places.
fn places(task: &Value) -> Vec<(Vec<&str>, String)> {
    let params = list(task, "params").iter().map(|param| {
        let found = param.get("value").into_iter().flat_map(texts_of).flat_map(expression::all).collect();
        (found, format!("params[{}].value", text(param, "name")))
    });
    let whens = list(task, "when")
        .iter()
        .enumerate()
        .map(|(at, when)| (when::expressions(when), format!("when[{at}]")));
    params.chain(whens).collect()
}

fn is_status(expression: &str) -> bool {
    expression.starts_with("tasks.") && (expression.ends_with(".status") || expression.ends_with(".reason"))
}

/// Only `finally` may ask how a task went.
pub fn check_status(tasks: &[Value], finally: &[Value], path: &str, errors: &mut FieldErrors) {
    let has_result = |found: &[&str]| found.iter().any(|found| expression::is_result(found));
    for (at, task) in tasks.iter().enumerate() {
        for (found, place) in places(task) {
            if !has_result(&found) && found.iter().any(|found| is_status(found)) {
                errors.add(
                    "invalid value: pipeline tasks can not refer to execution status of any other pipeline task or \
                     aggregate status of tasks",
                    join(path, &format!("tasks[{at}].{place}")),
                );
            }
        }
    }
    let names: BTreeSet<&str> = tasks.iter().map(|task| text(task, "name")).collect();
    for (at, task) in finally.iter().enumerate() {
        for (found, place) in places(task) {
            if has_result(&found) {
                continue;
            }
            for found in found.into_iter().filter(|found| *found != "tasks.status" && is_status(found)) {
                let name = found.strip_prefix("tasks.").unwrap_or(found);
                let name = name.strip_suffix(".status").or(name.strip_suffix(".reason")).unwrap_or(name);
                if !names.contains(name) {
                    errors.add(
                        format!("invalid value: pipeline task {name} is not defined in the pipeline"),
                        join(path, &format!("finally[{at}].{place}")),
                    );
                }
            }
        }
    }
}

/// What runs at the end runs after nothing in particular, and reads results of the tasks before it only.
pub fn check_finally(tasks: &[Value], finally: &[Value], path: &str, errors: &mut FieldErrors) {
    let names = |tasks: &'_ [Value]| -> BTreeSet<String> {
        tasks.iter().map(|task| text(task, "name").to_owned()).collect()
    };
    let (main, last) = (names(tasks), names(finally));
    for (at, task) in finally.iter().enumerate() {
        let place = join(path, &format!("finally[{at}]"));
        if !list(task, "runAfter").is_empty() {
            let message = format!(
                "invalid value: no runAfter allowed under spec.finally, final task {} has runAfter specified",
                text(task, "name")
            );
            errors.add(message, &place);
        }
        for (found, field) in places(task) {
            for task in found.into_iter().filter_map(expression::result).map(|result| result.task) {
                let message = "invalid value: invalid task result reference, final task has task result reference from a";
                let place = join(&place, &field);
                if last.contains(task) {
                    errors.add(format!("{message} final task {task}"), place);
                } else if !main.contains(task) {
                    errors.add(format!("{message} task {task} which is not defined in the pipeline"), place);
                }
            }
        }
    }
}

/// Every reference begins with something that Tekton knows.
pub fn check_prefixes(tasks: &[Value], path: &str, errors: &mut FieldErrors) {
    const PREFIXES: [&str; 6] = ["params", "tasks", "finally", "context", "workspaces", "results"];
    for (at, task) in tasks.iter().enumerate() {
        let matrix = matrix::params(task).map(|param| {
            let found = param.get("value").into_iter().flat_map(texts_of).flat_map(expression::all).collect();
            (found, format!("matrix.params[{}].value", text(param, "name")))
        });
        for (found, place) in places(task).into_iter().chain(matrix) {
            for found in found {
                if !PREFIXES.contains(&found.split('.').next().unwrap_or_default()) {
                    let message = format!(
                        "invalid value: invalid variable reference \"$({found})\", must start with a valid prefix: params, \
                         tasks, finally, context, workspaces, or results; if you meant a shell variable, use ${{VAR}} instead"
                    );
                    errors.add(message, join(path, &format!("[{at}].{place}")));
                }
            }
        }
    }
}
