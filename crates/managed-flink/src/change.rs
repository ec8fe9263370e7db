//! Changes of an application. Each is sent once and never retried here.

use lifecycle::request::{Restore, Stop};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::wire::Wire;
use crate::{Error, ManagedFlink, words};

/// A change that the service has taken on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Id of the operation that makes the change; none when the service made it at once.
    pub operation: Option<String>,
    /// The application's version after the change.
    pub version: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Changed {
    application_detail: Version,
    #[serde(default, deserialize_with = "words::read_optional")]
    operation_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    application_version_id: u64,
}

impl From<Changed> for Accepted {
    fn from(changed: Changed) -> Self {
        Self { operation: changed.operation_id, version: changed.application_detail.application_version_id }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Begun {
    #[serde(default, deserialize_with = "words::read_optional")]
    operation_id: Option<String>,
}

impl ManagedFlink {
    /// Updates the application if its version is `version` (`UpdateApplication`). Every member of `update` is sent as it
    /// is; how state is restored is stated anew, because the service forgets it otherwise.
    pub async fn update(
        &self,
        name: &str,
        version: u64,
        update: &Map<String, Value>,
        restore: &Restore,
    ) -> Result<Accepted, Error> {
        const OPERATION: &str = "UpdateApplication";
        let mut body = update.clone();
        body.insert("ApplicationName".into(), name.into());
        body.insert("CurrentApplicationVersionId".into(), version.into());
        body.insert("RunConfigurationUpdate".into(), restore.run_configuration());
        let body = Value::from(body);
        // A refusal may quote a value of the update, which no describe would show.
        self.learn(name, &body);
        let wire = Wire::new(OPERATION, &body);
        let call = self.writes.update_application().application_name(name).customize().interceptor(wire.clone());
        match call.send().await {
            Ok(_) => Ok(wire.read::<Changed>()?.into()),
            Err(error) => Err(self.cleared(name, Error::from_sdk(OPERATION, error)).await),
        }
    }

    /// Starts the application with the state that `restore` says (`StartApplication`). Returns the operation's id.
    pub async fn start(&self, name: &str, restore: &Restore) -> Result<Option<String>, Error> {
        const OPERATION: &str = "StartApplication";
        let body = json!({ "ApplicationName": name, "RunConfiguration": restore.run_configuration() });
        let wire = Wire::new(OPERATION, &body);
        let call = self.writes.start_application().application_name(name).customize().interceptor(wire.clone());
        match call.send().await {
            Ok(_) => Ok(wire.read::<Begun>()?.operation_id),
            Err(error) => Err(self.cleared(name, Error::from_sdk(OPERATION, error)).await),
        }
    }

    /// Rolls the application back to its previous running version if its version is `version` (`RollbackApplication`).
    pub async fn roll_back(&self, name: &str, version: u64) -> Result<Accepted, Error> {
        const OPERATION: &str = "RollbackApplication";
        let body = json!({ "ApplicationName": name, "CurrentApplicationVersionId": version });
        let wire = Wire::new(OPERATION, &body);
        let call = self.writes.rollback_application().application_name(name).customize().interceptor(wire.clone());
        match call.send().await {
            Ok(_) => Ok(wire.read::<Changed>()?.into()),
            Err(error) => Err(self.cleared(name, Error::from_sdk(OPERATION, error)).await),
        }
    }

    /// Stops the application (`StopApplication`), with a snapshot or, by force, without. The call carries no version: read
    /// the application right before. Returns the operation's id.
    pub async fn stop(&self, name: &str, stop: Stop) -> Result<Option<String>, Error> {
        const OPERATION: &str = "StopApplication";
        let body = json!({ "ApplicationName": name, "Force": stop == Stop::Force });
        let wire = Wire::new(OPERATION, &body);
        let call = self.writes.stop_application().application_name(name).customize().interceptor(wire.clone());
        match call.send().await {
            Ok(_) => Ok(wire.read::<Begun>()?.operation_id),
            Err(error) => Err(self.cleared(name, Error::from_sdk(OPERATION, error)).await),
        }
    }

    /// Begins a snapshot of this name (`CreateApplicationSnapshot`); [`snapshots`](Self::snapshots) shows how it goes.
    pub async fn take_snapshot(&self, name: &str, snapshot: &str) -> Result<(), Error> {
        const OPERATION: &str = "CreateApplicationSnapshot";
        let body = json!({ "ApplicationName": name, "SnapshotName": snapshot });
        let wire = Wire::new(OPERATION, &body);
        let call = self.writes.create_application_snapshot().application_name(name).snapshot_name(snapshot);
        match call.customize().interceptor(wire).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.cleared(name, Error::from_sdk(OPERATION, error)).await),
        }
    }
}
