//! Requests that nobody can mean, and the field that the refusal of each names. Where one has no application, that of the
//! scenario is filled in.

use serde_json::{Value, json};

pub(crate) fn mistakes() -> Vec<(Value, &'static str)> {
    let update = || json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" });
    vec![
        (json!([]), "input"),
        (json!("orders"), "input"),
        (json!({}), "update"),
        (json!({ "application": "", "update": update() }), "application"),
        (json!({ "application": null, "update": update() }), "application"),
        (
            json!({ "application": "arn:aws:kinesisanalytics:us-east-1:1:application/orders", "update": update() }),
            "application",
        ),
        (json!({ "update": [] }), "update"),
        (json!({ "update": { "ApplicationName": "x" } }), "update.ApplicationName"),
        (json!({ "update": { "CurrentApplicationVersionId": 3 } }), "update.CurrentApplicationVersionId"),
        (json!({ "update": { "ConditionalToken": "x" } }), "update.ConditionalToken"),
        (json!({ "update": { "runtime": "FLINK-1_20" } }), "update.runtime"),
        (json!({ "update": { "RuntimeEnvironmentUpdate": 1.20 } }), "update.RuntimeEnvironmentUpdate"),
        (json!({ "update": { "ApplicationConfigurationUpdate": "all" } }), "update.ApplicationConfigurationUpdate"),
        (json!({ "update": { "CloudWatchLoggingOptionUpdates": {} } }), "update.CloudWatchLoggingOptionUpdates"),
        (json!({ "update": update(), "start": "yes" }), "start"),
        (json!({ "update": update(), "policy": [] }), "policy"),
        (json!(["orders", update()]), "input"),
        (json!({ "update": update(), "restore": ["SKIP_RESTORE_FROM_SNAPSHOT"] }), "restore"),
        (json!({ "update": update(), "policy": null }), "policy"),
        (
            json!({ "update": { "RunConfigurationUpdate": { "FlinkRunConfiguration": [true] } } }),
            "update.RunConfigurationUpdate.FlinkRunConfiguration",
        ),
        (json!({ "update": update(), "policy": { "bake": 5 } }), "policy.bake"),
        (json!({ "update": update(), "policy": { "settleSeconds": 0 } }), "policy.settleSeconds"),
        (json!({ "update": update(), "policy": { "settleSeconds": 1.5 } }), "policy.settleSeconds"),
        (json!({ "update": update(), "policy": { "operationTimeoutSeconds": 5 } }), "policy.operationTimeoutSeconds"),
        (json!({ "update": update(), "policy": { "deadlineSeconds": 600 } }), "policy.deadlineSeconds"),
        (json!({ "update": update(), "policy": { "toleratedRestarts": 100_000 } }), "policy.toleratedRestarts"),
        (json!({ "update": update(), "policy": { "requireCheckpoint": 1 } }), "policy.requireCheckpoint"),
        (json!({ "update": update(), "policy": { "alarms": "orders-lag" } }), "policy.alarms"),
        (json!({ "update": update(), "policy": { "alarms": ["orders-lag"] } }), "policy.alarms"),
        (json!({ "update": update(), "policy": { "onFailure": "panic" } }), "policy.onFailure"),
        (json!({ "update": update(), "restore": { "type": "LATEST" } }), "restore.type"),
        (json!({ "update": update(), "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT" } }), "restore.snapshot"),
        (json!({ "update": update(), "restore": { "snapshot": "before" } }), "restore.type"),
        (json!({ "update": update(), "restore": { "allowNonRestoredState": "no" } }), "restore.allowNonRestoredState"),
        (
            json!({ "update": { "RunConfigurationUpdate": { "FlinkRunConfiguration": { "AllowNonRestored": true } } } }),
            "update.RunConfigurationUpdate.FlinkRunConfiguration.AllowNonRestored",
        ),
    ]
}
