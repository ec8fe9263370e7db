//! The JSON Schemas in `docs/schemas/` against the code: what the parser takes is valid and what it refuses is not, with the
//! same defaults, bounds and words. That every report of the catalogue is valid, `scenarios.rs` asserts as it runs them.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::path::Path;

use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use jsonschema::Validator;
use lifecycle::cause::{Category, Kind, RootCause};
use lifecycle::data::{DataReport, RestoredSnapshot};
use lifecycle::deployment::Rung;
use lifecycle::evidence::Failure;
use lifecycle::policy::{OnFailure, OnStaleSnapshot, Policy};
use lifecycle::refusal::Refusal;
use lifecycle::report::{Outcome, Report};
use lifecycle::request::{Request, Restore, RestoreType, Stop};
use lifecycle::retention::{Retention, Sweep};
use lifecycle::snapshots::{SnapshotRequest, TagFilter};
use lifecycle::timings::Timings;
use lifecycle::verdict::Reason;
use scenarios::upload_scenarios::Account;
use scenarios::world::App;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::mistakes::mistakes;
use crate::schema::{closed, mistakes_of, schema, validator};

#[path = "support/mistakes.rs"]
mod mistakes;
#[path = "support/schema.rs"]
mod schema;

/// Mistakes that a schema cannot describe: a deadline shorter than the times that it has to cover.
const BEYOND_A_SCHEMA: [&str; 1] = ["policy.deadlineSeconds"];

fn request() -> Validator {
    validator(&schema("request"))
}

/// A request that is taken, with these members in place of its own.
fn with(members: &Value) -> Value {
    let mut request = json!({ "application": "orders", "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20" } });
    let Value::Object(members) = members else { return members.clone() };
    request.as_object_mut().unwrap().extend(members.clone());
    request
}

#[test]
fn the_schemas_are_schemas() {
    for name in ["request", "report", "snapshots", "snapshots-taken", "upload-refused", "execution-ended"] {
        let schema = schema(name);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert!(jsonschema::meta::is_valid(&schema), "{name}: {:?}", jsonschema::meta::validate(&schema).err());
    }
}

#[test]
fn every_sample_is_valid() {
    for (folder, name, at_least) in [("events", "request", 15), ("events/snapshots", "snapshots", 5)] {
        let schema = validator(&schema(name));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let mut seen = 0;
        for path in paths {
            let sample: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(mistakes_of(&schema, &sample), [""; 0], "{}", path.display());
            seen += 1;
        }
        assert!(seen >= at_least, "only {seen} samples of {name}");
    }
}

/// The kinds of events for machines, each with its schema.
const EVENTS: [(&str, &str); 4] = [
    (notify::EVENT_TYPE, "report"),
    (notify::SNAPSHOTS_EVENT_TYPE, "snapshots-taken"),
    (notify::EXECUTION_EVENT_TYPE, "execution-ended"),
    (start_deployment::EVENT_TYPE, "upload-refused"),
];

/// Asserts that the detail of an event is as the schema of its kind describes it, all its members.
fn assert_conforms(kind: &str, detail: &Value) {
    let (_, name) = EVENTS.iter().find(|(known, _)| *known == kind).unwrap();
    let schema = validator(&closed(schema(name)));
    assert_eq!(mistakes_of(&schema, detail), [""; 0], "{kind}: {detail}");
    assert_eq!(detail["schemaVersion"], notify::SCHEMA_VERSION, "{kind}");
}

#[test]
fn every_sample_of_an_event_for_machines_conforms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/notifications");
    let mut kinds = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let event: Value = serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        assert_eq!(event["source"], notify::EVENT_SOURCE);
        let kind = event["detail-type"].as_str().unwrap();
        assert_conforms(kind, &event["detail"]);
        kinds.insert(kind.to_owned());
    }
    assert_eq!(kinds, EVENTS.iter().map(|(kind, _)| (*kind).to_owned()).collect());
}

#[test]
fn every_schema_of_an_event_tells_the_version_that_is_sent() {
    for (kind, name) in EVENTS {
        assert_eq!(schema(name)["properties"]["schemaVersion"]["examples"], json!([notify::SCHEMA_VERSION]), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_event_for_machines_conforms() {
    let account = Account::with(&App::default()).await.unwrap();
    let (good, key) = (Behaviour::healthy(), "applications/orders/orders.jar");
    let bad = Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Fixed { seconds: 10 });
    account.deliver(&account.upload("orders.jar", &good)).await;
    account.deliver(&account.upload(key, &bad)).await;
    account.story().await.unwrap();
    account.start_by_hand("by-hand", &json!({ "application": "orders", "stop": "graceful" })).await.unwrap();
    account.wait(20).await;
    account.abort("by-hand").await.unwrap();
    for input in [json!({ "application": "orders" }), json!({ "applications": ["absent"] }), json!({})] {
        let name = format!("snapshots-{}", input.as_object().unwrap().keys().map(String::as_str).collect::<String>());
        account.world.take_snapshots(&name, &input).await.unwrap();
    }
    let story = account.story().await.unwrap();
    for (kind, detail) in &story.events {
        assert_conforms(kind, detail);
    }
    let kinds: BTreeSet<&str> = story.events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, EVENTS.iter().map(|(kind, _)| *kind).collect());
}

#[test]
fn what_the_parser_refuses_is_not_valid() {
    let request = request();
    let mut beyond = BTreeSet::new();
    for (mistake, field) in mistakes() {
        let input = if mistake.get("application").is_none() && mistake.is_object() {
            let mut input = mistake.clone();
            input["application"] = json!("orders");
            input
        } else {
            mistake
        };
        // What only the application shows to be a mistake is no matter of form.
        let Err(refusals) = Request::parse(&input) else { continue };
        if request.is_valid(&input) {
            let is_beyond = |refusal: &Refusal| BEYOND_A_SCHEMA.contains(&refusal.field.as_str());
            assert!(refusals.iter().all(is_beyond), "{input} is valid, and refused: {refusals:?}");
            beyond.insert(field);
        }
    }
    assert_eq!(beyond, BEYOND_A_SCHEMA.into(), "an exception is none");
}

#[test]
fn the_parser_and_the_schema_draw_the_same_lines() {
    let request = request();
    let upload = |member: &str, value: Value| {
        let mut upload = json!({
            "bucket": "code", "key": "orders.jar", "versionId": "one", "sequencer": "00ab", "at": "2026-01-02T12:00:00Z",
        });
        upload[member] = value;
        json!({ "upload": upload })
    };
    let restore = |kind: &str, snapshot: &str| json!({ "restore": { "type": kind, "snapshot": snapshot } });
    let custom = "RESTORE_FROM_CUSTOM_SNAPSHOT";
    let run = |configuration: Value| json!({ "update": { "RunConfigurationUpdate": configuration } });
    let restored = |configuration: Value| run(json!({ "ApplicationRestoreConfiguration": configuration }));
    let cases = [
        (json!({}), true),
        (json!({ "application": "a".repeat(128) }), true),
        (json!({ "application": "a".repeat(129) }), false),
        (json!({ "application": "order book" }), false),
        (json!({ "application": "orders\n" }), false),
        (json!({ "unknown": 1 }), false),
        (json!({ "comment": "for the reader" }), true),
        (json!({ "reason": "r".repeat(1_000) }), true),
        (json!({ "reason": "ü".repeat(1_000) }), true),
        (json!({ "reason": "r".repeat(1_001) }), false),
        (json!({ "update": {} }), false),
        (json!({ "update": {}, "start": true }), true),
        (json!({ "update": {}, "start": false }), false),
        (json!({ "update": {}, "stop": "graceful" }), true),
        (json!({ "stop": "force" }), true),
        (json!({ "stop": "gently" }), false),
        (json!({ "update": { "NewerThanThisSchema": 1 } }), true),
        (json!({ "update": { "camelCase": 1 } }), false),
        (json!({ "update": { "ConditionalToken": "x" } }), false),
        (json!({ "update": { "ServiceExecutionRoleUpdate": 1 } }), false),
        (restore(custom, "before"), true),
        (restore(custom, &"s".repeat(256)), true),
        (restore(custom, &"s".repeat(257)), false),
        (restore(custom, ""), false),
        (restore("SKIP_RESTORE_FROM_SNAPSHOT", "before"), false),
        (json!({ "restore": { "snapshot": "before" } }), false),
        (json!({ "restore": { "type": custom } }), false),
        (json!({ "restore": { "unknown": 1 } }), false),
        (json!({ "restore": {} }), true),
        (run(json!({})), true),
        (run(json!({ "Unknown": 1 })), false),
        (run(json!({ "FlinkRunConfiguration": { "AllowNonRestoredState": true } })), true),
        (run(json!({ "FlinkRunConfiguration": { "Unknown": true } })), false),
        (restored(json!({ "ApplicationRestoreType": custom, "SnapshotName": "before" })), true),
        (restored(json!({ "ApplicationRestoreType": custom })), false),
        (restored(json!({ "SnapshotName": "before" })), false),
        (restored(json!({ "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" })), true),
        (json!({ "update": { "RunConfigurationUpdate": {} }, "restore": {} }), false),
        (json!({ "policy": { "alarms": vec!["a".repeat(255); 100] } }), true),
        (json!({ "policy": { "alarms": vec!["a"; 101] } }), false),
        (json!({ "policy": { "alarms": ["a".repeat(256)] } }), false),
        (json!({ "policy": { "alarms": [""] } }), false),
        (json!({ "policy": { "unknown": 1 } }), false),
        (upload("bucket", json!("code")), true),
        (upload("bucket", json!("b".repeat(64))), false),
        (upload("key", json!("k".repeat(1_025))), false),
        (upload("versionId", json!("")), false),
        (upload("sequencer", json!("1".repeat(64))), true),
        (upload("sequencer", json!("1".repeat(65))), false),
        (upload("sequencer", json!("no number")), false),
        (upload("at", json!("yesterday")), false),
        (upload("unknown", json!(1)), false),
        (json!({ "upload": { "bucket": "code" } }), false),
    ];
    for (members, is_taken) in cases {
        let input = with(&members);
        assert_eq!(
            Request::parse(&input).map_err(|refusals| format!("{refusals:?}")).is_ok(),
            is_taken,
            "parser: {input}"
        );
        assert_eq!(request.is_valid(&input), is_taken, "schema: {input}: {:?}", mistakes_of(&request, &input));
    }
}

#[test]
fn the_parser_and_the_schema_of_snapshots_draw_the_same_lines() {
    let schema = validator(&schema("snapshots"));
    let started = "2026-11-20T09:45:10Z".parse().unwrap();
    let with = |field: &str, value: Value| json!({ "application": "orders", field: value });
    let retention = |field: &str, value: Value| with("retention", json!({ field: value }));
    let tag = |key: &str, value: &str| json!({ "tag": { "key": key, "value": value } });
    let blackout = |from: &str, to: &str| with("blackouts", json!([{ "from": from, "to": to }]));
    let cases = [
        (json!({ "application": "orders" }), true),
        (json!({ "application": "order book" }), false),
        (json!({ "application": "a".repeat(129) }), false),
        (json!({}), false),
        (json!([]), false),
        (json!({ "applications": ["a", "b"] }), true),
        (json!({ "applications": [] }), false),
        (json!({ "applications": ["order book"] }), false),
        (json!({ "applications": vec!["a"; 1_000], "concurrency": 40 }), true),
        (json!({ "applications": vec!["a"; 1_001], "concurrency": 40 }), false),
        (json!({ "application": "a", "applications": ["b"] }), false),
        (json!({ "application": "a", "tag": { "key": "k", "value": "v" } }), false),
        (json!({ "applications": ["a"], "tag": { "key": "k", "value": "v" } }), false),
        (tag("k", ""), true),
        (tag("", "v"), false),
        (tag(&"k".repeat(128), &"v".repeat(256)), true),
        (tag(&"k".repeat(129), "v"), false),
        (tag("k", &"v".repeat(257)), false),
        (json!({ "tag": { "key": "k" } }), false),
        (json!({ "tag": { "key": "k", "value": "v", "unknown": 1 } }), false),
        (with("scheduledAt", json!("2026-11-20T09:45:00Z")), true),
        (with("scheduledAt", json!("2026-11-20T10:45:00+01:00")), true),
        (with("scheduledAt", json!("<aws.scheduler.scheduled-time>")), false),
        (with("scheduledAt", json!("tomorrow")), false),
        (with("concurrency", json!(1)), true),
        (with("concurrency", json!(0)), false),
        (with("concurrency", json!(40)), true),
        (with("concurrency", json!(41)), false),
        (with("timeoutSeconds", json!(60)), true),
        (with("timeoutSeconds", json!(59)), false),
        (with("timeoutSeconds", json!(21_600)), true),
        (with("timeoutSeconds", json!(21_601)), false),
        (with("dryRun", json!("yes")), false),
        (with("reason", json!("r".repeat(1_000))), true),
        (with("reason", json!("r".repeat(1_001))), false),
        (with("comment", json!("for the reader")), true),
        (with("unknown", json!(1)), false),
        (with("retention", json!([])), false),
        (retention("keepNewest", json!(0)), false),
        (retention("keepNewest", json!(-1)), false),
        (retention("unknown", json!(1)), false),
        (retention("prefix", json!("p".repeat(200))), true),
        (retention("prefix", json!("p".repeat(201))), false),
        (retention("prefix", json!("")), false),
        (retention("prefix", json!("a b")), false),
        (retention("sweep", json!({})), false),
        (retention("sweep", json!({ "unknown": 1 })), false),
        (retention("sweep", json!({ "underKey": "AWS_OWNED_KEY" })), true),
        (retention("sweep", json!({ "underKey": "" })), false),
        (retention("sweep", json!({ "underKey": "k".repeat(2_049) })), false),
        (retention("sweep", json!({ "takenBefore": "2026-11-20T09:45:00Z" })), true),
        (retention("sweep", json!({ "takenBefore": "yesterday" })), false),
        (blackout("22:00", "02:00"), true),
        (blackout("00:00", "23:59"), true),
        (blackout("24:00", "02:00"), false),
        (blackout("22:60", "02:00"), false),
        (blackout("2:00", "03:00"), false),
        (with("blackouts", json!([{ "from": "22:00" }])), false),
        (with("blackouts", json!([{ "from": "22:00", "to": "02:00", "unknown": 1 }])), false),
        (with("blackouts", json!([["22:00", "02:00"]])), false),
        (with("blackouts", json!(vec![json!({ "from": "22:00", "to": "02:00" }); 20])), true),
        (with("blackouts", json!(vec![json!({ "from": "22:00", "to": "02:00" }); 21])), false),
    ];
    for (input, is_taken) in cases {
        let parsed = SnapshotRequest::parse(&input, started).map_err(|refusals| format!("{refusals:?}"));
        assert_eq!(parsed.is_ok(), is_taken, "parser: {input}: {parsed:?}");
        assert_eq!(schema.is_valid(&input), is_taken, "schema: {input}: {:?}", mistakes_of(&schema, &input));
    }
    let defaults = SnapshotRequest::parse(&json!({ "application": "orders" }), started).unwrap();
    let described = |field: &str| self::schema::schema("snapshots")["properties"][field]["default"].clone();
    assert_eq!(described("concurrency"), json!(defaults.concurrency));
    assert_eq!(described("timeoutSeconds"), json!(defaults.plan.timeout_seconds));
    assert_eq!(described("dryRun"), json!(defaults.plan.dry_run));
    assert_eq!(described("blackouts"), json!(defaults.plan.blackouts));
}

#[test]
fn the_policy_has_the_same_fields_defaults_and_bounds() {
    let schema = schema("request");
    assert_same_fields(&schema["$defs"]["policy"], "policy", &Policy::default(), Policy::refusals);
    for field in ["type", "allowNonRestoredState"] {
        let default = &schema["$defs"]["restore"]["properties"][field]["default"];
        assert_eq!(default, &json!(Restore::default())[field], "{field}");
    }
}

#[test]
fn the_retention_has_the_same_fields_defaults_and_bounds() {
    let retention = &schema("snapshots")["$defs"]["retention"];
    assert_same_fields(retention, "retention", &Retention::default(), Retention::refusals);
}

/// Asserts that the schema describes each field that has a default, and beside them only those that are written when they
/// are given: with the same default, and numbers with the same bounds. `place` is where refusals say that the fields are.
fn assert_same_fields<T>(schema: &Value, place: &str, default: &T, refusals: impl Fn(&T) -> Vec<Refusal>)
where
    T: Serialize + DeserializeOwned,
{
    let described = schema["properties"].as_object().unwrap();
    let Value::Object(defaults) = json!(default) else { panic!("{place} is no object") };
    let has_default = described.iter().filter(|(_, description)| description.get("default").is_some());
    assert_eq!(has_default.map(|(field, _)| field).collect::<BTreeSet<_>>(), defaults.keys().collect());
    assert_eq!(described.keys().cloned().collect::<BTreeSet<_>>(), fields_of::<T>());
    for (field, default) in &defaults {
        let description = &described[field];
        assert_eq!(&description["default"], default, "{field}");
        if !default.is_u64() {
            continue;
        }
        let bound = |name: &str| description[name].as_u64().unwrap();
        let (least, most) = (bound("minimum"), bound("maximum"));
        for (value, is_within) in
            [(Some(least), true), (least.checked_sub(1), false), (Some(most), true), (Some(most + 1), false)]
        {
            let Some(value) = value else { continue };
            let given: T = serde_json::from_value(json!({ field: value })).unwrap();
            let is_out = |refusal: &Refusal| {
                refusal.field == format!("{place}.{field}") && refusal.problem.contains("out of bounds")
            };
            assert_eq!(!refusals(&given).iter().any(is_out), is_within, "{field}: {value}");
        }
    }
}

/// The names that a type of the code has for its fields, as serde names them to whoever gives another one.
fn fields_of<T: DeserializeOwned>() -> BTreeSet<String> {
    words::<T>(&json!({ "?": 1 }))
}

/// The words that an enumeration of the code has, as serde names them to whoever gives another one.
fn words<T: DeserializeOwned>(wrong: &Value) -> BTreeSet<String> {
    let Err(error) = serde_json::from_value::<T>(wrong.clone()) else { panic!("{wrong} is a word") };
    let error = error.to_string();
    let (_, words) = error.split_once("expected ").unwrap();
    words.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn enumerations_have_the_same_words() {
    let (request, report) = (schema("request"), schema("report"));
    let no_word = json!("?");
    let cases = [
        (&request, "/$defs/restore/properties/type/enum", words::<RestoreType>(&no_word)),
        (&request, "/$defs/policy/properties/onFailure/enum", words::<OnFailure>(&no_word)),
        (&request, "/$defs/policy/properties/onStaleSnapshot/enum", words::<OnStaleSnapshot>(&no_word)),
        (&request, "/properties/stop/enum", words::<Stop>(&no_word)),
        (&report, "/properties/outcome/enum", words::<Outcome>(&no_word)),
        (&report, "/properties/taken/items/enum", words::<Rung>(&no_word)),
        (&report, "/$defs/kind/enum", words::<Kind>(&no_word)),
        (&report, "/$defs/rootCause/properties/category/enum", words::<Category>(&no_word)),
        (&report, "/$defs/reason/properties/code/enum", words::<Reason>(&json!({ "code": "?" }))),
    ];
    let snapshots = schema("snapshots");
    for (place, of_the_code) in
        [("/$defs/retention/properties/sweep", fields_of::<Sweep>()), ("/properties/tag", fields_of::<TagFilter>())]
    {
        let described = snapshots.pointer(place).unwrap()["properties"].as_object().unwrap();
        assert_eq!(described.keys().cloned().collect::<BTreeSet<_>>(), of_the_code, "{place}");
    }
    for (schema, place, of_the_code) in cases {
        let listed = schema.pointer(place).and_then(Value::as_array).unwrap();
        let of_the_schema: BTreeSet<String> = listed.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
        assert_eq!(of_the_schema, of_the_code, "{place}");
        assert_eq!(of_the_schema.len(), listed.len(), "{place} has a word twice");
    }
}

/// A value of this type, made of `given` and of what `value` has for each field that is missing.
fn completed<T: DeserializeOwned + Serialize>(given: &Value, value: impl Fn(&str) -> Value) -> Value {
    let mut made = given.clone();
    for _ in 0..10 {
        let error = match serde_json::from_value::<T>(made.clone()) {
            Ok(read) => return json!(read),
            Err(error) => error.to_string(),
        };
        let field = error.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        let field = field.unwrap_or_else(|| panic!("{made}: {error}"));
        made[field] = value(field);
    }
    panic!("{made} is never complete")
}

#[test]
fn every_reason_is_described_with_its_facts() {
    let schema = closed(schema("report"));
    let reason = {
        let mut reason = schema["$defs"]["reason"].clone();
        reason["$defs"] = schema["$defs"].clone();
        validator(&reason)
    };
    let tasks = json!({ "total": 4, "waiting": 1, "initializing": 0, "running": 2, "finished": 0, "failed": 1 });
    let failure = json!({ "exception": "java.lang.IllegalStateException", "message": "injected", "task": "Source" });
    let fact = |field: &str| match field {
        "tasks" => tasks.clone(),
        "failure" => failure.clone(),
        "at" => json!("2026-01-02T12:00:00Z"),
        "seconds" | "of" | "count" | "tolerated" | "restarts" | "failed" | "completed" | "version" | "expected"
        | "found" => json!(3),
        _ => json!("a text"),
    };
    for code in words::<Reason>(&json!({ "code": "?" })) {
        let made = completed::<Reason>(&json!({ "code": code }), fact);
        assert_eq!(mistakes_of(&reason, &made), [""; 0], "{made}");
    }
}

#[test]
fn every_member_of_a_report_is_described() {
    let start = "2026-01-02T12:00:00Z".parse().unwrap();
    let refusal = Refusal::new("policy.bakeSeconds", "5 is wrong", "give another");
    let trace = "java.lang.IllegalStateException: x\n\tat com.example.Orders.map(Orders.java:12)";
    let failure = Failure { task: Some("Source".to_owned()), at: Some(start), ..Failure::read(trace) };
    let (failure, restarts) = (Box::new(failure), Reason::Restarts { count: 3, tolerated: 2 });
    let data = DataReport {
        summary: "The job was started.".to_owned(),
        snapshot: Some(RestoredSnapshot { name: "good".to_owned(), taken_at: Some(start) }),
        replayed_seconds: Some(60),
        down_seconds: Some(95),
    };
    let report = Report {
        reason: Some("release 2.0.0".to_owned()),
        version_before: Some(2),
        version_after: Some(3),
        changed_fields: vec!["RuntimeEnvironmentUpdate".to_owned()],
        taken: vec![Rung::Update],
        because: vec![Reason::PolicyHolds],
        failure: vec![Reason::NoJob],
        data: Some(Box::new(data)),
        timings: Some(Timings { detect_seconds: Some(119), recover_seconds: Some(399) }),
        root_cause: RootCause::of(&[Reason::FirstFailure { failure }, restarts]).map(Box::new),
        next_step: Some("Look.".to_owned()),
        events: vec![lifecycle::deployment::Event { at: start, what: "something".to_owned() }],
        ..Report::refused("orders", "one", vec![refusal], start, start)
    };
    let schema = schema("report");
    let report = json!(report);
    assert_eq!(mistakes_of(&validator(&closed(schema.clone())), &report), [""; 0]);
    // Only the state machine writes `told`, where it has to write the report, and only the event has its schema's version.
    for member in ["rootCause", "data", "timings"] {
        let described = schema["$defs"][member]["properties"].as_object().unwrap();
        assert_eq!(described.len(), report[member].as_object().unwrap().len(), "{member}");
    }
    let described = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|member| !["told", "schemaVersion"].contains(&member.as_str()));
    assert_eq!(described.collect::<BTreeSet<_>>(), report.as_object().unwrap().keys().collect());
    // Whether the execution succeeds follows from the outcome.
    for (outcome, success, is_valid) in [
        (Outcome::Deployed, true, true),
        (Outcome::Deployed, false, false),
        (Outcome::RolledBack, true, false),
        (Outcome::RolledBack, false, true),
    ] {
        let mut report = report.clone();
        (report["outcome"], report["success"]) = (json!(outcome), json!(success));
        assert_eq!(validator(&schema).is_valid(&report), is_valid, "{outcome} {success}");
    }
    for member in schema["required"].as_array().unwrap() {
        let mut report = report.clone();
        report.as_object_mut().unwrap().remove(member.as_str().unwrap());
        assert!(!validator(&schema).is_valid(&report), "without {member}");
    }
}
