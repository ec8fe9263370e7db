//! Reads a template of AWS `CloudFormation` and works out what it makes for given parameters: its conditions, and the
//! names and ARNs that its resources have. It knows the intrinsic functions and the types of resources that ours use
//! for roles; anything else is refused by name, never guessed.

use std::collections::{BTreeMap, BTreeSet};

use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};
use serde_json::{Map, Value, json};
use thiserror::Error;

/// The account that the stack is in.
pub const ACCOUNT: &str = "123456789012";
/// The Region that the stack is in.
pub const REGION: &str = "us-east-1";
const PARTITION: &str = "aws";

/// Why a template cannot be read or worked out.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// It is no YAML.
    #[error("the template is no YAML")]
    Yaml(#[from] saphyr::ScanError),
    /// It has something that is not known here.
    #[error("{0} is not known here: teach it to tests/src/permissions/template.rs")]
    Unknown(String),
    /// Something has another shape than it must have.
    #[error("{what} is not as it must be: {value}")]
    Shape {
        /// What it is.
        what: &'static str,
        /// What it looks like.
        value: String,
    },
}

fn shape(what: &'static str, value: &Value) -> TemplateError {
    TemplateError::Shape { what, value: value.to_string() }
}

/// The template as JSON: `!Sub x` is `{"Fn::Sub": x}`, `!Ref x` is `{"Ref": x}`.
///
/// # Errors
/// When it is no YAML, or has a tag that is no intrinsic function.
pub fn read(text: &str) -> Result<Value, TemplateError> {
    let documents = YamlOwned::load_from_str(text)?;
    documents.first().map_or_else(|| Err(shape("the template", &Value::Null)), to_json)
}

fn to_json(node: &YamlOwned) -> Result<Value, TemplateError> {
    Ok(match node {
        YamlOwned::Value(scalar) => match scalar {
            ScalarOwned::Null => Value::Null,
            ScalarOwned::Boolean(boolean) => json!(boolean),
            ScalarOwned::Integer(integer) => json!(integer),
            ScalarOwned::FloatingPoint(number) => json!(number.into_inner()),
            ScalarOwned::String(text) => json!(text),
        },
        YamlOwned::Sequence(items) => Value::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        YamlOwned::Mapping(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                let Value::String(name) = to_json(name)? else {
                    return Err(TemplateError::Unknown(format!("the key {name:?}")));
                };
                object.insert(name, to_json(member)?);
            }
            Value::Object(object)
        }
        YamlOwned::Tagged(tag, node) => function(&tag.suffix, to_json(node)?)?,
        other => return Err(TemplateError::Unknown(format!("{other:?}"))),
    })
}

/// An intrinsic function in its long form.
fn function(tag: &str, argument: Value) -> Result<Value, TemplateError> {
    let name = match tag {
        "Ref" | "Condition" => tag.to_owned(),
        "And" | "Equals" | "GetAtt" | "If" | "Join" | "Not" | "Or" | "Sub" => format!("Fn::{tag}"),
        _ => return Err(TemplateError::Unknown(format!("the tag !{tag}"))),
    };
    let argument = match &argument {
        Value::String(path) if tag == "GetAtt" => json!(path.splitn(2, '.').collect::<Vec<_>>()),
        _ => argument,
    };
    Ok(json!({ name: argument }))
}

/// The stack that a template makes.
#[derive(Debug, Clone)]
pub struct Stack {
    name: String,
    parameters: BTreeMap<String, Value>,
    conditions: BTreeMap<String, Value>,
    resources: BTreeMap<String, Value>,
    /// Names of resources that the template leaves to `CloudFormation`, by their logical ids.
    names: BTreeMap<String, String>,
}

impl Stack {
    /// The stack of that name with these parameters; others have their defaults. `names` are those of resources which the
    /// template does not name; where one is missing it is made of the stack's name and the logical id.
    ///
    /// # Errors
    /// When a parameter does not exist or has no value, or the template has another shape.
    pub fn new(
        template: &Value,
        name: &str,
        parameters: &BTreeMap<&str, Value>,
        names: &BTreeMap<&str, &str>,
    ) -> Result<Self, TemplateError> {
        let object = |member: &str| {
            let empty = Map::new();
            template.get(member).map_or(Ok(empty), |found| {
                found.as_object().cloned().ok_or_else(|| shape("a section of the template", found))
            })
        };
        let declared = object("Parameters")?;
        if let Some(unknown) = parameters.keys().find(|parameter| !declared.contains_key(**parameter)) {
            return Err(TemplateError::Unknown(format!("the parameter {unknown}")));
        }
        let mut values = BTreeMap::new();
        for (parameter, declaration) in &declared {
            let given = parameters.get(parameter.as_str()).or_else(|| declaration.get("Default"));
            let given =
                given.ok_or_else(|| TemplateError::Unknown(format!("the value of the parameter {parameter}")))?;
            let value = match given {
                Value::String(list) if declaration["Type"] == "CommaDelimitedList" => {
                    json!(list.split(',').map(str::trim).collect::<Vec<_>>())
                }
                value => value.clone(),
            };
            values.insert(parameter.clone(), value);
        }
        let mut stack = Self {
            name: name.to_owned(),
            parameters: values,
            conditions: object("Conditions")?.into_iter().collect(),
            resources: BTreeMap::new(),
            names: names.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect(),
        };
        for (id, resource) in object("Resources")? {
            let is_made = match resource.get("Condition").and_then(Value::as_str) {
                Some(condition) => stack.condition(condition)?,
                None => true,
            };
            if is_made {
                stack.resources.insert(id, resource);
            }
        }
        Ok(stack)
    }

    /// The logical ids of the resources of that type, sorted.
    pub fn resources_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let is_of_kind = move |(_, resource): &(&String, &Value)| resource["Type"] == kind;
        self.resources.iter().filter(is_of_kind).map(|(id, _)| id.as_str())
    }

    /// One member of a resource, worked out; `path` is a JSON pointer such as `/Properties/Role`. None where it is not
    /// there.
    ///
    /// # Errors
    /// When it has something that is not known here.
    pub fn member(&self, id: &str, path: &str) -> Result<Option<Value>, TemplateError> {
        self.resources.get(id).and_then(|resource| resource.pointer(path)).map_or(Ok(None), |value| self.resolve(value))
    }

    /// The ARN of a resource.
    ///
    /// # Errors
    /// When the resource is not there, or is of a type that is not known here.
    pub fn arn(&self, id: &str) -> Result<String, TemplateError> {
        let name = self.physical_name(id)?;
        let arn = |service: &str, resource: &str| format!("arn:{PARTITION}:{service}:{REGION}:{ACCOUNT}:{resource}");
        Ok(match self.kind(id)? {
            "AWS::Serverless::Function" => arn("lambda", &format!("function:{name}")),
            "AWS::Serverless::StateMachine" => arn("states", &format!("stateMachine:{name}")),
            "AWS::DynamoDB::Table" => arn("dynamodb", &format!("table/{name}")),
            "AWS::Events::Rule" => arn("events", &format!("rule/{name}")),
            // With the streams below it, as CloudFormation hands it out.
            "AWS::Logs::LogGroup" => arn("logs", &format!("log-group:{name}:*")),
            "AWS::SNS::Topic" => arn("sns", &name),
            "AWS::SQS::Queue" => arn("sqs", &name),
            "AWS::IAM::Role" => format!("arn:{PARTITION}:iam::{ACCOUNT}:role/{name}"),
            "AWS::IAM::ManagedPolicy" => format!("arn:{PARTITION}:iam::{ACCOUNT}:policy/{name}"),
            kind => return Err(TemplateError::Unknown(format!("the ARN of a resource of the type {kind}"))),
        })
    }

    fn kind(&self, id: &str) -> Result<&str, TemplateError> {
        let kind = self.resources.get(id).and_then(|resource| resource["Type"].as_str());
        kind.ok_or_else(|| TemplateError::Unknown(format!("the resource {id}")))
    }

    fn physical_name(&self, id: &str) -> Result<String, TemplateError> {
        for property in ["FunctionName", "Name", "LogGroupName", "TableName", "TopicName", "QueueName", "RoleName"] {
            if let Some(name) = self.member(id, &format!("/Properties/{property}"))? {
                return name.as_str().map(str::to_owned).ok_or_else(|| shape("a name", &name));
            }
        }
        Ok(self.names.get(id).cloned().unwrap_or_else(|| format!("{}-{id}", self.name)))
    }

    fn condition(&self, name: &str) -> Result<bool, TemplateError> {
        let condition = self.conditions.get(name);
        self.truth(condition.ok_or_else(|| TemplateError::Unknown(format!("the condition {name}")))?)
    }

    fn truth(&self, condition: &Value) -> Result<bool, TemplateError> {
        let (function, argument) = only_member(condition).ok_or_else(|| shape("a condition", condition))?;
        let arguments = || argument.as_array().ok_or_else(|| shape("a condition", condition));
        match function {
            "Condition" => self.condition(argument.as_str().ok_or_else(|| shape("a condition", condition))?),
            "Fn::Not" => match arguments()?.as_slice() {
                [negated] => Ok(!self.truth(negated)?),
                _ => Err(shape("a condition", condition)),
            },
            "Fn::And" => arguments()?.iter().try_fold(true, |all, one| Ok(self.truth(one)? && all)),
            "Fn::Or" => arguments()?.iter().try_fold(false, |any, one| Ok(self.truth(one)? || any)),
            "Fn::Equals" => match arguments()?.as_slice() {
                [left, right] => Ok(self.resolve(left)? == self.resolve(right)?),
                _ => Err(shape("a condition", condition)),
            },
            other => Err(TemplateError::Unknown(format!("the condition {other}"))),
        }
    }

    /// The value with all functions worked out; none for `AWS::NoValue`.
    fn resolve(&self, value: &Value) -> Result<Option<Value>, TemplateError> {
        match value {
            Value::Array(items) => {
                let mut resolved = Vec::new();
                for item in items {
                    resolved.extend(self.resolve(item)?);
                }
                Ok(Some(Value::Array(resolved)))
            }
            Value::Object(members) => match only_member(value) {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => self.call(name, argument),
                _ => {
                    let mut resolved = Map::new();
                    for (name, member) in members {
                        if let Some(member) = self.resolve(member)? {
                            resolved.insert(name.clone(), member);
                        }
                    }
                    Ok(Some(Value::Object(resolved)))
                }
            },
            other => Ok(Some(other.clone())),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Result<Option<Value>, TemplateError> {
        let malformed = || shape("the argument of a function", argument);
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(malformed);
        match (function, argument) {
            ("Ref", Value::String(name)) => self.reference(name),
            ("Fn::GetAtt", Value::Array(path)) => match path.as_slice() {
                [Value::String(id), Value::String(attribute)] => self.attribute(id, attribute).map(Some),
                _ => Err(malformed()),
            },
            ("Fn::Sub", Value::String(template)) => self.substitute(template).map(|text| Some(json!(text))),
            ("Fn::If", Value::Array(choice)) => match choice.as_slice() {
                [Value::String(condition), yes, no] => self.resolve(if self.condition(condition)? { yes } else { no }),
                _ => Err(malformed()),
            },
            ("Fn::Join", Value::Array(arguments)) => match arguments.as_slice() {
                [Value::String(separator), list] => {
                    let list = self.resolve(list)?.unwrap_or_default();
                    let words = list.as_array().ok_or_else(malformed)?.iter().map(text);
                    Ok(Some(json!(words.collect::<Result<Vec<_>, _>>()?.join(separator))))
                }
                _ => Err(malformed()),
            },
            _ => Err(TemplateError::Unknown(format!("the function {function} of {argument}"))),
        }
    }

    fn reference(&self, name: &str) -> Result<Option<Value>, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(Some(value.clone()));
        }
        let text = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => ACCOUNT.to_owned(),
            "AWS::Partition" => PARTITION.to_owned(),
            "AWS::Region" => REGION.to_owned(),
            "AWS::StackName" => self.name.clone(),
            id => match self.kind(id)? {
                "AWS::IAM::ManagedPolicy" | "AWS::SNS::Topic" | "AWS::Serverless::StateMachine" => self.arn(id)?,
                "AWS::DynamoDB::Table" | "AWS::Logs::LogGroup" | "AWS::Serverless::Function" => {
                    self.physical_name(id)?
                }
                kind => return Err(TemplateError::Unknown(format!("a Ref to a resource of the type {kind}"))),
            },
        };
        Ok(Some(json!(text)))
    }

    fn attribute(&self, id: &str, attribute: &str) -> Result<Value, TemplateError> {
        match attribute {
            "Arn" => self.arn(id).map(|arn| json!(arn)),
            "Name" | "QueueName" => self.physical_name(id).map(|name| json!(name)),
            other => Err(TemplateError::Unknown(format!("the attribute {id}.{other}"))),
        }
    }

    fn substitute(&self, template: &str) -> Result<String, TemplateError> {
        let mut text = String::new();
        let mut pieces = template.split("${");
        text.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let (name, rest) = piece.split_once('}').ok_or_else(|| shape("a Sub", &json!(template)))?;
            let value = match name.split_once('.') {
                Some((id, attribute)) => Some(self.attribute(id, attribute)?),
                None => self.reference(name)?,
            };
            match value {
                Some(Value::String(value)) => text.push_str(&value),
                Some(Value::Number(value)) => text.push_str(&value.to_string()),
                other => return Err(shape("a value in a Sub", &other.unwrap_or_default())),
            }
            text.push_str(rest);
        }
        Ok(text)
    }
}

/// Name and value of an object's only member.
fn only_member(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.iter().next().map(|(name, member)| (name.as_str(), member))
}

/// The texts of a member that is one text or a list of them.
///
/// # Errors
/// When it is neither.
pub fn texts(what: &'static str, value: &Value) -> Result<BTreeSet<String>, TemplateError> {
    match value {
        Value::String(text) => Ok(BTreeSet::from([text.clone()])),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| shape(what, value))).collect()
        }
        _ => Err(shape(what, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Parameters:
  Names: { Type: CommaDelimitedList }
  Key: { Type: String, Default: "" }
Conditions:
  HasKey: !Not [!Equals [!Ref Key, ""]]
  HasBoth: !And [!Condition HasKey, !Not [!Equals [!Join ["", !Ref Names], ""]]]
Resources:
  Table:
    Type: AWS::DynamoDB::Table
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "${AWS::StackName}-worker"
      Environment:
        table: !Ref Table
        tableArn: !GetAtt Table.Arn
        names: !Ref Names
        key: !If [HasKey, !Ref Key, !Ref AWS::NoValue]
        list: [one, !If [HasKey, two, !Ref "AWS::NoValue"]]
        long: { "Fn::Sub": "${Worker.Arn}/${AWS::Region}" }
  Keeper:
    Type: AWS::SQS::Queue
    Condition: HasBoth
"#;

    fn stack(parameters: &[(&'static str, Value)]) -> Stack {
        let parameters = parameters.iter().cloned().collect();
        Stack::new(&read(TEMPLATE).unwrap(), "s", &parameters, &BTreeMap::from([("Table", "turns")])).unwrap()
    }

    #[test]
    fn functions_are_worked_out() {
        let stack = stack(&[("Names", json!("a, b"))]);
        assert_eq!(
            stack.member("Worker", "/Properties/Environment").unwrap().unwrap(),
            json!({
                "table": "turns",
                "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/turns",
                "names": ["a", "b"],
                "list": ["one"],
                "long": "arn:aws:lambda:us-east-1:123456789012:function:s-worker/us-east-1",
            })
        );
        assert_eq!(stack.member("Worker", "/Properties/None").unwrap(), None);
    }

    #[test]
    fn conditions_decide_what_there_is() {
        let without = stack(&[("Names", json!("a"))]);
        assert_eq!(without.resources_of("AWS::SQS::Queue").count(), 0);
        let with = stack(&[("Names", json!("a")), ("Key", json!("k"))]);
        assert_eq!(with.resources_of("AWS::SQS::Queue").collect::<Vec<_>>(), ["Keeper"]);
        let environment = with.member("Worker", "/Properties/Environment").unwrap().unwrap();
        assert_eq!((&environment["key"], &environment["list"]), (&json!("k"), &json!(["one", "two"])));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let unknown = |template: &str, path: &str| {
            let parsed =
                read(template).and_then(|template| Stack::new(&template, "s", &BTreeMap::new(), &BTreeMap::new()));
            parsed.and_then(|stack| stack.member("It", path)).unwrap_err().to_string()
        };
        let resource = |value: &str| format!("Resources: {{ It: {{ Type: T, Properties: {{ P: {value} }} }} }}");
        for (value, expected) in [
            ("!Select [0, [a]]", "the tag !Select is not known"),
            ("{ \"Fn::Select\": [0, [a]] }", "the function Fn::Select of"),
            ("!Ref Nothing", "the resource Nothing is not known"),
            ("!If [Nothing, a, b]", "the condition Nothing is not known"),
            ("!GetAtt It.Arn", "the ARN of a resource of the type T is not known"),
            ("!GetAtt It.Colour", "the attribute It.Colour is not known"),
            ("!Ref It", "a Ref to a resource of the type T is not known"),
        ] {
            let error = unknown(&resource(value), "/Properties/P");
            assert!(error.starts_with(expected), "{value}: {error}");
        }
        let error = unknown("Parameters: { P: { Type: String } }", "");
        assert!(error.starts_with("the value of the parameter P is not known"), "{error}");
    }
}
