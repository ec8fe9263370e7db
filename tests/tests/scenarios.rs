//! Every scenario of the catalogue, in virtual time: its outcome, its changing calls in order, and the nine safety rules.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::Validator;
use lifecycle::cause::Kind;
use lifecycle::report::Outcome;
use scenarios::catalogue::{catalogue, scenario};
use scenarios::scenario::{Crash, CrashKind, Deployed, Run, Scenario, calls_of};
use serde_json::Value;

use crate::schema::{closed, mistakes_of, schema, validator};

#[path = "support/schema.rs"]
mod schema;

/// Describes reports, all their members.
static REPORT: LazyLock<Validator> = LazyLock::new(|| validator(&closed(schema("report"))));

/// Declares a test for each of these scenarios.
macro_rules! scenarios {
    ($($name:ident,)+) => {
        $(#[test]
        fn $name() {
            ends_as_it_must(stringify!($name));
        })+

        const TESTED: &[&str] = &[$(stringify!($name)),+];
    };
}

scenarios! {
    healthy,
    healthy_then_crash_loop,
    no_change,
    no_change_of_a_crash_loop,
    property_change,
    parallelism_change,
    runtime_upgrade,
    runtime_2_3,
    runtime_1_15,
    monitoring_change,
    encryption_key_change,
    vpc_change,
    role_change,
    enable_system_rollback,
    field_newer_than_the_sdk,
    checkpointing_off,
    no_bake,
    unpinned_code_at_the_same_key,
    batch_job_finishes,
    batch_job_finishes_at_once,
    slow_state_restore,
    stopped_stays_stopped,
    stopped_is_started,
    stopped_is_started_without_a_change,
    stopped_and_the_change_crash_loops,
    stopped_batch_job,
    first_deploy_needs_a_word,
    first_deploy,
    first_deploy_is_bad,
    first_deploy_does_not_start,
    snapshots_disabled,
    snapshots_disabled_and_skipped,
    enable_snapshots,
    pre_deploy_snapshot,
    pre_deploy_snapshot_fails,
    thousand_snapshots,
    thousand_snapshots_and_one_more,
    named_snapshot,
    named_snapshot_and_a_crash_loop,
    skip_restore,
    incompatible_state,
    incompatible_state_skipped,
    removed_operator,
    removed_operator_allowed,
    code_not_readable,
    crash_loop_in_open,
    crash_loop_on_2_2,
    crash_loop_on_1_18,
    loop_of_40_seconds,
    loop_of_90_seconds,
    loop_of_4_minutes,
    loop_of_4_minutes_on_2_2,
    exponential_restart_delay,
    steep_restart_delay,
    no_restart,
    one_restart,
    two_restarts,
    three_restarts,
    three_restarts_tolerated,
    no_restart_tolerated,
    fails_after_4_minutes,
    fails_after_the_bake,
    fails_within_a_long_bake,
    restore_that_never_ends,
    failing_checkpoints,
    checkpoints_fail_in_the_bake,
    failing_checkpoints_allowed,
    rare_checkpoints,
    checkpoint_too_rare,
    policy_hold,
    policy_hold_and_healthy,
    policy_hold_and_main_throws,
    fix_for_a_crash_loop,
    main_throws,
    no_execute,
    missing_main_class,
    corrupt_jar,
    system_rollback,
    system_rollback_before_the_update_is_known,
    system_rollback_fails,
    system_rollback_does_not_see_a_crash_loop,
    update_never_ends,
    slow_snapshot,
    update_fails,
    rollback_rejected,
    rollback_rejected_without_a_snapshot,
    rollback_rejected_and_the_snapshot_is_gone,
    rollback_fails,
    rollback_never_ends,
    forced_stop_rejected,
    forced_stop_fails,
    forced_stop_never_ends,
    start_back_fails,
    start_back_never_ends,
    update_cannot_take_its_snapshot_but_there_is_an_older_one,
    update_cannot_take_its_snapshot,
    deadline,
    old_code_overwritten,
    old_code_deleted,
    old_code_deleted_and_a_crash_loop,
    unpinned_code_and_a_crash_loop,
    only_the_bad_versions_snapshot_is_left,
    unpinned_code_does_not_start,
    maintenance_before,
    maintenance_in_between,
    maintenance_while_it_settles,
    maintenance_and_a_crash_loop,
    maintenance_never_ends,
    autoscaling_before,
    autoscaling_in_between,
    lost_task_manager,
    somebody_updates_first,
    somebody_rolls_back,
    somebody_updates_in_the_bake,
    somebody_updates_as_it_settles,
    somebody_updates_before_the_rollback,
    somebody_stops_it_first,
    somebody_stops_it,
    somebody_stops_it_as_it_settles,
    somebody_forces_a_stop,
    somebody_stops_a_crash_loop,
    somebody_stops_it_as_the_rollback_ends,
    somebody_deletes_it,
    somebody_deletes_it_after_the_update,
    somebody_deletes_it_as_it_settles,
    alarm,
    alarm_before,
    alarm_unknown,
    second_waits,
    second_waits_from_the_start,
    three_in_a_minute,
    second_is_bad,
    first_is_bad,
    duplicate_execution,
    newest_upload_wins,
    late_upload,
    upload_and_a_person,
    aborted_in_its_turn,
    aborted_while_it_waits,
    aborted_and_rolled_back_by_the_service,
    turn_never_comes,
    turn_is_seen_late,
    turn_answer_lost,
    turns_throttled,
    turns_forbidden,
    take_turn_dies,
    stop,
    stop_of_a_stopped_one,
    stop_without_snapshots,
    finished_before_the_stop,
    force_stop,
    stop_then_start,
    maintenance_unseen,
    start_after_one_that_failed,
    correction_seen_late,
    start_of_a_running_one,
    stop_and_update,
    restart,
    restart_by_force,
    restart_from_a_named_snapshot,
    restart_whose_snapshot_is_deleted,
    restart_by_force_without_a_snapshot,
    restart_without_state,
    restart_of_a_stopped_one,
    correct_a_crash_loop,
    correct_a_crash_loop_in_vain,
    correct_a_hanging_update_in_vain,
    correction_refused,
    stop_update_start_and_undo,
    stop_of_a_crash_loop,
    restart_of_a_crash_loop,
    stop_cuts_a_hanging_update_short,
    somebody_updates_before_the_stop,
    somebody_forces_a_stop_before_the_restart,
    stop_answer_lost,
    stop_dies_after,
    stop_fails_unheard,
    start_unheard_then_stopped,
    restart_by_force_of_another_lineage,
    restart_aborted_then_another,
    flink_404,
    flink_503,
    flink_never_readable,
    crash_loop_never_readable,
    half_answers,
    half_answers_only,
    empty_answers,
    no_restart_count,
    url_late,
    url_expires,
    url_never_valid,
    no_url,
    no_exceptions,
    no_exceptions_but_a_log,
    no_exceptions_but_a_log_with_secrets,
    no_exceptions_and_no_log_to_be_read,
    slow_answers,
    stale_reads,
    only_the_past_is_told,
    service_down,
    service_stays_down,
    unknown_status,
    notification_fails,
    notification_is_late,
    no_job_shown,
    notification_fails_after_a_rollback,
    cloudwatch_down,
    cloudwatch_stays_down,
    crash_loop_without_cloudwatch,
    throttling_everywhere,
    throttling_and_a_crash_loop,
    throttled_reads,
    clock_ahead,
    clock_behind,
    clock_ahead_and_a_slow_loop,
    clock_behind_and_a_slow_loop,
    late_evidence_of_a_hiccup,
    update_answer_lost,
    update_connection_reset,
    update_answer_lost_and_an_old_list,
    update_forgotten,
    rollback_answer_lost,
    rollback_connection_reset,
    forced_stop_answer_lost,
    forced_stop_connection_reset,
    put_back_answer_lost,
    put_back_connection_reset,
    unpinned_put_back_dies,
    start_answer_lost,
    start_connection_reset,
    every_lambda_dies_before,
    every_lambda_dies_after,
    every_lambda_hangs_before,
    every_lambda_hangs_after,
    rollback_dies_after,
    aborted_then_another,
    aborted_in_the_update,
    aborted_and_redriven,
    crash_loop_aborted_and_redriven,
    aborted_in_the_rollback_and_redriven,
    redriven_after_a_rollback,
    redriven_after_another,
    redriven_before_it_began,
    unknown_field,
    wrong_type,
    negative_duration,
    absurd_duration,
    empty_update,
    application_missing,
    application_deleted,
    sql_application,
    zeppelin_application,
    snapshot_missing,
    snapshot_not_ready,
    older_runtime,
    too_large,
    restore_said_twice,
    no_pinned_version,
}

#[test]
fn every_scenario_is_tested() {
    let listed: BTreeSet<String> = catalogue().iter().map(|scenario| scenario.name.replace('-', "_")).collect();
    let tested: BTreeSet<String> = TESTED.iter().map(|name| (*name).to_owned()).collect();
    let apart: Vec<_> = listed.symmetric_difference(&tested).collect();
    assert_eq!(apart, Vec::<&String>::new(), "in the catalogue or here, but not in both");
}

fn ends_as_it_must(name: &str) {
    let scenario = scenario(&name.replace('_', "-")).unwrap();
    let run = play(&scenario);
    let mismatches = run.mismatches();
    assert!(mismatches.is_empty(), "{}\n  {}\n{}", scenario.about, mismatches.join("\n  "), run.story());
    for deployed in &run.deployments {
        if let Some(report) = told_report(deployed) {
            assert_eq!(mistakes_of(&REPORT, &report), [""; 0], "{report:#}");
        }
    }
}

/// The report as the execution tells it: its output, or its cause. One that was aborted has none.
fn told_report(deployed: &Deployed) -> Option<Value> {
    let cause = || serde_json::from_str(deployed.result.cause.as_deref()?).ok();
    let told = deployed.result.output.clone().or_else(cause);
    assert_eq!(told.is_some(), deployed.report.is_some());
    told
}

fn play(scenario: &Scenario) -> Run {
    scenario.run().unwrap_or_else(|error| panic!("{} could not be played: {error}", scenario.name))
}

/// A notification that was refused is sent again, until it is taken.
#[test]
fn an_outcome_is_told_once_it_can_be() {
    let run = play(&scenario("notification-is-late").unwrap());
    let letters = calls_of(&run.record, &run.deployments[0].trace.principal).filter(|call| call.operation == "Publish");
    let answers: Vec<u16> = letters.map(|call| call.status).collect();
    assert_eq!(answers, [500, 500, 500, 500, 500, 200]);
}

/// The log tells the cause where Flink's exceptions do not, and is left alone where they do.
#[test]
fn the_jobs_log_is_searched_where_the_cause_is_open() {
    let told = |mut scenario: Scenario| {
        scenario.app.has_log = true;
        let run = play(&scenario);
        let searches = run.deployments[0].trace.principal.clone();
        let searches = calls_of(&run.record, &searches).filter(|call| call.operation == "FilterLogEvents").count();
        let cause = run.deployments[0].report.clone().unwrap().root_cause.unwrap();
        (searches, cause.kind, cause.message, cause.task.is_some())
    };
    let message = || Some("injected: open fails".to_owned());
    let by_name = |name| told(scenario(name).unwrap());
    assert_eq!(by_name("no-exceptions-but-a-log"), (1, Kind::OwnException, message(), true));
    assert_eq!(by_name("crash-loop-in-open"), (0, Kind::OwnException, message(), true));
    let (searches, kind, cleared, _) = by_name("no-exceptions-but-a-log-with-secrets");
    assert_eq!((searches, kind, cleared.as_deref()), (1, Kind::OwnException, Some("no user for [redacted]")));
    let (searches, kind, message, _) = by_name("no-exceptions-and-no-log-to-be-read");
    assert_eq!((searches, kind, message), (1, Kind::Unknown, None));
}

/// The checker looks for secrets in the logs, too: here with every line that the functions can be made to write.
#[test]
fn no_log_level_tells_a_secret() {
    for name in ["healthy", "property-change", "crash-loop-in-open", "rollback-rejected"] {
        let run = scenario(name).unwrap().run_talkatively().unwrap();
        assert_eq!(run.mismatches(), [""; 0], "{name}");
    }
}

#[test]
fn any_step_may_be_repeated_that_was_not_run() {
    assert_any_step_may_end_by(CrashKind::DiesBefore);
}

#[test]
fn any_step_may_be_run_twice() {
    assert_any_step_may_end_by(CrashKind::DiesAfter);
}

/// Every call of every Lambda on the whole ladder ends early once: the outcome is the same, and nothing is done twice.
fn assert_any_step_may_end_by(how: CrashKind) {
    let ladder = scenario("rollback-rejected").unwrap();
    let done = |run: &Run| -> Vec<String> {
        let calls = run.deployments[0].calls.iter().filter(|call| !call.ends_with("(refused)"));
        calls.cloned().collect()
    };
    let undisturbed = done(&play(&ladder));
    let steps = [
        ("take-turn", 1),
        ("submit-update", 2),
        ("check-operation", 6),
        ("check-subtasks", 6),
        ("decide-rollback", 10),
        ("roll-back", 1),
        ("force-stop", 1),
        ("restore", 2),
        ("notify", 1),
    ];
    let calls = steps.into_iter().flat_map(|(function, calls)| (1..=calls).map(move |call| (function, call)));
    for (function, call) in calls {
        let mut disturbed = ladder.clone();
        disturbed.deployments[0].crashes = vec![Crash { function, call, how }];
        let run = play(&disturbed);
        let what = format!("{function}, call {call}: {how:?}\n{}", run.story());
        assert_eq!(run.violations, [], "{what}");
        let outcome = run.deployments[0].report.as_ref().map(|report| report.outcome);
        assert_eq!(outcome, Some(Outcome::Restored), "{what}");
        assert_eq!(done(&run), undisturbed, "{what}");
    }
}

/// What the request says reaches the service as it is, whatever the SDK knows of it.
#[test]
fn every_field_of_the_update_reaches_the_service() {
    for name in [
        "property-change",
        "parallelism-change",
        "runtime-upgrade",
        "monitoring-change",
        "encryption-key-change",
        "vpc-change",
        "role-change",
        "enable-system-rollback",
        "enable-snapshots",
        "field-newer-than-the-sdk",
    ] {
        let run = play(&scenario(name).unwrap());
        let deployed = &run.deployments[0];
        let mut calls = calls_of(&run.record, &deployed.trace.principal);
        let sent = &calls.find(|call| call.operation == "UpdateApplication").unwrap().request;
        let asked_for = deployed.planned.input["update"].as_object().unwrap();
        for (member, value) in asked_for {
            assert_eq!(&sent[member], value, "{name}: {member}");
        }
        let ours = ["ApplicationName", "CurrentApplicationVersionId", "RunConfigurationUpdate"];
        let others: Vec<&String> = sent.as_object().map(serde_json::Map::keys).unwrap().collect();
        let unasked =
            others.iter().filter(|member| !asked_for.contains_key(**member) && !ours.contains(&member.as_str()));
        assert_eq!(unasked.count(), 0, "{name}: {others:?}");
    }
}
