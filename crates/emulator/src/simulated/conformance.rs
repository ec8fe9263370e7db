//! Our answers against recordings of real Flink (`fixtures/flink/`: 1.20.5, 2.2.1 and 2.3.0, cut to what is compared here):
//! the shape of every body, the states that a job goes through, and how long they take.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::data_plane::CodeObject;

const RELEASES: [(&str, &str, &str); 3] = [
    (
        "FLINK-1_20",
        include_str!("../../fixtures/flink/1.20.5/bodies.json"),
        include_str!("../../fixtures/flink/1.20.5/series.json"),
    ),
    (
        "FLINK-2_2",
        include_str!("../../fixtures/flink/2.2.1/bodies.json"),
        include_str!("../../fixtures/flink/2.2.1/series.json"),
    ),
    (
        "FLINK-2_3",
        include_str!("../../fixtures/flink/2.3.0/bodies.json"),
        include_str!("../../fixtures/flink/2.3.0/series.json"),
    ),
];
/// How the recorded client asked for metrics.
const METRICS: &str = "metrics?get=fullRestarts,numRestarts,uptime,downtime,lastCheckpointSize,lastCheckpointDuration,\
     numberOfCompletedCheckpoints,numberOfFailedCheckpoints";
const APPLICATION: &str = "orders";

/// The recorded variants: the same faults, restart delay 1 s, parallelism 2.
fn recorded(variant: &str) -> Behaviour {
    let behaviour = match variant {
        "healthy" => Behaviour::healthy(),
        "open-fails" => JobFault::OpenFails.into(),
        "fails-after-ms" | "no-restart" => JobFault::FailsAfter { seconds: 3, times: None }.into(),
        "slow-init" => JobFault::SlowRestore { seconds: 6 }.into(),
        "bounded" => JobFault::Bounded { seconds: 3 }.into(),
        other => panic!("no behaviour for {other}"),
    };
    let delay = if variant == "no-restart" { RestartDelay::None } else { RestartDelay::Fixed { seconds: 1 } };
    behaviour.restarting(delay)
}

fn spec(runtime: &str, behaviour: &Behaviour, checkpoint_interval: Duration) -> JobSpec {
    JobSpec {
        application: APPLICATION.to_owned(),
        version: 1,
        runtime: runtime.to_owned(),
        code: CodeObject {
            bucket: String::new(),
            key: String::new(),
            object_version: None,
            content: behaviour.to_content(),
        },
        parallelism: 2,
        checkpoint_interval: Some(checkpoint_interval),
        properties: BTreeMap::new(),
        restore_from: None,
        allow_non_restored_state: false,
    }
}

fn plane() -> SimulatedDataPlane {
    SimulatedDataPlane::new(Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap(), 1), 3)
}

async fn get(plane: &SimulatedDataPlane, path: &str) -> Value {
    let response = plane.rest(APPLICATION, path).await;
    assert_eq!(response.status, 200, "{path}");
    serde_json::from_slice(&response.body).unwrap()
}

/// The key paths of a body with the types of their values, such as `.jobs[].id: string`.
fn shape(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Object(members) => {
            // The state of some tasks may be missing from a map of counts, and labels are free; neither is shape.
            for (name, value) in members {
                shape(value, &format!("{path}.{name}"), into);
            }
            "object"
        }
        Value::Array(items) => {
            for item in items {
                shape(item, &format!("{path}[]"), into);
            }
            "array"
        }
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "double",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    into.insert(format!("{path}: {kind}"));
}

fn shapes(bodies: &[Value]) -> BTreeSet<String> {
    let mut shapes = BTreeSet::new();
    for body in bodies {
        shape(body, "", &mut shapes);
    }
    shapes
}

/// What our job of that runtime answers in the situations that were recorded, per endpoint.
async fn our_bodies(runtime: &str) -> BTreeMap<&'static str, Vec<Value>> {
    let mut bodies: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    let failing =
        Behaviour::healthy().with(JobFault::FailingCheckpoints { from_seconds: 3 }).with(JobFault::SnapshotFails);
    let variants = ["healthy", "open-fails", "fails-after-ms", "slow-init", "bounded", "no-restart"].map(recorded);
    for behaviour in variants.into_iter().chain([failing]) {
        let plane = plane();
        let mut spec = spec(runtime, &behaviour, Duration::from_secs(1));
        let mut look = async |plane: &SimulatedDataPlane| {
            let job = get(plane, "/jobs").await["jobs"][0]["id"].as_str().unwrap().to_owned();
            get(plane, &format!("/jobs/{job}/{METRICS}")).await;
            plane.clock.sleep(Duration::from_millis(100)).await;
            for (endpoint, path) in [
                ("jobs", "/jobs".to_owned()),
                ("jobs/overview", "/jobs/overview".to_owned()),
                ("job", format!("/jobs/{job}")),
                ("exceptions", format!("/jobs/{job}/exceptions")),
                ("checkpoints", format!("/jobs/{job}/checkpoints")),
                ("metrics", format!("/jobs/{job}/{METRICS}")),
                ("taskmanagers", "/taskmanagers".to_owned()),
            ] {
                bodies.entry(endpoint).or_default().push(get(plane, &path).await);
            }
        };
        plane.start(&spec).await.unwrap();
        plane.clock.sleep(Duration::from_millis(200)).await;
        look(&plane).await;
        plane.clock.sleep(Duration::from_millis(7_400)).await;
        let snapshot = plane.snapshot(APPLICATION).await;
        look(&plane).await;
        spec.restore_from = snapshot.ok();
        if spec.restore_from.is_some() {
            plane.start(&spec).await.unwrap();
        }
        plane.clock.sleep(Duration::from_millis(2_500)).await;
        look(&plane).await;
    }
    bodies
}

#[tokio::test(start_paused = true)]
async fn every_body_has_the_recorded_shape() {
    for (runtime, recorded, _) in RELEASES {
        let recorded: BTreeMap<String, Vec<Value>> = serde_json::from_str(recorded).unwrap();
        let ours = our_bodies(runtime).await;
        for endpoint in ["jobs", "jobs/overview", "exceptions", "checkpoints", "metrics"] {
            let (ours, recorded) = (shapes(&ours[endpoint]), shapes(&recorded[endpoint]));
            let apart: Vec<_> =
                ours.symmetric_difference(&recorded).map(|shape| (shape, ours.contains(shape))).collect();
            assert_eq!(apart, [], "{runtime} /{endpoint}: shapes that only one side has (true: only ours)");
        }
        // Of /jobs/:id the recordings keep the fields that matter.
        let missing: Vec<String> = shapes(&recorded["job"]).difference(&shapes(&ours["job"])).cloned().collect();
        assert_eq!(missing, [""; 0], "{runtime} /jobs/:id");
        let ids = |bodies: &[Value]| -> BTreeSet<String> {
            let metrics = bodies.iter().filter_map(Value::as_array).flatten();
            metrics.map(|metric| metric["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(&ours["metrics"]), ids(&recorded["metrics"]), "{runtime}");
    }
}

/// How the bodies of an endpoint differ from one release to another.
struct Difference {
    endpoint: String,
    from: String,
    to: String,
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
}

/// Reads lines such as `job: 1.20.5->2.2.1 +['.a'] -['.b']`.
fn differences() -> Vec<Difference> {
    let keys = |list: &str| -> BTreeSet<String> {
        let keys = list.trim_matches(['[', ']']).split(", ").map(|key| key.trim_matches('\'').to_owned());
        keys.filter(|key| !key.is_empty()).collect()
    };
    let line = |line: &str| {
        let (endpoint, rest) = line.split_once(": ").unwrap();
        let (versions, rest) = rest.split_once(" +").unwrap();
        let (from, to) = versions.split_once("->").unwrap();
        let (added, removed) = rest.split_once(" -").unwrap();
        Difference {
            endpoint: endpoint.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            added: keys(added),
            removed: keys(removed),
        }
    };
    include_str!("../../fixtures/flink/differences.txt").lines().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn the_releases_differ_as_they_were_recorded_to() {
    let mut ours = BTreeMap::new();
    for (release, (runtime, _, _)) in ["1.20.5", "2.2.1", "2.3.0"].into_iter().zip(RELEASES) {
        ours.insert(release.to_owned(), our_bodies(runtime).await);
    }
    let differences = differences();
    assert_eq!(differences.len(), 6);
    for Difference { endpoint, from, to, added, removed } in differences {
        let keys = |release: &str| -> BTreeSet<String> {
            let endpoint = if endpoint == "jobs_overview" { "jobs/overview" } else { &endpoint };
            let shapes = shapes(&ours[release][endpoint]).into_iter();
            shapes
                .map(|shape| shape.split(": ").next().unwrap().to_owned())
                .filter(|key| !key.ends_with("[]"))
                .collect()
        };
        let (before, after) = (keys(&from), keys(&to));
        let (gained, lost) =
            (after.difference(&before).cloned().collect(), before.difference(&after).cloned().collect());
        let plain = |keys: BTreeSet<String>| -> BTreeSet<String> {
            keys.into_iter().filter(|key| !key.ends_with("[]")).collect()
        };
        assert_eq!((plain(added), plain(removed)), (gained, lost), "{endpoint} from {from} to {to}");
    }
}

/// What a job is seen to be: its state and, per vertex, the tasks per state.
type Seen = (String, Vec<BTreeMap<String, u64>>);

fn seen(job: &Value) -> Seen {
    let tasks = |vertex: &Value| -> BTreeMap<String, u64> {
        let tasks = vertex.get("tasks").unwrap_or(vertex).as_object().unwrap();
        let counts = tasks.iter().map(|(state, count)| (state.clone(), count.as_u64().unwrap()));
        counts.filter(|(_, count)| *count > 0).collect()
    };
    let vertices = job["vertices"].as_array().unwrap().iter().map(tasks).collect();
    (job["state"].as_str().unwrap().to_owned(), vertices)
}

/// The situation, as far as it does not depend on the instant at which somebody looks.
fn situation((state, vertices): &Seen) -> &'static str {
    let all_in =
        |wanted: &[&str]| vertices.iter().all(|tasks| tasks.keys().all(|state| wanted.contains(&state.as_str())));
    match state.as_str() {
        "RUNNING" if all_in(&["RUNNING", "FINISHED"]) => "running",
        "RUNNING" | "INITIALIZING" => "starting",
        "RESTARTING" => "restarting",
        // A recording every 50 ms can miss it.
        "FAILING" | "FAILED" => "failed",
        "FINISHED" => "finished",
        other => panic!("{other} was never recorded before the end of a recording"),
    }
}

/// Our job every 10 ms, as often as anything changes, as (ms since the submission, what is seen).
async fn our_series(runtime: &str, behaviour: &Behaviour, seconds: u64) -> Vec<(u64, Seen)> {
    let plane = plane();
    plane.start(&spec(runtime, behaviour, Duration::from_secs(1))).await.unwrap();
    let mut series: Vec<(u64, Seen)> = Vec::new();
    for millisecond in (0..seconds * 1000).step_by(10) {
        // Not through /jobs/:id, whose cache would hide most of it.
        let view = plane.with_job(APPLICATION, |job, now| job.cluster.play.view(now)).unwrap();
        let tasks = |vertex: &play::Vertex| {
            vertex.tasks.iter().map(|(task, count)| (task.name().to_owned(), u64::from(*count))).collect()
        };
        let now = (view.status.name().to_owned(), view.vertices.iter().map(tasks).collect());
        if series.last().is_none_or(|(_, last)| *last != now) {
            series.push((millisecond, now));
        }
        plane.clock.sleep(Duration::from_millis(10)).await;
    }
    series
}

fn recorded_series(series: &str, variant: &str) -> Vec<Seen> {
    let series: BTreeMap<String, Vec<Value>> = serde_json::from_str(series).unwrap();
    let seen = series[variant].iter().map(seen);
    // The recorder ended what had not ended by itself.
    seen.take_while(|(state, _)| state != "CANCELLING" && state != "CANCELED").collect()
}

fn collapsed<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.dedup();
    items
}

fn is_subsequence<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|item| whole.any(|other| other == item))
}

#[tokio::test(start_paused = true)]
async fn jobs_go_through_the_recorded_situations_in_order() {
    for (runtime, _, series) in RELEASES {
        for variant in ["healthy", "open-fails", "fails-after-ms", "slow-init", "bounded", "no-restart"] {
            let recorded_states = recorded_series(series, variant);
            let recorded_situations = collapsed(recorded_states.iter().map(situation));
            let ours = our_series(runtime, &recorded(variant), 15).await;
            let our_situations = collapsed(ours.iter().map(|(_, seen)| situation(seen)));
            let context = format!("{runtime} {variant}: recorded {recorded_situations:?}, ours {our_situations:?}");
            // A recording every 50 ms misses some; what it saw, we go through.
            assert!(is_subsequence(&recorded_situations, &our_situations), "{context}");
            // And what lasts with us was seen there, task for task, except for the slower start of a cold cluster.
            for ((began, state), (ended, _)) in ours.iter().zip(&ours[1..]) {
                let cold_start = *began < 1_300 && situation(state) == "starting";
                if ended - began >= 200 && !cold_start {
                    assert!(recorded_states.contains(state), "{context}: {state:?} was never recorded");
                }
            }
            let (_, last) = ours.last().unwrap();
            assert!(recorded_states.contains(last) || situation(last) == "starting", "{context}: ends with {last:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_job_starts_through_exactly_the_recorded_states() {
    let mut matched = 0;
    for (runtime, _, series) in RELEASES {
        let recorded_states = collapsed(recorded_series(series, "healthy"));
        let ours: Vec<Seen> =
            our_series(runtime, &recorded("healthy"), 8).await.into_iter().map(|(_, seen)| seen).collect();
        assert!(is_subsequence(&recorded_states, &ours), "{runtime}: {recorded_states:?} of {ours:?}");
        matched += usize::from(recorded_states == ours);
    }
    assert_eq!(matched, 2, "the recording of 2.2.1 missed one state, by a stray error");
}

/// One line of a recorded quarter of an hour.
#[derive(serde::Deserialize)]
struct Sample {
    t: f64,
    state: String,
    vertices: Vec<BTreeMap<String, u64>>,
    restarts: Option<String>,
    completed: Option<String>,
    failed: Option<String>,
}

/// Plays a recorded quarter of an hour as its recorder looked at it, a sample a second, and compares.
async fn compare_quarter_of_an_hour(recording: &str, behaviour: &Behaviour, checkpoints_too: bool) {
    let mut lines = recording.lines();
    let header: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    let name = header["name"].as_str().unwrap();
    let samples: Vec<Sample> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();

    let plane = plane();
    plane.start(&spec("FLINK-1_20", behaviour, Duration::from_mins(1))).await.unwrap();
    plane.clock.sleep(Duration::from_millis(600)).await;
    let job = get(&plane, "/jobs").await["jobs"][0]["id"].as_str().unwrap().to_owned();
    let mut ours: Vec<(f64, &'static str)> = Vec::new();
    let mut figures = BTreeMap::new();
    for second in 0..900_u32 {
        let details = get(&plane, &format!("/jobs/{job}")).await;
        let metrics = get(&plane, &format!("/jobs/{job}/{METRICS}")).await;
        for metric in metrics.as_array().unwrap() {
            figures.insert(metric["id"].as_str().unwrap().to_owned(), metric["value"].as_str().unwrap().to_owned());
        }
        ours.push((f64::from(second), situation(&seen(&details))));
        plane.clock.sleep(Duration::from_secs(1)).await;
    }

    // After a restart tasks start within 0.1 s: that a sample shows it is luck; everything else is compared.
    let transitions = |series: Vec<(f64, &'static str)>| {
        let mut transitions: Vec<(f64, &'static str)> =
            series.into_iter().filter(|(time, situation)| *situation != "starting" || *time < 4.0).collect();
        transitions.dedup_by_key(|(_, situation)| *situation);
        transitions
    };
    let recorded_transitions = transitions(
        samples.iter().map(|sample| (sample.t, situation(&(sample.state.clone(), sample.vertices.clone())))).collect(),
    );
    let ours = transitions(ours);
    assert_eq!(ours.len(), recorded_transitions.len(), "{name}: {ours:?} {recorded_transitions:?}");
    for ((our_time, our_situation), (time, situation)) in ours.iter().zip(&recorded_transitions) {
        assert_eq!(our_situation, situation, "{name}");
        // Each side looks through a cache of 3 s, and real restarts take a little longer each time.
        assert!((our_time - time).abs() <= 6.0, "{name}: {situation} at {our_time} s, recorded at {time} s");
    }

    let last = samples.last().unwrap();
    let near = |id: &str, recorded: &Option<String>, tolerance: i64| {
        let recorded: i64 = recorded.as_deref().unwrap().parse().unwrap();
        let ours: i64 = figures[id].parse().unwrap();
        assert!((ours - recorded).abs() <= tolerance, "{name}: {id} {ours}, recorded {recorded}");
    };
    near("numRestarts", &last.restarts, 1);
    near("fullRestarts", &last.restarts, 1);
    if checkpoints_too {
        near("numberOfCompletedCheckpoints", &last.completed, 1);
        near("numberOfFailedCheckpoints", &last.failed, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn quarters_of_an_hour_pass_as_recorded() {
    let fixed = RestartDelay::Fixed { seconds: 10 };
    let healthy = Behaviour::healthy().restarting(fixed);
    compare_quarter_of_an_hour(include_str!("../../fixtures/flink/long/1.20.5-healthy.jsonl"), &healthy, true).await;
    let dies = Behaviour::from(JobFault::FailsAfter { seconds: 40, times: None }).restarting(fixed);
    // Flink's first checkpoint after a restart comes at random, so that how many complete in 40 s is luck.
    compare_quarter_of_an_hour(
        include_str!("../../fixtures/flink/long/1.20.5-fails-after-40s-fixed10.jsonl"),
        &dies,
        false,
    )
    .await;
    let open = Behaviour::from(JobFault::OpenFails).restarting(fixed);
    compare_quarter_of_an_hour(include_str!("../../fixtures/flink/long/1.20.5-open-fails-fixed10.jsonl"), &open, false)
        .await;
    let once = JobFault::FailsAfter { seconds: 60, times: Some(1) }.into();
    compare_quarter_of_an_hour(include_str!("../../fixtures/flink/long/1.20.5-one-failure-at-60s.jsonl"), &once, true)
        .await;
    let slow = JobFault::SlowRestore { seconds: 360 }.into();
    compare_quarter_of_an_hour(include_str!("../../fixtures/flink/long/1.20.5-slow-init-6min.jsonl"), &slow, true)
        .await;
}
