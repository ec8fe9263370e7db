//! What the documentation says against what the code does: fields, defaults and bounds, outcomes, names, samples, figures,
//! the calls of each Lambda, and links.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use emulator::record::Event;
use jiff::Timestamp;
use lifecycle::cause::Kind;
use lifecycle::policy::Policy;
use lifecycle::report::{Outcome, Report};
use lifecycle::request::{LARGEST_REQUEST_BYTES, Request, Restore};
use lifecycle::retention::Retention;
use lifecycle::snapshots::SnapshotRequest;
use lifecycle::turn::MOST_WAITING;
use managed_flink::ErrorKind;
use scenarios::catalogue::scenario;
use scenarios::permissions::{Permissions, full_stack, template};
use scenarios::snapshot_scenarios::SnapshotApp;
use scenarios::world::World;
use serde_json::{Value, json};

/// Price of a state transition of a Standard workflow in us-east-1, in millionths of a dollar.
const TRANSITION_MICRODOLLARS: u64 = 25;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Every page that people read, by its path.
fn pages() -> Vec<(String, String)> {
    let mut paths: Vec<String> = [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/architecture.md",
        "docs/flinkctl.md",
        "docs/operations.md",
        "docs/real-flink.md",
        "docs/reliability.md",
        "docs/security.md",
        "docs/tutorial.md",
    ]
    .map(str::to_owned)
    .to_vec();
    let decisions = std::fs::read_dir(root().join("docs/adr")).unwrap();
    paths.extend(decisions.map(|entry| format!("docs/adr/{}", entry.unwrap().file_name().to_str().unwrap())));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), page(&path))).collect()
}

/// The rows of all tables, their cells without spaces around them and without the quotes of code.
fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    page.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

fn row<'rows>(rows: &'rows [Vec<String>], first: &str) -> &'rows [String] {
    rows.iter().find(|row| row[0] == first).unwrap_or_else(|| panic!("no table has a row for {first}"))
}

/// What stands under a heading, such as `### Parameters`, up to the next one that is not below it.
fn section<'page>(page: &'page str, heading: &str) -> &'page str {
    let level = heading.chars().take_while(|character| *character == '#').count();
    let found = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no heading {heading}"));
    let is_end = |line: &&str| {
        let of_line = line.chars().take_while(|character| *character == '#').count();
        (1..=level).contains(&of_line) && line[of_line..].starts_with(' ')
    };
    let end = found.1.lines().find(is_end).and_then(|line| found.1.find(&format!("\n{line}\n")));
    end.map_or(found.1, |end| &found.1[..end])
}

/// The words that are set as code.
fn words(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The cases of an enumeration in the code, as JSON writes them.
fn cases(path: &str, name: &str) -> BTreeSet<String> {
    let source = page(path);
    let start = format!("pub enum {name} {{\n");
    let cases = source.split(&start).nth(1).unwrap().split("\n}\n").next().unwrap();
    let names = cases.lines().filter_map(|line| line.strip_prefix("    "));
    let names = names.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase())).map(|line| {
        let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
        name[..1].to_ascii_lowercase() + &name[1..]
    });
    names.collect()
}

/// The fenced blocks of one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    page.split(&format!("\n```{language}\n"))
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_field_of_the_policy_is_told_with_its_default_and_bounds() {
    let rows = rows(&page("README.md"));
    let Value::Object(defaults) = serde_json::to_value(Policy::default()).unwrap() else { panic!("not an object") };
    for (field, default) in defaults {
        let row = row(&rows, &field);
        let told = serde_json::from_str(&row[1]).unwrap_or_else(|_| json!(row[1]));
        assert_eq!(told, default, "the default of {field}");
        if default.is_u64() {
            let (least, most) = row[2].split_once(" to ").unwrap_or_else(|| panic!("{field} has no bounds"));
            let (least, most): (u64, u64) = (least.parse().unwrap(), most.parse().unwrap());
            for (value, is_within) in
                [(Some(least), true), (least.checked_sub(1), false), (Some(most), true), (Some(most + 1), false)]
            {
                if let Some(value) = value {
                    assert_eq!(is_in_bounds(&field, value), is_within, "{field}: {value}");
                }
            }
        }
    }
}

/// Whether the policy takes this value, whatever it says of how the fields fit together.
fn is_in_bounds(field: &str, value: u64) -> bool {
    let policy: Policy = serde_json::from_value(json!({ field: value })).unwrap();
    let field = format!("policy.{field}");
    !policy.refusals().iter().any(|refusal| refusal.field == field && refusal.problem.contains("out of bounds"))
}

#[test]
fn every_field_of_the_request_is_told_with_its_default() {
    let rows = rows(&page("README.md"));
    let update = json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" });
    let fields = [
        ("application", json!("orders")),
        ("update", update.clone()),
        ("restore.type", json!("SKIP_RESTORE_FROM_SNAPSHOT")),
        ("restore.allowNonRestoredState", json!(true)),
        ("stop", json!("graceful")),
        ("start", json!(true)),
        (
            "upload",
            json!({ "bucket": "code", "key": "orders.jar", "versionId": "v", "sequencer": "0A", "at": a_moment() }),
        ),
        ("reason", json!("because")),
        ("comment", json!("for the reader")),
    ];
    for (field, value) in fields.clone() {
        row(&rows, field);
        let mut input = json!({ "application": "orders", "update": update });
        match field.split_once('.') {
            Some((object, member)) => input[object] = json!({ member: value }),
            None => input[field] = value,
        }
        assert!(Request::parse(&input).is_ok(), "{field}: {:?}", Request::parse(&input));
    }
    let told = rows.iter().skip_while(|row| row[0] != "field").skip(2).take_while(|row| row[0] != "field of policy");
    let told: BTreeSet<&str> = told.map(|row| row[0].as_str()).collect();
    assert_eq!(told, fields.iter().map(|(field, _)| *field).chain(["restore.snapshot"]).collect());
    let schema: Value = serde_json::from_str(&page("docs/schemas/request.schema.json")).unwrap();
    let declared =
        schema["properties"].as_object().unwrap().keys().map(String::as_str).filter(|name| *name != "policy");
    assert_eq!(told.iter().map(|field| field.split('.').next().unwrap()).collect::<BTreeSet<_>>(), declared.collect());
    let defaults = serde_json::to_value(Restore::default()).unwrap();
    assert_eq!(json!(row(&rows, "restore.type")[1]), defaults["type"]);
    assert_eq!(row(&rows, "restore.allowNonRestoredState")[1], defaults["allowNonRestoredState"].to_string());
}

#[test]
fn every_outcome_is_told_with_what_becomes_of_the_execution() {
    let (readme, runbook) = (page("README.md"), page("docs/operations.md"));
    let rows = rows(&readme);
    for outcome in notify::OUTCOMES {
        let name = outcome.to_string();
        assert_eq!(row(&rows, &name)[1], if outcome.is_success() { "succeeds" } else { "fails" }, "{name}");
        assert!(runbook.contains(&format!("- **`{name}`**: ")), "the runbook does not say what {name} means");
    }
    let told = rows.iter().filter(|row| ["succeeds", "fails"].contains(&row[1].as_str())).count();
    assert_eq!(told, notify::OUTCOMES.len(), "an outcome is told that does not exist");
}

#[test]
fn the_runbook_has_the_headings_that_reports_and_letters_point_to() {
    let runbook = page("docs/operations.md");
    for (path, heading) in [
        ("crates/lifecycle/src/report.rs", "NeedsAttention"),
        ("crates/notify/src/ended.rs", "Stopping a deployment"),
        ("crates/notify/src/snapshots.rs", "What came of it"),
        ("crates/notify/src/snapshots.rs", "Error names"),
    ] {
        assert!(page(path).contains(&format!("\\\"{heading}\\\"")), "{path} does not point to {heading}");
        let is_heading = |line: &str| line.starts_with("##") && line.trim_start_matches('#') == format!(" {heading}");
        assert!(runbook.lines().any(is_heading), "there is no heading {heading}");
    }
}

/// Kinds of errors; the match sees to it that none is forgotten.
fn error_kinds() -> Vec<ErrorKind> {
    use ErrorKind as Kind;
    let after = |kind| match kind {
        Kind::Throttled => Some(Kind::Unavailable),
        Kind::Unavailable => Some(Kind::AccessDenied),
        Kind::AccessDenied => Some(Kind::NotFound),
        Kind::NotFound => Some(Kind::ResourceInUse),
        Kind::ResourceInUse => Some(Kind::ConcurrentModification),
        Kind::ConcurrentModification => Some(Kind::InvalidArgument),
        Kind::InvalidArgument => Some(Kind::RoleNotReady),
        Kind::RoleNotReady => Some(Kind::InvalidRequest),
        Kind::InvalidRequest => Some(Kind::InvalidApplicationConfiguration),
        Kind::InvalidApplicationConfiguration => Some(Kind::CodeValidation),
        Kind::CodeValidation => Some(Kind::LimitExceeded),
        Kind::LimitExceeded => Some(Kind::Unsupported),
        Kind::Unsupported => Some(Kind::Unreadable),
        Kind::Unreadable => Some(Kind::Other),
        Kind::Other => None,
    };
    std::iter::successors(Some(Kind::Throttled), |kind| after(*kind)).collect()
}

#[test]
fn every_error_name_is_in_the_runbook_and_no_other() {
    let runbook = page("docs/operations.md");
    let told: BTreeSet<String> =
        rows(section(&runbook, "## Error names")).into_iter().skip(2).map(|row| row[0].clone()).collect();
    let problem = || "none".to_owned();
    let handlers = [
        handler::Error::InvalidEvent { path: problem(), problem: "none" },
        handler::Error::Result(serde_json::from_str::<Value>("").unwrap_err()),
        handler::Error::NotificationFailed { channel: "SNS", problem: problem() },
    ];
    let names = error_kinds().into_iter().map(ErrorKind::name).chain(handlers.iter().map(handler::Error::name));
    assert_eq!(told, names.map(str::to_owned).collect());
}

#[test]
fn every_reason_code_is_in_the_runbook_and_no_other() {
    let codes = cases("crates/lifecycle/src/verdict.rs", "Reason");
    assert!(codes.contains("operationInProgress") && codes.contains("takingSnapshot"), "{codes:?}");
    let mut told = words(section(&page("docs/operations.md"), "## Reason codes"));
    told.retain(|word| !word.ends_with("Seconds"));
    assert_eq!(told, codes);
}

/// The table of the kinds of failure, as the code has them.
fn root_causes() -> String {
    let kinds = cases("crates/lifecycle/src/cause.rs", "Kind").into_iter().map(|kind| {
        let read: Kind = serde_json::from_value(kind.clone().into()).unwrap();
        (read, kind)
    });
    let kinds: BTreeMap<_, _> = kinds.collect();
    let row = |(kind, name): (&Kind, &String)| {
        format!("| `{name}` | {} | {} {} |", kind.category(), kind.meaning(), kind.advice())
    };
    kinds.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_kind_of_failure_is_in_the_runbook_in_the_words_of_the_code() {
    let table = root_causes();
    assert!(table.lines().count() > 30, "{table}");
    assert!(page("docs/operations.md").contains(&table), "the table under \"Root causes\" has to be:\n{table}");
}

#[test]
fn every_code_of_a_snapshot_is_in_the_runbook_and_no_other() {
    let runbook = page("docs/operations.md");
    let codes = cases("crates/lifecycle/src/snapshots/run.rs", "SnapshotReason");
    assert!(codes.contains("takenAlready") && codes.contains("likelyNetwork"), "{codes:?}");
    let told = section(&runbook, "### What came of it").split_once("\nCodes of what was taken").unwrap().1;
    let mut told = words(told);
    told.retain(|word| !word.ends_with("Seconds"));
    assert_eq!(told, codes);
    let mut kept = words(section(&runbook, "### What is kept").split("\n**Look before.**").next().unwrap());
    let is_field = |word: &String| {
        word == "READY" || word == "sweep" || serde_json::to_value(Retention::default()).unwrap().get(word).is_some()
    };
    kept.retain(|word| !is_field(word) || ["daily", "weekly", "monthly"].contains(&word.as_str()));
    assert_eq!(kept, cases("crates/lifecycle/src/retention.rs", "KeepReason"));
}

#[test]
fn every_outcome_of_snapshots_is_told_with_what_becomes_of_the_execution() {
    let lower = |name: &String| name[..1].to_ascii_lowercase() + &name[1..];
    let told = rows(section(&page("docs/operations.md"), "### What came of it"));
    let of = |has_execution: bool| -> BTreeMap<String, String> {
        let own = told.iter().filter(|row| (row.len() == 3) == has_execution && !row[0].starts_with(['-', 'o']));
        own.map(|row| (lower(&row[0]), row[1].clone())).collect()
    };
    let names = |found: &BTreeMap<String, String>| found.keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(names(&of(false)), cases("crates/lifecycle/src/snapshots/run.rs", "SnapshotOutcome"));
    assert_eq!(names(&of(true)), cases("crates/lifecycle/src/snapshots/summary.rs", "RunOutcome"));
    let succeeding: Vec<String> =
        of(true).into_iter().filter(|(_, execution)| execution == "succeeds").map(|(name, _)| name).collect();
    assert_eq!(succeeding, ["snapshotsTaken"]);
}

/// Whether a request for snapshots with this value is refused for its bounds; `field` is a path.
fn is_in_bounds_of_snapshots(field: &str, value: u64) -> bool {
    let mut input = json!({ "application": "orders" });
    match field.split_once('.') {
        Some((object, member)) => input[object] = json!({ member: value }),
        None => input[field] = json!(value),
    }
    let refusals = SnapshotRequest::parse(&input, a_moment()).err().unwrap_or_default();
    !refusals.iter().any(|refusal| refusal.field == field && refusal.problem.contains("out of bounds"))
}

#[test]
fn every_field_of_a_request_for_snapshots_is_told_with_its_default_and_bounds() {
    let runbook = page("docs/operations.md");
    let told = rows(section(&runbook, "### The request"));
    let (request, retention) = told.split_at(told.iter().position(|row| row[0] == "field of retention").unwrap());
    let schema: Value = serde_json::from_str(&page("docs/schemas/snapshots.schema.json")).unwrap();
    let names = |rows: &[Vec<String>]| rows.iter().skip(2).map(|row| row[0].clone()).collect::<BTreeSet<_>>();
    let members = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(request), members(&schema["properties"]));
    let defaults = serde_json::to_value(Retention::default()).unwrap();
    assert_eq!(names(retention), &members(&defaults) | &BTreeSet::from(["sweep".to_owned()]));
    for row in retention.iter().skip(2).filter(|row| row[0] != "sweep") {
        let default = serde_json::from_str(&row[1]).unwrap_or_else(|_| json!(row[1]));
        assert_eq!(default, defaults[&row[0]], "the default of {}", row[0]);
    }
    let asked = SnapshotRequest::parse(&json!({ "application": "orders" }), a_moment()).unwrap();
    let defaults = json!({
        "scheduledAt": "the execution's start",
        "concurrency": asked.concurrency,
        "timeoutSeconds": asked.plan.timeout_seconds,
        "blackouts": asked.plan.blackouts,
        "dryRun": asked.plan.dry_run,
    });
    assert_eq!(asked.plan.scheduled_at, a_moment());
    for (field, default) in defaults.as_object().unwrap() {
        let row = row(request, field);
        assert_eq!(serde_json::from_str(&row[1]).unwrap_or_else(|_| json!(row[1])), *default, "the default of {field}");
    }
    let numbers = ["concurrency", "timeoutSeconds"].map(|field| (field.to_owned(), row(request, field)));
    let of_retention = retention.iter().filter(|row| row[2].contains(" to "));
    let of_retention = of_retention.map(|row| (format!("retention.{}", row[0]), row.as_slice()));
    let mut checked = 0;
    for (field, row) in numbers.into_iter().chain(of_retention) {
        let (least, most) = row[2].split_once(" to ").unwrap_or_else(|| panic!("{field} has no bounds"));
        let (least, most): (u64, u64) = (least.parse().unwrap(), most.parse().unwrap());
        for (value, is_within) in
            [(Some(least), true), (least.checked_sub(1), false), (Some(most), true), (Some(most + 1), false)]
        {
            let Some(value) = value else { continue };
            assert_eq!(is_in_bounds_of_snapshots(&field, value), is_within, "{field}: {value}");
        }
        checked += 1;
    }
    assert_eq!(checked, 8, "numbers with bounds");
}

/// A template, by its path.
fn cloud_formation(path: &str) -> Value {
    template::read(&page(path)).unwrap()
}

#[test]
fn every_parameter_of_the_templates_is_in_the_runbook_with_its_default_and_no_other() {
    let runbook = page("docs/operations.md");
    let told = rows(section(&runbook, "### Parameters"));
    let tables: Vec<&[Vec<String>]> = told.split(|row| row[0] == "parameter").skip(1).collect();
    assert_eq!(tables.len(), 2);
    for (path, table) in ["template.yaml", "docs/alarms.yaml"].into_iter().zip(tables) {
        let declared = cloud_formation(path)["Parameters"].clone();
        let declared: BTreeMap<&str, String> = declared
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, parameter)| {
                let default = match parameter.get("Default") {
                    None => "required".to_owned(),
                    Some(Value::String(text)) if text.is_empty() => "none".to_owned(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                (name.as_str(), default)
            })
            .collect();
        let told: BTreeMap<&str, String> = table
            .iter()
            .skip(1)
            .map(|row| {
                let default = if row[1].starts_with("see [there]") { schedules_input() } else { row[1].clone() };
                (row[0].as_str(), default)
            })
            .collect();
        assert_eq!(told, declared, "{path}");
    }
}

/// What the runbook says the schedule hands over.
fn schedules_input() -> String {
    let runbook = page("docs/operations.md");
    let [block] = &blocks(section(&runbook, "### The schedule"), "text")[..] else { panic!("not one block") };
    block.replace('\n', " ")
}

#[test]
fn what_the_runbook_says_of_the_stack_is_so() {
    let (runbook, stack) = (page("docs/operations.md"), cloud_formation("template.yaml"));
    let outputs = &stack["Outputs"];
    let letters = rows(section(&runbook, "## Notifications, alarms and dead letters"));
    let queues: BTreeSet<&str> =
        letters.iter().map(|row| row[0].as_str()).filter(|name| name.ends_with("QueueUrl")).collect();
    let declared = outputs.as_object().unwrap().keys().map(String::as_str);
    assert_eq!(queues, declared.filter(|name| name.ends_with("QueueUrl")).collect());
    for name in ["DeployStateMachineArn", "SnapshotApplicationStateMachineArn", "TurnsTableName", "TopicArn"] {
        assert!(runbook.contains(&format!("`{name}`")) && outputs.get(name).is_some(), "the output {name}");
    }
    assert!(
        runbook.contains("`AlarmNames`") && cloud_formation("docs/alarms.yaml")["Outputs"].get("AlarmNames").is_some()
    );
    assert!(runbook.contains(&format!("At most {MOST_WAITING} wait")));
    let told = words(section(&runbook, "### Permissions to install"));
    for path in ["template.yaml", "docs/alarms.yaml"] {
        let resources = cloud_formation(path)["Resources"].clone();
        for resource in resources.as_object().unwrap().values() {
            let kind = resource["Type"].as_str().unwrap();
            let service = match kind.strip_prefix("AWS::").and_then(|rest| rest.split_once("::")).unwrap() {
                ("Serverless", "StateMachine") => "states".to_owned(),
                ("Serverless", _) => "lambda".to_owned(),
                (service, _) => service.to_ascii_lowercase(),
            };
            assert!(
                told.contains(&service),
                "{path} has a {kind}, and the permissions to install do not have {service}"
            );
        }
    }
}

#[test]
fn every_variable_that_the_template_sets_is_in_the_runbook_with_who_reads_it() {
    let told = rows(section(&page("docs/operations.md"), "## Configuration of the Lambdas"));
    let mut set: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let stack = cloud_formation("template.yaml");
    for resource in stack["Resources"].as_object().unwrap().values() {
        let variables = resource.pointer("/Properties/Environment/Variables").and_then(Value::as_object);
        for variable in variables.into_iter().flat_map(|variables| variables.keys()) {
            let function = resource["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap();
            set.entry(variable.clone()).or_default().insert(function.to_owned());
        }
    }
    assert!(set.len() >= 8, "{set:?}");
    for (variable, functions) in set {
        let readers: BTreeSet<String> = row(&told, &variable)[1].split(", ").map(str::to_owned).collect();
        assert_eq!(readers, functions, "{variable}");
    }
}

#[test]
fn the_runbook_names_the_lambdas_that_may_use_the_keys() {
    let stack = cloud_formation("template.yaml");
    let resources = stack["Resources"].as_object().unwrap();
    let has_keys = |role: &Value| role["Properties"]["ManagedPolicyArns"].to_string().contains("KmsKeysPolicy");
    let using: BTreeSet<&str> = resources
        .values()
        .filter_map(|resource| {
            let function = resource["Metadata"]["BuildProperties"]["Binary"].as_str()?;
            let role = resource["Properties"]["Role"]["Fn::GetAtt"].clone();
            let role =
                role.as_str().map(str::to_owned).or_else(|| Some(role.as_array()?.first()?.as_str()?.to_owned()));
            has_keys(&resources[role.unwrap().split('.').next().unwrap()]).then_some(function)
        })
        .collect();
    let runbook = page("docs/operations.md");
    let list =
        section(&runbook, "## Customer-managed keys").split_once("the application or its snapshots (").unwrap().1;
    let list = list.split(')').next().unwrap();
    assert_eq!(list.split(',').map(str::trim).collect::<BTreeSet<_>>(), using);
}

#[test]
fn every_kind_of_event_that_is_put_on_the_bus_is_in_the_runbook() {
    let told = rows(section(&page("docs/operations.md"), "## Notifications, alarms and dead letters"));
    let told: BTreeSet<&str> =
        told.iter().skip(2).take_while(|row| row[0] != "metric").map(|row| row[0].as_str()).collect();
    let put =
        [notify::EVENT_TYPE, notify::SNAPSHOTS_EVENT_TYPE, notify::EXECUTION_EVENT_TYPE, start_deployment::EVENT_TYPE];
    assert_eq!(told, BTreeSet::from(put));
    assert!(page("docs/operations.md").contains(&format!("`{}`", notify::EVENT_SOURCE)));
}

#[test]
fn every_metric_of_a_deployments_end_is_in_the_runbook_and_on_the_dashboard() {
    let of_outcomes = notify::OUTCOMES.map(Outcome::name);
    let written: BTreeSet<&str> = of_outcomes.into_iter().chain(notify::OF_TIME).collect();
    let runbook = page("docs/operations.md");
    let told = rows(section(&runbook, "### Metrics"));
    let told: BTreeSet<&str> = told.iter().skip(2).flat_map(|row| row[0].split(", ")).collect();
    assert_eq!(told, written);
    let dashboard = cloud_formation("template.yaml")["Resources"]["Dashboard"].to_string();
    for name in written {
        assert!(
            dashboard.contains(&format!("MetricName=\\\\\\\"{name}\\\\\\\"")),
            "the dashboard does not show {name}"
        );
    }
}

#[test]
fn every_sample_input_is_in_the_runbook() {
    let runbook = page("docs/operations.md");
    for entry in std::fs::read_dir(root().join("events")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_told = name == "triggers" || runbook.contains(&format!("(../events/{name})"));
        assert!(is_told, "the runbook does not speak of events/{name}");
    }
}

#[test]
fn every_sample_in_the_documentation_can_be_used_as_it_is() {
    let mut requests = 0;
    let mut snapshot_requests = 0;
    for (path, page) in pages() {
        for block in blocks(&page, "json") {
            let sample: Value = serde_json::from_str(&block).unwrap_or_else(|error| panic!("{path}: {error}\n{block}"));
            if sample.get("outcome").is_some() {
                let report: Result<Report, _> = serde_json::from_value(sample.clone());
                let report = report.unwrap_or_else(|error| panic!("{path}: {error}"));
                assert_eq!(serde_json::to_value(report).unwrap(), sample, "{path}: members that no report has");
            } else if sample.get("Effect").is_some() {
                assert_eq!(sample["Action"], keys_actions(), "{path}: the template allows other actions");
            } else if ["tag", "applications", "retention", "dryRun"].iter().any(|field| sample.get(field).is_some()) {
                let request = SnapshotRequest::parse(&sample, a_moment());
                assert!(request.is_ok(), "{path}: {request:?}");
                snapshot_requests += 1;
            } else {
                assert!(Request::parse(&sample).is_ok(), "{path}: {:?}", Request::parse(&sample));
                requests += 1;
            }
        }
    }
    assert!(requests >= 8 && snapshot_requests >= 3, "samples were not found: {requests}, {snapshot_requests}");
}

/// When the samples with a time of their own could be sent.
fn a_moment() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// The actions on keys that the template allows, in its order.
fn keys_actions() -> Value {
    let template = template::read(&page("template.yaml")).unwrap();
    let statements = template["Resources"]["KmsKeysPolicy"]["Properties"]["PolicyDocument"]["Statement"].clone();
    let actions = statements.as_array().unwrap().iter().flat_map(|statement| match &statement["Action"] {
        Value::Array(actions) => actions.clone(),
        action => vec![action.clone()],
    });
    actions.collect()
}

#[test]
fn the_figures_are_counted() {
    let readme = page("README.md");
    let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    let price = |transitions: u64| {
        let microdollars = transitions * TRANSITION_MICRODOLLARS;
        format!("${}.{:06}", microdollars / 1_000_000, microdollars % 1_000_000)
    };
    let transitions = |name: &str| {
        let run = scenario(name).unwrap().run().unwrap();
        assert_eq!(run.mismatches(), Vec::<String>::new(), "{name}");
        run.deployments.iter().map(|deployed| deployed.result.transitions).sum()
    };
    let (healthy, crash) = (transitions("healthy"), transitions("crash-loop-in-open"));
    let sentences = [
        format!("makes {healthy} state transitions, a crash loop that is rolled back and verified {crash} (counted"),
        format!("that is {} and {}.", price(healthy), price(crash)),
    ];
    for sentence in sentences {
        assert!(readme.contains(&sentence), "the README does not say: {sentence}");
    }
    let run = scenario("healthy").unwrap().run().unwrap();
    let requests = run.record.iter().filter_map(|entry| match &entry.event {
        Event::Call(call) if call.service == "dynamodb" => Some(call.operation.as_str()),
        _ => None,
    });
    assert_eq!(requests.collect::<Vec<_>>(), ["GetItem", "PutItem"]);
    assert!(readme.contains("makes one read and one write of DynamoDB for its turn"));
}

#[tokio::test(start_paused = true)]
async fn the_figures_of_a_run_of_snapshots_are_counted() {
    let transitions = async |applications: usize| {
        let world = World::new(1);
        let apps: Vec<_> = (0..applications).map(|number| SnapshotApp::new(format!("orders-{number}"))).collect();
        world.create_all(&apps).await.unwrap();
        let names: Vec<_> = apps.iter().map(|app| app.name.clone()).collect();
        let run = world.take_snapshots("nightly", &json!({ "applications": names })).await.unwrap();
        let states = run.applications.iter().map(|execution| run.states[&execution.name].len() as u64);
        run.result.transitions + states.sum::<u64>()
    };
    let (one, two) = (transitions(1).await, transitions(2).await);
    let each = two - one;
    let sentence =
        format!("A run of snapshots makes {} state transitions, and {each} for each application", one - each);
    let readme = page("README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(readme.contains(&sentence), "the README does not say: {sentence}");
}

/// What one Lambda may have to call, as the runbook tells it: `service:Operation`.
fn actions<'runbook>(runbook: &'runbook str, function: &str) -> BTreeSet<&'runbook str> {
    let list = section(runbook, "## What each Lambda may have to call");
    let item = list.split(&format!("\n- **{function}**: ")).nth(1).unwrap_or_default();
    let item = item.split("\n- ").next().unwrap().split("\n\n").next().unwrap();
    item.split('`').skip(1).step_by(2).filter(|word| word.contains(':')).collect()
}

/// The roles are held against real runs by `tests/permissions.rs`, and the runbook here against the roles.
#[test]
fn each_lambda_may_have_to_call_what_the_runbook_says_and_nothing_else() {
    let stack = full_stack(&template::read(&page("template.yaml")).unwrap()).unwrap();
    let permissions = Permissions::read(&stack, &root()).unwrap();
    let runbook = page("docs/operations.md");
    let mut missing = String::new();
    for (function, allowed) in permissions.calls() {
        if actions(&runbook, function) != allowed {
            let actions: Vec<String> = allowed.iter().map(|action| format!("`{action}`")).collect();
            let _ = writeln!(missing, "- **{function}**: {}", actions.join(", "));
        }
    }
    assert!(missing.is_empty(), "the runbook has to say:\n{missing}");
}

#[test]
fn every_link_leads_somewhere() {
    let anchor = |heading: &str| {
        let kept = |character: &char| character.is_alphanumeric() || " -_".contains(*character);
        heading.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    for (path, text) in pages() {
        let text = text.split("\n```").step_by(2).collect::<String>();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(&path).parent().unwrap();
            let target = if file.is_empty() { PathBuf::from(&path) } else { folder.join(file) };
            assert!(root().join(&target).exists(), "{path}: there is no {file}");
            if !heading.is_empty() {
                let headings = page(target.to_str().unwrap());
                let is_there =
                    headings.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
                assert!(is_there, "{path}: {} has no heading {heading}", target.display());
            }
        }
    }
}

/// What a cell of the table of roles allows: actions, and names of managed policies.
fn allowed_by(cell: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut actions, mut policies) = (BTreeSet::new(), BTreeSet::new());
    for part in cell.split(';').map(str::trim) {
        match part.split_once(": ") {
            Some((service, names)) => actions.extend(names.split(", ").map(|name| format!("{service}:{name}"))),
            None => policies.extend([part.to_owned()]),
        }
    }
    (actions, policies)
}

#[test]
fn every_role_is_told_with_all_that_it_may_and_nothing_else() {
    const FUNCTIONS: &str = "every function's";
    let template = template::read(&page("template.yaml")).unwrap();
    let security = page("docs/security.md");
    let rows = rows(section(&security, "### What each role could do at worst"));
    let told: BTreeMap<&str, _> = rows[2..].iter().map(|row| (row[0].as_str(), allowed_by(&row[1]))).collect();
    assert_eq!(told.len(), rows.len() - 2, "a role is told twice");
    assert!(rows.iter().all(|row| row.len() == 4 && row.iter().all(|cell| !cell.is_empty())), "a cell is empty");

    // Of a managed policy, what it allows by itself; of a role, with all its policies and what every function has.
    let with_policies = |(actions, policies): &(BTreeSet<String>, BTreeSet<String>)| {
        let more = policies.iter().flat_map(|policy| told[policy.as_str()].0.iter().cloned());
        actions.iter().cloned().chain(more).collect::<BTreeSet<_>>()
    };
    let resources = template["Resources"].as_object().unwrap();
    let of_type = |kind: &'static str| resources.iter().filter(move |(_, resource)| resource["Type"] == kind);
    let of_functions: BTreeSet<&str> = of_type("AWS::Serverless::Function")
        .map(|(_, function)| function["Properties"]["Role"]["Fn::GetAtt"][0].as_str().unwrap())
        .collect();
    let mut expected: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (id, policy) in of_type("AWS::IAM::ManagedPolicy") {
        let statements = policy["Properties"]["PolicyDocument"]["Statement"].as_array().unwrap();
        let actions = statements.iter().flat_map(|statement| match &statement["Action"] {
            Value::Array(actions) => actions.clone(),
            action => vec![action.clone()],
        });
        expected.insert(id, actions.map(|action| action.as_str().unwrap().to_owned()).collect());
    }
    let stack = full_stack(&template).unwrap();
    let permissions = Permissions::read(&stack, &root()).unwrap();
    expected.extend(permissions.of_roles());

    let every_function = with_policies(&told[FUNCTIONS]);
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, allowed) in told.iter().filter(|(name, _)| **name != FUNCTIONS) {
        let mut actions = with_policies(allowed);
        if of_functions.contains(name) {
            actions.extend(every_function.iter().cloned());
        }
        found.insert(name, actions);
    }
    assert_eq!(found, expected);
}

/// A policy that a row names is one that the role has: what two policies both allow must not hide that one is not told.
#[test]
fn every_role_is_told_with_its_managed_policies() {
    let template = template::read(&page("template.yaml")).unwrap();
    let security = page("docs/security.md");
    let rows = rows(section(&security, "### What each role could do at worst"));
    for (id, resource) in template["Resources"].as_object().unwrap() {
        if resource["Type"] != "AWS::IAM::Role" {
            continue;
        }
        let attached = resource["Properties"]["ManagedPolicyArns"].to_string();
        let names: BTreeSet<&str> = attached.split('"').filter(|word| word.ends_with("Policy")).collect();
        let mut told = allowed_by(&row(&rows, id)[1]).1;
        if names.contains("TracingPolicy") {
            told.extend(allowed_by(&row(&rows, "every function's")[1]).1);
        }
        assert_eq!(told.iter().map(String::as_str).collect::<BTreeSet<_>>(), names, "{id}");
    }
}

#[test]
fn the_figures_of_security_are_those_of_the_code() {
    let security = page("docs/security.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let template = template::read(&page("template.yaml")).unwrap();
    let transport = page("crates/managed-flink/src/transport.rs");
    let number = |name: &str| -> String {
        let line = transport.lines().find(|line| line.starts_with(&format!("const {name}:"))).unwrap();
        line.chars().filter(|character| character.is_ascii_digit() || *character == '*').collect()
    };
    let days = |id: &str| template["Resources"][id]["Properties"]["MessageRetentionPeriod"].as_u64().unwrap() / 86_400;
    assert_eq!((number("LARGEST_BODY").as_str(), number("MOST_REDIRECTS").as_str()), ("4*1024*1024", "2"));
    for sentence in [
        format!("At most {MOST_WAITING} executions wait for an application"),
        format!("inputs over {} bytes", grouped(LARGEST_REQUEST_BYTES)),
        format!("longer than its {} seconds", template["Globals"]["Function"]["Timeout"]),
        format!("`LogRetentionDays`, {} unless set", template["Parameters"]["LogRetentionDays"]["Default"]),
        format!("the events that nobody took | {} days", days("UploadDeadLetterQueue")),
        format!("the events that nobody took | {} days", days("NotificationDeadLetterQueue")),
        format!("{} seconds to connect, {} for an answer, 4 MiB of it", number("CONNECT_TIME_OUT"), number("TIME_OUT")),
        "Redirects are followed twice at most".to_owned(),
    ] {
        assert!(security.contains(&sentence), "docs/security.md does not say: {sentence}");
    }
}

/// A number of thousands as people write it.
fn grouped(number: usize) -> String {
    format!("{},{:03}", number / 1_000, number % 1_000)
}
