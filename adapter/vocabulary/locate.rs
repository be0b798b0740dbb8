//! The place of a JSON error as a path, so that a message can name the field.

/// One container around the position.
enum Frame<'a> {
    Object(Option<&'a str>),
    Array(usize),
}

/// The path of the value at a 1-based line and a column counted in bytes, as `serde_json` reports them; empty for
/// the whole document.
pub fn path_at(json: &str, line: usize, column: usize) -> String {
    let start: usize = json.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = start.saturating_add(column).min(json.len());
    let mut stack = Vec::new();
    let mut key_next = false;
    let mut i = 0;
    while i < end {
        match json.as_bytes()[i] {
            b'"' => {
                let close = end_of_string(json.as_bytes(), i);
                if key_next && let Some(Frame::Object(key)) = stack.last_mut() {
                    *key = json.get(i + 1..close);
                    key_next = false;
                }
                i = close;
            }
            b'{' => {
                stack.push(Frame::Object(None));
                key_next = true;
            }
            b'[' => {
                stack.push(Frame::Array(0));
                key_next = false;
            }
            b'}' | b']' => {
                stack.pop();
                key_next = false;
            }
            b',' => match stack.last_mut() {
                Some(Frame::Array(index)) => *index += 1,
                Some(Frame::Object(_)) => key_next = true,
                None => {}
            },
            _ => {}
        }
        i += 1;
    }
    render(&stack)
}

/// The index of the closing quote, or the end of a string that is cut off.
fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut i = open + 1;
    while i < bytes.len() && bytes[i] != b'"' {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    i.min(bytes.len())
}

fn render(stack: &[Frame<'_>]) -> String {
    let mut path = String::new();
    for frame in stack {
        match frame {
            Frame::Object(None) => {}
            Frame::Object(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.extend(key.chars().take(80));
            }
            Frame::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
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
    fn positions_outside_the_text_are_harmless() {
        for json in ["", "\"", "{\"a\\", "ü", "{\"ü\": ["] {
            for column in 0..20 {
                path_at(json, column, column);
                path_at(json, 1, column);
            }
        }
    }
}
