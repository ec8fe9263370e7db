//! Reading JSON strictly and measuring it: a name given twice in an object is an error, as it is for the service.

use std::fmt;
use std::io;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value};

/// A JSON value none of whose objects names a field twice.
pub(crate) struct Strict(pub(crate) Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Strict(value))) = fields.next_entry::<String, Strict>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the field {name:?} is given twice")));
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// What matters of a value's extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes of UTF-8 as JSON.
    pub(crate) bytes: usize,
    /// How deep arrays and objects nest; 0 for a value that is neither.
    pub(crate) depth: usize,
}

/// Measures a value.
pub(crate) fn extent(value: &Value) -> Extent {
    let mut count = Count(0);
    let mut depth = Depth::default();
    // Neither the counter nor a `Value` can fail to be written.
    let written = value.serialize(&mut Serializer::with_formatter(&mut count, &mut depth));
    Extent { bytes: written.map_or(usize::MAX, |()| count.0), depth: depth.deepest }
}

/// How many bytes of UTF-8 a value takes as JSON.
pub(crate) fn size(value: &Value) -> usize {
    extent(value).bytes
}

/// Counts what is written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes compact JSON and notes how deep it nests.
#[derive(Default)]
struct Depth {
    current: usize,
    deepest: usize,
}

impl Depth {
    fn enter(&mut self) {
        self.current += 1;
        self.deepest = self.deepest.max(self.current);
    }
}

impl Formatter for &mut Depth {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter();
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.current -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter();
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.current -= 1;
        writer.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_given_twice_is_refused() {
        assert!(serde_json::from_str::<Strict>(r#"{"a": {"b": 1, "b": 2}}"#).is_err());
        let Strict(value) = serde_json::from_str(r#"{"a": [1, -2, 1.5, "x", null, true, {"b": {}}]}"#).unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, -2, 1.5, "x", null, true, {"b": {}}]}));
    }

    #[test]
    fn extents_are_bytes_of_utf_8_and_levels() {
        let table = [
            (serde_json::json!("é\n"), 6, 0),
            (serde_json::json!([]), 2, 1),
            (serde_json::json!({"a": [1, 2], "b": {"c": [{}]}}), 26, 4),
        ];
        for (value, bytes, depth) in table {
            assert_eq!(extent(&value), Extent { bytes, depth }, "{value}");
            assert_eq!(bytes, value.to_string().len());
        }
    }
}
