//! The sabotages: what is broken, how, in which plans that can show, and which demands are meant to notice.

use emulator::simulated::JobFault;
use emulator::{Effect, Fault};
use serde_json::{Value, json};

use super::{FUNCTION, Sabotage, Scene, Way};
use crate::scenario::Crash;
use crate::simulation::plan::{Around, Asked, Disturbance, Kind, Part, Plan, Quirk};
use crate::upload_scenarios::START_DEPLOYMENT;

const UPDATE: &str = "UpdateApplication";
const ROLLBACK: &str = "RollbackApplication";
const START: &str = "StartApplication";
const STOP: &str = "StopApplication";

/// All of them.
pub fn all() -> Vec<Sabotage> {
    let of_acts = [fences(), whose_it_is(), looks(), policies(), requests(), ladder(), state(), snapshots()];
    of_acts.into_iter().chain([turns(), executions(), told(), things_of_others()]).flatten().collect()
}

// ---- what a plan has

fn has(plan: &Plan, is_it: impl Fn(&Part) -> bool) -> bool {
    plan.kept().any(|(_, part)| is_it(part))
}

fn asks(plan: &Plan, is_it: impl Fn(&Asked) -> bool) -> bool {
    plan.asked().any(is_it)
}

fn brings(plan: &Plan, is_it: impl Fn(Kind) -> bool) -> bool {
    asks(plan, |asked| asked.code.as_ref().is_some_and(|code| is_it(code.kind)))
}

fn has_fault(plan: &Plan, is_it: impl Fn(&Fault) -> bool) -> bool {
    has(plan, |part| matches!(part, Part::Fault(fault) if is_it(fault)))
}

fn has_around(plan: &Plan, is_it: impl Fn(&Around) -> bool) -> bool {
    has(plan, |part| matches!(part, Part::Around(_, _, around) if is_it(around)))
}

fn crashes(plan: &Plan, function: &str) -> bool {
    has(
        plan,
        |part| matches!(part, Part::Disturbed(_, Disturbance::Crash(Crash { function: of, .. })) if *of == function),
    )
}

fn loses(plan: &Plan, operation: &str) -> bool {
    has_fault(plan, |fault| fault.operation == operation && matches!(fault.effect, Effect::LostResponse(_)))
}

fn somebody_updates(plan: &Plan) -> bool {
    has_around(plan, |around| matches!(around, Around::Person(UPDATE, _)))
}

/// A change that has to be taken back, most likely.
fn brings_bad_code(plan: &Plan) -> bool {
    brings(plan, |kind| matches!(kind, Kind::Loop | Kind::ExponentialLoop | Kind::NoRestart))
}

/// Whether the service's rollback may fail, so that the rungs behind it are taken.
fn climbs(plan: &Plan) -> bool {
    brings_bad_code(plan) && has_fault(plan, |fault| fault.operation == ROLLBACK)
}

fn several(plan: &Plan, is_it: impl Fn(&Asked) -> bool) -> bool {
    let first =
        |application: &str| plan.asked().filter(|asked| is_it(asked) && asked.application == application).count();
    plan.apps().iter().any(|app| first(app.name) > 1)
}

fn any(_: &Plan) -> bool {
    true
}

// ---- what is altered

fn sabotage(
    name: &'static str,
    breaks: &'static str,
    noticed_by: &'static [&'static str],
    can_show: fn(&Plan) -> bool,
    ways: &[Way],
) -> Sabotage {
    Sabotage { name, breaks, noticed_by, can_show, ways: ways.to_vec() }
}

/// Replaces the version that a call is meant for by whatever is at hand.
fn unfence(scene: &Scene, body: &mut Value) {
    if let Some(version) = scene.version_at_hand(&body["ApplicationName"]) {
        body["CurrentApplicationVersionId"] = version.into();
    }
}

/// Replaces the version that a deployment knows by whatever is at hand.
fn forget_version(scene: &Scene, deployment: &mut Value) {
    if let Some(version) = scene.version_at_hand(&deployment["application"])
        && deployment["version"].as_u64().is_some_and(|known| known > 0)
    {
        deployment["version"] = version.into();
    }
}

/// Sets a field of the policy where the deployment begins.
fn set_policy(function: &str, deployment: &mut Value, field: &str, value: Value) {
    if function == "take-turn" && deployment["policy"].is_object() {
        deployment["policy"][field] = value;
    }
}

fn is_verdict(deployment: &Value, judgement: &str) -> bool {
    deployment["verdict"]["is"] == judgement
}

/// Finds the job well, whatever was seen.
fn find_well(event: &Value, deployment: &mut Value) {
    let now = &event["now"];
    deployment["verdict"] = json!({ "is": "Healthy", "reasons": [{ "code": "checkpoints", "completed": 1 }] });
    deployment["next"] = "Decide".into();
    let job = &mut deployment["job"];
    if job.is_object() {
        job["healthyAt"] = now.clone();
        for field in ["steadySince", "quietSince"] {
            if job.get(field).is_none_or(Value::is_null) {
                job[field] = now.clone();
            }
        }
    }
}

fn tell(deployment: &mut Value, what: &Value) {
    let at = deployment["startedAt"].clone();
    if let Some(events) = deployment["events"].as_array_mut() {
        events.push(json!({ "at": at, "what": what }));
    }
}

/// The run configuration of an update or a start.
fn run_configuration<'a>(operation: &str, body: &'a mut Value) -> Option<&'a mut Value> {
    match operation {
        UPDATE => body.get_mut("RunConfigurationUpdate"),
        START => body.get_mut("RunConfiguration"),
        _ => None,
    }
}

// ---- the sabotages

fn fences() -> Vec<Sabotage> {
    vec![
        sabotage(
            "update without a fence",
            "the update carries whatever version is at hand",
            &["rule 1", "rule 7"],
            |plan| somebody_updates(plan) && crashes(plan, "submit-update") || loses(plan, UPDATE),
            &[Way::Sent(|scene, operation, body| {
                if operation == UPDATE {
                    unfence(scene, body);
                }
            })],
        ),
        sabotage(
            "rollback without a fence",
            "the rollback carries whatever version is at hand",
            &["rule 1", "rule 3"],
            |plan| loses(plan, ROLLBACK) && (brings_bad_code(plan) || brings(plan, |kind| kind == Kind::SlowLoop)),
            &[Way::Sent(|scene, operation, body| {
                if operation == ROLLBACK {
                    unfence(scene, body);
                }
            })],
        ),
        sabotage(
            "retry without adoption",
            "a step that is run again reads the version anew, and updates once more",
            &["rule 7"],
            |plan| crashes(plan, "submit-update") || loses(plan, UPDATE),
            &[
                Way::Given(|scene, function, event| {
                    if function == "submit-update" && scene.kept(UPDATE) == true {
                        forget_version(scene, &mut event["deployment"]);
                    }
                }),
                Way::Sent(|scene, operation, _| {
                    if operation == UPDATE {
                        scene.keep(UPDATE, true.into());
                    }
                }),
            ],
        ),
        sabotage(
            "somebody else's update goes unnoticed",
            "every step takes the version at hand for its own",
            &["rule 1"],
            somebody_updates,
            &[Way::Given(|scene, function, event| {
                if function != "take-turn" && function != "notify" {
                    forget_version(scene, &mut event["deployment"]);
                }
            })],
        ),
    ]
}

fn whose_it_is() -> Vec<Sabotage> {
    vec![
        sabotage(
            "somebody else's update is adopted",
            "an update that was refused for a newer version is taken for made",
            &["rule 1", "rule 4"],
            |plan| {
                let is_late = has_fault(plan, |fault| matches!(fault.effect, Effect::Delay(_)));
                somebody_updates(plan) && is_late
            },
            &[Way::Returned(|_, function, event, deployment| {
                let reason = &deployment["verdict"]["reasons"][0];
                if function == "submit-update" && reason["code"] == "versionChanged" {
                    deployment["version"] = reason["found"].clone();
                    deployment["began"] = json!({ "at": event["now"] });
                    deployment["verdict"] = Value::Null;
                    deployment["next"] = "WaitForOperation".into();
                }
            })],
        ),
        sabotage(
            "an old answer is believed",
            "a version older than the own one is taken for the application's",
            &["superseded by somebody", "rule 1", "rule 4"],
            |plan| {
                has_fault(plan, |fault| {
                    fault.operation == "DescribeApplication" && matches!(fault.effect, Effect::StaleRead(_))
                })
            },
            &[Way::Returned(|_, _, _, deployment| {
                let reasons = deployment["decided"].as_str().unwrap_or_default().to_owned();
                if reasons.contains("older than version") {
                    let version = deployment["version"].as_u64().unwrap_or_default();
                    deployment["version"] = version.saturating_sub(1).into();
                }
            })],
        ),
        sabotage(
            "stop and start without a look",
            "a stop or start goes by what an earlier step saw of the application",
            &["a look before a stop or start", "rule 1"],
            |plan| climbs(plan) || asks(plan, |asked| asked.input.get("stop").is_some()),
            &[
                Way::Instead(|scene, operation, _| {
                    let is_known = !scene.kept("look").is_null();
                    let is_wanted =
                        operation == "DescribeApplication" && (scene.is_in("force-stop") || scene.is_in("restore"));
                    (is_known && is_wanted).then(|| scene.kept("look"))
                }),
                Way::Answered(|scene, operation, _, body| {
                    if operation == "DescribeApplication" {
                        scene.keep("look", body.clone());
                    }
                }),
            ],
        ),
    ]
}

fn looks() -> Vec<Sabotage> {
    vec![
        sabotage(
            "inconclusive is healthy",
            "what cannot be read of a job counts as good",
            &["rule 4", "only what is well is accepted", "the policy is kept"],
            |plan| has_fault(plan, |fault| fault.operation.contains("flink:") || fault.operation.contains("Presigned")),
            &[Way::Returned(|_, function, event, deployment| {
                let reason = &deployment["verdict"]["reasons"][0];
                let is_unread = reason["code"] == "evidenceUnreadable" && reason["what"] != "the application";
                if function == "check-subtasks" && is_verdict(deployment, "Inconclusive") && is_unread {
                    find_well(event, deployment);
                }
            })],
        ),
        sabotage(
            "failing is healthy",
            "a job that was found bad counts as good",
            &["only what is well is accepted", "the policy is kept"],
            brings_bad_code,
            &[Way::Returned(|_, function, event, deployment| {
                if function == "check-subtasks" && is_verdict(deployment, "Failing") {
                    find_well(event, deployment);
                }
            })],
        ),
        sabotage(
            "progressing is healthy",
            "a job that is not steady yet counts as good",
            &["only what is well is accepted", "the policy is kept"],
            |plan| brings(plan, |kind| matches!(kind, Kind::Loop | Kind::SlowRestore)),
            &[Way::Returned(|_, function, event, deployment| {
                if function == "check-subtasks" && is_verdict(deployment, "Progressing") {
                    find_well(event, deployment);
                }
            })],
        ),
        sabotage(
            "outcome without a look",
            "the service's word that the operation was successful is enough",
            &["rule 4"],
            any,
            &[
                Way::Skipped("check-subtasks"),
                Way::Returned(|_, function, event, deployment| {
                    if function == "check-subtasks" {
                        find_well(event, deployment);
                    }
                }),
            ],
        ),
        sabotage(
            "a fall of the count is a fault",
            "a count of restarts that begins again, as of a new submission, is taken for restarts",
            &["what is told is true"],
            |plan| {
                has_around(plan, |around| matches!(around, Around::Maintenance(_) | Around::Autoscale(_)))
                    && brings(plan, |kind| kind == Kind::Healthy)
            },
            &[Way::Returned(|_, function, event, deployment| {
                let submissions = |deployment: &Value| deployment["job"]["resubmissions"].as_u64().unwrap_or_default();
                if function == "check-subtasks" && submissions(deployment) > submissions(&event["deployment"]) {
                    let reason = json!({ "code": "restarts", "count": 3, "tolerated": 2 });
                    deployment["verdict"] = json!({ "is": "Failing", "reasons": [reason.clone()] });
                    deployment["failure"] = json!([reason]);
                    deployment["next"] = "Decide".into();
                }
            })],
        ),
    ]
}

fn policies() -> Vec<Sabotage> {
    vec![
        sabotage(
            "no bake",
            "a job is accepted as soon as it is steady",
            &["the policy is kept"],
            any,
            &[Way::Returned(|_, function, _, deployment| set_policy(function, deployment, "bakeSeconds", 0.into()))],
        ),
        sabotage(
            "any number of restarts",
            "what the policy tolerates is ignored",
            &["the policy is kept"],
            |plan| {
                asks(plan, |asked| {
                    let restarts = |kind| matches!(kind, Kind::OneRestart | Kind::TwoRestarts | Kind::SlowLoop);
                    let tolerated = asked.input["policy"]["toleratedRestarts"].as_u64();
                    asked.code.as_ref().is_some_and(|code| restarts(code.kind)) && tolerated.is_some_and(|it| it < 2)
                })
            },
            &[Way::Returned(|_, function, _, deployment| {
                set_policy(function, deployment, "toleratedRestarts", 1_000_000.into());
            })],
        ),
        sabotage(
            "no checkpoint",
            "a job is accepted that has never completed a checkpoint",
            &["the policy is kept"],
            |plan| {
                let from_the_first =
                    |fault: &JobFault| matches!(fault, JobFault::FailingCheckpoints { from_seconds: 0 });
                asks(plan, |asked| {
                    asked.code.as_ref().is_some_and(|code| code.behaviour.faults.iter().any(from_the_first))
                })
            },
            &[Way::Returned(|_, function, _, deployment| {
                set_policy(function, deployment, "requireCheckpoint", false.into());
            })],
        ),
        sabotage(
            "hold is ignored",
            "a change is undone where the policy wants a person",
            &["the policy is kept"],
            |plan| brings_bad_code(plan) && asks(plan, |asked| asked.input["policy"]["onFailure"] == "hold"),
            &[Way::Returned(|_, function, _, deployment| {
                set_policy(function, deployment, "onFailure", "rollBack".into());
            })],
        ),
    ]
}

fn requests() -> Vec<Sabotage> {
    vec![
        sabotage(
            "no deadline",
            "the deadline lies a year ahead",
            &["rule 6", "everybody ends"],
            |plan| asks(plan, |asked| asked.input["policy"]["deadlineSeconds"].is_number()),
            &[Way::Returned(|_, function, _, deployment| {
                if function == "take-turn" && deployment["next"] == "Prepare" {
                    deployment["deadline"] = "2027-01-01T00:00:00Z".into();
                }
                set_policy(function, deployment, "operationTimeoutSeconds", 21_600.into());
                set_policy(function, deployment, "settleTimeoutSeconds", 43_200.into());
                set_policy(function, deployment, "evidenceTimeoutSeconds", 21_600.into());
            })],
        ),
        sabotage(
            "started unasked",
            "an application that was stopped is started with the change",
            &["rule 4"],
            |plan| has(plan, |part| matches!(part, Part::Quirk(_, Quirk::Stopped))),
            &[Way::Returned(|_, function, _, deployment| {
                if function == "take-turn" {
                    deployment["start"] = true.into();
                }
            })],
        ),
        sabotage(
            "forced instead of graceful",
            "a stop that was to take a snapshot is made by force",
            &["what is asked for is made"],
            |plan| asks(plan, |asked| asked.input["stop"] == "graceful"),
            &[Way::Sent(|_, operation, body| {
                if operation == STOP {
                    body["Force"] = true.into();
                }
            })],
        ),
        sabotage(
            "code of whatever version",
            "the update does not name the object version of the code",
            &["what is asked for is made"],
            any,
            &[Way::Sent(|_, operation, body| {
                let location = "/ApplicationConfigurationUpdate/ApplicationCodeConfigurationUpdate/CodeContentUpdate/\
                                S3ContentLocationUpdate";
                if operation == UPDATE
                    && let Some(location) = body.pointer_mut(location).and_then(Value::as_object_mut)
                {
                    location.remove("ObjectVersionUpdate");
                }
            })],
        ),
    ]
}

fn ladder() -> Vec<Sabotage> {
    vec![
        sabotage(
            "a rung twice",
            "a rollback that was taken already is taken again",
            &["rule 3"],
            |plan| {
                let is_bad_as_well = |part: &Part| match part {
                    Part::Quirk(_, Quirk::Code(code)) => !code.kind.is_always_well(),
                    _ => false,
                };
                brings_bad_code(plan) && has(plan, is_bad_as_well)
            },
            &[Way::Given(|_, function, event| {
                if function == "decide-rollback"
                    && let Some(taken) = event["deployment"]["taken"].as_array_mut()
                {
                    taken.retain(|rung| rung != "RollBack");
                }
            })],
        ),
        sabotage(
            "two rollbacks",
            "the service's own rollback is not noticed, and another one is asked for",
            &["rule 3", "superseded by somebody"],
            |plan| {
                let is_on = has(plan, |part| matches!(part, Part::Quirk(_, Quirk::SystemRollback)));
                is_on && brings(plan, |kind| matches!(kind, Kind::DoesNotStart | Kind::RemovedOperator))
            },
            &[Way::Returned(|scene, function, _, deployment| {
                let mut reasons = deployment["verdict"]["reasons"].as_array().into_iter().flatten();
                let is_begun = reasons.any(|reason| reason["code"] == "systemRollbackBegan");
                if function == "check-operation" && is_begun {
                    let timed_out = json!({ "code": "operationTimedOut", "operation": UPDATE, "seconds": 1_800 });
                    deployment["verdict"]["reasons"] = json!([timed_out]);
                    forget_version(scene, deployment);
                }
            })],
        ),
        sabotage(
            "baseline forgotten",
            "what the application was before the change is noted anew where it is to be put back",
            &["what is told is true", "left well, or told"],
            climbs,
            &[Way::Given(|_, function, event| {
                let deployment = &mut event["deployment"];
                if function == "restore" {
                    deployment["baseline"]["version"] = deployment["version"].clone();
                }
            })],
        ),
        sabotage(
            "NeedsAttention as Superseded",
            "a person who is needed is told that somebody else has taken over",
            &["left well, or told", "superseded by somebody"],
            brings_bad_code,
            &[Way::Returned(|_, _, _, deployment| {
                if deployment["report"]["outcome"] == "NeedsAttention" {
                    deployment["report"]["outcome"] = "Superseded".into();
                    deployment["report"]["success"] = true.into();
                }
            })],
        ),
    ]
}

fn state() -> Vec<Sabotage> {
    vec![
        sabotage(
            "update without run configuration",
            "the update does not say how state is restored",
            &["rule 5"],
            any,
            &[Way::Sent(|_, operation, body| {
                if operation == UPDATE
                    && let Some(body) = body.as_object_mut()
                {
                    body.remove("RunConfigurationUpdate");
                }
            })],
        ),
        sabotage(
            "change without state",
            "the update gives the job's state up",
            &["rule 2"],
            any,
            &[Way::Sent(|_, operation, body| {
                if operation == UPDATE
                    && let Some(run) = run_configuration(operation, body)
                {
                    run["ApplicationRestoreConfiguration"] =
                        json!({ "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" });
                }
            })],
        ),
        sabotage(
            "restore without state",
            "the previous version is started without a snapshot",
            &["rule 2"],
            climbs,
            &[Way::Sent(|scene, operation, body| {
                if operation == START
                    && scene.is_in("restore")
                    && let Some(run) = run_configuration(operation, body)
                {
                    run["ApplicationRestoreConfiguration"] =
                        json!({ "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" });
                }
            })],
        ),
        sabotage(
            "restore from an older snapshot",
            "the previous version is started from the oldest snapshot that there is",
            &["the way back loses least", "rule 2"],
            |plan| {
                climbs(plan)
                    && has(plan, |part| matches!(part, Part::Quirk(_, Quirk::HasSnapshot) | Part::Snapshots(_)))
            },
            &[
                Way::Answered(keep_snapshots),
                Way::Sent(|scene, operation, body| start_from(scene, operation, body, "oldest")),
            ],
        ),
        sabotage(
            "restore from the bad version's snapshot",
            "the previous version is started from the newest snapshot, whatever it is of",
            &["rule 2"],
            |plan| {
                // A machine that dies makes a sound correction look bad, once scaling has taken a snapshot of it.
                asks(plan, |asked| asked.input["stop"] == "force" && asked.code.is_some())
                    && has_around(plan, |around| matches!(around, Around::LoseTaskManager))
                    && has_around(plan, |around| matches!(around, Around::Autoscale(_) | Around::Maintenance(_)))
            },
            &[
                Way::Answered(keep_snapshots),
                Way::Sent(|scene, operation, body| start_from(scene, operation, body, "newest")),
            ],
        ),
    ]
}

fn snapshots() -> Vec<Sabotage> {
    vec![
        sabotage(
            "state dropped unasked",
            "state that no operator claims is dropped, whatever the request says",
            &["what is asked for is made"],
            any,
            &[Way::Sent(|_, operation, body| {
                if let Some(run) = run_configuration(operation, body) {
                    run["FlinkRunConfiguration"] = json!({ "AllowNonRestoredState": true });
                }
            })],
        ),
        sabotage(
            "a snapshot at each look",
            "the snapshot before the update gets another name each time",
            &["rule 7"],
            |plan| asks(plan, |asked| asked.input["policy"]["preDeploySnapshot"] == true),
            &[Way::Sent(|scene, operation, body| {
                if operation == "CreateApplicationSnapshot" && scene.is_in("submit-update") {
                    let name = body["SnapshotName"].as_str().unwrap_or_default();
                    body["SnapshotName"] = format!("{name}-{}", scene.count("snapshots")).into();
                }
            })],
        ),
        sabotage(
            "the newest snapshot is pruned",
            "what is deleted is the newest snapshot instead of the oldest",
            &["the newest snapshot is kept"],
            |plan| has(plan, |part| matches!(part, Part::Snapshots(_))),
            &[
                Way::Answered(keep_snapshots),
                Way::Sent(|scene, operation, body| {
                    let newest = scene.kept("newest");
                    if operation == "DeleteApplicationSnapshot" && newest.is_object() {
                        for member in ["SnapshotName", "SnapshotCreationTimestamp"] {
                            body[member] = newest[member].clone();
                        }
                    }
                }),
            ],
        ),
    ]
}

/// Keeps the oldest and the newest of an application's READY snapshots.
fn keep_snapshots(scene: &Scene, operation: &str, _: &Value, body: &mut Value) {
    if operation != "ListApplicationSnapshots" {
        return;
    }
    let ready = body["SnapshotSummaries"].as_array().into_iter().flatten();
    let mut ready: Vec<&Value> = ready.filter(|snapshot| snapshot["SnapshotStatus"] == "READY").collect();
    ready.sort_by_key(|snapshot| snapshot["SnapshotCreationTimestamp"].as_f64().unwrap_or_default().to_bits());
    if let [oldest, ..] = ready[..] {
        scene.keep("oldest", oldest.clone());
    }
    if let [.., newest] = ready[..] {
        scene.keep("newest", newest.clone());
    }
}

/// Starts the previous version from a snapshot that was kept.
fn start_from(scene: &Scene, operation: &str, body: &mut Value, which: &'static str) {
    let name = scene.kept(which)["SnapshotName"].clone();
    if scene.is_in("restore")
        && name.is_string()
        && let Some(run) = run_configuration(operation, body)
        && run["ApplicationRestoreConfiguration"]["SnapshotName"].is_string()
    {
        run["ApplicationRestoreConfiguration"]["SnapshotName"] = name;
    }
}

fn turns() -> Vec<Sabotage> {
    vec![
        sabotage(
            "turn not asked for",
            "an execution begins although it is another's turn",
            &["rule 9"],
            |plan| several(plan, |_| true),
            &[Way::Returned(|_, function, _, deployment| {
                if function == "take-turn" && deployment["next"] == "WaitForTurn" {
                    deployment["next"] = "Prepare".into();
                    deployment["deadline"] = "2026-01-03T00:00:00Z".into();
                }
            })],
        ),
        sabotage(
            "redriven without a word",
            "a redriven execution goes on as if its turn were its own still",
            &["its turn is asked for"],
            |plan| has(plan, |part| matches!(part, Part::Disturbed(_, Disturbance::Redrive(_)))),
            &[Way::Given(|_, _, event| {
                if event["redrives"].is_u64() {
                    event["redrives"] = 0.into();
                }
            })],
        ),
        sabotage(
            "turns without a condition",
            "the table of turns is written whatever was written since it was read",
            &["rule 9"],
            |plan| {
                let at_once = |one: &Asked| {
                    let is_beside = |other: &Asked| other.number != one.number && other.at_seconds == one.at_seconds;
                    plan.asked().any(|other| other.application == one.application && is_beside(other))
                };
                asks(plan, at_once)
            },
            &[Way::Sent(|scene, operation, body| {
                if operation == "PutItem"
                    && scene.principal != START_DEPLOYMENT
                    && let Some(body) = body.as_object_mut()
                {
                    body.retain(|member, _| member != "ConditionExpression" && member != "ExpressionAttributeValues");
                }
            })],
        ),
        sabotage(
            "waits for ever",
            "who waits for its turn never asks again",
            &["everybody ends", "rule 6"],
            |plan| several(plan, |_| true),
            &[Way::Returned(|_, function, _, deployment| {
                if function == "take-turn" && deployment["next"] == "WaitForTurn" {
                    deployment["waitSeconds"] = 90_000_000.into();
                }
            })],
        ),
        sabotage(
            "an older upload is not overtaken",
            "the table of turns is not told that it is asked for an upload",
            &["rule 9", "the newest upload wins"],
            |plan| several(plan, |asked| asked.is_upload),
            &[Way::Given(|_, function, event| {
                if function == "take-turn"
                    && let Some(input) = event["input"].as_object_mut()
                {
                    input.remove("upload");
                }
            })],
        ),
    ]
}

fn executions() -> Vec<Sabotage> {
    vec![
        sabotage(
            "an event starts twice",
            "the name of an execution is another one each time",
            &["one event, one execution"],
            |plan| has(plan, |part| matches!(part, Part::Disturbed(_, Disturbance::SecondEvent(_)))),
            &[Way::Sent(|scene, operation, body| {
                if operation == "StartExecution" {
                    let name = body["name"].as_str().unwrap_or_default();
                    body["name"] = format!("{name}-{}", scene.count("started")).into();
                }
            })],
        ),
        sabotage(
            "who runs is over",
            "Step Functions is understood to say that the holder of the turn has ended",
            &["rule 9"],
            |plan| several(plan, |_| true),
            &[Way::Answered(|_, operation, _, body| {
                if operation == "DescribeExecution" {
                    body["status"] = "SUCCEEDED".into();
                }
            })],
        ),
        sabotage(
            "who is over runs",
            "Step Functions is understood to say that the holder of the turn still runs",
            &["its turn comes"],
            |plan| several(plan, |_| true),
            &[Way::Answered(|_, operation, _, body| {
                if operation == "DescribeExecution" {
                    body["status"] = "RUNNING".into();
                }
            })],
        ),
    ]
}

fn told() -> Vec<Sabotage> {
    vec![
        sabotage(
            "nobody is told",
            "the notification is not sent",
            &["everybody is told"],
            any,
            &[Way::Skipped("notify")],
        ),
        sabotage(
            "a property's value is told",
            "an event of the report quotes the application's runtime properties",
            &["rule 8"],
            any,
            &[
                Way::Answered(|scene, operation, _, body| {
                    let value = "/ApplicationDetail/ApplicationConfigurationDescription/EnvironmentPropertyDescriptions/\
                                 PropertyGroupDescriptions/0/PropertyMap/db.password";
                    if operation == "DescribeApplication"
                        && let Some(value) = body.pointer(value)
                    {
                        scene.keep("secret", value.clone());
                    }
                }),
                Way::Returned(tell_the_secret),
            ],
        ),
        sabotage(
            "a presigned URL is told",
            "an event of the report quotes the URL of the job's dashboard",
            &["rule 8"],
            any,
            &[
                Way::Answered(|scene, operation, _, body| {
                    if operation == "CreateApplicationPresignedUrl" {
                        scene.keep("secret", body["AuthorizedUrl"].clone());
                    }
                }),
                Way::Returned(tell_the_secret),
            ],
        ),
    ]
}

fn tell_the_secret(scene: &Scene, function: &str, _: &Value, deployment: &mut Value) {
    let secret = scene.kept("secret");
    if function == "decide-rollback" && secret.is_string() {
        tell(deployment, &secret);
    }
}

fn things_of_others() -> Vec<Sabotage> {
    vec![sabotage(
        "another application is stopped",
        "the stop names another application",
        &["rule 1"],
        |plan| plan.applications > 1 && asks(plan, |asked| asked.input.get("stop").is_some()),
        &[Way::Sent(|scene, operation, body| {
            if operation == STOP && scene.kept(FUNCTION) == "force-stop" {
                let other = if body["ApplicationName"] == "orders" { "payments" } else { "orders" };
                body["ApplicationName"] = other.into();
            }
        })],
    )]
}
