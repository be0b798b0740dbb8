//! What expressions see of an event: its CloudEvents JSON form, built only as far as somebody looks.

use serde_json::{Map, Value};

use crate::event::attribute::CONTEXT;
use crate::event::{Data, Event, ExtensionValue, VOUCHER};

/// The whole event in its JSON form, with the payload parsed.
pub(crate) fn event_json(event: &Event) -> Value {
    Value::Object(
        names(event).filter_map(|name| Some((name.to_owned(), member(event, name)?))).collect::<Map<_, _>>(),
    )
}

/// The names of the members that the JSON form has.
pub(crate) fn names(event: &Event) -> impl Iterator<Item = &str> {
    let data = match event.data() {
        Data::None => None,
        Data::Json(_) | Data::Text(_) => Some("data"),
        Data::Binary(_) => Some("data_base64"),
    };
    CONTEXT
        .into_iter()
        .filter(|name| event.attribute(name).is_some())
        .chain(event.extensions().keys().map(String::as_str).filter(|name| *name != VOUCHER))
        .chain(event.voucher().map(|_| VOUCHER))
        .chain(data)
}

/// One member of the JSON form.
pub(crate) fn member(event: &Event, name: &str) -> Option<Value> {
    match (name, event.data()) {
        ("data", Data::Json(_)) => event.tree().cloned(),
        ("data", Data::Text(text)) => Some(Value::String(text.clone())),
        ("data_base64", Data::Binary(bytes)) => Some(Value::String(base64(bytes))),
        ("data" | "data_base64", _) => None,
        (VOUCHER, _) => event.voucher().map(Value::from),
        _ => match event.extensions().get(name) {
            Some(ExtensionValue::Boolean(flag)) => Some(Value::Bool(*flag)),
            Some(ExtensionValue::Integer(number)) => Some(Value::from(*number)),
            _ => event.attribute(name).map(|text| Value::String(text.into_owned())),
        },
    }
}

/// Base64 with the standard alphabet and padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = (group >> (18 - 6 * at)) & 63;
            text.push(if at <= chunk.len() { char::from(ALPHABET[digit as usize]) } else { '=' });
        }
    }
    text
}

/// The bytes that base64 text stands for; `None` when it is not base64.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.chunks(4) {
        let mut group = 0_u32;
        for at in 0..4 {
            let value = match chunk.get(at) {
                Some(b @ b'A'..=b'Z') => b - b'A',
                Some(b @ b'a'..=b'z') => b - b'a' + 26,
                Some(b @ b'0'..=b'9') => b - b'0' + 52,
                Some(b'+' | b'-') => 62,
                Some(b'/' | b'_') => 63,
                Some(_) => return None,
                None => 0,
            };
            group = group << 6 | u32::from(value);
        }
        if chunk.len() == 1 {
            return None;
        }
        bytes.extend(&group.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_json_form_has_the_attributes_and_the_parsed_payload() {
        let event = Event::builder("1", "/s", "t").extension("n", 3).json(r#"{"a": 1}"#).build().unwrap();
        assert_eq!(
            event_json(&event),
            json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "n": 3,
                   "datacontenttype": "application/json", "data": {"a": 1}})
        );
    }

    #[test]
    fn who_vouched_is_seen_and_not_what_a_sender_says_about_it() {
        let sent = || Event::builder("1", "/s", "t").extension(VOUCHER, "github").build().unwrap();
        assert_eq!(event_json(&sent()).get(VOUCHER), None);
        let seen = event_json(&sent().vouched("gitea".into()));
        assert_eq!(seen[VOUCHER], "gitea");
        let event = sent().vouched("gitea".into());
        assert_eq!(names(&event).filter(|name| *name == VOUCHER).count(), 1);
        assert_eq!(event.attribute(VOUCHER).as_deref(), Some("gitea"));
        assert_eq!(sent().attribute(VOUCHER), None);
    }

    #[test]
    fn binary_payloads_are_base64_as_the_json_format_has_them() {
        let event =
            Event::builder("1", "/s", "t").data(Data::Binary(vec![0xfb, 0xff].into())).build().unwrap();
        assert_eq!(event_json(&event)["data_base64"], "+/8=");
        assert_eq!(event_json(&event).get("data"), None);
    }

    #[test]
    fn base64_goes_both_ways() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes), text);
            assert_eq!(from_base64(text).unwrap(), bytes);
        }
        assert_eq!(from_base64("Zg"), Some(b"f".to_vec()));
        assert_eq!(from_base64("a"), None);
        assert_eq!(from_base64("a*=="), None);
    }
}
