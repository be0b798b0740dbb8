//! Reads a few scalars out of a JSON object in one pass, without a tree, whatever the rest of it holds.

mod tee;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub use self::tee::read;

/// The keys that lead to a value from the root.
pub type Path = &'static [&'static str];

/// At most so many paths are read in one pass: their set is the bits of a number.
const MAX_PATHS: usize = 63;

/// A value that can become an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
}

/// What was found.
#[derive(Debug)]
pub struct Picked<'a> {
    paths: Vec<Path>,
    values: Vec<Option<Scalar<'a>>>,
}

/// Which paths have a key of so many bytes after so many others, both counted round: a key is compared with those alone, and
/// most keys of a payload with none.
struct Lengths([[u64; Lengths::MOST]; Lengths::DEPTHS]);

/// Reads the scalars at these paths (at most 63; later ones are not read).
///
/// # Errors
/// The text is not JSON, or not an object.
pub fn pick(json: &str, paths: Vec<Path>) -> Result<Picked<'_>, serde_json::Error> {
    let mut picked = Picked::new(paths);
    let lengths = Lengths::of(&picked.paths);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    At(picked.root(&lengths)).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(picked)
}

// === impl Picked ===

impl<'a> Picked<'a> {
    fn new(mut paths: Vec<Path>) -> Self {
        paths.truncate(MAX_PATHS);
        let values = vec![None; paths.len()];
        Self { paths, values }
    }

    /// Nothing is read yet.
    fn root<'l>(&'l mut self, lengths: &'l Lengths) -> Looked<'l, 'l, 'a> {
        let live = (1_u64 << self.paths.len()) - 1;
        Looked { way: Way { paths: &self.paths, lengths, depth: 0, live }, values: &mut self.values }
    }

    /// The scalar at one of the paths.
    pub fn get(&self, path: Path) -> Option<&Scalar<'a>> {
        // Mostly it is the very one that was asked for, which is quick to see.
        let same = self.paths.iter().position(|known| std::ptr::eq(*known, path));
        let index = same.or_else(|| self.paths.iter().position(|known| *known == path))?;
        self.values.get(index)?.as_ref()
    }

    /// The string at one of the paths, for whoever outlives this.
    pub fn shared_text(&self, path: Path) -> Option<Cow<'a, str>> {
        match self.get(path) {
            Some(Scalar::Text(text)) => Some(text.clone()),
            Some(Scalar::Integer(_)) | None => None,
        }
    }

    /// The string at one of the paths.
    pub fn text(&self, path: Path) -> Option<&str> {
        match self.get(path) {
            Some(Scalar::Text(text)) => Some(text),
            Some(Scalar::Integer(_)) | None => None,
        }
    }
}

// === impl Scalar ===

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
        }
    }
}

/// The paths in `live` have reached this value after `depth` keys.
#[derive(Clone, Copy)]
struct Way<'p> {
    paths: &'p [Path],
    lengths: &'p Lengths,
    depth: usize,
    live: u64,
}

/// The value that paths have reached, and where to keep what is there.
struct Looked<'p, 'v, 'a> {
    way: Way<'p>,
    values: &'v mut [Option<Scalar<'a>>],
}

/// Reads the value, and nothing of it but what the paths lead to.
struct At<'p, 'v, 'a>(Looked<'p, 'v, 'a>);

/// Reads a key as the set of paths that go on through it.
struct Key<'p>(Way<'p>);

// === impl Way ===

impl Way<'_> {
    /// The paths that go on through this key.
    fn through(self, key: &str) -> u64 {
        indexes(self.live & self.lengths.paths(self.depth, key.len())).fold(0, |through, i| {
            let goes_on = self.paths[i].get(self.depth).is_some_and(|wanted| *wanted == key);
            through | (u64::from(goes_on) << i)
        })
    }
}

/// The indexes of the paths in a set.
fn indexes(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let index = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(index)
    })
}

// === impl Lengths ===

impl Lengths {
    const MOST: usize = 16;
    const DEPTHS: usize = 4;

    fn of(paths: &[Path]) -> Self {
        let mut lengths = Self([[0; Self::MOST]; Self::DEPTHS]);
        for (i, path) in paths.iter().enumerate() {
            for (depth, key) in path.iter().enumerate() {
                lengths.0[depth % Self::DEPTHS][key.len() % Self::MOST] |= 1 << i;
            }
        }
        lengths
    }

    /// The set of paths that may have a key of this length there.
    fn paths(&self, depth: usize, length: usize) -> u64 {
        self.0[depth % Self::DEPTHS][length % Self::MOST]
    }
}

// === impl Looked ===

impl<'a> Looked<'_, '_, 'a> {
    /// A scalar, or something else, stands here.
    fn at(&mut self, scalar: Option<&Scalar<'a>>) {
        for i in indexes(self.way.live).filter(|i| self.way.paths[*i].len() == self.way.depth) {
            self.values[i] = scalar.cloned();
        }
    }

    /// The value of a key that these paths go on through.
    fn below(&mut self, live: u64) -> Looked<'_, '_, 'a> {
        Looked { way: Way { depth: self.way.depth + 1, live, ..self.way }, values: self.values }
    }
}

// === impl Scalar ===

impl<'a> Scalar<'a> {
    fn borrowed(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    fn owned(text: &str) -> Self {
        Self::Text(Cow::Owned(text.to_owned()))
    }

    fn unsigned(number: u64) -> Self {
        i64::try_from(number).map_or_else(|_| Self::Text(Cow::Owned(number.to_string())), Self::Integer)
    }
}

// === impl At ===

impl<'a> At<'_, '_, 'a> {
    fn scalar<E: Error>(mut self, scalar: Option<&Scalar<'a>>) -> Result<(), E> {
        if self.0.way.depth == 0 {
            return Err(E::custom("expected an object"));
        }
        self.0.at(scalar);
        Ok(())
    }
}

impl<'a> DeserializeSeed<'a> for At<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for At<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(live) = map.next_key_seed(Key(self.0.way))? {
            if live == 0 {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(At(self.0.below(live)))?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.scalar(None)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        self.scalar(Some(&Scalar::borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.scalar(Some(&Scalar::owned(text)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.scalar(Some(&Scalar::Integer(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.scalar(Some(&Scalar::unsigned(number)))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar(None)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(None)
    }
}

// === impl Key ===

impl<'a> DeserializeSeed<'a> for Key<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<u64, E> {
        Ok(self.0.through(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Path = &["a"];
    const BC: Path = &["b", "c"];
    const BD: Path = &["b", "d"];

    #[test]
    fn scalars_are_found_at_their_paths() {
        let json = r#"{"a": "x\ny", "z": [{"a": 1}], "b": {"c": 7, "c2": {"c": 8}, "d": "t"}}"#;
        let picked = pick(json, vec![A, BC, BD]).unwrap();
        assert_eq!(picked.text(A), Some("x\ny"));
        assert_eq!(picked.get(BC), Some(&Scalar::Integer(7)));
        assert_eq!(picked.text(BD), Some("t"));
    }

    #[test]
    fn wrong_types_are_as_good_as_absent() {
        let json = r#"{"a": {"x": 1}, "b": [1, {"c": 2}]}"#;
        let picked = pick(json, vec![A, BC]).unwrap();
        assert_eq!((picked.get(A), picked.get(BC)), (None, None));
        let picked = pick(r#"{"a": null, "b": {"c": 1.5, "d": true}}"#, vec![A, BC, BD]).unwrap();
        assert_eq!((picked.get(A), picked.get(BC), picked.get(BD)), (None, None, None));
    }

    #[test]
    fn only_one_whole_object_is_accepted() {
        for bad in ["", "[]", "1", "\"a\"", "null", "{\"a\": 1", "{} {}", "{\"a\": 01}", "{\"z\": [1,]}"] {
            assert!(pick(bad, vec![A, BC]).is_err(), "{bad}");
        }
    }
}
