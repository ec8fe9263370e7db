//! What cannot be read, or only late, in part or wrongly.

use std::time::Duration;

use emulator::simulated::{Behaviour, JobFault};
use emulator::{Effect, Occurrences};
use lifecycle::report::Outcome::{Deployed, NeedsAttention, RolledBack};
use serde_json::json;

use super::jobs::looks_healthy_for;
use super::{ROLLBACK, ROLLBACK_REFUSED, UPDATE, UPDATE_REFUSED, bad, code, crash_loop, error, fault, good};
use crate::scenario::{Happening, Planned, Scenario};
use crate::world::{App, noon};

/// A healthy change that nobody can verify.
fn unverified() -> Planned {
    code(Behaviour::healthy(), NeedsAttention, &[UPDATE]).patient("evidenceTimeoutSeconds", 180)
}

fn flink(status: u16, occurrences: Occurrences) -> Happening {
    fault("flink:*", error("", status), occurrences)
}

pub(super) fn scenarios() -> Vec<Scenario> {
    [rest_api(), service(), cloudwatch(), throttling(), clocks()].concat()
}

fn rest_api() -> Vec<Scenario> {
    let truncated = |operation: &str, bytes, times| fault(operation, Effect::Truncated(bytes), times);
    vec![
        Scenario::new("flink-404", "Flink's REST API answers 404 for a while: the job is looked for again.")
            .when(0, fault("flink:/jobs/:id/metrics", error("", 404), Occurrences::First(6)))
            .deploy(good()),
        Scenario::new("flink-503", "Flink's REST API answers 503 for a few minutes: held, then verified.")
            .when(90, flink(503, Occurrences::Always))
            .when(300, Happening::NoFaults)
            .deploy(good()),
        Scenario::new(
            "flink-never-readable",
            "Flink's REST API never answers: no verdict, no rollback, a person is asked.",
        )
        .when(0, flink(503, Occurrences::Always))
        .deploy(unverified()),
        Scenario::new(
            "crash-loop-never-readable",
            "The job crash-loops, and nobody can see it: what cannot be read is neither good nor bad.",
        )
        .when(0, flink(503, Occurrences::Always))
        .deploy(code(crash_loop(), NeedsAttention, &[UPDATE]).patient("evidenceTimeoutSeconds", 180)),
        Scenario::new("half-answers", "Flink's answers break off in the middle for a while.")
            .when(0, truncated("flink:/jobs/overview", 40, Occurrences::First(6)))
            .when(0, truncated("flink:/jobs/:id/metrics", 10, Occurrences::First(6)))
            .deploy(good()),
        Scenario::new("half-answers-only", "Flink's answers always break off: a person is asked.")
            .when(0, truncated("flink:/jobs/overview", 40, Occurrences::Always))
            .deploy(unverified()),
        Scenario::new("empty-answers", "Flink answers, but with nothing that says anything.")
            .when(0, fault("flink:/jobs/overview", answer("{}"), Occurrences::Always))
            .deploy(unverified()),
        Scenario::new("no-restart-count", "All tasks run, but how often they were restarted is not to be had.")
            .when(0, fault("flink:/jobs/:id/metrics", answer("[]"), Occurrences::Always))
            .deploy(unverified()),
        Scenario::new("url-late", "The presigned URL is used too late and answered with 403: another one is made.")
            .when(0, flink(403, Occurrences::First(1)))
            .deploy(good()),
        Scenario::new("url-expires", "Presigned URLs expire in the middle of every look for a while.")
            .when(0, fault("flink:/jobs/:id/metrics", error("", 403), Occurrences::First(5)))
            .deploy(good()),
        Scenario::new("url-never-valid", "Every presigned URL is answered with 403: a person is asked.")
            .when(0, flink(403, Occurrences::Always))
            .deploy(unverified()),
        Scenario::new("no-url", "No presigned URL is to be had for a while, although the application is RUNNING.")
            .when(
                0,
                fault("CreateApplicationPresignedUrl", error("ResourceInUseException", 400), Occurrences::First(4)),
            )
            .deploy(good()),
        Scenario::new("no-job-shown", "Flink shows no job at all, for as long as the policy is patient.")
            .when(0, fault("flink:/jobs/overview", answer(r#"{"jobs": []}"#), Occurrences::Always))
            .deploy(
                code(Behaviour::healthy(), NeedsAttention, &[UPDATE])
                    .with("policy", json!({ "settleTimeoutSeconds": 300, "onFailure": "hold" })),
            ),
        Scenario::new("no-exceptions", "The exceptions of a crash loop cannot be read: the restarts are enough.")
            .when(0, fault("flink:/jobs/:id/exceptions", error("", 500), Occurrences::Always))
            .deploy(bad()),
        Scenario::new("no-exceptions-but-a-log", "The same where the job has a log: that tells what failed first.")
            .of(App { has_log: true, ..App::default() })
            .when(0, fault("flink:/jobs/:id/exceptions", error("", 500), Occurrences::Always))
            .deploy(bad()),
        Scenario::new(
            "no-exceptions-but-a-log-with-secrets",
            "The same where the log quotes a property: it is struck out.",
        )
        .of(App { has_log: true, ..App::default() })
        .when(0, fault("flink:/jobs/:id/exceptions", error("", 500), Occurrences::Always))
        .when(0, fault("logs:FilterLogEvents", answer(&log_with_a_secret()), Occurrences::Always))
        .deploy(bad()),
        Scenario::new(
            "no-exceptions-and-no-log-to-be-read",
            "The same where the log cannot be read: nothing else changes.",
        )
        .of(App { has_log: true, ..App::default() })
        .when(0, fault("flink:/jobs/:id/exceptions", error("", 500), Occurrences::Always))
        .when(0, fault("logs:FilterLogEvents", error("AccessDeniedException", 400), Occurrences::Always))
        .deploy(bad()),
    ]
}

/// What `FilterLogEvents` answers where the job has failed, a minute after its change, and quotes its password.
fn log_with_a_secret() -> String {
    let line = json!({
        "applicationVersionId": "2",
        "message": "discard: Writer (1/2)#0 (9b1_cbc3_0_0) switched from RUNNING to FAILED with failure cause:",
        "throwableInformation": "java.io.IOException: no user for correct-horse-battery-staple\n\tat com.example.Orders.open(Orders.java:1)",
    });
    let at = noon().as_millisecond() + 12 * 60 * 1_000;
    json!({ "events": [{ "timestamp": at, "message": line.to_string() }] }).to_string()
}

fn answer(body: &str) -> Effect {
    Effect::Answer { status: 200, body: body.to_owned() }
}

fn service() -> Vec<Scenario> {
    let describe = |effect, times| fault("DescribeApplication", effect, times);
    vec![
        Scenario::new("slow-answers", "Every call is answered seconds late.")
            .when(0, fault("*", Effect::Delay(Duration::from_secs(4)), Occurrences::Always))
            .deploy(good()),
        Scenario::new("stale-reads", "The service tells what was true a minute ago; an older version is no newer one.")
            .when(30, describe(Effect::StaleRead(Duration::from_mins(1)), Occurrences::First(6)))
            .deploy(good()),
        Scenario::new(
            "only-the-past-is-told",
            "The service tells what was true before the update, for too long to wait.",
        )
        .when(60, describe(Effect::StaleRead(Duration::from_mins(4)), Occurrences::Always))
        .deploy(unverified().patient("evidenceTimeoutSeconds", 60)),
        Scenario::new("service-down", "The service answers 500 for some minutes, in the middle of the update.")
            .when(30, fault("*", error("InternalFailure", 500), Occurrences::Always))
            .when(400, Happening::NoFaults)
            .deploy(good()),
        Scenario::new("service-stays-down", "The service never answers again: a person is asked.")
            .when(30, fault("*", error("InternalFailure", 500), Occurrences::Always))
            .deploy(unverified()),
        Scenario::new("unknown-status", "The application has a status that nobody has heard of: a person is asked.")
            .when(100, describe(answer(UNHEARD_OF), Occurrences::Always))
            .deploy(unverified()),
        Scenario::new(
            "notification-fails",
            "Neither SNS nor EventBridge takes the notification: the outcome is the same.",
        )
        .when(0, fault("sns:Publish", error("InternalError", 500), Occurrences::Always))
        .when(0, fault("events:PutEvents", error("InternalException", 500), Occurrences::Always))
        .deploy(good()),
        Scenario::new("notification-is-late", "SNS does not take the notification at first: it is told all the same.")
            .when(0, fault("sns:Publish", error("InternalError", 500), Occurrences::First(5)))
            .deploy(good()),
        Scenario::new("notification-fails-after-a-rollback", "The same where the outcome is a rollback.")
            .when(0, fault("sns:Publish", error("InternalError", 500), Occurrences::Always))
            .when(0, fault("events:PutEvents", error("InternalException", 500), Occurrences::Always))
            .deploy(bad()),
    ]
}

const UNHEARD_OF: &str = r#"{"ApplicationDetail": {"ApplicationName": "orders", "ApplicationStatus": "DREAMING",
    "ApplicationARN": "arn:aws:kinesisanalytics:us-east-1:123456789012:application/orders",
    "ApplicationVersionId": 2, "RuntimeEnvironment": "FLINK-1_20"}}"#;

fn cloudwatch() -> Vec<Scenario> {
    let metrics = |times| fault("cloudwatch:GetMetricData", error("InternalServiceError", 500), times);
    vec![
        Scenario::new("cloudwatch-down", "CloudWatch does not answer for a while during the bake: held.")
            .when(150, metrics(Occurrences::First(9)))
            .deploy(good()),
        Scenario::new(
            "cloudwatch-stays-down",
            "CloudWatch never answers, so that the bake shows nothing: a person is asked.",
        )
        .when(0, metrics(Occurrences::Always))
        .deploy(unverified()),
        Scenario::new(
            "crash-loop-without-cloudwatch",
            "CloudWatch is not needed to find a crash loop and to roll it back, but to see that all is quiet again after it.",
        )
        .when(0, metrics(Occurrences::Always))
        .deploy(code(crash_loop(), NeedsAttention, &[UPDATE, ROLLBACK]).patient("evidenceTimeoutSeconds", 180)),
    ]
}

fn throttling() -> Vec<Scenario> {
    let throttled = |scenario: Scenario| {
        let reads = ["DescribeApplication", "DescribeApplicationOperation", "ListApplicationSnapshots"];
        let reads = reads.into_iter().chain(["CreateApplicationPresignedUrl", "cloudwatch:GetMetricData"]);
        let acts = ["UpdateApplication", "RollbackApplication"].map(|act| (act, 2));
        let all = reads.map(|read| (read, 4)).chain(acts);
        let scenario = all.fold(scenario, |scenario, (operation, times)| {
            scenario.when(0, fault(operation, Effect::Throttle, Occurrences::First(times)))
        });
        scenario.when(0, flink(429, Occurrences::First(4)))
    };
    let percent = |operation: &str| fault(operation, Effect::Throttle, Occurrences::Percent(30));
    vec![
        throttled(Scenario::new("throttling-everywhere", "Every kind of call is throttled several times."))
            .deploy(code(Behaviour::healthy(), Deployed, &[UPDATE_REFUSED, UPDATE_REFUSED, UPDATE])),
        throttled(Scenario::new("throttling-and-a-crash-loop", "The same while a crash loop has to be rolled back."))
            .deploy(code(
                crash_loop(),
                RolledBack,
                &[UPDATE_REFUSED, UPDATE_REFUSED, UPDATE, ROLLBACK_REFUSED, ROLLBACK_REFUSED, ROLLBACK],
            )),
        Scenario::new("throttled-reads", "Three of ten reads are throttled, all the time.")
            .when(0, percent("DescribeApplication"))
            .when(0, percent("DescribeApplicationOperation"))
            .when(0, percent("cloudwatch:GetMetricData"))
            .when(0, percent("CreateApplicationPresignedUrl"))
            .deploy(good()),
    ]
}

/// All steps go by the clock of Step Functions; only what `CloudWatch` writes into its data points is another's. Both are
/// AWS's own, and never three minutes apart.
fn clocks() -> Vec<Scenario> {
    let skewed = |mut planned: Planned, seconds| {
        planned.clock_ahead_seconds = seconds;
        planned
    };
    let slow_loop = || code(looks_healthy_for(230), RolledBack, &[UPDATE, ROLLBACK]);
    vec![
        Scenario::new("clock-ahead", "Step Functions' clock is three minutes ahead of the service's.")
            .deploy(skewed(good(), 180)),
        Scenario::new("clock-behind", "Step Functions' clock is three minutes behind the service's.")
            .deploy(skewed(good(), -180)),
        Scenario::new("clock-ahead-and-a-slow-loop", "A loop of four minutes is found out by a clock that is ahead.")
            .deploy(skewed(slow_loop(), 180)),
        Scenario::new("clock-behind-and-a-slow-loop", "A loop of four minutes is found out by a clock that is behind.")
            .deploy(skewed(slow_loop(), -180)),
        Scenario::new("late-evidence-of-a-hiccup", "One restart late in the bake: the quiet time begins again.")
            .deploy(
                code(Behaviour::from(JobFault::FailsAfter { seconds: 250, times: Some(1) }), Deployed, &[UPDATE])
                    .with("policy", json!({ "toleratedRestarts": 1 })),
            ),
    ]
}
