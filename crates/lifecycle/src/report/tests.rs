use serde_json::json;

use super::*;
use crate::fixtures::{at, climbed, due, updating};
use crate::verdict::Verdict;

fn report(deployment: &Deployment, outcome: Outcome, because: Reason) -> Report {
    Report::of(deployment, outcome, vec![because], at(60))
}

#[test]
fn summaries_say_what_came_of_it() {
    use Rung::{ForceStop, PutBack, RollBack, StartBack};
    let failed = |mut deployment: Deployment| {
        deployment.conclude(Verdict::failing(Reason::Restarts { count: 3, tolerated: 2 }), at(9));
        deployment
    };
    let from = |snapshot: Option<&str>| {
        let mut deployment = failed(climbed(&json!({}), &[ForceStop, PutBack, StartBack]));
        deployment.restore_from = snapshot.map(str::to_owned);
        deployment
    };
    let mut watched = updating(&json!({}), "RUNNING");
    watched.job = Some(crate::deployment::JobWatch::new(at(1)));
    let mut stopped = due(&json!({ "stop": "graceful" }), "RUNNING");
    stopped.take(Rung::Stop);
    let done = Reason::OperationSuccessful { operation: "StopApplication".into(), application: "READY".into() };
    let quiet = || Reason::QuietFor { seconds: 300, of: 300 };
    let table = vec![
        (
            stopped,
            Outcome::Deployed,
            done,
            "orders is stopped at version 7, as asked: StopApplication was successful, the application is READY.",
        ),
        (watched, Outcome::Deployed, quiet(), "orders runs version 8: quiet for 300 of 300 s."),
        (
            updating(&json!({}), "READY"),
            Outcome::Deployed,
            Reason::WasNotRunning,
            "orders has version 8, and is stopped as before: the application was not running before.",
        ),
        (
            due(&json!({}), "RUNNING"),
            Outcome::NoChange,
            Reason::AlreadyInEffect { version: 7 },
            "orders was left as it is: version 7 is as the request wants it.",
        ),
        (
            failed(climbed(&json!({}), &[RollBack])),
            Outcome::RolledBack,
            quiet(),
            "The change was bad: 3 restarts, 2 are tolerated. orders is back on version 7's code and state, as version 8.",
        ),
        (
            from(Some("good")),
            Outcome::Restored,
            quiet(),
            "The change was bad: 3 restarts, 2 are tolerated. orders has version 7's configuration again, started from the snapshot good.",
        ),
        (
            from(None),
            Outcome::Restored,
            quiet(),
            "The change was bad: 3 restarts, 2 are tolerated. orders has version 7's configuration again, started without state, as the request allows.",
        ),
        (
            failed(climbed(&json!({}), &[PutBack])),
            Outcome::Restored,
            quiet(),
            "The change was bad: 3 restarts, 2 are tolerated. orders has version 7's configuration again, stopped, as before.",
        ),
        (
            updating(&json!({}), "RUNNING"),
            Outcome::Superseded,
            Reason::VersionChanged { expected: 8, found: 9 },
            "Nothing more was touched: the application is at version 9; this deployment knows it up to version 8.",
        ),
        (
            updating(&json!({}), "RUNNING"),
            Outcome::NeedsAttention,
            Reason::DeadlinePassed,
            "A person has to look at orders: the deployment's deadline has passed.",
        ),
        (
            failed(updating(&json!({}), "RUNNING")),
            Outcome::NeedsAttention,
            Reason::PolicyHolds,
            "A person has to look at orders: the policy says to hold on failure. The change was found bad: 3 restarts, 2 are tolerated.",
        ),
    ];
    for (deployment, outcome, because, summary) in table {
        let report = report(&deployment, outcome, because);
        assert_eq!(report.summary, summary);
        let is_over = matches!(outcome, Outcome::Deployed | Outcome::NoChange);
        assert_eq!(report.next_step.is_none(), is_over, "{outcome}");
    }
}

#[test]
fn an_execution_succeeds_when_the_application_is_as_its_newest_change_wants_it() {
    let table = [
        (Outcome::Deployed, true),
        (Outcome::NoChange, true),
        (Outcome::Superseded, true),
        (Outcome::RolledBack, false),
        (Outcome::Restored, false),
        (Outcome::Refused, false),
        (Outcome::NeedsAttention, false),
    ];
    for (outcome, success) in table {
        assert_eq!(outcome.is_success(), success, "{outcome}");
        assert_eq!(report(&due(&json!({}), "RUNNING"), outcome, Reason::NoJob).success, success);
    }
}

#[test]
fn a_report_survives_its_journey() {
    let mut deployment = climbed(&json!({ "reason": "ticket 5" }), &[Rung::RollBack]);
    deployment.conclude(Verdict::failing(Reason::JobFailed { state: "DREAMING".into() }), at(9));
    for report in [
        report(&deployment, Outcome::RolledBack, Reason::ApplicationAtWork { status: "HIBERNATING".into() }),
        Report::refused("orders", "run-1", vec![Refusal::new("policy", "no", "yes")], at(0), at(1)),
    ] {
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}

#[test]
fn a_refusal_is_small_whatever_was_sent() {
    let refusals = (0..1_000).map(|_| Refusal::new("f".repeat(100_000), "p".repeat(100_000), "c".repeat(100_000)));
    let report = Report::refused("orders", "run-1", refusals.collect(), at(0), at(1));
    assert_eq!(report.refusals.len(), MOST_REFUSALS);
    let bytes = serde_json::to_string(&report).unwrap().len();
    assert!(bytes < 65_536, "{bytes} bytes");
    assert!(report.summary.starts_with("Refused, nothing was touched. fff"));
}

#[test]
fn what_it_means_for_the_data_and_what_to_do_is_told_of_every_outcome() {
    let bad = climbed(&json!({}), &[Rung::RollBack]);
    let mut bad = Deployment { failure: vec![Reason::NoCheckpointYet { failed: 2 }], ..bad };
    let nothing = Deployment::new(&crate::fixtures::request(&json!({})), "run-1", at(0));
    let table = [
        (&bad, Outcome::Deployed, "Nothing runs. The state is in the application's snapshots.", "Nothing."),
        (&nothing, Outcome::NoChange, "Not touched.", "Nothing."),
        (
            &bad,
            Outcome::RolledBack,
            "Nothing runs. The state is in the application's snapshots.",
            "Look for the cause in the checkpoints' history in the Flink dashboard, and in the log. Then deploy again.",
        ),
        (
            &bad,
            Outcome::Superseded,
            "Up to whoever has taken over. This deployment has deleted no snapshot.",
            "See the newer change, or the person, that took over; deploy again if needed.",
        ),
        (
            &nothing,
            Outcome::Superseded,
            "Not touched by this deployment.",
            "See the newer change, or the person, that took over; deploy again if needed.",
        ),
        (&nothing, Outcome::Refused, "Not touched.", "Correct the request and send it again."),
    ];
    for (deployment, outcome, data, to_do) in table {
        let report = report(deployment, outcome, Reason::NoJob);
        assert_eq!((report.about_data().as_str(), report.to_do().as_str()), (data, to_do), "{outcome}");
    }
    let asked = report(&bad, Outcome::NeedsAttention, Reason::PolicyHolds);
    assert_eq!(asked.about_data(), "Not verified. This deployment has deleted no snapshot.");
    assert!(asked.to_do().starts_with("Look at orders in the console, and follow"), "{}", asked.to_do());
    bad.job = Some(crate::deployment::JobWatch::new(at(5)));
    let back = report(&bad, Outcome::RolledBack, Reason::NoJob);
    assert!(back.about_data().starts_with("The job was started from the newest snapshot"), "{}", back.about_data());
}
