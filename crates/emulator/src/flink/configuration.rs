//! How the cluster of one application is set up: what of a [`JobSpec`] becomes Flink configuration, and what the JVM
//! that runs it is given.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::data_plane::JobSpec;

/// Largest JAR that the service takes, in bytes, with room for what a multipart request adds.
const LARGEST_UPLOAD_BYTES: u64 = (512 + 8) * 1024 * 1024;

/// Heap, metaspace and direct memory that one `JobManager` with a small job needs, and start-up before peak speed.
const JVM_FLAGS: [&str; 6] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xss512k",
    "-XX:ReservedCodeCacheSize=48m",
    "-XX:MaxMetaspaceSize=192m",
    "-Xmx160m",
];

/// Packages of `java.base` that Flink and Kryo reach into.
const OPENED_PACKAGES: [&str; 13] = [
    "java.lang",
    "java.net",
    "java.io",
    "java.nio",
    "sun.nio.ch",
    "java.lang.reflect",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
    "sun.net.util",
];

/// Memory for what is on its way between subtasks, in MiB: the buffers of an exchange grow with the square of the
/// parallelism.
fn network_mebibytes(parallelism: u32) -> u32 {
    (parallelism.saturating_mul(parallelism) / 8).max(16)
}

/// The JVM's flags, without the class path.
pub(super) fn jvm_flags(java_major: u32, parallelism: u32) -> Vec<String> {
    let mut flags: Vec<String> = JVM_FLAGS.iter().map(ToString::to_string).collect();
    flags.push(format!("-XX:MaxDirectMemorySize={}m", 80 + network_mebibytes(parallelism)));
    for package in OPENED_PACKAGES {
        flags.push(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
    }
    if java_major > 17 {
        // Flink 1.20 guards System.exit with a SecurityManager, which Java 17 still allows by itself.
        flags.push("-Djava.security.manager=allow".to_owned());
    }
    flags
}

/// Flink's configuration of the application's cluster, whose files go under `directory` and its snapshots to
/// `snapshots`. `more` is laid over it.
pub(super) fn of_cluster(
    spec: &JobSpec,
    directory: &Path,
    restart_delay: Duration,
    more: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let network = format!("{}m", network_mebibytes(spec.parallelism));
    let uri = |name: &str| format!("file://{}", directory.join(name).display());
    let path = |name: &str| directory.join(name).display().to_string();
    let mut configuration: BTreeMap<String, String> = [
        ("rest.address", "127.0.0.1".to_owned()),
        ("rest.bind-address", "127.0.0.1".to_owned()),
        ("rest.port", "0".to_owned()),
        ("rest.server.max-content-length", LARGEST_UPLOAD_BYTES.to_string()),
        ("web.refresh-interval", "100".to_owned()),
        ("web.upload.dir", path("upload")),
        ("io.tmp.dirs", path("tmp")),
        ("metrics.fetcher.update-interval", "500".to_owned()),
        ("cluster.registration.error-delay", "200 ms".to_owned()),
        // Without it System.exit in a job's main ends the whole process.
        ("cluster.intercept-user-system-exit", "THROW".to_owned()),
        ("classloader.check-leaked-classloader", "false".to_owned()),
        ("taskmanager.memory.network.min", network.clone()),
        ("taskmanager.memory.network.max", network),
        ("taskmanager.memory.managed.size", "16m".to_owned()),
        ("parallelism.default", spec.parallelism.to_string()),
        ("restart-strategy.type", "fixed-delay".to_owned()),
        ("restart-strategy.fixed-delay.attempts", i32::MAX.to_string()),
        ("restart-strategy.fixed-delay.delay", format!("{} ms", restart_delay.as_millis())),
        ("execution.checkpointing.dir", uri("checkpoints")),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    if let Some(interval) = spec.checkpoint_interval {
        configuration.insert("execution.checkpointing.interval".to_owned(), format!("{} ms", interval.as_millis()));
    }
    configuration.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
    configuration
}

/// The runtime properties as the service gives them to a job: the content of `application_properties.json`.
pub(super) fn application_properties(properties: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<u8> {
    let groups: Vec<_> =
        properties.iter().map(|(group, map)| json!({ "PropertyGroupId": group, "PropertyMap": map })).collect();
    serde_json::Value::from(groups).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::data_plane::CodeObject;

    fn spec() -> JobSpec {
        JobSpec {
            application: "orders".to_owned(),
            version: 1,
            runtime: "FLINK-1_20".to_owned(),
            code: CodeObject {
                bucket: "code".to_owned(),
                key: "orders.jar".to_owned(),
                object_version: None,
                content: Bytes::new(),
            },
            parallelism: 4,
            checkpoint_interval: Some(Duration::from_mins(1)),
            properties: BTreeMap::new(),
            restore_from: None,
            allow_non_restored_state: false,
        }
    }

    #[test]
    fn the_specification_becomes_flinks_configuration() {
        let configuration = of_cluster(&spec(), Path::new("/somewhere"), Duration::from_secs(10), &BTreeMap::new());
        assert_eq!(configuration["parallelism.default"], "4");
        assert_eq!(configuration["execution.checkpointing.interval"], "60000 ms");
        assert_eq!(configuration["execution.checkpointing.dir"], "file:///somewhere/checkpoints");
        assert_eq!(configuration["restart-strategy.fixed-delay.delay"], "10000 ms");
    }

    #[test]
    fn without_an_interval_there_are_no_checkpoints() {
        let spec = JobSpec { checkpoint_interval: None, ..spec() };
        let configuration = of_cluster(&spec, Path::new("/somewhere"), Duration::ZERO, &BTreeMap::new());
        assert!(!configuration.contains_key("execution.checkpointing.interval"));
    }

    #[test]
    fn what_the_caller_sets_wins() {
        let more = BTreeMap::from([("web.refresh-interval".to_owned(), "3000".to_owned())]);
        let configuration = of_cluster(&spec(), Path::new("/somewhere"), Duration::ZERO, &more);
        assert_eq!(configuration["web.refresh-interval"], "3000");
    }

    #[test]
    fn buffers_grow_with_the_parallelism() {
        assert_eq!(network_mebibytes(1), 16);
        assert_eq!(network_mebibytes(32), 128);
        assert!(jvm_flags(17, 32).contains(&"-XX:MaxDirectMemorySize=208m".to_owned()));
    }

    #[test]
    fn a_java_that_forbids_security_managers_is_told_to_allow_them() {
        let allow = "-Djava.security.manager=allow".to_owned();
        assert!(!jvm_flags(17, 1).contains(&allow));
        assert!(jvm_flags(21, 1).contains(&allow));
    }

    #[test]
    fn properties_have_the_services_form() {
        let properties =
            BTreeMap::from([("Job".to_owned(), BTreeMap::from([("fault".to_owned(), "none".to_owned())]))]);
        assert_eq!(
            String::from_utf8(application_properties(&properties)).unwrap(),
            r#"[{"PropertyGroupId":"Job","PropertyMap":{"fault":"none"}}]"#
        );
    }
}
