//! The sink of `dev`: every event that arrives becomes one line that a person can read.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use jiff::civil::Time;
use serde_json::Value;

use super::Receive;
use crate::event::Event;

/// How wide the column of types is; a longer type pushes the rest to the right.
const TYPE_WIDTH: usize = 26;
/// The longest text taken from a payload.
const MAX_WORD: usize = 80;

/// What else is worth a word, and where in a payload it is: first in `CDEvents`, then in forges' own payloads.
const WORDS: [(&str, &str); 11] = [
    ("", "/subject/content/outcome"),
    ("pipeline", "/subject/content/pipelineName"),
    ("task", "/subject/content/taskName"),
    ("mapping", "/customData/mapping"),
    ("in", "/subject/content/repository/id"),
    ("", "/customData/change/title"),
    ("by", "/customData/sender/login"),
    ("error", "/subject/content/errors"),
    ("in", "/repository/full_name"),
    ("", "/pull_request/title"),
    ("by", "/sender/login"),
];

/// Writes a line for every event that arrives.
pub struct Timeline<W> {
    /// The sink that it stands for, where that is not the only one.
    sink: Option<String>,
    out: Mutex<W>,
}

/// One event as one line: the time of day when it came, type without prefix and version, subject, and a few words.
///
/// Not the event's own time: that of a payload sent again is long past. Every control character of the event is gone, so that a payload cannot steer the terminal.
pub fn line(event: &Event, now: Time) -> String {
    let mut line =
        format!("{}  {:<TYPE_WIDTH$}", now.strftime("%H:%M:%S"), printable(short_type(event.ty())));
    for text in [event.subject().map(printable), words(event)].into_iter().flatten() {
        line.push_str("  ");
        line.push_str(&text);
    }
    line.truncate(line.trim_end().len());
    line
}

/// `dev.cdevents.change.created.0.4.0` is `change.created`; `com.github.push` is `github.push`.
fn short_type(ty: &str) -> &str {
    let cdevents = ty.strip_prefix("dev.cdevents.").or_else(|| ty.strip_prefix("dev.cdeventsx."));
    match cdevents {
        Some(rest) => rest.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit()),
        None => ty.strip_prefix("com.").or_else(|| ty.strip_prefix("dev.")).unwrap_or(ty),
    }
}

fn words(event: &Event) -> Option<String> {
    let tree = event.tree()?;
    let words = WORDS.iter().filter_map(|(label, pointer)| {
        let word = match tree.pointer(pointer)? {
            Value::String(text) if !text.is_empty() => printable(text),
            _ => return None,
        };
        Some(if label.is_empty() { word } else { format!("{label} {word}") })
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { None } else { Some(words.join("  ")) }
}

fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() || is_direction(c) { ' ' } else { c };
    if text.chars().count() <= MAX_WORD {
        return text.chars().map(clean).collect();
    }
    text.chars().take(MAX_WORD - 1).map(clean).chain(['…']).collect()
}

/// Characters that reorder the text around them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

// === impl Timeline ===

impl<W: Write + Send> Timeline<W> {
    /// A timeline that writes to `out`.
    pub fn new(out: W) -> Self {
        Self { sink: None, out: Mutex::new(out) }
    }

    /// One that stands for a sink, whose name ends each line.
    pub fn named(sink: String, out: W) -> Self {
        Self { sink: Some(sink), out: Mutex::new(out) }
    }
}

impl<W: Write + Send> Receive for Timeline<W> {
    fn receive(&self, event: &Event) {
        let mut line = line(event, jiff::Zoned::now().time());
        if let Some(sink) = &self.sink {
            line.push_str("  → ");
            line.push_str(sink);
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed terminal is no reason to hold back events.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;

    use super::*;

    fn event(ty: &str, subject: &str, json: &str) -> Event {
        Event::builder("1", "/source", ty).subject(subject).json(json.to_owned()).build().unwrap()
    }

    #[test]
    fn events_read_as_lines() {
        let lines: Vec<String> = [
            event(
                "com.github.pull_request.opened",
                "42",
                r#"{"action":"opened","repository":{"full_name":"acme/shop"},"pull_request":{"title":"Add tea"},
                    "sender":{"login":"ada"}}"#,
            ),
            event(
                "dev.cdevents.change.created.0.4.0",
                "pull/42",
                r#"{"context":{},"subject":{"content":{"repository":{"id":"acme/shop"}}},
                    "customData":{"change":{"title":"Add tea"},"sender":{"login":"ada"}}}"#,
            ),
            event(
                "dev.cdevents.pipelinerun.queued.0.3.0",
                "default/build-shop",
                r#"{"subject":{"content":{"pipelineName":"build"}}}"#,
            ),
            event(
                "dev.cdevents.taskrun.finished.0.3.0",
                "default/build-shop-test",
                r#"{"subject":{"content":{"taskName":"test","pipelineRun":{"id":"default/build-shop"},
                    "outcome":"failure","errors":"step `unit` exited with 1"}}}"#,
            ),
            event(
                "dev.cdeventsx.pipewright-build.requested.0.1.0",
                "acme/shop",
                r#"{"customData":{"mapping":"announce"}}"#,
            ),
        ]
        .iter()
        .map(|event| line(event, time(13, 3, 7, 0)))
        .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        13:03:07  github.pull_request.opened  42  in acme/shop  Add tea  by ada
        13:03:07  change.created              pull/42  in acme/shop  Add tea  by ada
        13:03:07  pipelinerun.queued          default/build-shop  pipeline build
        13:03:07  taskrun.finished            default/build-shop-test  failure  task test  error step `unit` exited with 1
        13:03:07  pipewright-build.requested  acme/shop  mapping announce
        ");
    }

    #[test]
    fn an_event_with_nothing_but_the_required_attributes_is_a_line_too() {
        let event = Event::builder("1", "/s", "ping").build().unwrap();
        assert_eq!(line(&event, time(1, 2, 3, 0)), "01:02:03  ping");
    }

    #[test]
    fn a_payload_cannot_steer_the_terminal_or_flood_it() {
        let title = format!(r"a\u001b[2J\nb\u202ec{}", "x".repeat(500));
        let event = event("t", "s\u{202e}31m", &format!(r#"{{"pull_request":{{"title":"{title}"}}}}"#));
        let line = line(&event, time(1, 2, 3, 0));
        assert!(!line.chars().any(|c| c.is_control() || is_direction(c)), "{line:?}");
        assert!(line.chars().count() < 160, "{line}");
        assert!(line.ends_with('…'), "{line}");
    }

    #[test]
    fn the_timeline_writes_a_line_for_each_event() {
        let timeline = Timeline::new(Vec::new());
        for id in ["1", "2"] {
            timeline.receive(&Event::builder(id, "/s", "ping").build().unwrap());
        }
        let text = String::from_utf8(timeline.out.into_inner().unwrap()).unwrap();
        assert_eq!(text.matches("  ping\n").count(), 2, "{text}");
    }
}
