//! Metrics of our own, in `CloudWatch`'s embedded metric format: a line of JSON on the standard output, which `CloudWatch`
//! Logs turns into metrics. It takes no call, no permission and no time of the Lambda's.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The namespace of all our metrics.
const NAMESPACE: &str = "ManagedFlink/Deployments";
/// Their one dimension: the application's name.
const DIMENSION: &str = "Application";

/// A unit of `CloudWatch`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// A number of things.
    Count,
}

/// A value of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name of the metric.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// How much.
    pub value: u64,
}

/// Where metrics are written. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<dyn Write + Send>>);

impl Metrics {
    /// On the standard output, from where Lambda takes them to `CloudWatch` Logs.
    pub fn on_stdout() -> Self {
        Self::on(std::io::stdout())
    }

    /// Elsewhere.
    pub fn on(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    /// Writes what was measured of an application at one moment. A line that cannot be written is told in the log: no
    /// metric is worth a failed step.
    pub fn write(&self, application: &str, at: Timestamp, metrics: &[Metric]) {
        let line = Line { application, at, metrics };
        let written = serde_json::to_string(&line).map_err(std::io::Error::other).and_then(|line| {
            let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(writer, "{line}")?;
            writer.flush()
        });
        if let Err(error) = written {
            tracing::warn!(application, "metrics could not be written: {error}");
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

struct Line<'a> {
    application: &'a str,
    at: Timestamp,
    metrics: &'a [Metric],
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        let metrics = self.metrics.iter().map(|metric| Definition { name: metric.name, unit: metric.unit }).collect();
        let directive = Directive { namespace: NAMESPACE, dimensions: [[DIMENSION]], metrics };
        let metadata = Metadata { timestamp: self.at.as_millisecond(), cloud_watch_metrics: [directive] };
        line.serialize_entry("_aws", &metadata)?;
        line.serialize_entry(DIMENSION, self.application)?;
        for metric in self.metrics {
            line.serialize_entry(metric.name, &metric.value)?;
        }
        line.end()
    }
}

/// The member `_aws`: says which members of the line are metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    /// Milliseconds since 1970.
    timestamp: i64,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: Unit,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_measured_is_one_line_of_the_embedded_metric_format() {
        let kept = Kept::default();
        let metrics = [
            Metric { name: "NewestSnapshotAge", unit: Unit::Seconds, value: 3_600 },
            Metric { name: "Snapshots", unit: Unit::Count, value: 12 },
        ];
        Metrics::on(kept.clone()).write("orders", "2026-11-20T08:00:00.25Z".parse().unwrap(), &metrics);
        let expected = concat!(
            r#"{"_aws":{"Timestamp":1795161600250,"CloudWatchMetrics":[{"Namespace":"ManagedFlink/Deployments","#,
            r#""Dimensions":[["Application"]],"Metrics":[{"Name":"NewestSnapshotAge","Unit":"Seconds"},"#,
            r#"{"Name":"Snapshots","Unit":"Count"}]}]},"Application":"orders","NewestSnapshotAge":3600,"Snapshots":12}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(kept.0.lock().unwrap().clone()).unwrap(), expected);
    }
}
