//! Many situations, several at a time, and what the clusters cost that they run on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use emulator::data_plane::{CodeObject, DataPlane as _, JobSpec, JobState};
use emulator::flink::FlinkVersion;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use super::Situation;
use super::play::play;
use super::summary::{Ended, Figures};
use crate::demo::flink::RealFlink;

/// How many clusters are measured; the figures are those of the middle one.
const MEASURED: usize = 3;
/// How long a job runs before its cluster's memory is measured.
const WARM: Duration = Duration::from_secs(3);

/// How many situations a machine plays at a time, unless it is told otherwise: most of the time they wait.
pub fn seats() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (2 * processors).clamp(2, 8)
}

/// Plays the situations where each of these versions is under test, so many at a time, with the Lambdas of `directory`.
/// `ended` gets each as soon as it has ended. If this is dropped, all that still goes on ends.
pub async fn run(
    situations: &[Situation],
    versions: &[FlinkVersion],
    at_once: usize,
    directory: &Path,
    ended: UnboundedSender<Ended>,
) {
    let seats = Arc::new(Semaphore::new(at_once));
    // They wait most of the time: one thread is enough for all of them.
    let local = LocalSet::new();
    let mut tasks = JoinSet::new();
    for situation in situations {
        for version in versions.iter().copied() {
            let (situation, seats, directory, ended) =
                (situation.clone(), Arc::clone(&seats), directory.to_owned(), ended.clone());
            let playing = async move {
                // Nobody closes it.
                let _seat = seats.acquire().await;
                let result = play(&situation, version, &directory).await;
                // Nobody may be listening any more.
                let _ = ended.send(Ended { situation: situation.name, version, result });
            };
            tasks.spawn_local_on(playing, &local);
        }
    }
    // The sender that the situations were given copies of; without them nothing is to come.
    drop(ended);
    local.run_until(async { while tasks.join_next().await.is_some() {} }).await;
}

/// What the cluster of one application costs on a machine that has nothing else to do.
///
/// # Errors
/// When there is no Flink, or the job does not run.
pub async fn measure(version: FlinkVersion) -> Result<Figures, String> {
    let flink = RealFlink::launch(version).await.map_err(|error| error.to_string())?;
    let content = flink.jar("healthy").ok_or("there is no fault job healthy")?;
    let clusters = flink.clusters();
    let spec = JobSpec {
        application: "measured".to_owned(),
        version: 1,
        runtime: version.runtime().to_owned(),
        code: CodeObject { bucket: "code".to_owned(), key: "healthy.jar".to_owned(), object_version: None, content },
        parallelism: super::PARALLELISM,
        checkpoint_interval: Some(Duration::from_secs(1)),
        properties: BTreeMap::new(),
        restore_from: None,
        allow_non_restored_state: false,
    };
    let mut all = Vec::new();
    for _ in 0..MEASURED {
        clusters.start(&spec).await.map_err(|error| error.0)?;
        sleep(WARM).await;
        if clusters.job_state(&spec.application).await != Some(JobState::Active) {
            return Err("the job does not run".to_owned());
        }
        let figures = clusters.figures(&spec.application).await.ok_or("the job has no cluster")?;
        all.push(Figures { version, ready_after: figures.ready_after, resident_bytes: figures.resident_bytes });
    }
    clusters.shut_down().await;
    all.sort_by_key(|figures| figures.ready_after);
    all.get(all.len() / 2).copied().ok_or_else(|| "nothing was measured".to_owned())
}
