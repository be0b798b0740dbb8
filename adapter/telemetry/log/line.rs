//! What a line of the log may be: no longer than its bound, and without what makes a terminal show another one.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::LogFormat;

/// The longest line.
const MAX_LINE: usize = 16 * 1024;
/// The longest text in a JSON line that is too long.
const MAX_TEXT: usize = 1024;
/// The members of a JSON line that are kept, whatever else is in it.
const KEPT: [&str; 4] = ["timestamp", "level", "message", "target"];

/// The line with its end, as it may be written.
pub(super) fn bounded(line: &str, format: LogFormat) -> Cow<'_, str> {
    match format {
        LogFormat::Json if line.len() <= MAX_LINE => Cow::Borrowed(line),
        LogFormat::Json => Cow::Owned(json(line)),
        LogFormat::Text => text(line),
    }
}

fn text(line: &str) -> Cow<'_, str> {
    let line = if line.len() > MAX_LINE {
        let line = line.trim_end();
        let kept = &line[..line.floor_char_boundary(MAX_LINE)];
        Cow::Owned(format!("{kept}… ({} bytes more)\n", line.len() - kept.len()))
    } else {
        Cow::Borrowed(line)
    };
    if line.is_ascii() || !line.contains(misleads) {
        return line;
    }
    let mut clean = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if misleads(c) {
            // Writing to a String cannot fail.
            let _ = write!(clean, "\\u{{{:x}}}", u32::from(c));
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Whether a character changes the direction of what follows, ends a line, or is not seen.
fn misleads(c: char) -> bool {
    matches!(
        c,
        '\u{85}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// The same object with its texts cut off; where that is not enough, with its first members only.
fn json(line: &str) -> String {
    let Ok(Value::Object(mut members)) = serde_json::from_str::<Value>(line) else { return String::new() };
    for value in members.values_mut() {
        let Value::String(text) = value else { continue };
        if text.len() > MAX_TEXT {
            let kept = text.floor_char_boundary(MAX_TEXT);
            let more = text.len() - kept;
            text.truncate(kept);
            let _ = write!(text, "… ({more} bytes more)");
        }
    }
    let mut kept = Map::new();
    let mut length = 0;
    let (first, others): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(name, _)| KEPT.contains(&name.as_str()));
    for (name, value) in first.into_iter().chain(others) {
        let size = name.len() + value.to_string().len();
        if length + size <= MAX_LINE {
            length += size;
            kept.insert(name, value);
        }
    }
    format!("{}\n", Value::Object(kept))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_text_is_cut_off_and_the_line_stays_json() {
        let id = "é".repeat(1_000_000);
        let line =
            format!("{}\n", json!({"level": "INFO", "message": "event accepted", "event_id": id, "n": 1}));
        let short = bounded(&line, LogFormat::Json);
        assert!(short.len() < 2 * MAX_TEXT && short.ends_with("}\n"), "{short}");
        let value: Value = serde_json::from_str(&short).unwrap();
        assert_eq!((&value["message"], &value["n"]), (&json!("event accepted"), &json!(1)));
        assert!(value["event_id"].as_str().unwrap().ends_with("é… (1998976 bytes more)"), "{value}");
        // Many texts together are too long as well.
        let many: Map<String, Value> = (0..1000).map(|n| (format!("a{n}"), json!("x".repeat(500)))).collect();
        let mut line = json!({"level": "INFO", "message": "m"});
        line.as_object_mut().unwrap().extend(many);
        let short = bounded(&format!("{line}\n"), LogFormat::Json).into_owned();
        assert!(short.len() < 2 * MAX_LINE, "{}", short.len());
        assert_eq!(serde_json::from_str::<Value>(&short).unwrap()["message"], "m");
    }

    #[test]
    fn a_text_line_is_bounded_and_shows_nothing_that_is_not_there() {
        let line = bounded("id=\"a\u{202e}b\u{2028}c\u{2066}d\" é 漢\n", LogFormat::Text);
        assert_eq!(line, "id=\"a\\u{202e}b\\u{2028}c\\u{2066}d\" é 漢\n");
        let long = format!("{}\n", "漢".repeat(1_000_000));
        let short = bounded(&long, LogFormat::Text);
        assert!(short.len() < MAX_LINE + 64 && short.ends_with(" bytes more)\n"));
        assert!(matches!(bounded("plain é\n", LogFormat::Text), Cow::Borrowed("plain é\n")));
    }
}
