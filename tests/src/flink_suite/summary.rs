//! What has come of the situations, as a table with the figures below it.

use std::fmt::Write as _;
use std::time::Duration;

use emulator::flink::FlinkVersion;

use super::play::Played;

/// What the cluster of one application costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The version of Flink.
    pub version: FlinkVersion,
    /// From the start of its JVM until its REST API answered.
    pub ready_after: Duration,
    /// Memory of its JVM while a job runs, in bytes; none where the system does not tell.
    pub resident_bytes: Option<u64>,
}

/// What a situation came to where a version was under test.
#[derive(Debug)]
pub struct Ended {
    /// The situation's name.
    pub situation: &'static str,
    /// The version under test.
    pub version: FlinkVersion,
    /// What it came to; else what is wrong.
    pub result: Result<Played, String>,
}

impl Ended {
    /// In a line: the situation, the version, the outcome, and its account of the records.
    pub fn line(&self) -> String {
        let (situation, version) = (self.situation, self.version.release());
        match &self.result {
            Err(_) => format!("{situation:<27} {version:<7} FAILED"),
            Ok(Played { outcome, account, took, .. }) => {
                let restored = account.restored.map_or_else(|| "-".to_owned(), |records| records.to_string());
                format!(
                    "{situation:<27} {version:<7} {:<15} {:>7} {restored:>9} {:>9} {:>7} {:>5.0} s",
                    outcome.to_string(),
                    account.before,
                    account.replayed,
                    account.after,
                    took.as_secs_f64(),
                )
            }
        }
    }
}

/// What columns of [`Ended::line`] show.
fn head() -> String {
    format!(
        "{:<27} {:<7} {:<15} {:>7} {:>9} {:>9} {:>7} {:>7}",
        "situation", "flink", "outcome", "before", "restored", "replayed", "after", "took"
    )
}

/// The table, the figures, and last how many situations came out as they should.
pub fn summary(ended: &[Ended], figures: &[Figures], took: Duration) -> String {
    let mut text = head();
    for ended in ended {
        let _ = write!(text, "\n{}", ended.line());
    }
    let proven = ended.iter().filter(|ended| ended.result.is_ok()).count();
    let records: i64 = ended.iter().filter_map(|it| it.result.as_ref().ok()).map(|it| it.account.after).sum();
    text.push_str("\n\nRecords: before the change, restored, counted again (replayed), and at the end.\n");
    for Figures { version, ready_after, resident_bytes } in figures {
        let memory = resident_bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{} MiB", bytes / 1_048_576));
        let _ = writeln!(
            text,
            "Flink {}: a cluster is ready after {:.1} s (at most 3), with its job it takes {memory} (at most 260).",
            version.release(),
            ready_after.as_secs_f64()
        );
    }
    let _ = write!(
        text,
        "{proven} of {} as they should be, {records} records accounted for, in {}:{:02} min.",
        ended.len(),
        took.as_secs() / 60,
        took.as_secs() % 60
    );
    text
}

#[cfg(test)]
mod tests {
    use lifecycle::report::Outcome;

    use super::super::ledger::Account;
    use super::*;

    #[test]
    fn the_table_shows_each_situation_and_the_last_line_how_many_are_right() {
        let account = Account { before: 812, restored: Some(812), replayed: 203, after: 1_404 };
        let took = Duration::from_secs(31);
        let played = Played { outcome: Outcome::RolledBack, account, took };
        let ended = |version, result| Ended { situation: "crash-in-open", version, result };
        let all = [ended(FlinkVersion::V1_20, Ok(played)), ended(FlinkVersion::V2_3, Err("why".to_owned()))];
        let (ready_after, resident_bytes) = (Duration::from_millis(1_140), Some(200 * 1_048_576));
        let figures = Figures { version: FlinkVersion::V1_20, ready_after, resident_bytes };
        let text = summary(&all, &[figures], Duration::from_secs(61));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "crash-in-open               1.20.5  RolledBack          812       812       203    1404    31 s"
        );
        assert_eq!(lines[2], "crash-in-open               2.3.0   FAILED");
        assert!(text.contains("ready after 1.1 s (at most 3), with its job it takes 200 MiB"), "{text}");
        assert_eq!(lines.last(), Some(&"1 of 2 as they should be, 1404 records accounted for, in 1:01 min."));
    }
}
