//! The demo's command line.

use clap::Parser;
use emulator::flink::FlinkVersion;

use super::flink::on_real_flink;
use super::snapshots;
use crate::catalogue::{catalogue, scenario};
use crate::scenario::Scenario;

/// Exit codes and the form of `--json`, below the options in the help.
const AFTER_HELP: &str = "\
With --json, standard output is one JSON array with the reports of the deployments in
order, each as the state machine hands it on: an object with outcome, success, summary,
versionBefore, versionAfter, because, failure, events and more; null for a deployment
that was aborted. Of scheduled-snapshots it has the summaries of the runs, with outcome,
success, counts, failed and skipped. `jq -r '.[].outcome'` lists the outcomes.

Exit code: 0 when everything came out as the scenario says (outcomes, changing calls,
safety rules), 1 when not, 2 for misuse, 130 after Ctrl-C.";

/// Deploys changes to an application on this machine: the shipped state machine, the real Lambdas, an emulated Managed
/// Service for Apache Flink.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(bin_name = "cargo xtask demo", after_help = AFTER_HELP, max_term_width = 90)]
pub struct Arguments {
    /// List the scenarios, each with what it shows. With --flink, only those that run on a real Flink.
    #[arg(long, conflicts_with_all = ["scenario", "json", "speed"])]
    pub list: bool,
    /// The scenario to play.
    #[arg(long, value_name = "NAME", default_value = "healthy-then-crash-loop")]
    pub scenario: String,
    /// Print the reports alone, as JSON.
    #[arg(long)]
    pub json: bool,
    /// How many times as fast as real time waits go by [default: 50; 1000 with --json; 1 with --flink]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub speed: Option<u32>,
    /// Run the jobs on a real Apache Flink of this version: 1.20, 2.2 or 2.3. The first use downloads it (230 MB).
    #[arg(long, value_name = "VERSION")]
    pub flink: Option<FlinkVersion>,
}

/// What is played.
#[derive(Debug, Clone)]
pub enum Piece {
    /// A scenario of the catalogue.
    Deployments(Box<Scenario>),
    /// Runs of snapshots.
    Snapshots,
}

/// Why a scenario cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// There is none of that name.
    #[error("there is no scenario {name}{}; --list shows all", did_you_mean(.near))]
    Unknown {
        /// The name.
        name: String,
        /// Names like it.
        near: Vec<&'static str>,
    },
    /// It cannot be played on a real Flink.
    #[error("the scenario {name} cannot be played on a real Flink; those that can: {}", .others.join(", "))]
    NotOnFlink {
        /// Its name.
        name: &'static str,
        /// Names of those that can.
        others: Vec<&'static str>,
    },
}

fn did_you_mean(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(" or ")) }
}

impl Arguments {
    /// The scenarios that can be played: with real JARs where a real Flink is asked for.
    pub fn scenarios(&self) -> Vec<Scenario> {
        match self.flink {
            Some(version) => catalogue().iter().filter_map(|scenario| on_real_flink(scenario, version)).collect(),
            None => catalogue(),
        }
    }

    /// Name of each piece that can be played, and what it shows.
    pub fn pieces(&self) -> Vec<(&'static str, &'static str)> {
        let snapshots = self.flink.is_none().then_some((snapshots::NAME, snapshots::ABOUT));
        self.scenarios().iter().map(|scenario| (scenario.name, scenario.about)).chain(snapshots).collect()
    }

    /// The piece that is asked for.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be played on a real Flink.
    pub fn piece(&self) -> Result<Piece, Misuse> {
        if self.scenario != snapshots::NAME {
            return self.scenario().map(Box::new).map(Piece::Deployments);
        }
        match self.flink {
            None => Ok(Piece::Snapshots),
            Some(_) => Err(self.not_on_flink(snapshots::NAME)),
        }
    }

    fn not_on_flink(&self, name: &'static str) -> Misuse {
        Misuse::NotOnFlink { name, others: self.scenarios().iter().map(|scenario| scenario.name).collect() }
    }

    /// The scenario that is asked for.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be played on a real Flink.
    pub fn scenario(&self) -> Result<Scenario, Misuse> {
        let found = scenario(&self.scenario)
            .ok_or_else(|| Misuse::Unknown { name: self.scenario.clone(), near: near_names(&self.scenario) })?;
        match self.flink {
            None => Ok(found),
            Some(version) => on_real_flink(&found, version).ok_or_else(|| self.not_on_flink(found.name)),
        }
    }
}

/// Names that a person may have meant: the nearest three, no further away than a third of the name.
fn near_names(name: &str) -> Vec<&'static str> {
    let all = catalogue();
    let all = all.iter().map(|scenario| scenario.name).chain([snapshots::NAME]);
    let mut names: Vec<(usize, &str)> = all.map(|candidate| (distance(name, candidate), candidate)).collect();
    names.sort_unstable();
    let contains = |candidate: &str| name.len() > 2 && candidate.contains(name);
    let is_near = |(distance, candidate): &(usize, &str)| *distance * 3 <= name.len().max(3) || contains(candidate);
    names.into_iter().filter(is_near).map(|(_, name)| name).take(3).collect()
}

/// How many characters have to be put in, taken out or changed to get from one text to the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, character) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, &candidate) in other.iter().enumerate() {
            let changed = diagonal + usize::from(candidate != character);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parsed(arguments: &[&str]) -> Arguments {
        Arguments::try_parse_from([&["demo"], arguments].concat()).unwrap()
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        assert_eq!(parsed(&[]).scenario().unwrap().name, "healthy-then-crash-loop");
    }

    #[test]
    fn a_name_that_is_not_there_brings_up_those_like_it() {
        let misuse = parsed(&["--scenario", "helthy"]).scenario().unwrap_err();
        assert!(matches!(&misuse, Misuse::Unknown { near, .. } if near.contains(&"healthy")), "{misuse}");
        let misuse = parsed(&["--scenario", "qqqqqq"]).scenario().unwrap_err();
        assert_eq!(misuse.to_string(), "there is no scenario qqqqqq; --list shows all");
    }

    #[test]
    fn snapshots_are_played_without_a_real_flink() {
        assert!(matches!(parsed(&["--scenario", "scheduled-snapshots"]).piece(), Ok(Piece::Snapshots)));
        assert!(matches!(parsed(&["--scenario", "healthy"]).piece(), Ok(Piece::Deployments(_))));
        let misuse = parsed(&["--scenario", "scheduled-snapshots", "--flink", "1.20"]).piece().unwrap_err();
        assert!(misuse.to_string().contains("cannot be played on a real Flink"), "{misuse}");
        let misuse = parsed(&["--scenario", "scheduled-snapshot"]).piece().unwrap_err();
        assert!(misuse.to_string().contains("did you mean scheduled-snapshots"), "{misuse}");
        assert!(parsed(&[]).pieces().iter().any(|(name, _)| *name == "scheduled-snapshots"));
        assert!(!parsed(&["--flink", "1.20"]).pieces().iter().any(|(name, _)| *name == "scheduled-snapshots"));
    }

    #[test]
    fn misuse_is_refused() {
        let cases =
            [&["--speed", "0"][..], &["--flink", "1.15"], &["--list", "--json"], &["extra"], &["--sceanrio", "x"]];
        for arguments in cases {
            let arguments = [&["demo"], arguments].concat();
            assert_eq!(Arguments::try_parse_from(arguments.clone()).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }

    #[test]
    fn distances_are_counted_in_characters() {
        for (one, other, expected) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("healthy", "helthy", 1)] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
