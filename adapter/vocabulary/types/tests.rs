use serde_json::{Value, json};

use super::*;

fn problems(ty: &str, content: &Value) -> Vec<String> {
    check(&Type::parse(ty).unwrap(), content).err().unwrap_or_default()
}

#[test]
fn a_sender_may_use_an_older_or_newer_minor_version() {
    for ty in [
        "dev.cdevents.change.created.0.4.0",
        "dev.cdevents.change.created.0.3.0",
        "dev.cdevents.change.created.0.12.7",
        "dev.cdevents.change.created.0.5.0-draft",
    ] {
        assert_eq!(lookup(ty).map(EventType::base).as_deref(), Some("dev.cdevents.change.created"), "{ty}");
    }
}

#[test]
fn another_major_version_or_an_unknown_subject_is_not_ours() {
    for ty in [
        "dev.cdevents.change.created",
        "dev.cdevents.change.created.1.0.0",
        "dev.cdevents.change.created.0.4",
        "dev.cdevents.change.created.0.4.0.0",
        "dev.cdevents.change.created.0.4.0-",
        "dev.cdevents.change.created.0.+4.0",
        "dev.cdevents.change.eaten.0.4.0",
        "dev.cdevents.change",
        "com.github.push",
        "",
    ] {
        assert_eq!(lookup(ty), None, "{ty}");
    }
}

#[test]
fn a_mapping_may_leave_the_version_out() {
    assert_eq!(
        resolve("dev.cdevents.change.created").unwrap().to_string(),
        "dev.cdevents.change.created.0.4.0"
    );
    assert_eq!(resolve("dev.cdevents.change.created.0.4.0"), None);
    let parsed = Type::parse("dev.cdevents.change.created").unwrap();
    assert_eq!(parsed, Type::parse("dev.cdevents.change.created.0.3.0").unwrap());
    assert_eq!(parsed.base(), "dev.cdevents.change.created");
    assert_eq!(parsed.schema(), "https://cdevents.dev/0.5.1/schema/change-created-event");
}

#[test]
fn a_misspelt_type_gets_a_hint() {
    assert_eq!(closest("dev.cdevents.chnage.created").as_deref(), Some("dev.cdevents.change.created"));
    assert_eq!(
        closest("dev.cdevents.pipelineRun.finish.0.3.0").as_deref(),
        Some("dev.cdevents.pipelinerun.finished")
    );
    assert_eq!(closest("com.github.push"), None);
    assert_eq!(closest(&"x".repeat(100_000)), None);
    assert_eq!(
        Type::parse("dev.cdevents.change.create").unwrap_err().to_string(),
        "`dev.cdevents.change.create` is not a type of CDEvents 0.5.1; did you mean `dev.cdevents.change.created`?"
    );
    assert_eq!(
        Type::parse("dev.cdevents.change.created.2.0.0").unwrap_err().to_string(),
        "`dev.cdevents.change.created.2.0.0`: CDEvents 0.5.1 knows this type as `dev.cdevents.change.created.0.4.0`"
    );
}

#[test]
fn custom_types_obey_the_official_pattern() {
    for good in ["dev.cdeventsx.git-tag.created.0.1.0", "dev.cdeventsx.my2Tool-Thing.Done.9.9.9"] {
        let ty: CustomType = good.parse().unwrap();
        assert_eq!(ty.to_string(), good);
        assert_eq!(format!("{}.{}", ty.base(), &good[good.len() - 5..]), good);
    }
    for (bad, reason) in [
        ("dev.cdevents.change.created.0.4.0", "does not start"),
        ("dev.cdeventsx.tag.created.0.1.0", "joined by `-`"),
        ("dev.cdeventsx.-tag.created.0.1.0", "the tool's name"),
        ("dev.cdeventsx.gi_t-tag.created.0.1.0", "the tool's name"),
        ("dev.cdeventsx.git-tag2.created.0.1.0", "the subject"),
        ("dev.cdeventsx.git-tag-x.created.0.1.0", "the subject"),
        ("dev.cdeventsx.git-tag..0.1.0", "the predicate"),
        ("dev.cdeventsx.git-tag", "the predicate"),
        ("dev.cdeventsx.git-tag.created", "the version"),
        ("dev.cdeventsx.git-tag.created.0.10.0", "the version"),
        ("dev.cdeventsx.git-tag.created.0.1.0.0", "the version"),
        ("dev.cdeventsx.git-tag.created.0.1.0-draft", "the version"),
        ("dev.cdeventsx.git-tag.created.0.1.٣", "the version"),
    ] {
        let error = Type::parse(bad)
            .err()
            .map_or_else(|| bad.parse::<CustomType>().unwrap_err().to_string(), |e| e.to_string());
        assert!(error.contains(reason), "{bad}: {error}");
    }
}

#[test]
fn every_problem_of_a_content_is_told_with_its_place() {
    assert_eq!(
        problems(
            "dev.cdevents.testcaserun.finished",
            &json!({"outcome": "pass", "environment": {"source": ""}, "testCase": {"id": "1", "uri": "/x"}, "extra": 1}),
        ),
        [
            "`outcome` must be one of `success`, `failure`, `cancel`, `error`, not `pass`",
            "`environment.id` is required",
            "`environment.source` must be a non-empty URI-reference, not ``",
            "`testCase.uri` must be an absolute URI, not `/x`",
            "`extra` is not a field of this type; its fields: `outcome`, `severity`, `reason`, `environment`, \
             `testSuiteRun`, `testCase`",
        ]
    );
    assert_eq!(
        problems("dev.cdevents.build.queued", &json!({"a": 1})),
        ["`a` is not a field of this type; its fields: none"]
    );
    assert_eq!(
        problems("dev.cdevents.ticket.updated", &json!({"uri": "x", "labels": ["a", 1]})),
        ["`labels` must be an array of strings, not an array"]
    );
    assert_eq!(
        problems("dev.cdevents.change.created", &json!([])),
        ["the content must be an object, not an array"]
    );
    assert_eq!(
        problems("dev.cdevents.change.created", &json!({"description": null})),
        ["`description` must be a string, not null"]
    );
}

#[test]
fn custom_types_take_any_object() {
    assert!(problems("dev.cdeventsx.git-tag.created.0.1.0", &json!({"any": [1]})).is_empty());
    assert!(!problems("dev.cdeventsx.git-tag.created.0.1.0", &json!("text")).is_empty());
}
