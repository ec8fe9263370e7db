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
//! | `alarms` | `{"name": "orders-lag", "state": "ALARM"}` |
//! | `faults` | a [`Fault`] |
//! | `clear-faults` | none |
//! | `record` | none; answers the record (GET does, too) |

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::application::{Application, Log, Status};
use crate::emulator::{Emulator, State, lock};
use crate::faults::Fault;
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

    /// A machine of the application dies.
    pub async fn lose_task_manager(&self, application: &str) -> Result<(), ControlError> {
        self.act_on(application, &[], |_, _, _| ())?;
        self.data_plane().lose_task_manager(application).await;
        Ok(())
    }

    /// Does something to an application in one of these statuses; none stands for any.
    fn act_on(
        &self,
        name: &str,
        statuses: &[Status],
        act: impl FnOnce(&mut Application, &mut Log, jiff::Timestamp),
    ) -> Result<(), ControlError> {
        let mut state = lock(&self.inner().state);
        // Under the lock, so that the record is in order whatever thread gets there first.
        let now = self.clock().now();
        let State { applications, log, .. } = &mut *state;
        let application = applications.get_mut(name).ok_or_else(|| ControlError::NoApplication(name.to_owned()))?;
        if !statuses.is_empty() && !statuses.contains(&application.status) {
            return Err(ControlError::Status(application.status.name().to_owned()));
        }
        act(application, log, now);
        state.remember(name, now);
        Ok(())
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
