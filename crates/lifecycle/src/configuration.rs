//! An application's configuration as the service describes it, against an update as the service takes it: is the update
//! in effect, and which update puts an earlier configuration back? Both work on the JSON itself, by the service's
//! naming rule (`XUpdate` changes what `X` or `XDescription` shows), so that fields newer than this code count too.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::deployment::Deployment;
use crate::evidence::Code;
use crate::verdict::Reason;

/// The one object whose description is named unlike its update.
const CODE_LOCATION: (&str, &str) = ("S3ContentLocationUpdate", "S3ApplicationCodeLocationDescription");
/// What descriptions show beside what can be set.
const READ_ONLY: [&str; 6] =
    ["CodeMD5", "CodeSize", "CurrentParallelism", "JobPlanDescription", "VpcId", "RunConfigurationDescription"];
/// Content that a description does not show.
const NOT_SHOWN: [&str; 2] = ["ZipFileContentUpdate", "TextContentUpdate"];

/// Whether everything that `update` sets (members of `UpdateApplication`) stands in `detail` (`ApplicationDetail`).
pub fn is_in_effect(update: &Map<String, Value>, detail: &Value) -> bool {
    // With the type DEFAULT the service sets the other members of the same object itself.
    let is_default = update.get("ConfigurationTypeUpdate").and_then(Value::as_str) == Some("DEFAULT");
    update.iter().filter(|(name, _)| !NOT_SHOWN.contains(&name.as_str())).all(|(name, wanted)| match wanted {
        Value::Object(members) => detail.get(description_name(name)).is_some_and(|shown| {
            members
                .get("PropertyGroups")
                .map_or_else(|| is_in_effect(members, shown), |groups| same_groups(groups, shown))
        }),
        Value::Array(elements) if name.ends_with("Updates") && elements.iter().all(Value::is_object) => {
            let shown = detail.get(description_name(name)).and_then(Value::as_array);
            elements
                .iter()
                .filter_map(Value::as_object)
                .all(|element| shown.is_some_and(|shown| shown.iter().any(|shown| is_in_effect(element, shown))))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            (is_default && name != "ConfigurationTypeUpdate") || detail.get(leaf_name(name)) == Some(wanted)
        }
    })
}

/// A field that an update changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Its path in the update; of a runtime property, the group and the key.
    pub field: String,
    /// What it is now; null where there is nothing, or where the service does not show it.
    pub now: Value,
    /// What it will be; null where it goes.
    pub then: Value,
    /// Whether it is a runtime property, whose value may be a secret.
    pub is_property: bool,
}

/// What `update` (members of `UpdateApplication`) changes in `detail` (`ApplicationDetail`), in the update's order.
pub fn differences(update: &Map<String, Value>, detail: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    differences_in("", update, detail, &mut found);
    found
}

fn differences_in(path: &str, update: &Map<String, Value>, detail: &Value, found: &mut Vec<Difference>) {
    for (name, wanted) in update {
        let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let section = detail.get(description_name(name)).unwrap_or(&Value::Null);
        match wanted {
            Value::Object(members) => match members.get("PropertyGroups") {
                Some(groups) => found.extend(property_differences(&field, groups, section)),
                None => differences_in(&field, members, section, found),
            },
            _ if is_in_effect(&Map::from_iter([(name.clone(), wanted.clone())]), detail) => {}
            Value::Array(_) => {
                found.push(Difference { field, now: section.clone(), then: wanted.clone(), is_property: false });
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let now = detail.get(leaf_name(name)).cloned().unwrap_or_default();
                found.push(Difference { field, now, then: wanted.clone(), is_property: false });
            }
        }
    }
}

fn property_differences(path: &str, groups: &Value, section: &Value) -> Vec<Difference> {
    let now = properties(section.get("PropertyGroupDescriptions"));
    let then = properties(Some(groups));
    let names: BTreeSet<&(String, String)> = now.keys().chain(then.keys()).collect();
    let value = |of: &BTreeMap<(String, String), Value>, name| of.get(name).cloned().unwrap_or_default();
    let all = names.into_iter().map(|name| {
        let field = format!("{path}.{}:{}", name.0, name.1);
        Difference { field, now: value(&now, name), then: value(&then, name), is_property: true }
    });
    all.filter(|difference| difference.now != difference.then).collect()
}

/// The runtime properties by group and key.
fn properties(groups: Option<&Value>) -> BTreeMap<(String, String), Value> {
    let mut found = BTreeMap::new();
    for group in groups.and_then(Value::as_array).into_iter().flatten() {
        let name = group.get("PropertyGroupId").and_then(Value::as_str).unwrap_or_default();
        for (key, value) in group.get("PropertyMap").and_then(Value::as_object).into_iter().flatten() {
            found.insert((name.to_owned(), key.clone()), value.clone());
        }
    }
    found
}

/// Whether the update leaves open what it sets: code without an S3 version is whatever lies at the key by now.
pub fn is_open_ended(update: &Map<String, Value>) -> bool {
    let content = update
        .get("ApplicationConfigurationUpdate")
        .and_then(|configuration| configuration.pointer("/ApplicationCodeConfigurationUpdate/CodeContentUpdate"));
    content.is_some_and(|content| content.pointer("/S3ContentLocationUpdate/ObjectVersionUpdate").is_none())
}

fn same_groups(wanted: &Value, shown: &Value) -> bool {
    let groups = |value: Option<&Value>| -> Vec<(String, Value)> {
        let mut groups: Vec<_> = value
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|group| (group["PropertyGroupId"].to_string(), group["PropertyMap"].clone()))
            .collect();
        groups.sort_by(|(one, _), (other, _)| one.cmp(other));
        groups
    };
    groups(Some(wanted)) == groups(shown.get("PropertyGroupDescriptions"))
}

fn description_name(update_name: &str) -> String {
    if update_name == CODE_LOCATION.0 {
        return CODE_LOCATION.1.to_owned();
    }
    update_name.strip_suffix('s').map_or_else(
        || {
            update_name
                .strip_suffix("Update")
                .map_or_else(|| update_name.to_owned(), |stem| format!("{stem}Description"))
        },
        |singular| {
            singular.strip_suffix("Update").map_or_else(|| update_name.to_owned(), |stem| format!("{stem}Descriptions"))
        },
    )
}

fn leaf_name(update_name: &str) -> String {
    let plural = update_name.strip_suffix("Updates").map(|stem| format!("{stem}s"));
    plural.unwrap_or_else(|| update_name.strip_suffix("Update").unwrap_or(update_name).to_owned())
}

/// The update that leads from the configuration in `current` back to the one in `baseline` (both `ApplicationDetail`),
/// with the code pinned to `code`; empty when they are the same. What was added since and cannot be taken away by an
/// update (VPC configurations, logging options) stays.
pub fn put_back(current: &Value, baseline: &Value, code: Option<&Code>) -> Map<String, Value> {
    let mut update = Map::new();
    for name in ["ServiceExecutionRole", "RuntimeEnvironment"] {
        if let Some(before) = baseline.get(name)
            && current.get(name) != Some(before)
        {
            update.insert(format!("{name}Update"), before.clone());
        }
    }
    let empty = Map::new();
    let sections = |detail: &Value| -> Map<String, Value> {
        detail.get("ApplicationConfigurationDescription").and_then(Value::as_object).unwrap_or(&empty).clone()
    };
    let (now, before) = (sections(current), sections(baseline));
    let mut configuration = Map::new();
    for (name, section) in &before {
        if !READ_ONLY.contains(&name.as_str()) && now.get(name).map(settable) != Some(settable(section)) {
            let (name, update) = section_update(name, section);
            configuration.insert(name, update);
        }
    }
    for name in now.keys().filter(|name| !before.contains_key(*name)) {
        if let Some((name, update)) = absent_section(name) {
            configuration.insert(name.to_owned(), update);
        }
    }
    pin(&mut configuration, code);
    if !configuration.is_empty() {
        update.insert("ApplicationConfigurationUpdate".into(), configuration.into());
    }
    let logging = "CloudWatchLoggingOptionDescriptions";
    if let Some(before) = baseline.get(logging)
        && current.get(logging) != Some(before)
    {
        let updates = element_updates(before, "CloudWatchLoggingOptionId");
        if updates.as_array().is_some_and(|updates| !updates.is_empty()) {
            update.insert("CloudWatchLoggingOptionUpdates".into(), updates);
        }
    }
    update
}

/// Why the baseline's code cannot be had back by an update, if so: the change has replaced it, and the only trace of it is
/// a key under which something else lies by now. (The service's own rollback has a copy; an update has not.)
pub fn lost_code(deployment: &Deployment, now: Option<&Code>) -> Option<Reason> {
    let code = deployment.baseline.as_ref()?.code.as_ref()?;
    let is_replaced = deployment.changed_fields.iter().any(|field| field.contains("CodeContentUpdate"));
    let is_same_key = now.is_none_or(|now| now.bucket_arn == code.bucket_arn && now.key == code.key);
    (is_replaced && is_same_key && code.object_version.is_none())
        .then(|| Reason::CodeNotPinned { key: code.key.clone() })
}

/// A section without what cannot be set, to compare.
fn settable(section: &Value) -> Value {
    match section {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !READ_ONLY.contains(&name.as_str()))
            .map(|(name, member)| (name.clone(), settable(member)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => section.clone(),
    }
}

fn section_update(name: &str, section: &Value) -> (String, Value) {
    match name {
        "EnvironmentPropertyDescriptions" => {
            let groups = section.get("PropertyGroupDescriptions").cloned().unwrap_or_else(|| json!([]));
            ("EnvironmentPropertyUpdates".into(), json!({ "PropertyGroups": groups }))
        }
        "VpcConfigurationDescriptions" => {
            ("VpcConfigurationUpdates".into(), element_updates(section, "VpcConfigurationId"))
        }
        _ => (update_name(name), to_update(section)),
    }
}

fn update_name(description_name: &str) -> String {
    if description_name == CODE_LOCATION.1 {
        return CODE_LOCATION.0.to_owned();
    }
    format!("{}Update", description_name.strip_suffix("Description").unwrap_or(description_name))
}

fn to_update(section: &Value) -> Value {
    let Some(members) = section.as_object() else { return section.clone() };
    if members.get("ConfigurationType").and_then(Value::as_str) == Some("DEFAULT") {
        return json!({ "ConfigurationTypeUpdate": "DEFAULT" });
    }
    members
        .iter()
        .filter(|(name, _)| !READ_ONLY.contains(&name.as_str()))
        .map(|(name, member)| (update_name(name), to_update(member)))
        .collect()
}

/// Updates of a list's elements, which keep their id; lists in them are named in the singular (`SubnetIdUpdates`).
fn element_updates(descriptions: &Value, id: &str) -> Value {
    let element = |members: &Map<String, Value>| -> Value {
        members
            .iter()
            .filter(|(name, _)| !READ_ONLY.contains(&name.as_str()) && *name != "RoleARN")
            .map(|(name, member)| match (name.as_str() == id, member.is_array()) {
                (true, _) => (name.clone(), member.clone()),
                (false, true) => (format!("{}Updates", name.strip_suffix('s').unwrap_or(name)), member.clone()),
                (false, false) => (format!("{name}Update"), member.clone()),
            })
            .collect()
    };
    descriptions.as_array().into_iter().flatten().filter_map(Value::as_object).map(element).collect()
}

/// What takes away a section that the baseline did not have, where an update can.
fn absent_section(name: &str) -> Option<(&'static str, Value)> {
    match name {
        "EnvironmentPropertyDescriptions" => Some(("EnvironmentPropertyUpdates", json!({ "PropertyGroups": [] }))),
        "ApplicationSystemRollbackConfigurationDescription" => {
            Some(("ApplicationSystemRollbackConfigurationUpdate", json!({ "RollbackEnabledUpdate": false })))
        }
        "ApplicationEncryptionConfigurationDescription" => {
            Some(("ApplicationEncryptionConfigurationUpdate", json!({ "KeyTypeUpdate": "AWS_OWNED_KEY" })))
        }
        _ => None,
    }
}

/// Pins a code update to the recorded object version: the key may hold something else by now.
fn pin(configuration: &mut Map<String, Value>, code: Option<&Code>) {
    let location = configuration
        .get_mut("ApplicationCodeConfigurationUpdate")
        .and_then(|code| code.pointer_mut("/CodeContentUpdate/S3ContentLocationUpdate"))
        .and_then(Value::as_object_mut);
    if let (Some(location), Some(Code { object_version: Some(version), .. })) = (location, code) {
        location.insert("ObjectVersionUpdate".into(), version.as_str().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::updating;

    fn detail() -> Value {
        json!({
            "RuntimeEnvironment": "FLINK-1_20",
            "ServiceExecutionRole": "arn:aws:iam::1:role/orders",
            "CloudWatchLoggingOptionDescriptions": [
                { "CloudWatchLoggingOptionId": "1.1", "LogStreamARN": "arn:a", "RoleARN": "arn:r" }
            ],
            "ApplicationConfigurationDescription": {
                "ApplicationCodeConfigurationDescription": {
                    "CodeContentType": "ZIPFILE",
                    "CodeContentDescription": {
                        "CodeMD5": "abc", "CodeSize": 12,
                        "S3ApplicationCodeLocationDescription":
                            { "BucketARN": "arn:aws:s3:::code", "FileKey": "orders.jar", "ObjectVersion": "v1" },
                    },
                },
                "FlinkApplicationConfigurationDescription": {
                    "CheckpointConfigurationDescription": {
                        "ConfigurationType": "DEFAULT", "CheckpointingEnabled": true, "CheckpointInterval": 60000
                    },
                    "ParallelismConfigurationDescription": {
                        "ConfigurationType": "CUSTOM", "Parallelism": 2, "ParallelismPerKPU": 1,
                        "CurrentParallelism": 2, "AutoScalingEnabled": false
                    },
                },
                "EnvironmentPropertyDescriptions": { "PropertyGroupDescriptions": [
                    { "PropertyGroupId": "b", "PropertyMap": { "k": "v" } },
                    { "PropertyGroupId": "a", "PropertyMap": {} },
                ] },
                "ApplicationSnapshotConfigurationDescription": { "SnapshotsEnabled": true },
                "VpcConfigurationDescriptions": [
                    { "VpcConfigurationId": "2.1", "VpcId": "vpc", "SubnetIds": ["s1"], "SecurityGroupIds": ["g1"] }
                ],
                "RunConfigurationDescription": { "FlinkRunConfigurationDescription": {} },
            },
        })
    }

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("not an object: {other}"),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the tables read better without a reference at each literal")]
    fn configuration(update: Value) -> Map<String, Value> {
        object(json!({ "ApplicationConfigurationUpdate": update }))
    }

    #[test]
    fn an_update_is_in_effect_when_every_leaf_stands_in_the_description() {
        let code = |key: &str, version: &str| {
            configuration(json!({ "ApplicationCodeConfigurationUpdate": { "CodeContentUpdate": {
                "S3ContentLocationUpdate": { "FileKeyUpdate": key, "ObjectVersionUpdate": version } } } }))
        };
        let flink = |update: Value| configuration(json!({ "FlinkApplicationConfigurationUpdate": update }));
        let cases = [
            (object(json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" })), true),
            (object(json!({ "RuntimeEnvironmentUpdate": "FLINK-2_2" })), false),
            (object(json!({ "QuantumUpdate": { "QubitsUpdate": 3 } })), false),
            (code("orders.jar", "v1"), true),
            (code("orders.jar", "v2"), false),
            (flink(json!({ "ParallelismConfigurationUpdate": { "ParallelismUpdate": 2 } })), true),
            (flink(json!({ "ParallelismConfigurationUpdate": { "ParallelismUpdate": 4 } })), false),
            (
                flink(json!({ "CheckpointConfigurationUpdate":
                    { "ConfigurationTypeUpdate": "DEFAULT", "CheckpointIntervalUpdate": 5 } })),
                true,
            ),
            (
                configuration(json!({ "EnvironmentPropertyUpdates": { "PropertyGroups": [
                    { "PropertyGroupId": "a", "PropertyMap": {} },
                    { "PropertyGroupId": "b", "PropertyMap": { "k": "v" } } ] } })),
                true,
            ),
            (
                configuration(json!({ "EnvironmentPropertyUpdates": { "PropertyGroups": [
                    { "PropertyGroupId": "b", "PropertyMap": { "k": "v" } } ] } })),
                false,
            ),
            (
                configuration(json!({ "VpcConfigurationUpdates": [
                    { "VpcConfigurationId": "2.1", "SubnetIdUpdates": ["s1"] } ] })),
                true,
            ),
            (
                configuration(json!({ "VpcConfigurationUpdates": [
                    { "VpcConfigurationId": "2.1", "SubnetIdUpdates": ["s2"] } ] })),
                false,
            ),
            (
                object(json!({ "CloudWatchLoggingOptionUpdates": [
                    { "CloudWatchLoggingOptionId": "1.1", "LogStreamARNUpdate": "arn:a" } ] })),
                true,
            ),
            (flink(json!({ "ParallelismConfigurationUpdate": { "ConfigurationTypeUpdate": "DEFAULT" } })), false),
            // A list that is a value and not one of elements with ids, whatever it holds.
            (object(json!({ "QuantumUpdate": [{ "Qubits": 3 }] })), true),
            (object(json!({ "QuantumUpdate": [{ "Qubits": 4 }] })), false),
        ];
        let detail = || {
            let mut detail = detail();
            detail["Quantum"] = json!([{ "Qubits": 3 }]);
            detail
        };
        for (update, expected) in cases {
            assert_eq!(is_in_effect(&update, &detail()), expected, "{update:?}");
        }
    }

    #[test]
    fn code_without_an_object_version_is_open_ended() {
        let with = |location: Value| {
            configuration(json!({ "ApplicationCodeConfigurationUpdate": { "CodeContentUpdate": {
                "S3ContentLocationUpdate": location } } }))
        };
        assert!(is_open_ended(&with(json!({ "FileKeyUpdate": "orders.jar" }))));
        assert!(!is_open_ended(&with(json!({ "FileKeyUpdate": "orders.jar", "ObjectVersionUpdate": "v1" }))));
        assert!(!is_open_ended(&object(json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" }))));
    }

    #[test]
    fn nothing_is_put_back_where_nothing_changed() {
        let mut scaled = detail();
        scaled["ApplicationConfigurationDescription"]["FlinkApplicationConfigurationDescription"]["ParallelismConfigurationDescription"]
            ["CurrentParallelism"] = json!(8);
        assert_eq!(put_back(&scaled, &detail(), None), Map::new());
    }

    #[test]
    fn whatever_changed_is_put_back_and_then_in_effect() {
        type Change = fn(&mut Value);
        let section = "ApplicationConfigurationDescription";
        let changes: [Change; 6] = [
            |detail| detail["RuntimeEnvironment"] = json!("FLINK-2_2"),
            |detail| {
                detail["ApplicationConfigurationDescription"]["ApplicationCodeConfigurationDescription"]["CodeContentDescription"]
                    ["S3ApplicationCodeLocationDescription"]["FileKey"] = json!("new.jar");
            },
            |detail| {
                detail["ApplicationConfigurationDescription"]["FlinkApplicationConfigurationDescription"]["ParallelismConfigurationDescription"]
                    ["Parallelism"] = json!(16);
            },
            |detail| {
                detail["ApplicationConfigurationDescription"]["EnvironmentPropertyDescriptions"]["PropertyGroupDescriptions"] =
                    json!([]);
            },
            |detail| {
                detail["ApplicationConfigurationDescription"]["VpcConfigurationDescriptions"][0]["SubnetIds"] =
                    json!(["other"]);
            },
            |detail| detail["CloudWatchLoggingOptionDescriptions"][0]["LogStreamARN"] = json!("arn:other"),
        ];
        for change in changes {
            let mut current = detail();
            change(&mut current);
            let update = put_back(&current, &detail(), None);
            assert!(!update.is_empty() && !is_in_effect(&update, &current), "{update:?}");
            assert!(is_in_effect(&update, &detail()), "{update:?}");
            assert_eq!(put_back(&detail(), &detail(), None), Map::new(), "{section}");
        }
    }

    #[test]
    fn what_is_put_back_is_what_an_update_takes_and_no_more() {
        type Change = fn(&mut Value);
        // With the type DEFAULT the service refuses the other members.
        let flink = json!({
            "CheckpointConfigurationUpdate": { "ConfigurationTypeUpdate": "DEFAULT" },
            "ParallelismConfigurationUpdate": {
                "ConfigurationTypeUpdate": "CUSTOM", "ParallelismUpdate": 2, "ParallelismPerKPUUpdate": 1,
                "AutoScalingEnabledUpdate": false
            },
        });
        let table: [(Change, Map<String, Value>); 5] = [
            (
                |detail| detail["ServiceExecutionRole"] = json!("arn:aws:iam::1:role/other"),
                object(json!({ "ServiceExecutionRoleUpdate": "arn:aws:iam::1:role/orders" })),
            ),
            (
                |detail| {
                    detail["ApplicationConfigurationDescription"]["FlinkApplicationConfigurationDescription"]["CheckpointConfigurationDescription"] =
                        json!({ "ConfigurationType": "CUSTOM", "CheckpointingEnabled": false });
                },
                configuration(json!({ "FlinkApplicationConfigurationUpdate": flink })),
            ),
            (
                |detail| {
                    detail["ApplicationConfigurationDescription"]["VpcConfigurationDescriptions"][0]["SubnetIds"] =
                        json!(["other"]);
                },
                configuration(json!({ "VpcConfigurationUpdates": [
                    { "VpcConfigurationId": "2.1", "SubnetIdUpdates": ["s1"], "SecurityGroupIdUpdates": ["g1"] } ] })),
            ),
            (
                |detail| detail["CloudWatchLoggingOptionDescriptions"][0]["LogStreamARN"] = json!("arn:other"),
                object(json!({ "CloudWatchLoggingOptionUpdates": [
                    { "CloudWatchLoggingOptionId": "1.1", "LogStreamARNUpdate": "arn:a" } ] })),
            ),
            // How the job was last started is no configuration.
            (
                |detail| {
                    detail["ApplicationConfigurationDescription"]["RunConfigurationDescription"] =
                        json!({ "ApplicationRestoreConfigurationDescription": {} });
                },
                Map::new(),
            ),
        ];
        for (change, expected) in table {
            let mut current = detail();
            change(&mut current);
            assert_eq!(put_back(&current, &detail(), None), expected);
        }
    }

    #[test]
    fn logging_that_was_added_stays_since_no_update_takes_it_away() {
        let mut before = detail();
        before["CloudWatchLoggingOptionDescriptions"] = json!([]);
        assert_eq!(put_back(&detail(), &before, None), Map::new());
    }

    #[test]
    fn code_is_lost_where_its_key_holds_something_else_and_no_version_is_known() {
        let code = |key: &str, version: Option<&str>| Code {
            bucket_arn: "arn:aws:s3:::code".into(),
            key: key.into(),
            object_version: version.map(str::to_owned),
        };
        let elsewhere = Code { bucket_arn: "arn:aws:s3:::other".into(), ..code("orders.jar", None) };
        let replaced = json!({ "ApplicationConfigurationUpdate": { "ApplicationCodeConfigurationUpdate": {
            "CodeContentUpdate": { "S3ContentLocationUpdate": { "FileKeyUpdate": "orders.jar" } } } } });
        let untouched = json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" });
        // The update, the code before it, the code now, and whether the one before is lost.
        let table = [
            (&replaced, Some(code("orders.jar", None)), Some(code("orders.jar", None)), true),
            (&replaced, Some(code("orders.jar", None)), None, true),
            (&replaced, Some(code("orders.jar", Some("v1"))), Some(code("orders.jar", None)), false),
            (&replaced, Some(code("orders.jar", None)), Some(code("orders-2.jar", None)), false),
            (&replaced, Some(code("orders.jar", None)), Some(elsewhere), false),
            (&replaced, None, Some(code("orders.jar", None)), false),
            (&untouched, Some(code("orders.jar", None)), Some(code("orders.jar", None)), false),
        ];
        for (update, before, now, is_lost) in table {
            let mut deployment = updating(&json!({ "update": update }), "RUNNING");
            deployment.baseline.as_mut().unwrap().code = before;
            let expected = is_lost.then(|| Reason::CodeNotPinned { key: "orders.jar".into() });
            assert_eq!(lost_code(&deployment, now.as_ref()), expected, "{update} {now:?}");
        }
    }

    #[test]
    fn differences_name_what_an_update_changes_and_nothing_else() {
        let update = json!({
            "RuntimeEnvironmentUpdate": "FLINK-1_20",
            "ApplicationConfigurationUpdate": {
                "FlinkApplicationConfigurationUpdate": {
                    "ParallelismConfigurationUpdate": { "ParallelismUpdate": 4, "ParallelismPerKPUUpdate": 1 },
                },
                "EnvironmentPropertyUpdates": { "PropertyGroups": [
                    { "PropertyGroupId": "b", "PropertyMap": { "new": "n" } },
                ] },
                "ApplicationSystemRollbackConfigurationUpdate": { "RollbackEnabledUpdate": true },
            },
        });
        let found: Vec<_> = differences(update.as_object().unwrap(), &detail())
            .into_iter()
            .map(|it| (it.field.rsplit('.').next().unwrap().to_owned(), it.now, it.then, it.is_property))
            .collect();
        let expected = [
            ("RollbackEnabledUpdate", json!(null), json!(true), false),
            ("b:k", json!("v"), json!(null), true),
            ("b:new", json!(null), json!("n"), true),
            ("ParallelismUpdate", json!(2), json!(4), false),
        ];
        let mut told: Vec<_> =
            expected.map(|(field, now, then, is_property)| (field.to_owned(), now, then, is_property)).into();
        let mut found = found;
        told.sort_by(|one, other| one.0.cmp(&other.0));
        found.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(found, told);
        let location = json!({ "BucketARNUpdate": "arn:aws:s3:::code", "FileKeyUpdate": "orders.jar", "ObjectVersionUpdate": "v1" });
        let same = json!({ "ApplicationConfigurationUpdate": { "ApplicationCodeConfigurationUpdate": {
            "CodeContentUpdate": { "S3ContentLocationUpdate": location } } } });
        assert_eq!(differences(same.as_object().unwrap(), &detail()), []);
    }

    #[test]
    fn sections_that_were_added_are_taken_away_where_an_update_can() {
        let off = json!({ "RollbackEnabledUpdate": false });
        let table = [
            ("EnvironmentPropertyDescriptions", json!({ "EnvironmentPropertyUpdates": { "PropertyGroups": [] } })),
            (
                "ApplicationSystemRollbackConfigurationDescription",
                json!({ "ApplicationSystemRollbackConfigurationUpdate": off }),
            ),
            (
                "ApplicationEncryptionConfigurationDescription",
                json!({ "ApplicationEncryptionConfigurationUpdate": { "KeyTypeUpdate": "AWS_OWNED_KEY" } }),
            ),
        ];
        let section = |detail: &mut Value, name: &str, section: Option<Value>| {
            let sections = detail["ApplicationConfigurationDescription"].as_object_mut().unwrap();
            sections.remove(name);
            sections.extend(section.map(|section| (name.to_owned(), section)));
        };
        for (name, expected) in table {
            let (mut before, mut now) = (detail(), detail());
            section(&mut before, name, None);
            section(&mut now, name, Some(json!({})));
            assert_eq!(put_back(&now, &before, None), configuration(expected), "{name}");
        }
        let (mut before, mut now) = (detail(), detail());
        section(&mut before, "VpcConfigurationDescriptions", None);
        section(&mut now, "QuantumDescription", Some(json!({})));
        assert_eq!(put_back(&now, &before, None), Map::new(), "what no update takes away stays");
    }

    #[test]
    fn code_is_put_back_to_the_recorded_object_version() {
        let code = Code {
            bucket_arn: "arn:aws:s3:::code".into(),
            key: "orders.jar".into(),
            object_version: Some("v1".into()),
        };
        let mut before = detail();
        let location = "/ApplicationConfigurationDescription/ApplicationCodeConfigurationDescription/\
                        CodeContentDescription/S3ApplicationCodeLocationDescription";
        before.pointer_mut(location).and_then(Value::as_object_mut).map(|location| location.remove("ObjectVersion"));
        let mut current = detail();
        *current.pointer_mut(location).unwrap() = json!({ "BucketARN": "arn:aws:s3:::code", "FileKey": "new.jar" });
        let update = Value::Object(put_back(&current, &before, Some(&code)));
        let pinned = "/ApplicationConfigurationUpdate/ApplicationCodeConfigurationUpdate/CodeContentUpdate/S3ContentLocationUpdate";
        assert_eq!(
            update.pointer(pinned),
            Some(&json!({
                "BucketARNUpdate": "arn:aws:s3:::code", "FileKeyUpdate": "orders.jar", "ObjectVersionUpdate": "v1"
            })),
        );
    }
}
