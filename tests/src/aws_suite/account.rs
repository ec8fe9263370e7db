//! An account with the stack in it: ministack with the Lambdas, our emulator as Managed Service for Apache Flink and
//! `CloudWatch` behind them, and `template.yaml` as it is, built and deployed by sam.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use emulator::simulated::SimulatedDataPlane;
use emulator::{CodeStore, Emulator, EmulatorConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::cloud::{ACCOUNT, Cloud, REGION};
use super::host::{Hosted, Tools, path_with, start};
use super::letters::Letters;
use crate::world::{OPERATOR, World};

/// The stack's name, which names what is in it.
pub const STACK: &str = "verified";
/// The bucket whose uploads are deployed.
pub const CODE: &str = "code";
/// A bucket with code whose uploads are not.
pub const ELSEWHERE: &str = "elsewhere";
/// The tag of applications of which snapshots are taken on the schedule.
pub const SCHEDULED: (&str, &str) = ("snapshots", "scheduled");
/// How often that is; the shortest that the service has.
const SCHEDULE: &str = "rate(1 minute)";
/// ministack answers within a second; only a hang takes as long.
const START_DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);
const SEED: u64 = 1;

/// How the Lambdas are built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// By cargo-lambda, as `sam build` has it done; unoptimized, so that it takes minutes and not half an hour.
    CargoLambda,
    /// They are built already and lie in this folder: sam is handed them in place of cargo-lambda's.
    Built(PathBuf),
}

/// The account.
pub struct Account {
    /// Managed Service for Apache Flink.
    pub emulator: Emulator,
    /// What people do there by hand.
    pub world: World,
    /// All other services.
    pub cloud: Cloud,
    /// What the stack was told and has told.
    pub letters: Letters,
    /// The stack's outputs.
    outputs: BTreeMap<String, String>,
    host: Hosted,
    folder: TempDir,
    tools: Tools,
    /// Where the template is.
    workspace: PathBuf,
}

impl Account {
    /// Starts the services, and tells progress in lines. The clock of Step Functions and of the emulator runs so many times
    /// as fast as others.
    ///
    /// # Errors
    /// When something cannot be started.
    pub async fn open(tools: Tools, workspace: &Path, speed: u32) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("e2e-aws-").tempdir().map_err(told)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(told)?;
        let flink = format!("http://{}", listener.local_addr().map_err(told)?);
        let port = free_port().await?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let clock = Clock::starting_at(Clock::wall().now(), speed);
        let environment = BTreeMap::from([
            ("GATEWAY_PORT", port.to_string()),
            ("BIND_HOST", "127.0.0.1".to_owned()),
            ("AWS_ENDPOINT_URL", endpoint.clone()),
            // The Lambdas inherit these.
            ("AWS_ENDPOINT_URL_KINESIS_ANALYTICS_V2", flink.clone()),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", flink),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("MINISTACK_ACCOUNT_ID", ACCOUNT.to_owned()),
            ("MINISTACK_REGION", REGION.to_owned()),
            ("CLOCK_ORIGIN", clock.now().as_duration().as_secs_f64().to_string()),
            ("CLOCK_SPEED", speed.to_string()),
            ("SFN_WAIT_SCALE", (1.0 / f64::from(speed)).to_string()),
            // They would listen at ports of their own.
            ("IOT_MTLS_ENABLED", "0".to_owned()),
            ("SFTP_ENABLED", "0".to_owned()),
            ("TMPDIR", folder.path().display().to_string()),
        ]);
        let log = folder.path().join("ministack.log");
        let mut host = start(&tools, "ministack", &[], &environment, &log).map_err(told)?;
        let cloud = Cloud::new(&endpoint)?;
        let ready = async {
            while !cloud.answers().await {
                if let Some(status) = host.has_ended() {
                    return Err(format!("ministack ended ({status}): {}", tail(&log)));
                }
                sleep(PAUSE).await;
            }
            Ok(())
        };
        timeout(START_DEADLINE, ready).await.map_err(|_| format!("ministack does not answer: {}", tail(&log)))??;

        let url = endpoint.parse().map_err(told)?;
        let code = CodeStore::s3(url, &aws_config::SdkConfig::builder().build()).map_err(told)?;
        let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), SEED));
        let emulator = Emulator::new(EmulatorConfig { code, seed: SEED, ..EmulatorConfig::new(clock, data_plane) });
        let server = emulator.clone();
        // Ends with the runtime.
        tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
        let letters = Letters::new(cloud.clone()).await?;
        let world = World::around(emulator.clone());
        Ok(Self {
            emulator,
            world,
            cloud,
            letters,
            outputs: BTreeMap::new(),
            host,
            folder,
            tools,
            workspace: workspace.to_owned(),
        })
    }

    /// Builds the template and deploys it, with buckets to upload to, and sees to it that letters arrive.
    ///
    /// # Errors
    /// What sam says.
    pub async fn install(&mut self, build: &Build, progress: impl Fn(&str)) -> Result<(), String> {
        for bucket in [CODE, ELSEWHERE, "artifacts"] {
            self.cloud.make_bucket(bucket).await?;
        }
        progress(match build {
            Build::CargoLambda => "building the Lambdas by sam and cargo-lambda (minutes the first time)",
            Build::Built(_) => "packing the Lambdas by sam",
        });
        self.build(build).await?;
        progress("deploying template.yaml by sam");
        self.deploy(&[]).await?;
        self.outputs = self.read_outputs().await?;
        progress("deployed");
        self.letters.receive_from(self.output("TopicArn")?).await
    }

    async fn build(&self, build: &Build) -> Result<(), String> {
        let target = self.folder.path().join("build");
        let template = self.workspace.join("template.yaml");
        let arguments = [
            "build",
            "--template-file",
            &template.display().to_string(),
            "--build-dir",
            &target.display().to_string(),
            "--parameter-overrides",
            ARCHITECTURE,
        ];
        let mut environment = self.for_sam();
        match build {
            Build::CargoLambda => {
                environment.insert("PATH", path_with(&self.tools, &["ministack"]));
                // The compiler of this machine for this machine, without what only a debugger needs.
                environment.insert("SAM_BUILD_MODE", "debug".to_owned());
                environment.insert("CARGO_LAMBDA_COMPILER", "cargo".to_owned());
                environment.insert("CARGO_PROFILE_DEV_DEBUG", "0".to_owned());
                environment.insert("CARGO_PROFILE_DEV_STRIP", "symbols".to_owned());
            }
            Build::Built(programs) => {
                let folder = self.folder.path().join("instead");
                hand_over(&folder, programs).map_err(told)?;
                environment.insert("PATH", format!("{}:{}", folder.display(), path_with(&self.tools, &[])));
                environment.insert("CARGO_TARGET_DIR", self.folder.path().join("target").display().to_string());
            }
        }
        self.sam(&arguments, &environment).await.map(|_| ())
    }

    /// Deploys what was built, with these parameters beside those that the stack always has; where one of them is there
    /// twice, the last counts.
    ///
    /// # Errors
    /// What sam says.
    pub async fn deploy(&self, parameters: &[&str]) -> Result<(), String> {
        let template = self.folder.path().join("build/template.yaml").display().to_string();
        let configuration = self.workspace.join("samconfig.toml").display().to_string();
        let applications = format!("ApplicationArns=arn:aws:kinesisanalytics:{REGION}:{ACCOUNT}:application/*");
        let bucket = format!("CodeBucketName={CODE}");
        let schedule = format!("SnapshotSchedule=\"{SCHEDULE}\"");
        let how = ["deploy", "--template-file", &template, "--config-file", &configuration, "--stack-name", STACK];
        let where_to = ["--s3-bucket", "artifacts", "--no-resolve-s3", "--no-confirm-changeset"];
        let with = ["--parameter-overrides", ARCHITECTURE, &applications, &bucket, &schedule];
        let arguments = [&how[..], &where_to, &with, parameters].concat();
        self.sam(&arguments, &self.for_sam()).await.map(|_| ())
    }

    async fn read_outputs(&self) -> Result<BTreeMap<String, String>, String> {
        let configuration = self.workspace.join("samconfig.toml").display().to_string();
        let arguments =
            ["list", "stack-outputs", "--stack-name", STACK, "--output", "json", "--config-file", &configuration];
        let told = self.sam(&arguments, &self.for_sam()).await?;
        let list: Value = told
            .find('[')
            .and_then(|start| serde_json::from_str(told.get(start..)?).ok())
            .ok_or_else(|| format!("no outputs: {told}"))?;
        let pair = |output: &Value| {
            Some((output["OutputKey"].as_str()?.to_owned(), output["OutputValue"].as_str()?.to_owned()))
        };
        Ok(list.as_array().into_iter().flatten().filter_map(pair).collect())
    }

    /// What it printed.
    async fn sam(&self, arguments: &[&str], environment: &BTreeMap<&str, String>) -> Result<String, String> {
        let what = arguments.first().copied().unwrap_or_default();
        let log = self.folder.path().join(format!("sam-{what}.log"));
        let mut process = start(&self.tools, "sam", arguments, environment, &log).map_err(told)?;
        let status = process.ended().await.map_err(told)?;
        if status.success() {
            return std::fs::read_to_string(&log).map_err(told);
        }
        Err(format!("sam {what} failed ({status}): {}", tail(&log)))
    }

    fn for_sam(&self) -> BTreeMap<&'static str, String> {
        let home = self.folder.path().join("home").display().to_string();
        BTreeMap::from([
            ("AWS_ENDPOINT_URL", self.cloud.endpoint().to_owned()),
            ("AWS_ACCESS_KEY_ID", "suite".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("SAM_CLI_TELEMETRY", "0".to_owned()),
            ("__SAM_CLI_APP_DIR", home),
        ])
    }

    /// An output of the stack.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn output(&self, name: &str) -> Result<&str, String> {
        self.outputs.get(name).map(String::as_str).ok_or_else(|| format!("the stack has no output {name}"))
    }

    /// What a function of the stack is called.
    pub fn function(name: &str) -> String {
        format!("{STACK}-{name}")
    }

    /// Calls kinesisanalyticsv2 by hand.
    ///
    /// # Errors
    /// The error's code and text.
    pub async fn flink(&self, operation: &str, body: &Value) -> Result<Value, String> {
        self.world.call(OPERATOR, operation, body).await
    }

    /// What `DescribeApplication` says.
    ///
    /// # Errors
    /// When there is no such application.
    pub async fn application(&self, name: &str) -> Result<Value, String> {
        let mut described = self.flink("DescribeApplication", &json!({ "ApplicationName": name })).await?;
        Ok(described["ApplicationDetail"].take())
    }

    /// The last lines that ministack wrote, for whoever looks into a failure.
    pub fn log(&self) -> String {
        tail(&self.folder.path().join("ministack.log"))
    }

    /// Keeps what was written into the folder of the run, and tells where.
    pub fn keep_folder(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Ends everything.
    pub async fn close(mut self) {
        self.host.end().await;
        self.emulator.shut_down().await;
    }
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: &str = "Architecture=x86_64";
#[cfg(not(target_arch = "x86_64"))]
const ARCHITECTURE: &str = "Architecture=arm64";

/// Writes a program that sam takes for cargo-lambda, and that hands it what is built already, without what only a debugger
/// needs.
fn hand_over(folder: &Path, programs: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let script = format!(
        "#!/bin/sh\nset -e\nwhile [ \"$1\" != --bin ]; do shift; done\nmkdir -p \"$CARGO_TARGET_DIR/lambda/$2\"\n\
         strip -o \"$CARGO_TARGET_DIR/lambda/$2/bootstrap\" '{}'/\"$2\"\n",
        programs.display()
    );
    std::fs::create_dir_all(folder)?;
    let path = folder.join("cargo-lambda");
    std::fs::write(&path, script)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
}

/// A port that is free now. Whoever takes it in between makes the start fail, and the log says so.
async fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(told)?;
    Ok(listener.local_addr().map_err(told)?.port())
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    // Of a line that was written over and over, the last state.
    let lines: Vec<&str> = text.lines().map(|line| line.rsplit('\r').next().unwrap_or_default()).collect();
    lines.iter().skip(lines.len().saturating_sub(25)).flat_map(|line| ["\n    ", line]).collect()
}

/// An error with all that is behind it.
pub(super) fn told(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
