//! Faults that a test or a demo asks for: which calls (or operations, once they run) they meet, and what they do to
//! them. They are tried in the order in which they were injected; the first that applies is the one that acts.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What goes wrong, where and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Where: `UpdateApplication`, `flink:/jobs/overview`, `flink:/jobs/:id` (`:id` stands for any one segment),
    /// `flink:*`, `cloudwatch:GetMetricData`, `sns:Publish`, `events:PutEvents`, `dynamodb:PutItem`,
    /// `states:DescribeExecution`, `*` for every call of kinesisanalyticsv2, or `**` for every call of any service. For the
    /// effects on operations: the name of the call that began it, `Maintenance`, `Autoscaling`, or
    /// `SystemRollbackApplication` for a rollback that the service began by itself.
    pub operation: String,
    /// Name of the application that it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Access key id of the caller that it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Which of the matching calls it meets.
    #[serde(default)]
    pub occurrences: Occurrences,
    /// What it does.
    pub effect: Effect,
}

impl Fault {
    /// A fault that meets every call of `operation`, of any application.
    pub fn new(operation: impl Into<String>, effect: Effect) -> Self {
        Self {
            operation: operation.into(),
            application: None,
            principal: None,
            occurrences: Occurrences::Always,
            effect,
        }
    }

    /// The same, for one application only.
    #[must_use]
    pub fn of(mut self, application: impl Into<String>) -> Self {
        self.application = Some(application.into());
        self
    }

    /// The same, for one caller only.
    #[must_use]
    pub fn by(mut self, principal: impl Into<String>) -> Self {
        self.principal = Some(principal.into());
        self
    }

    /// The same, for these calls only.
    #[must_use]
    pub fn on(mut self, occurrences: Occurrences) -> Self {
        self.occurrences = occurrences;
        self
    }
}

/// Which of the matching calls a fault meets, counted from the injection on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Occurrences {
    /// Each.
    #[default]
    Always,
    /// This one only; 1 is the first.
    Nth(u32),
    /// So many, from the first.
    First(u32),
    /// Each from this one on; 1 is the first.
    From(u32),
    /// Each at or after the one moment and before the other.
    Between {
        /// Begin.
        from: Timestamp,
        /// End.
        until: Timestamp,
    },
    /// Each with this chance, by the emulator's seed.
    Percent(u8),
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Effect {
    /// The call is refused, and nothing is done.
    Error {
        /// Code, such as `ResourceInUseException`.
        code: String,
        /// HTTP status.
        status: u16,
        /// Text.
        message: String,
    },
    /// The call is refused, since the caller lacks the permission; the answer names the action and the resource, as the
    /// service's does. Nothing is done.
    AccessDenied,
    /// The call is refused as one too many: `ThrottlingException`, HTTP 400. Nothing is done.
    Throttle,
    /// The call is answered this much later; it is done at once.
    Delay(Duration),
    /// The call is done, and its answer lost.
    LostResponse(Loss),
    /// The call never reaches the emulator.
    Unreachable,
    /// The call is answered with this instead; nothing is done.
    Answer {
        /// HTTP status.
        status: u16,
        /// Body.
        body: String,
    },
    /// The answer breaks off after so many bytes of its body.
    Truncated(usize),
    /// Reads tell what was true this long ago (at most 15 minutes).
    StaleRead(Duration),
    /// The operation stays `IN_PROGRESS` for ever: the old job is stopped, the new one not yet submitted. A snapshot
    /// stays CREATING.
    OperationHangs,
    /// The operation fails with this text where it would have submitted the new job. A snapshot is FAILED.
    OperationFails(String),
}

/// How an answer gets lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Loss {
    /// HTTP 500 `InternalFailure` instead.
    ServerError,
    /// The connection is reset.
    ConnectionReset,
}

impl Effect {
    /// Its kind, in words.
    fn name(&self) -> &'static str {
        match self {
            Self::Error { .. } => "refused with an error",
            Self::AccessDenied => "access denied",
            Self::Throttle => "throttled",
            Self::Delay(_) => "answered late",
            Self::LostResponse(_) => "done, and the answer lost",
            Self::Unreachable => "not reached",
            Self::Answer { .. } => "answered with something else",
            Self::Truncated(_) => "answer cut short",
            Self::StaleRead(_) => "answered from the past",
            Self::OperationHangs => "operation hangs",
            Self::OperationFails(_) => "operation fails",
        }
    }

    /// Whether it acts on operations as they run, rather than on calls.
    fn acts_on_operations(&self) -> bool {
        matches!(self, Self::OperationHangs | Self::OperationFails(_))
    }
}

/// Whether a fault is looked for at a call or where an operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A call arrives.
    Call,
    /// An operation is under way.
    Operation,
}

/// Whom a call or an operation concerns.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Who<'a> {
    /// Name of the application.
    pub(crate) application: Option<&'a str>,
    /// Access key id of the caller.
    pub(crate) principal: Option<&'a str>,
}

/// The injected faults with how often each was met.
#[derive(Debug)]
pub(crate) struct Faults {
    injected: Vec<(Fault, u32)>,
    random: u64,
    struck: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { injected: Vec::new(), random: seed, struck: BTreeMap::new() }
    }

    pub(crate) fn inject(&mut self, fault: Fault) {
        self.injected.push((fault, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.injected.clear();
    }

    /// How often each kind of effect has struck, in words.
    pub(crate) fn struck(&self) -> &BTreeMap<&'static str, u64> {
        &self.struck
    }

    /// The effect on this call or operation, if any. Every fault that matches counts the occurrence.
    pub(crate) fn effect(&mut self, stage: Stage, operation: &str, who: Who<'_>, now: Timestamp) -> Option<Effect> {
        let random = &mut self.random;
        let mut found = None;
        for (fault, met) in &mut self.injected {
            let stage_matches = fault.effect.acts_on_operations() == (stage == Stage::Operation);
            let is_for = |limit: &Option<String>, it: Option<&str>| limit.is_none() || limit.as_deref() == it;
            let who_matches = is_for(&fault.application, who.application) && is_for(&fault.principal, who.principal);
            if !stage_matches || !who_matches || !names(&fault.operation, operation) {
                continue;
            }
            *met += 1;
            let acts = match fault.occurrences {
                Occurrences::Always => true,
                Occurrences::Nth(n) => *met == n,
                Occurrences::First(n) => *met <= n,
                Occurrences::From(n) => *met >= n,
                Occurrences::Between { from, until } => from <= now && now < until,
                Occurrences::Percent(percent) => split_mix(random) % 100 < u64::from(percent),
            };
            if acts && found.is_none() {
                found = Some(fault.effect.clone());
            }
        }
        if let Some(effect) = &found {
            *self.struck.entry(effect.name()).or_default() += 1;
        }
        found
    }
}

/// Whether `pattern` names `operation`.
fn names(pattern: &str, operation: &str) -> bool {
    if pattern == "**" {
        return true;
    }
    match (pattern.split_once(':'), operation.split_once(':')) {
        (None, None) => pattern == "*" || pattern == operation,
        (Some((pattern_service, pattern)), Some((service, operation))) if pattern_service == service => {
            let path = operation.split('?').next().unwrap_or(operation);
            let (pattern_segments, path_segments) = (pattern.split('/'), path.split('/'));
            pattern == "*"
                || pattern_segments.clone().count() == path_segments.clone().count()
                    && pattern_segments
                        .zip(path_segments)
                        .all(|(pattern, segment)| pattern == ":id" || pattern == segment)
        }
        _ => false,
    }
}

/// The next number of a SplitMix64 sequence (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(occurrences: Occurrences, calls: usize) -> Vec<bool> {
        let mut faults = Faults::new(7);
        faults.inject(Fault::new("StopApplication", Effect::Throttle).on(occurrences));
        (0..calls)
            .map(|second| {
                let now = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
                faults.effect(Stage::Call, "StopApplication", Who::default(), now).is_some()
            })
            .collect()
    }

    #[test]
    fn occurrences() {
        let second = |second| Timestamp::from_second(second).unwrap();
        let table = [
            (Occurrences::Always, [true, true, true, true]),
            (Occurrences::Nth(2), [false, true, false, false]),
            (Occurrences::First(2), [true, true, false, false]),
            (Occurrences::From(3), [false, false, true, true]),
            (Occurrences::Between { from: second(1), until: second(3) }, [false, true, true, false]),
            (Occurrences::Percent(0), [false; 4]),
            (Occurrences::Percent(100), [true; 4]),
        ];
        for (occurrences, expected) in table {
            assert_eq!(hits(occurrences.clone(), 4), expected, "{occurrences:?}");
        }
    }

    #[test]
    fn chance_is_the_seeds() {
        let hit = hits(Occurrences::Percent(30), 1000);
        assert_eq!(hit, hits(Occurrences::Percent(30), 1000));
        let count = hit.iter().filter(|hit| **hit).count();
        assert!((250..350).contains(&count), "{count}");
    }

    #[test]
    fn what_a_pattern_names() {
        let table = [
            ("UpdateApplication", "UpdateApplication", true),
            ("UpdateApplication", "StopApplication", false),
            ("*", "StopApplication", true),
            ("*", "flink:/jobs", false),
            ("flink:*", "flink:/jobs/overview", true),
            ("flink:/jobs/overview", "flink:/jobs/overview?x=1", true),
            ("flink:/jobs/:id", "flink:/jobs/0123", true),
            ("flink:/jobs/:id", "flink:/jobs/0123/checkpoints", false),
            ("flink:/jobs/:id/checkpoints", "flink:/jobs/0123/checkpoints", true),
            ("cloudwatch:GetMetricData", "cloudwatch:GetMetricData", true),
            ("cloudwatch:*", "sns:Publish", false),
            ("**", "StopApplication", true),
            ("**", "flink:/jobs/0123?x=1", true),
            ("**", "dynamodb:PutItem", true),
        ];
        for (pattern, operation, expected) in table {
            assert_eq!(names(pattern, operation), expected, "{pattern} {operation}");
        }
    }

    #[test]
    fn the_first_that_applies_acts_and_the_others_count() {
        let mut faults = Faults::new(0);
        faults.inject(Fault::new("*", Effect::Throttle).on(Occurrences::First(1)));
        faults.inject(Fault::new("StopApplication", Effect::Unreachable).on(Occurrences::Nth(2)));
        let mut next = || faults.effect(Stage::Call, "StopApplication", Who::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(next(), Some(Effect::Throttle));
        assert_eq!(next(), Some(Effect::Unreachable));
        assert_eq!(next(), None);
        assert_eq!(faults.struck(), &BTreeMap::from([("not reached", 1), ("throttled", 1)]));
    }

    #[test]
    fn the_nth_call_of_a_caller_whatever_it_is() {
        let mut faults = Faults::new(0);
        faults.inject(Fault::new("**", Effect::Throttle).by("AKIDFIRST").on(Occurrences::Nth(3)));
        let mut calls = |principal, operation| {
            let who = Who { application: None, principal: Some(principal) };
            faults.effect(Stage::Call, operation, who, Timestamp::UNIX_EPOCH).is_some()
        };
        assert!(!calls("AKIDFIRST", "dynamodb:GetItem"));
        assert!(!calls("AKIDSECOND", "dynamodb:PutItem"));
        assert!(!calls("AKIDFIRST", "flink:/jobs/overview"));
        assert!(!calls("AKIDSECOND", "UpdateApplication"));
        assert!(calls("AKIDFIRST", "UpdateApplication"));
        assert!(!calls("AKIDFIRST", "UpdateApplication"));
    }

    #[test]
    fn another_application_caller_or_stage_is_not_met() {
        let mut faults = Faults::new(0);
        faults.inject(Fault::new("UpdateApplication", Effect::OperationHangs).of("orders"));
        faults.inject(Fault::new("UpdateApplication", Effect::AccessDenied).by("AKIDSECOND"));
        let mut at = |stage, application, principal| {
            let who = Who { application: Some(application), principal: Some(principal) };
            faults.effect(stage, "UpdateApplication", who, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(at(Stage::Call, "orders", "AKIDFIRST"), None);
        assert_eq!(at(Stage::Call, "orders", "AKIDSECOND"), Some(Effect::AccessDenied));
        assert_eq!(at(Stage::Operation, "payments", "AKIDSECOND"), None);
        assert_eq!(at(Stage::Operation, "orders", "AKIDFIRST"), Some(Effect::OperationHangs));
    }
}
