use serde_json::json;

use super::*;

#[test]
fn enterprise_hosts_are_sources_of_their_own() {
    let mut body = pull_request("opened");
    body["repository"]["html_url"] = json!("https://ghe.example.com:8443/Acme/shop");
    let event = one("pull_request", &body);
    assert_eq!(event.source(), "https://ghe.example.com:8443/Acme/shop");
    assert_eq!(data(&event)["subject"]["content"]["repository"]["source"], "https://ghe.example.com:8443");
    let public = one("pull_request", &pull_request("opened"));
    assert_ne!(event.id(), public.id());
    assert_ne!(event.attribute("correlationid"), public.attribute("correlationid"));
}

#[test]
fn a_payload_with_only_what_is_needed_is_enough() {
    let repository = json!({"html_url": "https://github.com/Acme/shop"});
    let push = json!({"ref": "refs/heads/main", "repository": repository});
    assert_eq!(
        data(&one("push", &push))["customData"]["repository"],
        json!({
            "owner": "Acme", "name": "shop", "url": "https://github.com/Acme/shop",
        })
    );
    let side = json!({"ref": "a", "sha": A});
    let pull = json!({"action": "opened", "repository": repository,
        "pull_request": {"number": 1, "title": null, "labels": null, "head": side, "base": side}});
    let event = one("pull_request", &pull);
    assert_eq!(event.time(), Some(RECEIVED));
    assert!(data(&event)["subject"]["content"].get("description").is_none());
}

#[test]
fn what_an_event_cannot_be_without_is_named_and_the_raw_event_told() {
    let mut wrong = pull_request("synchronize");
    wrong["pull_request"]["head"]["sha"] = json!(5);
    let mut missing = pull_request("opened");
    missing["pull_request"].as_object_mut().unwrap().remove("number");
    let mut url = push("refs/heads/main", A, B);
    url["repository"]["html_url"] = json!("javascript:alert(1)");
    let review = pull_request("submitted");
    for (event, body, wanted) in [
        ("pull_request", wrong, "`pull_request.head.sha`, which identifies the event, is of another type"),
        ("pull_request", missing, "`pull_request`: missing field `number`"),
        ("push", url, "`repository.html_url` must be an http or https URL"),
        ("push", json!({}), "missing field `ref`"),
        ("pull_request_review", review, "missing field `review`"),
    ] {
        let error = lost(&webhook(event, &body));
        assert!(error.starts_with(&format!("the body is not a `{event}` payload: ")), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
    for (event, body, wanted) in [
        ("brand_new", json!([1]), "expected an object"),
        ("push", json!([1]), "expected an object"),
        ("brand new", json!({}), "the name of the event"),
    ] {
        let error = events(&webhook(event, &body)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn one_odd_file_of_a_release_costs_only_itself() {
    let mut body = release("published");
    body["release"]["assets"] =
        json!([{"name": "a"}, {"name": []}, null, 5, {"name": "b", "digest": 5}, {"name": "c"}]);
    let all = events(&webhook("release", &body)).unwrap();
    let subjects: Vec<&str> = all[2..].iter().map(|event| event.subject().unwrap()).collect();
    assert!(
        subjects.len() == 2 && subjects[0].contains("/a@") && subjects[1].contains("/c@"),
        "{subjects:?}"
    );
}

#[test]
fn bytes_that_are_no_json_text_are_refused() {
    let mut webhook = webhook("brand_new", &json!({}));
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(200), "]".repeat(200));
    for body in [&b""[..], b"{", b"{\"a\": 1}x", b"{\"a\": \"\xff\"}", b"payload=%7B%7D", deep.as_bytes()] {
        webhook.body = Bytes::copy_from_slice(body);
        assert!(events(&webhook).is_err(), "{}", String::from_utf8_lossy(body));
    }
    // Many levels' worth of brackets, side by side.
    webhook.body = Bytes::from(format!("{{\"a\": [{}[]]}}", "[],".repeat(500)));
    assert!(events(&webhook).is_ok());
}

#[test]
fn every_row_names_types_that_exist() {
    for row in ROWS {
        for base in row.becomes {
            assert!(resolve(base).is_some() || custom(base).is_ok(), "{base}");
        }
    }
}
