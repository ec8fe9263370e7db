//! Where an execution begins: reads the request, and waits until no other deployment of the application is under way. Of
//! the application itself nothing is asked and nothing is touched.

use handler::{Error, TurnEvent};
use lifecycle::deployment::Deployment;
use lifecycle::request::Request;
use lifecycle::turn::{Claim, heed, resume};
use turns::TurnTable;

/// Asks for the turn of the execution's deployment.
pub async fn take_turn(turns: &TurnTable, event: TurnEvent) -> Result<Deployment, Error> {
    let TurnEvent { now, input, execution, deployment, redrives } = event;
    let request = match Request::parse(&input) {
        Ok(request) => request,
        Err(refusals) => {
            return Ok(Deployment::refused(&input, &execution.name, execution.started_at, refusals, now));
        }
    };
    let mut deployment = deployment.unwrap_or_else(|| Deployment::new(&request, &execution.name, execution.started_at));
    deployment.redrives = redrives;
    if deployment.turn_at.is_some() {
        let holder = turns.last_holder(&request.application).await?;
        resume(&mut deployment, holder.as_deref(), now);
        return Ok(deployment);
    }
    let claim = Claim::new(execution.id, execution.started_at, request.upload);
    let answer = turns.ask(&request.application, &claim, now).await?;
    heed(&mut deployment, answer, now);
    Ok(deployment)
}
