//! Flink's REST API over a simulated job, in the shapes that 1.20.5, 2.2.1 and 2.3.0 were recorded to answer. The parts
//! that no recording has (`/overview`, `/config`, `/taskmanagers`, the plan) are written after Flink's own description of
//! its API. Timestamps are milliseconds since 1970.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::play::{Cause, Checkpoint, Failure, InProgress, Play, Restored, Status, Task, Vertex, View};
use crate::data_plane::{LogRecord, RestResponse};

/// `web.refresh-interval`: how long `/jobs/:id` answers from its cache.
const REFRESH_INTERVAL_MS: u64 = 3_000;
/// `metrics.fetcher.update-interval`: how long metrics are answered from what was fetched last.
const METRICS_INTERVAL_MS: u64 = 10_000;
/// A fetch of the metrics takes that long, and what asked for it is answered without.
const METRICS_FETCH_MS: u64 = 20;
/// Right after the submission the REST endpoint has no leader yet.
const NO_LEADER_MS: u64 = 100;
const TASK_MANAGER_ADDRESS: &str = "10.0.0.23";
const TASK_MANAGER_DATA_PORT: u16 = 33_421;
const RETAINED_CHECKPOINTS: u64 = 1;
const CHECKPOINT_DIRECTORY: &str = "file:/checkpoints";
/// Ids of the recorded vertices; a job with more vertices gets made-up ones.
const VERTEX_IDS: [&str; 2] = ["f362c87ffabe89c8a91fa7d0a523ba6c", "e7beec23fd9f6ed5e1b8395129d43728"];

/// The Flink release behind a runtime of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlinkVersion {
    V1_20,
    V2_2,
    V2_3,
}

impl FlinkVersion {
    /// The release whose shapes a runtime such as `FLINK-1_20` has.
    pub(super) fn of_runtime(runtime: &str) -> Self {
        match runtime {
            "FLINK-2_3" => Self::V2_3,
            runtime if runtime.starts_with("FLINK-2_") => Self::V2_2,
            _ => Self::V1_20,
        }
    }

    fn number(self) -> &'static str {
        match self {
            Self::V1_20 => "1.20.5",
            Self::V2_2 => "2.2.1",
            Self::V2_3 => "2.3.0",
        }
    }

    fn is_1(self) -> bool {
        self == Self::V1_20
    }

    fn open_fails(self) -> &'static str {
        match self {
            Self::V1_20 => include_str!("../../fixtures/flink/1.20.5/open-fails.stacktrace.txt"),
            Self::V2_2 => include_str!("../../fixtures/flink/2.2.1/open-fails.stacktrace.txt"),
            Self::V2_3 => include_str!("../../fixtures/flink/2.3.0/open-fails.stacktrace.txt"),
        }
    }

    fn fails_after(self) -> &'static str {
        match self {
            Self::V1_20 => include_str!("../../fixtures/flink/1.20.5/fails-after.stacktrace.txt"),
            Self::V2_2 => include_str!("../../fixtures/flink/2.2.1/fails-after.stacktrace.txt"),
            Self::V2_3 => include_str!("../../fixtures/flink/2.3.0/fails-after.stacktrace.txt"),
        }
    }

    /// What goes before the cause when no restart follows.
    fn no_restart(self) -> &'static str {
        let whole = match self {
            Self::V1_20 => include_str!("../../fixtures/flink/1.20.5/no-restart.stacktrace.txt"),
            Self::V2_2 => include_str!("../../fixtures/flink/2.2.1/no-restart.stacktrace.txt"),
            Self::V2_3 => include_str!("../../fixtures/flink/2.3.0/no-restart.stacktrace.txt"),
        };
        whole.split_once("Caused by: ").map_or(whole, |(outer, _)| outer)
    }
}

/// 32 hexadecimal digits that depend on nothing but the parts.
pub(super) fn hex_id(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let first = digest.finalize().iter().take(16).fold(0_u128, |id, byte| (id << 8) | u128::from(*byte));
    format!("{first:032x}")
}

/// A job with what its cluster's REST endpoint remembers between two requests.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) job: String,
    pub(super) name: String,
    pub(super) version: FlinkVersion,
    /// When the job was submitted.
    pub(super) submitted_ms: i64,
    pub(super) restored_path: Option<String>,
    pub(super) play: Play,
    pub(super) cache: Cache,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    /// The execution graph that `/jobs/:id` answers from, and when it was taken.
    graph: Option<(u64, View)>,
    /// Metrics fetched, and being fetched.
    metrics: Option<View>,
    fetching: Option<(u64, View)>,
    fetched: Option<u64>,
}

/// The answer when no cluster is there, or it is only starting.
pub(super) fn unavailable() -> RestResponse {
    error(503, "Service temporarily unavailable due to an ongoing leader election. Please refresh.")
}

fn answer(body: &Value) -> RestResponse {
    RestResponse { status: 200, body: Bytes::from(body.to_string()) }
}

fn error(status: u16, message: &str) -> RestResponse {
    RestResponse { status, body: Bytes::from(json!({ "errors": [message] }).to_string()) }
}

fn not_found(job: &str) -> RestResponse {
    let text = format!(
        "org.apache.flink.runtime.rest.NotFoundException: Job {job} not found\n\
         \tat org.apache.flink.runtime.rest.handler.job.AbstractExecutionGraphHandler.lambda$handleRequest$1(AbstractExecutionGraphHandler.java:99)\n\
         Caused by: org.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job ({job})\n"
    );
    error(404, &text)
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| value)
}

impl Cluster {
    /// Answers a GET at `now`, milliseconds since the submission, to which the play was advanced.
    pub(super) fn get(&mut self, path_and_query: &str, now: u64) -> RestResponse {
        if now < NO_LEADER_MS {
            return unavailable();
        }
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let path = path.strip_prefix("/v1/").unwrap_or(path).trim_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        match segments.as_slice() {
            ["overview"] => answer(&self.overview(now)),
            ["config"] => answer(&self.config()),
            ["taskmanagers"] => answer(&self.task_managers(now)),
            ["jobs"] => answer(&json!({ "jobs": [{ "id": self.job, "status": self.play.view(now).status.name() }] })),
            ["jobs", "overview"] => answer(&self.jobs_overview(now)),
            ["jobs", job, rest @ ..] => {
                if !(job.len() == 32 && job.bytes().all(|byte| byte.is_ascii_hexdigit())) {
                    let why =
                        "Bad request, could not parse parameters: Cannot resolve path parameter (jobid) from value";
                    return error(400, &format!("{why} \"{job}\"."));
                }
                if *job != self.job {
                    return not_found(job);
                }
                match rest {
                    [] => answer(&self.job_details(now)),
                    ["status"] => answer(&json!({ "status": self.play.view(now).status.name() })),
                    ["exceptions"] => answer(&self.exceptions(now, query)),
                    ["checkpoints"] => answer(&self.checkpoints(now)),
                    ["metrics"] => answer(&self.metrics(now, query)),
                    _ => error(404, &format!("Not found: /{path}")),
                }
            }
            _ => error(404, &format!("Not found: /{path}")),
        }
    }

    fn at(&self, offset: u64) -> i64 {
        self.submitted_ms.saturating_add_unsigned(offset)
    }

    fn at_or_never(&self, offset: Option<u64>) -> i64 {
        offset.map_or(-1, |offset| self.at(offset))
    }

    fn vertex_id(&self, index: usize) -> String {
        VERTEX_IDS.get(index).map_or_else(|| hex_id(&[&self.name, &index.to_string()]), |id| (*id).to_owned())
    }

    fn task_manager_id(&self) -> String {
        let suffix: String = self.job.chars().take(6).collect();
        format!("{TASK_MANAGER_ADDRESS}:6122-{suffix}")
    }

    fn endpoint() -> String {
        format!("{TASK_MANAGER_ADDRESS}:{TASK_MANAGER_DATA_PORT}")
    }

    fn slots(&self) -> u32 {
        self.play.parallelism()
    }

    fn overview(&self, now: u64) -> Value {
        let view = self.play.view(now);
        let is = |status| u32::from(view.status == status);
        let running = u32::from(!view.status.is_terminal());
        json!({
            "taskmanagers": 1,
            "slots-total": self.slots(),
            "slots-available": if running == 1 { 0 } else { self.slots() },
            "jobs-running": running,
            "jobs-finished": is(Status::Finished),
            "jobs-cancelled": 0,
            "jobs-failed": is(Status::Failed),
            "flink-version": self.version.number(),
            "flink-commit": &hex_id(&[self.version.number()])[..7],
        })
    }

    fn config(&self) -> Value {
        json!({
            "refresh-interval": REFRESH_INTERVAL_MS,
            "timezone-name": "Coordinated Universal Time",
            "timezone-offset": 0,
            "flink-version": self.version.number(),
            "flink-revision": &hex_id(&[self.version.number()])[..7],
            "features": { "web-submit": false, "web-cancel": false, "web-rescale": false, "web-history": false },
        })
    }

    fn task_managers(&self, now: u64) -> Value {
        let used = !self.play.view(now).status.is_terminal();
        let resource = |slots: u32| {
            json!({
                "cpuCores": f64::from(slots),
                "taskHeapMemory": 384 * slots,
                "taskOffHeapMemory": 0,
                "managedMemory": 512 * slots,
                "networkMemory": 128 * slots,
                "extendedResources": {},
            })
        };
        let mut manager = json!({
            "id": self.task_manager_id(),
            "path": format!("pekko.tcp://flink@{TASK_MANAGER_ADDRESS}:6122/user/rpc/taskmanager_0"),
            "dataPort": TASK_MANAGER_DATA_PORT,
            "jmxPort": -1,
            "timeSinceLastHeartbeat": self.at(now - now % 10_000),
            "slotsNumber": self.slots(),
            "freeSlots": if used { 0 } else { self.slots() },
            "totalResource": resource(self.slots()),
            "freeResource": resource(if used { 0 } else { self.slots() }),
            "hardware": {
                "cpuCores": self.slots(),
                "physicalMemory": 4_294_967_296_u64,
                "freeMemory": 1_073_741_824,
                "managedMemory": 536_870_912,
            },
            "memoryConfiguration": {
                "frameworkHeap": 134_217_728,
                "taskHeap": 402_653_174,
                "frameworkOffHeap": 134_217_728,
                "taskOffHeap": 0,
                "networkMemory": 134_217_730,
                "managedMemory": 536_870_920,
                "jvmMetaspace": 268_435_456,
                "jvmOverhead": 201_326_592,
                "totalFlinkMemory": 1_342_177_280,
                "totalProcessMemory": 1_811_939_328,
            },
        });
        if self.version == FlinkVersion::V2_3 {
            manager["assignedTasks"] = json!(if used { self.slots() } else { 0 });
        }
        json!({ "taskmanagers": [manager] })
    }

    fn jobs_overview(&self, now: u64) -> Value {
        let view = self.play.view(now);
        let mut tasks = Map::new();
        let mut total = 0;
        for state in ALL_TASK_STATES {
            let count: u32 = view.vertices.iter().map(|vertex| count(vertex, state)).sum();
            total += count;
            tasks.insert(state.to_lowercase(), json!(count));
        }
        tasks.insert("total".to_owned(), json!(total));
        let last = view.since.iter().map(|(_, since)| *since).max().unwrap_or(0);
        let mut job = json!({
            "jid": self.job,
            "name": self.name,
            "start-time": self.at(0),
            "end-time": self.at_or_never(view.ended),
            "duration": view.ended.unwrap_or(now),
            "state": view.status.name(),
            "last-modification": self.at(last),
            "tasks": tasks,
        });
        if !self.version.is_1() {
            job["pending-operators"] = json!(0);
        }
        if self.version == FlinkVersion::V2_3 {
            job["jobType"] = json!("STREAMING");
            job["schedulerType"] = json!("Default");
        }
        json!({ "jobs": [job] })
    }

    fn job_details(&mut self, now: u64) -> Value {
        let fresh = self.cache.graph.take().filter(|(taken, _)| now - taken < REFRESH_INTERVAL_MS);
        let (taken, view) = fresh.unwrap_or_else(|| (now, self.play.view(now)));
        let body = self.graph_body(&view, now);
        self.cache.graph = Some((taken, view));
        body
    }

    fn graph_body(&self, view: &View, now: u64) -> Value {
        let parallelism = self.play.parallelism();
        let names = &self.play.behaviour().vertices;
        let mut timestamps: Map<String, Value> =
            ALL_JOB_STATES.iter().map(|state| ((*state).to_owned(), json!(0))).collect();
        for (status, since) in &view.since {
            timestamps.insert(status.name().to_owned(), json!(self.at(*since)));
        }
        timestamps.insert("CREATED".to_owned(), json!(self.at(0)));
        let vertices: Vec<Value> = view
            .vertices
            .iter()
            .enumerate()
            .map(|(index, vertex)| {
                let records = if index == 0 { (0, view.records_this_attempt) } else { (view.records_this_attempt, 0) };
                json!({
                    "id": self.vertex_id(index),
                    "slotSharingGroupId": hex_id(&[&self.job, "slots"]),
                    "name": names.get(index),
                    "maxParallelism": 128,
                    "parallelism": parallelism,
                    "status": aggregate(vertex),
                    "start-time": self.at_or_never(vertex.started),
                    "end-time": self.at_or_never(vertex.ended),
                    "duration": vertex.started.map_or(-1, |started| {
                        i64::try_from(vertex.ended.unwrap_or(now).saturating_sub(started)).unwrap_or(i64::MAX)
                    }),
                    "tasks": task_counts(vertex),
                    "metrics": {
                        "read-bytes": records.0.saturating_mul(42),
                        "read-bytes-complete": true,
                        "write-bytes": records.1.saturating_mul(42),
                        "write-bytes-complete": true,
                        "read-records": records.0,
                        "read-records-complete": true,
                        "write-records": records.1,
                        "write-records-complete": true,
                        "accumulated-backpressured-time": 0,
                        "accumulated-idle-time": 0,
                        "accumulated-busy-time": 0.0,
                    },
                })
            })
            .collect();
        let mut status_counts: Map<String, Value> =
            ALL_TASK_STATES.iter().map(|state| ((*state).to_owned(), json!(0))).collect();
        for vertex in &view.vertices {
            if let Some(entry) = status_counts.get_mut(aggregate(vertex)) {
                *entry = json!(entry.as_u64().unwrap_or(0) + 1);
            }
        }
        let mut body = json!({
            "jid": self.job,
            "name": self.name,
            "isStoppable": false,
            "state": view.status.name(),
            "job-type": "STREAMING",
            "start-time": self.at(0),
            "end-time": self.at_or_never(view.ended),
            "duration": view.ended.unwrap_or(now),
            "maxParallelism": -1,
            "now": self.at(now),
            "timestamps": timestamps,
            "vertices": vertices,
            "status-counts": status_counts,
            "plan": { "jid": self.job, "name": self.name, "type": "STREAMING", "nodes": self.plan_nodes() },
        });
        if !self.version.is_1() {
            body["pending-operators"] = json!(0);
            body["stream-graph"] = json!({ "nodes": self.stream_graph_nodes() });
        }
        if self.version == FlinkVersion::V2_3 {
            body["application-id"] = json!(hex_id(&[&self.job, "application"]));
            body["schedulerType"] = json!("Default");
        }
        body
    }

    fn plan_nodes(&self) -> Vec<Value> {
        let names = &self.play.behaviour().vertices;
        let nodes = names.iter().enumerate().map(|(index, name)| {
            let mut node = json!({
                "id": self.vertex_id(index),
                "parallelism": self.play.parallelism(),
                "operator": "",
                "operator_strategy": "",
                "description": format!("{name}<br/>"),
                "optimizer_properties": {},
            });
            if let Some(input) = index.checked_sub(1) {
                node["inputs"] = json!([{
                    "num": 0,
                    "id": self.vertex_id(input),
                    "ship_strategy": "HASH",
                    "exchange": "pipelined_bounded",
                }]);
            }
            node
        });
        // From the sink to the source, as Flink prints its plan.
        let mut nodes: Vec<Value> = nodes.collect();
        nodes.reverse();
        nodes
    }

    fn stream_graph_nodes(&self) -> Vec<Value> {
        let names = &self.play.behaviour().vertices;
        let node = |(index, name): (usize, &String)| {
            let mut node = json!({
                "id": index + 1,
                "parallelism": self.play.parallelism(),
                "operator": name,
                "description": format!("{name}<br/>"),
                "job_vertex_id": self.vertex_id(index),
            });
            if index > 0 {
                node["inputs"] =
                    json!([{ "num": 0, "id": index, "ship_strategy": "HASH", "exchange": "pipelined_bounded" }]);
            }
            node
        };
        names.iter().enumerate().map(node).collect()
    }

    fn stack_trace(&self, failure: &Failure) -> String {
        match failure.cause {
            Cause::OpenThrows => self.version.open_fails().to_owned(),
            Cause::ElementThrows { after_ms } => {
                self.version.fails_after().replacen("after 3000 ms", &format!("after {after_ms} ms"), 1)
            }
            Cause::StateIncompatible => {
                "java.lang.Exception: Exception while creating StreamOperatorStateContext.\n\
                 \tat org.apache.flink.streaming.api.operators.StreamTaskStateInitializerImpl.streamOperatorStateContext(StreamTaskStateInitializerImpl.java)\n\
                 Caused by: org.apache.flink.util.FlinkException: Could not restore keyed state backend for KeyedProcessOperator from any of the 1 provided restore options.\n\
                 Caused by: org.apache.flink.util.StateMigrationException: For heap backends, the new state serializer must not be incompatible with the old state serializer.\n"
                    .to_owned()
            }
            Cause::TaskManagerLost => format!(
                "org.apache.flink.runtime.jobmaster.JobMasterException: TaskManager with id {} is no longer reachable.\n\
                 \tat org.apache.flink.runtime.jobmaster.JobMaster$TaskManagerHeartbeatListener.notifyTargetUnreachable(JobMaster.java)\n",
                self.task_manager_id()
            ),
        }
    }

    fn failed_task(&self, failure: &Failure) -> String {
        let name = self.play.behaviour().vertices.last().map_or("", String::as_str);
        let parallelism = self.play.parallelism();
        // Another subtask each time, as in the recordings, but the same one for the same job.
        let digest = Sha256::digest(format!("{}/{}", self.job, failure.attempt).as_bytes());
        let subtask = u32::from(digest[0]) % parallelism + 1;
        format!("{name} ({subtask}/{parallelism})")
    }

    /// A failure as Flink logs it: a task's by the TaskManager that runs it, the loss of one by the JobManager.
    pub(super) fn log_record(&self, failure: &Failure, version: u64) -> LogRecord {
        const VERTEX: &str = "cbc357ccb763df2852fee8c4fc7d55f2";
        let task = self.failed_task(failure);
        let attempt = failure.attempt;
        let execution = format!("{}_{VERTEX}_0_{attempt}", self.job);
        let is_lost = failure.cause == Cause::TaskManagerLost;
        let before = if failure.cause == Cause::OpenThrows { "INITIALIZING" } else { "RUNNING" };
        let (level, logger, thread, location, message) = if is_lost {
            (
                "INFO",
                "org.apache.flink.runtime.executiongraph.ExecutionGraph",
                "flink-pekko.actor.default-dispatcher-16".to_owned(),
                "org.apache.flink.runtime.executiongraph.Execution.transitionState(Execution.java)",
                format!("{task} ({execution}) switched from {before} to FAILED on {}.", self.task_manager_id()),
            )
        } else {
            (
                "WARN",
                "org.apache.flink.runtime.taskmanager.Task",
                format!("{task}#{attempt}"),
                "org.apache.flink.runtime.taskmanager.Task.transitionState(Task.java)",
                format!("{task}#{attempt} ({execution}) switched from {before} to FAILED with failure cause:"),
            )
        };
        LogRecord {
            at: Timestamp::from_millisecond(self.at(failure.at)).ok(),
            version,
            level: level.to_owned(),
            logger: logger.to_owned(),
            thread,
            location: location.to_owned(),
            message,
            throwable: Some(self.stack_trace(failure)),
        }
    }

    fn exceptions(&self, now: u64, query: &str) -> Value {
        let view = self.play.view(now);
        let most = parameter(query, "maxExceptions").and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);
        let truncated = view.failures.len() > most;
        let entries: Vec<Value> =
            view.failures.iter().take(most).map(|failure| self.exception_entry(failure, false)).collect();
        let history = json!({ "entries": entries, "truncated": truncated });
        if !self.version.is_1() {
            return json!({ "exceptionHistory": history });
        }
        let root = view.failures.first();
        let failing = matches!(view.status, Status::Restarting | Status::Failing | Status::Failed);
        let all: Vec<Value> = root
            .filter(|_| failing)
            .map(|failure| {
                json!({
                    "exception": self.stack_trace(failure),
                    "task": self.failed_task(failure),
                    "location": Self::endpoint(),
                    "endpoint": Self::endpoint(),
                    "timestamp": self.at(failure.at.saturating_sub(1)),
                    "taskManagerId": self.task_manager_id(),
                })
            })
            .into_iter()
            .collect();
        json!({
            "root-exception": root.map(|failure| self.root_trace(failure)),
            "timestamp": root.map(|failure| self.at(failure.at)),
            "all-exceptions": all,
            "truncated": truncated,
            "exceptionHistory": history,
        })
    }

    fn root_trace(&self, failure: &Failure) -> String {
        let trace = self.stack_trace(failure);
        if failure.last { format!("{}Caused by: {trace}", self.version.no_restart()) } else { trace }
    }

    fn exception_entry(&self, failure: &Failure, concurrent: bool) -> Value {
        // When no restart follows, the job's own failure comes first and the task's beside it.
        let of_job = failure.last && !concurrent;
        let trace = if of_job { self.root_trace(failure) } else { self.stack_trace(failure) };
        let name = trace.split(['\n', ':']).next().unwrap_or_default().to_owned();
        let mut entry = json!({
            "exceptionName": name,
            "stacktrace": trace,
            "timestamp": self.at(failure.at),
            "failureLabels": {},
        });
        if !of_job {
            entry["taskName"] = json!(format!("{} - execution #{}", self.failed_task(failure), failure.attempt));
            entry["endpoint"] = json!(Self::endpoint());
            entry["taskManagerId"] = json!(self.task_manager_id());
            if self.version.is_1() {
                entry["location"] = json!(Self::endpoint());
            }
        }
        if !concurrent {
            let beside: Vec<Value> = of_job.then(|| self.exception_entry(failure, true)).into_iter().collect();
            entry["concurrentExceptions"] = json!(beside);
        }
        entry
    }

    fn checkpoints(&self, now: u64) -> Value {
        let view = self.play.view(now);
        let checkpoints = &view.checkpoints;
        let newest = checkpoints.latest_completed.map(|checkpoint| checkpoint.id);
        let terminal = view.status.is_terminal();
        let full = |checkpoint: &Checkpoint| self.checkpoint(checkpoint, newest, terminal);
        let mut history: Vec<Value> = view.in_progress.iter().map(|pending| self.pending_checkpoint(pending)).collect();
        history.extend(checkpoints.history.iter().rev().map(full));
        history.truncate(10);
        let durations: Vec<u64> = checkpoints
            .history
            .iter()
            .filter(|checkpoint| checkpoint.completed)
            .map(|checkpoint| checkpoint.ended - checkpoint.triggered)
            .collect();
        let size = self.play.behaviour().state_size_bytes;
        let sizes = vec![size; durations.len()];
        let nothing = vec![0; durations.len()];
        json!({
            "counts": {
                "restored": checkpoints.restored,
                "total": checkpoints.completed + checkpoints.failed + view.in_progress.len() as u64,
                "in_progress": view.in_progress.len(),
                "completed": checkpoints.completed,
                "failed": checkpoints.failed,
            },
            "summary": {
                "checkpointed_size": summary(&sizes),
                "state_size": summary(&sizes),
                "end_to_end_duration": summary(&durations),
                // Flink no longer measures it: zeros even where other figures have none.
                "alignment_buffered": summary(&[0]),
                "processed_data": summary(&nothing),
                "persisted_data": summary(&nothing),
            },
            "latest": {
                "completed": checkpoints.latest_completed.as_ref().map(full),
                "savepoint": checkpoints.latest_savepoint.as_ref().map(full),
                "failed": checkpoints.latest_failed.as_ref().map(full),
                "restored": checkpoints.latest_restored.as_ref().map(|restored| self.restored(restored)),
            },
            "history": history,
        })
    }

    fn path(&self, id: u64, savepoint: bool) -> String {
        if savepoint {
            format!("file:/savepoints/savepoint-{}-{}", &self.job[..6], &hex_id(&[&self.job, &id.to_string()])[..12])
        } else {
            format!("{CHECKPOINT_DIRECTORY}/{}/chk-{id}", self.job)
        }
    }

    fn restored(&self, restored: &Restored) -> Value {
        let own = restored.savepoint.then(|| self.restored_path.clone()).flatten();
        json!({
            "id": restored.id,
            "restore_timestamp": self.at(restored.at),
            "is_savepoint": restored.savepoint,
            "external_path": own.unwrap_or_else(|| self.path(restored.id, restored.savepoint)),
        })
    }

    fn checkpoint_base(&self, id: u64, triggered: u64, savepoint: bool, status: &str) -> Value {
        let size = self.play.behaviour().state_size_bytes;
        let vertices = u32::try_from(self.play.behaviour().vertices.len()).unwrap_or(u32::MAX);
        json!({
            "className": status.to_lowercase(),
            "id": id,
            "status": status,
            "is_savepoint": savepoint,
            "savepointFormat": savepoint.then_some("CANONICAL"),
            "trigger_timestamp": self.at(triggered),
            "latest_ack_timestamp": -1,
            "checkpointed_size": size,
            "state_size": size,
            "end_to_end_duration": 0,
            "alignment_buffered": 0,
            "processed_data": 0,
            "persisted_data": 0,
            "num_subtasks": self.play.parallelism().saturating_mul(vertices),
            "num_acknowledged_subtasks": 0,
            "checkpoint_type": if savepoint { "SAVEPOINT" } else { "CHECKPOINT" },
            "tasks": {},
        })
    }

    fn pending_checkpoint(&self, pending: &InProgress) -> Value {
        self.checkpoint_base(pending.id, pending.triggered, pending.savepoint, "IN_PROGRESS")
    }

    fn checkpoint(&self, checkpoint: &Checkpoint, newest: Option<u64>, terminal: bool) -> Value {
        let status = if checkpoint.completed { "COMPLETED" } else { "FAILED" };
        let mut value = self.checkpoint_base(checkpoint.id, checkpoint.triggered, checkpoint.savepoint, status);
        value["end_to_end_duration"] = json!(checkpoint.ended - checkpoint.triggered);
        if checkpoint.completed {
            let retained = newest.is_some_and(|newest| checkpoint.id + RETAINED_CHECKPOINTS > newest);
            value["latest_ack_timestamp"] = json!(self.at(checkpoint.ended));
            value["num_acknowledged_subtasks"] = value["num_subtasks"].clone();
            value["external_path"] = json!(self.path(checkpoint.id, checkpoint.savepoint));
            value["discarded"] = json!(!checkpoint.savepoint && (terminal || !retained));
        } else {
            value["failure_timestamp"] = json!(self.at(checkpoint.ended));
            value["failure_message"] = json!(if checkpoint.job_failed {
                "Checkpoint Coordinator is suspending."
            } else if checkpoint.savepoint {
                "An Exception occurred while triggering the checkpoint. IO-problem detected."
            } else {
                "Asynchronous task checkpoint failed."
            });
        }
        value
    }

    fn metrics(&mut self, now: u64, query: &str) -> Value {
        if let Some((begun, view)) = self.cache.fetching.take() {
            if now >= begun + METRICS_FETCH_MS {
                self.cache.metrics = Some(view);
            } else {
                self.cache.fetching = Some((begun, view));
            }
        }
        if self.cache.fetched.is_none_or(|fetched| now - fetched > METRICS_INTERVAL_MS) {
            self.cache.fetched = Some(now);
            self.cache.fetching = Some((now, self.play.view(now)));
        }
        let Some(view) = &self.cache.metrics else { return json!([]) };
        let latest = view.checkpoints.latest_completed;
        let or_minus_one = |value: Option<u64>| value.map_or_else(|| "-1".to_owned(), |value| value.to_string());
        let mut all = vec![
            // Recorded to be 0 throughout, restarts included.
            ("downtime", "0".to_owned()),
            ("numberOfFailedCheckpoints", view.checkpoints.failed.to_string()),
            ("numberOfCompletedCheckpoints", view.checkpoints.completed.to_string()),
            ("lastCheckpointSize", or_minus_one(latest.map(|_| self.play.behaviour().state_size_bytes))),
            ("numRestarts", view.restarts.to_string()),
            ("lastCheckpointDuration", or_minus_one(latest.map(|last| last.ended - last.triggered))),
            ("uptime", view.uptime_ms.to_string()),
        ];
        if self.version.is_1() {
            all.push(("fullRestarts", view.restarts.to_string()));
        }
        let Some(wanted) = parameter(query, "get") else {
            return all.iter().map(|(id, _)| json!({ "id": id })).collect();
        };
        let wanted = wanted.replace("%2C", ",").replace("%2c", ",");
        let wanted: Vec<&str> = wanted.split(',').collect();
        all.iter()
            .filter(|(id, _)| wanted.contains(id))
            .map(|(id, value)| json!({ "id": id, "value": value }))
            .collect()
    }
}

const ALL_TASK_STATES: [&str; 10] = [
    "CREATED",
    "SCHEDULED",
    "DEPLOYING",
    "INITIALIZING",
    "RUNNING",
    "FINISHED",
    "CANCELING",
    "CANCELED",
    "FAILED",
    "RECONCILING",
];

const ALL_JOB_STATES: [&str; 11] = [
    "INITIALIZING",
    "CREATED",
    "RUNNING",
    "RESTARTING",
    "FAILING",
    "FAILED",
    "CANCELLING",
    "CANCELED",
    "FINISHED",
    "SUSPENDED",
    "RECONCILING",
];

fn count(vertex: &Vertex, state: &str) -> u32 {
    vertex.tasks.iter().filter(|(task, _)| task.name() == state).map(|(_, count)| count).sum()
}

fn task_counts(vertex: &Vertex) -> Map<String, Value> {
    ALL_TASK_STATES.iter().map(|state| ((*state).to_owned(), json!(count(vertex, state)))).collect()
}

/// The status that Flink shows for a whole vertex.
fn aggregate(vertex: &Vertex) -> &'static str {
    let has = |task: Task| vertex.tasks.iter().any(|(state, _)| *state == task);
    [Task::Failed, Task::Canceling, Task::Canceled, Task::Initializing, Task::Running, Task::Finished]
        .into_iter()
        .find(|task| has(*task))
        .filter(|_| !has(Task::Scheduled) && !has(Task::Deploying))
        .map_or("CREATED", Task::name)
}

/// Flink's summary of some figures; its percentiles are the text "NaN" when there are none.
fn summary(values: &[u64]) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let average = sorted.iter().sum::<u64>() / (sorted.len() as u64).max(1);
    let mut summary = json!({
        "min": sorted.first().copied().unwrap_or(0),
        "max": sorted.last().copied().unwrap_or(0),
        "avg": average,
    });
    for (name, thousandth) in [("p50", 500), ("p90", 900), ("p95", 950), ("p99", 990), ("p999", 999)] {
        let value = sorted.get((sorted.len() * thousandth / 1000).min(sorted.len().saturating_sub(1)));
        #[expect(clippy::cast_precision_loss, reason = "Flink's own figures are doubles")]
        let value = value.map_or_else(|| json!("NaN"), |value| json!(*value as f64));
        summary[name] = value;
    }
    summary
}
