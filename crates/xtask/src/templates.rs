//! What we ask of the `CloudFormation` templates: that they fit the definitions and the Lambdas beside them, which no public
//! tool looks at, and that what checkov is told to overlook is explained and still there. Read as text, line by line: the
//! templates are laid out as every file here, and a reader of all of YAML would know less of where things stand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const SERVERLESS_STATE_MACHINE: &str = "AWS::Serverless::StateMachine";
/// What SAM's state machine calls its properties, and what the resource calls them that SAM makes of it.
const STATE_MACHINE_PROPERTIES: [(&str, &str); 4] = [
    ("Name", "StateMachineName"),
    ("Role", "RoleArn"),
    ("Tracing", "TracingConfiguration"),
    ("Logging", "LoggingConfiguration"),
];

/// What does not fit: between the template, the definitions (each with its path as the template names it) and the names of
/// the Lambdas' crates. One line each.
pub(crate) fn problems(
    template: &str,
    definitions: &BTreeMap<String, Value>,
    lambdas: &BTreeSet<String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let binaries: BTreeSet<String> =
        template.lines().filter_map(|line| line.split("Binary:").nth(1)).map(|name| bare(name).to_owned()).collect();
    problems.extend(lambdas.difference(&binaries).map(|name| format!("no function has the binary {name}")));
    problems
        .extend(binaries.difference(lambdas).map(|name| format!("{name} is the binary of a function, and no Lambda")));

    let mut used = BTreeSet::new();
    for (machine, lines) in state_machines(template) {
        let Some(path) = property(&lines, "DefinitionUri") else {
            problems.push(format!("{machine} has no DefinitionUri"));
            continue;
        };
        used.insert(path.to_owned());
        let Some(definition) = definitions.get(path) else {
            problems.push(format!("{machine} names the definition {path}, and there is none"));
            continue;
        };
        let (given, wanted) = (substitutions(&lines), placeholders(definition));
        problems.extend(wanted.difference(&given).map(|name| format!("{machine} does not substitute ${{{name}}}")));
        problems
            .extend(given.difference(&wanted).map(|name| format!("{machine} substitutes {name}, which {path} lacks")));
    }
    problems
        .extend(definitions.keys().filter(|path| !used.contains(*path)).map(|path| format!("{path} is not installed")));

    let patience = definitions.values().flat_map(invocation_time_outs).min();
    let time_outs = template.lines().filter_map(|line| line.strip_prefix("    Timeout:"));
    let time_out = time_outs.filter_map(|text| bare(text).parse::<u64>().ok()).max();
    match (time_out, patience) {
        (Some(time_out), Some(patience)) if time_out < patience => {}
        (None, _) => problems.push("the functions have no Timeout in common".to_owned()),
        _ => {
            problems
                .push("the functions' Timeout is not below TimeoutSeconds of the tasks that invoke them".to_owned());
        }
    }
    problems
}

/// The template with its state machines as `CloudFormation` knows them and the definitions inside, since cfn-lint reads
/// neither a `DefinitionUri` nor what SAM makes of a definition.
pub(crate) fn inlined(template: &str, definitions: &BTreeMap<String, Value>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut inside = false;
    for line in template.lines() {
        let indent = line.len() - line.trim_start().len();
        if indent <= 4 && !line.trim().is_empty() {
            inside =
                line.trim() == format!("Type: {SERVERLESS_STATE_MACHINE}") || (inside && line == "    Properties:");
        }
        let line = if !inside {
            line.to_owned()
        } else if indent == 4 {
            line.replace(SERVERLESS_STATE_MACHINE, "AWS::StepFunctions::StateMachine")
        } else if let Some(definition) =
            line.strip_prefix("      DefinitionUri:").and_then(|path| definitions.get(bare(path)))
        {
            format!("      Definition: {definition}")
        } else {
            renamed(line)
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Whether cfn-lint complains of what the States Language allows: its schema knows only numbers where a `JSONata` expression
/// may stand, as for `MaxConcurrency`.
pub(crate) fn is_false_alarm(complaint: &str) -> bool {
    complaint.contains(":E3601:'{% ") && complaint.ends_with(" %}' is not of type 'number'")
}

/// The rules that checkov's configuration skips, and what is wrong with the way it does.
pub(crate) fn skipped_rules(configuration: &str) -> (BTreeSet<String>, Vec<String>) {
    let mut rules = BTreeSet::new();
    let mut problems = Vec::new();
    let mut is_explained = false;
    for line in configuration.lines().skip_while(|line| *line != "skip-check:").skip(1) {
        let line = line.trim();
        if let Some(rule) = line.strip_prefix("- ") {
            if !is_explained {
                problems.push(format!("{rule} is skipped without a reason in a comment above it"));
            }
            if !rules.insert(rule.to_owned()) {
                problems.push(format!("{rule} is skipped twice"));
            }
        }
        is_explained = line.starts_with('#');
    }
    (rules, problems)
}

/// What is wrong with what checkov found (its answer in JSON): complaints about a file of ours that are not explained,
/// explanations without a complaint, and none about the template that has to be refused.
pub(crate) fn findings(answer: &Value, skipped: &BTreeSet<String>, insecure: &str) -> Vec<String> {
    // Without any finding there is a bare summary; with several frameworks, a list.
    let reports = answer.as_array().map_or_else(|| vec![answer], |reports| reports.iter().collect());
    let mut problems = Vec::new();
    let mut met = BTreeSet::new();
    let mut is_refused = false;
    for report in reports {
        if report["summary"]["parsing_errors"].as_u64().is_some_and(|errors| errors > 0) {
            problems.push("a template cannot be parsed".to_owned());
        }
        for check in report["results"]["failed_checks"].as_array().into_iter().flatten() {
            let text = |field: &str| check[field].as_str().unwrap_or_default();
            let rule = text("check_id").to_owned();
            if text("file_path").ends_with(insecure) {
                is_refused |= !skipped.contains(&rule);
            } else if skipped.contains(&rule) {
                met.insert(rule);
            } else {
                problems.push(format!("{}: {}: {rule}: {}", text("file_path"), text("resource"), text("check_name")));
            }
        }
    }
    problems.extend(skipped.difference(&met).map(|rule| format!("{rule} is skipped, and nothing breaks it")));
    if !is_refused {
        problems.push("accepts an insecure template: it checks nothing".to_owned());
    }
    problems
}

/// The template's state machines: their names and lines.
fn state_machines(template: &str) -> Vec<(&str, Vec<&str>)> {
    let is_name = |line: &str| line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
    let mut resources: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in template.lines() {
        if is_name(line) {
            resources.push((line.trim().trim_end_matches(':'), Vec::new()));
        } else if let Some((_, lines)) = resources.last_mut() {
            lines.push(line);
        }
    }
    let is_machine = |lines: &Vec<&str>| property_at(lines, "    ", "Type") == Some(SERVERLESS_STATE_MACHINE);
    resources.into_iter().filter(|(_, lines)| is_machine(lines)).collect()
}

fn property<'lines>(lines: &[&'lines str], name: &str) -> Option<&'lines str> {
    property_at(lines, "      ", name)
}

fn property_at<'lines>(lines: &[&'lines str], indent: &str, name: &str) -> Option<&'lines str> {
    lines.iter().find_map(|line| line.strip_prefix(indent)?.strip_prefix(name)?.strip_prefix(':')).map(bare)
}

/// The keys below `DefinitionSubstitutions`.
fn substitutions(lines: &[&str]) -> BTreeSet<String> {
    let below = lines.iter().skip_while(|line| **line != "      DefinitionSubstitutions:").skip(1);
    let below = below.map_while(|line| line.strip_prefix("        "));
    below.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
}

/// The names between `${` and `}` anywhere in the definition.
fn placeholders(definition: &Value) -> BTreeSet<String> {
    let text = definition.to_string();
    text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).collect()
}

/// `TimeoutSeconds` of the tasks that invoke a Lambda, in seconds.
fn invocation_time_outs(definition: &Value) -> Vec<u64> {
    let tasks = crate::definitions::states(definition).into_iter().map(|(_, state)| state);
    tasks
        .filter(|state| state["Resource"] == "arn:aws:states:::lambda:invoke")
        .filter_map(|state| state["TimeoutSeconds"].as_u64())
        .collect()
}

fn renamed(line: &str) -> String {
    for (ours, theirs) in STATE_MACHINE_PROPERTIES {
        if let Some(rest) = line.strip_prefix(&format!("      {ours}:")) {
            return format!("      {theirs}:{rest}");
        }
    }
    line.to_owned()
}

/// A value without the space and the braces around it.
fn bare(text: &str) -> &str {
    text.trim().trim_end_matches('}').trim()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = "Globals:
  Function:
    Timeout: 80
Resources:
  OrderFunction:
    Type: AWS::Serverless::Function
    Metadata:
      BuildProperties: { Binary: order }
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: machine
      DefinitionUri: statemachine/machine.asl.json
      DefinitionSubstitutions:
        OrderFunction: !GetAtt OrderFunction.Arn
      Role: !GetAtt MachineRole.Arn
      Tracing: { Enabled: true }
  MachineRole:
    Type: AWS::IAM::Role
    Properties:
      Name: role
";

    fn definitions() -> BTreeMap<String, Value> {
        let task = json!({
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": { "FunctionName": "${OrderFunction}" },
            "TimeoutSeconds": 90
        });
        let definition = json!({ "StartAt": "Order", "States": { "Order": task } });
        BTreeMap::from([("statemachine/machine.asl.json".to_owned(), definition)])
    }

    fn lambdas() -> BTreeSet<String> {
        BTreeSet::from(["order".to_owned()])
    }

    #[test]
    fn a_template_that_fits_has_no_problems() {
        assert_eq!(problems(TEMPLATE, &definitions(), &lambdas()), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_does_not_fit_is_named() {
        let cases = [
            (("Binary: order", "Binary: odder"), "no function has the binary order"),
            (("Binary: order", "Binary: odder"), "odder is the binary of a function, and no Lambda"),
            (
                ("machine.asl.json", "other.asl.json"),
                "Machine names the definition statemachine/other.asl.json, and there is none",
            ),
            (("machine.asl.json", "other.asl.json"), "statemachine/machine.asl.json is not installed"),
            (("DefinitionUri: statemachine/machine.asl.json", "Type: STANDARD"), "Machine has no DefinitionUri"),
            (("        OrderFunction:", "        OdderFunction:"), "Machine does not substitute ${OrderFunction}"),
            (
                ("        OrderFunction:", "        OdderFunction:"),
                "Machine substitutes OdderFunction, which statemachine/machine.asl.json lacks",
            ),
            (
                ("Timeout: 80", "Timeout: 90"),
                "the functions' Timeout is not below TimeoutSeconds of the tasks that invoke them",
            ),
            (("    Timeout: 80", "    MemorySize: 128"), "the functions have no Timeout in common"),
        ];
        for ((good, bad), expected) in cases {
            let template = TEMPLATE.replace(good, bad);
            assert_ne!(template, TEMPLATE);
            let found = problems(&template, &definitions(), &lambdas());
            assert!(found.iter().any(|problem| problem == expected), "{expected}: {found:?}");
        }
    }

    #[test]
    fn a_definition_is_put_inside_its_machine_and_nothing_else_is_changed() {
        let inlined = inlined(TEMPLATE, &definitions());
        assert!(inlined.contains("    Type: AWS::StepFunctions::StateMachine\n"), "{inlined}");
        assert!(inlined.contains("      StateMachineName: machine\n"), "{inlined}");
        assert!(inlined.contains("      RoleArn: !GetAtt MachineRole.Arn\n"), "{inlined}");
        assert!(inlined.contains("      TracingConfiguration: { Enabled: true }\n"), "{inlined}");
        assert!(inlined.contains("      Definition: {\"StartAt\":\"Order\""), "{inlined}");
        assert!(inlined.contains("    Type: AWS::Serverless::Function\n"), "{inlined}");
        assert!(inlined.contains("      Name: role\n"), "{inlined}");
        assert_eq!(inlined.lines().count(), TEMPLATE.lines().count());
    }

    #[test]
    fn an_expression_in_place_of_a_number_is_no_complaint() {
        let complaint = |text: &str| format!("template.yaml:10:7:10:9:E3601:{text}");
        assert!(is_false_alarm(&complaint("'{% $states.input.concurrency %}' is not of type 'number'")));
        assert!(!is_false_alarm(&complaint("'many' is not of type 'number'")));
        assert!(!is_false_alarm(&complaint("Missing 'Next' target 'Nowhere' at /StartAt")));
    }

    #[test]
    fn a_skipped_rule_needs_a_reason() {
        let (rules, problems) = skipped_rules(
            "framework: [cloudformation]\nskip-check:\n  # Why.\n  - CKV_1\n  - CKV_2\n  # Why.\n  - CKV_1\n",
        );
        assert_eq!(rules, BTreeSet::from(["CKV_1".to_owned(), "CKV_2".to_owned()]));
        assert_eq!(problems, ["CKV_2 is skipped without a reason in a comment above it", "CKV_1 is skipped twice"]);
    }

    #[test]
    fn findings_are_held_against_the_skipped_rules() {
        let skipped = BTreeSet::from(["CKV_1".to_owned(), "CKV_2".to_owned()]);
        let failed = |rule: &str, file: &str| json!({ "check_id": rule, "check_name": "Be good", "file_path": file, "resource": "AWS::SQS::Queue.Queue" });
        let answer =
            |checks: Value| json!({ "results": { "failed_checks": checks }, "summary": { "parsing_errors": 0 } });
        let good = answer(json!([
            failed("CKV_1", "/template.yaml"),
            failed("CKV_2", "/template.yaml"),
            failed("CKV_3", "/tools/insecure.yaml")
        ]));
        assert_eq!(findings(&good, &skipped, "insecure.yaml"), Vec::<String>::new());
        assert_eq!(findings(&json!([good]), &skipped, "insecure.yaml"), Vec::<String>::new());

        let bad = answer(json!([failed("CKV_1", "/template.yaml"), failed("CKV_4", "/template.yaml")]));
        assert_eq!(
            findings(&bad, &skipped, "insecure.yaml"),
            [
                "/template.yaml: AWS::SQS::Queue.Queue: CKV_4: Be good",
                "CKV_2 is skipped, and nothing breaks it",
                "accepts an insecure template: it checks nothing"
            ]
        );
        let unread = json!({ "results": { "failed_checks": [] }, "summary": { "parsing_errors": 1 } });
        assert!(findings(&unread, &skipped, "insecure.yaml").contains(&"a template cannot be parsed".to_owned()));
    }
}
