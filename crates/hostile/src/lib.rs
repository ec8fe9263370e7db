//! JSON as nobody should send it, for property tests of whatever reads JSON: real documents with parts that are missing,
//! doubled, of another type, nested too deeply or far too large, JSON of no form at all, and bytes that are no JSON. What
//! is made comes from a fixed seed, so that every run of a test is the same; a failure shrinks to the fewest edits.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed};
use serde_json::{Map, Value, json};

/// Stands in many of the texts that are put into documents. Whatever refuses a document must not repeat it.
pub const SECRET: &str = "hunter2-of-nobody";

/// Edits of one document.
const MOST_EDITS: usize = 4;
/// Characters of the longest text that is put into a document.
const LONGEST_TEXT: usize = 20_000;
/// Copies that a part of a list is repeated in.
const MOST_COPIES: usize = 300;
/// Levels that a part is pushed down. Readers of JSON give up at 128.
const MOST_LEVELS: usize = 160;

/// So many cases, the same in every run. Nothing is written down: what was found becomes a test with a name of its own.
pub fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(0x0F11_4E55), ..Config::default() }
}

/// One of the documents with up to four edits, the document itself among them.
///
/// # Panics
///
/// Where there are no documents.
pub fn edited(documents: Vec<Value>) -> impl Strategy<Value = Value> {
    let edits = prop::collection::vec(edit(), 0..=MOST_EDITS);
    (prop::sample::select(documents), edits).prop_map(|(mut document, edits)| {
        for edit in edits {
            edit.apply(&mut document);
        }
        document
    })
}

/// JSON of any form.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = part();
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// What a server might send in place of one of the documents: edited, cut off, with bytes changed or written twice, JSON
/// that only a text can be (a name twice, a number of no type), or bytes of no form at all.
///
/// # Panics
///
/// Where there are no documents.
pub fn any_bytes(documents: Vec<Value>) -> impl Strategy<Value = Vec<u8>> {
    let slips = prop::collection::vec(slip(), 0..3);
    let slipped = (edited(documents), slips).prop_map(|(document, slips)| {
        let mut bytes = document.to_string().into_bytes();
        for slip in slips {
            slip.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![
        8 => slipped,
        1 => any_json().prop_map(|json| json.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (1..MOST_LEVELS * 20).prop_map(|levels| b"[".repeat(levels)),
        1 => (1..MOST_LEVELS * 20).prop_map(|levels| br#"{"jobs":"#.repeat(levels)),
    ]
}

/// One change of a document, at one of its places.
#[derive(Debug, Clone)]
struct Edit {
    place: Index,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    /// The part is gone.
    Drop,
    /// Something else is in its place.
    Put(Value),
    /// It comes so many times more where it is in a list, or becomes a list of so many.
    Repeat(usize),
    /// It lies so many levels deeper.
    PushDown(usize),
    /// It has another name.
    Rename(String),
    /// Another part has come beside it.
    Add(String, Value),
    /// It is what another part is.
    Copy(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let change = prop_oneof![
        4 => Just(Change::Drop),
        8 => part().prop_map(Change::Put),
        1 => (1..MOST_COPIES).prop_map(Change::Repeat),
        1 => (1..MOST_LEVELS).prop_map(Change::PushDown),
        1 => name().prop_map(Change::Rename),
        2 => (name(), part()).prop_map(|(name, part)| Change::Add(name, part)),
        2 => any::<Index>().prop_map(Change::Copy),
    ];
    (any::<Index>(), change).prop_map(|(place, change)| Edit { place, change })
}

impl Edit {
    fn apply(self, document: &mut Value) {
        let places = places(document);
        let place = self.place.get(&places).clone();
        match self.change {
            Change::Drop => drop_at(document, &place),
            Change::Put(part) => change_at(document, &place, |_| part),
            Change::Repeat(times) => repeat_at(document, &place, times),
            Change::PushDown(levels) => change_at(document, &place, |part| {
                (0..levels).fold(part, |part, level| if level % 2 == 0 { json!([part]) } else { json!({ "a": part }) })
            }),
            Change::Rename(name) => rename_at(document, &place, name),
            Change::Add(name, part) => match document.pointer_mut(&place) {
                Some(Value::Object(members)) => drop(members.insert(name, part)),
                Some(Value::Array(items)) => items.push(part),
                Some(other) => *other = part,
                None => {}
            },
            Change::Copy(from) => {
                let part = document.pointer(from.get::<String>(&places)).cloned().unwrap_or_default();
                change_at(document, &place, |_| part);
            }
        }
    }
}

/// Pointers to every part of a document, the whole among them.
fn places(document: &Value) -> Vec<String> {
    let mut places = vec![String::new()];
    let mut next = 0;
    while let Some(place) = places.get(next).cloned() {
        match document.pointer(&place) {
            Some(Value::Object(members)) => {
                places.extend(
                    members.keys().map(|name| format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"))),
                );
            }
            Some(Value::Array(items)) => places.extend((0..items.len()).map(|index| format!("{place}/{index}"))),
            _ => {}
        }
        next += 1;
    }
    places
}

/// The part that a part is in, and its name or number there.
fn parent<'a>(document: &'a mut Value, place: &str) -> Option<(&'a mut Value, String)> {
    let (parent, name) = place.rsplit_once('/')?;
    Some((document.pointer_mut(parent)?, name.replace("~1", "/").replace("~0", "~")))
}

fn drop_at(document: &mut Value, place: &str) {
    match parent(document, place) {
        Some((Value::Object(members), name)) => drop(members.remove(&name)),
        Some((Value::Array(items), index)) => {
            if let Some(index) = index.parse().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => *document = Value::Null,
    }
}

fn change_at(document: &mut Value, place: &str, change: impl FnOnce(Value) -> Value) {
    if let Some(part) = document.pointer_mut(place) {
        *part = change(part.take());
    }
}

fn repeat_at(document: &mut Value, place: &str, times: usize) {
    let Some(part) = document.pointer(place).cloned() else { return };
    let copies = std::iter::repeat_n(part, times);
    match parent(document, place) {
        Some((Value::Array(items), _)) => items.extend(copies),
        _ => change_at(document, place, |_| copies.collect()),
    }
}

fn rename_at(document: &mut Value, place: &str, name: String) {
    if let Some((Value::Object(members), old)) = parent(document, place)
        && let Some(part) = members.remove(&old)
    {
        members.insert(name, part);
    }
}

/// A part of a document: of every type, at the ends of what numbers can be, and texts that are nearly something else.
fn part() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            json!(0),
            json!(-0.0),
            json!(-1),
            json!(1),
            json!(0.5),
            json!(u32::MAX),
            json!(u64::from(u32::MAX) + 1),
            json!(u64::MAX),
            json!(u64::MAX - 3),
            json!(i64::MAX),
            json!(i64::MIN),
            json!(253_402_300_800_000_i64),
            json!(1e300),
            json!(f64::MIN_POSITIVE),
        ]),
    ];
    let empty = prop::sample::select(vec![Value::Null, json!(true), json!(false), json!([]), json!({})]);
    prop_oneof![2 => numbers, 2 => empty, 3 => text().prop_map(Value::from)]
}

/// A text: nothing, a number or a word in disguise, an error message in disguise, any characters, very many of them.
fn text() -> impl Strategy<Value = String> {
    let words = [
        "",
        " ",
        "NaN",
        "Infinity",
        "-0",
        "-1",
        "+1",
        "1e999",
        "18446744073709551616",
        "true",
        "null",
        "READY",
        "RUNNING",
        "RESTORE_FROM_CUSTOM_SNAPSHOT",
        "force",
        "9999-12-31T23:59:59.999999999Z",
        "-009999-01-01T00:00:00Z",
        "0000-00-00",
        "24:00",
        "../../jars",
        "a/../..\\b?c#d",
        "\u{0}",
        "\r\n\r\nHTTP/1.1 200 OK",
        "\u{202e}\u{200b}\u{feff}",
        "e\u{301}ſ\u{1f468}\u{200d}\u{1f469}",
        "'; DROP TABLE deployments; --",
        "{% $states %}",
        "${AWS::AccountId}",
        "unknown field `x`, expected",
        "missing field `y`",
    ];
    let secrets = [
        SECRET.to_owned(),
        format!("expected {SECRET}"),
        format!("unknown field `{SECRET}`, expected `{SECRET}`"),
        format!("missing field `{SECRET}`"),
        format!("at line 1 column 1 expected {SECRET} or {SECRET}"),
        format!("2026-01-01T00:00:00Z{SECRET}"),
    ];
    prop_oneof![
        6 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        4 => prop::sample::select(secrets.to_vec()),
        2 => any::<String>(),
        1 => (1..LONGEST_TEXT).prop_map(|length| "x".repeat(length)),
        1 => (1..LONGEST_TEXT / 4).prop_map(|length| "\u{1f9e8}".repeat(length)),
        1 => (1..LONGEST_TEXT / 8).prop_map(|times| ".long.name".repeat(times)),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![text(), "[A-Za-z]{1,12}", Just("__proto__".to_owned()), Just("PropertyMap".to_owned())]
}

/// One change of the bytes that a document is written as.
#[derive(Debug, Clone)]
enum Slip {
    /// The rest is missing.
    CutOff(Index),
    /// One byte is another.
    Change(Index, u8),
    /// A part is written once more.
    Twice(Index, Index),
    /// Something stands in between.
    Insert(Index, &'static [u8]),
    /// The first number, text or member from here on is written as this.
    InPlaceOfNumber(Index, &'static [u8]),
}

fn slip() -> impl Strategy<Value = Slip> {
    let tokens: Vec<&'static [u8]> = vec![
        b"1e999",
        b"-1e-999",
        b"NaN",
        b"Infinity",
        b"00",
        b"1.",
        b"0x10",
        b"1e1000000000000",
        b"\"\\ud800\"",
        b"\xff",
        b",",
        b"}",
        b"]",
        b"{",
        b"[",
        b"\"",
        b"\\u0000",
        b"/* */",
        b"\xef\xbb\xbf",
        b"99999999999999999999999999999999",
        b"\"state\":\"RUNNING\",",
        b"\"jid\":\"aa\",",
    ];
    let token = prop::sample::select(tokens);
    prop_oneof![
        2 => any::<Index>().prop_map(Slip::CutOff),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(place, byte)| Slip::Change(place, byte)),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Slip::Twice(from, to)),
        2 => (any::<Index>(), token.clone()).prop_map(|(place, token)| Slip::Insert(place, token)),
        3 => (any::<Index>(), token).prop_map(|(place, token)| Slip::InPlaceOfNumber(place, token)),
    ]
}

impl Slip {
    fn apply(self, bytes: &mut Vec<u8>) {
        let end = bytes.len() + 1;
        match self {
            Self::CutOff(place) => bytes.truncate(place.index(end)),
            Self::Change(place, byte) => {
                if let Some(changed) = bytes.get_mut(place.index(end)) {
                    *changed = byte;
                }
            }
            Self::Twice(from, to) => {
                let (from, to) = (from.index(end), to.index(end));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(from.max(to)..from.max(to), part);
            }
            Self::Insert(place, token) => {
                let place = place.index(end);
                bytes.splice(place..place, token.iter().copied());
            }
            Self::InPlaceOfNumber(place, token) => {
                let from = place.index(end);
                let start = (from..bytes.len()).find(|&at| bytes[at].is_ascii_digit());
                if let Some(start) = start {
                    let after = (start..bytes.len()).find(|&at| !bytes[at].is_ascii_digit()).unwrap_or(bytes.len());
                    bytes.splice(start..after, token.iter().copied());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;

    fn sample() -> Vec<Value> {
        vec![json!({ "a": 1, "b": ["c", { "d/e~f": null }] })]
    }

    fn made<T>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
        let mut runner = TestRunner::new(config(1));
        (0..count).map(|_| strategy.new_tree(&mut runner).map(|tree| tree.current())).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn every_run_makes_the_same() {
        assert_eq!(made(edited(sample()), 200), made(edited(sample()), 200));
        assert_eq!(made(any_bytes(sample()), 200), made(any_bytes(sample()), 200));
    }

    #[test]
    fn every_part_of_a_document_has_its_place() {
        assert_eq!(places(&sample()[0]), ["", "/a", "/b", "/b/0", "/b/1", "/b/1/d~1e~0f"]);
    }

    #[test]
    fn edits_do_what_they_say() {
        let edits: [(Change, &str, Value); 8] = [
            (Change::Drop, "/a", json!({ "b": ["c", { "d/e~f": null }] })),
            (Change::Drop, "/b/1/d~1e~0f", json!({ "a": 1, "b": ["c", {}] })),
            (Change::Put(json!("x")), "/b/0", json!({ "a": 1, "b": ["x", { "d/e~f": null }] })),
            (Change::Repeat(2), "/b/0", json!({ "a": 1, "b": ["c", { "d/e~f": null }, "c", "c"] })),
            (Change::PushDown(3), "/a", json!({ "a": [{ "a": [1] }], "b": ["c", { "d/e~f": null }] })),
            (Change::Rename("z".into()), "/a", json!({ "z": 1, "b": ["c", { "d/e~f": null }] })),
            (Change::Add("z".into(), json!(2)), "/b", json!({ "a": 1, "b": ["c", { "d/e~f": null }, 2] })),
            (Change::Drop, "", Value::Null),
        ];
        for (change, place, expected) in edits {
            let mut document = sample().remove(0);
            let index = places(&document).iter().position(|at| at == place).unwrap();
            let count = places(&document).len();
            let place = made(any::<Index>(), 10_000).into_iter().find(|at| at.index(count) == index).unwrap();
            Edit { place, change }.apply(&mut document);
            assert_eq!(document, expected);
        }
    }
}
