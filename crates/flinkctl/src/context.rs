//! What every command has at hand: clients, what it may write on, and the installed state machines.

use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use clock::Clock;
use lifecycle::evidence::Application;
use managed_flink::{Endpoint, HttpsTransport, ManagedFlink};
use serde::Serialize;
use serde_json::Value;

use crate::arguments::{Colour, Format, Global};
use crate::executions::Executions;
use crate::failure::Failure;
use crate::terminal::line::{COLUMNS, Line, Style, wrap};
use crate::terminal::screen::{Abilities, Screen};

/// Terminals narrower than that are written on as if they had so many columns.
const LEAST_COLUMNS: usize = 20;
/// Lines wider than that are tiring to read.
const MOST_COLUMNS: usize = 100;
/// How alike a name must be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.8;
/// How the definition of the deploy state machine begins to tell of itself.
const DEPLOYS: &str = "Deploys one change to a Managed Service for Apache Flink application";

/// What a command has at hand.
pub struct Context {
    /// Managed Flink.
    pub flink: ManagedFlink,
    /// Step Functions.
    pub executions: Executions,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// `CloudWatch`.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// The region.
    pub region: String,
    /// The time.
    pub clock: Clock,
    /// Where results go.
    pub output: Output,
    state_machine: Option<String>,
}

/// Where results go: to people as lines, or to programs as one JSON value. Progress goes to standard error where results
/// are for programs.
pub struct Output {
    format: Format,
    screen: Screen<Box<dyn Write>>,
    is_terminal: bool,
    /// Columns of a line.
    pub columns: usize,
}

impl Output {
    /// On standard output, as the arguments and the terminal have it. `is_plain` says that the environment wants no colours.
    pub fn new(global: &Global, is_plain: bool) -> Self {
        let is_text = global.output == Format::Text;
        let is_terminal = if is_text { io::stdout().is_terminal() } else { io::stderr().is_terminal() };
        let is_coloured = match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => is_terminal && !is_plain,
        };
        let out: Box<dyn Write> = if is_text { Box::new(io::stdout()) } else { Box::new(io::stderr()) };
        let columns =
            terminal_size::terminal_size().filter(|_| is_terminal).map_or(COLUMNS, |(width, _)| width.0.into());
        Self {
            format: global.output,
            screen: Screen::new(out, Abilities { is_live: is_terminal, is_coloured }),
            is_terminal,
            columns: columns.clamp(LEAST_COLUMNS, MOST_COLUMNS),
        }
    }

    /// Whether results are for programs.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Tells people; where results are for programs, as progress.
    pub fn lines(&mut self, lines: &[Line]) -> Result<(), Failure> {
        Ok(self.screen.print(lines)?)
    }

    /// Tells people a text, in lines that fit.
    pub fn text(&mut self, style: Style, text: &str) -> Result<(), Failure> {
        let lines: Vec<Line> = wrap(text, self.columns).into_iter().map(|text| Line::new().and(style, text)).collect();
        self.lines(&lines)
    }

    /// What is going on, on a line that does not stay.
    pub fn status(&mut self, text: &str) -> Result<(), Failure> {
        let text: String = text.chars().take(self.columns.saturating_sub(1)).collect();
        Ok(self.screen.status(Some(&Line::new().and(Style::Faint, text)))?)
    }

    /// The result: lines for people, or the value for programs.
    pub fn result(&mut self, lines: &[Line], value: &impl Serialize) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.lines(lines),
            Format::Json => self.json(value),
        }
    }

    fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.screen.clear()?;
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
        writeln!(out)?;
        Ok(out.flush()?)
    }

    /// Asks whether to do it, unless that was said already.
    pub fn confirm(&mut self, question: &str, is_said: bool) -> Result<(), Failure> {
        if is_said {
            return Ok(());
        }
        if !(self.is_terminal && io::stdin().is_terminal()) {
            return Err(Failure::misuse(format!("This needs a yes: {question}"), "There is nobody to ask: say --yes."));
        }
        self.screen.clear()?;
        let mut out = io::stderr();
        write!(out, "{question} [y/N] ")?;
        out.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::misuse("Nothing was done.", "Answer y, or say --yes, to go on.")),
        }
    }
}

impl Context {
    /// Clients as the arguments and the environment have them. `is_overridden` says that the environment names an endpoint.
    pub async fn new(global: &Global, output: Output, is_overridden: bool) -> Result<Self, Failure> {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        if let Some(profile) = &global.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &global.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &global.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let config = loader.load().await;
        let region = config.region().map(ToString::to_string).ok_or_else(|| {
            Failure::failed(
                "No AWS region is configured.",
                "Give --region NAME, or set AWS_REGION, or one in the profile.",
            )
        })?;
        find_credentials(&config).await?;
        let is_overridden = is_overridden || global.endpoint_url.is_some();
        let endpoint = if is_overridden { Endpoint::Overridden } else { Endpoint::Aws };
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(is_overridden).build();
        Ok(Self {
            flink: ManagedFlink::new(&config, Arc::new(HttpsTransport::new()), endpoint),
            executions: Executions::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            region,
            clock: Clock::wall(),
            output,
            state_machine: global.state_machine.clone(),
        })
    }

    /// ARN of the installed deploy state machine.
    pub async fn deploy_machine(&self) -> Result<String, Failure> {
        if let Some(arn) = self.state_machine.as_ref().filter(|given| given.starts_with("arn:")) {
            return Ok(arn.clone());
        }
        let all = self.executions.state_machines().await?;
        if let Some(name) = &self.state_machine {
            let found = all.iter().find(|(other, _)| other == name).map(|(_, arn)| arn.clone());
            return found.ok_or_else(|| {
                Failure::failed(
                    format!("There is no state machine {name} in {}.", self.region),
                    near("Did you mean", name, all.iter().map(|(name, _)| name.as_str())).unwrap_or_else(|| {
                        "Correct --state-machine, or choose another --region or --profile.".to_owned()
                    }),
                )
            });
        }
        let mut found = Vec::new();
        for (name, arn) in all.iter().filter(|(name, _)| name == "deploy" || name.ends_with("-deploy")) {
            if self.executions.definition(arn).await?.is_some_and(|(definition, _)| is_deploy(&definition)) {
                found.push((name, arn));
            }
        }
        match found.as_slice() {
            [(_, arn)] => Ok((*arn).clone()),
            [] => Err(Failure::failed(
                format!("The state machines are not installed in {}: none deploys Flink applications.", self.region),
                "Install them (README, \"Install\"), or choose another --region or --profile.",
            )),
            several => {
                let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
                Err(Failure::misuse(
                    format!("There are several deploy state machines in {}: {}.", self.region, names.join(", ")),
                    "Say which with --state-machine, or set FLINKCTL_STATE_MACHINE.",
                ))
            }
        }
    }

    /// ARN of the installed snapshot state machine: it has the deploy state machine's name but for the end.
    pub async fn snapshot_machine(&self) -> Result<String, Failure> {
        let deploy = self.deploy_machine().await?;
        let stem = deploy.strip_suffix("deploy").ok_or_else(|| {
            Failure::failed(
                format!(
                    "The name of {deploy} does not end with \"deploy\", so that the one for snapshots is not known."
                ),
                "Give the installed name with --state-machine.",
            )
        })?;
        Ok(format!("{stem}snapshot"))
    }

    /// An application and its configuration; where there is none, the error suggests names that are alike.
    pub async fn application(&self, name: &str) -> Result<(Application, Value), Failure> {
        if let Some(found) = self.flink.described(name).await? {
            return Ok(found);
        }
        Err(self.no_application(name).await)
    }

    /// There is no application of this name.
    pub async fn no_application(&self, name: &str) -> Failure {
        let all = self.flink.applications().await.unwrap_or_default();
        let cure = near("Did you mean", name, all.iter().map(|it| it.name.as_str())).unwrap_or_else(|| {
            format!("There are {} others. Correct the name, or choose another --region or --profile.", all.len())
        });
        Failure::failed(format!("There is no application {name} in {}.", self.region), cure)
    }
}

/// Whether this is the definition of the deploy state machine.
pub fn is_deploy(definition: &Value) -> bool {
    definition.get("Comment").and_then(Value::as_str).is_some_and(|comment| comment.starts_with(DEPLOYS))
}

/// Whether there are credentials at all: the first call would fail for it in worse words.
async fn find_credentials(config: &SdkConfig) -> Result<(), Failure> {
    use aws_sdk_sfn::config::ProvideCredentials as _;
    let cure = "Sign in (aws sso login), choose a --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.";
    let Some(provider) = config.credentials_provider() else {
        return Err(Failure::failed("There are no AWS credentials.", cure));
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::failed(format!("There are no AWS credentials: {error}."), cure)),
    }
}

/// A question for what may have been meant, where a name is alike.
pub fn near<'a>(question: &str, name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut alike: Vec<(f64, &str)> = names
        .map(|other| (strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase()), other))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let names: Vec<&str> = alike.into_iter().take(3).map(|(_, name)| name).collect();
    (!names.is_empty()).then(|| format!("{question} {}?", names.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_alike_are_suggested_nearest_first() {
        let names = ["orders", "orders-eu", "payments", "invoices"];
        let suggested = |name: &str| near("Did you mean", name, names.into_iter());
        assert_eq!(suggested("order").as_deref(), Some("Did you mean orders or orders-eu?"));
        assert_eq!(suggested("Payment").as_deref(), Some("Did you mean payments?"));
        assert_eq!(suggested("zzz"), None);
    }

    #[test]
    fn our_definition_is_known_by_its_comment() {
        let definition = include_str!("../../../statemachine/deploy.asl.json");
        assert!(is_deploy(&serde_json::from_str(definition).unwrap()));
        let others = include_str!("../../../statemachine/snapshot.asl.json");
        assert!(!is_deploy(&serde_json::from_str(others).unwrap()));
    }
}
