//! Executions by hand with the inputs in `events/`, each with an application that it makes sense for.

use lifecycle::report::Outcome;

use super::Situation;
use crate::aws_suite::scene::Scene;
use crate::samples::{prepare, samples};

const PREFIX: &str = "sample-";

/// One for each file.
pub(super) fn situations() -> Result<Vec<Situation>, String> {
    let situation = |(name, _): (String, _)| Situation {
        // There is a handful of them, and they are named for as long as the program runs.
        name: format!("{PREFIX}{name}").leak(),
        about: format!("An execution is started by hand with events/{name}.json.").leak(),
        play: |scene| Box::pin(sample(scene)),
    };
    Ok(samples()?.into_iter().map(situation).collect())
}

async fn sample(scene: &Scene<'_>) -> Result<String, String> {
    let sample = samples()?.into_iter().find(|(name, _)| scene.name.strip_prefix(PREFIX) == Some(name));
    let (_, input) = sample.ok_or("there is no such sample")?;
    let input = prepare(&scene.account.world, scene.name, input).await?;
    let execution = scene.start(scene.name, &input).await?;
    let ended = scene.ends_as(&execution, Outcome::Deployed).await?;
    Ok(ended.summary())
}
