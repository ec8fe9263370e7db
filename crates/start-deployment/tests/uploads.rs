//! Uploads through the real clients, against the emulator in this process and in virtual time: what is started, what is
//! dropped, what is told, and what is left when a call fails halfway.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sfn::config::{Credentials, SharedCredentialsProvider};
use clock::Clock;
use emulator::dynamodb::Table;
use emulator::faults::{Loss, Occurrences};
use emulator::record::Event;
use emulator::simulated::SimulatedDataPlane;
use emulator::sinks::Content;
use emulator::step_functions::{Execution, ExecutionEnd};
use emulator::{Effect, Emulator, EmulatorConfig, Fault, InProcessHttp, RecordEntry};
use handler::{Environment, Error, invoke};
use serde_json::{Value, json};
use start_deployment::{Settings, Starter, start_deployment};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:deployments";

/// What was told.
#[derive(Debug, Default, PartialEq)]
struct Told {
    /// Subject and text of each letter.
    letters: Vec<(String, String)>,
    /// Kind and detail of each event.
    events: Vec<(String, Value)>,
}

struct World {
    emulator: Emulator,
    starter: Starter,
}

impl World {
    fn new() -> Self {
        let clock = Clock::starting_at("2026-01-02T12:00:05Z".parse().unwrap(), 1);
        let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 0));
        let emulator = Emulator::new(EmulatorConfig {
            tables: vec![Table::new("turns", "application")],
            state_machines: vec!["deploy".to_owned()],
            ..EmulatorConfig::new(clock, data_plane)
        });
        let settings = Settings::read(|name| {
            let value = match name {
                "STATE_MACHINE_ARN" => emulator.executions().state_machine_arn("deploy"),
                "TURNS_TABLE" => "turns".to_owned(),
                "CODE_BUCKET" => "code".to_owned(),
                _ => return None,
            };
            Some(value)
        });
        let environment = Environment {
            topic_arn: Some(TOPIC.to_owned()),
            event_bus: Some("deployments".to_owned()),
            ..Environment::default()
        };
        let starter = Starter::new(&sdk(&emulator), &environment, settings.unwrap());
        Self { emulator, starter }
    }

    /// What the Lambda returns for this event, as JSON.
    async fn send(&self, event: &Value) -> Result<Value, Error> {
        let function = async |starter: &Starter, event| start_deployment(starter, event).await;
        invoke(&self.starter, &function, event.clone()).await
    }

    /// What comes of this event.
    async fn outcome(&self, event: &Value) -> String {
        self.send(event).await.unwrap()["outcome"].as_str().unwrap().to_owned()
    }

    /// From now on something goes wrong with these calls.
    fn fails(&self, operation: &str, effect: Effect) {
        self.emulator.inject(Fault::new(operation, effect));
    }

    fn executions(&self) -> Vec<Execution> {
        self.emulator.executions().executions()
    }

    /// Versions of the objects that executions deploy, in the order in which they were started.
    fn deployed(&self) -> Vec<String> {
        let version = |execution: Execution| -> String {
            let input: Value = serde_json::from_str(&execution.input).unwrap();
            input["upload"]["versionId"].as_str().unwrap().to_owned()
        };
        self.executions().into_iter().map(version).collect()
    }

    fn end_all(&self) {
        for execution in self.executions() {
            self.emulator.executions().ended(&execution.arn, ExecutionEnd::TimedOut).unwrap();
        }
    }

    fn told(&self) -> Told {
        let mut told = Told::default();
        for published in self.emulator.sinks().published() {
            match published.content {
                Content::Message { topic, subject, message } => {
                    assert_eq!(topic, TOPIC);
                    told.letters.push((subject.unwrap(), message));
                }
                Content::Event { bus, source, detail_type, mut detail } => {
                    assert_eq!((bus.as_str(), source.as_str()), ("deployments", notify::EVENT_SOURCE));
                    let version = detail.as_object_mut().unwrap().remove("schemaVersion");
                    assert_eq!(version, Some(json!(notify::SCHEMA_VERSION)));
                    told.events.push((detail_type, detail));
                }
            }
        }
        told
    }

    fn calls(&self) -> Vec<String> {
        let calls = self.emulator.record();
        let name = |entry: &RecordEntry| match &entry.event {
            Event::Call(call) => Some(format!("{}:{}", call.service, call.operation)),
            _ => None,
        };
        calls.iter().filter_map(name).collect()
    }
}

/// Clients that speak to the emulator in the process.
fn sdk(emulator: &Emulator) -> SdkConfig {
    let credentials = Credentials::new("START-DEPLOYMENT", "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(InProcessHttp::new(emulator.clone()))
        .build()
}

/// The sample event, of this version of the object.
fn upload(version: &str, sequencer: &str) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("../../../events/triggers/object-created.json")).unwrap();
    event["detail"]["object"]["version-id"] = version.into();
    event["detail"]["object"]["sequencer"] = sequencer.into();
    event
}

fn unavailable() -> Effect {
    Effect::Error { code: "ServiceUnavailable".to_owned(), status: 503, message: "later".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_deployed() {
    let world = World::new();
    let reply = world.send(&upload("one", "10")).await.unwrap();
    let [execution] = world.executions().try_into().unwrap();
    assert_eq!(
        reply,
        json!({
            "outcome": "Started",
            "object": "s3://code/applications/orders/orders-2.0.0.jar",
            "application": "orders",
            "execution": execution.name,
        })
    );
    let input: Value = serde_json::from_str(&execution.input).unwrap();
    assert_eq!((&input["application"], &input["upload"]["versionId"]), (&json!("orders"), &json!("one")));
    let schema = serde_json::from_str(include_str!("../../../docs/schemas/request.schema.json")).unwrap();
    assert!(jsonschema::is_valid(&schema, &input), "{input}");
    let items = world.emulator.dynamodb().items("turns").unwrap();
    let [(key, item)] = items.into_iter().collect::<Vec<_>>().try_into().unwrap();
    assert!(key.starts_with("upload#"), "{key}");
    let noon_in_ninety_days = 1_767_355_200 + 90 * 86_400;
    assert_eq!(
        item,
        json!({
            "application": { "S": key },
            "sequencer": { "S": format!("10{}", "0".repeat(38)) },
            "versionId": { "S": "one" },
            "expiresAt": { "N": noon_in_ninety_days.to_string() },
        })
    );
    assert_eq!(world.told(), Told::default());
}

#[tokio::test(start_paused = true)]
async fn the_same_event_twice_is_one_deployment() {
    let world = World::new();
    let event = upload("one", "10");
    assert_eq!(world.outcome(&event).await, "Started");
    assert_eq!(world.outcome(&event).await, "Started");
    world.end_all();
    let reply = world.send(&event).await.unwrap();
    let [execution] = world.executions().try_into().unwrap();
    assert_eq!((&reply["outcome"], &reply["execution"]), (&json!("AlreadyDeployed"), &json!(execution.name)));
}

#[tokio::test(start_paused = true)]
async fn the_same_event_is_one_deployment_even_if_the_configuration_has_changed_meanwhile() {
    let world = World::new();
    let event = upload("one", "10");
    assert_eq!(world.outcome(&event).await, "Started");
    let policy = Settings::read(|name| {
        let value = match name {
            "STATE_MACHINE_ARN" => world.emulator.executions().state_machine_arn("deploy"),
            "TURNS_TABLE" => "turns".to_owned(),
            "CODE_BUCKET" => "code".to_owned(),
            "DEPLOYMENT_POLICY" => r#"{"bakeSeconds": 900}"#.to_owned(),
            _ => return None,
        };
        Some(value)
    });
    let starter = Starter::new(&sdk(&world.emulator), &Environment::default(), policy.unwrap());
    let world = World { starter, ..world };
    assert_eq!(world.outcome(&event).await, "AlreadyDeployed");
    assert_eq!(world.deployed(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_uploads_in_a_row_both_are_deployed_in_their_order() {
    let world = World::new();
    assert_eq!(world.outcome(&upload("one", "10")).await, "Started");
    assert_eq!(world.outcome(&upload("two", "11")).await, "Started");
    assert_eq!(world.deployed(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_comes_late_is_dropped() {
    let world = World::new();
    assert_eq!(world.outcome(&upload("two", "0055AED6DCD90281E5")).await, "Started");
    assert_eq!(world.outcome(&upload("one", "0055AED6DCD90281E4")).await, "Overtaken");
    // The shorter sequencer is the earlier here, although it would be the greater by its last digits alone.
    assert_eq!(world.outcome(&upload("zero", "0055AED6DCD9")).await, "Overtaken");
    assert_eq!(world.outcome(&upload("two", "0055AED6DCD90281E5")).await, "Started");
    assert_eq!(world.outcome(&upload("three", "0055aed6dcd90281e501")).await, "Started");
    assert_eq!(world.deployed(), ["two", "three"]);
    assert_eq!(world.told(), Told::default());
}

#[tokio::test(start_paused = true)]
async fn uploads_of_other_keys_are_not_overtaken() {
    let world = World::new();
    let mut other = upload("other", "01");
    other["detail"]["object"]["key"] = "applications/orders/orders-1.9.9.jar".into();
    assert_eq!(world.outcome(&upload("one", "10")).await, "Started");
    assert_eq!(world.outcome(&other).await, "Started");
    assert_eq!(world.emulator.dynamodb().items("turns").unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_first_run_died_halfway_goes_on() {
    let world = World::new();
    world.fails("states:StartExecution", unavailable());
    let error = world.send(&upload("one", "10")).await.unwrap_err();
    assert_eq!(error.name(), "ServiceUnavailable", "{error}");
    assert_eq!(world.emulator.dynamodb().items("turns").unwrap().len(), 1);
    world.emulator.clear_faults();
    assert_eq!(world.outcome(&upload("one", "10")).await, "Started");
    assert_eq!(world.deployed(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_first_run_died_halfway_is_dropped_when_a_newer_one_came() {
    let world = World::new();
    world.fails("states:StartExecution", unavailable());
    assert!(world.send(&upload("one", "10")).await.is_err());
    world.emulator.clear_faults();
    assert_eq!(world.outcome(&upload("two", "11")).await, "Started");
    assert_eq!(world.outcome(&upload("one", "10")).await, "Overtaken");
    assert_eq!(world.deployed(), ["two"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_changes_nothing() {
    for operation in ["dynamodb:PutItem", "states:StartExecution"] {
        for loss in [Loss::ServerError, Loss::ConnectionReset] {
            let world = World::new();
            let lost = Fault::new(operation, Effect::LostResponse(loss)).on(Occurrences::First(1));
            world.emulator.inject(lost);
            assert_eq!(world.outcome(&upload("one", "10")).await, "Started", "{operation} {loss:?}");
            assert_eq!(world.deployed(), ["one"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_retry_may_cure_is_an_error_and_told_to_nobody() {
    let throttled = || Effect::Error {
        code: "ProvisionedThroughputExceededException".to_owned(),
        status: 400,
        message: "later".to_owned(),
    };
    let cases = [
        ("dynamodb:PutItem", Effect::Throttle, "Throttled"),
        ("dynamodb:PutItem", throttled(), "Throttled"),
        ("dynamodb:PutItem", unavailable(), "ServiceUnavailable"),
        ("dynamodb:PutItem", Effect::Unreachable, "ServiceUnavailable"),
        ("states:StartExecution", Effect::Throttle, "Throttled"),
        ("states:StartExecution", unavailable(), "ServiceUnavailable"),
    ];
    for (operation, effect, name) in cases {
        let world = World::new();
        world.fails(operation, effect.clone());
        let error = world.send(&upload("one", "10")).await.unwrap_err();
        assert_eq!(error.name(), name, "{operation} {effect:?}: {error}");
        assert_eq!((world.told(), world.executions()), (Told::default(), vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_told_with_its_action_and_resource() {
    let role = "arn:aws:sts::123456789012:assumed-role/start-deployment/start-deployment";
    let cases = [
        ("dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:123456789012:table/turns"),
        ("states:StartExecution", "arn:aws:states:us-east-1:123456789012:stateMachine:deploy"),
    ];
    for (action, resource) in cases {
        let world = World::new();
        let message = format!("User: {role} is not authorized to perform: {action} on resource: {resource}");
        world.fails(action, Effect::Error { code: "AccessDeniedException".to_owned(), status: 400, message });
        let reply = world.send(&upload("one", "10")).await.unwrap();
        assert_eq!(reply["outcome"], "Refused");
        let Told { letters, events } = world.told();
        let [(subject, text)] = letters.try_into().unwrap();
        assert_eq!(subject, "Upload refused: s3://code/applications/orders/orders-2.0.0.jar");
        assert!(text.contains(&format!("{action} on resource: {resource}")), "{text}");
        assert!(text.contains("What to do: give the Lambda this permission, and upload it again"), "{text}");
        assert_eq!(events, [("Upload Refused".to_owned(), reply)]);
        assert_eq!(world.executions(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_deployed_is_told_once_and_touches_nothing() {
    type Mistake = fn(&mut Value);
    let mistakes: [(&str, Mistake); 7] = [
        ("detail.bucket.name", |event| event["detail"]["bucket"]["name"] = json!("logs")),
        ("detail.object.key", |event| event["detail"]["object"]["key"] = json!("applications/orders.jar")),
        ("detail.object.version-id", |event| event["detail"]["object"]["version-id"] = Value::Null),
        ("detail.object.size", |event| event["detail"]["object"]["size"] = json!(0)),
        ("application", |event| event["detail"]["object"]["key"] = json!("applications/order book/orders.jar")),
        ("detail-type", |event| event["detail-type"] = json!("Object Deleted")),
        ("event", |event| *event = json!([])),
    ];
    for (field, mistake) in mistakes {
        let world = World::new();
        let mut event = upload("one", "10");
        mistake(&mut event);
        let reply = world.send(&event).await.unwrap();
        assert_eq!((&reply["outcome"], &reply["reasons"][0]["field"]), (&json!("Refused"), &json!(field)));
        let Told { letters, events } = world.told();
        let [(subject, text)] = letters.try_into().unwrap();
        assert!(subject.starts_with("Upload refused: s3://"), "{subject}");
        assert!(text.contains(reply["reasons"][0]["problem"].as_str().unwrap()), "{text}");
        assert!(text.contains(reply["reasons"][0]["cure"].as_str().unwrap()), "{text}");
        assert_eq!(events, [(start_deployment::EVENT_TYPE.to_owned(), reply)]);
        assert_eq!(world.calls(), ["sns:Publish", "events:PutEvents"], "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subject_is_one_that_sns_takes() {
    let world = World::new();
    let mut event = upload("one", "10");
    event["detail"]["object"]["key"] = format!("größe\n{}.jar", "k".repeat(200)).into();
    assert_eq!(world.outcome(&event).await, "Refused");
    let subject = &world.told().letters[0].0;
    assert_eq!(subject.chars().count(), 99);
    assert!(subject.starts_with("Upload refused: s3://code/gr??e?kkk"), "{subject}");
}

#[tokio::test(start_paused = true)]
async fn other_files_are_ignored_without_a_call() {
    let world = World::new();
    for key in ["applications/orders/", "applications/orders/orders-2.0.0.jar.sha256"] {
        let mut event = upload("one", "10");
        event["detail"]["object"]["key"] = key.into();
        assert_eq!(
            world.send(&event).await.unwrap(),
            json!({ "outcome": "Ignored", "object": format!("s3://code/{key}") })
        );
    }
    assert_eq!(world.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_could_not_be_told_is_an_error() {
    let world = World::new();
    world.emulator.sinks().refuse(Some("NotFound"));
    let mut event = upload("one", "10");
    event["detail"]["object"]["size"] = json!(0);
    assert_eq!(world.send(&event).await.unwrap_err().name(), "NotificationFailed");
}
