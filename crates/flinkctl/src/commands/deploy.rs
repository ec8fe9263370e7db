//! Everything that starts the deploy state machine: a change, and what is done by hand.

use lifecycle::configuration::put_back;
use lifecycle::evidence::Application;
use lifecycle::report::Outcome;
use managed_flink::ErrorKind;
use serde_json::{Map, Value, json};

use super::begin::begin;
use crate::arguments::{Deploy, How, Restart, Rollback, Start, Stop};
use crate::change::{base, checked, request, restore};
use crate::context::Context;
use crate::executions::Execution;
use crate::failure::{Exit, Failure};

/// Executions that are looked through for the last good version.
const MOST: usize = 300;
/// Good deployments that are looked at for it.
const MOST_GOOD: usize = 10;

/// Deploys a change.
pub(super) async fn deploy(context: &mut Context, deploy: &Deploy) -> Result<Exit, Failure> {
    let change = &deploy.change;
    if change.stop_first == Some(How::Force) || change.restore.restore == "none" {
        let application = &change.application;
        let question =
            format!("{}: deploy it all the same?", loss(application, change.stop_first, &change.restore.restore));
        context.output.confirm(&question, deploy.begin.yes)?;
    }
    let request = request(context, change, false).await?;
    begin(context, &request, &deploy.begin).await
}

/// What is given up, in words.
fn loss(application: &str, stop: Option<How>, restore: &str) -> String {
    match (stop, restore) {
        (_, "none") => format!("{application} begins without its state"),
        (Some(How::Force), _) => {
            format!("{application} is stopped without a snapshot: what came after its newest one is processed again")
        }
        _ => format!("{application} is stopped"),
    }
}

/// Stops an application.
pub(super) async fn stop(context: &mut Context, stop: &Stop) -> Result<Exit, Failure> {
    let how = how(stop.force);
    context.application(&stop.application).await?;
    let question = format!("{}. Go on?", loss(&stop.application, Some(how), "latest"));
    context.output.confirm(&question, stop.begin.yes)?;
    let mut request = base(&stop.application, &stop.terms)?;
    request["stop"] = json!(how.as_str());
    begin(context, &checked(request)?, &stop.begin).await
}

fn how(is_forced: bool) -> How {
    if is_forced { How::Force } else { How::Graceful }
}

/// Starts a stopped application.
pub(super) async fn start(context: &mut Context, start: &Start) -> Result<Exit, Failure> {
    context.application(&start.application).await?;
    if start.restore.restore == "none" {
        let question = format!("{}. Go on?", loss(&start.application, None, "none"));
        context.output.confirm(&question, start.begin.yes)?;
    }
    let mut request = base(&start.application, &start.terms)?;
    request["start"] = json!(true);
    restore(&mut request, &start.restore);
    begin(context, &checked(request)?, &start.begin).await
}

/// Stops an application and starts it again.
pub(super) async fn restart(context: &mut Context, restart: &Restart) -> Result<Exit, Failure> {
    let how = how(restart.force);
    context.application(&restart.application).await?;
    let question =
        format!("{}, and started again. Go on?", loss(&restart.application, Some(how), &restart.restore.restore));
    context.output.confirm(&question, restart.begin.yes)?;
    let mut request = base(&restart.application, &restart.terms)?;
    request["stop"] = json!(how.as_str());
    request["start"] = json!(true);
    restore(&mut request, &restart.restore);
    begin(context, &checked(request)?, &restart.begin).await
}

/// Deploys the configuration of an earlier version.
pub(super) async fn roll_back(context: &mut Context, rollback: &Rollback) -> Result<Exit, Failure> {
    let name = &rollback.application;
    let (application, detail) = context.application(name).await?;
    let (target, update) = earlier(context, rollback, &application, &detail).await?;
    let version = application.version;
    let question =
        format!("{name} gets the configuration of version {target} again, instead of that of {version}. Go on?");
    context.output.confirm(&question, rollback.begin.yes)?;
    let mut request = base(name, &rollback.terms)?;
    request["update"] = update;
    restore(&mut request, &rollback.restore);
    begin(context, &checked(request)?, &rollback.begin).await
}

/// The earlier version, and the update that leads back to it.
async fn earlier(
    context: &mut Context,
    rollback: &Rollback,
    application: &Application,
    detail: &Value,
) -> Result<(u64, Value), Failure> {
    let (name, version) = (&rollback.application, application.version);
    let Some(target) = rollback.to_version else { return last_good(context, name, version, detail).await };
    if target == 0 || target >= version {
        return Err(Failure::misuse(
            format!("{name} is at version {version}: there is no earlier version {target} to go back to."),
            "Give an earlier one with --to-version; `flinkctl history` tells of the deployments.",
        ));
    }
    let update = way_back(context, name, target, detail).await?.ok_or_else(|| {
        Failure::failed(
            format!("The service does not have version {target} of {name} any more."),
            "Give a later one with --to-version, or deploy the wanted configuration with `flinkctl deploy`.",
        )
    })?;
    if update.is_empty() {
        return Err(Failure::misuse(
            format!("Version {target} of {name} has the configuration that it runs already."),
            "Give an earlier one with --to-version.",
        ));
    }
    Ok((target, Value::Object(update)))
}

/// The newest earlier version with another configuration that a deployment has found good, or found at its beginning.
async fn last_good(context: &mut Context, name: &str, version: u64, detail: &Value) -> Result<(u64, Value), Failure> {
    let machine = context.deploy_machine().await?;
    context.output.status("looking for the last good version …")?;
    let is_good = |it: &Execution| it.application.as_deref() == Some(name) && it.outcome() == Some(Outcome::Deployed);
    let deployed = context.executions.newest(&machine, false, MOST, is_good, MOST_GOOD).await?;
    let reports = deployed.iter().filter_map(|execution| execution.report.as_ref());
    let versions: Vec<u64> =
        reports.flat_map(|report| [report.version_after, report.version_before]).flatten().collect();
    for target in versions.into_iter().filter(|target| *target < version) {
        if let Some(update) = way_back(context, name, target, detail).await?.filter(|update| !update.is_empty()) {
            return Ok((target, Value::Object(update)));
        }
    }
    Err(Failure::misuse(
        format!("No deployment tells of an earlier good version of {name} with another configuration."),
        "Say which version with --to-version; the service lists them, and `flinkctl history` tells of deployments.",
    ))
}

/// The update that leads back to a version's configuration; none where the service does not have it any more.
async fn way_back(
    context: &Context,
    name: &str,
    target: u64,
    detail: &Value,
) -> Result<Option<Map<String, Value>>, Failure> {
    match context.flink.configuration(name, target).await {
        Ok(before) => Ok(Some(put_back(detail, &before, None))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
