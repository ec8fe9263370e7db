//! The command line of `cargo xtask e2e --aws`.

use clap::Parser;

use super::situations::{Situation, situations};

const AFTER_HELP: &str = "\
Exit code: 0 when everything came out as it should, 1 when not, 2 for misuse, 130 after
Ctrl-C.";

/// Deploys template.yaml by sam into an engine on this machine that is not ours (ministack), with the real Lambdas, and
/// plays uploads, schedules and executions by hand there.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line's own")]
#[command(bin_name = "cargo xtask e2e --aws", after_help = AFTER_HELP, max_term_width = 90)]
pub struct Arguments {
    /// Only this situation; may be given several times
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// List the situations, each with what it shows
    #[arg(long)]
    pub list: bool,
    /// Print what came of it as JSON
    #[arg(long)]
    pub json: bool,
    /// How many situations go on at a time [default: twelve for each processor, at most 48]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub at_once: Option<u8>,
    /// How many times as fast as real time the clock of the state machines and of the service runs
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub speed: u32,
    /// Take the Lambdas that lie beside this program instead of having cargo-lambda build them
    #[arg(long)]
    pub built: bool,
    /// Keep the folder with the logs of ministack and sam
    #[arg(long)]
    pub keep: bool,
}

/// Why the situations asked for cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// None of this name.
    #[error("there is no situation {0}; --list shows all")]
    Name(String),
    /// They cannot be read.
    #[error("{0}")]
    All(String),
}

impl Arguments {
    /// The situations asked for.
    ///
    /// # Errors
    /// When there is none of a name, or they cannot be read.
    pub fn situations(&self) -> Result<Vec<Situation>, Unknown> {
        let all = situations().map_err(Unknown::All)?;
        if let Some(unknown) = self.only.iter().find(|name| all.iter().all(|situation| situation.name != **name)) {
            return Err(Unknown::Name(unknown.clone()));
        }
        let is_wanted = |situation: &Situation| self.only.is_empty() || self.only.iter().any(|it| it == situation.name);
        Ok(all.into_iter().filter(is_wanted).collect())
    }
}
