//! Executions of the deploy state machine: started, described, listed, and read step by step.

use aws_sdk_sfn::operation::describe_execution::{DescribeExecutionError, DescribeExecutionOutput};
use aws_sdk_sfn::operation::describe_state_machine::DescribeStateMachineError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use jiff::Timestamp;
use lifecycle::report::{Outcome, Report};
use managed_flink::Error;
use serde::Serialize;
use serde_json::Value;

use crate::visits::moment;

/// Events on a page of an execution's history: as many as the service gives.
const PAGE: i32 = 1_000;
/// Pages of a history that are read: the service keeps 25,000 events.
const MOST_PAGES: usize = 30;
/// Events that are read to see how far an execution is.
const NEWEST_EVENTS: i32 = 12;

/// An execution.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Name of the application that it changes, where its input names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Why, in the words of whoever asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Step Functions' word for how it stands, such as `RUNNING`.
    pub status: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What came of it; none while it runs, and where it was cut short before it could tell.
    #[serde(skip)]
    pub report: Option<Report>,
}

impl Execution {
    fn of(described: &DescribeExecutionOutput) -> Result<Self, Error> {
        const OPERATION: &str = "DescribeExecution";
        let unreadable = |what: &str| Error::unreadable(OPERATION, format!("the answer has no {what}"));
        let input: Value = described.input().and_then(|input| serde_json::from_str(input).ok()).unwrap_or_default();
        let text = |field: &str| input.get(field).and_then(Value::as_str).map(str::to_owned);
        let report = described.output().or(described.cause()).and_then(|text| serde_json::from_str(text).ok());
        Ok(Self {
            arn: described.execution_arn().to_owned(),
            name: described.name().ok_or_else(|| unreadable("name"))?.to_owned(),
            application: text("application"),
            reason: text("reason"),
            status: described.status().as_str().to_owned(),
            started_at: moment(described.start_date()).ok_or_else(|| unreadable("start date"))?,
            ended_at: described.stop_date().and_then(moment),
            report,
        })
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.status == ExecutionStatus::Running.as_str()
    }

    /// How it ended, as far as it could tell.
    pub fn outcome(&self) -> Option<Outcome> {
        self.report.as_ref().map(|report| report.outcome)
    }
}

/// What [`Executions::start`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It runs: its ARN.
    Running(String),
    /// There was one of this name before.
    NameIsTaken,
}

/// The executions of one account and region.
#[derive(Debug, Clone)]
pub struct Executions {
    sfn: aws_sdk_sfn::Client,
}

impl Executions {
    /// Over this configuration.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self { sfn: aws_sdk_sfn::Client::new(config) }
    }

    /// Starts an execution of this state machine.
    pub async fn start(&self, state_machine_arn: &str, name: &str, input: &Value) -> Result<Started, Error> {
        let start = self.sfn.start_execution().state_machine_arn(state_machine_arn).name(name);
        match start.input(input.to_string()).send().await {
            Ok(started) => Ok(Started::Running(started.execution_arn().to_owned())),
            Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => {
                Ok(Started::NameIsTaken)
            }
            Err(error) => Err(Error::from_sdk("StartExecution", error)),
        }
    }

    /// An execution; none if there is none with this ARN.
    pub async fn describe(&self, arn: &str) -> Result<Option<Execution>, Error> {
        match self.sfn.describe_execution().execution_arn(arn).send().await {
            Ok(described) => Execution::of(&described).map(Some),
            Err(error) if error.as_service_error().is_some_and(DescribeExecutionError::is_execution_does_not_exist) => {
                Ok(None)
            }
            Err(error) => Err(Error::from_sdk("DescribeExecution", error)),
        }
    }

    /// What an execution of any state machine has handed on at its end, as output or as cause; none where that is no JSON.
    pub async fn result(&self, arn: &str) -> Result<Option<Value>, Error> {
        let described = self.sfn.describe_execution().execution_arn(arn).send().await;
        let described = described.map_err(|error| Error::from_sdk("DescribeExecution", error))?;
        Ok(described.output().or(described.cause()).and_then(|text| serde_json::from_str(text).ok()))
    }

    /// The newest executions of a state machine that are wanted, newest first, out of the newest `most` in all; those that
    /// run alone where `only_running`.
    pub async fn newest(
        &self,
        state_machine_arn: &str,
        only_running: bool,
        most: usize,
        mut is_wanted: impl FnMut(&Execution) -> bool,
        wanted: usize,
    ) -> Result<Vec<Execution>, Error> {
        let mut found = Vec::new();
        let mut seen = 0;
        let mut token = None;
        loop {
            let list = self.sfn.list_executions().state_machine_arn(state_machine_arn).max_results(100);
            let status = only_running.then_some(ExecutionStatus::Running);
            let page = list.set_status_filter(status).set_next_token(token).send().await;
            let page = page.map_err(|error| Error::from_sdk("ListExecutions", error))?;
            for listed in page.executions() {
                if found.len() == wanted || seen == most {
                    return Ok(found);
                }
                seen += 1;
                found.extend(self.describe(listed.execution_arn()).await?.filter(&mut is_wanted));
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// All events of an execution, oldest first, with the states' data.
    pub async fn history(&self, arn: &str) -> Result<Vec<HistoryEvent>, Error> {
        let mut events = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let get =
                self.sfn.get_execution_history().execution_arn(arn).max_results(PAGE).include_execution_data(true);
            let page = get.set_next_token(token).send().await;
            let page = page.map_err(|error| Error::from_sdk("GetExecutionHistory", error))?;
            events.extend_from_slice(page.events());
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(events);
            }
        }
        Err(Error::unreadable("GetExecutionHistory", format!("the history does not end after {MOST_PAGES} pages")))
    }

    /// The newest events of an execution, newest first.
    pub async fn newest_events(&self, arn: &str) -> Result<Vec<HistoryEvent>, Error> {
        let get = self.sfn.get_execution_history().execution_arn(arn).max_results(NEWEST_EVENTS);
        let page = get.reverse_order(true).include_execution_data(true).send().await;
        let page = page.map_err(|error| Error::from_sdk("GetExecutionHistory", error))?;
        Ok(page.events().to_vec())
    }

    /// The state machines of the account and region, by name and ARN.
    pub async fn state_machines(&self) -> Result<Vec<(String, String)>, Error> {
        let mut machines = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let page = self.sfn.list_state_machines().max_results(PAGE).set_next_token(token).send().await;
            let page = page.map_err(|error| Error::from_sdk("ListStateMachines", error))?;
            machines.extend(
                page.state_machines().iter().map(|it| (it.name().to_owned(), it.state_machine_arn().to_owned())),
            );
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(machines)
    }

    /// The definition of a state machine, and the ARN of its role; none if there is no such state machine.
    pub async fn definition(&self, arn: &str) -> Result<Option<(Value, String)>, Error> {
        match self.sfn.describe_state_machine().state_machine_arn(arn).send().await {
            Ok(described) => {
                let definition = serde_json::from_str(described.definition());
                let definition = definition.map_err(|error| {
                    Error::unreadable("DescribeStateMachine", format!("the definition is no JSON: {error}"))
                })?;
                Ok(Some((definition, described.role_arn().to_owned())))
            }
            Err(error)
                if error.as_service_error().is_some_and(DescribeStateMachineError::is_state_machine_does_not_exist) =>
            {
                Ok(None)
            }
            Err(error) => Err(Error::from_sdk("DescribeStateMachine", error)),
        }
    }
}
