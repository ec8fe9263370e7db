//! The request: what a person, a pipeline or a trigger hands to the state machine. It is refused here, by field, before
//! anything is touched, when it cannot be meant.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::policy::Policy;
use crate::refusal::Refusal;

/// Bytes of a request, as JSON. Step Functions carries 262,144 bytes of state; the rest is room for ours.
pub const LARGEST_REQUEST_BYTES: usize = 200_000;
/// Bytes of the paths of the fields that an update sets, which the deployment and its report both carry. Everything that
/// `UpdateApplication` takes comes to a quarter of it.
const LARGEST_FIELDS_BYTES: usize = 16_000;
/// Characters of the reason, which both carry too.
pub(crate) const LONGEST_REASON: usize = 1_000;
/// Characters of a snapshot's name.
const LONGEST_SNAPSHOT_NAME: usize = 256;

/// Where a started job takes its state from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RestoreType {
    /// From the latest snapshot. The default.
    #[default]
    #[serde(rename = "RESTORE_FROM_LATEST_SNAPSHOT")]
    Latest,
    /// From the snapshot that is named.
    #[serde(rename = "RESTORE_FROM_CUSTOM_SNAPSHOT")]
    Custom,
    /// From none: the job begins without state.
    #[serde(rename = "SKIP_RESTORE_FROM_SNAPSHOT")]
    Skip,
}

impl RestoreType {
    /// The word as the service writes it (`ApplicationRestoreType`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Latest => "RESTORE_FROM_LATEST_SNAPSHOT",
            Self::Custom => "RESTORE_FROM_CUSTOM_SNAPSHOT",
            Self::Skip => "SKIP_RESTORE_FROM_SNAPSHOT",
        }
    }
}

/// How state is restored. It is stated with every update and every start, because the service forgets it otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Restore {
    /// Where the state comes from.
    #[serde(rename = "type")]
    pub restore_type: RestoreType,
    /// Name of the snapshot, with `RESTORE_FROM_CUSTOM_SNAPSHOT` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Whether state that belongs to no operator of the new code may be dropped.
    pub allow_non_restored_state: bool,
}

impl Restore {
    /// State from the snapshot of this name.
    pub fn from_snapshot(name: impl Into<String>) -> Self {
        Self { restore_type: RestoreType::Custom, snapshot: Some(name.into()), allow_non_restored_state: false }
    }

    /// The `ApplicationRestoreConfiguration` and `FlinkRunConfiguration` of kinesisanalyticsv2, which have the same
    /// members in `RunConfiguration` and in `RunConfigurationUpdate`.
    pub fn run_configuration(&self) -> Value {
        let mut application = Map::new();
        application.insert("ApplicationRestoreType".into(), self.restore_type.as_str().into());
        if let Some(snapshot) = &self.snapshot {
            application.insert("SnapshotName".into(), snapshot.as_str().into());
        }
        serde_json::json!({
            "ApplicationRestoreConfiguration": application,
            "FlinkRunConfiguration": { "AllowNonRestoredState": self.allow_non_restored_state },
        })
    }
}

/// How an application is stopped before anything else is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stop {
    /// With a snapshot. It takes a job that is well.
    Graceful,
    /// At once and without a snapshot: what was processed since the last one is processed again.
    Force,
}

/// The upload to S3 that a request deploys, by which its order among others is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upload {
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The object's version.
    pub version_id: String,
    /// What S3 says of the order of the key's versions: hexadecimal digits that compare as if all had as many, the
    /// missing ones being zeros at the end.
    pub sequencer: String,
    /// When it was uploaded.
    pub at: Timestamp,
}

impl Upload {
    /// Which of two uploads is the newer: of one key by S3's order, of others by their time.
    pub fn order(&self, other: &Self) -> Ordering {
        let is_same_key = (&self.bucket, &self.key) == (&other.bucket, &other.key);
        let by_sequencer = if is_same_key { self.digits().cmp(&other.digits()) } else { Ordering::Equal };
        let by_time = || (self.at, &self.bucket, &self.key).cmp(&(other.at, &other.bucket, &other.key));
        by_sequencer.then_with(by_time)
    }

    /// The sequencer so that it compares whatever its length: without the zeros at its end.
    fn digits(&self) -> String {
        self.sequencer.trim_end_matches('0').to_ascii_lowercase()
    }
}

/// A request to change one application.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// Name of the application.
    pub application: String,
    /// The change: the body of `UpdateApplication` without the name, the version and the token. Empty where the
    /// application is only stopped or started.
    #[serde(default)]
    pub update: Map<String, Value>,
    /// Whether, and how, the application is stopped before the update and the start.
    #[serde(default)]
    pub stop: Option<Stop>,
    /// How state is restored.
    #[serde(default)]
    pub restore: Restore,
    /// The policy; every field has a default.
    #[serde(default)]
    pub policy: Policy,
    /// Whether an application that is stopped, by this request too, is started after the update. Without it, it stays
    /// stopped.
    #[serde(default)]
    pub start: bool,
    /// Why, in the words of whoever asks; for the report.
    #[serde(default)]
    pub reason: Option<String>,
    /// The upload that this deploys; said by `start-deployment`.
    #[serde(default)]
    pub upload: Option<Upload>,
    /// For whoever reads the input; not used.
    #[serde(default, rename = "comment")]
    _comment: Option<String>,
}

/// Fields of `UpdateApplication` that this tool fills in itself.
const OURS: [&str; 3] = ["ApplicationName", "CurrentApplicationVersionId", "ConditionalToken"];
/// Fields of `UpdateApplication` today. Others are passed through with a look at their form only, because the service
/// may be newer than this code.
const OBJECTS: [&str; 2] = ["ApplicationConfigurationUpdate", "RunConfigurationUpdate"];
const TEXTS: [&str; 2] = ["ServiceExecutionRoleUpdate", "RuntimeEnvironmentUpdate"];
const LISTS: [&str; 1] = ["CloudWatchLoggingOptionUpdates"];

impl Request {
    /// Reads a request. All that is wrong with it comes back at once.
    pub fn parse(input: &Value) -> Result<Self, Vec<Refusal>> {
        let bytes = input.to_string().len();
        if bytes > LARGEST_REQUEST_BYTES {
            return Err(vec![Refusal::new(
                "input",
                format!("{bytes} bytes are more than the state machine can carry"),
                format!("keep it under {LARGEST_REQUEST_BYTES} bytes: code belongs in S3, large properties in a store"),
            )]);
        }
        let parts = [None, Some("policy"), Some("restore"), Some("upload")]
            .map(|part| (part.unwrap_or("input"), part.map_or(Some(input), |part| input.get(part))));
        let not_objects = not_objects("", parts);
        if !not_objects.is_empty() {
            return Err(not_objects);
        }
        let has_restore = input.get("restore").is_some();
        let mut request: Self = serde_path_to_error::deserialize(input).map_err(|error| vec![unreadable(&error)])?;
        let mut refusals = request.policy.refusals();
        refusals.extend(request.name_refusals());
        refusals.extend(request.upload_refusals());
        refusals.extend(request.update_refusals());
        if refusals.is_empty()
            && let Some(run_configuration) = request.update.remove("RunConfigurationUpdate")
        {
            if has_restore {
                refusals.push(Refusal::new(
                    "update.RunConfigurationUpdate",
                    "`restore` says already how state is restored",
                    "say it in one of the two places",
                ));
            } else {
                match restore_of(&run_configuration) {
                    Ok(restore) => request.restore = restore,
                    Err(refusal) => refusals.push(refusal),
                }
            }
        }
        refusals.extend(request.restore_refusals());
        refusals.extend(request.size_refusals());
        if refusals.is_empty() { Ok(request) } else { Err(refusals) }
    }

    fn name_refusals(&self) -> Option<Refusal> {
        (!is_application_name(&self.application)).then(|| {
            Refusal::new(
                "application",
                "not the name of an application",
                "give its name (not its ARN): 1 to 128 letters, digits, `_`, `.` or `-`",
            )
        })
    }

    fn upload_refusals(&self) -> Vec<Refusal> {
        let Some(Upload { bucket, key, version_id, sequencer, at: _ }) = &self.upload else { return Vec::new() };
        let is_hexadecimal = sequencer.chars().all(|character| character.is_ascii_hexdigit());
        let lengths = [
            ("upload.bucket", bucket, 63),
            ("upload.key", key, 1_024),
            ("upload.versionId", version_id, 1_024),
            ("upload.sequencer", sequencer, 64),
        ];
        lengths
            .into_iter()
            .filter(|(field, text, most)| {
                !(1..=*most).contains(&text.len()) || (*field == "upload.sequencer" && !is_hexadecimal)
            })
            .map(|(field, _, _)| {
                Refusal::new(field, "not what S3 says", "copy it from the event of the upload, or leave `upload` out")
            })
            .collect()
    }

    fn update_refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if self.update.is_empty() && self.stop.is_none() && !self.start {
            refusals.push(Refusal::new(
                "update",
                "missing or empty: there is nothing to do",
                "give at least one field of UpdateApplication, such as ApplicationConfigurationUpdate; or say `stop` or `start`",
            ));
        }
        for (name, value) in &self.update {
            let name = name.as_str();
            let field = format!("update.{name}");
            let problem = if OURS.contains(&name) {
                Some(("is filled in by the deployment itself", "leave it out"))
            } else if OBJECTS.contains(&name) && !value.is_object() {
                Some(("wrong type", "give an object, as UpdateApplication takes it"))
            } else if TEXTS.contains(&name) && !value.is_string() {
                Some(("wrong type", "give a string, as UpdateApplication takes it"))
            } else if LISTS.contains(&name) && !value.is_array() {
                Some(("wrong type", "give a list, as UpdateApplication takes it"))
            } else if !name.starts_with(|character: char| character.is_ascii_uppercase()) {
                Some(("unknown field", "use the names of UpdateApplication, such as ApplicationConfigurationUpdate"))
            } else {
                None
            };
            refusals.extend(problem.map(|(problem, cure)| Refusal::new(field, problem, cure)));
        }
        refusals
    }

    /// What the state machine carries besides the input must stay small, or an execution would end without an outcome.
    fn size_refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if self.changed_fields().iter().map(String::len).sum::<usize>() > LARGEST_FIELDS_BYTES {
            refusals.push(Refusal::new(
                "update",
                "more fields than UpdateApplication has",
                "give the fields of UpdateApplication; properties belong into EnvironmentPropertyUpdates",
            ));
        }
        if self.reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            let cure = format!("keep it under {LONGEST_REASON} characters, with a link to more");
            refusals.push(Refusal::new("reason", "too long to be carried along", cure));
        }
        refusals
    }

    fn restore_refusals(&self) -> Option<Refusal> {
        match (self.restore.restore_type, &self.restore.snapshot) {
            (RestoreType::Custom, None) => Some(Refusal::new(
                "restore.snapshot",
                "missing, and RESTORE_FROM_CUSTOM_SNAPSHOT needs it",
                "name a READY snapshot of the application",
            )),
            (RestoreType::Latest | RestoreType::Skip, Some(_)) => Some(Refusal::new(
                "restore.type",
                "a snapshot is named, but would not be used",
                "say RESTORE_FROM_CUSTOM_SNAPSHOT, or leave `restore.snapshot` out",
            )),
            (RestoreType::Custom, Some(name)) if name.is_empty() || name.chars().count() > LONGEST_SNAPSHOT_NAME => {
                Some(Refusal::new(
                    "restore.snapshot",
                    "not the name of a snapshot",
                    format!("give 1 to {LONGEST_SNAPSHOT_NAME} letters, digits, `_`, `.` or `-`"),
                ))
            }
            (RestoreType::Custom, Some(_)) | (RestoreType::Latest | RestoreType::Skip, None) => None,
        }
    }

    /// The paths of the fields that the update sets, without their values, for reports.
    pub fn changed_fields(&self) -> Vec<String> {
        let mut fields = Vec::new();
        collect_fields(&self.update, "", &mut fields);
        fields
    }
}

/// Whether the service would take this as the name of an application.
pub fn is_application_name(name: &str) -> bool {
    let good = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    (1..=128).contains(&name.len()) && name.chars().all(good)
}

/// Paths of the leaves, without values; property groups and lists are leaves here, since their keys may be telling.
fn collect_fields(object: &Map<String, Value>, prefix: &str, fields: &mut Vec<String>) {
    for (name, value) in object {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(inner) if name != "EnvironmentPropertyUpdates" => collect_fields(inner, &path, fields),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                fields.push(path);
            }
        }
    }
}

/// Says which field could not be read, from serde's error. The value itself stays out: it may be a property's.
pub(crate) fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let path = error.path().to_string();
    let message = error.inner().to_string();
    let field = if path == "." { "input".to_owned() } else { path };
    // These words begin the message: further on they could be the value's own.
    if let Some(name) = quoted_after(&message, "unknown field ") {
        return Refusal::new(field_named(&field, name), "unknown field", "correct the spelling or leave it out");
    }
    if let Some(name) = quoted_after(&message, "missing field ") {
        return Refusal::new(field_named(&field, name), "missing", "give it");
    }
    // What is expected ends such a message; the value, which comes before, may say `expected` too.
    let tells_the_type = ["invalid ", "unknown variant `"].iter().any(|start| message.starts_with(start));
    let expected = message.rsplit_once("expected ").filter(|_| tells_the_type);
    let expected = expected.map_or("another kind of value", |(_, expected)| expected);
    let expected = match expected {
        "u32" => "a whole number, 0 or more",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    Refusal::new(field, "wrong type or value", format!("give {expected}"))
}

fn quoted_after<'message>(message: &'message str, words: &str) -> Option<&'message str> {
    message.strip_prefix(words)?.strip_prefix('`')?.split('`').next()
}

fn field_named(path: &str, name: &str) -> String {
    if path == "input" || path == name || path.ends_with(&format!(".{name}")) {
        if path == "input" { name.to_owned() } else { path.to_owned() }
    } else {
        format!("{path}.{name}")
    }
}

/// Refuses parts that are there and are no objects: a list could be read as the fields of one, in their order.
pub(crate) fn not_objects<const N: usize>(path: &str, parts: [(&str, Option<&Value>); N]) -> Vec<Refusal> {
    let wrong = parts.into_iter().filter(|(_, part)| part.is_some_and(|part| !part.is_object()));
    wrong.map(|(name, _)| Refusal::new(format!("{path}{name}"), "wrong type or value", "give an object")).collect()
}

/// The `restore` that a `RunConfigurationUpdate` says.
fn restore_of(run_configuration: &Value) -> Result<Restore, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct RunConfigurationUpdate {
        #[serde(default)]
        flink_run_configuration: FlinkRunConfiguration,
        #[serde(default)]
        application_restore_configuration: ApplicationRestoreConfiguration,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct FlinkRunConfiguration {
        #[serde(default)]
        allow_non_restored_state: bool,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
    struct ApplicationRestoreConfiguration {
        application_restore_type: RestoreType,
        snapshot_name: Option<String>,
    }
    let parts = ["FlinkRunConfiguration", "ApplicationRestoreConfiguration"];
    let parts = parts.map(|name| (name, run_configuration.get(name)));
    if let Some(refusal) = not_objects("update.RunConfigurationUpdate.", parts).into_iter().next() {
        return Err(refusal);
    }
    let read: RunConfigurationUpdate = serde_path_to_error::deserialize(run_configuration).map_err(|error| {
        let refusal = unreadable(&error);
        Refusal { field: format!("update.RunConfigurationUpdate.{}", refusal.field), ..refusal }
    })?;
    Ok(Restore {
        restore_type: read.application_restore_configuration.application_restore_type,
        snapshot: read.application_restore_configuration.snapshot_name,
        allow_non_restored_state: read.flink_run_configuration.allow_non_restored_state,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(input: &Value) -> Vec<String> {
        Request::parse(input).expect_err("should be refused").into_iter().map(|refusal| refusal.field).collect()
    }

    fn many_fields(count: u32) -> Value {
        (0..count).map(|number| (format!("F{number}"), json!(1))).collect::<Map<_, _>>().into()
    }

    #[test]
    fn values_at_their_limits_are_taken() {
        let request = json!({
            "application": "a".repeat(128), "update": { "X": many_fields(1_000) }, "reason": "r".repeat(1_000),
            "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "s".repeat(256) },
        });
        assert!(Request::parse(&request).is_ok());
        // The path of this field is `X.fff…`.
        let field = |bytes: usize| json!({ "application": "orders", "update": { "X": { "f".repeat(bytes - 2): 1 } } });
        assert!(Request::parse(&field(LARGEST_FIELDS_BYTES)).is_ok());
        assert_eq!(refused(&field(LARGEST_FIELDS_BYTES + 1)), ["update"]);
        let bytes = |bytes: usize| {
            let around = json!({ "application": "orders", "update": { "X": "" } }).to_string().len();
            json!({ "application": "orders", "update": { "X": "x".repeat(bytes - around) } })
        };
        assert!(Request::parse(&bytes(LARGEST_REQUEST_BYTES)).is_ok());
        assert_eq!(refused(&bytes(LARGEST_REQUEST_BYTES + 1)), ["input"]);
    }

    #[test]
    fn a_minimal_request_gets_the_defaults() {
        let request = Request::parse(&json!({
            "application": "orders",
            "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20" },
        }))
        .unwrap();
        assert_eq!(request.policy, Policy::default());
        assert_eq!(request.restore, Restore::default());
        assert!(!request.start && !request.restore.allow_non_restored_state);
        assert_eq!(request.changed_fields(), ["RuntimeEnvironmentUpdate"]);
    }

    #[test]
    fn every_mistake_is_named_with_a_cure() {
        let update = json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" });
        let cases = [
            (json!([]), "input"),
            (json!({ "update": update }), "application"),
            (json!({ "application": "orders" }), "update"),
            (json!({ "application": "orders", "update": {} }), "update"),
            (json!({ "application": "arn:aws:x", "update": update }), "application"),
            (json!({ "application": 7, "update": update }), "application"),
            (json!({ "application": "orders", "update": update, "polcy": {} }), "polcy"),
            (json!({ "application": "orders", "update": update, "policy": { "bake": 5 } }), "policy.bake"),
            (
                json!({ "application": "orders", "update": update, "policy": { "bakeSeconds": -5 } }),
                "policy.bakeSeconds",
            ),
            (
                json!({ "application": "orders", "update": update, "policy": { "bakeSeconds": "5m" } }),
                "policy.bakeSeconds",
            ),
            (
                json!({ "application": "orders", "update": update, "policy": { "bakeSeconds": 9_999_999_999_u64 } }),
                "policy.bakeSeconds",
            ),
            (
                json!({ "application": "orders", "update": update, "policy": { "onFailure": "panic" } }),
                "policy.onFailure",
            ),
            (json!({ "application": "orders", "update": { "ApplicationName": "x" } }), "update.ApplicationName"),
            (
                json!({ "application": "orders", "update": { "ApplicationConfigurationUpdate": [] } }),
                "update.ApplicationConfigurationUpdate",
            ),
            (
                json!({ "application": "orders", "update": { "RuntimeEnvironmentUpdate": 1 } }),
                "update.RuntimeEnvironmentUpdate",
            ),
            (
                json!({ "application": "orders", "update": { "CloudWatchLoggingOptionUpdates": {} } }),
                "update.CloudWatchLoggingOptionUpdates",
            ),
            (json!({ "application": "orders", "update": { "runtime": "x" } }), "update.runtime"),
            (
                json!({ "application": "orders", "update": update, "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT" } }),
                "restore.snapshot",
            ),
            (json!({ "application": "orders", "update": update, "restore": { "snapshot": "s" } }), "restore.type"),
            (json!({ "application": "orders", "update": update, "restore": { "type": "LATEST" } }), "restore.type"),
            (
                json!({ "application": "orders", "update": { "RunConfigurationUpdate": {} }, "restore": {} }),
                "update.RunConfigurationUpdate",
            ),
            (json!({ "application": "orders", "update": update, "reason": "r".repeat(1_001) }), "reason"),
            (
                json!({
                    "application": "orders", "update": update,
                    "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "s".repeat(257) }
                }),
                "restore.snapshot",
            ),
            (
                json!({
                    "application": "orders", "update": update,
                    "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "" }
                }),
                "restore.snapshot",
            ),
            (
                json!({ "application": "orders", "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20", "X": many_fields(4_000) } }),
                "update",
            ),
            (
                json!({ "application": "orders", "update": { "RunConfigurationUpdate": { "FlinkRunConfiguration": { "AllowNonRestoredState": 1 } } } }),
                "update.RunConfigurationUpdate.FlinkRunConfiguration.AllowNonRestoredState",
            ),
        ];
        for (input, field) in cases {
            assert_eq!(refused(&input), [field], "{input}");
        }
    }

    #[test]
    fn a_stop_or_a_start_is_something_to_do() {
        for more in [json!({ "stop": "graceful" }), json!({ "stop": "force" }), json!({ "start": true })] {
            let mut input = json!({ "application": "orders" });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert!(Request::parse(&input).is_ok(), "{input}");
        }
        assert_eq!(refused(&json!({ "application": "orders", "start": false })), ["update"]);
    }

    #[test]
    fn an_upload_is_what_s3_says_of_one() {
        let with = |member: &str, value: Value| {
            let mut upload = json!({
                "bucket": "code", "key": "orders.jar", "versionId": "v1", "sequencer": "0055AED6DCD90281E5",
                "at": "2026-11-20T08:00:00Z",
            });
            upload[member] = value;
            json!({ "application": "orders", "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20" }, "upload": upload })
        };
        for (member, most) in [("bucket", 63), ("key", 1_024), ("versionId", 1_024), ("sequencer", 64)] {
            let field = format!("upload.{member}");
            for text in [String::new(), "a".repeat(most + 1)] {
                assert_eq!(refused(&with(member, json!(text))), [field.as_str()], "{} of {most}", text.len());
            }
            assert!(Request::parse(&with(member, json!("a".repeat(most)))).is_ok(), "{member}");
        }
        assert_eq!(refused(&with("sequencer", json!("xyz"))), ["upload.sequencer"], "it is hexadecimal");
        assert!(Request::parse(&with("key", json!("xyz"))).is_ok(), "only the sequencer is");
        assert_eq!(refused(&with("at", json!("yesterday"))), ["upload.at"]);
    }

    #[test]
    fn a_wrong_type_is_told_with_the_right_one() {
        let update = json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" });
        let table = [
            (json!({ "policy": { "bakeSeconds": "5m" } }), "policy.bakeSeconds", "give a whole number, 0 or more"),
            (json!({ "policy": { "requireCheckpoint": 1 } }), "policy.requireCheckpoint", "give a boolean"),
            (json!({ "policy": { "onFailure": "panic" } }), "policy.onFailure", "give `rollBack` or `hold`"),
            (json!({ "update": [] }), "update", "give an object"),
            (json!({ "restore": 5 }), "restore", "give an object"),
            (json!({ "policy": { "alarms": "lag" } }), "policy.alarms", "give a sequence"),
            (json!({ "polcy": {} }), "polcy", "correct the spelling or leave it out"),
            (json!({ "upload": {} }), "upload.bucket", "give it"),
        ];
        for (fields, field, cure) in table {
            let mut input = json!({ "application": "orders", "update": update });
            input.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let refusals = Request::parse(&input).expect_err("should be refused");
            let told: Vec<_> = refusals.iter().map(|it| (it.field.as_str(), it.cure.as_str())).collect();
            assert_eq!(told, [(field, cure)], "{fields}");
        }
    }

    #[test]
    fn how_state_is_restored_is_stated_in_the_services_words() {
        let table = [
            (Restore::default(), json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" })),
            (
                Restore { restore_type: RestoreType::Skip, ..Restore::default() },
                json!({ "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" }),
            ),
            (
                Restore::from_snapshot("monday"),
                json!({ "ApplicationRestoreType": "RESTORE_FROM_CUSTOM_SNAPSHOT", "SnapshotName": "monday" }),
            ),
        ];
        for (restore, application) in table {
            for allowed in [false, true] {
                let restore = Restore { allow_non_restored_state: allowed, ..restore.clone() };
                let expected = json!({
                    "ApplicationRestoreConfiguration": application,
                    "FlinkRunConfiguration": { "AllowNonRestoredState": allowed },
                });
                assert_eq!(restore.run_configuration(), expected);
            }
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_the_value() {
        let input = json!({ "application": "orders", "update": "hunter2-is-the-password" });
        let refusals = Request::parse(&input).expect_err("should be refused");
        assert!(!format!("{refusals:?}").contains("hunter2"), "{refusals:?}");
    }

    #[test]
    fn a_body_over_the_limit_is_refused() {
        let input = json!({ "application": "orders", "update": { "X": "x".repeat(LARGEST_REQUEST_BYTES) } });
        assert_eq!(refused(&input), ["input"]);
    }

    #[test]
    fn the_run_configuration_of_the_cli_is_understood() {
        let request = Request::parse(&json!({
            "application": "orders",
            "update": {
                "RuntimeEnvironmentUpdate": "FLINK-1_20",
                "RunConfigurationUpdate": {
                    "FlinkRunConfiguration": { "AllowNonRestoredState": true },
                    "ApplicationRestoreConfiguration": {
                        "ApplicationRestoreType": "RESTORE_FROM_CUSTOM_SNAPSHOT", "SnapshotName": "monday"
                    },
                },
            },
        }))
        .unwrap();
        let expected = Restore { allow_non_restored_state: true, ..Restore::from_snapshot("monday") };
        assert_eq!(request.restore, expected);
        assert!(!request.update.contains_key("RunConfigurationUpdate"));
    }

    #[test]
    fn fields_newer_than_this_code_pass_through() {
        let input = json!({ "application": "orders", "update": { "QuantumUpdate": { "Qubits": 3 } } });
        assert!(Request::parse(&input).unwrap().update.contains_key("QuantumUpdate"));
    }

    #[test]
    fn property_keys_and_values_stay_out_of_the_changed_fields() {
        let request = Request::parse(&json!({
            "application": "orders",
            "update": { "ApplicationConfigurationUpdate": { "EnvironmentPropertyUpdates": { "PropertyGroups": [
                { "PropertyGroupId": "db", "PropertyMap": { "password": "hunter2" } }
            ] } } },
        }))
        .unwrap();
        assert_eq!(request.changed_fields(), ["ApplicationConfigurationUpdate.EnvironmentPropertyUpdates"]);
    }
}
