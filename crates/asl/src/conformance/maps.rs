//! Inline Maps.

use serde_json::json;

use super::support::{Answer, Harness, machine, map, task};
use crate::Status;

#[tokio::test(start_paused = true)]
async fn results_are_in_the_items_order_whatever_order_they_end_in() {
    let states = json!({ "W": {
        "Type": "Wait", "Seconds": "{% $states.input.seconds %}", "End": true,
        "Output": "{% [$states.input.index, $states.context.Map.Item.Index, $states.context.Map.Item.Value] %}",
    } });
    let selector = json!({
        "index": "{% $states.context.Map.Item.Index %}",
        "seconds": "{% $states.context.Map.Item.Value * $states.input.factor %}",
    });
    let fields = json!({ "Items": "{% $states.input.items %}", "ItemSelector": selector });
    let harness = Harness::new(vec![]);
    let result =
        harness.run(&machine(json!({ "M": map(fields, states) })), json!({ "items": [3, 1, 2], "factor": 10 })).await;
    assert_eq!(result.status, Status::Succeeded, "{result:?}");
    assert_eq!(result.output, Some(json!([[0, 0, 3], [1, 1, 1], [2, 2, 2]])));
    assert!((harness.elapsed() - 30.0).abs() < 0.01, "{}", harness.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_first_iteration_that_fails_fails_the_map_under_its_own_error() {
    let answers = vec![Answer::After(5, json!(1)), Answer::Error("Busy"), Answer::Hang];
    let states = json!({ "T": task(json!({})) });
    let result = Harness::new(answers).run(&machine(json!({ "M": map(json!({}), states) })), json!([1, 2, 3])).await;
    assert_eq!(
        (result.status, result.error.as_deref(), result.cause.as_deref()),
        (Status::Failed, Some("Busy"), Some("why Busy"))
    );
}
