//! The sample inputs in `events/`: each is a request without refusals, is deployed by the shipped definition and handlers,
//! and reaches the service with exactly the members that it has.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use emulator::cloudwatch::AlarmState;
use emulator::simulated::{Behaviour, JobFault};
use lifecycle::report::Outcome;
use lifecycle::request::{Request, Restore, RestoreType};
use scenarios::checker::{Observed, check};
use scenarios::scenario::calls_of;
use scenarios::world::{App, BUCKET, OPERATOR, World};
use serde_json::{Value, json};

/// What `UpdateApplication` can change of a Flink application: its members, and those of `ApplicationConfigurationUpdate`.
const KINDS: [&str; 11] = [
    "ApplicationConfigurationUpdate.ApplicationCodeConfigurationUpdate",
    "ApplicationConfigurationUpdate.ApplicationEncryptionConfigurationUpdate",
    "ApplicationConfigurationUpdate.ApplicationSnapshotConfigurationUpdate",
    "ApplicationConfigurationUpdate.ApplicationSystemRollbackConfigurationUpdate",
    "ApplicationConfigurationUpdate.EnvironmentPropertyUpdates",
    "ApplicationConfigurationUpdate.FlinkApplicationConfigurationUpdate.CheckpointConfigurationUpdate",
    "ApplicationConfigurationUpdate.FlinkApplicationConfigurationUpdate.MonitoringConfigurationUpdate",
    "ApplicationConfigurationUpdate.FlinkApplicationConfigurationUpdate.ParallelismConfigurationUpdate",
    "ApplicationConfigurationUpdate.VpcConfigurationUpdates",
    "CloudWatchLoggingOptionUpdates",
    "ServiceExecutionRoleUpdate",
];

/// The samples, by name.
fn samples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut samples: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // The folders hold inputs of Lambdas, not of the state machine.
        .filter(|path| !path.is_dir())
        .map(|path| {
            assert_eq!(path.extension().and_then(|extension| extension.to_str()), Some("json"), "{}", path.display());
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect();
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}

#[test]
fn each_sample_is_a_request_that_says_what_it_does() {
    for (name, input) in samples() {
        assert!(Request::parse(&input).is_ok(), "{name}: {:?}", Request::parse(&input));
        let comment = input["comment"].as_str().unwrap_or_default();
        assert!(comment.ends_with('.') && comment.len() > 20, "{name} has no comment that tells what it does");
    }
}

#[test]
fn there_is_a_sample_of_each_kind_of_change() {
    let requests: Vec<Request> = samples().iter().map(|(_, input)| Request::parse(input).unwrap()).collect();
    let fields: BTreeSet<String> = requests.iter().flat_map(Request::changed_fields).collect();
    for kind in KINDS.into_iter().chain(["RuntimeEnvironmentUpdate"]) {
        assert!(fields.iter().any(|field| field.starts_with(kind)), "no sample changes {kind}");
    }
    for restore_type in [RestoreType::Latest, RestoreType::Custom, RestoreType::Skip] {
        assert!(requests.iter().any(|request| request.restore.restore_type == restore_type), "{restore_type:?}");
    }
    assert!(requests.iter().any(|request| request.restore.allow_non_restored_state));
}

#[tokio::test(start_paused = true)]
async fn each_sample_is_deployed_and_reaches_the_service_as_it_is() {
    for (name, input) in samples() {
        let world = World::new(1);
        let input = prepare(&world, input).await;
        let (trace, result) = world.deploy(&name, input.clone(), std::future::pending()).await.unwrap();
        let outcome = result.output.as_ref().map(|report| report["outcome"].clone());
        assert_eq!(outcome, Some(json!(Outcome::Deployed)), "{name}: {:?}", result.cause);

        let record = world.emulator.record();
        let updates: Vec<_> =
            calls_of(&record, &trace.principal).filter(|call| call.operation == "UpdateApplication").collect();
        assert_eq!(updates.len(), usize::from(input.get("update").is_some()), "{name}");
        let restore = input
            .get("restore")
            .map_or_else(Restore::default, |restore| serde_json::from_value(restore.clone()).unwrap());
        for update in updates {
            let mut expected = input["update"].clone();
            expected["ApplicationName"] = input["application"].clone();
            expected["CurrentApplicationVersionId"] = update.request["CurrentApplicationVersionId"].clone();
            expected["RunConfigurationUpdate"] = restore.run_configuration();
            assert_eq!(update.request, expected, "{name}");
        }
        let stops: Vec<_> = calls_of(&record, &trace.principal)
            .filter(|call| call.operation == "StopApplication")
            .map(|call| call.request["Force"].clone())
            .collect();
        let asked_for = input.get("stop").map(|stop| json!(stop == "force"));
        assert_eq!(stops, asked_for.into_iter().collect::<Vec<_>>(), "{name}");

        let secrets: Vec<String> = property_values(&input["update"]).into_iter().collect();
        let violations = check(&Observed { record: &record, executions: &[trace], secrets: &secrets });
        assert!(violations.is_empty(), "{name}: {violations:?}");
    }
}

/// The values of the runtime properties that an update sets.
fn property_values(update: &Value) -> BTreeSet<String> {
    let groups = update.pointer("/ApplicationConfigurationUpdate/EnvironmentPropertyUpdates/PropertyGroups");
    let maps =
        groups.and_then(Value::as_array).into_iter().flatten().filter_map(|group| group["PropertyMap"].as_object());
    maps.flat_map(|map| map.values()).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Sets the world up in which a sample makes sense, and puts the ids into it that are the service's to give.
async fn prepare(world: &World, mut input: Value) -> Value {
    let name = input["application"].as_str().unwrap();
    let turns_snapshots_on = input.pointer(
        "/update/ApplicationConfigurationUpdate/ApplicationSnapshotConfigurationUpdate/SnapshotsEnabledUpdate",
    ) == Some(&json!(true));
    let is_running = !turns_snapshots_on && (input["start"] != json!(true) || input.get("stop").is_some());
    assert_eq!(name, App::default().name);
    let app = App { is_running: false, snapshots_enabled: !turns_snapshots_on, ..App::default() };
    world.create(&app).await.unwrap();
    let vpc = add(
        world,
        name,
        "AddApplicationVpcConfiguration",
        "VpcConfiguration",
        json!({
        "SubnetIds": ["subnet-old"], "SecurityGroupIds": ["sg-old"] }),
    )
    .await;
    let logging = add(
        world,
        name,
        "AddApplicationCloudWatchLoggingOption",
        "CloudWatchLoggingOption",
        json!({
        "LogStreamARN": "arn:aws:logs:us-east-1:123456789012:log-group:/flink/orders:log-stream:first" }),
    )
    .await;
    if is_running {
        start(world, name).await;
    }
    // What is stopped by force, or is to be started, has a snapshot to go on from.
    let snapshot = match (input.pointer("/restore/snapshot"), input["stop"] == json!("force")) {
        (Some(named), _) => Some(named.clone()),
        (None, true) => Some(json!("before")),
        (None, false) => None,
    };
    if let Some(snapshot) = snapshot {
        let body = json!({ "ApplicationName": name, "SnapshotName": snapshot });
        world.call(OPERATOR, "CreateApplicationSnapshot", &body).await.unwrap();
        world.clock.sleep(Duration::from_mins(1)).await;
    }
    for alarm in input.pointer("/policy/alarms").and_then(Value::as_array).into_iter().flatten() {
        world.emulator.cloudwatch().set_alarm_state(alarm.as_str().unwrap(), AlarmState::Ok);
    }
    let drops_state = input.pointer("/restore/allowNonRestoredState") == Some(&json!(true));
    let behaviour = if drops_state { Behaviour::from(JobFault::RemovedUid) } else { Behaviour::healthy() };
    if input.get("update").is_none() {
        if !is_running {
            start(world, name).await;
            world.call(OPERATOR, "StopApplication", &json!({ "ApplicationName": name })).await.unwrap();
            world.wait_for(name, "READY").await.unwrap();
        }
        return input;
    }
    let configuration = &mut input["update"]["ApplicationConfigurationUpdate"];
    if let Some(location) =
        configuration.pointer_mut("/ApplicationCodeConfigurationUpdate/CodeContentUpdate/S3ContentLocationUpdate")
    {
        assert_eq!(location["BucketARNUpdate"], json!(format!("arn:aws:s3:::{BUCKET}")));
        let version = world.put_code(location["FileKeyUpdate"].as_str().unwrap(), &behaviour);
        location["ObjectVersionUpdate"] = json!(version);
    }
    if let Some(update) = configuration.pointer_mut("/VpcConfigurationUpdates/0") {
        update["VpcConfigurationId"] = vpc["VpcConfigurationDescription"]["VpcConfigurationId"].clone();
    }
    if configuration.is_null() {
        input["update"].as_object_mut().unwrap().remove("ApplicationConfigurationUpdate");
    }
    if let Some(update) = input["update"].pointer_mut("/CloudWatchLoggingOptionUpdates/0") {
        let given = &logging["CloudWatchLoggingOptionDescriptions"][0]["CloudWatchLoggingOptionId"];
        update["CloudWatchLoggingOptionId"] = given.clone();
    }
    input
}

/// Adds a part to the configuration that has a call of its own.
async fn add(world: &World, name: &str, operation: &str, member: &str, part: Value) -> Value {
    let described = world.call(OPERATOR, "DescribeApplication", &json!({ "ApplicationName": name })).await.unwrap();
    let version = &described["ApplicationDetail"]["ApplicationVersionId"];
    let body = json!({ "ApplicationName": name, "CurrentApplicationVersionId": version, member: part });
    let answer = world.call(OPERATOR, operation, &body).await.unwrap();
    world.wait_for(name, "READY").await.unwrap();
    answer
}

/// Starts the application for the first time, and lets it run for a while.
async fn start(world: &World, name: &str) {
    let restore = Restore { restore_type: RestoreType::Skip, ..Restore::default() };
    let body = json!({ "ApplicationName": name, "RunConfiguration": restore.run_configuration() });
    world.call(OPERATOR, "StartApplication", &body).await.unwrap();
    world.wait_for(name, "RUNNING").await.unwrap();
    world.clock.sleep(Duration::from_mins(10)).await;
}
