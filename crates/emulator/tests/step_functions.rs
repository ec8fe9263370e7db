//! Step Functions' executions through the real SDK, in virtual time: names that are taken, what is told of an execution,
//! lists, and reads that lag behind.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::operation::start_execution::builders::StartExecutionFluentBuilder;
use aws_sdk_sfn::types::{ExecutionRedriveStatus, ExecutionStatus, IncludedData};
use clock::Clock;
use emulator::simulated::SimulatedDataPlane;
use emulator::step_functions::{ExecutionEnd, ExecutionEvent, LedgerError};
use emulator::{Effect, Emulator, EmulatorConfig, Fault, InProcessHttp};
use jiff::Timestamp;

const EPOCH: &str = "2026-01-05T08:00:00.25Z";

fn world() -> (Emulator, Client) {
    let clock = Clock::starting_at(EPOCH.parse().unwrap(), 1);
    let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 0));
    let state_machines = vec!["deploy".to_owned()];
    let emulator = Emulator::new(EmulatorConfig { state_machines, ..EmulatorConfig::new(clock, data_plane) });
    let config = aws_sdk_sfn::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIDFIRST", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(InProcessHttp::new(emulator.clone()).with_latency(Duration::ZERO));
    (emulator, Client::from_conf(config.build()))
}

const DEPLOY: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:deploy";

fn arn(name: &str) -> String {
    format!("arn:aws:states:us-east-1:123456789012:execution:deploy:{name}")
}

fn start(client: &Client, name: &str, input: &str) -> StartExecutionFluentBuilder {
    client.start_execution().state_machine_arn(DEPLOY).name(name).input(input)
}

async fn status(client: &Client, name: &str) -> Option<ExecutionStatus> {
    match client.describe_execution().execution_arn(arn(name)).send().await {
        Ok(execution) => Some(execution.status),
        Err(error) => {
            assert!(error.into_service_error().is_execution_does_not_exist());
            None
        }
    }
}

async fn listed(client: &Client, status: Option<ExecutionStatus>) -> Vec<String> {
    let list = client.list_executions().state_machine_arn(DEPLOY).set_status_filter(status);
    list.send().await.unwrap().executions.into_iter().map(|execution| execution.name).collect()
}

#[tokio::test(start_paused = true)]
async fn the_same_start_twice_is_one_execution() {
    let (emulator, client) = world();
    let mut events = emulator.executions().listen();
    let first = start(&client, "a-1", r#"{"n":1}"#).send().await.unwrap();
    assert_eq!(first.execution_arn, arn("a-1"));
    emulator.clock().sleep(Duration::from_secs(5)).await;
    let again = start(&client, "a-1", r#"{"n":1}"#).send().await.unwrap();
    assert_eq!((again.execution_arn, again.start_date), (first.execution_arn, first.start_date));
    let other = start(&client, "a-1", r#"{"n":2}"#).send().await.unwrap_err().into_service_error();
    assert!(other.is_execution_already_exists(), "{other:?}");
    emulator.executions().ended(&arn("a-1"), ExecutionEnd::TimedOut).unwrap();
    let late = start(&client, "a-1", r#"{"n":1}"#).send().await.unwrap_err().into_service_error();
    assert!(late.is_execution_already_exists(), "{late:?}");
    let ExecutionEvent::Started(told) = events.try_recv().unwrap() else { panic!("something else was told") };
    assert_eq!((told.name.as_str(), told.input.as_str()), ("a-1", r#"{"n":1}"#));
    assert!(events.try_recv().is_err());
    // 90 days after its end the name is free.
    emulator.clock().sleep(Duration::from_hours(90 * 24)).await;
    start(&client, "a-1", r#"{"n":1}"#).send().await.unwrap();
    assert_eq!(emulator.executions().executions().len(), 2);
    assert_eq!(status(&client, "a-1").await, Some(ExecutionStatus::Running));
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_an_execution() {
    let (emulator, client) = world();
    let ledger = emulator.executions();
    let describe = |name: &str| client.describe_execution().execution_arn(arn(name));
    ledger.started("deploy", "a", r#"{"n":1}"#).unwrap();
    let running = describe("a").send().await.unwrap();
    assert_eq!((running.status, running.stop_date, running.output), (ExecutionStatus::Running, None, None));
    assert_eq!(running.redrive_status, Some(ExecutionRedriveStatus::NotRedrivable));
    let seconds = running.start_date.as_secs_f64();
    assert!((seconds - EPOCH.parse::<Timestamp>().unwrap().as_duration().as_secs_f64()).abs() < 1e-6);
    emulator.clock().sleep(Duration::from_mins(1)).await;
    ledger.ended(&arn("a"), ExecutionEnd::Succeeded { output: r#"{"outcome":"Deployed"}"#.to_owned() }).unwrap();
    let ended = describe("a").send().await.unwrap();
    assert_eq!(
        (ended.status, ended.output.as_deref()),
        (ExecutionStatus::Succeeded, Some(r#"{"outcome":"Deployed"}"#))
    );
    assert_eq!(ended.stop_date.unwrap().secs() - ended.start_date.secs(), 60);
    assert_eq!((ended.input.as_deref(), ended.state_machine_arn.as_str()), (Some(r#"{"n":1}"#), DEPLOY));
    let metadata = describe("a").included_data(IncludedData::MetadataOnly).send().await.unwrap();
    assert_eq!((metadata.input, metadata.output), (None, None));
    ledger.started("deploy", "b", "{}").unwrap();
    let end = ExecutionEnd::Failed { error: Some("RolledBack".to_owned()), cause: Some("{}".to_owned()) };
    ledger.ended(&arn("b"), end).unwrap();
    let failed = describe("b").send().await.unwrap();
    assert_eq!((failed.error.as_deref(), failed.cause.as_deref()), (Some("RolledBack"), Some("{}")));
    assert_eq!(failed.redrive_status, Some(ExecutionRedriveStatus::Redrivable));
    // The ledger keeps its own rules.
    let twice = ledger.ended(&arn("b"), ExecutionEnd::TimedOut);
    assert_eq!(twice, Err(LedgerError::Ended(emulator::step_functions::ExecutionStatus::Failed)));
    assert_eq!(ledger.ended(&arn("c"), ExecutionEnd::TimedOut), Err(LedgerError::NoExecution(arn("c"))));
    assert!(matches!(ledger.started("absent", "c", "{}"), Err(LedgerError::Refused { .. })));
    assert_eq!(ledger.execution(&arn("b")).unwrap().status().name(), "FAILED");
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_stopped_once() {
    let (emulator, client) = world();
    let mut events = emulator.executions().listen();
    emulator.executions().started("deploy", "a", "{}").unwrap();
    let stop = || client.stop_execution().execution_arn(arn("a")).error("Manual").cause("by hand").send();
    let stopped = stop().await.unwrap();
    emulator.clock().sleep(Duration::from_secs(5)).await;
    assert_eq!(stop().await.unwrap().stop_date, stopped.stop_date);
    let ExecutionEvent::Stopped(told) = events.try_recv().unwrap() else { panic!("something else was told") };
    assert_eq!(told.name, "a");
    assert!(events.try_recv().is_err());
    let described = client.describe_execution().execution_arn(arn("a")).send().await.unwrap();
    assert_eq!((described.status, described.error.as_deref()), (ExecutionStatus::Aborted, Some("Manual")));
    let absent = client.stop_execution().execution_arn(arn("b")).send().await.unwrap_err().into_service_error();
    assert!(absent.is_execution_does_not_exist());
}

#[tokio::test(start_paused = true)]
async fn lists_are_paged_and_the_newest_comes_first() {
    let (emulator, client) = world();
    let ledger = emulator.executions();
    ledger.add_state_machine("snapshot");
    ledger.started("snapshot", "other", "{}").unwrap();
    for number in 0..250 {
        ledger.started("deploy", &format!("e-{number}"), "{}").unwrap();
        if number % 2 == 0 {
            ledger.ended(&arn(&format!("e-{number}")), ExecutionEnd::Succeeded { output: "{}".to_owned() }).unwrap();
        }
        emulator.clock().sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(listed(&client, None).await.len(), 100);
    assert_eq!(listed(&client, None).await[..2], ["e-249", "e-248"]);
    assert_eq!(listed(&client, Some(ExecutionStatus::Succeeded)).await[..2], ["e-248", "e-246"]);
    let pages = client.list_executions().state_machine_arn(DEPLOY).status_filter(ExecutionStatus::Running);
    let mut pages = pages.max_results(60).into_paginator().send();
    let mut running = Vec::new();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap().executions;
        sizes.push(page.len());
        running.extend(page.into_iter().map(|execution| execution.name));
    }
    assert_eq!(sizes, [60, 60, 5]);
    let expected: Vec<_> = (0..125).rev().map(|number| format!("e-{}", 2 * number + 1)).collect();
    assert_eq!(running, expected);
}

#[tokio::test(start_paused = true)]
async fn stale_reads_do_not_know_a_young_execution() {
    let (emulator, client) = world();
    emulator.inject(Fault::new("states:DescribeExecution", Effect::StaleRead(Duration::from_secs(3))));
    emulator.inject(Fault::new("states:ListExecutions", Effect::StaleRead(Duration::from_secs(3))));
    start(&client, "a", "{}").send().await.unwrap();
    assert_eq!((status(&client, "a").await, listed(&client, None).await.len()), (None, 0));
    emulator.clock().sleep(Duration::from_secs(3)).await;
    assert_eq!((status(&client, "a").await, listed(&client, None).await.len()), (Some(ExecutionStatus::Running), 1));
    client.stop_execution().execution_arn(arn("a")).send().await.unwrap();
    let running = Some(ExecutionStatus::Running);
    assert_eq!((status(&client, "a").await, listed(&client, running.clone()).await.len()), (running.clone(), 1));
    emulator.clock().sleep(Duration::from_secs(3)).await;
    let aborted = Some(ExecutionStatus::Aborted);
    assert_eq!((status(&client, "a").await, listed(&client, running).await.len()), (aborted, 0));
}

#[tokio::test(start_paused = true)]
async fn what_the_service_refuses_is_refused() {
    let (_, client) = world();
    let long = "a".repeat(81);
    let starts = [
        (start(&client, &long, "{}"), "ValidationException"),
        (start(&client, "a b", "{}"), "InvalidName"),
        (start(&client, "a/b", "{}"), "InvalidName"),
        (start(&client, "a:b", "{}"), "InvalidName"),
        (start(&client, "a", "{"), "InvalidExecutionInput"),
        (start(&client, "a", &format!("\"{}\"", "x".repeat(262_143))), "ValidationException"),
        (start(&client, "a", "{}").state_machine_arn(format!("{DEPLOY}s")), "StateMachineDoesNotExist"),
        (start(&client, "a", "{}").state_machine_arn("deploy"), "InvalidArn"),
        (client.start_execution().name("a"), "ValidationException"),
    ];
    for (start, code) in starts {
        let error = start.send().await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error:?}");
    }
    start(&client, &"a".repeat(80), &format!("\"{}\"", "x".repeat(262_142))).send().await.unwrap();
    let unnamed = || client.start_execution().state_machine_arn(DEPLOY).send();
    let (first, second) = (unnamed().await.unwrap(), unnamed().await.unwrap());
    assert_ne!(first.execution_arn, second.execution_arn);
    let malformed = client.describe_execution().execution_arn(DEPLOY).send().await.unwrap_err();
    assert_eq!(malformed.code(), Some("InvalidArn"));
    let list = || client.list_executions().state_machine_arn(DEPLOY);
    let lists = [
        (list().max_results(1_001), "ValidationException"),
        (list().next_token("before-7000"), "InvalidToken"),
        (list().state_machine_arn(format!("{DEPLOY}s")), "StateMachineDoesNotExist"),
        (list().status_filter(ExecutionStatus::PendingRedrive), "ValidationException"),
    ];
    for (list, code) in lists {
        let error = list.send().await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error:?}");
    }
}
