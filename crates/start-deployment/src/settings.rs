//! What the Lambda is configured with. It is read once, at start-up, and what cannot be meant is refused then: an upload
//! should not be the first to find out.

use std::collections::BTreeMap;

use handler::StartError;
use lifecycle::refusal::Refusal;
use lifecycle::request::Request;
use serde_json::{Value, json};

/// Where applications have their folders unless configured otherwise.
const DEFAULT_PREFIX: &str = "applications/";

/// The configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `STATE_MACHINE_ARN`: the deploy state machine.
    pub state_machine_arn: String,
    /// `TURNS_TABLE`: the table in which the newest upload of each key is kept.
    pub table: String,
    /// `CODE_BUCKET`: name of the bucket whose uploads are deployed.
    pub bucket: String,
    /// `CODE_PREFIX`: where applications have their folders, `applications/` unless set; empty or with a slash at its end.
    pub prefix: String,
    /// `APPLICATION_MAP`: names of applications by key, or by what keys begin with, for files that are not in their
    /// application's folder.
    pub applications: BTreeMap<String, String>,
    /// `DEPLOYMENT_POLICY`: the policy of these deployments, as a request takes it.
    pub policy: Option<Value>,
}

impl Settings {
    /// Reads the configuration from variables of the environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let required = |name| set(name).ok_or_else(|| StartError::configuration(name, "is not set"));
        let settings = Self {
            state_machine_arn: required("STATE_MACHINE_ARN")?,
            table: required("TURNS_TABLE")?,
            bucket: required("CODE_BUCKET")?,
            prefix: variable("CODE_PREFIX").unwrap_or_else(|| DEFAULT_PREFIX.to_owned()),
            applications: match set("APPLICATION_MAP") {
                Some(map) => serde_json::from_str(&map).map_err(|error| {
                    let problem = format!("is not a JSON object of application names by key: {error}");
                    StartError::configuration("APPLICATION_MAP", problem)
                })?,
                None => BTreeMap::new(),
            },
            policy: match set("DEPLOYMENT_POLICY") {
                Some(policy) => Some(serde_json::from_str(&policy).map_err(|error| {
                    StartError::configuration("DEPLOYMENT_POLICY", format!("is not JSON: {error}"))
                })?),
                None => None,
            },
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), StartError> {
        if !is_state_machine(&self.state_machine_arn) {
            return Err(StartError::configuration("STATE_MACHINE_ARN", "is not the ARN of a state machine"));
        }
        if !self.prefix.is_empty() && !self.prefix.ends_with('/') {
            return Err(StartError::configuration("CODE_PREFIX", "does not end with a slash"));
        }
        for (key, application) in &self.applications {
            if let Some(refusal) = refusal(application, &json!({})) {
                let problem = format!("names no application for the key `{key}`: {refusal}");
                return Err(StartError::configuration("APPLICATION_MAP", problem));
            }
        }
        if let Some(refusal) = self.policy.as_ref().and_then(|policy| refusal("any", policy)) {
            return Err(StartError::configuration("DEPLOYMENT_POLICY", format!("is refused: {refusal}")));
        }
        Ok(())
    }

    /// Partition of the ARNs here: `aws`, `aws-cn` or `aws-us-gov`.
    pub(crate) fn partition(&self) -> &str {
        self.state_machine_arn.split(':').nth(1).unwrap_or("aws")
    }

    /// Name of the application whose code an object of this key is: by the longest key of the map that it begins with,
    /// otherwise by the folder that it is in.
    pub(crate) fn application_of<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        let mapped = self.applications.iter().filter(|(beginning, _)| key.starts_with(beginning.as_str()));
        if let Some((_, application)) = mapped.max_by_key(|(beginning, _)| beginning.len()) {
            return Some(application);
        }
        let (application, file) = key.strip_prefix(self.prefix.as_str())?.split_once('/')?;
        (!file.contains('/')).then_some(application)
    }
}

/// What the state machine would refuse of a request for this application with this policy.
fn refusal(application: &str, policy: &Value) -> Option<Refusal> {
    let update = json!({ "ApplicationConfigurationUpdate": {} });
    let request = json!({ "application": application, "update": update, "policy": policy });
    Request::parse(&request).err()?.into_iter().next()
}

fn is_state_machine(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    matches!(parts.as_slice(), ["arn", partition, "states", region, account, "stateMachine", name, ..]
        if [partition, region, account, name].iter().all(|part| !part.is_empty()))
}

#[cfg(test)]
mod tests;
