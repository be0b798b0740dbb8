//! What an `emit` may say of the new event: id, time, chain, links and more attributes.

use super::*;

fn emitting(ty: &str, fields: &str) -> String {
    mapping(&format!(
        "  events: [{{type: dev.cdevents.change.created}}]\n  let:\n    links: {{cel: \"[{{'linkType': 'PATH', 'from': {{'contextId': event.id}}}}, {{'linkType': 'END'}}]\"}}\n    none: {{path: $.data.none, default: \"\"}}\n  do:\n    - name: tell\n      emit:\n        type: {ty}\n{fields}"
    ))
}

const CUSTOM: &str = "dev.cdeventsx.tool-thing.done.0.1.0";

fn emitted(ty: &str, fields: &str) -> Arc<Event> {
    let event = change("t");
    let plan = set(&emitting(ty, fields)).plan(std::slice::from_ref(&event)).complete().unwrap();
    let [Action::Emit(emit)] = &plan.actions[..] else { panic!("{plan:?}") };
    Arc::clone(&emit.event)
}

#[test]
fn an_author_may_give_id_time_chain_and_links() {
    let event = emitted(
        CUSTOM,
        r#"        id: "own-{{event.id}}"
        time: "2026-01-02 03:04:05+02:00"
        chainId: "chain-{{event.data.customData.change.number}}"
        links: "{{links}}"
        extensions: {partitionkey: "{{event.subject}}", absent: "{{none}}"}
"#,
    );
    let context = &event.tree().unwrap()["context"];
    assert_eq!((event.id(), event.time()), ("own-c-1", Some("2026-01-02T01:04:05Z")));
    assert_eq!(context["id"], "own-c-1");
    assert_eq!(context["timestamp"], "2026-01-02T01:04:05Z");
    assert_eq!(context["chainId"], "chain-7");
    assert_eq!(
        context["links"],
        json!([{"linkType": "PATH", "from": {"contextId": "c-1"}}, {"linkType": "END"}])
    );
    assert_eq!(event.attribute("correlationid").as_deref(), Some("chain-7"));
    assert_eq!(event.attribute("causationid").as_deref(), Some("c-1"));
    assert_eq!(event.attribute("partitionkey").as_deref(), Some("o/r/pull/7"));
    assert_eq!(event.attribute("absent"), None);
}

/// The id does not depend on it: whoever sends again gets the same event.
#[test]
fn what_came_without_a_time_has_that_of_its_receipt() {
    for ty in [CUSTOM, "com.example.done"] {
        let at = |receipt: Option<&str>| {
            let mut event = Event::builder("c-1", "/here", "com.example.came").json("{}").build().unwrap();
            if let Some(receipt) = receipt {
                event = event.received(receipt.parse().unwrap());
            }
            let text = emitting(ty, "").replace("dev.cdevents.change.created", "com.example.came");
            let plan = set(&text).plan(&[Arc::new(event)]).complete().unwrap();
            let [Action::Emit(emit)] = &plan.actions[..] else { panic!("{plan:?}") };
            (emit.event.id().to_owned(), emit.event.time().unwrap().to_owned())
        };
        let (id, first) = at(Some("2026-01-02T03:04:05Z"));
        let (again, second) = at(Some("2026-01-02T03:05:05Z"));
        assert_eq!((first.as_str(), second.as_str()), ("2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z"));
        assert_eq!(id, again);
        // That of an example, which has to be the same at any time.
        assert_eq!(at(None), (id, "1970-01-01T00:00:00Z".to_owned()));
    }
}

#[test]
fn links_may_be_written_out_and_stand_in_place_of_the_usual_one() {
    let fields =
        "        links: [{linkType: RELATION, linkKind: TRIGGER, target: {contextId: \"x-{{event.id}}\"}}]\n";
    let event = emitted(CUSTOM, fields);
    let links = json!([{"linkType": "RELATION", "linkKind": "TRIGGER", "target": {"contextId": "x-c-1"}}]);
    assert_eq!(event.tree().unwrap()["context"]["links"], links);
    // The links say what caused it.
    assert_eq!(event.attribute("causationid").as_deref(), Some("x-c-1"));
    let event = emitted(CUSTOM, "        links: []\n");
    assert_eq!(event.tree().unwrap()["context"].get("links"), None);
    assert_eq!(event.attribute("causationid").as_deref(), Some("c-1"));
}

#[test]
fn without_them_all_is_as_ever_and_an_empty_text_is_as_good_as_none() {
    let usual = emitted(CUSTOM, "");
    let context = &usual.tree().unwrap()["context"];
    assert_eq!(context["chainId"], "chain-1");
    assert_eq!(context["links"], json!([{"linkType": "PATH", "from": {"contextId": "c-1"}}]));
    assert_eq!(usual.time(), Some("2024-05-06T07:08:09Z"));
    let empty = emitted(
        CUSTOM,
        "        id: \"{{none}}\"\n        time: \"{{none}}\"\n        chainId: \"{{none}}\"\n",
    );
    assert_eq!(empty, usual);
}

#[test]
fn an_event_in_other_words_is_not_its_own_cause() {
    let event = emitted(CUSTOM, "        id: \"{{event.id}}\"\n");
    assert_eq!(event.id(), "c-1");
    assert_eq!(event.attribute("causationid"), None);
    assert_eq!(event.tree().unwrap()["context"].get("links"), None);
    let event = emitted(
        "com.example.plain",
        "        id: \"{{event.id}}\"\n        time: \"2026-01-02T03:04:05Z\"\n",
    );
    assert_eq!((event.id(), event.time()), ("c-1", Some("2026-01-02T03:04:05Z")));
    assert_eq!(event.attribute("causationid"), None);
    assert_eq!(event.attribute("correlationid").as_deref(), Some("chain-1"));
}

#[test]
fn what_cannot_be_a_time_or_a_link_is_an_error_with_its_place() {
    for (fields, place, reason) in [
        ("time: \"soon-{{event.id}}\"", "do[0].emit.time", "`soon-c-1` is no time; write one such as"),
        ("links: \"{{event.id}}\"", "do[0].emit.links", "`links` must be a list of links"),
        (
            "links: [{linkType: PATH}, {linkType: RELATION, linkKind: X, target: {contextId: \"{{none}}\"}}]",
            "do[0].emit.links",
            "`links[0].from` is required; `links[1].target.contextId` must be a non-empty string",
        ),
    ] {
        let error = plan_error(&emitting(CUSTOM, &format!("        {fields}\n")), &change("t"));
        assert_eq!(error.place, place);
        assert!(error.reason.starts_with(reason), "{}", error.reason);
    }
}

#[test]
fn what_only_cdevents_have_and_what_is_computed_is_refused_at_load() {
    for (ty, field, code, message) in [
        ("a.b", "chainId: x", "not-supported", "only CDEvents have `chainId`"),
        ("a.b", "links: []", "not-supported", "only CDEvents have `links`"),
        ("a.b", "customData: {}", "not-supported", "only CDEvents have `customData`"),
        (
            CUSTOM,
            "extensions: {causationid: x}",
            "invalid-attribute",
            "`causationid` cannot be one of `extensions`",
        ),
        (CUSTOM, "extensions: {id: x}", "invalid-attribute", "`id` cannot be one of `extensions`"),
        (CUSTOM, "extensions: {Key: x}", "invalid-attribute", "`Key` is not a CloudEvents attribute"),
        (CUSTOM, "time: soon", "invalid-time", "`soon` is no time"),
        (
            CUSTOM,
            "links: [{linkType: PATHS}]",
            "invalid-links",
            "`links[0].linkType` must be `PATH`, `RELATION` or `END`",
        ),
        (CUSTOM, "id: 7", "wrong-type", "`id` must be a string, not a number"),
        (CUSTOM, "link: []", "unknown-field", "unknown field `link` in `emit`"),
    ] {
        let found = finding(&emitting(ty, &format!("        {field}\n")));
        assert_eq!((found.0.as_str(), found.1.as_str()), (code, message));
    }
}

#[test]
fn an_expectation_may_name_them() {
    let event = change("t");
    let planned = objects(&set(&emitting(CUSTOM, "        id: own\n        links: \"{{links}}\"\n")), &event);
    let emit = &planned[0]["emit"];
    assert_eq!(
        (&emit["id"], &emit["time"], &emit["chainId"]),
        (&json!("own"), &json!("2024-05-06T07:08:09Z"), &json!("chain-1"))
    );
    assert_eq!(emit["links"][1], json!({"linkType": "END"}));
}
