//! Decodes the protobuf bodies that typed Go clients send for the core kinds, `kubectl create configmap` among them.
//!
//! The fields are those of [`super::schema`]; others are skipped. Answers are always JSON, which every client accepts.

use jiff::Timestamp;
use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use super::schema::{self, Struct, Type};

const TYPE_META: Struct = Struct {
    name: "TypeMeta",
    fields: &[(1, "apiVersion", Type::Text), (2, "kind", Type::Text)],
    always: &[],
};
const DELETE_OPTIONS: Struct = Struct {
    name: "DeleteOptions",
    fields: &[
        (1, "gracePeriodSeconds", Type::Int),
        (
            2,
            "preconditions",
            Type::Message(&Struct {
                name: "Preconditions",
                fields: &[(1, "uid", Type::Text), (2, "resourceVersion", Type::Text)],
                always: &[],
            }),
        ),
        (3, "orphanDependents", Type::Bool),
        (4, "propagationPolicy", Type::Text),
        (5, "dryRun", Type::List(&Type::Text)),
    ],
    always: &[],
};

/// Decodes an object in its envelope (apimachinery, `runtime.Unknown` after four magic bytes).
pub fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body.strip_prefix(b"k8s\0").ok_or("the magic number is missing")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut reader = Reader(envelope);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => {
                let head = message(bytes, &TYPE_META)?;
                super::object::text(&head, &["apiVersion"]).clone_into(&mut api_version);
                super::object::text(&head, &["kind"]).clone_into(&mut kind);
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let fields = match kind.as_str() {
        "DeleteOptions" => Some(&DELETE_OPTIONS),
        kind => schema::of(kind).filter(|_| kind != "Event" || api_version == "v1"),
    };
    let fields =
        fields.ok_or_else(|| format!("kind `{kind}` of `{api_version}` is not known in protobuf"))?;
    let mut value = message(raw, fields)?;
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    Ok(value)
}

fn message(bytes: &[u8], fields: &Struct) -> Result<Value, String> {
    let mut map = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        let Some((_, name, ty)) = fields.fields.iter().find(|(n, _, _)| *n == number) else { continue };
        match ty {
            Type::List(item) => {
                let list = map.entry(*name).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(value(wire, item)?);
                }
            }
            Type::Map(item) => {
                let (key, value) = entry(&wire, item)?;
                super::object::map_mut(map.entry(*name).or_insert(Value::Null)).insert(key, value);
            }
            ty => {
                let value = value(wire, ty)?;
                // Go marks an absent text or time by an empty one.
                if value != "" && !value.is_null() && value != json!({}) {
                    map.insert((*name).to_owned(), value);
                }
            }
        }
    }
    Ok(Value::Object(map))
}

fn entry(wire: &Wire<'_>, item: &Type) -> Result<(String, Value), String> {
    let Wire::Bytes(bytes) = wire else { return Err("a map entry is not a message".to_owned()) };
    let mut reader = Reader(bytes);
    let (mut key, mut content) = (String::new(), json!(""));
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = utf8(bytes)?,
            (2, wire) => content = value(wire, item)?,
            _ => {}
        }
    }
    Ok((key, content))
}

fn value(wire: Wire<'_>, ty: &Type) -> Result<Value, String> {
    match (wire, ty) {
        (Wire::Bytes(bytes), Type::Text | Type::Optional) => Ok(json!(utf8(bytes)?)),
        (Wire::Bytes(bytes), Type::Bytes) => {
            serde_json::to_value(ByteString(bytes.to_vec())).map_err(|error| error.to_string())
        }
        (Wire::Bytes(bytes), Type::Message(fields)) => message(bytes, fields),
        (Wire::Bytes(bytes), Type::Time) => time(bytes, 0),
        (Wire::Bytes(bytes), Type::MicroTime) => time(bytes, 6),
        (Wire::Number(number), Type::Int | Type::Number) => Ok(json!(number.cast_signed())),
        (Wire::Number(number), Type::Bool) => Ok(json!(number != 0)),
        _ => Err("a field has the wrong wire type".to_owned()),
    }
}

fn time(bytes: &[u8], digits: usize) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Number(number)) => seconds = number.cast_signed(),
            (2, Wire::Number(number)) => nanos = i32::try_from(number).unwrap_or(0),
            _ => {}
        }
    }
    // The zero time of Go is the year 1.
    if bytes.is_empty() || seconds <= -62_135_596_800 {
        return Ok(Value::Null);
    }
    let time = Timestamp::new(seconds, nanos).map_err(|error| error.to_string())?;
    Ok(json!(format!("{time:.digits$}")))
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| error.to_string())
}

/// The wire format (protobuf, "Encoding").
struct Reader<'a>(&'a [u8]);

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<Option<(u64, Wire<'a>)>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(usize::try_from(length).map_err(|error| error.to_string())?)?)
            }
            5 => Wire::Bytes(self.take(4)?),
            other => return Err(format!("unknown wire type {other}")),
        };
        Ok(Some((tag >> 3, wire)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self.0.split_at_checked(length).ok_or("the message is cut short")?;
        self.0 = rest;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number is too long".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_map_as_a_go_client_sends_it() {
        let body = b"k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12\x2a\n\x1a\n\x01c\x12\x00\x1a\x01n\"\x00*\x002\x008\x00B\x00Z\x06\n\x01l\x12\x01v\x12\x06\n\x01a\x12\x01b\x12\x04\n\x02\xc3\xa9\x1a\x00\"\x00";
        assert_eq!(
            decode(body).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "c", "namespace": "n", "generation": 0, "labels": {"l": "v"}},
                "data": {"a": "b", "é": ""},
            })
        );
        assert!(decode(&body[..40]).is_err());
        assert!(decode(b"{}").is_err());
    }
}
