//! Webhooks without a parser: whatever the body is and whatever it is said to be, there is an error or one event that can be
//! written and read back.

use bytes::Bytes;
use pipewright::event::{Data, Event};
use pipewright::source::generic::{Document, Generic};
use pipewright::source::{Field, Headers, Rejection};

use super::cloudevents::assert_unchanged;

/// What bodies are said to be; the last one is a form that holds the JSON.
const MEDIA_TYPES: [&str; 4] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "application/xml",
    "application/x-www-form-urlencoded; charset=utf-8",
];

struct Request(&'static str);

impl Headers for Request {
    fn get(&self, name: &str) -> Field<'_> {
        (name == "content-type").then_some(self.0).into()
    }
}

fn source(payload_field: Option<&str>) -> Generic {
    let document = Document {
        ty: "com.example.told".to_owned(),
        source: "/it".to_owned(),
        payload_field: payload_field.map(str::to_owned),
        ..Document::default()
    };
    document.check().expect("a source that can be").0
}

/// The input is the body of a delivery.
pub fn run(input: &[u8]) {
    (0..MEDIA_TYPES.len()).for_each(|kind| hold(kind, input));
}

/// The event of a body of one kind.
pub fn read(kind: usize, body: &[u8]) -> Result<Event, Rejection> {
    let source = source((kind == 3).then_some("payload"));
    source.event(&Request(MEDIA_TYPES[kind]), &Bytes::copy_from_slice(body), jiff::Timestamp::UNIX_EPOCH)
}

/// What must hold of a body of one kind.
pub fn hold(kind: usize, body: &[u8]) {
    match read(kind, body) {
        Ok(event) => {
            let Data::Json(_) = event.data() else { panic!("the data is JSON: {event:?}") };
            let tree = event.tree().expect("data that a tree can hold");
            assert!(tree.is_object() || tree.is_array(), "{tree}");
            assert_unchanged(&event);
            let again = read(kind, body).expect("what was read can be read again");
            assert_eq!(again.id(), event.id(), "sent again it is the same event");
        }
        Err(error) => {
            assert!(matches!(error.status(), 400 | 415), "{error}");
            assert!(error.to_string().len() < 16 * 1024, "an error must not quote its input");
        }
    }
}
