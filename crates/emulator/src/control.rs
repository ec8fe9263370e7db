//! What the service and the world around it do by themselves, on request: maintenance, autoscaling, a lost TaskManager,
//! code that changes. As methods for tests, and under `POST /_emulator/…` for demos and other languages:
//!
//! | path | body |
//! |---|---|
//! | `maintenance` | `{"application": "orders", "seconds": 20}` |
//! | `autoscale` | `{"application": "orders", "parallelism": 4}` |
//! | `lose-task-manager` | `{"application": "orders"}` |
//! | `code?bucket=B&key=K` | the object; answers its version |
//! | `delete-code?bucket=B&key=K` | none |
//! | `snapshots` | `{"application": "orders", "snapshots": [{"name": "a", "created": "2026-01-05T08:00:00Z"}]}` |
//! | `end-execution` | `{"executionArn": "arn:…", "status": "SUCCEEDED", "output": "{}"}` |
//! | `alarms` | `{"name": "orders-lag", "state": "ALARM"}` |
//! | `faults` | a [`Fault`] |
//! | `clear-faults` | none |
//! | `record` | none; answers the record (GET does, too) |

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::application::{Application, Log, Status, whole_second};
use crate::emulator::{Emulator, State, lock};
use crate::faults::Fault;
use crate::record::Event;
use crate::snapshots::{Snapshot, SnapshotStatus};
use crate::step_functions::ExecutionEnd;
use crate::wire::{HttpRequest, HttpResponse, Protocol, answer, error_answer};
use crate::workflow::Workflow;

/// Why a control call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// There is no such application.
    #[error("there is no application {0}")]
    NoApplication(String),
    /// Its status does not allow this.
    #[error("an application cannot do that while it is {0}")]
    Status(String),
    /// The request is not one of these.
    #[error("{0}")]
    Request(String),
}

/// A snapshot that an application is to have without one having been taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlantedSnapshot {
    /// Its name, which no other snapshot of the application has.
    pub name: String,
    /// When it was created; the fraction of a second is dropped.
    pub created: Timestamp,
    /// Version of the application that it is of; the current one if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Its status.
    #[serde(default)]
    pub status: SnapshotStatus,
    /// Whether the service took it by itself.
    #[serde(default)]
    pub automatic: bool,
}

impl PlantedSnapshot {
    /// A READY one of the current version that somebody asked for.
    pub fn new(name: impl Into<String>, created: Timestamp) -> Self {
        Self { name: name.into(), created, version: None, status: SnapshotStatus::Ready, automatic: false }
    }
}

impl Application {
    fn plant(&mut self, planted: Vec<PlantedSnapshot>, log: &mut Log, now: Timestamp) -> Result<(), ControlError> {
        let (mut snapshots, mut sequence) = (self.snapshots.clone(), self.sequence);
        let mut events = Vec::new();
        for PlantedSnapshot { name, created, version, status, automatic } in planted {
            let version = version.unwrap_or(self.version);
            let of = self.versions.get(&version);
            let of = of.ok_or_else(|| ControlError::Request(format!("the application has no version {version}")))?;
            if snapshots.named(&name).is_some() {
                return Err(ControlError::Request(format!("there is a snapshot {name} already")));
            }
            sequence += 1;
            snapshots.put(Snapshot {
                sequence,
                name: name.clone(),
                status,
                version,
                runtime: of.runtime.clone(),
                encryption: of.configuration.get("ApplicationEncryptionConfigurationDescription").cloned(),
                created: whole_second(created),
                automatic,
                job: 0,
                lineage: Vec::new(),
                handle: None,
            });
            if status == SnapshotStatus::Ready {
                let application = self.name.clone();
                events.push(Event::SnapshotTaken { application, snapshot: name, version, job: 0, automatic });
            }
        }
        (self.snapshots, self.sequence) = (snapshots, sequence);
        for event in events {
            log.add(now, event);
        }
        Ok(())
    }
}

impl Emulator {
    /// The service maintains an application that is RUNNING or READY: MAINTENANCE for this long, with its job down.
    pub fn maintenance(&self, application: &str, duration: Duration) -> Result<(), ControlError> {
        self.act_on(application, &[Status::Running, Status::Ready], |application, log, now| {
            let before = application.status;
            let operation = application.begin_operation("Maintenance", None, log, now);
            application.set_status(Status::Maintenance, Some(&operation), log, now);
            let run = move |workflow: Workflow| workflow.maintain(duration, before);
            self.inner().begin(application, run, Some(&operation), "Maintenance", None);
        })
    }

    /// The service scales a RUNNING application to another parallelism.
    pub fn autoscale(&self, application: &str, parallelism: u32) -> Result<(), ControlError> {
        self.act_on(application, &[Status::Running], |application, log, now| {
            let operation = application.begin_operation("Autoscaling", None, log, now);
            application.set_status(Status::Autoscaling, Some(&operation), log, now);
            let run = move |workflow: Workflow| workflow.autoscale(parallelism.max(1));
            self.inner().begin(application, run, Some(&operation), "Autoscaling", None);
        })
    }

    /// Lets an application have these snapshots, too, as if they had been taken long ago. They count for quotas, lists and
    /// deletions, but hold no state: a start from one of them fails. All or none are planted.
    pub fn plant_snapshots(&self, application: &str, planted: Vec<PlantedSnapshot>) -> Result<(), ControlError> {
        self.act_on(application, &[], |application, log, now| application.plant(planted, log, now))?
    }

    /// A machine of the application dies.
    pub async fn lose_task_manager(&self, application: &str) -> Result<(), ControlError> {
        self.act_on(application, &[], |_, _, _| ())?;
        self.data_plane().lose_task_manager(application).await;
        Ok(())
    }

    /// Does something to an application in one of these statuses; none stands for any.
    fn act_on<T>(
        &self,
        name: &str,
        statuses: &[Status],
        act: impl FnOnce(&mut Application, &mut Log, Timestamp) -> T,
    ) -> Result<T, ControlError> {
        let mut state = lock(&self.inner().state);
        // Under the lock, so that the record is in order whatever thread gets there first.
        let now = self.clock().now();
        let State { applications, log, .. } = &mut *state;
        let application = applications.get_mut(name).ok_or_else(|| ControlError::NoApplication(name.to_owned()))?;
        if !statuses.is_empty() && !statuses.contains(&application.status) {
            return Err(ControlError::Status(application.status.name().to_owned()));
        }
        let result = act(application, log, now);
        state.remember(name, now);
        Ok(result)
    }

    /// Answers a control call.
    pub(crate) async fn control(&self, call: &str, request: &HttpRequest) -> HttpResponse {
        if call == "alarms" {
            return self.cloudwatch().post_alarm(request.body());
        }
        match self.try_control(call, request).await {
            Ok(body) => answer(StatusCode::OK, "application/json", body.to_string()),
            Err(error) => {
                let status = if matches!(error, ControlError::NoApplication(_)) { 404 } else { 400 };
                error_answer(Protocol::Rest, status, "", &error.to_string())
            }
        }
    }

    async fn try_control(&self, call: &str, request: &HttpRequest) -> Result<serde_json::Value, ControlError> {
        let done = json!({});
        match call {
            "maintenance" => {
                let Maintenance { application, seconds } = parse(request)?;
                self.maintenance(&application, Duration::from_secs(seconds)).map(|()| done)
            }
            "autoscale" => {
                let Autoscale { application, parallelism } = parse(request)?;
                self.autoscale(&application, parallelism).map(|()| done)
            }
            "lose-task-manager" => {
                let LoseTaskManager { application } = parse(request)?;
                self.lose_task_manager(&application).await.map(|()| done)
            }
            "snapshots" => {
                let Plant { application, snapshots } = parse(request)?;
                self.plant_snapshots(&application, snapshots).map(|()| done)
            }
            "end-execution" => {
                let EndExecution { execution_arn, end } = parse(request)?;
                let ended = self.executions().ended(&execution_arn, end);
                ended.map(|_| done).map_err(|error| ControlError::Request(error.to_string()))
            }
            "code" => {
                let (bucket, key) = location(request)?;
                Ok(json!({ "versionId": self.code().put(&bucket, &key, request.body().clone()) }))
            }
            "delete-code" => {
                let (bucket, key) = location(request)?;
                self.code().delete(&bucket, &key);
                Ok(done)
            }
            "faults" => {
                self.inject(parse::<Fault>(request)?);
                Ok(done)
            }
            "clear-faults" => {
                self.clear_faults();
                Ok(done)
            }
            "record" => Ok(json!(self.record())),
            other => Err(ControlError::Request(format!("there is no control call {other}"))),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Maintenance {
    application: String,
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Autoscale {
    application: String,
    parallelism: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plant {
    application: String,
    snapshots: Vec<PlantedSnapshot>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndExecution {
    execution_arn: String,
    #[serde(flatten)]
    end: ExecutionEnd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoseTaskManager {
    application: String,
}

fn parse<T: serde::de::DeserializeOwned>(request: &HttpRequest) -> Result<T, ControlError> {
    serde_json::from_slice(request.body()).map_err(|error| ControlError::Request(format!("the body: {error}")))
}

/// Bucket and key of the query.
fn location(request: &HttpRequest) -> Result<(String, String), ControlError> {
    let query = request.uri().query().unwrap_or_default();
    let field = |name: &str| {
        let found = url::form_urlencoded::parse(query.as_bytes()).find(|(field, _)| field == name);
        found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    };
    field("bucket")
        .zip(field("key"))
        .ok_or_else(|| ControlError::Request("bucket and key have to be given in the query".to_owned()))
}
