//! What an event of S3 asks for: which application's code was uploaded, and the request that deploys it. All of it comes
//! from the event and the settings, so that the same event, delivered twice, asks for the same execution.

use std::fmt::Write as _;

use jiff::Timestamp;
use lifecycle::refusal::Refusal;
use lifecycle::request::{Request, Upload};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::settings::Settings;

/// What code is, as the service takes it.
const CODE: [&str; 2] = [".jar", ".zip"];
/// Digits to which sequencers are filled up. S3 gives 16 to 18 of them.
const SEQUENCER_DIGITS: usize = 40;
/// Characters of an execution's name, at most.
const LONGEST_NAME: usize = 80;
/// Digits of the hash in it.
const HASH_DIGITS: usize = 32;
/// Characters of a key that a request's reason quotes, at most.
const LONGEST_QUOTED_KEY: usize = 800;

/// The event `Object Created` of S3, as `EventBridge` delivers it. Keys are as they are, not encoded as in S3's own
/// notifications.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Event {
    source: String,
    detail_type: String,
    time: Timestamp,
    detail: Detail,
}

#[derive(Debug, Deserialize)]
struct Detail {
    bucket: Bucket,
    object: Object,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Object {
    key: String,
    size: Option<u64>,
    version_id: Option<String>,
    sequencer: Option<String>,
}

/// Why an event starts nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Declined {
    /// It is about a file that is no code, beside the code.
    Ignored,
    /// Somebody has to know.
    Refused(Vec<Refusal>),
}

/// An execution to be started.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    /// Name of the application.
    pub(crate) application: String,
    /// What it is to run.
    pub(crate) upload: Upload,
    /// Name of the execution: the same for the same object version and application.
    pub(crate) execution: String,
    /// Its input: a request.
    pub(crate) input: Value,
}

impl Planned {
    /// What this event asks for.
    pub(crate) fn of(event: &Value, settings: &Settings) -> Result<Self, Declined> {
        let refused =
            |field: &str, problem: &str, cure: String| Err(Declined::Refused(vec![Refusal::new(field, problem, cure)]));
        let Event { source, detail_type, time, detail } = match handler::read(event.clone()) {
            Ok(event) => event,
            Err(error) => {
                let cure = "send the event as S3 sends it to EventBridge".to_owned();
                return refused("event", &error.to_string(), cure);
            }
        };
        if (source.as_str(), detail_type.as_str()) != ("aws.s3", "Object Created") {
            return refused(
                "detail-type",
                "not of an object that was created",
                "correct the pattern of the rule".to_owned(),
            );
        }
        let (bucket, Object { key, size, version_id, sequencer }) = (detail.bucket.name, detail.object);
        if bucket != settings.bucket {
            let cure = format!("correct the pattern of the rule, or upload it to {}", settings.bucket);
            return refused("detail.bucket.name", "not the bucket whose uploads are deployed", cure);
        }
        if !is_code(&key) {
            return Err(Declined::Ignored);
        }
        let Some(application) = settings.application_of(&key).map(str::to_owned) else {
            let cure =
                format!("upload it as {}<application>/<file>, or name its application in the map", settings.prefix);
            return refused("detail.object.key", "of no application", cure);
        };
        if size == Some(0) {
            return refused("detail.object.size", "0: the object is empty", "upload it again".to_owned());
        }
        // An object of a bucket without versions has none, one of a bucket whose versions were switched off has this word.
        let Some(version_id) = version_id.filter(|version| !version.is_empty() && version != "null") else {
            let cure = "switch on the bucket's versioning, and upload it again".to_owned();
            return refused("detail.object.version-id", "missing: what is deployed could change at any time", cure);
        };
        let Some(sequencer) = sequencer.as_deref().and_then(filled_up) else {
            let cure = "send the event as S3 sends it to EventBridge".to_owned();
            return refused("detail.object.sequencer", "missing, or not a hexadecimal number", cure);
        };
        let upload = Upload { bucket, key, version_id, sequencer, at: time };
        let execution = execution_name(&application, &upload);
        let input = request(&application, &upload, settings);
        Request::parse(&input).map_err(Declined::Refused)?;
        Ok(Self { application, upload, execution, input })
    }

    /// Key of the item that holds the newest upload of this key.
    pub(crate) fn item_key(&self) -> String {
        format!("upload#{}", hash([&self.upload.bucket, &self.upload.key]))
    }
}

/// The request that deploys this upload.
fn request(application: &str, upload: &Upload, settings: &Settings) -> Value {
    let location = json!({
        "BucketARNUpdate": format!("arn:{}:s3:::{}", settings.partition(), upload.bucket),
        "FileKeyUpdate": upload.key,
        "ObjectVersionUpdate": upload.version_id,
    });
    let code = json!({ "CodeContentUpdate": { "S3ContentLocationUpdate": location } });
    let quoted: String = upload.key.chars().take(LONGEST_QUOTED_KEY).collect();
    let mut request = json!({
        "application": application,
        "update": { "ApplicationConfigurationUpdate": { "ApplicationCodeConfigurationUpdate": code } },
        "start": false,
        "reason": format!("upload of s3://{}/{quoted}", upload.bucket),
        "upload": upload,
    });
    if let Some(policy) = &settings.policy {
        request["policy"] = policy.clone();
    }
    request
}

fn is_code(key: &str) -> bool {
    let end = key.len().checked_sub(4).and_then(|start| key.get(start..));
    end.is_some_and(|end| CODE.iter().any(|code| code.eq_ignore_ascii_case(end)))
}

/// The sequencer as text that compares as S3 says: the shorter of two is filled up with zeros at its right. All are filled
/// up to one length here, so that `DynamoDB` can compare them. None where it is no hexadecimal number.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
fn filled_up(sequencer: &str) -> Option<String> {
    let is_hexadecimal = sequencer.chars().all(|character| character.is_ascii_hexdigit());
    let fits = (1..=SEQUENCER_DIGITS).contains(&sequencer.len());
    (is_hexadecimal && fits).then(|| format!("{:0<SEQUENCER_DIGITS$}", sequencer.to_ascii_uppercase()))
}

/// The name says whose deployment it is, as far as there is room, and the hash tells it from all others.
fn execution_name(application: &str, upload: &Upload) -> String {
    let hash = hash([&upload.bucket, &upload.key, &upload.version_id, application]);
    let allowed = |character: char| if character.is_ascii_alphanumeric() || character == '_' { character } else { '-' };
    let readable: String = application.chars().take(LONGEST_NAME - HASH_DIGITS - 1).map(allowed).collect();
    format!("{readable}-{}", &hash[..HASH_DIGITS])
}

/// SHA-256 of the texts, in hexadecimal digits. Each is preceded by its length, so that no two lists have one hash.
fn hash<const N: usize>(texts: [&str; N]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text.len().to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests;
