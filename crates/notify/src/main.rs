//! The Lambda `notify`.

use handler::{Environment, StartError, run, sdk_config};
use notify::Notifier;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    run(&environment, Notifier::new(&sdk_config().await, &environment), async |notifier, event| {
        notify::tell_of(notifier, event).await
    })
    .await
}
