//! What `check` and a load warn of: what is probably not meant, and nothing that recorded payloads have.

use std::path::Path;
use std::sync::Arc;

use pipewright::event::Event;
use pipewright::mapping::{Catalog, MappingSet, load};
use pipewright::vocabulary::members::{Members, members, raw_members};
use pipewright::vocabulary::options::Options;
use pipewright::vocabulary::tekton::{Cluster, RunKind, transitions};
use pipewright::vocabulary::told::types;
use pipewright::vocabulary::{Forge, Webhook, events_with};
use serde_json::Value;

use crate::support::corpus;
use crate::support::program::{Dev, Folder, PROJECT, run};
use crate::vocabulary_forges::payloads;

const DOUBTS: &str = "tests/fixtures/mappings-with-doubts";

#[test]
fn one_of_each_is_told_with_its_place_and_what_to_do() {
    let checked = run(&["check", DOUBTS]);
    assert_eq!(checked.code, 0, "{}", checked.err);
    insta::assert_snapshot!("doubts", checked.out);
    let warnings = checked.out.matches("\nwarning[").count() + 1;
    assert_eq!(checked.out.matches("= hint: ").count(), warnings);
}

#[test]
fn strict_lets_warnings_fail_and_json_says_which_they_are() {
    let strict = run(&["check", "--strict", DOUBTS]);
    assert_eq!(strict.code, 1);
    assert!(strict.out.ends_with(" warnings (--strict lets them fail)\n"), "{}", strict.out);
    let json = run(&["check", "--strict", "-o", "json", DOUBTS]);
    assert_eq!((json.code, &json.json()["errors"], &json.json()["mappings"]), (1, &0.into(), &5.into()));
    let found = json.json()["diagnostics"].as_array().unwrap().clone();
    assert!(found.len() == 30 && found.iter().all(|it| it["severity"] == "warning"), "{found:?}");
    let mut codes: Vec<&str> = found.iter().map(|it| it["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    codes.dedup();
    let wanted = [
        "event-loop",
        "foreign-variable",
        "optional-event",
        "unknown-attribute",
        "unknown-path",
        "unknown-type",
    ];
    assert_eq!(codes, wanted);

    // What has no warning passes, and what is wrong fails as ever.
    assert_eq!(run(&["check", "--strict"]).code, 0);
    assert_eq!(run(&["check", "--strict", "tests/fixtures/mappings-with-12-mistakes"]).code, 1);
}

#[test]
fn the_settings_say_what_is_told() {
    let folder = Folder::new("check-settings");
    let write = |name: &str, text: &str| {
        let path = folder.path(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mappings = write(
        "mappings.yaml",
        "apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {name: told}\nspec:\n  events:\n  \
         - type: dev.cdeventsx.forge-comment.created\n  - type: dev.cdeventsx.tekton-pipelinerun.progressed\n  \
         - type: com.docker.hub.pusch\n  do:\n  - {name: x, emit: {type: com.example.x, content: {}}}\n",
    );
    let settings = write(
        "settings.yaml",
        "apiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec:\n  optionalEvents: [comments]\n  announceProgress: true\n---\n\
         apiVersion: pipewright.dev/v1alpha1\nkind: Source\nmetadata: {name: docker-hub}\nspec:\n  generic: {type: com.docker.hub.push, source: https://hub.docker.com}\n  insecure: true\n",
    );
    let alone = run(&["check", &mappings]);
    assert!(alone.out.contains("`optionalEvents: [comments]`"), "{}", alone.out);
    assert!(alone.out.contains("`announceProgress: true`"), "{}", alone.out);
    assert!(alone.out.ends_with("1 mapping, no errors, 2 warnings\n"), "{}", alone.out);
    let with = run(&["check", "--settings", &settings, &mappings]);
    assert!(with.out.contains("did you mean `com.docker.hub.push`?"), "{}", with.out);
    assert!(with.out.ends_with("1 mapping, no errors, 1 warning\n"), "{}", with.out);
}

#[test]
fn the_examples_are_run_all_the_same_and_the_warnings_told_beside_them() {
    let tested = run(&["test", DOUBTS]);
    assert!(tested.err.contains("warning[unknown-path]"), "{}", tested.err);
    assert!(tested.out.contains("nothing was tested"), "{}", tested.out);
    assert_eq!(run(&["test"]).err, "");
}

#[test]
fn a_start_and_a_reload_tell_the_warnings_and_serve_the_mappings() {
    let folder = Folder::new("check-dev");
    let own = folder.path("own");
    std::fs::create_dir(&own).unwrap();
    let file = std::path::Path::new(&own).join("m.yaml");
    let mapping = |ty: &str| {
        format!(
            "apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {{name: doubtful}}\nspec:\n  events: [{{type: {ty}}}]\n  \
             do: [{{name: x, emit: {{type: com.example.x, content: {{}}}}}}]\n"
        )
    };
    std::fs::write(&file, mapping("com.github.pull_requst.opened")).unwrap();
    let dev = Dev::with(folder, &["--mappings", &own]);
    let told = dev.wait_for_error("did you mean `com.github.pull_request.opened`?");
    assert!(told.contains("mappings work, and probably not as they are meant"), "{told}");
    std::fs::write(&file, mapping("com.gitlab.merge_request.opened")).unwrap();
    let told = dev.wait_for_error("mappings reloaded: 16 in force");
    assert!(told.contains("did you mean `com.gitlab.merge_request.open`?"), "{told}");
}

/// Every mapping that lies in the project but those that are wrong on purpose.
#[test]
fn no_mapping_of_ours_is_warned_of() {
    let mut report = pipewright::diagnostic::Report::default();
    for folder in ["mappings", "config", "deploy", "tests/fixtures"] {
        let path = Path::new(PROJECT).join(folder);
        let mut files = load::read(&[path], &mut pipewright::diagnostic::Report::default());
        files.retain(|file| file.text.contains("kind: Mapping") && !file.path.contains("mappings-with-"));
        if let Ok((_, warnings)) = MappingSet::compile(&files, &Catalog::default()) {
            report.extend(warnings);
        }
    }
    assert_eq!(report.warnings().count(), 0, "{report}");
}

/// Every payload that was recorded, of whatever forge.
fn told() -> Option<Vec<(String, Vec<Event>)>> {
    let root = corpus::root()?;
    let mut all: Vec<(String, Forge, String, Vec<u8>)> = corpus::github(&root)
        .into_iter()
        .map(|it| (it.name, Forge::GitHub, it.event, it.body))
        .chain(payloads(&root).into_iter().map(|it| (it.name, it.forge, it.event, it.body)))
        .collect();
    for path in corpus::json_files(&root.join("forge/gitea-live")) {
        let capture = corpus::json(&path);
        if !capture["body"].is_object() {
            continue;
        }
        let headers = capture["request"]["headers"].as_array().unwrap();
        let event =
            headers.iter().find(|it| it[0] == "X-Gitea-Event").unwrap()[1].as_str().unwrap().to_owned();
        let name = path.display().to_string();
        all.push((name, Forge::Gitea, event, capture["body"].to_string().into_bytes()));
    }
    let events = |(name, forge, event, body): (String, Forge, String, Vec<u8>)| {
        let webhook = Webhook {
            forge,
            event,
            delivery: "d".to_owned(),
            body: body.into(),
            received: "2026-01-02T03:04:05Z".parse().unwrap(),
        };
        Some((name, events_with(&webhook, &Options::everything()).ok()?))
    };
    Some(all.into_iter().filter_map(events).collect())
}

#[test]
fn every_type_that_a_recorded_payload_becomes_is_known() {
    let Some(all) = told() else { return };
    assert!(all.len() > 250, "{}", all.len());
    let unknown: Vec<String> = all
        .iter()
        .flat_map(|(name, events)| events.iter().map(move |event| (name, event.ty())))
        .filter(|(_, ty)| !types().has(ty))
        .map(|(name, ty)| format!("{ty} of {name}"))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_member_that_a_recorded_payload_becomes_is_known() {
    let Some(all) = told() else { return };
    let mut unknown = std::collections::BTreeSet::new();
    let mut seen = 0;
    for event in all.iter().flat_map(|(_, events)| events).filter(|it| it.ty().starts_with("dev.cdevents")) {
        let bare = event.ty().rsplitn(4, '.').last().unwrap();
        walk(bare, &mut Vec::new(), event.tree().unwrap(), &mut |path| {
            unknown.insert(format!("{bare}: {path}"));
        });
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

fn walk<'v>(ty: &str, path: &mut Vec<&'v str>, value: &'v Value, missing: &mut impl FnMut(String)) {
    let Value::Object(object) = value else { return };
    let known = members(ty, path);
    for (name, value) in object {
        let has = match &known {
            Members::Any => return,
            Members::None => false,
            Members::Usual(names) | Members::Only(names) => names.contains(&name.as_str()),
        };
        path.push(name);
        if has {
            walk(ty, path, value, missing);
        } else {
            missing(path.join("."));
        }
        path.pop();
    }
}

/// The table has everything at its places, so that nothing that is sent is taken for a slip.
#[test]
fn every_member_of_a_recorded_payload_is_in_the_table() {
    let Some(all) = told() else { return };
    let mut unknown = std::collections::BTreeSet::new();
    for event in all.iter().flat_map(|(_, events)| events).filter(|it| it.ty().starts_with("com.")) {
        walk_raw(event.ty(), &mut Vec::new(), event.tree().unwrap(), &mut unknown);
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

fn walk_raw<'v>(
    ty: &str,
    path: &mut Vec<&'v str>,
    value: &'v Value,
    unknown: &mut std::collections::BTreeSet<String>,
) {
    let (Value::Object(object), Members::Usual(names)) = (value, raw_members(ty, path)) else { return };
    for (name, value) in object {
        path.push(name);
        if names.contains(&name.as_str()) {
            walk_raw(ty, path, value, unknown);
        } else {
            unknown.insert(format!("{ty}: {}", path.join(".")));
        }
        path.pop();
    }
}

/// Runs that were watched, as their events tell of them.
#[test]
fn every_member_of_an_event_about_a_run_is_known() {
    let Some(root) = corpus::root() else { return };
    let cluster = Cluster::new("https://tekton.example.com/c", None, "https://10.0.0.1:6443").unwrap();
    let mut seen = 0;
    for path in corpus::json_files(&root.join("tekton-events")) {
        let body = corpus::json(&path)["body"].take();
        for (name, kind) in [("pipelineRun", RunKind::PipelineRun), ("taskRun", RunKind::TaskRun)] {
            let Some(object) = body.get(name) else { continue };
            for transition in transitions(object, kind, &cluster) {
                let event = transition.event;
                let bare = event.ty().rsplitn(4, '.').last().unwrap().to_owned();
                walk(&bare, &mut Vec::new(), event.tree().unwrap(), &mut |path| panic!("{bare}: {path}"));
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

/// A mapping of the documentation is one that people copy.
#[test]
fn no_mapping_of_the_documentation_is_warned_of() {
    for page in
        ["mappings.md", "events.md", "generic.md", "testing.md", "deploy.md", "forges.md", "operations.md"]
    {
        let Ok(text) = std::fs::read_to_string(Path::new(PROJECT).join("docs").join(page)) else { continue };
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            if !block.contains("kind: Mapping") {
                continue;
            }
            let file = pipewright::mapping::File { path: page.to_owned(), text: Arc::from(block) };
            if let Ok((_, report)) = MappingSet::compile(&[file], &Catalog::default()) {
                assert_eq!(report.warnings().count(), 0, "{page}\n{report}");
            }
        }
    }
}
