//! Expressions in `JSONata` as Step Functions takes them: parsed once, with what they read (`$states` parts, variables,
//! added functions) worked out and checked when the definition is read, so that running one binds no more than it needs.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use jsonata_core::parser;

/// The functions of `JSONata` that Step Functions has and that this engine can repeat exactly.
const BUILT_IN: [&str; 59] = [
    "abs",
    "append",
    "assert",
    "average",
    "base64decode",
    "base64encode",
    "boolean",
    "ceil",
    "contains",
    "count",
    "decodeUrl",
    "decodeUrlComponent",
    "distinct",
    "each",
    "encodeUrl",
    "encodeUrlComponent",
    "error",
    "exists",
    "filter",
    "floor",
    "formatBase",
    "formatInteger",
    "formatNumber",
    "fromMillis",
    "join",
    "keys",
    "length",
    "lookup",
    "lowercase",
    "map",
    "match",
    "max",
    "merge",
    "min",
    "not",
    "number",
    "pad",
    "parseInteger",
    "power",
    "reduce",
    "replace",
    "reverse",
    "round",
    "sift",
    "single",
    "sort",
    "split",
    "spread",
    "sqrt",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "sum",
    "toMillis",
    "trim",
    "type",
    "uppercase",
    "zip",
];

/// A function that the engine itself provides: the ones Step Functions adds, and the ones that read the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HostFunction {
    Hash,
    Millis,
    Now,
    Parse,
    Partition,
    Random,
    Range,
    Uuid,
}

impl HostFunction {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hash" => Self::Hash,
            "millis" => Self::Millis,
            "now" => Self::Now,
            "parse" => Self::Parse,
            "partition" => Self::Partition,
            "random" => Self::Random,
            "range" => Self::Range,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }
}

/// A part of the reserved variable `$states`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Input,
    Result,
    ErrorOutput,
    Context,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Result => "result",
            Self::ErrorOutput => "errorOutput",
            Self::Context => "context",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Input, Self::Result, Self::ErrorOutput, Self::Context].into_iter().find(|part| part.name() == name)
    }
}

/// The fields of the context object that the engine fills, beside those of a Map's item.
const CONTEXT: [(&str, &[&str]); 3] = [
    ("Execution", &["Id", "Input", "Name", "RedriveCount", "RoleArn", "StartTime"]),
    ("State", &["EnteredTime", "Name", "RetryCount"]),
    ("StateMachine", &["Id", "Name"]),
];

/// What expressions read of a part of `$states`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fields {
    /// All of it, or what cannot be told beforehand.
    All,
    /// Only these fields, if it is an object.
    Some(BTreeSet<String>),
}

impl Fields {
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Some(fields), Self::Some(other)) => fields.extend(other),
            (fields, _) => *fields = Self::All,
        }
    }
}

/// What one or several expressions read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Needs {
    pub(crate) parts: BTreeMap<Part, Fields>,
    pub(crate) variables: BTreeSet<String>,
    pub(crate) functions: BTreeSet<HostFunction>,
}

impl Needs {
    fn read(&mut self, part: Part, fields: Fields) {
        self.parts.entry(part).or_insert_with(|| Fields::Some(BTreeSet::new())).add(fields);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (part, fields) in &other.parts {
            self.read(*part, fields.clone());
        }
        self.variables.extend(other.variables.iter().cloned());
        self.functions.extend(&other.functions);
    }
}

/// Where a plain reference starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Root {
    Part(Part),
    Variable(String),
}

/// A reference such as `$states.input.policy.bake` that can be followed without the evaluator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) root: Root,
    pub(crate) fields: Vec<String>,
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) source: String,
    pub(crate) tree: AstNode,
    pub(crate) reference: Option<Reference>,
    pub(crate) needs: Needs,
}

/// What an expression may refer to where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Available<'a> {
    /// Whether `$states.result` exists there (a Task's or Map's Output and Assign).
    pub(crate) result: bool,
    /// Whether `$states.errorOutput` exists there (a Catcher's Output and Assign).
    pub(crate) error_output: bool,
    /// Whether `$states.context.Map` exists there (a Map's `ItemSelector`, and the states in its `ItemProcessor`).
    pub(crate) item: bool,
    /// Every variable that some Assign of the same level, or of one around it, sets.
    pub(crate) variables: &'a HashSet<String>,
}

/// The text between `{%` and `%}`, if a string is an expression; an error if it only begins or ends like one.
pub(crate) fn delimited(text: &str) -> Result<Option<&str>, String> {
    match (text.strip_prefix("{%"), text.ends_with("%}")) {
        (Some(rest), true) => match rest.strip_suffix("%}") {
            Some(source) => Ok(Some(source.trim())),
            None => Err(format!("{text:?} is not a JSONata expression")),
        },
        (Some(_), false) => Err(format!("{text:?} begins a JSONata expression and does not end it with %}}")),
        (None, true) => Err(format!("{text:?} ends a JSONata expression and does not begin it with {{%")),
        (None, false) => Ok(None),
    }
}

impl Expression {
    /// Parses an expression and checks everything it names.
    pub(crate) fn compile(source: &str, available: Available<'_>) -> Result<Self, String> {
        let tree = parser::parse(source).map_err(|error| format!("{source:?} is not JSONata: {error}"))?;
        let mut local = HashSet::new();
        let mut reads_parents = false;
        walk(&tree, true, &mut |node, _| {
            bindings(node, &mut local);
            reads_parents |= matches!(node, AstNode::Parent(_));
            Ok(())
        })?;
        let mut needs = Needs::default();
        walk(&tree, true, &mut |node, top_level| inspect(node, top_level, available, &local, &mut needs))
            .map_err(|problem| format!("{source:?}: {problem}"))?;
        if reads_parents {
            needs.parts.values_mut().for_each(|fields| *fields = Fields::All);
        }
        let reference = plain_reference(&tree, &needs);
        Ok(Self { source: source.to_owned(), tree, reference, needs })
    }
}

/// Collects the names that an expression binds for itself.
fn bindings(node: &AstNode, local: &mut HashSet<String>) {
    match node {
        AstNode::Lambda { params, .. } => local.extend(params.iter().cloned()),
        AstNode::Binary { op: BinaryOp::ColonEqual, lhs, .. } => {
            if let AstNode::Variable(name) = lhs.as_ref() {
                local.insert(name.clone());
            }
        }
        AstNode::Path { steps } => {
            for step in steps {
                local.extend(step.focus.iter().chain(&step.index_var).cloned());
                local.extend(step.stages.iter().filter_map(|stage| match stage {
                    Stage::Index(name) => Some(name.clone()),
                    Stage::Filter(_) | Stage::KeepArray => None,
                }));
            }
        }
        _ => {}
    }
}

fn inspect(
    node: &AstNode,
    top_level: bool,
    available: Available<'_>,
    local: &HashSet<String>,
    needs: &mut Needs,
) -> Result<(), String> {
    if local.contains("states") {
        return Err("$states is reserved".to_owned());
    }
    match node {
        // Step Functions evaluates JSONata 2.0.6; these came with 2.1.
        AstNode::Binary { op: BinaryOp::Coalesce, .. } => {
            Err("Step Functions does not know the operator ??".to_owned())
        }
        AstNode::Binary { op: BinaryOp::Default, .. } => Err("Step Functions does not know the operator ?:".to_owned()),
        AstNode::ParentVariable(_) => Err("reference to '$$' is not supported".to_owned()),
        AstNode::Name(name) if top_level => Err(format!("reference to '{name}' at the top level is not supported")),
        AstNode::Wildcard | AstNode::Descendant | AstNode::Parent(_) if top_level => {
            Err("a wildcard or parent step at the top level is not supported".to_owned())
        }
        AstNode::Variable(name) if name.is_empty() => {
            if top_level {
                return Err("reference to '$' at the top level is not supported".to_owned());
            }
            Ok(())
        }
        AstNode::Variable(name) if name == "states" => {
            let parts = [Some(Part::Input), Some(Part::Context)];
            let present =
                [available.result.then_some(Part::Result), available.error_output.then_some(Part::ErrorOutput)];
            for part in parts.into_iter().chain(present).flatten() {
                needs.read(part, Fields::All);
            }
            Ok(())
        }
        AstNode::Variable(name) => {
            if available.variables.contains(name) {
                needs.variables.insert(name.clone());
            } else if !local.contains(name) {
                function(name, needs).map_err(|_| format!("no Assign sets the variable ${name}"))?;
            }
            Ok(())
        }
        AstNode::Function { name, is_builtin: false, .. } => Err(format!("a function is called with a $: ${name}(…)")),
        AstNode::Function { name, .. } if local.contains(name) => Ok(()),
        AstNode::Function { name, args, .. } => {
            if matches!(name.as_str(), "now" | "millis") && !args.is_empty() {
                return Err(format!("${name} with arguments is not supported"));
            }
            function(name, needs)
        }
        AstNode::Path { steps } => states_path(steps, available, needs),
        _ => Ok(()),
    }
}

fn function(name: &str, needs: &mut Needs) -> Result<(), String> {
    if let Some(function) = HostFunction::named(name) {
        needs.functions.insert(function);
    } else if !BUILT_IN.contains(&name) {
        return Err(match name {
            "eval" => "Step Functions does not support $eval; use $parse".to_owned(),
            "shuffle" => "$shuffle is not supported, as it could not be repeated".to_owned(),
            _ => format!("there is no function ${name}"),
        });
    }
    Ok(())
}

/// Notes and checks which part of `$states` a path reads. The walk does not visit that first step again.
fn states_path(steps: &[PathStep], available: Available<'_>, needs: &mut Needs) -> Result<(), String> {
    let Some((first, rest)) = steps.split_first() else { return Ok(()) };
    if !is_states(first) {
        return Ok(());
    }
    let Some(AstNode::Name(field)) = rest.first().filter(|_| first.stages.is_empty()).map(|step| &step.node) else {
        return inspect(&first.node, true, available, &HashSet::new(), needs);
    };
    let part = Part::named(field).ok_or_else(|| format!("$states has no field {field}"))?;
    match part {
        Part::Result if !available.result => {
            Err("$states.result exists in the Output and Assign of a Task or Map only".to_owned())
        }
        Part::ErrorOutput if !available.error_output => {
            Err("$states.errorOutput exists in a Catch's Output and Assign only".to_owned())
        }
        Part::Context => {
            needs.read(part, Fields::All);
            context_path(&rest[1..], available.item)
        }
        Part::Input | Part::Result | Part::ErrorOutput => {
            let fields = match rest.get(1).map(|step| &step.node) {
                Some(AstNode::Name(field)) if rest[0].stages.is_empty() && !rest[0].is_tuple => {
                    Fields::Some(BTreeSet::from([field.clone()]))
                }
                _ => Fields::All,
            };
            needs.read(part, fields);
            Ok(())
        }
    }
}

fn is_states(step: &PathStep) -> bool {
    matches!(&step.node, AstNode::Variable(name) if name == "states")
}

fn context_path(steps: &[PathStep], is_item: bool) -> Result<(), String> {
    let name = |step: usize| match steps.get(step).map(|step| &step.node) {
        Some(AstNode::Name(name)) => Some(name.as_str()),
        _ => None,
    };
    let Some(object) = name(0) else { return Ok(()) };
    if object == "Map" {
        if !is_item {
            return Err("$states.context.Map exists in a Map's ItemSelector and ItemProcessor only".to_owned());
        }
        return match (name(1), name(2)) {
            (None, _) | (Some("Item"), None | Some("Index" | "Value")) => Ok(()),
            (Some("Item"), Some(other)) => Err(format!("$states.context.Map.Item.{other} is not supported")),
            (Some(other), _) => Err(format!("$states.context.Map.{other} is not supported")),
        };
    }
    let Some((_, fields)) = CONTEXT.iter().find(|(name, _)| *name == object) else {
        return Err(format!("$states.context.{object} is not supported"));
    };
    match name(1) {
        Some(field) if !fields.contains(&field) => Err(format!("$states.context.{object}.{field} is not supported")),
        _ => Ok(()),
    }
}

/// Visits every node, saying whether it is read against the top-level context, of which Step Functions has none.
fn walk(
    node: &AstNode,
    top_level: bool,
    visit: &mut dyn FnMut(&AstNode, bool) -> Result<(), String>,
) -> Result<(), String> {
    visit(node, top_level)?;
    match node {
        AstNode::Path { steps } => {
            for (index, step) in steps.iter().enumerate() {
                if index > 0 || !is_states(step) {
                    walk(&step.node, top_level && index == 0, visit)?;
                }
                for stage in &step.stages {
                    if let Stage::Filter(filter) = stage {
                        walk(filter, false, visit)?;
                    }
                }
            }
            Ok(())
        }
        AstNode::Binary { op: BinaryOp::ColonEqual, rhs, .. } => walk(rhs, top_level, visit),
        AstNode::Binary { lhs, rhs, .. } => {
            walk(lhs, top_level, visit)?;
            walk(rhs, top_level, visit)
        }
        AstNode::Unary { operand, .. } => walk(operand, top_level, visit),
        AstNode::Function { args, .. } => walk_all(args, top_level, visit),
        AstNode::Call { procedure, args } => {
            walk(procedure, top_level, visit)?;
            walk_all(args, top_level, visit)
        }
        AstNode::Lambda { body, .. } => walk(body, top_level, visit),
        AstNode::Array(items) | AstNode::Block(items) | AstNode::ArrayGroup(items) => walk_all(items, top_level, visit),
        AstNode::Object(pairs) => walk_pairs(pairs, top_level, visit),
        AstNode::ObjectTransform { input, pattern } => {
            walk(input, top_level, visit)?;
            walk_pairs(pattern, false, visit)
        }
        AstNode::Conditional { condition, then_branch, else_branch } => {
            walk(condition, top_level, visit)?;
            walk(then_branch, top_level, visit)?;
            else_branch.as_ref().map_or(Ok(()), |branch| walk(branch, top_level, visit))
        }
        AstNode::FunctionApplication(inner) => walk(inner, top_level, visit),
        AstNode::Sort { input, terms } => {
            walk(input, top_level, visit)?;
            terms.iter().try_for_each(|(term, _)| walk(term, false, visit))
        }
        AstNode::Transform { location, update, delete } => {
            walk(location, false, visit)?;
            walk(update, false, visit)?;
            delete.as_ref().map_or(Ok(()), |delete| walk(delete, false, visit))
        }
        AstNode::String(_)
        | AstNode::Name(_)
        | AstNode::Number(_)
        | AstNode::Boolean(_)
        | AstNode::Null
        | AstNode::Undefined
        | AstNode::Placeholder
        | AstNode::Regex { .. }
        | AstNode::Variable(_)
        | AstNode::ParentVariable(_)
        | AstNode::Wildcard
        | AstNode::Descendant
        | AstNode::Parent(_) => Ok(()),
    }
}

fn walk_all(
    nodes: &[AstNode],
    top_level: bool,
    visit: &mut dyn FnMut(&AstNode, bool) -> Result<(), String>,
) -> Result<(), String> {
    nodes.iter().try_for_each(|node| walk(node, top_level, visit))
}

fn walk_pairs(
    pairs: &[(AstNode, AstNode)],
    top_level: bool,
    visit: &mut dyn FnMut(&AstNode, bool) -> Result<(), String>,
) -> Result<(), String> {
    pairs.iter().try_for_each(|(key, value)| {
        walk(key, top_level, visit)?;
        walk(value, top_level, visit)
    })
}

fn plain_reference(tree: &AstNode, needs: &Needs) -> Option<Reference> {
    if let AstNode::Variable(name) = tree {
        return needs
            .variables
            .contains(name)
            .then(|| Reference { root: Root::Variable(name.clone()), fields: Vec::new() });
    }
    let AstNode::Path { steps } = tree else { return None };
    let mut fields = Vec::new();
    for step in &steps[1..] {
        let AstNode::Name(name) = &step.node else { return None };
        fields.push(name.clone());
    }
    let plain = |step: &PathStep| {
        step.stages.is_empty() && step.focus.is_none() && step.index_var.is_none() && step.ancestor_label.is_none()
    };
    if !steps.iter().all(plain) {
        return None;
    }
    match &steps.first()?.node {
        AstNode::Variable(name) if name == "states" => {
            let part = Part::named(fields.first()?)?;
            fields.remove(0);
            Some(Reference { root: Root::Part(part), fields })
        }
        AstNode::Variable(name) if needs.variables.contains(name) => {
            Some(Reference { root: Root::Variable(name.clone()), fields })
        }
        _ => None,
    }
}
