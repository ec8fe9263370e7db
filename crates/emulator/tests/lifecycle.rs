//! Transitions of an application through the real SDK, in virtual time.

mod support;

use aws_sdk_kinesisanalyticsv2::types::{ApplicationStatus, OperationStatus};
use support::World;

#[tokio::test(start_paused = true)]
async fn a_start_an_update_and_a_stop_take_the_services_time() {
    let world = World::new();
    let created = world.create().await;
    assert_eq!(created.application_status, ApplicationStatus::Ready);
    world.client.start_application().application_name(support::NAME).send().await.unwrap();
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
