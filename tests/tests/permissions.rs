//! The roles of `template.yaml` against what the functions are seen to call, and that the comparison notices when a role
//! has an action too few, one too many, or too wide a resource.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use scenarios::permissions::template::{Stack, read};
use scenarios::permissions::usage::all;
use scenarios::permissions::{Permissions, Use, bare_stack, full_stack};
use serde_json::{Value, json};

/// What the functions call in everything that is played.
static CALLS: LazyLock<Vec<Use>> = LazyLock::new(|| all().unwrap());

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn template() -> Value {
    read(&std::fs::read_to_string(root().join("template.yaml")).unwrap()).unwrap()
}

fn permissions(stack: &Stack) -> Permissions {
    Permissions::read(stack, &root()).unwrap()
}

fn findings(template: &Value) -> Vec<String> {
    permissions(&full_stack(template).unwrap()).findings(&CALLS)
}

/// The JSON pointers of all statements of roles and managed policies.
fn statements(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (id, resource) in template["Resources"].as_object().unwrap() {
        let kind = resource["Type"].as_str().unwrap();
        if ["AWS::IAM::Role", "AWS::IAM::ManagedPolicy"].contains(&kind) {
            for part in ["Policies", "PolicyDocument"] {
                collect(&resource["Properties"][part], &format!("/Resources/{id}/Properties/{part}"), &mut found);
            }
        }
    }
    found
}

fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) if members.contains_key("Effect") => found.push(path.to_owned()),
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| collect(member, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, &format!("{path}/{index}"), found));
        }
        _ => {}
    }
}

fn actions(statement: &Value) -> Vec<String> {
    match &statement["Action"] {
        Value::Array(actions) => actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect(),
        action => vec![action.as_str().unwrap().to_owned()],
    }
}

/// A copy of the template with one statement changed.
fn changed(template: &Value, path: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut copy = template.clone();
    change(copy.pointer_mut(path).unwrap());
    copy
}

/// What nothing here can show is excused under conditions, and asked for nowhere.
fn is_excused(action: &str) -> bool {
    action.starts_with("kms:")
}

#[test]
fn each_role_allows_what_is_done_with_it_and_nothing_else() {
    let permissions = permissions(&full_stack(&template()).unwrap());
    println!("{}", permissions.table(&CALLS));
    let findings = permissions.findings(&CALLS);
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn an_action_too_few_is_found_in_every_role() {
    let template = template();
    let mut removed = 0;
    for path in statements(&template) {
        let all = actions(template.pointer(&path).unwrap());
        for action in all.iter().filter(|action| !is_excused(action)) {
            let rest: Vec<&String> = all.iter().filter(|other| *other != action).collect();
            let copy = changed(&template, &path, |statement| statement["Action"] = json!(rest));
            let findings = findings(&copy);
            let expected = format!(" calls {action} on ");
            assert!(
                findings.iter().any(|finding| finding.contains(&expected)),
                "{path} without {action}: {findings:?}"
            );
            removed += 1;
        }
    }
    assert!(removed > 80, "only {removed} actions were found in the template");
}

#[test]
fn an_action_too_many_is_found_in_every_role() {
    let template = template();
    for path in statements(&template) {
        for (added, complaint) in [("kinesisanalytics:DeleteApplication", "is not seen to do it"), ("*", "one by one")]
        {
            let mut all = actions(template.pointer(&path).unwrap());
            all.push(added.to_owned());
            let findings = findings(&changed(&template, &path, |statement| statement["Action"] = json!(all)));
            let is_found = findings.iter().any(|finding| finding.contains(added) && finding.contains(complaint));
            assert!(is_found, "{path} with {added}: {findings:?}");
        }
    }
}

#[test]
fn too_wide_a_resource_is_found_in_every_role() {
    let template = template();
    let mut widened = 0;
    for path in statements(&template) {
        let statement = template.pointer(&path).unwrap();
        if statement["Resource"] == "*" {
            continue;
        }
        let findings = findings(&changed(&template, &path, |statement| statement["Resource"] = json!("*")));
        for action in actions(statement) {
            let expected = format!("allows {action} on * (");
            assert!(findings.iter().any(|finding| finding.contains(&expected)), "{path}: {action}: {findings:?}");
        }
        widened += 1;
    }
    assert!(widened > 30, "only {widened} statements were found in the template");
}

#[test]
fn resources_of_another_account_region_or_name_are_found() {
    let template = template();
    let path = statements(&template)
        .into_iter()
        .find(|path| path.contains("RollBackRole") && template.pointer(path).unwrap()["Sid"] == "TheApplications")
        .unwrap();
    for resource in [
        "arn:aws:kinesisanalytics:us-east-1:123456789012:application/*",
        "arn:aws:kinesisanalytics:*:123456789012:application/orders",
        "arn:aws:kinesisanalytics:us-east-1:*:application/orders",
    ] {
        let findings = findings(&changed(&template, &path, |statement| statement["Resource"] = json!(resource)));
        let is_found = |finding: &String| finding.contains(resource) && finding.contains("too wide");
        assert!(findings.iter().any(is_found), "{resource}: {findings:?}");
    }
}

#[test]
fn a_state_machine_may_invoke_just_the_functions_of_its_definition() {
    let template = template();
    let path = "/Resources/DeployStateMachineRole/Properties/Policies/0/PolicyDocument/Statement/0";
    let functions = template.pointer(path).unwrap()["Resource"].as_array().unwrap().clone();
    let with =
        |resources: &[Value]| findings(&changed(&template, path, |statement| statement["Resource"] = json!(resources)));
    assert_eq!(with(&functions), Vec::<String>::new());
    for left_out in 0..functions.len() {
        let mut rest = functions.clone();
        rest.remove(left_out);
        let findings = with(&rest);
        let is_found = |finding: &String| finding.starts_with("deploy.asl.json calls lambda:InvokeFunction on ");
        assert!(findings.iter().any(is_found), "without {}: {findings:?}", functions[left_out]);
    }
    let more = [functions, vec![json!({ "Fn::GetAtt": ["PruneSnapshotsFunction", "Arn"] })]].concat();
    let findings = with(&more);
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert!(
        finding.contains("prune-snapshots") && finding.ends_with("deploy.asl.json is not seen to do it"),
        "{finding}"
    );
}

#[test]
fn two_functions_with_one_role_and_a_role_of_nobody_are_found() {
    let template = template();
    let role = "/Resources/RestoreFunction/Properties/Role";
    let copy = changed(&template, role, |value| *value = json!({ "Fn::GetAtt": ["ForceStopRole", "Arn"] }));
    let findings = findings(&copy);
    assert!(findings.contains(&"restore and force-stop have one role, ForceStopRole".to_owned()), "{findings:?}");
    assert!(findings.contains(&"RestoreRole is nobody's role".to_owned()), "{findings:?}");
}

#[test]
fn a_key_for_a_function_that_changes_nothing_is_found() {
    let template = template();
    let policies = "/Resources/CheckSubtasksRole/Properties/ManagedPolicyArns";
    let copy =
        changed(&template, policies, |list| list.as_array_mut().unwrap().push(json!({ "Ref": "KmsKeysPolicy" })));
    let findings = findings(&copy);
    let is_found = |finding: &String| finding.ends_with("and check-subtasks makes no call that uses a key");
    assert!(!findings.is_empty() && findings.iter().all(is_found), "{findings:?}");
}

#[test]
fn keys_and_roles_may_be_used_only_where_they_are_given() {
    let template = template();
    let conditional = |action: &&str| action.starts_with("kms:") || *action == "iam:PassRole";
    let full = permissions(&full_stack(&template).unwrap());
    assert_eq!(full.actions().into_iter().filter(conditional).count(), 6);
    let bare = permissions(&bare_stack(&template).unwrap());
    assert_eq!(bare.actions().into_iter().filter(conditional).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// What a resource cannot tell apart: whose items, whose events, whose keys, and roles for which service.
#[test]
fn what_a_resource_does_not_narrow_a_condition_does() {
    let template = template();
    let mut narrowed = 0;
    for path in statements(&template) {
        let statement = template.pointer(&path).unwrap();
        let has = |operator: &str, key: &str| statement["Condition"][operator].get(key).is_some();
        let uploads = path.contains("StartDeploymentRole");
        for action in actions(statement) {
            let is_narrow = match action.as_str() {
                "dynamodb:PutItem" if uploads => has("ForAllValues:StringLike", "dynamodb:LeadingKeys"),
                "events:PutEvents" => has("ForAllValues:StringEquals", "events:source"),
                "iam:PassRole" => has("StringEquals", "iam:PassedToService"),
                "kms:CreateGrant" => {
                    has("StringEquals", "kms:ViaService") && has("StringEquals", "kms:GrantConstraintType")
                }
                action if action.starts_with("kms:") => has("StringEquals", "kms:ViaService"),
                _ => continue,
            };
            assert!(is_narrow, "{path}: {action}");
            narrowed += 1;
        }
    }
    assert_eq!(narrowed, 12, "the actions that need a condition");
}
