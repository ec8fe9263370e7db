//! The catalogue's main scenarios: the same applications, happenings and deployments that our own engine plays in virtual
//! time, with the same outcomes, the same changing calls and the same safety rules.

use std::time::Duration;

use emulator::RecordEntry;

use super::Situation;
use crate::aws_suite::cloud::ACCOUNT;
use crate::aws_suite::scene::Scene;
use crate::catalogue::{catalogue, scenario};
use crate::checker::{Observed, check};
use crate::scenario::{Happening, Scenario, changes_of, happen, input_of};

/// What makes a path of its own through the state machine.
const MAIN: [&str; 12] = [
    "rollback-rejected",
    "stopped-and-the-change-crash-loops",
    "healthy",
    "no-change",
    "main-throws",
    "update-fails",
    "one-restart",
    "policy-hold",
    "stopped-is-started",
    "first-deploy",
    "first-deploy-needs-a-word",
    "unknown-field",
];

pub(super) fn situations() -> Vec<Situation> {
    let main = |name: &&str| catalogue().into_iter().find(|scenario| scenario.name == *name);
    let situation = |Scenario { name, about, .. }| Situation { name, about, play: |scene| Box::pin(played(scene)) };
    MAIN.iter().filter_map(main).map(situation).collect()
}

async fn played(scene: &Scene<'_>) -> Result<String, String> {
    let Scenario { mut app, happenings, deployments, .. } = scenario(scene.name).ok_or("there is no such scenario")?;
    let world = &scene.account.world;
    app.name = scene.name;
    world.create(&app).await?;
    for (_, happening) in &happenings {
        let happening = match happening.clone() {
            // Others have applications here too.
            Happening::Fault(fault) => Happening::Fault(fault.of(scene.name)),
            other => other,
        };
        happen(world, scene.name, &happening).await?;
    }
    let [planned] = deployments.as_slice() else { return Err("not one deployment".to_owned()) };
    world.clock.sleep(Duration::from_secs(planned.at_seconds)).await;
    let execution = scene.start(scene.name, &input_of(world, scene.name, 2, planned)).await?;
    let ended = scene.ends_as(&execution, planned.outcome.ok_or("no outcome is planned")?).await?;
    let fields: Vec<&str> =
        ended.report.iter().flat_map(|report| &report.refusals).map(|refusal| &*refusal.field).collect();
    if fields != planned.refused_fields {
        return Err(format!("refused for {fields:?} instead of {:?}", planned.refused_fields));
    }
    let is_ours =
        |entry: &RecordEntry| serde_json::to_value(&entry.event).is_ok_and(|event| event["application"] == scene.name);
    let record: Vec<RecordEntry> = scene.account.emulator.record().into_iter().filter(is_ours).collect();
    // The Lambdas all sign as the account, and no other execution touches this application.
    let calls = changes_of(&record, ACCOUNT);
    if calls != planned.calls {
        return Err(format!("calls {calls:?} instead of {:?}", planned.calls));
    }
    let secrets: Vec<String> = app.properties.iter().map(|(_, value)| (*value).to_owned()).collect();
    let trace = scene.trace(&ended).await?;
    let broken = check(&Observed { record: &record, executions: &[trace], secrets: &secrets });
    if let Some(violation) = broken.first() {
        return Err(format!("rule {}: {}", violation.rule, violation.what));
    }
    Ok(ended.summary())
}
