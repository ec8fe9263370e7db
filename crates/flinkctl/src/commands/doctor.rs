//! Checks the installation, and an application's fitness for verified deployments. Everything is read, nothing changed.

use aws_sdk_cloudwatch::types::Dimension;
use aws_sdk_s3::types::BucketVersioningStatus;
use lifecycle::evidence::{Application, newest_ready};
use managed_flink::Error;
use serde::Serialize;
use serde_json::Value;

use crate::context::{Context, is_deploy};
use crate::failure::{Exit, Failure};
use crate::terminal::line::{Line, Style, wrap};

/// Metrics of the service that tell of a job that fails; either of the first two is enough.
const METRICS: [&str; 3] = ["numRestarts", "fullRestarts", "downtime"];
/// The definition that this program was built with.
const DEFINITION: &str = include_str!("../../../../statemachine/deploy.asl.json");

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Found {
    Good,
    Warning,
    Bad,
}

/// A check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    found: Found,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

impl Check {
    fn good(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, found: Found::Good, what: what.into(), cure: None }
    }

    fn not(found: Found, name: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, found, what: what.into(), cure: Some(cure.into()) }
    }

    fn failed(name: &'static str, failure: Failure) -> Self {
        Self { name, found: Found::Bad, what: failure.what, cure: failure.cure }
    }

    /// A call that these credentials, or the service just now, do not let us make.
    fn unreadable(name: &'static str, error: Error) -> Self {
        Self { found: Found::Warning, ..Self::failed(name, error.into()) }
    }

    fn lines(&self, columns: usize) -> Vec<Line> {
        let (style, sign) = match self.found {
            Found::Good => (Style::Good, "✔"),
            Found::Warning => (Style::Open, "!"),
            Found::Bad => (Style::Bad, "✖"),
        };
        let head = wrap(&format!("{}: {}", self.name, self.what), columns.saturating_sub(2));
        let head = head.into_iter().enumerate().map(|(index, text)| {
            let sign = if index == 0 { sign } else { " " };
            Line::new().and(style, format!("{sign} ")).and(Style::Plain, text)
        });
        let cure = self.cure.iter().flat_map(|cure| wrap(cure, columns.saturating_sub(4)));
        head.chain(cure.map(|text| Line::new().and(Style::Faint, format!("    {text}")))).collect()
    }
}

/// Checks all there is to check.
pub(super) async fn doctor(context: &mut Context, application: Option<&str>) -> Result<Exit, Failure> {
    let mut checks = vec![Check::good("region", context.region.clone())];
    checks.extend(installation(context).await);
    if let Some(name) = application {
        match context.application(name).await {
            Ok((application, detail)) => checks.extend(fitness(context, name, &application, &detail).await),
            Err(failure) => checks.push(Check::failed("application", failure)),
        }
    }
    let columns = context.output.columns;
    let lines: Vec<Line> = checks.iter().flat_map(|check| check.lines(columns)).collect();
    context.output.result(&lines, &checks)?;
    Ok(if checks.iter().any(|check| check.found == Found::Bad) { Exit::Failed } else { Exit::Done })
}

async fn installation(context: &Context) -> Vec<Check> {
    let machine = match context.deploy_machine().await {
        Ok(machine) => machine,
        Err(failure) => return vec![Check::failed("deploy state machine", failure)],
    };
    let mut checks = Vec::new();
    match context.executions.definition(&machine).await {
        Ok(Some((definition, _))) if is_same(&definition) => checks.push(Check::good("deploy state machine", &machine)),
        Ok(Some((definition, _))) if is_deploy(&definition) => checks.push(Check::not(
            Found::Warning,
            "deploy state machine",
            format!("{machine} is of another release than this flinkctl."),
            "Install the same release of both: sam deploy, and cargo install.",
        )),
        Ok(Some(_)) => checks.push(Check::not(
            Found::Bad,
            "deploy state machine",
            format!("{machine} does not deploy Flink applications."),
            "Name the right one with --state-machine.",
        )),
        Ok(None) => checks.push(Check::not(
            Found::Bad,
            "deploy state machine",
            format!("There is no state machine {machine}."),
            "Correct --state-machine, or install it (README, \"Install\").",
        )),
        Err(error) => checks.push(Check::unreadable("deploy state machine", error)),
    }
    let snapshot = match context.snapshot_machine().await {
        Ok(arn) => context.executions.definition(&arn).await.map(|found| found.map(|_| arn)).map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    checks.push(match snapshot {
        Ok(Some(arn)) => Check::good("snapshot state machine", arn),
        Ok(None) => Check::not(
            Found::Bad,
            "snapshot state machine",
            "It is not there.",
            "Install both state machines with template.yaml.",
        ),
        Err(failure) => Check { found: Found::Warning, ..Check::failed("snapshot state machine", failure) },
    });
    let newest = context.executions.newest(&machine, false, 1, |_| true, 1).await;
    checks.push(match newest {
        Ok(newest) => Check::good(
            "executions",
            newest.first().map_or("none yet".to_owned(), |it| format!("{} is the newest", it.name)),
        ),
        Err(error) => Check::unreadable("executions", error),
    });
    checks
}

/// Whether this is the definition of this release, whatever its functions are called.
fn is_same(definition: &Value) -> bool {
    let shape = |definition: &Value| {
        let states = definition.get("States").and_then(Value::as_object).cloned().unwrap_or_default();
        states.into_iter().map(|(name, state)| (name, state.get("Comment").cloned())).collect::<Vec<_>>()
    };
    serde_json::from_str(DEFINITION).is_ok_and(|ours: Value| shape(&ours) == shape(definition))
}

async fn fitness(context: &Context, name: &str, application: &Application, detail: &Value) -> Vec<Check> {
    let mut checks = vec![if application.runtime.starts_with("FLINK-") {
        Check::good(
            "application",
            format!("{name}, version {}, {}, {}", application.version, application.status, application.runtime),
        )
    } else {
        let what = format!("{name} has the runtime {}, which is not Flink's.", application.runtime);
        Check::not(Found::Bad, "application", what, "Only applications with a FLINK-… runtime can be deployed so.")
    }];
    checks.push(if application.snapshots_enabled {
        Check::good("snapshots", "switched on")
    } else {
        Check::not(
            Found::Bad,
            "snapshots",
            "switched off: an update loses the state, and nothing can be brought back.",
            "Switch them on while it is stopped: events/snapshots-on.json.",
        )
    });
    checks.push(if application.checkpointing_enabled {
        Check::good("checkpoints", "switched on")
    } else {
        Check::not(Found::Warning, "checkpoints", "switched off.", "Switch them on, so that a restart loses nothing.")
    });
    checks.push(match context.flink.snapshots(name).await {
        Ok(snapshots) => match newest_ready(&snapshots, None) {
            Some(newest) => Check::good("newest snapshot", format!("{} of version {}", newest.name, newest.version)),
            None => Check::not(
                Found::Warning,
                "newest snapshot",
                "none is READY: a forced stop would lose the state.",
                format!("Take one: flinkctl snapshots take {name}"),
            ),
        },
        Err(error) => Check::unreadable("newest snapshot", error),
    });
    checks.extend(code(context, application).await);
    checks.push(logging(detail));
    checks.push(alarms(context, name).await);
    if application.status == lifecycle::status::ApplicationStatus::Running {
        checks.push(match context.flink.job(name).await {
            Ok(Some(job)) => Check::good("Flink's REST API", format!("the job is {}, {}", job.state, job.tasks)),
            Ok(None) => Check::not(Found::Bad, "Flink's REST API", "shows no job.", "See `flinkctl status`."),
            Err(error) => Check::unreadable("Flink's REST API", error),
        });
    }
    checks
}

async fn code(context: &Context, application: &Application) -> Vec<Check> {
    let Some(code) = &application.code else { return Vec::new() };
    let recorded = if code.object_version.is_some() {
        Check::good("code", format!("{} with its S3 version", code.key))
    } else {
        Check::not(
            Found::Warning,
            "code",
            format!("{} has no S3 version recorded: once the key is overwritten it cannot be put back.", code.key),
            "Deploy with a version: flinkctl names it by itself.",
        )
    };
    let bucket = code.bucket_arn.rsplit(':').next().unwrap_or_default();
    let versioning = match context.s3.get_bucket_versioning().bucket(bucket).send().await {
        Ok(it) if it.status() == Some(&BucketVersioningStatus::Enabled) => {
            Check::good("bucket versioning", "switched on")
        }
        Ok(_) => Check::not(
            Found::Bad,
            "bucket versioning",
            format!("{bucket} keeps no older versions: an upload over the running code loses the way back."),
            "Switch the bucket's versioning on.",
        ),
        Err(error) => Check::unreadable("bucket versioning", Error::from_sdk("GetBucketVersioning", error)),
    };
    vec![recorded, versioning]
}

fn logging(detail: &Value) -> Check {
    let options = detail.get("CloudWatchLoggingOptionDescriptions").and_then(Value::as_array);
    match options.and_then(|options| options.first()) {
        Some(option) => Check::good("logging", option["LogStreamARN"].as_str().unwrap_or("switched on").to_owned()),
        None => Check::not(
            Found::Warning,
            "logging",
            "no log stream: what the job logs before it fails is lost.",
            "Add one: events/logging.json, or the console.",
        ),
    }
}

async fn alarms(context: &Context, name: &str) -> Check {
    let mut names = Vec::new();
    for metric in METRICS {
        let dimension = Dimension::builder().name("Application").value(name).build();
        let asked =
            context.cloudwatch.describe_alarms_for_metric().namespace("AWS/KinesisAnalytics").metric_name(metric);
        match asked.dimensions(dimension).send().await {
            Ok(found) => names.extend(found.metric_alarms().iter().filter_map(|it| it.alarm_name().map(str::to_owned))),
            Err(error) => return Check::unreadable("alarms", Error::from_sdk("DescribeAlarmsForMetric", error)),
        }
    }
    if names.is_empty() {
        return Check::not(
            Found::Warning,
            "alarms",
            "none on restarts or downtime: nobody is told when the job fails later.",
            "Deploy docs/alarms.yaml for this application.",
        );
    }
    Check::good("alarms", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_definition_is_known_with_other_functions() {
        let installed = DEFINITION.replace("${SubmitUpdateFunction}", "arn:aws:lambda:eu-central-1:1:function:x");
        assert!(is_same(&serde_json::from_str(&installed).unwrap()));
        assert!(!is_same(&serde_json::json!({ "States": {} })));
    }

    #[test]
    fn what_is_not_good_comes_with_a_cure() {
        let check = logging(&serde_json::json!({}));
        assert_eq!((check.found, check.cure.is_some()), (Found::Warning, true));
        for columns in [20, 40, 100] {
            assert!(check.lines(columns).iter().all(|line| line.plain().chars().count() <= columns));
        }
    }
}
