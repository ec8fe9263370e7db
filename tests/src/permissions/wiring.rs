//! What the template itself makes AWS do with a role, unseen by any function's code: logs and traces, dead letters,
//! schedules, and the calls of a state machine, read from its definition.

use std::path::Path;

use serde_json::Value;

use super::template::{ACCOUNT, REGION, Stack, TemplateError};
use super::{PermissionError, Use};

/// Step Functions' own rule, by which it learns how an execution that it waits for has ended.
const RULE_OF_STEP_FUNCTIONS: &str = "StepFunctionsGetEventsForStepFunctionsExecutionRule";
/// What Step Functions asks for to write a state machine's log.
const LOG_DELIVERY: [&str; 8] = [
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
];
const TRACES: [&str; 2] = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];
const SAMPLED_TRACES: [&str; 2] = ["xray:GetSamplingRules", "xray:GetSamplingTargets"];

/// Whether IAM knows no resource for an action that AWS does for somebody: traces, and the deliveries of logs.
pub fn is_without_resource(action: &str) -> bool {
    TRACES.contains(&action) || SAMPLED_TRACES.contains(&action) || LOG_DELIVERY.contains(&action)
}

/// Who acts with a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Name for people: a Lambda's, a state machine's with its kind.
    pub name: String,
    /// Whether it is a Lambda, whose code makes calls of its own.
    pub is_lambda: bool,
    /// Logical id of its role.
    pub role: String,
    /// What AWS does for it.
    pub uses: Vec<Use>,
}

/// Everybody who acts in the stack. Definitions are read from `root`, the repository.
///
/// # Errors
/// When the template or a definition has something that is not known here.
pub fn actors(stack: &Stack, root: &Path) -> Result<Vec<Actor>, PermissionError> {
    let mut actors = Vec::new();
    for id in stack.resources_of("AWS::Serverless::Function") {
        actors.push(function(stack, id)?);
    }
    for id in stack.resources_of("AWS::Serverless::StateMachine") {
        actors.push(state_machine(stack, id, root)?);
    }
    for id in stack.resources_of("AWS::Scheduler::Schedule") {
        actors.push(schedule(stack, id)?);
    }
    Ok(actors)
}

fn function(stack: &Stack, id: &str) -> Result<Actor, PermissionError> {
    let name = text(stack, id, "/Metadata/BuildProperties/Binary")?;
    let mut uses = vec![];
    let mut add = |action: &str, resource: String, why: &str| uses.push(Use::new(&name, action, &resource, why));
    let group = text(stack, id, "/Properties/LoggingConfig/LogGroup")?;
    for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
        add(
            action,
            format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:any"),
            "Lambda writes its log",
        );
    }
    for action in TRACES {
        add(action, "*".to_owned(), "Lambda traces it");
    }
    let letters = "/Properties/EventInvokeConfig/DestinationConfig/OnFailure/Destination";
    if stack.member(id, letters)?.is_some() {
        add("sqs:SendMessage", text(stack, id, letters)?, "Lambda keeps what failed for good");
    }
    Ok(Actor { role: role(stack, id, "/Properties/Role")?, name, is_lambda: true, uses })
}

fn schedule(stack: &Stack, id: &str) -> Result<Actor, PermissionError> {
    let name = format!("schedule {id}");
    let target = text(stack, id, "/Properties/Target/Arn")?;
    let letters = text(stack, id, "/Properties/Target/DeadLetterConfig/Arn")?;
    let uses = vec![
        Use::new(&name, "states:StartExecution", &target, "it is the schedule's target"),
        Use::new(&name, "sqs:SendMessage", &letters, "the scheduler keeps what it could not start"),
    ];
    Ok(Actor { role: role(stack, id, "/Properties/Target/RoleArn")?, name, is_lambda: false, uses })
}

fn state_machine(stack: &Stack, id: &str, root: &Path) -> Result<Actor, PermissionError> {
    let path = text(stack, id, "/Properties/DefinitionUri")?;
    let file = root.join(&path);
    let definition = std::fs::read_to_string(&file).map_err(|source| PermissionError::File { path: file, source })?;
    let definition: Value = serde_json::from_str(&definition)
        .map_err(|source| PermissionError::Definition { path: path.clone(), source })?;
    let name = Path::new(&path).file_name().and_then(|name| name.to_str()).unwrap_or(&path).to_owned();
    let substitutions = stack.member(id, "/Properties/DefinitionSubstitutions")?.unwrap_or_default();
    let mut uses = Vec::new();
    for (state, task) in tasks(&definition) {
        let arguments = &task["Arguments"];
        let substituted = |argument: &Value| -> Result<String, PermissionError> {
            let placeholder = argument.as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
            let value = placeholder.and_then(|placeholder| substitutions[placeholder].as_str());
            value
                .map(str::to_owned)
                .ok_or_else(|| unknown(format!("what {argument} of the state {state} in {path} is")))
        };
        match task["Resource"].as_str() {
            Some("arn:aws:states:::lambda:invoke") => {
                let function = substituted(&arguments["FunctionName"])?;
                uses.push(Use::new(&name, "lambda:InvokeFunction", &function, &format!("state {state}")));
            }
            Some("arn:aws:states:::states:startExecution.sync:2") => {
                let machine = substituted(&arguments["StateMachineArn"])?;
                let execution = machine.replacen(":stateMachine:", ":execution:", 1) + ":any";
                uses.push(Use::new(&name, "states:StartExecution", &machine, &format!("state {state}")));
                for action in ["states:DescribeExecution", "states:StopExecution"] {
                    uses.push(Use::new(&name, action, &execution, "Step Functions follows the nested execution"));
                }
                let rule = format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{RULE_OF_STEP_FUNCTIONS}");
                for action in ["events:PutRule", "events:PutTargets", "events:DescribeRule"] {
                    uses.push(Use::new(&name, action, &rule, "Step Functions learns of the nested execution's end"));
                }
            }
            _ => return Err(unknown(format!("the integration {} of the state {state} in {path}", task["Resource"]))),
        }
    }
    if stack.member(id, "/Properties/Logging")?.is_some() {
        uses.extend(LOG_DELIVERY.map(|action| Use::new(&name, action, "*", "Step Functions writes its log")));
    }
    if stack.member(id, "/Properties/Tracing/Enabled")? == Some(Value::Bool(true)) {
        let actions = TRACES.into_iter().chain(SAMPLED_TRACES);
        uses.extend(actions.map(|action| Use::new(&name, action, "*", "Step Functions traces it")));
    }
    Ok(Actor { role: role(stack, id, "/Properties/Role")?, name, is_lambda: false, uses })
}

/// All tasks of a definition by their states' names, those inside of Map and Parallel included.
fn tasks(definition: &Value) -> Vec<(&str, &Value)> {
    let mut found = Vec::new();
    for (name, state) in definition["States"].as_object().into_iter().flatten() {
        if state["Type"] == "Task" {
            found.push((name.as_str(), state));
        }
        found.extend(tasks(&state["ItemProcessor"]));
        found.extend(state["Branches"].as_array().into_iter().flatten().flat_map(tasks));
    }
    found
}

fn text(stack: &Stack, id: &str, path: &str) -> Result<String, PermissionError> {
    let found = stack.member(id, path)?;
    let text = found.as_ref().and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| unknown(format!("{path} of {id}, which must be a text,")))
}

/// The logical id of the role whose ARN a resource names there.
fn role(stack: &Stack, id: &str, path: &str) -> Result<String, PermissionError> {
    let arn = text(stack, id, path)?;
    let found = stack.resources_of("AWS::IAM::Role").find(|role| stack.arn(role).is_ok_and(|own| own == arn));
    found.map(str::to_owned).ok_or_else(|| unknown(format!("the role {arn} of {id}")))
}

fn unknown(what: String) -> PermissionError {
    PermissionError::Template(TemplateError::Unknown(what))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tasks_are_found_at_every_depth() {
        let task = |resource: &str| json!({ "Type": "Task", "Resource": resource });
        let definition = json!({ "States": {
            "A": task("a"),
            "Choose": { "Type": "Choice" },
            "Each": { "Type": "Map", "ItemProcessor": { "States": { "B": task("b") } } },
            "Both": { "Type": "Parallel", "Branches": [{ "States": { "C": task("c") } }, { "States": { "D": task("d") } }] },
        } });
        let mut names: Vec<&str> = tasks(&definition).into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["A", "B", "C", "D"]);
    }
}
