//! The rules for `matrix` (tektoncd/pipeline, `matrix_types.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::expression::{self, Declared};
use super::fields::{FieldErrors, join};
use super::param;
use super::view::{list, text};

/// The most combinations, unless Tekton's settings say otherwise.
const LIMIT: usize = 256;

/// Whether a task has a matrix that makes combinations.
pub fn is_matrixed(task: &Value) -> bool {
    task.get("matrix")
        .is_some_and(|matrix| !list(matrix, "params").is_empty() || !list(matrix, "include").is_empty())
}

/// All params of a matrix, with those of its inclusions.
pub fn params(task: &Value) -> impl Iterator<Item = &Value> {
    task.get("matrix").into_iter().flat_map(|matrix| {
        list(matrix, "params")
            .iter()
            .chain(list(matrix, "include").iter().flat_map(|include| list(include, "params")))
    })
}

/// The rules for the matrices of a list of tasks.
pub fn check(tasks: &[Value], path: &str, errors: &mut FieldErrors) {
    for (at, task) in tasks.iter().enumerate() {
        let place = format!("{path}[{at}]");
        if let Some(matrix) = task.get("matrix").filter(|_| is_matrixed(task)) {
            let count = combinations(matrix);
            if count > LIMIT {
                errors.gated(
                    "default-max-matrix-combinations-count",
                    format!("expected 0 <= {count} <= {LIMIT}"),
                    join(&place, "matrix"),
                );
            }
            for (index, include) in list(matrix, "include").iter().enumerate() {
                let place = join(&place, &format!("matrix.include[{index}].params"));
                param::check_passed(list(include, "params"), &place, errors);
            }
            param::check_passed(list(matrix, "params"), &join(&place, "matrix.params"), errors);
        }
        let names: BTreeSet<&str> = params(task).map(|param| text(param, "name")).collect();
        for param in list(task, "params") {
            let name = text(param, "name");
            if names.contains(name) {
                let paths = [format!("matrix[{name}]"), format!("params[{name}]")];
                errors.about("expected exactly one, got both", &paths.map(|path| join(&place, &path)));
            }
        }
    }
    check_results(tasks, path, errors);
}

/// The references to params of the pipeline in a matrix.
pub fn check_params(task: &Value, declared: &Declared<'_>, path: &str, errors: &mut FieldErrors) {
    let Some(matrix) = task.get("matrix").filter(|_| is_matrixed(task)) else { return };
    for include in list(matrix, "include") {
        for (at, param) in list(include, "params").iter().enumerate() {
            let place = join(path, &format!("matrix.include.params[{at}]"));
            declared.in_text(text(param, "value"), &place, errors);
        }
    }
    for param in list(matrix, "params") {
        for (at, item) in list(param, "value").iter().filter_map(Value::as_str).enumerate() {
            let place = join(path, &format!("matrix.params[{}].value[{at}]", text(param, "name")));
            declared.in_item(item, &place, errors);
        }
    }
}

fn combinations(matrix: &Value) -> usize {
    let (params, include) = (list(matrix, "params"), list(matrix, "include"));
    let mut count: usize = usize::from(!params.is_empty());
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for param in params {
        let items: Vec<&str> = list(param, "value").iter().filter_map(Value::as_str).collect();
        if !items.is_empty() {
            count = count.saturating_mul(items.len());
        }
        values.insert(text(param, "name"), items.into_iter().collect());
    }
    let more = if params.is_empty() {
        include.len()
    } else {
        let mut more = 0_usize;
        for include in include {
            for param in list(include, "params") {
                if let Some(values) = values.get(text(param, "name")) {
                    if values.contains(text(param, "value")) {
                        break;
                    }
                    more += 1;
                }
            }
        }
        more
    };
    count.saturating_add(more)
}

/// The results of a matrix are read all together, and are texts.
fn check_results(tasks: &[Value], path: &str, errors: &mut FieldErrors) {
    let by_name: BTreeMap<&str, &Value> = tasks.iter().map(|task| (text(task, "name"), task)).collect();
    let mut last: Vec<&str> = Vec::new();
    for param in tasks.iter().flat_map(|task| list(task, "params")) {
        let found: Vec<&str> = param
            .get("value")
            .into_iter()
            .flat_map(super::view::texts_of)
            .flat_map(expression::all)
            .filter(|found| expression::is_result(found))
            .collect();
        if found.is_empty() {
            continue;
        }
        last = found
            .into_iter()
            .filter(|found| {
                let task = found.split('.').nth(1).and_then(|task| by_name.get(task));
                task.is_some_and(|task| is_matrixed(task))
            })
            .collect();
        let mut is_wrong = false;
        for single in last.iter().filter(|found| !found.ends_with("[*]")) {
            is_wrong = true;
            let message = format!(
                "A matrixed pipelineTask can only be consumed in aggregate using [*] notation, but is currently set to {single}"
            );
            errors.add(message, path);
        }
        if is_wrong {
            return;
        }
    }
    for reference in last.into_iter().filter_map(expression::result) {
        let Some(task) = by_name.get(reference.task) else { continue };
        let spec = match task.get("taskRef") {
            Some(other) => by_name.get(text(other, "name")).and_then(|task| task.get("taskSpec")),
            None => task.get("taskSpec"),
        };
        for result in spec.map(|spec| list(spec, "results")).unwrap_or_default() {
            let ty = match text(result, "type") {
                "" if super::view::map(result, "properties").is_some() => "object",
                "" => "string",
                ty => ty,
            };
            if text(result, "name") == reference.result && ty != "string" {
                let message = format!(
                    "invalid value: Matrixed PipelineTasks emitting results must have an underlying type string, but \
                     result {} has type {ty} in pipelineTask",
                    reference.result
                );
                errors.add(message, path);
            }
        }
    }
}
