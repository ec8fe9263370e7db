use hostile::{SECRET, any_json, config, edited};
use proptest::prelude::*;

use super::*;

fn settings() -> Settings {
    Settings {
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:deploy".to_owned(),
        table: "turns".to_owned(),
        bucket: "code".to_owned(),
        prefix: "applications/".to_owned(),
        applications: [("any/".to_owned(), "fraud.detection".to_owned())].into(),
        policy: None,
    }
}

fn sample() -> Value {
    serde_json::from_str(include_str!("../../../../events/triggers/object-created.json")).unwrap()
}

/// The sample with another value at this place, or without one there.
fn with(pointer: &str, value: impl Into<Option<Value>>) -> Value {
    let mut event = sample();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value.into() {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    event
}

fn of_key(key: &str) -> Value {
    with("/detail/object/key", json!(key))
}

fn planned(event: &Value) -> Planned {
    Planned::of(event, &settings()).unwrap()
}

#[test]
fn an_upload_is_deployed_by_a_request_that_pins_its_version() {
    let planned = planned(&sample());
    assert_eq!(planned.application, "orders");
    let sequencer = "0069577A40C5B1D2E30000000000000000000000";
    assert_eq!(
        planned.input,
        json!({
            "application": "orders",
            "update": { "ApplicationConfigurationUpdate": { "ApplicationCodeConfigurationUpdate": {
                "CodeContentUpdate": { "S3ContentLocationUpdate": {
                    "BucketARNUpdate": "arn:aws:s3:::code",
                    "FileKeyUpdate": "applications/orders/orders-2.0.0.jar",
                    "ObjectVersionUpdate": "L4kqtJlcpXroDTDmpUMLUo",
                } },
            } } },
            "start": false,
            "reason": "upload of s3://code/applications/orders/orders-2.0.0.jar",
            "upload": {
                "bucket": "code",
                "key": "applications/orders/orders-2.0.0.jar",
                "versionId": "L4kqtJlcpXroDTDmpUMLUo",
                "sequencer": sequencer,
                "at": "2026-01-02T12:00:00Z",
            },
        })
    );
    let request = Request::parse(&planned.input).unwrap();
    assert_eq!(request.upload, Some(planned.upload));
}

#[test]
fn a_policy_of_the_settings_is_that_of_the_request() {
    let policy = json!({ "bakeSeconds": 900, "alarms": ["orders-lag"] });
    let settings = Settings { policy: Some(policy.clone()), ..settings() };
    let planned = Planned::of(&sample(), &settings).unwrap();
    assert_eq!(planned.input["policy"], policy);
    assert_eq!(Request::parse(&planned.input).unwrap().policy.bake_seconds, 900);
}

#[test]
fn arns_are_of_the_partition_of_the_state_machine() {
    let state_machine_arn = "arn:aws-us-gov:states:us-gov-west-1:123456789012:stateMachine:deploy".to_owned();
    let planned = Planned::of(&sample(), &Settings { state_machine_arn, ..settings() }).unwrap();
    assert!(planned.input.to_string().contains(r#""BucketARNUpdate":"arn:aws-us-gov:s3:::code""#), "{}", planned.input);
}

#[test]
fn keys_are_taken_as_they_are() {
    for file in ["a b+c%20d.jar", "größe.zip", "orders.JAR", ".zip"] {
        let key = format!("applications/orders/{file}");
        let planned = planned(&of_key(&key));
        assert_eq!(planned.upload.key, key);
        assert!(planned.input.to_string().contains(&format!(r#""FileKeyUpdate":"{key}""#)));
    }
}

#[test]
fn the_longest_key_makes_a_request_that_is_taken() {
    let key = format!("applications/orders/{}.jar", "k".repeat(1_000));
    assert_eq!(key.len(), 1_024);
    let request = Request::parse(&planned(&of_key(&key)).input).unwrap();
    assert_eq!(request.upload.unwrap().key, key);
}

#[test]
fn files_beside_the_code_are_ignored() {
    for file in ["", "orders.jar.sha256", "README.md", "jar", "jar/", "größe", "orders.jar/"] {
        let event = of_key(&format!("applications/orders/{file}"));
        assert_eq!(Planned::of(&event, &settings()), Err(Declined::Ignored), "{file}");
    }
}

#[test]
fn what_cannot_be_deployed_is_refused_by_field() {
    let cases = [
        (json!("orders"), "event"),
        (json!({}), "event"),
        (with("/time", json!("noon")), "event"),
        (with("/detail/bucket", None), "event"),
        (with("/detail/object/size", json!("large")), "event"),
        (with("/source", json!("aws.ecr")), "detail-type"),
        (with("/detail-type", json!("Object Deleted")), "detail-type"),
        (with("/detail/bucket/name", json!("logs")), "detail.bucket.name"),
        (of_key("applications/orders.jar"), "detail.object.key"),
        (of_key("applications/orders/lib/json.jar"), "detail.object.key"),
        (of_key("elsewhere/orders/orders.jar"), "detail.object.key"),
        (with("/detail/object/size", json!(0)), "detail.object.size"),
        (with("/detail/object/version-id", None), "detail.object.version-id"),
        (with("/detail/object/version-id", json!("")), "detail.object.version-id"),
        (with("/detail/object/version-id", json!("null")), "detail.object.version-id"),
        (with("/detail/object/sequencer", None), "detail.object.sequencer"),
        (with("/detail/object/sequencer", json!("")), "detail.object.sequencer"),
        (with("/detail/object/sequencer", json!("0x12")), "detail.object.sequencer"),
        (with("/detail/object/sequencer", json!("1".repeat(41))), "detail.object.sequencer"),
        (of_key("applications/order book/orders.jar"), "application"),
        (of_key("applications//orders.jar"), "application"),
        (of_key(&format!("applications/{}/orders.jar", "a".repeat(129))), "application"),
    ];
    for (event, field) in cases {
        let Err(Declined::Refused(refusals)) = Planned::of(&event, &settings()) else { panic!("not refused: {event}") };
        assert_eq!(refusals.iter().map(|refusal| refusal.field.as_str()).collect::<Vec<_>>(), [field], "{event}");
    }
}

#[test]
fn sequencers_compare_as_s3_says() {
    // The shorter is filled up at its right, so that a longer one need not be the later.
    let in_order = [
        "0",
        "0055AED6DCD90281E4",
        "0055AED6DCD90281E5",
        "0055aed6dcd90281e6",
        "0055AED6DCD90281E601",
        "0055AED6DCD9029",
        "0064D3901D00059242",
        "617f08299329d189",
        "617f08299329d18a",
    ];
    let filled: Vec<String> = in_order.iter().map(|sequencer| filled_up(sequencer).unwrap()).collect();
    let mut sorted = filled.clone();
    sorted.sort();
    assert_eq!(filled, sorted);
    assert_eq!(filled_up("00ab"), filled_up("00AB0000"));
}

#[test]
fn the_name_of_an_execution_is_one_that_step_functions_takes() {
    let longest = "a".repeat(128);
    let cases =
        [("orders", "orders-"), ("fraud.detection_2", "fraud-detection_2-"), (longest.as_str(), &longest[..47])];
    for (application, beginning) in cases {
        let name = planned(&of_key(&format!("applications/{application}/x.jar"))).execution;
        assert!(name.starts_with(beginning), "{name}");
        assert!(name.len() <= 80, "{name}");
        let allowed = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        assert!(name.chars().all(allowed), "{name}");
    }
    assert_eq!(planned(&of_key(&format!("applications/{longest}/x.jar"))).execution.len(), 80);
}

#[test]
fn one_event_has_one_execution_and_others_have_others() {
    let event = sample();
    assert_eq!(planned(&event), planned(&event));
    let later_delivery = with("/id", json!("ffffffff-7c5e-4c0b-9a55-0c1f6f0a9b3e"));
    assert_eq!(planned(&event), planned(&later_delivery));
    let others = [
        with("/detail/object/version-id", json!("anotherVersion")),
        of_key("applications/orders/orders-3.0.0.jar"),
        of_key("applications/payments/orders-2.0.0.jar"),
        of_key("any/orders-2.0.0.jar"),
    ];
    let mut names: Vec<String> = others.iter().chain([&event]).map(|event| planned(event).execution).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 5);
    let bucket = Settings { bucket: "co".to_owned(), ..settings() };
    let elsewhere = Planned::of(&with("/detail/bucket/name", json!("co")), &bucket).unwrap();
    assert!(!names.contains(&elsewhere.execution));
}

#[test]
fn the_versions_of_one_key_share_an_item_and_no_other_key_does() {
    let item = |event: &Value| planned(event).item_key();
    let first = item(&sample());
    assert!(first.starts_with("upload#") && first.len() == "upload#".len() + 64, "{first}");
    assert_eq!(first, item(&with("/detail/object/version-id", json!("anotherVersion"))));
    assert_ne!(first, item(&of_key("applications/orders/orders-3.0.0.jar")));
    assert_ne!(hash(["a", "bc"]), hash(["ab", "c"]));
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn an_event_of_any_form_is_planned_ignored_or_refused_with_a_cure(
        event in prop_oneof![6 => edited(vec![sample()]), 1 => any_json()],
    ) {
        let planned = Planned::of(&event, &settings());
        prop_assert_eq!(&planned, &Planned::of(&event, &settings()), "the same event asks for the same");
        match planned {
            Ok(planned) => {
                let is_name = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
                prop_assert!((1..=LONGEST_NAME).contains(&planned.execution.len()), "{}", planned.execution);
                prop_assert!(planned.execution.chars().all(is_name), "{}", planned.execution);
                let request = Request::parse(&planned.input).unwrap();
                prop_assert_eq!(request.application, planned.application);
                prop_assert_eq!(request.upload, Some(planned.upload));
            }
            Err(Declined::Ignored) => {}
            Err(Declined::Refused(reasons)) => {
                prop_assert!(!reasons.is_empty());
                for Refusal { field, problem, cure } in reasons {
                    for text in [&field, &problem, &cure] {
                        prop_assert!(!text.trim().is_empty() && text.chars().count() <= 401, "{}", text);
                    }
                    prop_assert!(!problem.contains(SECRET) && !cure.contains(SECRET), "{}: {}", problem, cure);
                }
            }
        }
    }
}
