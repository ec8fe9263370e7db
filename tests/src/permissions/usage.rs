//! Which function makes which call in which scenario, from the emulator's record: each function signs with a name of its
//! own.

use std::collections::BTreeMap;
use std::sync::Arc;

use asl::{TaskError, TaskHandler};
use async_trait::async_trait;
use emulator::Access;
use serde_json::Value;

use super::{PermissionError, Use, in_stack, ways_in};
use crate::catalogue::catalogue;
use crate::scenario::{Logs, Scenario};
use crate::world::{FUNCTIONS, Functions, Stage, World};

/// The functions, each with credentials of its own.
struct EachItsOwn(BTreeMap<String, Functions>);

#[async_trait]
impl TaskHandler for EachItsOwn {
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError> {
        self.0[function_name].invoke(function_name, payload).await
    }
}

/// A stage on which each function signs its calls with its own name.
struct Apart;

impl Stage for Apart {
    fn functions(&self, world: &World, _execution: &str) -> Arc<dyn TaskHandler> {
        let functions = FUNCTIONS.map(|(_, function)| (function.to_owned(), world.functions(function)));
        Arc::new(EachItsOwn(BTreeMap::from(functions)))
    }
}

/// Plays a scenario so that the functions sign with their names, and hands back the permissions that it used.
///
/// # Errors
/// When the world could not be set up, or the engine did not take an execution.
pub fn accesses(scenario: &Scenario) -> Result<Vec<Access>, PermissionError> {
    in_virtual_time(scenario.name, async {
        let emulator = ways_in::emulator();
        scenario.play(World::on(Arc::new(Apart), emulator.clone(), 1), &Logs::default()).await?;
        Ok(emulator.accesses())
    })
}

/// Runs what is played to its end, on a runtime of its own in virtual time.
pub(super) fn in_virtual_time<T>(
    place: &str,
    played: impl Future<Output = Result<T, String>>,
) -> Result<T, PermissionError> {
    let failed = |problem: String| PermissionError::Scenario { scenario: place.to_owned(), problem };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.map_err(|error| failed(error.to_string()))?.block_on(played).map_err(failed)
}

/// The calls to AWS of all functions: in every scenario of the catalogue, and in what it does not play.
///
/// # Errors
/// When something could not be played.
pub fn all() -> Result<Vec<Use>, PermissionError> {
    let scenarios = [catalogue(), ways_in::scenarios()].concat();
    let mut seen = deployments(&scenarios)?;
    ways_in::uploads(&mut seen)?;
    ways_in::snapshots(&mut seen)?;
    Ok(seen.uses())
}

/// The calls to AWS of all functions in these deployments.
///
/// # Errors
/// When a scenario could not be run.
pub fn deployments(scenarios: &[Scenario]) -> Result<Seen, PermissionError> {
    let collect = |scenarios: &[Scenario]| -> Result<Seen, PermissionError> {
        let mut seen = Seen::default();
        for scenario in scenarios {
            seen.add(&accesses(scenario)?, &FUNCTIONS.map(|(_, function)| function), scenario.name);
        }
        Ok(seen)
    };
    // There are many: half of them in a thread of its own.
    let (first, second) = scenarios.split_at(scenarios.len() / 2);
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| collect(second));
        (collect(first), second.join())
    });
    let panicked =
        |_| PermissionError::Scenario { scenario: "one of them".to_owned(), problem: "it panicked".to_owned() };
    let mut seen = first?;
    seen.merge(second.map_err(panicked)??);
    Ok(seen)
}

/// Calls, each with one place where it was seen.
#[derive(Debug, Clone, Default)]
pub struct Seen(BTreeMap<(String, String, String), String>);

impl Seen {
    /// Adds what these functions used, where they sign with their names.
    pub fn add(&mut self, accesses: &[Access], functions: &[&str], place: &str) {
        for access in accesses {
            let function = access.principal.as_deref().filter(|principal| functions.contains(principal));
            for (function, resource) in
                function.into_iter().flat_map(|name| access.resources.iter().map(move |it| (name, it)))
            {
                let call = (function.to_owned(), access.action.clone(), in_stack(resource));
                self.0.entry(call).or_insert_with(|| place.to_owned());
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (call, place) in other.0 {
            self.0.entry(call).or_insert(place);
        }
    }

    /// What was seen.
    pub fn uses(&self) -> Vec<Use> {
        let uses = self.0.iter();
        uses.map(|((function, action, resource), place)| Use::new(function, action, resource, place)).collect()
    }
}
