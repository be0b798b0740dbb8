//! The schemas of custom types: ours in the repository, and those of private vocabularies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pipewright::vocabulary::schema::{SHIPPED, file_name};
use pipewright::vocabulary::tekton::PROGRESSED;
use pipewright::vocabulary::{bitbucket, bitbucket_data_center, gitea, github, gitlab};
use serde_json::{Value, json};

use crate::support::corpus;
use crate::support::program::{Folder, PROJECT, run};
use crate::support::service::{Directory, Setup};

const OPENED: &str = include_str!("../fixtures/github/pull_request.opened.json");
const PLACED: &str = "dev.cdeventsx.acme-order.placed.0.1.0";

/// A schema of a private type, as the official schema of custom types would be made stricter.
fn placed() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://acme.example.com/schemas/order-placed.json",
        "type": "object",
        "properties": {
            "context": {"type": "object", "properties": {"type": {"enum": [PLACED]}}},
            "subject": {"type": "object", "properties": {"content": {
                "type": "object",
                "properties": {"total": {"$ref": "#/$defs/amount"}, "customer": {"type": "string", "minLength": 1}},
                "required": ["total"],
                "additionalProperties": false,
            }}},
        },
        "$defs": {"amount": {"type": "integer", "minimum": 1}},
    })
}

/// A mapping that emits the private type for a change, and an example of it.
fn mapping(content: &str) -> String {
    format!(
        "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {{name: order}}
spec:
  events: [{{type: dev.cdevents.change.created}}]
  let:
    number: {{path: $.data.customData.change.number}}
    title: {{path: $.data.customData.change.title}}
  do:
    - name: place
      emit: {{type: {PLACED}, to: default, content: {content}}}
  examples:
    - name: a change is an order
      given: {{source: github, event: pull_request, body: {PROJECT}/tests/fixtures/github/pull_request.opened.json}}
      expect: [{{action: place, emit: {{type: {PLACED}}}}}]
"
    )
}

const GOOD: &str = "{total: '{{number}}'}";
const BAD: &str = "{total: '{{title}}', coupon: x}";

#[test]
fn every_custom_type_that_can_be_sent_has_a_schema_and_every_schema_a_type() {
    let forges = [github::ROWS, gitea::ROWS, gitlab::ROWS, bitbucket::ROWS, bitbucket_data_center::ROWS];
    let mut sent: BTreeSet<String> = forges
        .iter()
        .flat_map(|rows| rows.iter())
        .flat_map(|row| row.becomes)
        .filter(|base| base.starts_with("dev.cdeventsx."))
        .map(|base| format!("{base}.0.1.0"))
        .collect();
    assert!(sent.len() > 10, "{sent:?}");
    sent.insert(PROGRESSED.to_owned());
    for file in corpus::files(&Path::new(PROJECT).join("mappings")) {
        let text = std::fs::read_to_string(file).unwrap();
        let types = text.lines().filter_map(|line| line.trim().strip_prefix("type: dev.cdeventsx."));
        sent.extend(types.map(|ty| format!("dev.cdeventsx.{ty}")));
    }
    let shipped: BTreeSet<String> = SHIPPED.iter().map(|(ty, _)| (*ty).to_owned()).collect();
    assert_eq!(shipped, sent);

    let files = corpus::files(&Path::new(PROJECT).join("config/schemas"));
    let stored: BTreeSet<String> =
        files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(stored, SHIPPED.iter().map(|(ty, _)| file_name(ty)).collect());
}

#[test]
fn our_schemas_are_alike_but_for_the_type_and_the_content() {
    let mut alike = BTreeSet::new();
    for (ty, text) in SHIPPED {
        let mut schema: Value = serde_json::from_str(text).unwrap();
        assert_eq!(schema["title"], *ty);
        assert_eq!(
            schema["properties"]["context"]["properties"]["type"],
            json!({"type": "string", "enum": [ty]})
        );
        let id = format!("https://pipewright.dev/schemas/{}", file_name(ty));
        assert_eq!(schema["properties"]["context"]["properties"]["schemaUri"]["const"], id);
        assert_eq!(schema["$id"], id);
        let content = schema["properties"]["subject"]["properties"]["content"].take();
        assert_eq!(content["additionalProperties"], false, "{ty}");
        schema["properties"]["subject"]["properties"]["id"]["description"].take();
        for place in ["$id", "title", "description"] {
            schema[place].take();
        }
        for name in ["type", "schemaUri"] {
            schema["properties"]["context"]["properties"][name].take();
        }
        alike.insert(schema.to_string());
    }
    assert_eq!(alike.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_private_type_is_held_to_its_schema() {
    let folder = Directory::new();
    folder.write("order.json", &placed().to_string());
    folder.write("notes.txt", "no schema");
    let with = |content: &str| {
        let path = folder.path().to_owned();
        Setup::new()
            .mapping("order", &mapping(content))
            .with(|settings| settings.process.schemas = vec![path])
    };
    let service = with(GOOD).start().await;
    service.github("pull_request", OPENED).await.accepted("sent");
    let events = service.events.take();
    let event = events.iter().find(|event| event.ty() == PLACED).unwrap();
    assert_eq!(event.dataschema(), Some("https://acme.example.com/schemas/order-placed.json"));
    let data = event.tree().unwrap();
    assert_eq!(data["context"]["schemaUri"], "https://acme.example.com/schemas/order-placed.json");
    assert_eq!(data["subject"]["content"], json!({"total": 42}));

    let ours = service.get("/schemas/git-ref.updated.0.1.0.json").await;
    assert_eq!((ours.status, ours.header("content-type")), (200, "application/schema+json"));
    assert_eq!(
        ours.text,
        std::fs::read_to_string(format!("{PROJECT}/config/schemas/git-ref.updated.0.1.0.json")).unwrap()
    );
    let private = service.get("/schemas/acme-order.placed.0.1.0.json").await;
    assert_eq!(serde_json::from_str::<Value>(&private.text).unwrap(), placed());
    for path in
        ["/schemas/none.json", "/schemas/..%2fCargo.toml", "/schemas/", "/schemas/git-ref.updated.0.1.0"]
    {
        assert_eq!(service.get(path).await.status, 404, "{path}");
    }
    service.stop().await;

    let service = with(BAD).start().await;
    let answer = service.github("pull_request", OPENED).await;
    answer.refused(
        422,
        "mapping `order`, do[0].emit: by the schema `https://acme.example.com/schemas/order-placed.json`: ",
    );
    assert!(
        answer.text.contains("`subject.content.total`: value is not of type \"integer\""),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("'coupon' was unexpected"), "{}", answer.text);
    let told = service.events.take();
    assert!(!told.iter().any(|it| it.ty().contains("order.placed")), "the wrong event does not go out");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_emits_a_type_of_ours_is_held_to_its_schema_too() {
    let emit = mapping("{total: 1}").replace(PLACED, "dev.cdeventsx.git-tag.created.0.1.0");
    let service = Setup::new().mapping("order", &emit).start().await;
    let answer = service.github("pull_request", OPENED).await;
    answer.refused(422, "mapping `order`, do[0].emit: by the schema `https://pipewright.dev/schemas/git-tag.created.0.1.0.json`: ");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_leads_elsewhere_keeps_the_service_from_starting() {
    let folder = Directory::new();
    let mut schema = placed();
    schema["$defs"]["amount"] = json!({"$ref": "http://127.0.0.1:9/amount.json"});
    folder.write("order.json", &schema.to_string());
    let path = folder.path().to_owned();
    let setup =
        Setup::new().with(|settings| settings.process.schemas = vec![path, PathBuf::from("/nowhere")]);
    let error = setup.try_start().await.err().unwrap().to_string();
    assert!(error.contains("order.json`: it is not a JSON Schema that can be used"), "{error}");
    assert!(
        error.contains("`http://127.0.0.1:9/amount.json` is another document, and none is fetched"),
        "{error}"
    );
    assert!(error.contains("`/nowhere` cannot be read"), "{error}");
}

#[test]
fn the_command_line_knows_the_schemas() {
    let listed = run(&["schema", "--list"]);
    assert_eq!(listed.code, 0, "{}", listed.err);
    let known: Vec<&str> = listed.out.lines().collect();
    assert_eq!(known.len(), SHIPPED.len());
    for ty in known {
        let printed = run(&["schema", ty]);
        assert_eq!(printed.code, 0, "{}", printed.err);
        let stored = std::fs::read_to_string(format!("{PROJECT}/config/schemas/{}", file_name(ty))).unwrap();
        assert_eq!(printed.out, stored);
    }
    assert_eq!(
        run(&["schema", "dev.cdeventsx.git-ref.updated"]).json()["title"],
        "dev.cdeventsx.git-ref.updated.0.1.0"
    );
    for (ty, wanted) in [
        ("dev.cdevents.change.created", "https://cdevents.dev/0.5.1/schema/change-created-event"),
        (PLACED, "pipewright schema --list"),
        ("nonsense", "pipewright schema --list"),
    ] {
        let refused = run(&["schema", ty]);
        assert_eq!(refused.code, 1, "{}", refused.out);
        assert!(refused.err.contains(wanted), "{}", refused.err);
    }

    // With settings, private ones too; `test` holds emits to them.
    let folder = Folder::new("schemas");
    let write = |name: &str, text: &str| {
        let path = folder.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    write("schemas/order.json", &placed().to_string());
    let settings = write(
        "settings.yaml",
        "apiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec: {schemas: [schemas], mappings: [mappings]}\n",
    );
    let settings = ["--settings", &settings];
    assert!(run(&[&["schema", "--list"], &settings[..]].concat()).out.contains(PLACED));
    assert_eq!(run(&[&["schema", PLACED], &settings[..]].concat()).json(), placed());
    write("mappings/order.yaml", &mapping(GOOD));
    let tested = run(&[&["test"], &settings[..]].concat());
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);
    write("mappings/order.yaml", &mapping(BAD));
    let tested = run(&[&["test"], &settings[..]].concat());
    assert_eq!(tested.code, 1, "{}", tested.out);
    assert!(tested.out.contains("subject.content.total"), "{}", tested.out);
    write("schemas/other.json", &placed().to_string());
    let checked = run(&[&["check"], &settings[..]].concat());
    assert_eq!(checked.code, 1, "{}", checked.out);
    assert!(
        checked.err.contains(&format!("other.json`: `{PLACED}` has a schema already")),
        "{}",
        checked.err
    );
}
