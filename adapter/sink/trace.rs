//! The trace context of an event (CloudEvents extension "distributed tracing") as the headers of W3C Trace Context.

use ::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::event::Event;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// What a receiver must be able to take (W3C Trace Context, section 3.3.1.5); more is not handed on.
const MAX_STATE: usize = 512;

/// Adds the event's `traceparent` and `tracestate` when they are valid; the latter means nothing without the former.
pub(super) fn add(event: &Event, headers: &mut HeaderMap) {
    let Some(parent) = event.attribute("traceparent").filter(|parent| is_parent(parent)) else { return };
    let Ok(parent) = HeaderValue::from_str(&parent) else { return };
    headers.insert(TRACEPARENT, parent);
    let state = event.attribute("tracestate").filter(|state| is_state(state));
    if let Some(state) = state.and_then(|state| HeaderValue::from_str(&state).ok()) {
        headers.insert(TRACESTATE, state);
    }
}

/// `version-trace-parent-flags` in lower-case hexadecimal digits (section 3.2.2).
fn is_parent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut part = |length: usize| {
        parts.next().filter(|part| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    };
    let (Some(version), Some(trace), Some(span), Some(_)) = (part(2), part(32), part(16), part(2)) else {
        return false;
    };
    let is_zero = |id: &str| id.bytes().all(|b| b == b'0');
    // Version 00 has exactly these four parts; a later one may have more.
    version != "ff" && !is_zero(trace) && !is_zero(span) && (version != "00" || parts.next().is_none())
}

fn is_state(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_STATE
        && text.bytes().all(|b| (b' '..=b'~').contains(&b))
        && text.split(',').all(|member| member.trim().is_empty() || member.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_a_valid_parent_is_handed_on() {
        assert!(is_parent(PARENT));
        assert!(is_parent(&format!("cc{}-what-ever", &PARENT[2..])));
        for text in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &format!("ff{}", &PARENT[2..]),
            &format!("{PARENT}-00"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert!(!is_parent(text), "{text}");
        }
    }

    #[test]
    fn the_state_goes_with_the_parent_or_not_at_all() {
        let headers = |parent: &str, state: &str| {
            let event = Event::builder("1", "/s", "t");
            let event =
                event.extension("traceparent", parent).extension("tracestate", state).build().unwrap();
            let mut headers = HeaderMap::new();
            add(&event, &mut headers);
            let text = |name| headers.get(name).map(|it: &HeaderValue| it.to_str().unwrap().to_owned());
            (text("traceparent"), text("tracestate"))
        };
        assert_eq!(headers(PARENT, "a=1,b=2"), (Some(PARENT.to_owned()), Some("a=1,b=2".to_owned())));
        assert_eq!(headers(PARENT, "prose"), (Some(PARENT.to_owned()), None));
        assert_eq!(headers(PARENT, &"a=1,".repeat(200)), (Some(PARENT.to_owned()), None));
        assert_eq!(headers("prose", "a=1"), (None, None));
    }
}
