//! What the service does after a call was answered: the transitions that take time. Each is one background task; a newer
//! one (a forced stop, a rollback) supersedes what still runs, and whatever was superseded changes nothing any more.
//!
//! Where AWS's documentation leaves it open, the emulator decides so:
//! - When the snapshot of a running job fails, an update fails before the job is touched: the old job goes on, the
//!   application is RUNNING again, and the new version stays the current one. A stop fails in the same way.
//! - When the new job is refused, the old one is gone: the operation fails and the application is READY, unless system
//!   rollback is on.
//! - A rollback restores the newest snapshot of the version that it goes back to; if there is none, the newest of all.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::application::{Application, Job, Log, OperationStatus, Status};
use crate::configuration;
use crate::data_plane::{DataPlaneError, JobState, SnapshotHandle};
use crate::emulator::{Inner, State, lock};
use crate::faults::{Effect, Stage, Who};
use crate::record::{Event, JobStarted, RestoredFrom};
use crate::snapshots::{Place, Snapshot, SnapshotStatus};
use crate::timings::Timings;

/// Something that is under way with an application.
#[derive(Debug, Clone)]
pub(crate) struct Workflow {
    inner: Arc<Inner>,
    application: String,
    instance: u64,
    /// [`Application::workflow`] at its begin.
    number: u64,
    /// Id of the operation that it carries out, where there is one.
    operation: Option<String>,
    /// What asked for it: the name that faults and the record know.
    cause: &'static str,
    principal: Option<String>,
}

impl Inner {
    /// Runs a workflow for an application in the background, in place of the one before.
    pub(crate) fn begin<F>(
        self: &Arc<Self>,
        application: &mut Application,
        run: impl FnOnce(Workflow) -> F,
        operation: Option<&str>,
        cause: &'static str,
        principal: Option<&str>,
    ) where
        F: Future<Output = Option<()>> + Send + 'static,
    {
        application.workflow += 1;
        let workflow = Workflow::of(self, application, operation, cause, principal);
        let task = run(workflow);
        application.workflow_task = Some(self.spawn(async move {
            // None means that it was superseded; there is nothing left to do then.
            task.await;
        }));
    }
}

impl Workflow {
    pub(crate) fn of(
        inner: &Arc<Inner>,
        application: &Application,
        operation: Option<&str>,
        cause: &'static str,
        principal: Option<&str>,
    ) -> Self {
        Self {
            inner: Arc::clone(inner),
            application: application.name.clone(),
            instance: application.instance,
            number: application.workflow,
            operation: operation.map(str::to_owned),
            cause,
            principal: principal.map(str::to_owned),
        }
    }

    // ---- the workflows; each ends with None as soon as it is superseded

    /// An update of an application that stands still: nothing is started.
    pub(crate) async fn update_stopped(self) -> Option<()> {
        let fault = self.fault();
        self.sleep(self.timings().update_ready).await;
        hang_if(fault.as_ref()).await;
        let failure = failure(fault.as_ref());
        self.with(|application, log, now| {
            if let Some(id) = &self.operation {
                let status = if failure.is_some() { OperationStatus::Failed } else { OperationStatus::Successful };
                application.end_operation(id, status, failure.as_deref(), log, now);
            }
            application.set_status(Status::Ready, self.operation.as_deref(), log, now);
        })
    }

    /// An update of a running application.
    pub(crate) async fn update_running(self) -> Option<()> {
        let fault = self.fault();
        let timings = self.timings();
        let prepared = self.prepare(timings.update_prepare).await?;
        if let Err(error) = self.stop_job(timings.update_stop).await? {
            return self.fail_and_go_on(&error);
        }
        hang_if(fault.as_ref()).await;
        self.sleep(timings.update_start).await;
        self.submit_and_settle(prepared, fault).await
    }

    /// A start.
    pub(crate) async fn start(self) -> Option<()> {
        let fault = self.fault();
        let prepared = self.prepare(self.timings().start).await?;
        hang_if(fault.as_ref()).await;
        self.submit_and_settle(prepared, fault).await
    }

    /// A stop with a snapshot, if snapshots are enabled.
    pub(crate) async fn stop(self) -> Option<()> {
        let fault = self.fault();
        hang_if(fault.as_ref()).await;
        if let Some(error) = failure(fault.as_ref()) {
            return self.fail_and_go_on(&error);
        }
        if let Err(error) = self.stop_job(self.timings().stop).await? {
            return self.fail_and_go_on(&error);
        }
        self.succeed(Status::Ready)
    }

    /// A stop without a snapshot.
    pub(crate) async fn force_stop(self) -> Option<()> {
        let fault = self.fault();
        hang_if(fault.as_ref()).await;
        if let Some(error) = failure(fault.as_ref()) {
            return self.fail_and_go_on(&error);
        }
        self.cancel_job().await?;
        self.sleep(self.timings().force_stop).await;
        self.succeed(Status::Ready)
    }

    /// A rollback; its new version is the current one already.
    pub(crate) async fn roll_back(self) -> Option<()> {
        let fault = self.fault();
        let timings = self.timings();
        if !self.with(|application, _, _| application.active)? {
            self.sleep(timings.update_ready).await;
            return self.succeed(Status::RolledBack);
        }
        let prepared = self.prepare(timings.rollback_prepare).await?;
        self.cancel_job().await?;
        hang_if(fault.as_ref()).await;
        self.sleep(timings.rollback_start).await;
        let restored = self.with(|application, _, _| application.snapshot_of_rollback().cloned())?;
        let submitted = match restored {
            Some(snapshot) => self.submit(prepared, fault, Some(snapshot)).await?,
            None => Err("the snapshot to roll back to is gone".to_owned()),
        };
        match submitted {
            Ok(()) => self.settle().await,
            // Not answered by another rollback: the application ends READY.
            Err(error) => self.fail(&error, Status::Ready),
        }
    }

    /// The service's own maintenance: a restart that no version tells of.
    pub(crate) async fn maintain(self, duration: Duration, before: Status) -> Option<()> {
        let fault = self.fault();
        if self.with(|application, _, _| application.job.is_none())? {
            self.sleep(duration).await;
            return self.succeed(before);
        }
        let Ok(handle) = self.inner.config.data_plane.stop_with_snapshot(&self.application).await else {
            // A job that cannot be moved stays where it is.
            self.sleep(duration).await;
            return self.succeed(before);
        };
        let snapshot = self.unlisted_snapshot(handle)?;
        self.sleep(duration).await;
        hang_if(fault.as_ref()).await;
        match self.submit(Ok(()), fault, Some(snapshot)).await? {
            Ok(()) => self.settle().await,
            Err(error) => self.fail(&error, Status::Ready),
        }
    }

    /// Autoscaling to another parallelism.
    pub(crate) async fn autoscale(self, parallelism: u32) -> Option<()> {
        let fault = self.fault();
        let timings = self.timings();
        if let Err(error) = self.stop_job(timings.update_stop).await? {
            return self.fail_and_go_on(&error);
        }
        self.with(|application, _, _| {
            let current = application.version;
            if let Some(version) = application.versions.get_mut(&current) {
                configuration::set_current_parallelism(&mut Arc::make_mut(version).configuration, json!(parallelism));
            }
        })?;
        hang_if(fault.as_ref()).await;
        self.sleep(timings.autoscale).await;
        self.submit_and_settle(Ok(()), fault).await
    }

    /// A deletion, with all that belongs to the application.
    pub(crate) async fn delete(self) -> Option<()> {
        self.cancel_job().await?;
        self.sleep(self.timings().delete).await;
        let snapshots = {
            let mut state = lock(&self.inner.state);
            let now = self.now();
            let State { applications, log, sessions, .. } = &mut *state;
            let application = applications.remove(&self.application)?;
            log.status(&application, Some(application.status), None, None, now);
            sessions.retain(|_, session| session.instance != self.instance);
            application.snapshots
        };
        for handle in snapshots.newest_first().filter_map(|snapshot| snapshot.handle.as_ref()) {
            self.inner.config.data_plane.discard_snapshot(handle).await;
        }
        Some(())
    }

    /// A snapshot that somebody asked for; it goes on whatever else begins.
    pub(crate) async fn take_snapshot(self, place: Place) -> Option<()> {
        let fault = self.fault();
        let least = self.timings().snapshot;
        hang_if(fault.as_ref()).await;
        let handle = if failure(fault.as_ref()).is_some() {
            self.sleep(least).await;
            None
        } else {
            let ((), taken) = tokio::join!(self.sleep(least), self.inner.config.data_plane.snapshot(&self.application));
            taken.ok()
        };
        self.with_any(|application, log, now| application.end_snapshot(place, handle, log, now))?
    }

    /// The deletion of a snapshot.
    pub(crate) async fn delete_snapshot(self, place: Place) -> Option<()> {
        self.sleep(self.timings().delete).await;
        let snapshot = self.with_any(|application, log, now| {
            let snapshot = application.snapshots.remove(place)?;
            let (application, snapshot_name) = (application.name.clone(), snapshot.name.clone());
            log.add(now, Event::SnapshotDeleted { application, snapshot: snapshot_name });
            Some(snapshot)
        })??;
        if let Some(handle) = &snapshot.handle {
            self.inner.config.data_plane.discard_snapshot(handle).await;
        }
        Some(())
    }

    // ---- their steps

    /// Makes the current version's job ready while the old one runs. A failure counts when the job is submitted: the
    /// service stops the old one before it finds out.
    async fn prepare(&self, least: Duration) -> Option<Result<(), DataPlaneError>> {
        let spec = self
            .with(|application, _, _| application.current().and_then(|version| application.job_spec(version, None)))?;
        let Some(spec) = spec else {
            self.sleep(least).await;
            return Some(Err(DataPlaneError("the application has no code to run".to_owned())));
        };
        let ((), prepared) = tokio::join!(self.sleep(least), self.inner.config.data_plane.prepare(&spec));
        Some(prepared)
    }

    /// Stops the job with an automatic snapshot, or, where snapshots are not enabled, without.
    async fn stop_job(&self, least: Duration) -> Option<Result<(), String>> {
        let place = self.with(|application, log, now| {
            let job = application.job.as_ref()?;
            let version = application.versions.get(&job.version)?;
            let enabled = configuration::snapshots_enabled(&version.configuration);
            enabled.then(|| application.begin_snapshot(log.id(), true, now)).flatten()
        })?;
        let Some(place) = place else {
            self.cancel_job().await?;
            self.sleep(least).await;
            return Some(Ok(()));
        };
        let ((), stopped) =
            tokio::join!(self.sleep(least), self.inner.config.data_plane.stop_with_snapshot(&self.application));
        self.with(|application, log, now| match stopped {
            Ok(handle) => {
                application.end_snapshot(place, Some(handle), log, now);
                application.end_job("stoppedWithSnapshot", log, now);
                Ok(())
            }
            Err(DataPlaneError(error)) => {
                application.end_snapshot(place, None, log, now);
                Err(format!("The application could not be stopped with a snapshot: {error}"))
            }
        })
    }

    /// Ends the job, if there is one, without a snapshot.
    async fn cancel_job(&self) -> Option<()> {
        self.inner.config.data_plane.cancel(&self.application).await;
        self.with(|application, log, now| application.end_job("cancelled", log, now))
    }

    /// A snapshot of the job that just ended which no list shows.
    fn unlisted_snapshot(&self, handle: SnapshotHandle) -> Option<Arc<Snapshot>> {
        self.with(|application, log, now| {
            let snapshot = application.snapshot_of_job("maintenance".to_owned(), true, now)?;
            application.end_job("stoppedWithSnapshot", log, now);
            Some(Arc::new(Snapshot { status: SnapshotStatus::Ready, handle: Some(handle), ..snapshot }))
        })?
    }

    /// Submits the current version's job with the state that its run configuration asks for, and sees it running.
    async fn submit_and_settle(&self, prepared: Result<(), DataPlaneError>, fault: Option<Effect>) -> Option<()> {
        let restored = self.with(|application, _, _| application.snapshot_to_restore().map(Option::<&_>::cloned))?;
        let submitted = match restored {
            Ok(snapshot) => self.submit(prepared, fault, snapshot).await?,
            Err(error) => Err(error),
        };
        match submitted {
            Ok(()) => self.settle().await,
            Err(error) => self.fail_or_roll_back(&error).await,
        }
    }

    /// Submits the current version's job.
    async fn submit(
        &self,
        prepared: Result<(), DataPlaneError>,
        fault: Option<Effect>,
        restored: Option<Arc<Snapshot>>,
    ) -> Option<Result<(), String>> {
        let handle = restored.as_ref().and_then(|snapshot| snapshot.handle.clone());
        let stateless = restored.as_ref().filter(|snapshot| snapshot.handle.is_none());
        let stateless = stateless.map(|snapshot| format!("the snapshot {} holds no state", snapshot.name));
        let spec = self.with(|application, _, _| {
            application.current().and_then(|version| application.job_spec(version, handle))
        })?;
        let started = match (failure(fault.as_ref()).or(stateless), prepared, spec) {
            (Some(error), _, _) | (None, Err(DataPlaneError(error)), _) => Err(error),
            (None, Ok(()), None) => Err("the application has no code to run".to_owned()),
            (None, Ok(()), Some(spec)) => {
                self.inner.config.data_plane.start(&spec).await.map_err(|DataPlaneError(error)| error)
            }
        };
        let job = self.with(|application, log, now| match started {
            Ok(()) => Ok(self.begin_job(application, restored.as_deref(), log, now)),
            Err(error) => {
                let (application, version) = (application.name.clone(), application.version);
                log.add(now, Event::JobRefused { application, version, error: error.clone() });
                Err(error)
            }
        })?;
        Some(job.map(|job| self.watch_for_the_end(job)))
    }

    fn begin_job(
        &self,
        application: &mut Application,
        restored: Option<&Snapshot>,
        log: &mut Log,
        now: Timestamp,
    ) -> u64 {
        let number = log.job();
        let lineage = restored.map(|snapshot| snapshot.lineage.clone()).unwrap_or_default();
        let runtime = application.current().map(|version| version.runtime.clone()).unwrap_or_default();
        application.job = Some(Job { number, version: application.version, runtime, lineage: lineage.clone() });
        let event = JobStarted {
            application: application.name.clone(),
            job: number,
            version: application.version,
            cause: self.cause.to_owned(),
            principal: self.principal.clone(),
            restored_from: restored.map(|snapshot| RestoredFrom {
                snapshot: snapshot.name.clone(),
                version: snapshot.version,
                job: snapshot.job,
            }),
            lineage,
        };
        log.add(now, Event::JobStarted(event));
        number
    }

    /// Sees the application RUNNING with its new job.
    async fn settle(&self) -> Option<()> {
        self.sleep(self.timings().settle).await;
        self.with(|application, _, _| {
            if application.ran.last() != Some(&application.version) {
                application.ran.push(application.version);
            }
        })?;
        self.succeed(Status::Running)
    }

    fn succeed(&self, status: Status) -> Option<()> {
        self.with(|application, log, now| {
            if let Some(id) = &self.operation {
                application.end_operation(id, OperationStatus::Successful, None, log, now);
            }
            application.set_status(status, self.operation.as_deref(), log, now);
        })
    }

    fn fail(&self, error: &str, status: Status) -> Option<()> {
        self.with(|application, log, now| {
            if let Some(id) = &self.operation {
                application.end_operation(id, OperationStatus::Failed, Some(error), log, now);
            }
            application.set_status(status, self.operation.as_deref(), log, now);
        })
    }

    /// The operation failed before it touched the job: that goes on.
    fn fail_and_go_on(&self, error: &str) -> Option<()> {
        let running = self.with(|application, _, _| application.job.is_some())?;
        self.fail(error, if running { Status::Running } else { Status::Ready })
    }

    /// The new job was refused: the application is READY, or rolled back by the service if that was asked for.
    async fn fail_or_roll_back(&self, error: &str) -> Option<()> {
        let rollback = self.with(|application, log, now| {
            let enabled =
                application.current().is_some_and(|it| configuration::system_rollback_enabled(&it.configuration));
            let failed = self.operation.as_deref().filter(|_| enabled && self.cause != "StartApplication")?;
            application.check_rollback().ok()?;
            application.end_operation(failed, OperationStatus::Failed, Some(error), log, now);
            let id = application.begin_rollback(SYSTEM_ROLLBACK, None, log, now).ok()?;
            if let Some(operation) = application.operations.iter_mut().find(|it| it.id == failed) {
                operation.rolled_back_by = Some(id.clone());
            }
            Some(id)
        })?;
        match rollback {
            None => self.fail(error, Status::Ready),
            Some(operation) => {
                let rollback =
                    Self { operation: Some(operation), cause: SYSTEM_ROLLBACK, principal: None, ..self.clone() };
                rollback.roll_back().await
            }
        }
    }

    /// Looks, in the background, whether the job is a bounded one that comes to its end.
    fn watch_for_the_end(&self, job: u64) {
        let watch = self.clone();
        self.inner.spawn(async move {
            while watch.runs(job) {
                watch.sleep(watch.timings().job_poll).await;
                let state = watch.inner.config.data_plane.job_state(&watch.application).await;
                if state != Some(JobState::Finished) {
                    continue;
                }
                let ended = watch.with_any(|application, log, now| {
                    let same = application.job.as_ref().is_some_and(|it| it.number == job);
                    let ended = same && application.status == Status::Running;
                    if ended {
                        application.end_job("finished", log, now);
                        application.set_status(Status::Ready, None, log, now);
                    }
                    ended
                });
                if ended == Some(true) {
                    watch.inner.config.data_plane.cancel(&watch.application).await;
                }
            }
        });
    }

    // ---- what they share

    /// Whether the application still runs this job.
    fn runs(&self, job: u64) -> bool {
        let state = lock(&self.inner.state);
        let application = state.applications.get(&self.application).filter(|it| it.instance == self.instance);
        application.and_then(|it| it.job.as_ref()).is_some_and(|it| it.number == job)
    }

    /// Changes the application, unless this workflow was superseded.
    fn with<T>(&self, change: impl FnOnce(&mut Application, &mut Log, Timestamp) -> T) -> Option<T> {
        self.change(|application| application.workflow == self.number, change)
    }

    /// Changes the application as long as there is one.
    fn with_any<T>(&self, change: impl FnOnce(&mut Application, &mut Log, Timestamp) -> T) -> Option<T> {
        self.change(|_| true, change)
    }

    fn change<T>(
        &self,
        allowed: impl FnOnce(&Application) -> bool,
        change: impl FnOnce(&mut Application, &mut Log, Timestamp) -> T,
    ) -> Option<T> {
        let mut state = lock(&self.inner.state);
        // Under the lock, so that the record is in order whatever thread gets there first.
        let now = self.now();
        let State { applications, log, .. } = &mut *state;
        let application = applications.get_mut(&self.application).filter(|it| it.instance == self.instance)?;
        if !allowed(application) {
            return None;
        }
        let result = change(application, log, now);
        state.remember(&self.application, now);
        Some(result)
    }

    /// What a fault does to this operation.
    fn fault(&self) -> Option<Effect> {
        let now = self.now();
        let mut state = lock(&self.inner.state);
        let who = Who { application: Some(&self.application), principal: self.principal.as_deref() };
        state.faults.effect(Stage::Operation, self.cause, who, now)
    }

    fn timings(&self) -> Timings {
        self.inner.config.timings
    }

    fn now(&self) -> Timestamp {
        self.inner.config.clock.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.config.clock.sleep(duration).await;
    }
}

/// What faults and the record call a rollback that the service began by itself.
pub(crate) const SYSTEM_ROLLBACK: &str = "SystemRollbackApplication";

async fn hang_if(fault: Option<&Effect>) {
    if fault == Some(&Effect::OperationHangs) {
        pending::<()>().await;
    }
}

fn failure(fault: Option<&Effect>) -> Option<String> {
    match fault {
        Some(Effect::OperationFails(error)) => Some(error.clone()),
        _ => None,
    }
}
