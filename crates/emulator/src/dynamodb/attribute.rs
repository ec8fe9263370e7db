//! Attribute values of DynamoDB: what they may be, how they compare, and numbers as the service keeps them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// An item: its attributes by name.
pub(crate) type Item = BTreeMap<String, AttributeValue>;

/// Most significant digits of a number.
const MOST_DIGITS: usize = 38;
/// Bounds of a number's [`Number::exponent`]: from 1E-130 to 9.9…E+125.
const LEAST_EXPONENT: i64 = -129;
const MOST_EXPONENT: i64 = 126;
/// How deep lists and maps may be nested.
const DEEPEST: usize = 32;

/// The value of an attribute. Binary values and sets are not carried.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AttributeValue {
    /// `S`
    String(String),
    /// `N`
    Number(Number),
    /// `BOOL`
    Boolean(bool),
    /// `NULL`
    Null,
    /// `L`
    List(Vec<AttributeValue>),
    /// `M`
    Map(Item),
}

impl AttributeValue {
    /// Reads a value as the wire has it, such as `{"S": "orders"}`; or says what is wrong with it.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        Self::parse_at(value, 0)
    }

    fn parse_at(value: &Value, depth: usize) -> Result<Self, String> {
        if depth > DEEPEST {
            return Err("Nesting Levels have exceeded supported limits".to_owned());
        }
        let members: Vec<_> = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
        let (kind, value) = match members.as_slice() {
            [] => return Err(EMPTY.to_owned()),
            [(kind, value)] => (kind.as_str(), *value),
            _ => return Err(AMBIGUOUS.to_owned()),
        };
        match (kind, value) {
            ("S", Value::String(text)) => Ok(Self::String(text.clone())),
            ("N", Value::String(text)) => Number::parse(text).map(Self::Number),
            ("BOOL", Value::Bool(value)) => Ok(Self::Boolean(*value)),
            ("NULL", Value::Bool(true)) => Ok(Self::Null),
            ("L", Value::Array(values)) => {
                values.iter().map(|value| Self::parse_at(value, depth + 1)).collect::<Result<_, _>>().map(Self::List)
            }
            ("M", Value::Object(_)) => parse_item_at(value, depth + 1).map(Self::Map),
            ("B" | "SS" | "NS" | "BS", _) => Err(format!("the emulator does not carry values of the type {kind}")),
            ("S" | "N" | "BOOL" | "NULL" | "L" | "M", _) => Err(format!("a value of the type {kind} is malformed")),
            _ => Err(EMPTY.to_owned()),
        }
    }

    /// The value as the wire has it.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::String(text) => json!({ "S": text }),
            Self::Number(number) => json!({ "N": number.to_string() }),
            Self::Boolean(value) => json!({ "BOOL": value }),
            Self::Null => json!({ "NULL": true }),
            Self::List(values) => json!({ "L": values.iter().map(Self::to_json).collect::<Vec<_>>() }),
            Self::Map(item) => json!({ "M": item_to_json(item) }),
        }
    }

    /// Name of its type.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "S",
            Self::Number(_) => "N",
            Self::Boolean(_) => "BOOL",
            Self::Null => "NULL",
            Self::List(_) => "L",
            Self::Map(_) => "M",
        }
    }

    /// How two values of one type that has an order compare; none for all others.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::String(one), Self::String(other)) => Some(one.as_bytes().cmp(other.as_bytes())),
            (Self::Number(one), Self::Number(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }

    /// Size in bytes, as the limit on items counts it.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Number(number) => number.digits.len().div_ceil(2) + 1,
            Self::Boolean(_) | Self::Null => 1,
            Self::List(values) => 3 + values.iter().map(|value| value.size() + 1).sum::<usize>(),
            Self::Map(item) => 3 + item_size(item) + item.len(),
        }
    }
}

const EMPTY: &str = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
const AMBIGUOUS: &str =
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes";

/// Reads an item, or says what is wrong with it.
pub(crate) fn parse_item(value: &Value) -> Result<Item, String> {
    parse_item_at(value, 0)
}

fn parse_item_at(value: &Value, depth: usize) -> Result<Item, String> {
    let members = value.as_object().ok_or_else(|| "an item is a map of attribute values".to_owned())?;
    let attributes = members.iter().map(|(name, value)| {
        if name.is_empty() {
            return Err("One or more parameter values were invalid: Empty attribute name".to_owned());
        }
        Ok((name.clone(), AttributeValue::parse_at(value, depth)?))
    });
    attributes.collect()
}

/// The item as the wire has it.
pub(crate) fn item_to_json(item: &Item) -> Value {
    item.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
}

/// Size in bytes, as the limit on items counts it.
pub(crate) fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size()).sum()
}

/// A decimal number as the service keeps it: exactly, without leading or trailing zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    /// The number is 0.DIGITS times ten to the exponent; no digits are zero.
    digits: Vec<u8>,
    exponent: i64,
}

impl Number {
    /// Reads a number, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let malformed = || match text {
            "" => "The parameter cannot be converted to a numeric value".to_owned(),
            text => format!("The parameter cannot be converted to a numeric value: {text}"),
        };
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            None => (unsigned, 0),
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| malformed())?),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if all.is_empty() || !all.iter().all(u8::is_ascii_digit) {
            return Err(malformed());
        }
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let trailing = all.iter().skip(leading).rev().take_while(|digit| **digit == b'0').count();
        let digits: Vec<u8> = all.into_iter().skip(leading).rev().skip(trailing).rev().collect();
        if digits.is_empty() {
            return Ok(Self { negative: false, digits, exponent: 0 });
        }
        let places = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let exponent = places(whole.len()) - places(leading) + i64::from(exponent);
        if digits.len() > MOST_DIGITS {
            return Err(format!("Attempting to store more than {MOST_DIGITS} significant digits in a Number"));
        }
        if exponent > MOST_EXPONENT {
            let text = "Number overflow. Attempting to store a number with magnitude larger than supported range";
            return Err(text.to_owned());
        }
        if exponent < LEAST_EXPONENT {
            let text = "Number underflow. Attempting to store a number with magnitude smaller than supported range";
            return Err(text.to_owned());
        }
        Ok(Self { negative: text.starts_with('-'), digits, exponent })
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return formatter.write_str("0");
        }
        let digits: String = self.digits.iter().copied().map(char::from).collect();
        let sign = if self.negative { "-" } else { "" };
        match usize::try_from(self.exponent) {
            Err(_) | Ok(0) => {
                let zeros = usize::try_from(-self.exponent).unwrap_or_default();
                write!(formatter, "{sign}0.{}{digits}", "0".repeat(zeros))
            }
            Ok(whole) if whole < digits.len() => {
                let (whole, fraction) = digits.split_at(whole);
                write!(formatter, "{sign}{whole}.{fraction}")
            }
            Ok(whole) => write!(formatter, "{sign}{digits}{}", "0".repeat(whole - digits.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_exactly_and_without_idle_zeros() {
        let table = [
            ("0", "0"),
            ("-0.00", "0"),
            ("007", "7"),
            ("1.50", "1.5"),
            ("-12e3", "-12000"),
            ("1.25E-3", "0.00125"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+3", "3"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ];
        for (text, kept) in table {
            assert_eq!(Number::parse(text).unwrap().to_string(), kept, "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        let table = [
            ("", "numeric value"),
            ("x", "numeric value: x"),
            ("1 ", "numeric value"),
            ("--1", "numeric value"),
            ("1e", "numeric value"),
            (".", "numeric value"),
            ("123456789012345678901234567890123456789", "38 significant digits"),
            ("1e126", "overflow"),
            ("1e-131", "underflow"),
        ];
        for (text, error) in table {
            let found = Number::parse(text).unwrap_err();
            assert!(found.contains(error), "{text}: {found}");
        }
        assert!(Number::parse("9.9e125").is_ok() && Number::parse("1e-130").is_ok());
    }

    #[test]
    fn numbers_compare_by_value_and_not_by_text() {
        let ascending = ["-1e3", "-20", "-3", "-0.5", "0", "0.09", "0.1", "1", "9", "10", "10.5", "200"];
        let numbers = ascending.map(|text| Number::parse(text).unwrap());
        assert!(numbers.is_sorted_by(|one, next| one < next));
        assert_eq!(Number::parse("1.0"), Number::parse("1"));
    }

    #[test]
    fn values_are_what_they_say() {
        let good = [
            json!({ "S": "" }),
            json!({ "N": "12" }),
            json!({ "BOOL": false }),
            json!({ "NULL": true }),
            json!({ "L": [{ "S": "a" }, { "M": { "b": { "N": "1" } } }] }),
        ];
        for value in good {
            assert_eq!(AttributeValue::parse(&value).unwrap().to_json(), value);
        }
        let bad = [
            (json!({}), "is empty"),
            (json!({ "X": "a" }), "is empty"),
            (json!({ "S": "a", "N": "1" }), "more than one"),
            (json!({ "N": 1 }), "malformed"),
            (json!({ "NULL": false }), "malformed"),
            (json!({ "SS": ["a"] }), "does not carry"),
            (json!({ "M": { "": { "S": "a" } } }), "Empty attribute name"),
        ];
        for (value, error) in bad {
            let found = AttributeValue::parse(&value).unwrap_err();
            assert!(found.contains(error), "{value}: {found}");
        }
        let deep = (0..40).fold(json!({ "S": "a" }), |inner, _| json!({ "L": [inner] }));
        assert!(AttributeValue::parse(&deep).unwrap_err().contains("Nesting"));
    }
}
