//! The emulator over HTTP, as other people's clients see it: boto3, which knows AWS's own model of the service, and the
//! binary with its port and its refusals.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use emulator::dynamodb::Table;
use emulator::simulated::SimulatedDataPlane;
use emulator::{Effect, Emulator, EmulatorConfig, Fault, Loss, Timings};

/// A server in this process that is ten times as fast as the service and waits for nothing long.
async fn served() -> (Emulator, String) {
    let clock = Clock::starting_at("2026-01-05T08:00:00Z".parse().unwrap(), 10);
    let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 7));
    let timings = Timings::brisk();
    let tables = vec![Table::new("turns", "application")];
    let state_machines = vec!["deploy".to_owned()];
    let config = EmulatorConfig::new(clock, data_plane);
    let emulator = Emulator::new(EmulatorConfig { timings, tables, state_machines, ..config });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = emulator.clone();
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
    (emulator, endpoint)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_finds_nothing_that_awss_model_would_not_allow() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/python/bin/python");
    assert!(python.exists(), "boto3 is missing: `cargo xtask test` installs it under target/tools/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws_cli.py");
    let (_emulator, endpoint) = served().await;
    let output = tokio::process::Command::new(python).arg(script).arg(endpoint).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_connection_brings_no_answer() {
    let (emulator, endpoint) = served().await;
    let client = reqwest::Client::new();
    let list = || {
        let call = client.post(&endpoint).header("x-amz-target", "KinesisAnalytics_20180523.ListApplications");
        call.body("{}").send()
    };
    assert_eq!(list().await.unwrap().status(), 200);
    emulator.inject(Fault::new("ListApplications", Effect::LostResponse(Loss::ConnectionReset)));
    let body = match list().await {
        Err(_) => Err(()),
        Ok(response) => response.bytes().await.map_err(|_| ()),
    };
    assert_eq!(body, Err(()));
    emulator.clear_faults();
    assert_eq!(list().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_calls_over_http() {
    let (emulator, endpoint) = served().await;
    let client = reqwest::Client::new();
    let post = async |path: &str, body: &str| {
        let response = client.post(format!("{endpoint}/_emulator/{path}")).body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, body) = post("code?bucket=code&key=a%20b.json", "{}").await;
    let version = serde_json::from_str::<serde_json::Value>(&body).unwrap()["versionId"].as_str().unwrap().to_owned();
    assert_eq!(status, 200);
    assert!(emulator.code().get("code", "a b.json", Some(&version)).is_some());
    assert_eq!(post("delete-code?bucket=code&key=a%20b.json", "").await.0, 200);
    assert!(emulator.code().get("code", "a b.json", None).is_none());
    assert_eq!(post("code?bucket=code", "").await.0, 400);
    assert_eq!(post("maintenance", r#"{"application":"absent","seconds":5}"#).await.0, 404);
    assert_eq!(post("maintenance", r#"{"application":"absent","hours":5}"#).await.0, 400);
    assert_eq!(post("autoscale", r#"{"application":"absent","parallelism":5}"#).await.0, 404);
    assert_eq!(post("lose-task-manager", r#"{"application":"absent"}"#).await.0, 404);
    let absent = r#"{"application":"absent","snapshots":[{"name":"a","created":"2026-01-05T08:00:00Z"}]}"#;
    assert_eq!(post("snapshots", absent).await.0, 404);
    assert_eq!(post("snapshots", r#"{"application":"absent","snapshots":[{"name":"a"}]}"#).await.0, 400);
    let arn = emulator.executions().started("deploy", "a", "{}").unwrap().arn;
    let end = format!(r#"{{"executionArn":"{arn}","status":"FAILED","error":"RolledBack","cause":"{{}}"}}"#);
    assert_eq!(post("end-execution", &end).await.0, 200);
    assert_eq!(emulator.executions().execution(&arn).unwrap().status().name(), "FAILED");
    assert_eq!(post("end-execution", &end).await.0, 400);
    assert_eq!(post("alarms", r#"{"name":"lag","state":"ALARM"}"#).await.0, 200);
    assert_eq!(post("coffee", "").await.0, 400);
    let fault = r#"{"operation":"ListApplications","occurrences":{"first":1},"effect":"throttle"}"#;
    assert_eq!(post("faults", fault).await.0, 200);
    let list = || client.post(&endpoint).header("x-amz-target", "KinesisAnalytics_20180523.ListApplications").send();
    assert_eq!(list().await.unwrap().status(), 400);
    assert_eq!(list().await.unwrap().status(), 200);
    assert_eq!(post("clear-faults", "").await.0, 200);
    let record = client.get(format!("{endpoint}/_emulator/record")).send().await.unwrap().text().await.unwrap();
    let record: Vec<emulator::RecordEntry> = serde_json::from_str(&record).unwrap();
    assert!(record.len() > 10);
}

/// A running binary that ends with the test.
struct Binary(Child);

impl Drop for Binary {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emulator"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_binary_tells_where_it_answers() {
    let made = ["--table", "turns:application", "--state-machine", "deploy"];
    let mut running =
        Binary(binary(&[&["serve", "--port", "0", "--speed", "50"], &made[..]].concat()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let endpoint = first.split_whitespace().find_map(|word| word.strip_suffix(';')).unwrap();
    assert!(endpoint.starts_with("http://127.0.0.1:"), "{first}");
    let example = lines.take(2).map(Result::unwrap).collect::<String>();
    assert!(example.contains("aws --endpoint-url") && example.contains(endpoint), "{example}");
    let calls = [
        ("KinesisAnalytics_20180523.ListApplications", "{}", r#"{"ApplicationSummaries":[]}"#),
        ("DynamoDB_20120810.GetItem", r#"{"TableName":"turns","Key":{"application":{"S":"orders"}}}"#, "{}"),
        (
            "AWSStepFunctions.ListExecutions",
            r#"{"stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:deploy"}"#,
            r#"{"executions":[]}"#,
        ),
    ];
    for (target, body, expected) in calls {
        let mut stream = std::net::TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let length = body.len();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: {target}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(expected), "{answer}");
    }
}

#[test]
fn misuse_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let table: [(&[&str], &str); 2] = [
        (&["serve", "--port", &port], "choose another port with --port"),
        (&["serve", "--port", "0", "--flink", "1.7"], "1.7 is not carried"),
    ];
    for (arguments, text) in table {
        let output = binary(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
        assert!(error.contains(text), "{error}");
    }
    let malformed = binary(&["serve", "--table", "turns"]).output().unwrap();
    assert!(String::from_utf8(malformed.stderr).unwrap().contains("a table is given as NAME:KEY"));
    let conflict = binary(&["serve", "--flink", "1.20", "--speed", "2"]).output().unwrap();
    assert_eq!(conflict.status.code(), Some(2));
    let help = binary(&["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in ["--port", "--speed", "--code-folder", "--flink", "--seed", "--table", "--state-machine"] {
        assert!(help.contains(option), "{help}");
    }
}
