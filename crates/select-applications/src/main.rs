//! The Lambda `select-applications`.

use handler::{Environment, StartError, managed_flink, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    run(&environment, managed_flink(&environment).await, async |flink, event| {
        select_applications::select_applications(flink, event).await
    })
    .await
}
