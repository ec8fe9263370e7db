//! The calls of kinesisanalyticsv2: what each needs, what it refuses, what it sets going. All of a call happens at one
//! moment, under the state's lock; what takes time is left to a [`Workflow`].
//!
//! Where a status does not allow a call the answer is `ResourceInUseException`; that is looked at before the version id.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::application::{Application, Log, Status, Version, whole_second};
use crate::code::{CodeError, CodeLocation};
use crate::configuration::{self, Restore};
use crate::data_plane::CodeObject;
use crate::emulator::{Inner, State, lock};
use crate::error::ServiceError;
use crate::presigned::Session;
use crate::snapshots::{Place, Snapshot, SnapshotStatus, Snapshots};
use crate::workflow::Workflow;

/// Snapshots that an application may have before manual ones are refused.
const SNAPSHOT_QUOTA: usize = 1_000;
/// Tags that users may give an application.
const TAG_QUOTA: usize = 50;
/// Most entries of one page of a list; also how many there are if nothing is asked for.
const PAGE: u64 = 50;

pub(crate) type Answer = Result<Value, ServiceError>;

/// One call.
pub(crate) struct Call<'a> {
    inner: &'a Arc<Inner>,
    state: &'a mut State,
    now: Timestamp,
    request: &'a Map<String, Value>,
    principal: Option<&'a str>,
    /// How old what a read tells is to be.
    age: Option<Duration>,
    /// The code that was fetched for this call, as it is now.
    fetched: Option<&'a Fetched>,
    /// The code that has to be fetched before this call can be answered.
    wanted: Option<CodeLocation>,
}

/// Code that is not at hand, and what came of fetching it.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) location: CodeLocation,
    pub(crate) result: Result<CodeObject, CodeError>,
}

/// A call cannot be answered before this code is fetched; nothing has changed by it.
#[derive(Debug)]
pub(crate) struct Wanted(pub(crate) CodeLocation);

impl Inner {
    /// Answers a call of kinesisanalyticsv2.
    pub(crate) fn call(
        self: &Arc<Self>,
        operation: &str,
        request: &Map<String, Value>,
        principal: Option<&str>,
        age: Option<Duration>,
        fetched: Option<&Fetched>,
    ) -> Result<Answer, Wanted> {
        let mut state = lock(&self.state);
        // Under the lock, so that the record is in order whatever thread gets there first.
        let now = self.config.clock.now();
        let mut call = Call { inner: self, state: &mut state, now, request, principal, age, fetched, wanted: None };
        let answer = call.answer(operation);
        if let Some(location) = call.wanted {
            return Err(Wanted(location));
        }
        if let (Some(Value::String(name)), true) = (request.get("ApplicationName"), is_mutating(operation)) {
            state.remember(name, now);
        }
        Ok(answer)
    }
}

/// Whether a call changes an application.
pub(crate) fn is_mutating(operation: &str) -> bool {
    !(operation.starts_with("Describe")
        || operation.starts_with("List")
        || operation == "CreateApplicationPresignedUrl")
}

impl<'a> Call<'a> {
    fn answer(&mut self, operation: &str) -> Answer {
        match operation {
            "CreateApplication" => self.create(),
            "DescribeApplication" => self.describe(),
            "ListApplications" => self.list(),
            "UpdateApplication" => self.update(),
            "StartApplication" => self.start(),
            "StopApplication" => self.stop(),
            "RollbackApplication" => self.roll_back(),
            "DeleteApplication" => self.delete(),
            "DescribeApplicationVersion" => self.describe_version(),
            "ListApplicationVersions" => self.list_versions(),
            "DescribeApplicationOperation" => self.describe_operation(),
            "ListApplicationOperations" => self.list_operations(),
            "CreateApplicationSnapshot" => self.create_snapshot(),
            "DescribeApplicationSnapshot" => self.describe_snapshot(),
            "ListApplicationSnapshots" => self.list_snapshots(),
            "DeleteApplicationSnapshot" => self.delete_snapshot(),
            "CreateApplicationPresignedUrl" => self.create_presigned_url(),
            "TagResource" => self.tag(),
            "UntagResource" => self.untag(),
            "ListTagsForResource" => self.list_tags(),
            "AddApplicationCloudWatchLoggingOption" => self.add_logging_option(),
            "DeleteApplicationCloudWatchLoggingOption" => self.delete_logging_option(),
            "AddApplicationVpcConfiguration" => self.add_vpc_configuration(),
            "DeleteApplicationVpcConfiguration" => self.delete_vpc_configuration(),
            "UpdateApplicationMaintenanceConfiguration" => self.update_maintenance_configuration(),
            other => Err(ServiceError::unknown_operation(other)),
        }
    }

    // ---- applications

    fn create(&mut self) -> Answer {
        let name = self.name("ApplicationName", 128)?.to_owned();
        let runtime = self.runtime("RuntimeEnvironment")?.ok_or_else(|| missing("RuntimeEnvironment"))?;
        let role = self.text("ServiceExecutionRole")?.to_owned();
        let tags = tags(self.request.get("Tags"))?;
        if self.state.applications.contains_key(&name) {
            return Err(ServiceError::resource_in_use(format!("there is an application {name} already")));
        }
        let mut configuration = configuration::described(&self.object("ApplicationConfiguration")?)?;
        let code = self.copy_code(&configuration, self.request.pointer_in("ApplicationConfiguration", CREATED_ZIP))?;
        if let Some(code) = &code {
            configuration::set_code_size(&mut configuration, code.content.len());
        }
        let created = whole_second(self.now);
        self.state.instances += 1;
        let region = &self.inner.config.region;
        let account = &self.inner.config.account;
        let mut application = Application {
            instance: self.state.instances,
            arn: format!("arn:aws:kinesisanalytics:{region}:{account}:application/{name}"),
            name: name.clone(),
            description: self.request.text_of("ApplicationDescription"),
            mode: self.request.text_of("ApplicationMode").or_else(|| Some("STREAMING".to_owned())),
            created,
            updated: created,
            status: Status::Ready,
            active: false,
            version: 0,
            versions: std::collections::BTreeMap::new(),
            ran: Vec::new(),
            operations: Vec::new(),
            snapshots: Snapshots::default(),
            tags,
            maintenance_window: "06:00".to_owned(),
            job: None,
            workflow: 0,
            workflow_task: None,
            sequence: 0,
        };
        let logging = self
            .request
            .get("CloudWatchLoggingOptions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|option| application.logging_option(option))
            .collect();
        let log = &mut self.state.log;
        let version = Version {
            id: 1,
            runtime,
            role,
            configuration,
            logging,
            code,
            created,
            updated_from: None,
            rolled_back_from: None,
            rolled_back_to: None,
            conditional_token: log.token(),
            last_status: Status::Ready,
        };
        log.status(&application, None, Some(Status::Ready), None, self.now);
        application.add_version(version.clone(), "CreateApplication", self.principal, log, self.now);
        let detail = application.detail(&version);
        self.state.applications.insert(name, application);
        Ok(json!({ "ApplicationDetail": detail }))
    }

    fn describe(&mut self) -> Answer {
        let application = self.view()?;
        let current = application.current().ok_or_else(|| no_version(application.version))?;
        Ok(json!({ "ApplicationDetail": application.detail(current) }))
    }

    fn list(&mut self) -> Answer {
        // The model has no InvalidArgumentException for this call.
        let limit = self.limit().map_err(|error| ServiceError::invalid_request(error.message))?;
        let after = self.request.text_of("NextToken").unwrap_or_default();
        let mut summaries = Vec::new();
        let mut next = None;
        let rest = (Bound::Excluded(after.as_str()), Bound::Unbounded);
        for application in self.state.applications.range::<str, _>(rest).map(|(_, application)| application) {
            if summaries.len() == limit {
                next = summaries.last().and_then(|it: &Value| it.get("ApplicationName")).cloned();
                break;
            }
            summaries.push(json!({
                "ApplicationName": application.name,
                "ApplicationARN": application.arn,
                "ApplicationStatus": application.status.name(),
                "ApplicationVersionId": application.version,
                "RuntimeEnvironment": application.current().map(|version| version.runtime.as_str()),
                "ApplicationMode": application.mode,
            }));
        }
        let mut answer = json!({ "ApplicationSummaries": summaries });
        if let Some(next) = next {
            answer["NextToken"] = next;
        }
        Ok(answer)
    }

    fn delete(&mut self) -> Answer {
        let created = self.timestamp("CreateTimestamp")?;
        let now = self.now;
        let (application, log) = self.application()?;
        if created != application.created {
            return Err(ServiceError::invalid_argument("CreateTimestamp is not this application's".to_owned()));
        }
        if !application.status.is_stopped() && application.status != Status::Running {
            return Err(in_use(application, "deleted"));
        }
        application.supersede(log, now);
        application.set_status(Status::Deleting, None, log, now);
        self.begin(Workflow::delete, None, "DeleteApplication")?;
        Ok(json!({}))
    }

    // ---- changes

    fn update(&mut self) -> Answer {
        let runtime = self.runtime("RuntimeEnvironmentUpdate")?;
        let changes = self.object("ApplicationConfigurationUpdate")?;
        let run = self.request.get("RunConfigurationUpdate").cloned();
        let role = self.request.text_of("ServiceExecutionRoleUpdate");
        let logging = self.request.get("CloudWatchLoggingOptionUpdates").and_then(Value::as_array).cloned();
        let zip = self.request.pointer_in("ApplicationConfigurationUpdate", UPDATED_ZIP);
        let reload = changes.contains_key("ApplicationCodeConfigurationUpdate");
        let mut version = self.next_version()?;
        configuration::update(&mut version.configuration, &changes)?;
        configuration::set_run_configuration(&mut version.configuration, run.as_ref());
        if let Some(updates) = logging {
            configuration::update_by_id(Some(&mut version.logging), "CloudWatchLoggingOptionId", &updates, |field| {
                field.strip_suffix("Update").unwrap_or(field)
            })?;
        }
        if let Some(role) = role {
            version.role = role;
        }
        if let Some(runtime) = runtime {
            version.runtime = runtime;
        }
        self.check_restore(&version.configuration)?;
        // The location is looked at with every update; the copy is made anew only if the update is one of the code.
        let code = self.copy_code(&version.configuration, zip)?;
        if let (Some(code), true) = (code, reload) {
            configuration::set_code_size(&mut version.configuration, code.content.len());
            version.code = Some(code);
        }
        let (operation, detail) = self.change(version, "UpdateApplication")?;
        Ok(json!({ "ApplicationDetail": detail, "OperationId": operation }))
    }

    fn roll_back(&mut self) -> Answer {
        let expected =
            self.version_id("CurrentApplicationVersionId")?.ok_or_else(|| missing("CurrentApplicationVersionId"))?;
        let now = self.now;
        let principal = self.principal.map(str::to_owned);
        let (application, log) = self.flink_application()?;
        if !matches!(application.status, Status::Updating | Status::Autoscaling | Status::Running) {
            return Err(in_use(application, "rolled back"));
        }
        check_version(application, expected)?;
        application.check_rollback()?;
        application.supersede(log, now);
        let operation = application.begin_rollback("RollbackApplication", principal.as_deref(), log, now)?;
        let detail = application.current().map(|version| application.detail(version));
        self.begin(Workflow::roll_back, Some(&operation), "RollbackApplication")?;
        Ok(json!({ "ApplicationDetail": detail, "OperationId": operation }))
    }

    fn start(&mut self) -> Answer {
        let run = self.request.get("RunConfiguration").cloned();
        let now = self.now;
        let (application, _) = self.flink_application()?;
        if !application.status.is_stopped() {
            return Err(in_use(application, "started"));
        }
        let mut version = application.current().ok_or_else(|| no_version(0))?.as_ref().clone();
        if version.code.is_none() {
            return Err(ServiceError::invalid_configuration("the application has no code to start".to_owned()));
        }
        configuration::set_run_configuration(&mut version.configuration, run.as_ref());
        self.check_restore(&version.configuration)?;
        self.copy_code(&version.configuration, None)?;
        let (application, log) = self.application()?;
        application.versions.insert(version.id, Arc::new(version));
        let operation = application.begin_operation("StartApplication", None, log, now);
        application.set_status(Status::Starting, Some(&operation), log, now);
        self.begin(Workflow::start, Some(&operation), "StartApplication")?;
        Ok(json!({ "OperationId": operation }))
    }

    fn stop(&mut self) -> Answer {
        let force = match self.request.get("Force") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(force)) => *force,
            Some(_) => return Err(ServiceError::serialization("Force is true or false".to_owned())),
        };
        let now = self.now;
        let (application, log) = self.flink_application()?;
        let forced = [Status::Starting, Status::Updating, Status::Stopping, Status::Autoscaling, Status::Running];
        let allowed = if force { forced.contains(&application.status) } else { application.status == Status::Running };
        if !allowed {
            return Err(in_use(application, if force { "forced to stop" } else { "stopped" }));
        }
        if force {
            application.supersede(log, now);
        }
        let operation = application.begin_operation("StopApplication", None, log, now);
        let status = if force { Status::ForceStopping } else { Status::Stopping };
        application.set_status(status, Some(&operation), log, now);
        if force {
            self.begin(Workflow::force_stop, Some(&operation), "StopApplication")?;
        } else {
            self.begin(Workflow::stop, Some(&operation), "StopApplication")?;
        }
        Ok(json!({ "OperationId": operation }))
    }

    // ---- versions and operations

    fn describe_version(&mut self) -> Answer {
        let id = self.version_id("ApplicationVersionId")?.ok_or_else(|| missing("ApplicationVersionId"))?;
        let application = self.view()?;
        let version = application.versions.get(&id).ok_or_else(|| no_version(id))?;
        Ok(json!({ "ApplicationVersionDetail": application.detail(version) }))
    }

    fn list_versions(&mut self) -> Answer {
        let application = self.view()?;
        let entries = application.versions.values().rev().map(|version| {
            let status = if version.id == application.version { application.status } else { version.last_status };
            (version.id, json!({ "ApplicationVersionId": version.id, "ApplicationStatus": status.name() }))
        });
        self.page("ApplicationVersionSummaries", entries)
    }

    fn describe_operation(&mut self) -> Answer {
        let id = self.text("OperationId")?;
        let application = self.view()?;
        let operation = application.operations.iter().find(|operation| operation.id == id);
        let operation = operation.ok_or_else(|| ServiceError::not_found(format!("there is no operation {id}")))?;
        Ok(json!({ "ApplicationOperationInfoDetails": operation.details() }))
    }

    fn list_operations(&mut self) -> Answer {
        let name = self.request.text_of("Operation");
        let status = self.request.text_of("OperationStatus");
        let application = self.view()?;
        let entries = application
            .operations
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, operation)| name.as_ref().is_none_or(|name| operation.name == name))
            .filter(|(_, operation)| status.as_ref().is_none_or(|status| operation.status.name() == status))
            .map(|(number, operation)| (number as u64, operation.info()));
        self.page("ApplicationOperationInfoList", entries)
    }

    // ---- snapshots

    fn create_snapshot(&mut self) -> Answer {
        let name = self.name("SnapshotName", 256)?.to_owned();
        let (inner, now, principal) = (self.inner, self.now, self.principal);
        let (application, _) = self.flink_application()?;
        let enabled = application.current().is_some_and(|it| configuration::snapshots_enabled(&it.configuration));
        if !enabled {
            return Err(ServiceError::invalid_configuration(
                "snapshots are not enabled for the application".to_owned(),
            ));
        }
        if application.status != Status::Running {
            return Err(in_use(application, "snapshotted"));
        }
        if application.snapshot(&name).is_some() {
            return Err(ServiceError::resource_in_use(format!("there is a snapshot {name} already")));
        }
        if application.snapshots.len() >= SNAPSHOT_QUOTA {
            return Err(ServiceError::limit_exceeded(format!("an application has at most {SNAPSHOT_QUOTA} snapshots")));
        }
        let place = application
            .begin_snapshot(name, false, now)
            .ok_or_else(|| ServiceError::resource_in_use("there is no job to take a snapshot of".to_owned()))?;
        let workflow = Workflow::of(inner, application, None, "CreateApplicationSnapshot", principal);
        inner.spawn(async move {
            workflow.take_snapshot(place).await;
        });
        Ok(json!({}))
    }

    fn describe_snapshot(&mut self) -> Answer {
        let name = self.text("SnapshotName")?;
        let application = self.view()?;
        let snapshot = application.snapshot(name).ok_or_else(|| no_snapshot(name))?;
        Ok(json!({ "SnapshotDetails": snapshot.details() }))
    }

    fn list_snapshots(&mut self) -> Answer {
        // The model has no ResourceNotFoundException for this call.
        let application = self.view().map_err(|error| match error.code {
            "ResourceNotFoundException" => ServiceError::invalid_argument(error.message),
            _ => error,
        })?;
        let limit = self.limit()?;
        let before = match self.request.text_of("NextToken") {
            None => None,
            Some(token) => Some(place_of(&token).ok_or_else(not_a_token)?),
        };
        let mut snapshots = application.snapshots.before(before);
        let page: Vec<_> = snapshots.by_ref().take(limit).collect();
        let next = snapshots.next().and(page.last()).map(|snapshot| snapshot.place());
        let mut answer = json!({ "SnapshotSummaries": page.iter().map(|it| it.details()).collect::<Vec<_>>() });
        if let Some(Place { second, sequence }) = next {
            answer["NextToken"] = json!(format!("before-{second}-{sequence}"));
        }
        Ok(answer)
    }

    fn delete_snapshot(&mut self) -> Answer {
        let name = self.text("SnapshotName")?.to_owned();
        let created = self.exact_timestamp("SnapshotCreationTimestamp")?;
        let (inner, principal) = (self.inner, self.principal);
        let (application, _) = self.flink_application()?;
        let snapshot = application.snapshot(&name).ok_or_else(|| no_snapshot(&name))?;
        if snapshot.created != created {
            return Err(ServiceError::invalid_argument("SnapshotCreationTimestamp is not this snapshot's".to_owned()));
        }
        if matches!(snapshot.status, SnapshotStatus::Creating | SnapshotStatus::Deleting) {
            return Err(ServiceError::resource_in_use(format!("the snapshot {name} is being made or deleted")));
        }
        let place = snapshot.place();
        if application.restoring().is_some_and(|restored| restored.place() == place) {
            return Err(ServiceError::resource_in_use(format!("the snapshot {name} is being restored")));
        }
        let deleting = Snapshot { status: SnapshotStatus::Deleting, ..snapshot.as_ref().clone() };
        application.snapshots.put(deleting);
        let workflow = Workflow::of(inner, application, None, "DeleteApplicationSnapshot", principal);
        inner.spawn(async move {
            workflow.delete_snapshot(place).await;
        });
        Ok(json!({}))
    }

    // ---- presigned URL

    fn create_presigned_url(&mut self) -> Answer {
        let lifetime = match self.request.get("SessionExpirationDurationInSeconds") {
            None | Some(Value::Null) => 43_200,
            Some(value) => value.as_i64().filter(|seconds| (1_800..=43_200).contains(seconds)).ok_or_else(|| {
                ServiceError::invalid_argument("SessionExpirationDurationInSeconds is 1800 to 43200".to_owned())
            })?,
        };
        if self.text("UrlType")? != "FLINK_DASHBOARD_URL" {
            return Err(ServiceError::invalid_argument("UrlType is FLINK_DASHBOARD_URL".to_owned()));
        }
        let (now, principal) = (self.now, self.principal.map(str::to_owned));
        let (application, log) = self.application()?;
        if application.status != Status::Running {
            return Err(in_use(application, "looked into"));
        }
        let token = format!("{}{}", crate::TOKEN_MARKER, log.token());
        let session = Session {
            application: application.name.clone(),
            instance: application.instance,
            principal,
            created: now,
            expires: now.saturating_add(SignedDuration::from_secs(lifetime)).unwrap_or(Timestamp::MAX),
            used: false,
        };
        let url = format!("{}{}?authToken={token}", self.inner.public_url(), crate::wire::DASHBOARD);
        self.state.sessions.insert(token, session);
        Ok(json!({ "AuthorizedUrl": url }))
    }

    // ---- tags

    fn tag(&mut self) -> Answer {
        let added = tags(self.request.get("Tags"))?;
        if added.is_empty() {
            return Err(missing("Tags"));
        }
        let (application, _) = self.by_arn()?;
        let mut all = application.tags.clone();
        all.extend(added);
        if all.len() > TAG_QUOTA {
            return Err(ServiceError::too_many_tags(format!("an application has at most {TAG_QUOTA} tags")));
        }
        application.tags = all;
        Ok(json!({}))
    }

    fn untag(&mut self) -> Answer {
        let keys = self.request.get("TagKeys").and_then(Value::as_array).cloned().unwrap_or_default();
        if keys.is_empty() {
            return Err(missing("TagKeys"));
        }
        let (application, _) = self.by_arn()?;
        for key in keys.iter().filter_map(Value::as_str) {
            application.tags.remove(key);
        }
        Ok(json!({}))
    }

    fn list_tags(&mut self) -> Answer {
        let (application, _) = self.by_arn()?;
        let tags: Vec<_> = application.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        Ok(json!({ "Tags": tags }))
    }

    // ---- parts of the configuration with calls of their own

    fn add_logging_option(&mut self) -> Answer {
        let option = Value::Object(self.object("CloudWatchLoggingOption")?);
        if option.get("LogStreamARN").and_then(Value::as_str).is_none() {
            return Err(missing("LogStreamARN"));
        }
        let mut version = self.next_version()?;
        let (application, _) = self.application()?;
        version.logging.push(application.logging_option(&option));
        self.logging_changed(version, "AddApplicationCloudWatchLoggingOption")
    }

    fn delete_logging_option(&mut self) -> Answer {
        let id = self.text("CloudWatchLoggingOptionId")?.to_owned();
        let mut version = self.next_version()?;
        let before = version.logging.len();
        version.logging.retain(|option| option.get("CloudWatchLoggingOptionId").and_then(Value::as_str) != Some(&id));
        if version.logging.len() == before {
            return Err(ServiceError::not_found(format!("there is no logging option {id}")));
        }
        self.logging_changed(version, "DeleteApplicationCloudWatchLoggingOption")
    }

    fn logging_changed(&mut self, version: Version, operation: &'static str) -> Answer {
        let logging = version.logging.clone();
        let (id, detail) = self.change(version, operation)?;
        Ok(json!({
            "ApplicationARN": detail.get("ApplicationARN"),
            "ApplicationVersionId": detail.get("ApplicationVersionId"),
            "CloudWatchLoggingOptionDescriptions": logging,
            "OperationId": id,
        }))
    }

    fn add_vpc_configuration(&mut self) -> Answer {
        let given = Value::Object(self.object("VpcConfiguration")?);
        let mut version = self.next_version()?;
        let (application, _) = self.application()?;
        application.sequence += 1;
        let described = configuration::vpc(&given, usize::try_from(application.sequence).unwrap_or_default());
        let all = version.configuration.entry("VpcConfigurationDescriptions").or_insert_with(|| json!([]));
        if let Some(all) = all.as_array_mut() {
            if !all.is_empty() {
                return Err(ServiceError::invalid_argument(
                    "an application has at most one VPC configuration".to_owned(),
                ));
            }
            all.push(described.clone());
        }
        let (id, detail) = self.change(version, "AddApplicationVpcConfiguration")?;
        Ok(json!({
            "ApplicationARN": detail.get("ApplicationARN"),
            "ApplicationVersionId": detail.get("ApplicationVersionId"),
            "VpcConfigurationDescription": described,
            "OperationId": id,
        }))
    }

    fn delete_vpc_configuration(&mut self) -> Answer {
        let id = self.text("VpcConfigurationId")?.to_owned();
        let mut version = self.next_version()?;
        let all = version.configuration.get_mut("VpcConfigurationDescriptions").and_then(Value::as_array_mut);
        let position = all.as_ref().and_then(|all| {
            all.iter().position(|it| it.get("VpcConfigurationId").and_then(Value::as_str) == Some(id.as_str()))
        });
        let (Some(all), Some(position)) = (all, position) else {
            return Err(ServiceError::not_found(format!("there is no VPC configuration {id}")));
        };
        all.remove(position);
        let (operation, detail) = self.change(version, "DeleteApplicationVpcConfiguration")?;
        Ok(json!({
            "ApplicationARN": detail.get("ApplicationARN"),
            "ApplicationVersionId": detail.get("ApplicationVersionId"),
            "OperationId": operation,
        }))
    }

    fn update_maintenance_configuration(&mut self) -> Answer {
        let update = self.object("ApplicationMaintenanceConfigurationUpdate")?;
        let start = update.text_of("ApplicationMaintenanceWindowStartTimeUpdate").unwrap_or_default();
        let parts = start.split_once(':').and_then(|(hour, minute)| {
            let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 2);
            Some((number(hour)?, number(minute)?))
        });
        if !parts.is_some_and(|(hour, minute)| hour < 24 && minute < 60) {
            return Err(ServiceError::invalid_argument(
                "ApplicationMaintenanceWindowStartTimeUpdate is HH:MM".to_owned(),
            ));
        }
        let (application, _) = self.flink_application()?;
        if !matches!(application.status, Status::Ready | Status::Running) {
            return Err(in_use(application, "given another maintenance window"));
        }
        application.maintenance_window.clone_from(&start);
        Ok(json!({
            "ApplicationARN": application.arn,
            "ApplicationMaintenanceConfigurationDescription": {
                "ApplicationMaintenanceWindowStartTime": start,
                "ApplicationMaintenanceWindowEndTime": configuration::window_end(&start),
            },
        }))
    }

    // ---- what calls have in common

    /// A copy of the current version with the next id, after the preconditions of every change.
    fn next_version(&mut self) -> Result<Version, ServiceError> {
        let expected = self.version_id("CurrentApplicationVersionId")?;
        let token = self.request.text_of("ConditionalToken");
        let created = whole_second(self.now);
        let (application, log) = self.flink_application()?;
        if application.status != Status::Running && !application.status.is_stopped() {
            return Err(in_use(application, "updated"));
        }
        let current = application.current().ok_or_else(|| no_version(0))?.as_ref().clone();
        match (expected, token) {
            (None, None) => {
                let text = "CurrentApplicationVersionId or ConditionalToken has to be given";
                return Err(ServiceError::invalid_argument(text.to_owned()));
            }
            (expected, token) => {
                if let Some(expected) = expected {
                    check_version(application, expected)?;
                }
                if token.is_some_and(|token| token != current.conditional_token) {
                    return Err(ServiceError::concurrent_modification(
                        "the ConditionalToken is an older one".to_owned(),
                    ));
                }
            }
        }
        Ok(Version {
            id: current.id + 1,
            created,
            updated_from: Some(current.id),
            rolled_back_from: None,
            rolled_back_to: None,
            conditional_token: log.token(),
            ..current
        })
    }

    /// Makes a version the current one and sets going what the service does then. Returns the operation's id and the
    /// application's detail.
    fn change(&mut self, version: Version, name: &'static str) -> Result<(String, Value), ServiceError> {
        let (now, principal) = (self.now, self.principal.map(str::to_owned));
        let (application, log) = self.application()?;
        let running = application.status == Status::Running;
        let (from, to) = (application.version, version.id);
        application.add_version(version, name, principal.as_deref(), log, now);
        let operation = application.begin_operation(name, Some((from, to)), log, now);
        application.set_status(Status::Updating, Some(&operation), log, now);
        let detail = application.current().map(|version| application.detail(version)).unwrap_or_default();
        if running {
            self.begin(Workflow::update_running, Some(&operation), name)?;
        } else {
            self.begin(Workflow::update_stopped, Some(&operation), name)?;
        }
        Ok((operation, detail))
    }

    /// Sets a workflow going in the background.
    fn begin<F>(
        &mut self,
        run: impl FnOnce(Workflow) -> F,
        operation: Option<&str>,
        cause: &'static str,
    ) -> Result<(), ServiceError>
    where
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let inner = self.inner;
        let principal = self.principal;
        let (application, _) = self.application()?;
        inner.begin(application, run, operation, cause, principal);
        Ok(())
    }

    /// The code that a configuration names, as it is now; none if it names none.
    fn copy_code(
        &mut self,
        configuration: &Map<String, Value>,
        zip: Option<&Value>,
    ) -> Result<Option<CodeObject>, ServiceError> {
        if let Some(zip) = zip.and_then(Value::as_str) {
            let content = aws_smithy_types::base64::decode(zip)
                .map_err(|_| ServiceError::serialization("ZipFileContent is not base64".to_owned()))?;
            let (bucket, key) = ("inline".to_owned(), "code.zip".to_owned());
            return Ok(Some(CodeObject { bucket, key, object_version: None, content: content.into() }));
        }
        let Some((bucket, key, version)) = configuration::code_location(configuration) else {
            return Ok(None);
        };
        let location = CodeLocation { bucket, key, version };
        let found = self.inner.config.code.look_up(&location).or_else(|| {
            let fetched = self.fetched.filter(|fetched| fetched.location == location)?;
            Some(fetched.result.clone())
        });
        let Some(found) = found else {
            self.wanted = Some(location);
            return Err(ServiceError::code_unreadable());
        };
        found.map(Some).map_err(|error| match error {
            CodeError::Unreadable => ServiceError::code_unreadable(),
            CodeError::TooLarge => ServiceError::code_too_large(),
        })
    }

    /// A snapshot that is named has to be there and READY.
    fn check_restore(&mut self, configuration: &Map<String, Value>) -> Result<(), ServiceError> {
        let Restore::Custom(name) = configuration::restore(configuration)? else {
            return Ok(());
        };
        let (application, _) = self.application()?;
        match application.snapshot(&name) {
            None => Err(no_snapshot(&name)),
            Some(snapshot) if snapshot.status == SnapshotStatus::Ready => Ok(()),
            Some(_) => Err(ServiceError::invalid_argument(format!("the snapshot {name} is not READY"))),
        }
    }

    /// The application that the request names.
    fn application(&mut self) -> Result<(&mut Application, &mut Log), ServiceError> {
        let name = self.name("ApplicationName", 128)?;
        let State { applications, log, .. } = &mut *self.state;
        let application = applications.get_mut(name).ok_or_else(|| no_application(name))?;
        Ok((application, log))
    }

    /// The same, if it is one of Apache Flink.
    fn flink_application(&mut self) -> Result<(&mut Application, &mut Log), ServiceError> {
        let (application, log) = self.application()?;
        let flink = application.current().is_some_and(|version| version.runtime.starts_with("FLINK-"));
        if flink {
            Ok((application, log))
        } else {
            Err(ServiceError::unsupported("the emulator runs applications of Apache Flink only".to_owned()))
        }
    }

    fn by_arn(&mut self) -> Result<(&mut Application, &mut Log), ServiceError> {
        let arn = self.text("ResourceARN")?;
        let State { applications, log, .. } = &mut *self.state;
        let name = arn.rsplit_once(":application/").map_or(arn, |(_, name)| name);
        let application = applications.get_mut(name).filter(|application| application.arn == arn);
        Ok((application.ok_or_else(|| no_application(arn))?, log))
    }

    /// The application as a read shows it: as it is, or as it was when a fault wants that.
    fn view(&self) -> Result<&Application, ServiceError> {
        let name = self.name("ApplicationName", 128)?;
        let found = match self.age {
            None => self.state.applications.get(name),
            Some(age) => {
                let moment = SignedDuration::try_from(age).ok().and_then(|age| self.now.checked_sub(age).ok());
                self.state.as_it_was(name, moment.unwrap_or(Timestamp::MIN))
            }
        };
        found.ok_or_else(|| no_application(name))
    }

    /// One page of `entries`, the newest first, each with a number that stays its own.
    fn page(&self, field: &str, entries: impl Iterator<Item = (u64, Value)>) -> Answer {
        let limit = self.limit()?;
        let below = match self.request.text_of("NextToken") {
            None => u64::MAX,
            Some(token) => {
                token.strip_prefix("before-").and_then(|number| number.parse().ok()).ok_or_else(not_a_token)?
            }
        };
        let mut entries = entries.filter(|(number, _)| *number < below);
        let page: Vec<_> = entries.by_ref().take(limit).collect();
        let next = entries.next().and(page.last()).map(|(number, _)| format!("before-{number}"));
        let mut answer = json!({ field: page.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>() });
        if let Some(next) = next {
            answer["NextToken"] = json!(next);
        }
        Ok(answer)
    }

    fn limit(&self) -> Result<usize, ServiceError> {
        let limit = match self.request.get("Limit") {
            None | Some(Value::Null) => Some(PAGE),
            Some(value) => value.as_u64().filter(|limit| (1..=PAGE).contains(limit)),
        };
        limit
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or_else(|| ServiceError::invalid_argument(format!("Limit is 1 to {PAGE}")))
    }

    fn text(&self, field: &str) -> Result<&'a str, ServiceError> {
        match self.request.get(field) {
            None | Some(Value::Null) => Err(missing(field)),
            Some(Value::String(text)) if text.is_empty() => Err(missing(field)),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(ServiceError::serialization(format!("{field} is a string"))),
        }
    }

    fn name(&self, field: &str, longest: usize) -> Result<&'a str, ServiceError> {
        let text = self.text(field)?;
        let allowed = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
        if text.len() <= longest && text.chars().all(allowed) {
            Ok(text)
        } else {
            Err(ServiceError::invalid_argument(format!("{field} is at most {longest} of a-z, A-Z, 0-9, '_', '.', '-'")))
        }
    }

    fn runtime(&self, field: &str) -> Result<Option<String>, ServiceError> {
        let Some(runtime) = self.request.text_of(field) else {
            return Ok(None);
        };
        let version = ["FLINK-", "SQL-", "ZEPPELIN-FLINK-"].iter().find_map(|prefix| runtime.strip_prefix(prefix));
        let numbers = version.and_then(|version| version.split_once('_'));
        let known = numbers.is_some_and(|(major, minor)| major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok());
        if known { Ok(Some(runtime)) } else { Err(ServiceError::invalid_argument(format!("{field} is no runtime"))) }
    }

    fn object(&self, field: &str) -> Result<Map<String, Value>, ServiceError> {
        match self.request.get(field) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object.clone()),
            Some(_) => Err(ServiceError::serialization(format!("{field} is an object"))),
        }
    }

    fn version_id(&self, field: &str) -> Result<Option<u64>, ServiceError> {
        match self.request.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .filter(|id| *id > 0)
                .map(Some)
                .ok_or_else(|| ServiceError::invalid_argument(format!("{field} is a whole number of at least 1"))),
        }
    }

    /// A timestamp in seconds since 1970 that has to be just what was told, which has no fraction.
    fn exact_timestamp(&self, field: &str) -> Result<Timestamp, ServiceError> {
        let fraction = self.request.get(field).and_then(Value::as_f64).map(f64::fract);
        if fraction.is_some_and(|fraction| fraction != 0.0) {
            return Err(ServiceError::invalid_argument(format!("{field} is none that was told")));
        }
        self.timestamp(field)
    }

    /// A timestamp in seconds since 1970; fractions are dropped, as in what is told.
    fn timestamp(&self, field: &str) -> Result<Timestamp, ServiceError> {
        let value = self.request.get(field).filter(|value| !value.is_null()).ok_or_else(|| missing(field))?;
        let seconds = value.as_i64().or_else(|| {
            let seconds = value.as_f64().filter(|it| it.is_finite() && it.abs() < 1e11)?;
            #[expect(clippy::cast_possible_truncation, reason = "whole seconds are what is wanted, and it fits")]
            let whole = seconds as i64;
            Some(whole)
        });
        seconds
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or_else(|| ServiceError::serialization(format!("{field} is a number of seconds since 1970")))
    }
}

/// Where inline code is in `ApplicationConfiguration` and in `ApplicationConfigurationUpdate`.
const CREATED_ZIP: &str = "/ApplicationCodeConfiguration/CodeContent/ZipFileContent";
const UPDATED_ZIP: &str = "/ApplicationCodeConfigurationUpdate/CodeContentUpdate/ZipFileContentUpdate";

/// Looks into JSON objects.
trait Lookup {
    /// A field that is a string.
    fn text_of(&self, field: &str) -> Option<String>;
    /// What a pointer leads to from a field.
    fn pointer_in(&self, field: &str, pointer: &str) -> Option<&Value>;
}

impl Lookup for Map<String, Value> {
    fn text_of(&self, field: &str) -> Option<String> {
        self.get(field).and_then(Value::as_str).map(str::to_owned)
    }

    fn pointer_in(&self, field: &str, pointer: &str) -> Option<&Value> {
        self.get(field).and_then(|value| value.pointer(pointer))
    }
}

fn tags(given: Option<&Value>) -> Result<std::collections::BTreeMap<String, String>, ServiceError> {
    let tags = given.and_then(Value::as_array).into_iter().flatten().map(|tag| {
        let key = tag.get("Key").and_then(Value::as_str).unwrap_or_default();
        let value = tag.get("Value").and_then(Value::as_str).unwrap_or_default();
        let is_long = value.chars().count() > 256;
        if !(1..=128).contains(&key.chars().count()) || is_long || key.starts_with("aws:") {
            let text =
                "the Key of a tag has 1 to 128 characters and does not begin with aws:, its Value has at most 256";
            return Err(ServiceError::invalid_argument(text.to_owned()));
        }
        Ok((key.to_owned(), value.to_owned()))
    });
    let tags = tags.collect::<Result<std::collections::BTreeMap<_, _>, _>>()?;
    if tags.len() > TAG_QUOTA {
        return Err(ServiceError::too_many_tags(format!("an application has at most {TAG_QUOTA} tags")));
    }
    Ok(tags)
}

fn check_version(application: &Application, expected: u64) -> Result<(), ServiceError> {
    if expected == application.version {
        Ok(())
    } else {
        let text = format!("the current version is {}, not {expected}", application.version);
        Err(ServiceError::concurrent_modification(text))
    }
}

fn missing(field: &str) -> ServiceError {
    ServiceError::invalid_argument(format!("{field} has to be given"))
}

fn no_application(name: &str) -> ServiceError {
    ServiceError::not_found(format!("there is no application {name}"))
}

fn no_version(id: u64) -> ServiceError {
    ServiceError::not_found(format!("the application has no version {id}"))
}

fn not_a_token() -> ServiceError {
    ServiceError::invalid_argument("NextToken is not one of this list".to_owned())
}

/// The place that a list of snapshots has come to.
fn place_of(token: &str) -> Option<Place> {
    let (second, sequence) = token.strip_prefix("before-")?.rsplit_once('-')?;
    Some(Place { second: second.parse().ok()?, sequence: sequence.parse().ok()? })
}

fn no_snapshot(name: &str) -> ServiceError {
    ServiceError::not_found(format!("the application has no snapshot {name}"))
}

fn in_use(application: &Application, what: &str) -> ServiceError {
    ServiceError::resource_in_use(format!("an application cannot be {what} while it is {}", application.status.name()))
}
