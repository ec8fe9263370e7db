//! CloudWatch over a simulated job, through the real SDK and by hand-made requests of the older protocols.

use std::future::Future;

use aws_sdk_cloudwatch::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::json;

use super::*;
use crate::data_plane::{CodeObject, JobSpec};
use crate::simulated::{Behaviour, JobFault, RestartDelay, SimulatedDataPlane};

const APPLICATION: &str = "orders";

impl HttpConnector for CloudWatch {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = request.try_into_http1x().unwrap();
        let operation = request.uri().path().rsplit('/').next().unwrap().to_owned();
        assert_eq!(request.headers()["smithy-protocol"], "rpc-v2-cbor");
        let response = self.handle(&operation, Protocol::Cbor, request.body().bytes().unwrap());
        HttpConnectorFuture::ready(Ok(response.map(SdkBody::from).try_into().unwrap()))
    }
}

impl HttpClient for CloudWatch {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn client(cloudwatch: &CloudWatch) -> aws_sdk_cloudwatch::Client {
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
        .http_client(cloudwatch.clone())
        .build();
    aws_sdk_cloudwatch::Client::from_conf(config)
}

fn start_of_time() -> Timestamp {
    "2026-01-01T00:00:20Z".parse().unwrap()
}

/// A CloudWatch that samples a simulated job on that runtime from 00:00:20 on.
async fn watching(
    runtime: &str,
    behaviour: &Behaviour,
    publication: Publication,
) -> (CloudWatch, Arc<SimulatedDataPlane>, tokio::task::JoinHandle<()>) {
    let clock = Clock::starting_at(start_of_time(), 1);
    let plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 1));
    let cloudwatch = CloudWatch::new(clock, publication, "us-east-1", "123456789012");
    let application = ApplicationView {
        name: APPLICATION.to_owned(),
        runtime: runtime.to_owned(),
        status: "RUNNING".to_owned(),
        version: 1,
        parallelism: 3,
        parallelism_per_kpu: 2,
    };
    let data_plane: Arc<dyn DataPlane> = Arc::<SimulatedDataPlane>::clone(&plane);
    let sampler = tokio::spawn(cloudwatch.clone().run(data_plane, move || vec![application.clone()]));
    start(&plane, runtime, behaviour).await;
    (cloudwatch, plane, sampler)
}

async fn start(plane: &SimulatedDataPlane, runtime: &str, behaviour: &Behaviour) {
    let spec = JobSpec {
        application: APPLICATION.to_owned(),
        version: 1,
        runtime: runtime.to_owned(),
        code: CodeObject {
            bucket: String::new(),
            key: String::new(),
            object_version: None,
            content: behaviour.to_content(),
        },
        parallelism: 3,
        checkpoint_interval: Some(Duration::from_mins(1)),
        properties: BTreeMap::new(),
        restore_from: None,
        allow_non_restored_state: false,
    };
    plane.start(&spec).await.unwrap();
}

fn crash_loop() -> Behaviour {
    Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Fixed { seconds: 10 })
}

fn query(id: &str, metric: &str) -> MetricDataQuery {
    let metric = Metric::builder()
        .namespace(NAMESPACE)
        .metric_name(metric)
        .dimensions(Dimension::builder().name(DIMENSION).value(APPLICATION).build())
        .build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Maximum").build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

fn at(seconds: i64) -> DateTime {
    DateTime::from_secs(start_of_time().as_second() - 20 + seconds)
}

/// The values of a metric from midnight on, oldest first, with the seconds since midnight.
async fn series(cloudwatch: &CloudWatch, metric: &str) -> Vec<(i64, f64)> {
    let answer = client(cloudwatch)
        .get_metric_data()
        .metric_data_queries(query("m1", metric))
        .start_time(at(0))
        .end_time(at(86_400))
        .scan_by(ScanBy::TimestampAscending)
        .send()
        .await
        .unwrap();
    let result = &answer.metric_data_results()[0];
    assert_eq!(
        (result.id(), result.label(), result.status_code()),
        (Some("m1"), Some(metric), Some(&StatusCode::Complete))
    );
    let seconds = result.timestamps().iter().map(|time| time.secs() - at(0).secs());
    seconds.zip(result.values().iter().copied()).collect()
}

async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn restarts_are_published_per_minute_and_late() {
    let (cloudwatch, _plane, _sampler) = watching("FLINK-1_20", &crash_loop(), Publication::default()).await;
    wait(40 + 89).await;
    assert_eq!(series(&cloudwatch, "fullRestarts").await, [], "the first minute ended 89 s ago");
    wait(61).await;
    // The job was submitted at 00:00:20, fails a second later and every 10 s from then on.
    assert_eq!(series(&cloudwatch, "fullRestarts").await, [(0, 4.0), (60, 10.0)]);
    assert_eq!(series(&cloudwatch, "uptime").await, [(0, 0.0), (60, 0.0)]);
    assert_eq!(series(&cloudwatch, "KPUs").await, [(0, 2.0), (60, 2.0)]);
}

#[tokio::test(start_paused = true)]
async fn each_runtime_has_its_own_metrics() {
    for (runtime, there, absent) in [
        ("FLINK-1_18", ["fullRestarts", "downtime", "uptime"], ["numRestarts", "runningTime", "restartingTime"]),
        ("FLINK-2_2", ["numRestarts", "runningTime", "restartingTime"], ["fullRestarts", "downtime", "uptime"]),
    ] {
        let (cloudwatch, _plane, _sampler) = watching(runtime, &Behaviour::healthy(), Publication::default()).await;
        wait(300).await;
        let both = ["numberOfFailedCheckpoints", "lastCheckpointDuration", "lastCheckpointSize", "cpuUtilization"];
        for metric in
            there.into_iter().chain(both).chain(["failingTime"].into_iter().filter(|_| runtime == "FLINK-2_2"))
        {
            assert_eq!(series(&cloudwatch, metric).await.len(), 3, "{runtime} {metric}");
        }
        for metric in absent {
            assert_eq!(series(&cloudwatch, metric).await, [], "{runtime} {metric}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_submission_counts_from_zero_and_no_job_publishes_nothing() {
    let (cloudwatch, plane, _sampler) = watching("FLINK-1_20", &crash_loop(), Publication::default()).await;
    wait(60).await;
    plane.cancel(APPLICATION).await;
    wait(60).await;
    start(&plane, "FLINK-1_20", &crash_loop()).await;
    wait(200).await;
    let minutes: Vec<_> = series(&cloudwatch, "fullRestarts").await;
    assert_eq!(minutes[..2], [(0, 4.0), (120, 4.0)]);
}

#[tokio::test(start_paused = true)]
async fn some_versions_publish_only_what_is_not_zero() {
    let publication = Publication { only_non_zero: true, ..Publication::default() };
    let (cloudwatch, _plane, _sampler) = watching("FLINK-1_20", &Behaviour::healthy(), publication).await;
    wait(300).await;
    assert_eq!(series(&cloudwatch, "fullRestarts").await, []);
    assert_eq!(series(&cloudwatch, "uptime").await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn pages_newest_first_and_statistics_of_longer_periods() {
    let (cloudwatch, _plane, _sampler) = watching("FLINK-1_20", &crash_loop(), Publication::default()).await;
    wait(700).await;
    let client = client(&cloudwatch);
    let request = client
        .get_metric_data()
        .metric_data_queries(query("a", "fullRestarts"))
        .metric_data_queries(query("b", "KPUs"))
        .start_time(at(0))
        .end_time(at(360))
        .max_datapoints(4);
    let mut pages = Vec::new();
    let mut token = None;
    loop {
        let answer = request.clone().set_next_token(token).send().await.unwrap();
        for result in answer.metric_data_results() {
            let status = result.status_code().unwrap().as_str().to_owned();
            pages.push((result.id().unwrap().to_owned(), result.values().to_vec(), status));
        }
        token = answer.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let page = |id: &str, values: &[f64], status: &str| (id.to_owned(), values.to_vec(), status.to_owned());
    let partial = "PartialData";
    let expected = [
        page("a", &[34.0, 28.0, 22.0, 16.0], partial),
        page("b", &[], partial),
        page("a", &[10.0, 4.0], "Complete"),
        page("b", &[2.0, 2.0], partial),
        page("b", &[2.0, 2.0, 2.0, 2.0], "Complete"),
    ];
    assert_eq!(pages, expected);

    for (stat, value) in [("Sum", 30.0), ("Average", 10.0), ("Maximum", 16.0), ("Minimum", 4.0), ("SampleCount", 3.0)] {
        let metric = query("m", "fullRestarts").metric_stat.unwrap().metric.unwrap();
        let stat = MetricStat::builder().metric(metric).period(180).stat(stat).build();
        let answer = client
            .get_metric_data()
            .metric_data_queries(MetricDataQuery::builder().id("m").metric_stat(stat.clone()).build())
            .start_time(at(0))
            .end_time(at(180))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.metric_data_results()[0].values(), [value], "{stat:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_about_the_application_has_no_data() {
    let (cloudwatch, _plane, _sampler) = watching("FLINK-1_20", &crash_loop(), Publication::default()).await;
    wait(300).await;
    let query = |namespace: &str, dimension: &str, application: &str| {
        json!({
            "Id": "m", "MetricStat": { "Period": 60, "Stat": "Maximum", "Metric": {
                "Namespace": namespace, "MetricName": "fullRestarts",
                "Dimensions": [{ "Name": dimension, "Value": application }],
            } },
        })
    };
    for (namespace, dimension, application, count) in [
        (NAMESPACE, DIMENSION, APPLICATION, 3),
        ("AWS/Lambda", DIMENSION, APPLICATION, 0),
        (NAMESPACE, "Flow", APPLICATION, 0),
        (NAMESPACE, DIMENSION, "payments", 0),
    ] {
        let body = json!({
            "StartTime": at(0).secs(), "EndTime": at(86_400).secs(),
            "MetricDataQueries": [query(namespace, dimension, application)],
        });
        let response =
            cloudwatch.handle("GetMetricData", Protocol::Json10(crate::wire::CLOUDWATCH), body.to_string().as_bytes());
        let answer: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(
            answer["MetricDataResults"][0]["Values"].as_array().unwrap().len(),
            count,
            "{namespace} {dimension}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn json_and_query_answer_the_same() {
    let (cloudwatch, _plane, _sampler) = watching("FLINK-1_20", &crash_loop(), Publication::default()).await;
    wait(200).await;
    let body = json!({
        "StartTime": 1_767_225_600, "EndTime": 1_767_229_200, "ScanBy": "TimestampAscending",
        "MetricDataQueries": [{ "Id": "restarts", "Label": "R & D", "ReturnData": true, "MetricStat": {
            "Metric": { "Namespace": NAMESPACE, "MetricName": "fullRestarts",
                        "Dimensions": [{ "Name": DIMENSION, "Value": APPLICATION }] },
            "Period": 60, "Stat": "Maximum" } }],
    });
    let response =
        cloudwatch.handle("GetMetricData", Protocol::Json10(crate::wire::CLOUDWATCH), body.to_string().as_bytes());
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    let expected = json!({
        "MetricDataResults": [{ "Id": "restarts", "Label": "R & D", "StatusCode": "Complete",
            "Timestamps": [1_767_225_600.0, 1_767_225_660.0], "Values": [4.0, 10.0] }],
        "Messages": [],
    });
    assert_eq!(answer, expected);

    let form = "Action=GetMetricData&Version=2010-08-01&StartTime=2026-01-01T00%3A00%3A00Z&EndTime=2026-01-01T01%3A00%3A00Z\
        &ScanBy=TimestampAscending&MetricDataQueries.member.1.Id=restarts&MetricDataQueries.member.1.Label=R+%26+D\
        &MetricDataQueries.member.1.ReturnData=true&MetricDataQueries.member.1.MetricStat.Period=60\
        &MetricDataQueries.member.1.MetricStat.Stat=Maximum\
        &MetricDataQueries.member.1.MetricStat.Metric.Namespace=AWS%2FKinesisAnalytics\
        &MetricDataQueries.member.1.MetricStat.Metric.MetricName=fullRestarts\
        &MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Name=Application\
        &MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Value=orders";
    let response = cloudwatch.handle("GetMetricData", Protocol::Query, form.as_bytes());
    let xml = std::str::from_utf8(response.body()).unwrap();
    let expected = "<GetMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><GetMetricDataResult>\
        <MetricDataResults><member><Id>restarts</Id><Label>R &amp; D</Label>\
        <Timestamps><member>2026-01-01T00:00:00Z</member><member>2026-01-01T00:01:00Z</member></Timestamps>\
        <Values><member>4</member><member>10</member></Values><StatusCode>Complete</StatusCode></member></MetricDataResults>\
        <Messages></Messages></GetMetricDataResult>";
    assert!(xml.starts_with(expected), "{xml}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_cannot_be_answered_are_refused_by_name() {
    let (cloudwatch, _plane, _sampler) = watching("FLINK-1_20", &Behaviour::healthy(), Publication::default()).await;
    let request = || {
        let base = client(&cloudwatch).get_metric_data().start_time(at(0)).end_time(at(60));
        base.metric_data_queries(query("m", "uptime"))
    };
    let expression = MetricDataQuery::builder().id("e").expression("m * 2").build();
    let table = [
        (refusal(request().metric_data_queries(expression).send()).await, "ValidationError", "Expression"),
        (refusal(request().metric_data_queries(query("m", "uptime")).send()).await, "ValidationError", "two members"),
        (refusal(request().metric_data_queries(query("M", "uptime")).send()).await, "ValidationError", "lower case"),
        (refusal(request().end_time(at(0)).send()).await, "ValidationError", "StartTime must be less"),
        (refusal(request().max_datapoints(0).send()).await, "ValidationError", "MaxDatapoints"),
        (refusal(request().next_token("nonsense").send()).await, "InvalidNextToken", "token"),
        (
            refusal(client(&cloudwatch).get_metric_data().start_time(at(0)).end_time(at(60)).send()).await,
            "ValidationError",
            "MetricDataQueries",
        ),
        (refusal(client(&cloudwatch).list_dashboards().send()).await, "UnknownOperationException", "ListDashboards"),
    ];
    for ((code, message), expected, text) in table {
        assert_eq!(code, expected);
        assert!(message.contains(text), "{message}");
    }
    let response = cloudwatch.handle("GetMetricData", Protocol::Cbor, b"\xff\xff");
    assert_eq!(response.status(), 400);
}

async fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    call: impl Future<Output = Result<T, E>>,
) -> (String, String) {
    let error = call.await.unwrap_err();
    (error.code().unwrap().to_owned(), error.message().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn alarms_have_the_state_that_they_were_given() {
    let clock = Clock::starting_at(start_of_time(), 1);
    let cloudwatch = CloudWatch::new(clock, Publication::default(), "us-east-1", "123456789012");
    cloudwatch.set_alarm_state("orders-lag", AlarmState::Ok);
    assert_eq!(cloudwatch.post_alarm(br#"{"name": "orders-lag", "state": "ALARM"}"#).status(), 200);
    assert_eq!(cloudwatch.post_alarm(br#"{"name": "payments", "state": "INSUFFICIENT_DATA"}"#).status(), 200);
    assert_eq!(cloudwatch.post_alarm(br#"{"name": "orders-lag", "state": "BROKEN"}"#).status(), 400);
    let describe = || client(&cloudwatch).describe_alarms();
    let by_name = describe().alarm_names("orders-lag").alarm_names("absent").send().await.unwrap();
    assert_eq!(by_name.metric_alarms().len(), 1);
    let alarm = &by_name.metric_alarms()[0];
    assert_eq!(alarm.state_value().unwrap().as_str(), "ALARM");
    assert_eq!(alarm.alarm_arn(), Some("arn:aws:cloudwatch:us-east-1:123456789012:alarm:orders-lag"));
    assert_eq!(alarm.state_updated_timestamp(), Some(&at(20)));
    let first = describe().max_records(1).send().await.unwrap();
    let second = describe().max_records(1).set_next_token(first.next_token.clone()).send().await.unwrap();
    let names = [&first, &second].map(|page| page.metric_alarms()[0].alarm_name().unwrap());
    assert_eq!((names, second.next_token()), (["orders-lag", "payments"], None));
    let prefixed = describe().alarm_name_prefix("pay").send().await.unwrap();
    assert_eq!(prefixed.metric_alarms().len(), 1);
    let (code, _) = refusal(describe().alarm_name_prefix("pay").alarm_names("payments").send()).await;
    assert_eq!(code, "ValidationError");
}
