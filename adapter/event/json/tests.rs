use proptest::prelude::*;
use serde_json::json;

use super::*;

fn event(text: &str) -> Result<Event, JsonError> {
    decode(Bytes::copy_from_slice(text.as_bytes()))
}

fn refusal(text: &str) -> String {
    event(text).expect_err(text).to_string()
}

/// An event whose members besides the required ones are `members`.
fn with(members: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t",{members}}}"#)
}

fn written(event: &Event) -> String {
    let mut out = Vec::new();
    write(event, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn all_attributes_are_read_and_written_in_a_fixed_order() {
    let text = concat!(
        r#"{"specversion":"1.0","id":"A-1","source":"/s","type":"com.example.x","subject":"s\"ü","#,
        r#""time":"2018-04-05T17:31:00.123456+02:00","datacontenttype":"application/json; charset=utf-8","#,
        r#""dataschema":"https://example.com/s","aa":"x","flag":true,"num":-5,"data":{ "b" : 1.50, "a":[] }}"#
    );
    let event = event(text).unwrap();
    assert_eq!(event.id(), "A-1");
    assert_eq!(event.subject(), Some("s\"ü"));
    assert_eq!(event.time(), Some("2018-04-05T17:31:00.123456+02:00"));
    assert_eq!(event.extensions()["flag"], ExtensionValue::Boolean(true));
    assert_eq!(event.extensions()["num"], ExtensionValue::Integer(-5));
    assert_eq!(event.data(), &Data::Json(Bytes::from_static(br#"{ "b" : 1.50, "a":[] }"#)));
    assert_eq!(written(&event), text, "the spelling of numbers, the order of keys and white space stay");
}

#[test]
fn data_is_a_part_of_the_body_and_no_copy() {
    let body = Bytes::from(with(r#""data":{"a":1}"#));
    let event = decode(body.clone()).unwrap();
    let Data::Json(data) = event.data() else { panic!("{event:?}") };
    assert!(body.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn null_attributes_are_absent() {
    let event = event(&with(r#""subject":null,"time":null,"datacontenttype":null,"dataschema":null,"ext":null,"data_base64":null"#))
        .unwrap();
    assert_eq!(written(&event), r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#);
    assert_eq!(
        refusal(r#"{"specversion":"1.0","id":null,"source":"/s","type":"t"}"#),
        "attribute `id` must be a non-empty string"
    );
}

#[test]
fn a_null_payload_is_the_json_value_null() {
    let event = event(&with(r#""data":null"#)).unwrap();
    assert_eq!(event.data(), &Data::Json("null".into()));
    assert!(written(&event).ends_with(r#""data":null}"#));
}

#[test]
fn only_version_1_0_is_understood() {
    for version in [r#""specversion":"0.3","#, r#""specversion":"1.0.2","#, r#""specversion":null,"#, ""] {
        assert_eq!(
            refusal(&format!(r#"{{{version}"id":"1","source":"/s","type":"t"}}"#)),
            "attribute `specversion` must be `1.0`, the only version of CloudEvents that is understood here"
        );
    }
    assert_eq!(
        refusal(r#"{"specversion":1.0,"id":"1","source":"/s","type":"t"}"#),
        "attribute `specversion` must be a string, not a number"
    );
}

#[test]
fn a_member_twice_is_refused_however_it_is_spelled() {
    for (members, name) in [
        (r#""id":"2""#, "id"),
        (r#""\u0069d":"2""#, "id"),
        (r#""ext":"1","ext":"1""#, "ext"),
        (r#""data":1,"data":1"#, "data"),
        (r#""subject":null,"subject":"x""#, "subject"),
    ] {
        assert_eq!(refusal(&with(members)), format!("member `{name}` appears twice"));
    }
}

#[test]
fn context_attributes_are_strings() {
    for (value, found) in [("1", "a number"), ("true", "a boolean"), ("{}", "an object"), ("[]", "an array")]
    {
        for name in ["subject", "time", "datacontenttype", "dataschema"] {
            assert_eq!(
                refusal(&with(&format!(r#""{name}":{value}"#))),
                format!("attribute `{name}` must be a string, not {found}")
            );
        }
    }
    assert_eq!(
        refusal(&with(r#""subject":"\ud800""#)),
        "attribute `subject` must be Unicode text, not a string with an unpaired surrogate"
    );
}

#[test]
fn extensions_are_strings_booleans_and_whole_numbers_of_32_bits() {
    for (value, found) in [
        ("1.5", "another number"),
        ("1.0", "another number"),
        ("1e3", "another number"),
        ("2147483648", "another number"),
        ("-2147483649", "another number"),
        ("{}", "an object"),
        ("[1]", "an array"),
    ] {
        assert_eq!(
            refusal(&with(&format!(r#""ext":{value}"#))),
            format!("attribute `ext` must be a string, a boolean or a whole number of 32 bits, not {found}")
        );
    }
    for number in [i32::MIN, 0, i32::MAX] {
        assert_eq!(
            event(&with(&format!(r#""ext":{number}"#))).unwrap().extensions()["ext"],
            ExtensionValue::Integer(number)
        );
    }
}

#[test]
fn attribute_rules_hold() {
    for (members, message) in [
        (r#""Ext":"x""#, "attribute name `Ext` must consist of the characters a-z and 0-9 only"),
        (
            r#""subject":"a\nb""#,
            "attribute `subject` must not contain the character U+000A: control characters and noncharacters are not allowed",
        ),
        (
            r#""time":"yesterday""#,
            "attribute `time` must be an RFC 3339 timestamp such as `2026-01-31T12:00:00Z`",
        ),
        (
            r#""datacontenttype":"json""#,
            "attribute `datacontenttype` must be a media type such as `application/json` (RFC 2046)",
        ),
        (r#""dataschema":"x""#, "attribute `dataschema` must be a URI with a scheme (RFC 3986, section 3)"),
    ] {
        assert_eq!(refusal(&with(members)), message);
    }
}

#[test]
fn two_payloads_are_refused() {
    assert_eq!(
        refusal(&with(r#""data":1,"data_base64":"AA==""#)),
        "members `data` and `data_base64` exclude each other: send one of them"
    );
    let one = event(&with(r#""datacontenttype":"a/b","data":null,"data_base64":"AAE=""#)).unwrap();
    assert_eq!(one.data(), &Data::Binary(Bytes::from_static(&[0, 1])));
}

#[test]
fn base64_is_bytes_or_the_json_that_the_content_type_declares() {
    let data = |members: &str| event(&with(members)).unwrap().data().clone();
    assert_eq!(
        data(r#""datacontenttype":"application/octet-stream","data_base64":"AAE=""#),
        Data::Binary(Bytes::from_static(&[0, 1]))
    );
    assert_eq!(
        data(r#""datacontenttype":"application/json","data_base64":"eyJhIjoxfQ==""#),
        Data::Json("{\"a\":1}".into())
    );
    assert_eq!(data(r#""data_base64":"eyJhIjoxfQ==""#), Data::Json("{\"a\":1}".into()));
    assert_eq!(
        data(r#""datacontenttype":"application/json","data_base64":"AAE=""#),
        Data::Binary(Bytes::from_static(&[0, 1]))
    );
    for bad in [r#""data_base64":"A""#, r#""data_base64":"_-8=""#] {
        assert_eq!(refusal(&with(bad)), "member `data_base64` must be base64 text (RFC 4648, section 4)");
    }
    assert_eq!(
        refusal(&with(r#""data_base64":1"#)),
        "attribute `data_base64` must be a string, not a number"
    );
}

#[test]
fn a_json_string_is_text_unless_the_content_type_is_json() {
    let data = |members: &str| event(&with(members)).unwrap().data().clone();
    assert_eq!(data(r#""datacontenttype":"text/plain","data":"a\"b""#), Data::Text("a\"b".into()));
    assert_eq!(data(r#""datacontenttype":"application/json","data":"x""#), Data::Json("\"x\"".into()));
    assert_eq!(data(r#""data":"x""#), Data::Json("\"x\"".into()));
    assert_eq!(data(r#""datacontenttype":"text/plain","data":{"a":1}"#), Data::Json("{\"a\":1}".into()));
}

#[test]
fn an_absent_content_type_stays_absent() {
    let text = with(r#""data":{"a":1}"#);
    let event = event(&text).unwrap();
    assert_eq!(event.datacontenttype(), None);
    assert_eq!(written(&event), text);
}

#[test]
fn what_is_no_object_is_refused() {
    for text in ["[]", "1", "\"secret\"", "null"] {
        assert_eq!(refusal(text), "an event must be a JSON object");
    }
    assert_eq!(refusal(""), "the body is not well-formed JSON: EOF while parsing a value at line 1 column 0");
    assert_eq!(
        refusal("{\"id\":\n \"1\",}"),
        "the body is not well-formed JSON: trailing comma at line 2 column 6"
    );
    assert!(refusal(&format!("{} x", with(r#""data":1"#))).contains("trailing characters"));
    assert!(
        decode(Bytes::from_static(b"{\"id\":\"\xff\"}"))
            .unwrap_err()
            .to_string()
            .contains("not well-formed JSON")
    );
}

#[test]
fn data_that_no_tree_could_hold_is_refused() {
    let nested = |depth: usize| with(&format!(r#""data":{}{}"#, "[".repeat(depth), "]".repeat(depth)));
    assert!(event(&nested(127)).unwrap().tree().is_some());
    assert_eq!(
        refusal(&nested(128)),
        "member `data` cannot be read: recursion limit exceeded at line 1 column 128"
    );
    assert!(refusal(&nested(100_000)).contains("recursion limit"));
    assert!(refusal(&with(r#""data":"\ud800""#)).starts_with("member `data` cannot be read: "));
    assert!(
        refusal(&with(r#""data":1e999"#)).starts_with("member `data` cannot be read: number out of range")
    );
}

#[test]
fn a_text_with_more_values_than_a_tree_may_have_is_refused() {
    let refused = |text: &str| well_formed(text.as_bytes()).unwrap_err().to_string();
    for text in [
        format!("[{}1]", "1,".repeat(MAX_VALUES)),
        format!("[{}[]]", "[],".repeat(MAX_VALUES)),
        format!("{{{}\"b\":0}}", "\"a\":0,".repeat(MAX_VALUES)),
    ] {
        assert_eq!(refused(&text), "it holds more than 1000000 values");
    }
    // As many levels are found by their depth, and text is no value.
    assert!(refused(&"[".repeat(900_000)).starts_with("recursion limit exceeded"));
    assert!(well_formed(format!("[\"{}\\\"\"]", "[,{".repeat(MAX_VALUES)).as_bytes()).is_ok());
    assert!(well_formed(format!("[{}1]", "1,".repeat(MAX_VALUES - 2)).as_bytes()).is_ok());
}

#[test]
fn a_batch_is_read_and_written() {
    let text = format!("[{},{}]", with(r#""data":1"#), with(r#""data":2"#));
    let events = decode_batch(Bytes::from(text.clone())).unwrap();
    assert_eq!(events.len(), 2);
    let mut out = Vec::new();
    write_batch(&events, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), text);
    assert!(decode_batch(Bytes::from_static(b" [ ] ")).unwrap().is_empty());
}

#[test]
fn a_refused_batch_lists_its_events_by_index() {
    let text = format!("[{},{{}},{},7]", with(r#""data":1"#), with(r#""time":"x""#));
    assert_eq!(
        decode_batch(Bytes::from(text)).unwrap_err().to_string(),
        "event 1 of the batch: attribute `specversion` must be `1.0`, the only version of CloudEvents that is \
         understood here; event 2 of the batch: attribute `time` must be an RFC 3339 timestamp such as \
         `2026-01-31T12:00:00Z`; event 3 of the batch: an event must be a JSON object"
    );
    let many = decode_batch(Bytes::from(format!("[{}]", vec!["1"; 30].join(",")))).unwrap_err().to_string();
    assert!(many.ends_with("; and 20 more"), "{many}");
}

#[test]
fn a_batch_is_bounded() {
    let of = |count| Bytes::from(format!("[{}]", vec![with(r#""data":1"#); count].join(",")));
    assert_eq!(decode_batch(of(MAX_BATCH)).unwrap().len(), MAX_BATCH);
    assert_eq!(
        decode_batch(of(MAX_BATCH + 1)).unwrap_err().to_string(),
        "a batch may hold at most 1000 events: send several"
    );
    assert_eq!(
        decode_batch(Bytes::from_static(b"{}")).unwrap_err().to_string(),
        "a batch must be a JSON array of events"
    );
}

#[test]
fn the_tree_has_the_members_of_the_text() {
    for members in [
        r#""subject":"s","time":"2018-04-05T17:31:00Z","ext":1,"flag":false,"data":{"a":[1]}"#,
        r#""datacontenttype":"text/plain","data":"x""#,
        r#""datacontenttype":"a/b","data_base64":"AAE=""#,
        r#""ext":"x""#,
    ] {
        let text = with(members);
        assert_eq!(tree(&event(&text).unwrap()), serde_json::from_str::<Value>(&text).unwrap());
    }
    assert_eq!(tree(&event(&with(r#""data":null"#)).unwrap())["data"], json!(null));
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|it| serde_json::to_string(&it).unwrap()),
        "\"(\\\\u[0-9a-f]{4}|[a-z]){0,4}\"",
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|it| format!("[ {} ]", it.join(", "))),
            prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|it| {
                let members: Vec<String> =
                    it.iter().map(|(k, v)| format!("{}:{v}", serde_json::to_string(k).unwrap())).collect();
                format!("{{\n{}}}", members.join(",\t"))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn well_formed_is_what_a_tree_can_hold(text in json_text(), cut in 0..40_usize) {
        for text in [text.as_bytes(), &text.as_bytes()[..text.len().saturating_sub(cut)]] {
            prop_assert_eq!(well_formed(text).is_ok(), serde_json::from_slice::<Value>(text).is_ok());
        }
    }

    #[test]
    fn json_data_comes_out_as_it_went_in(text in json_text()) {
        let whole = with(&format!("\"data\":{text}"));
        if let Ok(event) = event(&whole) {
            prop_assert_eq!(written(&event), whole);
        }
    }

    #[test]
    fn a_written_event_reads_back_equal(
        id in "[^\\p{Cc}\\p{Cn}]{1,9}", subject in prop::option::of("[^\\p{Cc}\\p{Cn}]{1,9}"), ext in "[^\\p{Cc}\\p{Cn}]{0,9}",
        number in any::<i32>(), text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        for (media_type, data) in
            [("text/plain", Data::Text(text)), ("application/x", Data::Binary(bytes.into())), ("a/b+json", Data::Json("[0]".into()))]
        {
            let mut builder = Event::builder(id.clone(), "/s", "t").extension("ext", ext.clone()).extension("n", number);
            builder.subject.clone_from(&subject);
            if let Ok(event) = builder.datacontenttype(media_type).data(data).build() {
                prop_assert_eq!(&decode(written(&event).into()).unwrap(), &event);
            }
        }
    }

    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\":,a-z0-9\\\\]{0,64}") {
        for body in [Bytes::from(bytes), Bytes::from(text)] {
            let _ = (decode(body.clone()), decode_batch(body));
        }
    }
}
