//! The Lambda `submit-update`.

use handler::{Environment, StartError, managed_flink, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    run(&environment, managed_flink(&environment).await, async |flink, event| {
        submit_update::submit_update(flink, event).await
    })
    .await
}
