//! What came of a plan, in lines: for whoever looks into a mistake, and for whoever compares two runs of a seed.

use std::fmt::Write as _;

use emulator::RecordEntry;
use emulator::record::Event;
use jiff::Timestamp;

use crate::simulation::play::{Aftermath, Ended, Rest};

impl Aftermath {
    /// What was drawn, what came of it, and what changed or went wrong meanwhile, in seconds since the first execution.
    pub fn timeline(&self) -> String {
        let mut story = String::new();
        for (number, part) in self.plan.kept() {
            let _ = writeln!(story, "part {number:>2}  {part}");
        }
        story + &timeline(&self.ended, &self.record, &self.rest)
    }

    /// A hash of the timeline.
    pub fn digest(&self) -> u64 {
        // FNV-1a: any hash would do that is the same on every machine.
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        self.timeline().bytes().fold(0xCBF2_9CE4_8422_2325, mix)
    }

    /// All that happened, byte for byte: the timeline, every call with all that was sent, and every letter.
    pub fn trace(&self) -> String {
        let mut trace = self.timeline();
        for entry in &self.record {
            let mut told = serde_json::to_value(entry).unwrap_or_default();
            // The SDK sends the members of a map in any order.
            told.sort_all_objects();
            let _ = writeln!(trace, "{told}");
        }
        for published in &self.published {
            let _ = writeln!(trace, "{published:?}");
        }
        for summary in &self.snapshots {
            let _ = writeln!(trace, "{summary:?}");
        }
        trace
    }
}

/// What came of executions, and what changed or went wrong meanwhile, in seconds since the first of them.
pub(crate) fn timeline(ended: &[Ended], record: &[RecordEntry], rest: &[Rest]) -> String {
    let mut story = String::new();
    let began = ended.iter().map(|ended| ended.trace.started_at).min().unwrap_or(Timestamp::UNIX_EPOCH);
    let since = |at: Timestamp| at.duration_since(began).as_secs();
    for ended in ended {
        let Ended { trace, report, asked } = ended;
        let (from, to) = (since(trace.started_at), since(trace.ended_at));
        let _ = writeln!(story, "e{asked} is {}: {from} to {to} s, {:?}", trace.name, trace.status);
        if let Some(report) = report {
            let _ = writeln!(story, "    {}: {}", report.outcome, report.summary);
            for event in &report.events {
                let _ = writeln!(story, "    {:>6} s  {}", since(event.at), event.what);
            }
        }
    }
    story.push_str(&changes(record, began));
    for rest in rest {
        let well = if rest.is_well { "well" } else { "not well" };
        let _ = writeln!(story, "{} at the end: {:?}, {well}", rest.application, rest.status);
    }
    story
}

/// What changed or went wrong from this moment on, a line each, in seconds since it.
fn changes(record: &[RecordEntry], began: Timestamp) -> String {
    let mut story = String::new();
    for entry in record.iter().filter(|entry| entry.at >= began) {
        let told = match &entry.event {
            Event::Call(call) if call.mutating || call.status != 200 || call.service == "states" => {
                let (by, error) = (call.principal.as_deref().unwrap_or("?"), call.error.as_deref().unwrap_or(""));
                let done = if call.done { "" } else { " (not done)" };
                format!("{by}: {}:{} {} {error}{done}", call.service, call.operation, call.status)
            }
            Event::Call(_) => continue,
            Event::Status { from, to, version, .. } => format!("{from:?} → {to:?} at version {version}"),
            Event::Version { from, to, cause, principal, .. } => {
                format!("{from} → {to} by {cause} of {principal:?}")
            }
            other => format!("{other:?}"),
        };
        let _ = writeln!(story, "{:>6} s  {told}", entry.at.duration_since(began).as_secs());
    }
    story
}
