use proptest::prelude::*;

use super::*;

const REQUIRED: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];

fn send<'a>(headers: &[(&'a str, &'a [u8])], body: &[u8]) -> Result<Vec<Event>, DecodeError> {
    decode(headers.iter().copied(), Bytes::copy_from_slice(body))
}

/// A request in binary mode: the required attributes and `more`, which replaces them by name.
fn binary(more: &[(&str, &[u8])], body: &[u8]) -> Result<Event, DecodeError> {
    let required = REQUIRED.iter().map(|(name, value)| (*name, value.as_bytes()));
    let headers: Vec<_> = required
        .filter(|(name, _)| !more.iter().any(|it| it.0 == *name))
        .chain(more.iter().copied())
        .collect();
    send(&headers, body).map(|mut events| events.remove(0))
}

fn subject(value: &[u8]) -> String {
    binary(&[("ce-subject", value)], b"").unwrap().subject().unwrap().to_owned()
}

fn refusal(result: Result<impl Sized, DecodeError>) -> (u16, String) {
    let error = result.err().expect("refused");
    (error.status(), error.to_string())
}

fn sent(message: Message) -> Result<Vec<Event>, DecodeError> {
    let (headers, body) = message;
    decode(headers.iter().map(|(name, value)| (name.as_ref(), value.as_bytes())), body)
}

#[test]
fn the_mode_is_chosen_by_a_prefix_of_the_content_type_in_any_case() {
    for (content_type, expected) in [
        (None, Mode::Binary),
        (Some("application/json"), Mode::Binary),
        (Some("text/plain"), Mode::Binary),
        (Some("application/cloudevents+json"), Mode::Structured),
        (Some("Application/CloudEvents+JSON; charset=UTF-8"), Mode::Structured),
        (Some(" application/cloudevents+json ;x=y"), Mode::Structured),
        (Some("application/cloudevents-batch+json"), Mode::Batched),
        (Some("APPLICATION/CLOUDEVENTS-BATCH+JSON;charset=\"utf-8\""), Mode::Batched),
    ] {
        assert_eq!(mode(content_type).unwrap(), expected, "{content_type:?}");
    }
}

#[test]
fn event_formats_other_than_json_are_unsupported() {
    for content_type in [
        "application/cloudevents+avro",
        "application/cloudevents",
        "application/cloudevents+protobuf",
        "application/cloudevents-batch+avro",
        "application/cloudevents-batch",
        "Application/CloudEvents+XML; a=b",
    ] {
        assert_eq!(
            refusal(mode(Some(content_type))),
            (415, "the event format of this `content-type` is not supported: send `application/cloudevents+json` or \
                   `application/cloudevents-batch+json`".to_owned()),
            "{content_type}"
        );
    }
    assert_eq!(
        refusal(mode(Some("application/cloudevents+json; charset=utf-16"))),
        (415, "the `charset` of `content-type` is not supported: events in JSON are UTF-8".to_owned())
    );
}

#[test]
fn the_content_type_decides_even_beside_ce_headers() {
    let body = br#"[{"specversion":"1.0","id":"inside","source":"/s","type":"t"}]"#;
    let events = send(
        &[
            ("Content-Type", b"application/cloudevents-batch+json"),
            ("ce-specversion", b"1.0"),
            ("ce-id", b"outside"),
        ],
        body,
    )
    .unwrap();
    assert_eq!(events[0].id(), "inside");
}

#[test]
fn a_binary_event_is_read_and_keeps_the_parameters_of_its_content_type() {
    let event = binary(
        &[
            ("CE-Subject", b"s"),
            ("Ce-Time", b"2018-04-05T17:31:00Z"),
            ("ce-dataschema", b"https://example.com/s"),
            ("ce-comexampleextension1", b"5"),
            ("Content-Type", b"application/json; charset=utf-8"),
            ("Accept-Encoding", b"gzip"),
            ("Content-Encoding", b"Identity"),
        ],
        b" {\"a\":1}\n",
    )
    .unwrap();
    assert_eq!(event.subject(), Some("s"));
    assert_eq!(event.time(), Some("2018-04-05T17:31:00Z"));
    assert_eq!(event.dataschema(), Some("https://example.com/s"));
    assert_eq!(event.extensions()["comexampleextension1"], ExtensionValue::String("5".into()));
    assert_eq!(event.datacontenttype(), Some("application/json; charset=utf-8"));
    assert_eq!(event.data(), &Data::Json("{\"a\":1}".into()));
}

#[test]
fn ce_datacontenttype_is_refused() {
    assert_eq!(
        refusal(binary(&[("ce-datacontenttype", b"application/json")], b"{}")),
        (
            400,
            "header `ce-datacontenttype` must not be present: `content-type` carries that attribute"
                .to_owned()
        )
    );
}

#[test]
fn quoted_values_are_unescaped_before_percent_decoding() {
    assert_eq!(subject(br#""Euro \"x\" \\ %E2%82%AC""#), "Euro \"x\" \\ €");
    assert_eq!(subject(br#""a b""#), "a b");
    assert_eq!(subject(br#"\"a"#), "\\\"a", "a backslash means something only inside quotes");
}

#[test]
fn what_is_no_quoted_string_as_a_whole_stays() {
    for literal in [r#""title" by me"#, r#"say "x""#, "\"open", "\"", r#""a"b""#, r#""a\""#] {
        assert_eq!(subject(literal.as_bytes()), literal);
    }
}

#[test]
fn values_are_percent_decoded_once_in_any_case_of_digits() {
    assert_eq!(subject(b"Euro%20%E2%82%AC%20%f0%9F%98%80"), "Euro € 😀");
    assert_eq!(subject(b"%2525"), "%25", "one round");
    assert_eq!(subject(b"%41bc"), "Abc", "a needless escape");
}

#[test]
fn a_percent_sign_that_starts_no_escape_passes_unharmed() {
    for literal in ["100% sure", "100%", "%zz", "50%2", "%E2%82%AC and 5%", "a%2"] {
        assert_eq!(subject(literal.as_bytes()), literal);
    }
}

#[test]
fn escapes_that_are_not_utf_8_are_refused() {
    for bad in ["%C0%A0", "%ff", "a%ED%A0%80", "%80"] {
        assert_eq!(
            refusal(binary(&[("ce-subject", bad.as_bytes())], b"")),
            (400, "header `ce-subject` must be UTF-8, or percent-encoded UTF-8".to_owned()),
            "{bad}"
        );
    }
}

#[test]
fn raw_utf_8_is_taken_and_other_raw_bytes_are_refused() {
    assert_eq!(subject("fëature/ünï".as_bytes()), "fëature/ünï");
    assert_eq!(
        refusal(binary(&[("ce-ext", b"f\xeb")], b"")),
        (400, "header `ce-ext` must be UTF-8, or percent-encoded UTF-8".to_owned())
    );
    assert_eq!(refusal(binary(&[("content-type", b"text/\xff")], b"")).0, 400);
}

#[test]
fn an_escaped_control_character_is_refused() {
    assert_eq!(
        refusal(binary(&[("ce-subject", b"a%0Ab")], b"")),
        (
            400,
            "header `ce-subject`: attribute `subject` must not contain the character U+000A: control characters and \
             noncharacters are not allowed"
                .to_owned()
        )
    );
}

#[test]
fn a_header_twice_is_refused() {
    for (name, shown) in [("Ce-Id", "ce-id"), ("ce-ID", "ce-id")] {
        assert_eq!(
            refusal(send(&[("ce-id", b"1"), (name, b"1")], b"")),
            (400, format!("header `{shown}` appears twice: send it once"))
        );
    }
    assert_eq!(
        refusal(binary(&[("content-type", b"a/b"), ("Content-Type", b"a/b")], b"")),
        (400, "header `content-type` appears twice: send it once".to_owned())
    );
}

#[test]
fn required_headers_are_present_and_not_empty() {
    for name in ["ce-id", "ce-source", "ce-type"] {
        let attribute = &name[3..];
        let expected = (400, format!("header `{name}`: attribute `{attribute}` must be a non-empty string"));
        assert_eq!(refusal(binary(&[(name, b"")], b"")), expected);
        let others: Vec<_> = REQUIRED
            .iter()
            .filter(|it| it.0 != name)
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        assert_eq!(refusal(send(&others, b"")), expected);
    }
    for version in [&b"0.3"[..], b"", b"2.0"] {
        assert_eq!(
            refusal(binary(&[("ce-specversion", version)], b"")),
            (
                400,
                "header `ce-specversion` must be `1.0`, the only version of CloudEvents that is understood here"
                    .to_owned()
            )
        );
    }
}

#[test]
fn a_request_without_any_sign_of_an_event_is_told_how_to_send_one() {
    assert_eq!(
        refusal(send(&[("content-type", b"application/json")], b"{}")),
        (
            400,
            "not a CloudEvent: send the attributes as headers `ce-specversion`, `ce-id`, `ce-source` and `ce-type`, \
             or the event as `application/cloudevents+json`"
                .to_owned()
        )
    );
}

#[test]
fn attribute_rules_hold_for_headers() {
    for (name, value, message) in [
        (
            "ce-a_b",
            "x",
            "header `ce-a_b`: attribute name `a_b` must consist of the characters a-z and 0-9 only",
        ),
        ("ce-data", "x", "header `ce-data`: `data` cannot be an extension attribute: the name is taken"),
        (
            "ce-source",
            "a%20b",
            "header `ce-source`: attribute `source` must be a URI-reference (RFC 3986, section 4.1)",
        ),
        (
            "ce-time",
            "now",
            "header `ce-time`: attribute `time` must be an RFC 3339 timestamp such as `2026-01-31T12:00:00Z`",
        ),
        (
            "ce-dataschema",
            "x",
            "header `ce-dataschema`: attribute `dataschema` must be a URI with a scheme (RFC 3986, section 3)",
        ),
        (
            "content-type",
            "json",
            "header `content-type`: attribute `datacontenttype` must be a media type such as `application/json` (RFC 2046)",
        ),
    ] {
        assert_eq!(refusal(binary(&[(name, value.as_bytes())], b"")), (400, message.to_owned()));
    }
}

#[test]
fn leftovers_of_version_0_3_are_extensions() {
    let event = binary(&[("ce-datacontentencoding", b"base64"), ("ce-schemaurl", b"/x")], b"").unwrap();
    assert_eq!(event.extensions().len(), 2);
}

#[test]
fn a_body_that_is_not_the_declared_json_is_refused_with_its_position() {
    assert_eq!(
        refusal(binary(&[("content-type", b"application/json")], b"{\"a\":\n tru}")),
        (
            400,
            "the body is not the JSON that `content-type` declares: expected ident at line 2 column 5"
                .to_owned()
        )
    );
    let deep = "[".repeat(100_000);
    assert!(refusal(binary(&[("content-type", b"a/b+json")], deep.as_bytes())).1.contains("recursion limit"));
}

#[test]
fn compressed_bodies_are_unsupported() {
    for value in [&b"gzip"[..], b"identity, br", b"deflate"] {
        assert_eq!(
            refusal(binary(&[("Content-Encoding", value)], b"x")),
            (415, "header `content-encoding` is not supported: send the body uncompressed".to_owned())
        );
    }
}

#[test]
fn an_empty_body_is_no_payload() {
    for content_type in [None, Some("application/json"), Some("text/plain")] {
        let headers: Vec<_> = content_type.iter().map(|it: &&str| ("content-type", it.as_bytes())).collect();
        assert_eq!(binary(&headers, b"").unwrap().data(), &Data::None);
    }
}

#[test]
fn bodies_become_json_text_or_bytes_by_their_content_type() {
    let data = |content_type: &str, body: &[u8]| {
        binary(&[("content-type", content_type.as_bytes())], body).unwrap().data().clone()
    };
    assert_eq!(data("application/vnd.x+json", b"[1]"), Data::Json("[1]".into()));
    assert_eq!(data("text/plain; charset=us-ascii", b"hi"), Data::Text("hi".into()));
    assert_eq!(data("application/xml", "<a>ü</a>".as_bytes()), Data::Text("<a>ü</a>".into()));
    assert_eq!(data("text/plain; charset=iso-8859-1", b"hi"), Data::Binary("hi".into()));
    assert_eq!(data("text/plain", b"\xff"), Data::Binary(Bytes::from_static(b"\xff")));
    assert_eq!(data("application/octet-stream", b"hi"), Data::Binary("hi".into()));
    assert_eq!(binary(&[], b"{}").unwrap().data(), &Data::Json("{}".into()));
    assert_eq!(binary(&[], b"{").unwrap().data(), &Data::Binary("{".into()));
}

#[test]
fn at_least_64_kib_is_accepted_in_every_mode() {
    let big = format!("\"{}\"", "x".repeat(300 * 1024));
    let event = binary(&[("content-type", b"application/json")], big.as_bytes()).unwrap();
    assert_eq!(sent(encode_structured(&event)).unwrap(), [event]);
}

#[test]
fn structured_and_batched_refusals_are_400() {
    assert_eq!(
        refusal(send(&[("content-type", b"application/cloudevents+json")], b"{")),
        (400, "the body is not well-formed JSON: EOF while parsing an object at line 1 column 1".to_owned())
    );
    assert_eq!(
        refusal(send(&[("content-type", b"application/cloudevents-batch+json")], b"[{}]")),
        (
            400,
            "event 0 of the batch: attribute `specversion` must be `1.0`, the only version of CloudEvents that is \
             understood here"
                .to_owned()
        )
    );
    assert!(send(&[("content-type", b"application/cloudevents-batch+json")], b"[]").unwrap().is_empty());
}

#[test]
fn sent_values_are_percent_encoded_in_upper_case() {
    let event =
        Event::builder("100% \"ü\"", "/s", "t~!").subject("€ 😀").extension("flag", true).build().unwrap();
    let (headers, body) = encode_binary(&event);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
    assert_eq!(
        headers,
        [
            ("ce-specversion", "1.0"),
            ("ce-id", "100%25%20%22%C3%BC%22"),
            ("ce-source", "/s"),
            ("ce-type", "t~!"),
            ("ce-subject", "%E2%82%AC%20%F0%9F%98%80"),
            ("ce-flag", "true"),
        ]
    );
    assert!(body.is_empty());
}

#[test]
fn json_without_content_type_is_declared_in_binary_mode_and_stays_undeclared_in_structured() {
    let event = Event::builder("1", "/s", "t").data(Data::Json("{}".into())).build().unwrap();
    let (headers, body) = encode_binary(&event);
    assert_eq!(headers.last().unwrap(), &(Cow::Borrowed("content-type"), "application/json".to_owned()));
    assert_eq!(body, "{}");
    let (headers, body) = encode_structured(&event);
    assert_eq!(
        headers,
        [(Cow::Borrowed("content-type"), "application/cloudevents+json; charset=utf-8".to_owned())]
    );
    assert_eq!(body, r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}}"#);
}

/// `features/http-protocol-binding.feature` of cloudevents/conformance.
#[test]
fn the_cases_of_the_conformance_suite_pass() {
    let expected = |content_type: &str| {
        Event::builder("1234-1234-1234", "/mycontext/subcontext", "com.example.someevent")
            .time("2018-04-05T03:56:24Z")
            .datacontenttype(content_type)
            .data(Data::Json(r#"{"message": "Hello World!"}"#.into()))
            .build()
            .unwrap()
    };
    for content_type in ["application/json", "application/json; charset=utf-8"] {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-type", "com.example.someevent"),
            ("ce-time", "2018-04-05T03:56:24Z"),
            ("ce-id", "1234-1234-1234"),
            ("ce-source", "/mycontext/subcontext"),
            ("Content-Type", content_type),
        ]
        .map(|(name, value)| (name, value.as_bytes()));
        let events = send(&headers, br#"{"message": "Hello World!"}"#).unwrap();
        assert_eq!(events, [expected(content_type)]);
    }
    for content_type in ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"] {
        let body = br#"{
            "specversion": "1.0",
            "type": "com.example.someevent",
            "time": "2018-04-05T03:56:24Z",
            "id": "1234-1234-1234",
            "source": "/mycontext/subcontext",
            "datacontenttype": "application/json",
            "data": {"message": "Hello World!"}
        }"#;
        let events = send(&[("Content-Type", content_type.as_bytes())], body).unwrap();
        assert_eq!(events, [expected("application/json")]);
    }
}

/// `yaml/v1.0/v1_minimum.yaml` of cloudevents/conformance.
#[test]
fn the_minimal_events_of_the_conformance_suite_pass_through_every_mode() {
    for (content_type, body) in [
        ("text/plain; charset=us-ascii", "Hello World!"),
        ("text/plain; charset=utf-8", "Hello World! 😀"),
        ("application/json", "\"Hello World!\""),
        ("application/json", "{\"msg\": \"Hello World!\"}"),
        ("application/json", "[\"Hello\", \"World!\"]"),
        ("application/xml", "<msg>Hello World!</msg>"),
    ] {
        let event = binary(&[("Content-Type", content_type.as_bytes())], body.as_bytes()).unwrap();
        for message in [encode_binary(&event), encode_structured(&event), encode_batch([&event])] {
            assert_eq!(sent(message).unwrap(), [event.to_builder().build().unwrap()]);
        }
        assert_eq!(encode_binary(&event).1, body);
    }
}

proptest! {
    #[test]
    fn every_mode_carries_an_event_unchanged(
        id in "[^\\p{Cc}\\p{Cn}]{1,9}", subject in prop::option::of("[^\\p{Cc}\\p{Cn}]{1,9}"), ext in "[^\\p{Cc}\\p{Cn}]{0,9}",
        text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        for (media_type, data) in [
            (Some("text/plain"), if text.is_empty() { Data::None } else { Data::Text(text) }),
            (Some("application/x"), Data::Binary(bytes.into())),
            (Some("a/b+json; c=d"), Data::Json("[0]".into())),
            (None, Data::None),
        ] {
            let mut builder = Event::builder(id.clone(), "/s", "t").extension("ext", ext.clone()).data(data);
            builder.subject.clone_from(&subject);
            builder.datacontenttype = media_type.map(str::to_owned);
            if let Ok(event) = builder.build() {
                for message in [encode_binary(&event), encode_structured(&event), encode_batch([&event])] {
                    prop_assert_eq!(&sent(message).unwrap()[0], &event);
                }
            }
        }
    }

    #[test]
    fn a_sent_header_is_visible_ascii(text in any::<String>()) {
        let encoded = header::encode(&text);
        prop_assert!(encoded.bytes().all(|b| b.is_ascii_graphic() && b != b'"'));
        prop_assert_eq!(header::decode(encoded.as_bytes()), Some(text));
    }

    #[test]
    fn decoding_never_panics(value in prop::collection::vec(any::<u8>(), 0..24), body in prop::collection::vec(any::<u8>(), 0..24)) {
        for name in ["ce-subject", "ce-x", "content-type", "content-encoding"] {
            let _ = binary(&[(name, &value)], &body);
        }
    }
}
