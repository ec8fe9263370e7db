//! The snapshots of an application: the list of them, one of them, what protects them, and their deletion.

use std::cmp::Reverse;

use aws_smithy_types::DateTime;
use jiff::Timestamp;
use lifecycle::evidence::Snapshot;
use lifecycle::retention::Protections;
use lifecycle::status::SnapshotStatus;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::read::none_if_missing;
use crate::wire::Wire;
use crate::{Error, ManagedFlink, time, words};

/// Snapshots on a page: as many as the service gives.
const PAGE: u32 = 50;
/// Pages of snapshots that are read: ten times the service's quota, so that an endless list ends.
const MOST_PAGES: usize = 200;

impl ManagedFlink {
    /// All snapshots of every version, newest first (`ListApplicationSnapshots`, every page, 50 on each).
    pub async fn snapshots(&self, name: &str) -> Result<Vec<Snapshot>, Error> {
        const OPERATION: &str = "ListApplicationSnapshots";
        let mut snapshots = Vec::new();
        let mut body = json!({ "ApplicationName": name, "Limit": PAGE });
        for _ in 0..MOST_PAGES {
            let wire = Wire::new(OPERATION, &body);
            let call = self.reads.list_application_snapshots().application_name(name);
            call.customize()
                .interceptor(wire.clone())
                .send()
                .await
                .map_err(|error| Error::from_sdk(OPERATION, error))?;
            let page: SnapshotPage = wire.read()?;
            snapshots.extend(page.snapshot_summaries.into_iter().map(Snapshot::from));
            let Some(token) = page.next_token.filter(|token| !token.is_empty()) else {
                snapshots.sort_by_key(|snapshot| Reverse(snapshot.created_at));
                return Ok(snapshots);
            };
            body["NextToken"] = token.into();
        }
        Err(Error::unreadable(OPERATION, format!("the list does not end after {MOST_PAGES} pages")))
    }

    /// The snapshot of this name (`DescribeApplicationSnapshot`); none if there is none, or no such application.
    pub async fn snapshot(&self, name: &str, snapshot: &str) -> Result<Option<Snapshot>, Error> {
        const OPERATION: &str = "DescribeApplicationSnapshot";
        let wire = Wire::new(OPERATION, &json!({ "ApplicationName": name, "SnapshotName": snapshot }));
        let call = self.reads.describe_application_snapshot().application_name(name).snapshot_name(snapshot);
        match call.customize().interceptor(wire.clone()).send().await {
            Ok(_) => Ok(Some(wire.read::<DescribedSnapshot>()?.snapshot_details.into())),
            Err(error) => none_if_missing(Error::from_sdk(OPERATION, error)),
        }
    }

    /// What the application itself protects of its snapshots (`DescribeApplication`); none if there is no application of
    /// this name. Whether a deployment is under way is not known here.
    pub async fn snapshot_protections(&self, name: &str) -> Result<Option<Protections>, Error> {
        let Some((application, detail)) = self.described(name).await? else { return Ok(None) };
        let run_configuration = detail.pointer(
            "/ApplicationConfigurationDescription/RunConfigurationDescription\
             /ApplicationRestoreConfigurationDescription/SnapshotName",
        );
        let VersionMade { application_version_create_timestamp: version_since } = VersionMade::deserialize(&detail)
            .map_err(|_| Error::unreadable("DescribeApplication", "the version's time of creation is not a time"))?;
        Ok(Some(Protections {
            version: Some(application.version),
            version_since,
            run_configuration: run_configuration.and_then(Value::as_str).map(str::to_owned),
            deployment: None,
        }))
    }

    /// Begins to delete the snapshot that was created at this very time (`DeleteApplicationSnapshot`). Unlike other changes
    /// it is sent again when it is throttled or its answer is lost: a second one can meet no other snapshot. Where the first
    /// was done, the error is `NotFound`, or `ResourceInUse` as long as the service is at it.
    pub async fn delete_snapshot(&self, name: &str, snapshot: &str, created_at: Timestamp) -> Result<(), Error> {
        const OPERATION: &str = "DeleteApplicationSnapshot";
        let time = time::written(created_at);
        let (name_text, snapshot_text) = (Value::from(name), Value::from(snapshot));
        let body = format!(
            r#"{{"ApplicationName":{name_text},"SnapshotName":{snapshot_text},"SnapshotCreationTimestamp":{time}}}"#
        );
        let wire = Wire::with_text(OPERATION, body);
        let call = self
            .reads
            .delete_application_snapshot()
            .application_name(name)
            .snapshot_name(snapshot)
            .snapshot_creation_timestamp(DateTime::from_secs(created_at.as_second()));
        match call.customize().interceptor(wire).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                // Without looking at the application anew: thousands of deletions may fail one after the other.
                let error = Error::from_sdk(OPERATION, error);
                match self.known_redactor(name) {
                    Some(redactor) => Err(error.redacted(&redactor)),
                    None if error.kind().may_quote_configuration() => Err(error.withheld()),
                    None => Err(error),
                }
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersionMade {
    #[serde(default, deserialize_with = "time::read")]
    application_version_create_timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedSnapshot {
    snapshot_details: SnapshotDetails,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SnapshotPage {
    #[serde(default)]
    snapshot_summaries: Vec<SnapshotDetails>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SnapshotDetails {
    #[serde(deserialize_with = "words::read")]
    snapshot_name: String,
    #[serde(deserialize_with = "words::read")]
    snapshot_status: SnapshotStatus,
    application_version_id: u64,
    #[serde(default, deserialize_with = "time::read")]
    snapshot_creation_timestamp: Option<Timestamp>,
    application_encryption_configuration_description: Option<Encryption>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encryption {
    #[serde(deserialize_with = "words::read")]
    key_type: String,
    #[serde(default, deserialize_with = "words::read_optional")]
    key_id: Option<String>,
}

impl From<SnapshotDetails> for Snapshot {
    fn from(details: SnapshotDetails) -> Self {
        Self {
            name: details.snapshot_name,
            status: details.snapshot_status,
            version: details.application_version_id,
            created_at: details.snapshot_creation_timestamp,
            // The service's own key has a type and no id.
            key: details.application_encryption_configuration_description.map(|it| it.key_id.unwrap_or(it.key_type)),
        }
    }
}
