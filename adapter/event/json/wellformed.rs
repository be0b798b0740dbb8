//! Whether text is JSON that every later reader can read, found out without building anything.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most values of one text: a tree takes some 50 bytes for each.
pub const MAX_VALUES: usize = 1_000_000;

/// The JSON text in `bytes` without the white space around it.
///
/// What it accepts is exactly what parses into a `serde_json::Value`. Skipping over the text with serde's `IgnoredAny`
/// or `RawValue` would be quicker, but they let pass what a tree cannot hold: any depth, unpaired surrogates, 1e999.
///
/// # Errors
/// What is wrong, with line and column: the grammar, a depth of 128 levels or more, or one of the above; or that there
/// are more than [`MAX_VALUES`] values.
pub fn well_formed(bytes: &[u8]) -> Result<&[u8], serde_json::Error> {
    // Each value but the last takes two bytes, so that nearly no text has to be counted.
    if bytes.len() / 2 >= MAX_VALUES && has_many_values(bytes) {
        return Err(serde_json::Error::custom(format!("it holds more than {MAX_VALUES} values")));
    }
    // Checked as UTF-8 at once, which is much quicker than string by string; the slow way words the error.
    match std::str::from_utf8(bytes) {
        Ok(text) => serde_json::from_str::<Visited>(text)?,
        Err(_) => serde_json::from_slice::<Visited>(bytes)?,
    };
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let start = bytes.iter().position(|byte| !is_space(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    Ok(&bytes[start..end])
}

/// Whether there can be more than [`MAX_VALUES`] values: before each but the first stands one of `,`, `[` and `{`.
fn has_many_values(bytes: &[u8]) -> bool {
    let mut values = 0_usize;
    let mut in_text = false;
    let mut escaped = false;
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values >= MAX_VALUES
}

/// A value that was read and not kept.
struct Visited;

impl<'de> Deserialize<'de> for Visited {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `deserialize_ignored_any`: serde_json answers that one by skipping.
        deserializer.deserialize_any(Visit).map(|IgnoredAny| Self)
    }
}

struct Visit;

impl<'de> Visitor<'de> for Visit {
    type Value = IgnoredAny;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<IgnoredAny, E> {
        Ok(IgnoredAny)
    }

    fn visit_i64<E>(self, _: i64) -> Result<IgnoredAny, E> {
        Ok(IgnoredAny)
    }

    fn visit_u64<E>(self, _: u64) -> Result<IgnoredAny, E> {
        Ok(IgnoredAny)
    }

    fn visit_f64<E>(self, _: f64) -> Result<IgnoredAny, E> {
        Ok(IgnoredAny)
    }

    fn visit_str<E>(self, _: &str) -> Result<IgnoredAny, E> {
        Ok(IgnoredAny)
    }

    fn visit_unit<E>(self) -> Result<IgnoredAny, E> {
        Ok(IgnoredAny)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<IgnoredAny, A::Error> {
        while seq.next_element::<Visited>()?.is_some() {}
        Ok(IgnoredAny)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<IgnoredAny, A::Error> {
        while map.next_entry::<Visited, Visited>()?.is_some() {}
        Ok(IgnoredAny)
    }
}
