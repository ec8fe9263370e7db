//! What every Lambda's main shares: clients built once at start-up, structured logs, errors with stable names, and the
//! adoption of a change whose answer was lost. A Lambda is one function from an event to the deployment as it is after
//! the step; everything around that function is here.

mod adopt;
mod error;
mod event;
mod metrics;
mod run;
mod snapshots;

pub use adopt::{Made, adopt_versioned, is_left_to_retry, newest_of_its_kind, note_newest_before, start};
pub use error::Error;
pub use event::{Event, Execution, SubmitEvent, TurnEvent};
pub use metrics::{Metric, Metrics, Unit};
pub use run::{
    Answer, Environment, StartError, invoke, log_filter, managed_flink, managed_flink_with, read, required_variable,
    run, sdk_config, variable, variable_even_if_empty,
};
pub use snapshots::SnapshotEvent;
