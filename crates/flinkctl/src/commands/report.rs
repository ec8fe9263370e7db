//! What came of a deployment.

use std::io;
use std::path::Path;

use crate::arguments::Report;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::follow::tell;
use crate::terminal::line::Style;

/// Tells what came of a deployment, or writes its page.
pub(super) async fn report(context: &mut Context, wanted: &Report) -> Result<Exit, Failure> {
    let execution = super::find::execution(context, &wanted.deployment).await?;
    if let Some(file) = &wanted.html {
        let events = context.executions.history(&execution.arn).await?;
        let page = crate::html::page(&execution, &crate::visits::visits(&events), context.clock.now());
        write(file, &page)?;
        if file != Path::new("-") {
            context.output.text(Style::Plain, &format!("The page is in {}.", file.display()))?;
        }
        return Ok(execution.outcome().map_or(Exit::Done, Exit::of));
    }
    if execution.is_running() {
        return Err(Failure::failed(
            format!("The deployment {} is under way: there is no report yet.", execution.name),
            format!("Follow it with: flinkctl follow {}", execution.name),
        ));
    }
    tell(context, &execution)
}

fn write(file: &Path, page: &str) -> Result<(), Failure> {
    if file == Path::new("-") {
        return Ok(io::Write::write_all(&mut io::stdout().lock(), page.as_bytes())?);
    }
    std::fs::write(file, page).map_err(|error| {
        Failure::failed(format!("{} cannot be written: {error}.", file.display()), "Give another path with --html.")
    })
}
