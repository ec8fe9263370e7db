//! The independent checker: whether an execution kept the nine safety rules, judged by what the emulator wrote down
//! of calls, versions and jobs, and never by what the deployer says of itself. Its claims are read only to be tested:
//! the outcome, against what the record shows (rules 1 and 4); how it ended (rule 6); all that it told (rule 8).
//!
//! An *act* is a call that changed an application: mutating, done (a lost response was done), and not of a snapshot.
//! What is asserted, and what cannot be seen:
//!
//! 0. **The record is sound.** Time does not go back; versions rise by one, each made by a recorded call; statuses
//!    follow on each other; a job's lineage is that of the job whose snapshot it was restored from.
//! 1. **The fence.** An update or rollback carries the version at hand. Before its first act an execution must have
//!    been shown that version; from then on it may act only on the version of that act, one that it made since, or
//!    one by which the service rolled its change back. A start or stop carries no version: the last look before it
//!    must have shown such a version, and nothing of its own lies in between. Where somebody else acted in between,
//!    that look must be the execution's last call of any kind (the window that is written down). Superseded: nothing
//!    was done after the other's version. Refused, `NoChange`: nothing was done, but for a snapshot. *Unseen:* a read
//!    that was made to tell of the past or was cut short counts as having shown what was true.
//! 2. **State.** Every job that an act of the execution started was restored from a snapshot, unless the request says
//!    `SKIP_RESTORE_FROM_SNAPSHOT`; and no call says so on its own account. The change's job carries on the job it
//!    replaces or begins from the snapshot that the request names; a rollback's job carries nothing of the bad
//!    version's; a start that brings the baseline back restores the baseline's job or one that this job had its state
//!    from. Snapshots that are deleted between the look at them and the start are in rule 1's window. *Unseen:* starts by
//!    the service (system rollback, maintenance, autoscaling) are not the execution's, and are not judged.
//! 3. **The ladder.** At most one rollback, one stop (by force), one update beside the change, one start beside the
//!    change's; no rollback once the service has rolled the change back; no other mutating call whatever. A request may
//!    ask for a stop of its own, gracefully or by force, which comes before everything else.
//! 4. **Unreadable is not healthy.** Deployed, `RolledBack` and Restored claim a verified application: after its last
//!    act the execution looked at the application and was shown its own version; there Flink's `/jobs/overview` was
//!    answered for the job that runs that version, and restarts were readable (Flink's metrics or `CloudWatch`); that
//!    job was alive at the last look, or ended as FINISHED. Where the application stood still before and was not to
//!    be started, it must stand still, unless somebody else has started it since. Another's update or rollback
//!    counts as its own where it sent the same call. *Unseen:* what the answers said: the record tells that Flink answered, not that its
//!    tasks ran.
//! 5. **Run configuration.** Every update and start that was sent, done or not, states how state is restored and
//!    whether state may be dropped.
//! 6. **The end.** An execution that was not aborted succeeds as Deployed, `NoChange` or Superseded, or fails as
//!    another outcome with a report of that outcome as its cause; within the policy's deadline and some slack, never
//!    by its own time-out. The time from its end to its redrive is not counted.
//! 7. **Twice is once.** No change, start or snapshot is made twice by one execution. *Unseen:* without steps that
//!    are run twice, or lost answers, this shows nothing.
//! 8. **Secrets.** No property value (of the application or the request), token, presigned URL or credential is in any
//!    text of the execution or in what it sent to SNS and `EventBridge`, plainly, escaped as JSON once or twice,
//!    percent-encoded or in base64. *Unseen:* other encodings; values under four characters; what a state and a function
//!    were given, which comes from texts that are seen (`tests/tests/secrets.rs` looks there, too).
//! 9. **One at a time, the newest wins.** From its first act to its end an execution is alone: no other acts. Once a
//!    newer upload has updated, an older one does not act; changes by hand queue, and may act in any order. A redriven
//!    execution asks for its turn again before it acts; what it asks and what it does may lie apart: from its redrive on
//!    rule 1 alone is judged between the two. *Unseen:* a start or stop may have been sent in rule 1's window and is
//!    judged by what was known at its look; who was the first to ask for a turn.

pub(crate) mod history;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use emulator::RecordEntry;
use emulator::record::Event;
use history::{History, Job, NewVersion, Placed, ancestry};
use jiff::Timestamp;
use lifecycle::report::{Outcome, Report};
use serde_json::Value;

use crate::secrets::{SECRET_ACCESS_KEY, SESSION_TOKEN, Secrets, property_values, words_before};

/// What is known of an execution from outside.
#[derive(Debug, Clone)]
pub struct ExecutionTrace {
    /// Its name.
    pub name: String,
    /// Access key id that all its calls carry, and those of no other.
    pub principal: String,
    /// Name of the application that it was asked to change.
    pub application: String,
    /// Its input.
    pub input: Value,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub status: asl::Status,
    /// The error's name, if it failed.
    pub error: Option<String>,
    /// The error's cause, if it failed.
    pub cause: Option<String>,
    /// Its output, if it succeeded.
    pub output: Option<Value>,
    /// Every state's input and output but the execution's own input; every log line, notification, error and cause.
    pub texts: Vec<String>,
    /// Whether it was stopped from outside.
    pub was_aborted: bool,
    /// From its first end to its redrive, if it was redriven: it did not run then.
    pub pause: Option<(Timestamp, Timestamp)>,
}

/// All that is to be judged together.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// The emulator's whole record.
    pub record: &'a [RecordEntry],
    /// The executions; calls of any other principal are somebody else's.
    pub executions: &'a [ExecutionTrace],
    /// Values that must not show anywhere, such as those of an application's runtime properties. Ones under four characters
    /// are ignored. Those of the requests' own properties are known without being named here.
    pub secrets: &'a [String],
}

/// A safety rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Number of the rule; 0 for a record that cannot be.
    pub rule: u8,
    /// Which execution broke it, and by what.
    pub what: String,
}

/// One assertion about one execution: what it finds broken, in words.
type Assertion = fn(&Case<'_>) -> Vec<String>;

/// The assertions, with the rule that each belongs to.
const ASSERTIONS: [(u8, Assertion); 24] = [
    (1, acts_are_on_its_own_application),
    (1, versioned_acts_carry_a_version_of_its_own),
    (1, unversioned_acts_follow_a_look),
    (1, superseded_touches_nothing_more),
    (1, refused_and_no_change_touch_nothing),
    (2, no_start_without_state),
    (2, no_call_gives_state_up_unasked),
    (2, change_carries_on_the_state_asked_for),
    (2, way_back_carries_on_the_baseline),
    (3, each_rung_at_most_once),
    (3, no_rollback_after_the_services_own),
    (3, no_call_off_the_ladder),
    (4, verified_outcome_was_looked_at),
    (4, outcome_is_what_was_done),
    (5, run_configuration_is_stated),
    (6, ends_in_an_outcome),
    (6, ends_within_its_deadline),
    (7, no_change_is_made_twice),
    (7, no_start_is_made_twice),
    (7, no_snapshot_is_taken_twice),
    (8, no_secret_is_told),
    (9, acts_do_not_interleave),
    (9, nobody_acts_out_of_turn),
    (9, older_upload_is_not_made_after_a_newer),
];

/// Judges the executions. Nothing comes back if they kept every rule.
pub fn check(observed: &Observed<'_>) -> Vec<Violation> {
    let history = History { record: observed.record };
    let mut violations: Vec<Violation> =
        unsound_record(history).into_iter().map(|what| Violation { rule: 0, what }).collect();
    let secrets = secrets_of(history, observed);
    for execution in observed.executions {
        let case = Case::new(history, execution, observed, &secrets);
        for (rule, assertion) in ASSERTIONS {
            let told = |what: String| Violation { rule, what: format!("{}: {what}", execution.name) };
            violations.extend(assertion(&case).into_iter().map(told));
        }
    }
    violations
}

/// An execution before its judge.
struct Case<'a> {
    history: History<'a>,
    execution: &'a ExecutionTrace,
    /// The other executions on the same application.
    others: Vec<&'a ExecutionTrace>,
    secrets: &'a Secrets,
    /// The outcome that it claims.
    outcome: Option<Outcome>,
    /// Its acts on its application, in order.
    acts: Vec<Placed<'a>>,
    /// Others' updates and rollbacks that it takes for its own: it sent the same call when that was done.
    adopted: Vec<Placed<'a>>,
    /// Its application's jobs.
    jobs: Vec<Job<'a>>,
}

impl<'a> Case<'a> {
    fn new(history: History<'a>, execution: &'a ExecutionTrace, observed: &Observed<'a>, secrets: &'a Secrets) -> Self {
        let is_other =
            |other: &&ExecutionTrace| other.name != execution.name && other.application == execution.application;
        Self {
            history,
            execution,
            others: observed.executions.iter().filter(is_other).collect(),
            secrets,
            outcome: claimed_outcome(execution),
            acts: acts_of(history, execution).collect(),
            adopted: adopted_by(history, execution).collect(),
            jobs: history.jobs(&execution.application),
        }
    }

    fn is_own(&self, principal: Option<&str>) -> bool {
        principal == Some(self.execution.principal.as_str())
    }

    fn acts_by<'case>(&'case self, operation: &'case str) -> impl Iterator<Item = &'case Placed<'a>> {
        self.acts.iter().filter(move |act| act.is(operation))
    }

    fn looks(&self) -> impl Iterator<Item = Placed<'a>> {
        self.history.looks(&self.execution.principal, &self.execution.application)
    }

    fn last_look_before(&self, index: usize) -> Option<Placed<'a>> {
        self.looks().take_while(|look| look.index < index).last()
    }

    /// The version that the execution acted on, made or adopted last before this place: the only one that it may act
    /// on. None before its first act.
    fn fence_before(&self, index: usize) -> Option<u64> {
        let first = self.first_act().filter(|act| act.index < index)?;
        let mut fence = first.version()?;
        for made in self.history.versions(&self.execution.application) {
            if (first.index..index).contains(&made.index) && self.is_ours(&made, fence) {
                fence = made.to;
            }
        }
        Some(fence)
    }

    /// Whether a version was made or adopted by the execution, or made by the service to undo its change.
    fn is_ours(&self, made: &NewVersion<'_>, fence: u64) -> bool {
        let is_made_by =
            |act: &Placed<'_>| act.version() == Some(made.from) && made.principal.is_some_and(|by| act.is_by(by));
        self.is_own(made.principal)
            || self.adopted.iter().any(is_made_by)
            || (made.is_system_rollback && made.from == fence)
    }

    /// Its first act, made or adopted.
    fn first_act(&self) -> Option<&Placed<'a>> {
        self.acts.iter().chain(&self.adopted).min_by_key(|act| act.index)
    }

    /// Versions by which the service rolled the execution's own change back while it was looked after.
    fn system_rollbacks(&self) -> Vec<NewVersion<'a>> {
        let is_in_time = |made: &NewVersion<'_>| {
            self.history.record.get(made.index).is_some_and(|entry| entry.at <= self.execution.ended_at)
        };
        let all = self.history.versions(&self.execution.application).filter(|made| made.is_system_rollback);
        all.filter(|made| is_in_time(made) && self.fence_before(made.index) == Some(made.from)).collect()
    }

    /// Whether the application was running when the execution first acted on it.
    fn found_it_running(&self) -> bool {
        self.first_act().is_some_and(|act| !act.finds_it_stopped())
    }

    /// The stop that the request asks for, where there was something to stop: its first act.
    fn stop_asked_for(&self) -> Option<&Placed<'a>> {
        let first = self.acts.first().filter(|act| act.is(STOP) && self.found_it_running())?;
        let is_forced = first.call.request.get("Force") == Some(&Value::Bool(true));
        let asked_for = match self.execution.input.get("stop").and_then(Value::as_str) {
            Some("graceful") => Some(false),
            Some("force") => Some(true),
            _ => None,
        };
        (asked_for == Some(is_forced)).then_some(first)
    }

    /// The stops that are rungs of the ladder.
    fn stops_on_the_way_back(&self) -> impl Iterator<Item = &Placed<'a>> {
        let asked_for = self.stop_asked_for().map(|stop| stop.index);
        self.acts_by(STOP).filter(move |stop| Some(stop.index) != asked_for)
    }

    /// The job that ran when the execution first acted.
    fn baseline_job(&self) -> Option<u64> {
        let first = self.acts.first()?.index;
        self.jobs.iter().find(|job| job.is_alive_at(first)).map(|job| job.started.job)
    }

    /// The jobs that the execution's own acts started.
    fn own_jobs(&self) -> impl Iterator<Item = &Job<'a>> {
        self.jobs.iter().filter(|job| self.is_own(job.started.principal.as_deref()))
    }

    /// Where its last act lies, made or adopted, or the service's answer to it.
    fn last_change(&self) -> Option<usize> {
        let answered = self.system_rollbacks().last().map(|made| made.index);
        self.acts.iter().chain(&self.adopted).map(|act| act.index).max().max(answered)
    }

    fn requested_restore(&self) -> RequestedRestore<'a> {
        requested_restore(&self.execution.input)
    }
}

fn acts_of<'a>(history: History<'a>, execution: &'a ExecutionTrace) -> impl Iterator<Item = Placed<'a>> {
    history.acts_on(&execution.application).filter(move |act| act.is_by(&execution.principal))
}

/// Others' updates and rollbacks that were done before the execution sent the same call, which was refused for that.
fn adopted_by<'a>(history: History<'a>, execution: &'a ExecutionTrace) -> impl Iterator<Item = Placed<'a>> {
    let refused: Vec<_> = history.calls_of(&execution.principal).filter(|it| !it.call.done).collect();
    let is_met = move |act: &Placed<'_>| {
        let same = |it: &Placed<'_>| it.is(&act.call.operation) && it.call.request == act.call.request;
        refused.iter().any(|it| it.index > act.index && same(it))
    };
    let others = history.acts_on(&execution.application).filter(|act| !act.is_by(&execution.principal));
    others.filter(move |act| (act.is(UPDATE) || act.is(ROLLBACK)) && is_met(act))
}

fn claimed_outcome(execution: &ExecutionTrace) -> Option<Outcome> {
    let name = match execution.status {
        asl::Status::Succeeded => execution.output.as_ref()?.get("outcome")?.as_str()?,
        asl::Status::Failed => execution.error.as_deref()?,
        asl::Status::TimedOut | asl::Status::Aborted => return None,
    };
    serde_json::from_value(name.into()).ok()
}

/// How the request wants state to be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestedRestore<'a> {
    Latest,
    Snapshot(&'a str),
    Skip,
}

const RESTORE_TYPE: &str = "ApplicationRestoreType";
const SKIP: &str = "SKIP_RESTORE_FROM_SNAPSHOT";

fn requested_restore(input: &Value) -> RequestedRestore<'_> {
    let update = input.pointer("/update/RunConfigurationUpdate/ApplicationRestoreConfiguration");
    let text = |short: &str, long: &str| {
        let short = input.pointer("/restore").and_then(|restore| restore.get(short));
        short.or_else(|| update.and_then(|update| update.get(long))).and_then(Value::as_str)
    };
    match (text("type", RESTORE_TYPE), text("snapshot", "SnapshotName")) {
        (Some(SKIP), _) => RequestedRestore::Skip,
        (Some("RESTORE_FROM_CUSTOM_SNAPSHOT"), Some(snapshot)) => RequestedRestore::Snapshot(snapshot),
        _ => RequestedRestore::Latest,
    }
}

// ---- rule 0: the record

/// What is known of an application while the record is read.
#[derive(Debug, Default)]
struct Known {
    version: u64,
    status: Option<String>,
    job: Option<u64>,
}

fn unsound_record(history: History<'_>) -> Vec<String> {
    let mut broken = time_goes_back(history);
    broken.extend(unsound_transitions(history));
    broken.extend(versions_without_calls(history));
    broken.extend(unsound_lineages(history));
    broken
}

fn time_goes_back(history: History<'_>) -> Vec<String> {
    let pairs = history.record.windows(2).filter_map(|pair| <&[RecordEntry; 2]>::try_from(pair).ok());
    let back = pairs.filter(|[earlier, later]| later.at < earlier.at);
    back.map(|[earlier, later]| format!("the record goes back from {} to {}", earlier.at, later.at)).collect()
}

fn unsound_transitions(history: History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut known: BTreeMap<&str, Known> = BTreeMap::new();
    for entry in history.record {
        let at = entry.at;
        match &entry.event {
            Event::Status { application, from, to, version, .. } => {
                let known = known.entry(application).or_default();
                if *from != known.status {
                    broken.push(format!("{application} was {:?}, not {from:?}, at {at}", known.status));
                }
                if *version != known.version {
                    broken.push(format!("{application} had version {}, not {version}, at {at}", known.version));
                }
                known.status.clone_from(to);
                if to.is_none() {
                    known.version = 0;
                }
            }
            Event::Version { application, from, to, rolled_back_to, .. } => {
                let known = known.entry(application).or_default();
                if *from != known.version || *to != from + 1 {
                    broken.push(format!("{application} went from {from} to {to}, after {}, at {at}", known.version));
                }
                if rolled_back_to.is_some_and(|back| back >= *from) {
                    broken.push(format!("{application} was rolled back from {from} to {rolled_back_to:?} at {at}"));
                }
                known.version = *to;
            }
            Event::JobStarted(job) => {
                let known = known.entry(&job.application).or_default();
                if let Some(running) = known.job.replace(job.job) {
                    broken.push(format!("job {} was started beside job {running} at {at}", job.job));
                }
                if job.version != known.version {
                    broken.push(format!("job {} runs version {}, not {}", job.job, job.version, known.version));
                }
            }
            Event::JobEnded { application, job, .. } => {
                if known.entry(application).or_default().job.take() != Some(*job) {
                    broken.push(format!("job {job} ended at {at} without having run"));
                }
            }
            Event::Call(_)
            | Event::JobRefused { .. }
            | Event::SnapshotTaken { .. }
            | Event::SnapshotDeleted { .. }
            | Event::OperationEnded { .. } => {}
        }
    }
    broken
}

/// An update or rollback that was done has made a version, and such a version was made by one.
fn versions_without_calls(history: History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let acts = || history.calls().filter(|it| it.call.mutating && it.call.done && is_versioned(it));
    for act in acts() {
        let application = act.call.application.as_deref().unwrap_or_default();
        let principal = act.call.principal.as_deref();
        let made = history
            .versions(application)
            .find(|made| made.index > act.index && Some(made.from) == act.version() && made.principal == principal);
        if made.is_none() {
            broken.push(format!("{} was done, but made no version", act.told()));
        }
    }
    for (index, entry) in history.record.iter().enumerate() {
        let Event::Version { application, from, to, cause, principal: Some(principal), .. } = &entry.event else {
            continue;
        };
        let is_its_call = |act: &Placed<'_>| {
            act.index < index
                && act.is(cause)
                && act.version() == Some(*from)
                && act.call.principal.as_ref() == Some(principal)
                && act.call.application.as_ref() == Some(application)
        };
        if matches!(cause.as_str(), UPDATE | ROLLBACK) && !acts().any(|act| is_its_call(&act)) {
            broken.push(format!("version {to} of {application} was made by no recorded {cause}"));
        }
    }
    broken
}

fn unsound_lineages(history: History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut lineages: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for entry in history.record {
        let Event::JobStarted(job) = &entry.event else { continue };
        let carried_on = match &job.restored_from {
            None => Some(Vec::new()),
            Some(from) => {
                lineages.get(&from.job).map(|before| before.iter().copied().chain([from.job]).collect::<Vec<_>>())
            }
        };
        if carried_on.as_ref() != Some(&job.lineage) {
            let told = &job.lineage;
            broken.push(format!("job {} is said to carry on {told:?}, but its snapshot says {carried_on:?}", job.job));
        }
        if lineages.keys().next_back().is_some_and(|newest| *newest >= job.job) {
            broken.push(format!("job {} was started after a later one", job.job));
        }
        lineages.insert(job.job, job.lineage.clone());
    }
    broken
}

// ---- rule 1: the fence

const UPDATE: &str = "UpdateApplication";
const ROLLBACK: &str = "RollbackApplication";
const START: &str = "StartApplication";
const STOP: &str = "StopApplication";
const SNAPSHOT: &str = "CreateApplicationSnapshot";

/// Whether a call carries the version that it is meant for.
fn is_versioned(act: &Placed<'_>) -> bool {
    act.is(UPDATE) || act.is(ROLLBACK)
}

fn acts_are_on_its_own_application(case: &Case<'_>) -> Vec<String> {
    let own = Some(case.execution.application.as_str());
    let done = case.history.done_by(&case.execution.principal);
    let elsewhere = done.filter(|it| it.call.application.as_deref() != own);
    elsewhere.map(|it| format!("{} was on {:?}", it.told(), it.call.application)).collect()
}

fn versioned_acts_carry_a_version_of_its_own(case: &Case<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for act in case.acts.iter().filter(|act| is_versioned(act)) {
        let at_hand = act.version();
        let carried = act.call.request.get("CurrentApplicationVersionId").and_then(Value::as_u64);
        if carried.is_none() || carried != at_hand {
            broken.push(format!("{} carried version {carried:?}, where {at_hand:?} was at hand", act.told()));
        }
        let is_own = match case.fence_before(act.index) {
            Some(fence) => Some(fence) == at_hand,
            None => case.looks().any(|look| look.index < act.index && look.version() == at_hand),
        };
        if !is_own {
            broken.push(format!("{} was on version {at_hand:?}, which it neither observed nor made", act.told()));
        }
    }
    broken
}

fn unversioned_acts_follow_a_look(case: &Case<'_>) -> Vec<String> {
    let unfenced = case.acts.iter().filter(|act| act.is_unfenced());
    unfenced.filter_map(|act| lack_of_a_look(case, act).map(|what| format!("{} {what}", act.told()))).collect()
}

/// What is wrong with the look that has to stand in for the fence.
fn lack_of_a_look(case: &Case<'_>, act: &Placed<'_>) -> Option<String> {
    let Some(look) = case.last_look_before(act.index) else {
        return Some("was made without a look at the application".to_owned());
    };
    let between = look.index + 1..act.index;
    if let Some(fence) = case.fence_before(act.index)
        && look.version() != Some(fence)
    {
        return Some(format!("was made although the look showed {:?}, not its own {fence}", look.version()));
    }
    if case.acts.iter().any(|own| between.contains(&own.index)) {
        return Some("was made without a look after its own act before".to_owned());
    }
    let principal = &case.execution.principal;
    let is_last_call = !case.history.calls_of(principal).any(|own| between.contains(&own.index));
    let has_changed = case
        .history
        .acts_on(&case.execution.application)
        .map(|foreign| foreign.index)
        .chain(case.history.versions(&case.execution.application).map(|made| made.index))
        .any(|index| between.contains(&index));
    if has_changed && !is_last_call {
        return Some("was made after something else since the look, and the application changed meanwhile".to_owned());
    }
    if !has_changed && look.version() != act.version() {
        return Some(format!("met version {:?}, where the look showed {:?}", act.version(), look.version()));
    }
    None
}

/// Up to where an act could know what others did: for one without a version up to its look, else up to itself.
fn horizon(case: &Case<'_>, act: &Placed<'_>) -> usize {
    let look = if act.is_unfenced() { case.last_look_before(act.index) } else { None };
    look.map_or(act.index, |look| look.index)
}

fn superseded_touches_nothing_more(case: &Case<'_>) -> Vec<String> {
    if case.outcome != Some(Outcome::Superseded) {
        return Vec::new();
    }
    let versions = case.history.versions(&case.execution.application);
    let foreign = versions
        .filter(|made| case.fence_before(made.index).is_some_and(|fence| !case.is_ours(made, fence)))
        .map(|made| made.index)
        .next();
    let Some(foreign) = foreign else { return Vec::new() };
    let done = case.history.done_by(&case.execution.principal);
    done.filter(|it| horizon(case, it) > foreign)
        .map(|it| format!("{} was made after somebody else's version, and it ended Superseded", it.told()))
        .collect()
}

fn refused_and_no_change_touch_nothing(case: &Case<'_>) -> Vec<String> {
    let Some(outcome @ (Outcome::Refused | Outcome::NoChange)) = case.outcome else { return Vec::new() };
    case.acts.iter().map(|act| format!("{} was made, and it ended {outcome}", act.told())).collect()
}

// ---- rule 2: state

fn no_start_without_state(case: &Case<'_>) -> Vec<String> {
    if case.requested_restore() == RequestedRestore::Skip {
        return Vec::new();
    }
    let is_without = |job: &&Job<'_>| job.started.restored_from.is_none() || job.started.lineage.is_empty();
    let without = case.own_jobs().filter(|job| is_without(job) && !lost_its_snapshots(case, job));
    without.map(|job| format!("job {} ({}) began without state", job.started.job, job.started.cause)).collect()
}

/// Whether a snapshot was deleted after the execution had listed them and before the start: a window as that of the start.
fn lost_its_snapshots(case: &Case<'_>, job: &Job<'_>) -> bool {
    let before = case.acts.iter().take_while(|act| act.index < job.index).last();
    let Some(start) = before.filter(|act| act.is(START) && job.started.cause == START) else { return false };
    let mine = case.history.calls_of(&case.execution.principal).take_while(|it| it.index < start.index);
    let Some(listed) = mine.filter(|it| it.is("ListApplicationSnapshots")).last() else { return false };
    let is_between = |it: &Placed<'_>| (listed.index..start.index).contains(&it.index);
    let is_deletion = |it: &Placed<'_>| {
        it.is("DeleteApplicationSnapshot")
            && it.call.done
            && it.call.application.as_ref() == Some(&case.execution.application)
    };
    !case.acts.iter().any(is_between) && case.history.calls().any(|it| is_between(&it) && is_deletion(&it))
}

fn no_call_gives_state_up_unasked(case: &Case<'_>) -> Vec<String> {
    if case.requested_restore() == RequestedRestore::Skip {
        return Vec::new();
    }
    let sent = sent_run_configurations(case);
    let skipping = sent.filter(|(_, run)| run.pointer(RESTORE_TYPE_AT).and_then(Value::as_str) == Some(SKIP));
    skipping.map(|(call, _)| format!("{} gives the state up, unlike the request", call.told())).collect()
}

/// The first job of the change: of the first update, or of the start that was asked for.
fn job_of_the_change<'case, 'a>(case: &'case Case<'a>) -> Option<&'case Job<'a>> {
    let runs_on = case.found_it_running() && case.stop_asked_for().is_none();
    let operation = if runs_on { UPDATE } else { START };
    let stopped = case.stops_on_the_way_back().next().map_or(usize::MAX, |stop| stop.index);
    case.own_jobs().find(|job| job.started.cause == operation && job.index < stopped)
}

fn change_carries_on_the_state_asked_for(case: &Case<'_>) -> Vec<String> {
    let Some(job) = job_of_the_change(case) else { return Vec::new() };
    let Some(from) = &job.started.restored_from else { return Vec::new() };
    let number = job.started.job;
    let is_forced = case.stop_asked_for().is_some() && case.execution.input.get("stop") == Some(&"force".into());
    match (case.requested_restore(), case.baseline_job()) {
        (RequestedRestore::Snapshot(name), _) if from.snapshot != name => {
            vec![format!("job {number} was restored from {}, where the request names {name}", from.snapshot)]
        }
        // A forced stop takes no snapshot: the latest may be one that the baseline's job had its own state from.
        (RequestedRestore::Latest, Some(baseline))
            if is_forced && ancestry(&case.jobs, baseline).contains(&from.job) =>
        {
            Vec::new()
        }
        (RequestedRestore::Latest, Some(baseline)) if !ancestry(&case.jobs, number).contains(&baseline) => {
            vec![format!("job {number} does not carry on job {baseline}, which it replaces")]
        }
        _ => Vec::new(),
    }
}

fn way_back_carries_on_the_baseline(case: &Case<'_>) -> Vec<String> {
    let Some(baseline) = case.baseline_job() else { return Vec::new() };
    let lineage = ancestry(&case.jobs, baseline);
    let change = job_of_the_change(case).map(|job| job.started.version);
    let is_of_the_change = |number: &u64| {
        let job = case.jobs.iter().find(|job| job.started.job == *number);
        job.is_some_and(|job| Some(job.started.version) == change)
    };
    let mut broken = Vec::new();
    for job in case.own_jobs() {
        let Some(from) = &job.started.restored_from else { continue };
        let (number, snapshot) = (job.started.job, &from.snapshot);
        if job.started.cause == START && !lineage.contains(&from.job) {
            broken
                .push(format!("job {number} brings job {baseline} back from {snapshot}, which is of another lineage"));
        }
        if job.started.cause == ROLLBACK && ancestry(&case.jobs, number).iter().any(is_of_the_change) {
            broken.push(format!("job {number} was rolled back to {snapshot}, which holds the bad version's state"));
        }
    }
    broken
}

// ---- rule 3: the ladder

fn each_rung_at_most_once(case: &Case<'_>) -> Vec<String> {
    let most = [(UPDATE, 2), (START, 2), (ROLLBACK, 1)];
    let counts = most.map(|(operation, most)| (operation, most, case.acts_by(operation).count()));
    let counts = counts.into_iter().chain([(STOP, 1, case.stops_on_the_way_back().count())]);
    let above = counts.into_iter().filter(|(_, most, count)| count > most);
    above.map(|(operation, most, count)| format!("{count} times {operation}, {most} at most")).collect()
}

fn no_rollback_after_the_services_own(case: &Case<'_>) -> Vec<String> {
    let Some(answer) = case.system_rollbacks().first().map(|made| made.index) else { return Vec::new() };
    let second = case.acts_by(ROLLBACK).filter(|act| act.index > answer);
    second.map(|act| format!("{} was made after the service had rolled the change back", act.told())).collect()
}

fn no_call_off_the_ladder(case: &Case<'_>) -> Vec<String> {
    let asked_for = case.stop_asked_for().map(|stop| stop.index);
    let is_rung = |it: &Placed<'_>| match it.call.operation.as_str() {
        UPDATE | START | ROLLBACK | SNAPSHOT => true,
        STOP => Some(it.index) == asked_for || it.call.request.get("Force") == Some(&Value::Bool(true)),
        _ => false,
    };
    let done = case.history.done_by(&case.execution.principal);
    done.filter(|it| !is_rung(it)).map(|it| format!("{} is no rung of the ladder", it.told())).collect()
}

// ---- rule 4: what cannot be read is never healthy

fn verified_outcome_was_looked_at(case: &Case<'_>) -> Vec<String> {
    let Some(outcome @ (Outcome::Deployed | Outcome::RolledBack | Outcome::Restored)) = case.outcome else {
        return Vec::new();
    };
    lack_of_evidence(case, outcome).map(|what| format!("{outcome}, but {what}")).into_iter().collect()
}

fn lack_of_evidence(case: &Case<'_>, outcome: Outcome) -> Option<String> {
    let Some(change) = case.last_change() else {
        return (!is_only_to_stop(case)).then(|| "nothing was done".to_owned());
    };
    // A Lambda that was given up may look on when the execution is over, or has ended and is not redriven yet.
    let is_running = |at| {
        at <= case.execution.ended_at && case.execution.pause.is_none_or(|(end, redrive)| at <= end || redrive <= at)
    };
    let in_time = |look: &Placed<'_>| look.index > change && is_running(look.at);
    let Some(look) = case.looks().filter(in_time).last() else {
        return Some("the application was not looked at after the last act".to_owned());
    };
    let fence = case.fence_before(look.index);
    if look.version() != fence {
        return Some(format!("the last look showed version {:?}, not its own {fence:?}", look.version()));
    }
    if is_to_stand_still(case, outcome) {
        if look.finds_it_stopped() {
            return None;
        }
        if !was_started_by_another(case, change, &look) {
            return Some(format!("the application was to stand still, and is {:?}", look.status()));
        }
    }
    let since = case.jobs.iter().filter(|job| job.index > change && Some(job.started.version) == fence);
    let jobs: Vec<_> = since.collect();
    if jobs.iter().any(|job| job.has_finished()) {
        return None;
    }
    let Some(job) = jobs.into_iter().find(|job| job.is_alive_at(look.index)) else {
        return Some(format!("no job of version {fence:?} was alive at the last look"));
    };
    if look.status() != Some("RUNNING") {
        return Some(format!("the last look showed {:?}", look.status()));
    }
    let answered = |is_wanted: fn(&Placed<'_>) -> bool| {
        let calls = case.history.calls_of(&case.execution.principal).filter(|it| it.index > job.index);
        calls.filter(is_wanted).any(|it| it.call.status == 200 && it.call.done)
    };
    if !answered(shows_the_job) {
        return Some(format!("Flink never showed job {}", job.started.job));
    }
    if !answered(shows_restarts) {
        return Some(format!("the restarts of job {} were never read", job.started.job));
    }
    None
}

/// Whether nothing but a stop was asked for, and the last look has found the application stopped: it has stopped by itself.
fn is_only_to_stop(case: &Case<'_>) -> bool {
    let asks = |field: &str| case.execution.input.get(field).is_some_and(|value| *value != Value::Bool(false));
    let mut looks = case.looks().filter(|look| look.at <= case.execution.ended_at);
    let began_at_work = looks.next().is_some_and(|look| !look.finds_it_stopped());
    let is_only_to_stop = asks("stop") && !asks("start") && !asks("update") && case.outcome == Some(Outcome::Deployed);
    is_only_to_stop && began_at_work && looks.last().is_some_and(|look| look.finds_it_stopped())
}

/// Whether the application is to be as it was before, and was not running, or is not to be started once it is stopped.
fn is_to_stand_still(case: &Case<'_>, outcome: Outcome) -> bool {
    let is_to_start = case.execution.input.get("start") == Some(&Value::Bool(true));
    let is_changed = outcome == Outcome::Deployed;
    match (case.found_it_running(), case.stop_asked_for()) {
        (true, None) => false,
        (true, Some(_)) => is_changed && !is_to_start,
        (false, _) => !is_changed || !is_to_start,
    }
}

/// Whether somebody else has started the application between the execution's last change and this look.
fn was_started_by_another(case: &Case<'_>, change: usize, look: &Placed<'_>) -> bool {
    let mut starts = case.history.acts_on(&case.execution.application).filter(|act| act.is(START));
    starts.any(|act| !act.is_by(&case.execution.principal) && (change..look.index).contains(&act.index))
}

fn shows_the_job(it: &Placed<'_>) -> bool {
    it.call.service == "flink" && it.call.operation.split('?').next() == Some("/jobs/overview")
}

fn shows_restarts(it: &Placed<'_>) -> bool {
    let path = it.call.operation.split('?').next().unwrap_or_default();
    match it.call.service.as_str() {
        "flink" => path.starts_with("/jobs/") && path.ends_with("/metrics"),
        "cloudwatch" => path == "GetMetricData",
        _ => false,
    }
}

/// Deployed means that nothing was undone, `RolledBack` that a rollback was made.
fn outcome_is_what_was_done(case: &Case<'_>) -> Vec<String> {
    let adopted = case.adopted.iter().filter(|act| act.is(ROLLBACK)).count();
    let rolled_back = case.acts_by(ROLLBACK).count() + adopted + case.system_rollbacks().len();
    let undone = rolled_back + case.stops_on_the_way_back().count() + case.acts_by(UPDATE).skip(1).count();
    match case.outcome {
        Some(Outcome::Deployed) if undone > 0 => vec!["Deployed, but the change was undone".to_owned()],
        Some(Outcome::RolledBack) if rolled_back == 0 => vec!["RolledBack, but nothing was rolled back".to_owned()],
        _ => Vec::new(),
    }
}

// ---- rule 5: the run configuration

const RESTORE_TYPE_AT: &str = "/ApplicationRestoreConfiguration/ApplicationRestoreType";
const DROP_AT: &str = "/FlinkRunConfiguration/AllowNonRestoredState";

/// Updates and starts that were sent, done or not, with the run configuration that each carries (null if none).
fn sent_run_configurations<'a>(case: &Case<'a>) -> impl Iterator<Item = (Placed<'a>, &'a Value)> {
    case.history.calls_of(&case.execution.principal).filter_map(|it| {
        let field = match it.call.operation.as_str() {
            UPDATE => "RunConfigurationUpdate",
            START => "RunConfiguration",
            _ => return None,
        };
        Some((it, it.call.request.get(field).unwrap_or(&Value::Null)))
    })
}

fn run_configuration_is_stated(case: &Case<'_>) -> Vec<String> {
    let is_stated = |run: &Value| {
        run.pointer(RESTORE_TYPE_AT).is_some_and(Value::is_string)
            && run.pointer(DROP_AT).is_some_and(Value::is_boolean)
    };
    let unstated = sent_run_configurations(case).filter(|(_, run)| !is_stated(run));
    unstated.map(|(call, _)| format!("{} does not state the whole run configuration", call.told())).collect()
}

// ---- rule 6: the end

/// The deadline of a policy that names none.
const DEADLINE_SECONDS: u64 = 14_400;
/// How long a policy waits for its turn that does not say so.
const TURN_TIMEOUT_SECONDS: u64 = 21_600;
/// How much later than its deadline an execution may end: a last step with its retries, and the notification with its.
const SLACK_SECONDS: u64 = 900;

fn ends_in_an_outcome(case: &Case<'_>) -> Vec<String> {
    let execution = case.execution;
    if execution.was_aborted {
        return Vec::new();
    }
    let error = &execution.error;
    let what = match (execution.status, case.outcome) {
        (asl::Status::TimedOut, _) => "ended by its own time-out".to_owned(),
        (asl::Status::Aborted, _) => "was aborted, by nobody".to_owned(),
        (asl::Status::Succeeded, Some(Outcome::Deployed | Outcome::NoChange | Outcome::Superseded)) => {
            return Vec::new();
        }
        (asl::Status::Succeeded, outcome) => format!("succeeded with the outcome {outcome:?}"),
        (
            asl::Status::Failed,
            Some(claimed @ (Outcome::RolledBack | Outcome::Restored | Outcome::Refused | Outcome::NeedsAttention)),
        ) => match serde_json::from_str::<Report>(execution.cause.as_deref().unwrap_or_default()) {
            Ok(report) if report.outcome == claimed => return Vec::new(),
            Ok(report) => format!("failed as {claimed}, but its report says {}", report.outcome),
            Err(unreadable) => format!("failed as {claimed}, but its cause is no report: {unreadable}"),
        },
        (asl::Status::Failed, _) => format!("failed with {error:?}, which is no outcome of a failure"),
    };
    vec![what]
}

fn ends_within_its_deadline(case: &Case<'_>) -> Vec<String> {
    let execution = case.execution;
    let seconds_of = |field: &str, default: u64| {
        let given = execution.input.pointer("/policy").and_then(|policy| policy.get(field)).and_then(Value::as_u64);
        given.unwrap_or(default).saturating_add(SLACK_SECONDS)
    };
    // Its turn has come when it first looks at the application.
    let turn = case.looks().next().map_or(execution.ended_at, |look| look.at);
    let waited = ("waited", execution.started_at, turn, seconds_of("turnTimeoutSeconds", TURN_TIMEOUT_SECONDS));
    let took = ("took", turn, execution.ended_at, seconds_of("deadlineSeconds", DEADLINE_SECONDS));
    let mut broken = Vec::new();
    for (what, from, to, most) in [waited, took] {
        let paused = execution
            .pause
            .map_or(0, |(ended, redriven)| redriven.min(to).duration_since(ended.max(from)).as_secs().max(0));
        let seconds = to.duration_since(from).as_secs() - paused;
        if !execution.was_aborted && u64::try_from(seconds).is_ok_and(|seconds| seconds > most) {
            broken.push(format!("{what} {seconds} s, {most} at most"));
        }
    }
    broken
}

// ---- rule 7: twice is once

/// What an update changes, without what says on which version and with which state.
fn change_of(act: &Placed<'_>) -> Value {
    let mut change = act.call.request.clone();
    if let Some(fields) = change.as_object_mut() {
        fields.retain(|name, _| {
            !matches!(name.as_str(), "CurrentApplicationVersionId" | "ConditionalToken" | "RunConfigurationUpdate")
        });
    }
    change
}

fn no_change_is_made_twice(case: &Case<'_>) -> Vec<String> {
    let updates: Vec<_> = case.acts_by(UPDATE).map(|act| (act, change_of(act))).collect();
    let is_repeated =
        |position: usize, change: &Value| updates.iter().take(position).any(|(_, before)| before == change);
    let repeated = updates.iter().enumerate().filter(|(position, (_, change))| is_repeated(*position, change));
    repeated.map(|(_, (act, _))| format!("{} makes a change again", act.told())).collect()
}

/// A second start needs a reason: the application was stopped or updated by the execution in between.
fn no_start_is_made_twice(case: &Case<'_>) -> Vec<String> {
    let pairs = case.acts.iter().zip(case.acts.iter().skip(1));
    let twice = pairs.filter(|(before, act)| before.is(START) && act.is(START));
    twice.map(|(_, act)| format!("{} starts again what it has started", act.told())).collect()
}

/// But for one that somebody has deleted since.
fn no_snapshot_is_taken_twice(case: &Case<'_>) -> Vec<String> {
    let snapshots: Vec<_> = case.history.done_by(&case.execution.principal).filter(|it| it.is(SNAPSHOT)).collect();
    let is_gone = |from: &Placed<'_>, to: &Placed<'_>| {
        let name = from.call.request.get("SnapshotName").and_then(Value::as_str).unwrap_or_default();
        case.history.deletes_between(&case.execution.application, name, from.index, to.index)
    };
    let second = snapshots.windows(2).filter_map(|pair| match pair {
        [first, second] if !is_gone(first, second) => Some(second),
        _ => None,
    });
    second.map(|it| format!("{} takes a second snapshot", it.told())).collect()
}

// ---- rule 8: secrets

fn no_secret_is_told(case: &Case<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for text in told_texts(case) {
        if let Some((what, position)) = case.secrets.find(&text) {
            broken.push(format!("{what} is told after {:?}", words_before(&text, position)));
        }
    }
    broken
}

/// What must not show: the values that are known to be secrets, those that the requests bring, the tokens of presigned
/// URLs and of conditions, and what the functions sign with.
fn secrets_of(history: History<'_>, observed: &Observed<'_>) -> Secrets {
    let brought = observed.executions.iter().flat_map(|execution| property_values(&execution.input));
    let values: BTreeSet<String> = observed.secrets.iter().cloned().chain(brought).collect();
    let values = values.into_iter().enumerate().map(|(number, value)| (format!("secret {number}"), value));
    let tokens = history.calls().filter_map(|it| it.call.request.get("ConditionalToken")?.as_str());
    let tokens = tokens.filter(|token| !token.is_empty()).map(|token| ("a conditional token", token));
    let ours = [
        ("a presigned URL's token", emulator::TOKEN_MARKER),
        ("the secret access key", SECRET_ACCESS_KEY),
        ("the session token", SESSION_TOKEN),
    ];
    let named = tokens.chain(ours).map(|(what, value)| (what.to_owned(), value.to_owned()));
    Secrets::new(values.chain(named))
}

/// All that the execution told anybody.
fn told_texts<'a>(case: &Case<'a>) -> impl Iterator<Item = Cow<'a, str>> {
    let execution = case.execution;
    let sent = case.history.calls_of(&execution.principal).filter(|it| matches!(&*it.call.service, "events" | "sns"));
    let ending = [execution.error.as_deref(), execution.cause.as_deref()].into_iter().flatten();
    let plain = execution.texts.iter().map(String::as_str).chain(ending).map(Cow::Borrowed);
    let output = execution.output.iter().map(|output| Cow::Owned(output.to_string()));
    plain.chain(output).chain(sent.map(|it| Cow::Owned(it.call.request.to_string())))
}

// ---- rule 9: one at a time

/// What an execution did while it kept its turn. A redriven one asks whether it still has it, and acts later: from its redrive
/// on it may meet another in its turn, and rule 1 alone says what the two may do.
fn acts_in_its_turn<'a>(history: History<'a>, execution: &'a ExecutionTrace) -> impl Iterator<Item = Placed<'a>> {
    let redriven_at = execution.pause.map_or(Timestamp::MAX, |(_, redriven_at)| redriven_at);
    acts_of(history, execution).filter(move |act| act.at < redriven_at)
}

fn acts_do_not_interleave(case: &Case<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for other in &case.others {
        let foreign: Vec<_> = acts_in_its_turn(case.history, other).map(|act| act.index).collect();
        for act in acts_in_its_turn(case.history, case.execution) {
            let known = horizon(case, &act);
            let is_between =
                |index: &usize| *index < known && case.acts.first().is_some_and(|first| first.index < *index);
            if foreign.iter().any(is_between) {
                broken.push(format!("{} was made after {} had taken over", act.told(), other.name));
            }
        }
    }
    broken
}

/// Nobody acts from another's first act to that one's end.
fn nobody_acts_out_of_turn(case: &Case<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for other in &case.others {
        let Some(first) = acts_in_its_turn(case.history, other).next() else { continue };
        let end = other.pause.map_or(other.ended_at, |(ended_at, _)| ended_at);
        let own = acts_in_its_turn(case.history, case.execution);
        for act in own.filter(|act| act.index > first.index && act.at < end) {
            broken.push(format!("{} was made in the turn of {}", act.told(), other.name));
        }
    }
    broken
}

fn older_upload_is_not_made_after_a_newer(case: &Case<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for newer in case.others.iter().filter(|other| is_newer_upload(&other.input, &case.execution.input)) {
        let Some(update) = acts_in_its_turn(case.history, newer).find(|act| act.is(UPDATE)) else { continue };
        let own = acts_in_its_turn(case.history, case.execution);
        for act in own.filter(|act| horizon(case, act) > update.index) {
            broken.push(format!("{} was made after the update of {}, a newer upload", act.told(), newer.name));
        }
    }
    broken
}

/// Whether both inputs are of uploads and the first is the newer: of one object by its sequencer, a fraction in
/// hexadecimal digits; else by the time.
pub(crate) fn is_newer_upload(newer: &Value, older: &Value) -> bool {
    let (Some(newer), Some(older)) = (newer.get("upload"), older.get("upload")) else { return false };
    let text = |upload: &Value, field: &str| upload.get(field).and_then(Value::as_str).map(str::to_ascii_uppercase);
    if ["bucket", "key"].iter().any(|field| newer.get(field) != older.get(field)) {
        let time = |upload| text(upload, "at").and_then(|at| at.parse::<Timestamp>().ok());
        return time(newer) > time(older);
    }
    let fraction = |upload| format!("{:0<64}", text(upload, "sequencer").unwrap_or_default());
    fraction(newer) > fraction(older)
}
