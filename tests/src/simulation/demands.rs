//! What one execution has to keep beyond the safety rules and a good end: that it did what was asked and no more, accepted
//! what its policy accepts, said what is true, and told everybody. Each is read from the record and from what was drawn.
//! Found by sabotage: each of these is here because something broken went unnoticed without it.

use std::collections::BTreeMap;

use emulator::record::Event;
use emulator::simulated::{JobFault, RestartDelay};
use emulator::sinks::Content;
use emulator::{Effect, RecordEntry};
use jiff::{SignedDuration, Timestamp};
use lifecycle::report::Outcome;
use lifecycle::verdict::Reason;
use serde_json::Value;

use crate::checker::history::{Job, Placed};
use crate::scenario::CrashKind;
use crate::simulation::judge::Mistake;
use crate::simulation::plan::{Around, Asked, Disturbance, Kind, Part, Quirk};
use crate::simulation::play::{Aftermath, Ended};

/// The bake of a policy that names none.
const BAKE_SECONDS: i64 = 300;
/// The restarts that a policy tolerates that names none.
const TOLERATED_RESTARTS: u64 = 2;
/// Longest wait from one question for the turn to the next, and some.
const TURN_LOOK_SECONDS: i64 = 330;
/// The longest that a step runs at a time.
const STEP_SECONDS: i64 = 90;
/// A restart takes no longer than this beside its delay, and neither does a start.
const RESTART_SECONDS: i64 = 60;

/// What is demanded of an execution: what is lacking, in words.
type Demand = fn(&One<'_>) -> Option<String>;

const DEMANDS: [(&str, Demand); 17] = [
    ("a look before a stop or start", stops_or_starts_without_a_look),
    ("what is asked for is made", another_change),
    ("what is asked for is made", forced_instead_of_graceful),
    ("what is asked for is made", drops_state_unasked),
    ("the policy is kept", acts_although_told_to_hold),
    ("the policy is kept", accepted_before_the_quiet_time),
    ("the policy is kept", accepted_more_restarts),
    ("only what is well is accepted", accepted_while_it_restores),
    ("the policy is kept", accepted_without_a_checkpoint),
    ("what is told is true", tells_of_restarts_that_were_none),
    ("what is told is true", restored_without_putting_back),
    ("what is told is true", other_versions_than_there_were),
    ("what is told is true", tells_of_another_snapshot),
    ("everybody is told", told_nobody),
    ("its turn comes", refused_for_nobodys_turn),
    ("its turn is asked for", acts_before_it_asks_again),
    ("the way back loses least", restored_an_older_snapshot),
];

/// An execution before its judge.
struct One<'a> {
    all: &'a Aftermath,
    asked: &'a Asked,
    ended: &'a Ended,
}

impl Aftermath {
    /// What was demanded, and is lacking.
    pub fn lacking(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for ended in &self.ended {
            let Some(asked) = self.plan.asked().find(|asked| asked.number == ended.asked) else { continue };
            let one = One { all: self, asked, ended };
            for (demand, lack) in DEMANDS {
                let told = |what| format!("{} ({}), {:?}: {what}", ended.trace.name, asked.what, ended.outcome());
                mistakes.extend(lack(&one).map(|what| Mistake { demand: demand.to_owned(), what: told(what) }));
            }
        }
        let of = |demand: &str, what| Mistake { demand: demand.to_owned(), what };
        mistakes.extend(self.deployed_twice().map(|what| of("one event, one execution", what)));
        mistakes.extend(self.pruned_the_newest().map(|what| of("the newest snapshot is kept", what)));
        mistakes
    }

    /// An upload is deployed by one execution, however often its event comes.
    fn deployed_twice(&self) -> Option<String> {
        let mut names: BTreeMap<usize, &str> = BTreeMap::new();
        self.ended.iter().find_map(|ended| {
            let name = &ended.trace.name;
            let other = names.insert(ended.asked, name)?;
            Some(format!("{name} and {other} were started for the same"))
        })
    }

    /// Pruning keeps an application's newest snapshot, whatever is left of it.
    fn pruned_the_newest(&self) -> Option<String> {
        let is_deleted_by_hand =
            |(_, part): (usize, &Part)| matches!(part, Part::Around(_, _, Around::SnapshotsDeleted | Around::Deleted));
        if self.plan.kept().any(is_deleted_by_hand) {
            return None;
        }
        let mut pruned =
            self.history().calls().filter(|it| it.call.operation == "DeleteApplicationSnapshot" && it.call.done);
        pruned.find_map(|it| {
            let ready = self.ready_snapshots(it.call.application.as_deref()?, it.index);
            let name = it.call.request["SnapshotName"].as_str()?;
            let newest = ready.last().is_some_and(|(newest, _)| *newest == name);
            newest.then(|| format!("{name}, which was the newest, was deleted at {}", it.at))
        })
    }

    /// The application's READY snapshots at this place of the record, the oldest first, with their versions.
    fn ready_snapshots(&self, of: &str, place: usize) -> Vec<(&str, u64)> {
        let mut ready: Vec<(&str, u64)> = Vec::new();
        for entry in self.record.iter().take(place) {
            match &entry.event {
                Event::SnapshotTaken { application, snapshot, version, .. } if application == of => {
                    ready.push((snapshot, *version));
                }
                Event::SnapshotDeleted { application, snapshot } if application == of => {
                    ready.retain(|(name, _)| name != snapshot);
                }
                _ => {}
            }
        }
        ready
    }
}

impl<'a> One<'a> {
    fn input(&self) -> &'a Value {
        &self.ended.trace.input
    }

    fn policy(&self, field: &str) -> &'a Value {
        &self.input()["policy"][field]
    }

    fn calls(&self) -> impl Iterator<Item = Placed<'a>> {
        self.all.history().calls_of(&self.ended.trace.principal)
    }

    /// Its calls of this operation that were done.
    fn done(&self, operation: &'static str) -> impl Iterator<Item = Placed<'a>> {
        self.calls().filter(move |it| it.call.done && it.call.operation == operation)
    }

    fn ended_as(&self, outcomes: &[Outcome]) -> bool {
        self.ended.outcome().is_some_and(|outcome| outcomes.contains(&outcome))
    }

    /// The job at which it looked last: when it was started, by whom, and when it was looked at.
    fn job_looked_at(&self) -> Option<JobLook<'a>> {
        let ended_at = self.ended.trace.ended_at;
        let is_look = |it: &Placed<'_>| {
            it.call.service == "flink" && it.call.status == 200 && it.call.operation.starts_with("/jobs/overview")
        };
        let look = self.calls().filter(|it| it.at <= ended_at && is_look(it)).last()?;
        let mut running = None;
        for (place, entry) in self.all.record.iter().enumerate().filter(|(_, entry)| entry.at <= ended_at) {
            match &entry.event {
                Event::JobStarted(job) if job.application == self.ended.trace.application && place < look.index => {
                    running = Some((job.job, entry.at, job.principal.as_deref()));
                }
                Event::JobEnded { job, .. } if running.is_some_and(|(number, ..)| number == *job) => running = None,
                _ => {}
            }
        }
        running.map(|(_, started_at, by)| JobLook {
            started_at,
            by,
            seconds: look.at.duration_since(started_at).as_secs(),
        })
    }

    /// The last look at the job that was accepted, where the execution has started that job itself.
    fn own_job_accepted_at(&self) -> Option<JobLook<'a>> {
        let is_own = |look: &JobLook<'_>| look.by == Some(&self.ended.trace.principal);
        self.job_looked_at().filter(|look| is_own(look) && self.ended_as(&[Outcome::Deployed]))
    }

    fn is_disturbed_by(&self, is_it: impl Fn(&Part) -> bool) -> bool {
        self.all.plan.kept().any(|(_, part)| is_it(part))
    }
}

/// The last look at a job.
struct JobLook<'a> {
    started_at: Timestamp,
    by: Option<&'a str>,
    /// How long it had run.
    seconds: i64,
}

/// The update that is made is the one that was asked for, to the letter.
fn another_change(one: &One<'_>) -> Option<String> {
    let mut made = one.done("UpdateApplication").next()?.call.request.clone();
    let mut asked = one.input()["update"].clone();
    for body in [&mut made, &mut asked] {
        body.as_object_mut()?.retain(|name, _| {
            !["ApplicationName", "CurrentApplicationVersionId", "ConditionalToken", "RunConfigurationUpdate"]
                .contains(&name.as_str())
        });
    }
    (made != asked).then(|| "its update is not the one that was asked for".to_owned())
}

/// What changes an application.
const ACTS: [&str; 4] = ["UpdateApplication", "RollbackApplication", "StartApplication", "StopApplication"];

/// A stop or start is made right after a look at the application, and not by what was seen for another reason before. Where
/// a step runs beside others, the calls of both are mixed.
fn stops_or_starts_without_a_look(one: &One<'_>) -> Option<String> {
    let runs_beside = |part: &Part| match part {
        Part::Disturbed(number, Disturbance::Crash(crash)) => {
            *number == one.ended.asked && matches!(crash.how, CrashKind::RunsTwice | CrashKind::RunsLate { .. })
        }
        _ => false,
    };
    if one.is_disturbed_by(runs_beside) {
        return None;
    }
    let calls: Vec<Placed<'_>> = one.calls().collect();
    let pairs = calls.windows(2).filter_map(|pair| <&[Placed<'_>; 2]>::try_from(pair).ok());
    let mut without = pairs.filter(|[before, act]| {
        let is_unfenced = matches!(act.call.operation.as_str(), "StartApplication" | "StopApplication");
        is_unfenced && before.call.operation != "DescribeApplication"
    });
    let [before, act] = without.next()?;
    Some(format!("{} was made right after {}", act.call.operation, before.call.operation))
}

/// A stop that was to take a snapshot takes one.
fn forced_instead_of_graceful(one: &One<'_>) -> Option<String> {
    // Later ones are rungs of the ladder.
    let first = one.calls().find(|it| it.call.done && ACTS.contains(&it.call.operation.as_str()))?;
    let was_forced = first.call.operation == "StopApplication" && first.call.request["Force"] == true;
    let is_wrong = was_forced && one.input()["stop"] == "graceful";
    is_wrong.then(|| "it stopped the application by force, and was to do so gracefully".to_owned())
}

/// State is dropped only where the request allows it.
fn drops_state_unasked(one: &One<'_>) -> Option<String> {
    const ALLOWED: &str = "/FlinkRunConfiguration/AllowNonRestoredState";
    if one.input()["restore"]["allowNonRestoredState"] == true {
        return None;
    }
    let drops = |it: &Placed<'_>| {
        let run = [&it.call.request["RunConfigurationUpdate"], &it.call.request["RunConfiguration"]];
        run.into_iter().any(|run| run.pointer(ALLOWED) == Some(&Value::Bool(true)))
    };
    one.calls().find(drops).map(|it| format!("{} allows state to be dropped, unlike the request", it.call.operation))
}

/// Where the policy says to hold, nothing is undone.
fn acts_although_told_to_hold(one: &One<'_>) -> Option<String> {
    if *one.policy("onFailure") != "hold" {
        return None;
    }
    let undone = one.done("RollbackApplication").next().or_else(|| one.done("UpdateApplication").nth(1))?;
    Some(format!("it made {}, and was to hold", undone.call.operation))
}

const VERIFIED: [Outcome; 3] = [Outcome::Deployed, Outcome::RolledBack, Outcome::Restored];

/// A job that was accepted has run for as long as the policy wants it to be quiet, unless it may come to its end.
fn accepted_before_the_quiet_time(one: &One<'_>) -> Option<String> {
    let of = one.asked.application;
    let may_end = |part: &Part| match part {
        Part::Asked(asked) => asked.application == of && asked.code.as_ref().is_some_and(|it| it.kind == Kind::Batch),
        _ => false,
    };
    if one.is_disturbed_by(may_end) {
        return None;
    }
    let look = one.job_looked_at().filter(|_| one.ended_as(&VERIFIED))?;
    let bake = one.policy("bakeSeconds").as_i64().unwrap_or(BAKE_SECONDS);
    let JobLook { seconds, started_at, .. } = look;
    // A step that is run again keeps the time of its first run, and where its clock is another, so that the job seems older.
    let ahead = one.all.plan.disturbances(one.asked.number).find_map(|it| match it {
        Disturbance::ClockAhead(seconds) => Some((*seconds).clamp(0, STEP_SECONDS)),
        _ => None,
    });
    let bake = bake - ahead.unwrap_or_default();
    (seconds < bake).then(|| format!("its job, started at {started_at}, was accepted after {seconds} of {bake} s"))
}

/// A job is not accepted that has restarted more often than the policy tolerates.
fn accepted_more_restarts(one: &One<'_>) -> Option<String> {
    let look = one.own_job_accepted_at()?;
    let behaviour = &one.asked.code.as_ref()?.behaviour;
    let (seconds, times) = behaviour.faults.iter().find_map(|fault| match fault {
        JobFault::FailsAfter { seconds, times } => Some((i64::try_from(*seconds).ok()?, *times)),
        _ => None,
    })?;
    let delay = match behaviour.restart_delay {
        None => 0,
        Some(RestartDelay::Fixed { seconds }) => i64::try_from(seconds).ok()?,
        Some(RestartDelay::None | RestartDelay::Exponential { .. }) => return None,
    };
    // At least so many: a start and a restart take some time.
    let restarts = (look.seconds - RESTART_SECONDS) / (seconds + delay + RESTART_SECONDS);
    let restarts = u64::try_from(restarts).unwrap_or_default().min(times.map_or(u64::MAX, u64::from));
    let tolerated = one.policy("toleratedRestarts").as_u64().unwrap_or(TOLERATED_RESTARTS);
    (restarts > tolerated).then(|| format!("its job has restarted {restarts} times, {tolerated} are tolerated"))
}

/// A job is not accepted whose tasks are still restoring their state.
fn accepted_while_it_restores(one: &One<'_>) -> Option<String> {
    let look = one.own_job_accepted_at()?;
    let faults = &one.asked.code.as_ref()?.behaviour.faults;
    let restores = faults.iter().find_map(|fault| match fault {
        JobFault::SlowRestore { seconds } => i64::try_from(*seconds).ok(),
        _ => None,
    })?;
    let seconds = look.seconds;
    (seconds < restores)
        .then(|| format!("its job restores its state for {restores} s, and was accepted after {seconds} s"))
}

/// A job without checkpoints is not accepted where they are on, unless the policy does not ask for one. Flink counts a
/// snapshot as one.
fn accepted_without_a_checkpoint(one: &One<'_>) -> Option<String> {
    let look = one.own_job_accepted_at()?;
    let until = look.started_at.saturating_add(SignedDuration::from_secs(look.seconds + 1)).unwrap_or_default();
    let is_snapshot_of_it = |entry: &RecordEntry| match &entry.event {
        Event::SnapshotTaken { application, .. } => {
            *application == one.ended.trace.application && (look.started_at..=until).contains(&entry.at)
        }
        _ => false,
    };
    if one.all.record.iter().any(is_snapshot_of_it) {
        return None;
    }
    let has_none = |fault: &JobFault| matches!(fault, JobFault::FailingCheckpoints { from_seconds: 0 });
    let is_without = one.asked.code.as_ref()?.behaviour.faults.iter().any(has_none);
    let are_on = one.all.plan.quirks(one.asked.application).all(|it| !matches!(it, Quirk::Checkpoints(None)));
    let is_wrong = is_without && are_on && *one.policy("requireCheckpoint") != false;
    is_wrong.then(|| "its job has never completed a checkpoint".to_owned())
}

/// Code that never restarts by itself is not said to have restarted, unless a machine of it died.
fn tells_of_restarts_that_were_none(one: &One<'_>) -> Option<String> {
    let of = one.asked.application;
    let dies =
        |part: &Part| matches!(part, Part::Around(application, _, Around::LoseTaskManager) if *application == of);
    if !one.asked.code.as_ref()?.kind.is_always_well() || one.is_disturbed_by(dies) {
        return None;
    }
    let failure = &one.ended.report.as_ref()?.failure;
    failure.iter().find(|reason| matches!(reason, Reason::Restarts { .. })).map(|reason| format!("it says: {reason}"))
}

/// The configuration from before is back only if the change was undone.
fn restored_without_putting_back(one: &One<'_>) -> Option<String> {
    if !one.ended_as(&[Outcome::Restored]) {
        return None;
    }
    let has_changed = one.done("UpdateApplication").next()?;
    let is_undone = one.all.record.iter().skip(has_changed.index).any(|entry| {
        matches!(&entry.event, Event::Version { application, rolled_back_to: Some(_), .. }
            if *application == one.ended.trace.application)
    });
    let is_put_back = one.done("UpdateApplication").nth(1).is_some();
    (!is_undone && !is_put_back).then(|| "nothing was put back".to_owned())
}

/// The report tells the version before as the record has it at the first act.
fn other_versions_than_there_were(one: &One<'_>) -> Option<String> {
    let first = one.done("UpdateApplication").next()?.call.before.as_ref()?.version;
    let told = one.ended.report.as_ref()?.version_before?;
    let asks_first = one.input()["stop"].is_null();
    (asks_first && told != first).then(|| format!("it tells of version {told} before, which was {first}"))
}

/// Machines are told of every outcome.
fn told_nobody(one: &One<'_>) -> Option<String> {
    let outcome = one.ended.outcome()?.to_string();
    let is_unheard = |part: &Part| match part {
        Part::Fault(fault) => fault.operation.starts_with("sns:") || fault.operation.starts_with("events:"),
        Part::Disturbed(number, Disturbance::Crash(crash)) => *number == one.ended.asked && crash.function == "notify",
        _ => false,
    };
    let name = one.ended.trace.name.as_str();
    let is_told = one.all.published.iter().any(|published| {
        matches!(&published.content, Content::Event { detail, .. }
            if detail["execution"] == name && detail["outcome"] == outcome.as_str())
    });
    (!is_told && !one.is_disturbed_by(is_unheard)).then(|| "nobody was told".to_owned())
}

/// Whose time to wait for its turn is over has waited for somebody.
fn refused_for_nobodys_turn(one: &One<'_>) -> Option<String> {
    let report = one.ended.report.as_ref().filter(|_| one.ended.trace.pause.is_none())?;
    let is_for_its_turn = |field: &str| field == "policy.turnTimeoutSeconds";
    report.refusals.iter().find(|refusal| is_for_its_turn(&refusal.field))?;
    let trace = &one.ended.trace;
    let since = trace.ended_at.saturating_sub(SignedDuration::from_secs(TURN_LOOK_SECONDS)).ok()?;
    let has_had_its_turn =
        |other: &Ended| one.all.history().calls_of(&other.trace.principal).any(|it| it.is("DescribeApplication"));
    let is_in_the_way = |other: &Ended| {
        let is_other = other.trace.name != trace.name && other.trace.application == trace.application;
        is_other && other.trace.started_at <= trace.ended_at && other.trace.ended_at >= since && has_had_its_turn(other)
    };
    let is_somebodys = one.all.ended.iter().any(is_in_the_way);
    (!is_somebodys).then(|| "its turn did not come, and it was nobody's".to_owned())
}

/// Whoever is redriven asks for its turn before it changes anything: it may be another's by now.
fn acts_before_it_asks_again(one: &One<'_>) -> Option<String> {
    let (paused_at, redriven_at) = one.ended.trace.pause?;
    let runs_late =
        |it: &Disturbance| matches!(it, Disturbance::Crash(crash) if matches!(crash.how, CrashKind::RunsLate { .. }));
    // A Lambda of the time before may be at work still.
    if redriven_at.duration_since(paused_at).as_secs() <= STEP_SECONDS
        || one.all.plan.disturbances(one.asked.number).any(runs_late)
    {
        return None;
    }
    let asks = |it: &Placed<'_>| it.call.service == "dynamodb";
    let acts = |it: &Placed<'_>| it.call.mutating && it.call.done;
    let first = one.calls().find(|it| it.at >= redriven_at && (asks(it) || acts(it)))?;
    (!asks(&first)).then(|| format!("{} after its redrive, without a look at whose turn it is", first.told()))
}

fn shows_old_snapshots(part: &Part) -> bool {
    match part {
        Part::Fault(fault) => {
            fault.operation == "ListApplicationSnapshots" && matches!(fault.effect, Effect::StaleRead(_))
        }
        _ => false,
    }
}

/// The snapshot that a report names is the one that the job was started from, where no snapshot came or went between the
/// look at them and the start.
fn tells_of_another_snapshot(one: &One<'_>) -> Option<String> {
    let told = &one.ended.report.as_ref()?.data.as_ref()?.snapshot.as_ref()?.name;
    let trace = &one.ended.trace;
    let is_own = |job: &Job<'_>| match &*job.started.cause {
        "StartApplication" | "RollbackApplication" => job.started.principal.as_ref() == Some(&trace.principal),
        cause => cause == "SystemRollbackApplication",
    };
    let is_in_time = |job: &Job<'_>| one.all.record.get(job.index).is_some_and(|entry| entry.at <= trace.ended_at);
    let jobs = one.all.history().jobs(&trace.application);
    let job = jobs.iter().rfind(|job| is_own(job) && is_in_time(job))?;
    // What the service begins by itself is looked into afterwards.
    let lists = || one.done("ListApplicationSnapshots");
    let listed = lists().take_while(|it| it.index < job.index).last().or_else(|| lists().next())?;
    let ready = |place| one.all.ready_snapshots(&trace.application, place);
    if one.is_disturbed_by(shows_old_snapshots) || ready(listed.index) != ready(job.index) {
        return None;
    }
    let restored = job.started.restored_from.as_ref().map(|from| &*from.snapshot);
    (restored != Some(told)).then(|| format!("the job was started from {restored:?}, and {told} is told"))
}

/// A start from a snapshot by name is from the newest of that version.
fn restored_an_older_snapshot(one: &One<'_>) -> Option<String> {
    if one.is_disturbed_by(shows_old_snapshots) {
        return None;
    }
    let start = one.done("StartApplication").find(|it| snapshot_of(it).is_some())?;
    let name = snapshot_of(&start)?;
    let listed = one.done("ListApplicationSnapshots").take_while(|it| it.index < start.index).last()?;
    let ready = one.all.ready_snapshots(&one.ended.trace.application, listed.index);
    let version = ready.iter().find(|(snapshot, _)| *snapshot == name)?.1;
    let newest = ready.iter().rfind(|(_, of)| *of == version)?.0;
    (newest != name).then(|| format!("it started from {name}, and {newest} is newer"))
}

/// The snapshot that a start names.
fn snapshot_of<'a>(start: &Placed<'a>) -> Option<&'a str> {
    start.call.request.pointer("/RunConfiguration/ApplicationRestoreConfiguration/SnapshotName")?.as_str()
}
