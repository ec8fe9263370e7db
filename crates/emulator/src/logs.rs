//! CloudWatch Logs as far as a diagnosis needs it: the jobs' logs, written as the service writes them, and the calls that
//! search and read them.
//!
//! An application's log goes to the log streams that its logging options name, and nowhere without one. Groups and streams
//! are there as soon as an option names them. What a stream holds is bounded; the oldest events go first.

mod pattern;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::application::Version;
use crate::data_plane::{LogRecord, LogSink};
use crate::emulator::{Inner, lock};
use crate::wire::{HttpResponse, Protocol, error_answer, json_answer};
use pattern::Pattern;

/// What a stream keeps, in bytes of its messages.
const RETAINED_BYTES: usize = 16 * 1024 * 1024;
/// Longest message, in bytes; the rest of a longer one is cut off.
const LONGEST_MESSAGE: usize = 256 * 1024;
/// Most events, and most bytes of messages, in one answer.
const MOST_EVENTS: usize = 10_000;
const PAGE_BYTES: usize = 1024 * 1024;
/// Most groups or streams in one answer.
const MOST_DESCRIBED: usize = 50;

/// Place of an event: its time in milliseconds since 1970, then the order in which events came.
type Place = (i64, u64);

/// CloudWatch Logs.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Streams by group and name.
    streams: BTreeMap<(String, String), Stream>,
    written: u64,
}

#[derive(Debug)]
struct Stream {
    created: i64,
    /// In the order of their places.
    events: VecDeque<Event>,
    bytes: usize,
}

/// Streams of a group, by name.
type Streams<'a> = Vec<(&'a str, &'a Stream)>;

#[derive(Debug, Clone)]
struct Event {
    place: Place,
    ingested: i64,
    message: String,
}

/// Group and stream of an ARN such as `arn:aws:logs:REGION:ACCOUNT:log-group:GROUP:log-stream:STREAM`.
fn log_stream(arn: &str) -> Option<(String, String)> {
    let (group, stream) = arn.split_once(":log-group:")?.1.split_once(":log-stream:")?;
    Some((group.to_owned(), stream.to_owned()))
}

/// The streams that a version's logging options name.
fn streams_of(version: &Version) -> Vec<(String, String)> {
    version.logging.iter().filter_map(|option| log_stream(option["LogStreamARN"].as_str()?)).collect()
}

/// Takes what the jobs log to the streams of their applications.
#[derive(Debug)]
pub(crate) struct Delivery(pub(crate) Weak<Inner>);

impl LogSink for Delivery {
    fn write(&self, application: &str, record: LogRecord) {
        // The data plane may outlive the emulator.
        let Some(inner) = self.0.upgrade() else { return };
        let now = inner.config.clock.now();
        let (streams, message) = {
            let state = lock(&inner.state);
            let Some(application) = state.applications.get(application) else { return };
            let Some(version) = application.current() else { return };
            if !is_wanted(&version.configuration, &record.level) {
                return;
            }
            (streams_of(version), message(&application.arn, &record))
        };
        for (group, stream) in streams {
            inner.logs.append(&group, &stream, record.at.unwrap_or(now), now, message.clone());
        }
    }
}

/// Whether the application's `LogLevel` lets an entry of this level through. DEBUG brings no more than INFO.
fn is_wanted(configuration: &Map<String, Value>, level: &str) -> bool {
    const LEVELS: [&str; 3] = ["INFO", "WARN", "ERROR"];
    let rank = |name: &str| LEVELS.iter().position(|level| *level == name).unwrap_or_default();
    let least = configuration
        .get("FlinkApplicationConfigurationDescription")
        .and_then(|flink| flink.pointer("/MonitoringConfigurationDescription/LogLevel"))
        .and_then(Value::as_str);
    // FATAL, which no level of the service's names, is never left out.
    level == "FATAL" || rank(level) >= least.map_or(0, rank)
}

/// An entry as the service writes it.
fn message(arn: &str, record: &LogRecord) -> String {
    let mut line = json!({
        "applicationARN": arn,
        "applicationVersionId": record.version.to_string(),
        "locationInformation": record.location,
        "logger": record.logger,
        "message": record.message,
        "messageSchemaVersion": "1",
        "messageType": record.level,
        "threadName": record.thread,
    });
    if let Some(throwable) = &record.throwable {
        line["throwableInformation"] = json!(throwable);
    }
    line.to_string()
}

/// A request that is refused, as code and message.
struct Refused(&'static str, String);

fn invalid(message: impl Into<String>) -> Refused {
    Refused("InvalidParameterException", message.into())
}

impl Inner {
    /// Answers an operation of CloudWatch Logs.
    pub(crate) fn logs(&self, operation: &str, request: &Value) -> HttpResponse {
        let named: Vec<_> = {
            let state = lock(&self.state);
            state
                .applications
                .values()
                .filter_map(|application| application.current())
                .flat_map(|it| streams_of(it))
                .collect()
        };
        let now = self.config.clock.now().as_millisecond();
        for (group, stream) in named {
            self.logs.lock().stream(&group, &stream, now);
        }
        let arn = format!("arn:aws:logs:{}:{}:log-group", self.config.region, self.config.account);
        let state = self.logs.lock();
        let answer = match operation {
            "FilterLogEvents" => state.filter_log_events(request),
            "GetLogEvents" => state.get_log_events(request),
            "DescribeLogStreams" => state.describe_log_streams(request, &arn),
            "DescribeLogGroups" => state.describe_log_groups(request, &arn),
            _ => Err(Refused("UnknownOperationException", format!("the emulator does not know {operation}"))),
        };
        match answer {
            Ok(answer) => json_answer(StatusCode::OK, &answer),
            Err(Refused(code, message)) => error_answer(Protocol::Json11, 400, code, &message),
        }
    }
}

impl Logs {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, group: &str, stream: &str, at: Timestamp, now: Timestamp, mut message: String) {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        let mut state = self.lock();
        state.written += 1;
        let place = (at.as_millisecond(), state.written);
        let stream = state.stream(group, stream, now.as_millisecond());
        stream.bytes += message.len();
        let position = stream.events.partition_point(|event| event.place < place);
        stream.events.insert(position, Event { place, ingested: now.as_millisecond(), message });
        while stream.bytes > RETAINED_BYTES
            && let Some(oldest) = stream.events.pop_front()
        {
            stream.bytes -= oldest.message.len();
        }
    }
}

/// A field of the request that is a number and may be left out.
fn number(request: &Value, name: &str) -> Result<Option<i64>, Refused> {
    match &request[name] {
        Value::Null => Ok(None),
        value => value.as_i64().map(Some).ok_or_else(|| invalid(format!("{name} is a whole number"))),
    }
}

fn limit(request: &Value, most: usize) -> Result<usize, Refused> {
    match number(request, "limit")? {
        None => Ok(most),
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=most).contains(limit))
            .ok_or_else(|| invalid(format!("limit is from 1 to {most}"))),
    }
}

fn missing(name: &str) -> Refused {
    invalid(format!("{name} has to be given"))
}

fn unknown_token() -> Refused {
    invalid("the specified nextToken is invalid")
}

/// Writes a place for a token.
fn token((at, order): Place) -> String {
    format!("{at:020}{order:020}")
}

fn place(token: &str) -> Option<Place> {
    (token.len() == 40 && token.is_ascii()).then_some(())?;
    Some((token[..20].parse().ok()?, token[20..].parse().ok()?))
}

/// The first events that fit in a page.
fn page<T>(events: impl Iterator<Item = T>, limit: usize, bytes_of: impl Fn(&T) -> usize) -> Vec<T> {
    let mut bytes = 0;
    let fits = |event: &T| {
        let first = bytes == 0;
        bytes += bytes_of(event);
        // One event is always handed out, or a reader would not get past it.
        first || bytes <= PAGE_BYTES
    };
    events.take(limit).take_while(fits).collect()
}

impl State {
    /// The stream, made if need be.
    fn stream(&mut self, group: &str, stream: &str, now: i64) -> &mut Stream {
        let key = (group.to_owned(), stream.to_owned());
        self.streams.entry(key).or_insert_with(|| Stream { created: now, events: VecDeque::new(), bytes: 0 })
    }

    /// The group that a request names, by its name or its ARN, with its streams.
    fn group<'a>(&'a self, request: &'a Value) -> Result<(&'a str, Streams<'a>), Refused> {
        let named = request["logGroupName"].as_str().or_else(|| {
            let identifier = request["logGroupIdentifier"].as_str()?;
            Some(identifier.split_once(":log-group:").map_or(identifier, |(_, group)| group.trim_end_matches(":*")))
        });
        let group = named.ok_or_else(|| missing("logGroupName"))?;
        let streams = self.streams.iter().filter(|((name, _), _)| name == group);
        let streams: Vec<_> = streams.map(|((_, name), stream)| (name.as_str(), stream)).collect();
        if streams.is_empty() {
            let text = "The specified log group does not exist.".to_owned();
            return Err(Refused("ResourceNotFoundException", text));
        }
        Ok((group, streams))
    }

    fn filter_log_events(&self, request: &Value) -> Result<Value, Refused> {
        let pattern = Pattern::parse(request["filterPattern"].as_str().unwrap_or_default())
            .map_err(|reason| invalid(format!("filterPattern: {reason}")))?;
        let (start, end) = (number(request, "startTime")?, number(request, "endTime")?);
        let limit = limit(request, MOST_EVENTS)?;
        let from = match request["nextToken"].as_str() {
            None => (start.unwrap_or(0), 0),
            Some(token) => place(token).ok_or_else(unknown_token)?,
        };
        let names: Option<Vec<&str>> =
            request["logStreamNames"].as_array().map(|names| names.iter().filter_map(Value::as_str).collect());
        let prefix = request["logStreamNamePrefix"].as_str();
        if names.is_some() && prefix.is_some() {
            return Err(invalid("logStreamNames and logStreamNamePrefix cannot be given together"));
        }
        let (_, mut streams) = self.group(request)?;
        if let Some(absent) = names.iter().flatten().find(|name| !streams.iter().any(|(stream, _)| stream == *name)) {
            let text = format!("The specified log stream {absent} does not exist.");
            return Err(Refused("ResourceNotFoundException", text));
        }
        streams.retain(|(name, _)| {
            names.as_ref().is_none_or(|names| names.contains(name)) && prefix.is_none_or(|it| name.starts_with(it))
        });
        let mut found: Vec<(&str, &Event)> = Vec::new();
        for (name, stream) in streams {
            let first = stream.events.partition_point(|event| event.place < from);
            // The end belongs to the range here, other than in GetLogEvents.
            let events = stream.events.range(first..).take_while(|event| end.is_none_or(|end| event.place.0 <= end));
            found.extend(events.filter(|event| pattern.matches(&event.message)).map(|event| (name, event)));
        }
        found.sort_by_key(|(_, event)| event.place);
        let taken = page(found.iter(), limit, |(_, event)| event.message.len());
        let described = taken.iter().map(|(stream, event)| {
            json!({
                "logStreamName": stream,
                "timestamp": event.place.0,
                "message": event.message,
                "ingestionTime": event.ingested,
                "eventId": token(event.place),
            })
        });
        let mut answer = json!({ "events": described.collect::<Vec<_>>(), "searchedLogStreams": [] });
        if let Some((_, next)) = found.get(taken.len()) {
            answer["nextToken"] = json!(token(next.place));
        }
        Ok(answer)
    }

    fn get_log_events(&self, request: &Value) -> Result<Value, Refused> {
        let (start, end) = (number(request, "startTime")?, number(request, "endTime")?);
        let limit = limit(request, MOST_EVENTS)?;
        let name = request["logStreamName"].as_str().ok_or_else(|| missing("logStreamName"))?;
        let (_, streams) = self.group(request)?;
        let Some((_, stream)) = streams.iter().find(|(stream, _)| *stream == name) else {
            return Err(Refused("ResourceNotFoundException", "The specified log stream does not exist.".to_owned()));
        };
        let boundary = match request["nextToken"].as_str() {
            None => None,
            Some(text) => {
                let forward = text.starts_with("f/");
                let place = text.strip_prefix("f/").or_else(|| text.strip_prefix("b/")).and_then(place);
                Some((forward, place.ok_or_else(unknown_token)?))
            }
        };
        let in_range = |event: &&Event| {
            let at = event.place.0;
            start.is_none_or(|start| at >= start) && end.is_none_or(|end| at < end)
        };
        let events = stream.events.iter().filter(in_range);
        let forward = boundary.map_or_else(|| request["startFromHead"] == true, |(forward, _)| forward);
        let bytes_of = |event: &&Event| event.message.len();
        let taken = if forward {
            let from = boundary.map(|(_, place)| place);
            page(events.filter(|event| from.is_none_or(|from| event.place >= from)), limit, bytes_of)
        } else {
            let until = boundary.map(|(_, place)| place);
            let earlier = events.rev().filter(|event| until.is_none_or(|until| event.place < until));
            let mut taken = page(earlier, limit, bytes_of);
            taken.reverse();
            taken
        };
        // An empty page ends where it began: the same token again tells a reader that there is nothing more.
        let here = boundary.map_or((start.unwrap_or(0), 0), |(_, place)| place);
        let first = taken.first().map_or(here, |event| event.place);
        let next = taken.last().map_or(here, |event| (event.place.0, event.place.1 + 1));
        let described = taken.iter().map(
            |event| json!({ "timestamp": event.place.0, "message": event.message, "ingestionTime": event.ingested }),
        );
        Ok(json!({
            "events": described.collect::<Vec<_>>(),
            "nextForwardToken": format!("f/{}", token(next)),
            "nextBackwardToken": format!("b/{}", token(first)),
        }))
    }

    fn describe_log_streams(&self, request: &Value, arn: &str) -> Result<Value, Refused> {
        let by_time = match request["orderBy"].as_str() {
            None | Some("LogStreamName") => false,
            Some("LastEventTime") => true,
            Some(other) => return Err(invalid(format!("orderBy is LogStreamName or LastEventTime, not {other}"))),
        };
        let prefix = request["logStreamNamePrefix"].as_str().unwrap_or_default();
        if by_time && !prefix.is_empty() {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let (group, mut streams) = self.group(request)?;
        streams.retain(|(name, _)| name.starts_with(prefix));
        if by_time {
            streams.sort_by_key(|(_, stream)| stream.events.back().map(|event| event.place));
        }
        if request["descending"] == true {
            streams.reverse();
        }
        let describe = |(name, stream): &(&str, &Stream)| {
            let mut described = json!({
                "logStreamName": name,
                "creationTime": stream.created,
                "arn": format!("{arn}:{group}:log-stream:{name}"),
                "storedBytes": 0,
            });
            if let (Some(first), Some(last)) = (stream.events.front(), stream.events.back()) {
                described["firstEventTimestamp"] = json!(first.place.0);
                described["lastEventTimestamp"] = json!(last.place.0);
                described["lastIngestionTime"] = json!(last.ingested);
            }
            described
        };
        described_page(request, "logStreams", &streams, describe)
    }

    fn describe_log_groups(&self, request: &Value, arn: &str) -> Result<Value, Refused> {
        let prefix = request["logGroupNamePrefix"].as_str().unwrap_or_default();
        let part = request["logGroupNamePattern"].as_str().unwrap_or_default();
        if !prefix.is_empty() && !part.is_empty() {
            return Err(invalid("logGroupNamePrefix and logGroupNamePattern cannot be given together"));
        }
        let mut groups: BTreeMap<&str, i64> = BTreeMap::new();
        for ((group, _), stream) in &self.streams {
            if group.starts_with(prefix) && group.to_lowercase().contains(&part.to_lowercase()) {
                let created = groups.entry(group).or_insert(stream.created);
                *created = stream.created.min(*created);
            }
        }
        let groups: Vec<_> = groups.into_iter().collect();
        described_page(request, "logGroups", &groups, |(name, created)| {
            json!({
                "logGroupName": name,
                "creationTime": created,
                "metricFilterCount": 0,
                "arn": format!("{arn}:{name}:*"),
                "logGroupArn": format!("{arn}:{name}"),
                "logGroupClass": "STANDARD",
                "storedBytes": 0,
            })
        })
    }
}

/// A page of a list under its name; the token tells how many were handed out before.
fn described_page<T>(request: &Value, name: &str, all: &[T], describe: impl Fn(&T) -> Value) -> Result<Value, Refused> {
    let limit = limit(request, MOST_DESCRIBED)?;
    let skip = match request["nextToken"].as_str() {
        None => 0,
        Some(token) => token.parse::<usize>().map_err(|_| unknown_token())?,
    };
    let page: Vec<_> = all.iter().skip(skip).take(limit).map(describe).collect();
    let next = skip + page.len();
    let mut answer = json!({ name: page });
    if next < all.len() {
        answer["nextToken"] = json!(next.to_string());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests;
