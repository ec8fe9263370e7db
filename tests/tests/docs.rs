//! What the documentation says against what the code does: fields, defaults and bounds, outcomes, names, samples, figures,
//! the calls of each Lambda, and links.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use lifecycle::policy::Policy;
use lifecycle::report::{Outcome, Report};
use lifecycle::request::{Request, Restore};
use managed_flink::ErrorKind;
use scenarios::catalogue::scenario;
use scenarios::permissions::{Permissions, full_stack, template};
use serde_json::{Value, json};

/// Price of a state transition of a Standard workflow in us-east-1, in millionths of a dollar.
const TRANSITION_MICRODOLLARS: u64 = 25;

const OUTCOMES: [Outcome; 7] = [
    Outcome::Deployed,
    Outcome::NoChange,
    Outcome::RolledBack,
    Outcome::Restored,
    Outcome::Superseded,
    Outcome::Refused,
    Outcome::NeedsAttention,
];

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
        "docs/operations.md",
        "docs/real-flink.md",
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
        ("start", json!(true)),
        ("reason", json!("because")),
        ("comment", json!("for the reader")),
    ];
    for (field, value) in fields {
        row(&rows, field);
        let mut input = json!({ "application": "orders", "update": update });
        match field.split_once('.') {
            Some((object, member)) => input[object] = json!({ member: value }),
            None => input[field] = value,
        }
        assert!(Request::parse(&input).is_ok(), "{field}: {:?}", Request::parse(&input));
    }
    row(&rows, "restore.snapshot");
    let defaults = serde_json::to_value(Restore::default()).unwrap();
    assert_eq!(json!(row(&rows, "restore.type")[1]), defaults["type"]);
    assert_eq!(row(&rows, "restore.allowNonRestoredState")[1], defaults["allowNonRestoredState"].to_string());
}

#[test]
fn every_outcome_is_told_with_what_becomes_of_the_execution() {
    let (readme, runbook) = (page("README.md"), page("docs/operations.md"));
    let rows = rows(&readme);
    for outcome in OUTCOMES {
        let name = outcome.to_string();
        assert_eq!(row(&rows, &name)[1], if outcome.is_success() { "succeeds" } else { "fails" }, "{name}");
        assert!(runbook.contains(&format!("- **`{name}`**: ")), "the runbook does not say what {name} means");
    }
    let told = rows.iter().filter(|row| ["succeeds", "fails"].contains(&row[1].as_str())).count();
    assert_eq!(told, OUTCOMES.len(), "an outcome is told that does not exist");
}

#[test]
fn the_runbook_has_the_heading_that_reports_point_to() {
    assert!(page("docs/operations.md").lines().any(|line| line == "## NeedsAttention"));
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
    let section = runbook.split("\n## Error names\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let told: BTreeSet<String> = rows(section).into_iter().skip(2).map(|row| row[0].clone()).collect();
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
    let source = page("crates/lifecycle/src/verdict.rs");
    let cases = source.split("pub enum Reason {\n").nth(1).unwrap().split("\n}\n").next().unwrap();
    let codes: BTreeSet<String> = cases
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .map(|line| {
            let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
            name[..1].to_ascii_lowercase() + &name[1..]
        })
        .collect();
    assert!(codes.contains("operationInProgress") && codes.contains("takingSnapshot"), "{codes:?}");
    let runbook = page("docs/operations.md");
    let section = runbook.split("\n## Reason codes\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let words = section.split('`').skip(1).step_by(2).map(str::to_owned);
    let told: BTreeSet<String> = words.filter(|word| !word.ends_with("Seconds")).collect();
    assert_eq!(told, codes);
}

#[test]
fn every_sample_in_the_documentation_is_a_request_or_a_report() {
    let mut requests = 0;
    for (path, page) in pages() {
        for block in blocks(&page, "json") {
            let sample: Value = serde_json::from_str(&block).unwrap_or_else(|error| panic!("{path}: {error}\n{block}"));
            if sample.get("outcome").is_some() {
                let report: Result<Report, _> = serde_json::from_value(sample.clone());
                let report = report.unwrap_or_else(|error| panic!("{path}: {error}"));
                assert_eq!(serde_json::to_value(report).unwrap(), sample, "{path}: members that no report has");
            } else {
                assert!(Request::parse(&sample).is_ok(), "{path}: {:?}", Request::parse(&sample));
                requests += 1;
            }
        }
    }
    assert!(requests >= 2, "the samples were not found");
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
}

/// What one Lambda may have to call, as the runbook tells it: `service:Operation`.
fn actions<'runbook>(runbook: &'runbook str, function: &str) -> BTreeSet<&'runbook str> {
    let section = runbook.split("\n## What each Lambda may have to call\n").nth(1).unwrap();
    let item = section.split(&format!("\n- **{function}**: ")).nth(1).unwrap_or_default();
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
