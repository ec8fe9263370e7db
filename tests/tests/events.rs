//! The sample inputs in `events/`: each is a request without refusals, is deployed by the shipped definition and handlers,
//! and reaches the service with exactly the members that it has.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::collections::BTreeSet;

use lifecycle::report::Outcome;
use lifecycle::request::{Request, Restore, RestoreType};
use scenarios::checker::{Observed, check};
use scenarios::samples::prepare;
use scenarios::scenario::calls_of;
use scenarios::world::{App, World};
use serde_json::{Value, json};

/// What `UpdateApplication` can change of a Flink application: its members, and those of `ApplicationConfigurationUpdate`.
const KINDS: [&str; 11] = [
    "ApplicationConfigurationUpdate.ApplicationCodeConfigurationUpdate",
    "ApplicationConfigurationUpdate.ApplicationEncryptionConfigurationUpdate",
    "ApplicationConfigurationUpdate.ApplicationSnapshotConfigurationUpdate",
    "ApplicationConfigurationUpdate.ApplicationSystemRollbackConfigurationUpdate",
    "ApplicationConfigurationUpdate.EnvironmentPropertyUpdates",
    "ApplicationConfigurationUpdate.FlinkApplicationConfigurationUpdate.CheckpointConfigurationUpdate",
    "ApplicationConfigurationUpdate.FlinkApplicationConfigurationUpdate.MonitoringConfigurationUpdate",
    "ApplicationConfigurationUpdate.FlinkApplicationConfigurationUpdate.ParallelismConfigurationUpdate",
    "ApplicationConfigurationUpdate.VpcConfigurationUpdates",
    "CloudWatchLoggingOptionUpdates",
    "ServiceExecutionRoleUpdate",
];

/// The samples, by name.
fn samples() -> Vec<(String, Value)> {
    scenarios::samples::samples().unwrap()
}

#[test]
fn each_sample_is_a_request_that_says_what_it_does() {
    for (name, input) in samples() {
        assert!(Request::parse(&input).is_ok(), "{name}: {:?}", Request::parse(&input));
        let comment = input["comment"].as_str().unwrap_or_default();
        assert!(comment.ends_with('.') && comment.len() > 20, "{name} has no comment that tells what it does");
    }
}

#[test]
fn there_is_a_sample_of_each_kind_of_change() {
    let requests: Vec<Request> = samples().iter().map(|(_, input)| Request::parse(input).unwrap()).collect();
    let fields: BTreeSet<String> = requests.iter().flat_map(Request::changed_fields).collect();
    for kind in KINDS.into_iter().chain(["RuntimeEnvironmentUpdate"]) {
        assert!(fields.iter().any(|field| field.starts_with(kind)), "no sample changes {kind}");
    }
    for restore_type in [RestoreType::Latest, RestoreType::Custom, RestoreType::Skip] {
        assert!(requests.iter().any(|request| request.restore.restore_type == restore_type), "{restore_type:?}");
    }
    assert!(requests.iter().any(|request| request.restore.allow_non_restored_state));
}

#[tokio::test(start_paused = true)]
async fn each_sample_is_deployed_and_reaches_the_service_as_it_is() {
    for (name, input) in samples() {
        let world = World::new(1);
        let input = prepare(&world, App::default().name, input).await.unwrap();
        let (trace, result) = world.deploy(&name, input.clone(), std::future::pending()).await.unwrap();
        let outcome = result.output.as_ref().map(|report| report["outcome"].clone());
        assert_eq!(outcome, Some(json!(Outcome::Deployed)), "{name}: {:?}", result.cause);

        let record = world.emulator.record();
        let updates: Vec<_> =
            calls_of(&record, &trace.principal).filter(|call| call.operation == "UpdateApplication").collect();
        assert_eq!(updates.len(), usize::from(input.get("update").is_some()), "{name}");
        let restore = input
            .get("restore")
            .map_or_else(Restore::default, |restore| serde_json::from_value(restore.clone()).unwrap());
        for update in updates {
            let mut expected = input["update"].clone();
            expected["ApplicationName"] = input["application"].clone();
            expected["CurrentApplicationVersionId"] = update.request["CurrentApplicationVersionId"].clone();
            expected["RunConfigurationUpdate"] = restore.run_configuration();
            assert_eq!(update.request, expected, "{name}");
        }
        let stops: Vec<_> = calls_of(&record, &trace.principal)
            .filter(|call| call.operation == "StopApplication")
            .map(|call| call.request["Force"].clone())
            .collect();
        let asked_for = input.get("stop").map(|stop| json!(stop == "force"));
        assert_eq!(stops, asked_for.into_iter().collect::<Vec<_>>(), "{name}");

        let secrets: Vec<String> = property_values(&input["update"]).into_iter().collect();
        let violations = check(&Observed { record: &record, executions: &[trace], secrets: &secrets });
        assert!(violations.is_empty(), "{name}: {violations:?}");
    }
}

/// The values of the runtime properties that an update sets.
fn property_values(update: &Value) -> BTreeSet<String> {
    let groups = update.pointer("/ApplicationConfigurationUpdate/EnvironmentPropertyUpdates/PropertyGroups");
    let maps =
        groups.and_then(Value::as_array).into_iter().flatten().filter_map(|group| group["PropertyMap"].as_object());
    maps.flat_map(|map| map.values()).filter_map(Value::as_str).map(str::to_owned).collect()
}
