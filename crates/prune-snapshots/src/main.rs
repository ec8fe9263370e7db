//! The Lambda `prune-snapshots`.

use handler::{Environment, Metrics, StartError, managed_flink_with, required_variable, run, sdk_config};
use prune_snapshots::{Pruner, prune_snapshots};
use turns::TurnTable;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    let config = sdk_config().await;
    let pruner = Pruner {
        flink: managed_flink_with(&config, &environment),
        turns: TurnTable::new(&config, required_variable("TURNS_TABLE")?),
        metrics: Metrics::on_stdout(),
    };
    run(&environment, pruner, async |pruner, event| prune_snapshots(pruner, event).await).await
}
