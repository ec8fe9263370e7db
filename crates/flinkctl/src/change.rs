//! From the command line to a request of the deploy state machine. Code is found or uploaded on the way.

use std::io::{self, Read as _};
use std::path::Path;

use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::BucketVersioningStatus;
use lifecycle::evidence::Application;
use lifecycle::request::Request;
use managed_flink::{Error, ErrorKind};
use serde_json::{Map, Value, json};

use crate::arguments::{Change, Restore, Terms};
use crate::context::Context;
use crate::failure::Failure;

/// How a JAR or ZIP begins.
const ZIP: [u8; 2] = *b"PK";
/// An ARN of a bucket, but for its name.
const BUCKET_ARN: &str = "arn:aws:s3:::";

/// A place in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key; empty, or with a slash at its end, for a folder.
    pub key: String,
    /// The object's version, where one is named.
    pub version: Option<String>,
}

impl Location {
    /// Reads `s3://BUCKET/KEY` or `s3://BUCKET/KEY?versionId=VERSION`; none if it is no place in S3.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, version) = match text.strip_prefix("s3://")?.split_once("?versionId=") {
            Some((path, version)) => (path, Some(version.to_owned())),
            None => (text.strip_prefix("s3://")?, None),
        };
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        (!bucket.is_empty()).then(|| Self { bucket: bucket.to_owned(), key: key.to_owned(), version })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(formatter, "?versionId={version}"))
    }
}

/// The request for a change. Nothing is uploaded where it is only `planned`.
pub async fn request(context: &mut Context, change: &Change, is_planned: bool) -> Result<Value, Failure> {
    let (application, detail) = context.application(&change.application).await?;
    let mut update = match &change.update {
        Some(file) => read_update(file)?,
        None => Map::new(),
    };
    if let Some(runtime) = &change.runtime {
        update.insert("RuntimeEnvironmentUpdate".to_owned(), json!(runtime));
    }
    let parallelism =
        [("ParallelismUpdate", change.parallelism), ("ParallelismPerKPUUpdate", change.parallelism_per_kpu)];
    let parallelism: Map<String, Value> =
        parallelism.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect();
    if !parallelism.is_empty() {
        let section = member(&mut update, &["ApplicationConfigurationUpdate", "FlinkApplicationConfigurationUpdate"])?;
        let section = object(section, "ParallelismConfigurationUpdate")?;
        section.insert("ConfigurationTypeUpdate".to_owned(), json!("CUSTOM"));
        section.extend(parallelism);
    }
    if !(change.properties.is_empty() && change.removed_properties.is_empty()) {
        let groups = groups(&detail, &update);
        let groups = changed_groups(&groups, &change.properties, &change.removed_properties)?;
        let section = member(&mut update, &["ApplicationConfigurationUpdate", "EnvironmentPropertyUpdates"])?;
        section.insert("PropertyGroups".to_owned(), groups);
    }
    if let Some(code) = &change.code {
        let location = code_location(context, code, change.upload_to.as_deref(), &application, is_planned).await?;
        let sections = ["ApplicationConfigurationUpdate", "ApplicationCodeConfigurationUpdate", "CodeContentUpdate"];
        let section = member(&mut update, &sections)?;
        let mut place = json!({
            "BucketARNUpdate": format!("{BUCKET_ARN}{}", location.bucket),
            "FileKeyUpdate": location.key,
        });
        if let Some(version) = location.version {
            place["ObjectVersionUpdate"] = json!(version);
        }
        section.insert("S3ContentLocationUpdate".to_owned(), place);
    }
    let mut request = base(&change.application, &change.terms)?;
    if !update.is_empty() {
        request["update"] = Value::Object(update);
    }
    if let Some(how) = change.stop_first {
        request["stop"] = json!(how.as_str());
    }
    if change.start {
        request["start"] = json!(true);
    }
    restore(&mut request, &change.restore);
    checked(request)
}

/// Where the new code is: in S3 already, or once it is uploaded. A `planned` upload is not made.
async fn code_location(
    context: &mut Context,
    code: &str,
    upload_to: Option<&str>,
    application: &Application,
    is_planned: bool,
) -> Result<Location, Failure> {
    if let Some(location) = Location::parse(code) {
        return newest_version(context, location).await;
    }
    let path = Path::new(code);
    let bytes = read_code(path)?;
    let location = upload_location(path, upload_to, application)?;
    if is_planned { Ok(location) } else { upload(context, application, location, bytes).await }
}

/// A request without a change.
pub fn base(application: &str, terms: &Terms) -> Result<Value, Failure> {
    let mut request = json!({ "application": application });
    let mut policy = Map::new();
    for given in &terms.policy {
        let (field, value) = given.split_once('=').ok_or_else(|| {
            Failure::misuse(format!("--policy {given}: no value."), "Write FIELD=VALUE, such as bakeSeconds=900.")
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        policy.insert(field.to_owned(), value);
    }
    if !policy.is_empty() {
        request["policy"] = Value::Object(policy);
    }
    if let Some(reason) = &terms.reason {
        request["reason"] = json!(reason);
    }
    Ok(request)
}

/// Says in the request how state is restored.
pub fn restore(request: &mut Value, restore: &Restore) {
    let mut wanted = match restore.restore.as_str() {
        "latest" => json!({}),
        "none" => json!({ "type": "SKIP_RESTORE_FROM_SNAPSHOT" }),
        name => json!({ "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": name }),
    };
    if restore.allow_non_restored_state {
        wanted["allowNonRestoredState"] = json!(true);
    }
    if wanted != json!({}) {
        request["restore"] = wanted;
    }
}

/// The request, once it is one that the state machine would take.
pub fn checked(request: Value) -> Result<Value, Failure> {
    match Request::parse(&request) {
        Ok(_) => Ok(request),
        Err(refusals) => Err(Failure::refused(&refusals)),
    }
}

fn read_update(file: &Path) -> Result<Map<String, Value>, Failure> {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(file) };
    let text = text.map_err(|error| {
        Failure::misuse(format!("{} cannot be read: {error}.", file.display()), "Correct the path given with --update.")
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::misuse(
            format!("{} is not a JSON object: {error}.", file.display()),
            "Give what `aws kinesisanalyticsv2 update-application --cli-input-json` takes.",
        )
    })
}

/// The object at this path, made where it is not there.
fn member<'a>(update: &'a mut Map<String, Value>, path: &[&str]) -> Result<&'a mut Map<String, Value>, Failure> {
    path.iter().try_fold(update, |at, name| object(at, name))
}

fn object<'a>(at: &'a mut Map<String, Value>, name: &str) -> Result<&'a mut Map<String, Value>, Failure> {
    match at.entry(name).or_insert_with(|| json!({})) {
        Value::Object(members) => Ok(members),
        _ => Err(Failure::misuse(format!("{name} is no object."), "Correct the file given with --update.")),
    }
}

/// The property groups that the change begins with: those of the update file, else those of the application.
fn groups(detail: &Value, update: &Map<String, Value>) -> Value {
    let given = update.get("ApplicationConfigurationUpdate");
    let given = given.and_then(|it| it.pointer("/EnvironmentPropertyUpdates/PropertyGroups"));
    let shown = detail
        .pointer("/ApplicationConfigurationDescription/EnvironmentPropertyDescriptions/PropertyGroupDescriptions");
    given.or(shown).cloned().unwrap_or_else(|| json!([]))
}

/// The groups with some properties set and others removed; a group that is left empty goes.
fn changed_groups(groups: &Value, set: &[String], removed: &[String]) -> Result<Value, Failure> {
    let mut all: Vec<(String, Map<String, Value>)> = Vec::new();
    for group in groups.as_array().into_iter().flatten() {
        let name = group.get("PropertyGroupId").and_then(Value::as_str).unwrap_or_default().to_owned();
        all.push((name, group.get("PropertyMap").and_then(Value::as_object).cloned().unwrap_or_default()));
    }
    for given in set {
        let parts = given.split_once('=').and_then(|(name, value)| Some((name.split_once(':')?, value)));
        // The value may be a secret: it is not repeated.
        let Some(((group, key), value)) = parts else {
            let name = given.split('=').next().unwrap_or_default();
            return Err(Failure::misuse(format!("--property {name}: not a property."), "Write GROUP:KEY=VALUE."));
        };
        if !all.iter().any(|(name, _)| name == group) {
            all.push((group.to_owned(), Map::new()));
        }
        for (_, map) in all.iter_mut().filter(|(name, _)| name == group) {
            map.insert(key.to_owned(), json!(value));
        }
    }
    for given in removed {
        let Some((group, key)) = given.split_once(':') else {
            return Err(Failure::misuse(format!("--remove-property {given}: not a property."), "Write GROUP:KEY."));
        };
        let found = all.iter_mut().find(|(name, map)| name == group && map.contains_key(key));
        let Some((_, map)) = found else {
            let cure = "See `flinkctl status` and the console for the properties there are.";
            return Err(Failure::misuse(format!("There is no property {given} to remove."), cure));
        };
        map.remove(key);
    }
    let groups = all.into_iter().filter(|(_, map)| !map.is_empty());
    Ok(groups.map(|(name, map)| json!({ "PropertyGroupId": name, "PropertyMap": map })).collect())
}

fn read_code(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: io::Error| {
        let what = format!("{} cannot be read: {error}.", path.display());
        Failure::misuse(what, "Give the path of a JAR or ZIP, or s3://BUCKET/KEY.")
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(unreadable)?;
    if !bytes.starts_with(&ZIP) {
        return Err(Failure::misuse(
            format!("{} is neither a JAR nor a ZIP.", path.display()),
            "Build the job's JAR (for Python, the ZIP) and give its path.",
        ));
    }
    Ok(bytes)
}

/// Where code is uploaded to: as told, else beside the code that runs.
fn upload_location(path: &Path, to: Option<&str>, application: &Application) -> Result<Location, Failure> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let mut location = if let Some(to) = to {
        Location::parse(to).ok_or_else(|| {
            let cure = "Write s3://BUCKET/KEY or s3://BUCKET/FOLDER/.";
            Failure::misuse(format!("--upload-to {to}: no place in S3."), cure)
        })?
    } else {
        let code = application.code.as_ref().ok_or_else(|| {
            Failure::misuse("The application's code is not in S3.", "Say where to put the new one with --upload-to.")
        })?;
        let bucket = code.bucket_arn.rsplit(':').next().unwrap_or_default().to_owned();
        let folder = code.key.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        Location { bucket, key: folder, version: None }
    };
    if location.key.is_empty() || location.key.ends_with('/') {
        location.key.push_str(&file);
    }
    Ok(location)
}

/// The object in its newest version, unless a version is named already. Where that cannot be read the version stays open,
/// which the service allows.
async fn newest_version(context: &mut Context, location: Location) -> Result<Location, Failure> {
    if location.version.is_some() {
        return Ok(location);
    }
    match context.s3.head_object().bucket(&location.bucket).key(&location.key).send().await {
        Ok(head) => {
            Ok(Location { version: head.version_id().filter(|id| *id != "null").map(str::to_owned), ..location })
        }
        Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Err(Failure::misuse(
            format!("There is no object {location}."),
            "Correct the bucket and the key, or upload it first.",
        )),
        Err(error) => {
            let error = Error::from_sdk("HeadObject", error);
            if error.kind() != ErrorKind::AccessDenied {
                return Err(error.into());
            }
            let warning = format!(
                "{location} may not be read with these credentials, so that its version is left open: say it with \
                 ?versionId=VERSION to be able to go back to just this code."
            );
            context.output.text(crate::terminal::line::Style::Open, &warning)?;
            Ok(location)
        }
    }
}

/// Uploads code, unless it would overwrite what could not be brought back.
async fn upload(
    context: &mut Context,
    application: &Application,
    location: Location,
    bytes: Vec<u8>,
) -> Result<Location, Failure> {
    let versioning = context.s3.get_bucket_versioning().bucket(&location.bucket).send().await;
    let is_versioned = match versioning {
        Ok(versioning) => versioning.status() == Some(&BucketVersioningStatus::Enabled),
        Err(error) => {
            let error = Error::from_sdk("GetBucketVersioning", error);
            if error.kind() != ErrorKind::AccessDenied {
                return Err(error.into());
            }
            false
        }
    };
    if !is_versioned {
        let head = context.s3.head_object().bucket(&location.bucket).key(&location.key).send().await;
        let is_current = application.code.as_ref().is_some_and(|code| code.key == location.key);
        if head.is_ok() || is_current {
            return Err(Failure::failed(
                format!("{location} is there already, and the bucket keeps no older versions: it would be lost."),
                "Switch the bucket's versioning on (recommended), or give the file another name with --upload-to.",
            ));
        }
    }
    let megabytes = bytes.len().div_ceil(1_000_000);
    context.output.status(&format!("uploading {megabytes} MB to {location} …"))?;
    let put = context.s3.put_object().bucket(&location.bucket).key(&location.key).body(ByteStream::from(bytes));
    let put = put.send().await.map_err(|error| Error::from_sdk("PutObject", error))?;
    let version = put.version_id().filter(|id| *id != "null").map(str::to_owned);
    Ok(Location { version, ..location })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_s3_are_read() {
        let location = |bucket: &str, key: &str, version: Option<&str>| {
            Some(Location { bucket: bucket.to_owned(), key: key.to_owned(), version: version.map(str::to_owned) })
        };
        assert_eq!(Location::parse("s3://code/a/b.jar"), location("code", "a/b.jar", None));
        assert_eq!(Location::parse("s3://code/b.jar?versionId=v1"), location("code", "b.jar", Some("v1")));
        assert_eq!(Location::parse("s3://code"), location("code", "", None));
        assert_eq!(Location::parse("s3:///b.jar"), None);
        assert_eq!(Location::parse("target/b.jar"), None);
    }

    #[test]
    fn properties_are_set_and_removed_and_the_others_stay() {
        let groups = json!([
            { "PropertyGroupId": "kafka", "PropertyMap": { "topic": "orders", "acks": "all" } },
            { "PropertyGroupId": "old", "PropertyMap": { "gone": "1" } },
        ]);
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let set = texts(&["kafka:topic=orders=2", "new:a=b"]);
        let changed = changed_groups(&groups, &set, &texts(&["old:gone"])).unwrap();
        let expected = json!([
            { "PropertyGroupId": "kafka", "PropertyMap": { "topic": "orders=2", "acks": "all" } },
            { "PropertyGroupId": "new", "PropertyMap": { "a": "b" } },
        ]);
        assert_eq!(changed, expected);
        let refused = changed_groups(&groups, &texts(&["password=hunter2"]), &[]).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        assert!(changed_groups(&groups, &[], &texts(&["kafka:nothing"])).is_err());
    }

    #[test]
    fn a_policy_is_read_as_json_where_it_is() {
        let terms = |policy: &[&str]| Terms {
            policy: policy.iter().map(ToString::to_string).collect(),
            reason: Some("release".to_owned()),
        };
        let request = base("orders", &terms(&["bakeSeconds=900", "alarms=[\"lag\"]", "onFailure=hold"])).unwrap();
        let policy = json!({ "bakeSeconds": 900, "alarms": ["lag"], "onFailure": "hold" });
        assert_eq!(request, json!({ "application": "orders", "reason": "release", "policy": policy }));
        assert!(base("orders", &terms(&["bakeSeconds"])).is_err());
        let refused = checked(json!({ "application": "orders", "start": true, "policy": { "bake": 1 } })).unwrap_err();
        assert!(refused.to_string().contains("policy.bake"), "{refused}");
    }

    #[test]
    fn code_is_uploaded_beside_the_code_that_runs() {
        let code = lifecycle::evidence::Code {
            bucket_arn: "arn:aws:s3:::code".to_owned(),
            key: "applications/orders/orders-1.jar".to_owned(),
            object_version: None,
        };
        let application = Application {
            version: 3,
            status: "RUNNING".into(),
            runtime: "FLINK-1_20".to_owned(),
            code: Some(code),
            snapshots_enabled: true,
            system_rollback_enabled: false,
            checkpointing_enabled: true,
            checkpoint_interval_seconds: Some(60),
        };
        let location = |to: Option<&str>| upload_location(Path::new("target/orders-2.jar"), to, &application);
        assert_eq!(location(None).unwrap().to_string(), "s3://code/applications/orders/orders-2.jar");
        assert_eq!(location(Some("s3://other/x/")).unwrap().to_string(), "s3://other/x/orders-2.jar");
        assert_eq!(location(Some("s3://other/y.jar")).unwrap().to_string(), "s3://other/y.jar");
        assert!(location(Some("/tmp")).is_err());
    }
}
