//! An application's configuration as the service keeps it: JSON, so that what is newer than the SDK passes through.
//! Creation turns `X` into `XDescription`, an update merges `XUpdate` into it; a few names are not that regular.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::ServiceError;

type Object = Map<String, Value>;

/// `ApplicationConfiguration` → `ApplicationConfigurationDescription`.
pub(crate) fn described(configuration: &Object) -> Result<Object, ServiceError> {
    let mut description = Object::new();
    for (name, value) in configuration {
        match (name.as_str(), value) {
            ("EnvironmentProperties", Value::Object(properties)) => {
                description.insert("EnvironmentPropertyDescriptions".to_owned(), property_groups(properties));
            }
            ("VpcConfigurations", Value::Array(configurations)) => {
                let described = configurations.iter().enumerate().map(|(index, it)| vpc(it, index + 1)).collect();
                description.insert("VpcConfigurationDescriptions".to_owned(), Value::Array(described));
            }
            _ => insert_described(&mut description, name, value),
        }
    }
    normalize(&mut description)?;
    Ok(description)
}

/// Merges `ApplicationConfigurationUpdate` into an `ApplicationConfigurationDescription`.
pub(crate) fn update(description: &mut Object, update: &Object) -> Result<(), ServiceError> {
    for (name, value) in update {
        match (name.as_str(), value) {
            ("EnvironmentPropertyUpdates", Value::Object(properties)) => {
                description.insert("EnvironmentPropertyDescriptions".to_owned(), property_groups(properties));
            }
            ("VpcConfigurationUpdates", Value::Array(updates)) => {
                let configurations = description.get_mut("VpcConfigurationDescriptions").and_then(Value::as_array_mut);
                update_by_id(configurations, "VpcConfigurationId", updates, |field| match field {
                    "SubnetIdUpdates" => "SubnetIds",
                    "SecurityGroupIdUpdates" => "SecurityGroupIds",
                    other => other,
                })?;
            }
            ("ApplicationCodeConfigurationUpdate", Value::Object(code)) => {
                // A location without an object version means the newest object, whatever was pinned before.
                let location = code.get("CodeContentUpdate").and_then(|content| content.get("S3ContentLocationUpdate"));
                if location.is_some() {
                    let kept = s3_location_mut(description);
                    if let Some(kept) = kept {
                        kept.remove("ObjectVersion");
                    }
                }
                merge(description, name, value);
            }
            _ => merge(description, name, value),
        }
    }
    let parallelism = description
        .get("FlinkApplicationConfigurationDescription")
        .and_then(|flink| flink.pointer("/ParallelismConfigurationDescription/Parallelism"))
        .cloned();
    let changes = update
        .get("FlinkApplicationConfigurationUpdate")
        .is_some_and(|flink| flink.get("ParallelismConfigurationUpdate").is_some());
    if let (Some(parallelism), true) = (parallelism, changes) {
        set_current_parallelism(description, parallelism);
    }
    normalize(description)
}

/// Sets `CurrentParallelism`, as autoscaling does.
pub(crate) fn set_current_parallelism(description: &mut Object, parallelism: Value) {
    let configuration = description
        .get_mut("FlinkApplicationConfigurationDescription")
        .and_then(|flink| flink.get_mut("ParallelismConfigurationDescription"));
    if let Some(configuration) = configuration {
        configuration["CurrentParallelism"] = parallelism;
    }
}

/// Updates the entries of a list that an id names; `rename` gives the field that an update's field is for.
pub(crate) fn update_by_id(
    entries: Option<&mut Vec<Value>>,
    id_field: &str,
    updates: &[Value],
    rename: impl Fn(&str) -> &str,
) -> Result<(), ServiceError> {
    let mut none = Vec::new();
    let entries = entries.unwrap_or(&mut none);
    for update in updates {
        let entry =
            entries.iter_mut().find(|entry| update.get(id_field).is_some_and(|id| entry.get(id_field) == Some(id)));
        let (Some(entry), Some(update)) = (entry, update.as_object()) else {
            return Err(ServiceError::invalid_argument(format!("{id_field} names nothing that this application has")));
        };
        for (name, value) in update {
            entry[rename(name)] = value.clone();
        }
    }
    Ok(())
}

/// `VpcConfiguration` → `VpcConfigurationDescription`.
pub(crate) fn vpc(configuration: &Value, number: usize) -> Value {
    let mut described = configuration.clone();
    described["VpcConfigurationId"] = json!(format!("{number}.1"));
    described["VpcId"] = json!("vpc-0123456789abcdef0");
    described
}

/// `RunConfigurationDescription` with what a start or an update says of it.
pub(crate) fn set_run_configuration(description: &mut Object, run: Option<&Value>) {
    let stored = description.remove("RunConfigurationDescription").unwrap_or_else(|| json!({}));
    let given = |name: &str| run.and_then(|run| run.get(name)).filter(|value| value.is_object()).cloned();
    let restore = given("ApplicationRestoreConfiguration")
        .or_else(|| stored.get("ApplicationRestoreConfigurationDescription").cloned())
        .unwrap_or_else(|| json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" }));
    // What is not restated is false again, whatever it was before: the service says so of updates.
    let mut flink = given("FlinkRunConfiguration").unwrap_or_else(|| json!({}));
    if !flink.get("AllowNonRestoredState").is_some_and(Value::is_boolean) {
        flink["AllowNonRestoredState"] = json!(false);
    }
    description.insert(
        "RunConfigurationDescription".to_owned(),
        json!({
            "ApplicationRestoreConfigurationDescription": restore,
            "FlinkRunConfigurationDescription": flink,
        }),
    );
}

/// How a job gets its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Restore {
    Latest,
    Custom(String),
    Skip,
}

/// The restore type of a description's run configuration.
pub(crate) fn restore(description: &Object) -> Result<Restore, ServiceError> {
    let configuration = description
        .get("RunConfigurationDescription")
        .and_then(|run| run.get("ApplicationRestoreConfigurationDescription"));
    let Some(configuration) = configuration else {
        return Ok(Restore::Latest);
    };
    let name = configuration.get("SnapshotName").and_then(Value::as_str);
    match configuration.get("ApplicationRestoreType").and_then(Value::as_str) {
        Some("RESTORE_FROM_LATEST_SNAPSHOT") => Ok(Restore::Latest),
        Some("SKIP_RESTORE_FROM_SNAPSHOT") => Ok(Restore::Skip),
        Some("RESTORE_FROM_CUSTOM_SNAPSHOT") => name.map(|name| Restore::Custom(name.to_owned())).ok_or_else(|| {
            ServiceError::invalid_argument("SnapshotName is needed with RESTORE_FROM_CUSTOM_SNAPSHOT".to_owned())
        }),
        _ => Err(ServiceError::invalid_argument("ApplicationRestoreType is not one of the service's".to_owned())),
    }
}

/// Bucket, key and object version of the code.
pub(crate) fn code_location(description: &Object) -> Option<(String, String, Option<String>)> {
    let location = description
        .get("ApplicationCodeConfigurationDescription")?
        .pointer("/CodeContentDescription/S3ApplicationCodeLocationDescription")?;
    let text = |name: &str| location.get(name).and_then(Value::as_str).map(str::to_owned);
    let bucket = text("BucketARN")?.rsplit(":::").next()?.to_owned();
    Some((bucket, text("FileKey")?, text("ObjectVersion").filter(|version| !version.is_empty())))
}

/// Notes the size of the code.
pub(crate) fn set_code_size(description: &mut Object, size: usize) {
    let content = description
        .get_mut("ApplicationCodeConfigurationDescription")
        .and_then(|code| code.get_mut("CodeContentDescription"));
    if let Some(content) = content {
        content["CodeSize"] = json!(size);
    }
}

pub(crate) fn current_parallelism(description: &Object) -> u32 {
    let field = |name| flink(description, "ParallelismConfigurationDescription", name).and_then(Value::as_u64);
    let parallelism = field("CurrentParallelism").or_else(|| field("Parallelism")).unwrap_or(1);
    u32::try_from(parallelism).unwrap_or(u32::MAX)
}

pub(crate) fn parallelism_per_kpu(description: &Object) -> u32 {
    let value = flink(description, "ParallelismConfigurationDescription", "ParallelismPerKPU").and_then(Value::as_u64);
    value.and_then(|value| u32::try_from(value).ok()).unwrap_or(1)
}

pub(crate) fn checkpoint_interval(description: &Object) -> Option<Duration> {
    let field = |name| flink(description, "CheckpointConfigurationDescription", name);
    let enabled = field("CheckpointingEnabled").and_then(Value::as_bool).unwrap_or(true);
    let interval = field("CheckpointInterval").and_then(Value::as_u64).unwrap_or(60_000);
    enabled.then_some(Duration::from_millis(interval))
}

pub(crate) fn snapshots_enabled(description: &Object) -> bool {
    switch(description, "ApplicationSnapshotConfigurationDescription", "SnapshotsEnabled", true)
}

pub(crate) fn system_rollback_enabled(description: &Object) -> bool {
    switch(description, "ApplicationSystemRollbackConfigurationDescription", "RollbackEnabled", false)
}

pub(crate) fn allow_non_restored_state(description: &Object) -> bool {
    description
        .get("RunConfigurationDescription")
        .and_then(|run| run.pointer("/FlinkRunConfigurationDescription/AllowNonRestoredState"))
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// Runtime properties: group → key → value.
pub(crate) fn properties(description: &Object) -> BTreeMap<String, BTreeMap<String, String>> {
    let groups = description
        .get("EnvironmentPropertyDescriptions")
        .and_then(|properties| properties.get("PropertyGroupDescriptions"))
        .and_then(Value::as_array);
    groups
        .into_iter()
        .flatten()
        .filter_map(|group| {
            let id = group.get("PropertyGroupId")?.as_str()?;
            let map = group.get("PropertyMap")?.as_object()?;
            let map = map.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
            Some((id.to_owned(), map))
        })
        .collect()
}

/// The end of the eight-hour window that begins at `HH:MM`.
pub(crate) fn window_end(start: &str) -> String {
    let hour = start.get(..2).and_then(|hour| hour.parse::<u32>().ok()).unwrap_or(0);
    format!("{:02}{}", (hour + 8) % 24, start.get(2..).unwrap_or(":00"))
}

fn switch(description: &Object, part: &str, name: &str, default: bool) -> bool {
    description.get(part).and_then(|part| part.get(name)).and_then(Value::as_bool).unwrap_or(default)
}

fn flink<'a>(description: &'a Object, part: &str, name: &str) -> Option<&'a Value> {
    description.get("FlinkApplicationConfigurationDescription")?.get(part)?.get(name)
}

fn s3_location_mut(description: &mut Object) -> Option<&mut Object> {
    description
        .get_mut("ApplicationCodeConfigurationDescription")?
        .pointer_mut("/CodeContentDescription/S3ApplicationCodeLocationDescription")?
        .as_object_mut()
}

fn property_groups(properties: &Object) -> Value {
    let mut described = properties.clone();
    let groups = described.remove("PropertyGroups").unwrap_or_else(|| json!([]));
    described.insert("PropertyGroupDescriptions".to_owned(), groups);
    Value::Object(described)
}

/// The name under which a part of a configuration is described.
fn description_name(name: &str) -> String {
    match name {
        "S3ContentLocation" => "S3ApplicationCodeLocationDescription".to_owned(),
        _ => format!("{name}Description"),
    }
}

fn insert_described(description: &mut Object, name: &str, value: &Value) {
    match value {
        // The code itself is kept apart and never told.
        Value::String(_) if name == "ZipFileContent" => {}
        Value::Object(parts) => {
            let mut described = Object::new();
            for (name, value) in parts {
                insert_described(&mut described, name, value);
            }
            description.insert(description_name(name), Value::Object(described));
        }
        other => {
            description.insert(name.to_owned(), other.clone());
        }
    }
}

fn merge(description: &mut Object, name: &str, value: &Value) {
    let base = name.strip_suffix("Update").unwrap_or(name);
    match value {
        Value::String(_) if base == "ZipFileContent" => {}
        Value::Object(parts) => {
            let entry = description.entry(description_name(base)).or_insert_with(|| json!({}));
            if !entry.is_object() {
                *entry = json!({});
            }
            if let Value::Object(kept) = entry {
                for (name, value) in parts {
                    merge(kept, name, value);
                }
            }
        }
        other => {
            description.insert(base.to_owned(), other.clone());
        }
    }
}

/// Fills in the service's defaults, and refuses what it would refuse.
fn normalize(description: &mut Object) -> Result<(), ServiceError> {
    let flink = object(description, "FlinkApplicationConfigurationDescription")?;
    let checkpointing = object(flink, "CheckpointConfigurationDescription")?;
    defaults(
        checkpointing,
        &[
            ("CheckpointingEnabled", json!(true)),
            ("CheckpointInterval", json!(60_000)),
            ("MinPauseBetweenCheckpoints", json!(5_000)),
        ],
    );
    positive(checkpointing, "CheckpointInterval")?;
    let monitoring = object(flink, "MonitoringConfigurationDescription")?;
    defaults(monitoring, &[("MetricsLevel", json!("APPLICATION")), ("LogLevel", json!("INFO"))]);
    let parallelism = object(flink, "ParallelismConfigurationDescription")?;
    defaults(
        parallelism,
        &[("Parallelism", json!(1)), ("ParallelismPerKPU", json!(1)), ("AutoScalingEnabled", json!(false))],
    );
    positive(parallelism, "Parallelism")?;
    positive(parallelism, "ParallelismPerKPU")?;
    if !parallelism.contains_key("CurrentParallelism") {
        let initial = parallelism.get("Parallelism").cloned().unwrap_or_else(|| json!(1));
        parallelism.insert("CurrentParallelism".to_owned(), initial);
    }
    let snapshots = object(description, "ApplicationSnapshotConfigurationDescription")?;
    snapshots.entry("SnapshotsEnabled").or_insert(json!(true));
    let rollback = object(description, "ApplicationSystemRollbackConfigurationDescription")?;
    rollback.entry("RollbackEnabled").or_insert(json!(false));
    let encryption = object(description, "ApplicationEncryptionConfigurationDescription")?;
    let key_type = encryption.entry("KeyType").or_insert(json!("AWS_OWNED_KEY")).as_str().map(str::to_owned);
    match key_type.as_deref() {
        Some("AWS_OWNED_KEY") => {
            encryption.remove("KeyId");
            Ok(())
        }
        Some("CUSTOMER_MANAGED_KEY") if encryption.contains_key("KeyId") => Ok(()),
        _ => Err(ServiceError::invalid_argument(
            "KeyType is AWS_OWNED_KEY, or CUSTOMER_MANAGED_KEY with a KeyId".to_owned(),
        )),
    }
}

fn object<'a>(parent: &'a mut Object, name: &str) -> Result<&'a mut Object, ServiceError> {
    parent
        .entry(name)
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .ok_or_else(|| ServiceError::invalid_argument(format!("{name} is not an object")))
}

/// With `ConfigurationType` DEFAULT the service's values hold whatever is given; with CUSTOM they fill gaps.
fn defaults(part: &mut Object, values: &[(&str, Value)]) {
    let custom = part.entry("ConfigurationType").or_insert(json!("DEFAULT")) == "CUSTOM";
    for (name, value) in values {
        if !custom || !part.contains_key(*name) {
            part.insert((*name).to_owned(), value.clone());
        }
    }
}

fn positive(part: &Object, name: &str) -> Result<(), ServiceError> {
    if part.get(name).and_then(Value::as_u64).is_some_and(|value| value > 0) {
        Ok(())
    } else {
        Err(ServiceError::invalid_argument(format!("{name} is a whole number of at least 1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object_of(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("{other} is no object"),
        }
    }

    fn created() -> Object {
        described(&object_of(json!({
            "ApplicationCodeConfiguration": {
                "CodeContentType": "ZIPFILE",
                "CodeContent": { "S3ContentLocation": {
                    "BucketARN": "arn:aws:s3:::code", "FileKey": "orders.jar", "ObjectVersion": "first",
                } },
            },
            "FlinkApplicationConfiguration": {
                "ParallelismConfiguration": { "ConfigurationType": "CUSTOM", "Parallelism": 4, "ParallelismPerKPU": 2 },
            },
            "EnvironmentProperties": {
                "PropertyGroups": [{ "PropertyGroupId": "source", "PropertyMap": { "stream": "orders" } }],
            },
            "VpcConfigurations": [{ "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"] }],
            "NewerConfiguration": { "Level": 3, "Inner": { "Deep": true } },
        })))
        .unwrap()
    }

    #[test]
    fn creation_describes_what_it_is_given_and_fills_in_the_defaults() {
        let description = created();
        assert_eq!(
            code_location(&description),
            Some(("code".to_owned(), "orders.jar".to_owned(), Some("first".to_owned())))
        );
        assert_eq!(current_parallelism(&description), 4);
        assert_eq!(parallelism_per_kpu(&description), 2);
        assert_eq!(checkpoint_interval(&description), Some(Duration::from_mins(1)));
        assert_eq!(properties(&description)["source"]["stream"], "orders");
        assert!(snapshots_enabled(&description));
        assert!(!system_rollback_enabled(&description));
        assert_eq!(description["VpcConfigurationDescriptions"][0]["VpcConfigurationId"], "1.1");
        assert_eq!(description["NewerConfigurationDescription"]["InnerDescription"]["Deep"], true);
    }

    #[test]
    fn an_update_changes_what_it_names_and_nothing_else() {
        let mut description = created();
        let before = description.clone();
        update(
            &mut description,
            &object_of(json!({
                "FlinkApplicationConfigurationUpdate": {
                    "CheckpointConfigurationUpdate": {
                        "ConfigurationTypeUpdate": "CUSTOM", "CheckpointIntervalUpdate": 10_000,
                    },
                    "ParallelismConfigurationUpdate": { "ParallelismUpdate": 8 },
                },
                "ApplicationSystemRollbackConfigurationUpdate": { "RollbackEnabledUpdate": true },
                "NewerConfigurationUpdate": { "LevelUpdate": 4 },
                "VpcConfigurationUpdates": [{ "VpcConfigurationId": "1.1", "SubnetIdUpdates": ["subnet-2"] }],
            })),
        )
        .unwrap();
        assert_eq!(checkpoint_interval(&description), Some(Duration::from_secs(10)));
        assert_eq!(current_parallelism(&description), 8);
        assert!(system_rollback_enabled(&description));
        assert_eq!(
            description["NewerConfigurationDescription"],
            json!({ "Level": 4, "InnerDescription": { "Deep": true } })
        );
        let vpc = &description["VpcConfigurationDescriptions"][0];
        assert_eq!((&vpc["SubnetIds"], &vpc["SecurityGroupIds"]), (&json!(["subnet-2"]), &json!(["sg-1"])));
        assert_eq!(code_location(&description), code_location(&before));
        assert_eq!(properties(&description), properties(&before));
    }

    #[test]
    fn properties_are_replaced_as_a_whole() {
        let mut description = created();
        let groups = json!({ "PropertyGroups": [{ "PropertyGroupId": "sink", "PropertyMap": { "table": "x" } }] });
        update(&mut description, &object_of(json!({ "EnvironmentPropertyUpdates": groups }))).unwrap();
        assert_eq!(properties(&description).into_keys().collect::<Vec<_>>(), ["sink"]);
    }

    #[test]
    fn a_location_without_an_object_version_is_no_longer_pinned() {
        let mut description = created();
        let code = |location: Value| {
            object_of(json!({
                "ApplicationCodeConfigurationUpdate": { "CodeContentUpdate": { "S3ContentLocationUpdate": location } },
            }))
        };
        update(&mut description, &code(json!({ "FileKeyUpdate": "next.jar" }))).unwrap();
        assert_eq!(code_location(&description), Some(("code".to_owned(), "next.jar".to_owned(), None)));
        update(&mut description, &code(json!({ "ObjectVersionUpdate": "third" }))).unwrap();
        assert_eq!(
            code_location(&description),
            Some(("code".to_owned(), "next.jar".to_owned(), Some("third".to_owned())))
        );
    }

    #[test]
    fn what_is_not_restated_is_false_again() {
        let mut description = created();
        let skip = json!({ "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" });
        let run = json!({
            "FlinkRunConfiguration": { "AllowNonRestoredState": true }, "ApplicationRestoreConfiguration": skip,
        });
        set_run_configuration(&mut description, Some(&run));
        assert!(allow_non_restored_state(&description));
        assert_eq!(restore(&description), Ok(Restore::Skip));
        set_run_configuration(&mut description, None);
        assert!(!allow_non_restored_state(&description));
        assert_eq!(restore(&description), Ok(Restore::Skip));
    }

    #[test]
    fn a_default_part_keeps_the_services_values() {
        let mut description = created();
        let flink = json!({ "CheckpointConfigurationUpdate": { "CheckpointIntervalUpdate": 10 } });
        update(&mut description, &object_of(json!({ "FlinkApplicationConfigurationUpdate": flink }))).unwrap();
        assert_eq!(checkpoint_interval(&description), Some(Duration::from_mins(1)));
    }

    #[test]
    fn refusals() {
        let update_of = |value: Value| update(&mut created(), &object_of(value));
        let table = [
            json!({ "FlinkApplicationConfigurationUpdate": { "ParallelismConfigurationUpdate": { "ParallelismUpdate": 0 } } }),
            json!({ "FlinkApplicationConfigurationUpdate": { "ParallelismConfigurationUpdate": { "ParallelismUpdate": "4" } } }),
            json!({ "ApplicationEncryptionConfigurationUpdate": { "KeyTypeUpdate": "CUSTOMER_MANAGED_KEY" } }),
            json!({ "ApplicationEncryptionConfigurationUpdate": { "KeyTypeUpdate": "MINE" } }),
            json!({ "VpcConfigurationUpdates": [{ "VpcConfigurationId": "9.1", "SubnetIdUpdates": [] }] }),
        ];
        for update in table {
            assert_eq!(update_of(update.clone()).unwrap_err().code, "InvalidArgumentException", "{update}");
        }
    }

    #[test]
    fn the_maintenance_window_is_eight_hours_long() {
        assert_eq!(window_end("06:30"), "14:30");
        assert_eq!(window_end("20:00"), "04:00");
    }
}
