//! The command line of `cargo xtask e2e`.

use clap::Parser;
use emulator::flink::FlinkVersion;

use super::{Situation, situations};

/// Exit codes, below the options in the help.
const AFTER_HELP: &str = "\
Exit code: 0 when everything came out as it should (outcomes, changing calls, safety
rules, and every record in the state), 1 when not, 2 for misuse, 130 after Ctrl-C.";

/// Deploys good and bad changes on a real Apache Flink on this machine, with the shipped state machine and the real
/// Lambdas, and accounts for every record in the state.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(bin_name = "cargo xtask e2e", after_help = AFTER_HELP, max_term_width = 90)]
pub struct Arguments {
    /// A version of Flink: 1.20, 2.2 or 2.3; may be given several times. The first use downloads it (230 to 330 MB)
    /// [default: 1.20 and 2.3]
    #[arg(long, value_name = "VERSION")]
    pub flink: Vec<FlinkVersion>,
    /// Only this situation; may be given several times
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// List the situations, each with what it shows
    #[arg(long)]
    pub list: bool,
    /// How many situations go on at a time [default: two for each processor, at most eight]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub at_once: Option<u8>,
}

/// There is no such situation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no situation {0}; --list shows all")]
pub struct Unknown(String);

impl Arguments {
    /// The versions asked for, each once.
    pub fn versions(&self) -> Vec<FlinkVersion> {
        let mut versions = self.flink.clone();
        if versions.is_empty() {
            versions = vec![FlinkVersion::V1_20, FlinkVersion::V2_3];
        }
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// The situations asked for.
    ///
    /// # Errors
    /// When there is none of a name.
    pub fn situations(&self) -> Result<Vec<Situation>, Unknown> {
        let all = situations();
        if let Some(unknown) = self.only.iter().find(|name| all.iter().all(|situation| situation.name != **name)) {
            return Err(Unknown(unknown.clone()));
        }
        let is_wanted = |situation: &Situation| self.only.is_empty() || self.only.iter().any(|it| it == situation.name);
        Ok(all.into_iter().filter(is_wanted).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Arguments {
        Arguments::try_parse_from([&["e2e"], arguments].concat()).unwrap()
    }

    #[test]
    fn all_is_played_unless_something_is_chosen() {
        let all = parse(&[]);
        assert_eq!(all.versions(), [FlinkVersion::V1_20, FlinkVersion::V2_3]);
        assert_eq!(all.situations().unwrap().len(), situations().len());
        let chosen = parse(&["--flink", "2.3", "--flink", "2.3", "--only", "crash-in-open"]);
        assert_eq!(chosen.versions(), [FlinkVersion::V2_3]);
        assert_eq!(chosen.situations().unwrap().len(), 1);
    }

    #[test]
    fn what_there_is_not_is_misuse() {
        assert_eq!(parse(&["--only", "none"]).situations().unwrap_err(), Unknown("none".to_owned()));
        for arguments in [&["e2e", "--flink", "1.15"][..], &["e2e", "--at-once", "0"], &["e2e", "--bogus"]] {
            assert_eq!(Arguments::try_parse_from(arguments).unwrap_err().exit_code(), 2);
        }
    }
}
