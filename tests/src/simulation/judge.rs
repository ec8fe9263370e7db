//! Judges what a plan has left behind: the nine safety rules by the independent checker, whether everybody has ended, and
//! whether every application was left well, or somebody was told that it is not. What is true is read from the record
//! and from what was drawn, never from what the deployer says of itself.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use emulator::record::Event;
use emulator::{Effect, Fault, RecordEntry};
use lifecycle::report::Outcome;
use lifecycle::verdict::Reason;

use crate::checker::history::{History, Placed};
use crate::checker::{ExecutionTrace, Observed, check, is_newer_upload};
use crate::scenario::CrashKind;
use crate::simulation::plan::{Asked, Disturbance, Kind, Part};
use crate::simulation::play::{Aftermath, Ended, Rest};
use crate::world::OPERATOR;

/// Something that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Which demand was not met: a safety rule's number, or a word.
    pub demand: String,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.demand, self.what)
    }
}

fn mistake(demand: &str, what: String) -> Mistake {
    Mistake { demand: demand.to_owned(), what }
}

impl Aftermath {
    /// All that is not as it has to be.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let traces: Vec<ExecutionTrace> = self.ended.iter().map(|ended| ended.trace.clone()).collect();
        let apps = self.plan.apps();
        let properties = apps.iter().flat_map(|app| &app.properties).map(|(_, value)| (*value).to_owned());
        let secrets: Vec<String> = properties.chain(["another-horse-battery-staple".to_owned()]).collect();
        let observed = Observed { record: &self.record, executions: &traces, secrets: &secrets };
        let mut mistakes: Vec<Mistake> =
            check(&observed).into_iter().map(|it| mistake(&format!("rule {}", it.rule), it.what)).collect();
        if self.is_endless {
            mistakes.push(mistake("everybody ends", "somebody waits for ever".to_owned()));
        }
        mistakes.extend(self.overtaken_for_no_reason());
        mistakes.extend(self.older_uploads_after_newer());
        mistakes.extend(self.superseded_by_nobody());
        mistakes.extend(self.accepted_what_never_ran());
        mistakes.extend(self.alarmed_for_no_reason());
        mistakes.extend(self.snapshots_without_a_summary());
        mistakes.extend(self.rest.iter().filter_map(|rest| self.left_in_a_bad_state(rest)));
        mistakes.extend(self.lacking());
        mistakes
    }

    /// The record, to ask it.
    pub(super) fn history(&self) -> History<'_> {
        History { record: &self.record }
    }

    fn all(&self) -> impl Iterator<Item = (&Asked, &Ended)> {
        let asked = |ended: &Ended| self.plan.asked().find(|asked| asked.number == ended.asked);
        self.ended.iter().filter_map(move |ended| Some((asked(ended)?, ended)))
    }

    fn acts_of<'a>(&'a self, ended: &'a Ended) -> impl Iterator<Item = Placed<'a>> {
        self.history().acts_on(&ended.trace.application).filter(|act| act.is_by(&ended.trace.principal))
    }

    fn is_redriven(ended: &Ended) -> bool {
        ended.trace.pause.is_some()
    }

    /// Whether both deploy uploads and the first's is the newer.
    fn is_newer_upload(newer: &Ended, older: &Ended) -> bool {
        is_newer_upload(&newer.trace.input, &older.trace.input)
    }

    /// Whoever is told that a newer upload has overtaken it has touched nothing, and there is that newer upload.
    fn overtaken_for_no_reason(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (_, ended) in self.all() {
            let because = ended.report.iter().flat_map(|report| &report.because);
            for execution in because.filter_map(|reason| match reason {
                Reason::NewerUpload { execution } => Some(execution),
                _ => None,
            }) {
                let name = &ended.trace.name;
                let is_newer = |(_, other): (&Asked, &Ended)| {
                    // Uploads of the same second are told apart by their keys.
                    other.trace.name == *execution && !Self::is_newer_upload(ended, other)
                };
                if !self.all().any(is_newer) {
                    let what = format!("{name} gave way to {execution}, which is no newer upload");
                    mistakes.push(mistake("the newest upload wins", what));
                }
                if self.acts_of(ended).next().is_some() {
                    let what = format!("{name} was overtaken, and has touched the application");
                    mistakes.push(mistake("the newest upload wins", what));
                }
            }
        }
        mistakes
    }

    /// An upload is not made after a newer one, but by an execution that was redriven.
    fn older_uploads_after_newer(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let first_update = |ended| self.acts_of(ended).find(|act| act.call.operation == "UpdateApplication");
        for (_, newer) in self.all() {
            for (_, older) in self.all().filter(|(_, older)| Self::is_newer_upload(newer, older)) {
                let is_same = newer.trace.application == older.trace.application;
                let places = (first_update(newer), first_update(older));
                if let (Some(of_newer), Some(of_older)) = places
                    && is_same
                    && of_newer.index < of_older.index
                    && !Self::is_redriven(older)
                {
                    let (older, newer) = (&older.trace.name, &newer.trace.name);
                    let what = format!("{older} was deployed after {newer}, which is a newer upload");
                    mistakes.push(mistake("the newest upload wins", what));
                }
            }
        }
        mistakes
    }

    /// Who ends as Superseded for another reason than a newer upload has met somebody: a person, the service, or an
    /// execution that was redriven. Another execution is not in its turn. Whoever is shown the past may meet those before.
    fn superseded_by_nobody(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let out_of_turn: BTreeSet<&str> = self
            .all()
            .filter(|(_, ended)| Self::is_redriven(ended) || self.runs_late(ended))
            .map(|(_, ended)| &*ended.trace.principal)
            .collect();
        let shows_the_past = |part: &Part| match part {
            Part::Fault(Fault { operation, effect: Effect::StaleRead(_), .. }) => operation == "DescribeApplication",
            _ => false,
        };
        let may_meet_the_past = self.plan.kept().any(|(_, part)| shows_the_past(part));
        for (asked, ended) in self.all().filter(|(_, ended)| !Self::is_redriven(ended)) {
            let Some(report) = ended.report.as_ref().filter(|report| report.outcome == Outcome::Superseded) else {
                continue;
            };
            if report.because.iter().any(|reason| matches!(reason, Reason::NewerUpload { .. })) {
                continue;
            }
            let made = report.because.iter().find_map(|reason| match reason {
                Reason::VersionChanged { expected, found } => {
                    Some(self.makers_of(asked.application, expected + 1..=*found))
                }
                _ => None,
            });
            let is_own = |maker: Option<&str>| maker == Some(&ended.trace.principal);
            let is_newer = |maker: Option<&str>| {
                maker.is_some_and(|it| it == OPERATOR || out_of_turn.contains(it)) && !is_own(maker)
            };
            let is_wrong = |makers: &Vec<Option<&str>>| {
                let is_by_nobody = !makers.iter().copied().any(is_newer);
                is_by_nobody && (!may_meet_the_past || makers.iter().copied().all(is_own))
            };
            if let Some(makers) = made.filter(is_wrong) {
                let (name, what) = (&ended.trace.name, asked.what);
                let what = format!("{name} ({what}) was superseded by {makers:?}, who made no newer change");
                mistakes.push(mistake("superseded by somebody", what));
            }
        }
        mistakes
    }

    /// Whether one of its Lambdas may run after the execution has ended.
    fn runs_late(&self, ended: &Ended) -> bool {
        let is_late = |it: &Disturbance| match it {
            Disturbance::Crash(crash) => matches!(crash.how, CrashKind::RunsLate { .. }),
            other => matches!(other, Disturbance::Abort(_)),
        };
        self.plan.disturbances(ended.asked).any(is_late)
    }

    /// Who made these versions; none where it was the service.
    fn makers_of(&self, of: &str, versions: RangeInclusive<u64>) -> Vec<Option<&str>> {
        let makers = self.record.iter().filter_map(|entry| match &entry.event {
            Event::Version { application, to, principal, .. } if application == of && versions.contains(to) => {
                Some(principal.as_deref())
            }
            _ => None,
        });
        makers.collect()
    }

    /// Code that never has all its tasks running is never accepted, however little can be read of it.
    fn accepted_what_never_ran(&self) -> Vec<Mistake> {
        let accepted = self.all().filter(|(asked, ended)| {
            asked.code.as_ref().is_some_and(|code| code.kind.is_never_well())
                && ended.outcome() == Some(Outcome::Deployed)
                && self.found_it_running(ended)
        });
        let told = accepted.map(|(asked, ended)| {
            let kind = asked.code.as_ref().map(|code| code.kind);
            mistake("only what is well is accepted", format!("{} is Deployed, of {kind:?}", ended.trace.name))
        });
        told.collect()
    }

    /// Whether the execution has begun with an application at work, or has started it.
    fn found_it_running(&self, ended: &Ended) -> bool {
        let is_at_work = |act: Placed<'_>| act.is("StartApplication") || !act.finds_it_stopped();
        self.acts_of(ended).any(is_at_work)
    }

    /// Where nothing goes wrong, nothing is undone, and nobody is called but for a request that cannot be meant.
    fn alarmed_for_no_reason(&self) -> Vec<Mistake> {
        if !self.plan.is_undisturbed() {
            return Vec::new();
        }
        let is_fine = |(asked, ended): &(&Asked, &Ended)| match ended.outcome() {
            Some(Outcome::Deployed | Outcome::NoChange) => true,
            // Code without state, another's turn for longer than the policy waits, or no snapshot for a start by force.
            Some(Outcome::Refused) => {
                let is_by_force = asked.input["stop"] == "force" && !self.has_snapshot_of_its_job(ended);
                asked.code.is_some() || !asked.input["policy"].is_null() || is_by_force
            }
            Some(Outcome::Superseded) => asked.is_upload,
            Some(Outcome::NeedsAttention) => asked.input["policy"]["turnTimeoutSeconds"].is_number(),
            Some(Outcome::RolledBack | Outcome::Restored) | None => false,
        };
        let alarmed = self.all().filter(|it| !is_fine(it));
        let told = alarmed.map(|(asked, ended)| {
            let summary = ended.report.as_ref().map(|report| &report.summary);
            let what = format!("{} ({}) is {:?}: {summary:?}", ended.trace.name, asked.what, ended.outcome());
            mistake("nothing is undone without a reason", what)
        });
        told.collect()
    }

    /// Whether a snapshot was taken, before the execution began, of the job that ran then.
    fn has_snapshot_of_its_job(&self, ended: &Ended) -> bool {
        let trace = &ended.trace;
        let before = || self.record.iter().take_while(|entry| entry.at <= trace.started_at).map(|entry| &entry.event);
        let running = before().filter_map(|event| match event {
            Event::JobStarted(started) if started.application == trace.application => Some(started.job),
            _ => None,
        });
        let running = running.last();
        before().any(|event| matches!(event, Event::SnapshotTaken { job, .. } if Some(*job) == running))
    }

    fn snapshots_without_a_summary(&self) -> Vec<Mistake> {
        let without = self.snapshots.iter().filter(|summary| summary.is_none());
        without.map(|_| mistake("everybody ends", "a run of snapshots has no summary".to_owned())).collect()
    }

    fn left_in_a_bad_state(&self, rest: &Rest) -> Option<Mistake> {
        let actors = self.all().filter(|(asked, _)| asked.application == rest.application);
        let left = Left {
            record: &self.record,
            rest,
            actors: actors
                .map(|(asked, ended)| Actor { ended, what: asked.what, is_to_stand_still: asked.is_to_stand_still() })
                .collect(),
            was_running: self.plan.apps().iter().any(|app| app.name == rest.application && app.is_running),
            may_fail_later: self.may_fail_later(rest),
        };
        left.mistake()
    }

    /// Whether the code that runs at the end is well for some time only.
    fn may_fail_later(&self, rest: &Rest) -> bool {
        let Some(behaviour) = &rest.behaviour else { return true };
        let of_parts = self.plan.kept().filter_map(|(_, part)| match part {
            Part::Asked(asked) => asked.code.as_ref(),
            Part::Quirk(_, crate::simulation::plan::Quirk::Code(code)) => Some(code),
            _ => None,
        });
        let kinds: BTreeSet<Kind> =
            of_parts.filter(|code| code.behaviour == *behaviour).map(|code| code.kind).collect();
        kinds.iter().any(|kind| !kind.is_always_well() && !kind.is_never_well())
    }
}

/// An execution that may have left its application as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor<'a> {
    /// What came of it.
    pub(crate) ended: &'a Ended,
    /// What it was asked for, in a few words.
    pub(crate) what: &'a str,
    /// Whether the application is to stand still then.
    pub(crate) is_to_stand_still: bool,
}

/// An application at the end, with all that its state has to be judged by.
#[derive(Debug, Clone)]
pub(crate) struct Left<'a> {
    /// What the emulator wrote down.
    pub(crate) record: &'a [RecordEntry],
    /// How it is left.
    pub(crate) rest: &'a Rest,
    /// The executions on it.
    pub(crate) actors: Vec<Actor<'a>>,
    /// Whether it was running at the beginning.
    pub(crate) was_running: bool,
    /// Whether the code that runs at the end is well for some time only.
    pub(crate) may_fail_later: bool,
}

impl Left<'_> {
    /// The application is well, or it is stopped and somebody asked for that, or somebody was told that it is not, or it
    /// is a person who left it so.
    pub(crate) fn mistake(&self) -> Option<Mistake> {
        let all_acts = || History { record: self.record }.acts_on(self.rest.application);
        let last = all_acts().last()?;
        // Nobody has touched it, or a person did last: it is as that person wanted it.
        let actor = self.actors.iter().find(|it| last.is_by(&it.ended.trace.principal))?;
        let actor = if actor.ended.trace.was_aborted { self.whoever_vouches_for(last)? } else { actor };
        let Actor { ended, what, .. } = actor;
        if ended.outcome() == Some(Outcome::NeedsAttention) {
            return None;
        }
        let name = format!("{} ({what}), {:?}", ended.trace.name, ended.outcome());
        let Rest { application, status, is_well, .. } = self.rest;
        let bad = |what: String| Some(mistake("left well, or told", what));
        let is_excused = status.as_deref() == Some("RUNNING") && self.may_fail_later;
        if !is_well && !is_excused {
            return bad(format!("{application} is {status:?} and not well after {name}"));
        }
        // What was aborted or overtaken, and what a person was asked to look at, may have left it stopped, too.
        let may_leave_it_stopped = |actor: &Actor<'_>| {
            let left = [None, Some(Outcome::NeedsAttention), Some(Outcome::Superseded)];
            (actor.is_to_stand_still || left.contains(&actor.ended.outcome()))
                && all_acts().any(|act| act.is_by(&actor.ended.trace.principal))
        };
        let was_stopped_by_a_person = all_acts().any(|act| act.is("StopApplication") && act.is_by(OPERATOR));
        let has_finished = self.record.iter().any(|entry| {
            matches!(&entry.event, Event::JobEnded { application, how, .. } if application == self.rest.application && how == "finished")
        });
        let was_to_stop = self.actors.iter().any(may_leave_it_stopped)
            || was_stopped_by_a_person
            || has_finished
            || self.may_fail_later;
        // It may have been found so, since the service or a person had stopped it.
        let is_of_ours = |act: &Placed<'_>| self.actors.iter().any(|it| act.is_by(&it.ended.trace.principal));
        let first_act = |ended: &Ended| all_acts().find(|act| act.is_by(&ended.trace.principal));
        // Whoever found it stopped, started it, and undid that has left it as it was.
        let is_undone = |act: &Placed<'_>| {
            self.actors.iter().any(|it| {
                it.ended.outcome() == Some(Outcome::Restored)
                    && act.is_by(&it.ended.trace.principal)
                    && first_act(it.ended).is_some_and(|first| first.finds_it_stopped())
            })
        };
        let was_found_standing = first_act(ended).is_some_and(|first| {
            let is_before = |act: &Placed<'_>| act.index < first.index && !act.finds_it_stopped() && !is_undone(act);
            let stopped_it = all_acts().filter(is_before).last();
            first.finds_it_stopped() && stopped_it.is_none_or(|act| !is_of_ours(&act))
        });
        let was_running = self.was_running && !was_found_standing;
        if status.as_deref() == Some("READY") && was_running && !was_to_stop {
            return bad(format!("{application} was stopped, for which nobody asked, after {name}"));
        }
        None
    }

    /// Who has looked at the application after this act of another, and has said that it is well.
    fn whoever_vouches_for(&self, act: Placed<'_>) -> Option<&Actor<'_>> {
        let calls = self.record.iter().skip(act.index).filter_map(|entry| match &entry.event {
            Event::Call(call) if call.operation == "DescribeApplication" => Some(call),
            _ => None,
        });
        let lookers: BTreeSet<&str> = calls.filter_map(|call| call.principal.as_deref()).collect();
        self.actors.iter().rfind(|actor| {
            let vouching = [Outcome::Deployed, Outcome::NoChange, Outcome::RolledBack, Outcome::Restored];
            let is_vouching = actor.ended.outcome().is_some_and(|outcome| vouching.contains(&outcome));
            is_vouching && lookers.contains(actor.ended.trace.principal.as_str())
        })
    }
}
