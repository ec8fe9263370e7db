//! The course of one simulated job, as Flink was recorded to go through it: attempts, restarts, checkpoints, records.
//! Everything is computed from the behaviour and the time that went by since the submission, when somebody asks; nothing
//! runs in between, so that a test can let a year pass. Times here are milliseconds since the submission.

use std::collections::VecDeque;

use super::behaviour::{Behaviour, JobFault, RestartDelay};
use super::snapshot::Snapshot;
use crate::data_plane::{JobMetrics, JobSpec, JobState};

/// Time from the submission to the first attempt: the job is INITIALIZING and has no vertices yet.
const JOB_INITIALIZING_MS: u64 = 450;
/// Tasks are DEPLOYING so long after they were SCHEDULED in a cluster that has never run this job, and in one that has.
const SCHEDULED_MS: [u64; 2] = [250, 2];
/// How long tasks are DEPLOYING, cold and warm.
const DEPLOYING_MS: [u64; 2] = [260, 25];
/// How long tasks are INITIALIZING, cold and warm, when they have nothing to restore.
const INITIALIZING_MS: [u64; 2] = [190, 20];
/// The first vertex is RUNNING so long before the others.
const FIRST_VERTEX_AHEAD_MS: u64 = 60;
/// An `open()` that throws does so this long after its task began to initialize.
const OPEN_MS: u64 = 20;
/// After a failure the other tasks are CANCELING so long.
const CANCELING_MS: u64 = 30;
/// A new `TaskManager` needs so long to come and offer its slots; tasks are SCHEDULED meanwhile.
const REPLACEMENT_MS: u64 = 10_000;
/// Flink keeps so many checkpoints, and so many exceptions, for its REST API.
const CHECKPOINT_HISTORY: usize = 10;
const EXCEPTION_HISTORY: usize = 16;
/// How fast state is written.
const CHECKPOINT_BYTES_PER_MS: u64 = 256 * 1024;
const CHECKPOINT_LEAST_MS: u64 = 12;

/// State of a Flink job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Initializing,
    Running,
    Restarting,
    Failing,
    Failed,
    Finished,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Running => "RUNNING",
            Self::Restarting => "RESTARTING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::Finished => "FINISHED",
        }
    }

    pub(super) fn is_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Finished)
    }
}

/// State of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    Scheduled,
    Deploying,
    Initializing,
    Running,
    Finished,
    Canceling,
    Canceled,
    Failed,
}

impl Task {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Deploying => "DEPLOYING",
            Self::Initializing => "INITIALIZING",
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Canceling => "CANCELING",
            Self::Canceled => "CANCELED",
            Self::Failed => "FAILED",
        }
    }
}

/// A vertex of the job at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vertex {
    /// Number of tasks per state, states without a task left out.
    pub(super) tasks: Vec<(Task, u32)>,
    /// When the tasks of this attempt were deployed.
    pub(super) started: Option<u64>,
    /// When the last of them ended.
    pub(super) ended: Option<u64>,
}

/// Why an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    OpenThrows,
    ElementThrows { after_ms: u64 },
    StateIncompatible,
    TaskManagerLost,
}

/// One failure, as the exception history has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) at: u64,
    pub(super) cause: Cause,
    /// Number of the attempt, 0 for the first.
    pub(super) attempt: u64,
    /// Whether no restart followed.
    pub(super) last: bool,
}

/// One checkpoint that took an id, as the checkpoint history has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) id: u64,
    pub(super) triggered: u64,
    pub(super) ended: u64,
    pub(super) completed: bool,
    pub(super) savepoint: bool,
    /// Whether it failed because its job failed.
    pub(super) job_failed: bool,
    /// Records in the state.
    pub(super) records: u64,
}

/// What the job was last restored from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Restored {
    pub(super) id: u64,
    pub(super) at: u64,
    pub(super) savepoint: bool,
    pub(super) records: u64,
}

/// Checkpoint counters and history since the submission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Checkpoints {
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) restored: u64,
    pub(super) latest_completed: Option<Checkpoint>,
    pub(super) latest_savepoint: Option<Checkpoint>,
    pub(super) latest_failed: Option<Checkpoint>,
    pub(super) latest_restored: Option<Restored>,
    /// Newest last.
    pub(super) history: VecDeque<Checkpoint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Failure { at: u64, cause: Cause },
    Finished { at: u64 },
    Open,
}

impl End {
    fn at(self) -> Option<u64> {
        match self {
            Self::Failure { at, .. } | Self::Finished { at } => Some(at),
            Self::Open => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    number: u64,
    scheduled: u64,
    deploying: u64,
    initializing: u64,
    /// When the first vertex, and when all the others, have all tasks RUNNING.
    first_running: u64,
    others_running: u64,
    /// What is planned; it has happened once it is not after the time that the play was advanced to.
    end: End,
    /// Records in the state that this attempt began with.
    records: u64,
}

impl Attempt {
    fn all_running(&self) -> u64 {
        self.first_running.max(self.others_running)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Attempting,
    Down { since: u64, restart: Option<u64> },
    Finished { at: u64 },
}

/// What the REST API answers from, at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) status: Status,
    /// When the job last changed to each status that it has had.
    pub(super) since: Vec<(Status, u64)>,
    pub(super) vertices: Vec<Vertex>,
    /// When the job ended.
    pub(super) ended: Option<u64>,
    /// Newest first.
    pub(super) failures: Vec<Failure>,
    pub(super) checkpoints: Checkpoints,
    pub(super) in_progress: Vec<InProgress>,
    pub(super) restarts: u64,
    pub(super) uptime_ms: u64,
    pub(super) records: u64,
    /// Records that the tasks of this attempt have taken in.
    pub(super) records_this_attempt: u64,
}

/// A checkpoint or savepoint that has been triggered and has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InProgress {
    pub(super) id: u64,
    pub(super) triggered: u64,
    pub(super) savepoint: bool,
}

/// A savepoint that was triggered, for whoever ends it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Savepoint {
    id: u64,
    triggered: u64,
    attempt: u64,
    records: u64,
}

/// A job from its submission on. Time only moves forward in it.
#[derive(Debug)]
pub(super) struct Play {
    behaviour: Behaviour,
    delay: RestartDelay,
    parallelism: u32,
    checkpoint_interval: Option<u64>,
    began_with_incompatible_state: bool,
    attempt: Attempt,
    phase: Phase,
    /// Failures that the behaviour planned, as opposed to lost machines.
    planned_failures: u32,
    restarts: u64,
    next_delay_ms: f64,
    last_failure: Option<u64>,
    failures: VecDeque<Failure>,
    checkpoints: Checkpoints,
    next_checkpoint: u64,
    next_trigger: Option<u64>,
    savepoints: Vec<InProgress>,
    initial: Option<Restored>,
}

fn seconds(value: u64) -> u64 {
    value.saturating_mul(1000)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates; delays are small")]
fn whole_ms(value: f64) -> u64 {
    value as u64
}

impl Play {
    /// Begins a job; `snapshot` is the one that it starts from.
    pub(super) fn new(behaviour: Behaviour, spec: &JobSpec, snapshot: Option<&Snapshot>) -> Self {
        let delay = behaviour.restart_delay.unwrap_or(match spec.runtime.as_str() {
            "FLINK-1_15" | "FLINK-1_18" => RestartDelay::DEFAULT_FIXED,
            _ => RestartDelay::DEFAULT_EXPONENTIAL,
        });
        let initial = snapshot.map(|snapshot| Restored {
            id: snapshot.checkpoint_id,
            at: JOB_INITIALIZING_MS,
            savepoint: true,
            records: snapshot.records,
        });
        let nothing = Attempt {
            number: 0,
            scheduled: 0,
            deploying: 0,
            initializing: 0,
            first_running: 0,
            others_running: 0,
            end: End::Open,
            records: 0,
        };
        let mut play = Self {
            delay,
            parallelism: spec.parallelism.max(1),
            checkpoint_interval: spec
                .checkpoint_interval
                .map(|interval| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(10)),
            began_with_incompatible_state: snapshot
                .is_some_and(|snapshot| snapshot.is_from_before(JobFault::IncompatibleState)),
            attempt: nothing,
            phase: Phase::Attempting,
            planned_failures: 0,
            restarts: 0,
            next_delay_ms: 0.0,
            last_failure: None,
            failures: VecDeque::new(),
            checkpoints: Checkpoints::default(),
            next_checkpoint: initial.map_or(1, |restored| restored.id + 1),
            next_trigger: None,
            savepoints: Vec::new(),
            initial,
            behaviour,
        };
        play.begin_attempt(JOB_INITIALIZING_MS, 0);
        play
    }

    pub(super) fn behaviour(&self) -> &Behaviour {
        &self.behaviour
    }

    pub(super) fn parallelism(&self) -> u32 {
        self.parallelism
    }

    fn has(&self, fault: JobFault) -> bool {
        self.behaviour.faults.contains(&fault)
    }

    fn find<T>(&self, pick: impl Fn(JobFault) -> Option<T>) -> Option<T> {
        self.behaviour.faults.iter().find_map(|fault| pick(*fault))
    }

    /// How long a checkpoint of this job takes.
    fn checkpoint_ms(&self) -> u64 {
        CHECKPOINT_LEAST_MS + self.behaviour.state_size_bytes / CHECKPOINT_BYTES_PER_MS
    }

    /// How long a snapshot of this job takes.
    pub(super) fn snapshot_ms(&self) -> u64 {
        let slow = self.find(|fault| match fault {
            JobFault::SlowSnapshot { seconds: slow } => Some(seconds(slow)),
            _ => None,
        });
        slow.unwrap_or_else(|| self.checkpoint_ms() + 30)
    }

    pub(super) fn snapshots_fail(&self) -> bool {
        self.has(JobFault::SnapshotFails)
    }

    /// Where the attempt that begins with `scheduled` is going.
    fn planned_end(&self, attempt: &Attempt) -> End {
        let opens_badly = |cause| End::Failure { at: attempt.initializing + OPEN_MS, cause };
        let running = attempt.all_running();
        for fault in &self.behaviour.faults {
            match *fault {
                JobFault::OpenFails => return opens_badly(Cause::OpenThrows),
                JobFault::IncompatibleState if self.began_with_incompatible_state => {
                    return opens_badly(Cause::StateIncompatible);
                }
                JobFault::FailsAfter { seconds: after, times }
                    if times.is_none_or(|times| self.planned_failures < times) =>
                {
                    let after_ms = seconds(after);
                    return End::Failure { at: running + after_ms, cause: Cause::ElementThrows { after_ms } };
                }
                JobFault::FailsLater { seconds: after } => {
                    let after_ms = seconds(after);
                    return if self.planned_failures == 0 {
                        End::Failure { at: running + after_ms, cause: Cause::ElementThrows { after_ms } }
                    } else {
                        opens_badly(Cause::OpenThrows)
                    };
                }
                JobFault::Bounded { seconds: after } => return End::Finished { at: running + seconds(after) },
                _ => {}
            }
        }
        End::Open
    }

    fn begin_attempt(&mut self, scheduled: u64, waits_for_slots_ms: u64) {
        let number = self.restarts;
        let warm = usize::from(number > 0);
        if let Some(restored) = self.latest_state() {
            self.checkpoints.restored += 1;
            self.checkpoints.latest_restored = Some(Restored { at: scheduled, ..restored });
        }
        let deploying = scheduled + SCHEDULED_MS[warm] + waits_for_slots_ms;
        let initializing = deploying + DEPLOYING_MS[warm];
        let quick = initializing + INITIALIZING_MS[warm];
        let slow = self.find(|fault| match fault {
            JobFault::SlowRestore { seconds: slow } => Some(seconds(slow)),
            _ => None,
        });
        let (first_running, others_running) = match slow {
            Some(slow) => (initializing + slow.max(1), quick),
            None => (quick, quick + FIRST_VERTEX_AHEAD_MS),
        };
        let others_running = if self.behaviour.vertices.len() > 1 { others_running } else { first_running };
        let records = self.latest_state().map_or(0, |restored| restored.records);
        let mut attempt = Attempt {
            number,
            scheduled,
            deploying,
            initializing,
            first_running,
            others_running,
            end: End::Open,
            records,
        };
        attempt.end = self.planned_end(&attempt);
        self.attempt = attempt;
        self.phase = Phase::Attempting;
        self.next_trigger = self.checkpoint_interval.map(|interval| {
            let first = self.behaviour.first_checkpoint_seconds.map_or(interval, seconds);
            scheduled.saturating_add(first)
        });
    }

    /// What a (re)start restores: the newest checkpoint or savepoint of this job, else the snapshot that it came from.
    fn latest_state(&self) -> Option<Restored> {
        let own = self.checkpoints.latest_completed.into_iter().chain(self.checkpoints.latest_savepoint);
        let own = own.max_by_key(|checkpoint| checkpoint.id).map(|checkpoint| Restored {
            id: checkpoint.id,
            at: checkpoint.ended,
            savepoint: checkpoint.savepoint,
            records: checkpoint.records,
        });
        own.or(self.initial)
    }

    fn records_at(&self, at: u64) -> u64 {
        self.attempt.records + self.processed_at(at)
    }

    /// Records that this attempt has processed by then.
    fn processed_at(&self, at: u64) -> u64 {
        let until = self.attempt.end.at().map_or(at, |end| end.min(at));
        until.saturating_sub(self.attempt.all_running()).saturating_mul(self.behaviour.records_per_second) / 1000
    }

    /// Moves the play on to `now`.
    pub(super) fn advance(&mut self, now: u64) {
        loop {
            match self.phase {
                Phase::Attempting => {
                    let ended = self.attempt.end.at().filter(|end| *end <= now);
                    self.run_checkpoints(now, ended);
                    match (ended, self.attempt.end) {
                        (Some(at), End::Failure { cause, .. }) => self.fail(at, cause),
                        (Some(at), End::Finished { .. }) => self.phase = Phase::Finished { at },
                        _ => return,
                    }
                }
                Phase::Down { restart: Some(restart), .. } if restart <= now => {
                    let lost = self.failures.back().is_some_and(|failure| failure.cause == Cause::TaskManagerLost);
                    self.begin_attempt(restart, if lost { REPLACEMENT_MS } else { 0 });
                }
                Phase::Down { .. } | Phase::Finished { .. } => return,
            }
        }
    }

    fn fail(&mut self, at: u64, cause: Cause) {
        if cause != Cause::TaskManagerLost {
            self.planned_failures = self.planned_failures.saturating_add(1);
        }
        let delay = self.delay_after(at);
        self.failures.push_back(Failure { at, cause, attempt: self.attempt.number, last: delay.is_none() });
        if self.failures.len() > EXCEPTION_HISTORY {
            self.failures.pop_front();
        }
        self.next_trigger = None;
        // Flink counts a restart when it decides on it, before the delay.
        self.restarts += u64::from(delay.is_some());
        let restart = delay.map(|delay| at + delay.max(CANCELING_MS));
        self.phase = Phase::Down { since: at, restart };
    }

    /// The delay before the restart after a failure at that time.
    fn delay_after(&mut self, at: u64) -> Option<u64> {
        let previous = self.last_failure.replace(at);
        match self.delay {
            RestartDelay::None => None,
            RestartDelay::Fixed { seconds: delay } => Some(seconds(delay)),
            RestartDelay::Exponential { initial_seconds, multiplier, max_seconds, reset_seconds } => {
                let current = self.next_delay_ms;
                let calm = previous
                    .is_none_or(|previous| at.saturating_sub(previous) >= whole_ms(reset_seconds * 1000.0 + current));
                let delay =
                    if calm { initial_seconds * 1000.0 } else { (current * multiplier).min(max_seconds * 1000.0) };
                self.next_delay_ms = delay;
                Some(whole_ms(delay))
            }
        }
    }

    /// Plays the periodic checkpoints of this attempt that have ended by `now`, or by the attempt's end.
    fn run_checkpoints(&mut self, now: u64, ended: Option<u64>) {
        let Some(interval) = self.checkpoint_interval else { return };
        let duration = self.checkpoint_ms();
        // One checkpoint at a time: a slow one pushes the next to a later multiple of the interval.
        let period = interval.saturating_mul(duration / interval + 1);
        let until = ended.unwrap_or(now);
        while let Some(trigger) =
            self.next_trigger.filter(|trigger| *trigger < until || (ended.is_none() && *trigger == until))
        {
            if trigger < self.attempt.all_running() {
                // Not all tasks run: it fails before it gets an id, and only the counter tells.
                let last = until.min(self.attempt.all_running() - 1);
                let count = (last - trigger) / interval + 1;
                self.checkpoints.failed += count;
                self.next_trigger = Some(trigger + count * interval);
                continue;
            }
            let fails = self.fails_checkpoint(trigger);
            let end = trigger + duration;
            if end > until {
                if ended.is_some() {
                    self.record(trigger, until, false, true);
                }
                if ended.is_none() {
                    return;
                }
                self.next_trigger = None;
                return;
            }
            // In a long quiet time only the last checkpoints can still be seen; the others are just counted.
            let turning = self.failing_checkpoints_from().filter(|from| *from > trigger).unwrap_or(u64::MAX);
            let alike = (until.min(turning) - trigger).saturating_sub(duration) / period;
            let skipped = alike.saturating_sub(CHECKPOINT_HISTORY as u64 + 1);
            if skipped > 0 {
                *(if fails { &mut self.checkpoints.failed } else { &mut self.checkpoints.completed }) += skipped;
                self.next_checkpoint += skipped;
                self.next_trigger = Some(trigger + skipped * period);
                continue;
            }
            self.record(trigger, end, !fails, false);
            self.next_trigger = Some(trigger + period);
        }
    }

    fn failing_checkpoints_from(&self) -> Option<u64> {
        self.find(|fault| match fault {
            JobFault::FailingCheckpoints { from_seconds } => Some(seconds(from_seconds)),
            _ => None,
        })
    }

    fn fails_checkpoint(&self, trigger: u64) -> bool {
        self.failing_checkpoints_from().is_some_and(|from| trigger >= from)
    }

    fn record(&mut self, triggered: u64, ended: u64, completed: bool, job_failed: bool) {
        let id = self.next_checkpoint;
        self.next_checkpoint += 1;
        self.keep(Checkpoint {
            id,
            triggered,
            ended,
            completed,
            savepoint: false,
            job_failed,
            records: self.records_at(triggered),
        });
    }

    fn keep(&mut self, checkpoint: Checkpoint) {
        let checkpoints = &mut self.checkpoints;
        match (checkpoint.completed, checkpoint.savepoint) {
            (false, _) => {
                checkpoints.failed += 1;
                checkpoints.latest_failed = Some(checkpoint);
            }
            (true, false) => {
                checkpoints.completed += 1;
                checkpoints.latest_completed = Some(checkpoint);
            }
            (true, true) => {
                checkpoints.completed += 1;
                checkpoints.latest_savepoint = Some(checkpoint);
            }
        }
        checkpoints.history.push_back(checkpoint);
        if checkpoints.history.len() > CHECKPOINT_HISTORY {
            checkpoints.history.pop_front();
        }
    }

    /// Whether all tasks run at `now`, to which the play was advanced.
    pub(super) fn all_tasks_run(&self, now: u64) -> bool {
        self.phase == Phase::Attempting && now >= self.attempt.all_running()
    }

    /// Triggers a savepoint at `now`, to which the play was advanced.
    pub(super) fn begin_savepoint(&mut self, now: u64) -> Savepoint {
        let id = self.next_checkpoint;
        self.next_checkpoint += 1;
        self.savepoints.push(InProgress { id, triggered: now, savepoint: true });
        Savepoint { id, triggered: now, attempt: self.attempt.number, records: self.records_at(now) }
    }

    /// Ends a savepoint in progress at `now`, to which the play was advanced; none if the job failed meanwhile or the
    /// savepoint is not to `succeed`.
    pub(super) fn end_savepoint(&mut self, now: u64, savepoint: Savepoint, succeed: bool) -> Option<Checkpoint> {
        let Savepoint { id, triggered, attempt, records } = savepoint;
        self.savepoints.retain(|pending| pending.id != id);
        let completed = succeed && self.phase == Phase::Attempting && self.attempt.number == attempt;
        let job_failed = succeed && !completed;
        let checkpoint = Checkpoint { id, triggered, ended: now, completed, savepoint: true, job_failed, records };
        self.keep(checkpoint);
        completed.then_some(checkpoint)
    }

    /// Loses a `TaskManager` at `now`, to which the play was advanced: the attempt ends, if there is one.
    pub(super) fn lose_task_manager(&mut self, now: u64) {
        if self.phase == Phase::Attempting && now >= self.attempt.scheduled {
            self.attempt.end = End::Failure { at: now, cause: Cause::TaskManagerLost };
            self.advance(now);
        }
    }

    fn status(&self, now: u64) -> Status {
        match self.phase {
            Phase::Attempting if now < self.attempt.scheduled => Status::Initializing,
            Phase::Attempting => Status::Running,
            Phase::Down { restart: Some(_), .. } => Status::Restarting,
            Phase::Down { since, restart: None } if now < since + CANCELING_MS => Status::Failing,
            Phase::Down { .. } => Status::Failed,
            Phase::Finished { .. } => Status::Finished,
        }
    }

    pub(super) fn job_state(&self, now: u64) -> JobState {
        match self.status(now) {
            Status::Finished => JobState::Finished,
            Status::Failed => JobState::Failed,
            Status::Initializing | Status::Running | Status::Restarting | Status::Failing => JobState::Active,
        }
    }

    fn uptime_ms(&self, now: u64) -> u64 {
        if self.status(now) == Status::Running { now - self.attempt.scheduled } else { 0 }
    }

    /// The service's counters at `now`, to which the play was advanced.
    pub(super) fn metrics(&self, now: u64) -> JobMetrics {
        let latest = self.checkpoints.latest_completed;
        let downtime_ms = match self.phase {
            Phase::Attempting => 0,
            Phase::Down { since, restart: Some(_) } => i64::try_from(now - since).unwrap_or(i64::MAX),
            Phase::Down { .. } | Phase::Finished { .. } => -1,
        };
        JobMetrics {
            restarts: self.restarts,
            failed_checkpoints: self.checkpoints.failed,
            completed_checkpoints: self.checkpoints.completed,
            last_checkpoint_duration_ms: latest.map_or(0, |checkpoint| checkpoint.ended - checkpoint.triggered),
            last_checkpoint_size_bytes: latest.map_or(0, |_| self.behaviour.state_size_bytes),
            uptime_ms: self.uptime_ms(now),
            downtime_ms,
        }
    }

    fn task_at(&self, vertex: usize, now: u64) -> Task {
        let attempt = &self.attempt;
        let running = if vertex == 0 { attempt.first_running } else { attempt.others_running };
        match now {
            _ if now >= running => Task::Running,
            _ if now >= attempt.initializing => Task::Initializing,
            _ if now >= attempt.deploying => Task::Deploying,
            _ => Task::Scheduled,
        }
    }

    fn vertex(&self, vertex: usize, now: u64) -> Vertex {
        let started = Some(self.attempt.deploying).filter(|deploying| *deploying <= now);
        match self.phase {
            Phase::Attempting => {
                Vertex { tasks: vec![(self.task_at(vertex, now), self.parallelism)], started, ended: None }
            }
            Phase::Finished { at } => {
                Vertex { tasks: vec![(Task::Finished, self.parallelism)], started, ended: Some(at) }
            }
            Phase::Down { since, .. } => {
                let canceling = now < since + CANCELING_MS;
                let others = if canceling { Task::Canceling } else { Task::Canceled };
                let failing = u32::from(vertex + 1 == self.behaviour.vertices.len());
                let tasks = [(Task::Failed, failing), (others, self.parallelism - failing)];
                let tasks = tasks.into_iter().filter(|(_, count)| *count > 0).collect();
                Vertex { tasks, started, ended: (!canceling).then_some(since + CANCELING_MS) }
            }
        }
    }

    /// What the REST API shows at `now`, to which the play was advanced.
    pub(super) fn view(&self, now: u64) -> View {
        let status = self.status(now);
        let initializing = status == Status::Initializing;
        let vertices = if initializing {
            Vec::new()
        } else {
            (0..self.behaviour.vertices.len()).map(|vertex| self.vertex(vertex, now)).collect()
        };
        let mut since = vec![(Status::Initializing, 0)];
        if !initializing {
            since.push((Status::Running, self.attempt.scheduled));
        }
        let ended = match self.phase {
            Phase::Attempting => None,
            Phase::Down { since: at, restart: Some(_) } => {
                since.push((Status::Restarting, at));
                None
            }
            Phase::Down { since: at, restart: None } => {
                since.push((Status::Failing, at));
                (status == Status::Failed).then_some(at + CANCELING_MS)
            }
            Phase::Finished { at } => Some(at),
        };
        if let Some(ended) = ended {
            since.push((status, ended));
        }
        let periodic = self
            .next_trigger
            .filter(|trigger| *trigger <= now && self.phase == Phase::Attempting)
            .map(|triggered| InProgress { id: self.next_checkpoint, triggered, savepoint: false });
        View {
            status,
            since,
            vertices,
            ended,
            failures: self.failures.iter().rev().copied().collect(),
            checkpoints: self.checkpoints.clone(),
            in_progress: periodic.into_iter().chain(self.savepoints.iter().copied()).collect(),
            restarts: self.restarts,
            uptime_ms: self.uptime_ms(now),
            records: self.records_at(now),
            records_this_attempt: self.processed_at(now),
        }
    }
}
