//! Mapping files on the disk: one report for every mistake, and a running set that outlives them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipewright::action::Action;
use pipewright::diagnostic::{Report, Style};
use pipewright::event::Event;
use pipewright::mapping::watch::{Reload, Store};
use pipewright::mapping::{Catalog, MappingSet, load, schema};
use serde_json::{Value, json};

const GOOD: &str = r#"apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: good}
spec:
  events: [{type: com.example.*}]
  let:
    title: {path: $.data.title, default: none}
  do:
    - name: build
      pipelineRun:
        spec:
          pipelineRef: {name: build}
          params: [{name: title, value: "{{title}}"}]
"#;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A directory of its own that is gone at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pipewright-mapping-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn plan(set: &MappingSet) -> Vec<Action> {
    let event = Event::builder("1", "/s", "com.example.x").json(r#"{"title": "t"}"#).build().unwrap();
    set.plan(&[Arc::new(event)]).complete().unwrap().actions
}

#[test]
fn twelve_mistakes_are_one_report_with_twelve_findings() {
    let directory = root().join("tests/fixtures/mappings-with-12-mistakes");
    let mut report = Report::default();
    let mut files = load::read(std::slice::from_ref(&directory), &mut report);
    assert!(report.is_empty(), "{report}");
    for file in &mut files {
        let short = Path::new(&file.path).strip_prefix(&directory).unwrap().display().to_string();
        file.path = short;
    }
    let report = MappingSet::compile(&files, &Catalog::default()).unwrap_err();
    insta::assert_snapshot!("twelve_mistakes", report.render(Style::Plain));
    assert_eq!(report.errors().count(), 12);
    assert_eq!(report.diagnostics().len(), 12);
    for finding in report.diagnostics() {
        assert!(finding.file.is_some() && finding.line > 0 && finding.column > 0, "{finding:?}");
        assert!(finding.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{finding:?}");
    }
    let codes: std::collections::BTreeSet<&str> = report.diagnostics().iter().map(|one| one.code).collect();
    assert_eq!(codes.len(), 12, "{codes:?}");
    assert_eq!(report.to_json()["diagnostics"].as_array().unwrap().len(), 12);
}

#[test]
fn a_set_that_does_not_compile_leaves_the_running_set_in_place() {
    let directory = Directory::new("reload");
    directory.write("good.yaml", GOOD);
    let store = Store::open(vec![directory.0.clone()], Catalog::default());
    assert_eq!(plan(&store.current()).len(), 1);
    assert!(matches!(store.refresh(), Reload::Unchanged));

    directory.write("good.yaml", &GOOD.replace("title: {path", "titel: {path"));
    let Reload::Refused(report) = store.refresh() else { panic!("the change was not seen") };
    assert_eq!(report.errors().count(), 1, "{report}");
    assert!(store.is_stale());
    assert_eq!(plan(&store.current()).len(), 1);
    assert!(matches!(store.refresh(), Reload::Unchanged));

    directory.write("good.yaml", &GOOD.replace("name: good", "name: better"));
    assert!(matches!(store.refresh(), Reload::Replaced(_)));
    assert!(!store.is_stale());
    assert_eq!(store.current().names().collect::<Vec<_>>(), ["better"]);

    fs::remove_file(directory.0.join("good.yaml")).unwrap();
    assert!(matches!(store.refresh(), Reload::Replaced(_)));
    assert!(store.current().is_empty());
}

#[test]
fn a_directory_that_is_not_there_is_reported_and_found_when_it_comes() {
    let directory = Directory::new("late");
    let inner = directory.0.join("mappings");
    let store = Store::open(vec![inner.clone()], Catalog::default());
    assert!(store.is_stale());
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("a.yml"), GOOD).unwrap();
    assert!(matches!(store.refresh(), Reload::Replaced(_)));
    assert_eq!(store.current().len(), 1);
}

#[cfg(unix)]
#[test]
fn the_link_swap_of_a_mounted_config_map_is_seen_and_each_file_read_once() {
    use std::os::unix::fs::symlink;
    let directory = Directory::new("configmap");
    for (version, name) in [("..v1", "one"), ("..v2", "two")] {
        fs::create_dir(directory.0.join(version)).unwrap();
        fs::write(
            directory.0.join(version).join("m.yaml"),
            GOOD.replace("name: good", &format!("name: {name}")),
        )
        .unwrap();
    }
    symlink("..v1", directory.0.join("..data")).unwrap();
    symlink("..data/m.yaml", directory.0.join("m.yaml")).unwrap();
    let store = Store::open(vec![directory.0.clone()], Catalog::default());
    assert_eq!(store.current().names().collect::<Vec<_>>(), ["one"], "{}", store.problems());
    symlink("..v2", directory.0.join("..data_tmp")).unwrap();
    fs::rename(directory.0.join("..data_tmp"), directory.0.join("..data")).unwrap();
    assert!(matches!(store.refresh(), Reload::Replaced(_)));
    assert_eq!(store.current().names().collect::<Vec<_>>(), ["two"]);
}

#[tokio::test]
async fn the_watch_tells_of_a_change() {
    let directory = Directory::new("watch");
    directory.write("good.yaml", GOOD);
    let store = Arc::new(Store::open(vec![directory.0.clone()], Catalog::default()));
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let watch = tokio::spawn(Arc::clone(&store).watch(std::time::Duration::from_millis(20), move |reload| {
        let _ = sender.send(matches!(reload, Reload::Replaced(_)));
    }));
    directory.write("more.yaml", &GOOD.replace("name: good", "name: more"));
    let replaced = tokio::time::timeout(std::time::Duration::from_secs(10), receiver.recv()).await.unwrap();
    assert_eq!(replaced, Some(true));
    assert_eq!(store.current().len(), 2);
    watch.abort();
}

#[test]
fn files_that_are_no_text_or_too_large_are_reported() {
    let directory = Directory::new("unreadable");
    fs::write(directory.0.join("binary.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    directory.write("large.yaml", &"# x\n".repeat(300_000));
    directory.write("notes.txt", "not a mapping");
    directory.write(".hidden.yaml", "not: a mapping");
    let mut report = Report::default();
    assert!(load::read(std::slice::from_ref(&directory.0), &mut report).is_empty());
    assert_eq!(report.errors().count(), 2, "{report}");
}

#[test]
fn examples_read_files_beside_the_mapping() {
    let directory = Directory::new("examples");
    directory.write("event.json", r#"{"specversion": "1.0", "type": "com.example.x", "id": "1", "source": "/s", "data": {"title": "t"}}"#);
    directory.write(
        "good.yaml",
        &format!(
            "{GOOD}  examples:\n    - name: it is built\n      given: {{cloudEvent: event.json}}\n      expect:\n        - {{action: build, pipelineRun: {{spec: {{params: [{{value: t}}]}}}}}}\n"
        ),
    );
    let store = Store::open(vec![directory.0.clone()], Catalog::default());
    let outcomes = store.current().run_examples(&load::read_beside);
    assert_eq!(outcomes.len(), 1, "{}", store.problems());
    assert_eq!(serde_json::to_value(&outcomes[0]).unwrap()["result"], "passed");
}

#[test]
fn the_committed_schema_is_the_one_of_the_program() {
    let path = root().join("config/mapping.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, schema::mapping_text()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, schema::mapping_text(), "run the test once with UPDATE_SCHEMA=1");
}

#[test]
fn the_schema_accepts_every_field_and_refuses_misspelt_ones() {
    let validator = jsonschema::validator_for(&schema::mapping()).unwrap();
    let full = json!({
        "apiVersion": "pipewright.dev/v1alpha1", "kind": "Mapping", "metadata": {"name": "full"},
        "spec": {
            "events": [{"type": "a.*", "source": "/s"}],
            "filter": [
                {"exact": {"type": "a.b"}}, {"prefix": {"source": "/"}}, {"suffix": {"subject": "x"}},
                {"all": [{"any": [{"not": {"cel": "event.data.x == 1"}}]}]}
            ],
            "let": {
                "a": {"path": "$.data.a", "required": true}, "b": {"cel": "event.id", "default": 1},
                "c": {"template": "{{a}}"}
            },
            "do": [
                {"name": "build", "when": "true", "pipelineRun": {
                    "metadata": {"namespace": "ci", "labels": {"a": "b"}, "annotations": {"a": "b"}},
                    "spec": {"pipelineRef": {"name": "x"}, "params": [{"name": "p", "value": ["{{a}}"]}]}}},
                {"name": "tell", "emit": {"type": "b.c", "to": "default", "subject": "{{a}}", "content": {}}},
                {"name": "copy", "emit": {"forward": true, "to": "audit"}}
            ],
            "dedupeBy": ["a"],
            "examples": [
                {"name": "one", "given": {"source": "github", "event": "push", "body": "x.json"},
                 "expect": [{"action": "build", "pipelineRun": {}}]},
                {"name": "two", "given": {"cloudEvent": {"type": "a"}}, "expect": []}
            ]
        }
    });
    let errors: Vec<String> =
        validator.iter_errors(&full).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:?}");
    // The loader accepts it too: schema and reader know the same fields.
    let text = full.to_string();
    let catalog = Catalog { sinks: vec!["audit".to_owned()], ..Catalog::default() };
    let file = pipewright::mapping::File { path: "full.json".to_owned(), text: Arc::from(text.as_str()) };
    let (set, report) = MappingSet::compile(&[file], &catalog).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((set.len(), report.is_empty()), (1, true));

    let without = |pointer: &str, name: &str, value: Value| {
        let mut changed = full.clone();
        let target = changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            target.remove(name)
        } else {
            target.insert(name.to_owned(), value)
        };
        changed
    };
    for wrong in [
        without("/spec", "evnets", json!([])),
        without("/spec", "events", Value::Null),
        without("", "kind", json!("Maping")),
        without("/metadata", "name", json!("Not A Label")),
        without("/spec/filter/0", "prefix", json!({"type": "a"})),
        without("/spec/let/a", "cel", json!("1")),
        without("/spec/let/a", "requird", json!(true)),
        without("/spec/do/0", "pipelineRun", Value::Null),
        without("/spec/do/0/pipelineRun/metadata", "generateName", json!("x-")),
        without("/spec/do/0/pipelineRun/spec", "pipelineSpec", json!({})),
        without("/spec/do/0/pipelineRun/spec", "serviceAccountName", json!("x")),
        without("/spec/do/1/emit", "typ", json!("x")),
        without("/spec/do/2/emit", "type", json!("x")),
        without("/spec/examples/0/given", "cloudEvent", json!("x")),
        without("/spec/examples/0", "expect", Value::Null),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong:#}");
    }
}

/// A mapping with one line of its own: its lines from `spec` on.
fn mistaken(spec: &str) -> String {
    format!("apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {{name: m}}\n{spec}")
}

#[test]
fn what_people_get_wrong_first_is_told_in_their_words() {
    let emit = "  do: [{name: a, emit: {type: com.example.o, content: {}}}]\n";
    let events = "spec:\n  events: [{type: t.t}]\n";
    let param = |value: &str| {
        format!(
            "{events}  let:\n    commit: {{path: $.id}}\n  do:\n    - name: a\n      pipelineRun:\n        spec:\n          pipelineRef: {{name: b}}\n          params:\n            - name: p\n              value: {value}\n"
        )
    };
    let many = format!(
        "{events}  let: {{{}}}\n",
        (0..30_000).map(|n| format!("a{n}: {n}")).collect::<Vec<_>>().join(", ")
    );
    let cases = [
        ("a tab", format!("spec:\n  events:\n\t- type: t.t\n{emit}")),
        ("a tab, deeper", format!("{events}  do:\n    - name: a\n      emit:\n\t\ttype: com.example.o\n")),
        ("an open quote", format!("{events}  let:\n    a: {{path: \"$.id}}\n{emit}")),
        (
            "an open quote of a value",
            format!("spec:\n  events:\n    - type: \"t.t\n      source: \"/s\"\n{emit}"),
        ),
        ("a bare template", param("{{commit}}")),
        ("a bare template in text", param("{{commit}}/x")),
        ("a template that is not closed", param("\"{{commit}\"")),
        ("a template that ends with the text", param("\"v-{{commit\"")),
        ("one equals sign", format!("{events}  filter: [{{cel: \"event.type = 'x'\"}}]\n{emit}")),
        ("three equals signs", format!("{events}  filter: [{{cel: \"event.type === 'x'\"}}]\n{emit}")),
        (
            "a template in when",
            format!(
                "{events}  let: {{commit: {{path: $.id}}}}\n  do: [{{name: a, when: \"{{{{commit}}}}\", emit: {{type: com.example.o}}}}]\n"
            ),
        ),
        ("a text in events", format!("spec:\n  events: [t.t]\n{emit}")),
        ("a text for events", format!("spec:\n  events: t.t\n{emit}")),
        ("a text in filter", format!("{events}  filter: [\"event.type == 'x'\"]\n{emit}")),
        ("a text for filter", format!("{events}  filter: event.type == 'x'\n{emit}")),
        ("too many values", many),
        ("an unknown action", format!("{events}  do: [{{name: a, taskRun: {{}}}}]\n")),
        ("no action", format!("{events}  do: [{{name: a}}]\n")),
        (
            "two actions in one",
            format!(
                "{events}  do: [{{name: a, emit: {{type: t.u}}, pipelineRun: {{spec: {{pipelineRef: {{name: b}}}}}}}}]\n"
            ),
        ),
        (
            "an unknown function",
            format!("{events}  filter: [{{cel: \"event.type.shorten(3) == 'x'\"}}]\n{emit}"),
        ),
        (
            "a function of JavaScript",
            format!("{events}  filter: [{{cel: \"event.type.toLowerCase() == 'x'\"}}]\n{emit}"),
        ),
        (
            "headers",
            format!("{events}  filter: [{{cel: \"header.match('X-GitHub-Event', 'push')\"}}]\n{emit}"),
        ),
        (
            "a function in the wrong form",
            format!("{events}  filter: [{{cel: \"contains(event.type, 'x')\"}}]\n{emit}"),
        ),
        ("a filter that is a text", format!("{events}  filter: [{{cel: \"'a'\"}}]\n{emit}")),
        ("a blank in a path", format!("{events}  let: {{a: {{path: $.data.head commit.id}}}}\n{emit}")),
        ("a source", "spec: {forge: github}\n".to_owned()),
    ];
    let mut all = String::new();
    for (name, spec) in cases {
        let mut text = mistaken(&spec);
        if name == "a source" {
            text = text.replace("kind: Mapping", "kind: Source");
        }
        let file = pipewright::mapping::File { path: "m.yaml".to_owned(), text: Arc::from(text.as_str()) };
        let report = MappingSet::compile(&[file], &Catalog::default())
            .err()
            .unwrap_or_else(|| panic!("{name}: {text}"));
        let shown: Vec<String> = report.diagnostics().iter().map(ToString::to_string).collect();
        let _ = writeln!(all, "{name}\n  {}", shown.join("\n  "));
    }
    insta::assert_snapshot!("first_mistakes", all);
}
