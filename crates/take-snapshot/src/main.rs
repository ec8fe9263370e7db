//! The Lambda `take-snapshot`.

use handler::{Environment, StartError, managed_flink_with, required_variable, run, sdk_config};
use take_snapshot::Taker;
use turns::TurnTable;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    let table = required_variable("TURNS_TABLE")?;
    let config = sdk_config().await;
    let taker = Taker { flink: managed_flink_with(&config, &environment), turns: TurnTable::new(&config, table) };
    run(&environment, taker, async |taker, event| take_snapshot::take_snapshot(taker, event).await).await
}
