//! CloudEvents over HTTP: everything real is taken and forwarded as it came, and every rule of the HTTP binding and of
//! the webhook specification is kept, with the text of each refusal.

mod refusals;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use pipewright::event::{Data, Event, http as binding};
use pipewright::sink::Mode;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::corpus;
use crate::support::service::{Answer, Receiver, Service, Setup, literal, raw};

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");
const BATCHED: (&str, &str) = ("content-type", "application/cloudevents-batch+json");
const JSON: (&str, &str) = ("content-type", "application/json");
/// The least that an event has in binary mode.
const BINARY: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/tests"), ("ce-type", "com.example.a")];

/// Everything goes to two receivers, in both modes.
const ARCHIVE: &str = "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: archive}
spec:
  events: [{type: '*'}]
  do:
    - name: structured
      emit: {forward: true, to: archive}
    - name: binary
      emit: {forward: true, to: wire}
";

/// A service that forwards everything to real receivers.
struct Setting {
    service: Service,
    archive: Receiver,
    wire: Receiver,
}

/// An event as it was sent or forwarded: attributes, and the bytes of its data.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    attributes: BTreeMap<String, String>,
    data: Bytes,
}

impl Setting {
    async fn start(setup: Setup) -> Self {
        let (archive, wire) = (Receiver::start().await, Receiver::start().await);
        let mut binary = wire.spec();
        binary.mode = Mode::Binary;
        let setup = setup.mapping("archive", ARCHIVE).sink("archive", archive.spec()).sink("wire", binary);
        Self { service: setup.start().await, archive, wire }
    }

    async fn post(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.service.send("POST", "/events", headers, body).await
    }

    /// The least event in binary mode with other or more headers; an empty name takes the header of the value away.
    async fn binary(&self, changes: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut headers: BTreeMap<&str, &str> = BINARY.into();
        for (name, value) in changes {
            if name.is_empty() {
                headers.remove(value)
            } else {
                headers.insert(name, value)
            };
        }
        self.post(&headers.into_iter().collect::<Vec<_>>(), body).await
    }

    /// The least event in structured mode with other or more members; null takes one away.
    async fn structured(&self, changes: &str) -> Answer {
        self.post(&[STRUCTURED], document(changes)).await
    }

    /// What was forwarded since the last call, the same at both receivers, and the same to whoever reads it.
    fn forwarded(&self) -> Vec<Sent> {
        let (archive, wire) = (self.archive.take(), self.wire.take());
        archive.iter().chain(&wire).for_each(assert_read_alike);
        let mut structured: Vec<Sent> = archive.iter().map(from_structured).collect();
        let mut binary: Vec<Sent> = wire.iter().map(from_binary).collect();
        structured.sort_by(|a, b| a.attributes.cmp(&b.attributes));
        binary.sort_by(|a, b| a.attributes.cmp(&b.attributes));
        assert_eq!(structured, binary);
        structured
    }

    /// The one event that was forwarded.
    fn one(&self) -> Sent {
        let mut events = self.forwarded();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    async fn stop(self) {
        assert_eq!(self.forwarded(), [], "the end of a test has looked at everything");
        self.service.stop().await;
    }
}

fn document(changes: &str) -> String {
    let mut tree: serde_json::Map<String, Value> = serde_json::from_str(
        r#"{"specversion": "1.0", "id": "1", "source": "/tests", "type": "com.example.a"}"#,
    )
    .unwrap();
    tree.extend(serde_json::from_str::<serde_json::Map<String, Value>>(changes).unwrap());
    Value::Object(tree).to_string()
}

fn from_structured((headers, body): &(HeaderMap, Bytes)) -> Sent {
    assert_eq!(headers["content-type"], "application/cloudevents+json; charset=utf-8");
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_slice(body).unwrap();
    let data = members.remove("data").map(|raw| raw.get().to_owned());
    let base64 = members.remove("data_base64").map(|raw| raw.get().trim_matches('"').to_owned());
    let declared = members.get("datacontenttype").map(|raw| raw.get().to_owned()).unwrap_or_default();
    let data = match (data, base64) {
        (Some(text), None) if text.starts_with('"') && !declared.contains("json") => {
            serde_json::from_str::<String>(&text).unwrap().into()
        }
        (Some(json), None) => json.into(),
        (None, Some(base64)) => {
            use base64::Engine as _;
            base64::prelude::BASE64_STANDARD.decode(base64).unwrap().into()
        }
        _ => Bytes::new(),
    };
    let text = |raw: &RawValue| match serde_json::from_str(raw.get()).unwrap() {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let attributes = members.into_iter().map(|(name, raw)| (name, text(raw))).collect();
    Sent { attributes, data }
}

/// Asserts that our own codec and, of the structured mode, the CloudEvents SDK read in a request what this file reads.
fn assert_read_alike(request: &(HeaderMap, Bytes)) {
    let (headers, body) = request;
    let content_type = headers.get("content-type").map(|value| value.to_str().unwrap()).unwrap_or_default();
    let structured = content_type.starts_with("application/cloudevents");
    let sent = if structured { from_structured(request) } else { from_binary(request) };
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let events = binding::decode(pairs, body.clone()).unwrap();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let data = match event.data() {
        Data::None => Bytes::new(),
        Data::Json(bytes) | Data::Binary(bytes) => bytes.clone(),
        Data::Text(text) => text.clone().into(),
    };
    assert_eq!(data, sent.data);
    for (name, value) in &sent.attributes {
        let read = match name.as_str() {
            "specversion" => Some("1.0".into()),
            name => event.attribute(name),
        };
        assert_eq!(read.as_deref(), Some(value.as_str()), "{name}");
    }
    if structured {
        let theirs: cloudevents::Event = serde_json::from_slice(body).unwrap();
        assert_eq!(theirs, cloudevents::Event::try_from(event).unwrap());
        let back = Event::try_from(&theirs).unwrap();
        assert_eq!((back.id(), back.source(), back.ty()), (event.id(), event.source(), event.ty()));
    }
}

fn from_binary((headers, body): &(HeaderMap, Bytes)) -> Sent {
    let mut attributes = BTreeMap::new();
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix("ce-") {
            let value = value.to_str().expect("visible ASCII only");
            assert!(value.bytes().all(|byte| byte.is_ascii_graphic()), "{value}");
            attributes.insert(name.to_owned(), percent_decoded(value));
        } else if name == "content-type" {
            attributes.insert("datacontenttype".to_owned(), value.to_str().unwrap().to_owned());
        }
    }
    Sent { attributes, data: body.clone() }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl Sent {
    fn new(attributes: &[(&str, &str)], data: impl Into<Bytes>) -> Self {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { attributes: attributes.collect(), data: data.into() }
    }

    /// Headers in binary mode, encoded as the binding says.
    fn headers(&self) -> Vec<(String, String)> {
        let header = |(name, value): (&String, &String)| {
            if name == "datacontenttype" {
                return ("content-type".to_owned(), value.clone());
            }
            let encode = |byte: u8| match byte {
                b'!' | b'#' | b'$' | b'&'..=b'~' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            };
            (format!("ce-{name}"), value.bytes().map(encode).collect())
        };
        self.attributes.iter().map(header).collect()
    }

    /// The event in the JSON format, with the very bytes of its data.
    fn json(&self) -> String {
        let attributes = serde_json::to_string(&self.attributes).unwrap();
        let attributes = attributes.strip_suffix('}').unwrap();
        format!("{attributes},\"data\":{}}}", std::str::from_utf8(&self.data).unwrap())
    }
}

// --- Real events, with nothing changed.

/// A captured request: `{"request": {"headers": [[name, value], …]}, "body": …}`.
#[derive(Deserialize)]
struct Captured<'a> {
    request: CapturedRequest,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct CapturedRequest {
    headers: Vec<(String, String)>,
}

async fn assert_forwarded_unchanged(events: Vec<Sent>) {
    let archive = Setting::start(Setup::new()).await;
    for sent in &events {
        let headers = sent.headers();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        archive.post(&headers, sent.data.clone()).await.accepted("sent");
        assert_eq!(&archive.one(), sent, "binary");
        archive.post(&[STRUCTURED], sent.json()).await.accepted("sent");
        assert_eq!(&archive.one(), sent, "structured");
    }
    for batch in batches(events) {
        let documents: Vec<String> = batch.iter().map(Sent::json).collect();
        archive.post(&[BATCHED], format!("[{}]", documents.join(","))).await.accepted("sent");
        let mut expected = batch;
        expected.sort_by(|a, b| a.attributes.cmp(&b.attributes));
        assert_eq!(archive.forwarded(), expected, "batched");
    }
    archive.stop().await;
}

/// Batches of at most ten. Events of one source and id are one event by the specification, and the conformance events
/// have all the same, so those that share it go into different batches.
fn batches(events: Vec<Sent>) -> Vec<Vec<Sent>> {
    let mut batches: Vec<Vec<Sent>> = Vec::new();
    for event in events {
        let identity = |it: &Sent| (it.attributes["source"].clone(), it.attributes["id"].clone());
        let fits = |batch: &&mut Vec<Sent>| {
            batch.len() < 10 && batch.iter().all(|other| identity(other) != identity(&event))
        };
        match batches.iter_mut().find(fits) {
            Some(batch) => batch.push(event),
            None => batches.push(vec![event]),
        }
    }
    batches
}

#[tokio::test(flavor = "multi_thread")]
async fn the_45_conformance_cdevents_are_forwarded_unchanged_from_every_mode() {
    let Some(folder) = corpus::folder("cdevents/conformance") else { return };
    let mut events = Vec::new();
    for file in corpus::json_files(&folder) {
        let text = std::fs::read_to_string(&file).unwrap();
        let data: Value = serde_json::from_str(&text).unwrap();
        let member = |pointer: &str| data.pointer(pointer).unwrap().as_str().unwrap();
        let attributes = [
            ("specversion", "1.0"),
            ("id", member("/context/id")),
            ("source", member("/context/source")),
            ("type", member("/context/type")),
            ("time", member("/context/timestamp")),
            ("subject", member("/subject/id")),
            ("datacontenttype", "application/json"),
        ];
        events.push(Sent::new(&attributes, text.trim().to_owned()));
    }
    assert_eq!(events.len(), 45);
    Box::pin(assert_forwarded_unchanged(events)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_173_captured_tekton_events_are_forwarded_unchanged_from_every_mode() {
    let Some(folder) = corpus::folder("tekton-events") else { return };
    let mut events = Vec::new();
    for file in corpus::json_files(&folder) {
        let text = std::fs::read_to_string(&file).unwrap();
        let captured: Captured<'_> = serde_json::from_str(&text).unwrap();
        let mut attributes = BTreeMap::new();
        for (name, value) in captured.request.headers {
            match name.to_ascii_lowercase().strip_prefix("ce-") {
                Some(name) => drop(attributes.insert(name.to_owned(), value)),
                None if name.eq_ignore_ascii_case("content-type") => {
                    attributes.insert("datacontenttype".to_owned(), value);
                }
                None => {}
            }
        }
        events.push(Sent { attributes, data: captured.body.get().to_owned().into() });
    }
    assert_eq!(events.len(), 173);
    Box::pin(assert_forwarded_unchanged(events)).await;
}

/// `features/http-protocol-binding.feature` of cloudevents/conformance.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_conformance_scenarios_pass() {
    let archive = Setting::start(Setup::new()).await;
    let attributes = [
        ("specversion", "1.0"),
        ("type", "com.example.someevent"),
        ("time", "2018-04-05T03:56:24Z"),
        ("id", "1234-1234-1234"),
        ("source", "/mycontext/subcontext"),
    ];
    let data = r#"{"message":"Hello World!"}"#;
    for content_type in ["application/json", "application/json; charset=utf-8"] {
        let sent = Sent::new(&[attributes.as_slice(), &[("datacontenttype", content_type)]].concat(), data);
        let headers = sent.headers();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        archive.post(&headers, data).await.accepted("sent");
        assert_eq!(archive.one(), sent);
    }
    for content_type in ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"] {
        let sent =
            Sent::new(&[attributes.as_slice(), &[("datacontenttype", "application/json")]].concat(), data);
        archive.post(&[("content-type", content_type)], sent.json()).await.accepted("sent");
        assert_eq!(archive.one(), sent);
    }
    archive.stop().await;
}

// --- The HTTP protocol binding.

#[tokio::test(flavor = "multi_thread")]
async fn required_attributes_are_there_and_not_empty() {
    let archive = Setting::start(Setup::new()).await;
    for name in ["id", "source", "type"] {
        let rule = format!("attribute `{name}` must be a non-empty string");
        let header = format!("ce-{name}");
        let reason = format!("header `{header}`: {rule}");
        archive.binary(&[(&header, "")], "").await.refused(400, &reason);
        archive.binary(&[(&header, "\"\"")], "").await.refused(400, &reason);
        archive.binary(&[("", &header)], "").await.refused(400, &reason);
        archive.structured(&format!("{{\"{name}\": \"\"}}")).await.refused(400, &rule);
        archive.structured(&format!("{{\"{name}\": null}}")).await.refused(400, &rule);
        let other = archive.structured(&format!("{{\"{name}\": 1}}")).await;
        other.refused(400, &format!("attribute `{name}` must be a string, not a number"));
    }
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_version_1_0_is_understood() {
    let archive = Setting::start(Setup::new()).await;
    let rule = "must be `1.0`, the only version of CloudEvents that is understood here";
    for version in ["0.3", "1.1", "", "1"] {
        let answer = archive.binary(&[("ce-specversion", version)], "").await;
        answer.refused(400, &format!("header `ce-specversion` {rule}"));
        let answer = archive.structured(&format!("{{\"specversion\": \"{version}\"}}")).await;
        answer.refused(400, &format!("attribute `specversion` {rule}"));
    }
    archive.binary(&[("", "ce-specversion")], "").await.refused(400, rule);
    archive.structured(r#"{"specversion": null}"#).await.refused(400, rule);
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_any_attribute_is_told_how_an_event_looks() {
    let archive = Setting::start(Setup::new()).await;
    let reason = "not a CloudEvent: send the attributes as headers `ce-specversion`, `ce-id`, `ce-source` and \
                  `ce-type`, or the event as `application/cloudevents+json`";
    archive.post(&[], "").await.refused(400, reason);
    archive.post(&[JSON], "{}").await.refused(400, reason);
    archive.post(&[("content-type", "text/plain")], document("{}")).await.refused(400, reason);
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_extensions_are_lower_case_letters_and_digits() {
    let archive = Setting::start(Setup::new()).await;
    for name in ["bad_name", "bad-name", "a.b"] {
        let reason = format!("attribute name `{name}` must consist of the characters a-z and 0-9 only");
        archive.binary(&[(&format!("ce-{name}"), "x")], "").await.refused(400, &reason);
        archive.structured(&format!("{{\"{name}\": \"x\"}}")).await.refused(400, &reason);
    }
    archive.structured(r#"{"badName": "x"}"#).await.refused(400, "attribute name `badName` must consist of");
    archive.structured(r#"{"": "x"}"#).await.refused(400, "attribute name `` must consist of");
    archive.binary(&[("ce-", "x")], "").await.refused(400, "attribute name `` must consist of");
    archive.binary(&[("ce-data", "x")], "").await.refused(400, "`data` cannot be an extension attribute");
    archive.structured(r#"{"data_base65": "x"}"#).await.refused(400, "attribute name `data_base65`");
    // Headers have no case, and more than 20 characters are only advised against.
    archive.binary(&[("CE-ComExampleExtensionThatIsLong", "x")], "").await.accepted("sent");
    assert_eq!(archive.one().attributes["comexampleextensionthatislong"], "x");
    // What 0.3 knew is an extension now.
    archive
        .binary(&[("ce-schemaurl", "http://a/"), ("ce-datacontentencoding", "x")], "")
        .await
        .accepted("sent");
    assert_eq!(archive.one().attributes["schemaurl"], "http://a/");
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_have_their_types() {
    let archive = Setting::start(Setup::new()).await;
    for (member, reason) in [
        (r#""time": "yesterday""#, "attribute `time` must be an RFC 3339 timestamp such as"),
        (r#""time": "2026-02-30T00:00:00Z""#, "attribute `time` must be an RFC 3339 timestamp such as"),
        (r#""source": "a b""#, "attribute `source` must be a URI-reference (RFC 3986, section 4.1)"),
        (r#""dataschema": "relative""#, "attribute `dataschema` must be a URI with a scheme"),
        (r#""subject": """#, "attribute `subject` must be a non-empty string"),
        (r#""datacontenttype": "json""#, "attribute `datacontenttype` must be a media type such as"),
        (r#""id": "a\nb""#, "attribute `id` must not contain the character U+000A"),
        (r#""ext": 2147483648"#, "attribute `ext` must be a string, a boolean or a whole number of 32 bits"),
        (r#""ext": 1.5"#, "attribute `ext` must be a string, a boolean or a whole number of 32 bits"),
        (r#""ext": {}"#, "must be a string, a boolean or a whole number of 32 bits, not an object"),
        (r#""data": 1, "data_base64": "AAAA""#, "members `data` and `data_base64` exclude each other"),
        (r#""data_base64": "?""#, "member `data_base64` must be base64 text (RFC 4648, section 4)"),
    ] {
        archive.structured(&format!("{{{member}}}")).await.refused(400, reason);
    }
    archive
        .structured(r#"{"subject": null, "time": null, "a": null, "b": true, "c": -2147483648}"#)
        .await
        .accepted("sent");
    let event = archive.one();
    assert_eq!(event.attributes.len(), 6, "null is absence: {event:?}");
    assert_eq!((event.attributes["b"].as_str(), event.attributes["c"].as_str()), ("true", "-2147483648"));
    for (header, value, reason) in [
        ("ce-time", "yesterday", "header `ce-time`: attribute `time` must be an RFC 3339 timestamp"),
        ("ce-source", "a b", "header `ce-source`: attribute `source` must be a URI-reference"),
        ("ce-id", "a%0Ab", "header `ce-id`: attribute `id` must not contain the character U+000A"),
        (
            "ce-datacontenttype",
            "text/plain",
            "header `ce-datacontenttype` must not be present: `content-type`",
        ),
        ("content-type", "json", "header `content-type`: attribute `datacontenttype` must be a media type"),
    ] {
        archive.binary(&[(header, value)], "").await.refused(400, reason);
    }
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_values_are_unquoted_and_decoded_once() {
    let archive = Setting::start(Setup::new()).await;
    for (value, expected) in [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("Euro%20%e2%82%ac", "Euro €"),
        (r#""a \"b\" \\ c""#, r#"a "b" \ c"#),
        (r#""Euro%20%E2%82%AC""#, "Euro €"),
        ("%2525", "%25"),
        ("%22quoted%22", "\"quoted\""),
        // Of senders that do not encode.
        ("100% sure", "100% sure"),
        ("50%zz", "50%zz"),
        ("Euro € 😀", "Euro € 😀"),
        ("a \"b\" c", "a \"b\" c"),
    ] {
        archive.binary(&[("ce-subject", value)], "").await.accepted("sent");
        assert_eq!(archive.one().attributes["subject"], expected, "{value}");
    }
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_values_that_are_no_unicode_are_refused() {
    let archive = Setting::start(Setup::new()).await;
    for value in ["%C0%A0", "%FF", "%ED%A0%80", "ok%E2%82"] {
        let answer = archive.binary(&[("ce-subject", value)], "").await;
        answer.refused(400, "header `ce-subject` must be UTF-8, or percent-encoded UTF-8");
    }
    let mut request = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-type: a\r\n\
         ce-source: ",
        archive.service.address
    )
    .into_bytes();
    request.extend_from_slice(b"\xC0\xA0\r\n\r\n");
    raw(archive.service.address, &request).await.refused(400, "header `ce-source` must be UTF-8");
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_comes_twice_is_refused() {
    let archive = Setting::start(Setup::new()).await;
    let mut headers = BINARY.to_vec();
    headers.push(("ce-id", "2"));
    archive.post(&headers, "").await.refused(400, "header `ce-id` appears twice: send it once");
    let headers = [STRUCTURED, STRUCTURED];
    archive.post(&headers, document("{}")).await.refused(400, "header `content-type` appears twice");
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mode_is_chosen_by_the_media_type_in_any_case() {
    let archive = Setting::start(Setup::new()).await;
    for media_type in [
        "Application/CloudEvents+JSON",
        "application/cloudevents+json; charset=UTF-8",
        "application/cloudevents+json;charset=\"utf-8\"",
    ] {
        archive.post(&[("content-type", media_type)], document("{}")).await.accepted("sent");
        assert_eq!(archive.one().attributes["id"], "1", "{media_type}");
    }
    for media_type in
        ["APPLICATION/CLOUDEVENTS-BATCH+JSON", "application/cloudevents-batch+json; charset=Utf-8"]
    {
        let body = format!("[{}]", document("{}"));
        archive.post(&[("content-type", media_type)], body).await.accepted("sent");
        assert_eq!(archive.one().attributes["id"], "1", "{media_type}");
    }
    // Also at the other path.
    archive.service.send("POST", "/", &[STRUCTURED], document("{}")).await.accepted("sent");
    assert_eq!(archive.forwarded().len(), 1);
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn event_formats_charsets_and_codings_that_are_not_read_are_415() {
    let archive = Setting::start(Setup::new()).await;
    for media_type in [
        "application/cloudevents+avro",
        "application/cloudevents+protobuf",
        "application/cloudevents+xml",
        "application/cloudevents-batch+avro",
        "application/cloudevents",
        "Application/CloudEvents+Avro; charset=utf-8",
    ] {
        let answer = archive.post(&[("content-type", media_type)], document("{}")).await;
        answer.refused(415, "send `application/cloudevents+json` or `application/cloudevents-batch+json`");
    }
    let latin = [("content-type", "application/cloudevents+json; charset=iso-8859-1")];
    let answer = archive.post(&latin, document("{}")).await;
    answer.refused(415, "the `charset` of `content-type` is not supported: events in JSON are UTF-8");
    let zipped = [STRUCTURED, ("content-encoding", "gzip")];
    archive.post(&zipped, document("{}")).await.refused(415, "header `content-encoding`");
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_is_400_with_its_place() {
    let archive = Setting::start(Setup::new()).await;
    for body in ["", "{", "{\"id\": 1,}", "{\"id\": 'a'}", "nonsense", "{} {}", "\u{feff}{}"] {
        let answer = archive.post(&[STRUCTURED], body.to_owned()).await;
        answer.refused(400, "the body is not well-formed JSON: ");
        assert!(answer.text.contains("line 1 column"), "{answer:?}");
        let answer = archive.post(&[BATCHED], format!("[{body}")).await;
        answer.refused(400, "the body is not well-formed JSON: ");
    }
    let answer = archive.post(&[STRUCTURED], &b"{\"id\": \"\xff\"}"[..]).await;
    answer.refused(400, "the body is not well-formed JSON: ");
    archive.post(&[STRUCTURED], "[]").await.refused(400, "an event must be a JSON object");
    archive.post(&[BATCHED], "{}").await.refused(400, "a batch must be a JSON array of events");
    let twice = document("{}").replace('{', "{\"id\": \"0\",");
    archive.post(&[STRUCTURED], twice).await.refused(400, "member `id` appears twice");
    let answer = archive.binary(&[JSON], "{\"a\":").await;
    answer.refused(400, "the body is not the JSON that `content-type` declares: ");
    let deep = format!("{{\"data\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(archive.post(&[STRUCTURED], deep).await.status, 400);
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_bad_event_is_refused_as_a_whole_with_its_index() {
    let archive = Setting::start(Setup::new()).await;
    let batch = |second: &str| {
        let events = [document(r#"{"id": "a"}"#), document(second), document(r#"{"id": "c"}"#)];
        format!("[{}]", events.join(","))
    };
    let answer = archive.post(&[BATCHED], batch(r#"{"id": ""}"#)).await;
    answer.refused(400, "event 1 of the batch: attribute `id` must be a non-empty string");
    let answer = archive.post(&[BATCHED], format!("[1, {}, {{}}]", document("{}"))).await;
    answer.refused(
        400,
        "event 0 of the batch: an event must be a JSON object; event 2 of the batch: attribute `spec",
    );
    assert_eq!(archive.forwarded(), []);
    let answer = archive.post(&[BATCHED], format!("[{}1]", "1,".repeat(1000))).await;
    answer.refused(400, "a batch may hold at most 1000 events: send several");

    archive.post(&[BATCHED], batch(r#"{"id": "b"}"#)).await.accepted("sent");
    assert_eq!(archive.forwarded().len(), 3);
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_batch_is_accepted() {
    let archive = Setting::start(Setup::new()).await;
    archive.post(&[BATCHED], "[]").await.accepted("ignored");
    archive.post(&[BATCHED], " [ ] ").await.accepted("ignored");
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_any_media_type_is_forwarded_byte_for_byte() {
    let archive = Setting::start(Setup::new()).await;
    for (media_type, data) in [
        ("text/plain; charset=us-ascii", &b"Hello World!"[..]),
        ("text/plain; charset=utf-8", "Hello World! 👋".as_bytes()),
        ("application/xml", b"<much wow=\"xml\"/>"),
        ("application/octet-stream", b"\x00\xff\xfe{}"),
        ("text/plain", b"\xff not Unicode"),
        ("application/vnd.example+json", b"{ \"b\": 1.0,  \"a\": [1e3] }"),
        ("application/json", b"\"Hello World!\""),
        ("application/json", b"[ 1, 2 ]"),
        ("application/json", b"null"),
        ("image/png", b""),
    ] {
        archive.binary(&[("content-type", media_type)], data.to_vec()).await.accepted("sent");
        let event = archive.one();
        assert_eq!(event.attributes["datacontenttype"], media_type);
        assert_eq!(event.data, data, "{media_type}");
    }
    archive.structured(r#"{"datacontenttype": "text/plain", "data": "a \"b\" 👋"}"#).await.accepted("sent");
    assert_eq!(archive.one().data, "a \"b\" 👋");
    archive
        .structured(r#"{"datacontenttype": "application/octet-stream", "data_base64": "AP/+"}"#)
        .await
        .accepted("sent");
    assert_eq!(archive.one().data, &b"\x00\xff\xfe"[..]);
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_64_kib_and_900_kib_are_forwarded_and_more_than_1_mib_is_413() {
    let archive = Setting::start(Setup::new()).await;
    for size in [64 * 1024, 900 * 1024] {
        let data = format!("{{\"a\":\"{}\"}}", "x".repeat(size));
        archive.binary(&[JSON], data.clone()).await.accepted("sent");
        assert_eq!(archive.one().data, data);
        let event = document("{}")
            .replace('}', &format!(",\"datacontenttype\":\"application/json\",\"data\":{data}}}"));
        archive.post(&[STRUCTURED], event).await.accepted("sent");
        assert_eq!(archive.one().data, data);
    }
    let data = format!("{{\"a\":\"{}\"}}", "x".repeat(1024 * 1024));
    let reason = "the body is larger than 1048576 bytes";
    archive.binary(&[JSON], data.clone()).await.refused(413, reason);
    archive.post(&[BATCHED], format!("[{data}]")).await.refused(413, reason);
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\ncontent-type: {}\r\n\r\n{:x}\r\n{data}\r\n0\r\n\r\n",
        archive.service.address,
        STRUCTURED.1,
        data.len()
    );
    raw(archive.service.address, chunked.as_bytes()).await.refused(413, reason);
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_405_with_those_that_are_allowed() {
    let archive = Setting::start(Setup::new()).await;
    for path in ["/", "/events"] {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let answer = archive.service.send(method, path, &BINARY, "").await;
            answer.refused(405, "this method is not allowed here; use POST, OPTIONS");
            assert_eq!(answer.header("allow"), "POST, OPTIONS");
        }
    }
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_fails_keeps_the_event_at_its_sender() {
    let archive =
        Setting::start(Setup::new().with(|it| it.process.limits.event_deadline = Duration::from_millis(500)))
            .await;
    archive.archive.answer(500);
    archive.binary(&[], "").await.later(503, "sink `archive`, after ");
    archive.archive.answer(202);
    archive.archive.take();
    archive.wire.take();
    archive.binary(&[], "").await.accepted("sent");
    assert_eq!(archive.forwarded().len(), 1);
    archive.stop().await;
}

// --- The webhook specification.

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_grants_known_origins_and_their_rate() {
    let setup =
        Setup::new().with(|it| it.process.allowed_origins = vec!["eventemitter.example.com".to_owned()]);
    let archive = Setting::start(setup).await;
    let origin = ("webhook-request-origin", "EventEmitter.example.com");
    for path in ["/", "/events"] {
        let answer = archive.service.send("OPTIONS", path, &[origin], "").await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
        assert_eq!(answer.header("webhook-allowed-origin"), "eventemitter.example.com");
        assert_eq!(answer.header("webhook-allowed-rate"), "");
        assert!(answer.header("allow").contains("POST"));
        let answer =
            archive.service.send("OPTIONS", path, &[origin, ("webhook-request-rate", "120")], "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("webhook-allowed-rate"), "*");
    }
    let rate = ("webhook-request-rate", "120");
    for headers in [&[("webhook-request-origin", "other.example.com"), rate][..], &[rate], &[]] {
        let answer = archive.service.send("OPTIONS", "/events", headers, "").await;
        answer.refused(405, "this method is not allowed here; use POST");
        assert_eq!(answer.header("allow"), "POST");
        assert_eq!(answer.header("webhook-allowed-origin"), "");
        assert_eq!(answer.header("webhook-allowed-rate"), "");
    }
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_configuration_no_origin_is_granted_and_a_star_grants_all() {
    let origin = [("webhook-request-origin", "a.example.com")];
    let nobody = Setup::new().start().await;
    nobody.send("OPTIONS", "/", &origin, "").await.refused(405, "use POST");
    nobody.stop().await;
    let everyone = Setup::new().with(|it| it.process.allowed_origins = vec!["*".to_owned()]).start().await;
    let answer = everyone.send("OPTIONS", "/", &origin, "").await;
    assert_eq!((answer.status, answer.header("webhook-allowed-origin")), (200, "*"));
    everyone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_in_the_header_or_in_the_query_and_a_wrong_one_is_401() {
    let setup = Setup::closed().with(|it| it.process.event_tokens = vec![literal("old"), literal("new/+=")]);
    let archive = Setting::start(setup).await;
    let body = document("{}");
    let post = async |path: &str, authorization: Option<&str>| {
        let mut headers = vec![STRUCTURED];
        headers.extend(authorization.map(|value| ("authorization", value)));
        archive.service.send("POST", path, &headers, body.clone()).await
    };
    for (path, authorization) in [
        ("/events", Some("Bearer old")),
        ("/", Some("bearer new/+=")),
        ("/events?access_token=old", None),
        ("/events?a=b&access_token=new%2F%2B%3D", None),
    ] {
        let answer = post(path, authorization).await;
        answer.accepted("sent");
        let cache = if authorization.is_none() { "private" } else { "" };
        assert_eq!(answer.header("cache-control"), cache, "RFC 6750, section 2.3");
        archive.one();
    }
    for (path, authorization) in [
        ("/events", None),
        ("/events", Some("Bearer wrong")),
        ("/events", Some("Basic old")),
        ("/events", Some("old")),
        ("/events?access_token=wrong", None),
        ("/events?access_token=", None),
        ("/events?access_token=old", Some("Bearer wrong")),
    ] {
        let answer = post(path, authorization).await;
        answer.refused(401, "send a valid token as `Authorization: Bearer …` or `?access_token=…`");
        assert!(!answer.text.contains("wrong"));
    }
    // A forge has its own proof, and senders ask before they have a token.
    archive.service.github("brand_new", "{}").await.accepted("sent");
    archive.one();
    archive.service.send("OPTIONS", "/", &[], "").await.refused(405, "use POST");
    archive.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_200_with_a_cloudevent() {
    let service = Setup::new()
        .mapping(
            "answer",
            "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: answer}
spec:
  events: [{type: com.example.question}]
  do:
    - name: answer
      emit: {type: com.example.answer, to: reply, content: {question: '{{event.id}}'}}
",
        )
        .start()
        .await;
    let question =
        document(r#"{"type": "com.example.question", "id": "q1", "time": "2026-01-02T03:04:05Z"}"#);
    let answer = service.send("POST", "/", &[STRUCTURED], question.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/cloudevents+json; charset=utf-8");
    let event: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "com.example.answer");
    assert_eq!(event["data"]["question"], "q1");
    assert_eq!(event["causationid"], "q1");
    assert_eq!(answer.result(), "sent");
    // Asked again, the same answer: its id too, so that a broker can tell.
    assert_eq!(service.send("POST", "/", &[STRUCTURED], question).await.text, answer.text);
    // Without a time of its own it has that of its receipt, and the same id all the same.
    let timeless = document(r#"{"type": "com.example.question", "id": "q1"}"#);
    let other: Value =
        serde_json::from_str(&service.send("POST", "/", &[STRUCTURED], timeless).await.text).unwrap();
    assert_eq!((&other["id"], event["time"].as_str()), (&event["id"], Some("2026-01-02T03:04:05Z")));
    service.send("POST", "/", &[STRUCTURED], document("{}")).await.accepted("ignored");
    assert_eq!(service.events.count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_answers_to_one_request_neither_is_given_and_all_else_is_done() {
    let answering = |name: &str| {
        format!(
            "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {{name: {name}}}
spec:
  events: [{{type: com.example.question}}]
  do:
    - name: answer
      emit: {{type: com.example.answer, to: reply}}
    - name: tell
      emit: {{type: com.example.asked}}
"
        )
    };
    let service =
        Setup::new().mapping("one", &answering("one")).mapping("two", &answering("two")).start().await;
    let question = document(r#"{"type": "com.example.question", "id": "q1"}"#);
    let answer = service.send("POST", "/", &[STRUCTURED], question).await;
    answer.refused(422, "mapping `one`, action `answer`, emit.to: 2 answers are wanted");
    assert!(answer.text.contains("mapping `two`, action `answer`"), "{answer:?}");
    let types: Vec<String> = service.events.take().iter().map(|it| it.ty().to_owned()).collect();
    assert_eq!(types, ["com.example.asked", "com.example.asked"]);
    service.stop().await;
}
