//! The way in by an upload to S3.

use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use lifecycle::report::Outcome;

use serde_json::Value;

use super::Situation;
use crate::aws_suite::account::{Account, CODE, ELSEWHERE};
use crate::aws_suite::scene::{Scene, until};

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation {
            name: "three-uploads",
            about: "Three uploads in a row: one deployment at a time, the newest one is live in the end.",
            play: |scene| Box::pin(three_uploads(scene)),
        },
        Situation {
            name: "upload-crash-loops",
            about: "Code that crash-loops is uploaded: the deployment is rolled back, and people are told.",
            play: |scene| Box::pin(upload_crash_loops(scene)),
        },
        Situation {
            name: "object-deleted",
            about: "The object is deleted while its deployment waits: refused, and the application is left alone.",
            play: |scene| Box::pin(object_deleted(scene)),
        },
        Situation {
            name: "upload",
            about: "Healthy code is uploaded: it goes live, in the very version that was uploaded.",
            play: |scene| Box::pin(upload(scene)),
        },
        Situation {
            name: "event-twice",
            about: "The event of an upload comes again, during the deployment and after it: one execution.",
            play: |scene| Box::pin(event_twice(scene)),
        },
        Situation {
            name: "no-such-application",
            about: "Code is uploaded for an application that does not exist: refused, and people are told.",
            play: |scene| Box::pin(no_such_application(scene)),
        },
        Situation {
            name: "key-of-no-application",
            about: "Code is uploaded to a key that names no application: nothing starts, and people are told.",
            play: |scene| Box::pin(key_of_no_application(scene)),
        },
        Situation {
            name: "another-bucket",
            about: "Code is uploaded to another bucket: its event starts nothing, and is refused where it is sent all the same.",
            play: |scene| Box::pin(another_bucket(scene)),
        },
    ]
}

fn crashes() -> Behaviour {
    Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Fixed { seconds: 10 })
}

async fn upload(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    let version = scene.upload("release-2.jar", &Behaviour::healthy()).await?;
    let execution = scene.only_execution().await?;
    let ended = scene.ends_as(&execution, Outcome::Deployed).await?;
    scene.runs(&scene.key("release-2.jar"), &version).await?;
    Ok(ended.summary())
}

async fn upload_crash_loops(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    let (key, version) = scene.code().await?;
    scene.upload("release-2.jar", &crashes()).await?;
    let execution = scene.only_execution().await?;
    let ended = scene.ends_as(&execution, Outcome::RolledBack).await?;
    scene.runs(&key, &version).await?;
    Ok(ended.summary())
}

async fn event_twice(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    scene.upload("release-2.jar", &Behaviour::healthy()).await?;
    let execution = scene.only_execution().await?;
    let event = event_of(scene, CODE, &scene.key("release-2.jar")).await?;
    // To a running execution's name with the same input Step Functions answers as before; ministack refuses it, as Step
    // Functions does once the execution has ended.
    deliver(scene, &event, &["Started", "AlreadyDeployed"]).await?;
    scene.ends_as(&execution, Outcome::Deployed).await?;
    deliver(scene, &event, &["AlreadyDeployed"]).await?;
    scene.only_execution().await?;
    Ok("one execution".to_owned())
}

async fn three_uploads(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    let key = scene.key("release.jar");
    scene.upload("release.jar", &Behaviour::healthy()).await?;
    let oldest = event_of(scene, CODE, &key).await?;
    let first = scene.until_executions(1).await?;
    until("the first is under way", async || {
        Ok(scene.path(&first[0]).await?.iter().any(|state| state == "SubmitUpdate").then_some(()))
    })
    .await?;
    scene.upload("release.jar", &crashes()).await?;
    scene.until_executions(2).await?;
    let newest = scene.upload("release.jar", &Behaviour::healthy()).await?;
    let executions = scene.until_executions(3).await?;
    let outcomes = [Outcome::Deployed, Outcome::Superseded, Outcome::Deployed];
    for (execution, outcome) in executions.iter().zip(outcomes) {
        scene.ends_as(execution, outcome).await?;
    }
    scene.runs(&key, &newest).await?;
    scene.took_turns(&executions).await?;
    deliver(scene, &oldest, &["Overtaken"]).await?;
    Ok("deployed, superseded, deployed".to_owned())
}

async fn object_deleted(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    let (key, version) = scene.code().await?;
    // While this one has its turn, the upload's waits.
    let first = scene.start("object-deleted", &scene.input("first")).await?;
    let deleted = scene.upload("release-2.jar", &Behaviour::healthy()).await?;
    scene.account.cloud.delete_version(CODE, &scene.key("release-2.jar"), &deleted).await?;
    let executions = scene.until_executions(2).await?;
    let second = executions.iter().find(|execution| **execution != first).ok_or("the upload started nothing")?;
    scene.ends_as(&first, Outcome::Deployed).await?;
    let ended = scene.ends_as(second, Outcome::Refused).await?;
    scene.runs(&key, &version).await?;
    Ok(ended.summary())
}

async fn no_such_application(scene: &Scene<'_>) -> Result<String, String> {
    scene.upload("release-1.jar", &Behaviour::healthy()).await?;
    let execution = scene.only_execution().await?;
    Ok(scene.ends_as(&execution, Outcome::Refused).await?.summary())
}

async fn key_of_no_application(scene: &Scene<'_>) -> Result<String, String> {
    let key = format!("applications/{}.jar", scene.name);
    scene.account.cloud.upload(CODE, &key, Behaviour::healthy().to_content()).await?;
    let letters = scene.until_mail(&key).await?;
    let [letter] = letters.as_slice() else { return Err(format!("told {} times: {letters:?}", letters.len())) };
    Ok(letter.subject.clone())
}

async fn another_bucket(scene: &Scene<'_>) -> Result<String, String> {
    let key = scene.key("release-2.jar");
    scene.account.cloud.upload(ELSEWHERE, &key, Behaviour::healthy().to_content()).await?;
    let event = event_of(scene, ELSEWHERE, &key).await?;
    deliver(scene, &event, &["Refused"]).await?;
    let letters = scene.until_mail(&key).await?;
    let executions = scene.executions().await?;
    // One message for the event that was sent all the same; none for the one that the rule left alone.
    let [letter] = letters.as_slice() else { return Err(format!("told {} times: {letters:?}", letters.len())) };
    if executions.is_empty() { Ok(letter.subject.clone()) } else { Err(format!("started {executions:?}")) }
}

/// The event of an upload, once it has come.
async fn event_of(scene: &Scene<'_>, bucket: &str, key: &str) -> Result<Value, String> {
    until(&format!("the event of {key}"), async || scene.account.letters.upload_of(bucket, key).await).await
}

/// Sends an event to the function as `EventBridge` does; one of these must come of it.
async fn deliver(scene: &Scene<'_>, event: &Value, outcomes: &[&str]) -> Result<(), String> {
    let reply = scene.account.cloud.invoke(&Account::function("start-deployment"), event).await?;
    let is_expected = outcomes.iter().any(|outcome| reply["outcome"] == *outcome);
    if is_expected { Ok(()) } else { Err(format!("not {outcomes:?}: {reply}")) }
}
