//! Changes that go live, of every kind, from running and from stopped applications.

use emulator::simulated::{Behaviour, JobFault};
use lifecycle::report::Outcome::{Deployed, NeedsAttention, NoChange, Refused, Restored, RolledBack};
use serde_json::json;

use super::{
    SNAPSHOT, START, UPDATE, UPDATE_REFUSED, bad, by_hand, change, code, configure, crash_loop, good, main_throws,
    parallelism, stopped,
};
use crate::scenario::{Happening, Scenario};
use crate::world::{App, BUCKET};

pub(super) fn scenarios() -> Vec<Scenario> {
    [code_and_configuration(), stopped_applications(), snapshots()].concat()
}

fn code_and_configuration() -> Vec<Scenario> {
    let key_type = json!({ "ApplicationEncryptionConfigurationUpdate":
        { "KeyTypeUpdate": "CUSTOMER_MANAGED_KEY", "KeyIdUpdate": "arn:aws:kms:us-east-1:123456789012:key/orders" } });
    let monitoring = json!({ "FlinkApplicationConfigurationUpdate": { "MonitoringConfigurationUpdate":
        { "ConfigurationTypeUpdate": "CUSTOM", "MetricsLevelUpdate": "TASK", "LogLevelUpdate": "INFO" } } });
    let properties = json!({ "EnvironmentPropertyUpdates": { "PropertyGroups": [{ "PropertyGroupId": "app",
        "PropertyMap": { "db.password": "correct-horse-battery-staple", "region": "eu-west-1" } }] } });
    let vpc = json!({ "VpcConfiguration": { "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"] },
        "CurrentApplicationVersionId": null });
    vec![
        Scenario::new("healthy", "A healthy change of code goes live, verified down to its subtasks and checkpoints.")
            .deploy(good()),
        Scenario::new(
            "healthy-then-crash-loop",
            "A good change goes live; then one that crash-loops comes back with the state of the good one.",
        )
        .deploy(good())
        .deploy(bad().at(900)),
        Scenario::new("no-change", "The application is as the request wants it already: nothing is touched.").deploy(
            configure(json!({ "ApplicationSnapshotConfigurationUpdate": { "SnapshotsEnabledUpdate": true } }), NoChange, &[]),
        ),
        Scenario::new(
            "no-change-of-a-crash-loop",
            "The application is as the request wants it, but its job crash-loops: nothing is touched, and a person is asked.",
        )
        .of(App { behaviour: crash_loop(), ..App::default() })
        .deploy(configure(
            json!({ "ApplicationSnapshotConfigurationUpdate": { "SnapshotsEnabledUpdate": true } }),
            NeedsAttention,
            &[],
        )),
        Scenario::new("property-change", "A runtime property changes, and its value is told nowhere.")
            .deploy(configure(properties, Deployed, &[UPDATE])),
        Scenario::new("parallelism-change", "The job is rescaled to a parallelism of four, by an update.")
            .deploy(configure(parallelism(4), Deployed, &[UPDATE])),
        Scenario::new("runtime-upgrade", "From Flink 1.20 to 2.2, where the service's metrics have other names.").deploy(
            change(json!({ "update": { "RuntimeEnvironmentUpdate": "FLINK-2_2" } }), Deployed, &[UPDATE]),
        ),
        Scenario::new("runtime-2-3", "A healthy change of an application that runs on Flink 2.3.")
            .of(App { runtime: "FLINK-2_3", ..App::default() })
            .deploy(good()),
        Scenario::new("runtime-1-15", "A healthy change of an application that still runs on Flink 1.15.")
            .of(App { runtime: "FLINK-1_15", ..App::default() })
            .deploy(good()),
        Scenario::new("monitoring-change", "The levels of metrics and logs change.")
            .deploy(configure(monitoring, Deployed, &[UPDATE])),
        Scenario::new("encryption-key-change", "The application gets an encryption key of the customer's own.")
            .deploy(configure(key_type, Deployed, &[UPDATE])),
        Scenario::new("vpc-change", "The application moves to another subnet of its VPC.")
            .when(0, by_hand("AddApplicationVpcConfiguration", vpc))
            .when(0, Happening::Rest)
            .deploy(configure(
                json!({ "VpcConfigurationUpdates": [{ "VpcConfigurationId": "1.1", "SubnetIdUpdates": ["subnet-2"] }] }),
                Deployed,
                &[UPDATE],
            )),
        Scenario::new("role-change", "The application gets another execution role.").deploy(change(
            json!({ "update": { "ServiceExecutionRoleUpdate": "arn:aws:iam::123456789012:role/orders-2" } }),
            Deployed,
            &[UPDATE],
        )),
        Scenario::new("enable-system-rollback", "The service is told to answer failed operations by itself.").deploy(
            configure(
                json!({ "ApplicationSystemRollbackConfigurationUpdate": { "RollbackEnabledUpdate": true } }),
                Deployed,
                &[UPDATE],
            ),
        ),
        Scenario::new("field-newer-than-the-sdk", "A field that no SDK knows yet is passed through as it is.").deploy(
            configure(json!({ "ApplicationQuantumConfigurationUpdate": { "QubitsUpdate": 8 } }), Deployed, &[UPDATE]),
        ),
        Scenario::new("checkpointing-off", "Where checkpointing is off, none is waited for.")
            .of(App { checkpoint_seconds: None, ..App::default() })
            .deploy(good()),
        Scenario::new("no-bake", "With a bake of no seconds a change is accepted as soon as its job is steady.")
            .deploy(good().with("policy", json!({ "bakeSeconds": 0 }))),
        Scenario::new(
            "unpinned-code-at-the-same-key",
            "A pipeline overwrites the one key that it knows, and names no object version: the new content goes live.",
        )
        .of(App { is_code_pinned: false, ..App::default() })
        .when(0, Happening::PutCode { key: "orders-1.jar", behaviour: Behaviour::healthy().with(JobFault::SlowSnapshot { seconds: 1 }) })
        .deploy(configure(same_key(), Deployed, &[UPDATE])),
        Scenario::new("batch-job-finishes", "A bounded job comes to the end of its input while it is watched: success.")
            .deploy(code(JobFault::Bounded { seconds: 240 }, Deployed, &[UPDATE])),
        Scenario::new("batch-job-finishes-at-once", "A bounded job is done before anybody has looked at it: success.")
            .deploy(code(JobFault::Bounded { seconds: 1 }, Deployed, &[UPDATE])),
        Scenario::new(
            "slow-state-restore",
            "The restore of a large state keeps tasks INITIALIZING for a quarter of an hour; patience is right.",
        )
        .deploy(code(JobFault::SlowRestore { seconds: 900 }, Deployed, &[UPDATE])),
    ]
}

/// The update of a pipeline that always writes to the same key.
pub(super) fn same_key() -> serde_json::Value {
    json!({ "ApplicationCodeConfigurationUpdate": { "CodeContentUpdate": { "S3ContentLocationUpdate":
        { "BucketARNUpdate": format!("arn:aws:s3:::{BUCKET}"), "FileKeyUpdate": "orders-1.jar" } } } })
}

fn stopped_applications() -> Vec<Scenario> {
    let skip = json!({ "type": "SKIP_RESTORE_FROM_SNAPSHOT" });
    let fresh = |name, about| Scenario::new(name, about).of(stopped());
    let was_running = |name, about| {
        Scenario::new(name, about).when(0, by_hand("StopApplication", json!({}))).when(0, Happening::Rest)
    };
    vec![
        was_running("stopped-stays-stopped", "An application that is stopped is updated, and left stopped.")
            .deploy(good()),
        was_running("stopped-is-started", "An application that is stopped is updated and started from its snapshot.")
            .deploy(code(Behaviour::healthy(), Deployed, &[UPDATE, START]).with("start", json!(true))),
        was_running(
            "stopped-is-started-without-a-change",
            "The change is in effect already, and only the start is lacking.",
        )
        .deploy(
            configure(
                json!({ "ApplicationSnapshotConfigurationUpdate": { "SnapshotsEnabledUpdate": true } }),
                Deployed,
                &[START],
            )
            .with("start", json!(true)),
        ),
        was_running(
            "stopped-and-the-change-crash-loops",
            "Started with a bad change, a stopped application is stopped by force and gets its configuration back.",
        )
        .deploy(code(crash_loop(), Restored, &[UPDATE, START, super::FORCE, UPDATE]).with("start", json!(true))),
        was_running("stopped-batch-job", "A batch application is updated, started, and runs to the end of its input.")
            .deploy(code(JobFault::Bounded { seconds: 30 }, Deployed, &[UPDATE, START]).with("start", json!(true))),
        fresh(
            "first-deploy-needs-a-word",
            "A first start has no state: without SKIP_RESTORE_FROM_SNAPSHOT it is refused.",
        )
        .deploy(code(Behaviour::healthy(), Refused, &[]).with("start", json!(true)).refused_for(&["restore.type"])),
        fresh("first-deploy", "The first deploy ever begins without state, because the request says so.").deploy(
            code(Behaviour::healthy(), Deployed, &[UPDATE, START])
                .with("start", json!(true))
                .with("restore", skip.clone()),
        ),
        fresh("first-deploy-is-bad", "The first deploy ever crash-loops: the application is stopped again, as it was.")
            .deploy(
                code(crash_loop(), Restored, &[UPDATE, START, super::FORCE, UPDATE])
                    .with("start", json!(true))
                    .with("restore", skip.clone()),
            ),
        fresh("first-deploy-does-not-start", "The first deploy ever throws in main(): the configuration is put back.")
            .deploy(main_throws(Restored, &[UPDATE, START, UPDATE]).with("start", json!(true)).with("restore", skip)),
    ]
}

fn snapshots() -> Vec<Scenario> {
    let skip = json!({ "type": "SKIP_RESTORE_FROM_SNAPSHOT" });
    let named = json!({ "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "manual-0000" });
    let disabled = || App { snapshots_enabled: false, ..App::default() };
    let pre_deploy = json!({ "preDeploySnapshot": true });
    vec![
        Scenario::new("snapshots-disabled", "With snapshots disabled an update would lose the state: it is refused.")
            .of(disabled())
            .deploy(code(Behaviour::healthy(), Refused, &[]).refused_for(&["restore.type"])),
        Scenario::new("snapshots-disabled-and-skipped", "With snapshots disabled, the request gives the state up: it goes live.")
            .of(disabled())
            .deploy(good().with("restore", skip.clone())),
        Scenario::new("enable-snapshots", "Snapshots are enabled on an application that had none, giving its state up once.")
            .of(disabled())
            .deploy(
                configure(
                    json!({ "ApplicationSnapshotConfigurationUpdate": { "SnapshotsEnabledUpdate": true } }),
                    Deployed,
                    &[UPDATE],
                )
                .with("restore", skip.clone()),
            ),
        Scenario::new("pre-deploy-snapshot", "The policy asks for a snapshot before the update.")
            .deploy(code(Behaviour::healthy(), Deployed, &[SNAPSHOT, UPDATE]).with("policy", pre_deploy.clone())),
        Scenario::new("pre-deploy-snapshot-fails", "The snapshot before the update cannot be taken: nothing is changed.")
            .of(App { behaviour: JobFault::SnapshotFails.into(), ..App::default() })
            .deploy(
                code(Behaviour::healthy(), Refused, &[SNAPSHOT])
                    .with("policy", pre_deploy.clone())
                    .refused_for(&["policy.preDeploySnapshot"]),
            ),
        Scenario::new("thousand-snapshots", "With more than a thousand snapshots, pages and all, a change goes live.")
            .when(0, Happening::Snapshots(1_000))
            .deploy(good()),
        Scenario::new(
            "thousand-snapshots-and-one-more",
            "The quota of snapshots is used up, so that the one before the update is refused: nothing is changed.",
        )
        .when(0, Happening::Snapshots(1_000))
        .deploy(
            code(Behaviour::healthy(), Refused, &["CreateApplicationSnapshot (refused)"])
                .with("policy", pre_deploy)
                .refused_for(&["policy.preDeploySnapshot"]),
        ),
        Scenario::new("named-snapshot", "The change begins from a snapshot that the request names.")
            .when(0, Happening::Snapshots(1))
            .deploy(good().with("restore", named.clone())),
        Scenario::new("named-snapshot-and-a-crash-loop", "The change begins from a named snapshot, is bad, and is undone.")
            .when(0, Happening::Snapshots(1))
            .deploy(bad().with("restore", named)),
        Scenario::new("skip-restore", "The request gives the state up, and the change begins without.")
            .deploy(good().with("restore", skip.clone())),
        Scenario::new(
            "incompatible-state",
            "The state's type changed under the same uid, so that every restore fails: rolled back, state and all.",
        )
        .deploy(code(Behaviour::from(JobFault::IncompatibleState), RolledBack, &[UPDATE, super::ROLLBACK])),
        Scenario::new("incompatible-state-skipped", "The same change goes live when the request gives the state up.")
            .deploy(code(JobFault::IncompatibleState, Deployed, &[UPDATE]).with("restore", skip)),
        Scenario::new("removed-operator", "An operator's uid is gone, and its state may not be dropped: put back, restarted.")
            .deploy(code(JobFault::RemovedUid, Restored, &[UPDATE, UPDATE, START])),
        Scenario::new("removed-operator-allowed", "The same change goes live when state may be dropped.")
            .deploy(code(JobFault::RemovedUid, Deployed, &[UPDATE]).with("restore", json!({ "allowNonRestoredState": true }))),
        Scenario::new(
            "code-not-readable",
            "The role cannot read the new code object; after some tries the request is refused, and nothing was touched.",
        )
        .deploy(
            configure(
                json!({ "ApplicationCodeConfigurationUpdate": { "CodeContentUpdate": { "S3ContentLocationUpdate":
                    { "BucketARNUpdate": format!("arn:aws:s3:::{BUCKET}"), "FileKeyUpdate": "absent.jar",
                        "ObjectVersionUpdate": "none" } } } }),
                Refused,
                &[UPDATE_REFUSED, UPDATE_REFUSED, UPDATE_REFUSED],
            )
            .refused_for(&["update.ApplicationConfigurationUpdate.ApplicationCodeConfigurationUpdate.CodeContentUpdate"]),
        ),
    ]
}
