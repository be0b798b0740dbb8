use serde_json::{Value, json};

use super::*;
use crate::event::json as format;

fn full(data: Data, media_type: &str) -> Event {
    Event::builder("1", "https://example.com/s", "t")
        .subject("sübject")
        .time("2018-04-05T17:31:00Z")
        .dataschema("https://example.com/schema")
        .extension("text", "x")
        .extension("flag", true)
        .extension("number", 5)
        .datacontenttype(media_type)
        .data(data)
        .build()
        .unwrap()
}

fn samples() -> Vec<Event> {
    vec![
        full(Data::None, "application/json"),
        full(Data::Json(r#"{"a":[1,2.5,null,"x"]}"#.into()), "application/json"),
        full(Data::Text("héllo".into()), "text/plain"),
        full(Data::Binary(vec![0, 1, 255].into()), "application/octet-stream"),
        Event::builder("1", "/s", "t").data(Data::Json("{}".into())).build().unwrap(),
        Event::builder("1", "/s", "t").build().unwrap(),
    ]
}

#[test]
fn an_event_survives_the_way_through_the_sdk() {
    for event in samples() {
        let there = cloudevents::Event::try_from(&event).unwrap();
        let back = Event::try_from(&there).unwrap();
        let expected = match event.time() {
            Some(_) => event.to_builder().time("2018-04-05T17:31:00+00:00").build().unwrap(),
            None => event,
        };
        assert_eq!(back, expected);
    }
}

#[test]
fn what_we_write_the_sdk_reads() {
    for event in samples() {
        let mut out = Vec::new();
        format::write(&event, &mut out);
        let read: cloudevents::Event = serde_json::from_slice(&out).unwrap();
        assert_eq!(read, cloudevents::Event::try_from(&event).unwrap());
    }
}

#[test]
fn what_the_sdk_writes_we_read() {
    for event in samples() {
        let theirs = cloudevents::Event::try_from(&event).unwrap();
        let read = format::decode(serde_json::to_vec(&theirs).unwrap().into()).unwrap();
        let time = read.time().map(|it| it.parse::<jiff::Timestamp>().unwrap());
        assert_eq!(time, event.time().map(|it| it.parse().unwrap()));
        let read = match event.time() {
            Some(time) => read.to_builder().time(time).build().unwrap(),
            None => read,
        };
        assert_eq!(read, event);
    }
}

#[test]
fn the_tree_is_what_the_sdk_writes() {
    for event in samples() {
        let theirs = serde_json::to_value(cloudevents::Event::try_from(&event).unwrap()).unwrap();
        assert_eq!(format::tree(&event), theirs);
    }
}

#[test]
fn what_the_sdk_lets_pass_is_checked() {
    let sdk = || EventBuilderV10::new().id("1").source("/s").ty("t");
    let refusal = |event: cloudevents::Event| Event::try_from(&event).expect_err("refused").to_string();
    assert_eq!(refusal(sdk().id("").build().unwrap()), "attribute `id` must be a non-empty string");
    assert_eq!(
        refusal(sdk().extension("Bad_Name", "x").build().unwrap()),
        "attribute name `Bad_Name` must consist of the characters a-z and 0-9 only"
    );
    assert_eq!(
        refusal(sdk().extension("big", 1_i64 << 40).build().unwrap()),
        "attribute `big` must be a whole number of 32 bits"
    );
}

#[test]
fn a_string_under_a_json_content_type_is_the_json_text_in_it() {
    let sdk = |text: &str| {
        EventBuilderV10::new().id("1").source("/s").ty("t").data("application/json", text).build().unwrap()
    };
    let event = Event::try_from(&sdk(r#"{"a":1}"#)).unwrap();
    assert_eq!(event.tree(), Some(&json!({"a": 1})));
    assert!(matches!(Event::try_from(&sdk("{")), Err(SdkError::Payload(_))));
    assert!(Value::is_object(&format::tree(&event)["data"]));
}
