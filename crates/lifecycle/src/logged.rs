//! The first failure in a job's log, for where Flink's own exceptions and the service leave the cause open. Later failures
//! of a loop are echoes of the first, so only what an attempt #0 has failed of is taken, and what Flink itself says has ended
//! the job; what a job logs and goes on from is no failure.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::cause::Category;
use crate::deployment::Deployment;
use crate::evidence::Failure;
use crate::report::{Outcome, Report};
use crate::verdict::Reason;

/// Loggers that tell at the level ERROR of the end of a job or of its cluster.
const OF_THE_END: [&str; 4] = [
    "org.apache.flink.client.deployment.application.",
    "org.apache.flink.runtime.entrypoint.ClusterEntrypoint",
    "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
    "org.apache.flink.runtime.util.ClusterEntrypointUtils",
];

/// What to look for in the application's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSearch {
    /// The version of the application that was found bad.
    pub version: u64,
    /// When its change began.
    pub since: Timestamp,
    /// When it was found bad: what came later is no cause of that.
    pub until: Timestamp,
}

impl LogSearch {
    /// What would add to this deployment's report; none where there is no report, nothing was found bad by its job or
    /// operation, or the cause is known.
    pub fn of(deployment: &Deployment) -> Option<Self> {
        let report = deployment.report.as_ref()?;
        let is_bad = matches!(report.outcome, Outcome::RolledBack | Outcome::Restored | Outcome::NeedsAttention);
        let is_open = report.root_cause.as_ref().is_some_and(|cause| cause.is_open());
        // An alarm tells of something else than a failure, whatever the log has beside it.
        let is_known = |reason: &Reason| matches!(reason, Reason::AlarmRaised { .. } | Reason::LoggedFailure { .. });
        if !is_bad || !is_open || report.failure.iter().any(is_known) {
            return None;
        }
        let notes = &deployment.data;
        Some(Self { version: notes.bad_version?, since: notes.began_at?, until: notes.found_bad_at? })
    }

    /// The lines that may tell, as a filter pattern of `CloudWatch` Logs.
    pub fn pattern(&self) -> String {
        let version = format!("$.applicationVersionId = \"{}\"", self.version);
        format!(
            "{{ {version} && $.message = \"*switched from * to FAILED*\" || {version} && $.messageType = \"ERROR\" }}"
        )
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// What was: JSON, as the service writes it.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    application_version_id: Value,
    #[serde(default)]
    logger: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    message_type: String,
    throwable_information: Value,
}

/// The first failure that these lines tell of, nothing struck out of it; none where they do not.
pub fn first_failure(lines: &[LogLine], search: &LogSearch) -> Option<Failure> {
    let told = lines.iter().filter(|line| (search.since..=search.until).contains(&line.at));
    let failures = told.filter_map(|line| Some((line.at, failure_in(&line.message, search.version)?)));
    let (at, failure) = failures.min_by_key(|(at, _)| *at)?;
    Some(Failure { at: Some(at), ..failure })
}

fn failure_in(line: &str, version: u64) -> Option<Failure> {
    let entry: Entry = serde_json::from_str(line).ok()?;
    let id = &entry.application_version_id;
    let of_version = id.as_str().and_then(|text| text.parse().ok()).or_else(|| id.as_u64());
    let of_lines = |lines: &Vec<Value>| lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    let throwable = &entry.throwable_information;
    let trace = throwable.as_str().map(str::to_owned).or_else(|| throwable.as_array().map(of_lines))?;
    if of_version != Some(version) || trace.trim().is_empty() {
        return None;
    }
    let task = first_attempt(&entry.message);
    let ends = entry.message_type == "ERROR" && OF_THE_END.iter().any(|logger| entry.logger.starts_with(logger));
    let failure = Failure { task: task.map(str::to_owned), ..Failure::read(&trace) };
    // A heartbeat that timed out is an effect.
    ((task.is_some() || ends) && failure.kind.category() != Category::Symptom).then_some(failure)
}

/// The task of which this message says that its first attempt has failed: `Map (1/2)#0 (…_0_0) switched from RUNNING to
/// FAILED …` of a `TaskManager`, the same without `#0` of the `JobManager`.
fn first_attempt(message: &str) -> Option<&str> {
    let (subject, change) = message.split_once(" switched from ")?;
    let mut words = change.split_whitespace();
    let (_, to, state) = (words.next()?, words.next()?, words.next()?);
    if to != "to" || state.trim_end_matches('.') != "FAILED" {
        return None;
    }
    let (task, execution) = subject.rsplit_once(" (")?;
    let of_execution = execution.strip_suffix(')')?.rsplit('_').next()?;
    match task.rsplit_once(")#") {
        Some((before, "0")) => task.get(..=before.len()),
        Some(_) => None,
        None => (of_execution == "0").then_some(task),
    }
}

/// Adds what the log tells to the deployment's report, which is made anew with it.
pub fn tell_logged(deployment: &mut Deployment, failure: Failure) {
    let Some(Report { outcome, because, ended_at, .. }) = deployment.report.clone() else { return };
    deployment.failure.push(Reason::LoggedFailure { failure: Box::new(failure) });
    deployment.report = Some(Report::of(deployment, outcome, because, ended_at));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cause::Kind;
    use crate::deployment::Rung;
    use crate::fixtures::{at, climbed, due};
    use crate::verdict::Verdict;

    const TASK: &str = "org.apache.flink.runtime.taskmanager.Task";
    const TRACE: &str = "java.lang.IllegalStateException: no price\n\tat com.example.Orders.map(Orders.java:12)";
    const FAILED: &str =
        "Enrich -> Sink: Writer (1/2)#0 (9b1_cbc3_0_0) switched from RUNNING to FAILED with failure cause:";

    fn search() -> LogSearch {
        LogSearch { version: 8, since: at(0), until: at(100) }
    }

    fn line(seconds: i64, members: &Value) -> LogLine {
        let mut line = json!({
            "applicationARN": "arn", "applicationVersionId": "8", "locationInformation": "Task.java", "logger": TASK,
            "message": FAILED, "messageSchemaVersion": "1", "messageType": "WARN", "threadName": "t",
            "throwableInformation": TRACE,
        });
        line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        LogLine { at: at(seconds), message: line.to_string() }
    }

    fn found(lines: &[LogLine]) -> Option<(String, Option<String>, i64)> {
        let failure = first_failure(lines, &search())?;
        let seconds = failure.at.unwrap().duration_since(at(0)).as_secs();
        Some((failure.message, failure.task, seconds))
    }

    #[test]
    fn the_first_failure_is_the_earliest_of_an_attempt_0() {
        let echo = json!({ "message": FAILED.replace("#0", "#1"), "throwableInformation": "a.B: an echo" });
        let other = json!({ "throwableInformation": ["a.B: later", "\tat x"] });
        let task = Some("Enrich -> Sink: Writer (1/2)".to_owned());
        let lines = [line(40, &other), line(20, &json!({})), line(10, &echo)];
        assert_eq!(found(&lines), Some(("no price".to_owned(), task.clone(), 20)));
        assert_eq!(found(&lines[..1]), Some(("later".to_owned(), task, 40)));
        assert_eq!(found(&lines[2..]), None, "the first one is not there: what is there is an echo");
    }

    #[test]
    fn what_is_no_failure_of_this_change_is_passed_over() {
        let cases = [
            json!({ "applicationVersionId": "7" }),
            json!({ "throwableInformation": "" }),
            json!({ "throwableInformation": null }),
            json!({ "message": "Enrich (1/2)#0 (9b1_cbc3_0_0) switched from RUNNING to CANCELED." }),
            json!({ "message": "Enrich (1/2) (9b1_cbc3_0_3) switched from RUNNING to FAILED on host." }),
            json!({ "message": "order 7 was refused", "messageType": "ERROR", "logger": "com.example.Orders" }),
            json!({ "message": "an upload failed", "messageType": "ERROR", "logger": "org.apache.flink.runtime.rest.Handler" }),
            json!({ "throwableInformation": "java.util.concurrent.TimeoutException: Heartbeat of TaskManager with id x timed out." }),
            json!({ "message": 7 }),
        ];
        for members in cases {
            assert_eq!(found(&[line(20, &members)]), None, "{members}");
        }
        assert_eq!(
            found(&[line(-1, &json!({})), line(101, &json!({}))]),
            None,
            "before the change, and after the verdict"
        );
        assert_eq!(found(&[LogLine { at: at(5), message: "no JSON".into() }]), None);
    }

    #[test]
    fn the_job_manager_tells_too() {
        let by_graph = json!({ "message": "Enrich (1/2) (9b1_cbc3_0_0) switched from RUNNING to FAILED on host @ x.",
            "logger": "org.apache.flink.runtime.executiongraph.ExecutionGraph", "messageType": "INFO" });
        assert_eq!(found(&[line(20, &by_graph)]).unwrap().1.as_deref(), Some("Enrich (1/2)"));
        let of_main = json!({ "message": "Application failed unexpectedly", "messageType": "ERROR",
            "logger": "org.apache.flink.client.deployment.application.ApplicationDispatcherBootstrap" });
        assert_eq!(found(&[line(20, &of_main)]), Some(("no price".to_owned(), None, 20)));
    }

    fn reported(reason: Reason, outcome: Outcome) -> Deployment {
        let mut deployment = climbed(&json!({}), &[Rung::RollBack]);
        deployment.conclude(Verdict::failing(reason), at(100));
        deployment.report = Some(Report::of(&deployment, outcome, Vec::new(), at(500)));
        deployment
    }

    #[test]
    fn the_log_is_asked_only_where_the_cause_is_open() {
        let of = |reason, outcome| LogSearch::of(&reported(reason, outcome));
        let restarts = || Reason::Restarts { count: 3, tolerated: 2 };
        assert_eq!(of(restarts(), Outcome::RolledBack), Some(search()));
        assert_eq!(of(Reason::NoCheckpointYet { failed: 3 }, Outcome::NeedsAttention), Some(search()));
        assert_eq!(of(restarts(), Outcome::Superseded), None);
        assert_eq!(of(Reason::AlarmRaised { name: "lag".into() }, Outcome::RolledBack), None);
        let first = |trace| Reason::FirstFailure { failure: Box::new(Failure::read(trace)) };
        assert_eq!(of(first(TRACE), Outcome::RolledBack), None);
        assert_eq!(of(first("a.B: Heartbeat of TaskManager x timed out"), Outcome::RolledBack), Some(search()));
        assert_eq!(LogSearch::of(&due(&json!({}), "RUNNING")), None);
        assert_eq!(
            search().pattern(),
            "{ $.applicationVersionId = \"8\" && $.message = \"*switched from * to FAILED*\" \
             || $.applicationVersionId = \"8\" && $.messageType = \"ERROR\" }"
        );
    }

    #[test]
    fn what_the_log_tells_is_a_part_of_the_report() {
        let mut deployment = reported(Reason::Restarts { count: 3, tolerated: 2 }, Outcome::RolledBack);
        let failure = first_failure(&[line(20, &json!({}))], &search()).unwrap();
        tell_logged(&mut deployment, failure);
        let report = deployment.report.clone().unwrap();
        assert!(
            report.summary.contains("first failure in the log: java.lang.IllegalStateException: no price"),
            "{report:?}"
        );
        let cause = report.root_cause.unwrap();
        assert_eq!((cause.kind, cause.restarts, cause.first_at), (Kind::OwnException, Some(3), Some(at(20))));
        assert_eq!(report.ended_at, at(500));
        assert_eq!(LogSearch::of(&deployment), None, "it is told once");
    }
}
