//! Recorded exchanges with the real cluster, repeated on both.
//!
//! `tests/fixtures/kubernetes/*.txt` has requests and, on the lines that begin with `<`, what the real cluster answered.
//! `UPDATE_CONTRACT=1 cargo test --test it exchanges` on a real cluster records the answers again.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::support::ground::{Ground, on_both_clusters};

use super::wire::{Answer, Step, Wire};

on_both_clusters! {
    creating,
    updating,
    patching,
    applying,
    deleting,
    listing,
    watching,
    admitting,
    describing,
    discovering,
}

/// A line of a file.
enum Part {
    /// A heading, a comment or an empty line; it is kept.
    Text(String),
    /// A request and its answers.
    Exchange(Exchange),
}

#[derive(Default)]
struct Exchange {
    step: Step,
    /// The lines that the request was written in.
    written: Vec<String>,
    /// Why the embedded cluster answers something else; listed in docs/testing.md.
    differs: bool,
    /// What the real cluster answered: the lines with `<`.
    answer: Vec<String>,
    /// What the embedded cluster answers where it differs: the lines with `~`.
    embedded: Vec<String>,
}

fn parse(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match parts.last_mut() {
            Some(Part::Exchange(exchange)) if line.starts_with("< ") => {
                exchange.answer.push(line[2..].to_owned());
                open = false;
            }
            Some(Part::Exchange(exchange)) if line.starts_with("~ ") => {
                exchange.embedded.push(line[2..].to_owned());
                open = false;
            }
            Some(Part::Exchange(exchange)) if open && !line.is_empty() && !is_request(line) => {
                exchange.written.push(line.to_owned());
                if line.starts_with("@differs ") {
                    exchange.differs = true;
                } else if let Some((key, value)) =
                    line.strip_prefix('@').and_then(|line| line.split_once(' '))
                {
                    exchange.step.headers.push((key.to_owned(), value.to_owned()));
                } else {
                    exchange.step.body.push_str(line);
                    exchange.step.body.push('\n');
                }
            }
            _ if line.is_empty() || line.starts_with('#') => {
                parts.push(Part::Text(line.to_owned()));
                open = false;
            }
            _ => {
                let (verb, target) = line.split_once(' ').unwrap_or_else(|| panic!("not a request: {line}"));
                let step = Step { verb: verb.to_owned(), target: target.to_owned(), ..Step::default() };
                let written = vec![line.to_owned()];
                parts.push(Part::Exchange(Exchange { step, written, ..Exchange::default() }));
                open = true;
            }
        }
    }
    parts
}

/// `GET configmaps/a`, and not a line of a body.
fn is_request(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(verb, target)| {
        verb.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && target.starts_with(|c: char| c == '/' || c.is_ascii_lowercase())
    })
}

fn print(answer: &Answer) -> Vec<String> {
    let mut lines = vec![answer.head.clone()];
    lines.extend(answer.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.extend(answer.bodies.iter().map(std::string::ToString::to_string));
    lines
}

/// Repeats the exchanges of one file.
async fn repeat(ground: Ground, name: &str) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/kubernetes/{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut wire = Wire::new(&ground);
    wire.managed = text.starts_with("# With the record of owned fields");
    let (mut again, mut wrong) = (String::new(), String::new());
    let mut heading = String::new();
    for part in parse(&text) {
        match part {
            Part::Text(line) => {
                if line.starts_with("##") {
                    wire.begin();
                    heading.clone_from(&line);
                }
                writeln!(again, "{line}").unwrap();
            }
            Part::Exchange(mut exchange) => {
                let answer = print(&wire.send(&exchange.step).await);
                let recorded = match ground {
                    Ground::Embedded(_) if exchange.differs => &mut exchange.embedded,
                    _ => &mut exchange.answer,
                };
                if answer != *recorded {
                    let side = |side: &[String]| side.join("\n    ");
                    let (request, then, now) = (exchange.written.join("\n  "), side(recorded), side(&answer));
                    write!(
                        wrong,
                        "\n{heading}\n  {request}\n  recorded\n    {then}\n  answered\n    {now}\n"
                    )
                    .unwrap();
                }
                if matches!(ground, Ground::Real(_)) || exchange.differs {
                    *recorded = answer;
                }
                for line in &exchange.written {
                    writeln!(again, "{line}").unwrap();
                }
                for line in &exchange.answer {
                    writeln!(again, "< {line}").unwrap();
                }
                for line in &exchange.embedded {
                    writeln!(again, "~ {line}").unwrap();
                }
            }
        }
    }
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        std::fs::write(path, again).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{wrong}");
}

async fn creating(ground: Ground) {
    repeat(ground, "create").await;
}

async fn updating(ground: Ground) {
    repeat(ground, "update").await;
}

async fn patching(ground: Ground) {
    repeat(ground, "patch").await;
}

async fn applying(ground: Ground) {
    repeat(ground, "apply").await;
}

async fn deleting(ground: Ground) {
    repeat(ground, "delete").await;
}

async fn listing(ground: Ground) {
    repeat(ground, "list").await;
}

async fn watching(ground: Ground) {
    repeat(ground, "watch").await;
}

async fn admitting(ground: Ground) {
    repeat(ground, "admission").await;
}

async fn describing(ground: Ground) {
    repeat(ground, "tables").await;
}

async fn discovering(ground: Ground) {
    repeat(ground, "discovery").await;
}
