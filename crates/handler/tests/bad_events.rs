//! Events as no state machine should send them: they are read, or refused by their place, and neither the error nor what
//! is logged of it repeats a value or grows with the event. They are the same in every run.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use handler::{Error, Event, SnapshotEvent, SubmitEvent, TurnEvent, read};
use hostile::{SECRET, any_json, config, edited};
use jiff::Timestamp;
use lifecycle::deployment::Deployment;
use lifecycle::request::Request;
use lifecycle::snapshots::{SnapshotRequest, SnapshotRun};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// An event of every kind, with every member that any of them has.
fn events() -> Vec<Value> {
    let input = json!({ "application": "orders", "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20" } });
    let mut deployment = Deployment::new(&Request::parse(&input).unwrap(), "release", now());
    deployment.take_turn(now());
    let execution =
        json!({ "id": "arn:aws:states:eu-west-1:1:execution:deploy:release", "name": "release", "startedAt": now() });
    let request = SnapshotRequest::parse(&json!({ "application": "orders" }), now()).unwrap();
    vec![
        json!({ "now": now(), "input": input, "execution": execution, "deployment": deployment }),
        json!({ "now": now(), "execution": execution, "run": SnapshotRun::new("orders", request.plan) }),
    ]
}

fn assert_placed<T: DeserializeOwned>(event: &Value) {
    match read::<T>(event.clone()) {
        Ok(_) => {}
        Err(error) => {
            assert!(matches!(error, Error::InvalidEvent { .. }), "{error:?}");
            let text = format!("{error} {error:?}");
            assert!(text.len() <= 10_000, "{} bytes", text.len());
            // Its place is named by the event's own names; values are not repeated.
            assert!(!text.contains(&format!("expected {SECRET}")), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn an_event_of_any_form_is_read_or_refused_by_its_place(
        event in prop_oneof![6 => edited(events()), 1 => any_json()],
    ) {
        assert_placed::<Event>(&event);
        assert_placed::<TurnEvent>(&event);
        assert_placed::<SubmitEvent>(&event);
        assert_placed::<SnapshotEvent>(&event);
    }
}

#[test]
fn the_events_that_are_edited_are_good_ones() {
    let [deploy, snapshot] = &events()[..] else { panic!("two kinds") };
    assert!(read::<Event>(deploy.clone()).is_ok());
    assert!(read::<TurnEvent>(deploy.clone()).is_ok());
    assert!(read::<SubmitEvent>(deploy.clone()).is_ok());
    read::<SnapshotEvent>(snapshot.clone()).unwrap();
}
