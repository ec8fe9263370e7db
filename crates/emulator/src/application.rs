//! One emulated application: its versions, operations, snapshots and job, and how the service describes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::configuration::{self, Restore};
use crate::data_plane::{CodeObject, JobSpec, SnapshotHandle};
use crate::error::ServiceError;
use crate::faults::split_mix;
use crate::record::{Event, RecordEntry, StatusAndVersion};
use crate::snapshots::{Place, Snapshot, SnapshotStatus, Snapshots};

/// Longest `ErrorString` of an operation.
const ERROR_STRING_LIMIT: usize = 512;

/// `ApplicationStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ready,
    Starting,
    Running,
    Stopping,
    Updating,
    Autoscaling,
    ForceStopping,
    RollingBack,
    RolledBack,
    Maintenance,
    Deleting,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Stopping => "STOPPING",
            Self::Updating => "UPDATING",
            Self::Autoscaling => "AUTOSCALING",
            Self::ForceStopping => "FORCE_STOPPING",
            Self::RollingBack => "ROLLING_BACK",
            Self::RolledBack => "ROLLED_BACK",
            Self::Maintenance => "MAINTENANCE",
            Self::Deleting => "DELETING",
        }
    }

    /// Whether the application stands still and may be started or deleted.
    pub(crate) fn is_stopped(self) -> bool {
        matches!(self, Self::Ready | Self::RolledBack)
    }
}

/// `OperationStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationStatus {
    InProgress,
    Successful,
    Failed,
    Cancelled,
}

impl OperationStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A version of an application's configuration, with the copy of the code that the service keeps for it.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: u64,
    pub(crate) runtime: String,
    pub(crate) role: String,
    /// `ApplicationConfigurationDescription`.
    pub(crate) configuration: Map<String, Value>,
    /// `CloudWatchLoggingOptionDescriptions`.
    pub(crate) logging: Vec<Value>,
    pub(crate) code: Option<CodeObject>,
    pub(crate) created: Timestamp,
    pub(crate) updated_from: Option<u64>,
    pub(crate) rolled_back_from: Option<u64>,
    pub(crate) rolled_back_to: Option<u64>,
    pub(crate) conditional_token: String,
    /// The application's status when another version took this one's place.
    pub(crate) last_status: Status,
}

/// An operation on an application.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) name: &'static str,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) status: OperationStatus,
    pub(crate) versions: Option<(u64, u64)>,
    pub(crate) error: Option<String>,
    /// Id of the operation by which the service undid this one.
    pub(crate) rolled_back_by: Option<String>,
}

/// The job that an application runs.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) version: u64,
    pub(crate) runtime: String,
    /// Jobs whose state it carries on, the oldest first.
    pub(crate) lineage: Vec<u64>,
}

/// An application.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    /// Tells this application from an earlier one of the same name.
    pub(crate) instance: u64,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) description: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) status: Status,
    /// Whether it is meant to run: from its start until it stands still again.
    pub(crate) active: bool,
    /// Id of the current version.
    pub(crate) version: u64,
    pub(crate) versions: BTreeMap<u64, Arc<Version>>,
    /// Ids of the versions that reached RUNNING, in that order.
    pub(crate) ran: Vec<u64>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) snapshots: Snapshots,
    pub(crate) tags: BTreeMap<String, String>,
    /// `HH:MM`, begin of the eight-hour maintenance window.
    pub(crate) maintenance_window: String,
    pub(crate) job: Option<Job>,
    /// What is under way with the application; a newer number supersedes what still runs under an older one.
    pub(crate) workflow: u64,
    pub(crate) workflow_task: Option<AbortHandle>,
    /// Counts snapshots and logging options.
    pub(crate) sequence: u64,
}

/// What is written down, and where fresh ids come from.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) entries: Vec<RecordEntry>,
    random: u64,
    jobs: u64,
}

impl Log {
    pub(crate) fn new(seed: u64) -> Self {
        Self { entries: Vec::new(), random: seed ^ 0x6964_7320_6964_7320, jobs: 0 }
    }

    pub(crate) fn add(&mut self, at: Timestamp, event: Event) {
        self.entries.push(RecordEntry { at, event });
    }

    /// A fresh id, of the seed.
    pub(crate) fn id(&mut self) -> String {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&split_mix(&mut self.random).to_be_bytes());
        bytes[8..].copy_from_slice(&split_mix(&mut self.random).to_be_bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// A fresh token: 32 hexadecimal digits.
    pub(crate) fn token(&mut self) -> String {
        Uuid::parse_str(&self.id()).map(|id| id.simple().to_string()).unwrap_or_default()
    }

    /// Writes down that an application's status changed.
    pub(crate) fn status(
        &mut self,
        application: &Application,
        from: Option<Status>,
        to: Option<Status>,
        operation: Option<&str>,
        now: Timestamp,
    ) {
        let event = Event::Status {
            application: application.name.clone(),
            from: from.map(|status| status.name().to_owned()),
            to: to.map(|status| status.name().to_owned()),
            version: application.version,
            operation_id: operation.map(str::to_owned),
        };
        self.add(now, event);
    }

    /// The number of a new job.
    pub(crate) fn job(&mut self) -> u64 {
        self.jobs += 1;
        self.jobs
    }
}

/// A timestamp as AWS JSON writes it: seconds since 1970, with milliseconds.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double's 53 bits for 285,000 years")]
pub(crate) fn epoch_seconds(timestamp: Timestamp) -> Value {
    let milliseconds = timestamp.as_millisecond();
    if milliseconds % 1000 == 0 { json!(milliseconds / 1000) } else { json!(milliseconds as f64 / 1000.0) }
}

/// A timestamp without its fraction: those that callers have to repeat exactly, since SDKs differ in what they keep.
pub(crate) fn whole_second(timestamp: Timestamp) -> Timestamp {
    Timestamp::from_second(timestamp.as_second()).unwrap_or(timestamp)
}

impl Application {
    /// The current version.
    pub(crate) fn current(&self) -> Option<&Arc<Version>> {
        self.versions.get(&self.version)
    }

    pub(crate) fn status_and_version(&self) -> StatusAndVersion {
        StatusAndVersion { status: self.status.name().to_owned(), version: self.version }
    }

    pub(crate) fn set_status(&mut self, to: Status, operation: Option<&str>, log: &mut Log, now: Timestamp) {
        let from = self.status;
        self.status = to;
        match to {
            Status::Ready | Status::RolledBack => self.active = false,
            Status::Starting | Status::Running => self.active = true,
            Status::Stopping
            | Status::Updating
            | Status::Autoscaling
            | Status::ForceStopping
            | Status::RollingBack
            | Status::Maintenance
            | Status::Deleting => {}
        }
        if from != to {
            log.status(self, Some(from), Some(to), operation, now);
        }
    }

    /// Makes `version` the current one.
    pub(crate) fn add_version(
        &mut self,
        version: Version,
        cause: &str,
        principal: Option<&str>,
        log: &mut Log,
        now: Timestamp,
    ) {
        let from = self.version;
        if let Some(previous) = self.versions.get_mut(&from) {
            Arc::make_mut(previous).last_status = self.status;
        }
        log.add(
            now,
            Event::Version {
                application: self.name.clone(),
                from,
                to: version.id,
                cause: cause.to_owned(),
                principal: principal.map(str::to_owned),
                rolled_back_to: version.rolled_back_to,
            },
        );
        self.version = version.id;
        self.updated = now;
        self.versions.insert(version.id, Arc::new(version));
    }

    pub(crate) fn begin_operation(
        &mut self,
        name: &'static str,
        versions: Option<(u64, u64)>,
        log: &mut Log,
        now: Timestamp,
    ) -> String {
        let id = log.id();
        self.operations.push(Operation {
            id: id.clone(),
            name,
            started: now,
            ended: None,
            status: OperationStatus::InProgress,
            versions,
            error: None,
            rolled_back_by: None,
        });
        id
    }

    /// Ends an operation that is in progress; one that has ended stays as it is.
    pub(crate) fn end_operation(
        &mut self,
        id: &str,
        status: OperationStatus,
        error: Option<&str>,
        log: &mut Log,
        now: Timestamp,
    ) {
        let in_progress = self.operations.iter_mut().find(|it| it.id == id && it.status == OperationStatus::InProgress);
        if let Some(operation) = in_progress {
            operation.status = status;
            operation.ended = Some(now);
            operation.error = error.map(|text| text.chars().take(ERROR_STRING_LIMIT).collect());
            log.add(
                now,
                Event::OperationEnded {
                    application: self.name.clone(),
                    operation_id: operation.id.clone(),
                    operation: operation.name.to_owned(),
                    status: status.name().to_owned(),
                    error: operation.error.clone(),
                },
            );
        }
    }

    /// Ends whatever is under way: its task is aborted, its operations are cancelled, its snapshots fail. Returns the
    /// number under which something new may begin.
    pub(crate) fn supersede(&mut self, log: &mut Log, now: Timestamp) -> u64 {
        if let Some(task) = self.workflow_task.take() {
            task.abort();
        }
        let in_progress: Vec<_> = self
            .operations
            .iter()
            .filter(|operation| operation.status == OperationStatus::InProgress)
            .map(|operation| operation.id.clone())
            .collect();
        for id in in_progress {
            self.end_operation(&id, OperationStatus::Cancelled, None, log, now);
        }
        let unfinished = |it: &&Arc<Snapshot>| it.automatic && it.status == SnapshotStatus::Creating;
        let unfinished: Vec<_> = self.snapshots.newest_first().filter(unfinished).cloned().collect();
        for snapshot in unfinished {
            self.snapshots.put(Snapshot { status: SnapshotStatus::Failed, ..Arc::unwrap_or_clone(snapshot) });
        }
        self.workflow += 1;
        self.workflow
    }

    /// Notes that the job is no more, and how it ended.
    pub(crate) fn end_job(&mut self, how: &str, log: &mut Log, now: Timestamp) {
        if let Some(job) = self.job.take() {
            log.add(now, Event::JobEnded { application: self.name.clone(), job: job.number, how: how.to_owned() });
        }
    }

    /// What the data plane is to run for a version.
    pub(crate) fn job_spec(&self, version: &Version, restore_from: Option<SnapshotHandle>) -> Option<JobSpec> {
        Some(JobSpec {
            application: self.name.clone(),
            version: version.id,
            runtime: version.runtime.clone(),
            code: version.code.clone()?,
            parallelism: configuration::current_parallelism(&version.configuration),
            checkpoint_interval: configuration::checkpoint_interval(&version.configuration),
            properties: configuration::properties(&version.configuration),
            restore_from,
            allow_non_restored_state: configuration::allow_non_restored_state(&version.configuration),
        })
    }

    /// The newest snapshot that is READY, of one version or of any.
    pub(crate) fn latest_snapshot(&self, version: Option<u64>) -> Option<&Arc<Snapshot>> {
        self.snapshots
            .newest_first()
            .find(|it| it.status == SnapshotStatus::Ready && version.is_none_or(|version| it.version == version))
    }

    pub(crate) fn snapshot(&self, name: &str) -> Option<&Arc<Snapshot>> {
        self.snapshots.named(name)
    }

    /// The snapshot that is being restored, or that what is under way with the application is about to restore.
    pub(crate) fn restoring(&self) -> Option<&Arc<Snapshot>> {
        match self.status {
            Status::RollingBack if self.active => self.snapshot_of_rollback(),
            Status::Starting | Status::Updating | Status::Autoscaling if self.active => {
                self.snapshot_to_restore().ok().flatten()
            }
            _ => None,
        }
    }

    /// The snapshot that the current version's run configuration asks for; none starts without state. Autoscaling carries the
    /// job on from the snapshot that it has been stopped with, however it was started.
    pub(crate) fn snapshot_to_restore(&self) -> Result<Option<&Arc<Snapshot>>, String> {
        let takes_snapshots = self.current().is_some_and(|it| configuration::snapshots_enabled(&it.configuration));
        if self.status == Status::Autoscaling && takes_snapshots {
            return Ok(self.latest_snapshot(None));
        }
        let restore = self.current().map(|version| configuration::restore(&version.configuration));
        match restore.unwrap_or(Ok(Restore::Latest)).map_err(|error| error.message)? {
            Restore::Latest => Ok(self.latest_snapshot(None)),
            Restore::Skip => Ok(None),
            Restore::Custom(name) => match self.snapshot(&name) {
                Some(snapshot) if snapshot.status == SnapshotStatus::Ready => Ok(Some(snapshot)),
                _ => Err(format!("there is no snapshot {name} to restore from")),
            },
        }
    }

    /// The snapshot that a rollback restores: the newest of the version that it goes back to, or else of any.
    pub(crate) fn snapshot_of_rollback(&self) -> Option<&Arc<Snapshot>> {
        let target = self.current().and_then(|version| version.rolled_back_to);
        self.latest_snapshot(target).or_else(|| self.latest_snapshot(None))
    }

    /// A logging option as it is described, with an id of its own.
    pub(crate) fn logging_option(&mut self, option: &Value) -> Value {
        self.sequence += 1;
        let mut described = option.clone();
        described["CloudWatchLoggingOptionId"] = json!(format!("{}.1", self.sequence));
        described
    }

    /// Begins a snapshot of the job and returns its place; none when there is no job.
    pub(crate) fn begin_snapshot(&mut self, name: String, automatic: bool, now: Timestamp) -> Option<Place> {
        let snapshot = self.snapshot_of_job(name, automatic, now)?;
        let place = snapshot.place();
        self.snapshots.put(snapshot);
        Some(place)
    }

    /// A snapshot of the job that is being made, in no list yet; none when there is no job.
    pub(crate) fn snapshot_of_job(&mut self, name: String, automatic: bool, now: Timestamp) -> Option<Snapshot> {
        let job = self.job.as_ref()?;
        let version = self.versions.get(&job.version)?;
        self.sequence += 1;
        Some(Snapshot {
            sequence: self.sequence,
            name,
            status: SnapshotStatus::Creating,
            version: job.version,
            runtime: job.runtime.clone(),
            encryption: version.configuration.get("ApplicationEncryptionConfigurationDescription").cloned(),
            created: whole_second(now),
            automatic,
            job: job.number,
            lineage: job.lineage.iter().copied().chain([job.number]).collect(),
            handle: None,
        })
    }

    /// Ends a snapshot that is being made: READY with the data plane's handle, FAILED without.
    pub(crate) fn end_snapshot(
        &mut self,
        place: Place,
        handle: Option<SnapshotHandle>,
        log: &mut Log,
        now: Timestamp,
    ) -> Option<()> {
        let status = if handle.is_some() { SnapshotStatus::Ready } else { SnapshotStatus::Failed };
        let snapshot = Snapshot { status, handle, ..self.snapshots.at(place)?.as_ref().clone() };
        if snapshot.status == SnapshotStatus::Ready {
            let event = Event::SnapshotTaken {
                application: self.name.clone(),
                snapshot: snapshot.name.clone(),
                version: snapshot.version,
                job: snapshot.job,
                automatic: snapshot.automatic,
            };
            log.add(now, event);
        }
        self.snapshots.put(snapshot);
        Some(())
    }

    /// Whether there is something to roll back to, and state to do it with.
    pub(crate) fn check_rollback(&self) -> Result<(), ServiceError> {
        if self.rollback_target().is_none() {
            let text = "no version of the application ran before this one";
            return Err(ServiceError::invalid_request(text.to_owned()));
        }
        if self.latest_snapshot(None).is_none() {
            return Err(ServiceError::invalid_request("the application has no snapshot to roll back to".to_owned()));
        }
        Ok(())
    }

    /// Makes the version that ran before the current one again under a new id, and returns the operation's id.
    pub(crate) fn begin_rollback(
        &mut self,
        cause: &str,
        principal: Option<&str>,
        log: &mut Log,
        now: Timestamp,
    ) -> Result<String, ServiceError> {
        self.check_rollback()?;
        let from = self.version;
        let target = self.rollback_target().map(|version| version.as_ref().clone());
        let target = target.ok_or_else(|| ServiceError::invalid_request("there is no earlier version".to_owned()))?;
        let version = Version {
            id: from + 1,
            created: whole_second(now),
            updated_from: Some(from),
            rolled_back_from: Some(from),
            rolled_back_to: Some(target.id),
            conditional_token: log.token(),
            ..target
        };
        let to = version.id;
        self.add_version(version, cause, principal, log, now);
        let operation = self.begin_operation("RollbackApplication", Some((from, to)), log, now);
        self.set_status(Status::RollingBack, Some(&operation), log, now);
        Ok(operation)
    }

    /// The version that a rollback goes back to: the one that ran before the current one.
    pub(crate) fn rollback_target(&self) -> Option<&Arc<Version>> {
        let id = self.ran.iter().rev().find(|id| **id != self.version)?;
        self.versions.get(id)
    }

    /// `ApplicationDetail` of a version.
    pub(crate) fn detail(&self, version: &Version) -> Value {
        let status = if version.id == self.version { self.status } else { version.last_status };
        let window_end = configuration::window_end(&self.maintenance_window);
        let mut detail = json!({
            "ApplicationARN": self.arn,
            "ApplicationName": self.name,
            "RuntimeEnvironment": version.runtime,
            "ServiceExecutionRole": version.role,
            "ApplicationStatus": status.name(),
            "ApplicationVersionId": version.id,
            "CreateTimestamp": epoch_seconds(self.created),
            "LastUpdateTimestamp": epoch_seconds(self.updated),
            "ApplicationConfigurationDescription": version.configuration,
            "CloudWatchLoggingOptionDescriptions": version.logging,
            "ApplicationMaintenanceConfigurationDescription": {
                "ApplicationMaintenanceWindowStartTime": self.maintenance_window,
                "ApplicationMaintenanceWindowEndTime": window_end,
            },
            "ApplicationVersionCreateTimestamp": epoch_seconds(version.created),
            "ConditionalToken": version.conditional_token,
        });
        let optional = [
            ("ApplicationDescription", self.description.as_ref().map(|text| json!(text))),
            ("ApplicationMode", self.mode.as_ref().map(|mode| json!(mode))),
            ("ApplicationVersionUpdatedFrom", version.updated_from.map(|id| json!(id))),
            ("ApplicationVersionRolledBackFrom", version.rolled_back_from.map(|id| json!(id))),
            ("ApplicationVersionRolledBackTo", version.rolled_back_to.map(|id| json!(id))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                detail[name] = value;
            }
        }
        detail
    }
}

impl Operation {
    /// `ApplicationOperationInfo`.
    pub(crate) fn info(&self) -> Value {
        let mut info = self.details_without_failure();
        info["OperationId"] = json!(self.id);
        info
    }

    /// `ApplicationOperationInfoDetails`. The model requires `EndTime`; while there is none, none is told.
    pub(crate) fn details(&self) -> Value {
        let mut details = self.details_without_failure();
        if let Some((from, to)) = self.versions {
            details["ApplicationVersionChangeDetails"] =
                json!({ "ApplicationVersionUpdatedFrom": from, "ApplicationVersionUpdatedTo": to });
        }
        let mut failure = Map::new();
        if let Some(error) = &self.error {
            failure.insert("ErrorInfo".to_owned(), json!({ "ErrorString": error }));
        }
        if let Some(id) = &self.rolled_back_by {
            failure.insert("RollbackOperationId".to_owned(), json!(id));
        }
        if !failure.is_empty() {
            details["OperationFailureDetails"] = Value::Object(failure);
        }
        details
    }

    fn details_without_failure(&self) -> Value {
        let mut details = json!({
            "Operation": self.name,
            "OperationStatus": self.status.name(),
            "StartTime": epoch_seconds(self.started),
        });
        if let Some(ended) = self.ended {
            details["EndTime"] = epoch_seconds(ended);
        }
        details
    }
}
