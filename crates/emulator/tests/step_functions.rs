//! Step Functions' executions through the real SDK, in virtual time: names that are taken, what is told of an execution,
//! its history, lists, and reads that lag behind.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::operation::start_execution::builders::StartExecutionFluentBuilder;
use aws_sdk_sfn::types::{
    ExecutionRedriveStatus, ExecutionStatus, HistoryEventType, IncludedData, StateMachineStatus, StateMachineType,
};
use clock::Clock;
use emulator::simulated::SimulatedDataPlane;
use emulator::step_functions::{ExecutionEnd, ExecutionEvent, HistoryEvent, LedgerError, StateType, TaskResource};
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

/// Enters a Task that calls a Lambda and a Wait, a second each.
async fn play(emulator: &Emulator, execution: &str) {
    let entered = |kind, name: &str| HistoryEvent::StateEntered { kind, name: name.to_owned(), input: "{}".to_owned() };
    let resource = TaskResource::Lambda;
    let events = [
        entered(StateType::Task, "Prepare"),
        HistoryEvent::TaskScheduled { resource, parameters: r#"{"FunctionName":"prepare"}"#.to_owned() },
        HistoryEvent::TaskStarted { resource },
        HistoryEvent::TaskFailed { resource, error: "Throttled".to_owned(), cause: "slowly".to_owned() },
        HistoryEvent::TaskSucceeded { resource, output: "1".to_owned() },
        HistoryEvent::StateExited {
            kind: StateType::Task,
            name: "Prepare".to_owned(),
            output: "1".to_owned(),
            assigned: BTreeMap::from([("n".to_owned(), "1".to_owned())]),
        },
        entered(StateType::Wait, "WaitForOperation"),
    ];
    for event in events {
        emulator.clock().sleep(Duration::from_secs(1)).await;
        emulator.executions().happened(&arn(execution), emulator.clock().now(), event).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_tells_all_that_happened() {
    let (emulator, client) = world();
    start(&client, "a", r#"{"n":1}"#).send().await.unwrap();
    play(&emulator, "a").await;
    emulator.clock().sleep(Duration::from_secs(1)).await;
    client.stop_execution().execution_arn(arn("a")).error("Manual").cause("by hand").send().await.unwrap();
    let late = HistoryEvent::TaskStarted { resource: TaskResource::Lambda };
    let late = emulator.executions().happened(&arn("a"), emulator.clock().now(), late);
    assert_eq!(late, Err(LedgerError::Ended(emulator::step_functions::ExecutionStatus::Aborted)));
    let history = client.get_execution_history().execution_arn(arn("a")).send().await.unwrap();
    assert_eq!(history.next_token, None);
    let events = history.events;
    let told: Vec<_> = events.iter().map(|event| (event.id, event.previous_event_id, event.r#type.as_str())).collect();
    let expected = [
        (1, 0, "ExecutionStarted"),
        (2, 0, "TaskStateEntered"),
        (3, 2, "TaskScheduled"),
        (4, 3, "TaskStarted"),
        (5, 4, "TaskFailed"),
        (6, 5, "TaskSucceeded"),
        (7, 6, "TaskStateExited"),
        (8, 7, "WaitStateEntered"),
        (9, 8, "WaitStateAborted"),
        (10, 9, "ExecutionAborted"),
    ];
    assert_eq!(told, expected);
    let started = events[0].execution_started_event_details.as_ref().unwrap();
    assert_eq!(started.input.as_deref(), Some(r#"{"n":1}"#));
    assert_eq!(started.role_arn.as_deref(), Some("arn:aws:iam::123456789012:role/deploy"));
    let entered = events[1].state_entered_event_details.as_ref().unwrap();
    assert_eq!((entered.name.as_str(), entered.input.as_deref()), ("Prepare", Some("{}")));
    assert!(!entered.input_details.as_ref().unwrap().truncated);
    let scheduled = events[2].task_scheduled_event_details.as_ref().unwrap();
    assert_eq!((scheduled.resource_type.as_str(), scheduled.resource.as_str()), ("lambda", "invoke"));
    assert_eq!(
        (scheduled.region.as_str(), scheduled.parameters.as_str()),
        ("us-east-1", r#"{"FunctionName":"prepare"}"#)
    );
    let failed = events[4].task_failed_event_details.as_ref().unwrap();
    assert_eq!((failed.error.as_deref(), failed.cause.as_deref()), (Some("Throttled"), Some("slowly")));
    let exited = events[6].state_exited_event_details.as_ref().unwrap();
    assert_eq!((exited.name.as_str(), exited.output.as_deref()), ("Prepare", Some("1")));
    assert_eq!(exited.assigned_variables.as_ref().unwrap()["n"], "1");
    let aborted = events[9].execution_aborted_event_details.as_ref().unwrap();
    assert_eq!((aborted.error.as_deref(), aborted.cause.as_deref()), (Some("Manual"), Some("by hand")));
    assert_eq!(events[9].timestamp.secs() - events[0].timestamp.secs(), 8);
    // Without data there are names alone.
    let history = client.get_execution_history().execution_arn(arn("a")).include_execution_data(false);
    let events = history.send().await.unwrap().events;
    assert_eq!(events[1].state_entered_event_details.as_ref().unwrap().input, None);
    assert_eq!(events[0].execution_started_event_details.as_ref().unwrap().input, None);
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_a_history() {
    let (emulator, client) = world();
    let ledger = emulator.executions();
    let last = async |name: &str| {
        let history = client.get_execution_history().execution_arn(arn(name)).reverse_order(true).max_results(1);
        history.send().await.unwrap().events.remove(0)
    };
    ledger.started("deploy", "a", "{}").unwrap();
    assert_eq!(last("a").await.r#type, HistoryEventType::ExecutionStarted);
    let failed = ExecutionEnd::Failed { error: Some("RolledBack".to_owned()), cause: Some("{}".to_owned()) };
    ledger.ended(&arn("a"), failed).unwrap();
    let event = last("a").await;
    let details = event.execution_failed_event_details.unwrap();
    assert_eq!((details.error.as_deref(), details.cause.as_deref()), (Some("RolledBack"), Some("{}")));
    ledger.redriven(&arn("a")).unwrap();
    let event = last("a").await;
    assert_eq!(event.execution_redriven_event_details.unwrap().redrive_count, Some(1));
    ledger.ended(&arn("a"), ExecutionEnd::Succeeded { output: "1".to_owned() }).unwrap();
    let event = last("a").await;
    assert_eq!((event.id, event.r#type), (4, HistoryEventType::ExecutionSucceeded));
    assert_eq!(event.execution_succeeded_event_details.unwrap().output.as_deref(), Some("1"));
    ledger.started("deploy", "b", "{}").unwrap();
    ledger.ended(&arn("b"), ExecutionEnd::TimedOut).unwrap();
    assert_eq!(last("b").await.r#type, HistoryEventType::ExecutionTimedOut);
}

#[tokio::test(start_paused = true)]
async fn histories_are_paged_in_both_directions() {
    let (emulator, client) = world();
    let ledger = emulator.executions();
    ledger.started("deploy", "a", "{}").unwrap();
    play(&emulator, "a").await;
    for (is_reversed, expected) in [(false, [1, 2, 3, 4, 5, 6, 7, 8]), (true, [8, 7, 6, 5, 4, 3, 2, 1])] {
        let pages = client.get_execution_history().execution_arn(arn("a")).reverse_order(is_reversed).max_results(3);
        let mut pages = pages.into_paginator().send();
        let mut ids = Vec::new();
        let mut sizes = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            sizes.push(page.events.len());
            ids.extend(page.events.iter().map(|event| event.id));
        }
        assert_eq!((ids.as_slice(), sizes.as_slice()), (&expected[..], &[3, 3, 2][..]));
    }
    let history = || client.get_execution_history().execution_arn(arn("a"));
    // What comes while somebody reads the newest first is not in that one's pages.
    let newest = history().reverse_order(true).max_results(3).send().await.unwrap();
    ledger.ended(&arn("a"), ExecutionEnd::TimedOut).unwrap();
    let token = newest.next_token.unwrap();
    let next = history().reverse_order(true).max_results(3).next_token(&token).send().await.unwrap();
    assert_eq!(next.events.iter().map(|event| event.id).collect::<Vec<_>>(), [5, 4, 3]);
    // A token is of one order.
    let error = history().next_token(token).send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_token(), "{error:?}");
    let error = history().next_token("above-99").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_token(), "{error:?}");
    assert_eq!(history().max_results(1_001).send().await.unwrap_err().code(), Some("ValidationException"));
    let absent = client.get_execution_history().execution_arn(arn("b")).send().await.unwrap_err().into_service_error();
    assert!(absent.is_execution_does_not_exist(), "{absent:?}");
    let error = client.get_execution_history().execution_arn(DEPLOY).send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_arn(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn state_machines_are_listed_and_described() {
    let (emulator, client) = world();
    emulator.clock().sleep(Duration::from_secs(5)).await;
    emulator.executions().define_state_machine("snapshot", r#"{"StartAt":"A"}"#);
    let mut pages = client.list_state_machines().max_results(1).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        names.extend(page.unwrap().state_machines.into_iter().map(|machine| (machine.name, machine.r#type)));
    }
    let standard = |name: &str| (name.to_owned(), StateMachineType::Standard);
    assert_eq!(names, [standard("deploy"), standard("snapshot")]);
    let error = client.list_state_machines().next_token("from-3").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_token(), "{error:?}");
    let arn = emulator.executions().state_machine_arn("snapshot");
    let described = client.describe_state_machine().state_machine_arn(&arn).send().await.unwrap();
    assert_eq!((described.state_machine_arn, described.name.as_str()), (arn, "snapshot"));
    assert_eq!((described.status, described.r#type), (Some(StateMachineStatus::Active), StateMachineType::Standard));
    assert_eq!(described.definition, r#"{"StartAt":"A"}"#);
    assert_eq!(described.role_arn, "arn:aws:iam::123456789012:role/snapshot");
    assert_eq!(described.creation_date.secs(), EPOCH.parse::<Timestamp>().unwrap().as_second() + 5);
    // One without a definition is one all the same.
    let described = client.describe_state_machine().state_machine_arn(DEPLOY).send().await.unwrap();
    assert!(described.definition.contains("StartAt"), "{}", described.definition);
    let absent = client.describe_state_machine().state_machine_arn(format!("{DEPLOY}s")).send().await.unwrap_err();
    assert!(absent.into_service_error().is_state_machine_does_not_exist());
    let error = client.describe_state_machine().state_machine_arn("deploy").send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_arn());
}
