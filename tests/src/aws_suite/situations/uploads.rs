//! The way in by an upload to S3.

use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use lifecycle::report::Outcome;

use super::super::scene::Scene;
use super::Situation;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation {
            name: "crash-loop",
            about: "Code that crash-loops is uploaded: the deployment is rolled back, and people are told.",
            play: |scene| Box::pin(crash_loop(scene)),
        },
        Situation {
            name: "upload",
            about: "Healthy code is uploaded: it goes live, in the very version that was uploaded.",
            play: |scene| Box::pin(upload(scene)),
        },
    ]
}

fn crashes() -> Behaviour {
    Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Fixed { seconds: 10 })
}

async fn upload(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    let version = scene.upload("release-2.jar", &Behaviour::healthy()).await?;
    let executions = scene.until_executions(1).await?;
    let ended = scene.ends_as(&executions[0], Outcome::Deployed).await?;
    let code = scene.code().await?;
    if code != (scene.key("release-2.jar"), version) {
        return Err(format!("it runs {code:?}"));
    }
    Ok(ended.report.map(|report| report.summary).unwrap_or_default())
}

async fn crash_loop(scene: &Scene<'_>) -> Result<String, String> {
    scene.running().await?;
    let before = scene.code().await?;
    scene.upload("release-2.jar", &crashes()).await?;
    let executions = scene.until_executions(1).await?;
    let ended = scene.ends_as(&executions[0], Outcome::RolledBack).await?;
    let code = scene.code().await?;
    if code != before {
        return Err(format!("it runs {code:?} instead of {before:?}"));
    }
    Ok(ended.report.map(|report| report.summary).unwrap_or_default())
}
