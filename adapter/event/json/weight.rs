//! What the tree of a JSON text takes in memory, found out before there is one.
//!
//! A tree may take a hundred times the bytes of its text: a `BTreeMap` has room for eleven members as soon as it has one.

use crate::event::{Data, Event};

/// The deepest text that is weighed; nothing that is well formed is deeper.
const MAX_DEPTH: usize = 128;
/// A `Value`, as an array holds it.
const VALUE: usize = size_of::<serde_json::Value>();
/// A node of a map: names and values for eleven members, and what the allocator adds.
const NODE: usize = 11 * (size_of::<String>() + VALUE) + 32;
/// An object without members takes nothing in a tree, but something where forges' payloads are read.
const EMPTY: usize = NODE / 3;
/// The members of a full node.
const NODE_MEMBERS: usize = 11;
/// Each member of a map with several nodes, which are half full, with its share of the nodes above.
const MEMBER: usize = NODE / 5 + 32;
/// The least that an array with items takes: it has room for four.
const ARRAY: usize = 4 * VALUE;
/// The least that the allocator gives for a text.
const TEXT: usize = 32;

/// What a tree of any text may take, whatever its size.
const FLOOR: usize = 8 * 1024 * 1024;
/// What a tree may take for each byte of its text; those of forges take 3 to 7.
const EACH_BYTE: usize = 24;
/// The most that a tree takes for each byte of its text: of `{"":0},`.
pub const WORST: usize = (NODE + 2 * VALUE) / 7 + 1;
/// The most that mappings copy of a tree at a time.
pub const MAX_COPIES: usize = 32 * 1024 * 1024;
/// The most elements and attributes of an XML document.
pub const MAX_XML: usize = 100_000;
/// The bytes of a chunk: as many fit into a counter of eight bits.
const CHUNK: usize = 240;

/// The most bytes that the tree of a text of `length` bytes may take.
///
/// Payloads of forges take a quarter of it. What takes more is made of next to nothing but punctuation, and refused:
/// a megabyte of it would be a hundred megabytes of tree.
pub const fn allowance(length: usize) -> usize {
    FLOOR.saturating_add(EACH_BYTE.saturating_mul(length))
}

/// A tree with the copies that are made of it while there is a plan to make.
pub fn at_work(tree: usize) -> usize {
    tree.saturating_add(tree.saturating_mul(2).min(MAX_COPIES))
}

/// What the tree of an XML document takes at most; what would have more elements and attributes is refused.
pub fn of_xml(text: &[u8]) -> usize {
    let parts = text.iter().filter(|byte| matches!(byte, b'<' | b'=')).count();
    parts.min(MAX_XML) * (NODE + TEXT) + 2 * text.len()
}

/// The text of an event would take more memory than its size allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its JSON is {length} bytes of mostly punctuation, and would take {weight} bytes of memory, more than the {} that are \
     allowed for this size: send fewer values, or in several events",
    allowance(*.length)
)]
pub struct TooHeavy {
    length: usize,
    weight: usize,
}

/// Whether a text is so small that its tree is allowed whatever stands in it.
pub fn is_small(length: usize) -> bool {
    length.saturating_mul(WORST) <= FLOOR
}

/// What the tree of an event's payload takes; 0 where there is none.
///
/// # Errors
/// It is more than is allowed for the size of the payload.
pub fn check(event: &Event) -> Result<usize, TooHeavy> {
    match event.data() {
        Data::Json(json) => check_text(json),
        Data::None | Data::Text(_) | Data::Binary(_) => Ok(0),
    }
}

/// The same of a JSON text.
///
/// # Errors
/// It is more than is allowed for its size.
pub fn check_text(json: &[u8]) -> Result<usize, TooHeavy> {
    let length = json.len();
    let weight = weight(json);
    if weight > allowance(length) { Err(TooHeavy { length, weight }) } else { Ok(weight) }
}

/// A bound of [`weight`] that is quick to find out: brackets inside of texts count too.
pub fn rough_weight(json: &[u8]) -> usize {
    let (mut objects, mut arrays, mut commas, mut quotes) = (0_usize, 0_usize, 0_usize, 0_usize);
    for chunk in json.chunks(CHUNK) {
        let count = |wanted: u8| chunk.iter().map(|byte| u8::from(*byte == wanted)).sum::<u8>();
        objects += usize::from(count(b'{'));
        arrays += usize::from(count(b'['));
        commas += usize::from(count(b','));
        quotes += usize::from(count(b'"'));
    }
    objects * NODE + arrays * ARRAY + commas * (2 * VALUE).max(MEMBER) + quotes / 2 * TEXT + json.len()
}

/// About what the tree of a JSON text takes, a little more rather than less. Of other bytes it is some number.
pub fn weight(json: &[u8]) -> usize {
    let mut open = [Open::default(); MAX_DEPTH];
    let mut depth = 0;
    let mut total = VALUE;
    let mut rest = json.iter().enumerate();
    while let Some((at, byte)) = rest.next() {
        match byte {
            b'"' => {
                let mut escaped = false;
                let end = rest.find(|(_, byte)| match byte {
                    _ if escaped => {
                        escaped = false;
                        false
                    }
                    b'\\' => {
                        escaped = true;
                        false
                    }
                    byte => **byte == b'"',
                });
                let length = end.map_or(json.len(), |(end, _)| end) - at - 1;
                if length > 0 {
                    total += (length + TEXT / 2).max(TEXT);
                }
                fill(&mut open, depth);
            }
            b'{' | b'[' => {
                fill(&mut open, depth);
                depth += 1;
                if let Some(open) = open.get_mut(depth) {
                    *open = Open { is_object: *byte == b'{', ..Open::default() };
                }
            }
            b',' => {
                if let Some(open) = open.get_mut(depth) {
                    open.commas += 1;
                }
            }
            b'}' | b']' => {
                // What is deeper is no JSON that is read.
                total += open.get(depth).map_or(0, Open::weight);
                depth = depth.saturating_sub(1);
            }
            b' ' | b'\t' | b'\n' | b'\r' | b':' => {}
            _ => fill(&mut open, depth),
        }
    }
    total
}

/// An object or array that has not ended yet.
#[derive(Clone, Copy, Default)]
struct Open {
    is_object: bool,
    has_values: bool,
    commas: usize,
}

// === impl Open ===

impl Open {
    fn weight(&self) -> usize {
        match (self.is_object, self.commas + 1) {
            (true, _) if !self.has_values => EMPTY,
            (true, members) if members <= NODE_MEMBERS => NODE,
            (true, members) => members * MEMBER,
            (false, _) if !self.has_values => 0,
            // It grows by doubling, and while it does both are there.
            (false, items) => (items * VALUE * 2).max(ARRAY),
        }
    }
}

fn fill(open: &mut [Open; MAX_DEPTH], depth: usize) {
    if let Some(open) = open.get_mut(depth) {
        open.has_values = true;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What the tree takes, from the layout of its types: nodes of maps are at least half full when they were filled in
    /// order.
    fn taken(value: &Value) -> usize {
        let text = |text: &String| if text.is_empty() { 0 } else { text.capacity().max(24) + 8 };
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(it) => text(it),
            Value::Array(items) => items.capacity() * VALUE + items.iter().map(taken).sum::<usize>(),
            Value::Object(members) => {
                let nodes = if members.len() > NODE_MEMBERS {
                    members.len() / 6 + 1
                } else {
                    usize::from(!members.is_empty())
                };
                let below: usize = members.iter().map(|(name, value)| text(name) + taken(value)).sum();
                nodes * (NODE - 16) + below
            }
        }
    }

    fn repeated(item: &str, bytes: usize) -> String {
        format!("[{}null]", format!("{item},").repeat(bytes / (item.len() + 1)))
    }

    #[test]
    fn no_tree_takes_more_than_its_text_weighs_and_few_much_less() {
        let long = "x".repeat(1000);
        for item in [
            r#"{"":0}"#,
            "1",
            "[[]]",
            "[1,2,3]",
            r#"{"a":{"b":{"c":[]}}}"#,
            r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12,"m":13}"#,
            r#""a""#,
            r#""{\"a\": [1,2,3]}""#,
            &format!("{long:?}"),
        ] {
            let text = repeated(item, 20_000);
            let taken = taken(&serde_json::from_str(&text).unwrap());
            let (weight, rough) = (weight(text.as_bytes()), rough_weight(text.as_bytes()));
            assert!(weight >= taken && weight <= 5 * taken, "{item}: {weight} for {taken}");
            assert!(rough + 64 >= weight && weight <= WORST * text.len(), "{item}: {rough} for {weight}");
        }
    }

    #[test]
    fn what_a_forge_sends_takes_a_part_of_its_allowance_and_punctuation_is_refused() {
        let payload = include_bytes!("../../../tests/fixtures/github/pull_request.opened.json");
        assert!(3 * weight(payload) < EACH_BYTE * payload.len(), "{}", weight(payload) / payload.len());
        for (item, is_refused) in [
            (r#"{"":0}"#, true),
            ("{}", true),
            ("[0]", true),
            ("1", true),
            ("12345", false),
            (r#"{"name":"a long enough name","value":"of something","also":"a third one of them"}"#, false),
        ] {
            let text = repeated(item, 2_000_000);
            assert_eq!(weight(text.as_bytes()) > allowance(text.len()), is_refused, "{item}");
            // A small one is never refused, whatever it holds.
            let text = repeated(item, 64 * 1024);
            assert!(weight(text.as_bytes()) <= allowance(text.len()), "{item}");
        }
    }

    #[test]
    fn what_is_not_json_is_weighed_without_trouble() {
        for bytes in [&b""[..], b"]]]]}}}", b"\"\\", b"\"", b"{[\"", &[b'['; 1000], &[0xff; 100]] {
            assert!(weight(bytes) < 1_000_000 && rough_weight(bytes) < 1_000_000);
        }
    }
}
