//! The figures to reach, counted and in virtual time: what a deployment costs, how soon a bad change is found out, and
//! that patience is never taken for success, nor a hiccup for a failure, wherever the looks happen to fall.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::Duration;

use emulator::record::Event;
use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use emulator::{RecordEntry, Timings};
use jiff::Timestamp;
use lifecycle::report::Outcome;
use scenarios::catalogue::scenario;
use scenarios::scenario::{Planned, Run, Scenario};
use serde_json::json;

const RESTART_DELAY_SECONDS: i64 = 10;

fn play(name: &str) -> Run {
    played(&scenario(name).unwrap(), Timings::default())
}

fn played(scenario: &Scenario, timings: Timings) -> Run {
    let run = scenario.run_with(timings).unwrap();
    assert!(run.violations.is_empty(), "{:#?}\n{}", run.violations, run.story());
    run
}

/// A change to code that does this.
fn deployment_of(behaviour: Behaviour) -> Scenario {
    let planned = Planned { code: Some(behaviour), input: json!({}), ..Planned::default() };
    Scenario::new("figure", "A change of code.").deploy(planned)
}

/// A job that looks healthy for so long, checkpoint and all, and then fails; for ever, or so many times.
fn looks_healthy_for(seconds: u64, times: Option<u32>) -> Behaviour {
    let restart_delay = RestartDelay::Fixed { seconds: RESTART_DELAY_SECONDS.unsigned_abs() };
    Behaviour::from(JobFault::FailsAfter { seconds, times }).restarting(restart_delay).first_checkpoint_after(5)
}

/// The service is slower by so much to start the new job, so that all looks at it fall so much earlier in its life.
fn later_by(seconds: u64) -> Timings {
    let timings = Timings::default();
    Timings { update_start: timings.update_start + Duration::from_secs(seconds), ..timings }
}

fn outcome(run: &Run) -> Option<Outcome> {
    run.deployments[0].report.as_ref().map(|report| report.outcome)
}

fn moment(run: &Run, is_wanted: impl Fn(&RecordEntry) -> bool) -> Timestamp {
    run.record.iter().find(|entry| is_wanted(entry)).map(|entry| entry.at).unwrap()
}

/// When the job of the change was submitted.
fn job_began(run: &Run) -> Timestamp {
    moment(run, |entry| matches!(&entry.event, Event::JobStarted(job) if job.cause == "UpdateApplication"))
}

fn rolled_back_at(run: &Run) -> Timestamp {
    moment(run, |entry| matches!(&entry.event, Event::Call(call) if call.operation == "RollbackApplication"))
}

/// Seconds from the first restart to the call of the rollback, of a job that fails first when it has run for so long. The
/// second or so that its tasks take to run is not taken off, so that this is rather too much.
fn seconds_to_the_rollback(run: &Run, first_failure_seconds: i64) -> i64 {
    rolled_back_at(run).duration_since(job_began(run)).as_secs() - first_failure_seconds - RESTART_DELAY_SECONDS
}

#[test]
fn a_healthy_deploy_costs_at_most_40_transitions_and_45_calls() {
    let run = play("healthy");
    let deployed = &run.deployments[0];
    assert_eq!(outcome(&run), Some(Outcome::Deployed));
    let (transitions, calls) = (deployed.result.transitions, deployed.all_calls);
    println!("a healthy deploy: {transitions} state transitions, {calls} calls of AWS and Flink");
    assert!(transitions <= 40, "{transitions} state transitions");
    assert!(calls <= 45, "{calls} calls");
}

#[test]
fn the_document_stays_small() {
    // What Step Functions carries is 262,144 bytes; reports go through EventBridge, which takes the same.
    for name in
        ["healthy", "loop-of-4-minutes", "every-lambda-hangs-after", "slow-state-restore", "flink-never-readable"]
    {
        let bytes = play(name).deployments[0].result.largest_state_bytes;
        println!("{name}: {bytes} bytes of state");
        assert!(bytes <= 32_768, "{name}: {bytes} bytes");
    }
}

#[test]
fn a_crash_loop_in_open_is_rolled_back_within_60_seconds_of_its_first_restart() {
    for later in (0..20).step_by(3) {
        let scenario = scenario("crash-loop-in-open").unwrap();
        let run = played(&scenario, later_by(later));
        let seconds = seconds_to_the_rollback(&run, 0);
        println!("looks {later} s earlier: rolled back {seconds} s after the first restart");
        assert!(seconds <= 60, "{seconds} s, looks {later} s earlier\n{}", run.story());
        assert_eq!(outcome(&run), Some(Outcome::RolledBack));
    }
}

#[test]
fn a_loop_of_40_seconds_is_rolled_back_within_3_minutes_of_its_first_restart() {
    for later in (0..60).step_by(4) {
        let run = played(&deployment_of(looks_healthy_for(40, None)), later_by(later));
        let seconds = seconds_to_the_rollback(&run, 40);
        println!("looks {later} s earlier: rolled back {seconds} s after the first restart");
        assert!(seconds <= 180, "{seconds} s, looks {later} s earlier\n{}", run.story());
        assert_eq!(outcome(&run), Some(Outcome::RolledBack));
    }
}

#[test]
fn slow_loops_are_never_accepted() {
    for seconds_up in [80, 230] {
        for later in (0..seconds_up + 10).step_by(usize::try_from(seconds_up / 8).unwrap()) {
            let run = played(&deployment_of(looks_healthy_for(seconds_up, None)), later_by(later));
            assert_eq!(
                outcome(&run),
                Some(Outcome::RolledBack),
                "up {seconds_up} s, looks {later} s earlier\n{}",
                run.story()
            );
        }
    }
}

#[test]
fn one_or_two_restarts_are_never_a_reason_to_roll_back() {
    for seconds in (1..600).step_by(21) {
        for times in [1, 2] {
            let run = played(&deployment_of(looks_healthy_for(seconds, Some(times))), Timings::default());
            let calls = &run.deployments[0].calls;
            assert_eq!(*calls, ["UpdateApplication"], "{times} restarts after {seconds} s each\n{}", run.story());
            assert_eq!(
                outcome(&run),
                Some(Outcome::Deployed),
                "{times} restarts after {seconds} s each\n{}",
                run.story()
            );
        }
    }
}

#[test]
fn a_restore_of_a_quarter_of_an_hour_is_waited_for() {
    let run = play("slow-state-restore");
    assert_eq!(run.deployments[0].calls, ["UpdateApplication"]);
    assert_eq!(outcome(&run), Some(Outcome::Deployed));
}

#[test]
fn from_a_failing_verdict_to_the_rollback_are_at_most_30_seconds() {
    for name in [
        "crash-loop-in-open",
        "loop-of-40-seconds",
        "loop-of-4-minutes",
        "failing-checkpoints",
        "alarm",
        "rollback-dies-after",
    ] {
        let run = play(name);
        let report = run.deployments[0].report.as_ref().unwrap();
        let failing = report.events.iter().find(|event| event.what.starts_with("Failing")).unwrap().at;
        let seconds = rolled_back_at(&run).duration_since(failing).as_secs();
        assert!((0..=30).contains(&seconds), "{name}: {seconds} s\n{}", run.story());
    }
}
