//! The words in which the demo tells what the data say.

use std::time::Duration;

use emulator::simulated::{Behaviour, JobFault};
use emulator::{Effect, Fault};
use flinkctl::terminal::words::length;
use lifecycle::deployment::{Deployment, Next, Rung};
use lifecycle::request::Stop;
use lifecycle::verdict::Judgement;

use crate::scenario::Happening;

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

/// What code does.
pub fn behaviour(behaviour: &Behaviour) -> String {
    let faults: Vec<String> = behaviour.faults.iter().map(job_fault).collect();
    if faults.is_empty() { "works as it should".to_owned() } else { faults.join(", ") }
}

fn job_fault(fault: &JobFault) -> String {
    match fault {
        JobFault::SlowRestore { seconds } => {
            format!("takes {} to restore its state", length(Duration::from_secs(*seconds)))
        }
        JobFault::OpenFails => "throws in open(), at every start".to_owned(),
        JobFault::FailsAfter { seconds, times: None } => format!("fails after {seconds} s, again and again"),
        JobFault::FailsAfter { seconds, times: Some(1) } => format!("fails once, after {seconds} s"),
        JobFault::FailsAfter { seconds, times: Some(times) } => {
            format!("fails {times} times, {seconds} s after a start")
        }
        JobFault::FailsLater { seconds } => {
            format!("runs for {}, then fails for good", length(Duration::from_secs(*seconds)))
        }
        JobFault::Bounded { seconds } => {
            format!("comes to the end of its input after {}", length(Duration::from_secs(*seconds)))
        }
        JobFault::MainThrows => "throws in main()".to_owned(),
        JobFault::NoExecute => "never calls execute()".to_owned(),
        JobFault::MissingMainClass => "has no main class".to_owned(),
        JobFault::CorruptJar => "is no JAR at all".to_owned(),
        JobFault::IncompatibleState => "cannot read the old state".to_owned(),
        JobFault::RemovedUid => "has lost an operator's uid".to_owned(),
        JobFault::FailingCheckpoints { from_seconds: 0 } => "never completes a checkpoint".to_owned(),
        JobFault::FailingCheckpoints { from_seconds } => format!("completes no checkpoint after {from_seconds} s"),
        JobFault::SlowSnapshot { seconds } => {
            format!("takes {} for a snapshot", length(Duration::from_secs(*seconds)))
        }
        JobFault::SnapshotFails => "fails to take snapshots".to_owned(),
    }
}

/// What happens around the deployments; none where there is nothing to see.
pub fn happening(happening: &Happening) -> Option<String> {
    Some(match happening {
        Happening::Fault(fault) => self::fault(fault),
        Happening::NoFaults => "all calls are answered as they should be again".to_owned(),
        Happening::Maintenance(seconds) => {
            format!("the service patches the application, for {}", length(Duration::from_secs(*seconds)))
        }
        Happening::Autoscale(parallelism) => format!("the service scales the application to parallelism {parallelism}"),
        Happening::LoseTaskManager => "a machine of the application dies".to_owned(),
        Happening::PutCode { key, behaviour } => {
            format!("{key} is put into the bucket: code that {}", self::behaviour(behaviour))
        }
        Happening::DeleteCode(key) => format!("{key} is deleted from the bucket, with all its versions"),
        Happening::Alarm { name, state } => format!("the alarm {name} goes to {}", format!("{state:?}").to_uppercase()),
        Happening::ByHand { operation, .. } => format!("somebody calls {operation} by hand"),
        Happening::Snapshots(count) => format!("{count} snapshots are taken by hand"),
        Happening::DeleteNewestSnapshot => "the newest snapshot is deleted by hand".to_owned(),
        Happening::DeleteSnapshots => "all snapshots are deleted by hand".to_owned(),
        Happening::Rest => return None,
    })
}

fn fault(fault: &Fault) -> String {
    let call = match fault.operation.as_str() {
        "*" => "calls of the service".to_owned(),
        "flink:*" => "calls of Flink's REST API".to_owned(),
        operation => operation.to_owned(),
    };
    match &fault.effect {
        Effect::Error { code, status, .. } if code.is_empty() => format!("{call} answered with HTTP {status}"),
        Effect::Error { code, .. } => format!("{call} answered with {code}"),
        Effect::Throttle => format!("{call} throttled"),
        Effect::Delay(delay) => format!("{call} answered {} late", length(*delay)),
        Effect::LostResponse(_) => format!("{call} done, and the answer lost"),
        Effect::Unreachable => format!("{call} out of reach"),
        Effect::Answer { status, .. } => format!("{call} answered with HTTP {status}"),
        Effect::Truncated(_) => format!("{call} answered by halves"),
        Effect::StaleRead(age) => format!("{call} answered with what was true {} ago", length(*age)),
        Effect::OperationHangs => format!("{call} never comes to its end"),
        Effect::OperationFails(_) => format!("{call} fails"),
        Effect::AccessDenied => format!("{call} is not permitted"),
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
