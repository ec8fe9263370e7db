//! What the catalogue does not play and permissions are needed for: uploads, runs of snapshots, and deployments in which a
//! step looks for what became of a call whose answer it never had.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use emulator::simulated::{Behaviour, JobFault, SimulatedDataPlane};
use emulator::{Effect, Emulator, EmulatorConfig, Fault, Occurrences, PlantedSnapshot};
use handler::Environment;
use jiff::SignedDuration;
use lifecycle::turn::Claim;
use serde_json::{Value, json};
use start_deployment::{Settings, Starter, start_deployment};
use turns::TurnTable;

use super::PermissionError;
use super::usage::{Seen, in_virtual_time};
use crate::scenario::{Crash, CrashKind, Happening, Planned, Scenario};
use crate::snapshot_scenarios::{SNAPSHOT_FUNCTIONS, SnapshotApp};
use crate::world::{App, BUCKET, BUS, MACHINE, OPERATOR, TOPIC, TURNS, World, noon};

/// The sample event of an upload.
const UPLOAD: &str = include_str!("../../../events/triggers/object-created.json");
const START_DEPLOYMENT: &str = "start-deployment";

fn fault(operation: &str, effect: Effect) -> Happening {
    Happening::Fault(Fault::new(operation, effect).on(Occurrences::Always))
}

fn operation_fails(operation: &str) -> Happening {
    fault(operation, Effect::OperationFails("injected".to_owned()))
}

/// The function hangs when it has made its call, and the next time before it looks for what came of it.
fn hangs(function: &'static str, call: u32) -> Vec<Crash> {
    vec![
        Crash { function, call, how: CrashKind::HangsAfter },
        Crash { function, call: call + 1, how: CrashKind::HangsBefore },
    ]
}

/// Deployments beside those of the catalogue. What must come of them the catalogue's own scenarios say.
pub fn scenarios() -> Vec<Scenario> {
    let crash_loop = || Some(Behaviour::from(JobFault::OpenFails));
    let another_role = json!({ "update": { "ServiceExecutionRoleUpdate": "arn:aws:iam::123456789012:role/orders-2" } });
    let somebodys_update = json!({ "CurrentApplicationVersionId": null, "ApplicationConfigurationUpdate": {
        "FlinkApplicationConfigurationUpdate": { "ParallelismConfigurationUpdate":
            { "ConfigurationTypeUpdate": "CUSTOM", "ParallelismUpdate": 4 } } } });
    let refuses_rollback =
        Effect::Error { code: "InvalidRequestException".to_owned(), status: 400, message: "injected".to_owned() };
    vec![
        Scenario::new(
            "update-fails-unseen",
            "The service undoes the update before submit-update, which hung, looks for it.",
        )
        .of(App { system_rollback: true, ..App::default() })
        .when(0, operation_fails("UpdateApplication"))
        .deploy(Planned {
            code: Some(Behaviour::healthy()),
            input: json!({}),
            crashes: hangs("submit-update", 2),
            ..Planned::default()
        }),
        Scenario::new(
            "rollback-fails-unseen",
            "The rollback fails, and somebody updates before roll-back, which hung, looks.",
        )
        .when(0, operation_fails("RollbackApplication"))
        .when(260, Happening::ByHand { operation: "UpdateApplication", body: somebodys_update })
        .deploy(Planned {
            code: crash_loop(),
            input: json!({}),
            crashes: hangs("roll-back", 1),
            ..Planned::default()
        }),
        Scenario::new("role-put-back", "The old execution role is put back with the old configuration.")
            .when(0, fault("RollbackApplication", refuses_rollback))
            .deploy(Planned { code: crash_loop(), input: another_role, ..Planned::default() }),
    ]
}

/// Uploads: one that is deployed, and one that is refused.
///
/// # Errors
/// When the function fails.
pub fn uploads(seen: &mut Seen) -> Result<(), PermissionError> {
    const PLACE: &str = "upload";
    in_virtual_time(PLACE, async {
        let world = World::new(1);
        let settings = Settings::read(|name| match name {
            "STATE_MACHINE_ARN" => Some(world.emulator.executions().state_machine_arn(MACHINE)),
            "TURNS_TABLE" => Some(TURNS.to_owned()),
            "CODE_BUCKET" => Some(BUCKET.to_owned()),
            _ => None,
        });
        let environment = Environment {
            topic_arn: Some(TOPIC.to_owned()),
            event_bus: Some(BUS.to_owned()),
            ..Environment::default()
        };
        let settings = settings.map_err(|error| error.to_string())?;
        let starter = Starter::new(&world.sdk(START_DEPLOYMENT), &environment, settings);
        let event: Value = serde_json::from_str(UPLOAD).map_err(|error| error.to_string())?;
        let mut elsewhere = event.clone();
        elsewhere["detail"]["bucket"]["name"] = json!("another");
        for event in [event, elsewhere] {
            start_deployment(&starter, event).await.map_err(|error| error.to_string())?;
        }
        seen.add(&world.emulator.accesses(), &[START_DEPLOYMENT], PLACE);
        Ok(())
    })
}

/// Runs of snapshots: one of an application that has a tag, with others to prune; one that fails; and one with a
/// deployment in between.
///
/// # Errors
/// When a run cannot be played.
pub fn snapshots(seen: &mut Seen) -> Result<(), PermissionError> {
    let orders = || SnapshotApp { tags: vec![("snapshots", "scheduled")], ..SnapshotApp::new("orders") };
    let slow = SnapshotApp { behaviour: JobFault::SlowSnapshot { seconds: 60 }.into(), ..orders() };
    let places = [
        ("snapshots", orders()),
        ("snapshot-fails", orders()),
        ("snapshot-and-deployment", slow),
        ("deletion-is-refused", orders()),
    ];
    for (place, app) in places {
        in_virtual_time(place, async {
            let world = World::new(1);
            world.create_all(&[app]).await?;
            let now = world.clock.now();
            let plant = |hours| {
                let created = now - SignedDuration::from_hours(hours);
                PlantedSnapshot::new(format!("scheduled-{}", created.strftime("%Y%m%dT%H%M%SZ")), created)
            };
            let planted = world.emulator.plant_snapshots("orders", (1..=9).map(plant).collect());
            planted.map_err(|error| error.to_string())?;
            if place == "snapshot-fails" {
                let effect = Effect::OperationFails("no reason given".to_owned());
                world.emulator.inject(Fault::new("CreateApplicationSnapshot", effect));
            }
            if place == "deletion-is-refused" {
                let code = "ResourceInUseException".to_owned();
                let effect = Effect::Error { code, status: 400, message: "it is being restored".to_owned() };
                world.emulator.inject(Fault::new("DeleteApplicationSnapshot", effect).on(Occurrences::First(1)));
            }
            let deploys = place == "snapshot-and-deployment";
            let input = json!({
                "tag": { "key": "snapshots", "value": "scheduled" },
                "scheduledAt": noon(),
                "retention": { "keepNewest": 3, "keepYoungerThanHours": 0 },
            });
            let (run, begun) = tokio::join!(world.take_snapshots(place, &input), async {
                world.clock.sleep(Duration::from_secs(10)).await;
                if deploys { begin_deployment(&world).await } else { Ok(()) }
            });
            run?;
            begun?;
            if deploys {
                world.take_snapshots("meanwhile", &json!({ "application": "orders" })).await?;
            }
            seen.add(&world.emulator.accesses(), &SNAPSHOT_FUNCTIONS.map(|(_, function)| function), place);
            Ok(())
        })?;
    }
    Ok(())
}

/// An execution of the deploy state machine takes its turn with the application.
async fn begin_deployment(world: &World) -> Result<(), String> {
    let execution =
        world.emulator.executions().started(MACHINE, "orders-2", "{}").map_err(|error| error.to_string())?;
    let now = world.clock.now();
    let turns = TurnTable::new(&world.sdk(OPERATOR), TURNS);
    let asked = turns.ask("orders", &Claim::new(&execution.arn, now, None), now).await;
    asked.map(|_| ()).map_err(|error| error.to_string())
}

/// A world's emulator, for whoever plays a scenario on a stage of its own.
pub(super) fn emulator() -> Emulator {
    let clock = Clock::starting_at(noon(), 1);
    let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 1));
    Emulator::new(EmulatorConfig::new(clock, data_plane))
}
