//! A YAML document as a tree that remembers where every key and value stands in the file.

mod mistake;

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

use crate::diagnostic::Diagnostic;

/// The most nodes of one file: a mapping has some dozens.
const MAX_NODES: usize = 50_000;
/// The most documents of one file.
const MAX_DOCUMENTS: usize = 256;
/// The most aliases and anchors of one file.
const MAX_ALIASES: usize = 1_000;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Node>),
    /// In the order of the file; a key may come twice, which the reader reports.
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) value: Node,
}

/// A key with its place.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

/// Reads every document of a file; empty documents are left out.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Node>, Box<Diagnostic>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_documents: MAX_DOCUMENTS,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_total_scalar_bytes: 4 * 1024 * 1024,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options::<Node>(text, options).map_err(|error| {
        let span = error.location().map_or(0..0, |location| place_of(text, location));
        let problem = match error.without_snippet() {
            serde_saphyr::Error::Budget { breach, .. } => mistake::too_much(breach, span),
            other => mistake::explain(text, span, &other.to_string()),
        };
        Box::new(
            Diagnostic::error("invalid-yaml", problem.message)
                .at(file, text, problem.span)
                .hint(problem.hint),
        )
    })
}

// === impl Node ===

impl Node {
    /// The kind in words.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::String(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under `key`, the last one when it comes twice.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().rev().find(|entry| entry.key.text == key).map(|entry| &entry.value)
    }

    /// The value without its places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::String(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.text.clone(), entry.value.to_json())).collect(),
            ),
        }
    }

    /// Where byte `offset` of this string value stands in `text`: exact for plain and simple quoted scalars and for
    /// literal blocks, the start of the value for scalars that YAML folds or unescapes.
    pub(crate) fn place(&self, text: &str, offset: usize) -> usize {
        let start = self.span.start;
        let (Some(value), Some(written)) = (self.as_str(), text.get(self.span.clone())) else {
            return start;
        };
        if written.trim_end() == value.trim_end() {
            return start + offset;
        }
        let inner = written.get(1..written.len().saturating_sub(1));
        if written.starts_with(['"', '\'']) && inner == Some(value) {
            return start + 1 + offset;
        }
        block_place(value, text, start, offset).unwrap_or(start)
    }
}

/// The place of `offset` inside a literal block scalar (`|`): its line is looked for below the header.
fn block_place(value: &str, text: &str, start: usize, offset: usize) -> Option<usize> {
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let before = value.get(..offset.min(value.len()))?;
    let (wanted_line, column) = (before.matches('\n').count(), before.rsplit('\n').next()?.len());
    let wanted = value.lines().nth(wanted_line)?;
    let mut place = line_start;
    let mut seen = None;
    for line in text[line_start..].split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        if seen.is_none() && content.trim_start() == value.lines().next()?.trim_start() {
            seen = Some(0);
        }
        if let Some(number) = &mut seen {
            if *number == wanted_line {
                let indent = content.len().checked_sub(wanted.len())?;
                return content.ends_with(wanted).then_some(place + indent + column);
            }
            *number += 1;
        }
        place += line.len();
    }
    None
}

struct NodeVisitor;

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { kind: spanned.value, span: span_of(spanned.referenced.span()).unwrap_or(0..0) })
    }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        Ok(Kind::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        Ok(Kind::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Kind, E> {
        Number::from_f64(number).map(Kind::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Kind, E> {
        Ok(Kind::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Node>()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<Kind>>()? {
            let text = match key.value {
                Kind::String(text) => text,
                Kind::Bool(flag) => flag.to_string(),
                Kind::Number(number) => number.to_string(),
                Kind::Null => "null".to_owned(),
                Kind::List(_) | Kind::Map(_) => {
                    return Err(A::Error::custom("a key must be a string"));
                }
            };
            let span = span_of(key.referenced.span()).unwrap_or(0..0);
            map.push(Entry { key: Key { text, span }, value: entries.next_value::<Node>()? });
        }
        Ok(Kind::Map(map))
    }
}

/// Syntax errors of the parser come with a line and a column only.
fn place_of(text: &str, location: serde_saphyr::Location) -> Range<usize> {
    if let Some(span) = span_of(location.span()) {
        return span;
    }
    let line = usize::try_from(location.line()).unwrap_or(1).max(1);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let at = start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at);
    at..at
}

fn span_of(span: serde_saphyr::Span) -> Option<Range<usize>> {
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len().unwrap_or(0)).ok()?;
    Some(start..start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        parse("t.yaml", text).unwrap().remove(0)
    }

    #[test]
    fn every_value_knows_its_place() {
        let text = "a: plain\nb: \"quoted\"\nc:\n  - 'x'\n  - 12\n";
        let root = one(text);
        assert_eq!(&text[root.get("a").unwrap().span.clone()], "plain");
        assert_eq!(&text[root.entries().unwrap()[1].key.span.clone()], "b");
        let b = root.get("b").unwrap();
        assert_eq!(&text[b.place(text, 2)..b.place(text, 5)], "ote");
    }

    #[test]
    fn places_inside_literal_blocks_are_exact() {
        let text = "ü: 1\nscript: |\n  first line\n  second {{x}} line\n";
        let node = one(text);
        let script = node.get("script").unwrap();
        let offset = script.as_str().unwrap().find("{{x}}").unwrap();
        assert!(text[script.place(text, offset)..].starts_with("{{x}} line"));
    }

    #[test]
    fn yaml_1_1_booleans_stay_strings_and_octal_numbers_are_octal() {
        let root = one("a: n\nb: yes\nc: 0755\nd: true\nn: off\n");
        assert_eq!(
            root.to_json(),
            serde_json::json!({"a": "n", "b": "yes", "c": 493, "d": true, "n": "off"})
        );
    }

    #[test]
    fn a_key_that_comes_twice_is_kept_for_the_reader() {
        assert_eq!(one("a: 1\na: 2\n").entries().unwrap().len(), 2);
    }

    #[test]
    fn several_documents_are_read_and_empty_ones_left_out() {
        assert_eq!(parse("t", "---\na: 1\n---\n---\nb: 2\n").unwrap().len(), 2);
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let error = parse("t.yaml", "a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert_eq!(error.code, "invalid-yaml");
        assert!(error.line >= 2, "{error:?}");
    }

    #[test]
    fn a_billion_laughs_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let list = vec![format!("*a{}", level - 1); 9].join(", ");
            text = format!("{text}a{level}: &a{level} [{list}]\n");
        }
        assert_eq!(parse("t", &text).unwrap_err().code, "invalid-yaml");
    }
}
