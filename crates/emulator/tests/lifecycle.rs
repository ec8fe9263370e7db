//! Transitions of an application through the real SDK, in virtual time.

mod support;

use std::time::Duration;

use aws_sdk_kinesisanalyticsv2::types::{
    ApplicationConfiguration, ApplicationConfigurationUpdate, ApplicationRestoreConfiguration, ApplicationRestoreType,
    ApplicationSnapshotConfiguration, ApplicationStatus, ApplicationSystemRollbackConfiguration, FlinkRunConfiguration,
    OperationStatus, RunConfiguration, RunConfigurationUpdate, RuntimeEnvironment, SnapshotStatus,
};
use emulator::record::{Event, RestoredFrom};
use emulator::{Effect, Fault};
use support::{NAME, World, from_snapshot};

#[tokio::test(start_paused = true)]
async fn a_start_an_update_and_a_stop_take_the_services_time() {
    let world = World::new();
    let created = world.create().await;
    assert_eq!(created.application_status, ApplicationStatus::Ready);
    world.client.start_application().application_name(NAME).send().await.unwrap();
    assert_eq!(world.until(&ApplicationStatus::Running).await, 60);
    let update = world.update().await;
    assert_eq!(world.status().await, "UPDATING");
    assert_eq!(world.until(&ApplicationStatus::Running).await, 90);
    assert_eq!(world.outcome(&update).await, (OperationStatus::Successful, None));
    let stop = world.stop(false).await;
    assert_eq!(world.until(&ApplicationStatus::Ready).await, 30);
    assert_eq!(world.outcome(&stop).await, (OperationStatus::Successful, None));
    assert_eq!(
        world.data_plane.asked(),
        [
            "prepare 1",
            "start 1 from None",
            "prepare 2",
            "stop_with_snapshot",
            "start 2 from Some(\"1/1\")",
            "stop_with_snapshot",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_old_job_runs_until_its_snapshot_is_taken() {
    let world = World::new();
    world.running().await;
    world.update().await;
    world.sleep(42).await;
    assert_eq!(world.data_plane.job(NAME).unwrap().version, 1);
    assert!(world.snapshots().await.is_empty());
    world.sleep(3).await;
    let snapshots = world.snapshots().await;
    assert_eq!(snapshots[0].snapshot_status, SnapshotStatus::Creating);
    world.sleep(10).await;
    let snapshots = world.snapshots().await;
    assert_eq!(snapshots[0].snapshot_status, SnapshotStatus::Ready);
    assert_eq!(snapshots[0].application_version_id, 1);
    assert_eq!(snapshots[0].runtime_environment, Some(RuntimeEnvironment::Flink120));
    assert!(world.data_plane.job(NAME).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_update_of_a_stopped_application_starts_nothing() {
    let world = World::new();
    world.create().await;
    let update = world.update().await;
    assert_eq!(world.status().await, "UPDATING");
    assert_eq!(world.until(&ApplicationStatus::Ready).await, 3);
    assert_eq!(world.outcome(&update).await.0, OperationStatus::Successful);
    assert!(world.data_plane.asked().is_empty());
    world.start().await;
    let job = world.data_plane.job(NAME).unwrap();
    assert_eq!((job.version, job.code.key.as_str(), &job.code.content[..]), (2, "second.jar", &b"second"[..]));
}

#[tokio::test(start_paused = true)]
async fn an_update_may_change_the_runtime() {
    let world = World::new();
    world.running().await;
    let update = world.client.update_application().application_name(NAME).current_application_version_id(1);
    update.runtime_environment_update(RuntimeEnvironment::Flink22).send().await.unwrap();
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(world.detail().await.runtime_environment, RuntimeEnvironment::Flink22);
    assert_eq!(world.data_plane.job(NAME).unwrap().runtime, "FLINK-2_2");
    assert_eq!(world.snapshots().await[0].runtime_environment, Some(RuntimeEnvironment::Flink120));
    assert_eq!(world.emulator.applications()[0].runtime, "FLINK-2_2");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_refused_leaves_the_application_ready() {
    let world = World::new();
    world.create().await;
    world.data_plane.refuse("start", "main() threw");
    let start = world.client.start_application().application_name(NAME).send().await.unwrap().operation_id.unwrap();
    assert_eq!(world.until(&ApplicationStatus::Ready).await, 58);
    assert_eq!(world.outcome(&start).await, (OperationStatus::Failed, Some("main() threw".to_owned())));

    world.data_plane.allow();
    world.start().await;
    world.data_plane.refuse("start", &"x".repeat(600));
    let update = world.update().await;
    world.until(&ApplicationStatus::Ready).await;
    let (status, error) = world.outcome(&update).await;
    assert_eq!((status, error.unwrap().len()), (OperationStatus::Failed, 512));
    assert!(world.data_plane.job(NAME).is_none());
    assert_eq!(world.snapshots().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_prepared_is_found_out_after_the_old_one_is_stopped() {
    let world = World::new();
    world.running().await;
    world.data_plane.refuse("prepare", "the JAR is no JAR");
    let update = world.update().await;
    world.until(&ApplicationStatus::Ready).await;
    assert_eq!(world.outcome(&update).await, (OperationStatus::Failed, Some("the JAR is no JAR".to_owned())));
    assert_eq!(world.snapshots().await[0].snapshot_status, SnapshotStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_fails_leaves_the_old_job_running() {
    let world = World::new();
    world.running().await;
    world.data_plane.refuse("stop_with_snapshot", "a task is not running");
    let update = world.update().await;
    assert_eq!(world.until(&ApplicationStatus::Running).await, 53);
    let (status, error) = world.outcome(&update).await;
    assert_eq!(status, OperationStatus::Failed);
    assert!(error.unwrap().contains("a task is not running"));
    assert_eq!(world.data_plane.job(NAME).unwrap().version, 1);
    assert_eq!(world.detail().await.application_version_id, 2);
    assert_eq!(world.snapshots().await[0].snapshot_status, SnapshotStatus::Failed);

    let stop = world.stop(false).await;
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(world.outcome(&stop).await.0, OperationStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn without_snapshots_a_job_is_stopped_without_one() {
    let world = World::new();
    let disabled = ApplicationSnapshotConfiguration::builder().snapshots_enabled(false).build().unwrap();
    let configuration = ApplicationConfiguration::builder().application_snapshot_configuration(disabled);
    world.create_with(configuration).await;
    world.start().await;
    world.update().await;
    world.until(&ApplicationStatus::Running).await;
    world.stop(false).await;
    world.until(&ApplicationStatus::Ready).await;
    assert!(world.snapshots().await.is_empty());
    assert_eq!(
        world.data_plane.asked(),
        ["prepare 1", "start 1 from None", "prepare 2", "cancel", "start 2 from None", "cancel"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_state_is_the_one_asked_for() {
    let world = World::new();
    world.running().await;
    world.snapshot("first").await;
    world.snapshot("second").await;
    world.stop(true).await;
    world.until(&ApplicationStatus::Ready).await;
    let start = async |kind: ApplicationRestoreType, name: Option<&str>| {
        let restore = ApplicationRestoreConfiguration::builder()
            .application_restore_type(kind)
            .set_snapshot_name(name.map(str::to_owned))
            .build()
            .unwrap();
        let flink = FlinkRunConfiguration::builder().allow_non_restored_state(true).build();
        let run = RunConfiguration::builder().application_restore_configuration(restore).flink_run_configuration(flink);
        world.client.start_application().application_name(NAME).run_configuration(run.build()).send().await.unwrap();
        world.until(&ApplicationStatus::Running).await;
        let job = world.data_plane.job(NAME).unwrap();
        assert!(job.allow_non_restored_state);
        world.stop(true).await;
        world.until(&ApplicationStatus::Ready).await;
        job.restore_from.map(|handle| handle.to_string())
    };
    let first = start(ApplicationRestoreType::RestoreFromCustomSnapshot, Some("first")).await;
    assert_eq!(first.as_deref(), Some("1/1"));
    assert_eq!(start(ApplicationRestoreType::SkipRestoreFromSnapshot, None).await, None);
    assert_eq!(start(ApplicationRestoreType::RestoreFromLatestSnapshot, None).await.as_deref(), Some("1/2"));
    let from = |job: usize| world.jobs()[job].restored_from.clone();
    let second = RestoredFrom { snapshot: "second".to_owned(), version: 1, job: 1 };
    assert_eq!(from(0), None);
    assert_eq!(from(2), None);
    assert_eq!(from(3), Some(second));
    assert_eq!(world.jobs()[3].lineage, [1]);
}

#[tokio::test(start_paused = true)]
async fn an_update_takes_its_state_from_where_it_is_told_to() {
    let world = World::new();
    world.running().await;
    world.snapshot("mine").await;
    let update = async |version: i64, run: Option<RunConfigurationUpdate>| {
        let update = world.client.update_application().application_name(NAME).current_application_version_id(version);
        update.set_run_configuration_update(run).send().await.unwrap();
        world.until(&ApplicationStatus::Running).await;
        let job = world.data_plane.job(NAME).unwrap();
        (job.restore_from.map(|handle| handle.to_string()), job.allow_non_restored_state)
    };
    let custom = from_snapshot("mine");
    let flink = FlinkRunConfiguration::builder().allow_non_restored_state(true).build();
    let run =
        RunConfigurationUpdate::builder().application_restore_configuration(custom).flink_run_configuration(flink);
    assert_eq!(update(1, Some(run.build())).await, (Some("1/1".to_owned()), true));
    // What is not restated: the snapshot stays the one that was named, dropping state is no longer allowed.
    assert_eq!(update(2, None).await, (Some("1/1".to_owned()), false));
}

#[tokio::test(start_paused = true)]
async fn a_forced_stop_ends_whatever_is_under_way() {
    let world = World::new();
    world.create().await;
    let start = world.client.start_application().application_name(NAME).send().await.unwrap().operation_id.unwrap();
    world.stop(true).await;
    assert_eq!(world.status().await, "FORCE_STOPPING");
    assert_eq!(world.until(&ApplicationStatus::Ready).await, 30);
    assert_eq!(world.outcome(&start).await.0, OperationStatus::Cancelled);
    world.sleep(120).await;
    assert_eq!(world.status().await, "READY");

    for seconds in [1, 45, 60, 89] {
        world.start().await;
        let update = world.update().await;
        world.sleep(seconds).await;
        world.stop(true).await;
        world.until(&ApplicationStatus::Ready).await;
        assert_eq!(world.outcome(&update).await.0, OperationStatus::Cancelled, "after {seconds} s");
        world.sleep(120).await;
        assert_eq!(world.status().await, "READY", "after {seconds} s");
        assert!(world.data_plane.job(NAME).is_none(), "after {seconds} s");
        let creating = world.snapshots().await.iter().any(|it| it.snapshot_status == SnapshotStatus::Creating);
        assert!(!creating, "after {seconds} s");
    }
    world.start().await;
    world.stop(false).await;
    world.stop(true).await;
    world.until(&ApplicationStatus::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_brings_back_the_version_that_ran_with_its_state_and_its_code() {
    let world = World::new();
    world.running().await;
    world.update().await;
    world.until(&ApplicationStatus::Running).await;
    world.emulator.code().delete_all_versions("code", "first.jar");
    let rollback = world.roll_back().await;
    assert_eq!(world.status().await, "ROLLING_BACK");
    assert_eq!(world.until(&ApplicationStatus::Running).await, 90);
    assert_eq!(world.outcome(&rollback).await, (OperationStatus::Successful, None));
    let detail = world.detail().await;
    assert_eq!(detail.application_version_id, 3);
    assert_eq!(detail.application_version_rolled_back_from, Some(2));
    assert_eq!(detail.application_version_rolled_back_to, Some(1));
    let job = world.data_plane.job(NAME).unwrap();
    assert_eq!((&job.code.content[..], job.restore_from.as_deref()), (&b"first"[..], Some("1/1")));
    let changes = world.operation(&rollback).await.application_version_change_details.unwrap();
    assert_eq!((changes.application_version_updated_from, changes.application_version_updated_to), (2, 3));
    let jobs = world.jobs();
    assert_eq!(
        jobs.iter().map(|job| (job.version, job.lineage.as_slice())).collect::<Vec<_>>(),
        [(1, &[][..]), (2, &[1][..]), (3, &[1][..]),]
    );
    let causes: Vec<_> = jobs.iter().map(|job| (job.cause.as_str(), job.principal.as_deref())).collect();
    assert_eq!(
        causes,
        [
            ("StartApplication", Some("AKIDFIRST")),
            ("UpdateApplication", Some("AKIDFIRST")),
            ("RollbackApplication", Some("AKIDFIRST")),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_rollback_takes_the_place_of_an_update() {
    for seconds in [0, 44, 56, 88] {
        let world = World::new();
        world.running().await;
        world.snapshot("before").await;
        let update = world.update().await;
        world.sleep(seconds).await;
        world.roll_back().await;
        world.until(&ApplicationStatus::Running).await;
        assert_eq!(world.outcome(&update).await.0, OperationStatus::Cancelled, "after {seconds} s");
        world.sleep(120).await;
        let job = world.data_plane.job(NAME).unwrap();
        assert_eq!((job.version, &job.code.content[..]), (3, &b"first"[..]), "after {seconds} s");
        assert!(job.restore_from.unwrap().starts_with("1/"), "after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_fails_leaves_the_application_ready() {
    let world = World::new();
    world.running().await;
    world.update().await;
    world.until(&ApplicationStatus::Running).await;
    world.data_plane.refuse("start", "no slots");
    let rollback = world.roll_back().await;
    world.until(&ApplicationStatus::Ready).await;
    assert_eq!(world.outcome(&rollback).await, (OperationStatus::Failed, Some("no slots".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_of_an_application_that_does_not_run_is_rolled_back_only() {
    let world = World::new();
    world.running().await;
    world.stop(false).await;
    world.until(&ApplicationStatus::Ready).await;
    world.update().await;
    world.roll_back().await;
    world.until(&ApplicationStatus::RolledBack).await;
    assert!(world.data_plane.job(NAME).is_none());
    world.start().await;
    assert_eq!(world.data_plane.job(NAME).unwrap().code.content, "first");
}

#[tokio::test(start_paused = true)]
async fn the_service_rolls_back_by_itself_if_it_is_asked_to() {
    let world = World::new();
    let enabled = ApplicationSystemRollbackConfiguration::builder().rollback_enabled(true).build().unwrap();
    let configuration = ApplicationConfiguration::builder().application_system_rollback_configuration(enabled);
    world.create_with(configuration).await;
    world.start().await;
    world.emulator.inject(Fault::new("UpdateApplication", Effect::OperationFails("main() threw".to_owned())));
    let update = world.update().await;
    world.until(&ApplicationStatus::RollingBack).await;
    let failure = world.operation(&update).await.operation_failure_details.unwrap();
    let rollback = failure.rollback_operation_id.unwrap();
    assert_eq!(world.operation(&rollback).await.operation_status, OperationStatus::InProgress);
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(world.operation(&rollback).await.operation_status, OperationStatus::Successful);
    assert_eq!(world.operation(&rollback).await.operation, "RollbackApplication");
    let job = world.jobs().pop().unwrap();
    assert_eq!((job.version, job.cause.as_str(), job.principal), (3, "SystemRollbackApplication", None));

    world.emulator.inject(Fault::new("SystemRollbackApplication", Effect::OperationFails("no slots".to_owned())));
    let update = world.update().await;
    world.until(&ApplicationStatus::Ready).await;
    let failure = world.operation(&update).await.operation_failure_details.unwrap();
    let rollback = world.outcome(&failure.rollback_operation_id.unwrap()).await;
    assert_eq!(rollback, (OperationStatus::Failed, Some("no slots".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn operations_that_never_end_can_be_rolled_back_or_forced() {
    let world = World::new();
    world.running().await;
    world.emulator.inject(Fault::new("UpdateApplication", Effect::OperationHangs));
    let update = world.update().await;
    world.sleep(7_200).await;
    assert_eq!(world.status().await, "UPDATING");
    assert_eq!(world.outcome(&update).await.0, OperationStatus::InProgress);
    world.emulator.inject(Fault::new("RollbackApplication", Effect::OperationHangs));
    world.roll_back().await;
    world.sleep(7_200).await;
    assert_eq!(world.status().await, "ROLLING_BACK");
    let forced = world.client.stop_application().application_name(NAME).force(true).send().await;
    assert_eq!(support::code_of(forced).as_deref(), Some("ResourceInUseException"));
}

#[tokio::test(start_paused = true)]
async fn a_bounded_job_that_finishes_leaves_the_application_ready() {
    let world = World::new();
    world.running().await;
    world.data_plane.finish();
    world.until(&ApplicationStatus::Ready).await;
    let ended = world.emulator.record().into_iter().find_map(|entry| match entry.event {
        Event::JobEnded { how, .. } => Some(how),
        _ => None,
    });
    assert_eq!(ended.as_deref(), Some("finished"));
}

#[tokio::test(start_paused = true)]
async fn maintenance_restarts_the_job_and_changes_no_version() {
    let world = World::new();
    world.running().await;
    world.emulator.maintenance(NAME, Duration::from_secs(20)).unwrap();
    assert_eq!(world.status().await, "MAINTENANCE");
    let refused = world.client.update_application().application_name(NAME).current_application_version_id(1);
    assert_eq!(support::code_of(refused.send().await).as_deref(), Some("ResourceInUseException"));
    assert_eq!(world.until(&ApplicationStatus::Running).await, 22);
    assert_eq!(world.detail().await.application_version_id, 1);
    assert_eq!(world.data_plane.job(NAME).unwrap().restore_from.as_deref(), Some("1/1"));
    assert!(world.snapshots().await.is_empty());
    assert_eq!(world.jobs()[1].lineage, [1]);

    world.data_plane.refuse("stop_with_snapshot", "a task is not running");
    world.emulator.maintenance(NAME, Duration::from_secs(20)).unwrap();
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(world.jobs().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn autoscaling_changes_the_parallelism_and_no_version() {
    let world = World::new();
    world.running().await;
    world.emulator.autoscale(NAME, 4).unwrap();
    assert_eq!(world.status().await, "AUTOSCALING");
    world.until(&ApplicationStatus::Running).await;
    let detail = world.detail().await;
    let flink = detail.application_configuration_description.unwrap().flink_application_configuration_description;
    let parallelism = flink.unwrap().parallelism_configuration_description.unwrap();
    assert_eq!((parallelism.parallelism, parallelism.current_parallelism), (Some(1), Some(4)));
    assert_eq!(detail.application_version_id, 1);
    assert_eq!(world.data_plane.job(NAME).unwrap().parallelism, 4);
    assert_eq!(world.emulator.applications()[0].parallelism, 4);
}

#[tokio::test(start_paused = true)]
async fn autoscaling_carries_the_job_on_however_it_was_started() {
    let world = World::new();
    world.running().await;
    world.snapshot("old").await;
    let custom = from_snapshot("old");
    let run = RunConfigurationUpdate::builder().application_restore_configuration(custom).build();
    let update = world.client.update_application().application_name(NAME).current_application_version_id(1);
    update.run_configuration_update(run).send().await.unwrap();
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(world.jobs()[1].lineage, [1]);
    world.emulator.autoscale(NAME, 4).unwrap();
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(world.jobs()[2].lineage, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_application_is_gone_with_all_that_belongs_to_it() {
    let world = World::new();
    let created = world.create().await;
    world.start().await;
    world.snapshot("mine").await;
    let delete = world.client.delete_application().application_name(NAME);
    delete.create_timestamp(created.create_timestamp.unwrap()).send().await.unwrap();
    assert_eq!(world.status().await, "DELETING");
    world.sleep(6).await;
    let gone = world.client.describe_application().application_name(NAME).send().await;
    assert_eq!(support::code_of(gone).as_deref(), Some("ResourceNotFoundException"));
    assert_eq!(world.data_plane.asked().last().unwrap(), "discard 1/1");
    world.create().await;
    assert!(world.snapshots().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn versions_and_operations_can_be_looked_up() {
    let world = World::new();
    world.running().await;
    world.update().await;
    world.until(&ApplicationStatus::Running).await;
    let versions = world.client.list_application_versions().application_name(NAME).send().await.unwrap();
    let versions: Vec<_> = versions
        .application_version_summaries
        .unwrap()
        .into_iter()
        .map(|it| (it.application_version_id, it.application_status))
        .collect();
    assert_eq!(versions, [(2, ApplicationStatus::Running), (1, ApplicationStatus::Running)]);
    let key = async |version: i64| {
        let version =
            world.client.describe_application_version().application_name(NAME).application_version_id(version);
        let detail = version.send().await.unwrap().application_version_detail.unwrap();
        let code = detail.application_configuration_description.unwrap().application_code_configuration_description;
        let content = code.unwrap().code_content_description.unwrap();
        content.s3_application_code_location_description.unwrap().file_key
    };
    assert_eq!((key(1).await, key(2).await), ("first.jar".to_owned(), "second.jar".to_owned()));
    let names = async |status: Option<OperationStatus>, operation: Option<&str>| {
        let list = world.client.list_application_operations().application_name(NAME);
        let list = list.set_operation_status(status).set_operation(operation.map(str::to_owned)).send().await.unwrap();
        let names = list.application_operation_info_list.unwrap().into_iter().filter_map(|it| it.operation);
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(None, None).await, ["UpdateApplication", "StartApplication"]);
    assert_eq!(names(Some(OperationStatus::Failed), None).await, Vec::<String>::new());
    assert_eq!(names(None, Some("StartApplication")).await, ["StartApplication"]);
}

#[tokio::test(start_paused = true)]
async fn everything_ends_with_the_last_handle() {
    let world = World::new();
    world.running().await;
    world.update().await;
    world.sleep(1).await;
    let data_plane = world.data_plane.clone();
    drop(world);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(data_plane.asked().last().unwrap(), "prepare 2");
    assert_eq!(std::sync::Arc::strong_count(&data_plane), 1);
}

#[tokio::test(start_paused = true)]
async fn logging_options_and_vpc_configurations_are_changes_like_others() {
    let world = World::new();
    world.create().await;
    let option = aws_sdk_kinesisanalyticsv2::types::CloudWatchLoggingOption::builder()
        .log_stream_arn("arn:aws:logs:us-east-1:123456789012:log-group:x:log-stream:y")
        .build()
        .unwrap();
    let add = world.client.add_application_cloud_watch_logging_option().application_name(NAME);
    let added = add.current_application_version_id(1).cloud_watch_logging_option(option).send().await.unwrap();
    assert_eq!(added.application_version_id, Some(2));
    let id = added.cloud_watch_logging_option_descriptions.unwrap()[0].cloud_watch_logging_option_id.clone().unwrap();
    world.until(&ApplicationStatus::Ready).await;
    let delete = world.client.delete_application_cloud_watch_logging_option().application_name(NAME);
    let deleted = delete.current_application_version_id(2).cloud_watch_logging_option_id(id).send().await.unwrap();
    assert!(deleted.cloud_watch_logging_option_descriptions.unwrap().is_empty());
    world.until(&ApplicationStatus::Ready).await;

    let vpc = aws_sdk_kinesisanalyticsv2::types::VpcConfiguration::builder()
        .subnet_ids("subnet-1")
        .security_group_ids("sg-1")
        .build()
        .unwrap();
    let add = world.client.add_application_vpc_configuration().application_name(NAME);
    let added = add.current_application_version_id(3).vpc_configuration(vpc).send().await.unwrap();
    let id = added.vpc_configuration_description.unwrap().vpc_configuration_id;
    world.until(&ApplicationStatus::Ready).await;
    let delete = world.client.delete_application_vpc_configuration().application_name(NAME);
    let deleted = delete.current_application_version_id(4).vpc_configuration_id(id).send().await.unwrap();
    assert_eq!(deleted.application_version_id, Some(5));
}

#[tokio::test(start_paused = true)]
async fn an_update_without_code_keeps_the_copy_of_the_version_before() {
    let world = World::new();
    world.running().await;
    world.emulator.code().put("code", "first.jar", "overwritten");
    let update = world.client.update_application().application_name(NAME).current_application_version_id(1);
    update.application_configuration_update(ApplicationConfigurationUpdate::builder().build()).send().await.unwrap();
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(world.data_plane.job(NAME).unwrap().code.content, "first");
}
