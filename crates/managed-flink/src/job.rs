//! Reads the job through Flink's own REST API. Polling it costs the job, so a look at a healthy one is four calls: a
//! presigned URL, the overview (which is live, where `/jobs/:id` is cached) and the metrics, twice, since Flink answers the
//! first question with what it collected for the one before. Only when something is wrong are the exceptions read too.
//! The presigned URL lives and dies in [`ManagedFlink::job`].

use std::time::Duration;

use jiff::Timestamp;
use lifecycle::cause::is_class;
use lifecycle::evidence::{Failure, Job, Tasks};
use lifecycle::snapshots::{CheckpointStatistics, CompletedCheckpoint, FailedCheckpoint};
use lifecycle::status::JobState;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::WITHHELD;
use crate::exceptions::{Exceptions, UNNAMED, shortened};
use crate::transport::{FlinkResponse, SecretUrl, TransportError};
use crate::wire::Wire;
use crate::{Error, ErrorKind, ManagedFlink, Redactor, words};

/// Seconds that a presigned URL lives: the shortest that the service gives.
const SESSION_SECONDS: u64 = 1_800;
/// How often a GET is made again after a failure that passes.
const MOST_RETRIES: u32 = 3;
/// The longest sleep before the first retry; it doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
/// Between two questions for metrics: the first makes Flink collect them.
const METRICS_PAUSE: Duration = Duration::from_millis(500);
/// Digits of a job's id. Flink's have 32.
const LONGEST_JOB_ID: usize = 64;
const METRICS: &str = "get=numRestarts,fullRestarts,numberOfCompletedCheckpoints,numberOfFailedCheckpoints";

const OVERVIEW: &str = "GET /jobs/overview";
const JOB_METRICS: &str = "GET /jobs/:id/metrics";
const JOB_EXCEPTIONS: &str = "GET /jobs/:id/exceptions";
const JOB_CHECKPOINTS: &str = "GET /jobs/:id/checkpoints";

impl ManagedFlink {
    /// The application's job, read from Flink; none if Flink has no job. Fails with [`ErrorKind::ResourceInUse`] unless
    /// the application is RUNNING.
    pub async fn job(&self, application: &str) -> Result<Option<Job>, Error> {
        let mut dashboard = Dashboard::open(self, application).await?;
        let Some(mut seen) = dashboard.newest_job().await? else { return Ok(None) };
        let metrics = match dashboard.metrics(&seen.id).await {
            // The job went away between the two calls: whichever took its place is the one to look at.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let Some(now) = dashboard.newest_job().await? else { return Ok(None) };
                seen = now;
                dashboard.metrics(&seen.id).await?
            }
            metrics => metrics?,
        };
        let Some(tasks) = seen.tasks.tasks() else {
            return Err(Error::unreadable(OVERVIEW, "the job has more tasks than it has in all"));
        };
        let mut job = Job {
            submitted_at: Timestamp::from_millisecond(seen.start_time).ok(),
            id: seen.id,
            state: seen.state,
            tasks,
            restarts: metrics.restarts,
            completed_checkpoints: metrics.completed_checkpoints,
            failed_checkpoints: metrics.failed_checkpoints,
            failure: None,
        };
        if is_anything_wrong(&job) {
            job.failure = dashboard.failure(&job.id).await;
        }
        Ok(Some(job))
    }

    /// The checkpoints of the application's job, snapshots among them, read from Flink (`GET /jobs/:id/checkpoints`); none
    /// if Flink has no job. Fails with [`ErrorKind::ResourceInUse`] unless the application is RUNNING.
    pub async fn checkpoints(&self, application: &str) -> Result<Option<CheckpointStatistics>, Error> {
        let mut dashboard = Dashboard::open(self, application).await?;
        let Some(job) = dashboard.newest_job().await? else { return Ok(None) };
        let checkpoints: Checkpoints =
            dashboard.get(JOB_CHECKPOINTS, &format!("/jobs/{}/checkpoints", job.id), None).await?;
        let time = |milliseconds| Timestamp::from_millisecond(milliseconds).ok();
        let last_failed = match checkpoints.latest.failed {
            Some(failed) => match time(failed.failure_timestamp) {
                Some(failed_at) => {
                    let message = dashboard.cleared(failed.failure_message.as_deref().unwrap_or_default()).await;
                    Some(FailedCheckpoint { failed_at, message })
                }
                None => None,
            },
            None => None,
        };
        let completed = checkpoints.latest.completed;
        Ok(Some(CheckpointStatistics {
            failed: checkpoints.counts.failed,
            last_completed: completed.and_then(|completed| {
                Some(CompletedCheckpoint {
                    triggered_at: time(completed.trigger_timestamp)?,
                    seconds: completed.end_to_end_duration / 1_000,
                    bytes: completed.state_size,
                })
            }),
            last_failed,
        }))
    }

    /// What a version of the application has failed of, shortened, without what its texts may quote of that version, of the
    /// application as it is now, and of those seen before.
    pub async fn cleared_failure(&self, application: &str, version: u64, failure: Failure) -> Result<Failure, Error> {
        let redactor = self.fresh_redactor(application, Some(version)).await?;
        // Cleared before it is cut: half a secret is not recognised.
        let clear = |text: &str| shortened(&redactor.strike_out(text));
        Ok(Failure {
            exception: clear(&failure.exception),
            message: clear(&failure.message),
            task: failure.task.as_deref().map(clear),
            own_frame: failure.own_frame.as_deref().map(clear),
            ..failure
        })
    }

    async fn presigned_url(&self, application: &str) -> Result<SecretUrl, Error> {
        const OPERATION: &str = "CreateApplicationPresignedUrl";
        let body = json!({
            "ApplicationName": application,
            "UrlType": "FLINK_DASHBOARD_URL",
            "SessionExpirationDurationInSeconds": SESSION_SECONDS,
        });
        let wire = Wire::new(OPERATION, &body);
        let call = self.reads.create_application_presigned_url().application_name(application);
        match call.customize().interceptor(wire.clone()).send().await {
            Ok(_) => {
                let url = wire.read::<Presigned>()?.authorized_url;
                SecretUrl::parse(&url, self.endpoint)
                    .map_err(|why| Error::unreadable(OPERATION, format!("the URL is refused: {why}")))
            }
            Err(error) => Err(self.cleared(application, Error::from_sdk(OPERATION, error)).await),
        }
    }
}

/// Something happened that the exceptions may explain.
fn is_anything_wrong(job: &Job) -> bool {
    let is_sound = matches!(
        job.state,
        JobState::Initializing | JobState::Created | JobState::Running | JobState::Finished | JobState::Reconciling
    );
    !is_sound || job.tasks.failed > 0 || job.restarts.is_some_and(|restarts| restarts > 0)
}

/// Flink's REST API behind a presigned URL.
struct Dashboard<'a> {
    managed: &'a ManagedFlink,
    application: &'a str,
    url: SecretUrl,
    /// The URL was late or expired once, and is a new one.
    is_renewed: bool,
    /// Knows the tokens of the URLs.
    tokens: Redactor,
}

impl<'a> Dashboard<'a> {
    async fn open(managed: &'a ManagedFlink, application: &'a str) -> Result<Self, Error> {
        let url = managed.presigned_url(application).await?;
        let mut tokens = Redactor::default();
        url.hide_in(&mut tokens);
        Ok(Self { managed, application, url, is_renewed: false, tokens })
    }

    async fn newest_job(&mut self) -> Result<Option<SeenJob>, Error> {
        let overview: Overview = self.get(OVERVIEW, "/jobs/overview", None).await?;
        let Some(job) = choose(overview.jobs) else { return Ok(None) };
        // The id becomes a part of paths.
        let is_id = (1..=LONGEST_JOB_ID).contains(&job.id.len());
        if !is_id || !job.id.chars().all(|character| character.is_ascii_hexdigit()) {
            return Err(Error::unreadable(OVERVIEW, "the job's id is not one of Flink's"));
        }
        Ok(Some(job))
    }

    /// The job's counters as they are now. Flink answers with what it collected last, which may be as old as the last
    /// question, and collects anew meanwhile: so it is asked twice, and the first answer is only a nudge.
    async fn metrics(&mut self, job: &str) -> Result<Metrics, Error> {
        let path = format!("/jobs/{job}/metrics");
        self.get::<Vec<Metric>>(JOB_METRICS, &path, Some(METRICS)).await?;
        tokio::time::sleep(METRICS_PAUSE).await;
        let metrics: Metrics = self.get::<Vec<Metric>>(JOB_METRICS, &path, Some(METRICS)).await?.into();
        if metrics.restarts.is_some() {
            return Ok(metrics);
        }
        tokio::time::sleep(METRICS_PAUSE).await;
        Ok(self.get::<Vec<Metric>>(JOB_METRICS, &path, Some(METRICS)).await?.into())
    }

    /// The first failure that Flink knows of. What is known of the job matters more than this explanation of it, so one
    /// that cannot be read is none.
    async fn failure(&mut self, job: &str) -> Option<Failure> {
        let path = format!("/jobs/{job}/exceptions");
        let told = match self.get::<Exceptions>(JOB_EXCEPTIONS, &path, None).await {
            Ok(exceptions) => exceptions.oldest()?,
            Err(error) => {
                tracing::warn!(application = self.application, error = %error, "the job's exceptions could not be read");
                return None;
            }
        };
        let failure = Failure::read(&told.stacktrace);
        match self.managed.fresh_redactor(self.application, None).await {
            Ok(redactor) => {
                // Cleared before it is cut: half a secret is not recognised.
                let clear = |text: &str| shortened(&redactor.strike_out(&self.tokens.strike_out(text)));
                Some(Failure {
                    exception: clear(&failure.exception),
                    message: clear(&failure.message),
                    task: told.task.as_deref().map(clear),
                    own_frame: failure.own_frame.as_deref().map(clear),
                    at: told.at,
                    ..failure
                })
            }
            Err(error) => {
                tracing::warn!(application = self.application, error = %error, "a failure's text is withheld");
                // The name of a class says much and gives nothing away, as does the kind.
                let exception = if is_class(&told.exception) { told.exception } else { UNNAMED.to_owned() };
                let message = WITHHELD.to_owned();
                Some(Failure { exception, message, task: None, own_frame: None, at: told.at, ..failure })
            }
        }
    }

    /// A text of Flink's, shortened, without what it may quote.
    async fn cleared(&self, text: &str) -> String {
        match self.managed.fresh_redactor(self.application, None).await {
            Ok(redactor) => shortened(&redactor.strike_out(&self.tokens.strike_out(text))),
            Err(error) => {
                tracing::warn!(application = self.application, error = %error, "a failure's text is withheld");
                WITHHELD.to_owned()
            }
        }
    }

    /// GETs JSON. What passes by itself is tried again; a URL that is late is renewed once.
    async fn get<T: DeserializeOwned>(
        &mut self,
        operation: &'static str,
        path: &str,
        query: Option<&str>,
    ) -> Result<T, Error> {
        let mut response = self.get_patiently(operation, path, query).await?;
        if response.status == 403 && !self.is_renewed {
            self.url = self.managed.presigned_url(self.application).await?;
            self.url.hide_in(&mut self.tokens);
            self.is_renewed = true;
            response = self.get_patiently(operation, path, query).await?;
        }
        // The body of a refusal is not quoted: it may hold the token.
        match response.status {
            200..=299 => serde_json::from_slice(&response.body).map_err(|error| {
                let place = format!("line {}, column {}", error.line(), error.column());
                Error::unreadable(operation, format!("the answer is not what Flink documents ({place})"))
            }),
            status => {
                let kind = match status {
                    401 | 403 => ErrorKind::AccessDenied,
                    404 => ErrorKind::NotFound,
                    429 => ErrorKind::Throttled,
                    500.. => ErrorKind::Unavailable,
                    _ => ErrorKind::Unreadable,
                };
                Err(Error::new(kind, operation, format!("Flink answered HTTP {status}")))
            }
        }
    }

    async fn get_patiently(
        &self,
        operation: &'static str,
        path: &str,
        query: Option<&str>,
    ) -> Result<FlinkResponse, Error> {
        let url = self.url.below(path, query);
        let mut retries = 0;
        loop {
            let answer = self.managed.flink.get(&url).await;
            let may_pass = match &answer {
                Ok(response) => response.status == 429 || response.status >= 500,
                Err(error) => matches!(error, TransportError::Connection { .. }),
            };
            if !may_pass || retries == MOST_RETRIES {
                return answer.map_err(|error| Error::from_transport(operation, error));
            }
            let longest = FIRST_BACKOFF * 2_u32.pow(retries);
            tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
            retries += 1;
        }
    }
}

/// The newest job. A submission that Flink refused leaves a FAILED job without vertices behind, which says nothing while
/// another job is alive.
fn choose(jobs: Vec<SeenJob>) -> Option<SeenJob> {
    let is_any_alive = jobs.iter().any(SeenJob::is_alive);
    jobs.into_iter().filter(|job| !(is_any_alive && job.is_leftover())).max_by_key(|job| job.start_time)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Presigned {
    authorized_url: String,
}

#[derive(Deserialize)]
struct Overview {
    jobs: Vec<SeenJob>,
}

#[derive(Deserialize)]
struct SeenJob {
    #[serde(rename = "jid")]
    id: String,
    #[serde(deserialize_with = "words::read")]
    state: JobState,
    /// Milliseconds since 1970.
    #[serde(rename = "start-time")]
    start_time: i64,
    tasks: TaskCounts,
}

impl SeenJob {
    fn is_alive(&self) -> bool {
        !matches!(self.state, JobState::Failed | JobState::Canceled | JobState::Finished)
    }

    fn is_leftover(&self) -> bool {
        self.state == JobState::Failed && self.tasks.total == 0
    }
}

#[derive(Deserialize)]
struct TaskCounts {
    total: u64,
    running: u64,
    finished: u64,
    failed: u64,
    canceled: u64,
    canceling: u64,
    initializing: u64,
    created: u64,
    scheduled: u64,
    deploying: u64,
    reconciling: u64,
}

impl TaskCounts {
    /// The tasks in the groups that matter; none where there are more of them than there are. (A state that Flink may have
    /// one day counts in the total alone.)
    fn tasks(&self) -> Option<Tasks> {
        let sum = |counts: &[u64]| counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
        let waiting = sum(&[self.created, self.scheduled, self.deploying, self.reconciling])?;
        let failed = sum(&[self.failed, self.canceled, self.canceling])?;
        let Self { total, initializing, running, finished, .. } = *self;
        let all = sum(&[waiting, initializing, running, finished, failed])?;
        (all <= total).then_some(Tasks { total, waiting, initializing, running, finished, failed })
    }
}

#[derive(Deserialize)]
struct Checkpoints {
    counts: CheckpointCounts,
    latest: LatestCheckpoints,
}

#[derive(Deserialize)]
struct CheckpointCounts {
    failed: u64,
}

#[derive(Deserialize)]
struct LatestCheckpoints {
    completed: Option<LatestCompleted>,
    failed: Option<LatestFailed>,
}

#[derive(Deserialize)]
struct LatestCompleted {
    /// Milliseconds since 1970.
    trigger_timestamp: i64,
    /// Milliseconds.
    end_to_end_duration: u64,
    /// Bytes.
    state_size: u64,
}

#[derive(Deserialize)]
struct LatestFailed {
    /// Milliseconds since 1970.
    failure_timestamp: i64,
    failure_message: Option<String>,
}

#[derive(Deserialize)]
struct Metric {
    id: String,
    value: Option<String>,
}

/// What of the metrics was in the answer.
struct Metrics {
    restarts: Option<u64>,
    completed_checkpoints: Option<u64>,
    failed_checkpoints: Option<u64>,
}

impl From<Vec<Metric>> for Metrics {
    fn from(metrics: Vec<Metric>) -> Self {
        let value = |id: &str| metrics.iter().find(|metric| metric.id == id)?.value.as_deref()?.parse().ok();
        Self {
            // Flink 1.x has both, 2.x only the first.
            restarts: value("numRestarts").or_else(|| value("fullRestarts")),
            completed_checkpoints: value("numberOfCompletedCheckpoints"),
            failed_checkpoints: value("numberOfFailedCheckpoints"),
        }
    }
}
