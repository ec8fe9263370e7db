//! What is checked before anything is touched: can this request be carried out on this application, and what is the
//! application before the change? Whatever is refused here names the field and the cure.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::configuration::{is_in_effect, is_open_ended};
use crate::data::note_restore;
use crate::deployment::{Baseline, Deployment, Next, Rung};
use crate::evidence::{Alarm, Application, Snapshot, newest_ready};
use crate::policy::OnStaleSnapshot;
use crate::refusal::Refusal;
use crate::report::{Outcome, Report};
use crate::request::{Request, RestoreType, Stop};
use crate::status::{ApplicationStatus, SnapshotStatus};
use crate::verdict::{Reason, in_words};
use crate::watch::seconds_between;

/// Wait for an application at work to come to rest.
const REST_SECONDS: u32 = 30;
/// Wait for a snapshot.
const SNAPSHOT_SECONDS: u32 = 15;

/// Versions that are asked for at most: so many updates in vain, one after the other, without a snapshot.
const MOST_VERSIONS: u64 = 20;

/// What is known of the application before the change.
#[derive(Debug, Clone, Default)]
pub struct PreflightLook {
    /// The application; none if there is none of that name.
    pub application: Option<Application>,
    /// `ApplicationDetail` as the service answered, to see whether the change is in effect already.
    pub detail: Value,
    /// Its snapshots, newest first.
    pub snapshots: Vec<Snapshot>,
    /// `ApplicationVersionDetail` of the [versions since the newest snapshot](versions_since_snapshot), as far as the service
    /// still has them.
    pub versions: BTreeMap<u64, Value>,
    /// When the newest `StartApplication` began, where that may be of interest.
    pub started_at: Option<Timestamp>,
    /// The alarms that the policy names.
    pub alarms: Vec<Alarm>,
}

/// What the preflight asks to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preflight {
    /// Nothing: go on as the deployment says.
    GoOn,
    /// Take a snapshot of this name, then go on as the deployment says.
    TakeSnapshot(String),
}

/// Whether the request starts the application from the newest of these snapshots, of which it is to be known whether it holds
/// the state of the job at hand.
pub fn starts_from_newest(request: &Request, application: &Application, snapshots: &[Snapshot]) -> bool {
    request.restore.restore_type == RestoreType::Latest
        && starts_from_a_snapshot(request, application)
        && newest_ready(snapshots, None).is_some()
}

/// The versions that tell what the jobs since the newest snapshot began with: from its own to the one before that at hand. Of
/// very many, the latest.
pub fn versions_since_snapshot(application: &Application, snapshots: &[Snapshot]) -> Range<u64> {
    let first = newest_ready(snapshots, None).map_or(application.version, |newest| newest.version);
    first.max(application.version.saturating_sub(MOST_VERSIONS))..application.version
}

/// Checks the request against the application and notes the baseline. It may be run any number of times: all that it keeps
/// from one time to the next is the version that it saw first.
pub fn prepare(deployment: &mut Deployment, request: &Request, look: &PreflightLook, now: Timestamp) -> Preflight {
    let refuse = |deployment: &mut Deployment, refusals: Vec<Refusal>| {
        refuse(deployment, refusals, now);
        Preflight::GoOn
    };
    let Some(application) = &look.application else {
        return refuse(deployment, vec![no_such_application(&request.application)]);
    };
    let mut refusals = refusals(request, application, look);
    if request.policy.on_stale_snapshot == OnStaleSnapshot::Refuse {
        refusals.extend(stale_snapshot(request, application, look, now).map(|problem| {
            let cure = "take a snapshot first, or give more seconds, or set policy.onStaleSnapshot to warn";
            Refusal::new("policy.snapshotAgeSeconds", problem, cure)
        }));
    }
    if !refusals.is_empty() {
        return refuse(deployment, refusals);
    }
    // A version by which the change before is being rolled back is no newer change, whoever rolls it back.
    let is_rolled_back = application.status == ApplicationStatus::RollingBack;
    if deployment.version != 0 && application.version > deployment.version && !is_rolled_back {
        // While this one waited, another change has been made: it is the newer one.
        let because = vec![Reason::VersionChanged { expected: deployment.version, found: application.version }];
        deployment.report = Some(Report::of(deployment, Outcome::Superseded, because, now));
        deployment.go_on(Next::Notify, 0);
        return Preflight::GoOn;
    }
    deployment.version = application.version;
    let waited = seconds_between(deployment.turn_at.unwrap_or(deployment.started_at), now);
    let is_late = waited >= i64::from(request.policy.operation_timeout_seconds);
    if application.status.is_passing() && !is_to_be_cut_short(request, &application.status) {
        if is_late {
            let problem = format!("{} is still {} after {waited} s", request.application, application.status);
            let cure = "wait until it is READY or RUNNING, and send the request again";
            return refuse(deployment, vec![Refusal::new("application", problem, cure)]);
        }
        let reason = Reason::ApplicationAtWork { status: application.status.clone() };
        deployment.note(now, format!("Waiting: {reason}"));
        deployment.decided = Some(in_words(&[reason]));
        deployment.go_on(Next::WaitToPrepare, REST_SECONDS);
        return Preflight::GoOn;
    }
    deployment.baseline = Some(Baseline {
        version: application.version,
        status: application.status.clone(),
        runtime: application.runtime.clone(),
        code: application.code.clone(),
        snapshot: newest_ready(&look.snapshots, None).map(|snapshot| snapshot.name.clone()),
        raised_alarms: look.alarms.iter().filter(|alarm| alarm.is_raised).map(|alarm| alarm.name.clone()).collect(),
    });
    let is_running = application.status == ApplicationStatus::Running;
    let is_changed =
        !request.update.is_empty() && (is_open_ended(&request.update) || !is_in_effect(&request.update, &look.detail));
    let is_to_stop = request.stop.is_some() && !application.status.is_stopped();
    deployment.is_update_due = is_changed;
    if !is_changed && is_running && !is_to_stop {
        // Nothing is to be done, but whether the job is well has to be seen all the same.
        deployment.note(now, Reason::AlreadyInEffect { version: application.version }.to_string());
        deployment.watch_only(now);
        return Preflight::GoOn;
    }
    if !is_changed && !is_to_stop && !request.start {
        let because = vec![Reason::AlreadyInEffect { version: application.version }];
        deployment.report = Some(Report::of(deployment, Outcome::NoChange, because, now));
        deployment.go_on(Next::Notify, 0);
        return Preflight::GoOn;
    }
    if request.policy.pre_deploy_snapshot && is_running {
        let name = pre_deploy_snapshot_name(&deployment.execution);
        let status = look.snapshots.iter().find(|snapshot| snapshot.name == name).map(|snapshot| &snapshot.status);
        match status {
            Some(SnapshotStatus::Ready) => {}
            Some(SnapshotStatus::Failed) => {
                return refuse(deployment, vec![snapshot_refusal("could not be taken")]);
            }
            _ if is_late => return refuse(deployment, vec![snapshot_refusal("was not READY in time")]),
            taken => {
                let reason = Reason::TakingSnapshot { name: name.clone() };
                deployment.note(now, reason.to_string());
                deployment.decided = Some(reason.to_string());
                deployment.go_on(Next::WaitToPrepare, SNAPSHOT_SECONDS);
                return if taken.is_some() { Preflight::GoOn } else { Preflight::TakeSnapshot(name) };
            }
        }
    }
    deployment.note(now, format!("Baseline noted: version {}, {}", application.version, application.status));
    if let Some(problem) = stale_snapshot(request, application, look, now) {
        deployment.note(now, format!("Warning: {problem}"));
    }
    deployment.take(match (is_to_stop, is_changed) {
        (true, _) => Rung::Stop,
        (false, true) => Rung::Update,
        (false, false) => Rung::Start,
    });
    note_restore(deployment, &look.snapshots, now);
    deployment.go_on(if is_to_stop { Next::ForceStop } else { Next::Submit }, 0);
    Preflight::GoOn
}

/// Whether the application is at work on something that the request means to end: what never ends by itself can be
/// stopped by force only.
fn is_to_be_cut_short(request: &Request, status: &ApplicationStatus) -> bool {
    let can_be = matches!(
        status,
        ApplicationStatus::Starting
            | ApplicationStatus::Updating
            | ApplicationStatus::Stopping
            | ApplicationStatus::Autoscaling
    );
    request.stop == Some(Stop::Force) && can_be
}

/// How often an update is tried that the service refuses for a role or an object that it cannot use: both may be new, and
/// take a while to be known everywhere.
const ROLE_TRIES: u32 = 3;
/// Wait from one such try to the next.
const ROLE_SECONDS: u32 = 15;

/// What an update was refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedFor {
    /// The role or the code object cannot be used, perhaps not yet.
    RoleOrCode,
    /// The code.
    Code,
    /// Anything else.
    Other,
}

/// The service has refused the update itself, and the request is to blame. Nothing was touched, unless the application was
/// stopped for it: then a person has to know.
pub fn refuse_update(deployment: &mut Deployment, refused_for: RefusedFor, message: &str, now: Timestamp) {
    if refused_for == RefusedFor::RoleOrCode && deployment.refused_times + 1 < ROLE_TRIES {
        deployment.refused_times += 1;
        deployment.note(now, format!("UpdateApplication was refused, trying again: {message}"));
        deployment.go_on(Next::Bake, ROLE_SECONDS);
        return;
    }
    if deployment.has_taken(Rung::Stop) {
        return deployment.reject(message, now);
    }
    let code = "update.ApplicationConfigurationUpdate.ApplicationCodeConfigurationUpdate.CodeContentUpdate";
    let (field, cure) = match refused_for {
        RefusedFor::RoleOrCode => {
            (code, "check that the object (and its version) exists and that the application's role may read it")
        }
        RefusedFor::Code => (code, "give a JAR or ZIP that the service accepts"),
        RefusedFor::Other => ("update", "correct it as the service says"),
    };
    refuse(deployment, vec![Refusal::new(field, format!("the service refused it: {message}"), cure)], now);
}

/// Ends the deployment as refused.
pub fn refuse(deployment: &mut Deployment, refusals: Vec<Refusal>, now: Timestamp) {
    let report = Report::refused(&deployment.application, &deployment.execution, refusals, deployment.started_at, now);
    deployment.report = Some(Report { reason: deployment.reason.clone(), ..report });
    deployment.go_on(Next::Notify, 0);
}

/// Refuses a request for an application that does not exist.
pub fn no_such_application(name: &str) -> Refusal {
    Refusal::new(
        "application",
        format!("there is no application {name} in this account and region"),
        "correct the name, or create the application first",
    )
}

/// Refuses a request whose alarm does not exist.
pub fn no_such_alarm(error: &str) -> Refusal {
    Refusal::new("policy.alarms", error, "give names of metric or composite alarms of this account and region")
}

/// Ends the deployment as refused because the service did not take the snapshot before the update.
pub fn refuse_snapshot(deployment: &mut Deployment, message: &str, now: Timestamp) {
    refuse(deployment, vec![snapshot_refusal(&format!("was refused by the service ({message})"))], now);
}

fn snapshot_refusal(problem: &str) -> Refusal {
    Refusal::new(
        "policy.preDeploySnapshot",
        format!("the snapshot before the update {problem}"),
        "see why checkpoints or snapshots fail (an update has to take one too), or set it to false",
    )
}

/// Name of the snapshot that a deployment takes: the same however often it is run.
pub fn pre_deploy_snapshot_name(execution: &str) -> String {
    let name: String = execution
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() || "_.-".contains(character) { character } else { '-' })
        .collect();
    format!("pre-deploy-{name}")
}

fn refusals(request: &Request, application: &Application, look: &PreflightLook) -> Vec<Refusal> {
    let name = &request.application;
    let is_running = application.status == ApplicationStatus::Running;
    let mut refusals = Vec::new();
    if !application.runtime.starts_with("FLINK-") {
        refusals.push(Refusal::new(
            "application",
            format!("{name} runs {}, which has no Flink job to watch", application.runtime),
            "give a Managed Service for Apache Flink application (runtime FLINK-…)",
        ));
    }
    match &application.status {
        ApplicationStatus::Deleting => refusals.push(no_such_application(name)),
        ApplicationStatus::Unknown(status) => refusals.push(Refusal::new(
            "application",
            format!("{name} has the status {status}, which this version does not know"),
            "update this tool, or bring the application to READY or RUNNING",
        )),
        ApplicationStatus::Ready
        | ApplicationStatus::Starting
        | ApplicationStatus::Running
        | ApplicationStatus::Stopping
        | ApplicationStatus::Updating
        | ApplicationStatus::Autoscaling
        | ApplicationStatus::ForceStopping
        | ApplicationStatus::RollingBack
        | ApplicationStatus::RolledBack
        | ApplicationStatus::Maintenance => {}
    }
    let wanted_runtime = request.update.get("RuntimeEnvironmentUpdate").and_then(Value::as_str);
    if let Some(wanted) = wanted_runtime
        && let (Some(from), Some(to)) = (flink_version(&application.runtime), flink_version(wanted))
        && to < from
    {
        refusals.push(Refusal::new(
            "update.RuntimeEnvironmentUpdate",
            format!("{wanted} is older than {name}'s {}, and state does not go back", application.runtime),
            format!("give {} or a later runtime", application.runtime),
        ));
    }
    refusals.extend(restore_refusal(request, application, look));
    if request.stop == Some(Stop::Graceful) && !request.start && is_running && !application.snapshots_enabled {
        refusals.push(Refusal::new(
            "stop",
            format!("{name} has snapshots disabled: a graceful stop would take none either, and lose the state"),
            "enable snapshots first (ApplicationSnapshotConfigurationUpdate), or say `force` to lose it",
        ));
    }
    refusals.extend(checkpoint_refusal(request, application));
    if request.policy.pre_deploy_snapshot && !application.snapshots_enabled {
        refusals.push(Refusal::new(
            "policy.preDeploySnapshot",
            format!("{name} has snapshots disabled"),
            "enable snapshots first (ApplicationSnapshotConfigurationUpdate), or set it to false",
        ));
    }
    refusals
}

/// Refuses to begin with a state that is not there, or is not this application's any more.
fn restore_refusal(request: &Request, application: &Application, look: &PreflightLook) -> Option<Refusal> {
    let name = &request.application;
    let is_running = application.status == ApplicationStatus::Running;
    match request.restore.restore_type {
        RestoreType::Custom => {
            let wanted = request.restore.snapshot.as_deref().unwrap_or_default();
            let status =
                look.snapshots.iter().find(|snapshot| snapshot.name == wanted).map(|snapshot| &snapshot.status);
            let problem = match status {
                Some(SnapshotStatus::Ready) => None,
                Some(status) => Some(format!("the snapshot {wanted} is {status}, not READY")),
                None => Some(format!("{name} has no snapshot {wanted}")),
            };
            let cure = "name a READY snapshot (aws kinesisanalyticsv2 list-application-snapshots shows them)";
            problem.map(|problem| Refusal::new("restore.snapshot", problem, cure))
        }
        RestoreType::Latest if is_running && would_restart(request) && !application.snapshots_enabled => {
            Some(Refusal::new(
                "restore.type",
                format!("{name} has snapshots disabled: its job would be restarted without state"),
                "say SKIP_RESTORE_FROM_SNAPSHOT to begin without state; the same update can enable snapshots for the next",
            ))
        }
        RestoreType::Latest if starts_from_a_snapshot(request, application) => match newest_ready(&look.snapshots, None)
        {
            None => Some(Refusal::new(
                "restore.type",
                format!("{name} has no READY snapshot to start from"),
                "say SKIP_RESTORE_FROM_SNAPSHOT to begin without state, as a first start does",
            )),
            Some(snapshot) => other_lineage(application, look, snapshot).map(|what| {
                let (snapshot, before) = (&snapshot.name, snapshot.version);
                Refusal::new(
                    "restore.type",
                    format!(
                        "{name} {what}, and its newest READY snapshot, {snapshot}, holds the state of version {before}"
                    ),
                    "name the snapshot in restore.snapshot to go back to that state, or say SKIP_RESTORE_FROM_SNAPSHOT",
                )
            }),
        },
        RestoreType::Latest | RestoreType::Skip => None,
    }
}

/// Whether the application is started from a snapshot that exists already: no other is taken before.
fn starts_from_a_snapshot(request: &Request, application: &Application) -> bool {
    let takes_one = request.policy.pre_deploy_snapshot && application.status == ApplicationStatus::Running;
    request.start && !takes_one && (application.status.is_stopped() || request.stop == Some(Stop::Force))
}

/// Why the newest snapshot does not hold the state of the job at hand, if it does not: on the way from its version to the one
/// at hand a job began without state, with that of another snapshot, or with that of a version from before those that were
/// undone. What is not known any more speaks against nothing.
fn other_lineage(application: &Application, look: &PreflightLook, newest: &Snapshot) -> Option<String> {
    let start = look.started_at.filter(|start| newest.created_at.is_some_and(|created_at| created_at < *start));
    let (mut version, mut until) = (application.version, None);
    while version >= newest.version {
        let detail = if version == application.version { &look.detail } else { look.versions.get(&version)? };
        let member = |name: &str| detail.get(name).and_then(Value::as_u64);
        let undone = (member("ApplicationVersionRolledBackFrom"), member("ApplicationVersionRolledBackTo"));
        let since = made_at(detail);
        let was_started =
            start.zip(since).is_some_and(|(start, since)| since <= start && until.is_none_or(|until| start < until));
        // A rollback brings a configuration back, and has its state from elsewhere, unless it was started again since.
        let is_told = was_started || (version > newest.version && undone.1.is_none());
        match restored_in(detail).filter(|_| is_told) {
            Some((SKIP, _)) => return Some(format!("began without state at version {version}")),
            Some((CUSTOM, Some(name))) if name == newest.name => return None,
            Some((CUSTOM, Some(name))) => return Some(format!("began with the snapshot {name} at version {version}")),
            _ => {}
        }
        until = since.or(until);
        version = match undone {
            (Some(from), Some(to)) if newest.version > to && newest.version <= from => {
                return Some(format!("was rolled back from version {from} to version {to}"));
            }
            (_, Some(to)) if to < version => to,
            _ => version.checked_sub(1)?,
        };
    }
    None
}

/// When the version was made.
fn made_at(detail: &Value) -> Option<Timestamp> {
    let seconds = detail.get("ApplicationVersionCreateTimestamp")?.as_f64()?;
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

const SKIP: &str = "SKIP_RESTORE_FROM_SNAPSHOT";
const CUSTOM: &str = "RESTORE_FROM_CUSTOM_SNAPSHOT";

/// How the job of this version was started, and from which snapshot, where one is named.
fn restored_in(detail: &Value) -> Option<(&str, Option<&str>)> {
    let restore = detail.pointer(
        "/ApplicationConfigurationDescription/RunConfigurationDescription/ApplicationRestoreConfigurationDescription",
    )?;
    let text = |member: &str| restore.get(member).and_then(Value::as_str);
    Some((text("ApplicationRestoreType")?, text("SnapshotName")))
}

/// Whether a running job is stopped by the service's own means, which take a snapshot if they can, and started again.
fn would_restart(request: &Request) -> bool {
    match request.stop {
        Some(Stop::Force) => false,
        Some(Stop::Graceful) => request.start,
        None => !request.update.is_empty(),
    }
}

/// What a forced stop of the running application would lose too much by, in words: its newest snapshot is too old, or
/// there is none. The snapshot that the deployment itself is to take beforehand is new enough.
fn stale_snapshot(
    request: &Request,
    application: &Application,
    look: &PreflightLook,
    now: Timestamp,
) -> Option<String> {
    let policy = &request.policy;
    let is_of_interest = application.status == ApplicationStatus::Running
        && request.restore.restore_type != RestoreType::Skip
        && policy.snapshot_age_seconds > 0
        && !policy.pre_deploy_snapshot;
    if !is_of_interest {
        return None;
    }
    let name = &request.application;
    if !application.snapshots_enabled {
        return Some(format!("{name} has snapshots disabled: a forced stop would lose its state"));
    }
    let Some(snapshot) = newest_ready(&look.snapshots, None) else {
        return Some(format!("{name} has no READY snapshot: a forced stop would lose its state"));
    };
    let age = snapshot.created_at.map(|created_at| seconds_between(created_at, now))?;
    (age > i64::from(policy.snapshot_age_seconds)).then(|| {
        format!(
            "the newest READY snapshot of {name}, {}, is {age} s old: a forced stop would go back to it",
            snapshot.name
        )
    })
}

/// Refuses to wait for a checkpoint that cannot come in time: the change would be undone whatever it is.
fn checkpoint_refusal(request: &Request, application: &Application) -> Option<Refusal> {
    let interval = Value::from(request.update.clone())
        .pointer(
            "/ApplicationConfigurationUpdate/FlinkApplicationConfigurationUpdate/CheckpointConfigurationUpdate/\
             CheckpointIntervalUpdate",
        )
        .and_then(Value::as_u64)
        .map(|milliseconds| milliseconds.div_ceil(1_000))
        .or(application.checkpoint_interval_seconds)?;
    let policy = &request.policy;
    let is_in_time = interval < u64::from(policy.settle_timeout_seconds);
    let is_needed = policy.require_checkpoint && application.checkpointing_enabled;
    (is_needed && !is_in_time).then(|| {
        Refusal::new(
            "policy.settleTimeoutSeconds",
            format!("checkpoints come every {interval} s, so that none can be complete in time"),
            format!("give more than {interval}, or set policy.requireCheckpoint to false"),
        )
    })
}

/// Major and minor version in a runtime's name: `FLINK-1_20` is (1, 20).
fn flink_version(runtime: &str) -> Option<(u32, u32)> {
    let (major, minor) = runtime.strip_prefix("FLINK-")?.split_once('_')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests;
