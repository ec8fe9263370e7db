//! A change is sent once, and its answer may get lost: the Lambda timed out, the connection broke, or the state machine
//! ran the step again. Before anything else is done, the application is asked whether the change was made; if so, it is
//! ours and is adopted. So every acting step may be run twice, at any point, with the same end.

use jiff::Timestamp;
use lifecycle::deployment::{Deployment, Next, Rung};
use lifecycle::evidence::{Application, OperationSummary};
use lifecycle::request::Restore;
use lifecycle::status::ApplicationStatus;
use lifecycle::verdict::Reason;
use managed_flink::{Accepted, Error, ErrorKind, ManagedFlink};
use serde_json::Value;

/// What came of a call that changes the application.
#[derive(Debug)]
pub enum Made {
    /// The change is under way.
    Began {
        /// Id of its operation.
        operation: Option<String>,
        /// Version of the application that it makes.
        version: Option<u64>,
    },
    /// The service is at work on something else and takes no call now.
    Busy(String),
    /// The service refused the call, and nothing was done.
    Rejected(Error),
    /// It must not be tried: the reason.
    Impossible(Reason),
    /// The application is at this version, which is not of this deployment.
    Overtaken(u64),
    /// There is no such application any more.
    Gone,
}

impl Made {
    /// Writes down what came of the call, and where to go on.
    pub fn note_in(self, deployment: &mut Deployment, now: Timestamp) {
        match self {
            Self::Began { operation, version } => deployment.begin(operation, version, now),
            Self::Busy(why) => deployment.busy(&why, now),
            Self::Rejected(error) => deployment.reject(error.message(), now),
            Self::Impossible(reason) => deployment.fail(reason, now),
            Self::Overtaken(found) => deployment.overtaken(found, now),
            Self::Gone => deployment.go_on(Next::Decide, 0),
        }
    }
}

impl From<Accepted> for Made {
    fn from(accepted: Accepted) -> Self {
        Self::Began { operation: accepted.operation, version: Some(accepted.version) }
    }
}

/// What came of a call that is fenced by the version (`UpdateApplication`, `RollbackApplication`). `is_ours` looks at the
/// application's configuration (`ApplicationDetail`) as the change would have made it.
pub async fn adopt_versioned(
    flink: &ManagedFlink,
    deployment: &Deployment,
    attempt: Result<Accepted, Error>,
    is_ours: impl Fn(&Value) -> bool,
) -> Result<Made, Error> {
    let error = match attempt {
        Ok(accepted) => return Ok(accepted.into()),
        Err(error) if was_surely_not_made(&error) => return Err(error),
        Err(error) => error,
    };
    let name = &deployment.application;
    let Some((application, detail)) = flink.described(name).await? else { return Ok(Made::Gone) };
    // One list for both questions: of two, the one may be older than the other.
    let operations = flink.newest_operations(name).await?;
    if let Some(newest) = operations.iter().find(|it| it.name == deployment.rung.operation()) {
        let operation = flink.operation(name, &newest.id).await?;
        if operation.version_to.is_some_and(|version| version > application.version) {
            // The application was described as it was before that operation: nothing may be taken for undone on it.
            let problem = format!("it shows version {}, where an operation has made a later one", application.version);
            return Err(Error::unavailable("DescribeApplication", problem));
        }
        if operation.version_from == Some(deployment.version) {
            // What it made may have been rolled back by the service, or changed by somebody, since.
            let made = match operation.version_to.filter(|version| *version < application.version) {
                Some(version) => flink.configuration(name, version).await?,
                None => detail,
            };
            if is_ours(&made) {
                let version = operation.version_to.or(Some(application.version));
                return Ok(Made::Began { operation: Some(operation.id), version });
            }
        }
    }
    if application.version > deployment.version && !is_accounted_for(flink, name, &application, &operations).await? {
        // The list is older than the application: the version may be the one that this step made.
        let problem = format!("no operation is shown that has made version {}", application.version);
        return Err(Error::unavailable("ListApplicationOperations", problem));
    }
    not_made(deployment, application.version, &application.status, error)
}

/// Operations that are asked which version they made, at most.
const MOST_CANDIDATES: usize = 3;
/// Operations that make no version.
const WITHOUT_VERSION: [&str; 3] = ["StartApplication", "StopApplication", "Maintenance"];

/// Whether one of the newest operations may have made this application's version: the newest that says which version it made
/// has made this one or a later one. Where none of a few says so, it is not known, and may be.
async fn is_accounted_for(
    flink: &ManagedFlink,
    name: &str,
    application: &Application,
    operations: &[OperationSummary],
) -> Result<bool, Error> {
    let mut is_unknown = false;
    let candidates = operations.iter().filter(|it| !WITHOUT_VERSION.contains(&&*it.name));
    for candidate in candidates.take(MOST_CANDIDATES) {
        if let Some(made) = flink.operation(name, &candidate.id).await?.version_to {
            return Ok(made >= application.version);
        }
        is_unknown = true;
    }
    Ok(is_unknown)
}

/// Starts the application. The call carries no version, so the application is read right before. A start that is newer than
/// the one noted when this was decided was made when the step ran before, or does what was to be done: it is not made again,
/// whatever has become of the application since.
pub async fn start(flink: &ManagedFlink, deployment: &Deployment, restore: &Restore) -> Result<Made, Error> {
    let name = &deployment.application;
    let newest = newest_of_its_kind(flink, deployment).await?;
    // Nothing may come between this look and the start.
    let Some(application) = flink.application(name).await? else { return Ok(Made::Gone) };
    if application.version != deployment.version {
        return Ok(Made::Overtaken(application.version));
    }
    let is_started = matches!(application.status, ApplicationStatus::Starting | ApplicationStatus::Running);
    let is_new = newest.as_ref().is_some_and(|newest| deployment.is_newer_than_noted(newest));
    if is_started && !is_new && deployment.newest_before.is_some() {
        // It was described, or the operations were listed, as they were before: neither may be gone by.
        let problem = format!("it shows {}, and no start is shown since this one was decided", application.status);
        return Err(Error::unavailable("DescribeApplication", problem));
    }
    if is_started || is_new {
        return Ok(Made::Began { operation: newest.map(|operation| operation.id), version: None });
    }
    match flink.start(name, restore).await {
        Ok(operation) => Ok(Made::Began { operation, version: None }),
        // Whether it was done shows when this step is run again.
        Err(error) if is_left_to_retry(&error) => Err(error),
        Err(error) => not_made(deployment, application.version, &application.status, error),
    }
}

/// The newest operation of the kind that the rung makes. None where the application is gone, too: the look at it tells.
pub async fn newest_of_its_kind(
    flink: &ManagedFlink,
    deployment: &Deployment,
) -> Result<Option<OperationSummary>, Error> {
    match flink.newest_operation(&deployment.application, Some(deployment.rung.operation())).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        newest => newest,
    }
}

/// Where a stop or a start comes next, notes the newest before it, once: those calls carry no version, and whether they were
/// made shows by that when their step is run again.
pub async fn note_newest_before(flink: &ManagedFlink, deployment: &mut Deployment) -> Result<(), Error> {
    let is_start = matches!(deployment.rung, Rung::Start | Rung::StartBack);
    let is_next = match deployment.next {
        Next::ForceStop => true,
        Next::Submit | Next::Restore => is_start,
        _ => false,
    };
    if is_next && deployment.newest_before.is_none() {
        let newest = flink.newest_operation(&deployment.application, Some(deployment.rung.operation())).await?;
        deployment.newest_before = Some(newest.map(|newest| newest.id).unwrap_or_default());
    }
    Ok(())
}

/// Whether the step fails with this error, for the state machine to try it again or to hold: the service may take the same
/// call in a moment, or the caller may not make it.
pub fn is_left_to_retry(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::AccessDenied
}

/// The service did not even look at the call.
fn was_surely_not_made(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Throttled | ErrorKind::AccessDenied)
}

fn not_made(deployment: &Deployment, version: u64, status: &ApplicationStatus, error: Error) -> Result<Made, Error> {
    if version > deployment.version {
        return Ok(Made::Overtaken(version));
    }
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Unreadable => Err(error),
        ErrorKind::ResourceInUse | ErrorKind::ConcurrentModification if status.is_passing() => {
            Ok(Made::Busy(format!("the application is {status}")))
        }
        // A status that allows the call is older than the answer to it.
        ErrorKind::ResourceInUse if deployment.rung.is_allowed_in(status) => Ok(Made::Busy(error.message().to_owned())),
        _ => Ok(Made::Rejected(error)),
    }
}
