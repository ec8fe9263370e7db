//! `flinkctl` as people and pipelines run it: the program itself, against the sandbox.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clap::CommandFactory as _;
use emulator::flink::FlinkVersion;
use emulator::record::Event;
use flinkctl::arguments::Arguments;
use flinkctl::failure::Exit;
use scenarios::sandbox::{APPLICATION_NAME, BAD_KEY, FIRST_KEY, GOOD_KEY, Options, SNAPSHOT, Sandbox};
use scenarios::world::BUCKET;
use serde_json::{Value, json};

const FLINKCTL: &str = env!("CARGO_BIN_EXE_flinkctl");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/flinkctl.md");
const TERMINAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal.py");
const FAST: Options = Options { port: 0, speed: 1_000, flink: None };
/// So slow that a deployment is still under way when Ctrl-C is pressed.
const SLOW: Options = Options { port: 0, speed: 5, flink: None };

/// Waits go by as fast as a real Flink comes along.
const ON_FLINK: Options = Options { port: 0, speed: 6, flink: Some(FlinkVersion::V1_20) };

/// A sandbox, and the program in its surroundings.
struct Stage {
    sandbox: Sandbox,
}

/// What came of a run.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }
}

/// The program, with nothing of this machine's own configuration.
fn program(endpoint: &str) -> Command {
    let mut command = Command::new(FLINKCTL);
    command.env_clear().stdin(Stdio::null());
    command.env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", endpoint);
    command.env("AWS_REGION", "us-east-1").env("AWS_ACCESS_KEY_ID", "person").env("AWS_SECRET_ACCESS_KEY", "any");
    command
}

async fn output(mut command: Command) -> Ran {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    Ran::of(&output)
}

impl Stage {
    async fn new(options: Options) -> Self {
        Self { sandbox: Sandbox::start_in_process(options).await.unwrap() }
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = program(self.sandbox.endpoint());
        command.args(arguments);
        output(command).await
    }

    /// The same on a terminal of so many columns, where Ctrl-C is pressed once a text is shown.
    async fn on_terminal(&self, columns: u32, interrupt_after: &str, arguments: &[&str]) -> (i64, String) {
        let flinkctl = program(self.sandbox.endpoint());
        let mut command = Command::new("python3");
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TERM", "xterm");
        command.envs(flinkctl.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.arg(TERMINAL).arg(columns.to_string()).arg(interrupt_after).arg(FLINKCTL).args(arguments);
        let ran = output(command).await;
        let told = ran.json();
        (told["code"].as_i64().unwrap(), told["shown"].as_str().unwrap().to_owned())
    }

    /// Ends the sandbox, once every call of the person's is one that the documentation names.
    async fn end(self) {
        let page = std::fs::read_to_string(PAGE).unwrap();
        for entry in &self.sandbox.emulator().record() {
            let Event::Call(call) = &entry.event else { continue };
            if call.principal.as_deref() != Some("person") || call.service == "flink" {
                continue;
            }
            let service = call.service.trim_end_matches("v2");
            let operation = call.operation.replace("HeadObject", "GetObject").replace("states:", "");
            let action = format!("`{service}:{operation}`");
            assert!(page.contains(&action), "docs/flinkctl.md does not name {action}");
        }
        self.sandbox.shut_down().await;
    }

    /// Calls that somebody made and that changed something, but for the start of executions.
    fn changes_by(&self, principal: &str) -> Vec<String> {
        let record = self.sandbox.emulator().record();
        let calls = record.iter().filter_map(|entry| match &entry.event {
            Event::Call(call) if call.principal.as_deref() == Some(principal) && call.mutating => Some(call),
            _ => None,
        });
        calls.map(|call| call.operation.clone()).filter(|operation| operation != "StartExecution").collect()
    }
}

fn s3(key: &str) -> String {
    format!("s3://{BUCKET}/{key}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_goes_live_and_a_bad_one_comes_back() {
    let stage = Stage::new(FAST).await;
    let planned = stage.run(&["plan", APPLICATION_NAME, "--code", &s3(GOOD_KEY), "--output", "json"]).await;
    let plan = planned.json();
    assert_eq!((planned.code, &plan["would"]), (0, &json!("Deploy")), "{plan}");
    let fields: Vec<&str> =
        plan["changes"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect();
    assert!(fields.iter().any(|field| field.ends_with("FileKeyUpdate")), "{fields:?}");

    let deployed = stage.run(&["deploy", APPLICATION_NAME, "--code", &s3(GOOD_KEY), "--reason", "release"]).await;
    assert_eq!(deployed.code, 0, "{} {}", deployed.out, deployed.err);
    for told in ["UpdateApplication begun", "✔ Deployed", "nothing is lost", "1 → 2"] {
        assert!(deployed.out.contains(told), "{told}: {}", deployed.out);
    }
    let same = stage.run(&["plan", APPLICATION_NAME, "--code", &s3(GOOD_KEY)]).await;
    assert!(same.code == 0 && same.out.contains("nothing to change"), "{}", same.out);

    let bad = stage.run(&["deploy", APPLICATION_NAME, "--code", &s3(BAD_KEY), "--output", "json"]).await;
    let report = bad.json();
    assert_eq!((bad.code, &report["outcome"]), (3, &json!("RolledBack")), "{}", bad.err);
    assert_eq!(report["rootCause"]["category"], "code");
    assert!(bad.err.contains("Failing: "), "progress goes to standard error: {}", bad.err);

    let history = stage.run(&["history", APPLICATION_NAME, "--output", "json"]).await.json();
    let outcomes: Vec<&str> = history.as_array().unwrap().iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["RolledBack", "Deployed"]);
    assert_eq!(history[1]["reason"], "release");
    let name = history[0]["name"].as_str().unwrap();
    let again = stage.run(&["report", name]).await;
    assert_eq!(again.code, 3);
    assert!(again.out.contains("↩ RolledBack") && again.out.contains("advice"), "{}", again.out);
    let followed = stage.run(&["follow", APPLICATION_NAME]).await;
    assert!(followed.code == 3 && followed.out.contains("↩ RolledBack"), "{}", followed.out);
    let page = stage.run(&["report", APPLICATION_NAME, "--html", "-"]).await;
    assert_eq!(page.code, 3);
    assert!(page.out.starts_with("<!DOCTYPE html>") && page.out.contains("IllegalStateException"), "{}", page.out);

    let rolled_back = stage.run(&["rollback", APPLICATION_NAME, "--yes", "--output", "json"]).await;
    let report = rolled_back.json();
    assert_eq!((rolled_back.code, &report["outcome"]), (0, &json!("Deployed")), "{}", rolled_back.err);
    let status = stage.run(&["status", APPLICATION_NAME, "--output", "json"]).await.json();
    assert_eq!(status["code"]["key"], FIRST_KEY, "the code before the good change, and not the bad one: {status}");
    assert_eq!(stage.changes_by("person"), Vec::<String>::new(), "flinkctl itself changes nothing");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_uploaded_and_pinned_and_properties_stay() {
    let stage = Stage::new(FAST).await;
    let folder = tempfile::tempdir().unwrap();
    let jar = folder.path().join("orders-2.0.0.jar");
    std::fs::write(&jar, b"PK\x03\x04 a healthy job, as far as the simulation knows").unwrap();
    let path = jar.to_str().unwrap();
    let planned = stage.run(&["plan", APPLICATION_NAME, "--code", path]).await;
    assert!(planned.code == 0 && planned.out.contains("orders-2.0.0.jar"), "{} {}", planned.out, planned.err);
    assert_eq!(stage.changes_by("person"), Vec::<String>::new(), "a plan uploads nothing");
    let arguments =
        ["deploy", APPLICATION_NAME, "--code", path, "--property", "kafka:topic=orders", "--output", "json"];
    let deployed = stage.run(&arguments).await;
    assert_eq!(deployed.code, 0, "{} {}", deployed.out, deployed.err);
    let more = ["deploy", APPLICATION_NAME, "--property", "kafka:acks=all", "--parallelism", "4", "--output", "json"];
    assert_eq!(stage.run(&more).await.code, 0);
    let planned = stage.run(&["plan", APPLICATION_NAME, "--remove-property", "kafka:topic", "--show-values"]).await;
    assert!(planned.out.contains("- orders") && !planned.out.contains("all"), "{}", planned.out);
    let hidden = stage.run(&["plan", APPLICATION_NAME, "--remove-property", "kafka:topic"]).await;
    assert!(hidden.out.contains("(not shown)") && !hidden.out.contains("- orders"), "{}", hidden.out);
    let status = stage.run(&["status", APPLICATION_NAME, "--output", "json"]).await.json();
    assert_eq!(status["code"]["key"], "applications/orders/orders-2.0.0.jar", "{status}");
    assert!(status["code"]["objectVersion"].is_string(), "{status}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_what_is_done_by_hand() {
    let stage = Stage::new(FAST).await;
    let listed = stage.run(&["snapshots", "list", APPLICATION_NAME]).await;
    assert!(listed.code == 0 && listed.out.contains(SNAPSHOT), "{}", listed.out);
    let taken = stage.run(&["snapshots", "take", APPLICATION_NAME]).await;
    assert!(taken.code == 0 && taken.out.contains("manual-"), "{} {}", taken.out, taken.err);
    let prune = [
        "snapshots",
        "prune",
        APPLICATION_NAME,
        "--any-prefix",
        "--keep-newest",
        "1",
        "--keep-younger-than-hours",
        "0",
    ];
    let dry = stage.run(&[&prune[..], &["--dry-run", "--output", "json"]].concat()).await.json();
    assert_eq!(dry["delete"][0]["name"], SNAPSHOT, "{dry}");
    let unasked = stage.run(&prune).await;
    assert!(unasked.code == 2 && unasked.err.contains("--yes"), "{}", unasked.err);
    let pruned = stage.run(&[&prune[..], &["--yes"]].concat()).await;
    assert!(pruned.code == 0 && pruned.out.contains("1 deleted"), "{} {}", pruned.out, pruned.err);
    assert_eq!(stage.changes_by("person"), ["DeleteApplicationSnapshot"]);

    let stopped = stage.run(&["stop", APPLICATION_NAME, "--yes", "--output", "json"]).await;
    assert_eq!((stopped.code, &stopped.json()["outcome"]), (0, &json!("Deployed")));
    let status = stage.run(&["status", APPLICATION_NAME]).await;
    assert!(status.out.contains("READY"), "{}", status.out);
    assert_eq!(stage.run(&["start", APPLICATION_NAME]).await.code, 0);
    let restarted = stage.run(&["restart", APPLICATION_NAME, "--force", "--yes"]).await;
    assert!(restarted.code == 0 && restarted.out.contains("✔ Deployed"), "{} {}", restarted.out, restarted.err);
    let doctor = stage.run(&["doctor", APPLICATION_NAME, "--output", "json"]).await;
    let checks = doctor.json();
    assert_eq!(doctor.code, 0, "{checks}");
    let names: BTreeSet<&str> = checks.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    for name in ["deploy state machine", "snapshot state machine", "bucket versioning", "alarms", "logging"] {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_told_in_a_sentence_with_the_next_step() {
    let stage = Stage::new(FAST).await;
    let other = "arn:aws:states:us-east-1:123456789012:execution:somebody-elses:one";
    let not_zip = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let cases: [(&[&str], i32, &str); 14] = [
        (&["status", "order"], 1, "Did you mean orders?"),
        (&["history", "order"], 1, "Did you mean orders?"),
        (&["report", "order"], 1, "Did you mean orders?"),
        (&["report", other], 2, "is no execution of the deploy state machine"),
        (&["status", "orders", "--state-machine", "deplo"], 0, ""),
        (&["history", "--state-machine", "deplo"], 1, "Did you mean deploy?"),
        (&["deploy", "orders", "--code", "no-such.jar"], 2, "cannot be read"),
        (&["deploy", "orders", "--code", not_zip], 2, "neither a JAR nor a ZIP"),
        (&["deploy", "orders", "--code", "s3://code/no-such.jar"], 2, "There is no object"),
        (&["deploy", "orders", "--policy", "bake=1", "--parallelism", "3"], 5, "policy.bake"),
        (&["deploy", "orders"], 5, "nothing was touched"),
        (&["deploy", "orders", "--parallelism", "3", "--restore", "none"], 2, "--yes"),
        (&["rollback", "orders"], 2, "--to-version"),
        (&["deploy", "orders", "--no-such-option"], 2, "unexpected argument"),
    ];
    for (arguments, code, told) in cases {
        let ran = stage.run(arguments).await;
        assert_eq!(ran.code, code, "{arguments:?}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains(told), "{arguments:?}: {told}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{arguments:?}: {}", ran.err);
    }
    let surroundings: [(&str, Option<&str>, &str); 3] = [
        ("AWS_ACCESS_KEY_ID", None, "There are no AWS credentials"),
        ("AWS_REGION", None, "No AWS region is configured"),
        ("AWS_ENDPOINT_URL", Some("http://127.0.0.1:9"), "--endpoint-url"),
    ];
    for (variable, value, told) in surroundings {
        let mut command = program(stage.sandbox.endpoint());
        command.args(["status", "orders"]);
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
        let ran = output(command).await;
        assert_eq!(ran.code, 1, "{variable}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains(told), "{variable}: {}", ran.err);
    }
    assert_eq!(stage.changes_by("person"), Vec::<String>::new());
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_of_forty_columns_shows_whole_words() {
    let stage = Stage::new(FAST).await;
    let (code, shown) = stage.on_terminal(40, "", &["deploy", APPLICATION_NAME, "--code", &s3(BAD_KEY)]).await;
    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("\u{1b}["), "colours on a terminal");
    let width = |line: &str| {
        let pieces = line.split('\u{1b}').enumerate();
        let plain =
            pieces.map(|(index, piece)| if index == 0 { piece } else { piece.split_once(['m', 'K']).unwrap().1 });
        plain.map(|piece| piece.chars().count()).sum::<usize>()
    };
    for line in shown.split(['\n', '\r']) {
        assert!(width(line) <= 40, "{}: {line:?}", width(line));
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_on_a_real_flink_is_told_live_on_a_terminal() {
    let stage = Stage::new(ON_FLINK).await;
    let status = stage.run(&["status", APPLICATION_NAME, "--output", "json"]).await.json();
    assert_eq!(status["job"]["state"], "RUNNING", "{status}");
    let quick = ["--policy", "settleSeconds=10", "--policy", "bakeSeconds=20"];
    let deploy = ["deploy", APPLICATION_NAME, "--code", &s3(BAD_KEY)];
    let (code, shown) = stage.on_terminal(80, "", &[&deploy[..], &quick[..]].concat()).await;
    assert_eq!(code, 3, "{shown}");
    for told in ["Failing: ", "java.lang.IllegalStateException", "RolledBack", "1 → 3"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_and_a_closed_pipe_end_the_following_alone() {
    let stage = Stage::new(SLOW).await;
    let begin = ["deploy", APPLICATION_NAME, "--code", &s3(GOOD_KEY), "--name", "release-7"];
    let (code, shown) = stage.on_terminal(80, "UpdateApplication begun", &begin).await;
    assert_eq!(code, 130, "{shown}");
    assert!(shown.contains("The deployment goes on.") && shown.contains("flinkctl follow arn:"), "{shown}");
    let status = stage.run(&["status", APPLICATION_NAME, "--output", "json"]).await.json();
    assert_eq!(status["deployments"][0]["name"], "release-7", "{status}");
    let taken = stage.run(&["deploy", APPLICATION_NAME, "--parallelism", "3", "--name", "release-7"]).await;
    assert!(taken.code == 1 && taken.err.contains("another --name"), "{}", taken.err);
    let early = stage.run(&["report", "release-7"]).await;
    assert!(early.code == 1 && early.err.contains("flinkctl follow release-7"), "{}", early.err);

    let script = format!("{FLINKCTL} history | true; exit ${{PIPESTATUS[0]}}");
    let flinkctl = program(stage.sandbox.endpoint());
    let mut command = Command::new("bash");
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(flinkctl.get_envs().filter_map(|(name, value)| Some((name, value?)))).args(["-c", &script]);
    let closed = output(command).await;
    assert!(closed.code == 141 && closed.err.contains("Nobody reads"), "{} {}", closed.code, closed.err);
    stage.end().await;
}

#[test]
fn the_documentation_names_every_command_and_exit_code() {
    use Exit::{CutShort, Done, Failed, Interrupted, Misuse, NeedsAttention, NobodyReads, Refused, Undone};
    let page = std::fs::read_to_string(PAGE).unwrap();
    let rows = |wanted: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).map(|(cell, _)| cell);
        cells.filter(|cell| wanted(cell)).map(str::to_owned).collect()
    };
    let all = Arguments::command();
    let commands: BTreeSet<String> = all.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let is_code = |cell: &str| cell.parse::<u8>().is_ok();
    let is_command = |cell: &str| !is_code(cell) && !cell.contains([':', '-', ' ']);
    let told = rows(&is_command);
    assert!(commands.is_subset(&told), "{:?}", commands.difference(&told));
    let exits = [Done, Failed, Misuse, Undone, NeedsAttention, Refused, CutShort, Interrupted, NobodyReads];
    assert_eq!(rows(&is_code), exits.map(|exit| (exit as u8).to_string()).into());
}

#[test]
fn completions_and_the_manual_need_no_aws() {
    for (arguments, told) in [
        (vec!["completions", "bash"], "_flinkctl"),
        (vec!["completions", "zsh"], "#compdef"),
        (vec!["man"], ".TH flinkctl"),
    ] {
        let ran = Ran::of(&Command::new(FLINKCTL).env_clear().args(&arguments).output().unwrap());
        assert!(ran.code == 0 && ran.out.contains(told), "{arguments:?}: {}", ran.err);
    }
    assert!(Path::new(TERMINAL).is_file());
}
