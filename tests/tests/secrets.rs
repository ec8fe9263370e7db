//! Every byte that is told anywhere, in every scenario of the catalogue, in runs of snapshots and in uploads, searched for
//! secrets that were planted: values of runtime properties, old and new, presigned URLs, and the Lambdas' own credentials.
//! The service and the job quote them back wherever they say something. That the search finds what leaks is shown too.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use asl::TaskError;
use bytes::Bytes;
use clock::Clock;
use emulator::simulated::SimulatedDataPlane;
use emulator::{Emulator, EmulatorConfig};
use handler::Metrics;
use scenarios::catalogue::{catalogue, scenario};
use scenarios::scenario::Scenario;
use scenarios::secrets::{
    Amount, Place, Played, Secrets, Spoil, Told, leaks_of, planted, play, run_of_snapshots, uploads,
};
use scenarios::world::{TURNS, noon};
use serde_json::{Value, json};

/// What was searched, by where it was told.
#[derive(Default)]
struct Searched(BTreeMap<Place, Amount>);

impl Searched {
    fn add(&mut self, told: &Told) {
        for (place, more) in told.amounts() {
            let amount = self.0.entry(place).or_default();
            amount.texts += more.texts;
            amount.bytes += more.bytes;
        }
    }

    fn table(&self) -> String {
        let mut table = String::new();
        for (place, Amount { texts, bytes }) in &self.0 {
            let _ = writeln!(table, "{place:22} {texts:>8} texts {bytes:>12} bytes");
        }
        let bytes: usize = self.0.values().map(|amount| amount.bytes).sum();
        let _ = writeln!(table, "{:22} {bytes:>27} bytes", "together");
        table
    }
}

/// Plays a scenario with planted secrets, and tells where they are found.
fn search(scenario: &Scenario) -> (Told, Vec<String>) {
    let Played { run, told, leaks } = play(&planted(scenario), None).unwrap();
    let found = leaks.into_iter().map(|leak| format!("{}: {leak:?}", scenario.name));
    let broken = run.violations.iter().filter(|violation| violation.rule == 8);
    let broken = broken.map(|violation| format!("{}: {}", scenario.name, violation.what));
    (told, found.chain(broken).collect())
}

#[test]
fn no_byte_of_all_that_is_told_is_of_a_secret() {
    let mut searched = Searched::default();
    let mut leaks = BTreeSet::new();
    let scenarios = catalogue();
    let (results, played) = mpsc::channel();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (results, scenarios, next) = (results.clone(), &scenarios, &next);
            scope.spawn(move || {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    results.send(search(scenario)).unwrap();
                }
            });
        }
        drop(results);
        for (told, found) in played {
            searched.add(&told);
            leaks.extend(found);
        }
    });
    for (name, told) in [("snapshots", run_of_snapshots(None).unwrap()), ("uploads", uploads("orders.jar").unwrap())] {
        searched.add(&told);
        leaks.extend(leaks_of(&told).into_iter().map(|leak| format!("{name}: {leak:?}")));
    }
    println!("{}", searched.table());
    assert_eq!(leaks, BTreeSet::new());
    let empty: Vec<_> = Place::ALL.into_iter().filter(|place| !searched.0.contains_key(place)).collect();
    assert_eq!(empty, [], "nothing was told there, so that nothing was searched");
}

/// What is told on purpose, so that it has to be found.
const LEAK: &str = "leaked on purpose: 100 %";

fn places(told: &Told) -> BTreeSet<Place> {
    let leaks = told.leaks(&Secrets::new([("the leak", LEAK.to_owned())]));
    leaks.into_iter().map(|leak| leak.place).collect()
}

/// Where a leak is found of a deployment whose functions answer so.
fn leaks_of_a_deployment(spoil: impl Fn(&str, Answer) -> Answer + Send + Sync + 'static) -> BTreeSet<Place> {
    let spoil: Spoil = Arc::new(spoil);
    places(&play(&scenario("healthy").unwrap(), Some(&spoil)).unwrap().told)
}

type Answer = Result<Value, TaskError>;

/// The answer with a leak in one of its members, if it is of this function.
fn leaking(function: &'static str, path: &'static str) -> impl Fn(&str, Answer) -> Answer {
    move |called, answer| {
        let mut answer = answer?;
        if called == function
            && let Some(member) = answer.pointer_mut(path)
        {
            *member = json!(LEAK);
        }
        Ok(answer)
    }
}

#[test]
fn a_leak_in_a_document_is_found_wherever_the_document_goes() {
    let found = leaks_of_a_deployment(leaking("decide-rollback", "/decided"));
    let expected = [Place::StateInput, Place::StateOutput, Place::Payload, Place::TaskResult];
    assert!(found.is_superset(&BTreeSet::from(expected)), "{found:?}");
}

#[test]
fn a_leak_in_a_report_is_found_where_the_execution_ends() {
    let found = leaks_of_a_deployment(leaking("notify", "/report/summary"));
    assert!(found.contains(&Place::ExecutionEnd), "{found:?}");
}

#[test]
fn a_leak_in_an_error_is_found() {
    let found = leaks_of_a_deployment(|called, answer| match called {
        "check-operation" => Err(TaskError { error: "UnexpectedError".to_owned(), cause: LEAK.to_owned() }),
        _ => answer,
    });
    assert_eq!(found, BTreeSet::from([Place::TaskError]));
}

#[test]
fn a_leak_in_the_log_is_found() {
    let found = leaks_of_a_deployment(|_, answer| {
        tracing::trace!(target: "handler", "{LEAK}");
        answer
    });
    assert_eq!(found, BTreeSet::from([Place::LogLine]));
}

#[test]
fn a_leak_in_the_input_of_a_nested_execution_is_found() {
    let spoil: Spoil = Arc::new(leaking("select-applications", "/plan/snapshot"));
    let found = places(&run_of_snapshots(Some(&spoil)).unwrap());
    assert!(found.contains(&Place::ExecutionInput), "{found:?}");
}

#[test]
fn a_leak_in_what_is_uploaded_is_found_in_the_reply_to_the_event() {
    let found = places(&uploads(&format!("{LEAK}.jar")).unwrap());
    let expected = [Place::Reply, Place::LogLine, Place::Letter, Place::BusEvent, Place::ExecutionInput, Place::Call];
    assert!(found.is_superset(&BTreeSet::from(expected)), "{found:?}");
}

#[test]
fn a_leak_in_a_metric_is_found() {
    let told = Told::default();
    Metrics::on(told.writer(Place::MetricLine)).write(LEAK, noon(), &[]);
    assert_eq!(places(&told), BTreeSet::from([Place::MetricLine]));
}

/// Sent by nobody of ours, straight to the service.
#[tokio::test(start_paused = true)]
async fn a_leak_in_a_letter_an_event_or_an_item_is_found() {
    let clock = Clock::starting_at(noon(), 1);
    let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 1));
    let letter = "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3Atopic\
                  &Message=leaked+on+purpose%3A+100+%25";
    let event = json!({ "Entries": [
        { "Source": "test", "DetailType": "Leak", "Detail": json!({ "summary": LEAK }).to_string() } ] });
    let item = json!({ "TableName": TURNS, "Item": { "application": { "S": "orders" }, "turns": { "S": LEAK } } });
    for (service, kind, target, body, place) in [
        ("sns", "x-www-form-urlencoded", "none", letter.to_owned(), Place::Letter),
        ("events", "x-amz-json-1.1", "AWSEvents.PutEvents", event.to_string(), Place::BusEvent),
        ("dynamodb", "x-amz-json-1.0", "DynamoDB_20120810.PutItem", item.to_string(), Place::Item),
    ] {
        let emulator = Emulator::new(EmulatorConfig::new(clock.clone(), Arc::clone(&data_plane) as _));
        emulator.dynamodb().create_table(TURNS, "application");
        let credential = format!("AWS4-HMAC-SHA256 Credential=leaky/20260102/us-east-1/{service}/aws4_request");
        let request = http::Request::post(format!("https://{service}.us-east-1.amazonaws.com/"))
            .header("content-type", format!("application/{kind}"))
            .header("x-amz-target", target)
            .header("authorization", credential)
            .body(Bytes::from(body))
            .unwrap();
        let answer = emulator.handle(request).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        let told = Told::default();
        told.keep_all_of(&emulator);
        assert_eq!(places(&told), BTreeSet::from([place, Place::Call]), "{:?}", told.texts());
    }
}
