//! Hand-made records. Each rule is shown to have teeth: a good record passes, and the same record with one thing wrong
//! is caught with the rule's number.

use std::collections::BTreeSet;

use emulator::record::{Call, JobStarted, RestoredFrom, StatusAndVersion};
use jiff::SignedDuration;
use lifecycle::deployment::Deployment;
use serde_json::json;

use super::*;

const ORDERS: &str = "orders";
const OPERATOR: &str = "OPERATOR";
const SNAPSHOTS: &str = "ListApplicationSnapshots";

/// A record in the making, with the executions that it is about.
#[derive(Debug, Clone)]
struct Story {
    record: Vec<RecordEntry>,
    executions: Vec<ExecutionTrace>,
    secrets: Vec<String>,
    seconds: i64,
    status: Option<String>,
    version: u64,
    jobs: Vec<JobStarted>,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn run_configuration(restore_type: &str) -> Value {
    json!({
        "ApplicationRestoreConfiguration": { "ApplicationRestoreType": restore_type },
        "FlinkRunConfiguration": { "AllowNonRestoredState": false },
    })
}

fn from_snapshot(name: &str) -> Value {
    let mut run = run_configuration("RESTORE_FROM_CUSTOM_SNAPSHOT");
    run["ApplicationRestoreConfiguration"]["SnapshotName"] = json!(name);
    run
}

fn latest() -> Value {
    run_configuration("RESTORE_FROM_LATEST_SNAPSHOT")
}

fn trace(name: &str, started_at: i64) -> ExecutionTrace {
    ExecutionTrace {
        name: name.to_owned(),
        principal: name.to_owned(),
        application: ORDERS.to_owned(),
        input: json!({ "application": ORDERS, "update": { "ApplicationConfigurationUpdate": {} } }),
        started_at: at(started_at),
        ended_at: at(started_at + 900),
        status: asl::Status::Succeeded,
        error: None,
        cause: None,
        output: Some(json!({ "outcome": "Deployed" })),
        texts: vec!["{\"application\":\"orders\"}".to_owned()],
        was_aborted: false,
        pause: None,
    }
}

/// The cause of a failed execution, as the report writes it.
fn report(outcome: Outcome) -> String {
    let deployment = Deployment::unread(ORDERS.to_owned(), "deploy", at(0));
    serde_json::to_string(&Report::of(&deployment, outcome, Vec::new(), at(900))).unwrap()
}

fn conclude(execution: &mut ExecutionTrace, outcome: Outcome) {
    let name = outcome.to_string();
    let succeeds = matches!(outcome, Outcome::Deployed | Outcome::NoChange | Outcome::Superseded);
    execution.status = if succeeds { asl::Status::Succeeded } else { asl::Status::Failed };
    execution.output = succeeds.then(|| json!({ "outcome": name }));
    execution.error = (!succeeds).then_some(name);
    execution.cause = (!succeeds).then(|| report(outcome));
}

impl Story {
    /// An application that stands still, at version 1.
    fn stopped() -> Self {
        let mut story = Self {
            record: Vec::new(),
            executions: Vec::new(),
            secrets: vec!["hunter2-hunter2".to_owned()],
            seconds: 0,
            status: None,
            version: 0,
            jobs: Vec::new(),
        };
        story.status("READY");
        story.make_version("CreateApplication", Some(OPERATOR), None);
        story
    }

    /// An application that runs job 1 at version 1.
    fn running() -> Self {
        let mut story = Self::stopped();
        story.act(OPERATOR, START, json!({ "RunConfiguration": run_configuration(SKIP) }));
        story.status("STARTING");
        story.start_job(START, Some(OPERATOR), None);
        story.status("RUNNING");
        story
    }

    fn by(mut self, execution: ExecutionTrace) -> Self {
        self.executions.push(execution);
        self
    }

    fn add(&mut self, event: Event) {
        self.seconds += 1;
        self.record.push(RecordEntry { at: at(self.seconds), event });
    }

    fn status(&mut self, to: &str) {
        let from = self.status.replace(to.to_owned());
        let (application, to, version) = (ORDERS.to_owned(), Some(to.to_owned()), self.version);
        self.add(Event::Status { application, from, to, version, operation_id: None });
    }

    fn make_version(&mut self, cause: &str, principal: Option<&str>, rolled_back_to: Option<u64>) {
        let from = self.version;
        self.version += 1;
        let (to, principal) = (self.version, principal.map(str::to_owned));
        let (application, cause) = (ORDERS.to_owned(), cause.to_owned());
        self.add(Event::Version { application, from, to, cause, principal, rolled_back_to });
    }

    fn call(&mut self, principal: &str, service: &str, operation: &str, request: Value, mutating: bool) {
        let now = self.status.clone().map(|status| StatusAndVersion { status, version: self.version });
        self.add(Event::Call(Call {
            service: service.to_owned(),
            operation: operation.to_owned(),
            principal: Some(principal.to_owned()),
            application: Some(ORDERS.to_owned()),
            request,
            status: 200,
            error: None,
            mutating,
            done: true,
            before: now.clone(),
            after: now,
        }));
    }

    fn look(&mut self, principal: &str) {
        self.call(principal, "kinesisanalyticsv2", "DescribeApplication", json!({ "ApplicationName": ORDERS }), false);
    }

    fn act(&mut self, principal: &str, operation: &str, mut request: Value) {
        request["ApplicationName"] = json!(ORDERS);
        self.call(principal, "kinesisanalyticsv2", operation, request, true);
    }

    /// The same call by another, for whom it is too late.
    fn refuse(&mut self, principal: &str, same: Call) {
        self.add(Event::Call(Call { principal: Some(principal.to_owned()), done: false, status: 400, ..same }));
    }

    /// Looks into the job, as after a look at the application.
    fn look_inside(&mut self, principal: &str) {
        self.look(principal);
        self.call(principal, "flink", "/jobs/overview", Value::Null, false);
        self.call(principal, "flink", "/jobs/0a1b/metrics?get=numRestarts", Value::Null, false);
        self.look(principal);
    }

    fn snapshot(&mut self, name: &str, job: u64, automatic: bool) {
        let version = self.jobs.iter().find(|it| it.job == job).unwrap().version;
        let (application, snapshot) = (ORDERS.to_owned(), name.to_owned());
        self.add(Event::SnapshotTaken { application, snapshot, version, job, automatic });
    }

    fn start_job(&mut self, cause: &str, principal: Option<&str>, restored: Option<(&str, u64)>) {
        let from = restored.map(|(_, job)| self.jobs.iter().find(|it| it.job == job).unwrap().clone());
        let lineage = from.iter().flat_map(|from| from.lineage.iter().copied().chain([from.job])).collect();
        let restored_from = restored.zip(from).map(|((snapshot, job), from)| RestoredFrom {
            snapshot: snapshot.to_owned(),
            version: from.version,
            job,
        });
        let job = JobStarted {
            application: ORDERS.to_owned(),
            job: self.jobs.len() as u64 + 1,
            version: self.version,
            cause: cause.to_owned(),
            principal: principal.map(str::to_owned),
            restored_from,
            lineage,
        };
        self.jobs.push(job.clone());
        self.add(Event::JobStarted(job));
    }

    fn end_job(&mut self, how: &str) {
        let job = self.jobs.last().unwrap().job;
        self.add(Event::JobEnded { application: ORDERS.to_owned(), job, how: how.to_owned() });
    }

    fn send_update(&mut self, principal: &str, change: &str, run: &Value) {
        let request = json!({
            "CurrentApplicationVersionId": self.version,
            "ApplicationConfigurationUpdate": { "Change": change },
            "RunConfigurationUpdate": run,
        });
        self.act(principal, UPDATE, request);
        self.make_version(UPDATE, Some(principal), None);
        self.status("UPDATING");
    }

    /// An update of the running application, from the running job's state, which is kept as `snapshot`.
    fn update(&mut self, principal: &str, change: &str, snapshot: &str) {
        self.look(principal);
        self.send_update(principal, change, &latest());
        let before = self.jobs.last().unwrap().job;
        self.snapshot(snapshot, before, true);
        self.end_job("stoppedWithSnapshot");
        self.start_job(UPDATE, Some(principal), Some((snapshot, before)));
        self.status("RUNNING");
    }

    fn roll_back(&mut self, principal: &str, snapshot: &str, of: u64) {
        self.act(principal, ROLLBACK, json!({ "CurrentApplicationVersionId": self.version }));
        self.make_version(ROLLBACK, Some(principal), Some(self.version - 1));
        self.status("ROLLING_BACK");
        self.end_job("cancelled");
        self.start_job(ROLLBACK, Some(principal), Some((snapshot, of)));
        self.status("RUNNING");
    }

    fn force_stop(&mut self, principal: &str) {
        self.look(principal);
        self.act(principal, STOP, json!({ "Force": true }));
        self.status("FORCE_STOPPING");
        self.end_job("cancelled");
        self.status("READY");
    }

    fn stop(&mut self, principal: &str, snapshot: &str) {
        self.look(principal);
        self.act(principal, STOP, json!({ "Force": false }));
        self.status("STOPPING");
        let job = self.jobs.last().unwrap().job;
        self.snapshot(snapshot, job, true);
        self.end_job("stoppedWithSnapshot");
        self.status("READY");
    }

    fn put_back(&mut self, principal: &str, snapshot: &str) {
        self.look(principal);
        self.send_update(principal, "the old one", &from_snapshot(snapshot));
        self.status("READY");
    }

    fn start(&mut self, principal: &str, snapshot: &str, of: u64) {
        self.look(principal);
        self.act(principal, START, json!({ "RunConfiguration": from_snapshot(snapshot) }));
        self.status("STARTING");
        self.start_job(START, Some(principal), Some((snapshot, of)));
        self.status("RUNNING");
    }

    fn delete_snapshot(&mut self, name: &str) {
        self.act(OPERATOR, "DeleteApplicationSnapshot", json!({ "SnapshotName": name }));
        self.add(Event::SnapshotDeleted { application: ORDERS.to_owned(), snapshot: name.to_owned() });
    }

    fn system_rollback(&mut self, snapshot: &str, of: u64) {
        self.make_version("SystemRollbackApplication", None, Some(self.version - 1));
        self.status("ROLLING_BACK");
        self.end_job("cancelled");
        self.start_job("SystemRollbackApplication", None, Some((snapshot, of)));
        self.status("RUNNING");
    }

    /// The numbers of the rules that the checker finds broken.
    fn broken(&self) -> BTreeSet<u8> {
        self.violations().into_iter().map(|violation| violation.rule).collect()
    }

    fn violations(&self) -> Vec<Violation> {
        check(&Observed { record: &self.record, executions: &self.executions, secrets: &self.secrets })
    }

    /// The nth call (from 0) of an operation by the first execution.
    fn nth(&mut self, operation: &str, nth: usize) -> &mut Call {
        let principal = self.executions[0].principal.clone();
        let calls = self.record.iter_mut().filter_map(|entry| match &mut entry.event {
            Event::Call(call) => Some(call),
            _ => None,
        });
        let own = calls.filter(|call| call.principal.as_ref() == Some(&principal) && call.operation == operation);
        own.into_iter().nth(nth).unwrap()
    }

    /// The person's call that deletes a snapshot.
    fn deletion(&mut self) -> &mut Call {
        let mut events = self.record.iter_mut().map(|entry| &mut entry.event);
        let deletion = events.find(|event| is_by_operator(event, "DeleteApplicationSnapshot"));
        match deletion.unwrap() {
            Event::Call(call) => call,
            _ => unreachable!("only a call is by a person"),
        }
    }

    fn job(&mut self, number: u64) -> &mut JobStarted {
        let jobs = self.record.iter_mut().filter_map(|entry| match &mut entry.event {
            Event::JobStarted(job) => Some(job),
            _ => None,
        });
        jobs.into_iter().find(|job| job.job == number).unwrap()
    }

    /// When the first execution first looked at the application.
    fn looked_first_at(&self) -> Timestamp {
        let looks = self.record.iter().filter(|entry| {
            matches!(&entry.event, Event::Call(call)
                if call.operation == "DescribeApplication" && call.principal.as_ref() == Some(&self.executions[0].principal))
        });
        looks.map(|entry| entry.at).next().unwrap()
    }

    fn without(&mut self, is_gone: impl Fn(&Event) -> bool) {
        self.record.retain(|entry| !is_gone(&entry.event));
    }

    fn execution(&mut self) -> &mut ExecutionTrace {
        &mut self.executions[0]
    }
}

fn is_call(event: &Event, operation: &str) -> bool {
    matches!(event, Event::Call(call) if call.operation == operation && call.principal.as_deref() != Some(OPERATOR))
}

fn is_of(call: &Call, principal: &str, operation: &str) -> bool {
    call.principal.as_deref() == Some(principal) && call.operation == operation
}

fn is_by_operator(event: &Event, operation: &str) -> bool {
    matches!(event, Event::Call(call) if is_of(call, OPERATOR, operation))
}

#[expect(clippy::unnecessary_wraps, reason = "this is what a call is preceded by")]
fn seen(status: &str, version: u64) -> Option<StatusAndVersion> {
    Some(StatusAndVersion { status: status.to_owned(), version })
}

/// A change that goes live.
fn deployed() -> Story {
    let mut story = Story::running().by(trace("deploy", 0));
    story.update("deploy", "new code", "auto-1");
    story.look_inside("deploy");
    story
}

/// A change that is rolled back.
fn rolled_back() -> Story {
    let mut story = deployed();
    story.roll_back("deploy", "auto-1", 1);
    story.look_inside("deploy");
    conclude(story.execution(), Outcome::RolledBack);
    story
}

/// A change that takes every rung of the ladder.
fn restored() -> Story {
    let mut story = rolled_back();
    story.force_stop("deploy");
    story.put_back("deploy", "auto-1");
    story.start("deploy", "auto-1", 1);
    story.look_inside("deploy");
    conclude(story.execution(), Outcome::Restored);
    story
}

/// A change that the service itself rolls back.
fn rolled_back_by_the_service() -> Story {
    let mut story = deployed();
    story.system_rollback("auto-1", 1);
    story.look_inside("deploy");
    conclude(story.execution(), Outcome::RolledBack);
    story
}

/// A change of an application that stands still, and stays so.
fn deployed_stopped() -> Story {
    let mut story = Story::stopped().by(trace("deploy", 0));
    story.look("deploy");
    story.send_update("deploy", "new code", &latest());
    story.status("READY");
    story.look("deploy");
    story
}

/// A change of an application that stands still, with a snapshot, and is started.
fn deployed_and_started() -> Story {
    let mut story = Story::running().by(trace("deploy", 0));
    story.snapshot("kept", 1, true);
    story.end_job("stoppedWithSnapshot");
    story.status("READY");
    story.look("deploy");
    story.send_update("deploy", "new code", &latest());
    story.status("READY");
    story.start("deploy", "kept", 1);
    story.look_inside("deploy");
    story.execution().input["start"] = json!(true);
    story
}

/// A deploys; the newer B takes over; A ends Superseded.
fn superseded() -> Story {
    let mut story = deployed();
    story.update(OPERATOR, "newer code", "auto-2");
    story.look_inside(OPERATOR);
    story.look("deploy");
    conclude(story.execution(), Outcome::Superseded);
    story
}

/// A restart that was asked for, from the snapshot that the stop takes.
fn restarted() -> Story {
    let mut story = Story::running().by(trace("deploy", 0));
    story.execution().input = json!({ "application": ORDERS, "stop": "graceful", "start": true });
    story.stop("deploy", "auto-1");
    story.start("deploy", "auto-1", 1);
    story.look_inside("deploy");
    story
}

/// The same update sent by two: the one is done, the other finds it done and takes it for its own.
fn adopted() -> Story {
    let mut story = deployed().by(trace("twin", 0));
    let same = story.nth(UPDATE, 0).clone();
    story.refuse("twin", same);
    story.look_inside("twin");
    story
}

/// The same rollback sent by two: the execution's is refused, since a person's is done, and is taken for its own.
fn rolled_back_by_a_person() -> Story {
    let mut story = deployed();
    let place = story.record.len();
    story.roll_back(OPERATOR, "auto-1", 1);
    let Event::Call(same) = story.record[place].event.clone() else { panic!("no call") };
    story.refuse("deploy", same);
    story.look_inside("deploy");
    conclude(story.execution(), Outcome::RolledBack);
    story
}

/// A restart from the latest snapshot, where a person deletes the snapshots right before the start.
fn restarted_without_snapshots() -> Story {
    let mut story = Story::running().by(trace("deploy", 0));
    story.execution().input = json!({ "application": ORDERS, "stop": "graceful", "start": true });
    story.stop("deploy", "auto-1");
    story.call("deploy", "kinesisanalyticsv2", SNAPSHOTS, json!({}), false);
    story.delete_snapshot("auto-1");
    story.look("deploy");
    story.act("deploy", START, json!({ "RunConfiguration": latest() }));
    story.status("STARTING");
    story.start_job(START, Some("deploy"), None);
    story.status("RUNNING");
    story.look_inside("deploy");
    story
}

/// An application that is to be stopped, and whose job ends by itself before that.
fn stopped_by_itself() -> Story {
    let mut story = Story::running().by(trace("deploy", 0));
    story.execution().input = json!({ "application": ORDERS, "stop": "graceful" });
    story.look("deploy");
    story.end_job("finished");
    story.status("READY");
    story.look("deploy");
    story
}

/// A good story, with one thing wrong.
fn caught(mut story: Story, wrong: impl FnOnce(&mut Story)) -> BTreeSet<u8> {
    assert_eq!(story.violations(), [], "the story was broken before");
    wrong(&mut story);
    story.broken()
}

fn only(rule: u8) -> BTreeSet<u8> {
    BTreeSet::from([rule])
}

#[test]
fn good_stories_pass() {
    let stories = [
        deployed(),
        rolled_back(),
        restored(),
        rolled_back_by_the_service(),
        deployed_stopped(),
        deployed_and_started(),
        superseded(),
        restarted(),
        adopted(),
        rolled_back_by_a_person(),
        restarted_without_snapshots(),
        stopped_by_itself(),
    ];
    for story in stories {
        assert_eq!(story.violations(), []);
    }
}

#[test]
fn good_variations_pass() {
    let lost_answer = |story: &mut Story| story.nth(UPDATE, 0).status = 500;
    assert_eq!(caught(deployed(), lost_answer), BTreeSet::new());
    let refused_before = |story: &mut Story| {
        let mut refused = story.nth(UPDATE, 0).clone();
        refused.done = false;
        refused.status = 400;
        let first = RecordEntry { at: story.record[0].at, event: Event::Call(refused) };
        story.record.insert(0, first);
    };
    assert_eq!(caught(deployed(), refused_before), BTreeSet::new());
    let with_a_snapshot = |story: &mut Story| {
        story.act("deploy", SNAPSHOT, json!({ "SnapshotName": "pre-deploy-deploy" }));
        conclude(story.execution(), Outcome::Refused);
    };
    let mut refused = Story::running().by(trace("deploy", 0));
    conclude(refused.execution(), Outcome::Refused);
    assert_eq!(caught(refused, with_a_snapshot), BTreeSet::new());
    let maintained = |story: &mut Story| {
        story.status("MAINTENANCE");
        story.end_job("stoppedWithSnapshot");
        story.start_job("Maintenance", None, Some(("maintenance", 2)));
        story.status("RUNNING");
        story.look_inside("deploy");
    };
    assert_eq!(caught(deployed(), maintained), BTreeSet::new());
}

// ---- rule 0

#[test]
fn rule_0_time_goes_forward() {
    assert_eq!(caught(deployed(), |story| story.record[3].at = at(-10)), only(0));
}

#[test]
fn rule_0_statuses_follow_on_each_other() {
    let skipped = |story: &mut Story| {
        story.without(|event| matches!(event, Event::Status { to: Some(to), .. } if to == "UPDATING"));
    };
    assert_eq!(caught(deployed(), skipped), only(0));
}

#[test]
fn rule_0_versions_rise_by_one_and_are_made_by_calls() {
    let jump = |story: &mut Story| {
        for entry in &mut story.record {
            if let Event::Version { to: to @ 2, .. } = &mut entry.event {
                *to = 4;
            }
        }
    };
    assert!(caught(deployed(), jump).contains(&0));
    let unasked = |story: &mut Story| story.make_version(UPDATE, Some(OPERATOR), None);
    assert_eq!(caught(deployed(), unasked), only(0));
    let rolled_forward = |story: &mut Story| {
        for entry in &mut story.record {
            if let Event::Version { rolled_back_to: Some(to), .. } = &mut entry.event {
                *to = 9;
            }
        }
    };
    assert_eq!(caught(rolled_back(), rolled_forward), only(0));
    let without_effect = |story: &mut Story| story.act(OPERATOR, ROLLBACK, json!({ "CurrentApplicationVersionId": 2 }));
    assert_eq!(caught(deployed(), without_effect), only(0));
}

#[test]
fn rule_0_jobs_run_one_at_a_time_with_their_lineage() {
    let not_ended = |story: &mut Story| story.without(|event| matches!(event, Event::JobEnded { .. }));
    assert!(caught(deployed(), not_ended).contains(&0));
    let wrong_lineage = |story: &mut Story| story.job(2).lineage = vec![7];
    assert_eq!(caught(deployed(), wrong_lineage), only(0));
    let of_no_job = |story: &mut Story| story.job(1).restored_from = story.jobs[1].restored_from.clone();
    assert_eq!(caught(deployed(), of_no_job), only(0));
    let ends_twice = |story: &mut Story| {
        story.end_job("finished");
        story.end_job("finished");
    };
    assert_eq!(caught(deployed(), ends_twice), only(0));
}

// ---- rule 1

#[test]
fn rule_1_acts_carry_the_version_at_hand() {
    let another = |story: &mut Story| story.nth(UPDATE, 0).request["CurrentApplicationVersionId"] = json!(7);
    assert_eq!(caught(deployed(), another), only(1));
    let token_only = |story: &mut Story| {
        let request = &mut story.nth(ROLLBACK, 0).request;
        request.as_object_mut().unwrap().remove("CurrentApplicationVersionId");
    };
    assert_eq!(caught(rolled_back(), token_only), only(1));
}

#[test]
fn rule_1_the_first_act_is_on_a_version_that_was_seen() {
    let unseen = |story: &mut Story| story.nth("DescribeApplication", 0).status = 500;
    assert_eq!(caught(deployed(), unseen), only(1));
}

#[test]
fn rule_1_later_acts_are_on_versions_of_its_own() {
    let on_somebody_elses = |story: &mut Story| {
        story.update(OPERATOR, "by hand", "auto-2");
        story.look("deploy");
        story.roll_back("deploy", "auto-1", 1);
        story.look_inside("deploy");
        conclude(story.execution(), Outcome::RolledBack);
    };
    assert_eq!(caught(deployed(), on_somebody_elses), only(1));
}

#[test]
fn rule_1_a_stop_follows_a_look() {
    let without_a_look = |story: &mut Story| {
        story.act("deploy", STOP, json!({ "Force": true }));
        story.status("FORCE_STOPPING");
        story.end_job("cancelled");
        conclude(story.execution(), Outcome::NeedsAttention);
    };
    let mut unlooked = Story::running().by(trace("deploy", 0));
    conclude(unlooked.execution(), Outcome::NeedsAttention);
    assert_eq!(caught(unlooked, without_a_look), only(1));
    let no_look_since_its_own_update = |story: &mut Story| story.nth("DescribeApplication", 7).status = 500;
    assert_eq!(caught(restored(), no_look_since_its_own_update), only(1));
}

#[test]
fn rule_1_a_stop_may_meet_a_foreign_change_only_in_the_window() {
    let stop = |is_in_the_window: bool| {
        move |story: &mut Story| {
            story.look("deploy");
            story.send_update(OPERATOR, "by hand", &latest());
            if !is_in_the_window {
                story.call("deploy", "cloudwatch", "GetMetricData", Value::Null, false);
            }
            story.act("deploy", STOP, json!({ "Force": true }));
            story.status("FORCE_STOPPING");
            story.end_job("cancelled");
            story.status("READY");
            conclude(story.execution(), Outcome::Superseded);
        }
    };
    assert_eq!(caught(deployed(), stop(true)), BTreeSet::new());
    assert_eq!(caught(deployed(), stop(false)), only(1));
}

#[test]
fn rule_1_a_stop_is_not_sent_after_a_look_at_a_foreign_version() {
    let knowing = |story: &mut Story| {
        story.update(OPERATOR, "by hand", "auto-2");
        story.force_stop("deploy");
        conclude(story.execution(), Outcome::NeedsAttention);
    };
    assert_eq!(caught(deployed(), knowing), only(1));
}

#[test]
fn rule_1_superseded_touches_nothing_more() {
    let takes_a_snapshot = |story: &mut Story| story.act("deploy", SNAPSHOT, json!({ "SnapshotName": "late" }));
    assert_eq!(caught(superseded(), takes_a_snapshot), only(1));
}

#[test]
fn rule_1_refused_and_no_change_touch_nothing() {
    assert_eq!(caught(deployed(), |story| conclude(story.execution(), Outcome::Refused)), only(1));
    assert_eq!(caught(deployed(), |story| conclude(story.execution(), Outcome::NoChange)), only(1));
}

#[test]
fn rule_1_no_act_is_on_another_application() {
    let elsewhere = |story: &mut Story| {
        story.act("deploy", SNAPSHOT, json!({}));
        story.nth(SNAPSHOT, 0).application = Some("payments".to_owned());
    };
    assert_eq!(caught(deployed(), elsewhere), only(1));
}

// ---- rule 2

fn forget_state(story: &mut Story, job: u64) {
    let job = story.job(job);
    job.restored_from = None;
    job.lineage.clear();
}

#[test]
fn rule_2_no_start_without_state_unless_the_request_says_so() {
    assert_eq!(caught(deployed(), |story| forget_state(story, 2)), only(2));
    assert_eq!(caught(rolled_back(), |story| forget_state(story, 3)), only(2));
    assert_eq!(caught(restored(), |story| forget_state(story, 4)), only(2));
    let asked_for = |story: &mut Story| {
        forget_state(story, 2);
        story.execution().input["restore"] = json!({ "type": SKIP });
    };
    assert_eq!(caught(deployed(), asked_for), BTreeSet::new());
    let asked_for_in_the_update = |story: &mut Story| {
        forget_state(story, 2);
        story.execution().input["update"]["RunConfigurationUpdate"] = run_configuration(SKIP);
    };
    assert_eq!(caught(deployed(), asked_for_in_the_update), BTreeSet::new());
}

#[test]
fn rule_2_a_start_without_state_is_excused_by_what_was_deleted_in_its_window_only() {
    let not_deleted = |story: &mut Story| story.without(|event| is_by_operator(event, "DeleteApplicationSnapshot"));
    assert_eq!(caught(restarted_without_snapshots(), not_deleted), only(2));
    let deleted_before_the_list = |story: &mut Story| {
        let listed = story.record.iter().position(|entry| is_call(&entry.event, SNAPSHOTS)).unwrap();
        let mut list = story.record.remove(listed);
        let stopping = story.record.iter().position(|entry| is_call(&entry.event, START)).unwrap();
        list.at = story.record[stopping].at;
        story.record.insert(stopping, list);
    };
    assert_eq!(caught(restarted_without_snapshots(), deleted_before_the_list), only(2));
    let of_another = |story: &mut Story| story.deletion().application = Some("payments".to_owned());
    assert_eq!(caught(restarted_without_snapshots(), of_another), only(2));
    let refused = |story: &mut Story| story.deletion().done = false;
    assert_eq!(caught(restarted_without_snapshots(), refused), only(2));
}

#[test]
fn rule_2_no_call_skips_state_unasked() {
    let skips = |story: &mut Story| story.nth(START, 0).request["RunConfiguration"] = run_configuration(SKIP);
    assert_eq!(caught(restored(), skips), only(2));
}

#[test]
fn rule_2_the_way_back_carries_nothing_of_the_bad_version() {
    let from_the_bad = |job: u64| {
        move |story: &mut Story| {
            let job = story.job(job);
            job.restored_from = Some(RestoredFrom { snapshot: "bad".to_owned(), version: 2, job: 2 });
            job.lineage = vec![1, 2];
        }
    };
    assert_eq!(caught(rolled_back(), from_the_bad(3)), only(2));
    assert_eq!(caught(restored(), from_the_bad(4)), only(2));
}

#[test]
fn rule_2_the_change_carries_on_the_state_asked_for() {
    let names_another = |story: &mut Story| {
        story.execution().input["restore"] = json!({ "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "best" });
    };
    assert_eq!(caught(deployed(), names_another), only(2));
    let mut story = Story::running();
    story.snapshot("old", 1, false);
    story.end_job("cancelled");
    story.status("READY");
    story.act(OPERATOR, START, json!({ "RunConfiguration": run_configuration(SKIP) }));
    story.status("STARTING");
    story.start_job(START, Some(OPERATOR), None);
    story.status("RUNNING");
    let mut story = story.by(trace("deploy", 0));
    story.update("deploy", "new code", "auto-1");
    story.look_inside("deploy");
    let of_another_lineage = |story: &mut Story| {
        let job = story.job(3);
        job.restored_from = Some(RestoredFrom { snapshot: "old".to_owned(), version: 1, job: 1 });
        job.lineage = vec![1];
    };
    assert_eq!(caught(story, of_another_lineage), only(2));
}

// ---- rule 3

#[test]
fn rule_3_no_second_rollback() {
    let again = |story: &mut Story| {
        story.roll_back("deploy", "auto-1", 1);
        story.look_inside("deploy");
    };
    assert_eq!(caught(rolled_back(), again), only(3));
    assert_eq!(caught(rolled_back_by_the_service(), again), only(3));
}

#[test]
fn rule_3_no_rung_twice() {
    let stops_again = |story: &mut Story| {
        story.force_stop("deploy");
        conclude(story.execution(), Outcome::NeedsAttention);
    };
    assert_eq!(caught(restored(), stops_again), only(3));
    let updates_again = |story: &mut Story| {
        story.look("deploy");
        story.send_update("deploy", "a third one", &latest());
        story.end_job("cancelled");
        story.status("READY");
        conclude(story.execution(), Outcome::NeedsAttention);
    };
    assert_eq!(caught(restored(), updates_again), only(3));
}

#[test]
fn rule_3_no_call_off_the_ladder() {
    assert_eq!(caught(restored(), |story| story.nth(STOP, 0).request["Force"] = json!(false)), only(3));
    let deletes = |story: &mut Story| {
        story.act("deploy", "DeleteApplicationSnapshot", json!({ "SnapshotName": "auto-1" }));
        story.look_inside("deploy");
    };
    assert_eq!(caught(deployed(), deletes), only(3));
}

#[test]
fn rule_3_a_stop_is_made_as_it_was_asked_for() {
    let unasked = |story: &mut Story| story.execution().input = json!({ "application": ORDERS, "start": true });
    assert!(caught(restarted(), unasked).contains(&3));
    let otherwise = |story: &mut Story| story.execution().input["stop"] = json!("force");
    assert!(caught(restarted(), otherwise).contains(&3));
    let again = |story: &mut Story| {
        story.stop("deploy", "auto-2");
        story.start("deploy", "auto-2", 2);
        story.look_inside("deploy");
    };
    assert!(caught(restarted(), again).contains(&3));
}

#[test]
fn rule_4_what_was_to_be_stopped_stands_still() {
    let only_stopped =
        |story: &mut Story| story.execution().input = json!({ "application": ORDERS, "stop": "graceful" });
    assert_eq!(caught(restarted(), only_stopped), only(4));
}

// ---- rule 4

#[test]
fn rule_4_unanswered_flink_is_not_healthy() {
    for (stage, story) in [deployed(), rolled_back(), restored()].into_iter().enumerate() {
        let unanswered = move |story: &mut Story| {
            let overview = story.nth("/jobs/overview", stage);
            overview.status = 503;
            overview.done = false;
        };
        assert_eq!(caught(story, unanswered), only(4));
    }
    assert_eq!(caught(deployed(), |story| story.without(|event| is_call(event, "/jobs/overview"))), only(4));
}

#[test]
fn rule_4_unread_restarts_are_not_none() {
    let unread = |story: &mut Story| story.nth("/jobs/0a1b/metrics?get=numRestarts", 0).status = 404;
    assert_eq!(caught(deployed(), unread), only(4));
    let by_cloudwatch = |story: &mut Story| {
        unread(story);
        story.call("deploy", "cloudwatch", "GetMetricData", Value::Null, false);
    };
    assert_eq!(caught(deployed(), by_cloudwatch), BTreeSet::new());
}

#[test]
fn rule_4_what_was_seen_before_the_last_act_does_not_count() {
    let blind = |story: &mut Story| {
        story.roll_back("deploy", "auto-1", 1);
        story.look("deploy");
        conclude(story.execution(), Outcome::RolledBack);
    };
    assert_eq!(caught(deployed(), blind), only(4));
    let without_a_last_look = |story: &mut Story| {
        story.roll_back("deploy", "auto-1", 1);
        conclude(story.execution(), Outcome::RolledBack);
    };
    assert_eq!(caught(deployed(), without_a_last_look), only(4));
}

#[test]
fn rule_4_the_job_is_alive_or_finished() {
    let ends = |how: &'static str| {
        move |story: &mut Story| {
            story.end_job(how);
            story.status("READY");
            story.look("deploy");
        }
    };
    assert_eq!(caught(deployed(), ends("cancelled")), only(4));
    assert_eq!(caught(deployed(), ends("finished")), BTreeSet::new());
}

#[test]
fn rule_4_the_version_that_is_claimed_is_the_one_seen() {
    let overtaken = |story: &mut Story| {
        story.update(OPERATOR, "by hand", "auto-2");
        story.look_inside("deploy");
    };
    assert_eq!(caught(deployed(), overtaken), only(4));
}

#[test]
fn rule_4_nothing_done_is_nothing_deployed() {
    assert_eq!(caught(deployed(), |story| story.execution().principal = "nobody".to_owned()), only(4));
}

#[test]
fn rule_4_what_somebody_else_has_done_is_adopted_where_the_own_call_met_it() {
    let stories: [(fn() -> Story, _, _); 2] =
        [(adopted, "twin", UPDATE), (rolled_back_by_a_person, "deploy", ROLLBACK)];
    for (story, principal, operation) in stories {
        let is_refused =
            |entry: &RecordEntry| matches!(&entry.event, Event::Call(call) if is_of(call, principal, operation));
        let place = |story: &Story| story.record.iter().position(is_refused).unwrap();
        let another = |story: &mut Story| {
            let place = place(story);
            let Event::Call(sent) = &mut story.record[place].event else { unreachable!() };
            sent.request["CurrentApplicationVersionId"] = json!(0);
        };
        assert_eq!(caught(story(), another), only(4), "another {operation}");
        let sent_before = |story: &mut Story| {
            let mut refused = story.record.remove(place(story));
            refused.at = story.record[0].at;
            story.record.insert(0, refused);
        };
        assert_eq!(caught(story(), sent_before), only(4), "{operation} sent before");
    }
}

#[test]
fn rule_4_what_was_to_stand_still_may_be_started_by_another() {
    let started_by = |principal: &'static str| {
        move |story: &mut Story| {
            story.look(principal);
            story.act(principal, START, json!({ "RunConfiguration": run_configuration(SKIP) }));
            story.status("STARTING");
            story.start_job(START, Some(principal), None);
            story.status("RUNNING");
            story.look_inside("deploy");
        }
    };
    assert_eq!(caught(deployed_stopped(), started_by(OPERATOR)), BTreeSet::new());
    assert!(caught(deployed_stopped(), started_by("deploy")).contains(&4));
    let started_in_vain = |story: &mut Story| {
        started_by(OPERATOR)(story);
        story.end_job("failed");
        story.status("READY");
        story.look("deploy");
    };
    assert_eq!(caught(deployed_stopped(), started_in_vain), BTreeSet::new());
}

#[test]
fn rule_4_what_a_late_lambda_sees_before_the_redrive_is_no_look() {
    let looked_late = |is_paused: bool| {
        move |story: &mut Story| {
            let ended_at = story.record.last().unwrap().at;
            story.update(OPERATOR, "newer code", "auto-2");
            story.look("deploy");
            let redriven_at = story.record.last().unwrap().at + SignedDuration::from_secs(1);
            story.execution().pause = is_paused.then_some((ended_at, redriven_at));
        }
    };
    assert_eq!(caught(deployed(), looked_late(true)), BTreeSet::new());
    assert_eq!(caught(deployed(), looked_late(false)), only(4));
}

#[test]
fn rule_4_what_stopped_by_itself_was_at_work_before() {
    let stood_still = |story: &mut Story| story.nth("DescribeApplication", 0).before = seen("READY", 1);
    assert_eq!(caught(stopped_by_itself(), stood_still), only(4));
    let runs_on = |story: &mut Story| story.nth("DescribeApplication", 1).before = seen("RUNNING", 1);
    assert_eq!(caught(stopped_by_itself(), runs_on), only(4));
    let was_to_start = |story: &mut Story| story.execution().input["start"] = json!(true);
    assert_eq!(caught(stopped_by_itself(), was_to_start), only(4));
    let seen_too_late = |story: &mut Story| {
        story.execution().ended_at = story.looked_first_at();
    };
    assert_eq!(caught(stopped_by_itself(), seen_too_late), only(4));
}

#[test]
fn rule_4_what_the_service_undid_after_the_end_is_not_the_executions() {
    let undone = |ends_before: bool| {
        move |story: &mut Story| {
            let ended_at = story.record.last().unwrap().at;
            story.system_rollback("auto-1", 1);
            story.execution().ended_at = if ends_before { ended_at } else { story.record.last().unwrap().at };
        }
    };
    assert_eq!(caught(deployed(), undone(true)), BTreeSet::new());
    assert_eq!(caught(deployed(), undone(false)), only(4));
}

#[test]
fn rule_4_a_start_that_was_asked_for_is_made() {
    assert_eq!(caught(deployed_stopped(), |story| story.execution().input["start"] = json!(true)), only(4));
}

#[test]
fn rule_4_the_outcome_is_what_was_done() {
    assert_eq!(caught(rolled_back(), |story| conclude(story.execution(), Outcome::Deployed)), only(4));
    assert_eq!(caught(rolled_back_by_the_service(), |story| conclude(story.execution(), Outcome::Deployed)), only(4));
    assert_eq!(caught(deployed(), |story| conclude(story.execution(), Outcome::RolledBack)), only(4));
}

// ---- rule 5

#[test]
fn rule_5_every_update_and_start_states_the_run_configuration() {
    let update = |story: &mut Story| {
        story.nth(UPDATE, 1).request.as_object_mut().unwrap().remove("RunConfigurationUpdate");
    };
    assert_eq!(caught(restored(), update), only(5));
    let start = |story: &mut Story| {
        let run = &mut story.nth(START, 0).request["RunConfiguration"];
        run.as_object_mut().unwrap().remove("FlinkRunConfiguration");
    };
    assert_eq!(caught(restored(), start), only(5));
    let no_type = |story: &mut Story| {
        story.nth(UPDATE, 0).request["RunConfigurationUpdate"]["ApplicationRestoreConfiguration"] = json!({});
    };
    assert_eq!(caught(deployed(), no_type), only(5));
}

// ---- rule 6

#[test]
fn rule_6_every_execution_ends_in_an_outcome() {
    let timed_out = |story: &mut Story| story.execution().status = asl::Status::TimedOut;
    assert_eq!(caught(deployed(), timed_out), only(6));
    let aborted = |story: &mut Story| story.execution().status = asl::Status::Aborted;
    assert_eq!(caught(deployed(), aborted), only(6));
    let aborted_by_somebody = |story: &mut Story| {
        aborted(story);
        story.execution().was_aborted = true;
    };
    assert_eq!(caught(deployed(), aborted_by_somebody), BTreeSet::new());
}

#[test]
fn rule_6_success_and_failure_are_the_outcomes_own() {
    let succeeds_as = |outcome: &'static str| {
        move |story: &mut Story| {
            let execution = story.execution();
            execution.status = asl::Status::Succeeded;
            execution.output = Some(json!({ "outcome": outcome }));
        }
    };
    assert_eq!(caught(rolled_back(), succeeds_as("RolledBack")), only(6));
    assert_eq!(caught(rolled_back(), succeeds_as("Splendid")), only(6));
    assert_eq!(caught(rolled_back(), |story| story.execution().error = Some("States.Runtime".to_owned())), only(6));
}

#[test]
fn rule_6_the_cause_is_the_report_of_the_outcome() {
    assert_eq!(caught(rolled_back(), |story| story.execution().cause = None), only(6));
    assert_eq!(caught(rolled_back(), |story| story.execution().cause = Some("{}".to_owned())), only(6));
    assert_eq!(caught(rolled_back(), |story| story.execution().cause = Some(report(Outcome::Restored))), only(6));
}

#[test]
fn rule_6_the_deadline_holds() {
    let after_its_turn = |seconds: i64| {
        move |story: &mut Story| {
            let turn = story.looked_first_at();
            story.execution().ended_at = turn + SignedDuration::from_secs(seconds);
        }
    };
    assert_eq!(caught(deployed(), after_its_turn(15_300)), BTreeSet::new());
    assert_eq!(caught(deployed(), after_its_turn(15_301)), only(6));
    let paused = |seconds: i64| {
        move |story: &mut Story| {
            let (turn, paused) = (story.looked_first_at(), SignedDuration::from_secs(1_000));
            story.execution().pause = Some((turn + paused, turn + paused + paused));
            after_its_turn(seconds)(story);
        }
    };
    assert_eq!(caught(deployed(), paused(16_300)), BTreeSet::new());
    assert_eq!(caught(deployed(), paused(16_301)), only(6), "a pause excuses its own length and no more");
    let by_its_policy = |story: &mut Story| {
        story.execution().input["policy"] = json!({ "deadlineSeconds": 600 });
        after_its_turn(1_501)(story);
    };
    assert_eq!(caught(deployed(), by_its_policy), only(6));
}

#[test]
fn rule_6_nobody_waits_too_long_for_a_turn() {
    let waits = |seconds: i64| {
        move |story: &mut Story| {
            story.execution().started_at = story.looked_first_at() - SignedDuration::from_secs(seconds);
        }
    };
    assert_eq!(caught(deployed(), waits(22_500)), BTreeSet::new());
    assert_eq!(caught(deployed(), waits(22_501)), only(6));
    let by_its_policy = |story: &mut Story| {
        story.execution().input["policy"] = json!({ "turnTimeoutSeconds": 60 });
        waits(961)(story);
    };
    assert_eq!(caught(deployed(), by_its_policy), only(6));
}

// ---- rule 7

#[test]
fn rule_7_no_change_is_made_twice() {
    let again = |story: &mut Story| {
        story.nth(UPDATE, 1).request["ApplicationConfigurationUpdate"] = json!({ "Change": "new code" });
    };
    assert_eq!(caught(restored(), again), only(7));
}

#[test]
fn rule_7_no_start_is_made_twice() {
    let again = |story: &mut Story| {
        story.end_job("cancelled");
        story.status("READY");
        story.start("deploy", "auto-1", 1);
        story.look_inside("deploy");
    };
    assert_eq!(caught(restored(), again), only(7));
}

#[test]
fn rule_7_no_snapshot_is_taken_twice() {
    let twice = |story: &mut Story| {
        for name in ["pre-deploy-1", "pre-deploy-2"] {
            story.act("deploy", SNAPSHOT, json!({ "SnapshotName": name }));
        }
    };
    assert_eq!(caught(deployed(), twice), only(7));
    let with_one_deleted = |deleted: &'static str| {
        move |story: &mut Story| {
            for name in ["pre-deploy-1", "pre-deploy-2"] {
                story.act("deploy", SNAPSHOT, json!({ "SnapshotName": name }));
                if name == "pre-deploy-1" {
                    story.delete_snapshot(deleted);
                }
            }
        }
    };
    assert_eq!(caught(deployed(), with_one_deleted("pre-deploy-1")), BTreeSet::new());
    assert_eq!(caught(deployed(), with_one_deleted("another")), only(7));
}

// ---- rule 8

#[test]
fn rule_8_no_secret_is_in_any_text() {
    let token = emulator::TOKEN_MARKER;
    let texts = [
        "the password is hunter2-hunter2".to_owned(),
        format!("token {token}0a1b"),
        "GET https://host/flinkdashboard/jobs?authToken=0a1b".to_owned(),
        "redirect=%2Fjobs%3FauthToken%3D0a1b".to_owned(),
    ];
    for text in texts {
        assert_eq!(caught(deployed(), |story| story.execution().texts.push(text)), only(8));
    }
    let struck_out = |story: &mut Story| story.execution().texts.push("GET /jobs?authToken=***".to_owned());
    assert_eq!(caught(deployed(), struck_out), BTreeSet::new());
}

#[test]
fn rule_8_secrets_are_found_escaped() {
    let secret = "pass\"word\\\n";
    let once = json!({ "message": secret }).to_string();
    let twice = json!({ "cause": once }).to_string();
    for text in [once, twice] {
        let leaks = |story: &mut Story| {
            story.secrets.push(secret.to_owned());
            story.execution().texts.push(text);
        };
        assert_eq!(caught(deployed(), leaks), only(8));
    }
}

#[test]
fn rule_8_secrets_are_found_encoded() {
    let secret = "pass word+1";
    for text in ["jdbc:x?password=pass%20word%2B1", "password=pass+word%2b1", "Basic dXNlcjpwYXNzIHdvcmQrMQ=="] {
        let leaks = |story: &mut Story| {
            story.secrets.push(secret.to_owned());
            story.execution().texts.push(text.to_owned());
        };
        assert_eq!(caught(deployed(), leaks), only(8), "{text}");
    }
}

#[test]
fn rule_8_values_that_a_request_brings_and_credentials_are_secrets() {
    let brought = |story: &mut Story| {
        let map = json!({ "password": "swordfish" });
        story.execution().input["update"]["ApplicationConfigurationUpdate"]["EnvironmentPropertyUpdates"] =
            json!({ "PropertyGroups": [{ "PropertyGroupId": "app", "PropertyMap": map }] });
        story.execution().texts.push("it is swordfish".to_owned());
    };
    assert_eq!(caught(deployed(), brought), only(8));
    for credential in [crate::secrets::SECRET_ACCESS_KEY, crate::secrets::SESSION_TOKEN] {
        let text = format!("signed with {credential}");
        assert_eq!(caught(deployed(), |story| story.execution().texts.push(text)), only(8));
    }
}

#[test]
fn rule_8_neither_output_nor_notifications_tell() {
    let output = |story: &mut Story| {
        story.execution().output = Some(json!({ "outcome": "Deployed", "summary": "with hunter2-hunter2" }));
    };
    assert_eq!(caught(deployed(), output), only(8));
    let event = |story: &mut Story| {
        story.call("deploy", "events", "PutEvents", json!({ "Entries": [{ "Detail": "hunter2-hunter2" }] }), false);
    };
    assert_eq!(caught(deployed(), event), only(8));
}

#[test]
fn rule_8_conditional_tokens_count_and_short_values_do_not() {
    let token = |story: &mut Story| {
        story.nth(UPDATE, 0).request["ConditionalToken"] = json!("conditional-0a1b");
        story.execution().texts.push("conditional-0a1b".to_owned());
    };
    assert_eq!(caught(deployed(), token), only(8));
    assert_eq!(caught(deployed(), |story| story.secrets.push("ord".to_owned())), BTreeSet::new());
}

#[test]
fn rule_8_a_violation_does_not_repeat_the_secret() {
    let mut story = deployed();
    story.execution().texts.push("hunter2-hunter2".to_owned());
    assert!(story.violations().iter().all(|violation| !violation.what.contains("hunter2")));
}

// ---- rule 9

#[test]
fn rule_9_acts_do_not_interleave() {
    let mut stopped_by_another = deployed();
    let newer = stopped_by_another.seconds;
    // It was redriven after its end.
    stopped_by_another.execution().ended_at = at(newer);
    stopped_by_another.executions.push(trace("newer", newer));
    stopped_by_another.force_stop("newer");
    conclude(&mut stopped_by_another.executions[1], Outcome::NeedsAttention);
    conclude(stopped_by_another.execution(), Outcome::NeedsAttention);
    let starts = |story: &mut Story| story.start("deploy", "auto-1", 1);
    assert_eq!(caught(stopped_by_another, starts), only(9));
}

#[test]
fn rule_9_nobody_acts_out_of_turn() {
    let two = |ended_at: i64| {
        let mut story = deployed();
        let newer = story.seconds;
        story.execution().ended_at = at(newer + ended_at);
        story.executions.push(trace("newer", newer));
        story.update("newer", "newer code", "auto-2");
        story.look_inside("newer");
        story.broken()
    };
    assert_eq!(two(2), BTreeSet::new(), "its turn was over before the other acted");
    assert_eq!(two(3), only(9));
}

/// Two executions, of which the one that is listed first acts last.
fn newer_then_older(older: &Value, newer: &Value) -> Story {
    let mut story = Story::running().by(trace("older", 0));
    story.executions.push(trace("newer", 1));
    for (execution, upload) in story.executions.iter_mut().zip([older, newer]) {
        if !upload.is_null() {
            execution.input["upload"] = upload.clone();
        }
    }
    story.update("newer", "newer code", "auto-1");
    story.look_inside("newer");
    story.executions[1].ended_at = at(story.seconds);
    conclude(story.execution(), Outcome::NeedsAttention);
    story
}

fn upload(key: &str, sequencer: &str, second: i64) -> Value {
    json!({ "bucket": "code", "key": key, "versionId": "1", "sequencer": sequencer, "at": at(second) })
}

#[test]
fn rule_9_an_older_upload_is_not_made_after_a_newer() {
    let acts = |story: &mut Story| story.update("older", "older code", "auto-2");
    for (older, newer) in [
        (upload("orders.jar", "0F", 9), upload("orders.jar", "1", 1)),
        (upload("orders.jar", "0f", 9), upload("orders.jar", "0F01", 1)),
        (upload("orders-1.jar", "1", 1), upload("orders-2.jar", "0F", 9)),
    ] {
        assert_eq!(caught(newer_then_older(&older, &newer), acts), only(9), "{older} {newer}");
    }
    for (older, newer) in [
        (Value::Null, Value::Null),
        (upload("orders.jar", "1", 1), Value::Null),
        (upload("orders.jar", "10", 1), upload("orders.jar", "1", 9)),
        (upload("orders-1.jar", "1", 9), upload("orders-2.jar", "2", 1)),
    ] {
        let mut story = newer_then_older(&older, &newer);
        acts(&mut story);
        assert_eq!(story.broken(), BTreeSet::new(), "{older} {newer}");
    }
}

/// An execution that ended, and acts once more in the turn of another: as one that was redriven, or never ended.
#[test]
fn rule_9_from_its_redrive_on_rule_1_alone_judges_between_two() {
    let broken = |is_redriven: bool| {
        let mut story = deployed();
        let ended_at = story.seconds;
        story.executions.push(trace("newer", ended_at));
        story.force_stop("newer");
        conclude(&mut story.executions[1], Outcome::NeedsAttention);
        if is_redriven {
            story.execution().pause = Some((at(ended_at), at(story.seconds + 1)));
        }
        conclude(story.execution(), Outcome::NeedsAttention);
        story.start("deploy", "auto-1", 1);
        story.broken()
    };
    assert_eq!(broken(false), only(9));
    assert_eq!(broken(true), BTreeSet::new());
}
