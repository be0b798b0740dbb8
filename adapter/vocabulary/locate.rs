//! The place of a JSON error as a path, so that a message can name the field, and what stands there.

use std::fmt::Write;
use std::ops::Range;

/// One container around the position, and where the member of it begins that the position is in.
struct Frame<'a> {
    kind: Kind<'a>,
    start: usize,
}

enum Kind<'a> {
    Object(Option<&'a str>),
    Array(usize),
}

/// A value that a position is in.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub path: String,
    /// Where it begins, or the space before it.
    pub start: usize,
}

/// The path of the value at a 1-based line and a column counted in bytes, as `serde_json` reports them; empty for
/// the whole document.
pub fn path_at(json: &str, line: usize, column: usize) -> String {
    trail(json, line, column).pop().map(|step| step.path).unwrap_or_default()
}

/// The values around this position, from the member of the document to the innermost.
pub fn trail(json: &str, line: usize, column: usize) -> Vec<Step> {
    let start: usize = json.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = start.saturating_add(column).min(json.len());
    let mut stack: Vec<Frame<'_>> = Vec::new();
    let mut key_next = false;
    let mut i = 0;
    while i < end {
        match json.as_bytes()[i] {
            b'"' => {
                let close = end_of_string(json.as_bytes(), i);
                if key_next && let Some(Frame { kind: Kind::Object(key), .. }) = stack.last_mut() {
                    *key = json.get(i + 1..close);
                    key_next = false;
                }
                i = close;
            }
            b'{' => {
                stack.push(Frame { kind: Kind::Object(None), start: i + 1 });
                key_next = true;
            }
            b':' => {
                if let Some(frame) = stack.last_mut() {
                    frame.start = i + 1;
                }
            }
            b'[' => {
                stack.push(Frame { kind: Kind::Array(0), start: i + 1 });
                key_next = false;
            }
            b'}' | b']' => {
                stack.pop();
                key_next = false;
            }
            b',' => match stack.last_mut() {
                Some(Frame { kind: Kind::Array(index), start }) => (*index, *start) = (*index + 1, i + 1),
                Some(Frame { kind: Kind::Object(_), .. }) => key_next = true,
                None => {}
            },
            _ => {}
        }
        i += 1;
    }
    steps(&stack)
}

/// The index of the closing quote, or the end of a string that is cut off.
fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut i = open + 1;
    while i < bytes.len() && bytes[i] != b'"' {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    i.min(bytes.len())
}

fn steps(stack: &[Frame<'_>]) -> Vec<Step> {
    let mut path = String::new();
    let mut steps = Vec::with_capacity(stack.len());
    for frame in stack {
        match frame.kind {
            // Of this object nothing is read yet, so that it is meant itself.
            Kind::Object(None) => continue,
            Kind::Object(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.extend(key.chars().take(80));
            }
            Kind::Array(index) => {
                // Writing to a `String` cannot fail.
                let _ = write!(path, "[{index}]");
            }
        }
        steps.push(Step { path: path.clone(), start: frame.start });
    }
    steps
}

/// The value that begins here or after the space here, of a text that is JSON.
pub fn value_at(json: &str, start: usize) -> Range<usize> {
    let bytes = json.as_bytes();
    let is_space = |i: &usize| matches!(bytes.get(*i), Some(b' ' | b'\t' | b'\n' | b'\r'));
    let first = (start..bytes.len()).find(|i| !is_space(i)).unwrap_or(bytes.len());
    let mut depth = 0_usize;
    let mut i = first;
    while let Some(byte) = bytes.get(i) {
        match byte {
            b'"' => i = end_of_string(bytes, i),
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return first..i,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        i += 1;
        if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
            break;
        }
    }
    first..i.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "only its errors are looked at")]
        a: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only its errors are looked at")]
        text: String,
    }

    #[test]
    fn wrong_and_missing_fields_are_named() {
        for (json, path) in [
            (r#"{"x": {"y": 1}, "a": [{"text": "t"}, {"text": 5}]}"#, "a[1].text"),
            ("{\"x\": \"}\\\"]\",\n \"a\": [{\"text\": {\"deep\": 1}}]}", "a[0].text"),
            (r#"{"a": [{"other": 1}]}"#, "a[0]"),
            (r#"{"a": 5}"#, "a"),
            (r#"{"b": 5}"#, ""),
            ("[]", ""),
        ] {
            let error = serde_json::from_str::<Outer>(json).unwrap_err();
            assert_eq!(path_at(json, error.line(), error.column()), path, "{json}: {error}");
        }
    }

    #[test]
    fn the_value_at_a_place_is_cut_out_whole() {
        let element = r#"{"text":{"x": [1, "}"]} , "n":-1.5e3}"#;
        let list = format!(r#"[{{"text": "t,]}}\"" }}, {element}]"#);
        let json = format!(r#"{{"a": {list}, "b" :true}}"#);
        let error = serde_json::from_str::<Outer>(&json).unwrap_err();
        let trail = trail(&json, error.line(), error.column());
        let values: Vec<(&str, &str)> =
            trail.iter().map(|step| (step.path.as_str(), &json[value_at(&json, step.start)])).collect();
        assert_eq!(values, [("a", list.as_str()), ("a[1]", element), ("a[1].text", r#"{"x": [1, "}"]}"#)]);
        assert_eq!(&json[value_at(&json, json.find("-1").unwrap())], "-1.5e3");
        assert_eq!(&json[value_at(&json, json.rfind(':').unwrap() + 1)], "true");
        for start in 0..=json.len() + 1 {
            value_at(&json, start);
        }
    }

    #[test]
    fn positions_outside_the_text_are_harmless() {
        for json in ["", "\"", "{\"a\\", "ü", "{\"ü\": ["] {
            for column in 0..20 {
                path_at(json, column, column);
                path_at(json, 1, column);
            }
        }
    }
}
