//! The Lambda `decide-rollback`.

use decide_rollback::{Decider, decide_rollback};
use handler::{Environment, StartError, managed_flink, run, sdk_config};
use job_log::JobLog;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    let log = JobLog::new(&sdk_config().await);
    let decider = Decider { flink: managed_flink(&environment).await, log };
    run(&environment, decider, async |decider, event| decide_rollback(decider, event).await).await
}
