//! Many snapshots, and many applications, through the real SDK, in virtual time: lists by pages, deletions, what may not be
//! deleted, snapshots that were planted, and tags.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use aws_sdk_kinesisanalyticsv2::primitives::DateTime;
use aws_sdk_kinesisanalyticsv2::types::{
    ApplicationStatus, OperationStatus, RunConfiguration, RuntimeEnvironment, SnapshotDetails, SnapshotStatus, Tag,
};
use emulator::record::Event;
use emulator::{ControlError, PlantedSnapshot, Timings};
use jiff::{SignedDuration, Timestamp};
use support::{NAME, World, code_of, epoch, from_snapshot};

const IN_USE: Option<&str> = Some("ResourceInUseException");
const INVALID: Option<&str> = Some("InvalidArgumentException");

fn days_ago(days: i64) -> Timestamp {
    epoch() - SignedDuration::from_hours(24 * days)
}

/// All snapshots by all pages, and how many pages there were.
async fn listed(world: &World) -> (Vec<SnapshotDetails>, usize) {
    let mut pages = world.client.list_application_snapshots().application_name(NAME).into_paginator().send();
    let (mut found, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        found.extend(page.unwrap().snapshot_summaries.unwrap());
        count += 1;
    }
    (found, count)
}

async fn delete(world: &World, name: &str, created: DateTime) -> Option<String> {
    let delete = world.client.delete_application_snapshot().application_name(NAME).snapshot_name(name);
    code_of(delete.snapshot_creation_timestamp(created).send().await)
}

fn names(snapshots: &[SnapshotDetails]) -> Vec<&str> {
    snapshots.iter().map(|snapshot| snapshot.snapshot_name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn planted_snapshots_are_listed_by_their_dates() {
    let world = World::new();
    world.running().await;
    world.update().await;
    world.until(&ApplicationStatus::Running).await;
    let planted = |name: &str, days| PlantedSnapshot::new(name, days_ago(days));
    let mut failed = planted("failed", 1);
    failed.status = emulator::SnapshotStatus::Failed;
    let mut old = planted("old", 30);
    old.version = Some(1);
    world.emulator.plant_snapshots(NAME, vec![planted("new", 0), old, planted("middle", 7), failed]).unwrap();
    let (found, _) = listed(&world).await;
    // The one that the update took is the newest of all.
    assert_eq!(names(&found)[1..], ["new", "failed", "middle", "old"]);
    let status: Vec<_> = found.iter().map(|snapshot| snapshot.snapshot_status.as_str()).collect();
    assert_eq!(status, ["READY", "READY", "FAILED", "READY", "READY"]);
    assert_eq!((found[3].application_version_id, found[4].application_version_id), (2, 1));
    assert_eq!(found[4].runtime_environment, Some(RuntimeEnvironment::Flink120));
    assert_eq!(found[3].snapshot_creation_timestamp.unwrap().secs(), days_ago(7).as_second());
    let taken = world.emulator.record().into_iter().filter(|entry| matches!(entry.event, Event::SnapshotTaken { .. }));
    assert_eq!(taken.count(), 4);
    // All or none.
    let twice = world.emulator.plant_snapshots(NAME, vec![planted("another", 1), planted("old", 1)]);
    assert_eq!(twice, Err(ControlError::Request("there is a snapshot old already".to_owned())));
    let mut absent = planted("another", 1);
    absent.version = Some(9);
    let absent = world.emulator.plant_snapshots(NAME, vec![absent]);
    assert_eq!(absent, Err(ControlError::Request("the application has no version 9".to_owned())));
    assert_eq!(listed(&world).await.0.len(), 5);
    let nowhere = world.emulator.plant_snapshots("payments", Vec::new());
    assert_eq!(nowhere, Err(ControlError::NoApplication("payments".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_planted_snapshot_holds_no_state() {
    let world = World::new();
    world.running().await;
    world.emulator.plant_snapshots(NAME, vec![PlantedSnapshot::new("old", days_ago(1))]).unwrap();
    world.stop(true).await;
    world.until(&ApplicationStatus::Ready).await;
    let restore = from_snapshot("old");
    let run = RunConfiguration::builder().application_restore_configuration(restore).build();
    let start = world.client.start_application().application_name(NAME).run_configuration(run).send().await.unwrap();
    // What is about to be restored cannot be deleted.
    let created = world.snapshots().await[0].snapshot_creation_timestamp.unwrap();
    assert_eq!(delete(&world, "old", created).await.as_deref(), IN_USE);
    world.until(&ApplicationStatus::Ready).await;
    let expected = (OperationStatus::Failed, Some("the snapshot old holds no state".to_owned()));
    assert_eq!(world.outcome(&start.operation_id.unwrap()).await, expected);
    assert_eq!(delete(&world, "old", created).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_rollbacks_snapshot_is_not_deleted_under_it() {
    let world = World::new();
    world.running().await;
    world.update().await;
    world.until(&ApplicationStatus::Running).await;
    world.sleep(1).await;
    world.snapshot("later").await;
    world.sleep(11).await;
    let (found, _) = listed(&world).await;
    let [later, earlier] = found.as_slice() else { panic!("{found:?}") };
    world.roll_back().await;
    let created = |snapshot: &SnapshotDetails| snapshot.snapshot_creation_timestamp.unwrap();
    assert_eq!(delete(&world, &earlier.snapshot_name, created(earlier)).await.as_deref(), IN_USE);
    assert_eq!(delete(&world, "later", created(later)).await, None);
    world.until(&ApplicationStatus::Running).await;
    assert_eq!(delete(&world, &earlier.snapshot_name, created(earlier)).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_names_the_very_second() {
    let world = World::new();
    world.running().await;
    let created = days_ago(1);
    world.emulator.plant_snapshots(NAME, vec![PlantedSnapshot::new("old", created)]).unwrap();
    let seconds = created.as_second();
    assert_eq!(delete(&world, "old", DateTime::from_millis(seconds * 1000 + 250)).await.as_deref(), INVALID);
    assert_eq!(delete(&world, "old", DateTime::from_secs(seconds - 1)).await.as_deref(), INVALID);
    assert_eq!(delete(&world, "old", DateTime::from_secs(seconds)).await, None);
}

#[tokio::test(start_paused = true)]
async fn five_thousand_snapshots_are_listed_and_deleted_in_good_time() {
    let world = World::with(Timings::brisk());
    world.running().await;
    let planted = (0..5_000).map(|number| PlantedSnapshot::new(format!("s-{number}"), days_ago(5_000 - number)));
    world.emulator.plant_snapshots(NAME, planted.collect()).unwrap();
    let create = world.client.create_application_snapshot().application_name(NAME).snapshot_name("mine").send().await;
    assert_eq!(code_of(create).as_deref(), Some("LimitExceededException"));
    let (found, pages) = listed(&world).await;
    assert_eq!((found.len(), pages), (5_000, 100));
    assert_eq!(names(&found)[..2], ["s-4999", "s-4998"]);
    for snapshot in found.iter().skip(10) {
        let created = snapshot.snapshot_creation_timestamp.unwrap();
        assert_eq!(delete(&world, &snapshot.snapshot_name, created).await, None);
    }
    let (found, _) = listed(&world).await;
    assert_eq!(found[10].snapshot_status, SnapshotStatus::Deleting);
    world.sleep(2).await;
    let (found, pages) = listed(&world).await;
    assert_eq!((found.len(), pages), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_applications_are_listed_with_their_tags() {
    let world = World::with(Timings::brisk());
    for number in 0..1_000 {
        let team = Tag::builder().key("team").value(if number % 2 == 0 { "streams" } else { "other" }).build().unwrap();
        let create = world.client.create_application().application_name(format!("app-{number:04}"));
        let create = create.runtime_environment(RuntimeEnvironment::Flink120);
        create.service_execution_role("arn:aws:iam::123456789012:role/flink").tags(team).send().await.unwrap();
    }
    let mut pages = world.client.list_applications().into_paginator().send();
    let (mut found, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        found.extend(page.unwrap().application_summaries);
        count += 1;
    }
    assert_eq!((found.len(), count), (1_000, 20));
    assert!(found.is_sorted_by(|one, next| one.application_name < next.application_name));
    let mut streams = 0;
    for application in &found {
        let tags =
            world.client.list_tags_for_resource().resource_arn(&application.application_arn).send().await.unwrap();
        streams += tags.tags().iter().filter(|tag| tag.value() == Some("streams")).count();
    }
    assert_eq!(streams, 500);
    let refused = world.client.list_applications().limit(51).send().await;
    assert_eq!(code_of(refused).as_deref(), Some("InvalidRequestException"));
}

#[tokio::test(start_paused = true)]
async fn tags_have_their_limits() {
    let world = World::new();
    let arn = world.create().await.application_arn;
    let add = async |key: String, value: String| {
        let tag = Tag::builder().key(key).value(value).build().unwrap();
        code_of(world.client.tag_resource().resource_arn(&arn).tags(tag).send().await)
    };
    let table = [
        ("team".to_owned(), String::new(), None),
        ("k".repeat(128), "v".repeat(256), None),
        ("k".repeat(129), "v".to_owned(), INVALID),
        ("team".to_owned(), "v".repeat(257), INVALID),
        (String::new(), "v".to_owned(), INVALID),
        ("aws:team".to_owned(), "v".to_owned(), INVALID),
    ];
    for (key, value, expected) in table {
        assert_eq!(add(key.clone(), value).await.as_deref(), expected, "{key}");
    }
    for number in 2..50 {
        assert_eq!(add(format!("tag-{number}"), String::new()).await, None);
    }
    assert_eq!(add("tag-50".to_owned(), String::new()).await.as_deref(), Some("TooManyTagsException"));
    assert_eq!(add("team".to_owned(), "streams".to_owned()).await, None);
    let none = world.client.tag_resource().resource_arn(&arn).set_tags(Some(Vec::new())).send().await;
    assert_eq!(code_of(none).as_deref(), INVALID);
    let none = world.client.untag_resource().resource_arn(&arn).set_tag_keys(Some(Vec::new())).send().await;
    assert_eq!(code_of(none).as_deref(), INVALID);
}
