//! Teeth: whether the simulation would notice if the software were broken. Each sabotage breaks one thing, from outside and
//! without a change of the shipped code: what a Lambda is given or returns, or what goes over the wire. It is caught where
//! a seed of which the sound software makes no mistake leaves one behind, of a demand that is meant to notice.

mod catalogue;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use asl::{TaskError, TaskHandler};
use async_trait::async_trait;
use emulator::Emulator;
use serde_json::Value;

pub use catalogue::all;

use crate::simulation::judge::Mistake;
use crate::simulation::plan::Plan;
use crate::simulation::table::Table;
use crate::wire::Wire;
use crate::world::{Functions, InProcess, Stage, World};

/// Seeds from 0 to here are drawn, and those plans are played in which the sabotage can show.
const SEEDS: u64 = 200_000;
/// As many are played, at most.
const MOST_PLAYED: usize = 1_000;

/// Something that is broken on purpose.
#[derive(Debug, Clone)]
pub struct Sabotage {
    /// Its name.
    pub name: &'static str,
    /// What it breaks, in a sentence.
    pub breaks: &'static str,
    /// The demands of the judge that are meant to notice, any of them.
    pub noticed_by: &'static [&'static str],
    /// Plans in which it can show.
    can_show: fn(&Plan) -> bool,
    ways: Vec<Way>,
}

/// How something is broken.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// What the Lambda of this name is given is altered.
    Given(fn(&Scene, &str, &mut Value)),
    /// What the Lambda of this name returns, given this, is altered.
    Returned(fn(&Scene, &str, &Value, &mut Value)),
    /// This Lambda does nothing, and returns the deployment as it was.
    Skipped(&'static str),
    /// What is sent to this operation of a service is altered.
    Sent(fn(&Scene, &str, &mut Value)),
    /// What this operation answers to what was sent is altered.
    Answered(fn(&Scene, &str, &Value, &mut Value)),
    /// Such a call is answered without the service being asked.
    Instead(fn(&Scene, &str, &Value) -> Option<Value>),
}

/// Where one caller is sabotaged.
#[derive(Debug, Clone)]
struct Scene {
    emulator: Emulator,
    principal: String,
    memory: Memory,
}

/// What was kept, by whom and under which name.
type Memory = Arc<Mutex<BTreeMap<(String, &'static str), Value>>>;

impl Scene {
    /// The version that the application has, whatever the caller knows of it.
    fn version_at_hand(&self, application: &Value) -> Option<u64> {
        self.emulator.application(application.as_str()?).map(|it| it.version)
    }

    fn keep(&self, what: &'static str, value: Value) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.insert((self.principal.clone(), what), value);
    }

    /// What was kept; null where nothing was.
    fn kept(&self, what: &'static str) -> Value {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.get(&(self.principal.clone(), what)).cloned().unwrap_or_default()
    }

    /// How often this was asked before.
    fn count(&self, what: &'static str) -> u64 {
        let before = self.kept(what).as_u64().unwrap_or_default();
        self.keep(what, (before + 1).into());
        before
    }

    /// The Lambda that runs, or ran last.
    fn is_in(&self, function: &str) -> bool {
        self.kept(FUNCTION) == function
    }
}

/// Where the Lambda that runs is kept.
const FUNCTION: &str = "function";

/// A stage on which everybody is sabotaged.
struct Saboteur {
    ways: Vec<Way>,
    memory: Memory,
}

impl Saboteur {
    fn new(sabotage: &Sabotage) -> Self {
        Self { ways: sabotage.ways.clone(), memory: Memory::default() }
    }

    fn scene(&self, world: &World, principal: &str) -> Scene {
        Scene { emulator: world.emulator.clone(), principal: principal.to_owned(), memory: Arc::clone(&self.memory) }
    }
}

impl Stage for Saboteur {
    fn functions(&self, world: &World, execution: &str) -> Arc<dyn TaskHandler> {
        let functions = world.functions(execution);
        Arc::new(Sabotaged { functions, scene: self.scene(world, execution), ways: self.ways.clone() })
    }

    fn wire(&self, world: &World, principal: &str) -> Option<Arc<dyn Wire>> {
        Some(Arc::new(Tapped { scene: self.scene(world, principal), ways: self.ways.clone() }))
    }
}

/// The shipped handlers, sabotaged.
struct Sabotaged {
    functions: Functions,
    scene: Scene,
    ways: Vec<Way>,
}

#[async_trait]
impl TaskHandler for Sabotaged {
    async fn invoke(&self, function_name: &str, mut payload: Value) -> Result<Value, TaskError> {
        let Self { functions, scene, ways } = self;
        scene.keep(FUNCTION, function_name.into());
        for way in ways {
            if let Way::Given(alter) = way {
                alter(scene, function_name, &mut payload);
            }
        }
        let is_skipped = ways.iter().any(|way| matches!(way, Way::Skipped(function) if *function == function_name));
        let mut returned = if is_skipped {
            payload.get("deployment").cloned().unwrap_or_default()
        } else {
            functions.invoke(function_name, payload.clone()).await?
        };
        for way in ways {
            if let Way::Returned(alter) = way {
                alter(scene, function_name, &payload, &mut returned);
            }
        }
        Ok(returned)
    }
}

/// The way to the services, sabotaged.
struct Tapped {
    scene: Scene,
    ways: Vec<Way>,
}

impl Wire for Tapped {
    fn request(&self, operation: &str, body: &mut Value) {
        for way in &self.ways {
            if let Way::Sent(alter) = way {
                alter(&self.scene, operation, body);
            }
        }
    }

    fn instead(&self, operation: &str, body: &Value) -> Option<Value> {
        self.ways.iter().find_map(|way| match way {
            Way::Instead(answer) => answer(&self.scene, operation, body),
            _ => None,
        })
    }

    fn answer(&self, operation: &str, sent: &Value, body: &mut Value) {
        for way in &self.ways {
            if let Way::Answered(alter) = way {
                alter(&self.scene, operation, sent, body);
            }
        }
    }
}

/// What came of a sabotage.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The sabotage.
    pub sabotage: Sabotage,
    /// The seed that caught it, and by which mistake; none where it survived.
    pub caught: Option<(u64, Mistake)>,
    /// How many plans were played for that.
    pub played: u64,
}

/// What came of all of them.
#[derive(Debug, Clone)]
pub struct Trials(pub Vec<Trial>);

impl Trials {
    /// Those that nobody noticed.
    pub fn survivors(&self) -> impl Iterator<Item = &Trial> {
        self.0.iter().filter(|trial| trial.caught.is_none())
    }
}

impl fmt::Display for Trials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["mutation", "what it breaks", "caught at seed", "by"]);
        for Trial { sabotage: Sabotage { name, breaks, .. }, caught, played } in &self.0 {
            let (seed, by) = match caught {
                Some((seed, mistake)) => (seed.to_string(), mistake.demand.clone()),
                None => ("SURVIVED".to_owned(), format!("nothing, in {played} plans")),
            };
            table.row([(*name).to_owned(), (*breaks).to_owned(), seed, by]);
        }
        write!(formatter, "{table}")
    }
}

impl Sabotage {
    /// A stage on which everybody is sabotaged so, for one plan.
    pub fn stage(&self) -> Arc<dyn Stage> {
        Arc::new(Saboteur::new(self))
    }

    /// Looks for the first seed that catches it.
    ///
    /// # Errors
    /// When a world could not be set up.
    pub fn try_out(&self) -> Result<Trial, String> {
        self.try_out_on(0..SEEDS)
    }

    fn try_out_on(&self, seeds: Range<u64>) -> Result<Trial, String> {
        let mut played = 0;
        let plans = seeds.map(Plan::draw).filter(|plan| (self.can_show)(plan));
        for plan in plans.take(MOST_PLAYED) {
            played += 1;
            if let Some(mistake) = self.caught_by(&plan)? {
                let caught = Some((plan.seed, mistake));
                return Ok(Trial { sabotage: self.clone(), caught, played });
            }
        }
        Ok(Trial { sabotage: self.clone(), caught: None, played })
    }

    /// The mistake by which this plan catches it; none where it does not, or where the sound software makes one, too.
    fn caught_by(&self, plan: &Plan) -> Result<Option<Mistake>, String> {
        let aftermath = plan.clone().play(self.stage())?;
        let mistakes = aftermath.mistakes();
        let Some(mistake) = mistakes.into_iter().find(|it| self.noticed_by.contains(&&*it.demand)) else {
            return Ok(None);
        };
        let aftermath = plan.clone().play(Arc::new(InProcess))?;
        let is_sound = aftermath.mistakes().is_empty();
        Ok(is_sound.then_some(mistake))
    }
}

/// Tries all of them on so many threads.
///
/// # Errors
/// When a world could not be set up.
pub fn run(threads: usize, progress: &(dyn Fn(&Trial) + Sync)) -> Result<Trials, String> {
    let sabotages = all();
    let next = AtomicUsize::new(0);
    let tried = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(sabotage) = sabotages.get(place) else { break };
            let trial = sabotage.try_out();
            if let Ok(trial) = &trial {
                progress(trial);
            }
            tried.lock().unwrap_or_else(PoisonError::into_inner).insert(place, trial);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let tried = tried.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Trials(tried.into_values().collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_breaks_nothing_survives() -> Result<(), String> {
        let demands = &["rule 1", "rule 2", "rule 4", "rule 9", "left well, or told", "what is told is true"];
        let alter = Way::Sent(|scene, operation, _| scene.keep("operation", operation.into()));
        let sabotage =
            Sabotage { name: "none", breaks: "nothing", noticed_by: demands, can_show: |_| true, ways: vec![alter] };
        let trial = sabotage.try_out_on(0..6)?;
        assert_eq!((trial.caught, trial.played), (None, 6));
        let table = Trials(vec![Trial { sabotage, caught: None, played: 6 }]);
        assert_eq!(table.survivors().count(), 1);
        assert!(table.to_string().contains("SURVIVED"), "{table}");
        Ok(())
    }

    #[test]
    fn each_has_a_name_of_its_own_and_somebody_to_notice_it() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|sabotage| sabotage.name).collect();
        assert!(names.len() == all.len() && all.len() >= 40, "{} names of {}", names.len(), all.len());
        assert!(all.iter().all(|sabotage| !sabotage.noticed_by.is_empty() && !sabotage.ways.is_empty()));
    }
}
