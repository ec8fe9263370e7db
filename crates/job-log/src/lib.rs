//! Reads the first failure of a job from its log in `CloudWatch` Logs, for where nothing else tells the cause. It is a help
//! for people and never a reason to decide anything: what cannot be read, for whatever reason, is not there. It is a crate
//! of its own so that only the Lambda that calls it brings the SDK along.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use jiff::Timestamp;
use lifecycle::evidence::Failure;
use lifecycle::logged::{LogLine, LogSearch, first_failure};
use managed_flink::{Bound, Error, ManagedFlink, retry_budget};

/// How long all of it may take: a report waits for it.
const TIME_OUT: Duration = Duration::from_secs(20);
/// Pages that are read; the service gives a megabyte at most in each, and some without anything.
const MOST_PAGES: usize = 5;
/// Events that are asked for in a page.
const PAGE: i32 = 200;

/// Reads the jobs' logs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JobLog {
    config: SdkConfig,
}

impl JobLog {
    /// Over this configuration. A client is made when a log is read, which few deployments need.
    pub fn new(config: &SdkConfig) -> Self {
        Self { config: config.clone() }
    }

    fn client(&self) -> Client {
        let logs = aws_sdk_cloudwatchlogs::config::Builder::from(&self.config)
            .retry_partition(retry_budget("logs"))
            .interceptor(Bound)
            .build();
        Client::from_conf(logs)
    }

    /// The first failure that the application's log tells of, without secrets; none where it has no log, where it tells of
    /// none, and where it cannot be read.
    pub async fn first_failure(&self, flink: &ManagedFlink, application: &str, search: &LogSearch) -> Option<Failure> {
        match tokio::time::timeout(TIME_OUT, self.read(flink, application, search)).await {
            Ok(Ok(failure)) => failure,
            Ok(Err(error)) => {
                tracing::warn!(application, error = %error, "the job's log could not be read");
                None
            }
            Err(_) => {
                tracing::warn!(application, "the job's log could not be read in time");
                None
            }
        }
    }

    async fn read(
        &self,
        flink: &ManagedFlink,
        application: &str,
        search: &LogSearch,
    ) -> Result<Option<Failure>, Error> {
        let configuration = flink.configuration(application, search.version).await?;
        let options = configuration["CloudWatchLoggingOptionDescriptions"].as_array();
        let arn = options.and_then(|options| options.iter().find_map(|option| option["LogStreamARN"].as_str()));
        let Some((group, stream)) = arn.and_then(group_and_stream) else { return Ok(None) };
        let lines = self.lines(group, stream, search).await?;
        match first_failure(&lines, search) {
            Some(failure) => flink.cleared_failure(application, search.version, failure).await.map(Some),
            None => Ok(None),
        }
    }

    /// The lines that may tell, earliest first, as far as the bounds go.
    async fn lines(&self, group: &str, stream: &str, search: &LogSearch) -> Result<Vec<LogLine>, Error> {
        let call = self
            .client()
            .filter_log_events()
            .log_group_name(group)
            .log_stream_names(stream)
            .filter_pattern(search.pattern())
            .start_time(search.since.as_millisecond())
            .end_time(search.until.as_millisecond())
            .limit(PAGE);
        let mut lines = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let page = call.clone().set_next_token(token).send().await;
            let page = page.map_err(|error| Error::from_sdk("FilterLogEvents", error))?;
            lines.extend(page.events().iter().filter_map(line));
            token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(lines)
    }
}

fn line(event: &FilteredLogEvent) -> Option<LogLine> {
    let at = Timestamp::from_millisecond(event.timestamp()?).ok()?;
    Some(LogLine { at, message: event.message()?.to_owned() })
}

/// Group and stream of an ARN such as `arn:aws:logs:REGION:ACCOUNT:log-group:GROUP:log-stream:STREAM`.
fn group_and_stream(arn: &str) -> Option<(&str, &str)> {
    let (group, stream) = arn.split_once(":log-group:")?.1.split_once(":log-stream:")?;
    (!group.is_empty() && !stream.is_empty()).then_some((group, stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_its_arn() {
        let of = |rest: &str| group_and_stream(rest).map(|(group, stream)| (group.to_owned(), stream.to_owned()));
        let arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/kinesis-analytics/orders:log-stream:job";
        assert_eq!(of(arn), Some(("/aws/kinesis-analytics/orders".to_owned(), "job".to_owned())));
        for wrong in ["", "arn:aws:logs:us-east-1:123456789012:log-group:/g:*", "x:log-group::log-stream:job"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
