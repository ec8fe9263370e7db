//! The emulator itself: what it holds, and the one entry for every request.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use clock::Clock;
use http::Request;
use tokio::task::JoinSet;

use crate::code::CodeStore;
use crate::data_plane::DataPlane;
use crate::faults::{Fault, Faults};
use crate::in_process::Unreachable;
use crate::record::RecordEntry;
use crate::timings::Timings;
use crate::wire::{self, ConnectionReset, HttpRequest, HttpResponse};

/// What every secret of this emulator begins with, so that a test can look for leaks.
pub const TOKEN_MARKER: &str = "emulator-secret-";

/// What an emulator is made of.
#[derive(Debug, Clone)]
pub struct EmulatorConfig {
    /// Its time.
    pub clock: Clock,
    /// What runs the jobs.
    pub data_plane: Arc<dyn DataPlane>,
    /// Where the applications' code lies.
    pub code: CodeStore,
    /// How long transitions take.
    pub timings: Timings,
    /// What ids, tokens and chance come from: the same seed and calls give the same answers.
    pub seed: u64,
    /// What presigned URLs begin with.
    pub public_url: String,
    /// Region in ARNs.
    pub region: String,
    /// Account in ARNs.
    pub account: String,
}

impl EmulatorConfig {
    /// The defaults: code in memory, the service's own timings.
    pub fn new(clock: Clock, data_plane: Arc<dyn DataPlane>) -> Self {
        Self {
            clock,
            data_plane,
            code: CodeStore::in_memory(),
            timings: Timings::default(),
            seed: 0,
            public_url: "https://emulator.amazonaws.com".to_owned(),
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
        }
    }
}

/// What the other services (CloudWatch) need to know of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationView {
    /// Its name.
    pub name: String,
    /// The runtime of its current version, such as `FLINK-1_20`.
    pub runtime: String,
    /// Its status, as the service writes it.
    pub status: String,
    /// Its version id.
    pub version: u64,
    /// The parallelism that its job has.
    pub parallelism: u32,
    /// Parallel tasks per KPU.
    pub parallelism_per_kpu: u32,
}

/// Managed Service for Apache Flink, with all that belongs to it. Clones are the same emulator; its background tasks end
/// with the last of them.
#[derive(Clone)]
pub struct Emulator {
    guard: Arc<Guard>,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Emulator").finish_non_exhaustive()
    }
}

/// Background tasks hold the inner part only; they are aborted when the last [`Emulator`] goes.
struct Guard {
    inner: Arc<Inner>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&self.inner.tasks).abort_all();
    }
}

/// What calls and background tasks share.
pub(crate) struct Inner {
    pub(crate) config: EmulatorConfig,
    pub(crate) state: Mutex<State>,
    tasks: Mutex<JoinSet<()>>,
}

/// All that changes, under one lock that is never held across an await.
pub(crate) struct State {
    pub(crate) faults: Faults,
    pub(crate) record: Vec<RecordEntry>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Emulator {
    /// An emulator without applications.
    pub fn new(config: EmulatorConfig) -> Self {
        let state = State { faults: Faults::new(config.seed), record: Vec::new() };
        let inner = Arc::new(Inner { config, state: Mutex::new(state), tasks: Mutex::default() });
        Self { guard: Arc::new(Guard { inner }) }
    }

    /// The emulator's time.
    pub fn clock(&self) -> &Clock {
        &self.inner().config.clock
    }

    /// What runs the jobs.
    pub fn data_plane(&self) -> &Arc<dyn DataPlane> {
        &self.inner().config.data_plane
    }

    /// Where the applications' code lies.
    pub fn code(&self) -> &CodeStore {
        &self.inner().config.code
    }

    /// The applications that there are, by name.
    pub fn applications(&self) -> Vec<ApplicationView> {
        Vec::new()
    }

    /// What happened so far.
    pub fn record(&self) -> Vec<RecordEntry> {
        lock(&self.inner().state).record.clone()
    }

    /// Lets something go wrong from now on.
    pub fn inject(&self, fault: Fault) {
        lock(&self.inner().state).faults.inject(fault);
    }

    /// Lets everything go right again.
    pub fn clear_faults(&self) {
        lock(&self.inner().state).faults.clear();
    }

    /// Answers a request of any protocol.
    pub async fn handle(&self, request: HttpRequest) -> HttpResponse {
        let identified = wire::identify(&request);
        wire::error_answer(identified.protocol, 400, "UnknownOperationException", "no such operation")
    }

    /// Answers a GET of a presigned URL with status and body.
    pub async fn get(&self, url: &str) -> Result<(u16, Bytes), Unreachable> {
        let request = Request::get(url).body(Bytes::new()).map_err(|_| Unreachable)?;
        let response = self.handle(request).await;
        if response.extensions().get::<ConnectionReset>().is_some() {
            return Err(Unreachable);
        }
        Ok((response.status().as_u16(), response.into_body()))
    }

    /// Ends the background tasks and everything that the data plane runs.
    pub async fn shut_down(&self) {
        lock(&self.inner().tasks).abort_all();
        self.data_plane().shut_down().await;
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.guard.inner
    }
}

impl Inner {
    /// Runs `task` in the background until it ends or the emulator does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}
