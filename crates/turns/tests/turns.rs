//! Turns through the real clients, against the emulator in this process and in virtual time: who has the turn when calls
//! cross, fail, or tell of the past.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sfn::config::{Credentials, SharedCredentialsProvider};
use clock::Clock;
use emulator::dynamodb::Table;
use emulator::faults::{Loss, Occurrences};
use emulator::record::Event;
use emulator::simulated::SimulatedDataPlane;
use emulator::step_functions::ExecutionEnd;
use emulator::{Effect, Emulator, EmulatorConfig, Fault, InProcessHttp};
use jiff::Timestamp;
use lifecycle::turn::{Answer, Claim};
use managed_flink::ErrorKind;
use turns::TurnTable;

struct World {
    emulator: Emulator,
    turns: TurnTable,
}

impl World {
    fn new() -> Self {
        let clock = Clock::starting_at("2026-01-02T12:00:00Z".parse().unwrap(), 1);
        let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 0));
        let emulator = Emulator::new(EmulatorConfig {
            tables: vec![Table::new("turns", "application")],
            state_machines: vec!["deploy".to_owned()],
            ..EmulatorConfig::new(clock, data_plane)
        });
        let turns = TurnTable::new(&sdk(&emulator), "turns");
        Self { emulator, turns }
    }

    fn now(&self) -> Timestamp {
        self.emulator.clock().now()
    }

    /// An execution begins; its ARN.
    fn begin(&self, name: &str) -> String {
        self.emulator.executions().started("deploy", name, "{}").unwrap().arn
    }

    fn end(&self, arn: &str) {
        self.emulator.executions().ended(arn, ExecutionEnd::Succeeded { output: "{}".to_owned() }).unwrap();
    }

    async fn ask(&self, arn: &str) -> Result<Answer, managed_flink::Error> {
        let started = self.emulator.executions().execution(arn).unwrap().started;
        self.turns.ask("orders", &Claim::new(arn, started, None), self.now()).await
    }

    fn fails(&self, operation: &str, effect: Effect, occurrences: Occurrences) {
        self.emulator.inject(Fault::new(operation, effect).on(occurrences));
    }

    /// How often this was called.
    fn calls(&self, operation: &str) -> usize {
        let record = self.emulator.record();
        record.iter().filter(|entry| matches!(&entry.event, Event::Call(call) if call.operation == operation)).count()
    }
}

fn sdk(emulator: &Emulator) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "take-turn",
            "secret",
            None,
            None,
            "test",
        )))
        .http_client(InProcessHttp::new(emulator.clone()))
        .build()
}

fn wait(behind: &str) -> Answer {
    Answer::Wait { behind: behind.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_turn_costs_one_read_and_one_write_and_asking_again_no_write() {
    let world = World::new();
    let first = world.begin("first");
    assert_eq!(world.ask(&first).await.unwrap(), Answer::Yours);
    assert_eq!((world.calls("GetItem"), world.calls("PutItem"), world.calls("DescribeExecution")), (1, 1, 0));
    assert_eq!(world.ask(&first).await.unwrap(), Answer::Yours);
    assert_eq!((world.calls("GetItem"), world.calls("PutItem"), world.calls("DescribeExecution")), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_next_has_its_turn_when_the_execution_before_has_ended() {
    let world = World::new();
    let (first, second) = (world.begin("first"), world.begin("second"));
    assert_eq!(world.ask(&first).await.unwrap(), Answer::Yours);
    assert_eq!(world.ask(&second).await.unwrap(), wait(&first));
    assert_eq!(world.turns.holder("orders", world.now()).await.unwrap(), Some(first.clone()));
    world.end(&first);
    assert_eq!(world.turns.holder("orders", world.now()).await.unwrap(), None);
    assert_eq!(world.ask(&second).await.unwrap(), Answer::Yours);
    assert_eq!(world.turns.holder("orders", world.now()).await.unwrap(), Some(second));
}

#[tokio::test(start_paused = true)]
async fn of_many_that_ask_at_once_one_has_its_turn() {
    let world = Arc::new(World::new());
    let executions: Vec<String> = (0..6).map(|number| world.begin(&format!("execution-{number}"))).collect();
    // Reads and writes take their time, so that all of them cross.
    world.fails("dynamodb:GetItem", Effect::Delay(Duration::from_millis(40)), Occurrences::Always);
    let asked = executions.iter().map(|arn| {
        let (world, arn) = (Arc::clone(&world), arn.clone());
        tokio::spawn(async move { world.ask(&arn).await.unwrap() })
    });
    let asked: Vec<_> = asked.collect();
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::Yours).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Yours | Answer::Wait { .. })), "{answers:?}");
    assert!(world.calls("PutItem") > executions.len(), "none of them crossed");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_no_second_claim() {
    for loss in [Loss::ServerError, Loss::ConnectionReset] {
        let world = World::new();
        let (first, second) = (world.begin("first"), world.begin("second"));
        world.fails("dynamodb:PutItem", Effect::LostResponse(loss), Occurrences::Nth(1));
        assert_eq!(world.ask(&first).await.unwrap(), Answer::Yours);
        assert_eq!(world.ask(&second).await.unwrap(), wait(&first));
    }
}

#[tokio::test(start_paused = true)]
async fn step_functions_may_tell_of_the_past() {
    let world = World::new();
    let (first, second) = (world.begin("first"), world.begin("second"));
    world.fails("states:DescribeExecution", Effect::StaleRead(Duration::from_mins(1)), Occurrences::Always);
    assert_eq!(world.ask(&first).await.unwrap(), Answer::Yours);
    assert_eq!(world.ask(&second).await.unwrap(), wait(&first), "it is too young to be known");
    tokio::time::sleep(Duration::from_mins(10)).await;
    world.end(&first);
    assert_eq!(world.ask(&second).await.unwrap(), wait(&first), "it is said to run still");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(world.ask(&second).await.unwrap(), Answer::Yours);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_or_written_is_an_error_and_nobodys_turn() {
    let refused = |operation: &'static str, effect: Effect| async move {
        let world = World::new();
        let (first, second) = (world.begin("first"), world.begin("second"));
        if operation == "states:DescribeExecution" {
            world.ask(&first).await.unwrap();
        }
        world.fails(operation, effect, Occurrences::Always);
        let error = world.ask(&second).await.unwrap_err();
        let holder = world.emulator.dynamodb().item("turns", "orders").map(|item| item.to_string());
        assert!(!holder.unwrap_or_default().contains("second"), "{operation}");
        (error.kind(), error.operation())
    };
    let denied = || Effect::AccessDenied;
    assert_eq!(refused("dynamodb:GetItem", denied()).await, (ErrorKind::AccessDenied, "GetItem"));
    assert_eq!(refused("dynamodb:PutItem", denied()).await, (ErrorKind::AccessDenied, "PutItem"));
    assert_eq!(refused("states:DescribeExecution", denied()).await, (ErrorKind::AccessDenied, "DescribeExecution"));
    assert_eq!(refused("dynamodb:PutItem", Effect::Throttle).await, (ErrorKind::Throttled, "PutItem"));
    assert_eq!(refused("dynamodb:GetItem", Effect::Unreachable).await, (ErrorKind::Unavailable, "GetItem"));
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_not_ours_is_told_with_the_cure() {
    let world = World::new();
    let client = aws_sdk_dynamodb::Client::new(&sdk(&world.emulator));
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let item = client.put_item().table_name("turns").item("application", text("orders")).item("turns", text("no JSON"));
    item.send().await.unwrap();
    let error = world.ask(&world.begin("first")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    assert!(error.message().contains("orders") && error.message().contains("delete it"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn applications_have_turns_of_their_own() {
    let world = World::new();
    let (one, other) = (world.begin("one"), world.begin("other"));
    assert_eq!(world.ask(&one).await.unwrap(), Answer::Yours);
    let claim = Claim::new(&other, world.now(), None);
    assert_eq!(world.turns.ask("payments", &claim, world.now()).await.unwrap(), Answer::Yours);
}
