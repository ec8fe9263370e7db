//! The Lambda `check-snapshot`.

use handler::{Environment, StartError, managed_flink, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    run(&environment, managed_flink(&environment).await, async |flink, event| {
        check_snapshot::check_snapshot(flink, event).await
    })
    .await
}
