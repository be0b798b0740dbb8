//! The command line as a person or a script meets it: the real binary, its text, its JSON and its exit codes.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::support::program::{Dev, Folder, PROJECT, get, pipewright, run};

const OPENED: &str = "tests/fixtures/github/pull_request.opened.json";
const FEATURE: &str = "tests/fixtures/github/pull_request.feature.json";

#[test]
fn shipped_mappings_are_clean_and_show_what_they_do() {
    let checked = run(&["check", "-o", "json"]);
    assert_eq!(checked.code, 0, "{}", checked.out);
    assert_eq!(checked.json()["warnings"], 0, "{}", checked.out);

    let tested = run(&["test", "--output", "json"]);
    assert_eq!(tested.code, 0, "{}", tested.out);
    let tested = tested.json();
    assert_eq!(tested["failed"], 0);
    let mut examples: BTreeMap<&str, usize> = BTreeMap::new();
    for example in tested["examples"].as_array().unwrap() {
        *examples.entry(example["mapping"].as_str().unwrap()).or_default() += 1;
    }
    assert_eq!(Some(examples.len() as u64), checked.json()["mappings"].as_u64(), "{examples:?}");
    assert!(examples.values().all(|count| *count >= 2), "{examples:?}");
}

#[test]
fn check_and_test_say_in_words_that_all_is_well() {
    insta::assert_snapshot!(run(&["check"]).out, @"15 mappings, no errors");
    insta::assert_snapshot!("test", run(&["test"]).out);
}

#[test]
fn runs_are_held_against_the_pipelines_that_are_given() {
    let folder = Folder::new("check-pipelines");
    let write = |name: &str, text: &str| {
        let path = folder.path(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mappings = write(
        "mappings.yaml",
        "apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {name: build}\nspec:\n  events: [{type: t}]\n  do:\n  \
         - name: run\n    pipelineRun:\n      spec:\n        pipelineRef: {name: build}\n        params:\n        \
         - {name: urll, value: \"{{event.source}}\"}\n",
    );
    let pipelines = write(
        "pipelines.yaml",
        "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: build}\nspec:\n  params: [{name: url}]\n  tasks:\n  \
         - {name: a, taskRef: {name: a}}\n",
    );
    let alone = run(&["check", &mappings]);
    assert_eq!((alone.code, alone.out.as_str()), (0, "1 mapping, no errors\n"));

    let checked = run(&["check", "--pipelines", &pipelines, &mappings]);
    assert_eq!(checked.code, 1, "{}", checked.out);
    assert!(
        checked.out.contains("ParameterMissing): pipelineRun missing parameters: [url]"),
        "{}",
        checked.out
    );
    assert!(checked.out.contains("did you mean `url`?"), "{}", checked.out);
    assert!(checked.out.contains("not checked: the Task `a` is not among the files"), "{}", checked.out);
    assert!(checked.out.ends_with("1 error, 1 warning, 1 place not checked\n"), "{}", checked.out);

    let json = run(&["check", "--pipelines", &pipelines, &mappings, "-o", "json"]).json();
    assert_eq!((&json["errors"], &json["warnings"], &json["notChecked"]), (&1.into(), &1.into(), &1.into()));

    let event =
        write("event.json", "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}");
    let explained = run(&["explain", "--pipelines", &pipelines, "--mappings", &mappings, &event]);
    assert!(explained.code == 1 && explained.err.contains("ParameterMissing"), "{}", explained.err);
}

#[test]
fn mistakes_end_with_their_number_and_exit_code_1() {
    let checked = run(&["check", "tests/fixtures/mappings-with-12-mistakes"]);
    assert_eq!(checked.code, 1);
    assert_eq!(checked.out.lines().last(), Some("12 errors"));
    assert_eq!(checked.out.matches("= hint:").count(), 12, "{}", checked.out);
    assert!(!checked.out.contains('\u{1b}'), "no colour where no terminal is");

    let json = run(&["check", "tests/fixtures/mappings-with-12-mistakes", "-o", "json"]);
    assert_eq!((json.code, &json.json()["errors"]), (1, &12.into()));
    let first = &json.json()["diagnostics"][0];
    assert_eq!((&first["line"], &first["column"]), (&8.into(), &3.into()));

    // With mappings that cannot be used, nothing else is done with them.
    let tested = run(&["test", "tests/fixtures/mappings-with-12-mistakes"]);
    assert_eq!(tested.code, 1);
    assert!(tested.err.contains("no example was run"), "{}", tested.err);
    let explained = run(&[
        "explain",
        "--mappings",
        "tests/fixtures/mappings-with-12-mistakes",
        "--event",
        "push",
        OPENED,
    ]);
    assert_eq!((explained.code, explained.out.as_str()), (1, ""));
}

#[test]
fn a_wrong_expectation_is_shown_where_it_is() {
    let folder = Folder::new("wrong-expectation");
    let mapping = format!(
        r#"apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {{name: build}}
spec:
  events: [{{type: dev.cdevents.change.created}}]
  filter:
    - cel: event.data.customData.change.target.branch == 'main'
  let:
    commit: {{path: $.data.customData.change.source.sha}}
  do:
    - name: build
      pipelineRun:
        spec:
          pipelineRef: {{name: build}}
          params: [{{name: revision, value: "{{{{commit}}}}"}}]
    - name: urgent
      when: "'urgent' in event.data.customData.change.labels"
      emit: {{type: com.example.urgent, content: {{}}}}
  examples:
    - name: another pipeline and commit
      given: {{source: github, event: pull_request, body: {PROJECT}/{OPENED}}}
      expect:
        - action: build
          pipelineRun: {{spec: {{pipelineRef: {{name: release}}, params: [{{value: abc}}]}}}}
    - name: an action that is not wanted
      given: {{source: github, event: pull_request, body: {PROJECT}/{FEATURE}}}
      expect: [{{action: build}}]
    - name: an event that the mapping is not for
      given: {{source: github, event: push, body: {PROJECT}/tests/fixtures/github/push.main.json}}
      expect: [{{action: build}}]
    - name: an action whose condition does not hold
      given: {{source: github, event: pull_request, body: {PROJECT}/{OPENED}}}
      expect: [{{action: build}}, {{action: urgent}}]
    - name: a file that is not there
      given: {{source: github, event: push, body: gone.json}}
      expect: []
"#
    );
    let path = folder.path("build.yaml");
    std::fs::write(&path, mapping).unwrap();
    let tested = run(&["test", &path]);
    assert_eq!(tested.code, 1);
    insta::assert_snapshot!("test_wrong_expectation", tested.out.replace(&folder.path(""), "FOLDER/"));
}

#[test]
fn explain_tells_what_would_be_done_and_why() {
    let fired = run(&["explain", "--event", "pull_request", OPENED]);
    assert_eq!(fired.code, 0, "{}", fired.err);
    insta::assert_snapshot!("explain_fired", fired.out);
    let not_fired = run(&["explain", "--event", "pull_request", FEATURE]);
    assert_eq!(not_fired.code, 0);
    insta::assert_snapshot!("explain_not_fired", not_fired.out);
    let event = run(&["explain", "tests/fixtures/cloudevents/pipelinerun.finished.json"]);
    insta::assert_snapshot!("explain_event", event.out);
    let all = run(&["explain", "--all", "--event", "pull_request", OPENED]);
    assert_eq!(all.out.matches("not fired").count(), 29, "{}", all.out);
}

#[test]
fn explain_is_events_mappings_and_plan_in_json() {
    let explained = run(&["explain", "--event", "pull_request", OPENED, "-o", "json"]).json();
    let keys: Vec<_> = explained.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["events", "failures", "mappings", "plan"]);
    assert_eq!(explained["events"][1]["type"], "dev.cdevents.change.created.0.4.0");
    let fired: Vec<_> =
        explained["mappings"].as_array().unwrap().iter().filter(|it| it["outcome"] == "fired").collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0]["vars"]["target"], "main");
    assert_eq!(explained["plan"][0]["pipelineRun"]["kind"], "PipelineRun");
    assert_eq!(explained["plan"][0]["origin"]["mapping"], "pull-request-build");
}

#[test]
fn a_plan_that_cannot_be_computed_is_a_reason_and_exit_code_1() {
    let folder = Folder::new("no-plan");
    let path = folder.path("m.yaml");
    let mapping = "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: strict}
spec:
  events: [{type: dev.cdevents.change.created}]
  let:
    ticket: {path: $.data.customData.change.ticket, required: true}
  do:
    - name: tell
      emit: {type: com.example.ticket, content: {ticket: \"{{ticket}}\"}}
";
    std::fs::write(&path, mapping).unwrap();
    let args = ["explain", "--mappings", &path, "--event", "pull_request", OPENED];
    let explained = run(&args);
    assert_eq!(explained.code, 1);
    assert!(explained.out.contains("FAILED     strict"), "{}", explained.out);
    assert!(explained.out.contains("refused (HTTP 422): mapping `strict`, let.ticket"), "{}", explained.out);
    let json = run(&[&args[..], &["-o", "json"]].concat());
    assert_eq!((json.code, &json.json()["plan"]), (1, &serde_json::json!([])));
    assert_eq!(json.json()["failures"][0]["mapping"], "strict");
}

#[test]
fn what_cannot_be_read_is_told_apart_from_what_is_not_right() {
    for (args, code, text) in [
        (&["check", "nowhere"][..], 3, "no mappings at `nowhere`"),
        (&["test", "nowhere"], 3, "no mappings at `nowhere`"),
        (&["check", "--settings", "nowhere.yaml"], 3, "settings `nowhere.yaml` cannot be read"),
        (&["explain", "--event", "push", "gone.json"], 3, "`gone.json` cannot be read"),
        (&["send", "--event", "push", "gone.json"], 3, "`gone.json` cannot be read"),
        (&["explain", OPENED], 1, "to read it as a webhook, name its --event"),
        (&["send", OPENED], 1, "to send it as a webhook, name its --event"),
        (&["explain", "--event", "push", "README.md"], 1, "`README.md`"),
        (&["explain", "--event", "push", "--source", "sourcehut", OPENED], 1, "`--source`"),
        (&["send", "--url", "nonsense", "--event", "push", OPENED], 1, "`--url nonsense` is not"),
        (&["send", "--url", "ftp://a/", "--event", "push", OPENED], 1, "`--url ftp://a/` is not"),
        (
            &["send", "--forge", "sourcehut", "--event", "push", OPENED],
            1,
            "`--forge sourcehut`: `sourcehut` is not a forge",
        ),
        (&["chek"], 2, "unrecognized subcommand 'chek'"),
        (&["explain", "--forge", "github", OPENED], 2, "--event"),
        (&["cluster", "--load", "gone.yaml", "--listen", "127.0.0.1:0"], 3, "`gone.yaml` cannot be read"),
    ] {
        let ran = run(args);
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(text), "{args:?}: {}", ran.err);
        assert_eq!(ran.err.lines().filter(|line| line.starts_with("error:")).count(), 1, "{}", ran.err);
    }
}

#[test]
fn sending_to_nobody_says_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sent = run(&["send", "--url", &format!("http://{free}"), "--event", "push", OPENED]);
    assert_eq!(sent.code, 3);
    assert_eq!(
        sent.err,
        format!(
            "error: nothing listens at http://{free}/webhooks/github: start `pipewright dev`, or name another --url\n"
        )
    );
}

#[test]
fn a_taken_port_is_told_with_the_flag_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = Folder::new("taken");
    for flag in ["--port", "--admin-port", "--cluster-port"] {
        let mut args = vec!["dev"];
        for each in ["--port", "--admin-port", "--cluster-port"] {
            args.extend([each, if each == flag { &port } else { "0" }]);
        }
        let output = pipewright().args(&args).env("TMPDIR", &folder.0).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{err}");
        assert!(err.starts_with(&format!("error: cannot listen on `127.0.0.1:{port}`: ")), "{err}");
        assert!(err.ends_with(&format!("name another with {flag}\n")), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    let listen = format!("127.0.0.1:{port}");
    let cluster = run(&["cluster", "--listen", &listen]);
    assert_eq!(cluster.code, 3);
    assert!(cluster.err.ends_with("name another with --listen\n"), "{}", cluster.err);
}

#[test]
fn dev_outside_the_project_says_where_it_looked() {
    let folder = Folder::new("elsewhere");
    let output = pipewright().arg("dev").current_dir(&folder.0).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(err.contains("no mappings at `mappings`") && err.contains("--mappings"), "{err}");
}

#[test]
fn the_schema_is_the_one_in_the_repository() {
    let printed = run(&["schema"]);
    assert_eq!(printed.code, 0);
    let stored = std::fs::read_to_string(format!("{PROJECT}/config/mapping.schema.json")).unwrap();
    assert_eq!(printed.json(), serde_json::from_str::<serde_json::Value>(&stored).unwrap());
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, 0);
        assert!(script.out.contains("explain"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = pipewright().arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_payload_is_sent_as_each_forge_sends_it_and_the_log_knows_the_delivery() {
    let dev = Dev::start("forges");
    let url = dev.told("webhooks").trim_end_matches("/webhooks/github").to_owned();
    let payload = dev.folder.path("payload.json");
    // What each forge's raw event needs, and no more.
    let body = r#"{"object_kind": "emoji", "project": {"web_url": "https://forge.example.com/acme/shop"},
        "repository": {"full_name": "acme/shop", "url": "https://forge.example.com/acme/shop",
        "html_url": "https://forge.example.com/acme/shop", "links": {"html": {"href": "https://forge.example.com/acme/shop"}}}}"#;
    std::fs::write(&payload, body).unwrap();
    for (forge, event) in [
        ("github", "star"),
        ("gitea", "star"),
        ("forgejo", "star"),
        ("gitlab", "Emoji Hook"),
        ("bitbucket", "repo:updated"),
        ("bitbucket-data-center", "repo:forked"),
    ] {
        let delivery = format!("delivery-of-{forge}");
        let send = |secret: &str| {
            let args = ["send", "--url", &url, "--forge", forge, "--event", event, "--delivery", &delivery];
            run(&[&args[..], &["--secret", secret, &payload]].concat())
        };
        let accepted = send("dev");
        assert_eq!(accepted.code, 0, "{forge}: {}{}", accepted.out, accepted.err);
        assert!(accepted.out.ends_with(&format!("id {delivery}\n")), "{}", accepted.out);
        let refused = send("wrong");
        assert!(refused.out.starts_with("refused (HTTP 401): "), "{forge}: {}", refused.out);
        let log = dev.wait_for_error("request refused");
        assert!(log.lines().last().unwrap().contains(&delivery), "{forge}: {log}");
        // To the source of another forge, and to none.
        let elsewhere = if forge == "github" { "gitlab" } else { "github" };
        let args = ["send", "--url", &url, "--forge", forge, "--event", event, "--secret", "dev", "--source"];
        assert_eq!(run(&[&args[..], &[elsewhere, &payload]].concat()).code, 1, "{forge}");
        dev.wait_for_error("request refused");
    }
    dev.interrupt();
}

#[test]
fn a_newcomers_first_minutes() {
    let dev = Dev::start("dev");
    assert_eq!(dev.errors(), "", "a start has nothing to complain about");

    // The line it suggests, as it stands there.
    let line = dev.suggested(" send ");
    let sent = Command::new("sh").arg("-c").arg(line).current_dir(PROJECT).output().unwrap();
    let out = String::from_utf8(sent.stdout).unwrap();
    assert!(sent.status.success(), "{line}: {out}{}", String::from_utf8_lossy(&sent.stderr));
    assert!(out.starts_with("accepted (HTTP 202): a run was created"), "{out}");

    // The change appears, and the run with its events in order. Whether the run is seen before the change is announced
    // is a race: it exists before anything is said about it.
    let mut changed = false;
    let mut wait_for = |part: &str| loop {
        let line = dev.wait_for("");
        changed |= line.contains("change.created");
        if line.contains(part) {
            break line;
        }
    };
    wait_for("pipelinerun.queued");
    wait_for("pipelinerun.started");
    wait_for("taskrun.started");
    wait_for("taskrun.finished");
    let finished = wait_for("pipelinerun.finished");
    if !changed {
        dev.wait_for("change.created");
    }
    assert!(finished.contains("success") && finished.contains("pull-request-build"), "{finished}");
    dev.wait_for("pipewright-run.announced");
    let run_name = finished.split("default/").nth(1).unwrap().split_whitespace().next().unwrap();
    let object = get(&format!(
        "{}/apis/tekton.dev/v1/namespaces/default/pipelineruns/{run_name}",
        dev.told("cluster")
    ));
    assert!(object.contains("pipewright.dev/effect-key"), "{object}");

    // Again: the same run.
    let again = Command::new("sh").arg("-c").arg(line).current_dir(PROJECT).output().unwrap();
    let again = String::from_utf8(again.stdout).unwrap();
    assert!(again.starts_with("accepted (HTTP 202): its runs exist already"), "{again}");

    // Refusals say why.
    let webhooks = dev.told("webhooks").trim_end_matches("/webhooks/github").to_owned();
    let wrong = run(&["send", "--url", &webhooks, "--secret", "wrong", "--event", "push", OPENED]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.out.starts_with("refused (HTTP 401): "), "{}", wrong.out);
    let json =
        run(&["send", "--url", &webhooks, "--secret", "wrong", "--event", "push", OPENED, "-o", "json"]);
    assert_eq!((json.code, &json.json()["status"]), (1, &401.into()));
    dev.wait_for_error("request refused");

    // A CloudEvent goes in as well.
    let event = run(&["send", "--url", &webhooks, "tests/fixtures/cloudevents/pipelinerun.finished.json"]);
    assert_eq!(event.code, 0, "{}{}", event.out, event.err);
    assert!(event.out.contains("no run was wanted; events were sent"), "{}", event.out);
    dev.wait_for("pipewright-run.announced");

    // A mistake is reported where it is, once; the running set stays.
    dev.errors();
    let path = dev.folder.path("mappings/push-build.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good.replace("value: \"{{url}}\"", "value: \"{{ulr}}\"")).unwrap();
    let report = dev.wait_for_error("stay in force");
    let line = good.lines().position(|line| line.contains("{{url}}")).unwrap() + 1;
    assert!(report.contains(&format!("push-build.yaml:{line}:")), "{report}");
    assert_eq!(report.matches("hint: did you mean `url`?").count(), 1, "{report}");
    assert!(report.contains("(1 error); the 15 before them stay in force"), "{report}");
    let ready = get(dev.told("health"));
    assert!(ready.contains("[!] mappings: ") && ready.ends_with("ok\n"), "{ready}");
    std::fs::write(&path, good).unwrap();
    assert_eq!(dev.wait_for_error("reloaded"), "mappings reloaded: 15 in force\n");

    let (code, folder) = dev.interrupt();
    assert_eq!(code, Some(0));
    let left: Vec<_> =
        std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mappings"], "the kubeconfig is gone");
}
