use jiff::SignedDuration;

use super::*;
use crate::evidence::{Failure, Tasks, Unreadable};
use crate::fixtures::application;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn job(state: &str, running: u64) -> Job {
    Job {
        id: "aa".into(),
        submitted_at: None,
        state: state.into(),
        tasks: Tasks { total: 4, running, failed: 4 - running, ..Tasks::default() },
        restarts: Some(2),
        completed_checkpoints: None,
        failed_checkpoints: None,
        failure: Some(Failure::read("java.lang.X: told")),
    }
}

fn completed(seconds: u64, bytes: u64) -> CompletedCheckpoint {
    CompletedCheckpoint { triggered_at: at(0), seconds, bytes }
}

fn failed(at_seconds: i64, message: &str) -> FailedCheckpoint {
    FailedCheckpoint { failed_at: at(at_seconds), message: message.to_owned() }
}

fn look(
    job: Option<Job>,
    last_completed: Option<CompletedCheckpoint>,
    last_failed: Option<FailedCheckpoint>,
) -> FailureLook {
    let checkpoints = CheckpointStatistics { failed: 1, last_completed, last_failed };
    FailureLook {
        application: Ok(Some(application(3, "RUNNING"))),
        job: Some(Ok(job)),
        checkpoints: Some(Ok(Some(checkpoints))),
    }
}

/// The snapshot began at 100 s.
fn code(look: &FailureLook) -> String {
    let cause = likely_causes(look, Some(at(100)));
    serde_json::to_value(cause).unwrap()["code"].as_str().unwrap().to_owned()
}

#[test]
fn flinks_own_words_come_first() {
    let well = || Some(job("RUNNING", 4));
    let cases = [
        ("AmazonS3Exception: Access Denied (Service: Amazon S3; Status Code: 403)", "likelyPermissions"),
        ("User is not authorized to perform kms:Decrypt", "likelyPermissions"),
        ("java.net.UnknownHostException: bucket.s3.amazonaws.com", "likelyNetwork"),
        ("SdkClientException: Unable to execute HTTP request: connect timed out", "likelyNetwork"),
        ("An Exception occurred while triggering the checkpoint. IO-problem detected.", "likelyStorage"),
        ("Checkpoint expired before completing.", "likelyBackpressure"),
        ("Asynchronous task checkpoint failed.", "causeUnknown"),
    ];
    for (message, expected) in cases {
        assert_eq!(code(&look(well(), Some(completed(2, 1_000)), Some(failed(130, message)))), expected, "{message}");
        // A checkpoint that failed before the snapshot began is not its failure.
        let before = code(&look(well(), Some(completed(2, 1_000)), Some(failed(89, message))));
        assert_eq!(before, "causeUnknown", "{message}");
    }
}

#[test]
fn slow_checkpoints_tell_of_large_state_or_else_of_back_pressure() {
    let ten_gibibytes = 10_737_418_240;
    let cases = [
        (Some(completed(60, ten_gibibytes - 1)), None, "likelyBackpressure"),
        (Some(completed(60, ten_gibibytes)), None, "likelyStateSize"),
        (Some(completed(59, 1_000)), None, "causeUnknown"),
        (Some(completed(60, 1_000)), None, "likelyBackpressure"),
        // Large, and quick all the same.
        (Some(completed(59, ten_gibibytes)), None, "causeUnknown"),
        (
            Some(completed(5, ten_gibibytes)),
            Some(failed(101, "Checkpoint expired before completing.")),
            "likelyStateSize",
        ),
        (None, Some(failed(101, "Checkpoint expired before completing.")), "likelyBackpressure"),
        (None, None, "causeUnknown"),
    ];
    for (completed, failed, expected) in cases {
        assert_eq!(
            code(&look(Some(job("RUNNING", 4)), completed, failed.clone())),
            expected,
            "{completed:?} {failed:?}"
        );
    }
}

#[test]
fn a_job_that_is_not_well_can_have_no_snapshot() {
    let slow = Some(completed(500, 1_000));
    assert_eq!(code(&look(Some(job("RESTARTING", 0)), slow, None)), "jobNotWell");
    assert_eq!(code(&look(Some(job("RUNNING", 3)), slow, None)), "jobNotWell");
    assert_eq!(code(&look(None, slow, None)), "jobNotWell");
    let told = likely_causes(&look(Some(job("RESTARTING", 0)), slow, None), None).to_string();
    assert_eq!(
        told,
        "the job is not well: RESTARTING, 0 of 4 tasks running, 4 failed; first failure: java.lang.X: told"
    );
}

#[test]
fn an_application_that_left_running_explains_it() {
    let mut look = look(Some(job("RESTARTING", 0)), None, None);
    look.application = Ok(Some(application(4, "UPDATING")));
    assert_eq!(code(&look), "leftRunning");
    look.application = Ok(None);
    assert_eq!(code(&look), "applicationGone");
}

#[test]
fn what_cannot_be_read_explains_nothing() {
    let unreadable = || Unreadable { what: "the job's checkpoints".into(), why: "Flink answered HTTP 503".into() };
    let healthy = look(Some(job("RUNNING", 4)), Some(completed(2, 1_000)), None);
    let cases = [
        FailureLook { application: Err(unreadable()), ..healthy.clone() },
        FailureLook { checkpoints: Some(Err(unreadable())), ..healthy.clone() },
        FailureLook { job: Some(Err(unreadable())), ..healthy.clone() },
    ];
    for look in cases {
        assert_eq!(code(&look), "causeUnreadable", "{look:?}");
    }
    // What could be read counts all the same.
    let known = look(None, Some(completed(500, 1_000)), None);
    assert_eq!(code(&FailureLook { job: Some(Err(unreadable())), ..known }), "likelyBackpressure");
    let told = likely_causes(&FailureLook { checkpoints: Some(Err(unreadable())), ..healthy }, None).to_string();
    assert_eq!(told, "the cause does not show: the job's checkpoints could not be read: Flink answered HTTP 503");
}

#[test]
fn the_evidence_is_told_with_the_cause() {
    let told = |completed, failed| likely_causes(&look(Some(job("RUNNING", 4)), completed, failed), None).to_string();
    assert_eq!(
        told(Some(completed(540, 12 * 1024 * 1024 + 300 * 1024)), None),
        "likely back pressure: the last complete checkpoint took 540 s for 12.2 MiB; none is known to have failed since \
         the snapshot began"
    );
    assert_eq!(
        told(Some(completed(700, 40 * 1024 * 1024 * 1024)), Some(failed(3, "Checkpoint expired before completing."))),
        "likely the size of the state: the last complete checkpoint took 700 s for 40.0 GiB; one failed since the \
         snapshot began: Checkpoint expired before completing."
    );
    assert_eq!(
        told(None, None),
        "the cause does not show: no checkpoint is complete since the job was submitted; none is known to have failed \
         since the snapshot began"
    );
    assert_eq!(size(0), "0 bytes");
    assert_eq!(size(1_023), "1023 bytes");
    assert_eq!(size(1_536), "1.5 KiB");
}
