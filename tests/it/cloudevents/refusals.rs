//! Every refusal of a CloudEvents request with its whole text: what a sender's author reads.

use std::fmt::Write as _;

use super::{Answer, BATCHED, JSON, STRUCTURED, Setting, Setup, document};

/// One line for one refusal; it is plain text whatever it is about.
fn line(lines: &mut String, what: &str, answer: &Answer) {
    answer.refused(answer.status, "");
    let reason = answer.text.strip_suffix('\n').unwrap();
    assert!(!reason.contains('\n') && !reason.ends_with('.'), "{reason}");
    writeln!(lines, "{what}: {} {reason}", answer.status).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_mode_is_refused_with_these_texts() {
    let archive = Setting::start(Setup::new()).await;
    let mut lines = String::new();
    for (what, change, body) in [
        ("empty id", ("ce-id", ""), ""),
        ("no source", ("", "ce-source"), ""),
        ("no version", ("", "ce-specversion"), ""),
        ("version 0.3", ("ce-specversion", "0.3"), ""),
        ("bad name", ("ce-bad_name", "x"), ""),
        ("bad time", ("ce-time", "yesterday"), ""),
        ("bad source", ("ce-source", "a b"), ""),
        ("overlong encoding", ("ce-subject", "%C0%A0"), ""),
        ("control character", ("ce-subject", "a%0Ab"), ""),
        ("datacontenttype", ("ce-datacontenttype", "text/plain"), ""),
        ("no media type", ("content-type", "json"), ""),
        ("not the JSON declared", JSON, "{\"a\":"),
    ] {
        line(&mut lines, what, &archive.binary(&[change], body).await);
    }
    line(&mut lines, "no attributes", &archive.post(&[JSON], "{}").await);
    insta::assert_snapshot!(lines, @r"
    empty id: 400 header `ce-id`: attribute `id` must be a non-empty string
    no source: 400 header `ce-source`: attribute `source` must be a non-empty string
    no version: 400 header `ce-specversion` must be `1.0`, the only version of CloudEvents that is understood here
    version 0.3: 400 header `ce-specversion` must be `1.0`, the only version of CloudEvents that is understood here
    bad name: 400 header `ce-bad_name`: attribute name `bad_name` must consist of the characters a-z and 0-9 only
    bad time: 400 header `ce-time`: attribute `time` must be an RFC 3339 timestamp such as `2026-01-31T12:00:00Z`
    bad source: 400 header `ce-source`: attribute `source` must be a URI-reference (RFC 3986, section 4.1)
    overlong encoding: 400 header `ce-subject` must be UTF-8, or percent-encoded UTF-8
    control character: 400 header `ce-subject`: attribute `subject` must not contain the character U+000A: control characters and noncharacters are not allowed
    datacontenttype: 400 header `ce-datacontenttype` must not be present: `content-type` carries that attribute
    no media type: 400 header `content-type`: attribute `datacontenttype` must be a media type such as `application/json` (RFC 2046)
    not the JSON declared: 400 the body is not the JSON that `content-type` declares: EOF while parsing a value at line 1 column 5
    no attributes: 400 not a CloudEvent: send the attributes as headers `ce-specversion`, `ce-id`, `ce-source` and `ce-type`, or the event as `application/cloudevents+json`
    ");
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn structured_and_batched_mode_are_refused_with_these_texts() {
    let archive = Setting::start(Setup::new()).await;
    let mut lines = String::new();
    for (what, changes) in [
        ("empty id", r#"{"id": ""}"#),
        ("id is null", r#"{"id": null}"#),
        ("id is a number", r#"{"id": 1}"#),
        ("no version", r#"{"specversion": null}"#),
        ("version 0.3", r#"{"specversion": "0.3"}"#),
        ("bad name", r#"{"badName": "x"}"#),
        ("bad extension", r#"{"ext": 1.5}"#),
        ("bad dataschema", r#"{"dataschema": "relative"}"#),
        ("data twice", r#"{"data": 1, "data_base64": "AAAA"}"#),
        ("bad base64", r#"{"data_base64": "?"}"#),
    ] {
        line(&mut lines, what, &archive.structured(changes).await);
    }
    let format = ("content-type", "application/cloudevents+avro");
    let latin = ("content-type", "application/cloudevents+json; charset=iso-8859-1");
    let zipped = ("content-encoding", "gzip");
    let good = document("{}");
    for (what, headers, body) in [
        ("malformed", &[STRUCTURED][..], "{\"id\": 1,}".to_owned()),
        ("an array", &[STRUCTURED], "[]".to_owned()),
        ("no array", &[BATCHED], "{}".to_owned()),
        ("one bad of two", &[BATCHED], format!("[{good},{}]", document(r#"{"id": ""}"#))),
        ("two bad of three", &[BATCHED], format!("[1,{good},{{}}]")),
        ("too many", &[BATCHED], format!("[{}1]", "1,".repeat(1000))),
        ("other format", &[format], good.clone()),
        ("other charset", &[latin], good.clone()),
        ("coding", &[STRUCTURED, zipped], good.clone()),
        ("too large", &[STRUCTURED], " ".repeat(1024 * 1024 + 1)),
    ] {
        line(&mut lines, what, &archive.post(headers, body).await);
    }
    insta::assert_snapshot!(lines, @r"
    empty id: 400 attribute `id` must be a non-empty string
    id is null: 400 attribute `id` must be a non-empty string
    id is a number: 400 attribute `id` must be a string, not a number
    no version: 400 attribute `specversion` must be `1.0`, the only version of CloudEvents that is understood here
    version 0.3: 400 attribute `specversion` must be `1.0`, the only version of CloudEvents that is understood here
    bad name: 400 attribute name `badName` must consist of the characters a-z and 0-9 only
    bad extension: 400 attribute `ext` must be a string, a boolean or a whole number of 32 bits, not another number
    bad dataschema: 400 attribute `dataschema` must be a URI with a scheme (RFC 3986, section 3)
    data twice: 400 members `data` and `data_base64` exclude each other: send one of them
    bad base64: 400 member `data_base64` must be base64 text (RFC 4648, section 4)
    malformed: 400 the body is not well-formed JSON: trailing comma at line 1 column 10
    an array: 400 an event must be a JSON object
    no array: 400 a batch must be a JSON array of events
    one bad of two: 400 event 1 of the batch: attribute `id` must be a non-empty string
    two bad of three: 400 event 0 of the batch: an event must be a JSON object; event 2 of the batch: attribute `specversion` must be `1.0`, the only version of CloudEvents that is understood here
    too many: 400 a batch may hold at most 1000 events: send several
    other format: 415 the event format of this `content-type` is not supported: send `application/cloudevents+json` or `application/cloudevents-batch+json`
    other charset: 415 the `charset` of `content-type` is not supported: events in JSON are UTF-8
    coding: 415 header `content-encoding`: send the body as it is, without compression
    too large: 413 the body is larger than 1048576 bytes
    ");
    archive.stop().await;
}
