//! Strikes secrets out of texts before they leave the crate. Runtime properties hold passwords and connection strings,
//! and both the service and a job's exceptions quote them; a presigned URL's token is a password as well.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// What stands where a secret stood.
const STRUCK_OUT: &str = "[redacted]";
/// Characters of the shortest value that is struck out. Shorter ones would riddle every text and hide little.
const SHORTEST_SECRET: usize = 4;
/// The query parameter of a presigned URL that holds its token, in lower case.
const TOKEN_PARAMETER: &str = "authtoken";

/// Strikes runtime property values and tokens out of texts.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: BTreeSet<String>,
}

impl Redactor {
    /// Knows the values of every property map in a raw configuration (`ApplicationDetail`, `ApplicationVersionDetail`) or
    /// in the body of an update.
    pub fn of(configuration: &Value) -> Self {
        let mut redactor = Self::default();
        redactor.learn(configuration);
        redactor
    }

    /// Learns the values of every property map in a raw configuration or an update as well.
    pub fn learn(&mut self, configuration: &Value) {
        match configuration {
            Value::Object(members) => {
                for (name, member) in members {
                    if name == "PropertyMap" {
                        self.learn_values(member);
                    } else {
                        self.learn(member);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn learn_values(&mut self, map: &Value) {
        match map {
            Value::Object(properties) => properties.values().for_each(|value| self.learn_values(value)),
            Value::Array(items) => items.iter().for_each(|item| self.learn_values(item)),
            Value::String(text) => self.add(text),
            Value::Number(number) => self.add(&number.to_string()),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Strikes this secret out as well, in the forms in which it is quoted: as it is, escaped as in JSON, percent-encoded
    /// as in a connection's URL, and each line of it.
    pub(crate) fn add(&mut self, secret: &str) {
        let escaped = Value::from(secret).to_string();
        let unquoted = escaped.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        let form: String = url::form_urlencoded::byte_serialize(secret.trim().as_bytes()).collect();
        // A plus of the secret itself is encoded: this one is a space.
        let component = form.replace('+', "%20");
        let forms = secret.lines().chain([secret, unquoted, &form, &component]);
        let forms = forms.map(str::trim).filter(|form| form.chars().count() >= SHORTEST_SECRET);
        self.secrets.extend(forms.map(str::to_owned));
    }

    /// The text without secrets.
    pub fn strike_out(&self, text: &str) -> String {
        let mut text = without_tokens(text);
        // The longest first, so that no secret is broken by another that is a part of it.
        let mut secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in &secrets {
            if text.contains(secret) {
                text = text.replace(secret, STRUCK_OUT);
            }
        }
        // The service cuts long texts off, and may have cut through a secret.
        if let Some(cut) = secrets.iter().filter_map(|secret| cut_off(&text, secret)).max() {
            text.truncate(text.len() - cut);
            text.push_str(STRUCK_OUT);
        }
        text
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Redactor({} values)", self.secrets.len())
    }
}

/// Bytes at the end of the text that are a beginning of the secret, if they are enough to matter.
fn cut_off(text: &str, secret: &str) -> Option<usize> {
    let ends = secret.char_indices().map(|(index, _)| index).skip(SHORTEST_SECRET);
    ends.filter(|&end| text.ends_with(&secret[..end])).max()
}

/// The text without the values of `authToken=…`, in whatever case and whether or not the equals sign is encoded.
fn without_tokens(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut clean = String::with_capacity(text.len());
    let mut position = 0;
    while let Some(found) = lower[position..].find(TOKEN_PARAMETER) {
        let name_end = position + found + TOKEN_PARAMETER.len();
        clean.push_str(&text[position..name_end]);
        let rest = &text[name_end..];
        let separator = rest.len() - rest.trim_start_matches(['"', '\'', ' ', ':', '=']).len();
        let separator = if rest.starts_with("%3D") || rest.starts_with("%3d") { 3 } else { separator };
        clean.push_str(&rest[..separator]);
        position = name_end + separator;
        // A text may pass here twice: what was struck out stays as it is.
        if separator > 0 && !text[position..].starts_with(STRUCK_OUT) {
            let value = &text[position..];
            let end = value
                .find(|character: char| character.is_whitespace() || "&#\"'<>,;)]}\\".contains(character))
                .unwrap_or(value.len());
            if end > 0 {
                clean.push_str(STRUCK_OUT);
            }
            position += end;
        }
    }
    clean.push_str(&text[position..]);
    clean
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor(values: &[&str]) -> Redactor {
        let map: serde_json::Map<String, Value> =
            values.iter().zip(0..).map(|(value, index)| (format!("key{index}"), (*value).into())).collect();
        Redactor::of(&json!({ "Groups": [{ "PropertyGroupId": "group", "PropertyMap": map }] }))
    }

    #[test]
    fn values_are_struck_out_wherever_they_stand() {
        let cases: [(&[&str], &str, &str); 12] = [
            (&["hunter2"], "hunter2 is not hunter2", "[redacted] is not [redacted]"),
            (&["abc"], "abc stays: it is too short", "abc stays: it is too short"),
            (&["pass", "password"], "the password", "the [redacted]"),
            (&["ключ-от-двери"], "с ключ-от-двери!", "с [redacted]!"),
            (&["say \"friend\""], "it said say \\\"friend\\\" there", "it said [redacted] there"),
            (&["first line\nsecond line"], "at second line it broke", "at [redacted] it broke"),
            (&["  padded  "], "was padded here", "was [redacted] here"),
            (&["p@ss word+1"], "jdbc:x?password=p%40ss%20word%2B1&y", "jdbc:x?password=[redacted]&y"),
            (&["p@ss word+1"], "password=p%40ss+word%2B1", "password=[redacted]"),
            (&[" p@ss "], "password=p%40ss;", "password=[redacted];"),
            (&["hunter2-of-the-database"], "cut off: hunter2-of-t", "cut off: [redacted]"),
            (&["hunter2-of-the-database"], "cut off: hun", "cut off: hun"),
        ];
        for (values, text, expected) in cases {
            assert_eq!(redactor(values).strike_out(text), expected, "{values:?}");
        }
    }

    #[test]
    fn only_values_of_properties_are_secrets() {
        let configuration = json!({
            "ApplicationName": "orders", "PropertyMap": { "key-name": "a value", "number": 54321, "flag": true },
        });
        let text = "orders: key-name is a value, 54321 or true";
        assert_eq!(Redactor::of(&configuration).strike_out(text), "orders: key-name is [redacted], [redacted] or true");
    }

    #[test]
    fn tokens_are_struck_out_without_being_known() {
        let cases = [
            ("https://h/p?authToken=abc&x=1", "https://h/p?authToken=[redacted]&x=1"),
            ("AUTHTOKEN=abc", "AUTHTOKEN=[redacted]"),
            ("authToken%3Dabc.", "authToken%3D[redacted]"),
            ("{\"authToken\":\"abc\",\"x\":1}", "{\"authToken\":\"[redacted]\",\"x\":1}"),
            ("authToken=abc authToken=def", "authToken=[redacted] authToken=[redacted]"),
            ("authToken=[redacted]&x=1", "authToken=[redacted]&x=1"),
            ("no authToken", "no authToken"),
            ("authToken=", "authToken="),
            ("ſauthToken=é", "ſauthToken=[redacted]"),
        ];
        for (text, expected) in cases {
            assert_eq!(Redactor::default().strike_out(text), expected);
        }
    }

    #[test]
    fn a_redactor_prints_no_values() {
        assert_eq!(format!("{:?}", redactor(&["hunter2"])), "Redactor(1 values)");
    }
}
