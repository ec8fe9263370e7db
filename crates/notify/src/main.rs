//! The Lambda `notify`.

use handler::{Environment, Metrics, StartError, run, sdk_config};
use notify::{Notifier, Teller};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    let notifier = Notifier::new(&sdk_config().await, &environment);
    let teller = Teller { notifier, metrics: Metrics::on_stdout() };
    run(&environment, teller, async |teller, event| notify::tell_of(teller, event).await).await
}
