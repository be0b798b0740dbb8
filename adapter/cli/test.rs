//! `pipewright test`: the examples inside mapping files.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::check::many;
use super::inputs::{MappingArguments, style};
use super::{Ended, Output, complain, print};
use crate::diagnostic::Severity;
use crate::mapping::example::{ExampleOutcome, ExampleResult};
use crate::mapping::load::read_beside;

/// Flags of `test`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    mappings: MappingArguments,
    /// How to print the results: `text` or `json`
    #[arg(long, short, value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    output: Output,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ended> {
    let set = match arguments.mappings.compile()? {
        Ok((set, report)) => {
            let warnings = report.only(Severity::Warning);
            if !warnings.is_empty() {
                complain(&warnings.render(style(&std::io::stderr())));
            }
            set
        }
        Err(report) => {
            match arguments.output {
                Output::Json => print(&format!("{:#}\n", report.to_json()))?,
                Output::Text => print(&report.render(style(&std::io::stdout())))?,
            };
            complain("the mappings cannot be used, so no example was run");
            return Ok(Ended::NotRight);
        }
    };
    let outcomes = set.run_examples(&read_beside);
    let failed = outcomes.iter().filter(|outcome| outcome.result != ExampleResult::Passed).count();
    let passed = outcomes.len() - failed;
    match arguments.output {
        Output::Json => {
            print(&format!("{:#}\n", json!({"passed": passed, "failed": failed, "examples": outcomes})))?;
        }
        Output::Text => {
            let mut text = String::new();
            for outcome in &outcomes {
                describe(&mut text, outcome);
            }
            let without: Vec<&str> =
                set.names().filter(|name| !outcomes.iter().any(|outcome| outcome.mapping == *name)).collect();
            if !without.is_empty() {
                let _ = writeln!(text, "\nwithout examples: {}", without.join(", "));
            }
            let _ = if set.is_empty() {
                writeln!(text, "nothing was tested: {}", arguments.mappings.nothing_found()?)
            } else if outcomes.is_empty() {
                writeln!(text, "\nnothing was tested: no mapping has `examples`")
            } else {
                writeln!(text, "\n{}: {passed} passed, {failed} failed", many(outcomes.len(), "example"))
            };
            print(&text)?;
        }
    }
    Ok(if failed == 0 && passed > 0 { Ended::Well } else { Ended::NotRight })
}

fn describe(text: &mut String, outcome: &ExampleOutcome) {
    let name = format!("{}: {}", outcome.mapping, outcome.example);
    let _ = match &outcome.result {
        ExampleResult::Passed => writeln!(text, "ok    {name}"),
        ExampleResult::Broken { reason } => {
            writeln!(text, "FAIL  {name}\n      {}: the example cannot be run: {reason}", outcome.file)
        }
        ExampleResult::Failed { difference, expected, actual, reasons } => {
            let mut told = format!("FAIL  {name}\n      {}: {difference}\n", outcome.file);
            for reason in reasons {
                let _ = writeln!(told, "      why: {reason}");
            }
            told.push_str(&indented(&diff(expected, actual)));
            write!(text, "{told}")
        }
    };
}

/// What was expected beside what came, line by line: `-` is expected and missing, `+` is there. Only the parts that an
/// expectation speaks of are compared, so what it does not name is shown as context.
fn diff(expected: &Value, actual: &Value) -> String {
    let mut text = String::new();
    differ(&mut text, "", Some(expected), Some(actual), 0);
    text
}

fn differ(text: &mut String, key: &str, expected: Option<&Value>, actual: Option<&Value>, depth: usize) {
    let pad = "  ".repeat(depth);
    let label = if key.is_empty() { String::new() } else { format!("{key}: ") };
    match (expected, actual) {
        (Some(Value::Object(expected)), Some(Value::Object(actual))) => {
            let _ = writeln!(text, "  {pad}{}", label.trim_end());
            for (key, value) in expected {
                differ(text, key, Some(value), actual.get(key), depth + 1);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(actual))) => {
            let _ = writeln!(text, "  {pad}{}", label.trim_end());
            for index in 0..expected.len().max(actual.len()) {
                differ(text, &format!("[{index}]"), expected.get(index), actual.get(index), depth + 1);
            }
        }
        (Some(expected), Some(actual)) if expected == actual => {
            let _ = writeln!(text, "  {pad}{label}{expected}");
        }
        (expected, actual) => {
            if let Some(expected) = expected {
                let _ = writeln!(text, "- {pad}{label}{expected}");
            }
            if let Some(actual) = actual {
                let _ = writeln!(text, "+ {pad}{label}{actual}");
            }
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().filter(|line| !line.trim().is_empty()).fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "      {line}");
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_where_it_is() {
        let expected =
            json!([{"action": "build", "pipelineRun": {"spec": {"params": [{"name": "a", "value": "1"}]}}}]);
        let actual = json!([{"action": "build", "pipelineRun": {"kind": "PipelineRun", "spec": {"params": [
            {"name": "a", "value": "2"}, {"name": "b"}]}}}]);
        let lines = [
            "  ",
            "    [0]:",
            "      action: \"build\"",
            "      pipelineRun:",
            "        spec:",
            "          params:",
            "            [0]:",
            "              name: \"a\"",
            "-             value: \"1\"",
            "+             value: \"2\"",
            "+           [1]: {\"name\":\"b\"}",
        ];
        assert_eq!(diff(&expected, &actual).lines().collect::<Vec<_>>(), lines);
    }
}
