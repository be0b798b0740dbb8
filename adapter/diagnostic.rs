//! A user's mistake in a file: what is wrong, where, and what to do about it.
//!
//! Loaders collect every [`Diagnostic`] of every file into one [`Report`] instead of stopping at the first.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;
use serde_json::{Value, json};

/// How bad a finding is. Only errors keep a document set from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document works, but probably not as its author meant.
    Warning,
    /// Something that was not looked into, so that nothing is said about it.
    Note,
}

/// One finding in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable kebab-case name of the rule, such as `unknown-field`.
    pub code: &'static str,
    /// What is wrong: lower case, no full stop, literals in backticks.
    pub message: String,
    /// The file as the user named it; absent when the finding is about no file.
    pub file: Option<String>,
    /// 1-based line of the start of the span; 0 when unknown.
    pub line: u32,
    /// 1-based column, counted in characters; 0 when unknown.
    pub column: u32,
    /// Byte range inside the file.
    #[serde(skip)]
    pub span: Option<Range<usize>>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Every finding of one load, with the texts they point into.
#[derive(Clone, Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    sources: BTreeMap<String, Arc<str>>,
}

/// How a [`Report`] is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// With ANSI colours.
    Color,
}

// === impl Diagnostic ===

impl Diagnostic {
    /// An error of the rule `code`.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning of the rule `code`.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    /// A note of the rule `code`.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message.into())
    }

    /// Says which file it is about, without a place in it.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Says where it is: byte range `span` of the `text` of `file`.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, text: &str, span: Range<usize>) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        self.line = count(text[..start].matches('\n').count() + 1);
        self.column = count(text[line_start..start].chars().count() + 1);
        self.span = Some(start..end);
        self.file = Some(file.into());
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self { severity, code, message, file: None, line: 0, column: 0, span: None, hint: None }
    }

    fn order(&self) -> (Option<&str>, u32, u32) {
        (self.file.as_deref(), self.line, self.column)
    }
}

/// The short form: `file:line:column: error: message`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if self.line > 0 {
                write!(f, "{}:{}:", self.line, self.column)?;
            }
            f.write_str(" ")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

// === impl Report ===

impl Report {
    /// Keeps the text of a file, so that findings in it can be shown with their lines.
    pub fn add_source(&mut self, file: impl Into<String>, text: Arc<str>) {
        self.sources.insert(file.into(), text);
    }

    /// Adds a finding at its place: findings are ordered by file, line and column.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let place = self.diagnostics.partition_point(|other| other.order() <= diagnostic.order());
        self.diagnostics.insert(place, diagnostic);
    }

    /// Adds every finding and text of another report.
    pub fn extend(&mut self, other: Report) {
        self.sources.extend(other.sources);
        for diagnostic in other.diagnostics {
            self.push(diagnostic);
        }
    }

    /// The findings of one severity.
    #[must_use]
    pub fn only(&self, severity: Severity) -> Self {
        let diagnostics = self.diagnostics.iter().filter(|it| it.severity == severity).cloned().collect();
        Self { diagnostics, sources: self.sources.clone() }
    }

    /// Every finding, ordered by file, line and column.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The findings that keep the documents from being used.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The findings that do not.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning)
    }

    /// What was not looked into.
    pub fn notes(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Note)
    }

    /// Whether the documents cannot be used.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// The report for people: each finding with its line of the file and a `hint:`.
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Color => Renderer::styled(),
        };
        let blocks: Vec<String> =
            self.diagnostics.iter().map(|diagnostic| self.render_one(&renderer, diagnostic)).collect();
        let mut text = blocks.join("\n\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// The report for programs: `{"errors": n, "warnings": n, "notChecked": n, "diagnostics": [...]}`.
    pub fn to_json(&self) -> Value {
        json!({
            "errors": self.errors().count(),
            "warnings": self.warnings().count(),
            "notChecked": self.notes().count(),
            "diagnostics": self.diagnostics,
        })
    }

    fn render_one(&self, renderer: &Renderer, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group =
            Group::with_title(level.primary_title(diagnostic.message.as_str()).id(diagnostic.code));
        let source = diagnostic.file.as_ref().and_then(|file| self.sources.get(file));
        match (&diagnostic.file, source, &diagnostic.span) {
            (Some(file), Some(text), Some(span)) => {
                group = group.element(
                    Snippet::source(text.as_ref())
                        .path(file.as_str())
                        .annotation(AnnotationKind::Primary.span(first_line(text, span))),
                );
            }
            (Some(file), _, _) => group = group.element(Origin::path(file.as_str())),
            (None, _, _) => {}
        }
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
        }
        renderer.render(&[group])
    }
}

/// The report in its plain form.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::Plain))
    }
}

/// The part of `span` on its first line, at least one character where there is one.
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = floor_boundary(text, span.start);
    let rest = &text[start..];
    let line = rest.find('\n').unwrap_or(rest.len());
    let word = rest[..line].find(char::is_whitespace).filter(|end| *end > 0).unwrap_or(line);
    let length = if span.end > span.start { (span.end - start).min(line) } else { word };
    start..floor_boundary(text, start + length)
}

fn floor_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The one of `candidates` that `word` is probably a misspelling of.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *candidate != word)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The `count` of `candidates` that are nearest to `word`, the nearest first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let mut found: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .collect();
    found.sort_by_key(|(distance, _)| *distance);
    found.into_iter().take(count).map(|(_, candidate)| candidate).collect()
}

/// Edit distance where swapping two neighbours counts once (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substitution = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substitution.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_counted_in_characters_from_one() {
        let text = "a: 1\nü: wrong\n";
        let diagnostic = Diagnostic::error("x", "y").at("f.yaml", text, 9..14);
        assert_eq!((diagnostic.line, diagnostic.column), (2, 4));
        assert_eq!(&text[diagnostic.span.unwrap()], "wrong");
    }

    #[test]
    fn findings_are_ordered_by_file_and_place() {
        let mut report = Report::default();
        let text = "one\ntwo\nthree\n";
        report.push(Diagnostic::error("c", "third").at("b.yaml", text, 4..7));
        report.push(Diagnostic::error("b", "second").at("a.yaml", text, 8..13));
        report.push(Diagnostic::warning("a", "first").at("a.yaml", text, 0..3));
        let messages: Vec<&str> = report.diagnostics().iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, ["first", "second", "third"]);
        assert!(report.has_errors());
        assert_eq!(report.to_json()["warnings"], 1);
    }

    #[test]
    fn a_finding_is_shown_with_its_line_and_its_hint() {
        let mut report = Report::default();
        let text = "spec:\n  filtr: []\n";
        report.add_source("m.yaml", Arc::from(text));
        report.push(
            Diagnostic::error("unknown-field", "unknown field `filtr`")
                .at("m.yaml", text, 8..13)
                .hint("did you mean `filter`?"),
        );
        let shown = report.render(Style::Plain);
        assert!(shown.contains("m.yaml:2:3"), "{shown}");
        assert!(shown.contains("^^^^^"), "{shown}");
        assert!(shown.contains("hint: did you mean `filter`?"), "{shown}");
        assert!(report.render(Style::Color).contains('\u{1b}'));
    }

    #[test]
    fn a_span_outside_the_text_does_not_break_the_rendering() {
        let mut report = Report::default();
        report.add_source("m.yaml", Arc::from("ä"));
        report.push(Diagnostic::error("x", "y").at("m.yaml", "ä", 1..99));
        report.push(Diagnostic::error("x", "y").at("m.yaml", "", 7..7));
        assert_eq!(report.render(Style::Plain).matches("error[x]").count(), 2);
    }

    #[test]
    fn near_misses_are_suggested_and_far_ones_are_not() {
        assert_eq!(did_you_mean("filtr", ["events", "filter"]), Some("filter"));
        assert_eq!(did_you_mean("evnets", ["events", "filter"]), Some("events"));
        assert_eq!(did_you_mean("zzz", ["events", "filter"]), None);
    }
}
