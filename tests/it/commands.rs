//! Commands where there is nothing to do, where there is more than what is ours, and for sources that are no forges.

use serde_json::json;

use crate::support::program::{Dev, Folder, Ran, run};

const MAPPING: &str = "apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {name: told}\nspec:\n  \
    events: [{type: com.example.*}]\n  do:\n    - name: tell\n      emit: {type: dev.cdeventsx.acme-note.seen.0.1.0, to: chat, \
    subject: s, content: {}}\n";
const SETTINGS: &str = "apiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec: {mappings: [mappings]}\n---\n\
    apiVersion: pipewright.dev/v1alpha1\nkind: Sink\nmetadata: {name: chat}\nspec: {url: 'http://127.0.0.1:1/'}\n---\n\
    apiVersion: pipewright.dev/v1alpha1\nkind: Source\nmetadata: {name: by-token}\n\
    spec: {generic: {type: com.example.told, source: /it}, secrets: [{file: nowhere}]}\n---\n\
    apiVersion: pipewright.dev/v1alpha1\nkind: Source\nmetadata: {name: by-header}\n\
    spec: {generic: {type: com.example, source: /it, eventHeader: X-Event, idHeader: X-Id, tokenHeader: X-Token}, \
    secrets: [{file: nowhere}]}\n---\n\
    apiVersion: pipewright.dev/v1alpha1\nkind: Source\nmetadata: {name: signed}\n\
    spec: {generic: {type: com.example.signed, source: /it, signatureHeader: X-Signature}, secrets: [{file: nowhere}]}\n---\n\
    apiVersion: pipewright.dev/v1alpha1\nkind: Source\nmetadata: {name: our-gitlab}\n\
    spec: {forge: gitlab, secrets: [{file: nowhere}]}\n";

/// A folder with these settings, one mapping, and a payload of each kind.
fn ground(name: &str) -> Folder {
    let folder = Folder::new(name);
    std::fs::create_dir_all(folder.0.join("mappings")).unwrap();
    for (file, text) in [
        ("settings.yaml", SETTINGS),
        ("mappings/told.yaml", MAPPING),
        ("payload.json", "{\"a\": 1}"),
        ("payload.xml", "<a>1</a>"),
        (
            "event.json",
            r#"{"specversion": "1.0", "source": "/s", "type": "com.example.e", "data": {"n": 9007199254740993}}"#,
        ),
    ] {
        std::fs::write(folder.0.join(file), text).unwrap();
    }
    folder
}

#[track_caller]
fn ended(ran: &Ran, code: i32, says: &str) {
    assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
    assert!(format!("{}{}", ran.out, ran.err).contains(says), "`{says}` is not in {}{}", ran.out, ran.err);
}

#[test]
fn where_there_are_no_mappings_nothing_is_called_right() {
    let folder = Folder::new("empty");
    let (path, event) = (folder.path(""), "tests/fixtures/github/pull_request.opened.json");
    let nothing = format!("there are no mappings in `{path}`");
    ended(&run(&["check", &path]), 1, &nothing);
    ended(&run(&["check", &path, "--allow-empty"]), 0, "0 mappings, no errors");
    assert_eq!(run(&["check", &path, "--output", "json"]).json()["mappings"], json!(0));
    ended(&run(&["test", &path]), 1, &nothing);
    ended(&run(&["explain", "--mappings", &path, "--event", "pull_request", event]), 1, &nothing);
    std::fs::write(folder.0.join("a.yaml"), MAPPING.replace("to: chat, ", "")).unwrap();
    ended(&run(&["check", &path]), 0, "1 mapping, no errors");
    ended(&run(&["test", &path]), 1, "nothing was tested: no mapping has `examples`");
}

#[test]
fn what_a_folder_has_besides_mappings_is_left_out_and_named() {
    let folder = Folder::new("beside");
    let write = |name: &str, text: &str| std::fs::write(folder.0.join(name), text).unwrap();
    write("a.yaml", &MAPPING.replace("to: chat, ", ""));
    write("kustomization.yaml", "configMapGenerator: [{name: m, files: [a.yaml]}]\n");
    write("job.yaml", "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: n}\n");
    write("b.json", r#"{"apiVersion": "pipewright.dev/v1alpha1", "kind": "Mapping"}"#);
    write("payload.json", r#"{"kind": "Mapping"}"#);
    let checked = run(&["check", &folder.path("")]);
    ended(&checked, 0, "1 mapping, no errors, 3 warnings");
    for file in ["kustomization.yaml", "job.yaml", "b.json"] {
        assert!(checked.out.contains(file), "{file}: {}", checked.out);
    }
    assert!(!checked.out.contains("payload.json"), "{}", checked.out);
    // Who names a file means it.
    ended(&run(&["check", &folder.path("job.yaml")]), 1, "pipewright.dev/v1alpha1");
    ended(&run(&["check", &folder.path("b.json")]), 1, "error");
}

/// Calls that no event can make right, as people write them, and what `check` says to write.
const CALLS: [(&str, &str); 14] = [
    ("lowerAscii(event.data.s) == 'a'", "write `string.lowerAscii()`"),
    ("parseJSON(event.data.s).a == 1.0", "write `string.parseJSON()`"),
    ("parseYAML(event.data.s).a == 1.0", "write `string.parseYAML()`"),
    ("marshalJSON(event.data) == ''", "write `any.marshalJSON()`"),
    ("translate(event.data.s, 'a', 'b') == ''", "write `string.translate(string, string)`"),
    ("last(event.data.l) == 1.0", "write `list.last()`"),
    ("trim(event.data.s) == ''", "write `string.trim()`"),
    ("join(event.data.l, '') == ''", "`list.join(string)`"),
    ("startsWith(event.data.s, 'a')", "write `string.startsWith(string)`"),
    ("'a'.startsWith(1)", "write `string.startsWith(string)`"),
    ("'a'.truncate() == 'a'", "write `string.truncate(int)`"),
    ("size(1) == 1", "write `size("),
    ("1 + 'a' == 2", "convert with `string(…)`"),
    ("matches(1, 'a')", "`string.matches(string)`"),
];

#[test]
fn a_call_that_fails_for_every_event_is_refused_with_the_form_to_write() {
    let folder = Folder::new("calls");
    let path = folder.path("a.yaml");
    for (call, form) in CALLS {
        let filter = format!("  filter: [{{cel: \"{call}\"}}]\n  do:\n");
        let text = MAPPING.replace("to: chat, ", "").replace("  do:\n", &filter);
        std::fs::write(&path, text).unwrap();
        let ran = run(&["check", &path]);
        ended(&ran, 1, form);
        assert!(ran.out.contains("1 error"), "{call}: {}", ran.out);
    }
}

/// Places where what is written decides what runs, with which secrets and on what.
const DECISIVE: [&str; 16] = [
    "pipelineRef: {resolver: git, params: [{name: url, value: T}]}",
    "pipelineRef: {resolver: git, params: [{name: url, value: 'https://x/y'}, {name: pathInRepo, value: T}]}",
    "pipelineRef: {resolver: http, params: [{name: url, value: T}]}",
    "pipelineRef: {resolver: bundles, params: [{name: bundle, value: T}]}",
    "pipelineRef: {resolver: T}",
    "pipelineRef: {name: T}",
    "pipelineSpec: {tasks: [{name: t, taskRef: {resolver: git, params: [{name: url, value: T}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, ref: {resolver: git, params: [{name: url, value: T}]}}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {volumes: [{name: v, hostPath: {path: T}}], steps: [{name: s, image: i, command: [c]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {volumes: [{name: v, secret: {secretName: T}}], steps: [{name: s, image: i, command: [c]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, image: i, command: [c], env: [{name: E, valueFrom: {secretKeyRef: {name: T, key: k}}}]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, image: i, command: [c], env: [{name: T, value: v}]}]}}]}",
    "pipelineRef: {name: b}, workspaces: [{name: w, secret: {secretName: T}}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, projected: {sources: [{secret: {name: T}}]}}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, csi: {driver: T}}]",
    "pipelineRef: {name: b}, taskRunTemplate: {serviceAccountName: T}",
];

#[test]
fn no_template_decides_what_is_run_unless_its_author_says_so() {
    let folder = Folder::new("decisive");
    let path = folder.path("a.yaml");
    let (head, _) = MAPPING.split_once("  do:").unwrap();
    let value = "  let: {one: {path: $.data.one, required: true}}\n";
    for place in DECISIVE {
        let spec = place.replace(": T", ": '{{one}}'");
        let text = format!("{head}{value}  do:\n    - {{name: run, pipelineRun: {{spec: {{{spec}}}}}}}\n");
        std::fs::write(&path, text).unwrap();
        ended(&run(&["check", &path]), 1, "`unsafe: true` beside `");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_once() {
    let ran = run(&["check", "--settings", "/no/such/settings.yaml"]);
    ended(&ran, 3, "settings `/no/such/settings.yaml` cannot be read: No such file or directory");
    assert_eq!(ran.err.matches("No such file").count(), 1, "{}", ran.err);
}

#[test]
fn a_payload_of_a_source_without_a_forge_is_explained_by_its_name() {
    let folder = ground("explained");
    let (settings, payload) = (folder.path("settings.yaml"), folder.path("payload.json"));
    let explain = |more: &[&str]| run(&[&["explain", "--settings", &settings][..], more].concat());
    let explained = explain(&["--source", "by-token", &payload, "--output", "json"]);
    assert_eq!(explained.code, 0, "{}{}", explained.out, explained.err);
    let event = &explained.json()["events"][0];
    assert_eq!((&event["type"], &event["data"]), (&json!("com.example.told"), &json!({"a": 1})));
    let xml = explain(&["--source", "by-token", &folder.path("payload.xml"), "--output", "json"]);
    assert_eq!(xml.json()["events"][0]["data"], json!({"a": "1"}));
    let named = explain(&["--source", "by-header", "--event", "Build_Done", &payload]);
    ended(&named, 0, "com.example.build_done");
    ended(&explain(&["--source", "by-header", &payload]), 1, "name the --event that stands in it");
    ended(&explain(&["--source", "our-gitlab", &payload]), 1, "name its --event");
    ended(
        &explain(&["--source", "nowhere", "--event", "push", &payload]),
        1,
        "is no source of the settings and no forge",
    );
}

#[test]
fn dev_takes_what_is_sent_to_every_source_and_shows_sinks_instead_of_calling_them() {
    let folder = ground("sent");
    let (settings, payload) = (folder.path("settings.yaml"), folder.path("payload.json"));
    let (xml, event) = (folder.path("payload.xml"), folder.path("event.json"));
    std::fs::rename(folder.0.join("mappings"), folder.0.join("own")).unwrap();
    let own = folder.path("own");
    let dev = Dev::with(folder, &["--settings", &settings, "--mappings", &own]);
    assert!(dev.welcome.contains("chat: shown below and not called (--send calls them)"), "{}", dev.welcome);
    let url = dev.told("webhooks").trim_end_matches("/webhooks/github").to_owned();
    let send = |more: &[&str]| run(&[&["send", "--url", &url, "--settings", &settings][..], more].concat());
    for (source, more, file) in [
        ("by-token", &[][..], &payload),
        ("by-token", &[], &xml),
        ("by-header", &["--event", "done", "--delivery", "7"], &payload),
        ("signed", &[], &payload),
    ] {
        let taken = send(&[&["--source", source, "--secret", "dev", file][..], more].concat());
        ended(&taken, 0, "events were sent");
        assert!(dev.wait_for("acme-note.seen").ends_with("→ chat"), "{source}");
        ended(&send(&[&["--source", source, "--secret", "wrong", file][..], more].concat()), 1, "HTTP 401");
    }
    // A forge's source by its name: with the headers of its forge.
    ended(
        &send(&["--source", "our-gitlab", "--event", "Emoji Hook", "--secret", "wrong", &payload]),
        1,
        "X-Gitlab-Token",
    );
    ended(&send(&["--source", "our-gitlab", &payload]), 1, "needs its --event");

    ended(&send(&[&event]), 0, "(made now, since the file has none)");
    let ids: Vec<String> =
        (0..2).map(|_| send(&["--output", "json", &event]).json()["id"].to_string()).collect();
    assert_ne!(ids[0], ids[1]);
    let own_id = dev.folder.path("own-id.json");
    std::fs::write(&own_id, r#"{"specversion": "1.0", "id": "7", "source": "/s", "type": "com.example.e"}"#)
        .unwrap();
    assert_eq!(send(&["--output", "json", &own_id]).json()["id"], "7");
    assert_ne!(send(&["--output", "json", "--new-id", &own_id]).json()["id"], "7");
    dev.interrupt();
}
