//! Reads a structure and picks scalars out of the same text in one pass: what the structure's own visitors are handed is
//! looked at on the way.
//!
//! Below a key that no path goes through, nothing stands in between any more.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor,
};

use super::{Lengths, Looked, Path, Picked, Scalar, Way};

/// A structure, and the scalars at these paths.
///
/// # Errors
/// The text is not JSON, or not what the structure needs.
pub fn read<'a, T: Deserialize<'a>>(
    json: &'a str,
    paths: Vec<Path>,
) -> Result<(T, Picked<'a>), serde_json::Error> {
    let mut picked = Picked::new(paths);
    let lengths = Lengths::of(&picked.paths);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Tee { inner: &mut deserializer, looked: picked.root(&lengths) })?;
    deserializer.end()?;
    Ok((value, picked))
}

/// Whatever reads or is read, with what is to be looked at on the way.
struct Tee<'p, 'v, 'a, I> {
    inner: I,
    looked: Looked<'p, 'v, 'a>,
}

/// A map whose keys decide what is looked at below them.
struct Members<'p, 'v, 'a, A> {
    inner: A,
    looked: Looked<'p, 'v, 'a>,
    /// The paths that go on through the key that was read last.
    live: u64,
}

/// Reads a key, and finds out which paths go on through it.
struct Key<'l, I> {
    inner: I,
    way: Way<'l>,
    live: &'l mut u64,
}

// === impl Tee ===

macro_rules! forward {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(Tee { inner: visitor, looked: self.looked })
        })*
    };
}

impl<'a, D: Deserializer<'a>> Deserializer<'a> for Tee<'_, '_, 'a, D> {
    type Error = D::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_option deserialize_unit deserialize_seq deserialize_map deserialize_identifier
    }

    // What the structure does not want may still be looked at.
    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(Tee { inner: visitor, looked: self.looked })
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, Tee { inner: visitor, looked: self.looked })
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    // Text that is kept as it came is one of these, and shows nothing of what is in it.
    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }
}

impl<'a, V: Visitor<'a>> Visitor<'a> for Tee<'_, '_, 'a, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Members { inner: map, looked: self.looked, live: 0 })
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, seq: A) -> Result<V::Value, A::Error> {
        self.looked.at(None);
        self.inner.visit_seq(seq)
    }

    fn visit_borrowed_str<E: Error>(mut self, text: &'a str) -> Result<V::Value, E> {
        self.looked.at(Some(&Scalar::borrowed(text)));
        self.inner.visit_borrowed_str(text)
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<V::Value, E> {
        self.looked.at(Some(&Scalar::owned(text)));
        self.inner.visit_str(text)
    }

    fn visit_string<E: Error>(mut self, text: String) -> Result<V::Value, E> {
        self.looked.at(Some(&Scalar::owned(&text)));
        self.inner.visit_string(text)
    }

    fn visit_i64<E: Error>(mut self, number: i64) -> Result<V::Value, E> {
        self.looked.at(Some(&Scalar::Integer(number)));
        self.inner.visit_i64(number)
    }

    fn visit_u64<E: Error>(mut self, number: u64) -> Result<V::Value, E> {
        self.looked.at(Some(&Scalar::unsigned(number)));
        self.inner.visit_u64(number)
    }

    fn visit_f64<E: Error>(mut self, number: f64) -> Result<V::Value, E> {
        self.looked.at(None);
        self.inner.visit_f64(number)
    }

    fn visit_bool<E: Error>(mut self, flag: bool) -> Result<V::Value, E> {
        self.looked.at(None);
        self.inner.visit_bool(flag)
    }

    fn visit_unit<E: Error>(mut self) -> Result<V::Value, E> {
        self.looked.at(None);
        self.inner.visit_unit()
    }

    fn visit_none<E: Error>(mut self) -> Result<V::Value, E> {
        self.looked.at(None);
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'a>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Tee { inner: deserializer, looked: self.looked })
    }

    fn visit_newtype_struct<D: Deserializer<'a>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Tee { inner: deserializer, looked: self.looked })
    }

    fn visit_enum<A: EnumAccess<'a>>(self, data: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(data)
    }
}

impl<'a, S: DeserializeSeed<'a>> DeserializeSeed<'a> for Tee<'_, '_, 'a, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Tee { inner: deserializer, looked: self.looked })
    }
}

// === impl Members ===

impl<'a, A: MapAccess<'a>> MapAccess<'a> for Members<'_, '_, 'a, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.live = 0;
        self.inner.next_key_seed(Key { inner: seed, way: self.looked.way, live: &mut self.live })
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        if self.live == 0 {
            return self.inner.next_value_seed(seed);
        }
        self.inner.next_value_seed(Tee { inner: seed, looked: self.looked.below(self.live) })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

// === impl Key ===

impl<'a, S: DeserializeSeed<'a>> DeserializeSeed<'a> for Key<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Key { inner: deserializer, way: self.way, live: self.live })
    }
}

impl<'a, D: Deserializer<'a>> Deserializer<'a> for Key<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(Key { inner: visitor, way: self.way, live: self.live })
    }

    serde::forward_to_deserialize_any! {
        <W: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'a, V: Visitor<'a>> Visitor<'a> for Key<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_borrowed_str<E: Error>(self, key: &'a str) -> Result<V::Value, E> {
        *self.live = self.way.through(key);
        self.inner.visit_borrowed_str(key)
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<V::Value, E> {
        *self.live = self.way.through(key);
        self.inner.visit_str(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::super::pick;
    use super::*;
    use crate::vocabulary::read::{Count, Text, When};

    /// All kinds of fields that payloads have.
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "what is looked at is what passes by")]
    struct Payload<'a> {
        #[serde(borrow)]
        text: Option<Text<'a>>,
        number: Option<u64>,
        signed: Option<i64>,
        flag: Option<bool>,
        when: Option<When>,
        count: Option<Count>,
        #[serde(borrow)]
        inner: Option<Box<Payload<'a>>>,
        #[serde(borrow)]
        list: Option<Vec<Payload<'a>>>,
        #[serde(borrow)]
        kept: Option<&'a RawValue>,
    }

    const PATHS: &[Path] = &[
        &["text"],
        &["number"],
        &["signed"],
        &["flag"],
        &["when"],
        &["count"],
        &["inner"],
        &["list"],
        &["inner", "text"],
        &["inner", "number"],
        &["inner", "inner", "when"],
        &["inner", "other", "text"],
        &["list", "text"],
        &["other"],
        &["other", "text"],
        &["other", "inner", "number"],
    ];

    fn payloads() -> impl Strategy<Value = Value> {
        let leaf = (any::<Option<String>>(), any::<Option<u64>>(), any::<Option<i32>>(), any::<Option<bool>>())
            .prop_map(|(text, number, signed, flag)| {
                json!({"text": text, "number": number, "signed": signed, "flag": flag, "when": "2026-01-01T00:00:00Z"})
            });
        leaf.prop_recursive(3, 12, 3, |inner| {
            (inner.clone(), inner.clone(), proptest::collection::vec(inner, 0..3), any::<bool>()).prop_map(
                |(mut outer, inner, list, more)| {
                    outer["count"] = json!(list);
                    outer["list"] = json!(list);
                    outer["kept"] = inner.clone();
                    outer["inner"] = inner.clone();
                    outer["other"] = if more { inner } else { json!(1.5) };
                    outer
                },
            )
        })
    }

    proptest! {
        #[test]
        fn the_same_is_picked_with_a_structure_and_without(payload in payloads()) {
            let json = payload.to_string();
            let (_, with) = read::<Payload<'_>>(&json, PATHS.to_vec()).unwrap();
            let without = pick(&json, PATHS.to_vec()).unwrap();
            for path in PATHS {
                prop_assert_eq!(with.get(path), without.get(path), "{:?}", path);
            }
        }
    }

    #[test]
    fn an_error_is_the_structures_own() {
        for json in
            [r#"{"number": "x"}"#, r#"{"inner": {"text": 1}}"#, "{", "[]", "{} x", r#"{"text": "\u00zz"}"#]
        {
            let own = serde_json::from_str::<Payload<'_>>(json).unwrap_err();
            let error = read::<Payload<'_>>(json, PATHS.to_vec()).unwrap_err();
            assert_eq!(error.to_string(), own.to_string(), "{json}");
        }
    }
}
