//! What the commands do.

mod begin;
mod deploy;
mod doctor;
mod find;
mod history;
mod plan;
mod report;
mod snapshots;
mod status;

use std::io::{self, Write as _};

use clap::CommandFactory as _;

use crate::arguments::{Arguments, Command};
use crate::context::{Context, Output};
use crate::failure::{Exit, Failure};
use crate::follow::follow;

/// Whether the environment names an endpoint, and wants no colours.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// An endpoint of AWS is overridden.
    pub is_overridden: bool,
    /// No colours.
    pub is_plain: bool,
}

/// Does what the arguments ask for.
pub async fn run(arguments: Arguments, surroundings: Surroundings) -> Result<Exit, Failure> {
    let Arguments { command, global } = arguments;
    match &command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "flinkctl", &mut script);
            return print(&script);
        }
        Command::Man => return print(&manual()?),
        _ => {}
    }
    let output = Output::new(&global, surroundings.is_plain);
    let mut context = Context::new(&global, output, surroundings.is_overridden).await?;
    let context = &mut context;
    match command {
        Command::Deploy(deploy) => deploy::deploy(context, &deploy).await,
        Command::Plan(plan) => plan::plan(context, &plan).await,
        Command::Status(status) => status::status(context, &status.application).await,
        Command::History(history) => history::history(context, &history).await,
        Command::Rollback(rollback) => deploy::roll_back(context, &rollback).await,
        Command::Stop(stop) => deploy::stop(context, &stop).await,
        Command::Start(start) => deploy::start(context, &start).await,
        Command::Restart(restart) => deploy::restart(context, &restart).await,
        Command::Snapshots(snapshots) => snapshots::snapshots(context, snapshots).await,
        Command::Follow(wanted) => {
            let execution = find::execution(context, &wanted.deployment).await?;
            follow(context, &execution.arn).await
        }
        Command::Report(report) => report::report(context, &report).await,
        Command::Doctor(doctor) => doctor::doctor(context, doctor.application.as_deref()).await,
        Command::Completions { .. } | Command::Man => Ok(Exit::Done),
    }
}

fn print(bytes: &[u8]) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(Exit::Done)
}

/// The manual page, with the pages of the commands behind that of the whole.
fn manual() -> Result<Vec<u8>, Failure> {
    let mut pages = Vec::new();
    let mut command = Arguments::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut pages)?;
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        clap_mangen::Man::new(command.clone().name(name)).render(&mut pages)?;
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_command() {
        let manual = String::from_utf8(manual().unwrap()).unwrap();
        for command in Arguments::command().get_subcommands() {
            assert!(manual.contains(command.get_name()), "{}", command.get_name());
        }
    }
}
