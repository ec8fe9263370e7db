//! The protocols of the wire: which service and operation a request names, who signed it, and how an error is written in
//! each of them.

use bytes::Bytes;
use ciborium::Value as Cbor;
use http::{HeaderMap, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::s3::{self, S3Request};

/// A request as the emulator takes it.
pub type HttpRequest = Request<Bytes>;

/// An answer as the emulator gives it.
pub type HttpResponse = Response<Bytes>;

/// An extension of an answer that stands for no answer at all: the connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionReset;

/// How a service's errors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// AWS JSON 1.1 (kinesisanalyticsv2, CloudWatch Logs, EventBridge).
    Json11,
    /// AWS JSON 1.0 (DynamoDB, Step Functions, CloudWatch's newer SDKs), with the namespace of the service's errors.
    Json10(&'static str),
    /// Smithy RPC v2 with CBOR (CloudWatch, newest SDKs).
    Cbor,
    /// AWS query, form in and XML out (SNS, CloudWatch's older SDKs).
    Query,
    /// REST with XML (S3).
    S3,
    /// Flink's REST API, and the emulator's own calls.
    Rest,
}

/// The services that answer here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Managed Service for Apache Flink.
    ManagedFlink,
    /// Flink's REST API behind a presigned URL.
    Flink,
    /// CloudWatch.
    CloudWatch,
    /// CloudWatch Logs.
    Logs,
    /// SNS.
    Sns,
    /// EventBridge.
    EventBridge,
    /// DynamoDB.
    DynamoDb,
    /// Step Functions.
    StepFunctions,
    /// S3, as far as uploads of code need it.
    S3,
    /// Control calls of the emulator itself.
    Emulator,
    /// None of them.
    Unknown,
}

impl Service {
    /// The name in the record and before the colon in a fault's `operation`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ManagedFlink => "kinesisanalyticsv2",
            Self::Flink => "flink",
            Self::CloudWatch => "cloudwatch",
            Self::Logs => "logs",
            Self::Sns => "sns",
            Self::EventBridge => "events",
            Self::DynamoDb => "dynamodb",
            Self::StepFunctions => "states",
            Self::S3 => "s3",
            Self::Emulator => "emulator",
            Self::Unknown => "unknown",
        }
    }
}

/// What a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identified {
    pub(crate) service: Service,
    /// Name of the operation; for REST the path and query without the token.
    pub(crate) operation: String,
    pub(crate) protocol: Protocol,
}

impl Identified {
    /// The name by which faults call it.
    pub(crate) fn fault_name(&self) -> String {
        match self.service {
            Service::ManagedFlink => self.operation.clone(),
            other => format!("{}:{}", other.name(), self.operation),
        }
    }
}

/// What the errors of CloudWatch, DynamoDB and Step Functions begin with.
pub(crate) const CLOUDWATCH: &str = "com.amazonaws.cloudwatch";
pub(crate) const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810";
pub(crate) const STEP_FUNCTIONS: &str = "com.amazonaws.swf.service.v2.model";

/// Path below which Flink's dashboard and REST API answer.
pub(crate) const DASHBOARD: &str = "/flinkdashboard";

/// Finds out what a request is.
pub(crate) fn identify(request: &HttpRequest) -> Identified {
    let of = |service, operation: &str, protocol| Identified { service, operation: operation.to_owned(), protocol };
    if s3::is_s3(request.headers()) {
        return of(Service::S3, &S3Request::of(request).operation, Protocol::S3);
    }
    let path = request.uri().path();
    if let Some(operation) = path.strip_prefix("/_emulator/") {
        return of(Service::Emulator, operation, Protocol::Rest);
    }
    if let Some(rest) = path.strip_prefix(DASHBOARD)
        && (rest.is_empty() || rest.starts_with('/'))
    {
        let query = without_token(request.uri().query().unwrap_or_default());
        let separator = if query.is_empty() { "" } else { "?" };
        let rest = if rest.is_empty() { "/" } else { rest };
        return of(Service::Flink, &format!("{rest}{separator}{query}"), Protocol::Rest);
    }
    if let Some(operation) = path.strip_prefix("/service/GraniteServiceVersion20100801/operation/") {
        return of(Service::CloudWatch, operation, Protocol::Cbor);
    }
    if let Some((target, operation)) = text_header(request.headers(), "x-amz-target").and_then(|it| it.split_once('.'))
    {
        match target {
            "KinesisAnalytics_20180523" => return of(Service::ManagedFlink, operation, Protocol::Json11),
            "GraniteServiceVersion20100801" => return of(Service::CloudWatch, operation, Protocol::Json10(CLOUDWATCH)),
            "DynamoDB_20120810" => return of(Service::DynamoDb, operation, Protocol::Json10(DYNAMODB)),
            "AWSStepFunctions" => return of(Service::StepFunctions, operation, Protocol::Json10(STEP_FUNCTIONS)),
            "Logs_20140328" => return of(Service::Logs, operation, Protocol::Json11),
            "AWSEvents" => return of(Service::EventBridge, operation, Protocol::Json11),
            _ => {}
        }
    }
    let form = std::str::from_utf8(request.body()).unwrap_or_default();
    let field = |name: &str| form.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    if let (Some((_, action)), Some((_, version))) = (field("Action"), field("Version")) {
        match version {
            "2010-08-01" => return of(Service::CloudWatch, action, Protocol::Query),
            "2010-03-31" => return of(Service::Sns, action, Protocol::Query),
            _ => {}
        }
    }
    of(Service::Unknown, path, Protocol::Json11)
}

/// A query string without its `authToken`.
pub(crate) fn without_token(query: &str) -> String {
    query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("authToken=")).collect::<Vec<_>>().join("&")
}

/// The access key id that signed the request.
pub(crate) fn principal(headers: &HeaderMap) -> Option<String> {
    let authorization = text_header(headers, header::AUTHORIZATION.as_str())?;
    let (_, credential) = authorization.split_once("Credential=")?;
    credential.split_once('/').map(|(key, _)| key.to_owned())
}

/// A header's text.
pub(crate) fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An answer with a JSON body, as AWS JSON 1.1.
pub(crate) fn json_answer(status: StatusCode, body: &Value) -> HttpResponse {
    answer(status, "application/x-amz-json-1.1", body.to_string())
}

/// An answer with a JSON body, as AWS JSON 1.0.
pub(crate) fn json10_answer(status: StatusCode, body: &Value) -> HttpResponse {
    answer(status, "application/x-amz-json-1.0", body.to_string())
}

/// An answer of a status, a content type and a body.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// An error as the protocol writes it.
pub(crate) fn error_answer(protocol: Protocol, status: u16, code: &str, message: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match protocol {
        Protocol::Json11 => json_answer(status, &json!({ "__type": code, "message": message, "Message": message })),
        Protocol::Json10(namespace) => {
            json10_answer(status, &json!({ "__type": format!("{namespace}#{code}"), "message": message }))
        }
        Protocol::Cbor => {
            let text = |text: &str| Cbor::Text(text.to_owned());
            let body = Cbor::Map(vec![
                (text("__type"), text(&format!("{CLOUDWATCH}#{code}"))),
                (text("message"), text(message)),
            ]);
            let mut bytes = Vec::new();
            // Writing to a Vec cannot fail; were the body empty, the status would still tell.
            if let Err(error) = ciborium::into_writer(&body, &mut bytes) {
                tracing::error!(%error, "cannot write an error as CBOR");
            }
            let mut response = answer(status, "application/cbor", bytes);
            response.headers_mut().insert("smithy-protocol", header::HeaderValue::from_static("rpc-v2-cbor"));
            response
        }
        Protocol::Query => {
            let side = if status.is_server_error() { "Receiver" } else { "Sender" };
            let (code, message) = (escape_xml(code), escape_xml(message));
            let body = format!(
                "<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            );
            answer(status, "text/xml", body)
        }
        Protocol::S3 => {
            let (code, message) = (escape_xml(code), escape_xml(message));
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
            );
            answer(status, "application/xml", body)
        }
        Protocol::Rest => answer(status, "application/json", json!({ "errors": [message] }).to_string()),
    };
    if protocol != Protocol::Rest
        && let Ok(value) = header::HeaderValue::from_str(code)
    {
        response.headers_mut().insert("x-amzn-errortype", value);
    }
    response
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)], body: &'static str) -> HttpRequest {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn what_requests_are() {
        let table = [
            (
                request("/", &[("x-amz-target", "KinesisAnalytics_20180523.StopApplication")], "{}"),
                (Service::ManagedFlink, "StopApplication", Protocol::Json11),
                "StopApplication",
            ),
            (
                request("/service/GraniteServiceVersion20100801/operation/GetMetricData", &[], ""),
                (Service::CloudWatch, "GetMetricData", Protocol::Cbor),
                "cloudwatch:GetMetricData",
            ),
            (
                request("/", &[("x-amz-target", "GraniteServiceVersion20100801.DescribeAlarms")], "{}"),
                (Service::CloudWatch, "DescribeAlarms", Protocol::Json10(CLOUDWATCH)),
                "cloudwatch:DescribeAlarms",
            ),
            (
                request("/", &[("x-amz-target", "DynamoDB_20120810.PutItem")], "{}"),
                (Service::DynamoDb, "PutItem", Protocol::Json10(DYNAMODB)),
                "dynamodb:PutItem",
            ),
            (
                request("/", &[("x-amz-target", "AWSStepFunctions.StartExecution")], "{}"),
                (Service::StepFunctions, "StartExecution", Protocol::Json10(STEP_FUNCTIONS)),
                "states:StartExecution",
            ),
            (
                request("/", &[], "Action=DescribeAlarms&Version=2010-08-01"),
                (Service::CloudWatch, "DescribeAlarms", Protocol::Query),
                "cloudwatch:DescribeAlarms",
            ),
            (
                request("/", &[], "Version=2010-03-31&Action=Publish&TopicArn=x"),
                (Service::Sns, "Publish", Protocol::Query),
                "sns:Publish",
            ),
            (
                request("/", &[("x-amz-target", "AWSEvents.PutEvents")], "{}"),
                (Service::EventBridge, "PutEvents", Protocol::Json11),
                "events:PutEvents",
            ),
            (
                request("/", &[("x-amz-target", "Logs_20140328.FilterLogEvents")], "{}"),
                (Service::Logs, "FilterLogEvents", Protocol::Json11),
                "logs:FilterLogEvents",
            ),
            (
                request("/flinkdashboard/jobs/overview?authToken=x&get=a", &[], ""),
                (Service::Flink, "/jobs/overview?get=a", Protocol::Rest),
                "flink:/jobs/overview?get=a",
            ),
            (
                request(
                    "/flinkdashboard/a.jar",
                    &[("authorization", "AWS4-HMAC-SHA256 Credential=A/1/r/s3/aws4_request")],
                    "",
                ),
                (Service::S3, "GetObject", Protocol::S3),
                "s3:GetObject",
            ),
            (request("/flinkdashboard?authToken=x", &[], ""), (Service::Flink, "/", Protocol::Rest), "flink:/"),
            (
                request("/_emulator/maintenance", &[], ""),
                (Service::Emulator, "maintenance", Protocol::Rest),
                "emulator:maintenance",
            ),
            (
                request("/flinkdashboards", &[], ""),
                (Service::Unknown, "/flinkdashboards", Protocol::Json11),
                "unknown:/flinkdashboards",
            ),
        ];
        for (request, (service, operation, protocol), fault_name) in table {
            let identified = identify(&request);
            assert_eq!(identified, Identified { service, operation: operation.to_owned(), protocol });
            assert_eq!(identified.fault_name(), fault_name);
        }
    }

    #[test]
    fn who_signed() {
        let value =
            "AWS4-HMAC-SHA256 Credential=AKIDFIRST/20260101/us-east-1/kinesisanalytics/aws4_request, Signature=0";
        assert_eq!(principal(request("/", &[("authorization", value)], "").headers()).as_deref(), Some("AKIDFIRST"));
        assert_eq!(principal(request("/", &[], "").headers()), None);
    }

    #[test]
    fn errors_escape_what_xml_would_read() {
        let response = error_answer(Protocol::Query, 400, "ValidationError", "<a & b>");
        let body = std::str::from_utf8(response.body()).unwrap();
        assert!(body.contains("<Message>&lt;a &amp; b&gt;</Message>"), "{body}");
    }
}
