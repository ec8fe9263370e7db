use super::*;

const GROUP: &str = "/aws/kinesis-analytics/orders";

/// Two streams with three events each, a second apart, in turns: `a0 b0 a1 b1 a2 b2`.
fn logs() -> Logs {
    let logs = Logs::default();
    for number in 0..6 {
        let stream = if number % 2 == 0 { "a" } else { "b" };
        let at = Timestamp::from_second(100 + number).unwrap();
        logs.append(GROUP, stream, at, at, format!("{stream}{}", number / 2));
    }
    logs
}

fn texts(answer: &Value) -> Vec<String> {
    let events = answer["events"].as_array().unwrap().iter();
    events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

fn answered(result: Result<Value, Refused>) -> Value {
    result.unwrap_or_else(|Refused(code, message)| panic!("{code}: {message}"))
}

fn refusal(result: Result<Value, Refused>) -> String {
    let Refused(code, message) = result.err().unwrap();
    format!("{code}: {message}")
}

#[test]
fn a_search_goes_through_all_streams_in_the_order_of_time() {
    let logs = logs();
    let find = |more: Value| {
        let mut request = json!({ "logGroupName": GROUP });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answered(logs.lock().filter_log_events(&request))
    };
    let all = find(json!({}));
    assert_eq!(texts(&all), ["a0", "b0", "a1", "b1", "a2", "b2"]);
    assert!(all.get("nextToken").is_none());
    assert_eq!(all["events"][1]["logStreamName"], "b");
    assert_eq!(all["events"][1]["timestamp"], 101_000);
    assert_eq!(texts(&find(json!({ "startTime": 101_000, "endTime": 103_000 }))), ["b0", "a1", "b1"]);
    assert_eq!(texts(&find(json!({ "logStreamNames": ["b"] }))), ["b0", "b1", "b2"]);
    assert_eq!(texts(&find(json!({ "logStreamNamePrefix": "a" }))), ["a0", "a1", "a2"]);
    assert_eq!(texts(&find(json!({ "filterPattern": "?a0 ?b2" }))), ["a0", "b2"]);
    assert!(texts(&find(json!({ "filterPattern": "c" }))).is_empty());
    let first = find(json!({ "limit": 4 }));
    assert_eq!(texts(&first), ["a0", "b0", "a1", "b1"]);
    let second = find(json!({ "limit": 4, "nextToken": first["nextToken"] }));
    assert_eq!(texts(&second), ["a2", "b2"]);
    assert!(second.get("nextToken").is_none());
}

#[test]
fn a_stream_is_read_from_either_end() {
    let logs = logs();
    let get = |more: Value| {
        let mut request = json!({ "logGroupName": GROUP, "logStreamName": "a", "limit": 2 });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answered(logs.lock().get_log_events(&request))
    };
    let newest = get(json!({}));
    assert_eq!(texts(&newest), ["a1", "a2"]);
    let older = get(json!({ "nextToken": newest["nextBackwardToken"] }));
    assert_eq!(texts(&older), ["a0"]);
    let none = get(json!({ "nextToken": older["nextBackwardToken"] }));
    assert!(texts(&none).is_empty());
    assert_eq!(none["nextBackwardToken"], older["nextBackwardToken"]);
    let oldest = get(json!({ "startFromHead": true }));
    assert_eq!(texts(&oldest), ["a0", "a1"]);
    let newer = get(json!({ "nextToken": oldest["nextForwardToken"] }));
    assert_eq!(texts(&newer), ["a2"]);
    let none = get(json!({ "nextToken": newer["nextForwardToken"] }));
    assert!(texts(&none).is_empty());
    assert_eq!(none["nextForwardToken"], newer["nextForwardToken"]);
    // What comes later is found by the token that found nothing.
    let at = Timestamp::from_second(200).unwrap();
    logs.append(GROUP, "a", at, at, "a3".to_owned());
    assert_eq!(texts(&get(json!({ "nextToken": none["nextForwardToken"] }))), ["a3"]);
    // The end of the range does not belong to it.
    assert_eq!(texts(&get(json!({ "startTime": 100_000, "endTime": 102_000 }))), ["a0"]);
}

#[test]
fn groups_and_streams_are_listed_in_pages() {
    let logs = logs();
    let arn = "arn:aws:logs:us-east-1:123456789012:log-group";
    let at = Timestamp::from_second(50).unwrap();
    logs.append("/other", "c", at, at, "c0".to_owned());
    let state = logs.lock();
    let groups = answered(state.describe_log_groups(&json!({ "limit": 1 }), arn));
    assert_eq!(groups["logGroups"][0]["logGroupName"], GROUP);
    let rest = answered(state.describe_log_groups(&json!({ "limit": 1, "nextToken": groups["nextToken"] }), arn));
    assert_eq!(rest["logGroups"][0]["arn"], format!("{arn}:/other:*"));
    assert!(rest.get("nextToken").is_none());
    let matching = answered(state.describe_log_groups(&json!({ "logGroupNamePrefix": "/aws/" }), arn));
    assert_eq!(matching["logGroups"].as_array().unwrap().len(), 1);
    let request = json!({ "logGroupName": GROUP, "orderBy": "LastEventTime", "descending": true });
    let streams = answered(state.describe_log_streams(&request, arn));
    assert_eq!(streams["logStreams"][0]["logStreamName"], "b");
    assert_eq!(streams["logStreams"][0]["lastEventTimestamp"], 105_000);
    assert_eq!(streams["logStreams"][0]["arn"], format!("{arn}:{GROUP}:log-stream:b"));
    assert_eq!(streams["logStreams"][1]["firstEventTimestamp"], 100_000);
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let logs = logs();
    let state = logs.lock();
    let table = [
        (json!({}), "InvalidParameterException: logGroupName"),
        (json!({ "logGroupName": "/absent" }), "ResourceNotFoundException"),
        (json!({ "logGroupName": GROUP, "logStreamNames": ["c"] }), "ResourceNotFoundException"),
        (
            json!({ "logGroupName": GROUP, "logStreamNames": ["a"], "logStreamNamePrefix": "a" }),
            "cannot be given together",
        ),
        (
            json!({ "logGroupName": GROUP, "filterPattern": "[a, b]" }),
            "InvalidParameterException: filterPattern: the emulator knows no",
        ),
        (json!({ "logGroupName": GROUP, "limit": 0 }), "limit is from 1 to 10000"),
        (json!({ "logGroupName": GROUP, "startTime": "now" }), "startTime is a whole number"),
        (json!({ "logGroupName": GROUP, "nextToken": "x" }), "nextToken is invalid"),
    ];
    for (request, text) in table {
        let refused = refusal(state.filter_log_events(&request));
        assert!(refused.contains(text), "{request}: {refused}");
    }
    let absent = json!({ "logGroupName": GROUP, "logStreamName": "c" });
    assert!(refusal(state.get_log_events(&absent)).starts_with("ResourceNotFoundException"));
    assert!(refusal(state.get_log_events(&json!({ "logGroupName": GROUP }))).contains("logStreamName has to be given"));
}

#[test]
fn pages_and_streams_are_bounded() {
    let logs = Logs::default();
    let at = Timestamp::from_second(100).unwrap();
    for number in 0..100 {
        logs.append(GROUP, "a", at, at, format!("{number} {}", "é".repeat(LONGEST_MESSAGE)));
    }
    let state = logs.lock();
    let stream = &state.streams[&(GROUP.to_owned(), "a".to_owned())];
    assert!(stream.bytes <= RETAINED_BYTES && stream.bytes > RETAINED_BYTES / 2, "{}", stream.bytes);
    assert!(stream.events.iter().all(|event| event.message.len() <= LONGEST_MESSAGE));
    assert!(stream.events.back().unwrap().message.starts_with("99 "));
    let page = answered(
        state.filter_log_events(&json!({ "logGroupIdentifier": format!("arn:aws:logs:x:1:log-group:{GROUP}:*") })),
    );
    assert_eq!(texts(&page).len(), PAGE_BYTES / LONGEST_MESSAGE);
    assert!(page["nextToken"].is_string());
}

#[test]
fn an_entry_is_written_as_the_service_writes_it() {
    let record = LogRecord {
        at: None,
        version: 3,
        level: "WARN".to_owned(),
        logger: "org.apache.flink.runtime.taskmanager.Task".to_owned(),
        thread: "Counter (1/2)#0".to_owned(),
        location: "Task.java:1".to_owned(),
        message: "Counter (1/2)#0 switched from RUNNING to FAILED".to_owned(),
        throwable: Some("java.lang.IllegalStateException: x\n\tat y".to_owned()),
    };
    let line: Value = serde_json::from_str(&message("arn:aws:kinesisanalytics:x", &record)).unwrap();
    assert_eq!(line["applicationARN"], "arn:aws:kinesisanalytics:x");
    assert_eq!(line["applicationVersionId"], "3");
    assert_eq!(line["messageType"], "WARN");
    assert_eq!(line["throwableInformation"], "java.lang.IllegalStateException: x\n\tat y");
    let without = message("x", &LogRecord { throwable: None, ..record });
    assert!(!without.contains("throwableInformation"));
}

#[test]
fn the_log_level_leaves_out_what_is_below_it() {
    let at = |level: &str| {
        let Value::Object(configuration) = json!({ "FlinkApplicationConfigurationDescription": {
            "MonitoringConfigurationDescription": { "LogLevel": level } } })
        else {
            unreachable!()
        };
        ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"].map(|level| is_wanted(&configuration, level))
    };
    assert_eq!(at("WARN"), [false, false, true, true, true]);
    assert_eq!(at("ERROR"), [false, false, false, true, true]);
    assert_eq!(at("INFO"), [true, true, true, true, true]);
    assert!(is_wanted(&Map::new(), "INFO"));
}
