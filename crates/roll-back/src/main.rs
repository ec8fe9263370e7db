//! The Lambda `roll-back`.

use handler::{Environment, StartError, managed_flink, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    run(&environment, managed_flink(&environment).await, async |flink, event| roll_back::roll_back(flink, event).await)
        .await
}
