//! Pages of deployments to look at, as `flinkctl` makes them, of scenarios that are played in virtual time: for the tests
//! of the page in a browser, and for its picture in the README.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use asl::{Event, EventKind, TaskHandler};
use flinkctl::executions::Execution;
use flinkctl::visits::Visit;
use serde_json::Value;

use crate::scenario::{Deployed, Logs, Scenario};
use crate::world::{Stage, World};

/// The handlers in this process, and the visits to states of every execution, by its name.
#[derive(Default)]
struct Visited(Mutex<BTreeMap<String, Vec<Visit>>>);

impl Stage for Visited {
    fn functions(&self, world: &World, execution: &str) -> Arc<dyn TaskHandler> {
        Arc::new(world.functions(execution))
    }

    fn observe(&self, event: &Event<'_>) {
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let visits = visits.entry(event.execution.to_owned()).or_default();
        let deployment = |data: &Value| serde_json::from_value(data.clone()).ok();
        match event.kind {
            EventKind::StateEntered { state, input, .. } => visits.push(Visit {
                state: state.to_owned(),
                entered_at: event.at,
                exited_at: None,
                deployment: deployment(input),
            }),
            EventKind::StateExited { state, output } => {
                if let Some(visit) = visits.iter_mut().rfind(|visit| visit.state == state) {
                    visit.exited_at = Some(event.at);
                    visit.deployment = deployment(output).or(visit.deployment.take());
                }
            }
            _ => {}
        }
    }
}

/// The executions of a scenario, each with its visits.
///
/// # Errors
/// When the world could not be set up, or the engine did not take an execution.
pub fn executions(scenario: &Scenario) -> Result<Vec<(Execution, Vec<Visit>)>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let stage = Arc::new(Visited::default());
    let run = runtime.map_err(|error| error.to_string())?.block_on(async {
        let world = World::staged(Arc::clone(&stage) as Arc<dyn Stage>, 1);
        scenario.play(world, &Logs::default()).await
    })?;
    let mut visits = stage.0.lock().unwrap_or_else(PoisonError::into_inner);
    let told = run
        .deployments
        .iter()
        .map(|deployed| (execution(deployed), visits.remove(&deployed.trace.name).unwrap_or_default()));
    Ok(told.collect())
}

/// An execution as Step Functions would describe it.
fn execution(deployed: &Deployed) -> Execution {
    let trace = &deployed.trace;
    Execution {
        arn: format!("arn:aws:states:us-east-1:123456789012:execution:deploy:{}", trace.name),
        name: trace.name.clone(),
        application: Some(trace.application.clone()),
        reason: trace.input["reason"].as_str().map(str::to_owned),
        status: trace.status.name().to_owned(),
        started_at: trace.started_at,
        ended_at: Some(trace.ended_at),
        report: deployed.report.clone(),
    }
}
