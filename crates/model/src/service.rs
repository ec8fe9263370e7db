//! The service, as small as it can be and still be met by everything that the handlers do: one application with its
//! versions, operations, snapshots and job. A call is one atomic step; what the service does after it was answered is
//! another, so that everything may happen in between. Where AWS leaves it open, it does as `crates/emulator` does.

use lifecycle::status::ApplicationStatus;

/// Who did something: an execution by its number, or one of the two below.
pub(crate) type Actor = u8;
/// A person at the console.
pub(crate) const PERSON: Actor = 100;
/// The service, of its own accord.
pub(crate) const SERVICE: Actor = 101;
/// The configuration that a person's update makes.
pub(crate) const PERSONS_CONFIGURATION: u8 = 9;

/// `ApplicationStatus`, as far as the model goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    Ready,
    Starting,
    Running,
    Stopping,
    Updating,
    ForceStopping,
    RollingBack,
    RolledBack,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Stopping => "STOPPING",
            Self::Updating => "UPDATING",
            Self::ForceStopping => "FORCE_STOPPING",
            Self::RollingBack => "ROLLING_BACK",
            Self::RolledBack => "ROLLED_BACK",
        }
    }

    pub(crate) fn is_stopped(self) -> bool {
        matches!(self, Self::Ready | Self::RolledBack)
    }
}

impl From<Status> for ApplicationStatus {
    fn from(status: Status) -> Self {
        status.word().into()
    }
}

/// Name of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    Update,
    Start,
    Stop,
    Rollback,
}

impl Name {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Update => "UpdateApplication",
            Self::Start => "StartApplication",
            Self::Stop => "StopApplication",
            Self::Rollback => "RollbackApplication",
        }
    }

    /// By the service's word, which is one of the four.
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Update, Self::Start, Self::Stop, Self::Rollback].into_iter().find(|name| name.word() == word)
    }
}

/// `OperationStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ended {
    InProgress,
    Successful,
    Failed,
    Cancelled,
}

impl Ended {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// An operation. Its id is its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Operation {
    pub(crate) name: Name,
    pub(crate) status: Ended,
    /// From which version to which, where it makes one.
    pub(crate) versions: Option<(u8, u8)>,
    /// The operation by which the service undoes this one.
    pub(crate) rolled_back_by: Option<u8>,
}

/// A version of the configuration. Its id is its place in the list, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    pub(crate) configuration: u8,
    pub(crate) by: Actor,
    /// The version that it is a copy of, where a rollback made it.
    pub(crate) rolled_back_to: Option<u8>,
}

/// How a job's state is restored (`ApplicationRestoreConfiguration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Restore {
    Latest,
    Snapshot(u8),
    Skip,
}

/// A READY snapshot. Its name is its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot {
    pub(crate) version: u8,
    /// One bit for each version whose job has had a part in the state; bit 0 is the time before.
    pub(crate) lineage: u16,
}

/// The job that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Job {
    pub(crate) version: u8,
    pub(crate) lineage: u16,
}

/// What the service is at work on, after the call was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Work {
    /// An update of a running application stops the job with a snapshot.
    UpdateStops,
    /// And then starts the new one.
    UpdateStarts,
    UpdateStopped,
    Start,
    Stop,
    ForceStop,
    RollBack,
    /// A rollback of an application that was not running.
    RollBackStopped,
}

/// What `DescribeApplication` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) version: u8,
    pub(crate) status: Status,
    pub(crate) configuration: u8,
    /// How many acts had been done: for the judge, not for the handlers.
    pub(crate) acts: u8,
}

/// What was done to the application: a call that the service has taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Act {
    pub(crate) by: Actor,
    pub(crate) what: Write,
    /// The version that it met.
    pub(crate) version: u8,
    /// The operation that it began.
    pub(crate) operation: u8,
    /// Whether it met an application that stood still.
    pub(crate) is_of_stopped: bool,
    /// The rung that it was of, by its place in [`RUNGS`](crate::execution::RUNGS); of no meaning for a person's.
    pub(crate) rung: u8,
    /// Whether its execution had been redriven, or ended, when it was done: then the fence alone judges it.
    pub(crate) is_outside_turn: bool,
}

/// A call that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    Update { version: u8, configuration: u8, restore: Restore },
    Rollback { version: u8 },
    Start { restore: Restore },
    Stop { is_forced: bool },
}

impl Write {
    /// The version that it carries as a condition.
    pub(crate) fn condition(self) -> Option<u8> {
        match self {
            Self::Update { version, .. } | Self::Rollback { version } => Some(version),
            Self::Start { .. } | Self::Stop { .. } => None,
        }
    }
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refused {
    /// `ResourceInUseException`.
    InUse,
    /// `ConcurrentModificationException`.
    OtherVersion,
    /// `InvalidRequestException` and the like.
    Invalid,
}

/// What a job was started with, for the judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Started {
    pub(crate) by: Actor,
    /// The rung of the act behind it.
    pub(crate) rung: u8,
    /// The lineage of what was restored; none without state.
    pub(crate) restored: Option<u16>,
}

/// The application and everything about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Service {
    pub(crate) status: Status,
    pub(crate) versions: Vec<Version>,
    /// Versions that have reached RUNNING, in that order.
    ran: Vec<u8>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) job: Option<Job>,
    /// As the last update or start said.
    restore: Restore,
    work: Option<(Work, u8)>,
    /// The act behind the work, for the judge.
    behind: (Actor, u8),
    /// What was shown before the last change.
    pub(crate) before: View,
    pub(crate) acts: Vec<Act>,
    /// One bit for each configuration whose job crash-loops.
    bad: u16,
    /// Whether failed updates are rolled back by the service itself.
    rolls_back: bool,
}

fn number(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

impl Service {
    /// An application at version 1 that runs well and has a snapshot.
    pub(crate) fn new(bad: u16, rolls_back: bool) -> Self {
        let version = Version { configuration: 0, by: SERVICE, rolled_back_to: None };
        Self {
            status: Status::Running,
            versions: vec![version],
            ran: vec![1],
            operations: Vec::new(),
            snapshots: vec![Snapshot { version: 1, lineage: 0b11 }],
            job: Some(Job { version: 1, lineage: 0b11 }),
            restore: Restore::Latest,
            work: None,
            behind: (SERVICE, 0),
            before: View { version: 1, status: Status::Running, configuration: 0, acts: 0 },
            acts: Vec::new(),
            bad,
            rolls_back,
        }
    }

    pub(crate) fn version(&self) -> u8 {
        number(self.versions.len())
    }

    /// The configuration of a version.
    pub(crate) fn configuration(&self, version: u8) -> u8 {
        self.versions[usize::from(version) - 1].configuration
    }

    pub(crate) fn view(&self) -> View {
        let version = self.version();
        let configuration = self.configuration(version);
        View { version, status: self.status, configuration, acts: number(self.acts.len()) }
    }

    /// Whether the job that runs is a crash loop.
    pub(crate) fn is_job_bad(&self) -> bool {
        self.job.is_some_and(|job| self.bad & (1 << self.configuration(job.version)) != 0)
    }

    /// Whether the application runs, with a job that is well and has its state.
    pub(crate) fn is_well(&self) -> bool {
        let has_state = self.job.is_some_and(|job| job.lineage & 1 != 0);
        self.status == Status::Running && has_state && !self.is_job_bad()
    }

    pub(crate) fn is_at_work(&self) -> bool {
        self.work.is_some()
    }

    /// The operations of this name, or of any, newest first.
    pub(crate) fn newest(&self, name: Option<Name>) -> impl Iterator<Item = (u8, Name, Ended)> {
        let operations = (0..).zip(&self.operations).map(|(id, operation)| (id, operation.name, operation.status));
        let mut operations: Vec<_> = operations.filter(|(_, it, _)| name.is_none_or(|name| name == *it)).collect();
        operations.reverse();
        operations.into_iter()
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.view();
        change(self);
        self.before = before;
    }

    fn begin(&mut self, name: Name, versions: Option<(u8, u8)>, work: Work, status: Status) -> u8 {
        let id = number(self.operations.len());
        self.operations.push(Operation { name, status: Ended::InProgress, versions, rolled_back_by: None });
        self.work = Some((work, id));
        self.status = status;
        id
    }

    /// Ends whatever is under way.
    fn supersede(&mut self) {
        for operation in &mut self.operations {
            if operation.status == Ended::InProgress {
                operation.status = Ended::Cancelled;
            }
        }
        self.work = None;
    }

    fn add_version(&mut self, configuration: u8, by: Actor, rolled_back_to: Option<u8>) -> (u8, u8) {
        let from = self.version();
        self.versions.push(Version { configuration, by, rolled_back_to });
        (from, from + 1)
    }

    fn rollback_target(&self) -> Option<u8> {
        let current = self.version();
        self.ran.iter().rev().copied().find(|version| *version != current)
    }

    fn can_be_restored(&self, restore: Restore) -> bool {
        match restore {
            Restore::Snapshot(name) => usize::from(name) < self.snapshots.len(),
            Restore::Latest | Restore::Skip => true,
        }
    }

    /// A call that changes something: the operation's id and, where there is one, the version that it makes. Without
    /// `is_fenced` the version that it carries is no condition.
    pub(crate) fn write(&mut self, act: Act, is_fenced: bool) -> Result<(u8, Option<u8>), Refused> {
        let mut changed = Err(Refused::Invalid);
        let mut after = self.clone();
        after.change(|after| changed = after.take_on(act, is_fenced));
        if let Ok((operation, _)) = changed {
            after.behind = (act.by, act.rung);
            let (version, is_of_stopped) = (self.version(), self.status.is_stopped());
            after.acts.push(Act { version, operation, is_of_stopped, ..act });
            *self = after;
        }
        changed
    }

    fn take_on(&mut self, act: Act, is_fenced: bool) -> Result<(u8, Option<u8>), Refused> {
        let is_met = |version: u8| version == self.version() || !is_fenced;
        match act.what {
            Write::Update { version, configuration, restore } => {
                if self.status != Status::Running && !self.status.is_stopped() {
                    return Err(Refused::InUse);
                }
                if !is_met(version) {
                    return Err(Refused::OtherVersion);
                }
                if !self.can_be_restored(restore) {
                    return Err(Refused::Invalid);
                }
                let is_running = self.status == Status::Running;
                let versions = self.add_version(configuration, act.by, None);
                self.restore = restore;
                let work = if is_running { Work::UpdateStops } else { Work::UpdateStopped };
                let id = self.begin(Name::Update, Some(versions), work, Status::Updating);
                Ok((id, Some(versions.1)))
            }
            Write::Rollback { version } => {
                if !matches!(self.status, Status::Updating | Status::Running) {
                    return Err(Refused::InUse);
                }
                if !is_met(version) {
                    return Err(Refused::OtherVersion);
                }
                if self.snapshots.is_empty() || self.rollback_target().is_none() {
                    return Err(Refused::Invalid);
                }
                let is_active = !matches!(self.work, Some((Work::UpdateStopped, _)));
                self.supersede();
                let versions = self.roll_back(act.by, is_active);
                Ok((number(self.operations.len()) - 1, versions))
            }
            Write::Start { restore } => {
                if !self.status.is_stopped() {
                    return Err(Refused::InUse);
                }
                if !self.can_be_restored(restore) {
                    return Err(Refused::Invalid);
                }
                self.restore = restore;
                Ok((self.begin(Name::Start, None, Work::Start, Status::Starting), None))
            }
            Write::Stop { is_forced: false } if self.status == Status::Running => {
                Ok((self.begin(Name::Stop, None, Work::Stop, Status::Stopping), None))
            }
            Write::Stop { is_forced: true }
                if matches!(self.status, Status::Starting | Status::Updating | Status::Stopping | Status::Running) =>
            {
                self.supersede();
                Ok((self.begin(Name::Stop, None, Work::ForceStop, Status::ForceStopping), None))
            }
            Write::Stop { .. } => Err(Refused::InUse),
        }
    }

    /// Begins a rollback. Returns the version that it makes.
    fn roll_back(&mut self, by: Actor, is_active: bool) -> Option<u8> {
        let target = self.rollback_target()?;
        let versions = self.add_version(self.configuration(target), by, Some(target));
        let work = if is_active { Work::RollBack } else { Work::RollBackStopped };
        self.begin(Name::Rollback, Some(versions), work, Status::RollingBack);
        Some(versions.1)
    }

    /// The service comes a step further with what it is at work on, or fails at it. Says what job was started.
    pub(crate) fn go_on(&mut self, is_failing: bool) -> Option<Started> {
        let (work, id) = self.work?;
        let mut started = None;
        self.change(|service| started = service.work_on(work, id, is_failing));
        started
    }

    fn work_on(&mut self, work: Work, id: u8, is_failing: bool) -> Option<Started> {
        match work {
            // A job that crash-loops takes no snapshot: it is left as it is.
            Work::UpdateStops | Work::Stop if is_failing || self.is_job_bad() => {
                self.end(id, Ended::Failed, Status::Running);
            }
            Work::UpdateStops => {
                self.stop_with_snapshot();
                self.work = Some((Work::UpdateStarts, id));
            }
            Work::Stop => {
                self.stop_with_snapshot();
                self.end(id, Ended::Successful, Status::Ready);
            }
            Work::UpdateStarts if is_failing && self.rolls_back => {
                self.end(id, Ended::Failed, Status::Ready);
                let rollback = number(self.operations.len());
                self.operations[usize::from(id)].rolled_back_by = Some(rollback);
                let behind = (SERVICE, 0);
                self.roll_back(SERVICE, true);
                self.behind = behind;
            }
            Work::UpdateStarts | Work::Start | Work::RollBack if is_failing => {
                self.job = None;
                self.end(id, Ended::Failed, Status::Ready);
            }
            Work::UpdateStarts | Work::Start => {
                let from = match self.restore {
                    Restore::Latest => self.snapshots.last().copied(),
                    Restore::Snapshot(name) => self.snapshots.get(usize::from(name)).copied(),
                    Restore::Skip => None,
                };
                return Some(self.start_job(id, from));
            }
            Work::RollBack => {
                self.job = None;
                let target = self.versions.last().and_then(|version| version.rolled_back_to);
                let of_target = self.snapshots.iter().rev().find(|snapshot| Some(snapshot.version) == target);
                let from = of_target.or(self.snapshots.last()).copied();
                return Some(self.start_job(id, from));
            }
            Work::RollBackStopped => self.end(id, Ended::Successful, Status::RolledBack),
            Work::UpdateStopped => {
                let ended = if is_failing { Ended::Failed } else { Ended::Successful };
                self.end(id, ended, Status::Ready);
            }
            Work::ForceStop if is_failing => {
                let status = if self.job.is_some() { Status::Running } else { Status::Ready };
                self.end(id, Ended::Failed, status);
            }
            Work::ForceStop => {
                self.job = None;
                self.end(id, Ended::Successful, Status::Ready);
            }
        }
        None
    }

    fn end(&mut self, id: u8, ended: Ended, status: Status) {
        self.operations[usize::from(id)].status = ended;
        self.work = None;
        self.status = status;
    }

    fn stop_with_snapshot(&mut self) {
        if let Some(Job { version, lineage }) = self.job.take() {
            self.snapshots.push(Snapshot { version, lineage });
        }
    }

    fn start_job(&mut self, id: u8, from: Option<Snapshot>) -> Started {
        let version = self.version();
        let restored = from.map(|snapshot| snapshot.lineage);
        self.job = Some(Job { version, lineage: restored.unwrap_or_default() | (1 << version) });
        if self.ran.last() != Some(&version) {
            self.ran.push(version);
        }
        self.end(id, Ended::Successful, Status::Running);
        let (by, rung) = self.behind;
        Started { by, rung, restored }
    }
}
