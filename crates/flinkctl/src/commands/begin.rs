//! Begins an execution of the deploy state machine, and follows it.

use lifecycle::request::Request;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::arguments::Begin;
use crate::context::Context;
use crate::executions::Started;
use crate::failure::{Exit, Failure};
use crate::follow::follow;
use crate::terminal::line::{Line, Style};

/// Starts the deployment of this request, and follows it unless it is not to be followed.
pub(super) async fn begin(context: &mut Context, request: &Value, how: &Begin) -> Result<Exit, Failure> {
    if let Err(refusals) = Request::parse(request) {
        return Err(Failure::refused(&refusals));
    }
    let machine = context.deploy_machine().await?;
    let name = how.name.clone().unwrap_or_else(|| format!("flinkctl-{}", Uuid::new_v4()));
    let arn = match context.executions.start(&machine, &name, request).await? {
        Started::Running(arn) => arn,
        Started::NameIsTaken => {
            return Err(Failure::failed(
                format!("There was an execution {name} before, of another request or ended by now."),
                format!("See it with `flinkctl report {name}`, or give another --name."),
            ));
        }
    };
    if how.no_follow {
        let told = json!({ "executionArn": arn, "name": name });
        let line = Line::new().and(Style::Plain, format!("Begun. Follow it with: flinkctl follow {arn}"));
        context.output.result(&[line], &told)?;
        return Ok(Exit::Done);
    }
    context.output.text(Style::Faint, &format!("execution {name}"))?;
    follow(context, &arn).await
}
