//! What reaches people and machines: messages of the topic, by a subscription of a queue, and events of the bus.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::cloud::Cloud;

/// The source of our events.
const SOURCE: &str = "managed-flink.deployments";

/// Collects them. Clones are the same.
#[derive(Debug, Clone)]
pub struct Letters {
    cloud: Cloud,
    /// URL and ARN of the queue that is subscribed to the topic.
    mail: (String, String),
    /// URL of the queue with copies of our events.
    events: String,
    /// URL of the queue with copies of S3's events.
    uploads: String,
    received: Arc<Mutex<Received>>,
}

#[derive(Debug, Default)]
struct Received {
    mail: Vec<Letter>,
    events: Vec<Value>,
    uploads: Vec<Value>,
}

/// A message of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
}

impl Letters {
    /// Makes the queues.
    ///
    /// # Errors
    /// When one cannot be made.
    pub async fn new(cloud: Cloud) -> Result<Self, String> {
        let mail = cloud.make_queue("mail").await?;
        let events = copies(&cloud, "ours", &json!({ "source": [SOURCE] })).await?;
        let uploads = copies(&cloud, "uploads", &json!({ "source": ["aws.s3"] })).await?;
        Ok(Self { cloud, mail, events, uploads, received: Arc::default() })
    }

    /// Subscribes to the topic.
    ///
    /// # Errors
    /// When SNS refuses.
    pub async fn receive_from(&self, topic: &str) -> Result<(), String> {
        self.cloud.subscribe(topic, &self.mail.1).await
    }

    /// Messages of the topic so far whose subject or text has this in it.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn mail_about(&self, text: &str) -> Result<Vec<Letter>, String> {
        self.collect().await?;
        let is_about = |letter: &&Letter| letter.subject.contains(text) || letter.text.contains(text);
        Ok(self.lock().mail.iter().filter(is_about).cloned().collect())
    }

    /// Our events so far whose detail is about this application.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn events_about(&self, application: &str) -> Result<Vec<Value>, String> {
        self.collect().await?;
        let is_about = |event: &&Value| event["detail"]["application"] == application;
        Ok(self.lock().events.iter().filter(is_about).cloned().collect())
    }

    /// S3's event of the upload of an object, as `EventBridge` delivered it; of several the newest.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn upload_of(&self, bucket: &str, key: &str) -> Result<Option<Value>, String> {
        self.collect().await?;
        let is_of =
            |event: &&Value| event["detail"]["bucket"]["name"] == bucket && event["detail"]["object"]["key"] == key;
        Ok(self.lock().uploads.iter().rev().find(is_of).cloned())
    }

    async fn collect(&self) -> Result<(), String> {
        let mail = self.cloud.take_messages(&self.mail.0).await?;
        let events = self.cloud.take_messages(&self.events).await?;
        let uploads = self.cloud.take_messages(&self.uploads).await?;
        let mut received = self.lock();
        received.mail.extend(mail.iter().map(|message| letter(&message.body)));
        received.events.extend(events.into_iter().map(|message| message.body));
        received.uploads.extend(uploads.into_iter().map(|message| message.body));
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The envelope that SNS puts around a message for a queue, opened.
fn letter(envelope: &Value) -> Letter {
    let text = |member: &str| envelope[member].as_str().unwrap_or_default().to_owned();
    Letter { subject: text("Subject"), text: text("Message") }
}

/// A queue with copies of these events.
async fn copies(cloud: &Cloud, name: &str, pattern: &Value) -> Result<String, String> {
    let (url, arn) = cloud.make_queue(name).await?;
    cloud.copy_events(name, pattern, &arn).await?;
    Ok(url)
}
