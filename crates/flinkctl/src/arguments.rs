//! The command line.

#![expect(clippy::doc_markdown, clippy::doc_link_with_quotes, reason = "the help shows it as it is written")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Exit codes and configuration, below the options in the help.
const AFTER_HELP: &str = "\
Exit codes:
  0    done: deployed, nothing to change, or superseded by a newer change
  1    a call failed, or something is not there
  2    the arguments cannot be meant, or a question was answered with no
  3    the change was found bad and was undone: RolledBack or Restored
  4    a person has to look: NeedsAttention
  5    refused, nothing was touched
  6    the execution was cut short before it could tell an outcome
  130  Ctrl-C; what was begun goes on
  141  nobody reads standard output any more; what was begun goes on

Credentials, region and endpoint come from where the AWS SDKs look for them: environment,
~/.aws/config, ~/.aws/credentials, single sign-on, the machine's role.";

/// Heading of the options of every command.
const EVERYWHERE: &str = "Options of every command";

/// Verified deployments of Managed Service for Apache Flink applications.
///
/// A change goes in; out comes the new version, verified down to its subtasks and checkpoints, or the old version back
/// with its state, and a report that says why. It is the installed state machine that deploys: flinkctl starts it,
/// follows it, and reads what there is to know.
#[derive(Debug, Parser)]
#[command(name = "flinkctl", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// How to tell it: as text for people, or as one JSON value on standard output for programs.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Whether to use colours.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
    /// Profile of the AWS configuration files.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME")]
    pub profile: Option<String>,
    /// AWS region.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME")]
    pub region: Option<String>,
    /// Endpoint of all services, such as the sandbox's http://127.0.0.1:4600.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Name or ARN of the deploy state machine, where there is more than one in the region.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME|ARN", env = "FLINKCTL_STATE_MACHINE")]
    pub state_machine: Option<String>,
}

/// How to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Whether to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deploy a change, and follow it until its outcome.
    Deploy(Box<Deploy>),
    /// Say what a deployment would change, and whether it could be made; nothing is touched.
    Plan(Box<Plan>),
    /// Show how an application stands: version, job, subtasks, restarts, checkpoints, snapshot, deployment.
    Status(Status),
    /// List deployments with their outcome and cause, newest first.
    History(History),
    /// Deploy the configuration of an earlier version, verified like any change. The state goes on.
    Rollback(Rollback),
    /// Stop an application.
    Stop(Stop),
    /// Start a stopped application, and verify its job.
    Start(Start),
    /// Stop an application, start it again, and verify its job.
    Restart(Restart),
    /// List, take or delete snapshots.
    #[command(subcommand)]
    Snapshots(Snapshots),
    /// Follow a deployment that is under way. Ctrl-C ends the following, never the deployment.
    Follow(Follow),
    /// Tell what came of a deployment.
    Report(Report),
    /// Check the installation, and an application's fitness for verified deployments.
    Doctor(Doctor),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
}

/// What a change consists of.
#[derive(Debug, Args)]
pub struct Change {
    /// Name of the application.
    pub application: String,
    /// The new code: a JAR or ZIP here, which is uploaded, or s3://BUCKET/KEY, with ?versionId=VERSION if wanted. Of an
    /// object in S3 the newest version is taken, unless one is named.
    #[arg(long, value_name = "PATH|S3")]
    pub code: Option<String>,
    /// Where to upload code to: s3://BUCKET/KEY, or s3://BUCKET/FOLDER/. Beside the code that runs, unless told otherwise.
    #[arg(long, value_name = "S3", requires = "code")]
    pub upload_to: Option<String>,
    /// Set a runtime property; the others stay. May be given more than once.
    #[arg(long = "property", value_name = "GROUP:KEY=VALUE")]
    pub properties: Vec<String>,
    /// Remove a runtime property. May be given more than once.
    #[arg(long = "remove-property", value_name = "GROUP:KEY")]
    pub removed_properties: Vec<String>,
    /// Set the parallelism.
    #[arg(long, value_name = "N")]
    pub parallelism: Option<u32>,
    /// Set the parallelism per KPU.
    #[arg(long, value_name = "N")]
    pub parallelism_per_kpu: Option<u32>,
    /// Set the runtime, such as FLINK-1_20.
    #[arg(long, value_name = "RUNTIME")]
    pub runtime: Option<String>,
    /// File with the body of UpdateApplication, as JSON without name, version and token; - is standard input. What
    /// other options say goes on top of it.
    #[arg(long, value_name = "FILE")]
    pub update: Option<PathBuf>,
    /// Stop the application first: graceful takes a snapshot, force takes none.
    #[arg(long, value_enum, value_name = "HOW")]
    pub stop_first: Option<How>,
    /// Start the application after the update, where it is stopped.
    #[arg(long)]
    pub start: bool,
    /// How state is restored.
    #[command(flatten)]
    pub restore: Restore,
    /// How the deployment is judged.
    #[command(flatten)]
    pub terms: Terms,
}

/// How an application is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// With a snapshot.
    Graceful,
    /// At once and without a snapshot: what was processed since the last one is processed again.
    Force,
}

impl How {
    /// The word as a request has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Graceful => "graceful",
            Self::Force => "force",
        }
    }
}

/// How state is restored.
#[derive(Debug, Args)]
pub struct Restore {
    /// Where the state comes from: latest, the name of a snapshot, or none to begin without state.
    #[arg(long, value_name = "latest|NAME|none", default_value = "latest")]
    pub restore: String,
    /// State that belongs to no operator of the new code may be dropped.
    #[arg(long)]
    pub allow_non_restored_state: bool,
}

/// How a deployment is judged and told.
#[derive(Debug, Args)]
pub struct Terms {
    /// Set a field of the policy, such as bakeSeconds=900 or alarms=["orders-lag"]. May be given more than once.
    #[arg(long = "policy", value_name = "FIELD=VALUE")]
    pub policy: Vec<String>,
    /// Why, for the report.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// How a deployment is begun and followed.
#[derive(Debug, Args)]
pub struct Begin {
    /// Name of the execution, by which the same call made twice deploys once.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Do not wait for the outcome.
    #[arg(long)]
    pub no_follow: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// Options of `deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    /// The change.
    #[command(flatten)]
    pub change: Change,
    /// How it is begun.
    #[command(flatten)]
    pub begin: Begin,
}

/// Options of `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The change.
    #[command(flatten)]
    pub change: Change,
    /// Show the values of runtime properties, which may be secrets.
    #[arg(long)]
    pub show_values: bool,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Name of the application.
    pub application: String,
}

/// Options of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// Name of the application; all, unless named.
    pub application: Option<String>,
    /// How many deployments to list.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
}

/// Options of `rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// Name of the application.
    pub application: String,
    /// Version whose configuration is wanted; the last one that a deployment found good, unless named.
    #[arg(long, value_name = "VERSION")]
    pub to_version: Option<u64>,
    /// How state is restored.
    #[command(flatten)]
    pub restore: Restore,
    /// How it is judged.
    #[command(flatten)]
    pub terms: Terms,
    /// How it is begun.
    #[command(flatten)]
    pub begin: Begin,
}

/// Options of `stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// Name of the application.
    pub application: String,
    /// Stop at once and without a snapshot.
    #[arg(long)]
    pub force: bool,
    /// How it is judged.
    #[command(flatten)]
    pub terms: Terms,
    /// How it is begun.
    #[command(flatten)]
    pub begin: Begin,
}

/// Options of `start`.
#[derive(Debug, Args)]
pub struct Start {
    /// Name of the application.
    pub application: String,
    /// How state is restored.
    #[command(flatten)]
    pub restore: Restore,
    /// How it is judged.
    #[command(flatten)]
    pub terms: Terms,
    /// How it is begun.
    #[command(flatten)]
    pub begin: Begin,
}

/// Options of `restart`.
#[derive(Debug, Args)]
pub struct Restart {
    /// Name of the application.
    pub application: String,
    /// Stop at once and without a snapshot.
    #[arg(long)]
    pub force: bool,
    /// How state is restored.
    #[command(flatten)]
    pub restore: Restore,
    /// How it is judged.
    #[command(flatten)]
    pub terms: Terms,
    /// How it is begun.
    #[command(flatten)]
    pub begin: Begin,
}

/// The commands about snapshots.
#[derive(Debug, Subcommand)]
pub enum Snapshots {
    /// List an application's snapshots, newest first.
    List {
        /// Name of the application.
        application: String,
    },
    /// Take a snapshot of a running application, and wait until it is READY.
    Take {
        /// Name of the application.
        application: String,
        /// Why, for the report.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Do not wait until it is READY.
        #[arg(long)]
        no_follow: bool,
    },
    /// Delete old snapshots, never one that may be needed; see docs/operations.md for what is kept.
    Prune(Prune),
}

/// Options of `snapshots prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Name of the application.
    pub application: String,
    /// How many of the newest are kept.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub keep_newest: u32,
    /// All that are younger are kept.
    #[arg(long, value_name = "HOURS", default_value_t = 48)]
    pub keep_younger_than_hours: u32,
    /// Only snapshots whose names begin so are deleted.
    #[arg(long, value_name = "PREFIX", default_value = "scheduled-", conflicts_with = "any_prefix")]
    pub prefix: String,
    /// Snapshots of any name may be deleted.
    #[arg(long)]
    pub any_prefix: bool,
    /// Tell only what would be deleted.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// Options of `follow`.
#[derive(Debug, Args)]
pub struct Follow {
    /// Name or ARN of the execution, or name of the application, whose newest is meant.
    pub deployment: String,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// Name or ARN of the execution, or name of the application, whose newest is meant.
    pub deployment: String,
    /// Write a page with a timeline to this file; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Name of an application to check too.
    pub application: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
