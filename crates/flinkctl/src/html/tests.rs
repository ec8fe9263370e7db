//! What the page says of deployments that came to an end, run, or were cut short.

use jiff::SignedDuration;
use lifecycle::deployment::{Baseline, Next, Rung};
use lifecycle::evidence::{Failure, Tasks};
use lifecycle::verdict::{Reason, Verdict};

use super::*;

const HOSTILE: &str = "<script>alert('x')</script>\"&'";

fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-20T08:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(second)
}

fn execution(status: &str, ended_at: Option<Timestamp>) -> Execution {
    Execution {
        arn: "arn:aws:states:eu-central-1:123456789012:execution:deploy:orders-7".to_owned(),
        name: "orders-7".to_owned(),
        application: Some("orders".to_owned()),
        reason: Some("release 2.0.0".to_owned()),
        status: status.to_owned(),
        started_at: at(0),
        ended_at,
        report: None,
    }
}

fn visit(state: &str, from: i64, to: Option<i64>, deployment: &Deployment) -> Visit {
    Visit { state: state.to_owned(), entered_at: at(from), exited_at: to.map(at), deployment: Some(deployment.clone()) }
}

fn tasks(running: u64, failed: u64) -> Tasks {
    Tasks { total: 4, running, failed, ..Tasks::default() }
}

/// An update that crash-loops, up to the decision to roll it back; `message` is what it throws.
fn crash_loop(message: &str) -> (Deployment, Vec<Visit>) {
    let mut deployment = Deployment::unread("orders".to_owned(), "orders-7", at(0));
    deployment.take_turn(at(0));
    deployment.baseline = Some(Baseline {
        version: 7,
        status: "RUNNING".into(),
        runtime: "FLINK-1_20".to_owned(),
        code: None,
        snapshot: Some("nightly".to_owned()),
        raised_alarms: Vec::new(),
    });
    deployment.version = 7;
    deployment.take(Rung::Update);
    let mut visits = vec![visit("Prepare", 0, Some(1), &deployment)];
    deployment.begin(Some("op-1".to_owned()), Some(8), at(2));
    visits.push(visit("SubmitUpdate", 1, Some(2), &deployment));
    visits.push(visit("WaitForOperation", 2, Some(77), &deployment));
    let operation = "UpdateApplication".to_owned();
    let ended = Reason::OperationSuccessful { operation, application: "RUNNING".into() };
    deployment.conclude(Verdict::progressing(ended), at(78));
    visits.push(visit("CheckOperation", 77, Some(78), &deployment));
    let failure = Failure::read(&format!("java.lang.IllegalStateException: {message}"));
    deployment.job =
        Some(lifecycle::deployment::JobWatch { restarts: 3, ..lifecycle::deployment::JobWatch::new(at(78)) });
    let verdict = Verdict::failing(Reason::Restarts { count: 3, tolerated: 2 })
        .and(Some(Reason::TasksNotRunning { state: "RESTARTING".into(), tasks: tasks(1, 3) }))
        .and(Some(Reason::FirstFailure { failure: Box::new(failure) }));
    deployment.conclude(verdict, at(110));
    visits.push(visit("CheckSubtasks", 109, Some(110), &deployment));
    deployment.decided =
        Some("take RollBack: 3 restarts, 2 are tolerated; job RESTARTING, 1 of 4 tasks running".to_owned());
    deployment.go_on(Next::RollBack, 0);
    visits.push(visit("DecideRollback", 110, Some(111), &deployment));
    (deployment, visits)
}

/// The same, ended with a report.
fn rolled_back(message: &str) -> (Execution, Vec<Visit>) {
    let (mut deployment, mut visits) = crash_loop(message);
    deployment.version = 9;
    let report =
        Report::of(&deployment, Outcome::RolledBack, vec![Reason::QuietFor { seconds: 300, of: 300 }], at(500));
    deployment.report = Some(report.clone());
    visits.push(visit("DecideRollback", 500, Some(500), &deployment));
    (Execution { report: Some(report), ..execution("FAILED", Some(at(501))) }, visits)
}

fn contains_all(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

#[test]
fn a_deployment_that_came_back_is_told() {
    let (execution, visits) = rolled_back("no such topic");
    let page = page(&execution, &visits, at(600));
    contains_all(
        &page,
        &[
            "<html lang=\"en\">",
            "<span>Rolled back</span>",
            "Root cause: ",
            "java.lang.IllegalStateException: no such topic",
            "release 2.0.0",
            "8 min 21 s",
            "Newest snapshot before",
            "Roll back",
            "3 restarts",
            "UpdateApplication: successful, seen after 1 min 16 s",
            "1 of 4 tasks running, 3 failed",
            "What to do next",
        ],
    );
    assert!(!page.contains("Under way"));
}

#[test]
fn what_comes_from_the_data_is_text() {
    let (mut execution, mut visits) = rolled_back(HOSTILE);
    execution.application = Some(HOSTILE.to_owned());
    execution.reason = Some(HOSTILE.to_owned());
    execution.name = HOSTILE.to_owned();
    execution.status = HOSTILE.to_owned();
    visits.push(Visit { state: HOSTILE.to_owned(), entered_at: at(500), exited_at: None, deployment: None });
    let page = page(&execution, &visits, at(600));
    assert!(!page.contains("<script"), "{page}");
    assert!(page.matches("&lt;script&gt;").count() >= 8, "{page}");
}

#[test]
fn the_page_fetches_nothing() {
    let (execution, visits) = rolled_back("no such topic");
    let page = page(&execution, &visits, at(600));
    assert!(page.contains("default-src 'none'"));
    for fetching in ["http:", "https:", " src=", " href=", "url(data", "@import", "<script", "<link", "<img"] {
        assert!(!page.contains(fetching), "{fetching}");
    }
}

#[test]
fn a_deployment_under_way_is_told_as_such() {
    let (_, visits) = crash_loop("no such topic");
    let told = page(&execution("RUNNING", None), &visits, at(200));
    contains_all(
        &told,
        &[
            "Under way",
            "It has run for 3 min 20 s so far.",
            "DecideRollback",
            "Decided last: roll back",
            "and going on",
        ],
    );
    contains_all(&page(&execution("RUNNING", None), &[], at(2)), &["Under way", "Its history shows no state yet."]);
}

#[test]
fn an_execution_without_a_report_was_cut_short() {
    let (_, visits) = crash_loop("no such topic");
    let told = page(&execution("ABORTED", Some(at(150))), &visits, at(9_000));
    contains_all(&told, &["Cut short", "The execution is ABORTED", "There is no report", "3 restarts", "2 min 30 s"]);
    let before_anything = page(&execution("TIMED_OUT", Some(at(1))), &[], at(9_000));
    contains_all(&before_anything, &["Cut short", "The history of the execution shows no state."]);
}

#[test]
fn a_refusal_names_the_fields() {
    let refusals = vec![lifecycle::refusal::Refusal::new("policy.bakeSeconds", "is no number", "give whole seconds")];
    let report = Report::refused("orders", "orders-7", refusals, at(0), at(1));
    let told = page(&Execution { report: Some(report), ..execution("FAILED", Some(at(1))) }, &[], at(1));
    contains_all(&told, &["Refused", "policy.bakeSeconds", "Give whole seconds."]);
}

#[test]
fn the_longest_history_is_a_page_of_bounded_size() {
    let (mut deployment, mut visits) = crash_loop(&"x".repeat(50_000));
    deployment.take(Rung::RollBack);
    deployment.begin(Some("op-2".to_owned()), Some(9), at(120));
    for round in 0..12_000_i64 {
        let from = 120 + round * 3;
        let running = u64::from(round % 2 == 0) * 4;
        let mut job = lifecycle::deployment::JobWatch::new(at(120));
        job.restarts = u64::try_from(round).unwrap();
        deployment.job = Some(job);
        let state = if round % 3 == 0 { "RESTARTING" } else { "RUNNING" };
        let reason = Reason::TasksNotRunning { state: state.into(), tasks: tasks(running, 4 - running) };
        deployment.conclude(Verdict::progressing(reason).and(Some(Reason::NoCheckpointYet { failed: 1 })), at(from));
        visits.push(visit("CheckSubtasks", from, Some(from + 1), &deployment));
        deployment.decided = Some(format!("hold: {round}"));
        deployment.go_on(if round % 2 == 0 { Next::Bake } else { Next::CheckSubtasks }, 0);
        visits.push(visit("DecideRollback", from + 1, Some(from + 2), &deployment));
        visits.push(visit("Bake", from + 2, Some(from + 3), &deployment));
    }
    let page = page(&execution("TIMED_OUT", Some(at(40_000))), &visits, at(40_000));
    contains_all(&page, &["more are left out here", "36006 visits to states"]);
    assert!(page.len() < 900_000, "{}", page.len());
}

#[test]
fn a_clock_that_is_behind_breaks_nothing() {
    let (execution, visits) = rolled_back("no such topic");
    let told = page(&Execution { ended_at: Some(at(-50)), ..execution }, &visits, at(-100));
    contains_all(&told, &["Rolled back", "0 s"]);
}
