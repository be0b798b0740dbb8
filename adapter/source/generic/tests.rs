use serde_json::json;

use super::*;

struct Request(Vec<(&'static str, &'static str)>);

impl Headers for Request {
    fn get(&self, name: &str) -> Field<'_> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value).into()
    }
}

fn document() -> Document {
    Document {
        ty: "com.docker.hub.push".to_owned(),
        source: "https://hub.docker.com".to_owned(),
        ..Document::default()
    }
}

fn generic() -> Generic {
    document().check().unwrap().0
}

fn event(
    generic: &Generic,
    headers: &[(&'static str, &'static str)],
    body: &str,
) -> Result<Event, Rejection> {
    generic.event(
        &Request(headers.to_vec()),
        &Bytes::copy_from_slice(body.as_bytes()),
        jiff::Timestamp::UNIX_EPOCH,
    )
}

fn data(media_type: &'static str, body: &str) -> Value {
    event(&generic(), &[("content-type", media_type)], body).unwrap().tree().unwrap().clone()
}

fn refusal(result: Result<Event, Rejection>) -> (u16, String) {
    let rejection = result.expect_err("refused");
    (rejection.status(), rejection.to_string())
}

#[test]
fn json_forms_and_xml_are_the_same_event_with_json_in_it() {
    let event = event(&generic(), &[("content-type", "application/json")], " {\"a\": [1]}\n").unwrap();
    assert_eq!((event.ty(), event.source()), ("com.docker.hub.push", "https://hub.docker.com"));
    assert_eq!(event.data(), &crate::event::Data::Json(Bytes::from_static(b"{\"a\": [1]}")));
    assert_eq!(
        data("application/x-www-form-urlencoded; charset=utf-8", "rev=7&path=%2Fa+b&path=c&empty=&flag"),
        json!({"rev": "7", "path": ["/a b", "c"], "empty": "", "flag": ""})
    );
    assert_eq!(data("text/xml", "<commit rev='7'/>"), json!({"commit": {"@rev": "7"}}));
}

#[test]
fn a_payload_in_a_form_is_the_data() {
    let wrapped = Generic { payload_field: Some("payload".to_owned()), ..generic() };
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let found = event(&wrapped, &form, "x=1&payload=%7B%22a%22%3A+1%7D").unwrap();
    assert_eq!(found.tree().unwrap(), &json!({"a": 1}));
    assert_eq!(
        refusal(event(&wrapped, &form, "x=1")),
        (400, "the form must have one field `payload`".to_owned())
    );
    assert!(
        refusal(event(&wrapped, &form, "payload=x"))
            .1
            .contains("the field `payload` is not well-formed JSON")
    );
}

#[test]
fn the_id_is_the_body_or_what_a_header_says() {
    let json = [("content-type", "application/json")];
    let id = |generic: &Generic, headers: &[(&'static str, &'static str)], body| {
        event(generic, headers, body).unwrap().id().to_owned()
    };
    assert_eq!(id(&generic(), &json, "{\"a\":1}"), id(&generic(), &json, "{\"a\":1}\n"));
    assert_ne!(id(&generic(), &json, "{\"a\":1}"), id(&generic(), &json, "{\"a\":2}"));
    let named = Generic { id: Identity::Header("X-Request-Id".to_owned()), ..generic() };
    assert_eq!(id(&named, &[json[0], ("x-request-id", " r-1 ")], "{}"), "r-1");
    assert_eq!(refusal(event(&named, &json, "{}")), (400, "header `X-Request-Id` is missing or empty; the sender must set it, or the settings of this source must not name it".to_owned()));
    for bad in ["", "a b", "ü"] {
        assert_eq!(refusal(event(&named, &[json[0], ("x-request-id", bad)], "{}")).0, 400, "{bad}");
    }
}

#[test]
fn what_is_not_what_it_says_is_refused() {
    for (media_type, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "", 400),
        ("application/xml", "{}", 400),
        ("application/x-www-form-urlencoded", "a=%2", 400),
        ("application/x-www-form-urlencoded", "a=%ff", 400),
        ("text/plain", "a", 415),
        ("multipart/form-data; boundary=b", "--b--", 415),
    ] {
        let (found, reason) = refusal(event(&generic(), &[("content-type", media_type)], body));
        assert_eq!(found, status, "{media_type} {body}: {reason}");
    }
    assert_eq!(refusal(event(&generic(), &[], "{}")).0, 415);
    let many = "a&".repeat(10_001);
    assert!(
        refusal(event(&generic(), &[("content-type", "application/x-www-form-urlencoded")], &many))
            .1
            .contains("10000")
    );
}
