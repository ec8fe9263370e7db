//! The Lambda `notify`.

use aws_config::BehaviorVersion;
use handler::{Environment, StartError, run};
use notify::Notifier;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
    run(&environment, Notifier::new(&config, &environment), async |notifier, event| {
        notify::notify(notifier, event).await
    })
    .await
}
