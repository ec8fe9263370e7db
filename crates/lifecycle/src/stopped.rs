//! Whether an application that stands still was stopped by a person. A stop by hand is not undone: whoever wants the
//! application stopped has taken over, even when the change was bad. Only the list of operations tells a person's stop
//! from what the service does when an operation fails.

use jiff::Timestamp;

use crate::deployment::{Deployment, Rung};
use crate::evidence::{Application, Observed, OperationSummary};
use crate::status::{ApplicationStatus, OperationStatus};
use crate::verdict::{Judgement, Reason, Verdict};

/// Whether the newest operation has to be read before a failing deployment takes its next rung: the application is
/// stopped, or about to be, and not by this deployment as far as it knows.
pub fn may_be_stopped_by_someone(deployment: &Deployment, application: &Observed<Option<Application>>) -> bool {
    let Ok(Some(application)) = application else { return false };
    let is_failing = deployment.verdict.as_ref().is_some_and(|verdict| verdict.is == Judgement::Failing);
    let is_stopped = application.status.is_stopped()
        || matches!(application.status, ApplicationStatus::Stopping | ApplicationStatus::ForceStopping);
    let may_run = matches!(deployment.rung, Rung::Update | Rung::Start | Rung::RollBack | Rung::SystemRollback);
    // Of an application that was stopped before, the newest operation may be the stop of that time until one has begun.
    let is_newer = deployment.runs_on() || deployment.began.is_some();
    is_failing && is_stopped && may_run && is_newer
}

/// Which of the newest operations, newest first, tells why the application stands still: the newest, but for maintenance,
/// which leaves an application as it was; unless that is this deployment's own update of an application that was to run
/// on, and the one before it a stop. The update has met a stopped application then, which it does not start.
pub fn telling(deployment: &Deployment, newest: Vec<OperationSummary>) -> Option<OperationSummary> {
    let ours = deployment.began.as_ref().and_then(|began| began.operation_id.as_deref());
    let is_maintenance = |it: &OperationSummary| it.name == "Maintenance" && it.status == OperationStatus::Successful;
    let mut newest = newest.into_iter().filter(|operation| !is_maintenance(operation));
    let first = newest.next()?;
    let is_update_of_running = deployment.rung == Rung::Update && deployment.runs_on();
    let stop = newest.next().filter(|before| {
        let is_stop = before.name == "StopApplication" && before.status == OperationStatus::Successful;
        is_update_of_running && is_stop && Some(first.id.as_str()) == ours
    });
    stop.or(Some(first))
}

/// Whether the newest stop of an application that runs was made by this deployment, when the step ran before: what has
/// failed by then is not made again. One that was successful is over, whoever made it.
pub fn was_made_before(deployment: &Deployment, newest: &OperationSummary) -> bool {
    deployment.is_newer_than_noted(newest) && newest.status != OperationStatus::Successful
}

/// Takes in the newest operation. A stop that is none of this deployment's takes the place of its verdict; so does a list
/// that cannot be read, since nothing may be undone on the strength of it.
pub fn recognize_stop(deployment: &mut Deployment, newest: Observed<Option<OperationSummary>>, now: Timestamp) {
    let ours = deployment.began.as_ref().and_then(|began| began.operation_id.as_deref());
    let verdict = match newest {
        Err(unreadable) => Verdict::inconclusive(unreadable.into()),
        Ok(Some(newest)) if newest.name == "StopApplication" && Some(newest.id.as_str()) != ours => {
            Verdict::inconclusive(Reason::StoppedBySomeone { operation_id: newest.id })
        }
        Ok(_) => return,
    };
    deployment.conclude(verdict, now);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deployment::Baseline;
    use crate::evidence::Unreadable;
    use crate::fixtures::application;
    use crate::request::Request;

    fn failing(was: &str, rung: Rung) -> Deployment {
        let input = json!({ "application": "orders", "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20" } });
        let mut deployment = Deployment::new(&Request::parse(&input).unwrap(), "e-1", Timestamp::UNIX_EPOCH);
        deployment.baseline = Some(Baseline {
            version: 1,
            status: was.into(),
            runtime: "FLINK-1_20".into(),
            code: None,
            snapshot: None,
            raised_alarms: Vec::new(),
        });
        deployment.take(rung);
        deployment.fail(Reason::NoJob, Timestamp::UNIX_EPOCH);
        deployment
    }

    #[test]
    fn only_a_stop_that_was_not_there_before_can_be_this_deployments() {
        let newest = |status: &str| OperationSummary {
            id: "stop-2".into(),
            name: "StopApplication".into(),
            status: status.into(),
            started_at: None,
        };
        let table = [
            (None, "FAILED", false),
            (Some("stop-2"), "FAILED", false),
            (Some("stop-1"), "FAILED", true),
            (Some(""), "FAILED", true),
            (Some(""), "IN_PROGRESS", true),
            (Some(""), "SUCCESSFUL", false),
        ];
        for (before, status, was_made) in table {
            let mut deployment = failing("RUNNING", Rung::ForceStop);
            deployment.newest_before = before.map(str::to_owned);
            assert_eq!(was_made_before(&deployment, &newest(status)), was_made, "{before:?} {status}");
        }
    }

    #[test]
    fn asked_only_where_a_stop_may_be_a_persons() {
        let cases = [
            ("RUNNING", Rung::Update, "READY", true),
            ("RUNNING", Rung::Update, "STOPPING", true),
            ("RUNNING", Rung::RollBack, "FORCE_STOPPING", true),
            ("RUNNING", Rung::Update, "RUNNING", false),
            ("RUNNING", Rung::ForceStop, "READY", false),
            ("RUNNING", Rung::PutBack, "READY", false),
            ("READY", Rung::Start, "READY", false),
        ];
        for (was, rung, status, expected) in cases {
            let asked = may_be_stopped_by_someone(&failing(was, rung), &Ok(Some(application(2, status))));
            assert_eq!(asked, expected, "{was} {rung:?} {status}");
        }
        let mut begun = failing("READY", Rung::Start);
        begun.begin(Some("start".into()), None, Timestamp::UNIX_EPOCH);
        assert!(may_be_stopped_by_someone(&begun, &Ok(Some(application(2, "READY")))));
    }

    #[test]
    fn an_update_that_has_met_a_stopped_application_does_not_tell_why_it_stands_still() {
        let listed = |name: &str, id: &str, status: &str| OperationSummary {
            id: id.into(),
            name: name.into(),
            status: status.into(),
            started_at: None,
        };
        let stop = |status| listed("StopApplication", "stop", status);
        let maintenance = |status| listed("Maintenance", "patching", status);
        let start = listed("StartApplication", "start", "SUCCESSFUL");
        let ours = listed("UpdateApplication", "ours", "SUCCESSFUL");
        let theirs = listed("UpdateApplication", "theirs", "SUCCESSFUL");
        let table = [
            ("RUNNING", Rung::Update, vec![ours.clone(), stop("SUCCESSFUL")], "stop"),
            ("RUNNING", Rung::Update, vec![ours.clone(), stop("FAILED")], "ours"),
            ("RUNNING", Rung::Update, vec![maintenance("SUCCESSFUL"), stop("SUCCESSFUL"), ours.clone()], "stop"),
            ("RUNNING", Rung::Update, vec![maintenance("SUCCESSFUL"), ours.clone(), stop("SUCCESSFUL")], "stop"),
            ("RUNNING", Rung::Update, vec![maintenance("FAILED"), ours.clone(), stop("SUCCESSFUL")], "patching"),
            ("RUNNING", Rung::Update, vec![ours.clone(), start], "ours"),
            ("RUNNING", Rung::Update, vec![theirs, stop("SUCCESSFUL")], "theirs"),
            ("RUNNING", Rung::Update, vec![ours.clone()], "ours"),
            ("READY", Rung::Update, vec![ours.clone(), stop("SUCCESSFUL")], "ours"),
            ("RUNNING", Rung::RollBack, vec![ours, stop("SUCCESSFUL")], "ours"),
        ];
        for (was, rung, newest, expected) in table {
            let mut deployment = failing(was, rung);
            deployment.begin(Some("ours".into()), Some(2), Timestamp::UNIX_EPOCH);
            let found = telling(&deployment, newest.clone()).map(|operation| operation.id);
            assert_eq!(found.as_deref(), Some(expected), "{was} {rung:?} {newest:?}");
        }
        assert_eq!(telling(&failing("RUNNING", Rung::Update), Vec::new()), None);
    }

    #[test]
    fn only_a_stop_of_somebody_else_takes_the_verdicts_place() {
        let operation = |name: &str, id: &str| {
            Ok(Some(OperationSummary {
                id: id.into(),
                name: name.into(),
                status: OperationStatus::Successful,
                started_at: None,
            }))
        };
        let unreadable = Err(Unreadable { what: "the operations".into(), why: "throttled".into() });
        let cases = [
            (operation("StopApplication", "theirs"), Judgement::Inconclusive),
            (operation("StopApplication", "ours"), Judgement::Failing),
            (operation("UpdateApplication", "theirs"), Judgement::Failing),
            (Ok(None), Judgement::Failing),
            (unreadable, Judgement::Inconclusive),
        ];
        for (newest, expected) in cases {
            let mut deployment = failing("RUNNING", Rung::Update);
            deployment.begin(Some("ours".into()), Some(2), Timestamp::UNIX_EPOCH);
            recognize_stop(&mut deployment, newest.clone(), Timestamp::UNIX_EPOCH);
            assert_eq!(deployment.verdict.map(|verdict| verdict.is), Some(expected), "{newest:?}");
        }
    }
}
