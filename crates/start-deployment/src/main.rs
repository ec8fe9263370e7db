//! The Lambda `start-deployment`.

use handler::{Environment, StartError, run, sdk_config, variable_even_if_empty};
use start_deployment::{Settings, Starter};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let environment = Environment::read();
    let settings = Settings::read(variable_even_if_empty)?;
    let starter = Starter::new(&sdk_config().await, &environment, settings);
    run(&environment, starter, async |starter, event| start_deployment::start_deployment(starter, event).await).await
}
