//! Tasks that start executions.

use std::sync::Arc;

use serde_json::json;

use super::support::{Harness, machine, nested, pass};
use crate::{StateMachine, Status};

fn child(states: serde_json::Value) -> Arc<StateMachine> {
    Arc::new(machine(states).named("child"))
}

fn harness(child: &Arc<StateMachine>) -> Harness {
    let mut harness = Harness::new(vec![]);
    harness.engine = harness.engine.with_state_machines(Arc::new(vec![Arc::clone(child)]));
    harness
}

#[tokio::test(start_paused = true)]
async fn the_result_is_what_describe_execution_says() {
    let child = child(
        json!({ "W": { "Type": "Wait", "Seconds": 10, "Next": "P" }, "P": pass(json!({ "got": "{% $states.input %}" })) }),
    );
    let harness = harness(&child);
    let parent = machine(json!({ "T": nested(json!({ "Name": "one", "Input": { "k": "{% $states.input %}" } })) }));
    let result = harness.run(&parent, json!(1)).await;
    assert_eq!(result.status, Status::Succeeded, "{result:?}");
    let expected = json!({
        "ExecutionArn": "arn:aws:states:us-east-1:123456789012:execution:child:one",
        "Input": { "k": 1 },
        "InputDetails": { "Included": true },
        "Name": "one",
        "Output": { "got": { "k": 1 } },
        "OutputDetails": { "Included": true },
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE",
        "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        "StartDate": 1_700_000_000_000_u64,
        "StateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:child",
        "Status": "SUCCEEDED",
        "StopDate": 1_700_000_010_000_u64,
    });
    assert_eq!(result.output.unwrap().to_string(), expected.to_string());
}
