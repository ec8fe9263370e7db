//! One situation from the creation of its application to the account of its state. Whatever has to happen is waited for,
//! with a deadline that only a hang reaches; how long anything takes is measured and never judged.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use asl::Stop;
use emulator::flink::{FlinkDataPlane, FlinkVersion};
use emulator::record::Event;
use emulator::{Effect, Fault};
use lifecycle::report::Outcome;
use lifecycle::snapshots::SnapshotOutcome;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, timeout};

use super::ledger::{Account, Ledger, Proof};
use super::{Change, Circumstance, PARALLELISM, SNAPSHOT, Situation, State};
use crate::checker::{Observed, check};
use crate::demo::flink::RealFlink;
use crate::demo::pace::Speeds;
use crate::demo::production::Production;
use crate::scenario::{changes_of, report_of};
use crate::suites;
use crate::world::{BUCKET, OPERATOR, World};

/// Only a hang takes longer, on whatever machine.
const DEADLINE: Duration = Duration::from_mins(5);
/// From one try to the next.
const PAUSE: Duration = Duration::from_millis(50);
/// Delay before a failed job is restarted.
const RESTART_DELAY: Duration = Duration::from_millis(500);
const CHECKPOINT_MILLISECONDS: u64 = 1_000;
/// Records that have been counted before a change, and between a snapshot taken by hand and the change.
const ENOUGH_RECORDS: i64 = 150;
/// Records from what has been counted to the end of the input, where there is one.
const REST_OF_THE_INPUT: i64 = 900;
/// Seconds of the deployment that a job is to be steady for, at [`SPEEDS`] a fifth of that in reality, and of quiet time.
const SETTLE_SECONDS: u32 = 30;
const BAKE_SECONDS: u32 = 20;
/// What the service and the state machine wait for goes by so many times as fast; Lambdas and Flink take their own time.
const SPEEDS: Speeds = Speeds { before: 10, operation: 20, waiting: 5, between: 20 };

/// Name of the application.
const NAME: &str = "orders";
/// A runtime property that nobody may be told.
const PASSWORD: &str = "correct-horse-battery-staple";

/// A situation that came out as it should.
#[derive(Debug, Clone)]
pub struct Played {
    /// What came of the change.
    pub outcome: Outcome,
    /// What came of the state.
    pub account: Account,
    /// How long all of it took.
    pub took: Duration,
}

/// Plays a situation where this version is under test, with the Lambdas of `directory`.
///
/// # Errors
/// All that is not as it should be.
pub async fn play(situation: &Situation, version: FlinkVersion, directory: &Path) -> Result<Played, String> {
    let began = Instant::now();
    let versions = vec![situation.version_before(version), situation.version_asked_for(version)];
    let flink = RealFlink::launch_all(versions, RESTART_DELAY).await.map_err(told)?;
    let folder = tempfile::tempdir().map_err(told)?;
    let (clusters, jars) = (flink.clusters(), Jars::of(situation, &flink)?);
    // Nobody listens: the report tells what happened.
    let (news, _) = unbounded_channel();
    let production = Production::set_up(directory, SPEEDS, Some(flink), news).await.map_err(told)?;
    let game = Game { situation, version, jars, folder, clusters, production: &production };
    let played =
        timeout(DEADLINE, game.play()).await.unwrap_or_else(|_| Err(format!("not at its end after {DEADLINE:?}")));
    production.shut_down().await;
    Ok(Played { outcome: situation.outcome, account: played?, took: began.elapsed() })
}

fn told(error: impl Display) -> String {
    error.to_string()
}

/// The code before the change and after it.
struct Jars {
    before: bytes::Bytes,
    after: Option<bytes::Bytes>,
}

impl Jars {
    fn of(situation: &Situation, flink: &RealFlink) -> Result<Self, String> {
        let jar = |variant: &str| flink.jar(variant).ok_or_else(|| format!("there is no fault job {variant}"));
        Ok(Self { before: jar("healthy")?, after: situation.change.code.map(jar).transpose()? })
    }
}

/// A situation being played.
struct Game<'a> {
    situation: &'a Situation,
    version: FlinkVersion,
    jars: Jars,
    /// Where the ledger is written.
    folder: TempDir,
    clusters: std::sync::Arc<FlinkDataPlane>,
    production: &'a Production,
}

impl Game<'_> {
    async fn play(&self) -> Result<Account, String> {
        let world = self.production.world();
        self.create(&world).await?;
        if !self.has(Circumstance::NeverStarted) {
            self.start(&world).await?;
            self.until_counted(ENOUGH_RECORDS).await?;
        }
        let snapshot = self.prepare(&world).await?;
        let counted = self.ledger()?.most_counted();
        let ends_at = counted + REST_OF_THE_INPUT;
        self.deploy(&world, ends_at).await?;
        let proof = match self.situation.state {
            State::Kept => Proof::Kept,
            State::Returned => Proof::Returned,
            State::WentBackToSnapshot => Proof::WentBackTo(snapshot.ok_or("no snapshot was taken before")?),
            State::Untouched => Proof::Untouched,
            State::Began => Proof::Began,
            State::CountersDropped => Proof::CountersDropped,
            State::Ended => Proof::Ended(ends_at),
            State::Recovered => Proof::Recovered,
        };
        self.until_it_goes_on(proof).await?;
        if !matches!(proof, Proof::Ended(_)) {
            self.is_what_runs().await?;
        }
        self.ledger()?.prove(proof, counted)
    }

    fn has(&self, circumstance: Circumstance) -> bool {
        self.situation.has(circumstance)
    }

    fn ledger_files(&self) -> [PathBuf; 2] {
        ["ledger.jsonl", "ledger-moved.jsonl"].map(|name| self.folder.path().join(name))
    }

    fn ledger(&self) -> Result<Ledger, String> {
        Ledger::read(&self.ledger_files())
    }

    /// The runtime properties, before the change or with it.
    fn properties(&self, change: Option<(&Change, i64)>) -> Value {
        let [file, moved_file] = self.ledger_files();
        let file = if change.is_some_and(|(change, _)| change.is_ledger_moved) { moved_file } else { file };
        let mut job = json!({ "ledger.file": file, "records.per.second": "100" });
        if let Some((change, ends_at)) = change {
            for (key, value) in &change.properties {
                job[*key] = json!(value);
            }
            if change.is_input_ended {
                job["records"] = json!(ends_at.to_string());
            }
        }
        json!({ "PropertyGroups": [
            { "PropertyGroupId": "Job", "PropertyMap": job },
            { "PropertyGroupId": "app", "PropertyMap": { "db.password": PASSWORD } },
        ] })
    }

    async fn create(&self, world: &World) -> Result<(), String> {
        let key = format!("{NAME}-1.jar");
        let object = world.emulator.code().put(BUCKET, &key, self.jars.before.clone());
        let body = json!({
            "ApplicationName": NAME,
            "RuntimeEnvironment": self.situation.version_before(self.version).runtime(),
            "ServiceExecutionRole": "arn:aws:iam::123456789012:role/orders",
            "ApplicationConfiguration": {
                "ApplicationCodeConfiguration": {
                    "CodeContentType": "ZIPFILE",
                    "CodeContent": { "S3ContentLocation": {
                        "BucketARN": format!("arn:aws:s3:::{BUCKET}"), "FileKey": key, "ObjectVersion": object } },
                },
                "FlinkApplicationConfiguration": {
                    "CheckpointConfiguration": { "ConfigurationType": "CUSTOM", "CheckpointingEnabled": true,
                        "CheckpointInterval": CHECKPOINT_MILLISECONDS, "MinPauseBetweenCheckpoints": 100 },
                    "ParallelismConfiguration": { "ConfigurationType": "CUSTOM", "Parallelism": PARALLELISM,
                        "ParallelismPerKPU": 1, "AutoScalingEnabled": false },
                },
                "EnvironmentProperties": self.properties(None),
                "ApplicationSnapshotConfiguration": { "SnapshotsEnabled": true },
                "ApplicationSystemRollbackConfiguration": { "RollbackEnabled": self.has(Circumstance::SystemRollback) },
            },
        });
        world.call(OPERATOR, "CreateApplication", &body).await?;
        world.wait_for(NAME, "READY").await
    }

    async fn start(&self, world: &World) -> Result<(), String> {
        let restore = json!({ "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" });
        let run = json!({ "ApplicationRestoreConfiguration": restore });
        let body = json!({ "ApplicationName": NAME, "RunConfiguration": run });
        world.call(OPERATOR, "StartApplication", &body).await?;
        world.wait_for(NAME, "RUNNING").await
    }

    /// Makes the circumstances. Returns Flink's number of the savepoint that was taken before, if one was.
    async fn prepare(&self, world: &World) -> Result<Option<i64>, String> {
        let mut snapshot = None;
        if self.has(Circumstance::OlderSnapshot) {
            let body = json!({ "ApplicationName": NAME, "SnapshotName": SNAPSHOT });
            world.call(OPERATOR, "CreateApplicationSnapshot", &body).await?;
            until("the snapshot is READY", async || {
                let described = world.call(OPERATOR, "DescribeApplicationSnapshot", &body).await?;
                Ok((described["SnapshotDetails"]["SnapshotStatus"] == "READY").then_some(()))
            })
            .await?;
        }
        if self.has(Circumstance::ScheduledSnapshot) {
            let input = json!({ "application": NAME, "scheduledAt": world.clock.now() });
            let run = world.take_snapshots("nightly", &input).await?.summary()?;
            if run.counts.get(&SnapshotOutcome::Taken) != Some(&1) {
                return Err(format!("the scheduled snapshot was not taken: {run}"));
            }
        }
        if self.has(Circumstance::OlderSnapshot) || self.has(Circumstance::ScheduledSnapshot) {
            let checkpoints = self.flink(&format!("/jobs/{}/checkpoints", self.job().await?)).await?;
            let number = checkpoints["latest"]["savepoint"]["id"].as_i64();
            snapshot = Some(number.ok_or_else(|| format!("no savepoint in {checkpoints}"))?);
            self.until_counted(self.ledger()?.most_counted() + ENOUGH_RECORDS).await?;
        }
        if self.has(Circumstance::RollbackRefused) {
            let code = "InvalidRequestException".to_owned();
            let effect = Effect::Error { code, status: 400, message: "injected".to_owned() };
            world.emulator.inject(Fault::new("RollbackApplication", effect));
        }
        Ok(snapshot)
    }

    /// Deploys the change, and sees that it goes as it should.
    async fn deploy(&self, world: &World, ends_at: i64) -> Result<(), String> {
        if self.has(Circumstance::Unwritable) {
            self.close_snapshot_folder().await?;
        }
        let execution = format!("{}-{}", self.situation.name, self.version.runtime().to_lowercase());
        let never = std::future::pending::<Stop>();
        let (deployed, around) =
            tokio::join!(world.deploy(&execution, self.input(world, ends_at), never), self.meanwhile(world));
        around?;
        let (mut trace, result) = deployed?;
        trace.texts.extend(self.production.logs().take());
        let record = world.emulator.record();
        let [ledger, moved_ledger] = self.ledger_files().map(|file| file.display().to_string());
        let secrets = [PASSWORD.to_owned(), ledger, moved_ledger];
        let executions = [trace];
        let broken = check(&Observed { record: &record, executions: &executions, secrets: &secrets });
        let mut wrong: Vec<String> = broken.iter().map(|it| format!("rule {}: {}", it.rule, it.what)).collect();
        let report = report_of(&result);
        let outcome = report.as_ref().map(|report| report.outcome);
        if outcome != Some(self.situation.outcome) {
            wrong.push(format!("outcome {outcome:?} instead of {:?} ({:?})", self.situation.outcome, result.error));
        }
        let calls = changes_of(&record, &execution);
        if calls != self.situation.calls {
            wrong.push(format!("calls {calls:?} instead of {:?}", self.situation.calls));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let events = report.iter().flat_map(|report| &report.events);
        wrong.extend(events.map(|event| format!("  {} {}", event.at, event.what)));
        Err(wrong.join("\n"))
    }

    fn input(&self, world: &World, ends_at: i64) -> Value {
        let change = &self.situation.change;
        let mut input = if change.input.is_object() { change.input.clone() } else { json!({}) };
        input["application"] = json!(NAME);
        input["policy"] = json!({ "settleSeconds": SETTLE_SECONDS, "bakeSeconds": BAKE_SECONDS });
        let mut configuration = json!({});
        if let Some(jar) = &self.jars.after {
            let key = format!("{NAME}-2.jar");
            let object = world.emulator.code().put(BUCKET, &key, jar.clone());
            configuration["ApplicationCodeConfigurationUpdate"] = json!({ "CodeContentUpdate": {
                "S3ContentLocationUpdate": { "FileKeyUpdate": key, "ObjectVersionUpdate": object } } });
        }
        if let Some(parallelism) = change.parallelism {
            configuration["FlinkApplicationConfigurationUpdate"] = json!({ "ParallelismConfigurationUpdate": {
                "ConfigurationTypeUpdate": "CUSTOM", "ParallelismUpdate": parallelism } });
        }
        if change.is_ledger_moved || change.is_input_ended || !change.properties.is_empty() {
            configuration["EnvironmentPropertyUpdates"] = self.properties(Some((change, ends_at)));
        }
        if configuration != json!({}) {
            input["update"]["ApplicationConfigurationUpdate"] = configuration;
        }
        if change.is_runtime_upgraded {
            input["update"]["RuntimeEnvironmentUpdate"] =
                json!(self.situation.version_asked_for(self.version).runtime());
        }
        input
    }

    /// What happens while the change is deployed.
    async fn meanwhile(&self, world: &World) -> Result<(), String> {
        if self.has(Circumstance::UpdatesSnapshotDeleted) {
            let snapshot = until("the new job was started", async || {
                let record = world.emulator.record();
                Ok(record.iter().find_map(|entry| match &entry.event {
                    Event::JobStarted(job) if job.cause == "UpdateApplication" => job.restored_from.clone(),
                    _ => None,
                }))
            })
            .await?;
            let named = json!({ "ApplicationName": NAME, "SnapshotName": snapshot.snapshot });
            let described = world.call(OPERATOR, "DescribeApplicationSnapshot", &named).await?;
            let mut delete = named;
            delete["SnapshotCreationTimestamp"] = described["SnapshotDetails"]["SnapshotCreationTimestamp"].clone();
            // While the new job is being restored from it, the service does not delete it.
            until("the snapshot is deleted", async || {
                match world.call(OPERATOR, "DeleteApplicationSnapshot", &delete).await {
                    Ok(_) => Ok(Some(())),
                    Err(error) if error.contains("ResourceInUse") => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .await?;
        }
        if self.has(Circumstance::LosesTaskManager) {
            until("the new job runs", async || Ok((self.ledger()?.restores() == 1).then_some(()))).await?;
            // What the ledger wrote into a checkpoint does not tell that this was completed.
            until("the new job has taken a checkpoint", async || {
                let checkpoints = self.flink(&format!("/jobs/{}/checkpoints", self.job().await?)).await?;
                Ok(checkpoints["counts"]["completed"].as_u64().filter(|count| *count > 0).map(|_| ()))
            })
            .await?;
            world.emulator.lose_task_manager(NAME).await.map_err(told)?;
        }
        Ok(())
    }

    async fn until_counted(&self, records: i64) -> Result<(), String> {
        until("enough is counted", async || Ok(self.ledger()?.has_gone_beyond(records).then_some(()))).await
    }

    /// Waits until more is counted than ever before, or whatever else shows that the job goes on as it should.
    async fn until_it_goes_on(&self, proof: Proof) -> Result<(), String> {
        let most = self.ledger()?.most_counted();
        until("the count goes on", async || {
            let ledger = self.ledger()?;
            let goes_on = match proof {
                Proof::Ended(records) => ledger.last().is_some_and(|last| last.counted >= records),
                Proof::CountersDropped => ledger.has_begun_again(),
                Proof::Recovered => ledger.restores() > 1 && ledger.has_gone_beyond(most),
                _ => ledger.has_gone_beyond(most),
            };
            Ok(goes_on.then_some(()))
        })
        .await
    }

    /// Whether what runs in the end is what the outcome says: its Flink, its parallelism, and its runtime properties.
    async fn is_what_runs(&self) -> Result<(), String> {
        let change = &self.situation.change;
        let is_live = self.situation.outcome == Outcome::Deployed;
        let version = if is_live {
            self.situation.version_asked_for(self.version)
        } else {
            self.situation.version_before(self.version)
        };
        let release = self.flink("/config").await?["flink-version"].clone();
        if release != version.release() {
            return Err(format!("Flink {release} runs in the end, not {}", version.release()));
        }
        let job = self.flink(&format!("/jobs/{}", self.job().await?)).await?;
        let wanted = change.parallelism.filter(|_| is_live).unwrap_or(PARALLELISM);
        let parallelisms: Vec<_> = job["vertices"].as_array().into_iter().flatten().collect();
        if !parallelisms.iter().any(|vertex| {
            vertex["name"].as_str().is_some_and(|name| name.contains("Counter")) && vertex["parallelism"] == wanted
        }) {
            return Err(format!("the counters do not run with parallelism {wanted}: {job}"));
        }
        let [_, moved_ledger] = self.ledger_files();
        let is_moved = change.is_ledger_moved && is_live;
        if Ledger::is_written(&moved_ledger) == is_moved {
            return Ok(());
        }
        Err("the job's runtime properties are not those that it should have".to_owned())
    }

    /// Flink's id of the job.
    async fn job(&self) -> Result<String, String> {
        let overview = self.flink("/jobs/overview").await?;
        let id = overview["jobs"][0]["jid"].as_str().map(str::to_owned);
        id.ok_or_else(|| format!("there is no job: {overview}"))
    }

    /// An answer of Flink's REST API, past the service.
    async fn flink(&self, path: &str) -> Result<Value, String> {
        use emulator::data_plane::DataPlane as _;
        until(path, async || {
            let answer = self.clusters.rest(NAME, path).await;
            Ok((answer.status == 200).then(|| serde_json::from_slice(&answer.body).unwrap_or_default()))
        })
        .await
    }

    /// Puts a file in the place of the folder of the savepoints, which lies beside those of the clusters. (Taking away the
    /// right to write would not stop a Flink that runs as root.)
    async fn close_snapshot_folder(&self) -> Result<(), String> {
        let configuration = self.flink("/jobmanager/config").await?;
        let mut settings = configuration.as_array().into_iter().flatten();
        let checkpoints = settings.find(|setting| setting["key"] == "execution.checkpointing.dir");
        let checkpoints = checkpoints.and_then(|setting| setting["value"].as_str()?.strip_prefix("file://"));
        let root = checkpoints.and_then(|checkpoints| Path::new(checkpoints).parent()?.parent());
        let folder = root.map(|root| root.join("snapshots")).ok_or("no checkpoints are configured")?;
        std::fs::rename(&folder, folder.with_extension("aside")).map_err(told)?;
        std::fs::write(&folder, "in the way").map_err(told)
    }
}

/// Tries until there is something.
async fn until<T>(what: &str, attempt: impl AsyncFn() -> Result<Option<T>, String>) -> Result<T, String> {
    suites::until(what, PAUSE, DEADLINE, attempt).await
}
