//! Whose turn it is: at most one deployment of an application at a time. Deployments queue in the order in which they
//! were wanted; of uploads only the newest is worth deploying, and the others find that they were overtaken. A turn, and
//! a place in the queue, belong to an execution for as long as it runs, so that nothing has to be given back and an
//! execution that was aborted blocks nobody.
//!
//! These are the transitions only. They are made one at a time, because what they make is written under the condition
//! that nothing was written since (`docs/adr/0010-turns-in-a-table.md`).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::deployment::{Deployment, Next};
use crate::preflight::refuse;
use crate::refusal::Refusal;
use crate::report::{Outcome, Report};
use crate::request::Upload;
use crate::verdict::{Reason, in_words};
use crate::watch::seconds_between;

/// An execution that Step Functions does not know may be one that it does not know *yet*: so long it counts as running.
const UNKNOWN_COUNTS_AS_RUNNING: SignedDuration = SignedDuration::from_mins(10);
/// Most executions that wait for their turn: more are a mistake, and would not fit the item.
pub const MOST_WAITING: usize = 50;

/// An execution that wants its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// ARN of the execution.
    pub execution: String,
    /// Since when its change is wanted: the time of the upload, or the beginning of the execution.
    pub at: Timestamp,
    /// The upload that it deploys, if it deploys one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
}

impl Claim {
    /// The claim of an execution that began at `started_at`.
    pub fn new(execution: impl Into<String>, started_at: Timestamp, upload: Option<Upload>) -> Self {
        let at = upload.as_ref().map_or(started_at, |upload| upload.at);
        Self { execution: execution.into(), at, upload }
    }

    /// Whether both deploy uploads, and this one's is the newer. Uploads of one key are told apart by what S3 says of
    /// their order, others by their time.
    fn overtakes(&self, other: &Self) -> bool {
        match (&self.upload, &other.upload) {
            (Some(upload), Some(of_other)) => upload.order(of_other) == Ordering::Greater,
            _ => false,
        }
    }
}

/// What Step Functions says of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// It is running.
    Running,
    /// It has ended, whichever way.
    Over,
    /// It is not known: too young, or gone for long.
    Unknown,
}

/// A claim that has been heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Whose it is.
    pub claim: Claim,
    /// Since when.
    pub since: Timestamp,
}

impl Place {
    /// Whether the place is still taken, by what Step Functions says of the execution.
    pub fn is_taken(&self, execution: Execution, now: Timestamp) -> bool {
        match execution {
            Execution::Running => true,
            Execution::Over => false,
            Execution::Unknown => now.duration_since(self.since) < UNKNOWN_COUNTS_AS_RUNNING,
        }
    }
}

/// The turns of one application.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turns {
    /// Whose turn it is, or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Place>,
    /// Who waits, the next first. Some may have ended since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Place>,
    /// The newest upload that any execution was started for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_upload: Option<Claim>,
}

/// What an execution is told that asks for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is its turn, until it ends.
    Yours,
    /// This execution comes first.
    Wait {
        /// Its ARN.
        behind: String,
    },
    /// This execution deploys a newer upload.
    Overtaken {
        /// Its ARN.
        by: String,
    },
    /// Too many wait already.
    Full,
    /// It depends on whether this execution is still running: ask again when that is known.
    LookAt {
        /// Its ARN.
        execution: String,
    },
}

impl Turns {
    /// Asks for the turn. `known` is what Step Functions says of the executions that were to be looked at. Asking again
    /// gives the same answer, and leaves the turns as they are, until something else has happened.
    pub fn ask(&mut self, claim: &Claim, known: &BTreeMap<String, Execution>, now: Timestamp) -> Answer {
        let is_mine = |place: &Place| place.claim.execution == claim.execution;
        if self.holder.as_ref().is_some_and(is_mine) {
            return Answer::Yours;
        }
        if let Some(newest) = self.newest_upload.as_ref().filter(|newest| newest.overtakes(claim)) {
            let by = newest.execution.clone();
            self.waiting.retain(|place| !is_mine(place));
            return Answer::Overtaken { by };
        }
        if !self.waiting.iter().any(is_mine) {
            if self.waiting.len() >= MOST_WAITING {
                return Answer::Full;
            }
            self.waiting.push(Place { claim: claim.clone(), since: now });
            self.waiting.sort_by(|one, other| {
                (one.claim.at, &one.claim.execution).cmp(&(other.claim.at, &other.claim.execution))
            });
            if claim.upload.is_some() {
                self.newest_upload = Some(claim.clone());
            }
        }
        while let Some(first) = self.holder.as_ref().or(self.waiting.first()).filter(|place| !is_mine(place)) {
            let execution = first.claim.execution.clone();
            match known.get(&execution) {
                None => return Answer::LookAt { execution },
                Some(state) if first.is_taken(*state, now) => return Answer::Wait { behind: execution },
                Some(_) if self.holder.is_some() => self.holder = None,
                Some(_) => drop(self.waiting.remove(0)),
            }
        }
        self.waiting.retain(|place| !is_mine(place));
        self.holder = Some(Place { claim: claim.clone(), since: now });
        Answer::Yours
    }
}

/// A deployment asks again after a quarter of the time that it has waited, within these bounds, in seconds: soon while
/// little is lost by it, seldom enough for a day of it to fit an execution's history.
const ASK_AGAIN_SECONDS: (i64, i64) = (15, 300);

/// What a deployment does with the answer: begin, wait and ask again, or end.
pub fn heed(deployment: &mut Deployment, answer: Answer, now: Timestamp) {
    match answer {
        Answer::Yours => deployment.take_turn(now),
        Answer::Overtaken { by } => {
            let because = vec![Reason::NewerUpload { execution: name_in(&by) }];
            deployment.report = Some(Report::of(deployment, Outcome::Superseded, because, now));
            deployment.go_on(Next::Notify, 0);
        }
        Answer::Full => {
            let problem = format!("{MOST_WAITING} deployments of it wait for their turn already");
            let cure = "find out what starts so many; let them end, and send the request again";
            refuse(deployment, vec![Refusal::new("application", problem, cure)], now);
        }
        Answer::Wait { behind: execution } | Answer::LookAt { execution } => {
            let execution = name_in(&execution);
            let waited = seconds_between(deployment.started_at, now);
            let is_late = waited >= i64::from(deployment.policy.turn_timeout_seconds);
            let reason = Reason::AnotherDeployment { execution };
            if is_late {
                let problem = format!("its turn has not come in {waited} s: {reason}");
                let cure = "wait until that has ended, or give more policy.turnTimeoutSeconds";
                return refuse(deployment, vec![Refusal::new("policy.turnTimeoutSeconds", problem, cure)], now);
            }
            deployment.note(now, format!("Waiting: {reason}"));
            deployment.decided = Some(in_words(&[reason]));
            let (soonest, latest) = ASK_AGAIN_SECONDS;
            let ask_again = (waited / 4).clamp(soonest, latest);
            deployment.go_on(Next::WaitForTurn, u32::try_from(ask_again).unwrap_or_default());
        }
    }
}

/// Goes on with a deployment that was redriven in its turn, unless another has had the turn since: that one's change is the
/// newer, whether it is still being made or not. What this one has begun and not verified is a person's to look at then.
/// `holder` is the execution whose turn it is, or was last.
pub fn resume(deployment: &mut Deployment, holder: Option<&str>, now: Timestamp) {
    let other = holder.map(name_in).filter(|holder| *holder != deployment.execution);
    let next = match other {
        Some(execution) => {
            let outcome = if deployment.has_done_nothing() { Outcome::Superseded } else { Outcome::NeedsAttention };
            let because = vec![Reason::TurnPassedOn { execution }];
            deployment.report = Some(Report::of(deployment, outcome, because, now));
            Next::Notify
        }
        None if deployment.has_done_nothing() => Next::Prepare,
        None => Next::Decide,
    };
    deployment.go_on(next, 0);
}

/// The execution's name, by which people know it.
pub(crate) fn name_in(arn: &str) -> String {
    arn.rsplit(':').next().unwrap_or(arn).to_owned()
}

#[cfg(test)]
mod tests;
