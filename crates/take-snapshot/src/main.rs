//! The Lambda `take-snapshot`.

use handler::{Environment, StartError, managed_flink, required_variable, run, sdk_config};
use take_snapshot::Taker;
use turns::TurnTable;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    let table = required_variable("TURNS_TABLE")?;
    let turns = TurnTable::new(&sdk_config().await, table);
    let taker = Taker { flink: managed_flink(&environment).await, turns };
    run(&environment, taker, async |taker, event| take_snapshot::take_snapshot(taker, event).await).await
}
