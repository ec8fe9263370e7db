//! Where notifications end: SNS `Publish` and EventBridge `PutEvents`, keeping what they were sent so that a test can look
//! at it, and refusing it when told to.
//!
//! One [`Sinks`] belongs to each emulator, which hands over the requests of both services.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clock::Clock;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::wire::{HttpResponse, Protocol, Service, answer, error_answer, json_answer};

/// Something that was published.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// When.
    pub at: Timestamp,
    /// What.
    pub content: Content,
}

/// What was published, and where.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A message to an SNS topic.
    Message {
        /// ARN of the topic.
        topic: String,
        /// Subject, which only e-mail shows.
        subject: Option<String>,
        /// Body.
        message: String,
    },
    /// An event on an EventBridge bus.
    Event {
        /// Name or ARN of the bus.
        bus: String,
        /// Who says it.
        source: String,
        /// What kind of event it is.
        detail_type: String,
        /// The event.
        detail: Value,
    },
}

#[derive(Debug, Default)]
struct State {
    published: Vec<Published>,
    refusal: Option<String>,
    requests: u64,
}

/// SNS and EventBridge. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Sinks {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

impl Sinks {
    /// Sinks that have been sent nothing.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was published, in order.
    pub fn published(&self) -> Vec<Published> {
        self.lock().published.clone()
    }

    /// Refuses all from now on with this error code: SNS by an error, EventBridge by an answer of 200 in which every entry
    /// failed. None takes everything again.
    pub fn refuse(&self, code: Option<&str>) {
        self.lock().refusal = code.map(str::to_owned);
    }

    /// Answers an operation of SNS (query protocol) or EventBridge (JSON 1.1).
    pub(crate) fn handle(&self, service: Service, operation: &str, body: &[u8]) -> HttpResponse {
        match (service, operation) {
            (Service::Sns, "Publish") => self.publish(body),
            (Service::EventBridge, "PutEvents") => self.put_events(body),
            (Service::Sns, _) => unknown(Protocol::Query, operation),
            _ => unknown(Protocol::Json11, operation),
        }
    }

    fn next_id(&self) -> String {
        let mut state = self.lock();
        state.requests += 1;
        format!("00000000-0000-4000-9000-{:012x}", state.requests)
    }

    fn keep(&self, content: Content) {
        let at = self.clock.now();
        self.lock().published.push(Published { at, content });
    }

    fn publish(&self, body: &[u8]) -> HttpResponse {
        let refuse = |code: &str, message: &str| error_answer(Protocol::Query, 400, code, message);
        let field = |name: &str| {
            url::form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let Some(topic) = field("TopicArn").filter(|topic| topic.starts_with("arn:")) else {
            return refuse("InvalidParameter", "Invalid parameter: TopicArn");
        };
        let Some(message) = field("Message").filter(|message| !message.is_empty()) else {
            return refuse("InvalidParameter", "Invalid parameter: Empty message");
        };
        let subject = field("Subject");
        if subject.as_ref().is_some_and(|subject| subject.is_empty() || subject.len() > 100 || subject.contains('\n')) {
            return refuse("InvalidParameter", "Invalid parameter: Subject");
        }
        let refusal = self.lock().refusal.clone();
        if let Some(code) = refusal {
            return refuse(&code, "refused by the emulator");
        }
        self.keep(Content::Message { topic, subject, message });
        let id = self.next_id();
        let xml = format!(
            "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>{id}</MessageId>\
             </PublishResult><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></PublishResponse>"
        );
        answer(StatusCode::OK, "text/xml", xml)
    }

    fn put_events(&self, body: &[u8]) -> HttpResponse {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let entries = request["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if entries.is_empty() || entries.len() > 10 {
            return error_answer(Protocol::Json11, 400, "ValidationException", "Entries has from 1 to 10 members");
        }
        let mut failed = 0;
        let mut answers = Vec::new();
        for entry in entries {
            let taken = self.lock().refusal.clone().map_or_else(|| event(entry), Err);
            answers.push(match taken {
                Ok(event) => {
                    self.keep(event);
                    json!({ "EventId": self.next_id() })
                }
                Err(code) => {
                    failed += 1;
                    json!({ "ErrorCode": code, "ErrorMessage": "the entry was not taken" })
                }
            });
        }
        json_answer(StatusCode::OK, &json!({ "FailedEntryCount": failed, "Entries": answers }))
    }
}

fn unknown(protocol: Protocol, operation: &str) -> HttpResponse {
    error_answer(protocol, 400, "UnknownOperationException", &format!("the emulator does not know {operation}"))
}

/// Reads an entry of `PutEvents`, or says which error code it gets.
fn event(entry: &Value) -> Result<Content, String> {
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    let (Some(source), Some(detail_type)) = (text("Source"), text("DetailType")) else {
        return Err("InvalidArgument".to_owned());
    };
    let detail = text("Detail").and_then(|detail| serde_json::from_str::<Value>(detail).ok());
    let Some(detail) = detail.filter(Value::is_object) else { return Err("MalformedDetail".to_owned()) };
    Ok(Content::Event {
        bus: text("EventBusName").unwrap_or("default").to_owned(),
        source: source.to_owned(),
        detail_type: detail_type.to_owned(),
        detail,
    })
}

#[cfg(test)]
mod tests;
