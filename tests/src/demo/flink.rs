//! Scenarios on a real Apache Flink: which ones can be, the JARs that behave as their code should, and the short times
//! with which a person need not wait for long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use emulator::Timings;
use emulator::data_plane::DataPlane;
use emulator::flink::{FlinkDataPlane, FlinkError, FlinkOptions, FlinkVersion, default_tools_directory, job_jars};
use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use serde_json::json;
use tempfile::TempDir;

use crate::scenario::{Planned, Scenario};
use crate::world::App;

/// Seconds that a job is to be steady for, instead of the policy's 60.
pub const SETTLE_SECONDS: u32 = 10;
/// Seconds of quiet time, instead of the policy's 300.
pub const BAKE_SECONDS: u32 = 20;
/// Seconds between checkpoints.
const CHECKPOINT_SECONDS: u32 = 2;
/// Seconds between two deployments, at least, for the first to be over when the second begins.
const APART_SECONDS: u64 = 600;
/// Delay before a failed job is restarted.
const RESTART_DELAY: Duration = Duration::from_secs(2);

/// Why there is no real Flink.
#[derive(Debug, thiserror::Error)]
pub enum RealFlinkError {
    /// It could not be fetched or started.
    #[error(transparent)]
    Flink(#[from] FlinkError),
    /// There is no place for the ledgers.
    #[error("cannot make a temporary folder")]
    Folder(#[source] std::io::Error),
    /// A JAR cannot be read.
    #[error("cannot read {}", .path.display())]
    Jar {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
}

/// A real Flink, and the JARs to run on it.
#[derive(Debug)]
pub struct RealFlink {
    data_plane: Arc<FlinkDataPlane>,
    jars: BTreeMap<String, Bytes>,
    /// Where the jobs' ledgers are.
    folder: TempDir,
}

impl RealFlink {
    /// Fetches Flink, if it is not on this machine yet, and makes the JARs.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn launch(version: FlinkVersion) -> Result<Self, RealFlinkError> {
        Self::launch_all(vec![version], RESTART_DELAY).await
    }

    /// The same for several versions, where a failed job is restarted after this delay.
    ///
    /// # Errors
    /// When one cannot be had.
    pub async fn launch_all(versions: Vec<FlinkVersion>, restart_delay: Duration) -> Result<Self, RealFlinkError> {
        let mut jars = BTreeMap::new();
        for (variant, path) in job_jars(&default_tools_directory()).await? {
            match tokio::fs::read(&path).await {
                Ok(content) => jars.insert(variant, Bytes::from(content)),
                Err(source) => return Err(RealFlinkError::Jar { path, source }),
            };
        }
        let options = FlinkOptions { versions, restart_delay, ..FlinkOptions::default() };
        let folder = tempfile::tempdir().map_err(RealFlinkError::Folder)?;
        Ok(Self { data_plane: Arc::new(FlinkDataPlane::launch(options).await?), jars, folder })
    }

    /// The JAR of a fault job (`tests/flink-jobs`); none if there is none of that name.
    pub fn jar(&self, variant: &str) -> Option<Bytes> {
        self.jars.get(variant).cloned()
    }

    /// A folder for the jobs' ledgers, which goes with this.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What runs the jobs, with what its clusters cost.
    pub fn clusters(&self) -> Arc<FlinkDataPlane> {
        Arc::clone(&self.data_plane)
    }

    /// What runs the jobs.
    pub fn data_plane(&self) -> Arc<dyn DataPlane> {
        self.data_plane.clone()
    }

    /// How long the service takes besides Flink.
    pub fn timings(&self) -> Timings {
        Timings::brisk()
    }

    /// The JAR that behaves so; empty, and so refused by Flink, if there is none.
    pub fn jar_of(&self, behaviour: &Behaviour) -> Bytes {
        variant_of(behaviour).and_then(|variant| self.jar(variant)).unwrap_or_default()
    }
}

/// The fault job that behaves so (`tests/flink-jobs`), if there is one.
fn variant_of(behaviour: &Behaviour) -> Option<&'static str> {
    if !matches!(behaviour.restart_delay, None | Some(RestartDelay::Fixed { .. })) {
        return None;
    }
    Some(match behaviour.faults.as_slice() {
        [] => "healthy",
        [JobFault::OpenFails] => "open-fails",
        [JobFault::MainThrows] => "main-throws",
        [JobFault::NoExecute] => "no-execute",
        [JobFault::MissingMainClass] => "missing-main-class",
        [JobFault::CorruptJar] => "not-a-zip",
        [JobFault::IncompatibleState] => "incompatible-type",
        [JobFault::RemovedUid] => "removed-uid",
        _ => return None,
    })
}

/// The scenario as a real Flink of this version can play it: with that runtime and short times. None if its code has no
/// JAR, or if it is about something else than code that is deployed to a running application of any version.
pub fn on_real_flink(scenario: &Scenario, version: FlinkVersion) -> Option<Scenario> {
    let app = &scenario.app;
    let usual = App::default();
    let is_usual = app.is_running
        && app.behaviour == usual.behaviour
        && app.runtime == usual.runtime
        && app.checkpoint_seconds.is_none_or(|seconds| Some(seconds) == usual.checkpoint_seconds);
    let mut last = None;
    let is_in_turn = scenario.deployments.iter().all(|planned| {
        let gap = last.replace(planned.at_seconds).map(|last| planned.at_seconds.saturating_sub(last));
        gap.is_none_or(|gap| gap >= APART_SECONDS)
    });
    let are_code_alone = scenario.deployments.iter().all(is_code_alone);
    if !scenario.happenings.is_empty() || !is_usual || !is_in_turn || !are_code_alone {
        return None;
    }
    let mut scenario = scenario.clone();
    scenario.app.runtime = version.runtime();
    scenario.app.checkpoint_seconds = scenario.app.checkpoint_seconds.map(|_| CHECKPOINT_SECONDS);
    for planned in &mut scenario.deployments {
        planned.input = json!({ "policy": { "settleSeconds": SETTLE_SECONDS, "bakeSeconds": BAKE_SECONDS } });
    }
    Some(scenario)
}

/// Whether this deploys code that there is a JAR of, and neither it nor what befalls it is unusual.
fn is_code_alone(planned: &Planned) -> bool {
    planned.code.as_ref().and_then(variant_of).is_some()
        && planned.input.as_object().is_none_or(serde_json::Map::is_empty)
        && planned.crashes.is_empty()
        && planned.abort_after_seconds.is_none()
        && planned.redrive_after_seconds.is_none()
        && planned.clock_ahead_seconds == 0
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::catalogue::scenario;

    fn policy_on_flink(name: &str, version: FlinkVersion) -> Option<Value> {
        let scenario = on_real_flink(&scenario(name).unwrap(), version)?;
        assert_eq!(scenario.app.runtime, version.runtime());
        scenario.deployments.first().map(|planned| planned.input["policy"].clone())
    }

    #[test]
    fn scenarios_of_code_alone_run_on_a_real_flink_with_short_times() {
        for name in ["healthy", "healthy-then-crash-loop", "main-throws"] {
            let policy = policy_on_flink(name, FlinkVersion::V2_2);
            assert_eq!(policy, Some(json!({ "settleSeconds": 10, "bakeSeconds": 20 })), "{name}");
        }
    }

    #[test]
    fn others_do_not() {
        let others = ["one-restart", "second-waits", "flink-404", "rare-checkpoints", "clock-ahead", "no-restart"];
        for name in others {
            assert_eq!(policy_on_flink(name, FlinkVersion::V1_20), None, "{name}");
        }
    }
}
