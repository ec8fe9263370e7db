//! The Runtime API with real processes that run the real `lambda_runtime`. Time is real here, and nothing is said of it.

use std::process::ExitStatus;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};

use super::*;
use crate::{Engine, ExecutionInput, StateMachine, Unobserved};

/// What the functions of these tests run: this test binary, as [`acts_as_a_function`].
fn bootstrap() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bootstrap"))
}

fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([("TEST_BINARY".to_owned(), std::env::current_exe().unwrap().display().to_string())])
}

/// Not a test, but the function that the tests call, in a process of its own.
#[tokio::test]
#[ignore = "run by tests/bootstrap, with a Runtime API to poll"]
async fn acts_as_a_function() {
    lambda_runtime::run(service_fn(handle)).await.unwrap();
}

/// A failure with the name that the event gave it.
#[derive(Debug)]
struct Named(String);

impl From<Named> for Diagnostic {
    fn from(Named(name): Named) -> Self {
        Self { error_message: format!("asked to fail as {name}"), error_type: name }
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Named> {
    let LambdaEvent { payload, context } = event;
    let detail = payload.get("detail").cloned().unwrap_or_default();
    match payload.get("do").and_then(Value::as_str) {
        Some("echo") => Ok(detail),
        Some("fail") => Err(Named(detail.as_str().unwrap_or("Unnamed").to_owned())),
        Some("panic") => panic!("asked to panic"),
        Some("exit") => std::process::exit(3),
        Some("hang") => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            Ok(Value::Null)
        }
        Some("log") => {
            write(&mut std::io::stdout(), "to stdout");
            write(&mut std::io::stderr(), "to stderr");
            Ok(Value::Null)
        }
        Some("late") => {
            // After the caller is gone, which the test makes sure of by not waiting.
            tokio::time::sleep(Duration::from_millis(50)).await;
            write(&mut std::io::stdout(), "to the end");
            Ok(Value::Null)
        }
        Some("large") => Ok(Value::String("x".repeat(7_000_000))),
        _ => Ok(json!({
            "pid": std::process::id(),
            "arn": context.invoked_function_arn,
            "function": context.env_config.function_name,
            "memory": context.env_config.memory,
            "variables": std::env::vars().map(|(name, _)| name).collect::<Vec<_>>(),
        })),
    }
}

fn write(stream: &mut impl std::io::Write, line: &str) {
    // The test that reads the line notices if it is missing.
    let _ = writeln!(stream, "{line}");
}

fn functions(timeout: Duration, sink: LogSink) -> LambdaFunctions {
    let function = Function { binary: bootstrap(), environment: environment(), timeout, memory_megabytes: 256 };
    let absent = Function { binary: PathBuf::from("no/such/binary"), ..function.clone() };
    LambdaFunctions::new(BTreeMap::from([("f".to_owned(), function), ("absent".to_owned(), absent)]), sink)
}

fn patient() -> LambdaFunctions {
    functions(Duration::from_mins(1), Arc::new(|_| {}))
}

async fn pid(functions: &LambdaFunctions) -> u64 {
    functions.invoke("f", json!({})).await.unwrap()["pid"].as_u64().unwrap()
}

#[tokio::test]
async fn a_warm_process_answers_again_and_has_only_the_environment_it_was_given() {
    let functions = patient();
    let answer = functions.invoke("f", json!({ "do": "echo", "detail": [1, "ü"] })).await;
    assert_eq!(answer, Ok(json!([1, "ü"])));
    let about = functions.invoke("f", json!({})).await.unwrap();
    assert_eq!(about["arn"], "arn:aws:lambda:us-east-1:123456789012:function:f");
    assert_eq!((&about["function"], &about["memory"]), (&json!("f"), &json!(256)));
    let variables: Vec<&str> = about["variables"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(variables.contains(&"TEST_BINARY") && !variables.contains(&"HOME"), "{variables:?}");
    assert_eq!(pid(&functions).await, about["pid"].as_u64().unwrap());
    functions.shutdown().await;
}

#[tokio::test]
async fn failures_have_their_names_and_the_process_outlives_them() {
    let functions = patient();
    let before = pid(&functions).await;
    let error = functions.invoke("f", json!({ "do": "fail", "detail": "Throttled" })).await.unwrap_err();
    assert_eq!(error.error, "Throttled");
    let document: Value = serde_json::from_str(&error.cause).unwrap();
    assert_eq!(document, json!({ "errorType": "Throttled", "errorMessage": "asked to fail as Throttled" }));
    let error = functions.invoke("f", json!({ "do": "panic" })).await.unwrap_err();
    assert!(error.cause.contains("asked to panic"), "{error}");
    assert_eq!(pid(&functions).await, before);
}

#[tokio::test]
async fn an_exit_is_named_and_the_next_call_gets_a_new_process() {
    let functions = patient();
    let before = pid(&functions).await;
    let error = functions.invoke("f", json!({ "do": "exit" })).await.unwrap_err();
    assert_eq!(error.error, "Runtime.ExitError");
    assert!(error.cause.contains("exit status: 3"), "{error}");
    assert_ne!(pid(&functions).await, before);
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_killed() {
    let functions = functions(Duration::from_millis(500), Arc::new(|_| {}));
    let error = functions.invoke("f", json!({ "do": "hang" })).await.unwrap_err();
    assert_eq!(error.error, "Sandbox.Timedout");
    assert!(error.cause.contains("Task timed out after 0.50 seconds"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let functions = patient();
    let errors = [("g", "Lambda.ResourceNotFoundException"), ("absent", "Runtime.InvalidEntrypoint")];
    for (name, expected) in errors {
        assert_eq!(functions.invoke(name, json!({})).await.unwrap_err().error, expected);
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_an_error() {
    let error = patient().invoke("f", json!({ "do": "large" })).await.unwrap_err();
    assert_eq!(error.error, "Function.ResponseSizeTooLarge");
}

#[tokio::test]
async fn calls_at_once_get_a_process_each() {
    let functions = patient();
    let hanging = functions.invoke("f", json!({ "do": "hang" }));
    tokio::select! {
        answer = hanging => panic!("it was to hang: {answer:?}"),
        answer = functions.invoke("f", json!({ "do": "echo", "detail": 2 })) => assert_eq!(answer, Ok(json!(2))),
    }
}

#[tokio::test]
async fn lines_reach_the_sink() {
    let (lines, mut written) = mpsc::unbounded_channel();
    let sink: LogSink = Arc::new(move |line: LogLine<'_>| {
        let _ = lines.send((line.function.to_owned(), line.stream, line.line.to_owned()));
    });
    let functions = functions(Duration::from_mins(1), sink);
    functions.invoke("f", json!({ "do": "log" })).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let (function, stream, line) = written.recv().await.unwrap();
        if line.starts_with("to ") {
            seen.push((function, stream, line));
        }
    }
    seen.sort_by_key(|(.., line)| line.clone());
    let line = |stream, line: &str| ("f".to_owned(), stream, line.to_owned());
    assert_eq!(seen, [line(Stream::Stderr, "to stderr"), line(Stream::Stdout, "to stdout")]);
}

#[tokio::test]
async fn an_invocation_that_nobody_waits_for_goes_on() {
    let (lines, mut written) = mpsc::unbounded_channel();
    let sink: LogSink = Arc::new(move |line: LogLine<'_>| {
        let _ = lines.send(line.line.to_owned());
    });
    let functions = functions(Duration::from_mins(1), sink);
    let mut invocation = functions.invoke("f", json!({ "do": "late" }));
    tokio::select! {
        biased;
        answer = &mut invocation => panic!("it cannot have answered: {answer:?}"),
        () = std::future::ready(()) => drop(invocation),
    }
    while written.recv().await.unwrap() != "to the end" {}
}

#[tokio::test]
async fn a_state_machine_retries_a_real_function() {
    let retry = json!([{ "ErrorEquals": ["Runtime.ExitError"], "MaxAttempts": 1 }]);
    let definition = json!({ "QueryLanguage": "JSONata", "StartAt": "T", "States": { "T": {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {
            "FunctionName": "f",
            "Payload": {
                "do": "{% $states.context.State.RetryCount = 0 ? 'exit' : 'echo' %}",
                "detail": "{% $states.input %}",
            },
        },
        "Output": "{% $states.result.Payload %}",
        "Retry": retry,
        "TimeoutSeconds": 60,
        "End": true,
    } } });
    let machine = StateMachine::from_value(definition, &BTreeMap::new()).unwrap();
    let clock = Clock::starting_at(Timestamp::UNIX_EPOCH, 100_000);
    let engine = Engine::new(clock, Arc::new(patient()), Arc::new(Unobserved), 1).with_task_clock(Clock::wall());
    let execution = ExecutionInput { name: "real".to_owned(), input: json!({ "a": 1 }) };
    let result = engine.run(&machine, execution).await.unwrap();
    assert_eq!((result.output, result.transitions), (Some(json!({ "a": 1 })), 2));
}

/// Waits until a process is gone; a zombie that was not waited for yet counts as gone.
#[cfg(target_os = "linux")]
async fn gone(pid: u64) {
    let runs = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while runs() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_runs_after_a_drop() {
    let functions = patient();
    let idle = pid(&functions).await;
    drop(functions);
    gone(idle).await;
}

#[test]
fn a_function_ends_when_its_runtime_api_is_gone() {
    let (_sender, next) = mpsc::channel(1);
    let api =
        RuntimeApi { next: tokio::sync::Mutex::new(next), current: Mutex::default(), init_error: Mutex::default() };
    let polled = Arc::new(tokio::sync::Notify::new());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
    let (address, polls) = runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let polls = Arc::clone(&polled);
        let router = router(Arc::new(api)).layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                polled.notify_one();
                next.run(request)
            },
        ));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, polls)
    });
    let mut child = std::process::Command::new(bootstrap())
        .env_clear()
        .envs(environment())
        .envs(lambda_environment("f", 128))
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    runtime.block_on(polls.notified());
    runtime.shutdown_background();
    let status: ExitStatus = child.wait().unwrap();
    assert!(!status.success());
}
