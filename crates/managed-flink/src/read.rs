//! Reads of an application, its versions and operations.

use std::cmp::Reverse;

use jiff::Timestamp;
use lifecycle::evidence::{Application, Code, Operation, OperationSummary};
use lifecycle::status::{ApplicationStatus, OperationStatus};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{LONGEST_MESSAGE, WITHHELD, cut};
use crate::redact::Redactor;
use crate::wire::Wire;
use crate::{Error, ErrorKind, ManagedFlink, time, words};

/// Operations on a page: as many as the service gives.
const PAGE: u32 = 50;

impl ManagedFlink {
    /// The application (`DescribeApplication`); none if there is none of this name.
    pub async fn application(&self, name: &str) -> Result<Option<Application>, Error> {
        Ok(self.described(name).await?.map(|(application, _)| application))
    }

    /// The application and its raw `ApplicationDetail`, with members that this code does not know, from one call
    /// (`DescribeApplication`); none if there is none of this name. The raw one holds runtime property values.
    pub async fn described(&self, name: &str) -> Result<Option<(Application, Value)>, Error> {
        const OPERATION: &str = "DescribeApplication";
        let wire = Wire::new(OPERATION, &json!({ "ApplicationName": name }));
        let call = self.reads.describe_application().application_name(name).customize().interceptor(wire.clone());
        let answer: Value = match call.send().await {
            Ok(_) => wire.read()?,
            Err(error) => return none_if_missing(Error::from_sdk(OPERATION, error)),
        };
        let detail = member(answer, "ApplicationDetail", OPERATION)?;
        self.learn(name, &detail);
        let application = ApplicationDetail::deserialize(&detail)
            .map_err(|_| Error::unreadable(OPERATION, "the application lacks its version, status or runtime"))?;
        let application = Application::try_from(application)
            .map_err(|name| Error::unreadable(OPERATION, format!("{name} is not what the service documents")))?;
        Ok(Some((application, detail)))
    }

    /// The raw `ApplicationVersionDetail` of a version (`DescribeApplicationVersion`), with members that this code does
    /// not know. It holds runtime property values.
    pub async fn configuration(&self, name: &str, version: u64) -> Result<Value, Error> {
        const OPERATION: &str = "DescribeApplicationVersion";
        let wire = Wire::new(OPERATION, &json!({ "ApplicationName": name, "ApplicationVersionId": version }));
        let call = self.reads.describe_application_version().application_name(name);
        call.customize().interceptor(wire.clone()).send().await.map_err(|error| Error::from_sdk(OPERATION, error))?;
        let detail = member(wire.read()?, "ApplicationVersionDetail", OPERATION)?;
        self.learn(name, &detail);
        Ok(detail)
    }

    /// An operation (`DescribeApplicationOperation`). What the service says went wrong is cleared of runtime property
    /// values, which takes up to two more reads; when those fail the words are withheld.
    pub async fn operation(&self, name: &str, id: &str) -> Result<Operation, Error> {
        const OPERATION: &str = "DescribeApplicationOperation";
        let wire = Wire::new(OPERATION, &json!({ "ApplicationName": name, "OperationId": id }));
        let call = self.reads.describe_application_operation().application_name(name).operation_id(id);
        call.customize().interceptor(wire.clone()).send().await.map_err(|error| Error::from_sdk(OPERATION, error))?;
        let details = wire.read::<DescribedOperation>()?.application_operation_info_details;
        let failure = details.operation_failure_details.unwrap_or_default();
        let versions = details.application_version_change_details.unwrap_or_default();
        let error = match failure.error_info.and_then(|info| info.error_string) {
            // Cleared before it is cut: half a secret is not recognised.
            Some(text) => Some(cut(&self.cleared_text(name, versions.to, &text).await, LONGEST_MESSAGE)),
            None => None,
        };
        Ok(Operation {
            id: id.to_owned(),
            name: details.operation,
            status: details.operation_status,
            error,
            rollback_operation_id: failure.rollback_operation_id,
            version_from: versions.from,
            version_to: versions.to,
            started_at: details.start_time,
        })
    }

    /// The newest operation, if there is one; of one name only, such as `StopApplication`, if one is given.
    pub async fn newest_operation(
        &self,
        name: &str,
        operation: Option<&str>,
    ) -> Result<Option<OperationSummary>, Error> {
        Ok(self.operations(name, operation).await?.into_iter().next())
    }

    /// The newest operations, newest first: the first page of them.
    pub async fn newest_operations(&self, name: &str) -> Result<Vec<OperationSummary>, Error> {
        self.operations(name, None).await
    }

    /// The newest operations, newest first, the first page of them (`ListApplicationOperations`); only those of one name,
    /// such as `StopApplication`, if one is given.
    pub(crate) async fn operations(&self, name: &str, operation: Option<&str>) -> Result<Vec<OperationSummary>, Error> {
        const OPERATION: &str = "ListApplicationOperations";
        let mut body = json!({ "ApplicationName": name, "Limit": PAGE });
        if let Some(operation) = operation {
            body["Operation"] = operation.into();
        }
        let wire = Wire::new(OPERATION, &body);
        let call = self.reads.list_application_operations().application_name(name);
        call.customize().interceptor(wire.clone()).send().await.map_err(|error| Error::from_sdk(OPERATION, error))?;
        let page: OperationPage = wire.read()?;
        let mut operations: Vec<_> =
            page.application_operation_info_list.into_iter().map(OperationSummary::from).collect();
        // Stable: of those that began at the same time, or at none, the service's own order stays.
        operations.sort_by_key(|operation| Reverse(operation.started_at));
        Ok(operations)
    }

    /// Clears the service's words in an error of values that they may quote.
    pub(crate) async fn cleared(&self, application: &str, error: Error) -> Error {
        if !error.kind().may_quote_configuration() {
            return match self.known_redactor(application) {
                Some(redactor) => error.redacted(&redactor),
                None => error,
            };
        }
        match self.fresh_redactor(application, None).await {
            Ok(redactor) => error.redacted(&redactor),
            Err(_) => error.withheld(),
        }
    }

    /// A text about the application, or about the version given of it, without the values that it may quote.
    pub(crate) async fn cleared_text(&self, application: &str, version: Option<u64>, text: &str) -> String {
        match self.fresh_redactor(application, version).await {
            Ok(redactor) => redactor.strike_out(text),
            Err(error) => {
                tracing::warn!(application, error = %error, "a failure's text is withheld");
                WITHHELD.to_owned()
            }
        }
    }

    /// Knows the values of the application as it is now, of the version given, and of those seen before. Somebody else
    /// may have changed them since the last look, so it looks again.
    pub(crate) async fn fresh_redactor(&self, application: &str, version: Option<u64>) -> Result<Redactor, Error> {
        let now = self.application(application).await?;
        if let (Some(version), Some(now)) = (version, now)
            && version != now.version
        {
            self.configuration(application, version).await?;
        }
        Ok(self.known_redactor(application).unwrap_or_default())
    }
}

/// What there is not, is none.
pub(crate) fn none_if_missing<T>(error: Error) -> Result<Option<T>, Error> {
    if error.kind() == ErrorKind::NotFound { Ok(None) } else { Err(error) }
}

fn member(mut answer: Value, name: &str, operation: &'static str) -> Result<Value, Error> {
    match answer.get_mut(name).map(Value::take) {
        Some(member @ Value::Object(_)) => Ok(member),
        _ => Err(Error::unreadable(operation, format!("the answer has no {name}"))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ApplicationDetail {
    application_version_id: u64,
    #[serde(deserialize_with = "words::read")]
    application_status: ApplicationStatus,
    #[serde(deserialize_with = "words::read")]
    runtime_environment: String,
    #[serde(default)]
    application_configuration_description: Value,
}

/// Fails with the name of the member that is not of its type.
impl TryFrom<ApplicationDetail> for Application {
    type Error = &'static str;

    fn try_from(detail: ApplicationDetail) -> Result<Self, Self::Error> {
        let configuration = Configuration(&detail.application_configuration_description);
        let code = (configuration.text(CODE, "BucketARN")?).zip(configuration.text(CODE, "FileKey")?);
        let object_version = configuration.text(CODE, "ObjectVersion")?;
        let milliseconds = configuration.read(CHECKPOINTS, "CheckpointInterval", Value::as_u64)?;
        let flag = |section, name| configuration.read(section, name, Value::as_bool);
        Ok(Self {
            version: detail.application_version_id,
            status: detail.application_status,
            runtime: detail.runtime_environment,
            code: code.map(|(bucket_arn, key)| Code { bucket_arn, key, object_version }),
            snapshots_enabled: flag(SNAPSHOTS, "SnapshotsEnabled")?.unwrap_or(false),
            system_rollback_enabled: flag(SYSTEM_ROLLBACK, "RollbackEnabled")?.unwrap_or(false),
            // The service's default: checkpoints are on unless the configuration says otherwise.
            checkpointing_enabled: flag(CHECKPOINTS, "CheckpointingEnabled")?.unwrap_or(true),
            checkpoint_interval_seconds: milliseconds.map(|milliseconds| milliseconds.div_ceil(1_000)),
        })
    }
}

const CODE: &str =
    "/ApplicationCodeConfigurationDescription/CodeContentDescription/S3ApplicationCodeLocationDescription";
const CHECKPOINTS: &str = "/FlinkApplicationConfigurationDescription/CheckpointConfigurationDescription";
const SNAPSHOTS: &str = "/ApplicationSnapshotConfigurationDescription";
const SYSTEM_ROLLBACK: &str = "/ApplicationSystemRollbackConfigurationDescription";

/// An `ApplicationConfigurationDescription`, whose members may all be missing.
struct Configuration<'a>(&'a Value);

impl Configuration<'_> {
    /// A member of a section; none where it, or the section, is missing or null.
    fn read<T>(
        &self,
        section: &str,
        name: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, &'static str> {
        match self.0.pointer(section).and_then(|section| section.get(name)) {
            None | Some(Value::Null) => Ok(None),
            Some(member) => read(member).map(Some).ok_or(name),
        }
    }

    fn text(&self, section: &str, name: &'static str) -> Result<Option<String>, &'static str> {
        self.read(section, name, |text| text.as_str().filter(|text| !words::is_too_long(text)).map(str::to_owned))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedOperation {
    application_operation_info_details: OperationDetails,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OperationDetails {
    #[serde(deserialize_with = "words::read")]
    operation: String,
    #[serde(deserialize_with = "words::read")]
    operation_status: OperationStatus,
    #[serde(default, deserialize_with = "time::read")]
    start_time: Option<Timestamp>,
    application_version_change_details: Option<VersionChange>,
    operation_failure_details: Option<OperationFailure>,
}

#[derive(Deserialize, Default)]
struct VersionChange {
    #[serde(rename = "ApplicationVersionUpdatedFrom")]
    from: Option<u64>,
    #[serde(rename = "ApplicationVersionUpdatedTo")]
    to: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct OperationFailure {
    #[serde(default, deserialize_with = "words::read_optional")]
    rollback_operation_id: Option<String>,
    error_info: Option<ErrorInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorInfo {
    error_string: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OperationPage {
    #[serde(default)]
    application_operation_info_list: Vec<ListedOperation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedOperation {
    #[serde(deserialize_with = "words::read")]
    operation_id: String,
    #[serde(deserialize_with = "words::read")]
    operation: String,
    #[serde(deserialize_with = "words::read")]
    operation_status: OperationStatus,
    #[serde(default, deserialize_with = "time::read")]
    start_time: Option<Timestamp>,
}

impl From<ListedOperation> for OperationSummary {
    fn from(listed: ListedOperation) -> Self {
        Self {
            id: listed.operation_id,
            name: listed.operation,
            status: listed.operation_status,
            started_at: listed.start_time,
        }
    }
}
