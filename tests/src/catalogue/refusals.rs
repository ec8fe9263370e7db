//! Requests that cannot be meant, or not of this application: refused by field, before anything is touched.

use emulator::simulated::Behaviour;
use lifecycle::report::Outcome::Refused;
use serde_json::{Value, json};

use super::{change, code, configure, stopped};
use crate::scenario::{Happening, Planned, Scenario};
use crate::world::App;

fn refused(input: Value, field: &'static str) -> Planned {
    change(input, Refused, &[]).refused_for(&[field])
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let update = || json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" });
    let of = |runtime| App { runtime, ..stopped() };
    let custom = |name: &str| json!({ "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": name });
    let restored_from = |name: &str| code(Behaviour::healthy(), Refused, &[]).with("restore", custom(name));
    vec![
        Scenario::new("unknown-field", "A misspelt field is refused by its name.")
            .deploy(refused(json!({ "update": update(), "polcy": {} }), "polcy")),
        Scenario::new("wrong-type", "A duration in words is refused.")
            .deploy(refused(json!({ "update": update(), "policy": { "bakeSeconds": "5m" } }), "policy.bakeSeconds")),
        Scenario::new("negative-duration", "A negative duration is refused.")
            .deploy(refused(json!({ "update": update(), "policy": { "bakeSeconds": -5 } }), "policy.bakeSeconds")),
        Scenario::new("absurd-duration", "A bake of three hundred years is refused.").deploy(refused(
            json!({ "update": update(), "policy": { "bakeSeconds": 9_999_999_999_u64 } }),
            "policy.bakeSeconds",
        )),
        Scenario::new("empty-update", "An update that changes nothing at all is refused.")
            .deploy(refused(json!({ "update": {} }), "update")),
        Scenario::new("application-missing", "There is no application of this name.")
            .deploy(refused(json!({ "application": "ordesr", "update": update() }), "application")),
        Scenario::new("application-deleted", "The application is being deleted.")
            .when(0, super::by_hand("DeleteApplication", json!({})))
            .deploy(refused(json!({ "update": update() }), "application")),
        Scenario::new("sql-application", "An SQL application has no Flink job to watch.")
            .of(of("SQL-1_0"))
            .deploy(refused(json!({ "update": { "ServiceExecutionRoleUpdate": "arn:aws:iam::1:role/r" } }), "application")),
        Scenario::new("zeppelin-application", "A Zeppelin application has no Flink job to watch.")
            .of(of("ZEPPELIN-FLINK-3_0"))
            .deploy(refused(json!({ "update": { "ServiceExecutionRoleUpdate": "arn:aws:iam::1:role/r" } }), "application")),
        Scenario::new("snapshot-missing", "The request names a snapshot that does not exist.")
            .deploy(restored_from("none-such").refused_for(&["restore.snapshot"])),
        Scenario::new("snapshot-not-ready", "The request names a snapshot that is still being taken.")
            .when(0, super::by_hand("CreateApplicationSnapshot", json!({ "SnapshotName": "too-young" })))
            .deploy(restored_from("too-young").refused_for(&["restore.snapshot"])),
        Scenario::new("older-runtime", "State does not go back to an older runtime.")
            .of(App { runtime: "FLINK-2_2", ..App::default() })
            .deploy(refused(
                json!({ "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20" } }),
                "update.RuntimeEnvironmentUpdate",
            )),
        Scenario::new("too-large", "A request of more bytes than the state machine can carry is refused.").deploy(refused(
            json!({ "update": update(), "reason": "because ".repeat(30_000) }),
            "input",
        )),
        Scenario::new("restore-said-twice", "How state is restored is said in two places.").deploy(refused(
            json!({ "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20", "RunConfigurationUpdate": {} }, "restore": {} }),
            "update.RunConfigurationUpdate",
        )),
        Scenario::new("no-pinned-version", "The pinned object version of the new code has been deleted.")
            .when(0, Happening::DeleteCode("orders-1.jar"))
            .deploy(configure(
                json!({ "ApplicationCodeConfigurationUpdate": { "CodeContentUpdate": { "S3ContentLocationUpdate":
                    { "FileKeyUpdate": "orders-1.jar", "ObjectVersionUpdate": "gone" } } } }),
                Refused,
                &[super::UPDATE_REFUSED, super::UPDATE_REFUSED, super::UPDATE_REFUSED],
            )
            .refused_for(&["update.ApplicationConfigurationUpdate.ApplicationCodeConfigurationUpdate.CodeContentUpdate"])),
    ]
}
