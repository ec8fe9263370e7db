//! The way in by the console or the API: executions that people start, and what they and the service do to them.

use emulator::{Effect, Fault};
use lifecycle::report::Outcome;
use serde_json::json;

use super::Situation;
use crate::aws_suite::scene::{Scene, until};

/// A step that is denied is tried again every 30 seconds for a quarter of an hour, in case somebody grants it meanwhile.
const MOST_TRIES: usize = 31;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation {
            name: "aborted-and-another",
            about: "An execution is aborted while the application is updated: people are told, and the next one goes on.",
            play: |scene| Box::pin(aborted_and_another(scene)),
        },
        Situation {
            name: "two-by-hand",
            about: "Two executions are started at once: one waits until it is its turn.",
            play: |scene| Box::pin(two_by_hand(scene)),
        },
        Situation {
            name: "missing-permission",
            about: "IAM denies an action: a person is asked, told of the action and its resource, and there is no storm of retries.",
            play: |scene| Box::pin(missing_permission(scene)),
        },
        Situation {
            name: "malformed-parameters",
            about: "The stack is deployed once more with malformed parameters: each is refused with what it has to be.",
            play: |scene| Box::pin(malformed_parameters(scene)),
        },
    ]
}

async fn aborted_and_another(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    let first = scene.start("aborted-1", &scene.input("first")).await?;
    until("the update is under way", async || {
        let path = scene.path(&first).await?;
        Ok(path.iter().any(|state| state == "WaitForOperation").then_some(()))
    })
    .await?;
    let stop = json!({ "executionArn": first, "error": "Tired", "cause": "nobody waits for it" });
    scene.account.cloud.call("states", "AWSStepFunctions.StopExecution", &stop).await?;
    let second = scene.start("aborted-2", &scene.input("second")).await?;
    let aborted = scene.ended(&first).await?;
    if aborted.status != "ABORTED" {
        return Err(format!("{} instead of ABORTED", aborted.status));
    }
    let letters = scene.until_mail("aborted-1").await?;
    let ended = scene.ends_as(&second, Outcome::Deployed).await?;
    let [letter] = letters.as_slice() else { return Err(format!("told {} times: {letters:?}", letters.len())) };
    Ok(format!("{}; then: {}", letter.subject, ended.summary()))
}

async fn two_by_hand(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    let first = scene.start("two-by-hand-1", &scene.input("first")).await?;
    let second = scene.start("two-by-hand-2", &scene.input("second")).await?;
    for execution in [&first, &second] {
        scene.ends_as(execution, Outcome::Deployed).await?;
    }
    scene.took_turns(&[first, second]).await?;
    Ok("one after the other".to_owned())
}

async fn missing_permission(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    scene.account.emulator.inject(Fault::new("UpdateApplication", Effect::AccessDenied).of(scene.name));
    let execution = scene.start("missing-permission", &scene.input("denied")).await?;
    let ended = scene.ends_as(&execution, Outcome::NeedsAttention).await?;
    let told = ended.described["cause"].as_str().unwrap_or_default();
    if !told.contains("kinesisanalytics:UpdateApplication on resource: arn:") {
        return Err(format!("the cause does not name the action and the resource: {told}"));
    }
    let tries = scene.path(&execution).await?.iter().filter(|state| *state == "SubmitUpdate").count();
    if tries > MOST_TRIES {
        return Err(format!("tried {tries} times"));
    }
    Ok(ended.summary())
}

async fn malformed_parameters(scene: &Scene<'_>) -> Result<String, String> {
    let malformed = [
        ("CodeBucketName=Not_A_Bucket", "must be the name of a bucket, or empty"),
        ("ApplicationArns=orders", "must be ARNs of applications"),
    ];
    for (parameter, has_to_be) in malformed {
        match scene.account.deploy(&[parameter]).await {
            Ok(()) => return Err(format!("{parameter} was taken")),
            Err(told) if told.contains(has_to_be) => {}
            Err(told) => return Err(format!("{parameter}: {told}")),
        }
    }
    Ok("refused, with what they have to be".to_owned())
}
