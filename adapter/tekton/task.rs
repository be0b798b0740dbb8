//! The rules for tasks and their steps (tektoncd/pipeline, `task_validation.go`, `container_validation.go` and
//! `result_validation.go`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::expression::{self, Names, PARAMS, Prefix, RESULTS, STEP_RESULTS, TASK, TASK_RUN};
use super::fields::{FieldErrors, join};
use super::param::{self, ParamSpec};
use super::view::{is_set, list, map, text, texts};
use super::{name, reference, when};

const LABEL_HELP: &str = "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#names";
const RESULT_HELP: &str = "must consist of alphanumeric characters, '-', '_', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my-name',  or 'my_name', regex used for validation is \
    '^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$')";

/// The rules for the spec of a task, wherever it stands.
pub fn check(task: &Value, path: &str, errors: &mut FieldErrors) {
    let steps = list(task, "steps");
    if steps.is_empty() {
        errors.add("missing field(s)", join(path, "steps"));
    }
    check_workspaces(task, path, errors);
    let template = task.get("stepTemplate");
    let has_image = template.is_some_and(|template| !text(template, "image").is_empty());
    let mut seen = BTreeSet::new();
    for (at, step) in steps.iter().enumerate() {
        let place = join(path, &format!("steps[{at}]"));
        let name = text(step, "name");
        if !name.is_empty() && !seen.insert(name) {
            errors.add("expected exactly one, got both", join(&place, "name"));
        }
        check_step(step, has_image, &place, errors);
        check_step_results(step, &place, errors);
        when::check(list(step, "when"), &join(&place, "when"), errors);
    }
    for sidecar in list(task, "sidecars") {
        check_sidecar(sidecar, &join(path, "sidecars"), errors);
    }
    let params = param::specs(task);
    param::check_types(&params, &join(path, "params"), errors);
    check_params_in_steps(steps, &params, path, errors);
    in_steps(steps, &TASK_RUN, &Names::from(["name", "namespace", "uid"]), path, errors);
    in_steps(steps, &TASK, &Names::from(["name", "retry-count"]), path, errors);
    let results: Names<'_> = list(task, "results").iter().map(|result| text(result, "name")).collect();
    for (at, step) in steps.iter().enumerate() {
        RESULTS.known(text(step, "script"), &results, &join(path, &format!("steps[{at}].script")), errors);
    }
    for (at, result) in list(task, "results").iter().enumerate() {
        check_result(result, &join(path, &format!("results[{at}]")), errors);
    }
}

/// Params that are declared, and arrays where steps may not have them.
pub fn check_params_in_steps(steps: &[Value], params: &[ParamSpec], path: &str, errors: &mut FieldErrors) {
    param::check_unique(params, path, errors);
    param::check_enums(params, &join(path, "params"), errors);
    param::check_names(params, path, errors);
    let arrays = param::arrays(params);
    each_text(steps, path, |text, place, kind| match kind {
        Place::Argument => PARAMS.alone(text, &arrays, place, errors),
        Place::Plain => PARAMS.not(text, &arrays, place, errors),
        Place::OnError => {}
    });
}

/// Every param that steps refer to is declared.
pub fn check_usage(steps: &[Value], params: &[ParamSpec], path: &str, errors: &mut FieldErrors) {
    let all: Names<'_> = params.iter().map(|spec| spec.name.as_str()).collect();
    in_steps(steps, &PARAMS, &all, path, errors);
    let mut objects = Names::new();
    for spec in params.iter().filter(|spec| spec.ty == "object") {
        objects.insert(&spec.name);
        let keys: Names<'_> = spec.properties.iter().flatten().map(|(key, _)| key.as_str()).collect();
        in_steps(steps, &Prefix::new(&format!(r"params\.{}", spec.name)), &keys, path, errors);
    }
    each_text(steps, path, |text, place, kind| {
        if !matches!(kind, Place::OnError) {
            PARAMS.not_whole(text, &objects, place, errors);
        }
    });
    param::check_properties(params, path, errors);
}

/// What a text of a step is.
#[derive(Clone, Copy)]
enum Place {
    Plain,
    /// Of `command` or `args`, where an array may stand.
    Argument,
    OnError,
}

fn in_steps(steps: &[Value], prefix: &Prefix, known: &Names<'_>, path: &str, errors: &mut FieldErrors) {
    each_text(steps, path, |text, place, _| prefix.known(text, known, place, errors));
}

/// Every text of every step that may hold references.
fn each_text(steps: &[Value], path: &str, mut look: impl FnMut(&str, &str, Place)) {
    for (at, step) in steps.iter().enumerate() {
        let place = join(path, &format!("steps[{at}]"));
        let mut see = |text: &str, field: &str, kind: Place| {
            if text.contains("$(") {
                look(text, &join(&place, field), kind);
            }
        };
        for field in ["name", "image", "workingDir", "script"] {
            see(text(step, field), field, Place::Plain);
        }
        for field in ["command", "args"] {
            for (at, argument) in texts(step, field).enumerate() {
                see(argument, &format!("{field}[{at}]"), Place::Argument);
            }
        }
        for variable in list(step, "env") {
            see(text(variable, "value"), &format!("env[{}]", text(variable, "name")), Place::Plain);
        }
        for (at, mount) in list(step, "volumeMounts").iter().enumerate() {
            for field in ["name", "mountPath", "subPath"] {
                see(text(mount, field), &format!("volumeMount[{at}].{field}"), Place::Plain);
            }
        }
        see(text(step, "onError"), "onError", Place::OnError);
    }
}

/// What stands between `$(` and `)` in a step or sidecar.
pub fn expressions(container: &Value) -> Vec<&str> {
    let mut all = Vec::new();
    for field in ["name", "image", "imagePullPolicy", "script", "workingDir"] {
        all.extend(expression::all(text(container, field)));
    }
    for field in ["command", "args"] {
        all.extend(texts(container, field).flat_map(expression::all));
    }
    for variable in list(container, "env") {
        all.extend(expression::all(text(variable, "value")));
        for source in ["secretKeyRef", "configMapKeyRef"] {
            if let Some(source) = variable.get("valueFrom").and_then(|from| from.get(source)) {
                all.extend(expression::all(text(source, "key")));
                all.extend(expression::all(text(source, "name")));
            }
        }
    }
    all
}

fn check_step(step: &Value, has_image: bool, path: &str, errors: &mut FieldErrors) {
    let script = text(step, "script");
    let used = texts(step, "command").chain(texts(step, "args"));
    let used = used.chain(list(step, "env").iter().map(|variable| text(variable, "value")));
    if used.chain([script]).any(expression::has_artifact) {
        errors.gated(
            "enable-artifacts",
            "feature flag enable-artifacts should be set to true to use artifacts feature.",
            path,
        );
        return;
    }
    if let Some(step_action) = step.get("ref") {
        reference::check(step_action, path, errors);
        for (field, shown) in [
            ("image", "image"),
            ("command", "command"),
            ("args", "args"),
            ("script", "script"),
            ("workingDir", "working dir"),
            ("env", "env"),
            ("volumeMounts", "volumeMounts"),
            ("results", "results"),
        ] {
            if is_set(step, field) {
                errors.add(format!("{shown} cannot be used with Ref"), join(path, field));
            }
        }
    } else {
        if is_set(step, "params") {
            errors.add("params cannot be used without Ref", join(path, "params"));
        }
        if text(step, "image").is_empty() && !has_image {
            errors.add("missing field(s)", join(path, "Image"));
        }
        if !script.is_empty() && is_set(step, "command") {
            errors.add("script cannot be used with command", join(path, "script"));
        }
    }
    let name = text(step, "name");
    if !name.is_empty() && !name::is_label(name) {
        errors.detailed(
            format!("invalid value {name:?}"),
            join(path, "name"),
            &format!("Task step name must be a valid DNS Label, For more info refer to {LABEL_HELP}"),
        );
    }
    if let Some(timeout) = step.get("timeout").and_then(Value::as_i64).filter(|timeout| *timeout < 0) {
        let shown = super::duration::print(timeout);
        errors.add(format!("invalid value: {shown}"), join(path, "negative timeout"));
        return;
    }
    for (at, mount) in list(step, "volumeMounts").iter().enumerate() {
        let (name, mount_path) = (text(mount, "name"), text(mount, "mountPath"));
        let clean = clean(mount_path);
        let place = join(path, &format!("volumeMounts[{at}]"));
        if clean.starts_with("/tekton/") && !clean.starts_with("/tekton/home") {
            let message = format!(
                "volumeMount cannot be mounted under /tekton/ (volumeMount {name:?} mounted at {mount_path:?})"
            );
            errors.add(message, join(&place, "mountPath"));
        }
        if name.starts_with("tekton-internal-") {
            let message = format!("volumeMount name {name:?} cannot start with \"tekton-internal-\"");
            errors.add(message, join(&place, "name"));
        }
    }
    let on_error = text(step, "onError");
    if !["", "continue", "stopAndFail"].contains(&on_error) && !on_error.starts_with("$(params") {
        errors.detailed(
            format!("invalid value: \"{on_error}\""),
            join(path, "onError"),
            "Task step onError must be either \"continue\" or \"stopAndFail\"",
        );
    }
    if script.trim().starts_with("#!win") {
        errors.gated(
            "enable-api-fields",
            "windows script support requires \"enable-api-fields\" feature gate to be \"alpha\" but it is \"beta\"",
            join(path, "script"),
        );
    }
    for (field, shown) in [("stdoutConfig", "stdout"), ("stderrConfig", "stderr")] {
        if is_set(step, field) {
            errors.gated(
                "enable-api-fields",
                format!(
                    "step {shown} stream support requires \"enable-api-fields\" feature gate to be \"alpha\" but it is \"beta\""
                ),
                join(path, &field.to_lowercase()),
            );
        }
    }
    check_references(step, path, errors);
}

/// Results and artifacts of other steps stand only where a step can be given them.
fn check_references(step: &Value, path: &str, errors: &mut FieldErrors) {
    let mut places: Vec<(String, &str)> = ["name", "image", "script", "imagePullPolicy", "workingDir"]
        .iter()
        .map(|field| ((*field).to_owned(), text(step, field)))
        .collect();
    for source in list(step, "envFrom") {
        places.push(("envFrom.prefix".to_owned(), text(source, "prefix")));
        for field in ["configMapRef", "secretRef"] {
            let name = source.get(field).map(|reference| text(reference, "name")).unwrap_or_default();
            places.push((format!("envFrom.{field}"), name));
        }
    }
    for (owner, fields) in
        [("volumeMounts", &["name", "mountPath", "subPath"][..]), ("volumeDevices", &["name", "devicePath"])]
    {
        for item in list(step, owner) {
            places.extend(fields.iter().map(|field| (format!("{owner}.{field}"), text(item, field))));
        }
    }
    for (field, text) in places {
        if expression::has_step_result(text) {
            errors.add(
                "stepResult substitutions are only allowed in env, command and args. Found usage in",
                join(path, &field),
            );
        }
        if field != "script" && expression::has_step_artifact(text) {
            errors.add(
                "stepArtifact substitutions are only allowed in env, command, args and script. Found usage in",
                join(path, &field),
            );
        }
    }
}

fn check_step_results(step: &Value, path: &str, errors: &mut FieldErrors) {
    let results = list(step, "results");
    if results.is_empty() {
        return;
    }
    let names: Names<'_> = results.iter().map(|result| text(result, "name")).collect();
    STEP_RESULTS.known(text(step, "script"), &names, &join(path, "script"), errors);
    for (at, result) in results.iter().enumerate() {
        let place = join(path, &format!("results[{at}]"));
        let (name, ty) = (text(result, "name"), text(result, "type"));
        if !name::is_result(name) {
            let help = format!("Name {RESULT_HELP}");
            errors.detailed(format!("invalid key name {name:?}"), join(&place, "name"), &help);
        } else if ty == "object" {
            check_object(result, name, &place, "the value type", errors);
        } else if !["", "array", "string"].contains(&ty) {
            let help = format!("invalid type {ty}");
            errors.detailed(format!("invalid value: {ty}"), join(&place, "type"), &help);
        }
    }
}

fn check_sidecar(sidecar: &Value, path: &str, errors: &mut FieldErrors) {
    if text(sidecar, "name") == "tekton-log-results" {
        let message = "Invalid: cannot use reserved sidecar name tekton-log-results ";
        errors.add(message, join(path, "name"));
    }
    if text(sidecar, "image").is_empty() {
        errors.add("missing field(s)", join(path, "image"));
    }
    if is_set(sidecar, "script") && is_set(sidecar, "command") {
        errors.add("script cannot be used with command", join(path, "script"));
    }
}

fn check_result(result: &Value, path: &str, errors: &mut FieldErrors) {
    let name = text(result, "name");
    if !name::is_result(name) {
        let help = format!("Name {RESULT_HELP}");
        errors.detailed(format!("invalid key name {name:?}"), join(path, "name"), &help);
        return;
    }
    let ty = match text(result, "type") {
        "" if map(result, "properties").is_some() => "object",
        ty => ty,
    };
    match ty {
        "object" => check_object(result, name, path, "The value type", errors),
        "array" | "" | "string" => {}
        ty => errors.detailed(format!("invalid value: {ty}"), join(path, "type"), "type must be string"),
    }
    let Some(value) = result.get("value") else { return };
    let Some(value) = value.as_str() else {
        let message = format!("Invalid Type. Wanted string but got: \"{}\"", super::view::type_of(value));
        errors.add(message, join(path, &format!("{name}.type")));
        return;
    };
    if value.is_empty() {
        return;
    }
    let place = join(path, &format!("{name}.value"));
    let Some((step, result)) = expression::step_result(value) else {
        let message = format!(
            "Could not extract step name and result name. Expected value to look like \
             $(steps.<stepName>.results.<resultName>) but got \"{value}\""
        );
        errors.add(message, place);
        return;
    };
    if !name::is_label(&step) {
        let help = format!(
            "stepName in $(steps.<stepName>.results.<resultName>) must be a valid DNS Label, For more info refer to \
             {LABEL_HELP}"
        );
        errors.detailed(format!("invalid extracted step name {step:?}"), &place, &help);
    }
    if !name::is_result(&result) {
        let help = format!("resultName in $(steps.<stepName>.results.<resultName>) {RESULT_HELP}");
        errors.detailed(format!("invalid extracted result name {result:?}"), &place, &help);
    }
}

fn check_object(result: &Value, name: &str, path: &str, words: &str, errors: &mut FieldErrors) {
    let place = join(path, &format!("{name}.properties"));
    let properties = map(result, "properties").filter(|properties| !properties.is_empty());
    let Some(properties) = properties else {
        errors.add("missing field(s)", place);
        return;
    };
    let is_defaulted = words.starts_with('T');
    let wrong: Vec<&str> = properties
        .iter()
        .filter(|(_, property)| match text(property, "type") {
            "string" => false,
            "" => !is_defaulted,
            _ => true,
        })
        .map(|(key, _)| key.as_str())
        .collect();
    if !wrong.is_empty() {
        let keys = wrong.join(" ");
        errors.add(
            format!("{words} specified for these keys [{keys}] is invalid, the type must be string"),
            place,
        );
    }
}

fn check_workspaces(task: &Value, path: &str, errors: &mut FieldErrors) {
    let steps = list(task, "steps");
    let template =
        task.get("stepTemplate").map(|template| list(template, "volumeMounts")).unwrap_or_default();
    let mounts = steps.iter().flat_map(|step| list(step, "volumeMounts")).chain(template);
    let mut taken: BTreeSet<String> = mounts.map(|mount| clean(text(mount, "mountPath"))).collect();
    let mut names = BTreeSet::new();
    for (at, workspace) in list(task, "workspaces").iter().enumerate() {
        let name = text(workspace, "name");
        let place = join(path, &format!("workspaces[{at}]"));
        if !names.insert(name) {
            errors.add(format!("workspace name {name:?} must be unique"), join(&place, "name"));
        }
        let mount = match text(workspace, "mountPath") {
            "" => clean(&format!("/workspace/{name}")),
            mount => clean(mount),
        };
        if taken.contains(&mount) {
            let message = format!("workspace mount path {mount:?} must be unique");
            errors.add(message, join(&place, "mountpath"));
        }
        taken.insert(mount);
    }
    for owner in ["steps", "sidecars"] {
        for (at, container) in list(task, owner).iter().enumerate() {
            for (index, workspace) in list(container, "workspaces").iter().enumerate() {
                let name = text(workspace, "name");
                if !names.contains(name) {
                    let place = format!("{owner}[{at}].workspaces[{index}].name");
                    errors.add(format!("undefined workspace {name:?}"), join(path, &place));
                }
            }
        }
    }
}

/// A path as Go's `filepath.Clean` has it.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&"..") | None if !rooted => parts.push(".."),
                _ => {
                    parts.pop();
                }
            },
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, cleaned) in [
            ("", "."),
            ("/a//b/./c/..", "/a/b"),
            ("/..", "/"),
            ("a/../..", ".."),
            ("./x/", "x"),
            ("/tekton/", "/tekton"),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }
}
