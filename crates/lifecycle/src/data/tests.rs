use serde_json::json;

use super::*;
use crate::deployment::JobWatch;
use crate::fixtures::{at, climbed, due, snapshot, updating};

/// The deployment, with a job that was steady at this time.
fn steady(mut deployment: Deployment, seconds: i64) -> Deployment {
    deployment.job = Some(JobWatch { steady_since: Some(at(seconds)), ..JobWatch::new(at(seconds)) });
    deployment
}

fn told(deployment: &Deployment) -> DataReport {
    DataReport::of(deployment).unwrap()
}

fn snapshots() -> Vec<Snapshot> {
    vec![
        snapshot("older", "READY", 7, -600),
        snapshot("good", "READY", 7, -60),
        snapshot("creating", "CREATING", 7, -5),
        snapshot("bad", "READY", 8, 30),
    ]
}

#[test]
fn an_update_goes_on_where_the_job_was() {
    let report = told(&steady(updating(&json!({}), "RUNNING"), 95));
    assert_eq!(
        report.summary,
        "The job goes on from the snapshot that the service took when it stopped it: nothing is lost. Nothing was processed \
         for at most 95 s."
    );
    assert_eq!((report.snapshot, report.replayed_seconds, report.down_seconds), (None, None, Some(95)));
    let skip = json!({ "restore": { "type": "SKIP_RESTORE_FROM_SNAPSHOT" } });
    let report = told(&steady(updating(&skip, "RUNNING"), 95));
    assert!(report.summary.starts_with("The job was started without state, as the request allows. "), "{report:?}");
    let named = json!({ "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "older" } });
    let report = told(&steady(updating(&named, "RUNNING"), 95));
    assert!(report.summary.starts_with("The job was started from the snapshot older, as asked"), "{report:?}");
}

#[test]
fn the_way_back_is_told_with_its_snapshot_and_its_age() {
    for rung in [Rung::RollBack, Rung::SystemRollback] {
        let mut deployment = climbed(&json!({}), &[rung]);
        note_restore(&mut deployment, &snapshots(), at(120));
        let report = told(&steady(deployment, 200));
        assert_eq!(
            report.summary,
            "The job was started from the snapshot good, 180 s before the start: the records since are processed again. \
             What the bad version has written stays written. Nothing was processed for at most 200 s."
        );
        assert_eq!((report.replayed_seconds, report.down_seconds), (Some(180), Some(200)));
        assert_eq!(report.snapshot, Some(RestoredSnapshot { name: "good".into(), taken_at: Some(at(-60)) }));
    }
    let mut put_back = climbed(&json!({}), &[Rung::RollBack, Rung::ForceStop, Rung::PutBack, Rung::StartBack]);
    put_back.restore_from = Some("older".into());
    note_restore(&mut put_back, &snapshots(), at(300));
    assert_eq!(told(&steady(put_back, 400)).replayed_seconds, Some(900));
}

#[test]
fn a_rollback_without_a_snapshot_of_its_version_takes_the_newest_there_is() {
    let mut deployment = climbed(&json!({}), &[Rung::RollBack]);
    note_restore(&mut deployment, &snapshots()[3..], at(120));
    assert_eq!(deployment.data.snapshot.as_ref().unwrap().name, "bad");
    note_restore(&mut deployment, &[], at(120));
    let report = told(&steady(deployment, 200));
    assert!(report.summary.contains("newest snapshot, which is not known here"), "{report:?}");
    assert_eq!((report.snapshot, report.replayed_seconds), (None, None));
}

#[test]
fn a_start_takes_the_newest_snapshot_or_the_one_that_is_named_or_none() {
    let start = |fields: &serde_json::Value| {
        let mut deployment = due(fields, "READY");
        deployment.rung = Rung::Start;
        note_restore(&mut deployment, &snapshots(), at(60));
        deployment.begin(Some("op-start".into()), None, at(61));
        told(&steady(deployment, 120))
    };
    let report = start(&json!({ "start": true }));
    assert_eq!((report.snapshot.unwrap().name, report.replayed_seconds), ("bad".to_owned(), Some(30)));
    // It stood still before: there is no telling for how long nothing was processed.
    assert_eq!(report.down_seconds, None);
    let named = json!({ "start": true, "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "older" } });
    assert_eq!(start(&named).replayed_seconds, Some(660));
    let skip = json!({ "start": true, "restore": { "type": "SKIP_RESTORE_FROM_SNAPSHOT" } });
    assert_eq!(start(&skip).summary, "The job was started without state, as the request allows.");
}

#[test]
fn notes_take_no_room_until_there_are_some() {
    let written = |deployment: &Deployment| serde_json::to_value(deployment).unwrap();
    assert_eq!(written(&due(&json!({}), "RUNNING")).get("data"), None);
    assert!(written(&updating(&json!({}), "RUNNING"))["data"]["beganAt"].is_string());
}

#[test]
fn what_restores_nothing_changes_no_note() {
    for rung in [Rung::Stop, Rung::Update, Rung::ForceStop, Rung::PutBack] {
        let mut deployment = climbed(&json!({}), &[Rung::RollBack]);
        note_restore(&mut deployment, &snapshots(), at(120));
        let noted = deployment.data.clone();
        deployment.rung = rung;
        note_restore(&mut deployment, &[], at(150));
        assert_eq!(deployment.data, noted, "{rung:?}");
    }
    assert_eq!(DataReport::of(&updating(&json!({}), "RUNNING")), None, "there is no job");
    assert_eq!(DataReport::of(&steady(due(&json!({}), "RUNNING"), 5)), None, "nothing was done");
}
