//! What the steps of a deployment and its decisions are called, wherever people read of them.

use lifecycle::deployment::{Deployment, Next, Rung};
use lifecycle::request::Stop;
use lifecycle::verdict::Judgement;

/// What a step of the state machine is called: for a step that acts, what it does.
pub fn step(state: &str, deployment: Option<&Deployment>) -> String {
    let rung = deployment.map(|deployment| deployment.rung);
    match (state, rung) {
        ("SubmitUpdate", Some(Rung::Start)) => "start".to_owned(),
        ("SubmitUpdate", _) => "update".to_owned(),
        ("Restore", Some(Rung::StartBack)) => "start again".to_owned(),
        ("Restore", _) => "put back".to_owned(),
        ("ForceStop", _) => "stop by force".to_owned(),
        ("DecideRollback", _) => "decide".to_owned(),
        _ => spaced(state),
    }
}

/// `CheckOperation` as `check operation`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

/// What was decided.
pub fn decision(deployment: &Deployment) -> String {
    if let Some(report) = &deployment.report {
        return report.outcome.to_string();
    }
    match deployment.next {
        Next::Bake if is_baking(deployment) => "keep watching",
        Next::CheckSubtasks => "look once more",
        Next::WaitForOperation if deployment.rung == Rung::SystemRollback && deployment.verdict.is_none() => {
            "follow the service's own rollback"
        }
        Next::Bake | Next::WaitForSubtasks | Next::WaitForOperation => "hold",
        Next::Submit if deployment.rung == Rung::Start => "start it",
        Next::Submit => "make the update",
        Next::RollBack => "roll back",
        Next::ForceStop if deployment.way_to_stop() == Stop::Graceful => "stop it",
        Next::ForceStop => "stop by force",
        Next::Restore if deployment.rung == Rung::StartBack => "start the previous version",
        Next::Restore => "put the previous configuration back",
        Next::Decide | Next::Notify | Next::TakeTurn | Next::WaitForTurn | Next::Prepare | Next::WaitToPrepare => {
            "go on"
        }
    }
    .to_owned()
}

/// Whether the wait that comes now is quiet time.
fn is_baking(deployment: &Deployment) -> bool {
    let is_healthy = deployment.verdict.as_ref().is_some_and(|verdict| verdict.is == Judgement::Healthy);
    is_healthy && !deployment.decided.as_deref().unwrap_or_default().starts_with("hold")
}

/// Why it was decided: what follows the decision in the deployment's own words, reason by reason.
pub fn reasons_of_decision(deployment: &Deployment) -> Vec<String> {
    let Some(decided) = deployment.decided.as_deref() else { return Vec::new() };
    let why = decided.split_once(": ").map_or("", |(_, why)| why);
    // An end names its outcome first.
    let why = match &deployment.report {
        Some(_) => why.split_once(": ").map_or("", |(_, why)| why),
        None => why,
    };
    why.split("; ").filter(|reason| !reason.is_empty()).map(str::to_owned).collect()
}

/// What a wait is for.
pub fn wait(state: &str, deployment: &Deployment) -> &'static str {
    match state {
        "WaitForTurn" => "until the next look whose turn it is",
        "WaitToPrepare" => "until the application can be changed",
        "WaitForOperation" if deployment.verdict.is_none() => "until there can be something to see",
        "WaitForOperation" => "until the next look at the operation",
        "WaitForSubtasks" => "until the next look inside",
        "Bake" if is_baking(deployment) => "of quiet time; then CloudWatch is asked",
        _ => "until the next try",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_as_steps() {
        assert_eq!(step("CheckOperation", None), "check operation");
        assert_eq!(step("SubmitUpdate", None), "update");
    }
}
