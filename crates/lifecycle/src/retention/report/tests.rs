use super::*;
use crate::fixtures::{at, snapshot};
use crate::retention::DeleteReason;

fn deletion(name: &str) -> Deletion {
    Deletion { snapshot: snapshot(name, "READY", 7, 0), created_at: at(0), reason: DeleteReason::NoRule }
}

fn kept(name: &str, reasons: &[KeepReason]) -> Kept {
    Kept { snapshot: snapshot(name, "READY", 7, 60), reasons: reasons.to_vec() }
}

/// Two snapshots that go and two that stay.
fn plan() -> Plan {
    Plan {
        delete: vec![deletion("a"), deletion("b")],
        keep: vec![
            kept("c", &[KeepReason::Young]),
            kept("d", &[KeepReason::NewestReady, KeepReason::Newest, KeepReason::Young]),
        ],
    }
}

/// The snapshots of [`plan`].
fn snapshots() -> Vec<Snapshot> {
    let plan = plan();
    let goes = plan.delete.into_iter().map(|deletion| deletion.snapshot);
    goes.chain(plan.keep.into_iter().map(|kept| kept.snapshot)).collect()
}

fn begun() -> PruneReport {
    PruneReport::begin("orders", false, &snapshots(), &plan(), None, at(100))
}

fn told(list: &[Told]) -> Vec<(&str, &str)> {
    list.iter().map(|told| (told.snapshot.as_str(), told.why.as_str())).collect()
}

#[test]
fn the_first_step_counts_what_there_is() {
    let report = begun();
    let newest = NewestReady { snapshot: "d".into(), age_seconds: Some(40) };
    let expected = PruneReport {
        is_gone: false,
        steps: 1,
        snapshots: 4,
        left: 2,
        kept_because: [(KeepReason::NewestReady, 1), (KeepReason::Newest, 1), (KeepReason::Young, 2)].into(),
        newest_ready: Some(newest),
        ..PruneReport::gone("orders", false)
    };
    assert_eq!(report, expected);
    let many: Vec<Snapshot> = (0..900).map(|number| snapshot(&format!("{number}"), "READY", 7, number)).collect();
    let warned = PruneReport::begin("orders", false, &many, &Plan::default(), None, at(1_000));
    assert_eq!(warned.warning, QuotaWarning::of(900));
}

#[test]
fn an_application_that_is_gone_has_nothing_to_prune() {
    let report = PruneReport::gone("orders", true);
    assert!(report.is_gone && report.dry_run);
    assert_eq!(
        (report.application.as_str(), report.next, report.snapshots, report.steps),
        ("orders", PruneNext::End, 0, 0)
    );
}

#[test]
fn a_step_goes_on_from_where_the_one_before_it_came_to() {
    let mut before = begun();
    before.delete(&deletion("a"));
    before.fail(&deletion("b"), "throttled");
    before.deployment = Some("run-1".into());
    before.go_on(10);
    assert_eq!((before.deleted, before.left, before.failed), (1, 1, 1));
    assert_eq!(before.failures, [Failure { snapshot: "b".into(), error: "throttled".into() }]);
    assert_eq!((before.next, before.wait_seconds), (PruneNext::Prune, 10));

    // Meanwhile `a` is gone and `c` has come of age.
    let later = Plan {
        delete: vec![deletion("b"), deletion("c"), deletion("e")],
        keep: vec![kept("d", &[KeepReason::NewestReady])],
    };
    let report = PruneReport::begin("orders", false, &snapshots()[1..3], &later, Some(before), at(200));
    let expected = PruneReport {
        is_gone: false,
        steps: 2,
        // As many as at the beginning.
        snapshots: 4,
        deleted: 1,
        left: 3,
        kept_because: [(KeepReason::NewestReady, 1)].into(),
        newest_ready: Some(NewestReady { snapshot: "c".into(), age_seconds: Some(140) }),
        goes: vec![Told::from(&deletion("a"))],
        ..PruneReport::gone("orders", false)
    };
    assert_eq!(report, expected, "what failed, and what was in the way, is asked anew");
}

#[test]
fn a_dry_run_tells_what_would_go_and_what_would_stay_and_why() {
    let mut report = begun();
    report.tell(&plan());
    assert_eq!(told(&report.goes), [("a", "no rule keeps it"), ("b", "no rule keeps it")]);
    let stays = [("c", "younger than the age"), ("d", "the newest READY one; among the newest; younger than the age")];
    assert_eq!(told(&report.stays), stays);
    assert_eq!((report.goes[0].version, report.goes[0].created_at), (7, Some(at(0))));
    assert_eq!(report.left_out, 0);
    assert_eq!((report.deleted, report.left), (0, 2));
}

#[test]
fn lists_are_as_long_as_the_state_machine_can_carry_and_the_rest_is_counted() {
    let name = |number: usize| format!("{number:0>250}");
    let plan = Plan {
        delete: (0..300).map(|number| deletion(&name(number))).collect(),
        keep: (300..700).map(|number| kept(&name(number), &[KeepReason::Newest])).collect(),
    };
    let mut report = PruneReport::begin("orders", true, &[], &plan, None, at(100));
    report.tell(&plan);
    let (goes, stays) = (report.goes.len(), report.stays.len());
    assert_eq!(goes + stays + report.left_out, 700);
    for list in [&report.goes, &report.stays] {
        let bytes = serde_json::to_string(list).unwrap().len();
        assert!((LARGEST_LIST_BYTES * 3 / 4..=LARGEST_LIST_BYTES).contains(&bytes), "{bytes} bytes");
    }
    for number in 0..2 {
        report.delete(&deletion(&name(number)));
    }
    assert_eq!((report.goes.len(), report.deleted, report.left), (goes, 2, 298));
    assert_eq!(goes + stays + report.left_out, 702);
}

#[test]
fn no_entry_takes_more_room_than_it_was_given() {
    for (name, reasons) in [
        ("s".repeat(256), vec![KeepReason::NewestReady, KeepReason::DeploymentUnderWay, KeepReason::NoCreationTime]),
        ("s".to_owned(), vec![KeepReason::TakenLater]),
        ("s".to_owned(), vec![]),
    ] {
        let told = Told::from(&kept(&name, &reasons));
        let bytes = serde_json::to_string(&told).unwrap().len();
        assert!((bytes..bytes + 60).contains(&told.bytes()), "{bytes} bytes, {} allowed for", told.bytes());
    }
}

#[test]
fn failures_are_all_counted_and_the_first_are_told() {
    let mut report = begun();
    for number in 0..=MOST_FAILURES {
        report.fail(&deletion(&format!("{number}")), &"ü".repeat(LONGEST_ERROR + 1));
    }
    assert_eq!(report.failed, MOST_FAILURES + 1);
    assert_eq!(report.failures.len(), MOST_FAILURES);
    assert_eq!(report.failures[0].snapshot, "0");
    assert_eq!(report.failures[0].error, "ü".repeat(LONGEST_ERROR));
}

#[test]
fn room_is_waited_for_while_there_is_hope_of_it() {
    let after = |change: fn(&mut PruneReport)| {
        let mut report = begun();
        change(&mut report);
        report.wait_for_room();
        (report.next, report.wait_seconds)
    };
    let waits = (PruneNext::Prune, ROOM_SECONDS);
    let ends = (PruneNext::End, 0);
    assert_eq!(after(|_| {}), waits);
    assert_eq!(after(|report| report.room_lacking = 1), ends);
    assert_eq!(after(|report| report.deployment = Some("run-1".into())), ends);
    assert_eq!(after(|report| report.steps = MOST_STEPS_FOR_ROOM), ends);
    assert_eq!(after(|report| report.steps = MOST_STEPS_FOR_ROOM - 1), waits);
    assert_eq!(after(|report| report.go_on(1)), (PruneNext::Prune, 1), "there is more to do, and soon");
}
