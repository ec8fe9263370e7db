//! Filter patterns of CloudWatch Logs, as far as a search in a job's log needs them: terms, and comparisons of a JSON
//! field with a text. Anything else is refused by name, since a pattern that is read wrongly finds nothing, silently.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

/// A filter pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Matches everything.
    All,
    /// All of the first, none of the second are in the message.
    Terms { wanted: Vec<String>, unwanted: Vec<String> },
    /// Any of them is in the message: `?ERROR ?WARN`.
    AnyTerm(Vec<String>),
    /// Alternatives, of which one has to hold with all its comparisons: `{ $.a = "x" && $.b = "y" || $.c = "z" }`.
    Json(Vec<Vec<Comparison>>),
}

/// `$.field = "value"` or `$.field != "value"`; a `*` in the value stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison {
    path: Vec<String>,
    equal: bool,
    value: String,
}

impl Pattern {
    /// Reads a pattern, or says what the emulator does not know about it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::All);
        }
        if let Some(inner) = text.strip_prefix('{') {
            let inner = inner.strip_suffix('}').ok_or("a JSON pattern ends with }")?;
            return json(inner);
        }
        if text.starts_with('[') {
            return Err("the emulator knows no pattern of space-delimited fields ([…])".to_owned());
        }
        if text.starts_with('%') {
            return Err("the emulator knows no regular expression (%…%)".to_owned());
        }
        terms(text)
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        match self {
            Self::All => true,
            Self::Terms { wanted, unwanted } => {
                wanted.iter().all(|term| message.contains(term)) && !unwanted.iter().any(|term| message.contains(term))
            }
            Self::AnyTerm(terms) => terms.iter().any(|term| message.contains(term)),
            Self::Json(alternatives) => serde_json::from_str::<Value>(message)
                .is_ok_and(|event| alternatives.iter().any(|all| all.iter().all(|it| it.holds(&event)))),
        }
    }
}

fn terms(text: &str) -> Result<Pattern, String> {
    let (mut wanted, mut unwanted, mut any) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = text.chars().peekable();
    while skip_blanks(&mut rest) {
        let list = match rest.peek() {
            Some('?') => &mut any,
            Some('-') => &mut unwanted,
            _ => &mut wanted,
        };
        rest.next_if(|character| matches!(character, '?' | '-'));
        let term = if rest.peek() == Some(&'"') { quoted(&mut rest)? } else { word(&mut rest) };
        if term.is_empty() {
            return Err(format!("{text:?} has a term without a character"));
        }
        list.push(term);
    }
    match (any.is_empty(), wanted.is_empty() && unwanted.is_empty()) {
        (true, _) => Ok(Pattern::Terms { wanted, unwanted }),
        (false, true) => Ok(Pattern::AnyTerm(any)),
        (false, false) => Err("optional terms (?…) cannot be combined with others".to_owned()),
    }
}

fn json(text: &str) -> Result<Pattern, String> {
    let mut alternatives = vec![Vec::new()];
    let mut rest = text.chars().peekable();
    loop {
        skip_blanks(&mut rest);
        let comparison = comparison(&mut rest)?;
        if let Some(all) = alternatives.last_mut() {
            all.push(comparison);
        }
        if !skip_blanks(&mut rest) {
            return Ok(Pattern::Json(alternatives));
        }
        match word(&mut rest).as_str() {
            "&&" => {}
            "||" => alternatives.push(Vec::new()),
            other => return Err(format!("the emulator knows && and || between comparisons, not {other:?}")),
        }
    }
}

fn comparison(rest: &mut Peekable<Chars<'_>>) -> Result<Comparison, String> {
    let mut selector = String::new();
    while let Some(character) = rest.next_if(|it| !it.is_whitespace() && !matches!(it, '=' | '!' | '<' | '>')) {
        selector.push(character);
    }
    let path = selector
        .strip_prefix("$.")
        .filter(|path| path.split('.').all(|name| !name.is_empty() && !name.contains(['[', '(', '*'])))
        .ok_or_else(|| format!("the emulator knows selectors such as $.message, not {selector:?}"))?;
    skip_blanks(rest);
    let mut operator = String::new();
    while let Some(character) = rest.next_if(|it| !it.is_whitespace() && *it != '"' && !it.is_alphanumeric()) {
        operator.push(character);
        if operator.ends_with('=') {
            break;
        }
    }
    let equal = match operator.as_str() {
        "=" => true,
        "!=" => false,
        _ => return Err(format!("the emulator knows the operators = and !=, not {operator:?} of {selector}")),
    };
    skip_blanks(rest);
    let value = if rest.peek() == Some(&'"') { quoted(rest)? } else { word(rest) };
    if value.starts_with('%') {
        return Err("the emulator knows no regular expression (%…%)".to_owned());
    }
    Ok(Comparison { path: path.split('.').map(str::to_owned).collect(), equal, value })
}

impl Comparison {
    fn holds(&self, event: &Value) -> bool {
        let found = self.path.iter().try_fold(event, |value, name| value.get(name));
        let text = match found {
            Some(Value::String(text)) => text.clone(),
            Some(number @ (Value::Number(_) | Value::Bool(_))) => number.to_string(),
            // What is not there is neither equal nor unequal.
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => return false,
        };
        matches_wildcards(&text, &self.value) == self.equal
    }
}

/// Whether the text is as the pattern says, in which a `*` stands for any text.
fn matches_wildcards(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(position) => rest = &rest[position + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Skips white space; whether anything follows.
fn skip_blanks(rest: &mut Peekable<Chars<'_>>) -> bool {
    while rest.next_if(|character| character.is_whitespace()).is_some() {}
    rest.peek().is_some()
}

fn word(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(character) = rest.next_if(|character| !character.is_whitespace()) {
        word.push(character);
    }
    word
}

/// A text in quotation marks, in which a backslash takes the next character as it is.
fn quoted(rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    rest.next();
    let mut text = String::new();
    loop {
        match rest.next() {
            None => return Err("a quotation mark is not closed".to_owned()),
            Some('"') => return Ok(text),
            Some('\\') => text.extend(rest.next()),
            Some(character) => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"messageType":"INFO","message":"Counter (1/2) switched from RUNNING to FAILED.","version":3,"deep":{"er":"x"}}"#;

    #[test]
    fn patterns_find_what_they_say() {
        let table = [
            ("", true),
            ("switched", true),
            ("switched FAILED", true),
            ("switched FINISHED", false),
            ("\"from RUNNING to FAILED\"", true),
            ("switched -FAILED", false),
            ("switched -FINISHED", true),
            ("?FINISHED ?FAILED", true),
            ("?FINISHED ?CANCELED", false),
            (r#"{ $.messageType = "INFO" }"#, true),
            (r#"{$.messageType="INFO"}"#, true),
            (r#"{ $.messageType != "INFO" }"#, false),
            (r#"{ $.absent != "INFO" }"#, false),
            (r#"{ $.message = "*switched from RUNNING to FAILED*" }"#, true),
            (r#"{ $.message = "Counter*FAILED." }"#, true),
            (r#"{ $.message = "Counter*FAILED" }"#, false),
            ("{ $.messageType = INFO && $.version = 3 }", true),
            (r#"{ $.messageType = "WARN" && $.version = 3 }"#, false),
            (r#"{ $.messageType = "WARN" || $.deep.er = "x" }"#, true),
        ];
        for (pattern, matches) in table {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(EVENT), matches, "{pattern}");
        }
        assert!(!Pattern::parse(r#"{ $.messageType = "INFO" }"#).unwrap().matches("no JSON: INFO"));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let table = [
            ("[ip, user]", "space-delimited"),
            ("%a+%", "regular expression"),
            ("{ $.message = %a+% }", "regular expression"),
            ("{ $.version > 3 }", "the operators = and !="),
            (r#"{ $.list[0] = "x" }"#, "$.list[0]"),
            (r#"{ ($.a = "x") }"#, "($.a"),
            (r#"{ $.a = "x" and $.b = "y" }"#, "\"and\""),
            ("{ $.a NOT EXISTS }", "the operators = and !="),
            (r#"{ $.a = "x" "#, "ends with }"),
            ("\"open", "not closed"),
            ("?A B", "cannot be combined"),
            ("a -", "without a character"),
        ];
        for (pattern, text) in table {
            let error = Pattern::parse(pattern).unwrap_err();
            assert!(error.contains(text), "{pattern}: {error}");
        }
    }
}
