//! Tables for each protection and each rule, and the properties that hold for any snapshots, any settings and any state
//! of the application. The random cases are the same in every run.

use fastrand::Rng;
use serde_json::json;

use super::*;
use crate::fixtures::at;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const CASES: u64 = 2_000;

/// A READY snapshot of ours, of version 7, so many seconds after [`at`] zero.
fn ours(created: i64) -> Snapshot {
    of_version(7, created)
}

fn of_version(version: u64, created: i64) -> Snapshot {
    let name = format!("scheduled-{created}-{version}");
    Snapshot { name, status: SnapshotStatus::Ready, version, created_at: Some(at(created)), key: None }
}

/// One that this retention keeps by no rule, unless it is the very newest.
fn strict() -> Retention {
    Retention { keep_newest: 1, keep_younger_than_hours: 0, rollback_window_hours: 0, ..Retention::default() }
}

fn at_version(version: u64) -> Protections {
    Protections { version: Some(version), ..Protections::default() }
}

fn reasons_of(plan: &Plan, name: &str) -> Option<Vec<KeepReason>> {
    plan.keep.iter().find(|kept| kept.snapshot.name == name).map(|kept| kept.reasons.clone())
}

fn deleted(plan: &Plan) -> Vec<&str> {
    plan.delete.iter().map(|deletion| deletion.snapshot.name.as_str()).collect()
}

fn kept(plan: &Plan) -> Vec<&str> {
    plan.keep.iter().map(|kept| kept.snapshot.name.as_str()).collect()
}

#[test]
fn the_newest_ready_one_stays_whatever_is_newer() {
    let mut creating = ours(3);
    creating.status = SnapshotStatus::Creating;
    let mut failed = ours(4);
    failed.status = SnapshotStatus::Failed;
    let snapshots = [ours(1), ours(2), creating, failed];
    let plan = plan(&strict(), &snapshots, &at_version(7), at(10 * DAY));
    assert_eq!(kept(&plan), ["scheduled-2-7", "scheduled-3-7"]);
    let newest = [KeepReason::NewestReady, KeepReason::LastOfVersion, KeepReason::Newest];
    assert_eq!(reasons_of(&plan, "scheduled-2-7").unwrap(), newest);
    assert_eq!(reasons_of(&plan, "scheduled-3-7").unwrap(), [KeepReason::UnderWay]);
    let reasons: Vec<_> = plan.delete.iter().map(|deletion| deletion.reason).collect();
    assert_eq!(deleted(&plan), ["scheduled-1-7", "scheduled-4-7"]);
    assert_eq!(reasons, [DeleteReason::NoRule, DeleteReason::Failed]);
}

/// Nine snapshots, of which the first is looked at.
fn with_others(first: Snapshot) -> Vec<Snapshot> {
    [first].into_iter().chain((1..9).map(|day| ours(day * DAY))).collect()
}

#[test]
fn each_protection_alone_keeps_a_snapshot() {
    let first = || ours(0);
    let name = first().name;
    let cases: [(KeepReason, Snapshot, Protections); 6] = [
        (KeepReason::RunConfiguration, first(), Protections { run_configuration: Some(name.clone()), ..at_version(7) }),
        (KeepReason::UnderWay, Snapshot { status: SnapshotStatus::Creating, ..first() }, at_version(7)),
        (KeepReason::UnderWay, Snapshot { status: SnapshotStatus::Deleting, ..first() }, at_version(7)),
        (KeepReason::UnknownStatus, Snapshot { status: "FROZEN".into(), ..first() }, at_version(7)),
        (KeepReason::NoCreationTime, Snapshot { created_at: None, ..first() }, at_version(7)),
        (KeepReason::NotOurs, Snapshot { name: "by-hand".into(), ..first() }, at_version(7)),
    ];
    for (reason, first, protections) in cases {
        let plan = plan(&strict(), &with_others(first.clone()), &protections, at(30 * DAY));
        assert_eq!(reasons_of(&plan, &first.name), Some(vec![reason]), "{first:?}");
        assert_eq!(plan.delete.len(), 7, "{first:?}");
    }
    let nothing = plan(&strict(), &with_others(first()), &at_version(7), at(30 * DAY));
    assert_eq!(reasons_of(&nothing, &name), None);
}

#[test]
fn while_a_deployment_is_under_way_nothing_goes() {
    let under_way = Protections { deployment: Some("run-1".into()), ..at_version(7) };
    let mut plan = plan(&strict(), &with_others(ours(0)), &under_way, at(30 * DAY));
    assert_eq!((plan.keep.len(), plan.make_room(1_000)), (9, 9));
    assert_eq!(plan.delete, []);
    assert_eq!(plan.keep[0].reasons, [KeepReason::DeploymentUnderWay]);
}

#[test]
fn the_last_one_of_a_version_stays_as_long_as_one_may_go_back_to_it() {
    let retention = Retention { rollback_window_hours: 48, ..strict() };
    // Version 5 ran for a day, 6 for a day, and 7 runs since the third.
    let snapshots = [of_version(5, 0), of_version(5, 10), of_version(6, DAY), of_version(7, 2 * DAY), ours(3 * DAY)];
    let current = |since| Protections { version_since: since, ..at_version(7) };
    // By the time when version 7 was made.
    let since = Some(at(2 * DAY - 60));
    let kept_at = |now: i64, protections: &Protections| {
        let plan = plan(&retention, &snapshots, protections, at(now));
        kept(&plan).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let (five, six, seven) = ("scheduled-10-5", "scheduled-86400-6", "scheduled-259200-7");
    assert_eq!(kept_at(3 * DAY, &current(since)), [five, six, seven], "a version of the day before yesterday");
    assert_eq!(kept_at(3 * DAY + 1, &current(since)), [six, seven], "6 was made a second too long ago");
    assert_eq!(kept_at(4 * DAY - 60, &current(since)), [six, seven]);
    assert_eq!(kept_at(4 * DAY - 59, &current(since)), [seven]);
    // Where that time is not known, by the first snapshot of a later version.
    assert_eq!(kept_at(4 * DAY, &current(None)), [six, seven]);
    assert_eq!(kept_at(4 * DAY + 1, &current(None)), [seven]);
    // What the application is at, is never gone, however long ago its snapshot was taken.
    assert_eq!(kept_at(900 * DAY, &current(since)), [seven]);
    // With no version known, the last version that shows counts as the present one.
    assert_eq!(kept_at(900 * DAY, &Protections::default()), [seven]);
}

#[test]
fn a_version_without_a_snapshot_after_it_may_still_run() {
    let retention = Retention { any_prefix: true, ..strict() };
    let mut by_hand = ours(DAY);
    by_hand.name = "by-hand".into();
    // The application went to version 8, which has no snapshot yet.
    let snapshots = [of_version(6, 0), by_hand];
    let unknown = plan(&retention, &snapshots, &at_version(8), at(2 * DAY));
    assert_eq!(reasons_of(&unknown, "by-hand").unwrap()[1], KeepReason::LastOfVersion);
    let known = Protections { version_since: Some(at(2 * DAY)), ..at_version(8) };
    let plan = plan(&retention, &snapshots, &known, at(2 * DAY + 1));
    assert_eq!(reasons_of(&plan, "by-hand").unwrap(), [KeepReason::NewestReady, KeepReason::Newest]);
}

#[test]
fn the_rules_keep_what_they_say_and_no_more() {
    // One at eight, one at noon and one at ten in the evening of each of 400 days; at(0) is eight on a Friday.
    let moments = (0..400).flat_map(|day| [0, 4, 14].map(|hour| day * DAY + hour * HOUR));
    let mut snapshots: Vec<Snapshot> = moments.map(ours).collect();
    // Those of other people do not count, not even as the newest of a day.
    snapshots.push(Snapshot { name: "by-hand".into(), ..ours(399 * DAY + 15 * HOUR) });
    let now = at(399 * DAY + 15 * HOUR + 1);
    let kept_by = |reason: KeepReason, retention: &Retention| -> Vec<Timestamp> {
        let plan = plan(retention, &snapshots, &at_version(7), now);
        let kept = plan.keep.iter().filter(|kept| kept.reasons.contains(&reason));
        kept.map(|kept| kept.snapshot.created_at.unwrap()).collect()
    };
    let times = |days: &[i64]| days.iter().map(|day| at(day * DAY + 14 * HOUR)).collect::<Vec<_>>();

    let newest = Retention { keep_newest: 3, ..strict() };
    assert_eq!(
        kept_by(KeepReason::Newest, &newest),
        [at(399 * DAY), at(399 * DAY + 4 * HOUR), at(399 * DAY + 14 * HOUR)]
    );
    let young = Retention { keep_younger_than_hours: 12, ..strict() };
    assert_eq!(kept_by(KeepReason::Young, &young), [at(399 * DAY + 4 * HOUR), at(399 * DAY + 14 * HOUR)]);
    let to_the_second = plan(&young, &[ours(0), ours(1), ours(2)], &at_version(7), at(12 * HOUR + 1));
    assert_eq!(
        deleted(&to_the_second),
        ["scheduled-0-7", "scheduled-1-7"],
        "one that is as old as that is not younger"
    );
    let daily = Retention { daily: 4, ..strict() };
    assert_eq!(kept_by(KeepReason::Daily, &daily), times(&[396, 397, 398, 399]));
    // Day 399 is Friday, 2027-12-24; the Sundays before are 394 and 387.
    let weekly = Retention { weekly: 3, ..strict() };
    assert_eq!(kept_by(KeepReason::Weekly, &weekly), times(&[387, 394, 399]));
    // The ends of October and November.
    let monthly = Retention { monthly: 3, ..strict() };
    assert_eq!(kept_by(KeepReason::Monthly, &monthly), times(&[345, 375, 399]));
    let years = Retention { monthly: 120, ..strict() };
    assert_eq!(kept_by(KeepReason::Monthly, &years).len(), 14, "November 2026 to December 2027");
}

#[test]
fn weeks_begin_on_monday_and_belong_to_the_year_of_their_thursday() {
    let named =
        |name: &str| Snapshot { name: format!("scheduled-{name}"), created_at: Some(name.parse().unwrap()), ..ours(0) };
    // Monday, 2026-12-28, to Sunday, 2027-01-03, is the 53rd week of 2026.
    let snapshots: Vec<Snapshot> =
        ["2026-12-27T23:59:59.999Z", "2026-12-28T00:00:00Z", "2027-01-03T23:59:59.999Z", "2027-01-04T00:00:00Z"]
            .map(named)
            .into();
    let retention = Retention { weekly: 3, ..strict() };
    let plan = plan(&retention, &snapshots, &at_version(7), "2027-02-01T00:00:00Z".parse().unwrap());
    assert_eq!(deleted(&plan), ["scheduled-2026-12-28T00:00:00Z"]);
}

#[test]
fn a_schedule_that_stood_still_loses_nothing() {
    let snapshots: Vec<Snapshot> = (0..10).map(|day| ours(day * DAY)).collect();
    let retention = Retention { daily: 4, ..strict() };
    let plan = plan(&retention, &snapshots, &at_version(7), at(300 * DAY));
    assert_eq!(plan.keep.len(), 4);
}

#[test]
fn a_failed_one_stays_for_its_age_only() {
    let failed = |created| Snapshot { status: SnapshotStatus::Failed, ..ours(created) };
    let snapshots = [failed(0), failed(2 * HOUR), ours(HOUR)];
    let retention = Retention { keep_newest: 10, keep_younger_than_hours: 1, daily: 10, ..strict() };
    let plan = plan(&retention, &snapshots, &at_version(7), at(2 * HOUR));
    assert_eq!(reasons_of(&plan, "scheduled-7200-7").unwrap(), [KeepReason::Young]);
    assert_eq!(deleted(&plan), ["scheduled-0-7"]);
}

#[test]
fn a_sweep_takes_all_under_a_key_but_what_is_protected() {
    let under = |key: Option<&str>, created| Snapshot { key: key.map(str::to_owned), ..ours(created) };
    let old = "arn:aws:kms:eu-west-1:123456789012:key/old";
    let snapshots = [
        under(Some(old), 0),
        under(Some("arn:aws:kms:eu-west-1:123456789012:key/new"), 1),
        under(None, 2),
        under(Some(old), 3),
        under(Some(AWS_OWNED_KEY), 4),
        under(Some(old), 5),
    ];
    let sweep = |under_key: Option<&str>, taken_before| Retention {
        sweep: Some(Sweep { under_key: under_key.map(str::to_owned), taken_before }),
        keep_younger_than_hours: 1_000,
        ..Retention::default()
    };
    let by_key = plan(&sweep(Some(old), None), &snapshots, &at_version(7), at(10));
    assert_eq!(deleted(&by_key), ["scheduled-0-7", "scheduled-3-7"], "the newest READY one stays, whatever its key");
    assert!(by_key.delete.iter().all(|deletion| deletion.reason == DeleteReason::Swept));
    assert_eq!(reasons_of(&by_key, "scheduled-1-7").unwrap(), [KeepReason::OtherKey]);
    assert_eq!(reasons_of(&by_key, "scheduled-2-7").unwrap(), [KeepReason::KeyNotShown]);
    let owned = plan(&sweep(Some(AWS_OWNED_KEY), None), &snapshots, &at_version(7), at(10));
    assert_eq!(deleted(&owned), ["scheduled-4-7"]);
    let by_time = plan(&sweep(None, Some(at(3))), &snapshots, &at_version(7), at(10));
    assert_eq!(deleted(&by_time), ["scheduled-0-7", "scheduled-1-7", "scheduled-2-7"]);
    assert_eq!(reasons_of(&by_time, "scheduled-3-7").unwrap(), [KeepReason::TakenLater]);
    let both = plan(&sweep(Some(old), Some(at(3))), &snapshots, &at_version(7), at(10));
    assert_eq!(deleted(&both), ["scheduled-0-7"]);
}

#[test]
fn one_that_two_pages_show_is_one() {
    let creating = Snapshot { status: SnapshotStatus::Creating, ..ours(0) };
    for snapshots in [[ours(0), creating.clone(), ours(1)], [creating, ours(1), ours(0)]] {
        let plan = plan(&strict(), &snapshots, &at_version(7), at(DAY));
        assert_eq!(reasons_of(&plan, "scheduled-0-7").unwrap(), [KeepReason::UnderWay]);
        assert_eq!((plan.keep.len(), plan.delete.len()), (2, 0));
    }
}

#[test]
fn room_is_made_of_what_only_an_age_or_the_ladder_keeps() {
    let by_hand = |created| Snapshot { name: format!("by-hand-{created}"), ..ours(created) };
    let snapshots: Vec<Snapshot> = (0..600).map(by_hand).chain((600..1_000).map(ours)).collect();
    let retention = Retention { keep_newest: 300, keep_younger_than_hours: 1, ..Retention::default() };
    let full = plan(&retention, &snapshots, &at_version(7), at(1_000));
    assert_eq!((full.keep.len(), full.delete.len()), (1_000, 0));
    for (wanted, made, lacking) in [(0, 0, 0), (1, 1, 0), (100, 100, 0), (101, 100, 1)] {
        let mut plan = full.clone();
        assert_eq!(plan.make_room(wanted), lacking, "{wanted}");
        let expected: Vec<String> = (600..600 + made).map(|created| ours(created).name).collect();
        assert_eq!(deleted(&plan), expected);
        assert!(plan.delete.iter().all(|deletion| deletion.reason == DeleteReason::MadeRoom));
        assert_eq!(plan.keep.len() + plan.delete.len(), 1_000);
    }
    // What is on its way out makes room, too.
    let mut going = full.clone();
    going.keep[0].snapshot.status = SnapshotStatus::Deleting;
    assert_eq!((going.make_room(2), going.delete.len()), (0, 1));
    // What goes anyhow makes room first.
    let mut with_waste =
        plan(&Retention { keep_younger_than_hours: 0, ..retention }, &snapshots, &at_version(7), at(1_000));
    assert_eq!(with_waste.delete.len(), 100);
    assert_eq!(with_waste.make_room(100), 0);
    assert_eq!(with_waste.delete.len(), 100);
}

#[test]
fn what_a_start_would_restore_is_the_newest_ready_one() {
    let failed = Snapshot { status: SnapshotStatus::Failed, ..ours(9) };
    let snapshots = [ours(1), ours(3), failed, ours(2)];
    assert_eq!(newest_ready(&snapshots), Some(&ours(3)));
    assert_eq!(newest_ready(&snapshots[2..3]), None);
}

#[test]
fn nine_hundred_are_worth_a_warning() {
    assert_eq!(QuotaWarning::of(899), None);
    assert_eq!(QuotaWarning::of(900), Some(QuotaWarning { snapshots: 900, quota: 1_000 }));
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    assert_eq!(Retention::default().refusals(), []);
    let limits = json!({
        "keepNewest": 800, "keepYoungerThanHours": 87_600, "daily": 366, "weekly": 260, "monthly": 120,
        "rollbackWindowHours": 8_760, "prefix": "a".repeat(200),
    });
    assert_eq!(serde_json::from_value::<Retention>(limits).unwrap().refusals(), []);
    let cases = [
        ("retention.keepNewest", json!({ "keepNewest": 0 })),
        ("retention.keepNewest", json!({ "keepNewest": 801 })),
        ("retention.keepYoungerThanHours", json!({ "keepYoungerThanHours": 87_601 })),
        ("retention.daily", json!({ "daily": 367 })),
        ("retention.weekly", json!({ "weekly": 261 })),
        ("retention.monthly", json!({ "monthly": 121 })),
        ("retention.rollbackWindowHours", json!({ "rollbackWindowHours": 8_761 })),
        ("retention.prefix", json!({ "prefix": "" })),
        ("retention.prefix", json!({ "prefix": "a".repeat(201) })),
        ("retention.prefix", json!({ "prefix": "täglich-" })),
        ("retention.prefix", json!({ "prefix": "a b" })),
        ("retention.sweep", json!({ "sweep": {} })),
        ("retention.sweep.underKey", json!({ "sweep": { "underKey": "" } })),
        ("retention.sweep.underKey", json!({ "sweep": { "underKey": "k".repeat(2_049) } })),
    ];
    for (field, value) in cases {
        let retention: Retention = serde_json::from_value(value.clone()).unwrap();
        let fields: Vec<String> = retention.refusals().into_iter().map(|refusal| refusal.field).collect();
        assert_eq!(fields, [field], "{value}");
    }
    for value in [json!({ "keepNewst": 1 }), json!({ "keepNewest": -1 }), json!({ "sweep": { "key": "x" } })] {
        assert!(serde_json::from_value::<Retention>(value.clone()).is_err(), "{value}");
    }
}

/// A case: settings, snapshots and what is known of the application, all at random.
struct Case {
    retention: Retention,
    snapshots: Vec<Snapshot>,
    protections: Protections,
    now: Timestamp,
}

const NOW: i64 = 100 * DAY;

impl Case {
    fn random(random: &mut Rng) -> Self {
        let snapshots: Vec<Snapshot> = (0..random.usize(..40)).map(|number| random_snapshot(random, number)).collect();
        let some_name = random.choice(&snapshots).map(|snapshot| snapshot.name.clone());
        let protections = Protections {
            version: (random.u8(..4) > 0).then(|| random.u64(1..9)),
            version_since: random.bool().then(|| at(random.i64(0..NOW))),
            run_configuration: some_name.filter(|_| random.bool()),
            deployment: (random.u8(..10) == 0).then(|| "run-1".to_owned()),
        };
        let sweep = (random.u8(..4) == 0).then(|| Sweep {
            under_key: random.bool().then(|| "key-1".to_owned()),
            taken_before: Some(at(random.i64(0..NOW))),
        });
        let retention = Retention {
            keep_newest: random.u32(1..6),
            keep_younger_than_hours: random.u32(..400),
            daily: random.u32(..6),
            weekly: random.u32(..4),
            monthly: random.u32(..3),
            any_prefix: random.bool(),
            rollback_window_hours: random.u32(..600),
            sweep,
            ..Retention::default()
        };
        Self { retention, snapshots, protections, now: at(NOW) }
    }

    fn plan(&self) -> Plan {
        plan(&self.retention, &self.snapshots, &self.protections, self.now)
    }
}

fn random_snapshot(random: &mut Rng, number: usize) -> Snapshot {
    let prefix = ["scheduled-", "scheduled-", "by-hand-"][random.usize(..3)];
    let status = ["READY", "READY", "READY", "READY", "FAILED", "CREATING", "DELETING", "FROZEN"][random.usize(..8)];
    // Few distinct moments, so that some coincide; some are in the future of a clock that is behind.
    let created = random.i64(0..210) * (DAY / 2);
    Snapshot {
        name: format!("{prefix}{number}"),
        status: status.into(),
        version: random.u64(1..8),
        created_at: (random.u8(..20) > 0).then(|| at(created)),
        key: [None, Some("key-1".to_owned()), Some("key-2".to_owned())][random.usize(..3)].clone(),
    }
}

fn for_any_case(check: impl Fn(&Case, &mut Rng)) {
    for seed in 0..CASES {
        let mut random = Rng::with_seed(seed);
        let case = Case::random(&mut random);
        check(&case, &mut random);
    }
}

#[test]
fn no_protection_is_ever_broken() {
    for_any_case(|case, random| {
        let mut plan = case.plan();
        plan.make_room(random.usize(900..1_100));
        assert!(plan.delete.is_sorted_by_key(|deletion| deletion.created_at));
        let goes: BTreeSet<&str> = deleted(&plan).into_iter().collect();
        for snapshot in plan.delete.iter().map(|deletion| &deletion.snapshot) {
            assert!(matches!(snapshot.status, SnapshotStatus::Ready | SnapshotStatus::Failed), "{snapshot:?}");
            assert!(snapshot.created_at.is_some(), "{snapshot:?}");
            assert!(case.retention.any_prefix || snapshot.name.starts_with("scheduled-"), "{snapshot:?}");
            assert_ne!(Some(&snapshot.name), case.protections.run_configuration.as_ref());
            assert_eq!(case.protections.deployment, None);
        }
        let ready: Vec<&Snapshot> =
            case.snapshots.iter().filter(|snapshot| snapshot.status == SnapshotStatus::Ready).collect();
        // What is left holds one as new as the newest that there was, and as new as the newest of each version that the
        // application is at, or of which a snapshot was taken within the window.
        let newest = ready.iter().filter_map(|snapshot| snapshot.created_at).max();
        let stays = |test: &dyn Fn(&Snapshot) -> bool, created: Option<Timestamp>| {
            let mut left = ready.iter().filter(|snapshot| !goes.contains(snapshot.name.as_str()) && test(snapshot));
            left.any(|snapshot| snapshot.created_at == created)
        };
        assert!(newest.is_none() || stays(&|_| true, newest));
        let window = hours_before(case.now, case.retention.rollback_window_hours);
        for version in 1..8 {
            let is_of = |snapshot: &Snapshot| snapshot.version == version;
            let last = ready.iter().filter(|snapshot| is_of(snapshot)).filter_map(|snapshot| snapshot.created_at).max();
            let is_current = case.protections.version.is_some_and(|current| version >= current);
            let mut later = case.snapshots.iter().filter(|snapshot| snapshot.version > version);
            let ran_before_later = later.all(|snapshot| snapshot.created_at.is_none_or(|at| at >= window));
            let current_is_young =
                case.protections.version.and(case.protections.version_since).is_none_or(|at| at >= window);
            if is_current || (ran_before_later && current_is_young) {
                assert!(last.is_none() || stays(&is_of, last), "version {version}");
            }
        }
    });
}

#[test]
fn every_snapshot_is_in_one_list_oldest_first_and_every_one_that_stays_has_a_reason() {
    for_any_case(|case, _| {
        let plan = case.plan();
        let mut names: Vec<&str> = kept(&plan).into_iter().chain(deleted(&plan)).collect();
        names.sort_unstable();
        let mut all: Vec<&str> = case.snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
        all.sort_unstable();
        assert_eq!(names, all);
        assert!(plan.keep.iter().all(|kept| !kept.reasons.is_empty()));
        assert!(plan.keep.is_sorted_by_key(|kept| kept.snapshot.created_at));
        assert!(plan.delete.is_sorted_by_key(|deletion| deletion.snapshot.created_at));
    });
}

#[test]
fn asking_to_keep_more_never_deletes_more() {
    for_any_case(|case, random| {
        let mut more = case.retention.clone();
        match random.u8(..6) {
            0 => more.keep_newest += random.u32(1..5),
            1 => more.keep_younger_than_hours += random.u32(1..500),
            2 => more.daily += random.u32(1..5),
            3 => more.weekly += random.u32(1..5),
            4 => more.monthly += random.u32(1..5),
            _ => more.rollback_window_hours += random.u32(1..500),
        }
        let before = case.plan();
        let after = plan(&more, &case.snapshots, &case.protections, case.now);
        let before: BTreeSet<&str> = deleted(&before).into_iter().collect();
        assert!(deleted(&after).iter().all(|name| before.contains(name)), "{:?} {more:?}", case.retention);
    });
}

#[test]
fn planning_again_after_the_deletions_deletes_nothing() {
    for_any_case(|case, _| {
        let first = case.plan();
        let left: Vec<Snapshot> = first.keep.into_iter().map(|kept| kept.snapshot).collect();
        let second = plan(&case.retention, &left, &case.protections, case.now);
        assert_eq!(deleted(&second), Vec::<&str>::new());
    });
}

#[test]
fn a_part_of_the_deletions_changes_nothing_of_the_rest() {
    for_any_case(|case, random| {
        let whole = case.plan();
        let gone: BTreeSet<&str> = deleted(&whole).into_iter().filter(|_| random.bool()).collect();
        let is_left = |snapshot: &&Snapshot| !gone.contains(snapshot.name.as_str());
        let left: Vec<Snapshot> = case.snapshots.iter().filter(is_left).cloned().collect();
        let rest = plan(&case.retention, &left, &case.protections, case.now);
        let whole_goes: BTreeSet<&str> = deleted(&whole).into_iter().collect();
        assert!(deleted(&rest).iter().all(|name| whole_goes.contains(name)));
    });
}

#[test]
fn the_order_of_the_list_changes_nothing() {
    for_any_case(|case, random| {
        let mut shuffled = case.snapshots.clone();
        random.shuffle(&mut shuffled);
        assert_eq!(plan(&case.retention, &shuffled, &case.protections, case.now), case.plan());
    });
}

#[test]
fn what_stays_of_ours_is_bounded() {
    for_any_case(|case, _| {
        let retention =
            Retention { keep_younger_than_hours: 0, sweep: None, any_prefix: true, ..case.retention.clone() };
        let protections = Protections { deployment: None, ..case.protections.clone() };
        let plan = plan(&retention, &case.snapshots, &protections, case.now);
        let can_go = |kept: &&Kept| {
            let snapshot = &kept.snapshot;
            let is_past = snapshot.created_at.is_some_and(|created| created <= case.now);
            is_past && matches!(snapshot.status, SnapshotStatus::Ready | SnapshotStatus::Failed)
        };
        let stays = plan.keep.iter().filter(can_go).count();
        let by_rules = retention.keep_newest + retention.daily + retention.weekly + retention.monthly;
        // The newest, one named by the run configuration, and the last of each of seven versions.
        let bound = usize::try_from(by_rules).unwrap() + 2 + 7;
        assert!(stays <= bound, "{stays} of at most {bound}");
    });
}
