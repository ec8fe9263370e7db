//! What `template.yaml` hands to the Lambdas by default is what they take.

use std::path::PathBuf;

use lifecycle::snapshots::{Selection, SnapshotRequest};
use serde_json::Value;

/// The default of a parameter that is folded over the lines below it.
fn folded_default(template: &str, parameter: &str) -> String {
    let lines = template.lines().skip_while(|line| *line != format!("  {parameter}:"));
    let lines = lines.skip_while(|line| *line != "    Default: >-").skip(1);
    let lines: Vec<&str> = lines.map_while(|line| line.strip_prefix("      ")).collect();
    lines.join(" ")
}

#[test]
fn the_schedule_hands_over_a_request_that_is_taken() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let input = folded_default(&std::fs::read_to_string(path).unwrap(), "SnapshotInput");
    let filled_in = input.replace("<aws.scheduler.scheduled-time>", "2026-11-20T03:00:00Z");
    assert_ne!(filled_in, input, "EventBridge Scheduler has nothing to fill in");
    let input: Value = serde_json::from_str(&filled_in).unwrap();
    let request = SnapshotRequest::parse(&input, "2026-11-20T03:00:07Z".parse().unwrap()).unwrap();
    let Selection::Tagged(tag) = &request.selection else { panic!("{request:?}") };
    assert_eq!((tag.key.as_str(), tag.value.as_str()), ("snapshots", "scheduled"));
    assert_eq!(request.plan.retention.keep_newest, 30);
    assert!(request.plan.snapshot.contains("20261120T030000Z"), "{}", request.plan.snapshot);
}
