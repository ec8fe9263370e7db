//! Which snapshots of an application are kept and which are deleted, and why. The service never deletes one, and refuses
//! manual ones past its quota; whoever deletes them must never delete the one that is needed. So there are two kinds of
//! reasons to keep a snapshot: protections, which no setting and no lack of room overrules, and rules, which the user
//! chooses. A snapshot is deleted only when there is none of either.
//!
//! A rule that counts (`keepNewest`, `daily`, `weekly`, `monthly`) counts READY snapshots of ours alone, and a day, week
//! or month that has none is not counted, so that a schedule that stood still loses nothing. Of a day, an ISO week or a
//! month (UTC) the newest one is kept. FAILED ones of ours are of no use; the age alone keeps them, for whoever wants to
//! look.

mod report;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::ISOWeekDate;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::evidence::Snapshot;
use crate::refusal::Refusal;
use crate::status::SnapshotStatus;

pub use report::{Failure, NewestReady, PruneNext, PruneReport, Told};

/// Snapshots that an application may have before the service refuses manual ones.
pub const QUOTA: usize = 1_000;
/// Snapshots from which on somebody should know.
const QUOTA_WARNING: usize = 900;
/// [`Snapshot::key`] of a snapshot under a key that AWS owns.
pub const AWS_OWNED_KEY: &str = "AWS_OWNED_KEY";

/// Characters of a prefix: a snapshot's name has at most 256, and the time of the schedule comes after the prefix.
const LONGEST_PREFIX: usize = 200;
/// Characters of a key's ARN, id or alias.
const LONGEST_KEY: usize = 2_048;

/// What is kept of an application's snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retention {
    /// So many of the newest READY ones are kept. Never 0. Default 10.
    pub keep_newest: u32,
    /// Everything younger than so many hours is kept. Default 48.
    pub keep_younger_than_hours: u32,
    /// One of each of the last so many days that have one. Default 0.
    pub daily: u32,
    /// One of each of the last so many ISO weeks that have one. Default 0.
    pub weekly: u32,
    /// One of each of the last so many months that have one. Default 0.
    pub monthly: u32,
    /// How the names of our own snapshots begin; all others are left alone. Default `scheduled-`.
    pub prefix: String,
    /// Whether snapshots of any name count as ours, the service's own and people's included. Default false.
    pub any_prefix: bool,
    /// How many hours after it last ran a version counts as one that may be gone back to: the last READY snapshot of each
    /// is kept. The version that the application is at always counts. Default 168, a week.
    pub rollback_window_hours: u32,
    /// Instead of the rules above, delete all that this selects, and nothing else. The protections hold. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// Whether to tell only what would be deleted. Default false.
    pub dry_run: bool,
}

/// Selects the snapshots to delete: those that fit all that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Sweep {
    /// Those that are encrypted under this key, written as the service shows it with the snapshot; `AWS_OWNED_KEY` for the
    /// service's own key. A snapshot whose key is not shown does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_key: Option<String>,
    /// Those taken before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_before: Option<Timestamp>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keep_newest: 10,
            keep_younger_than_hours: 48,
            daily: 0,
            weekly: 0,
            monthly: 0,
            prefix: "scheduled-".to_owned(),
            any_prefix: false,
            rollback_window_hours: 168,
            sweep: None,
            dry_run: false,
        }
    }
}

impl Retention {
    /// Values that cannot be meant, each with its field (below `retention`) and the cure.
    pub fn refusals(&self) -> Vec<Refusal> {
        let numbers = [
            // Below the quota's warning, so that there can always be room for a new one.
            ("retention.keepNewest", self.keep_newest, 1, 800),
            ("retention.keepYoungerThanHours", self.keep_younger_than_hours, 0, 87_600),
            ("retention.daily", self.daily, 0, 366),
            ("retention.weekly", self.weekly, 0, 260),
            ("retention.monthly", self.monthly, 0, 120),
            ("retention.rollbackWindowHours", self.rollback_window_hours, 0, 8_760),
        ];
        let mut refusals: Vec<Refusal> = numbers
            .into_iter()
            .filter(|(_, value, least, most)| value < least || value > most)
            .map(|(field, value, least, most)| {
                Refusal::new(field, format!("{value} is out of bounds"), format!("give {least} to {most}"))
            })
            .collect();
        let good = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
        if !((1..=LONGEST_PREFIX).contains(&self.prefix.len()) && self.prefix.chars().all(good)) {
            refusals.push(Refusal::new(
                "retention.prefix",
                "no snapshot's name can begin so",
                format!(
                    "give 1 to {LONGEST_PREFIX} letters, digits, `_`, `.` or `-`; anyPrefix says that all snapshots count"
                ),
            ));
        }
        if let Some(sweep) = &self.sweep {
            if *sweep == Sweep::default() {
                refusals.push(Refusal::new(
                    "retention.sweep",
                    "empty: it would select every snapshot",
                    "give underKey, takenBefore or both",
                ));
            }
            if sweep.under_key.as_ref().is_some_and(|key| !(1..=LONGEST_KEY).contains(&key.len())) {
                refusals.push(Refusal::new(
                    "retention.sweep.underKey",
                    "not a key",
                    format!("give the key as the service shows it with a snapshot, or {AWS_OWNED_KEY}"),
                ));
            }
        }
        refusals
    }

    fn is_ours(&self, snapshot: &Snapshot) -> bool {
        self.any_prefix || snapshot.name.starts_with(&self.prefix)
    }
}

/// What is known of the application and of who else needs its snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protections {
    /// The version that the application is at.
    pub version: Option<u64>,
    /// When that version was made: no earlier one has run since.
    pub version_since: Option<Timestamp>,
    /// The snapshot that the application's `RunConfiguration` names: it is being restored, or will be with the next start.
    pub run_configuration: Option<String>,
    /// The execution of a deployment that is under way. Its baseline, and what it was told to restore, are known to it
    /// alone, so nothing at all is deleted.
    pub deployment: Option<String>,
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeepReason {
    /// The newest READY one of the application.
    NewestReady,
    /// Named by the application's `RunConfiguration`.
    RunConfiguration,
    /// A deployment is under way, which may go back to it.
    DeploymentUnderWay,
    /// The last READY one of a version that may be gone back to.
    LastOfVersion,
    /// Being taken or being deleted.
    UnderWay,
    /// In a status that this code does not know.
    UnknownStatus,
    /// The service shows no creation time, without which it deletes nothing.
    NoCreationTime,
    /// Not one of ours, by its name.
    NotOurs,
    /// Among the newest.
    Newest,
    /// Younger than the age.
    Young,
    /// The newest of its day.
    Daily,
    /// The newest of its ISO week.
    Weekly,
    /// The newest of its month.
    Monthly,
    /// Under another key than the one that is swept.
    OtherKey,
    /// The service does not show its key.
    KeyNotShown,
    /// Taken after the moment up to which is swept.
    TakenLater,
}

impl KeepReason {
    /// Whether it gives way to the need for room. Nothing else does.
    fn gives_way(self) -> bool {
        matches!(self, Self::Young | Self::Daily | Self::Weekly | Self::Monthly)
    }
}

impl std::fmt::Display for KeepReason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::NewestReady => "the newest READY one",
            Self::RunConfiguration => "the application's run configuration names it",
            Self::DeploymentUnderWay => "a deployment that is under way may go back to it",
            Self::LastOfVersion => "the last READY one of a version that may be gone back to",
            Self::UnderWay => "it is being taken or deleted",
            Self::UnknownStatus => "its status is not known here",
            Self::NoCreationTime => "the service shows no creation time, and deletes nothing without",
            Self::NotOurs => "not ours, by its name",
            Self::Newest => "among the newest",
            Self::Young => "younger than the age",
            Self::Daily => "the newest of its day",
            Self::Weekly => "the newest of its week",
            Self::Monthly => "the newest of its month",
            Self::OtherKey => "under another key",
            Self::KeyNotShown => "the service does not show its key",
            Self::TakenLater => "taken later",
        })
    }
}

/// Why a snapshot is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeleteReason {
    /// No rule keeps it.
    NoRule,
    /// It could not be taken, and is of no use.
    Failed,
    /// The sweep selects it.
    Swept,
    /// A rule would keep it, but a new one needs the room.
    MadeRoom,
}

impl std::fmt::Display for DeleteReason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::NoRule => "no rule keeps it",
            Self::Failed => "it could not be taken",
            Self::Swept => "it is what the sweep selects",
            Self::MadeRoom => "a new one needs the room",
        })
    }
}

/// A snapshot that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Why; never empty, protections first.
    pub reasons: Vec<KeepReason>,
}

/// A snapshot that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// When it was created, without which it cannot be deleted.
    pub created_at: Timestamp,
    /// Why.
    pub reason: DeleteReason,
}

/// Every snapshot of an application, in one list or the other, both oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What stays.
    pub keep: Vec<Kept>,
    /// What goes.
    pub delete: Vec<Deletion>,
}

/// The application has nearly as many snapshots as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaWarning {
    /// Snapshots that there are.
    pub snapshots: usize,
    /// Snapshots that there may be before the service refuses manual ones.
    pub quota: usize,
}

impl QuotaWarning {
    /// A warning, if so many snapshots deserve one.
    pub fn of(snapshots: usize) -> Option<Self> {
        (snapshots >= QUOTA_WARNING).then_some(Self { snapshots, quota: QUOTA })
    }
}

/// The newest READY snapshot: what a start from the latest one would restore.
pub fn newest_ready(snapshots: &[Snapshot]) -> Option<&Snapshot> {
    snapshots.iter().filter(|snapshot| is_ready(snapshot)).max_by_key(|snapshot| age_order(snapshot))
}

/// Says of every snapshot whether it is kept or deleted, and why. The order of `snapshots` does not matter, and one that
/// the list shows twice is one.
pub fn plan(retention: &Retention, snapshots: &[Snapshot], protections: &Protections, now: Timestamp) -> Plan {
    let mut sorted: Vec<&Snapshot> = snapshots.iter().collect();
    // Where two pages of the list show one in two statuses, CREATING comes before READY, and holds.
    sorted.sort_by_key(|snapshot| (age_order(snapshot), snapshot.status.as_str(), snapshot.version));
    sorted.dedup_by_key(|snapshot| age_order(snapshot));
    let protected = Protected::of(retention, &sorted, protections, now);
    let rules = Rules::of(retention, &sorted, now);
    let mut plan = Plan::default();
    for snapshot in sorted {
        let mut reasons = protected.reasons(snapshot);
        reasons.extend(rules.reasons(snapshot));
        match snapshot.created_at.filter(|_| reasons.is_empty()) {
            Some(created_at) => {
                let reason = match (&retention.sweep, &snapshot.status) {
                    (Some(_), _) => DeleteReason::Swept,
                    (None, SnapshotStatus::Failed) => DeleteReason::Failed,
                    (None, _) => DeleteReason::NoRule,
                };
                plan.delete.push(Deletion { snapshot: snapshot.clone(), created_at, reason });
            }
            None => plan.keep.push(Kept { snapshot: snapshot.clone(), reasons }),
        }
    }
    plan
}

impl Plan {
    /// Makes room for `wanted` new snapshots within the quota: where the plan's own deletions do not suffice, snapshots
    /// that only an age or the ladder keeps go too, oldest first. A protection never gives way, nor does `keepNewest`.
    /// Those that are being deleted already make room, too. Returns how many are still too many.
    pub fn make_room(&mut self, wanted: usize) -> usize {
        let stays = self.keep.iter().filter(|kept| kept.snapshot.status != SnapshotStatus::Deleting).count();
        let mut excess = (stays + wanted).saturating_sub(QUOTA);
        let keep = std::mem::take(&mut self.keep);
        for kept in keep {
            let gives_way = excess > 0 && kept.reasons.iter().all(|reason| reason.gives_way());
            match kept.snapshot.created_at.filter(|_| gives_way) {
                Some(created_at) => {
                    let reason = DeleteReason::MadeRoom;
                    self.delete.push(Deletion { snapshot: kept.snapshot, created_at, reason });
                    excess -= 1;
                }
                None => self.keep.push(kept),
            }
        }
        self.delete.sort_by(|one, other| age_order(&one.snapshot).cmp(&age_order(&other.snapshot)));
        excess
    }
}

/// What orders snapshots from the oldest to the newest, and tells them apart: a name is free again once its snapshot is
/// deleted.
fn age_order(snapshot: &Snapshot) -> (Option<Timestamp>, &str) {
    (snapshot.created_at, snapshot.name.as_str())
}

fn is_ready(snapshot: &Snapshot) -> bool {
    snapshot.status == SnapshotStatus::Ready
}

fn hours_before(now: Timestamp, hours: u32) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(i64::from(hours))).unwrap_or(Timestamp::MIN)
}

/// What is kept whatever the rules say.
struct Protected<'a> {
    retention: &'a Retention,
    newest: Option<&'a Snapshot>,
    protections: &'a Protections,
    /// The last READY one of each version that may be gone back to.
    last: BTreeMap<u64, &'a Snapshot>,
}

impl<'a> Protected<'a> {
    /// `snapshots` are sorted, oldest first.
    fn of(retention: &'a Retention, snapshots: &[&'a Snapshot], protections: &'a Protections, now: Timestamp) -> Self {
        let ready = || snapshots.iter().copied().filter(|snapshot| is_ready(snapshot));
        // A later one of the same version replaces an earlier one.
        let mut last: BTreeMap<u64, &Snapshot> = ready().map(|snapshot| (snapshot.version, snapshot)).collect();
        let window = hours_before(now, retention.rollback_window_hours);
        last.retain(|&version, _| last_ran(version, snapshots, protections).is_none_or(|at| at >= window));
        Self { retention, newest: ready().next_back(), protections, last }
    }

    fn reasons(&self, snapshot: &Snapshot) -> Vec<KeepReason> {
        let is_last = self.last.get(&snapshot.version).is_some_and(|last| age_order(last) == age_order(snapshot));
        let is_newest = self.newest.is_some_and(|newest| age_order(newest) == age_order(snapshot));
        let is_named = self.protections.run_configuration.as_ref() == Some(&snapshot.name);
        let held = [
            (KeepReason::NewestReady, is_newest),
            (KeepReason::RunConfiguration, is_named),
            (KeepReason::DeploymentUnderWay, self.protections.deployment.is_some()),
            (KeepReason::LastOfVersion, is_last),
            (KeepReason::UnderWay, matches!(snapshot.status, SnapshotStatus::Creating | SnapshotStatus::Deleting)),
            (KeepReason::UnknownStatus, matches!(snapshot.status, SnapshotStatus::Unknown(_))),
            (KeepReason::NoCreationTime, snapshot.created_at.is_none()),
            (KeepReason::NotOurs, !self.retention.is_ours(snapshot)),
        ];
        held.into_iter().filter_map(|(reason, holds)| holds.then_some(reason)).collect()
    }
}

/// The latest moment at which this version can have run; none while it may still run. A version ran at most until the
/// application's present version was made, and until the first snapshot of a later one was taken.
fn last_ran(version: u64, snapshots: &[&Snapshot], protections: &Protections) -> Option<Timestamp> {
    if protections.version.is_some_and(|current| version >= current) {
        return None;
    }
    let since = protections.version.and(protections.version_since);
    let later = snapshots.iter().filter(|snapshot| snapshot.version > version);
    later.filter_map(|snapshot| snapshot.created_at).chain(since).min()
}

/// What the user's rules keep. None of it is about snapshots that are not ours.
struct Rules<'a> {
    retention: &'a Retention,
    young: Timestamp,
    newest: BTreeSet<(Option<Timestamp>, &'a str)>,
    daily: BTreeSet<(Option<Timestamp>, &'a str)>,
    weekly: BTreeSet<(Option<Timestamp>, &'a str)>,
    monthly: BTreeSet<(Option<Timestamp>, &'a str)>,
}

impl<'a> Rules<'a> {
    /// `snapshots` are sorted, oldest first.
    fn of(retention: &'a Retention, snapshots: &[&'a Snapshot], now: Timestamp) -> Self {
        let newest_first: Vec<(Timestamp, &Snapshot)> = snapshots
            .iter()
            .rev()
            .filter(|snapshot| is_ready(snapshot) && retention.is_ours(snapshot))
            .filter_map(|&snapshot| Some((snapshot.created_at?, snapshot)))
            .collect();
        let day = |at: Timestamp| Offset::UTC.to_datetime(at).date();
        let week = |at: Timestamp| {
            let week = ISOWeekDate::from(day(at));
            (week.year(), week.week())
        };
        let month = |at: Timestamp| (day(at).year(), day(at).month());
        let newest = newest_first.iter().take(usize::try_from(retention.keep_newest).unwrap_or(usize::MAX));
        Self {
            retention,
            young: hours_before(now, retention.keep_younger_than_hours),
            newest: newest.map(|(_, snapshot)| age_order(snapshot)).collect(),
            daily: newest_of_each(&newest_first, retention.daily, day),
            weekly: newest_of_each(&newest_first, retention.weekly, week),
            monthly: newest_of_each(&newest_first, retention.monthly, month),
        }
    }

    fn reasons(&self, snapshot: &Snapshot) -> Vec<KeepReason> {
        if let Some(sweep) = &self.retention.sweep {
            return sweep.spares(snapshot).into_iter().collect();
        }
        let id = age_order(snapshot);
        let is_young = self.retention.is_ours(snapshot) && snapshot.created_at.is_some_and(|at| at > self.young);
        let kept = [
            (KeepReason::Newest, self.newest.contains(&id)),
            (KeepReason::Young, is_young),
            (KeepReason::Daily, self.daily.contains(&id)),
            (KeepReason::Weekly, self.weekly.contains(&id)),
            (KeepReason::Monthly, self.monthly.contains(&id)),
        ];
        kept.into_iter().filter_map(|(reason, holds)| holds.then_some(reason)).collect()
    }
}

/// The newest snapshot of each of the last `count` periods that have one.
fn newest_of_each<'a, Period: Ord>(
    newest_first: &[(Timestamp, &'a Snapshot)],
    count: u32,
    period: impl Fn(Timestamp) -> Period,
) -> BTreeSet<(Option<Timestamp>, &'a str)> {
    let mut periods = BTreeMap::new();
    for (at, snapshot) in newest_first {
        periods.entry(Reverse(period(*at))).or_insert_with(|| age_order(snapshot));
    }
    periods.into_values().take(usize::try_from(count).unwrap_or(usize::MAX)).collect()
}

impl Sweep {
    /// Why the snapshot is not selected; nothing if it is.
    fn spares(&self, snapshot: &Snapshot) -> Option<KeepReason> {
        let of_key = self.under_key.as_ref().and_then(|key| match &snapshot.key {
            Some(shown) if shown == key => None,
            Some(_) => Some(KeepReason::OtherKey),
            None => Some(KeepReason::KeyNotShown),
        });
        let is_later = |before| snapshot.created_at.is_none_or(|at| at >= before);
        of_key.or_else(|| self.taken_before.is_some_and(is_later).then_some(KeepReason::TakenLater))
    }
}
