//! The CloudEvents decoder: what was read can be written in every content mode, and reads back as the same event.

use bytes::Bytes;
use pipewright::event::http::{Message, decode, encode_batch, encode_binary, encode_structured};
use pipewright::event::{Data, Event, json};
use pipewright::vocabulary::alias;
use pipewright::vocabulary::options::Options;

/// The input is a request: a header a line, an empty line, the body.
pub fn run(input: &[u8]) {
    let end = input.windows(2).position(|two| two == b"\n\n");
    let (head, body) = match end {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (&input[..0], input),
    };
    let headers = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
    });
    match decode(headers, Bytes::copy_from_slice(body)) {
        Ok(events) => {
            for event in &events {
                assert_unchanged(event);
            }
            let again = read(encode_batch(&events));
            assert_eq!(again, events);
            // What mappings see in place of it is an event just so.
            for event in events {
                let (id, source) = (event.id().to_owned(), event.source().to_owned());
                let received = "2026-01-02T03:04:05Z".parse().unwrap_or_default();
                let seen = alias::events(event, &Options::default(), received);
                assert_eq!((seen[0].id(), seen[0].source()), (id.as_str(), source.as_str()));
                seen.iter().for_each(assert_unchanged);
            }
        }
        Err(error) => assert!(error.to_string().len() < 16 * 1024, "an error must not quote its input"),
    }
}

/// Writes the event in every mode and reads it back.
pub fn assert_unchanged(event: &Event) {
    let _ = event.tree();
    assert_eq!(read(encode_structured(event)), std::slice::from_ref(event));
    assert_eq!(read(encode_batch([event])), std::slice::from_ref(event));
    let _ = json::tree(event);

    let binary = read(encode_binary(event));
    let [binary] = &binary[..] else { panic!("one event: {binary:?}") };
    // Headers have no types, and a payload in JSON is declared.
    let attributes = ["id", "source", "type", "subject", "time", "dataschema"];
    for name in attributes.into_iter().chain(event.extensions().keys().map(String::as_str)) {
        assert_eq!(binary.attribute(name), event.attribute(name), "{name}");
    }
    assert_eq!(binary.extensions().len(), event.extensions().len());
    match (binary.data(), event.data()) {
        // Text of a type that is none is bytes where only the type says what it is.
        (Data::Binary(bytes), Data::Text(text)) => assert_eq!(bytes, text.as_bytes()),
        (binary, data) => assert_eq!(binary, data),
    }
    if event.datacontenttype().is_some() {
        // The space around a header's value is not part of it.
        assert_eq!(binary.datacontenttype(), event.datacontenttype().map(str::trim));
    }
}

fn read((headers, body): Message) -> Vec<Event> {
    let headers = headers.iter().map(|(name, value)| (name.as_ref(), value.as_bytes()));
    decode(headers, body).unwrap_or_else(|error| panic!("what we write must be read: {error}"))
}
