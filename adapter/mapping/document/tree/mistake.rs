//! What is wrong with a text that is no YAML, in words that name the mistake and not the parser's state.

use std::ops::Range;

use serde_saphyr::budget::BudgetBreach;

use super::{MAX_ALIASES, MAX_DOCUMENTS, MAX_NODES};

/// One mistake, and where it is.
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) span: Range<usize>,
    pub(super) hint: String,
}

/// A limit of one file.
pub(super) fn too_much(breach: &BudgetBreach, span: Range<usize>) -> Mistake {
    let (what, hint) = match breach {
        BudgetBreach::Nodes { .. } => (
            format!("more than {MAX_NODES} values"),
            "split it into several files: a mapping has some dozens",
        ),
        BudgetBreach::Documents { .. } => {
            (format!("more than {MAX_DOCUMENTS} documents"), "split it into several files")
        }
        BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => {
            (format!("more than {MAX_ALIASES} anchors or aliases"), "write the values out")
        }
        BudgetBreach::Depth { .. } => {
            ("values that are nested too deeply".to_owned(), "take some levels out")
        }
        _ => ("more text than a mapping file may have".to_owned(), "split it into several files"),
    };
    Mistake { message: format!("the file has {what}"), span, hint: hint.to_owned() }
}

/// The mistake that the parser stumbled over; its place is where it noticed.
pub(super) fn explain(text: &str, span: Range<usize>, reason: &str) -> Mistake {
    if let Some(mistake) = tab(text, &span, reason) {
        return mistake;
    }
    if let Some(mistake) = bare_template(text, &span) {
        return mistake;
    }
    if let Some(mistake) = open_quote(text, &span) {
        return mistake;
    }
    let reason = reason.lines().next().unwrap_or("malformed");
    Mistake {
        message: format!("this is not YAML that can be read: {reason}"),
        span,
        hint: "nothing below this place was read; check indentation, quotes and brackets".to_owned(),
    }
}

/// The lines of a text with the places at which they begin.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |place, line| {
        let start = *place;
        *place += line.len();
        Some((start, line.trim_end_matches(['\n', '\r'])))
    })
}

fn number_of(text: &str, place: usize) -> usize {
    text.get(..place).map_or(1, |before| before.matches('\n').count() + 1)
}

/// A line that is indented by a tab: the parser notices it at the line before, or at what comes of it.
fn tab(text: &str, span: &Range<usize>, reason: &str) -> Option<Mistake> {
    let from = text.get(..span.start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let is_near = |start: usize| reason.contains("tab") || start <= span.end.saturating_add(200);
    let (place, _) = lines(text)
        .filter(|(start, line)| *start >= from && is_near(*start) && !line.trim().is_empty())
        .find_map(|(start, line)| {
            let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
            indent.find('\t').map(|tab| (start + tab, line))
        })?;
    let number = number_of(text, place);
    Some(Mistake {
        message: format!("line {number} is indented by a tab, which YAML does not know"),
        span: place..place + 1,
        hint: "indent with spaces".to_owned(),
    })
}

/// A value that begins with `{{` outside of quotes, which is a map in a map to YAML.
fn bare_template(text: &str, span: &Range<usize>) -> Option<Mistake> {
    let number = number_of(text, span.start);
    let (start, line) = lines(text).take(number).filter(|(_, line)| bare(line).is_some()).last()?;
    // The parser may notice on the next line.
    if number_of(text, start) + 1 < number {
        return None;
    }
    let at = bare(line)?;
    let rest = &line[at..];
    let closed = rest.find("}}").map_or(rest.len(), |end| end + 2);
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']');
    let end = rest[closed..].find(ends).map_or(rest.len(), |more| closed + more);
    let template = &rest[..end];
    let quoted = if template.contains('"') { format!("'{template}'") } else { format!("\"{template}\"") };
    Some(Mistake {
        message: "a value that begins with a template stands in quotes".to_owned(),
        span: start + at..start + at + end,
        hint: format!("write `{quoted}`"),
    })
}

/// Where a line has `{{` as the beginning of a value.
fn bare(line: &str) -> Option<usize> {
    line.match_indices("{{").map(|(at, _)| at).find(|at| {
        let before = &line[..*at];
        let is_value = before.ends_with(": ")
            || before.ends_with("- ")
            || before.ends_with(", ")
            || before.ends_with('[');
        let in_quotes = |quote| before.matches(quote).count() % 2 == 1;
        is_value && !in_quotes('"') && !in_quotes('\'') && !before.trim_start().starts_with('#')
    })
}

/// A quote that a value begins with and that is not closed on its line, before the place where the parser noticed.
fn open_quote(text: &str, span: &Range<usize>) -> Option<Mistake> {
    // A quote of several lines is rare and right: the last one that is open counts, unless a later line closes it.
    let mut open: Option<(usize, char)> = None;
    for (start, line) in lines(text) {
        if start > span.start {
            break;
        }
        if let Some((_, quote)) = open {
            // What closes a quote of several lines ends its line; anything else behind it is the parser's complaint.
            let closes = line.trim_end().strip_suffix(quote).is_some_and(|rest| !rest.contains(quote));
            if closes {
                open = None;
                continue;
            }
        }
        if let Some((at, quote)) = opened(line) {
            open = open.or(Some((start + at, quote)));
        }
    }
    let (place, _) = open?;
    let number = number_of(text, place);
    Some(Mistake {
        message: format!("a quote that is opened on line {number} is not closed"),
        span: place..place + 1,
        hint: "close it at the end of the value".to_owned(),
    })
}

/// The quote that a value of this line begins with, if it is not closed there.
fn opened(line: &str) -> Option<(usize, char)> {
    let mut quote: Option<(usize, char)> = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match quote {
            Some((_, '"')) if escaped => escaped = false,
            Some((_, '"')) if c == '\\' => escaped = true,
            Some((_, open)) if c == open => quote = None,
            None if c == '#' && line[..at].ends_with(' ') => break,
            None if c == '"' || c == '\'' => {
                let before = line[..at].trim_end();
                let begins = before.is_empty() || before.ends_with([':', '-', '[', '{', ',']);
                if begins {
                    quote = Some((at, c));
                }
            }
            Some(_) | None => {}
        }
    }
    quote
}
