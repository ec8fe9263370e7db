//! The emulator's record, put so that rules can be asked of it: who called what at which place, which versions were
//! made by whom, and which job carries on whose state. The order of entries decides, not their times, since many things
//! happen at one moment of virtual time.

use emulator::RecordEntry;
use emulator::record::{Call, Event, JobStarted, StatusAndVersion};
use jiff::Timestamp;

/// The cause that the record gives to a rollback by the service itself.
const SYSTEM_ROLLBACK: &str = "SystemRollbackApplication";

/// The record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History<'a> {
    pub(crate) record: &'a [RecordEntry],
}

/// A call at its place in the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) index: usize,
    pub(crate) at: Timestamp,
    pub(crate) call: &'a Call,
}

impl Placed<'_> {
    pub(crate) fn is(&self, operation: &str) -> bool {
        self.call.operation == operation
    }

    /// The application's version when the call came; none if there was no application.
    pub(crate) fn version(&self) -> Option<u64> {
        self.call.before.as_ref().map(|before| before.version)
    }

    /// The application's status when the call came.
    pub(crate) fn status(&self) -> Option<&str> {
        self.call.before.as_ref().map(|before| before.status.as_str())
    }

    /// Whether this principal made it.
    pub(crate) fn is_by(&self, principal: &str) -> bool {
        self.call.principal.as_deref() == Some(principal)
    }

    /// Whether the call finds the application standing still.
    pub(crate) fn finds_it_stopped(&self) -> bool {
        self.call.before.as_ref().is_some_and(StatusAndVersion::is_stopped)
    }

    /// Whether the call carries no version, so that a read right before it has to stand in for the fence.
    pub(crate) fn is_unfenced(&self) -> bool {
        self.is("StartApplication") || self.is("StopApplication")
    }

    /// For messages: the operation and when it was called.
    pub(crate) fn told(&self) -> String {
        format!("{} at {}", self.call.operation, self.at)
    }
}

/// A new version at its place in the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewVersion<'a> {
    pub(crate) index: usize,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) principal: Option<&'a str>,
    pub(crate) is_system_rollback: bool,
}

/// A job at its place in the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) index: usize,
    pub(crate) started: &'a JobStarted,
    /// Where it ended, and how.
    pub(crate) ended: Option<(usize, &'a str)>,
}

impl Job<'_> {
    pub(crate) fn is_alive_at(&self, index: usize) -> bool {
        self.index < index && self.ended.is_none_or(|(end, _)| end > index)
    }

    pub(crate) fn has_finished(&self) -> bool {
        self.ended.is_some_and(|(_, how)| how == "finished")
    }
}

impl<'a> History<'a> {
    pub(crate) fn calls(self) -> impl Iterator<Item = Placed<'a>> {
        self.record.iter().enumerate().filter_map(|(index, entry)| match &entry.event {
            Event::Call(call) => Some(Placed { index, at: entry.at, call }),
            _ => None,
        })
    }

    /// Whether this snapshot of this application was deleted between these places.
    pub(crate) fn deletes_between(self, of: &str, name: &str, from: usize, to: usize) -> bool {
        let is_it = |event: &Event| match event {
            Event::SnapshotDeleted { application, snapshot } => application == of && snapshot == name,
            _ => false,
        };
        self.record.iter().take(to).skip(from).any(|entry| is_it(&entry.event))
    }

    pub(crate) fn calls_of(self, principal: &str) -> impl Iterator<Item = Placed<'a>> {
        self.calls().filter(move |it| it.is_by(principal))
    }

    /// Calls of `principal` that changed something, the taking of snapshots included.
    pub(crate) fn done_by(self, principal: &str) -> impl Iterator<Item = Placed<'a>> {
        self.calls_of(principal).filter(|it| it.call.mutating && it.call.done)
    }

    /// Calls of anybody that acted on the application. Those on its snapshots do not: they leave it as it is.
    pub(crate) fn acts_on(self, application: &str) -> impl Iterator<Item = Placed<'a>> {
        self.calls().filter(move |it| {
            it.call.mutating
                && it.call.done
                && !it.call.operation.ends_with("ApplicationSnapshot")
                && it.call.application.as_deref() == Some(application)
        })
    }

    /// Looks at the application that were answered to `principal`.
    pub(crate) fn looks(self, principal: &str, application: &str) -> impl Iterator<Item = Placed<'a>> {
        self.calls_of(principal).filter(move |it| {
            it.is("DescribeApplication")
                && it.call.application.as_deref() == Some(application)
                && it.call.status == 200
                && it.call.done
                && it.call.before.is_some()
        })
    }

    pub(crate) fn versions(self, application: &str) -> impl Iterator<Item = NewVersion<'a>> {
        self.record.iter().enumerate().filter_map(move |(index, entry)| match &entry.event {
            Event::Version { application: of, from, to, cause, principal, .. } if of == application => {
                let is_system_rollback = cause == SYSTEM_ROLLBACK;
                Some(NewVersion { index, from: *from, to: *to, principal: principal.as_deref(), is_system_rollback })
            }
            _ => None,
        })
    }

    /// The application's jobs, in the order of their starts.
    pub(crate) fn jobs(self, application: &str) -> Vec<Job<'a>> {
        let mut jobs: Vec<Job<'a>> = Vec::new();
        for (index, entry) in self.record.iter().enumerate() {
            match &entry.event {
                Event::JobStarted(started) if started.application == application => {
                    jobs.push(Job { index, started, ended: None });
                }
                Event::JobEnded { job, how, .. } => {
                    if let Some(ended) = jobs.iter_mut().find(|it| it.started.job == *job) {
                        ended.ended = Some((index, how));
                    }
                }
                _ => {}
            }
        }
        jobs
    }
}

/// The job of this number and those whose state it carries on, the newest first; followed from snapshot to snapshot,
/// and not taken from what the job itself is said to carry on. What the service has restarted for reasons of its own is the
/// same job, whether it has kept the state or not: nobody is told.
pub(crate) fn ancestry(jobs: &[Job<'_>], job: u64) -> Vec<u64> {
    let mut ancestry = vec![job];
    let mut youngest = job;
    while let Some(place) = jobs.iter().position(|it| it.started.job == youngest)
        && let Some(older) = jobs.get(place).and_then(|found| carried_on(found, jobs.get(..place)?.last()))
        && older < youngest
    {
        ancestry.push(older);
        youngest = older;
    }
    ancestry
}

/// The job that this one carries on; `before` is the one that ran before it.
fn carried_on(job: &Job<'_>, before: Option<&Job<'_>>) -> Option<u64> {
    let is_restarted_by_the_service = matches!(&*job.started.cause, "Autoscaling" | "Maintenance");
    match &job.started.restored_from {
        Some(from) => Some(from.job),
        None => before.filter(|_| is_restarted_by_the_service).map(|before| before.started.job),
    }
}
