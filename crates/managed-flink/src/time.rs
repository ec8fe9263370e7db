//! Times of the service's JSON: seconds since 1970 with a fraction, in whatever way a JSON number can be written. They are
//! read and written digit by digit, because the service deletes a snapshot only by the exact time of its creation, and a
//! float of 64 bits has no room for nanoseconds.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

const NANOSECONDS: u128 = 1_000_000_000;
/// Digits after the point of a second that are kept.
const FINEST: i64 = 9;
/// More digits than any time has.
const MOST_DIGITS: usize = 32;

/// Reads a time that may be missing or null.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(number) = Option::<Box<RawValue>>::deserialize(deserializer)? else { return Ok(None) };
    parse(number.get()).map(Some).ok_or_else(|| serde::de::Error::custom("not a time in seconds"))
}

/// The time as a JSON number.
pub(crate) fn written(time: Timestamp) -> String {
    let nanoseconds = time.as_nanosecond();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let (seconds, fraction) = (nanoseconds.unsigned_abs() / NANOSECONDS, nanoseconds.unsigned_abs() % NANOSECONDS);
    let text = format!("{sign}{seconds}.{fraction:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads a JSON number of seconds. What is finer than a nanosecond is dropped.
fn parse(number: &str) -> Option<Timestamp> {
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Where the point of the nanoseconds lies among the digits.
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent) + FINEST;
    let nanoseconds = match usize::try_from(point) {
        Ok(point) if point <= MOST_DIGITS => {
            let kept: String = digits.chars().chain(std::iter::repeat('0')).take(point).collect();
            if kept.is_empty() { 0 } else { kept.parse::<i128>().ok()? }
        }
        Ok(_) => return None,
        Err(_) => 0,
    };
    Timestamp::from_nanosecond(if negative { -nanoseconds } else { nanoseconds }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_number_is_read_exactly() {
        let cases = [
            ("0", 0),
            ("1700000000", 1_700_000_000_000_000_000),
            ("1700000000.5", 1_700_000_000_500_000_000),
            ("1700000000.123", 1_700_000_000_123_000_000),
            ("1700000000.123456789", 1_700_000_000_123_456_789),
            ("1700000000.1234567891", 1_700_000_000_123_456_789),
            ("1.700000000123E9", 1_700_000_000_123_000_000),
            ("1.700000000123456789e+9", 1_700_000_000_123_456_789),
            ("17E8", 1_700_000_000_000_000_000),
            ("1700000000123E-3", 1_700_000_000_123_000_000),
            ("5E-10", 0),
            ("5E-30", 0),
            ("-1.5", -1_500_000_000),
        ];
        for (text, nanoseconds) in cases {
            assert_eq!(parse(text), Some(Timestamp::from_nanosecond(nanoseconds).unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "-", "\"1700000000\"", "1e", "1e99999", "1e40", "9e30", "true", "1.2.3", "+1", "[1]"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"1".repeat(33)), None);
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        for text in ["0", "1700000000", "1700000000.5", "1700000000.123", "1700000000.123456789", "-1.5", "0.000000001"]
        {
            assert_eq!(written(parse(text).unwrap()), text);
        }
    }
}
