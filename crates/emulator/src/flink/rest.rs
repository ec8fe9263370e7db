//! The calls of Flink's REST API that run jobs, over HTTP on the loopback interface. Reading calls are retried, since
//! Flink answers 503 for a moment after start-up and now and then a stray 500; acting ones only where Flink said that it
//! was not ready to act.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::FlinkError;

/// How long a reading call may take, each time.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a reading call is tried.
const READ_ATTEMPTS: u32 = 5;
/// Wait between two tries, and between two looks at an operation.
const PAUSE: Duration = Duration::from_millis(50);
/// How often an acting call that found Flink not ready is tried: half a minute in all.
const READY_ATTEMPTS: u32 = 600;
const BOUNDARY: &str = "----emulator-flink-jar";

/// A client of one cluster's REST API.
#[derive(Debug, Clone)]
pub(super) struct FlinkRest<'a> {
    http: &'a Client,
    address: &'a str,
}

/// What a job is run with.
pub(super) struct Run<'a> {
    /// Id of the uploaded JAR.
    pub(super) jar: &'a str,
    pub(super) parallelism: u32,
    pub(super) savepoint: Option<&'a str>,
    pub(super) allow_non_restored_state: bool,
}

impl<'a> FlinkRest<'a> {
    pub(super) fn new(http: &'a Client, address: &'a str) -> Self {
        Self { http, address }
    }

    /// A client for [`FlinkRest::new`]: it never goes through a proxy.
    pub(super) fn http_client() -> Result<Client, FlinkError> {
        Client::builder().no_proxy().build().map_err(FlinkError::Http)
    }

    /// One GET, as it is answered.
    pub(super) async fn proxy(&self, path_and_query: &str) -> Result<(StatusCode, Bytes), reqwest::Error> {
        let address = format!("{}{path_and_query}", self.address);
        let response = self.http.get(address).timeout(READ_TIMEOUT).send().await?;
        let status = response.status();
        Ok((status, response.bytes().await?))
    }

    /// A GET that must succeed, retried.
    pub(super) async fn get(&self, path_and_query: &str) -> Result<Value, FlinkError> {
        let mut attempt = 1;
        loop {
            let failure = match self.proxy(path_and_query).await {
                Ok((status, body)) if status.is_success() => return parse(&body),
                Ok((status, body)) => refused(status, &body),
                Err(error) => FlinkError::Http(error),
            };
            if attempt == READ_ATTEMPTS {
                return Err(failure);
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn act(&self, path: &str, content_type: &str, body: Bytes) -> Result<Value, FlinkError> {
        let address = format!("{}{path}", self.address);
        let mut attempt = 1;
        loop {
            let request = self.http.request(Method::POST, &address).header("content-type", content_type);
            let response = request.body(body.clone()).send().await.map_err(FlinkError::Http)?;
            let status = response.status();
            let answer = response.bytes().await.map_err(FlinkError::Http)?;
            if status.is_success() {
                return parse(&answer);
            }
            if status != StatusCode::SERVICE_UNAVAILABLE || attempt == READY_ATTEMPTS {
                return Err(refused(status, &answer));
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, FlinkError> {
        self.act(path, "application/json", Bytes::from(body.to_string())).await
    }

    /// Uploads a JAR; returns its id.
    pub(super) async fn upload(&self, jar: &[u8]) -> Result<String, FlinkError> {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"application.jar\"\r\n\
             Content-Type: application/java-archive\r\n\r\n"
        );
        let body = [head.as_bytes(), jar, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let answer = self.act("/jars/upload", &content_type, body.into()).await?;
        let file = text(&answer, "/filename")?;
        Ok(file.rsplit('/').next().unwrap_or(file).to_owned())
    }

    /// Runs an uploaded JAR; returns the job's id.
    pub(super) async fn run(&self, run: &Run<'_>) -> Result<String, FlinkError> {
        let mut body = json!({
            "parallelism": run.parallelism,
            "allowNonRestoredState": run.allow_non_restored_state,
            "programArgsList": [],
        });
        if let Some(savepoint) = run.savepoint {
            body["savepointPath"] = json!(savepoint);
        }
        let answer = self.post(&format!("/jars/{}/run", run.jar), body).await?;
        Ok(text(&answer, "/jobid")?.to_owned())
    }

    /// Takes a savepoint under `directory`; returns its location.
    pub(super) async fn savepoint(&self, job: &str, directory: &str) -> Result<String, FlinkError> {
        let body = json!({ "target-directory": directory, "cancel-job": false });
        let answer = self.post(&format!("/jobs/{job}/savepoints"), body).await?;
        self.location(job, text(&answer, "/request-id")?).await
    }

    /// Takes a savepoint under `directory` and stops the job; returns its location.
    pub(super) async fn stop(&self, job: &str, directory: &str) -> Result<String, FlinkError> {
        let body = json!({ "targetDirectory": directory, "drain": false });
        let answer = self.post(&format!("/jobs/{job}/stop"), body).await?;
        self.location(job, text(&answer, "/request-id")?).await
    }

    /// Waits for a savepoint; Flink itself limits how long one may take (`execution.checkpointing.timeout`).
    async fn location(&self, job: &str, trigger: &str) -> Result<String, FlinkError> {
        loop {
            let answer = self.get(&format!("/jobs/{job}/savepoints/{trigger}")).await?;
            if text(&answer, "/status/id")? == "COMPLETED" {
                if let Some(trace) = answer.pointer("/operation/failure-cause/stack-trace").and_then(Value::as_str) {
                    return Err(FlinkError::Refused { reason: root_cause(trace) });
                }
                return Ok(text(&answer, "/operation/location")?.to_owned());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn parse(body: &[u8]) -> Result<Value, FlinkError> {
    serde_json::from_slice(body).map_err(|error| FlinkError::Answer { what: error.to_string() })
}

fn text<'a>(answer: &'a Value, pointer: &str) -> Result<&'a str, FlinkError> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| FlinkError::Answer { what: format!("it has no {pointer}") })
}

/// Flink answers errors as `{"errors": [TEXT, …]}`, with a stack trace in the last one.
fn refused(status: StatusCode, body: &[u8]) -> FlinkError {
    let errors: Vec<String> = serde_json::from_slice(body)
        .ok()
        .and_then(|answer: Value| serde_json::from_value(answer.get("errors")?.clone()).ok())
        .unwrap_or_default();
    let reason = errors.last().map_or_else(|| format!("Flink answered {status}"), |error| root_cause(error));
    FlinkError::Refused { reason }
}

/// The innermost cause of a stack trace, as `class: message`.
fn root_cause(trace: &str) -> String {
    let is_frame = |line: &str| line.trim_start().starts_with("at ") || line.trim_start().starts_with("... ");
    let mut outermost = None;
    let mut innermost = None;
    for line in trace.lines().map(|line| line.trim_start_matches("<Exception on server side:")) {
        if let Some(cause) = line.strip_prefix("Caused by: ") {
            innermost = Some(cause);
        } else if outermost.is_none() && !line.trim().is_empty() && !is_frame(line) {
            outermost = Some(line);
        }
    }
    innermost.or(outermost).unwrap_or("no reason given").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(status: u16, body: &str) -> String {
        refused(StatusCode::from_u16(status).unwrap(), body.as_bytes()).to_string()
    }

    #[test]
    fn a_refusal_is_told_by_its_innermost_cause() {
        let body = json!({ "errors": [
            "org.apache.flink.runtime.rest.handler.RestHandlerException: Could not execute application.\n\tat x.Y.z(Y.java:1)\n\
             Caused by: org.apache.flink.client.program.ProgramInvocationException: The main method caused an error\n\tat x.Y\n\
             Caused by: java.lang.IllegalStateException: injected: main throws\n\tat faultjobs.Job.run(Job.java:20)\n\t... 7 more\n"
        ]});
        assert_eq!(reason(400, &body.to_string()), "java.lang.IllegalStateException: injected: main throws");
    }

    #[test]
    fn a_refusal_without_a_cause_is_told_by_itself() {
        let body = json!({ "errors": ["org.apache.flink.runtime.rest.handler.RestHandlerException: No jobs included in application.\n\tat x.Y"] });
        let expected = "org.apache.flink.runtime.rest.handler.RestHandlerException: No jobs included in application.";
        assert_eq!(reason(400, &body.to_string()), expected);
    }

    #[test]
    fn an_exception_on_the_server_side_is_read_too() {
        let body = json!({ "errors": [
            "Internal server error.",
            "<Exception on server side:\njava.util.concurrent.CompletionException: outer\n\tat x.Y\nCaused by: java.util.zip.ZipException: zip END header not found\n\tat x.Y\n\nEnd of exception on server side>"
        ]});
        assert_eq!(reason(500, &body.to_string()), "java.util.zip.ZipException: zip END header not found");
    }

    #[test]
    fn an_answer_that_is_no_error_of_flinks_is_told_by_its_status() {
        assert_eq!(reason(502, "<html>"), "Flink answered 502 Bad Gateway");
    }
}
