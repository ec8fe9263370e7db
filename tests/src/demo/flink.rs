//! Scenarios on a real Apache Flink: which ones can be, the JARs that behave as their code should, and the short times
//! with which a person need not wait for long.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use emulator::Timings;
use emulator::data_plane::DataPlane;
use emulator::flink::{FlinkDataPlane, FlinkError, FlinkOptions, FlinkVersion, default_tools_directory, job_jars};
use emulator::simulated::{Behaviour, JobFault};
use serde_json::json;

use crate::scenario::Scenario;

/// Seconds that a job is to be steady for, instead of the policy's 60.
pub const SETTLE_SECONDS: u32 = 10;
/// Seconds of quiet time, instead of the policy's 300.
pub const BAKE_SECONDS: u32 = 20;
/// Seconds between checkpoints.
const CHECKPOINT_SECONDS: u32 = 2;
/// Delay before a failed job is restarted.
const RESTART_DELAY: Duration = Duration::from_secs(2);

/// Why there is no real Flink.
#[derive(Debug, thiserror::Error)]
pub enum RealFlinkError {
    /// It could not be fetched or started.
    #[error(transparent)]
    Flink(#[from] FlinkError),
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
}

impl RealFlink {
    /// Fetches Flink, if it is not on this machine yet, and makes the JARs.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn launch(version: FlinkVersion) -> Result<Self, RealFlinkError> {
        let mut jars = BTreeMap::new();
        for (variant, path) in job_jars(&default_tools_directory()).await? {
            match tokio::fs::read(&path).await {
                Ok(content) => jars.insert(variant, Bytes::from(content)),
                Err(source) => return Err(RealFlinkError::Jar { path, source }),
            };
        }
        let options = FlinkOptions { versions: vec![version], restart_delay: RESTART_DELAY, ..FlinkOptions::default() };
        Ok(Self { data_plane: Arc::new(FlinkDataPlane::launch(options).await?), jars })
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
        variant_of(behaviour).and_then(|variant| self.jars.get(variant)).cloned().unwrap_or_default()
    }
}

/// The fault job that behaves so (`tests/flink-jobs`), if there is one.
fn variant_of(behaviour: &Behaviour) -> Option<&'static str> {
    Some(match behaviour.faults.as_slice() {
        [] => "healthy",
        [JobFault::OpenFails] => "open-fails",
        [JobFault::MainThrows] => "main-throws",
        [JobFault::NoExecute] => "no-execute",
        [JobFault::MissingMainClass] => "missing-main-class",
        [JobFault::CorruptJar] => "not-a-zip",
        [JobFault::IncompatibleState] => "incompatible-type",
        [JobFault::RemovedUid] => "removed-uid",
        [JobFault::SnapshotFails] => "snapshot-fails",
        _ => return None,
    })
}

/// The scenario as a real Flink of this version can play it: with that runtime and short times. None if its code has no
/// JAR, or if it is about times or a world that a real Flink does not share.
pub fn on_real_flink(scenario: &Scenario, version: FlinkVersion) -> Option<Scenario> {
    let mut scenario = scenario.clone();
    let codes = scenario.deployments.iter().filter_map(|planned| planned.code.as_ref());
    let has_jars = codes.chain([&scenario.app.behaviour]).all(|behaviour| variant_of(behaviour).is_some());
    let is_plain = scenario.happenings.is_empty()
        && scenario.deployments.iter().all(|planned| {
            planned.code.is_some()
                && planned.abort_after_seconds.is_none()
                && planned.crashes.is_empty()
                && planned.input.as_object().is_none_or(serde_json::Map::is_empty)
        });
    if !has_jars || !is_plain {
        return None;
    }
    scenario.app.runtime = version.runtime();
    scenario.app.checkpoint_seconds = scenario.app.checkpoint_seconds.map(|_| CHECKPOINT_SECONDS);
    for planned in &mut scenario.deployments {
        planned.input = json!({ "policy": { "settleSeconds": SETTLE_SECONDS, "bakeSeconds": BAKE_SECONDS } });
    }
    Some(scenario)
}
