//! What the tests of the control plane share: an emulator in virtual time over a data plane that does what it is told,
//! and the AWS SDK's own client of it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::must_use_candidate,
    reason = "a part of each test file"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesisanalyticsv2::Client;
use aws_sdk_kinesisanalyticsv2::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_kinesisanalyticsv2::error::ProvideErrorMetadata;
use aws_sdk_kinesisanalyticsv2::types::{
    ApplicationCodeConfiguration, ApplicationCodeConfigurationUpdate, ApplicationConfiguration,
    ApplicationConfigurationUpdate, ApplicationDetail, ApplicationOperationInfoDetails,
    ApplicationRestoreConfiguration, ApplicationRestoreType, ApplicationStatus, CodeContent, CodeContentType,
    CodeContentUpdate, OperationStatus, RuntimeEnvironment, S3ContentLocation, S3ContentLocationUpdate,
    SnapshotDetails,
};
use clock::Clock;
use emulator::data_plane::{DataPlane, DataPlaneError, JobMetrics, JobSpec, JobState, RestResponse, SnapshotHandle};
use emulator::record::{Call, Event, JobStarted};
use emulator::{Emulator, EmulatorConfig, InProcessHttp, Timings};
use jiff::Timestamp;

/// A data plane that notes what it is asked and refuses what it is told to refuse.
#[derive(Debug, Default)]
pub struct Scripted {
    inner: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    jobs: BTreeMap<String, JobSpec>,
    snapshots: u32,
    refusals: BTreeMap<&'static str, String>,
    finished: bool,
    asked: Vec<String>,
}

impl Scripted {
    /// From now on the named method (`prepare`, `start`, `snapshot`, `stop_with_snapshot`) fails with this text.
    pub fn refuse(&self, method: &'static str, error: &str) {
        self.inner.lock().unwrap().refusals.insert(method, error.to_owned());
    }

    /// Nothing fails any more.
    pub fn allow(&self) {
        self.inner.lock().unwrap().refusals.clear();
    }

    /// The jobs are at their end.
    pub fn finish(&self) {
        self.inner.lock().unwrap().finished = true;
    }

    /// What runs for an application.
    pub fn job(&self, application: &str) -> Option<JobSpec> {
        self.inner.lock().unwrap().jobs.get(application).cloned()
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        self.inner.lock().unwrap().asked.clone()
    }

    fn ask(&self, method: &'static str, text: String) -> Result<(), DataPlaneError> {
        let mut script = self.inner.lock().unwrap();
        script.asked.push(text);
        script.refusals.get(method).map_or(Ok(()), |error| Err(DataPlaneError(error.clone())))
    }
}

#[async_trait]
impl DataPlane for Scripted {
    async fn prepare(&self, spec: &JobSpec) -> Result<(), DataPlaneError> {
        self.ask("prepare", format!("prepare {}", spec.version))
    }

    async fn start(&self, spec: &JobSpec) -> Result<(), DataPlaneError> {
        self.ask("start", format!("start {} from {:?}", spec.version, spec.restore_from))?;
        let mut script = self.inner.lock().unwrap();
        let before = script.jobs.insert(spec.application.clone(), spec.clone());
        assert!(before.is_none(), "two jobs of one application");
        Ok(())
    }

    async fn snapshot(&self, application: &str) -> Result<SnapshotHandle, DataPlaneError> {
        self.ask("snapshot", "snapshot".to_owned())?;
        let mut script = self.inner.lock().unwrap();
        let version = script.jobs.get(application).map(|job| job.version);
        let version = version.ok_or_else(|| DataPlaneError("there is no job".to_owned()))?;
        script.snapshots += 1;
        Ok(format!("{version}/{}", script.snapshots).into())
    }

    async fn stop_with_snapshot(&self, application: &str) -> Result<SnapshotHandle, DataPlaneError> {
        self.ask("stop_with_snapshot", "stop_with_snapshot".to_owned())?;
        let mut script = self.inner.lock().unwrap();
        let job = script.jobs.remove(application).ok_or_else(|| DataPlaneError("there is no job".to_owned()))?;
        script.snapshots += 1;
        Ok(format!("{}/{}", job.version, script.snapshots).into())
    }

    async fn cancel(&self, application: &str) {
        let mut script = self.inner.lock().unwrap();
        script.asked.push("cancel".to_owned());
        script.jobs.remove(application);
    }

    async fn job_state(&self, application: &str) -> Option<JobState> {
        let script = self.inner.lock().unwrap();
        let state = if script.finished { JobState::Finished } else { JobState::Active };
        script.jobs.contains_key(application).then_some(state)
    }

    async fn metrics(&self, application: &str) -> Option<JobMetrics> {
        self.job(application).map(|_| JobMetrics::default())
    }

    async fn rest(&self, application: &str, path_and_query: &str) -> RestResponse {
        RestResponse { status: 200, body: format!(r#"{{"{application}":"{path_and_query}"}}"#).into() }
    }

    async fn lose_task_manager(&self, application: &str) {
        self.inner.lock().unwrap().asked.push(format!("lose_task_manager {application}"));
    }

    async fn discard_snapshot(&self, snapshot: &SnapshotHandle) {
        self.inner.lock().unwrap().asked.push(format!("discard {snapshot}"));
    }

    async fn shut_down(&self) {
        self.inner.lock().unwrap().jobs.clear();
    }
}

/// An emulator in virtual time with the SDK's client.
pub struct World {
    pub emulator: Emulator,
    pub data_plane: Arc<Scripted>,
    pub client: Client,
    pub http: InProcessHttp,
}

/// Name of the application in the tests.
pub const NAME: &str = "orders";

/// When virtual time begins.
pub fn epoch() -> Timestamp {
    "2026-01-05T08:00:00.25Z".parse().unwrap()
}

impl World {
    /// With the service's own timings.
    pub fn new() -> Self {
        Self::with(Timings::default())
    }

    pub fn with(timings: Timings) -> Self {
        let clock = Clock::starting_at(epoch(), 1);
        let data_plane = Arc::new(Scripted::default());
        let emulator = Emulator::new(EmulatorConfig { timings, ..EmulatorConfig::new(clock, data_plane.clone()) });
        emulator.code().put("code", "first.jar", "first");
        emulator.code().put("code", "second.jar", "second");
        let http = InProcessHttp::new(emulator.clone()).with_latency(Duration::ZERO);
        let client = client_of(http.clone(), "AKIDFIRST");
        Self { emulator, data_plane, client, http }
    }

    /// A client that signs with another key.
    pub fn client_as(&self, access_key: &str) -> Client {
        client_of(self.http.clone(), access_key)
    }

    pub async fn sleep(&self, seconds: u64) {
        self.emulator.clock().sleep(Duration::from_secs(seconds)).await;
    }

    pub async fn create(&self) -> ApplicationDetail {
        self.create_with(ApplicationConfiguration::builder()).await
    }

    /// Creates the application with `first.jar`.
    pub async fn create_with(
        &self,
        configuration: aws_sdk_kinesisanalyticsv2::types::builders::ApplicationConfigurationBuilder,
    ) -> ApplicationDetail {
        let location = S3ContentLocation::builder().bucket_arn("arn:aws:s3:::code").file_key("first.jar");
        let content = CodeContent::builder().s3_content_location(location.build().unwrap()).build();
        let code = ApplicationCodeConfiguration::builder()
            .code_content(content)
            .code_content_type(CodeContentType::Zipfile)
            .build()
            .unwrap();
        self.client
            .create_application()
            .application_name(NAME)
            .runtime_environment(RuntimeEnvironment::from("FLINK-1_20"))
            .service_execution_role("arn:aws:iam::123456789012:role/flink")
            .application_configuration(configuration.application_code_configuration(code).build())
            .send()
            .await
            .unwrap()
            .application_detail
            .unwrap()
    }

    /// Creates the application and sees it running.
    pub async fn running(&self) {
        self.create().await;
        self.start().await;
    }

    /// Starts the application and sees it running.
    pub async fn start(&self) {
        self.client.start_application().application_name(NAME).send().await.unwrap();
        self.until(&ApplicationStatus::Running).await;
    }

    /// An update to another key of the code.
    pub fn code(key: &str) -> ApplicationConfigurationUpdate {
        let location = S3ContentLocationUpdate::builder().file_key_update(key).build();
        let content = CodeContentUpdate::builder().s3_content_location_update(location).build();
        let code = ApplicationCodeConfigurationUpdate::builder().code_content_update(content).build();
        ApplicationConfigurationUpdate::builder().application_code_configuration_update(code).build()
    }

    /// Updates the current version to `second.jar` and returns the operation's id.
    pub async fn update(&self) -> String {
        let version = self.detail().await.application_version_id;
        self.client
            .update_application()
            .application_name(NAME)
            .current_application_version_id(version)
            .application_configuration_update(Self::code("second.jar"))
            .send()
            .await
            .unwrap()
            .operation_id
            .unwrap()
    }

    /// Rolls the current version back and returns the operation's id.
    pub async fn roll_back(&self) -> String {
        let version = self.detail().await.application_version_id;
        self.client
            .rollback_application()
            .application_name(NAME)
            .current_application_version_id(version)
            .send()
            .await
            .unwrap()
            .operation_id
            .unwrap()
    }

    pub async fn stop(&self, force: bool) -> String {
        let stop = self.client.stop_application().application_name(NAME).force(force);
        stop.send().await.unwrap().operation_id.unwrap()
    }

    pub async fn snapshot(&self, name: &str) {
        let snapshot = self.client.create_application_snapshot().application_name(NAME).snapshot_name(name);
        snapshot.send().await.unwrap();
        self.sleep(11).await;
    }

    pub async fn detail(&self) -> ApplicationDetail {
        let detail = self.client.describe_application().application_name(NAME).send().await.unwrap();
        detail.application_detail.unwrap()
    }

    pub async fn status(&self) -> String {
        self.detail().await.application_status.as_str().to_owned()
    }

    pub async fn operation(&self, id: &str) -> ApplicationOperationInfoDetails {
        let operation = self.client.describe_application_operation().application_name(NAME).operation_id(id);
        operation.send().await.unwrap().application_operation_info_details.unwrap()
    }

    /// The status of an operation and what it says of a failure.
    pub async fn outcome(&self, id: &str) -> (OperationStatus, Option<String>) {
        let details = self.operation(id).await;
        let error = details.operation_failure_details.and_then(|it| it.error_info).and_then(|it| it.error_string);
        (details.operation_status, error)
    }

    /// The snapshots, the newest first.
    pub async fn snapshots(&self) -> Vec<SnapshotDetails> {
        let snapshots = self.client.list_application_snapshots().application_name(NAME).send().await.unwrap();
        snapshots.snapshot_summaries.unwrap()
    }

    /// Waits for a status and returns the whole seconds that it took. Looks in the middle of each second.
    pub async fn until(&self, status: &ApplicationStatus) -> u64 {
        self.emulator.clock().sleep(Duration::from_millis(500)).await;
        for second in 0..600 {
            if self.detail().await.application_status == *status {
                return second;
            }
            self.sleep(1).await;
        }
        panic!("no {status} within ten minutes");
    }

    /// The jobs that were started.
    pub fn jobs(&self) -> Vec<JobStarted> {
        let jobs = self.emulator.record().into_iter().filter_map(|entry| match entry.event {
            Event::JobStarted(job) => Some(job),
            _ => None,
        });
        jobs.collect()
    }

    /// The calls that were made.
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.emulator.record().into_iter().filter_map(|entry| match entry.event {
            Event::Call(call) => Some(call),
            _ => None,
        });
        calls.collect()
    }
}

/// The code of a call's error.
pub fn code_of<T, E: ProvideErrorMetadata>(
    result: Result<T, aws_sdk_kinesisanalyticsv2::error::SdkError<E>>,
) -> Option<String> {
    result.err().and_then(|error| error.code().map(str::to_owned))
}

fn client_of(http: InProcessHttp, access_key: &str) -> Client {
    let config = aws_sdk_kinesisanalyticsv2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(access_key, "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

/// A restore from the snapshot of this name.
pub fn from_snapshot(name: &str) -> ApplicationRestoreConfiguration {
    ApplicationRestoreConfiguration::builder()
        .application_restore_type(ApplicationRestoreType::RestoreFromCustomSnapshot)
        .snapshot_name(name)
        .build()
        .unwrap()
}
