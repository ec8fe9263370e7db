//! Condition expressions of DynamoDB: `attribute_exists`, `attribute_not_exists`, comparisons, AND, OR, NOT and
//! parentheses, over attributes of the item itself. What else the service knows is refused, never taken for true.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::attribute::{AttributeValue, Item};
use super::reserved::is_reserved;

/// Longest expression, in bytes.
const LONGEST: usize = 4096;

/// Why an expression or its placeholders are refused.
type Refused = String;

/// A condition, with its placeholders filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    Exists(String),
    NotExists(String),
    Compare(Operand, Comparator, Operand),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

/// A side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Attribute(String),
    Value(AttributeValue),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Whether it asks for an order, not only for sameness.
    fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    /// An attribute that is not there, or is of another type, is different from any value and neither less nor greater.
    fn holds(self, one: Option<&AttributeValue>, other: Option<&AttributeValue>) -> bool {
        let same = one.is_some() && one == other;
        let order = one.zip(other).and_then(|(one, other)| one.order(other));
        match self {
            Self::Equal => same,
            Self::NotEqual => !same,
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, item: Option<&'a Item>) -> Option<&'a AttributeValue> {
        match self {
            Self::Attribute(name) => item.and_then(|item| item.get(name)),
            Self::Value(value) => Some(value),
        }
    }
}

impl Condition {
    /// Reads the condition of a request, if it has one, with all its placeholders.
    pub(crate) fn of(request: &Map<String, Value>) -> Result<Option<Self>, Refused> {
        let given = |field: &str| request.get(field).filter(|value| !value.is_null());
        let Some(expression) = given("ConditionExpression") else {
            for field in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
                if given(field).is_some() {
                    return Err(format!(
                        "{field} can only be specified when using expressions: ConditionExpression is null"
                    ));
                }
            }
            return Ok(None);
        };
        let expression =
            expression.as_str().ok_or_else(|| "Invalid ConditionExpression: it is not a string".to_owned())?;
        let names = placeholders(given("ExpressionAttributeNames"), "ExpressionAttributeNames", '#')?;
        let names = names.into_iter().map(|(key, name)| match name.as_str().filter(|name| !name.is_empty()) {
            Some(name) => Ok((key, name.to_owned())),
            None => Err(format!("ExpressionAttributeNames contains invalid value for key {key}")),
        });
        let values = placeholders(given("ExpressionAttributeValues"), "ExpressionAttributeValues", ':')?;
        let values = values.into_iter().map(|(key, value)| match AttributeValue::parse(value) {
            Ok(value) => Ok((key, value)),
            Err(error) => Err(format!("ExpressionAttributeValues contains invalid value: {error} for key {key}")),
        });
        let names = names.collect::<Result<_, _>>()?;
        let values = values.collect::<Result<_, _>>()?;
        parse(expression, &names, &values).map(Some)
    }

    /// Whether it holds for an item, or for none.
    pub(crate) fn holds(&self, item: Option<&Item>) -> bool {
        let has = |name: &String| item.is_some_and(|item| item.contains_key(name));
        match self {
            Self::Exists(name) => has(name),
            Self::NotExists(name) => !has(name),
            Self::Compare(one, comparator, other) => comparator.holds(one.value(item), other.value(item)),
            Self::Not(condition) => !condition.holds(item),
            Self::And(one, other) => one.holds(item) && other.holds(item),
            Self::Or(one, other) => one.holds(item) || other.holds(item),
        }
    }
}

/// The placeholders of a field of the request, by their keys.
fn placeholders<'a>(given: Option<&'a Value>, field: &str, sign: char) -> Result<BTreeMap<String, &'a Value>, Refused> {
    let Some(given) = given else {
        return Ok(BTreeMap::new());
    };
    let members = given.as_object().ok_or_else(|| format!("{field} is a map"))?;
    if members.is_empty() {
        return Err(format!("{field} must not be empty"));
    }
    for key in members.keys() {
        if !key.strip_prefix(sign).is_some_and(is_word) {
            return Err(format!("{field} contains invalid key: Syntax error; key: \"{key}\""));
        }
    }
    Ok(members.iter().map(|(key, value)| (key.clone(), value)).collect())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word_character)
}

fn is_word_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A name, a keyword or a function.
    Word(String),
    /// `#name`
    Name(String),
    /// `:value`
    Value(String),
    Comparator(Comparator),
    Open,
    Close,
    /// Anything else that the service's grammar has: `.`, `,`, `[`, `]`, a digit.
    Other(char),
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Word(text) | Self::Name(text) | Self::Value(text) => text.clone(),
            Self::Comparator(comparator) => comparator.text().to_owned(),
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
            Self::Other(character) => character.to_string(),
        }
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

fn invalid(what: &str) -> Refused {
    format!("Invalid ConditionExpression: {what}")
}

fn not_carried(what: &str) -> Refused {
    invalid(&format!("the emulator does not carry {what} in a condition"))
}

fn tokens(expression: &str) -> Result<Vec<Token>, Refused> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let word = |text: &str| text.find(|it| !is_word_character(it)).unwrap_or(text.len());
        let two = |second: char| after.starts_with(second);
        let (token, length) = match first {
            ' ' | '\t' | '\n' | '\r' => {
                rest = after;
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '=' => (Token::Comparator(Comparator::Equal), 1),
            '<' if two('>') => (Token::Comparator(Comparator::NotEqual), 2),
            '<' if two('=') => (Token::Comparator(Comparator::LessOrEqual), 2),
            '<' => (Token::Comparator(Comparator::Less), 1),
            '>' if two('=') => (Token::Comparator(Comparator::GreaterOrEqual), 2),
            '>' => (Token::Comparator(Comparator::Greater), 1),
            '#' | ':' if word(after) > 0 => {
                let length = 1 + word(after);
                let text = rest[..length].to_owned();
                (if first == '#' { Token::Name(text) } else { Token::Value(text) }, length)
            }
            first if first.is_ascii_alphabetic() => {
                let length = word(rest);
                (Token::Word(rest[..length].to_owned()), length)
            }
            '.' | ',' | '[' | ']' | '0'..='9' => (Token::Other(first), 1),
            other => return Err(invalid(&format!("Syntax error; token: \"{other}\", near: \"{rest}\""))),
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    Ok(tokens)
}

/// Reads an expression whose placeholders stand for these names and values, all of which it has to use.
fn parse(
    expression: &str,
    names: &BTreeMap<String, String>,
    values: &BTreeMap<String, AttributeValue>,
) -> Result<Condition, Refused> {
    if expression.len() > LONGEST {
        return Err(invalid("Expression size has exceeded the maximum allowed size"));
    }
    let tokens = tokens(expression)?;
    if tokens.is_empty() {
        return Err(invalid("The expression can not be empty;"));
    }
    let mut parser = Parser { tokens: &tokens, at: 0, names, values, used: BTreeSet::new() };
    let (condition, _) = parser.any_of()?;
    if parser.at < tokens.len() {
        return Err(parser.syntax_error());
    }
    let unused = |all: Vec<&String>| {
        let unused: Vec<_> = all.into_iter().filter(|key| !parser.used.contains(*key)).map(String::as_str).collect();
        (!unused.is_empty()).then(|| format!("keys: {{{}}}", unused.join(", ")))
    };
    for (what, keys) in [("Names", names.keys().collect()), ("Values", values.keys().collect())] {
        if let Some(keys) = unused(keys) {
            return Err(format!("Value provided in ExpressionAttribute{what} unused in expressions: {keys}"));
        }
    }
    Ok(condition)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    names: &'a BTreeMap<String, String>,
    values: &'a BTreeMap<String, AttributeValue>,
    /// Placeholders that were met.
    used: BTreeSet<String>,
}

/// A condition, and whether it stood in parentheses.
type Parsed = (Condition, bool);

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Goes on if the next token is this keyword.
    fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is_keyword(keyword));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Result<(), Refused> {
        if self.peek() == Some(token) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.syntax_error())
        }
    }

    /// The next token is not what the grammar has here.
    fn syntax_error(&self) -> Refused {
        let text = |token: Option<&Token>| token.map_or_else(|| "<EOF>".to_owned(), Token::text);
        let near = self.tokens.iter().skip(self.at.saturating_sub(1)).take(3).map(Token::text).collect::<Vec<_>>();
        invalid(&format!("Syntax error; token: \"{}\", near: \"{}\"", text(self.peek()), near.join(" ")))
    }

    fn any_of(&mut self) -> Result<Parsed, Refused> {
        let (mut condition, mut enclosed) = self.all_of()?;
        while self.keyword("OR") {
            let (other, _) = self.all_of()?;
            (condition, enclosed) = (Condition::Or(Box::new(condition), Box::new(other)), false);
        }
        Ok((condition, enclosed))
    }

    fn all_of(&mut self) -> Result<Parsed, Refused> {
        let (mut condition, mut enclosed) = self.one()?;
        while self.keyword("AND") {
            let (other, _) = self.one()?;
            (condition, enclosed) = (Condition::And(Box::new(condition), Box::new(other)), false);
        }
        Ok((condition, enclosed))
    }

    fn one(&mut self) -> Result<Parsed, Refused> {
        if self.keyword("NOT") {
            let (condition, _) = self.one()?;
            return Ok((Condition::Not(Box::new(condition)), false));
        }
        if self.peek() == Some(&Token::Open) {
            self.at += 1;
            let (condition, enclosed) = self.any_of()?;
            self.expect(&Token::Close)?;
            if enclosed {
                return Err(invalid("The expression has redundant parentheses;"));
            }
            return Ok((condition, true));
        }
        let called = self.tokens.get(self.at + 1) == Some(&Token::Open);
        match self.peek() {
            Some(Token::Word(function)) if called => {
                let function = function.clone();
                self.at += 2;
                self.function(&function).map(|condition| (condition, false))
            }
            _ => self.comparison().map(|condition| (condition, false)),
        }
    }

    /// A function, from behind its parenthesis on.
    fn function(&mut self, function: &str) -> Result<Condition, Refused> {
        let condition = match function {
            "attribute_exists" => Condition::Exists,
            "attribute_not_exists" => Condition::NotExists,
            "attribute_type" | "begins_with" | "contains" | "size" => return Err(not_carried(function)),
            other => return Err(invalid(&format!("Invalid function name; function: {other}"))),
        };
        let Operand::Attribute(name) = self.operand()? else {
            return Err(invalid(&format!(
                "Operator or function requires a document path; operator or function: {function}"
            )));
        };
        self.expect(&Token::Close)?;
        Ok(condition(name))
    }

    fn comparison(&mut self) -> Result<Condition, Refused> {
        let one = self.operand()?;
        let comparator = match self.peek() {
            Some(Token::Comparator(comparator)) => *comparator,
            Some(token) if token.is_keyword("BETWEEN") || token.is_keyword("IN") => {
                return Err(not_carried(&token.text()));
            }
            _ => return Err(self.syntax_error()),
        };
        self.at += 1;
        let other = self.operand()?;
        if let (Operand::Attribute(name), true) = (&one, one == other) {
            return Err(invalid(&format!(
                "The first operand must be distinct from the remaining operands for this operator or function; \
                 operator: {}, first operand: [{name}]",
                comparator.text()
            )));
        }
        for operand in [&one, &other] {
            if let Operand::Value(value) = operand
                && comparator.orders()
                && value.order(value).is_none()
            {
                return Err(invalid(&format!(
                    "Incorrect operand type for operator or function; operator: {}, operand type: {}",
                    comparator.text(),
                    value.kind()
                )));
            }
        }
        Ok(Condition::Compare(one, comparator, other))
    }

    fn operand(&mut self) -> Result<Operand, Refused> {
        let operand = match self.peek() {
            Some(Token::Name(key)) => {
                let name = self.names.get(key).ok_or_else(|| {
                    invalid(&format!(
                        "An expression attribute name used in the document path is not defined; attribute name: {key}"
                    ))
                })?;
                self.used.insert(key.clone());
                Operand::Attribute(name.clone())
            }
            Some(Token::Value(key)) => {
                let value = self.values.get(key).ok_or_else(|| {
                    invalid(&format!(
                        "An expression attribute value used in expression is not defined; attribute value: {key}"
                    ))
                })?;
                self.used.insert(key.clone());
                Operand::Value(value.clone())
            }
            Some(Token::Word(name)) if is_reserved(name) => {
                return Err(invalid(&format!("Attribute name is a reserved keyword; reserved keyword: {name}")));
            }
            Some(Token::Word(name)) => Operand::Attribute(name.clone()),
            _ => return Err(self.syntax_error()),
        };
        self.at += 1;
        match self.peek() {
            Some(Token::Other('.' | '[')) => Err(not_carried("a path into a document")),
            Some(Token::Open) => Err(not_carried("a function as an operand")),
            _ => Ok(operand),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::attribute::parse_item;
    use super::*;

    fn condition(expression: &str) -> Result<Option<Condition>, Refused> {
        let request = json!({
            "ConditionExpression": expression,
            "ExpressionAttributeNames": { "#a": "application" },
            "ExpressionAttributeValues": { ":v": { "N": "7" } },
        });
        Condition::of(request.as_object().unwrap())
    }

    /// With placeholders only where the expression names them.
    fn read(expression: &str) -> Result<Condition, Refused> {
        let names = [("#a", "application"), ("#s", "state")];
        let values = [
            (":seven", json!({ "N": "7" })),
            (":ten", json!({ "N": "10.0" })),
            (":text", json!({ "S": "7" })),
            (":orders", json!({ "S": "orders" })),
            (":yes", json!({ "BOOL": true })),
        ];
        let names = names.iter().filter(|(key, _)| expression.contains(key));
        let values = values.iter().filter(|(key, _)| expression.contains(key));
        parse(
            expression,
            &names.map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect(),
            &values.map(|(key, value)| ((*key).to_owned(), AttributeValue::parse(value).unwrap())).collect(),
        )
    }

    #[test]
    fn what_holds() {
        let item = json!({
            "application": { "S": "orders" },
            "revision": { "N": "9" },
            "state": { "S": "b" },
            "open": { "BOOL": true },
        });
        let item = parse_item(&item).unwrap();
        let table = [
            ("attribute_exists(#a)", true, false),
            ("attribute_not_exists (#a)", false, true),
            ("revision = :seven", false, false),
            ("revision <> :seven", true, true),
            ("revision > :seven", true, false),
            ("revision >= :seven", true, false),
            ("revision < :ten", true, false),
            ("revision <= :ten", true, false),
            (":ten > revision", true, false),
            // A string is not compared with a number, however much they look alike.
            ("revision > :text", false, false),
            ("revision <> :text", true, true),
            ("#s > :text", true, false),
            ("is_open = :yes", false, false),
            ("absent = :seven", false, false),
            ("absent < :seven", false, false),
            ("NOT revision = :seven", true, true),
            ("not (#a = :orders and revision = :seven)", true, true),
            ("#a = :orders AND revision = :seven OR revision > :seven", true, false),
            ("#a = :orders AND (revision = :seven OR revision > :seven)", true, false),
            ("attribute_not_exists(#a) OR revision < :seven", false, true),
            // AND binds more than OR, NOT more than AND.
            ("#a = :orders OR revision = :seven AND revision = :seven", true, false),
            ("NOT #a = :orders OR #a = :orders", true, true),
            (":seven < :ten", true, true),
        ];
        for (expression, with, without) in table {
            let condition = read(expression).unwrap();
            assert_eq!((condition.holds(Some(&item)), condition.holds(None)), (with, without), "{expression}");
        }
    }

    #[test]
    fn what_is_refused() {
        let table = [
            ("", "can not be empty"),
            ("  ", "can not be empty"),
            ("revision", "Syntax error; token: \"<EOF>\""),
            ("revision =", "Syntax error; token: \"<EOF>\""),
            ("revision = 7", "token: \"7\""),
            ("revision == :seven", "Syntax error; token: \"=\""),
            ("revision = :seven AND", "<EOF>"),
            ("(revision = :seven", "<EOF>"),
            ("revision = :seven)", "Syntax error; token: \")\""),
            ("((revision = :seven))", "redundant parentheses"),
            ("revision = :eight", "attribute value: :eight"),
            ("#r = :seven", "attribute name: #r"),
            ("state = :seven", "reserved keyword: state"),
            ("revision = revision", "must be distinct"),
            ("revision < :yes", "operand type: BOOL"),
            ("attribute_exists(:seven)", "requires a document path"),
            ("Attribute_Exists(#a)", "Invalid function name"),
            ("begins_with(#a, :text)", "does not carry begins_with"),
            ("size(#a) > :seven", "does not carry size"),
            ("revision BETWEEN :seven AND :ten", "does not carry BETWEEN"),
            ("revision IN (:seven)", "does not carry IN"),
            ("turns.holder = :text", "does not carry a path"),
            ("turns[0] = :text", "does not carry a path"),
            ("revision ! :seven", "token: \"!\""),
        ];
        for (expression, error) in table {
            let found = read(expression).unwrap_err();
            assert!(found.contains(error), "{expression}: {found}");
        }
        let long = vec!["revision = :seven"; 400].join(" OR ");
        assert!(read(&long).unwrap_err().contains("exceeded the maximum"));
    }

    #[test]
    fn placeholders_are_all_used_and_well_formed() {
        assert!(condition("#a = :v").unwrap().is_some());
        assert!(
            condition("application = :v").unwrap_err().contains("AttributeNames unused in expressions: keys: {#a}")
        );
        assert!(condition("attribute_exists(#a)").unwrap_err().contains("Values unused in expressions: keys: {:v}"));
        let table = [
            (
                json!({ "ExpressionAttributeValues": { ":v": { "N": "7" } } }),
                "only be specified when using expressions",
            ),
            (json!({ "ConditionExpression": "a = :v", "ExpressionAttributeValues": {} }), "must not be empty"),
            (
                json!({ "ConditionExpression": "a = :v", "ExpressionAttributeValues": { "v": { "N": "7" } } }),
                "invalid key",
            ),
            (
                json!({ "ConditionExpression": "a = :v", "ExpressionAttributeValues": { ":v": { "N": "x" } } }),
                "numeric value: x for key :v",
            ),
            (
                json!({ "ConditionExpression": "attribute_exists(#n)", "ExpressionAttributeNames": { "#n": "" } }),
                "invalid value for key #n",
            ),
            (json!({ "ConditionExpression": 7 }), "not a string"),
        ];
        for (request, error) in table {
            let found = Condition::of(request.as_object().unwrap()).unwrap_err();
            assert!(found.contains(error), "{request}: {found}");
        }
        assert_eq!(Condition::of(&Map::new()), Ok(None));
    }
}
