//! The event as a CEL value that converts only what an expression looks at.

use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{self, Container, Indexer, Iterable, Sizer};
use cel::common::types::{
    self, CelBool, CelBytes, CelDouble, CelInt, CelList, CelNull, CelOptional, CelString, CelUInt, Kind, Type,
};
use cel::common::value::{CowVal, Val};
use serde_json::{Map, Number, Value};

use super::{MAX_LIST, time};
use crate::event::Event;
use crate::expression::budget;
use crate::expression::budget::{of_count, of_text, of_values};
use crate::expression::{number, view};

/// The deepest value that is turned back into JSON.
const MAX_DEPTH: usize = 128;

/// A map that converts its members on access.
#[derive(Debug)]
pub(super) struct Lazy<'v> {
    source: Source<'v>,
    keys: OnceLock<Vec<CelString<'v>>>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'v> {
    Map(&'v Map<String, Value>),
    Event(&'v Event),
}

struct Keys<'b, 'v>(std::slice::Iter<'b, CelString<'v>>);

/// A JSON value as a CEL value; numbers are doubles, as in cel-go.
pub(super) fn wrap<'v>(value: &'v Value) -> Box<dyn Val + 'v> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(number) => wrap_number(number),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => {
            // Without steps left the evaluation ends, whatever stands here.
            let is_affordable = budget::spend(of_count(items.len()))
                .and_then(|()| budget::take(of_values(items.len())))
                .is_ok();
            let items = if is_affordable { &items[..] } else { &[] };
            Box::new(CelList::from(items.iter().map(wrap).collect::<Vec<_>>()))
        }
        Value::Object(members) => Box::new(Lazy::map(members)),
    }
}

/// A double, as in cel-go, but for integers that a double cannot hold exactly.
fn wrap_number<'v>(number: &Number) -> Box<dyn Val + 'v> {
    const EXACT: u64 = 1 << 53;
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) if number.unsigned_abs() > EXACT => Box::new(CelInt::from(number)),
        (None, Some(number)) => Box::new(CelUInt::from(number)),
        _ => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
    }
}

/// A JSON value that nobody else holds as a CEL value.
pub(super) fn wrap_owned<'v>(value: Value) -> Box<dyn Val + 'v> {
    match value {
        Value::String(text) => Box::new(CelString::from(text)),
        Value::Array(items) => Box::new(CelList::from(items.into_iter().map(wrap_owned).collect::<Vec<_>>())),
        Value::Object(members) => {
            let members = members
                .into_iter()
                .map(|(key, value)| (types::CelMapKey::String(CelString::from(key)), wrap_owned(value)))
                .collect::<std::collections::HashMap<_, _>>();
            Box::new(types::CelMap::from(members))
        }
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(flag)),
        Value::Number(number) => wrap_number(&number),
    }
}

/// A CEL value as JSON; a double that is a whole number becomes an integer again.
pub(super) fn to_json(value: &dyn Val, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err("the value is nested too deeply".to_owned());
    }
    let text = value.downcast_ref::<CelString<'_>>().map_or(0, |text| text.inner().len());
    budget::spend(of_text(text))
        .and_then(|()| budget::take(of_values(1) + text as u64))
        .map_err(|exhausted| exhausted.to_string())?;
    Ok(match value.get_type().kind() {
        Kind::NullType => Value::Null,
        Kind::Boolean => {
            value.downcast_ref::<CelBool>().map_or(Value::Null, |flag| Value::Bool(*flag.inner()))
        }
        Kind::Int => value.downcast_ref::<CelInt>().map_or(Value::Null, |number| (*number.inner()).into()),
        Kind::UInt => value.downcast_ref::<CelUInt>().map_or(Value::Null, |number| (*number.inner()).into()),
        Kind::Double => {
            let number = value.downcast_ref::<CelDouble>().map_or(0.0, |number| *number.inner());
            double(number).ok_or_else(|| format!("{number} cannot be written as JSON"))?
        }
        Kind::String => value.downcast_ref::<CelString<'_>>().map_or(Value::Null, |text| text.inner().into()),
        Kind::Bytes => value
            .downcast_ref::<CelBytes<'_>>()
            .map_or(Value::Null, |bytes| view::base64(bytes.inner()).into()),
        Kind::List => {
            let mut items = Vec::new();
            if let Some(list) = value.as_iterable() {
                let mut rest = list.iter();
                while let Some(item) = rest.next() {
                    items.push(to_json(item, depth + 1)?);
                }
            }
            Value::Array(items)
        }
        Kind::Map => {
            let mut members = Map::new();
            if let (Some(keys), Some(map)) = (value.as_iterable(), value.as_indexer()) {
                let mut rest = keys.iter();
                while let Some(key) = rest.next() {
                    let name = match to_json(key, depth + 1)? {
                        Value::String(name) => name,
                        other => other.to_string(),
                    };
                    let member = map.get(key).map_err(|error| error.to_string())?;
                    members.insert(name, to_json(member.as_ref(), depth + 1)?);
                }
            }
            Value::Object(members)
        }
        Kind::Timestamp | Kind::Duration => time::written(value).map_or(Value::Null, Value::String),
        // One without a value is null.
        Kind::Opaque if value.downcast_ref::<CelOptional<'_>>().is_some() => {
            match value.downcast_ref::<CelOptional<'_>>().and_then(CelOptional::option) {
                Some(value) => to_json(value, depth + 1)?,
                None => Value::Null,
            }
        }
        _ => {
            return Err(format!(
                "a value of the type `{}` cannot be written as JSON",
                value.get_type().name()
            ));
        }
    })
}

fn double(value: f64) -> Option<Value> {
    number::whole(value).or_else(|| Number::from_f64(value)).map(Value::Number)
}

// === impl Lazy ===

impl<'v> Lazy<'v> {
    pub(super) fn map(members: &'v Map<String, Value>) -> Self {
        Self { source: Source::Map(members), keys: OnceLock::new() }
    }

    pub(super) fn event(event: &'v Event) -> Self {
        Self { source: Source::Event(event), keys: OnceLock::new() }
    }

    fn member(&self, name: &str) -> Option<Box<dyn Val + 'v>> {
        match self.source {
            Source::Map(members) => members.get(name).map(wrap),
            Source::Event(event) if name == "data" && event.tree().is_some() => event.tree().map(wrap),
            Source::Event(event) => view::member(event, name).map(wrap_owned),
        }
    }

    /// Refuses lists that are too long to loop over.
    fn check_size(&self, name: &str) -> Result<(), ExecutionError> {
        let length = match self.source {
            Source::Map(members) => members.get(name).and_then(Value::as_array).map_or(0, Vec::len),
            Source::Event(event) if name == "data" => {
                event.tree().and_then(Value::as_array).map_or(0, Vec::len)
            }
            Source::Event(_) => 0,
        };
        if length > MAX_LIST {
            let reason = format!("the list `{name}` has {length} items, more than {MAX_LIST}");
            return Err(ExecutionError::function_error("list", reason));
        }
        Ok(())
    }

    fn keys(&self) -> &[CelString<'v>] {
        self.keys.get_or_init(|| match self.source {
            Source::Map(members) => members.keys().map(|key| CelString::from(key.as_str())).collect(),
            Source::Event(event) => view::names(event).map(CelString::from).collect(),
        })
    }

    fn has(&self, name: &str) -> bool {
        match self.source {
            Source::Map(members) => members.contains_key(name),
            Source::Event(event) => view::names(event).any(|known| known == name),
        }
    }
}

impl Val for Lazy<'_> {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &types::MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.get_type().kind() == Kind::Map
            && matches!((to_json(self, 0), to_json(other, 0)), (Ok(one), Ok(two)) if one == two)
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(Lazy { source: self.source, keys: OnceLock::new() })
    }
}

impl Container for Lazy<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(key.downcast_ref::<CelString<'_>>().is_some_and(|name| self.has(name.inner())))
    }
}

impl Indexer for Lazy<'_> {
    fn get<'b, 'w>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let Some(name) = key.downcast_ref::<CelString<'_>>() else {
            return Err(ExecutionError::UnexpectedType {
                got: key.get_type().name().to_owned(),
                want: "string".to_owned(),
            });
        };
        self.check_size(name.inner())?;
        self.member(name.inner())
            .map(|value| CowVal::Owned(value as Box<dyn Val + 'w>))
            .ok_or_else(|| ExecutionError::no_such_key(name.inner()))
    }

    fn steal<'w>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

impl Iterable for Lazy<'_> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn traits::Iterator<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        Box::new(Keys(self.keys().iter()))
    }
}

impl Sizer for Lazy<'_> {
    fn size(&self) -> CelInt {
        let size = match self.source {
            Source::Map(members) => members.len(),
            Source::Event(event) => view::names(event).count(),
        };
        i64::try_from(size).unwrap_or(i64::MAX).into()
    }
}

impl<'b, 'w, 'v: 'w> traits::Iterator<'b, 'w> for Keys<'b, 'v> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'w)> {
        self.0.next().map(|key| key as &(dyn Val + 'w))
    }
}
