//! Payload templates (JSON with expressions in its strings) and their evaluation against a state's data.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, HostFnResult};
use jsonata_core::value::JValue;
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::expression::{Available, Expression, Fields, HostFunction, Needs, Part, Reference, Root, delimited};
use crate::failure::{Failure, QUERY_EVALUATION_ERROR};
use crate::random::Generator;

/// Workflow variables by name.
pub(crate) type Variables = HashMap<String, Variable>;

/// A workflow variable.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) value: Arc<Value>,
    /// Its size as JSON.
    pub(crate) bytes: usize,
}

/// The largest integer up to which every integer is a number of its own in `JSONata`.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// The most elements that `$range` makes on the service before its memory limit.
const RANGE_ELEMENTS: f64 = 360_145.0;

/// The data that a state's expressions see.
pub(crate) struct Scope<'a> {
    pub(crate) input: &'a Arc<Value>,
    pub(crate) result: Option<&'a Arc<Value>>,
    pub(crate) error_output: Option<&'a Arc<Value>>,
    pub(crate) context: &'a ContextObject<'a>,
    pub(crate) variables: &'a Variables,
    pub(crate) generator: &'a Cell<Generator>,
    pub(crate) now: Timestamp,
}

/// The context object in its parts: most expressions read one field, and most parts stay the same.
pub(crate) struct ContextObject<'a> {
    pub(crate) execution: &'a Value,
    /// Made when an expression first reads it.
    pub(crate) state: &'a dyn Deref<Target = Value>,
    pub(crate) state_machine: &'a Value,
    /// A Map's item, as `{ "Item": { "Index": 0, "Value": … } }`; only where there is one.
    pub(crate) map: Option<&'a Value>,
}

impl ContextObject<'_> {
    fn objects(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let everywhere = [("Execution", self.execution), ("State", self.state), ("StateMachine", self.state_machine)];
        everywhere.into_iter().chain(self.map.map(|map| ("Map", map)))
    }

    fn object(&self, name: &str) -> Option<&Value> {
        match name {
            "Execution" => Some(self.execution),
            "State" => Some(self.state),
            "StateMachine" => Some(self.state_machine),
            "Map" => self.map,
            _ => None,
        }
    }
}

impl Scope<'_> {
    /// A part of `$states` that exists here, other than the context.
    fn part(&self, part: Part) -> Option<&Arc<Value>> {
        match part {
            Part::Input => Some(self.input),
            Part::Result => self.result,
            Part::ErrorOutput => self.error_output,
            Part::Context => None,
        }
    }
}

/// A value of the definition in which expressions are compiled and all else is as it will be.
#[derive(Debug)]
enum Node {
    Constant(Value),
    Expression(Box<Expression>),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// A field of a definition that may hold expressions.
#[derive(Debug)]
pub(crate) struct Template {
    /// The field's place in its state, for error messages: `Output`, `Choices[0]/Condition`.
    field: String,
    node: Node,
    /// What the expressions that need the evaluator read, all together.
    needs: Needs,
}

impl Template {
    /// Compiles a value; the error tells which place in it is wrong, and why.
    pub(crate) fn compile(field: &str, value: &Value, available: Available<'_>) -> Result<Self, (String, String)> {
        let mut needs = Needs::default();
        let node = compile(field, value, available, &mut needs)?;
        Ok(Self { field: field.to_owned(), node, needs })
    }

    /// The value itself, if no expression is in it.
    pub(crate) fn constant(&self) -> Option<&Value> {
        match &self.node {
            Node::Constant(value) => Some(value),
            Node::Expression(_) | Node::Array(_) | Node::Object(_) => None,
        }
    }

    /// Whether the whole value is one expression.
    pub(crate) fn is_expression(&self) -> bool {
        matches!(self.node, Node::Expression(_))
    }

    /// Whether it is an array, be it with expressions in it.
    pub(crate) fn is_array(&self) -> bool {
        matches!(self.node, Node::Array(_) | Node::Constant(Value::Array(_)))
    }

    /// The field's names, if it is an object.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        match &self.node {
            Node::Constant(Value::Object(fields)) => Some(fields.keys().map(String::as_str).collect()),
            Node::Object(fields) => Some(fields.iter().map(|(name, _)| name.as_str()).collect()),
            Node::Constant(_) | Node::Expression(_) | Node::Array(_) => None,
        }
    }

    pub(crate) fn evaluate(&self, scope: &Scope<'_>) -> Result<Arc<Value>, Failure> {
        self.session(scope).shared(&self.node, &Place::Field(&self.field))
    }

    /// Evaluates an Assign: every value against the same scope, so that none sees another's new value.
    pub(crate) fn evaluate_fields(&self, scope: &Scope<'_>) -> Result<Vec<(String, Arc<Value>)>, Failure> {
        let place = Place::Field(&self.field);
        let mut session = self.session(scope);
        match &self.node {
            Node::Object(nodes) => nodes
                .iter()
                .map(|(name, node)| Ok((name.clone(), session.shared(node, &Place::Name(&place, name))?)))
                .collect(),
            Node::Constant(Value::Object(fields)) => {
                Ok(fields.iter().map(|(name, value)| (name.clone(), Arc::new(value.clone()))).collect())
            }
            node => Err(unexpected_type(&self.field, "Object", &*session.shared(node, &place)?)),
        }
    }

    fn session<'a>(&'a self, scope: &'a Scope<'a>) -> Session<'a> {
        Session { scope, needs: &self.needs, evaluator: None }
    }

    pub(crate) fn evaluate_boolean(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        let value = self.evaluate(scope)?;
        value.as_bool().ok_or_else(|| unexpected_type(&self.field, "Boolean", &value))
    }

    pub(crate) fn evaluate_string(&self, scope: &Scope<'_>) -> Result<String, Failure> {
        let value = self.evaluate(scope)?;
        value.as_str().map(str::to_owned).ok_or_else(|| unexpected_type(&self.field, "String", &value))
    }

    /// A whole number in the given range.
    pub(crate) fn evaluate_integer(&self, scope: &Scope<'_>, least: u64, most: u64) -> Result<u64, Failure> {
        let value = self.evaluate(scope)?;
        value.as_u64().filter(|integer| (least..=most).contains(integer)).ok_or_else(|| {
            let expected = format!("Integer from {least} to {most}");
            unexpected_type(&self.field, &expected, &value)
        })
    }

    pub(crate) fn field(&self) -> &str {
        &self.field
    }
}

fn compile(place: &str, value: &Value, available: Available<'_>, needs: &mut Needs) -> Result<Node, (String, String)> {
    let failed = |problem: String| (place.to_owned(), problem);
    Ok(match value {
        Value::String(text) => match delimited(text).map_err(failed)? {
            None => Node::Constant(value.clone()),
            Some(source) => {
                let expression = Expression::compile(source, available).map_err(failed)?;
                needs.add(&expression.needs);
                Node::Expression(Box::new(expression))
            }
        },
        Value::Array(items) => {
            let nodes: Vec<Node> = items
                .iter()
                .enumerate()
                .map(|(index, item)| compile(&format!("{place}[{index}]"), item, available, needs))
                .collect::<Result<_, _>>()?;
            if nodes.iter().all(|node| matches!(node, Node::Constant(_))) {
                Node::Constant(value.clone())
            } else {
                Node::Array(nodes)
            }
        }
        Value::Object(fields) => {
            let nodes: Vec<(String, Node)> = fields
                .iter()
                .map(|(name, item)| {
                    compile(&format!("{place}/{name}"), item, available, needs).map(|node| (name.clone(), node))
                })
                .collect::<Result<_, _>>()?;
            if nodes.iter().all(|(_, node)| matches!(node, Node::Constant(_))) {
                Node::Constant(value.clone())
            } else {
                Node::Object(nodes)
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Constant(value.clone()),
    })
}

/// Where in a field an expression stands; made into text only when something is wrong.
enum Place<'a> {
    Field(&'a str),
    Name(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(field) => formatter.write_str(field),
            Self::Name(parent, name) => write!(formatter, "{parent}/{name}"),
            Self::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

/// One evaluation of one field; its evaluator is made when the first expression needs it.
struct Session<'a> {
    scope: &'a Scope<'a>,
    needs: &'a Needs,
    evaluator: Option<(Evaluator, Rc<Cell<Generator>>)>,
}

impl Session<'_> {
    /// Evaluates a node whose value may be the whole of something that is there already.
    fn shared(&mut self, node: &Node, place: &Place<'_>) -> Result<Arc<Value>, Failure> {
        if let Node::Expression(expression) = node
            && let Some(value) = expression.reference.as_ref().and_then(|reference| whole(self.scope, reference))
        {
            return Ok(Arc::clone(value));
        }
        self.evaluate(node, place).map(Arc::new)
    }

    fn evaluate(&mut self, node: &Node, place: &Place<'_>) -> Result<Value, Failure> {
        match node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Expression(expression) => self.expression(expression, place),
            Node::Array(nodes) => nodes
                .iter()
                .enumerate()
                .map(|(index, node)| self.evaluate(node, &Place::Index(place, index)))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            Node::Object(nodes) => nodes
                .iter()
                .map(|(name, node)| Ok((name.clone(), self.evaluate(node, &Place::Name(place, name))?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
        }
    }

    fn expression(&mut self, expression: &Expression, place: &Place<'_>) -> Result<Value, Failure> {
        if let Some(value) = expression.reference.as_ref().and_then(|reference| follow(self.scope, reference)) {
            return Ok(value.clone());
        }
        let failed = |what: String| {
            let source = &expression.source;
            let cause = format!("The JSONata expression '{source}' specified for the field '{place}' {what}");
            Failure::new(QUERY_EVALUATION_ERROR, cause)
        };
        if self.evaluator.is_none() {
            self.evaluator = Some(evaluator(self.scope, self.needs).map_err(|error| failed(threw(&error)))?);
        }
        let Some((evaluator, generator)) = &mut self.evaluator else {
            return Err(failed("could not be evaluated.".to_owned()));
        };
        let outcome = evaluator.evaluate(&expression.tree, &JValue::Undefined);
        self.scope.generator.set(generator.get());
        match outcome {
            Ok(JValue::Undefined) => Err(failed("returned nothing (undefined).".to_owned())),
            Ok(value) => {
                to_json(&value).map_err(|kind| failed(format!("returned an unsupported result type ({kind}).")))
            }
            Err(error) => Err(failed(threw(&error))),
        }
    }
}

fn threw(error: &EvaluatorError) -> String {
    format!("threw an error during evaluation. {}", error.message())
}

/// The failure of a field whose value has the wrong type.
pub(crate) fn unexpected_type(field: &str, expected: &str, value: &Value) -> Failure {
    let actual = match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Object",
    };
    let cause = format!(
        "The JSONata expression specified for the field '{field}' returned an unexpected result type. Expected \
         '{expected}', but was '{actual}'."
    );
    Failure::new(QUERY_EVALUATION_ERROR, cause)
}

/// The whole of a part or variable, which can be shared instead of copied.
fn whole<'a>(scope: &'a Scope<'_>, reference: &Reference) -> Option<&'a Arc<Value>> {
    if !reference.fields.is_empty() {
        return None;
    }
    root(scope, &reference.root)
}

fn root<'a>(scope: &'a Scope<'_>, root: &Root) -> Option<&'a Arc<Value>> {
    match root {
        Root::Part(part) => scope.part(*part),
        Root::Variable(name) => scope.variables.get(name).map(|variable| &variable.value),
    }
}

/// Follows a reference through objects. Nothing comes of it where `JSONata` has rules of its own (arrays, and what is
/// not there), which are left to the evaluator.
fn follow<'a>(scope: &'a Scope<'_>, reference: &Reference) -> Option<&'a Value> {
    let mut fields = reference.fields.iter();
    let mut value: &Value = match &reference.root {
        Root::Part(Part::Context) => scope.context.object(fields.next()?)?,
        other => root(scope, other)?,
    };
    for field in fields {
        value = value.as_object()?.get(field)?;
    }
    Some(value)
}

fn evaluator(scope: &Scope<'_>, needs: &Needs) -> Result<(Evaluator, Rc<Cell<Generator>>), EvaluatorError> {
    let mut context = Context::new();
    let parts = needs.parts.iter().filter_map(|(part, fields)| {
        let value = match part {
            Part::Context => JValue::object(
                scope.context.objects().map(|(name, value)| (name.to_owned(), to_jsonata(value))).collect(),
            ),
            part => some_to_jsonata(scope.part(*part)?, fields),
        };
        Some((part.name().to_owned(), value))
    });
    let parts = parts.collect();
    context.bind("states".to_owned(), JValue::object(parts));
    for name in &needs.variables {
        if let Some(variable) = scope.variables.get(name) {
            context.bind(name.clone(), to_jsonata(&variable.value));
        }
    }
    let mut evaluator = Evaluator::with_context(context);
    let generator = Rc::new(Cell::new(scope.generator.get()));
    for function in &needs.functions {
        register(&mut evaluator, *function, scope.now, &generator)?;
    }
    Ok((evaluator, generator))
}

fn register(
    evaluator: &mut Evaluator,
    function: HostFunction,
    now: Timestamp,
    generator: &Rc<Cell<Generator>>,
) -> Result<(), EvaluatorError> {
    let generator = Rc::clone(generator);
    match function {
        HostFunction::Hash => evaluator.register_fn("hash", hash),
        HostFunction::Parse => evaluator.register_fn("parse", parse),
        HostFunction::Partition => evaluator.register_fn("partition", |arguments: &[JValue]| Ok(partition(arguments))),
        HostFunction::Range => evaluator.register_fn("range", range),
        HostFunction::Now => {
            evaluator.register_fn_override("now", move |_: &[JValue]| Ok(JValue::string(format!("{now:.3}"))))
        }
        HostFunction::Millis => {
            evaluator.register_fn_override("millis", move |_: &[JValue]| Ok(JValue::from_i64(now.as_millisecond())))
        }
        HostFunction::Random => evaluator.register_fn_override("random", move |arguments: &[JValue]| {
            let fraction = match arguments.first().and_then(JValue::as_f64) {
                Some(seed) => Generator::new(seed.to_bits()).fraction(),
                None => draw(&generator, Generator::fraction),
            };
            Ok(JValue::from_f64(fraction))
        }),
        HostFunction::Uuid => evaluator.register_fn("uuid", move |_: &[JValue]| {
            let bytes = draw(&generator, Generator::bytes);
            Ok(JValue::string(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()))
        }),
    }
}

fn draw<T>(generator: &Cell<Generator>, draw: impl FnOnce(&mut Generator) -> T) -> T {
    let mut state = generator.get();
    let drawn = draw(&mut state);
    generator.set(state);
    drawn
}

fn invalid(message: impl Into<String>) -> EvaluatorError {
    EvaluatorError::EvaluationError(message.into())
}

fn hash(arguments: &[JValue]) -> HostFnResult {
    let (Some(data), Some(algorithm)) =
        (arguments.first().and_then(JValue::as_str), arguments.get(1).and_then(JValue::as_str))
    else {
        return Ok(JValue::Undefined);
    };
    let digest = match algorithm {
        "SHA-256" => Sha256::digest(data).to_vec(),
        "SHA-384" => Sha384::digest(data).to_vec(),
        "SHA-512" => Sha512::digest(data).to_vec(),
        other => return Err(invalid(format!("$hash: the algorithm {other:?} is not supported"))),
    };
    Ok(JValue::string(hexadecimal(&digest)))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn parse(arguments: &[JValue]) -> HostFnResult {
    match arguments.first() {
        None | Some(JValue::Undefined) => Ok(JValue::Undefined),
        Some(JValue::String(text)) => {
            JValue::from_json_str(text).map_err(|error| invalid(format!("$parse: not JSON: {error}")))
        }
        Some(_) => Err(invalid("$parse: the argument must be a string")),
    }
}

fn partition(arguments: &[JValue]) -> JValue {
    let (Some(items), Some(size)) =
        (arguments.first().and_then(JValue::as_array), arguments.get(1).and_then(JValue::as_f64))
    else {
        return JValue::Undefined;
    };
    if items.is_empty() || size < 1.0 {
        return JValue::Undefined;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1, and capped by `as`")]
    let size = size as usize;
    JValue::array(items.chunks(size).map(|chunk| JValue::array(chunk.to_vec())).collect())
}

/// The numbers from `start` to `end`, the end included where the step lands on it; arguments are cut to integers.
fn range(arguments: &[JValue]) -> HostFnResult {
    let number = |index: usize| arguments.get(index).and_then(JValue::as_f64).map(f64::trunc);
    let (Some(start), Some(end), Some(step)) = (number(0), number(1), number(2)) else { return Ok(JValue::Undefined) };
    let steps = ((end - start) / step).floor();
    if steps.is_nan() || steps < 0.0 {
        return Ok(JValue::Undefined);
    }
    if steps >= RANGE_ELEMENTS {
        return Err(invalid("Expression evaluation memory limit exceeded"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in [0, 360145)")]
    let last = steps as i32;
    Ok(JValue::sequence((0..=last).map(|index| JValue::from_f64(start + f64::from(index) * step)).collect()))
}

/// What an expression reads of a value.
fn some_to_jsonata(value: &Value, fields: &Fields) -> JValue {
    match (value, fields) {
        (Value::Object(object), Fields::Some(names)) => {
            let read = names.iter().filter_map(|name| Some((name.clone(), to_jsonata(object.get(name)?))));
            JValue::object(read.collect())
        }
        (value, _) => to_jsonata(value),
    }
}

fn to_jsonata(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(value) => JValue::Bool(*value),
        Value::Number(value) => JValue::Number(value.as_f64().unwrap_or(f64::NAN)),
        Value::String(value) => JValue::string(value.as_str()),
        Value::Array(items) => JValue::array(items.iter().map(to_jsonata).collect()),
        Value::Object(fields) => {
            JValue::object(fields.iter().map(|(name, value)| (name.clone(), to_jsonata(value))).collect())
        }
    }
}

/// A result as JSON; the error names what is not JSON about it.
fn to_json(value: &JValue) -> Result<Value, &'static str> {
    Ok(match value {
        JValue::Null => Value::Null,
        JValue::Bool(value) => Value::Bool(*value),
        JValue::Number(value) => Value::Number(number(*value).ok_or("Number that is not finite")?),
        JValue::String(value) => Value::String(value.to_string()),
        JValue::Array(items) => Value::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        JValue::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| to_json(value).map(|value| (name.clone(), value)))
                .collect::<Result<_, _>>()?,
        ),
        JValue::Undefined => return Err("Undefined"),
        JValue::Lambda(_) | JValue::Builtin { .. } => return Err("Function"),
        JValue::Regex { .. } => return Err("Regular expression"),
    })
}

fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < EXACT_INTEGERS {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 53 bits")]
        let integer = value as i64;
        return Some(Number::from(integer));
    }
    Number::from_f64(value)
}
