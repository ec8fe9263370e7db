//! The sample inputs in `events/`, and the world in which each makes sense.

use std::path::Path;
use std::time::Duration;

use emulator::cloudwatch::AlarmState;
use emulator::simulated::{Behaviour, JobFault};
use lifecycle::request::{Restore, RestoreType};
use serde_json::{Value, json};

use crate::world::{App, BUCKET, OPERATOR, World};

/// The samples, by name: the inputs of the deploy state machine. The folders beside them hold inputs of others.
///
/// # Errors
/// When a file cannot be read, or is no JSON.
pub fn samples() -> Result<Vec<(String, Value)>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut samples = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            continue;
        }
        let told = |what: String| format!("{}: {what}", path.display());
        let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"));
        let name = name.ok_or_else(|| told("no JSON".to_owned()))?.to_owned();
        let text = std::fs::read_to_string(&path).map_err(|error| told(error.to_string()))?;
        samples.push((name, serde_json::from_str(&text).map_err(|error| told(error.to_string()))?));
    }
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(samples)
}

/// Sets the world up in which a sample makes sense, with an application of this name in place of the sample's own, and
/// puts the ids into the sample that are the service's to give.
///
/// # Errors
/// When the service refuses something.
pub async fn prepare(world: &World, name: &'static str, mut input: Value) -> Result<Value, String> {
    input["application"] = json!(name);
    let turns_snapshots_on = input.pointer(
        "/update/ApplicationConfigurationUpdate/ApplicationSnapshotConfigurationUpdate/SnapshotsEnabledUpdate",
    ) == Some(&json!(true));
    let is_running = !turns_snapshots_on && (input["start"] != json!(true) || input.get("stop").is_some());
    let app = App { name, is_running: false, snapshots_enabled: !turns_snapshots_on, ..App::default() };
    world.create(&app).await?;
    let part = json!({ "SubnetIds": ["subnet-old"], "SecurityGroupIds": ["sg-old"] });
    let vpc = add(world, name, "AddApplicationVpcConfiguration", "VpcConfiguration", part).await?;
    let part =
        json!({ "LogStreamARN": "arn:aws:logs:us-east-1:123456789012:log-group:/flink/orders:log-stream:first" });
    let logging = add(world, name, "AddApplicationCloudWatchLoggingOption", "CloudWatchLoggingOption", part).await?;
    if is_running {
        start(world, name).await?;
    }
    // What is stopped by force, or is to be started, has a snapshot to go on from.
    let snapshot = match (input.pointer("/restore/snapshot"), input["stop"] == json!("force")) {
        (Some(named), _) => Some(named.clone()),
        (None, true) => Some(json!("before")),
        (None, false) => None,
    };
    if let Some(snapshot) = snapshot {
        let body = json!({ "ApplicationName": name, "SnapshotName": snapshot });
        world.call(OPERATOR, "CreateApplicationSnapshot", &body).await?;
        world.clock.sleep(Duration::from_mins(1)).await;
    }
    for alarm in input.pointer("/policy/alarms").and_then(Value::as_array).into_iter().flatten() {
        world.emulator.cloudwatch().set_alarm_state(alarm.as_str().unwrap_or_default(), AlarmState::Ok);
    }
    let drops_state = input.pointer("/restore/allowNonRestoredState") == Some(&json!(true));
    let behaviour = if drops_state { Behaviour::from(JobFault::RemovedUid) } else { Behaviour::healthy() };
    if input.get("update").is_none() {
        if !is_running {
            start(world, name).await?;
            world.call(OPERATOR, "StopApplication", &json!({ "ApplicationName": name })).await?;
            world.wait_for(name, "READY").await?;
        }
        return Ok(input);
    }
    let configuration = &mut input["update"]["ApplicationConfigurationUpdate"];
    if let Some(location) =
        configuration.pointer_mut("/ApplicationCodeConfigurationUpdate/CodeContentUpdate/S3ContentLocationUpdate")
    {
        if location["BucketARNUpdate"] != format!("arn:aws:s3:::{BUCKET}") {
            return Err(format!("the code is in another bucket than {BUCKET}: {location}"));
        }
        let version = world.put_code(location["FileKeyUpdate"].as_str().unwrap_or_default(), &behaviour);
        location["ObjectVersionUpdate"] = json!(version);
    }
    if let Some(update) = configuration.pointer_mut("/VpcConfigurationUpdates/0") {
        update["VpcConfigurationId"] = vpc["VpcConfigurationDescription"]["VpcConfigurationId"].clone();
    }
    if let (true, Some(update)) = (configuration.is_null(), input["update"].as_object_mut()) {
        update.remove("ApplicationConfigurationUpdate");
    }
    if let Some(update) = input["update"].pointer_mut("/CloudWatchLoggingOptionUpdates/0") {
        let given = &logging["CloudWatchLoggingOptionDescriptions"][0]["CloudWatchLoggingOptionId"];
        update["CloudWatchLoggingOptionId"] = given.clone();
    }
    Ok(input)
}

/// Adds a part to the configuration that has a call of its own.
async fn add(world: &World, name: &str, operation: &str, member: &str, part: Value) -> Result<Value, String> {
    let described = world.call(OPERATOR, "DescribeApplication", &json!({ "ApplicationName": name })).await?;
    let version = &described["ApplicationDetail"]["ApplicationVersionId"];
    let body = json!({ "ApplicationName": name, "CurrentApplicationVersionId": version, member: part });
    let answer = world.call(OPERATOR, operation, &body).await?;
    world.wait_for(name, "READY").await?;
    Ok(answer)
}

/// Starts the application for the first time, and lets it run for a while.
async fn start(world: &World, name: &str) -> Result<(), String> {
    let restore = Restore { restore_type: RestoreType::Skip, ..Restore::default() };
    let body = json!({ "ApplicationName": name, "RunConfiguration": restore.run_configuration() });
    world.call(OPERATOR, "StartApplication", &body).await?;
    world.wait_for(name, "RUNNING").await?;
    world.clock.sleep(Duration::from_mins(10)).await;
    Ok(())
}
