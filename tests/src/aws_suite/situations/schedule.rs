//! The way in by a schedule.

use std::collections::BTreeMap;

use asl::StateMachine;
use serde_json::Value;

use super::Situation;
use crate::aws_suite::conformance::compare_on;
use crate::aws_suite::scene::{Scene, until};

/// The application that is on the schedule.
pub const NAME: &str = "on-the-schedule";
const DEFINITION: &str = include_str!("../../../../statemachine/snapshot-application.asl.json");
const FUNCTIONS: [&str; 3] = ["TakeSnapshotFunction", "CheckSnapshotFunction", "PruneSnapshotsFunction"];

pub(super) fn situations() -> Vec<Situation> {
    vec![Situation {
        name: NAME,
        about: "Scheduler starts the snapshots: those of the tagged application are taken, named by the schedule's time.",
        play: |scene| Box::pin(on_the_schedule(scene)),
    }]
}

async fn on_the_schedule(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    let machine = scene.account.output("SnapshotStateMachineArn")?;
    let (described, report) = until("a run that took the snapshot", async || {
        for execution in scene.account.cloud.executions(machine).await? {
            let described = scene.account.cloud.describe_execution(&execution).await?;
            let output: Value = text(&described, "output")?;
            let report = output.get("report").cloned().unwrap_or(output);
            if described["status"] == "SUCCEEDED" && report["counts"]["Taken"] == 1 {
                return Ok(Some((described, report)));
            }
        }
        Ok(None)
    })
    .await?;
    let input: Value = text(&described, "input")?;
    let scheduled_at = input["scheduledAt"].as_str().unwrap_or_default();
    let digits: String = scheduled_at.chars().filter(|character| !matches!(character, '-' | ':')).collect();
    let snapshot = report["snapshot"].as_str().unwrap_or_default();
    if digits.is_empty() || !snapshot.ends_with(&digits) {
        return Err(format!("the snapshot {snapshot} is not named by {scheduled_at}"));
    }
    let body = serde_json::json!({ "ApplicationName": scene.name, "SnapshotName": snapshot });
    let found = scene.account.flink("DescribeApplicationSnapshot", &body).await?;
    if found["SnapshotDetails"]["SnapshotStatus"] != "READY" {
        return Err(format!("the snapshot is not READY: {found}"));
    }
    let applications = scene.account.output("SnapshotApplicationStateMachineArn")?;
    let substitutions = FUNCTIONS.map(|name| (name.to_owned(), name.to_owned()));
    let definition =
        StateMachine::parse(DEFINITION, &BTreeMap::from(substitutions)).map_err(|error| error.to_string())?;
    let mut compared = 0;
    for execution in scene.account.cloud.executions(applications).await? {
        let described = scene.account.cloud.describe_execution(&execution).await?;
        if described["status"] != "RUNNING" {
            compare_on(&definition, &described, &scene.account.cloud.history(&execution).await?)?;
            compared += 1;
        }
    }
    if compared == 0 {
        return Err("no execution of its own has ended".to_owned());
    }
    Ok(format!("{snapshot} was taken"))
}

/// A member that holds JSON as text; null where there is none.
fn text(described: &Value, member: &str) -> Result<Value, String> {
    let Some(text) = described[member].as_str() else { return Ok(Value::Null) };
    serde_json::from_str(text).map_err(|error| format!("{error} in {text}"))
}
