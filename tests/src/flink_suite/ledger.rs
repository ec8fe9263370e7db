//! What the job's ledger (`tests/flink-jobs`) wrote down: how many records were in the state at each start, restore and
//! snapshot, and whether each of them was there exactly once. From this alone it is told what a deployment did to the
//! state.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A line of the ledger: what was in the state when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// `started` without state, `restored` with the state of a snapshot or checkpoint, or `snapshot`, which is written
    /// with what that snapshot or checkpoint holds.
    pub event: String,
    /// Flink's number of the checkpoint or savepoint, -1 for a start without state.
    pub checkpoint: i64,
    /// Records that are in the counters.
    pub counted: i64,
    /// The highest record that was counted; records are numbered from 0.
    pub highest: i64,
    /// Records that were lost, counted twice or counted on lost state.
    pub misplaced: i64,
}

impl Entry {
    fn is_snapshot(&self) -> bool {
        self.event == "snapshot"
    }

    /// Whether every record from 0 to the highest is in the state exactly once.
    pub fn is_exact(&self) -> bool {
        self.misplaced == 0 && self.counted == self.highest + 1
    }
}

/// What a deployment has to have done to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It went on from the savepoint with which the old job was stopped: nothing lost, nothing replayed.
    Kept,
    /// The same after another version had run: what that one counted is counted again, and nothing else.
    Returned,
    /// It went on from this checkpoint of the first job, which is older than what was counted: exactly what came after
    /// is counted again.
    WentBackTo(i64),
    /// The old job went on as if nothing had happened.
    Untouched,
    /// It began without state, because there was none.
    Began,
    /// It went on from the savepoint without the counters, which the change gives up; the source has lost its place by
    /// not one record.
    CountersDropped,
    /// It went on from the savepoint to the end of its input, which is so many records.
    Ended(i64),
    /// It went on from the savepoint, and after a failure from a checkpoint of its own.
    Recovered,
}

/// What came of the state, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// In the state of the old job when it was left, or, where it goes on, when the change was made; 0 where there was
    /// no old job.
    pub before: i64,
    /// In the state that the last restore began with; none where there was no restore.
    pub restored: Option<i64>,
    /// Counted before that restore and, since they came after what was restored, counted again after it.
    pub replayed: i64,
    /// In the state at the end.
    pub after: i64,
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, restored, replayed, after } = self;
        write!(formatter, "{before} in the state before")?;
        if let Some(restored) = restored {
            write!(formatter, ", {restored} restored")?;
        }
        if *replayed > 0 {
            write!(formatter, ", {replayed} counted again")?;
        }
        write!(formatter, ", {after} now")
    }
}

/// A ledger as it has been written so far.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Vec<Entry>);

impl Ledger {
    /// Reads what there is of these files, as if they were one.
    ///
    /// # Errors
    /// When one is there and is no ledger.
    pub fn read(files: &[PathBuf]) -> Result<Self, String> {
        let mut entries = Vec::new();
        for file in files {
            let text = match std::fs::read_to_string(file) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("the ledger cannot be read: {error}")),
            };
            // The last line may be half written.
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in complete.lines() {
                entries
                    .push(serde_json::from_str(line).map_err(|error| format!("no line of a ledger: {line}: {error}"))?);
            }
        }
        Ok(Self(entries))
    }

    /// Whether a file has anything in it.
    pub fn is_written(file: &Path) -> bool {
        std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0)
    }

    /// The line that was written last.
    pub fn last(&self) -> Option<&Entry> {
        self.0.last()
    }

    /// The most that was ever in the state.
    pub fn most_counted(&self) -> i64 {
        self.0.iter().map(|entry| entry.counted).max().unwrap_or_default()
    }

    /// How often the job was restored with state.
    pub fn restores(&self) -> usize {
        self.0.iter().filter(|entry| entry.event == "restored").count()
    }

    /// Whether a snapshot with more than so many records was taken since the last start or restore.
    pub fn has_gone_beyond(&self, counted: i64) -> bool {
        self.last().is_some_and(|last| last.is_snapshot() && last.counted > counted)
    }

    /// Whether the counters, dropped at the last restore, have begun again for every key.
    pub fn has_begun_again(&self) -> bool {
        let restored = self.0.iter().rfind(|entry| entry.event == "restored");
        let begun = |last: &Entry| restored.is_some_and(|it| last.is_snapshot() && last.highest > it.highest + 100);
        self.last().is_some_and(begun)
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.0.len()
    }

    /// Whether every record was in the state exactly once, whenever a line was written.
    pub fn is_exact(&self) -> bool {
        self.0.iter().all(Entry::is_exact)
    }

    /// What has come of the state since the ledger had so many lines; none if nothing has been counted since.
    pub fn account_since(&self, lines: usize) -> Option<Account> {
        let most = |entries: &[Entry]| entries.iter().map(|entry| entry.counted).max().unwrap_or_default();
        let since = self.0.get(lines..)?;
        let last = since.last()?;
        let restores: Vec<_> = (lines..).zip(since).filter(|(_, entry)| entry.event == "restored").collect();
        let Some(((first, _), (place, state))) = restores.first().zip(restores.last()) else {
            let before = self.0[..lines].last().map_or(0, |entry| entry.counted);
            return Some(Account { before, restored: None, replayed: 0, after: last.counted });
        };
        Some(Account {
            before: most(&self.0[..*first]),
            restored: Some(state.counted),
            replayed: most(&self.0[..*place]) - state.counted,
            after: last.counted,
        })
    }

    /// Tells what came of the state by a change that was made when so many records had been counted.
    ///
    /// # Errors
    /// What is not as `proof` demands.
    pub fn prove(&self, proof: Proof, counted_at_change: i64) -> Result<Account, String> {
        let begins = |index: usize| self.0.get(index).is_some_and(|entry| !entry.is_snapshot());
        let Some((first, last)) = self.0.first().zip(self.last()) else { return Err("nothing was counted".to_owned()) };
        let fresh: Vec<_> = self.0.iter().filter(|entry| entry.event == "started").collect();
        if first.event != "started" || fresh.len() != 1 {
            return Err(format!("the job began without state {} times, not once", fresh.len()));
        }
        let restores = self.restores_with_sources()?;
        let exact_until = match proof {
            Proof::CountersDropped => restores.last().map_or(self.0.len(), |(restore, _)| restore + 1),
            _ => self.0.len(),
        };
        if let Some(wrong) = self.0.iter().take(exact_until).find(|entry| !entry.is_exact()) {
            return Err(format!("records were lost or counted twice: {wrong:?}"));
        }
        let Some((restore, source)) = restores.last().copied() else {
            let account = Account { before: counted_at_change, restored: None, replayed: 0, after: last.counted };
            let is_right = match proof {
                Proof::Began => counted_at_change == 0 && last.counted > 0,
                Proof::Untouched => counted_at_change > 0 && last.counted > counted_at_change,
                _ => false,
            };
            return if is_right { Ok(account) } else { Err(format!("the job was never restored: {account:?}")) };
        };
        let (_, first_source) = restores.first().copied().unwrap_or((restore, source));
        let snapshot = &self.0[source];
        let account = self.account_since(0).ok_or("nothing was counted")?;
        if account.before < counted_at_change {
            return Err(format!("{counted_at_change} had been counted before: {account:?}"));
        }
        // Nothing came after the savepoint with which a job was stopped.
        let ended_its_job = begins(source + 1);
        let once = restores.len() == 1;
        let is_right = match proof {
            Proof::Kept => once && ended_its_job && account.replayed == 0,
            // The other version may have failed too early to write a line.
            Proof::Returned => ended_its_job && source == first_source,
            Proof::WentBackTo(checkpoint) => {
                !ended_its_job && snapshot.checkpoint == checkpoint && account.replayed > 0
            }
            Proof::Untouched | Proof::Began => false,
            Proof::CountersDropped => {
                let since = last.highest - snapshot.highest;
                once && ended_its_job && since > 0 && (last.counted, last.misplaced) == (since, since)
            }
            Proof::Ended(records) => once && ended_its_job && last.counted == records.max(snapshot.counted),
            Proof::Recovered => !once && begins(first_source + 1) && source > first_source,
        };
        if is_right { Ok(account) } else { Err(format!("{proof:?} is not what happened: {account:?}; {restores:?}")) }
    }

    /// Each restore with the snapshot that it was made from, as places; the state of both is the same.
    fn restores_with_sources(&self) -> Result<Vec<(usize, usize)>, String> {
        let restores = self.0.iter().enumerate().filter(|(_, entry)| entry.event == "restored");
        restores
            .map(|(place, restored)| {
                let is_source = |entry: &Entry| entry.is_snapshot() && entry.checkpoint == restored.checkpoint;
                let source = self.0[..place].iter().rposition(is_source);
                let source = source.ok_or_else(|| format!("restored from what was never taken: {restored:?}"))?;
                let snapshot = &self.0[source];
                let same = (snapshot.counted, snapshot.highest, snapshot.misplaced)
                    == (restored.counted, restored.highest, restored.misplaced);
                if same { Ok((place, source)) } else { Err(format!("{restored:?} is not what was in {snapshot:?}")) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `s` started, `r` restored, `c` a checkpoint or savepoint; each with its number and what was counted.
    fn ledger(text: &str) -> Ledger {
        let entry = |word: &str| {
            let (event, numbers) = word.split_at(1);
            let (checkpoint, counted) = numbers.split_once(':').unwrap();
            let counted: i64 = counted.parse().unwrap();
            let event = match event {
                "s" => "started",
                "r" => "restored",
                _ => "snapshot",
            };
            let checkpoint = checkpoint.parse().unwrap_or(-1);
            Entry { event: event.to_owned(), checkpoint, counted, highest: counted - 1, misplaced: 0 }
        };
        Ledger(text.split_whitespace().map(entry).collect())
    }

    #[test]
    fn each_way_that_state_can_go_is_told_from_the_others() {
        let kept = "s:0 c1:10 c2:20 r2:20 c3:30";
        let returned = "s:0 c1:10 c2:20 r2:20 c3:35 r3:35 r2:20 c3:40";
        let back = "s:0 c1:10 c2:20 c3:30 r1:10 c2:40";
        let recovered = "s:0 c1:10 c2:20 r2:20 c3:30 c4:40 r4:40 c5:50";
        let untouched = "s:0 c1:10 c2:20";
        let proofs = [
            (kept, Proof::Kept, Account { before: 20, restored: Some(20), replayed: 0, after: 30 }),
            (returned, Proof::Returned, Account { before: 20, restored: Some(20), replayed: 15, after: 40 }),
            (back, Proof::WentBackTo(1), Account { before: 30, restored: Some(10), replayed: 20, after: 40 }),
            (recovered, Proof::Recovered, Account { before: 20, restored: Some(40), replayed: 0, after: 50 }),
            (untouched, Proof::Untouched, Account { before: 10, restored: None, replayed: 0, after: 20 }),
            (untouched, Proof::Began, Account { before: 0, restored: None, replayed: 0, after: 20 }),
            (kept, Proof::Ended(30), Account { before: 20, restored: Some(20), replayed: 0, after: 30 }),
        ];
        for (text, proof, account) in proofs {
            let counted_at_change = if proof == Proof::Began { 0 } else { 10 };
            assert_eq!(ledger(text).prove(proof, counted_at_change), Ok(account), "{proof:?}");
        }
        for (text, proof) in [
            (returned, Proof::Kept),
            (back, Proof::Kept),
            (back, Proof::Returned),
            (recovered, Proof::Returned),
            (back, Proof::WentBackTo(2)),
            (kept, Proof::WentBackTo(2)),
            (kept, Proof::Untouched),
            (kept, Proof::Began),
            (kept, Proof::Recovered),
            (untouched, Proof::Kept),
            (kept, Proof::Ended(40)),
            (kept, Proof::CountersDropped),
        ] {
            assert!(ledger(text).prove(proof, 10).is_err(), "{proof:?} {text}");
        }
    }

    #[test]
    fn an_account_is_told_in_a_line() {
        let account = Account { before: 20, restored: Some(20), replayed: 15, after: 40 };
        assert_eq!(account.to_string(), "20 in the state before, 20 restored, 15 counted again, 40 now");
        let account = Account { before: 0, restored: None, replayed: 0, after: 40 };
        assert_eq!(account.to_string(), "0 in the state before, 40 now");
    }

    #[test]
    fn one_change_after_the_other_has_its_own_account() {
        let two = ledger("s:0 c1:10 c2:20 r2:20 c3:30 c4:40 r4:40 c5:55 r4:40 c5:60");
        assert_eq!(two.lines(), 10);
        let second = Account { before: 40, restored: Some(40), replayed: 15, after: 60 };
        assert_eq!(two.account_since(5), Some(second));
        let none = Account { before: 20, restored: None, replayed: 0, after: 30 };
        assert_eq!(ledger("s:0 c1:10 c2:20 c3:30").account_since(3), Some(none));
        assert_eq!(two.account_since(10), None);
        assert!(two.is_exact());
    }

    #[test]
    fn lost_state_and_records_are_found() {
        for text in ["s:0 c1:10 r1:11 c2:20", "s:0 c1:10 s:0 c1:20", "s:0 c1:10 r2:10 c3:20", "r1:10 c2:20", ""] {
            assert!(ledger(text).prove(Proof::Kept, 0).is_err(), "{text}");
        }
        assert!(
            ledger("s:0 c1:10 r1:10 c2:20").prove(Proof::Kept, 11).unwrap_err().contains("had been counted before")
        );
        assert!(ledger("s:0 c1:10").prove(Proof::Untouched, 10).is_err());
        let mut lost = ledger("s:0 c1:10 r1:10 c2:20");
        lost.0[3].highest = 20;
        assert!(lost.prove(Proof::Kept, 0).unwrap_err().contains("lost or counted twice"));
        let mut twice = ledger("s:0 c1:10 r1:10 c2:20");
        twice.0[3].misplaced = 1;
        assert!(twice.prove(Proof::Kept, 0).is_err());
    }

    #[test]
    fn dropped_counters_leave_the_source_where_it_was() {
        let mut dropped = ledger("s:0 c1:10 c2:20 r2:20 c3:30");
        dropped.0[4] = Entry { highest: 49, counted: 30, misplaced: 30, ..dropped.0[4].clone() };
        let account = Account { before: 20, restored: Some(20), replayed: 0, after: 30 };
        assert_eq!(dropped.prove(Proof::CountersDropped, 10), Ok(account));
        dropped.0[4].misplaced = 29;
        assert!(dropped.prove(Proof::CountersDropped, 10).is_err());
    }
}
