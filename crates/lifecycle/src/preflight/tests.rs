use serde_json::json;

use super::*;
use crate::fixtures::{alarm, application, at, goes_on, request, snapshot};

fn look(status: &str) -> PreflightLook {
    PreflightLook {
        application: Some(application(7, status)),
        detail: json!({ "RuntimeEnvironment": "FLINK-1_19" }),
        snapshots: vec![snapshot("new", "READY", 7, -10), snapshot("old", "READY", 6, -90)],
        alarms: vec![alarm("lag", false), alarm("old", true)],
        ..PreflightLook::default()
    }
}

fn prepared(fields: &Value, look: &PreflightLook, now: i64) -> (Deployment, Preflight) {
    let request = request(fields);
    let mut deployment = Deployment::new(&request, "run-1", at(0));
    let preflight = prepare(&mut deployment, &request, look, at(now));
    (deployment, preflight)
}

/// Field and problem of each refusal; empty when nothing is refused.
fn refused(fields: &Value, look: &PreflightLook, now: i64) -> Vec<(String, String)> {
    let (deployment, preflight) = prepared(fields, look, now);
    assert_eq!(preflight, Preflight::GoOn);
    let Some(report) = deployment.report else { return Vec::new() };
    assert_eq!((report.outcome, deployment.next), (Outcome::Refused, Next::Notify));
    assert!(report.refusals.iter().all(|refusal| !refusal.cure.is_empty()));
    report.refusals.into_iter().map(|refusal| (refusal.field, refusal.problem)).collect()
}

fn skip() -> Value {
    json!({ "start": true, "restore": { "type": "SKIP_RESTORE_FROM_SNAPSHOT" } })
}

#[test]
fn the_baseline_is_noted_before_anything_is_touched() {
    let (deployment, preflight) = prepared(&json!({ "policy": { "alarms": ["lag", "old"] } }), &look("RUNNING"), 5);
    assert_eq!((preflight, goes_on(&deployment).as_str()), (Preflight::GoOn, "Submit 0"));
    let expected = Baseline {
        version: 7,
        status: ApplicationStatus::Running,
        runtime: "FLINK-1_20".into(),
        code: None,
        snapshot: Some("new".into()),
        raised_alarms: vec!["old".into()],
    };
    assert_eq!(deployment.baseline, Some(expected));
    assert_eq!((deployment.version, deployment.taken), (7, vec![Rung::Update]));
}

#[test]
fn what_cannot_be_carried_out_is_refused_by_field() {
    let with = |change: fn(&mut PreflightLook)| {
        let mut look = look("RUNNING");
        change(&mut look);
        look
    };
    let of = |change: fn(&mut crate::evidence::Application)| {
        let mut look = look("RUNNING");
        change(look.application.as_mut().unwrap());
        look
    };
    let custom = |name: &str| json!({ "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": name } });
    let half = || with(|look| look.snapshots.push(snapshot("half", "CREATING", 7, 0)));
    let none = json!({});
    let table = [
        (none.clone(), with(|look| look.application = None), "application", "there is no application orders"),
        (none.clone(), look("DELETING"), "application", "there is no application orders"),
        (none.clone(), look("HIBERNATING"), "application", "orders has the status HIBERNATING"),
        (none.clone(), of(|application| application.runtime = "SQL-1_0".into()), "application", "orders runs SQL-1_0"),
        (
            none.clone(),
            of(|application| application.runtime = "ZEPPELIN-FLINK-3_0".into()),
            "application",
            "orders runs ZEPPELIN-FLINK-3_0",
        ),
        (
            none.clone(),
            of(|application| application.runtime = "FLINK-2_2".into()),
            "update.RuntimeEnvironmentUpdate",
            "FLINK-1_20 is older",
        ),
        (
            none.clone(),
            of(|application| application.runtime = "FLINK-1_100".into()),
            "update.RuntimeEnvironmentUpdate",
            "FLINK-1_20 is older",
        ),
        (
            none,
            of(|application| application.snapshots_enabled = false),
            "restore.type",
            "orders has snapshots disabled",
        ),
        (custom("ghost"), look("RUNNING"), "restore.snapshot", "orders has no snapshot ghost"),
        (custom("half"), half(), "restore.snapshot", "the snapshot half is CREATING"),
        (
            json!({ "start": true }),
            with(|look| {
                look.application.as_mut().unwrap().status = ApplicationStatus::Ready;
                look.snapshots.clear();
            }),
            "restore.type",
            "orders has no READY snapshot",
        ),
        (
            json!({ "policy": { "preDeploySnapshot": true }, "restore": { "type": "SKIP_RESTORE_FROM_SNAPSHOT" } }),
            of(|application| application.snapshots_enabled = false),
            "policy.preDeploySnapshot",
            "orders has snapshots disabled",
        ),
    ];
    for (fields, look, field, problem) in table {
        let refusals = refused(&fields, &look, 0);
        let [(name, told)] = refusals.as_slice() else { panic!("{problem}: {refusals:?}") };
        assert_eq!(name, field);
        assert!(told.starts_with(problem), "{told}");
    }
}

#[test]
fn what_can_be_carried_out_is_not_refused() {
    let none = || json!({});
    let stopped_without = |fields: Value| {
        let mut look = look("READY");
        look.snapshots.clear();
        (fields, look)
    };
    let mut disabled = look("RUNNING");
    disabled.application.as_mut().unwrap().snapshots_enabled = false;
    let mut same_runtime = look("RUNNING");
    same_runtime.application.as_mut().unwrap().runtime = "FLINK-1_20".into();
    let mut odd_runtime = look("RUNNING");
    odd_runtime.application.as_mut().unwrap().runtime = "FLINK-next".into();
    let mut scaling = look("AUTOSCALING");
    scaling.snapshots.clear();
    let custom = json!({ "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "old" } });
    let table = [
        (none(), look("RUNNING")),
        (none(), look("ROLLED_BACK")),
        (none(), same_runtime),
        (none(), odd_runtime),
        (custom, look("RUNNING")),
        (skip(), disabled),
        // It stays stopped, or begins without state on purpose.
        stopped_without(none()),
        stopped_without(skip()),
        // It runs once it is at rest, and needs no snapshot to be started from.
        (json!({ "start": true }), scaling),
    ];
    for (fields, look) in table {
        assert_eq!(refused(&fields, &look, 0), [], "{fields} {:?}", look.application);
    }
}

#[test]
fn an_application_at_work_is_waited_for_and_then_refused() {
    for status in ["STARTING", "STOPPING", "UPDATING", "AUTOSCALING", "FORCE_STOPPING", "ROLLING_BACK", "MAINTENANCE"] {
        for now in [0, 1_799] {
            let (deployment, _) = prepared(&json!({}), &look(status), now);
            assert_eq!(goes_on(&deployment), "WaitToPrepare 30", "{status}");
            assert_eq!(deployment.taken, []);
        }
        let [(field, problem)] = refused(&json!({}), &look(status), 1_800).try_into().unwrap();
        assert_eq!((field, problem), ("application".into(), format!("orders is still {status} after 1800 s")));
    }
}

#[test]
fn what_is_in_effect_already_is_no_change() {
    let in_effect = |status| PreflightLook { detail: json!({ "RuntimeEnvironment": "FLINK-1_20" }), ..look(status) };
    let table = [
        ("RUNNING", json!({}), "CheckSubtasks 0"),
        ("RUNNING", json!({ "start": true }), "CheckSubtasks 0"),
        ("READY", json!({}), "end NoChange: alreadyInEffect"),
        ("READY", json!({ "start": true }), "Submit 0"),
    ];
    for (status, fields, expected) in table {
        let (deployment, _) = prepared(&fields, &in_effect(status), 0);
        assert_eq!(goes_on(&deployment), expected, "{status} {fields}");
        let rungs: &[Rung] = if expected == "Submit 0" { &[Rung::Start] } else { &[] };
        assert_eq!(deployment.taken, rungs);
    }
}

#[test]
fn a_rollback_of_the_change_before_is_waited_for() {
    let request = request(&json!({}));
    let mut deployment = Deployment::new(&request, "run-1", at(0));
    prepare(&mut deployment, &request, &look("UPDATING"), at(0));
    for (status, expected) in [("ROLLING_BACK", "WaitToPrepare 30"), ("RUNNING", "Submit 0")] {
        let mut rolled_back = look(status);
        rolled_back.application.as_mut().unwrap().version = 8;
        prepare(&mut deployment, &request, &rolled_back, at(30));
        assert_eq!(goes_on(&deployment), expected);
    }
    assert_eq!(deployment.baseline.map(|baseline| baseline.version), Some(8));
}

#[test]
fn a_newer_change_made_while_this_one_waited_wins() {
    let request = request(&json!({}));
    let mut deployment = Deployment::new(&request, "run-1", at(0));
    prepare(&mut deployment, &request, &look("UPDATING"), at(0));
    let mut newer = look("RUNNING");
    newer.application.as_mut().unwrap().version = 8;
    prepare(&mut deployment, &request, &newer, at(30));
    assert_eq!(goes_on(&deployment), "end Superseded: versionChanged");
}

#[test]
fn a_snapshot_is_taken_once_and_waited_for() {
    let fields = json!({ "policy": { "preDeploySnapshot": true } });
    let take = || Preflight::TakeSnapshot("pre-deploy-run-1".into());
    let table = [
        (None, 0, take(), "WaitToPrepare 15"),
        (Some("CREATING"), 15, Preflight::GoOn, "WaitToPrepare 15"),
        (Some("DELETING"), 15, Preflight::GoOn, "WaitToPrepare 15"),
        (Some("CREATING"), 1_799, Preflight::GoOn, "WaitToPrepare 15"),
        (Some("READY"), 1_800, Preflight::GoOn, "Submit 0"),
        (Some("CREATING"), 1_800, Preflight::GoOn, "policy.preDeploySnapshot"),
        (None, 1_800, Preflight::GoOn, "policy.preDeploySnapshot"),
        (Some("FAILED"), 15, Preflight::GoOn, "policy.preDeploySnapshot"),
    ];
    for (status, now, preflight, expected) in table {
        let mut look = look("RUNNING");
        look.snapshots.extend(status.map(|status| snapshot("pre-deploy-run-1", status, 7, 0)));
        let (deployment, told) = prepared(&fields, &look, now);
        assert_eq!(told, preflight, "{status:?} {now}");
        match &deployment.report {
            None => assert_eq!(goes_on(&deployment), expected, "{status:?} {now}"),
            Some(report) => assert_eq!(report.refusals[0].field, expected, "{status:?} {now}"),
        }
    }
    let (deployment, told) = prepared(&fields, &look("READY"), 0);
    assert_eq!(
        (told, goes_on(&deployment).as_str()),
        (Preflight::GoOn, "Submit 0"),
        "a stopped job has no state to take"
    );
}

#[test]
fn a_snapshots_name_is_one_that_the_service_takes() {
    assert_eq!(pre_deploy_snapshot_name("a1_b.c-d"), "pre-deploy-a1_b.c-d");
    assert_eq!(pre_deploy_snapshot_name("a:b c/ü"), "pre-deploy-a-b-c--");
}

#[test]
fn a_role_that_is_new_is_tried_three_times() {
    let mut deployment = crate::fixtures::due(&json!({}), "RUNNING");
    for _ in 0..2 {
        refuse_update(&mut deployment, RefusedFor::RoleOrCode, "check the role", at(1));
        assert_eq!(goes_on(&deployment), "Bake 15");
    }
    refuse_update(&mut deployment, RefusedFor::RoleOrCode, "check the role", at(31));
    let code = "update.ApplicationConfigurationUpdate.ApplicationCodeConfigurationUpdate.CodeContentUpdate";
    assert_eq!(deployment.report.unwrap().refusals[0].field, code);
    for (refused_for, field) in [(RefusedFor::Code, code), (RefusedFor::Other, "update")] {
        let mut deployment = crate::fixtures::due(&json!({}), "RUNNING");
        refuse_update(&mut deployment, refused_for, "not this", at(1));
        let report = deployment.report.unwrap();
        assert_eq!((report.outcome, report.refusals[0].field.as_str()), (Outcome::Refused, field));
        assert!(report.summary.contains("the service refused it: not this"), "{}", report.summary);
    }
}

#[test]
fn an_update_refused_after_the_stop_is_no_request_that_touched_nothing() {
    for refused_for in [RefusedFor::Code, RefusedFor::Other] {
        let mut deployment = crate::fixtures::due(&json!({ "stop": "force", "start": true }), "RUNNING");
        deployment.taken.insert(0, Rung::Stop);
        refuse_update(&mut deployment, refused_for, "not this", at(1));
        assert_eq!((goes_on(&deployment).as_str(), deployment.report), ("Decide 0", None));
    }
}

#[test]
fn the_other_refusals_name_their_fields() {
    assert_eq!(no_such_alarm("there is no alarm lag").field, "policy.alarms");
    let mut deployment = crate::fixtures::due(&json!({ "reason": "ticket 5" }), "RUNNING");
    refuse_snapshot(&mut deployment, "LimitExceeded", at(1));
    let report = deployment.report.unwrap();
    assert_eq!(report.refusals[0].field, "policy.preDeploySnapshot");
    assert_eq!(report.reason.as_deref(), Some("ticket 5"));
}

#[test]
fn a_stop_comes_first_where_there_is_something_to_stop() {
    let changed = |mut fields: Value, status: &str| {
        if fields["update"].is_null() {
            fields["update"] = json!({});
        }
        let (deployment, _) = prepared(&fields, &look(status), 5);
        let first = deployment.taken.first().map(|rung| format!("{rung:?} ")).unwrap_or_default();
        format!("{first}{}", goes_on(&deployment))
    };
    let update = json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" });
    let no_change = "end NoChange: alreadyInEffect";
    for (fields, status, expected) in [
        (json!({ "stop": "graceful" }), "RUNNING", "Stop ForceStop 0"),
        (json!({ "stop": "graceful" }), "READY", no_change),
        (json!({ "stop": "graceful" }), "UPDATING", "WaitToPrepare 30"),
        (json!({ "stop": "force" }), "RUNNING", "Stop ForceStop 0"),
        (json!({ "stop": "force" }), "STARTING", "Stop ForceStop 0"),
        (json!({ "stop": "force" }), "UPDATING", "Stop ForceStop 0"),
        (json!({ "stop": "force" }), "STOPPING", "Stop ForceStop 0"),
        (json!({ "stop": "force" }), "AUTOSCALING", "Stop ForceStop 0"),
        (json!({ "stop": "force" }), "ROLLING_BACK", "WaitToPrepare 30"),
        (json!({ "stop": "force" }), "FORCE_STOPPING", "WaitToPrepare 30"),
        (json!({ "stop": "force" }), "MAINTENANCE", "WaitToPrepare 30"),
        (json!({ "stop": "force", "start": true, "update": update }), "RUNNING", "Stop ForceStop 0"),
        (json!({ "stop": "force", "start": true, "update": update }), "READY", "Update Submit 0"),
        (json!({ "stop": "graceful", "start": true }), "READY", "Start Submit 0"),
        (json!({ "start": true }), "READY", "Start Submit 0"),
        (json!({ "start": true }), "RUNNING", "CheckSubtasks 0"),
    ] {
        assert_eq!(changed(fields.clone(), status), expected, "{fields} {status}");
    }
}

#[test]
fn a_stop_that_would_lose_the_state_is_refused() {
    let without = |fields: Value, is_disabled: bool| {
        let mut look = look("RUNNING");
        look.snapshots.clear();
        look.application.as_mut().unwrap().snapshots_enabled = !is_disabled;
        refused(&fields, &look, 0).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
    };
    assert_eq!(without(json!({ "stop": "graceful", "update": {} }), true), ["stop"]);
    assert_eq!(without(json!({ "stop": "graceful", "update": {}, "start": true }), true), ["restore.type"]);
    assert_eq!(without(json!({ "stop": "force", "update": {} }), true), Vec::<String>::new());
    assert_eq!(without(json!({ "stop": "force", "update": {}, "start": true }), false), ["restore.type"]);
    assert_eq!(without(json!({ "stop": "graceful", "update": {}, "start": true }), false), Vec::<String>::new());
}

#[test]
fn a_stale_snapshot_is_told_or_refused() {
    let policy = |age: u32, word: &str| json!({ "policy": { "snapshotAgeSeconds": age, "onStaleSnapshot": word } });
    let warnings = |fields: &Value, look: &PreflightLook, now: i64| {
        let (deployment, _) = prepared(fields, look, now);
        assert_eq!(deployment.report, None, "{fields}");
        deployment.events.iter().filter(|event| event.what.starts_with("Warning")).count()
    };
    let look = look("RUNNING");
    let mut without = look.clone();
    without.snapshots.clear();
    for (fields, look, now, expected) in [
        (policy(600, "warn"), &look, 590, 0),
        (policy(600, "warn"), &look, 591, 1),
        (policy(600, "refuse"), &look, 590, 0),
        (policy(0, "refuse"), &look, 590_000, 0),
        (policy(600, "warn"), &without, 0, 1),
        (policy(0, "refuse"), &without, 0, 0),
    ] {
        assert_eq!(warnings(&fields, look, now), expected, "{fields} {now}");
    }
    for look in [&look, &without] {
        let [(field, problem)] = refused(&policy(600, "refuse"), look, 591).try_into().unwrap();
        assert_eq!(field, "policy.snapshotAgeSeconds");
        assert!(problem.contains("a forced stop would"), "{problem}");
    }
    let mut stopped = without;
    stopped.application.as_mut().unwrap().status = "READY".into();
    assert_eq!(warnings(&policy(600, "refuse"), &stopped, 0), 0, "nothing runs that could be stopped");
}

#[test]
fn a_checkpoint_that_cannot_come_in_time_is_not_waited_for() {
    let policy = |more: Value| {
        let mut policy = json!({ "settleTimeoutSeconds": 600 });
        policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "policy": policy })
    };
    let updating = |milliseconds: u64| {
        let checkpoints = json!({ "CheckpointConfigurationUpdate": { "CheckpointIntervalUpdate": milliseconds } });
        let mut fields = policy(json!({}));
        fields["update"] =
            json!({ "ApplicationConfigurationUpdate": { "FlinkApplicationConfigurationUpdate": checkpoints } });
        fields
    };
    let with = |interval: Option<u64>, is_enabled: bool| {
        let mut look = look("RUNNING");
        let application = look.application.as_mut().unwrap();
        (application.checkpoint_interval_seconds, application.checkpointing_enabled) = (interval, is_enabled);
        look
    };
    let refused_of = |fields: &Value, look: &PreflightLook| {
        refused(fields, look, 0).into_iter().map(|(field, problem)| format!("{field}: {problem}")).collect::<Vec<_>>()
    };
    let too_late = |interval| {
        let problem = format!("checkpoints come every {interval} s, so that none can be complete in time");
        vec![format!("policy.settleTimeoutSeconds: {problem}")]
    };
    let any = policy(json!({}));
    // The request, seconds from one checkpoint to the next, whether they are on, and what is refused.
    let table = [
        (&any, Some(599), true, vec![]),
        (&any, Some(600), true, too_late(600)),
        (&any, Some(3_600), true, too_late(3_600)),
        (&any, Some(3_600), false, vec![]),
        (&any, None, true, vec![]),
        (&policy(json!({ "requireCheckpoint": false })), Some(3_600), true, vec![]),
        // What the update sets counts, and a part of a second is one.
        (&updating(599_000), Some(3_600), true, vec![]),
        (&updating(599_001), Some(60), true, too_late(600)),
    ];
    for (fields, interval, is_enabled, expected) in table {
        assert_eq!(refused_of(fields, &with(interval, is_enabled)), expected, "{fields} {interval:?} {is_enabled}");
    }
}

/// The latest snapshot is of a version that was undone, where none was taken since.
#[test]
fn a_snapshot_of_a_version_that_was_undone_has_to_be_named() {
    let rolled_back = |newest: u64| PreflightLook {
        detail: json!({ "ApplicationVersionRolledBackFrom": 6, "ApplicationVersionRolledBackTo": 4 }),
        snapshots: vec![snapshot("new", "READY", newest, -10)],
        ..look("RUNNING")
    };
    let by_force = json!({ "stop": "force", "start": true });
    let refusal = |version: u64| {
        let holds = format!("and its newest READY snapshot, new, holds the state of version {version}");
        vec![("restore.type".to_owned(), format!("orders was rolled back from version 6 to version 4, {holds}"))]
    };
    for (newest, expected) in [(4, vec![]), (5, refusal(5)), (6, refusal(6)), (7, vec![])] {
        assert_eq!(refused(&by_force, &rolled_back(newest), 0), expected, "{newest}");
    }
    assert_eq!(refused(&json!({ "stop": "graceful", "start": true }), &rolled_back(6), 0), []);
}

/// What is refused of a restart by force, if something is.
fn refused_by_force(look: &PreflightLook) -> Option<(String, String)> {
    let mut refused = refused(&json!({ "stop": "force", "start": true }), look, 0);
    assert!(refused.len() <= 1, "{refused:?}");
    refused.pop()
}

/// The refusal of the newest snapshot, which holds the state of this version, for what the job at hand began with.
fn not_its_state(began: &str, newest: u64) -> (String, String) {
    let problem = format!("orders {began}, and its newest READY snapshot, new, holds the state of version {newest}");
    ("restore.type".to_owned(), problem)
}

/// A version's detail, of which the run configuration restores so.
fn restoring(restore: &str) -> Value {
    json!({ "ApplicationConfigurationDescription": { "RunConfigurationDescription": {
        "ApplicationRestoreConfigurationDescription": { "ApplicationRestoreType": restore } } } })
}

/// The latest snapshot is of another lineage where the version at hand began without state, and none was taken since.
#[test]
fn a_snapshot_from_before_a_start_without_state_has_to_be_named() {
    let began = |restore: &str, newest: u64| PreflightLook {
        detail: restoring(restore),
        snapshots: vec![snapshot("new", "READY", newest, -10)],
        ..look("RUNNING")
    };
    let by_force = json!({ "stop": "force", "start": true });
    let named = json!({ "stop": "force", "start": true,
        "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "new" } });
    let without = "SKIP_RESTORE_FROM_SNAPSHOT";
    let problem =
        "orders began without state at version 7, and its newest READY snapshot, new, holds the state of version 6";
    let refusal = vec![("restore.type".to_owned(), problem.to_owned())];
    assert_eq!(refused(&by_force, &began(without, 6), 0), refusal);
    assert_eq!(refused(&by_force, &began(without, 7), 0), []);
    assert_eq!(refused(&by_force, &began("RESTORE_FROM_LATEST_SNAPSHOT", 6), 0), []);
    assert_eq!(refused(&named, &began(without, 6), 0), []);
    assert_eq!(refused(&json!({ "stop": "graceful", "start": true }), &began(without, 6), 0), []);
    let stopped = PreflightLook { application: Some(application(7, "READY")), ..began(without, 6) };
    assert_eq!(refused(&json!({ "start": true }), &stopped, 0), refusal);
}

/// Updates in vain hide that the job began without state, and rollbacks pass over versions that were undone.
#[test]
fn the_lineage_is_looked_up_in_the_versions_since_the_snapshot() {
    let from_latest = || restoring("RESTORE_FROM_LATEST_SNAPSHOT");
    let skipping = || restoring("SKIP_RESTORE_FROM_SNAPSHOT");
    let undoing =
        |from: u64, to: u64| json!({ "ApplicationVersionRolledBackFrom": from, "ApplicationVersionRolledBackTo": to });
    let (without, back) =
        (Some("began without state at version 5"), Some("was rolled back from version 5 to version 3"));
    let table = [
        ("nothing was skipped", 4, vec![(6, from_latest()), (5, from_latest())], None),
        ("an update in vain came after it", 4, vec![(6, from_latest()), (5, skipping())], without),
        ("the snapshot is of the one that skipped", 5, vec![(6, from_latest())], None),
        ("what skipped was undone", 4, vec![(6, undoing(5, 4)), (5, skipping())], None),
        ("what the snapshot is of was undone", 4, vec![(6, undoing(5, 3)), (5, from_latest())], back),
        ("the version is not kept any more", 4, vec![(6, from_latest())], None),
        ("a rollback to what came later is none", 4, vec![(6, undoing(8, 9)), (5, skipping())], without),
    ];
    for (what, newest, versions, expected) in table {
        let look = PreflightLook {
            detail: from_latest(),
            snapshots: vec![snapshot("new", "READY", newest, -10)],
            versions: versions.into_iter().collect(),
            ..look("RUNNING")
        };
        assert_eq!(refused_by_force(&look), expected.map(|expected| not_its_state(expected, newest)), "{what}");
    }
}

/// A version that was started again since its snapshot was taken has its state from what that start says.
#[test]
fn a_start_after_the_snapshot_tells_the_lineage_of_its_version() {
    // Made so many seconds before now.
    let made = |mut detail: Value, seconds: i64| {
        detail["ApplicationVersionCreateTimestamp"] = json!(at(-seconds).as_second());
        detail
    };
    let custom = |name: &str| {
        let mut detail = restoring("RESTORE_FROM_CUSTOM_SNAPSHOT");
        detail["ApplicationConfigurationDescription"]["RunConfigurationDescription"]["ApplicationRestoreConfigurationDescription"]
            ["SnapshotName"] = name.into();
        detail
    };
    let undoing = |mut detail: Value| {
        detail["ApplicationVersionRolledBackFrom"] = 6.into();
        detail["ApplicationVersionRolledBackTo"] = 5.into();
        detail
    };
    let latest = || restoring("RESTORE_FROM_LATEST_SNAPSHOT");
    let skipping = || restoring("SKIP_RESTORE_FROM_SNAPSHOT");
    let without = Some("began without state at version 7");
    let other = Some("began with the snapshot old at version 7");
    // The snapshot is ten seconds old, and of version 7 unless it is said to be of 6.
    let table = [
        ("with the newest", 7, made(custom("new"), 90), None, Some(-5), None),
        ("with another", 7, made(custom("old"), 90), None, Some(-5), other),
        ("with another, before the snapshot was taken", 7, made(custom("old"), 90), None, Some(-50), None),
        ("with another, who knows when", 7, made(custom("old"), 90), None, None, None),
        ("a version of which it is not known when it was made", 7, custom("old"), None, Some(-5), None),
        ("with the latest", 7, made(latest(), 90), None, Some(-5), None),
        ("without state", 7, made(skipping(), 90), None, Some(-5), without),
        ("with another, after a rollback to it", 7, made(undoing(custom("old")), 90), None, Some(-5), other),
        ("a rollback to what began without state", 7, made(undoing(skipping()), 90), None, Some(-50), None),
        ("the start was of the next version", 6, made(latest(), 8), Some(made(skipping(), 90)), Some(-5), None),
        (
            "the start was of the version before",
            6,
            made(latest(), 3),
            Some(made(custom("old"), 90)),
            Some(-5),
            Some("began with the snapshot old at version 6"),
        ),
        ("the newest itself, after one without state", 6, custom("new"), Some(skipping()), None, None),
    ];
    for (what, newest, detail, before, started_at, expected) in table {
        let look = PreflightLook {
            detail,
            snapshots: vec![snapshot("new", "READY", newest, -10)],
            versions: before.map(|before| (6, before)).into_iter().collect(),
            started_at: started_at.map(at),
            ..look("RUNNING")
        };
        assert_eq!(refused_by_force(&look), expected.map(|expected| not_its_state(expected, newest)), "{what}");
    }
}

#[test]
fn only_a_start_from_the_newest_snapshot_needs_to_know_the_lineage() {
    let snapshots = [snapshot("half", "CREATING", 69, -1), snapshot("new", "READY", 66, -10)];
    let starts =
        |fields: &Value, status: &str| starts_from_newest(&request(fields), &application(70, status), &snapshots);
    let by_force = json!({ "stop": "force", "start": true });
    let graceful = json!({ "stop": "graceful", "start": true });
    let skipping = json!({ "stop": "force", "start": true, "restore": { "type": "SKIP_RESTORE_FROM_SNAPSHOT" } });
    assert!(starts(&by_force, "RUNNING") && starts(&json!({ "start": true }), "READY"));
    assert!(
        !starts(&graceful, "RUNNING") && !starts(&skipping, "RUNNING") && !starts(&json!({ "start": true }), "RUNNING")
    );
    assert!(!starts_from_newest(&request(&by_force), &application(70, "RUNNING"), &snapshots[..1]));
    let taking_one = json!({ "stop": "force", "start": true, "policy": { "preDeploySnapshot": true } });
    assert!(!starts(&taking_one, "RUNNING"));

    assert_eq!(versions_since_snapshot(&application(70, "RUNNING"), &snapshots), 66..70);
    assert_eq!(versions_since_snapshot(&application(90, "RUNNING"), &snapshots), 70..90, "the latest of very many");
    assert_eq!(versions_since_snapshot(&application(66, "RUNNING"), &snapshots).count(), 0);
    assert_eq!(versions_since_snapshot(&application(66, "RUNNING"), &[]).count(), 0);
}
