//! What has to be made of real failures: `tests/exceptions` holds the job that failed, and what each Flink answered.

use lifecycle::cause::{Category, Kind};
use lifecycle::evidence::Failure;
use serde_json::Value;

use crate::exceptions::Exceptions;

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/exceptions/recordings");
const RELEASES: [&str; 3] = ["1.20.5", "2.2.1", "2.3.0"];
/// The service cuts what it tells of a failed operation.
const LONGEST_TOLD: usize = 512;

/// A recording's name, what it is, and where the job's own code is in it; empty where it is not.
const EXPECTED: [(&str, Kind, &str); 37] = [
    ("array-index", Kind::OwnException, "Failing.map"),
    ("bad-option", Kind::BadOption, "OrdersJob.main"),
    ("checkpoint-expired", Kind::CheckpointsExpire, ""),
    ("checkpoint-tolerance", Kind::CheckpointsFail, "Stateful$Totals.snapshotState"),
    ("class-cast", Kind::OwnException, "Failing.map"),
    ("direct-memory", Kind::DirectMemory, "Failing.map"),
    ("division", Kind::OwnException, "Failing.map"),
    ("duplicate-uid", Kind::DuplicateUid, "OrdersJob.main"),
    ("erased-types", Kind::UnknownTypes, "OrdersJob.main"),
    ("heap", Kind::HeapMemory, "Failing.map"),
    ("http-timeout", Kind::TimedOut, "Failing.open"),
    ("key-type", Kind::StateType, ""),
    ("kryo", Kind::Serializer, ""),
    ("lost-task-manager", Kind::LostTaskManager, ""),
    ("main-throws", Kind::OwnException, "Catalogue.ofRegion"),
    ("max-parallelism", Kind::MaxParallelism, "OrdersJob.main"),
    ("missing-class", Kind::MissingClass, "Failing.map"),
    ("missing-method", Kind::MissingClass, "Failing.map"),
    ("missing-property", Kind::MissingParameter, "OrdersJob.required"),
    ("network-buffers", Kind::NetworkBuffers, ""),
    ("no-timestamps", Kind::NoTimestamps, ""),
    ("no-tls", Kind::Tls, "Failing.lambda$open$0"),
    ("not-serializable", Kind::NotSerializable, "OrdersJob.main"),
    ("null-key", Kind::NullKey, "OrdersJob$Slowly.processElement"),
    ("null-pointer", Kind::OwnException, "Failing.map"),
    ("number-format", Kind::OwnException, "Failing.map"),
    ("open-throws", Kind::OwnException, "Failing.open"),
    ("read-timeout", Kind::TimedOut, "Failing.lambda$open$2"),
    ("refused", Kind::Unreachable, "Failing.open"),
    ("removed-operator", Kind::OperatorRemoved, "OrdersJob.main"),
    ("reset", Kind::Unreachable, "Failing.lambda$open$1"),
    ("slots", Kind::Slots, ""),
    ("stack-overflow", Kind::StackOverflow, "Catalogue.depth"),
    ("state-too-large", Kind::CheckpointsFail, ""),
    ("state-type", Kind::StateType, "Stateful$Totals.open"),
    ("unknown-host", Kind::UnknownHost, "Failing.open"),
    ("wrapped", Kind::OwnException, "Failing.map"),
];

/// The text that Flink answered with.
fn text_of(release: &str, name: &str) -> (String, bool) {
    let path = format!("{RECORDINGS}/{release}/{name}.json");
    let recording: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let body = recording["body"].clone();
    if recording["request"] == "run" {
        let errors = body["errors"].as_array().unwrap().iter().filter_map(Value::as_str);
        return (errors.collect::<Vec<_>>().join("\n"), true);
    }
    let told = serde_json::from_value::<Exceptions>(body).unwrap().oldest().unwrap();
    assert!(told.at.is_some(), "{release} {name}: no time");
    (told.stacktrace, false)
}

#[test]
fn each_recorded_failure_is_told_for_what_it_is() {
    for release in RELEASES {
        for (name, kind, own) in EXPECTED {
            let (text, _) = text_of(release, name);
            let failure = Failure::read(&text);
            assert_eq!(failure.kind, kind, "{release} {name}: {failure}");
            let frame = failure.own_frame.unwrap_or_default();
            let expected = if own.is_empty() { String::new() } else { format!("com.example.orders.{own}(") };
            assert!(frame.starts_with(&expected) && frame.is_empty() == own.is_empty(), "{release} {name}: {frame}");
        }
    }
}

#[test]
fn what_the_service_has_cut_short_is_told_for_what_it_is_or_as_unknown() {
    for release in RELEASES {
        for (name, kind, _) in EXPECTED {
            let (text, is_of_a_start) = text_of(release, name);
            for length in (1..=LONGEST_TOLD).filter(|_| is_of_a_start) {
                let told = text.chars().take(length).collect::<String>();
                let category = Failure::read(&told).kind.category();
                assert!(category == kind.category() || category == Category::Unknown, "{release} {name}: {told}");
            }
        }
    }
}

#[test]
fn every_recording_is_expected() {
    for release in RELEASES {
        let files = std::fs::read_dir(format!("{RECORDINGS}/{release}")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap().replace(".json", ""));
        let mut names: Vec<_> = names.collect();
        names.sort();
        let mut expected: Vec<_> = EXPECTED.iter().map(|(name, ..)| (*name).to_owned()).collect();
        expected.sort();
        assert_eq!(names, expected, "{release}");
    }
}

#[test]
fn what_the_service_puts_before_a_trace_is_the_cause() {
    let outer = "java.util.concurrent.CompletionException: org.apache.flink.util.FlinkRuntimeException: Could not execute \
                 application.\n\tat java.base/java.util.concurrent.CompletableFuture.encodeThrowable(Unknown Source)";
    let invocation = "org.apache.flink.client.program.ProgramInvocationException: The program's entry point class";
    let cases = [
        (
            format!("{invocation} 'com.example.Orders' could not be loaded due to a linkage failure."),
            Kind::MissingClass,
        ),
        (format!("{invocation} 'com.example.Orders' was not found in the jar file."), Kind::UnusableJar),
        ("com.example.NoSuchOrder: 12".to_owned(), Kind::OwnException),
        ("java.lang.IllegalStateException: no price".to_owned(), Kind::Unknown),
    ];
    for (cause, kind) in cases {
        let failure = Failure::read(&format!("{cause} StackTrace: {outer}"));
        assert_eq!((failure.kind, failure.to_string()), (kind, cause));
    }
}
