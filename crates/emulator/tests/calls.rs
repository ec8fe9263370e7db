//! What each call needs and refuses, through the real SDK, in virtual time.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use aws_sdk_kinesisanalyticsv2::primitives::DateTime;
use aws_sdk_kinesisanalyticsv2::types::{
    ApplicationConfiguration, ApplicationSnapshotConfiguration, ApplicationStatus, RunConfiguration,
    RuntimeEnvironment, SnapshotStatus, Tag, UrlType,
};
use emulator::{Effect, Fault, Timings};
use support::{NAME, World, code_of, from_snapshot};

const IN_USE: Option<&str> = Some("ResourceInUseException");
const INVALID: Option<&str> = Some("InvalidArgumentException");
const NOT_FOUND: Option<&str> = Some("ResourceNotFoundException");
const CONCURRENT: Option<&str> = Some("ConcurrentModificationException");

/// The errors of every call that looks at the status, as the application stands.
async fn errors_by_status(world: &World) -> Vec<(&'static str, Option<String>)> {
    let version = world.detail().await.application_version_id;
    let client = &world.client;
    let update = client.update_application().application_name(NAME).current_application_version_id(version);
    let roll_back = client.rollback_application().application_name(NAME).current_application_version_id(version + 9);
    let snapshot = client.create_application_snapshot().application_name(NAME).snapshot_name("taken");
    let url = client.create_application_presigned_url().application_name(NAME).url_type(UrlType::FlinkDashboardUrl);
    let maintenance = client.update_application_maintenance_configuration().application_name(NAME);
    let window = aws_sdk_kinesisanalyticsv2::types::ApplicationMaintenanceConfigurationUpdate::builder()
        .application_maintenance_window_start_time_update("07:00")
        .build()
        .unwrap();
    vec![
        ("update", code_of(update.current_application_version_id(version + 9).send().await)),
        ("start", code_of(client.start_application().application_name(NAME).run_configuration(unknown()).send().await)),
        ("rollback", code_of(roll_back.send().await)),
        ("snapshot", code_of(snapshot.snapshot_name("mine").send().await)),
        ("url", code_of(url.session_expiration_duration_in_seconds(1_800).send().await)),
        ("window", code_of(maintenance.application_maintenance_configuration_update(window).send().await)),
        ("stop", if world.status().await == "RUNNING" { None } else { code_of(stop(world, false).await) }),
    ]
}

/// A run configuration that names a snapshot that is not there, so that a start gets no further.
fn unknown() -> RunConfiguration {
    let restore = from_snapshot("absent");
    RunConfiguration::builder().application_restore_configuration(restore).build()
}

async fn stop(
    world: &World,
    force: bool,
) -> Result<
    aws_sdk_kinesisanalyticsv2::operation::stop_application::StopApplicationOutput,
    aws_sdk_kinesisanalyticsv2::error::SdkError<
        aws_sdk_kinesisanalyticsv2::operation::stop_application::StopApplicationError,
    >,
> {
    world.client.stop_application().application_name(NAME).force(force).send().await
}

#[tokio::test(start_paused = true)]
async fn what_each_status_allows() {
    let world = World::new();
    world.create().await;
    let expect =
        |found: Vec<(&'static str, Option<String>)>, expected: [(&'static str, Option<&str>); 7], when: &str| {
            let found: Vec<_> = found.iter().map(|(call, code)| (*call, code.as_deref())).collect();
            assert_eq!(found, expected, "{when}");
        };
    let all_in_use = ["update", "start", "rollback", "snapshot", "url", "window", "stop"].map(|call| (call, IN_USE));
    let ready = [
        ("update", CONCURRENT),
        ("start", NOT_FOUND),
        ("rollback", IN_USE),
        ("snapshot", IN_USE),
        ("url", IN_USE),
        ("window", None),
        ("stop", IN_USE),
    ];
    expect(errors_by_status(&world).await, ready, "READY");
    world.client.start_application().application_name(NAME).send().await.unwrap();
    expect(errors_by_status(&world).await, all_in_use, "STARTING");
    world.until(&ApplicationStatus::Running).await;
    let running = [
        ("update", CONCURRENT),
        ("start", IN_USE),
        ("rollback", CONCURRENT),
        ("snapshot", None),
        ("url", None),
        ("window", None),
        ("stop", None),
    ];
    expect(errors_by_status(&world).await, running, "RUNNING");
    world.update().await;
    let updating = all_in_use.map(|(call, code)| (call, if call == "rollback" { CONCURRENT } else { code }));
    expect(errors_by_status(&world).await, updating, "UPDATING");
    world.roll_back_when_possible().await;
    expect(errors_by_status(&world).await, all_in_use, "ROLLING_BACK");
    world.until(&ApplicationStatus::Running).await;
    world.stop(false).await;
    expect(errors_by_status(&world).await, all_in_use, "STOPPING");
    world.stop(true).await;
    expect(errors_by_status(&world).await, all_in_use, "FORCE_STOPPING");
    assert_eq!(code_of(stop(&world, true).await).as_deref(), IN_USE);
    world.until(&ApplicationStatus::Ready).await;
    assert_eq!(code_of(stop(&world, true).await).as_deref(), IN_USE);
}

impl World {
    /// Rolls back, after the snapshot that this needs is taken.
    async fn roll_back_when_possible(&self) {
        self.sleep(60).await;
        self.roll_back().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_is_not_there() {
    let world = World::new();
    let client = &world.client;
    let name = "absent";
    let url = client.create_application_presigned_url().url_type(UrlType::FlinkDashboardUrl);
    let found = [
        code_of(client.describe_application().application_name(name).send().await),
        code_of(client.update_application().application_name(name).current_application_version_id(1).send().await),
        code_of(client.start_application().application_name(name).send().await),
        code_of(client.stop_application().application_name(name).send().await),
        code_of(client.rollback_application().application_name(name).current_application_version_id(1).send().await),
        code_of(client.list_application_operations().application_name(name).send().await),
        code_of(client.describe_application_operation().application_name(name).operation_id("x").send().await),
        code_of(client.list_application_versions().application_name(name).send().await),
        code_of(client.create_application_snapshot().application_name(name).snapshot_name("x").send().await),
        code_of(client.describe_application_snapshot().application_name(name).snapshot_name("x").send().await),
        code_of(url.application_name(name).send().await),
    ];
    for (index, code) in found.iter().enumerate() {
        assert_eq!(code.as_deref(), NOT_FOUND, "call {index}");
    }
    let snapshots = client.list_application_snapshots().application_name(name).send().await;
    assert_eq!(code_of(snapshots).as_deref(), INVALID);
}

#[tokio::test(start_paused = true)]
async fn a_change_needs_the_version_or_the_token() {
    let world = World::with(Timings::brisk());
    let created = world.create().await;
    let token = created.conditional_token.unwrap();
    let update = async |version: Option<i64>, token: Option<&str>| {
        let update =
            world.client.update_application().application_name(NAME).set_current_application_version_id(version);
        let result = update.set_conditional_token(token.map(str::to_owned)).send().await;
        world.sleep(2).await;
        code_of(result)
    };
    assert_eq!(update(None, None).await.as_deref(), INVALID);
    assert_eq!(update(Some(2), None).await.as_deref(), CONCURRENT);
    assert_eq!(update(None, Some("other")).await.as_deref(), CONCURRENT);
    assert_eq!(update(Some(1), Some("other")).await.as_deref(), CONCURRENT);
    assert_eq!(update(None, Some(&token)).await, None);
    assert_eq!(update(None, Some(&token)).await.as_deref(), CONCURRENT);
    assert_eq!(update(Some(2), None).await, None);
    let detail = world.detail().await;
    assert_eq!((detail.application_version_id, detail.application_version_updated_from), (3, Some(2)));
    let rollback = world.client.rollback_application().application_name(NAME);
    assert_eq!(code_of(rollback.current_application_version_id(3).send().await).as_deref(), IN_USE);
}

#[tokio::test(start_paused = true)]
async fn code_that_is_not_there() {
    let world = World::with(Timings::brisk());
    world.create().await;
    let update = world.client.update_application().application_name(NAME).current_application_version_id(1);
    let error = update.application_configuration_update(World::code("absent.jar")).send().await.unwrap_err();
    let error = error.into_service_error();
    assert!(error.is_invalid_argument_exception());
    let text = error.to_string();
    assert!(text.contains("Please check the role provided or validity of S3 location you provided"), "{text}");
    assert_eq!(world.detail().await.application_version_id, 1);

    world.emulator.code().delete("code", "first.jar");
    let start = world.client.start_application().application_name(NAME).send().await;
    assert_eq!(code_of(start).as_deref(), INVALID);
    let create = world.client.create_application().application_name("other");
    let create =
        create.runtime_environment(RuntimeEnvironment::Flink120).service_execution_role("arn:aws:iam::1:role/x");
    create.send().await.unwrap();
    let start = world.client.start_application().application_name("other").send().await;
    assert_eq!(code_of(start).as_deref(), Some("InvalidApplicationConfigurationException"));
}

#[tokio::test(start_paused = true)]
async fn a_pinned_object_version_outlives_its_object() {
    let world = World::with(Timings::brisk());
    world.create().await;
    let pinned = world.emulator.code().get("code", "first.jar", None).unwrap().object_version.unwrap();
    world.emulator.code().put("code", "first.jar", "newer");
    world.emulator.code().delete("code", "first.jar");
    let location = aws_sdk_kinesisanalyticsv2::types::S3ContentLocationUpdate::builder().object_version_update(pinned);
    let content = aws_sdk_kinesisanalyticsv2::types::CodeContentUpdate::builder();
    let code = aws_sdk_kinesisanalyticsv2::types::ApplicationCodeConfigurationUpdate::builder()
        .code_content_update(content.s3_content_location_update(location.build()).build())
        .build();
    let configuration = aws_sdk_kinesisanalyticsv2::types::ApplicationConfigurationUpdate::builder();
    let update = world.client.update_application().application_name(NAME).current_application_version_id(1);
    let configuration = configuration.application_code_configuration_update(code).build();
    update.application_configuration_update(configuration).send().await.unwrap();
    world.until(&ApplicationStatus::Ready).await;
    world.start().await;
    assert_eq!(world.data_plane.job(NAME).unwrap().code.content, "first");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_needs_an_earlier_version_and_a_snapshot() {
    let world = World::with(Timings::brisk());
    let disabled = ApplicationSnapshotConfiguration::builder().snapshots_enabled(false).build().unwrap();
    world.create_with(ApplicationConfiguration::builder().application_snapshot_configuration(disabled)).await;
    world.start().await;
    let roll_back = async |version: i64| {
        let rollback = world.client.rollback_application().application_name(NAME);
        code_of(rollback.current_application_version_id(version).send().await)
    };
    assert_eq!(roll_back(1).await.as_deref(), Some("InvalidRequestException"));
    world.update().await;
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(roll_back(2).await.as_deref(), Some("InvalidRequestException"));
    assert_eq!(world.detail().await.application_version_id, 2);
    let snapshot = world.client.create_application_snapshot().application_name(NAME).snapshot_name("mine").send().await;
    assert_eq!(code_of(snapshot).as_deref(), Some("InvalidApplicationConfigurationException"));
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_listed_by_pages_and_deleted_by_their_timestamp() {
    let world = World::new();
    world.running().await;
    for number in 0..61 {
        world
            .client
            .create_application_snapshot()
            .application_name(NAME)
            .snapshot_name(format!("s-{number}"))
            .send()
            .await
            .unwrap();
    }
    world.sleep(11).await;
    let list = |limit: Option<i32>, token: Option<String>| {
        let list = world.client.list_application_snapshots().application_name(NAME).set_limit(limit);
        list.set_next_token(token).send()
    };
    let first = list(None, None).await.unwrap();
    let names = |page: &[aws_sdk_kinesisanalyticsv2::types::SnapshotDetails]| {
        page.iter().map(|snapshot| snapshot.snapshot_name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(first.snapshot_summaries().len(), 50);
    assert_eq!(first.snapshot_summaries()[0].snapshot_name, "s-60");
    let second = list(None, first.next_token).await.unwrap();
    assert_eq!(
        names(second.snapshot_summaries()),
        (0..11).rev().map(|number| format!("s-{number}")).collect::<Vec<_>>()
    );
    assert_eq!(second.next_token, None);
    assert_eq!(code_of(list(Some(51), None).await).as_deref(), INVALID);
    assert_eq!(code_of(list(None, Some("elsewhere".to_owned())).await).as_deref(), INVALID);
    assert_eq!(list(Some(7), None).await.unwrap().snapshot_summaries().len(), 7);

    let describe = async || {
        let snapshot = world.client.describe_application_snapshot().application_name(NAME).snapshot_name("s-3");
        snapshot.send().await.map(|it| it.snapshot_details.unwrap())
    };
    let created = describe().await.unwrap().snapshot_creation_timestamp.unwrap();
    let delete = async |created: DateTime| {
        let delete = world.client.delete_application_snapshot().application_name(NAME).snapshot_name("s-3");
        code_of(delete.snapshot_creation_timestamp(created).send().await)
    };
    assert_eq!(delete(DateTime::from_secs(created.secs() + 1)).await.as_deref(), INVALID);
    assert_eq!(delete(created).await, None);
    assert_eq!(describe().await.unwrap().snapshot_status, SnapshotStatus::Deleting);
    assert_eq!(delete(created).await.as_deref(), IN_USE);
    world.sleep(6).await;
    assert_eq!(code_of(describe().await).as_deref(), NOT_FOUND);
    assert_eq!(delete(created).await.as_deref(), NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_being_made_or_failed() {
    let world = World::new();
    world.running().await;
    let create = async |name: &str| {
        code_of(world.client.create_application_snapshot().application_name(NAME).snapshot_name(name).send().await)
    };
    assert_eq!(create("mine").await, None);
    assert_eq!(create("mine").await.as_deref(), IN_USE);
    assert_eq!(create("not a name").await.as_deref(), INVALID);
    let snapshot = world.snapshots().await.remove(0);
    assert_eq!(snapshot.snapshot_status, SnapshotStatus::Creating);
    let delete = world.client.delete_application_snapshot().application_name(NAME).snapshot_name("mine");
    let deleted = delete.snapshot_creation_timestamp(snapshot.snapshot_creation_timestamp.unwrap()).send().await;
    assert_eq!(code_of(deleted).as_deref(), IN_USE);
    world.sleep(11).await;
    world.data_plane.refuse("snapshot", "a checkpoint failed");
    assert_eq!(create("failing").await, None);
    world.sleep(11).await;
    assert_eq!(world.snapshots().await[0].snapshot_status, SnapshotStatus::Failed);
    world.stop(true).await;
    world.until(&ApplicationStatus::Ready).await;
    let start = async |name: &str| {
        let restore = from_snapshot(name);
        let run = RunConfiguration::builder().application_restore_configuration(restore).build();
        code_of(world.client.start_application().application_name(NAME).run_configuration(run).send().await)
    };
    assert_eq!(start("failing").await.as_deref(), INVALID);
    assert_eq!(start("absent").await.as_deref(), NOT_FOUND);
    assert_eq!(start("mine").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_snapshots_are_enough_for_people_and_not_for_the_service() {
    let world = World::with(Timings::brisk());
    world.running().await;
    let create = async |number: usize| {
        let name = format!("s-{number}");
        code_of(world.client.create_application_snapshot().application_name(NAME).snapshot_name(name).send().await)
    };
    for number in 0..1_000 {
        assert_eq!(create(number).await, None);
    }
    world.sleep(2).await;
    assert_eq!(create(1_000).await.as_deref(), Some("LimitExceededException"));
    world.update().await;
    world.until(&ApplicationStatus::Running).await;
    let newest = world.snapshots().await.remove(0);
    assert!(!newest.snapshot_name.starts_with("s-"));
    assert_eq!(newest.snapshot_status, SnapshotStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn presigned_urls_are_for_once_soon_and_a_while() {
    let world = World::new();
    world.running().await;
    let url = async |seconds: Option<i64>| {
        let url = world.client.create_application_presigned_url().application_name(NAME);
        let url = url.url_type(UrlType::FlinkDashboardUrl).set_session_expiration_duration_in_seconds(seconds);
        url.send().await.map(|it| it.authorized_url.unwrap())
    };
    let at = |url: &str, path: &str| url.replace("/flinkdashboard?", &format!("/flinkdashboard{path}?"));
    let first = url(Some(1_800)).await.unwrap();
    assert!(first.starts_with("https://emulator.amazonaws.com/flinkdashboard?authToken=emulator-secret-"), "{first}");
    let (status, body) = world.http.get(&at(&first, "/jobs/overview")).await.unwrap();
    assert_eq!((status, &body[..]), (200, &br#"{"orders":"/jobs/overview"}"#[..]));
    let (_, body) = world.http.get(&format!("{}&get=a,b", at(&first, "/jobs/x/metrics"))).await.unwrap();
    assert_eq!(body, r#"{"orders":"/jobs/x/metrics?get=a,b"}"#);
    assert_eq!(world.http.get(&first).await.unwrap().0, 302);
    world.sleep(1_790).await;
    assert_eq!(world.http.get(&at(&first, "/jobs")).await.unwrap().0, 200);
    world.sleep(20).await;
    assert_eq!(world.http.get(&at(&first, "/jobs")).await.unwrap().0, 403);

    let late = url(None).await.unwrap();
    world.sleep(181).await;
    assert_eq!(world.http.get(&at(&late, "/jobs")).await.unwrap().0, 403);
    for wrong in [
        "https://emulator.amazonaws.com/flinkdashboard/jobs",
        "https://emulator.amazonaws.com/flinkdashboard/jobs?authToken=x",
    ] {
        assert_eq!(world.http.get(wrong).await.unwrap().0, 403);
    }
    assert_eq!(code_of(url(Some(1_799)).await).as_deref(), INVALID);
    assert_eq!(code_of(url(Some(43_201)).await).as_deref(), INVALID);
    let zeppelin = world.client.create_application_presigned_url().application_name(NAME);
    assert_eq!(code_of(zeppelin.url_type(UrlType::ZeppelinUiUrl).send().await).as_deref(), INVALID);

    let stopped = url(None).await.unwrap();
    world.stop(true).await;
    world.until(&ApplicationStatus::Ready).await;
    assert_eq!(world.http.get(&at(&stopped, "/jobs")).await.unwrap().0, 503);
    let record = serde_json::to_string(&world.emulator.record()).unwrap();
    assert!(record.contains("/jobs/overview") && !record.contains(emulator::TOKEN_MARKER));
}

#[tokio::test(start_paused = true)]
async fn tags() {
    let world = World::new();
    let arn = world.create().await.application_arn;
    let tag = |key: String| Tag::builder().key(key).value("x").build().unwrap();
    let add = |tags: Vec<Tag>| world.client.tag_resource().resource_arn(&arn).set_tags(Some(tags)).send();
    add(vec![tag("team".to_owned()), tag("stage".to_owned())]).await.unwrap();
    world.client.untag_resource().resource_arn(&arn).tag_keys("stage").send().await.unwrap();
    let tags = world.client.list_tags_for_resource().resource_arn(&arn).send().await.unwrap().tags.unwrap();
    assert_eq!(tags, [tag("team".to_owned())]);
    let many = (0..200).map(|number| tag(format!("tag-{number}"))).collect();
    assert_eq!(code_of(add(many).await).as_deref(), Some("TooManyTagsException"));
    let absent = world.client.list_tags_for_resource().resource_arn("arn:aws:kinesisanalytics:absent").send().await;
    assert_eq!(code_of(absent).as_deref(), NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn creation_and_deletion() {
    let world = World::new();
    let created = world.create().await;
    let again = world.client.create_application().application_name(NAME);
    let again = again.runtime_environment(RuntimeEnvironment::Flink120).service_execution_role("arn:aws:iam::1:role/x");
    assert_eq!(code_of(again.send().await).as_deref(), IN_USE);
    let strange =
        world.client.create_application().application_name("strange").service_execution_role("arn:aws:iam::1:role/x");
    assert_eq!(code_of(strange.runtime_environment("FLINK".into()).send().await).as_deref(), INVALID);
    let sql = world.client.create_application().application_name("sql").service_execution_role("arn:aws:iam::1:role/x");
    sql.runtime_environment(RuntimeEnvironment::Sql10).send().await.unwrap();
    let start = world.client.start_application().application_name("sql").send().await;
    assert_eq!(code_of(start).as_deref(), Some("UnsupportedOperationException"));
    let list = |limit: Option<i32>, token: Option<String>| {
        world.client.list_applications().set_limit(limit).set_next_token(token).send()
    };
    let first = list(Some(1), None).await.unwrap();
    assert_eq!(first.application_summaries[0].application_name, NAME);
    let second = list(Some(1), first.next_token).await.unwrap();
    assert_eq!(second.application_summaries[0].application_name, "sql");
    assert_eq!(second.next_token, None);
    let delete =
        |created: DateTime| world.client.delete_application().application_name(NAME).create_timestamp(created).send();
    let created = created.create_timestamp.unwrap();
    assert_eq!(code_of(delete(DateTime::from_secs(1)).await).as_deref(), INVALID);
    world.client.start_application().application_name(NAME).send().await.unwrap();
    assert_eq!(code_of(delete(created).await).as_deref(), IN_USE);
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(code_of(delete(created).await), None);
    assert_eq!(world.status().await, "DELETING");
}

#[tokio::test(start_paused = true)]
async fn a_newer_field_passes_through() {
    let world = World::new();
    world.create().await;
    let body = r#"{"ApplicationName":"orders","CurrentApplicationVersionId":1,
        "ApplicationConfigurationUpdate":{"NewerConfigurationUpdate":{"LevelUpdate":"high"}}}"#;
    let send = async |operation: &str, body: &str| {
        let request = http::Request::post("https://emulator.amazonaws.com/")
            .header("x-amz-target", format!("KinesisAnalytics_20180523.{operation}"))
            .body(bytes::Bytes::from(body.to_owned()))
            .unwrap();
        let response = world.emulator.handle(request).await;
        let status = response.status().as_u16();
        (status, serde_json::from_slice::<serde_json::Value>(response.body()).unwrap())
    };
    let (status, answer) = send("UpdateApplication", body).await;
    assert_eq!(status, 200);
    let newer = "/ApplicationDetail/ApplicationConfigurationDescription/NewerConfigurationDescription/Level";
    assert_eq!(answer.pointer(newer).unwrap(), "high");
    let (status, answer) = send("MakeCoffee", "{}").await;
    assert_eq!((status, answer["__type"].as_str()), (400, Some("UnknownOperationException")));
    let (status, answer) = send("DescribeApplication", "[1").await;
    assert_eq!((status, answer["__type"].as_str()), (400, Some("SerializationException")));
    let (status, answer) = send("StopApplication", r#"{"ApplicationName":"orders","Force":"yes"}"#).await;
    assert_eq!((status, answer["__type"].as_str()), (400, Some("SerializationException")));
}

#[tokio::test(start_paused = true)]
async fn a_failed_update_is_not_rolled_back_unless_it_was_asked_for() {
    let world = World::with(Timings::brisk());
    world.running().await;
    world.emulator.inject(Fault::new("UpdateApplication", Effect::OperationFails("main() threw".to_owned())));
    let update = world.update().await;
    world.until(&ApplicationStatus::Ready).await;
    let failure = world.operation(&update).await.operation_failure_details.unwrap();
    assert_eq!(failure.rollback_operation_id, None);
    assert_eq!(world.detail().await.application_version_id, 2);
}
