//! The Lambda `take-turn`.

use handler::{Environment, StartError, required_variable, run, sdk_config};
use turns::TurnTable;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    let turns = TurnTable::new(&sdk_config().await, required_variable("TURNS_TABLE")?);
    run(&environment, turns, async |turns, event| take_turn::take_turn(turns, event).await).await
}
