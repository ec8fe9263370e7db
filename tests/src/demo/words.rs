//! The words in which the demo tells what the data say.

use std::time::Duration;

use emulator::simulated::{Behaviour, JobFault};
use emulator::{Effect, Fault};
pub use flinkctl::steps::{decision, reasons_of_decision, step, wait};
use flinkctl::terminal::words::length;

use crate::scenario::Happening;

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
