//! The Lambda `decide-rollback`.

use decide_rollback::{Decider, decide_rollback};
use handler::{Environment, StartError, managed_flink_with, run, sdk_config};
use job_log::JobLog;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    let config = sdk_config().await;
    let decider = Decider { flink: managed_flink_with(&config, &environment), log: JobLog::new(&config) };
    run(&environment, decider, async |decider, event| decide_rollback(decider, event).await).await
}
