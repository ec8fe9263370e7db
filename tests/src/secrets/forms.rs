//! The forms in which a secret may stand in a text: as it is, escaped as JSON once or twice, percent-encoded, and in base64
//! with whatever stands before and after it.

use std::collections::BTreeSet;

use serde_json::Value;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters of base64 under which a find may be chance.
const SHORTEST_BASE64: usize = 8;

/// Every form of a secret, without repetitions.
pub(crate) fn forms_of(plain: &str) -> BTreeSet<String> {
    let once = as_json(plain);
    let mut forms = BTreeSet::from([plain.to_owned(), as_json(&once), once]);
    // Space is told in two ways, and digits of hexadecimal numbers in two cases.
    for space in ["%20", "+"] {
        let encoded = percent_encoded(plain, space);
        forms.extend([in_lower_case(&encoded), encoded]);
    }
    forms.extend((0..3).filter_map(|before| in_base64(plain.as_bytes(), before)).flat_map(|standard| {
        let for_urls = standard.replace('+', "-").replace('/', "_");
        [standard, for_urls]
    }));
    forms
}

/// A text as it stands between the quotes of a JSON string.
pub(crate) fn as_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

/// All but letters, digits and `-._~` as `%` and two digits; a space as `space`.
pub(crate) fn percent_encoded(text: &str, space: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| match byte {
        b' ' => encoded + space,
        b'-' | b'.' | b'_' | b'~' => encoded + &char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => encoded + &char::from(byte).to_string(),
        _ => format!("{encoded}%{byte:02X}"),
    })
}

/// The same with the digits after each `%` in lower case.
fn in_lower_case(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        format!("{text}%{}{rest}", digits.to_ascii_lowercase())
    })
}

/// What of the base64 of a longer text depends on these bytes alone, where as many bytes stand before them, modulo 3. None
/// where it is too short to mean anything.
fn in_base64(bytes: &[u8], before: usize) -> Option<String> {
    let bits: Vec<u8> = std::iter::repeat_n(0, before)
        .chain(bytes.iter().copied())
        .flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1))
        .collect();
    // The first character that has none of the bits before, up to the last that has all of its own.
    let digits = bits.chunks_exact(6).skip((before * 8).div_ceil(6));
    let text: String = digits
        .map(|six| six.iter().fold(0_usize, |digit, bit| digit * 2 + usize::from(*bit)))
        .filter_map(|digit| STANDARD.get(digit).map(|character| char::from(*character)))
        .collect();
    (text.len() >= SHORTEST_BASE64).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "say \"ključ\" & go/\\+";

    #[test]
    fn a_secret_is_known_as_it_is_and_as_json_has_it() {
        let forms = forms_of(SECRET);
        let once = serde_json::json!({ "message": SECRET }).to_string();
        let twice = serde_json::json!({ "cause": once }).to_string();
        for text in [SECRET.to_owned(), once, twice] {
            assert!(forms.iter().any(|form| text.contains(form)), "{text}");
        }
    }

    #[test]
    fn a_secret_is_known_percent_encoded() {
        let forms = forms_of(SECRET);
        for text in [
            "x=say%20%22klju%C4%8D%22%20%26%20go%2F%5C%2B&y",
            "x=say%20%22klju%c4%8d%22%20%26%20go%2f%5c%2b&y",
            "x=say+%22klju%C4%8D%22+%26+go%2F%5C%2B&y",
        ] {
            assert!(forms.iter().any(|form| text.contains(form)), "{text}");
        }
    }

    /// As `base64` of coreutils has it, after nothing, `u`, `us` and `user:`.
    #[test]
    fn a_secret_is_known_in_base64_whatever_stands_before_it() {
        let forms = forms_of("correct-horse-battery");
        for text in [
            "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5",
            "dWNvcnJlY3QtaG9yc2UtYmF0dGVyeQ==",
            "dXNjb3JyZWN0LWhvcnNlLWJhdHRlcnk=",
            "dXNlcjpjb3JyZWN0LWhvcnNlLWJhdHRlcnk=",
            "dXNlcjpjb3JyZWN0LWhvcnNlLWJhdHRlcnlhbmQgbW9yZQ==",
        ] {
            assert!(forms.iter().any(|form| text.contains(form)), "{text}");
        }
        let forms = forms_of("??>>??>>??");
        for text in ["Pz8+Pj8/Pj4/Pw==", "Pz8-Pj8_Pj4_Pw"] {
            assert!(forms.iter().any(|form| text.contains(form)), "{text}");
        }
    }

    #[test]
    fn what_is_too_short_for_base64_is_not_looked_for_in_it() {
        assert_eq!(forms_of("pass"), BTreeSet::from(["pass".to_owned()]));
    }
}
