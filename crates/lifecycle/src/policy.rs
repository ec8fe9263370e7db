//! The policy of a deployment: how long to wait, what to tolerate, what to do on failure. Every field has a default
//! that suits a streaming job in production, and bounds outside of which a value is refused as a mistake.

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// What to do when the new version turns out bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// Climb the ladder: rollback, then forced stop and restore.
    #[default]
    RollBack,
    /// Touch nothing and ask for a person.
    Hold,
}

/// What to do where a forced stop could lose more than the policy allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnStaleSnapshot {
    /// Say so in the report, and go on.
    #[default]
    Warn,
    /// Refuse the request before anything is touched.
    Refuse,
}

/// The policy of one deployment. Durations are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// How long to wait for the turn while another deployment of the application is under way; 0 does not wait. Default
    /// 21,600.
    pub turn_timeout_seconds: u32,
    /// How long one operation of the service (update, start, stop, rollback) may take. Default 1,800.
    pub operation_timeout_seconds: u32,
    /// How long a job may take from the end of its operation until it is steady, restoring of state included. Default 1,800.
    pub settle_timeout_seconds: u32,
    /// How long every subtask must have run without a restart before the job counts as steady. Default 60.
    pub settle_seconds: u32,
    /// Quiet time after that: so long without a restart. A restart begins it again. Default 300.
    pub bake_seconds: u32,
    /// How many restarts of the job are forgiven, from its submission to the end of the bake. Default 2.
    pub tolerated_restarts: u32,
    /// Whether a completed checkpoint is asked of the new job where checkpointing is on. Default true.
    pub require_checkpoint: bool,
    /// How long evidence may stay unreadable before a person is asked. Default 900.
    pub evidence_timeout_seconds: u32,
    /// How long the whole deployment may take from its turn on, undoing included. Default 14,400.
    pub deadline_seconds: u32,
    /// Names of `CloudWatch` alarms to heed: one that goes to ALARM during the bake fails the change. Default none.
    pub alarms: Vec<String>,
    /// Whether to take a snapshot before the update, beside the one that the service takes when it stops the job. Default false.
    pub pre_deploy_snapshot: bool,
    /// How old the newest READY snapshot of a running application may be, which a forced stop would go back to; 0 does not
    /// ask. Default 86,400.
    pub snapshot_age_seconds: u32,
    /// What to do where it is older, or there is none, or the application takes none. Default `warn`.
    pub on_stale_snapshot: OnStaleSnapshot,
    /// What to do when the new version is bad. Default `rollBack`.
    pub on_failure: OnFailure,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            turn_timeout_seconds: 21_600,
            operation_timeout_seconds: 1_800,
            settle_timeout_seconds: 1_800,
            settle_seconds: 60,
            bake_seconds: 300,
            tolerated_restarts: 2,
            require_checkpoint: true,
            evidence_timeout_seconds: 900,
            deadline_seconds: 14_400,
            alarms: Vec::new(),
            pre_deploy_snapshot: false,
            snapshot_age_seconds: 86_400,
            on_stale_snapshot: OnStaleSnapshot::Warn,
            on_failure: OnFailure::RollBack,
        }
    }
}

/// `DescribeAlarms` takes at most this many names in one call.
const MOST_ALARMS: usize = 100;
/// Characters of an alarm's name.
const LONGEST_ALARM_NAME: usize = 255;
/// The execution's own time-out lies above the sum of these; see `statemachine/deploy.asl.json`.
const LONGEST_DEADLINE_SECONDS: u32 = 86_400;
const LONGEST_TURN_TIMEOUT_SECONDS: u32 = 86_400;
/// A year.
const LONGEST_SNAPSHOT_AGE_SECONDS: u32 = 31_536_000;

impl Policy {
    /// Values that cannot be meant, each with its field and the cure.
    pub fn refusals(&self) -> Vec<Refusal> {
        let durations = [
            ("policy.turnTimeoutSeconds", self.turn_timeout_seconds, 0, LONGEST_TURN_TIMEOUT_SECONDS),
            ("policy.operationTimeoutSeconds", self.operation_timeout_seconds, 60, 21_600),
            ("policy.settleTimeoutSeconds", self.settle_timeout_seconds, 60, 43_200),
            ("policy.settleSeconds", self.settle_seconds, 10, 3_600),
            ("policy.bakeSeconds", self.bake_seconds, 0, 43_200),
            ("policy.evidenceTimeoutSeconds", self.evidence_timeout_seconds, 60, 21_600),
            ("policy.deadlineSeconds", self.deadline_seconds, 300, LONGEST_DEADLINE_SECONDS),
            ("policy.snapshotAgeSeconds", self.snapshot_age_seconds, 0, LONGEST_SNAPSHOT_AGE_SECONDS),
            ("policy.toleratedRestarts", self.tolerated_restarts, 0, 1_000),
        ];
        let mut refusals: Vec<Refusal> = durations
            .into_iter()
            .filter(|(_, value, least, most)| value < least || value > most)
            .map(|(field, value, least, most)| {
                Refusal::new(field, format!("{value} is out of bounds"), format!("give {least} to {most}"))
            })
            .collect();
        if self.settle_seconds >= self.settle_timeout_seconds {
            refusals.push(Refusal::new(
                "policy.settleSeconds",
                "no job can be steady for so long within policy.settleTimeoutSeconds",
                "make it shorter than policy.settleTimeoutSeconds",
            ));
        }
        let needed = [self.operation_timeout_seconds, self.settle_timeout_seconds, self.bake_seconds]
            .into_iter()
            .map(u64::from)
            .sum::<u64>();
        if u64::from(self.deadline_seconds) < needed {
            refusals.push(Refusal::new(
                "policy.deadlineSeconds",
                format!("operation, settle time-out and bake alone may take {needed} s"),
                format!("give at least {needed}, and as much again if there should be time to undo the change"),
            ));
        }
        if self.alarms.len() > MOST_ALARMS
            || self.alarms.iter().any(|name| !(1..=LONGEST_ALARM_NAME).contains(&name.chars().count()))
        {
            refusals.push(Refusal::new(
                "policy.alarms",
                "not a list of alarm names that CloudWatch could look up",
                format!("give at most {MOST_ALARMS} names of 1 to {LONGEST_ALARM_NAME} characters"),
            ));
        }
        refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_own_bounds() {
        assert_eq!(Policy::default().refusals(), []);
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        type Change = fn(&mut Policy);
        let cases: [(&str, Change); 8] = [
            ("policy.operationTimeoutSeconds", |policy| policy.operation_timeout_seconds = 0),
            ("policy.settleTimeoutSeconds", |policy| policy.settle_timeout_seconds = 1),
            ("policy.settleSeconds", |policy| policy.settle_seconds = 1_800),
            ("policy.bakeSeconds", |policy| policy.bake_seconds = 100_000),
            ("policy.deadlineSeconds", |policy| policy.deadline_seconds = 600),
            ("policy.deadlineSeconds", |policy| policy.deadline_seconds = 100_000),
            ("policy.evidenceTimeoutSeconds", |policy| policy.evidence_timeout_seconds = 1),
            ("policy.alarms", |policy| policy.alarms = vec![String::new()]),
        ];
        for (field, change) in cases {
            let mut policy = Policy::default();
            change(&mut policy);
            let refusals = policy.refusals();
            assert_eq!(refusals.first().map(|refusal| refusal.field.as_str()), Some(field), "{refusals:?}");
        }
    }

    #[test]
    fn every_number_has_its_bounds() {
        type Field = fn(&mut Policy) -> &mut u32;
        let table: [(&str, u32, u32, Field); 7] = [
            ("policy.operationTimeoutSeconds", 60, 21_600, |policy| &mut policy.operation_timeout_seconds),
            ("policy.settleTimeoutSeconds", 60, 43_200, |policy| &mut policy.settle_timeout_seconds),
            ("policy.settleSeconds", 10, 3_600, |policy| &mut policy.settle_seconds),
            ("policy.bakeSeconds", 0, 43_200, |policy| &mut policy.bake_seconds),
            ("policy.evidenceTimeoutSeconds", 60, 21_600, |policy| &mut policy.evidence_timeout_seconds),
            ("policy.deadlineSeconds", 300, 86_400, |policy| &mut policy.deadline_seconds),
            ("policy.toleratedRestarts", 0, 1_000, |policy| &mut policy.tolerated_restarts),
        ];
        for (field, least, most, number) in table {
            for (value, is_refused) in
                [(least.checked_sub(1), true), (Some(least), false), (Some(most), false), (Some(most + 1), true)]
            {
                let Some(value) = value else { continue };
                let mut policy = Policy::default();
                *number(&mut policy) = value;
                let bounds = |refusal: &Refusal| refusal.field == field && refusal.problem.contains("out of bounds");
                assert_eq!(policy.refusals().iter().any(bounds), is_refused, "{field} {value}");
            }
        }
    }

    #[test]
    fn numbers_have_to_fit_each_other() {
        let mut policy = Policy { settle_seconds: 61, settle_timeout_seconds: 61, ..Policy::default() };
        assert_eq!(policy.refusals()[0].field, "policy.settleSeconds");
        policy.settle_seconds = 60;
        assert_eq!(policy.refusals(), []);
        let needed = policy.operation_timeout_seconds + policy.settle_timeout_seconds + policy.bake_seconds;
        policy.deadline_seconds = needed;
        assert_eq!(policy.refusals(), []);
        policy.deadline_seconds = needed - 1;
        assert_eq!(policy.refusals()[0].field, "policy.deadlineSeconds");
        for (alarms, is_refused) in [
            (vec!["a".repeat(255); 100], false),
            (vec!["a".to_owned(); 101], true),
            (vec!["a".repeat(256)], true),
            (vec![String::new()], true),
        ] {
            let policy = Policy { alarms, ..Policy::default() };
            assert_eq!(policy.refusals().iter().any(|refusal| refusal.field == "policy.alarms"), is_refused);
        }
    }
}
