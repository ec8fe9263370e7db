//! What the visits show, lane by lane. What was seen at one look is held until the next: nothing is known in between, and
//! while an operation is at work and nobody has looked yet, a lane is empty.

use jiff::Timestamp;
use lifecycle::deployment::{Deployment, Rung};
use lifecycle::evidence::Tasks;
use lifecycle::report::Outcome;
use lifecycle::status::{ApplicationStatus, JobState};
use lifecycle::verdict::{Judgement, Reason};

use crate::steps::{decision, reasons_of_decision, step};
use crate::terminal::words::between;
use crate::visits::Visit;

use super::words::heading;

/// A lane is drawn of at most so many spans, and of so many marks.
const MOST_DRAWN: usize = 300;

/// How something stands; never told by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// On its way, or waiting.
    Busy,
    /// Quiet time.
    Quiet,
    /// As it should be.
    Good,
    /// Something is done to the application.
    Act,
    /// Not to be told.
    Open,
    /// Wrong.
    Bad,
}

/// What was so from one moment to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span<T> {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) what: T,
}

/// What a span says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) words: String,
    pub(super) tone: Tone,
}

/// What a look counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: Timestamp,
    pub(super) words: String,
    pub(super) tone: Tone,
}

/// A decision, or the same one several times in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) at: Timestamp,
    /// When it was made last.
    pub(super) last_at: Timestamp,
    /// How often in a row.
    pub(super) times: usize,
    pub(super) headline: String,
    /// Why, as of the last time.
    pub(super) reasons: Vec<String>,
    pub(super) tone: Tone,
}

/// Spans one after the other.
#[derive(Debug, Clone)]
pub(super) struct Lane<T> {
    pub(super) spans: Vec<Span<T>>,
    is_open: bool,
}

impl<T: PartialEq + Clone> Lane<T> {
    fn new() -> Self {
        Self { spans: Vec::new(), is_open: false }
    }

    /// It is so from here on.
    fn see(&mut self, at: Timestamp, what: T) {
        if self.is_open && self.spans.last().is_some_and(|last| last.what == what) {
            self.reach(at);
            return;
        }
        self.close(at);
        self.spans.push(Span { from: at, to: at, what });
        self.is_open = true;
    }

    /// Nothing is known from here on.
    fn close(&mut self, at: Timestamp) {
        self.reach(at);
        self.is_open = false;
    }

    fn reach(&mut self, at: Timestamp) {
        if let Some(last) = self.spans.last_mut().filter(|_| self.is_open) {
            last.to = last.to.max(at);
        }
    }

    /// No more than can be drawn: each of so many slots shows what matters most in it, and there what lasts longest.
    pub(super) fn drawn(&self, importance: impl Fn(&T) -> u8) -> Vec<Span<T>> {
        let (Some(first), Some(last)) = (self.spans.first(), self.spans.last()) else { return Vec::new() };
        if self.spans.len() <= MOST_DRAWN {
            return self.spans.clone();
        }
        let slot = between(first.from, last.to) / u32::try_from(MOST_DRAWN).unwrap_or(u32::MAX);
        let mut drawn: Lane<T> = Self::new();
        let mut spans = self.spans.as_slice();
        let mut from = first.from;
        while let [next, ..] = spans {
            let to = from.saturating_add(slot).unwrap_or(last.to).max(next.from);
            let count = spans.iter().take_while(|span| span.from <= to).count();
            let within = spans.get(..count).unwrap_or_default();
            let weight = |span: &&Span<T>| (importance(&span.what), between(span.from.max(from), span.to.min(to)));
            if let Some(shown) = within.iter().max_by_key(weight) {
                drawn.see(from.max(next.from), shown.what.clone());
                drawn.reach(to.min(last.to));
            }
            let done = within.iter().take_while(|span| span.to <= to).count();
            spans = spans.get(done..).unwrap_or_default();
            from = to;
        }
        drawn.spans
    }
}

/// The lanes.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    /// Where the execution was.
    pub(super) steps: Lane<Words>,
    /// The application's status.
    pub(super) application: Lane<Words>,
    /// The service's operations.
    pub(super) operation: Lane<Words>,
    /// The job's state.
    pub(super) job: Lane<Words>,
    /// The job's tasks.
    pub(super) tasks: Lane<Tasks>,
    /// Restarts of the job.
    pub(super) restarts: Vec<Mark>,
    /// Its checkpoints.
    pub(super) checkpoints: Vec<Mark>,
    /// Decisions.
    pub(super) decisions: Vec<Decision>,
}

impl Timeline {
    /// What these visits show until `end`.
    pub(super) fn of(visits: &[Visit], end: Timestamp) -> Self {
        let mut timeline = Self {
            steps: Lane::new(),
            application: Lane::new(),
            operation: Lane::new(),
            job: Lane::new(),
            tasks: Lane::new(),
            restarts: Vec::new(),
            checkpoints: Vec::new(),
            decisions: Vec::new(),
        };
        let mut before = Known::default();
        for visit in visits {
            timeline.visit(visit, &mut before, end);
        }
        for lane in [&mut timeline.steps, &mut timeline.application, &mut timeline.operation, &mut timeline.job] {
            lane.close(end);
        }
        timeline.tasks.close(end);
        timeline
    }

    fn visit(&mut self, visit: &Visit, before: &mut Known, end: Timestamp) {
        let deployment = visit.deployment.as_ref();
        if let Some(step) = step_of(visit, self.steps.spans.last().map(|last| &last.what)) {
            self.steps.see(visit.entered_at, step);
        }
        self.steps.reach(visit.exited_at.unwrap_or(end));
        let (Some(at), Some(deployment)) = (visit.exited_at, deployment) else { return };
        self.begin_operation(deployment, before);
        let is_look = matches!(&*visit.state, "CheckOperation" | "CheckSubtasks") && deployment.error.is_none();
        if is_look {
            for reason in deployment.verdict.iter().flat_map(|verdict| &verdict.reasons) {
                self.look(at, reason, before);
            }
            let restarts = deployment.job.as_ref().map_or(0, |job| job.restarts);
            if restarts > before.restarts {
                let words = if restarts == 1 { "1 restart".to_owned() } else { format!("{restarts} restarts") };
                self.restarts.push(Mark { at, words, tone: Tone::Bad });
            }
            before.restarts = restarts;
        } else if visit.state == "Prepare"
            && let Some(baseline) = &deployment.baseline
        {
            self.application.see(at, status(&baseline.status));
        }
        let is_end = deployment.report.is_some() && !before.has_report;
        if is_end || (visit.state == "DecideRollback" && deployment.error.is_none() && deployment.report.is_none()) {
            self.decide(at, deployment);
        }
        before.has_report = deployment.report.is_some();
    }

    /// An operation that was not known before has begun: what it does to the job nobody has seen yet.
    fn begin_operation(&mut self, deployment: &Deployment, before: &mut Known) {
        let rung = deployment.rung;
        let Some(began) = deployment.began.as_ref().filter(|began| began.operation_id.is_some()) else { return };
        if before.began == Some((rung, began.at)) {
            return;
        }
        *before = Known { began: Some((rung, began.at)), has_report: before.has_report, ..Known::default() };
        self.application.close(began.at);
        self.job.close(began.at);
        self.tasks.close(began.at);
        self.operation.close(began.at);
        self.operation.see(began.at, Words { words: rung.operation().to_owned(), tone: Tone::Act });
    }

    fn look(&mut self, at: Timestamp, reason: &Reason, before: &mut Known) {
        match reason {
            Reason::OperationInProgress { application, .. } => self.application.see(at, status(application)),
            Reason::OperationSuccessful { operation, application } => {
                self.end_operation(at, operation, Tone::Good, "successful");
                self.application.see(at, status(application));
            }
            Reason::OperationFailed { operation, .. } => self.end_operation(at, operation, Tone::Bad, "failed"),
            Reason::OperationCancelled { operation } => self.end_operation(at, operation, Tone::Bad, "cancelled"),
            Reason::OperationTimedOut { operation, .. } => self.end_operation(at, operation, Tone::Bad, "not ended"),
            Reason::ApplicationAtWork { status: word } | Reason::ApplicationUnexpected { status: word } => {
                self.application.see(at, status(word));
            }
            Reason::ApplicationDeleted => {
                self.application.see(at, Words { words: "deleted".to_owned(), tone: Tone::Bad });
            }
            Reason::TasksNotRunning { state, tasks } => self.look_inside(at, state, *tasks, false),
            Reason::TasksRunning { tasks, .. } => self.look_inside(at, &JobState::Running, *tasks, true),
            Reason::JobFailed { state } => {
                self.job.see(at, Words { words: state.to_string(), tone: Tone::Bad });
                self.tasks.close(at);
            }
            Reason::JobFinished => {
                self.job.see(at, Words { words: JobState::Finished.to_string(), tone: Tone::Good });
                self.tasks.close(at);
            }
            Reason::NoJob => {
                self.job.see(at, Words { words: "no job".to_owned(), tone: Tone::Busy });
                self.tasks.close(at);
            }
            Reason::EvidenceUnreadable { what, .. } => {
                self.job.see(at, Words { words: format!("{what}: unreadable"), tone: Tone::Open });
                self.tasks.close(at);
            }
            Reason::Checkpoints { completed } if *completed > before.checkpoints => {
                before.checkpoints = *completed;
                self.checkpoints.push(Mark { at, words: format!("{completed} completed"), tone: Tone::Good });
            }
            Reason::NoCheckpointYet { failed } if *failed > before.failed_checkpoints => {
                before.failed_checkpoints = *failed;
                self.checkpoints.push(Mark { at, words: format!("{failed} failed"), tone: Tone::Bad });
            }
            _ => {}
        }
    }

    /// Whoever looks inside has found the application RUNNING before.
    fn look_inside(&mut self, at: Timestamp, state: &JobState, tasks: Tasks, is_well: bool) {
        let tone = match state {
            _ if is_well => Tone::Good,
            JobState::Failing | JobState::Failed | JobState::Restarting => Tone::Bad,
            _ => Tone::Busy,
        };
        self.application.see(at, status(&ApplicationStatus::Running));
        self.job.see(at, Words { words: state.to_string(), tone });
        self.tasks.see(at, tasks);
    }

    fn end_operation(&mut self, at: Timestamp, operation: &str, tone: Tone, end: &str) {
        if self.operation.is_open {
            self.operation.close(at);
            if let Some(last) = self.operation.spans.last_mut() {
                last.what = Words { words: format!("{operation}: {end}"), tone };
            }
        }
    }

    fn decide(&mut self, at: Timestamp, deployment: &Deployment) {
        let headline = match &deployment.report {
            Some(report) => format!("the end: {}", heading(report.outcome).to_lowercase()),
            None => decision(deployment),
        };
        let (reasons, tone) = match &deployment.report {
            Some(report) => {
                let refusals = report.refusals.iter().map(ToString::to_string);
                let reasons = report.because.iter().map(ToString::to_string).chain(refusals).collect();
                let tone = match report.outcome {
                    Outcome::Deployed | Outcome::NoChange => Tone::Good,
                    Outcome::RolledBack | Outcome::Restored | Outcome::Superseded => Tone::Open,
                    Outcome::Refused | Outcome::NeedsAttention => Tone::Bad,
                };
                (reasons, tone)
            }
            None => (reasons_of_decision(deployment), tone_of(deployment)),
        };
        if let Some(last) = self.decisions.last_mut().filter(|last| last.headline == headline) {
            last.last_at = at;
            last.times += 1;
            last.reasons = reasons;
            return;
        }
        self.decisions.push(Decision { at, last_at: at, times: 1, headline, reasons, tone });
    }

    /// The moments at which something changes: between two of them nothing is to be seen.
    pub(super) fn changes(&self) -> Vec<Timestamp> {
        let words = [&self.steps, &self.application, &self.operation, &self.job].into_iter();
        let words = words.flat_map(|lane| lane.spans.iter().flat_map(|span| [span.from, span.to]));
        let tasks = self.tasks.spans.iter().flat_map(|span| [span.from, span.to]);
        let marks = self.restarts.iter().map(|mark| mark.at).chain(self.decisions.iter().map(|it| it.at));
        words.chain(tasks).chain(marks).collect()
    }

    /// Everything that has changed, in the order of time: when, in which lane, and to what.
    pub(super) fn rows(&self) -> Vec<(Timestamp, &'static str, String)> {
        let mut rows: Vec<(Timestamp, &'static str, String)> = Vec::new();
        let lanes = [
            ("Step", &self.steps),
            ("Application", &self.application),
            ("Operation", &self.operation),
            ("Job", &self.job),
        ];
        for (name, lane) in lanes {
            rows.extend(lane.spans.iter().map(|span| {
                let is_operation = name == "Operation" && span.to > span.from && span.what.words.contains(": ");
                let lasted = crate::terminal::words::length(whole_seconds(span));
                let lasted = if is_operation { format!(", seen after {lasted}") } else { String::new() };
                (span.from, name, format!("{}{lasted}", span.what.words))
            }));
        }
        rows.extend(self.tasks.spans.iter().map(|span| (span.from, "Tasks", span.what.to_string())));
        rows.extend(self.restarts.iter().map(|mark| (mark.at, "Restarts", mark.words.clone())));
        rows.extend(self.checkpoints.iter().map(|mark| (mark.at, "Checkpoints", mark.words.clone())));
        rows.extend(self.decisions.iter().map(|it| (it.at, "Decision", it.headline.clone())));
        rows.sort_by_key(|(at, ..)| *at);
        rows
    }
}

/// What was known at the visit before.
#[derive(Debug, Default)]
struct Known {
    began: Option<(Rung, Timestamp)>,
    restarts: u64,
    checkpoints: u64,
    failed_checkpoints: u64,
    has_report: bool,
}

/// No more marks than can be drawn: the last of every so many.
pub(super) fn drawn_marks<T>(marks: &[T]) -> impl Iterator<Item = &T> {
    let every = marks.len().div_ceil(MOST_DRAWN).max(1);
    marks.chunks(every).filter_map(<[T]>::last)
}

fn whole_seconds<T>(span: &Span<T>) -> std::time::Duration {
    std::time::Duration::from_secs(between(span.from, span.to).as_secs())
}

fn status(status: &ApplicationStatus) -> Words {
    let tone = match status {
        ApplicationStatus::Running => Tone::Good,
        ApplicationStatus::Unknown(_) => Tone::Open,
        _ => Tone::Busy,
    };
    Words { words: status.to_string(), tone }
}

/// What the execution does in this state; none where that is no step of its own.
fn step_of(visit: &Visit, last: Option<&Words>) -> Option<Words> {
    const QUIET: &str = "quiet time";
    let deployment = visit.deployment.as_ref();
    let (words, tone) = match &*visit.state {
        "TakeTurn" | "WaitForTurn" => ("wait for the turn".to_owned(), Tone::Busy),
        "Prepare" | "WaitToPrepare" => ("prepare".to_owned(), Tone::Busy),
        "SubmitUpdate" | "RollBack" | "ForceStop" | "Restore" => (step(&visit.state, deployment), Tone::Act),
        // What waits for an act to be done is part of it.
        "WaitForOperation" | "CheckOperation" if last.is_some_and(|last| last.tone == Tone::Act) => return None,
        "WaitForOperation" | "CheckOperation" => ("wait for the service".to_owned(), Tone::Busy),
        // The look that ends a quiet time is part of it.
        "CheckSubtasks" if last.is_some_and(|last| last.words == QUIET) => return None,
        "CheckSubtasks" | "WaitForSubtasks" => ("look inside".to_owned(), Tone::Busy),
        "Bake" => match deployment.and_then(|it| it.verdict.as_ref()).map(|verdict| verdict.is) {
            Some(Judgement::Healthy) => (QUIET.to_owned(), Tone::Quiet),
            _ => ("wait, then try again".to_owned(), Tone::Open),
        },
        "WaitToDecide" => ("wait, then try again".to_owned(), Tone::Open),
        "Notify" => ("report".to_owned(), Tone::Busy),
        _ => return None,
    };
    Some(Words { words, tone })
}

fn tone_of(deployment: &Deployment) -> Tone {
    use lifecycle::deployment::Next;
    match deployment.next {
        Next::RollBack | Next::ForceStop | Next::Restore => Tone::Bad,
        Next::Submit => Tone::Act,
        _ => match deployment.verdict.as_ref().map(|verdict| verdict.is) {
            Some(Judgement::Healthy) => Tone::Quiet,
            _ => Tone::Open,
        },
    }
}
