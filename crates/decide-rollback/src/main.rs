//! The Lambda `decide-rollback`.

use handler::{Environment, StartError, managed_flink, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    run(&environment, managed_flink(&environment).await, async |flink, event| {
        decide_rollback::decide_rollback(flink, event).await
    })
    .await
}
