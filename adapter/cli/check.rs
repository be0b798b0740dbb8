//! `pipewright check`.

use serde_json::json;

use super::inputs::{MappingArguments, style};
use super::{Ended, Output, print};

/// Flags of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    mappings: MappingArguments,
    /// Let it be right that there are no mappings
    #[arg(long)]
    allow_empty: bool,
    /// Let warnings fail as errors do
    #[arg(long)]
    strict: bool,
    /// How to print the findings: `text` or `json`
    #[arg(long, short, value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    output: Output,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ended> {
    let (count, report, ended) = match arguments.mappings.compile()? {
        Ok((set, report)) => {
            let is_nothing = set.is_empty() && !arguments.allow_empty;
            let is_doubtful = arguments.strict && report.warnings().next().is_some();
            let ended = if is_nothing || is_doubtful { Ended::NotRight } else { Ended::Well };
            (Some(set.len()), report, ended)
        }
        Err(report) => (None, report, Ended::NotRight),
    };
    match arguments.output {
        Output::Json => {
            let mut shown = report.to_json();
            shown["mappings"] = json!(count);
            print(&format!("{shown:#}\n"))?;
        }
        Output::Text => {
            let mut text = report.render(style(&std::io::stdout()));
            if !text.is_empty() {
                text.push('\n');
            }
            let errors = report.errors().count();
            let warnings = report.warnings().count();
            let strictly = if arguments.strict && warnings > 0 { " (--strict lets them fail)" } else { "" };
            let notes = report.notes().count();
            let sum = match count {
                Some(0) if !arguments.allow_empty => {
                    format!("{} (--allow-empty lets it be right)", arguments.mappings.nothing_found()?)
                }
                Some(count) => format!("{}, no errors", many(count, "mapping")),
                None => many(errors, "error"),
            };
            print(&(text + &sum + &also(warnings) + strictly + &open(notes) + "\n"))?;
        }
    }
    Ok(ended)
}

fn also(warnings: usize) -> String {
    if warnings == 0 { String::new() } else { format!(", {}", many(warnings, "warning")) }
}

fn open(notes: usize) -> String {
    if notes == 0 { String::new() } else { format!(", {} not checked", many(notes, "place")) }
}

/// A number with its noun.
pub(super) fn many(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
