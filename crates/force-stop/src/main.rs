//! The Lambda `force-stop`.

use handler::{Environment, StartError, managed_flink, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    run(&environment, managed_flink(&environment).await, async |flink, event| {
        force_stop::force_stop(flink, event).await
    })
    .await
}
