//! The request of a run: what a schedule or a person hands to `statemachine/snapshot.asl.json`. What cannot be meant is
//! refused by field, before any application is touched.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::refusal::Refusal;
use crate::request::{LONGEST_REASON, is_application_name, not_objects, unreadable};
use crate::retention::Retention;

/// Applications that one run takes on: its state machine has 25,000 events, and each application costs eight of them.
const MOST_APPLICATIONS: usize = 1_000;
/// Bytes that the results of a run may come to, of the 262,144 that Step Functions carries.
const RESULT_BYTES: usize = 215_000;
/// Bytes of a result besides the application's name and the words.
const RESULT_OVERHEAD_BYTES: usize = 110;
/// The fewest characters that are of use to say why.
const FEWEST_WORDS: usize = 25;
/// The most that are carried along.
const MOST_WORDS: usize = 400;
/// What one application may take beside the wait for its snapshot: pruning, retries, the start of its execution.
const OVERHEAD_SECONDS: u64 = 900;
/// The state machine's own time-out, a week, lies above this; see `statemachine/snapshot.asl.json`.
const LONGEST_RUN_SECONDS: u64 = 500_000;
/// How far the time of a schedule may lie ahead of the execution.
const MOST_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Of which applications snapshots are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Those of these names, each once, in this order.
    Named(Vec<String>),
    /// All that have this tag.
    Tagged(TagFilter),
}

/// A tag of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagFilter {
    /// The tag's key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What a run does with each application. It is the same for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The time of the schedule, which names the snapshot.
    pub scheduled_at: Timestamp,
    /// Name of the snapshot.
    pub snapshot: String,
    /// How long it may take until the snapshot is READY.
    pub timeout_seconds: u32,
    /// What is kept of the snapshots. Where the request has none, nothing is deleted.
    pub retention: Retention,
    /// When no snapshot is begun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<Blackout>,
    /// Whether nothing is taken or deleted, and only told what would be.
    #[serde(default)]
    pub dry_run: bool,
}

/// A request for snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// Of which applications.
    pub selection: Selection,
    /// What is done with each.
    pub plan: Plan,
    /// How many at a time.
    pub concurrency: u32,
    /// Why, in the words of whoever asks; for the report.
    pub reason: Option<String>,
}

/// The request as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    application: Option<String>,
    applications: Option<Vec<String>>,
    tag: Option<TagFilter>,
    scheduled_at: Option<String>,
    #[serde(default = "default_concurrency")]
    concurrency: u32,
    #[serde(default = "default_timeout_seconds")]
    timeout_seconds: u32,
    retention: Option<Retention>,
    #[serde(default)]
    blackouts: Vec<WrittenBlackout>,
    #[serde(default)]
    dry_run: bool,
    reason: Option<String>,
    /// For whoever reads the input; not used.
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBlackout {
    from: String,
    to: String,
}

fn default_concurrency() -> u32 {
    10
}

fn default_timeout_seconds() -> u32 {
    1_800
}

impl SnapshotRequest {
    /// Reads a request of an execution that began at `started_at`. All that is wrong with it comes back at once.
    pub fn parse(input: &Value, started_at: Timestamp) -> Result<Self, Vec<Refusal>> {
        let parts = [("input", Some(input)), ("tag", input.get("tag")), ("retention", input.get("retention"))];
        // An optional part may be null, as if it were left out.
        let parts = parts.map(|(name, part)| (name, part.filter(|part| name == "input" || !part.is_null())));
        let mut wrong = not_objects("", parts);
        for (index, blackout) in input.get("blackouts").and_then(Value::as_array).into_iter().flatten().enumerate() {
            wrong.extend(not_objects("", [(format!("blackouts[{index}]").as_str(), Some(blackout))]));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let input: Input = serde_path_to_error::deserialize(input).map_err(|error| vec![unreadable(&error)])?;
        let mut refusals = Vec::new();
        let selection = keep(selection(input.application, input.applications, input.tag), &mut refusals);
        let scheduled_at = keep(scheduled_at(input.scheduled_at.as_deref(), started_at), &mut refusals);
        let blackouts = keep(blackouts(&input.blackouts), &mut refusals);
        let numbers =
            [("concurrency", input.concurrency, 1, 40), ("timeoutSeconds", input.timeout_seconds, 60, 21_600)];
        let is_out = |(_, value, least, most): &(_, u32, u32, u32)| value < least || value > most;
        refusals.extend(numbers.into_iter().filter(is_out).map(|(field, value, least, most)| {
            Refusal::new(field, format!("{value} is out of bounds"), format!("give {least} to {most}"))
        }));
        refusals.extend(input.retention.iter().flat_map(Retention::refusals));
        if input.reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            let cure = format!("keep it under {LONGEST_REASON} characters, with a link to more");
            refusals.push(Refusal::new("reason", "too long to be carried along", cure));
        }
        let (Some(selection), Some(scheduled_at), Some(blackouts), true) =
            (selection, scheduled_at, blackouts, refusals.is_empty())
        else {
            return Err(refusals);
        };
        // Nothing is deleted that nobody asked for.
        let asked_for = input.retention.is_some() && !input.dry_run;
        let retention = input.retention.unwrap_or_default();
        let plan = Plan {
            scheduled_at,
            snapshot: snapshot_name(&retention.prefix, scheduled_at),
            timeout_seconds: input.timeout_seconds,
            retention: Retention { dry_run: retention.dry_run || !asked_for, ..retention },
            blackouts,
            dry_run: input.dry_run,
        };
        let request = Self { selection, plan, concurrency: input.concurrency, reason: input.reason };
        if let Selection::Named(names) = &request.selection
            && let Some(refusal) = request.too_much(names)
        {
            return Err(vec![refusal]);
        }
        Ok(request)
    }

    /// Refuses more applications than one run can carry, or has the time for.
    pub fn too_much(&self, names: &[String]) -> Option<Refusal> {
        let field = match &self.selection {
            Selection::Named(_) => "applications",
            Selection::Tagged(_) => "tag",
        };
        too_much(field, names).or_else(|| {
            let rounds = names.len().div_ceil(self.concurrency.max(1) as usize) as u64;
            let seconds = rounds * (u64::from(self.plan.timeout_seconds) + OVERHEAD_SECONDS);
            (seconds > LONGEST_RUN_SECONDS).then(|| {
                Refusal::new(
                    "concurrency",
                    format!("{} applications, {} at a time, may take {seconds} s", names.len(), self.concurrency),
                    format!(
                        "give more concurrency (at most 40) or a shorter timeoutSeconds: {LONGEST_RUN_SECONDS} s at most"
                    ),
                )
            })
        })
    }
}

/// Refuses more applications than the state machine can carry.
fn too_much(field: &str, names: &[String]) -> Option<Refusal> {
    (names.len() > MOST_APPLICATIONS || words_each(names) < FEWEST_WORDS).then(|| {
        Refusal::new(
            field,
            format!("{} applications are more than one run can carry", names.len()),
            format!("give at most {MOST_APPLICATIONS} (fewer if their names are long), in several runs"),
        )
    })
}

/// How many characters there are to say what came of each application.
pub(super) fn words_each(names: &[String]) -> usize {
    let taken: usize = names.iter().map(|name| name.len() + RESULT_OVERHEAD_BYTES).sum();
    (RESULT_BYTES.saturating_sub(taken) / names.len().max(1)).min(MOST_WORDS)
}

/// Refuses a tag that none of the `asked` applications has; `denied` of them could not be asked.
pub fn no_such_tag(tag: &TagFilter, asked: usize, denied: usize) -> Refusal {
    let TagFilter { key, value } = tag;
    let unasked = match denied {
        0 => String::new(),
        denied => format!("; of these, {denied} may not be asked for their tags by this tool"),
    };
    Refusal::new(
        "tag",
        format!("none of the {asked} applications of this account and region has the tag {key}={value}{unasked}"),
        "correct the key or the value (upper and lower case differ), or tag the applications",
    )
}

/// Name of the snapshot: the same for the same time of the schedule.
fn snapshot_name(prefix: &str, scheduled_at: Timestamp) -> String {
    format!("{prefix}{}", scheduled_at.strftime("%Y%m%dT%H%M%SZ"))
}

/// The value; or none, and its refusals are added.
fn keep<T>(read: Result<T, Vec<Refusal>>, refusals: &mut Vec<Refusal>) -> Option<T> {
    read.map_err(|found| refusals.extend(found)).ok()
}

fn selection(
    application: Option<String>,
    applications: Option<Vec<String>>,
    tag: Option<TagFilter>,
) -> Result<Selection, Vec<Refusal>> {
    let given = [application.is_some(), applications.is_some(), tag.is_some()];
    let refused = |field: &str, problem: &str, cure: &str| Err(vec![Refusal::new(field, problem, cure)]);
    match given {
        [false, false, false] => {
            return refused("application", "missing", "give one of `application`, `applications` and `tag`");
        }
        [true, true, _] => {
            return refused("applications", "`application` says already which", "give one of the two");
        }
        [true, _, true] => return refused("tag", "`application` says already which", "give one of the two"),
        [_, true, true] => return refused("tag", "`applications` says already which", "give one of the two"),
        [true, false, false] | [false, true, false] | [false, false, true] => {}
    }
    if let Some(tag) = tag {
        return tag_refusal(&tag).map_or(Ok(Selection::Tagged(tag)), |refusal| Err(vec![refusal]));
    }
    let is_list = applications.is_some();
    let names: Vec<String> = application.into_iter().chain(applications.into_iter().flatten()).collect();
    if names.is_empty() {
        return refused("applications", "empty: there is nothing to do", "give the names of applications");
    }
    if names.len() > MOST_APPLICATIONS {
        return Err(too_much("applications", &names).into_iter().collect());
    }
    let refusals: Vec<Refusal> = names
        .iter()
        .enumerate()
        .filter(|(_, name)| !is_application_name(name))
        .map(|(index, _)| {
            Refusal::new(
                if is_list { format!("applications[{index}]") } else { "application".to_owned() },
                "not the name of an application",
                "give its name (not its ARN): 1 to 128 letters, digits, `_`, `.` or `-`",
            )
        })
        .collect();
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut seen = BTreeSet::new();
    Ok(Selection::Named(names.into_iter().filter(|name| seen.insert(name.clone())).collect()))
}

fn tag_refusal(tag: &TagFilter) -> Option<Refusal> {
    let fits = |text: &str, least: usize, most: usize| (least..=most).contains(&text.chars().count());
    if !fits(&tag.key, 1, 128) {
        return Some(Refusal::new("tag.key", "not the key of a tag", "give 1 to 128 characters"));
    }
    (!fits(&tag.value, 0, 256))
        .then(|| Refusal::new("tag.value", "not the value of a tag", "give at most 256 characters"))
}

fn scheduled_at(written: Option<&str>, started_at: Timestamp) -> Result<Timestamp, Vec<Refusal>> {
    let Some(written) = written else { return Ok(started_at) };
    let refused = |problem: &str, cure: &str| Err(vec![Refusal::new("scheduledAt", problem, cure)]);
    let Ok(at) = written.parse::<Timestamp>() else {
        return refused(
            "not a point in time",
            "give a time with its zone, such as 2026-11-20T09:45:00Z (EventBridge Scheduler puts it in place of \
             <aws.scheduler.scheduled-time>), or leave it out",
        );
    };
    if at.duration_since(started_at) > MOST_AHEAD {
        return refused("lies more than a day ahead", "give the time of this run, or leave it out");
    }
    // The name of the snapshot has four digits for the year, and no year before the first.
    if at.as_second() < 0 {
        return refused("lies before 1970", "give the time of this run, or leave it out");
    }
    Ok(at)
}

/// A time of the day, in minutes since midnight UTC, written `22:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    fn of(at: Timestamp) -> Self {
        // Less than 1,440, so that it fits.
        Self(u16::try_from(at.as_second().rem_euclid(86_400) / 60).unwrap_or_default())
    }
}

impl FromStr for TimeOfDay {
    type Err = ();

    fn from_str(written: &str) -> Result<Self, ()> {
        let two_digits = |text: &str| {
            let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u16>().ok()).flatten()
        };
        let (hours, minutes) = written.split_once(':').ok_or(())?;
        match (two_digits(hours), two_digits(minutes)) {
            (Some(hours @ 0..=23), Some(minutes @ 0..=59)) => Ok(Self(hours * 60 + minutes)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        written.parse().map_err(|()| serde::de::Error::custom("not a time of day"))
    }
}

/// A part of every day in which no snapshot is begun: from the first time on, until the second one. Where that is the
/// earlier of the two, it spans midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blackout {
    /// Its first minute, UTC.
    pub from: TimeOfDay,
    /// The first minute after it, UTC.
    pub to: TimeOfDay,
}

impl Blackout {
    /// Whether it is now.
    pub fn contains(self, now: Timestamp) -> bool {
        let time = TimeOfDay::of(now);
        if self.from <= self.to { self.from <= time && time < self.to } else { time >= self.from || time < self.to }
    }
}

impl fmt::Display for Blackout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} to {} UTC", self.from, self.to)
    }
}

/// Blackouts that a request may have.
const MOST_BLACKOUTS: usize = 20;

fn blackouts(written: &[WrittenBlackout]) -> Result<Vec<Blackout>, Vec<Refusal>> {
    if written.len() > MOST_BLACKOUTS {
        let cure = format!("give at most {MOST_BLACKOUTS}");
        return Err(vec![Refusal::new("blackouts", "more than a day has need of", cure)]);
    }
    let mut read = Vec::new();
    let mut refusals = Vec::new();
    for (index, blackout) in written.iter().enumerate() {
        let time = |member: &str, text: &str| {
            text.parse::<TimeOfDay>().map_err(|()| {
                let field = format!("blackouts[{index}].{member}");
                Refusal::new(field, "not a time of day", "give hours and minutes in UTC, from 00:00 to 23:59")
            })
        };
        match (time("from", &blackout.from), time("to", &blackout.to)) {
            (Ok(from), Ok(to)) if from == to => refusals.push(Refusal::new(
                format!("blackouts[{index}].to"),
                "the same as `from`: it could be the whole day, or nothing",
                "give another time; a blackout may span midnight, as from 22:00 to 02:00 does",
            )),
            (Ok(from), Ok(to)) => read.push(Blackout { from, to }),
            (from, to) => refusals.extend(from.err().into_iter().chain(to.err())),
        }
    }
    if refusals.is_empty() { Ok(read) } else { Err(refusals) }
}

#[cfg(test)]
mod tests;
