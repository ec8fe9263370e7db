use serde_json::{Value, json};

use super::*;
use crate::fixtures::{at, climbed, due, goes_on, judged, request, updating};
use crate::report::Outcome;
use crate::status::JobState;

#[test]
fn a_busy_service_is_tried_again_for_a_while() {
    let mut deployment = updating(&json!({}), "RUNNING");
    deployment.take(Rung::RollBack);
    for _ in 1..MOST_BUSY {
        deployment.busy("the application is UPDATING", at(1));
        assert_eq!(goes_on(&deployment), "Bake 30");
        assert_eq!(deployment.verdict, None);
    }
    deployment.busy("the application is UPDATING", at(1));
    assert_eq!(
        (goes_on(&deployment).as_str(), judged(&deployment).as_str()),
        ("Decide 0", "Failing: operationRejected")
    );
    deployment.take(Rung::PutBack);
    deployment.busy("the application is UPDATING", at(1));
    assert_eq!(goes_on(&deployment), "Bake 30", "the next rung has as many tries");
}

#[test]
fn an_update_that_is_never_taken_is_refused_and_no_failure() {
    let mut deployment = due(&json!({}), "RUNNING");
    for _ in 0..MOST_BUSY {
        assert_eq!(deployment.report, None);
        deployment.busy("the application is AUTOSCALING", at(1));
    }
    let report = deployment.report.unwrap();
    assert_eq!((report.outcome, report.refusals[0].field.as_str()), (Outcome::Refused, "application"));
    assert_eq!((deployment.next, deployment.verdict), (Next::Notify, None));
}

#[test]
fn an_update_that_is_never_taken_after_the_stop_is_a_failure() {
    let mut deployment = due(&json!({ "stop": "force", "start": true }), "RUNNING");
    deployment.taken.insert(0, Rung::Stop);
    for _ in 0..MOST_BUSY {
        deployment.busy("the application is AUTOSCALING", at(1));
    }
    assert_eq!((judged(&deployment).as_str(), deployment.report), ("Failing: operationRejected", None));
}

#[test]
fn trouble_that_has_passed_is_forgotten() {
    let troubled = || {
        let mut deployment = updating(&json!({}), "RUNNING");
        deployment.take(Rung::RollBack);
        deployment.unreadable_since = Some(at(0));
        deployment
    };
    let since = |change: fn(&mut Deployment)| {
        let mut deployment = troubled();
        change(&mut deployment);
        deployment.unreadable_since
    };
    assert_eq!(since(|deployment| deployment.busy("it is UPDATING", at(9))), None);
    assert_eq!(since(|deployment| deployment.begin(None, None, at(9))), None);
    assert_eq!(since(|deployment| deployment.take(Rung::ForceStop)), None);
    assert_eq!(since(|deployment| deployment.conclude(Verdict::progressing(Reason::NoJob), at(9))), None);
    assert_eq!(since(|deployment| deployment.conclude(Verdict::failing(Reason::NoJob), at(9))), None);
    assert_eq!(since(|deployment| deployment.conclude(Verdict::inconclusive(Reason::NoJob), at(9))), Some(at(0)));
    assert_eq!(since(|deployment| deployment.overtaken(5, at(9))), Some(at(0)));
}

#[test]
fn a_rung_begins_with_nothing_known_of_it() {
    let mut deployment = climbed(&json!({}), &[]);
    deployment.job = Some(JobWatch::new(at(1)));
    deployment.conclude(Verdict::failing(Reason::NoJob), at(2));
    deployment.take(Rung::RollBack);
    assert_eq!((&deployment.began, &deployment.job, &deployment.verdict), (&None, &None, &None));
    assert_eq!(deployment.failure, [Reason::NoJob], "what was found bad stays for the report");
    deployment.take(Rung::RollBack);
    assert_eq!(deployment.taken, [Rung::Update, Rung::RollBack]);
}

#[test]
fn the_first_wait_is_as_long_as_nothing_can_be_known() {
    let table = [
        (Rung::Update, "RUNNING", 75),
        (Rung::Update, "READY", 10),
        (Rung::Start, "READY", 45),
        (Rung::RollBack, "RUNNING", 75),
        (Rung::SystemRollback, "RUNNING", 45),
        (Rung::ForceStop, "RUNNING", 30),
        (Rung::PutBack, "RUNNING", 10),
        (Rung::StartBack, "RUNNING", 45),
    ];
    for (rung, was, seconds) in table {
        let mut deployment = due(&json!({}), was);
        deployment.take(rung);
        let mut without_id = deployment.clone();
        deployment.begin(Some("op".into()), Some(9), at(1));
        assert_eq!(goes_on(&deployment), format!("WaitForOperation {seconds}"), "{rung:?} {was}");
        assert_eq!(deployment.version, 9);
        without_id.begin(None, None, at(1));
        assert_eq!(goes_on(&without_id), "WaitForOperation 0");
        assert_eq!(without_id.version, 7);
    }
}

#[test]
fn every_rung_is_an_operation_of_the_service() {
    let table = [
        ("StopApplication", [Rung::Stop, Rung::ForceStop]),
        ("UpdateApplication", [Rung::Update, Rung::PutBack]),
        ("StartApplication", [Rung::Start, Rung::StartBack]),
        ("RollbackApplication", [Rung::SystemRollback, Rung::RollBack]),
    ];
    for (operation, rungs) in table {
        for rung in rungs {
            assert_eq!(rung.operation(), operation);
            let mut deployment = climbed(&json!({}), &[rung]);
            assert_eq!(deployment.events.last().unwrap().what, format!("{operation} begun"));
            deployment.reject("no", at(1));
            let refused = Reason::OperationRejected { operation: operation.into(), error: "no".into() };
            assert_eq!(deployment.failure, [refused]);
        }
    }
}

#[test]
fn state_is_given_up_only_where_the_request_says_so() {
    let mut deployment = climbed(&json!({}), &[Rung::PutBack]);
    deployment.restore_from = Some("good".into());
    assert_eq!(deployment.restore_back(), Restore::from_snapshot("good"));
    deployment.restore_from = None;
    assert_eq!(deployment.restore_back().restore_type, RestoreType::Skip);
    deployment.baseline.as_mut().unwrap().status = ApplicationStatus::Ready;
    assert_eq!(deployment.restore_back(), Restore::default());
}

#[test]
fn a_verdict_is_told_when_it_changes_and_is_not_that_all_goes_on() {
    let mut deployment = updating(&json!({}), "RUNNING");
    let begun = deployment.events.len();
    let no_job = || Verdict::progressing(Reason::NoJob);
    let finished = || Verdict::healthy(Reason::JobFinished);
    let still_healthy = || Verdict::healthy(Reason::WasNotRunning);
    for (second, verdict) in (1..).zip([no_job(), no_job(), finished(), still_healthy(), no_job(), finished()]) {
        deployment.conclude(verdict, at(second));
    }
    let told: Vec<_> = deployment.events[begun..].iter().map(|event| (event.at, event.what.as_str())).collect();
    let healthy = "Healthy: the job came to the end of its input";
    assert_eq!(told, [(at(3), healthy)], "the same words twice are told once");
    deployment.conclude(Verdict::failing(Reason::NoJob), at(7));
    deployment.conclude(Verdict::inconclusive(Reason::NoJob), at(8));
    let told: Vec<_> = deployment.events[begun + 1..].iter().map(|event| event.what.as_str()).collect();
    assert_eq!(told, ["Failing: Flink shows no job", "Inconclusive: Flink shows no job"]);
}

#[test]
fn an_application_is_stopped_as_asked_and_by_force_on_the_way_back() {
    for (word, wanted, first_wait) in [("graceful", Stop::Graceful, 45), ("force", Stop::Force, 30)] {
        let mut deployment = due(&json!({ "stop": word }), "RUNNING");
        deployment.take(Rung::Stop);
        assert_eq!(deployment.way_to_stop(), wanted);
        deployment.begin(Some("op".into()), None, at(1));
        assert_eq!(goes_on(&deployment), format!("WaitForOperation {first_wait}"), "a snapshot takes its time");
        deployment.take(Rung::ForceStop);
        assert_eq!(deployment.way_to_stop(), Stop::Force);
        deployment.begin(Some("op".into()), None, at(2));
        assert_eq!(goes_on(&deployment), "WaitForOperation 30");
    }
}

#[test]
fn the_first_failure_is_the_one_that_is_reported() {
    let mut deployment = updating(&json!({}), "RUNNING");
    deployment.conclude(Verdict::inconclusive(Reason::NoJob), at(1));
    assert_eq!(deployment.failure, []);
    let first = Reason::JobFailed { state: JobState::Failed };
    deployment.conclude(Verdict::failing(first.clone()), at(2));
    deployment.conclude(Verdict::failing(Reason::NoJob), at(3));
    assert_eq!(deployment.failure, [first]);
}

#[test]
fn events_are_short_few_and_told_once() {
    let mut deployment = due(&json!({}), "RUNNING");
    deployment.note(at(1), "first\n  line");
    deployment.note(at(2), "first line");
    assert_eq!(deployment.events.len(), 1);
    assert_eq!(deployment.events[0].what, "first line");
    deployment.note(at(3), "ü".repeat(LONGEST_EVENT + 1));
    assert_eq!(deployment.events[1].what.chars().count(), LONGEST_EVENT + 1);
    for number in 0..200 {
        deployment.note(at(4), format!("event {number}"));
    }
    assert_eq!(deployment.events.len(), MOST_EVENTS);
    assert_eq!(deployment.events[0].what, "first line", "the beginning is kept");
    assert_eq!(deployment.events.last().unwrap().what, "event 199", "and the end");
}

#[test]
fn a_deadline_beyond_time_is_the_end_of_time() {
    let after = |turn_at| {
        let mut deployment = Deployment::new(&request(&json!({})), "run-1", at(0));
        deployment.take_turn(turn_at);
        deployment
    };
    assert_eq!(after(Timestamp::MAX).deadline, Timestamp::MAX);
    let deployment = after(at(60));
    assert_eq!([deployment.is_late(at(14_459)), deployment.is_late(at(14_460))], [false, true]);
}

/// A deployment with everything in it, as large as a request and the service can make it.
fn largest() -> Deployment {
    let alarms: Vec<String> = (0..100).map(|number| format!("{number:0>255}")).collect();
    let mut deployment = climbed(
        &json!({ "reason": "r".repeat(1_000), "policy": { "alarms": alarms } }),
        &[Rung::SystemRollback, Rung::ForceStop, Rung::PutBack, Rung::StartBack],
    );
    let baseline = deployment.baseline.as_mut().unwrap();
    baseline.status = ApplicationStatus::Unknown("HIBERNATING".into());
    baseline.raised_alarms = alarms;
    deployment.restore_from = Some("s".repeat(256));
    deployment.job = Some(JobWatch { quiet_since: Some(at(1)), healthy_at: Some(at(2)), ..JobWatch::new(at(0)) });
    for number in 0..1_000 {
        deployment.note(at(number), format!("{number}{}", "e".repeat(1_000)));
    }
    deployment.error = Some(StepError { state: "RollBack".into(), error: "Sandbox.Timedout".into(), cause: None });
    deployment.unreadable_since = Some(at(5));
    let unknown = Reason::UnknownStatus { what: "the job".into(), status: "DREAMING".into() };
    let failed = Reason::OperationFailed { operation: "UpdateApplication".into(), error: Some("x".repeat(512)) };
    deployment.conclude(Verdict::failing(failed).and(Some(unknown.clone())), at(6));
    deployment.report = Some(Report::of(&deployment, Outcome::NeedsAttention, vec![unknown], at(7)));
    deployment
}

#[test]
fn the_document_survives_its_journey_and_fits_the_state_machine() {
    let deployment = largest();
    let json = serde_json::to_string(&deployment).unwrap();
    let read: Deployment = serde_json::from_str(&json).unwrap();
    assert_eq!(read, deployment, "words that nobody knows included");
    assert!(json.len() < 131_072, "{} bytes are more than half of what Step Functions carries", json.len());
}

#[test]
fn what_a_step_said_that_may_not_do_something_is_told() {
    let said = |cause: Option<&str>| {
        let error =
            StepError { state: "Prepare".into(), error: "AccessDenied".into(), cause: cause.map(str::to_owned) };
        Reason::from(error).to_string()
    };
    let cause = r#"{"errorType": "AccessDenied", "errorMessage": "not authorized\nto perform: X on resource: Y"}"#;
    let named = "the step Prepare failed with AccessDenied";
    assert_eq!(said(Some(cause)), format!("{named}: not authorized to perform: X on resource: Y"));
    for other in [None, Some("no JSON"), Some(r#"{"errorMessage": 7}"#), Some(r#"{"errorMessage": "cut of"#)] {
        assert_eq!(said(other), named);
    }
}

#[test]
fn the_document_has_the_members_that_the_state_machine_reads() {
    let document = serde_json::to_value(largest()).unwrap();
    for pointer in ["/next", "/waitSeconds", "/deadline", "/startedAt", "/report/success", "/report/outcome"] {
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    // What the Catch states put there.
    let mut caught = document;
    caught["error"] = json!({ "state": "Restore", "error": "States.Timeout" });
    let read: Deployment = serde_json::from_value(caught).unwrap();
    assert_eq!(read.error, Some(StepError { state: "Restore".into(), error: "States.Timeout".into(), cause: None }));
}

#[test]
fn the_update_itself_is_not_in_the_document() {
    let property: Value =
        json!({ "PropertyGroups": [{ "PropertyGroupId": "db", "PropertyMap": { "password": "hunter2" } }] });
    let input = json!({
        "application": "orders",
        "update": { "ApplicationConfigurationUpdate": { "EnvironmentPropertyUpdates": property } },
    });
    let deployment = Deployment::new(&Request::parse(&input).unwrap(), "run-1", at(0));
    let json = serde_json::to_string(&deployment).unwrap();
    assert!(!json.contains("hunter2") && !json.contains("password"), "{json}");
    assert_eq!(deployment.changed_fields, ["ApplicationConfigurationUpdate.EnvironmentPropertyUpdates"]);
}
