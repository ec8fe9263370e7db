//! CloudWatch's three wire protocols, to and from one form: the newest SDKs speak Smithy RPC v2 with CBOR, newer boto3 AWS
//! JSON 1.0, older clients the query protocol (a form in, XML out).

use std::fmt::Write as _;

use bytes::Bytes;
use ciborium::Value as Cbor;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Number, Value, json};

use crate::wire::{HttpResponse, Protocol, answer};

/// What an answer is made of; structures keep the order of their members.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Out {
    Text(String),
    Double(f64),
    Integer(i64),
    Bool(bool),
    Time(Timestamp),
    List(Vec<Out>),
    Structure(Vec<(&'static str, Out)>),
}

impl Out {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// The members of a request of any service; none if the body is not of the protocol. Times stay what the protocol writes: see [`time`].
pub(crate) fn decode(protocol: Protocol, body: &[u8]) -> Option<Value> {
    match protocol {
        Protocol::Cbor if body.is_empty() => Some(json!({})),
        Protocol::Cbor => from_cbor(&ciborium::from_reader::<Cbor, _>(body).ok()?),
        Protocol::Query => Some(from_form(body)),
        Protocol::Json10(_) | Protocol::Json11 | Protocol::S3 | Protocol::Rest => serde_json::from_slice(body).ok(),
    }
}

fn from_cbor(value: &Cbor) -> Option<Value> {
    Some(match value {
        Cbor::Integer(number) => Number::from_i128(i128::from(*number)).map_or(Value::Null, Value::Number),
        Cbor::Float(number) => json!(number),
        Cbor::Text(text) => json!(text),
        Cbor::Bool(truth) => json!(truth),
        Cbor::Null => Value::Null,
        // Tag 1 is a time, in seconds.
        Cbor::Tag(_, inner) => from_cbor(inner)?,
        Cbor::Array(items) => items.iter().map(from_cbor).collect::<Option<_>>()?,
        Cbor::Map(members) => {
            let member = |(name, value): &(Cbor, Cbor)| Some((name.as_text()?.to_owned(), from_cbor(value)?));
            Value::Object(members.iter().map(member).collect::<Option<Map<_, _>>>()?)
        }
        _ => return None,
    })
}

/// No request of CloudWatch nests deeper than that.
const DEEPEST: usize = 32;

/// Nests `A.member.1.B=x` as `{"A": [{"B": "x"}]}`.
fn from_form(body: &[u8]) -> Value {
    let mut root = json!({});
    'fields: for (name, text) in url::form_urlencoded::parse(body) {
        let mut place = &mut root;
        let mut parts = name.splitn(DEEPEST, '.');
        while let Some(part) = parts.next() {
            if part == "member" {
                let Some(index) = parts.next().and_then(|number| number.parse::<usize>().ok()) else {
                    continue 'fields;
                };
                if !place.is_array() {
                    *place = json!([]);
                }
                let Value::Array(items) = place else { continue 'fields };
                // Lists are written in order, from 1; a gap would be an attempt to make us allocate.
                let index = index.saturating_sub(1).min(items.len());
                if index == items.len() {
                    items.push(json!({}));
                }
                place = &mut items[index];
            } else {
                if !place.is_object() {
                    *place = json!({});
                }
                place = &mut place[part];
            }
        }
        *place = json!(text);
    }
    root
}

/// A time as any of the protocols writes it: seconds since 1970, or ISO 8601.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(seconds) => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a float cast saturates, and jiff refuses what is too far"
            )]
            let milliseconds = (seconds.as_f64()? * 1000.0).round() as i64;
            Timestamp::from_millisecond(milliseconds).ok()
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A whole number, which the query protocol writes as text.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A truth, which the query protocol writes as text.
pub(super) fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

/// The answer of an operation.
pub(super) fn encode(protocol: Protocol, operation: &str, request_id: &str, out: &Out) -> HttpResponse {
    let mut response = match protocol {
        Protocol::Cbor => {
            let mut bytes = Vec::new();
            if let Err(error) = ciborium::into_writer(&to_cbor(out), &mut bytes) {
                tracing::error!(%error, "cannot write an answer as CBOR");
            }
            let mut response = answer(StatusCode::OK, "application/cbor", bytes);
            response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
            response
        }
        Protocol::Query => {
            let mut xml = format!(
                "<{operation}Response xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><{operation}Result>"
            );
            to_xml(out, &mut xml);
            // Writing to a String cannot fail.
            let _ = write!(
                xml,
                "</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
            );
            answer(StatusCode::OK, "text/xml", Bytes::from(xml))
        }
        Protocol::Json10(_) | Protocol::Json11 | Protocol::S3 | Protocol::Rest => {
            answer(StatusCode::OK, "application/x-amz-json-1.0", to_json(out).to_string())
        }
    };
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("x-amzn-requestid", value);
    }
    response
}

fn to_cbor(out: &Out) -> Cbor {
    match out {
        Out::Text(text) => Cbor::Text(text.clone()),
        Out::Double(number) => Cbor::Float(*number),
        Out::Integer(number) => Cbor::from(*number),
        Out::Bool(truth) => Cbor::Bool(*truth),
        Out::Time(time) => Cbor::Tag(1, Box::new(Cbor::Float(seconds(*time)))),
        Out::List(items) => Cbor::Array(items.iter().map(to_cbor).collect()),
        Out::Structure(members) => {
            Cbor::Map(members.iter().map(|(name, value)| (Cbor::Text((*name).to_owned()), to_cbor(value))).collect())
        }
    }
}

fn to_json(out: &Out) -> Value {
    match out {
        Out::Text(text) => json!(text),
        Out::Double(number) => json!(number),
        Out::Integer(number) => json!(number),
        Out::Bool(truth) => json!(truth),
        Out::Time(time) => json!(seconds(*time)),
        Out::List(items) => items.iter().map(to_json).collect(),
        Out::Structure(members) => {
            Value::Object(members.iter().map(|(name, value)| ((*name).to_owned(), to_json(value))).collect())
        }
    }
}

fn to_xml(out: &Out, xml: &mut String) {
    let mut text = |text: &str| xml.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    match out {
        Out::Text(value) => text(value),
        Out::Double(number) => text(&number.to_string()),
        Out::Integer(number) => text(&number.to_string()),
        Out::Bool(truth) => text(&truth.to_string()),
        Out::Time(time) => text(&time.to_string()),
        Out::List(items) => {
            for item in items {
                xml.push_str("<member>");
                to_xml(item, xml);
                xml.push_str("</member>");
            }
        }
        Out::Structure(members) => {
            for (name, value) in members {
                let _ = write!(xml, "<{name}>");
                to_xml(value, xml);
                let _ = write!(xml, "</{name}>");
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double's 53 bits")]
fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_nests() {
        let form = b"Action=GetMetricData&Q.member.1.Id=a&Q.member.1.S.D.member.1.Name=Application\
                     &Q.member.2.Id=b&Start=2026-01-01T00%3A00%3A00Z";
        let expected = json!({
            "Action": "GetMetricData",
            "Q": [{ "Id": "a", "S": { "D": [{ "Name": "Application" }] } }, { "Id": "b" }],
            "Start": "2026-01-01T00:00:00Z",
        });
        assert_eq!(decode(Protocol::Query, form), Some(expected));
    }

    #[test]
    fn hostile_forms_stay_small() {
        let deep = ".".repeat(100_000);
        let form = format!("A.member.999999999999.B=x&A.member.x.B=y&A.member.=z&A.member=z&=&{deep}=x");
        let nested = decode(Protocol::Query, form.as_bytes()).unwrap();
        assert_eq!(nested["A"][0]["B"], "x");
        let mut depth = 0;
        let mut place = &nested[""];
        while let Some(inner) = place.get("") {
            (place, depth) = (inner, depth + 1);
        }
        assert!(depth < DEEPEST, "{depth}");
    }

    #[test]
    fn times_of_all_protocols_are_the_same() {
        let expected: Timestamp = "2026-01-01T00:00:30Z".parse().unwrap();
        for written in [json!(1_767_225_630), json!(1_767_225_630.0), json!("2026-01-01T00:00:30Z")] {
            assert_eq!(time(&written), Some(expected), "{written}");
        }
        assert_eq!(time(&json!("yesterday")), None);
    }
}
