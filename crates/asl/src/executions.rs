//! The record of all executions, running or ended: what `DescribeExecution` would answer of them, whether a name is taken,
//! waiting for an end, and orders to stop.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use crate::engine::{Status, Stop};

/// An execution as `DescribeExecution` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The ARN of its state machine.
    pub state_machine_arn: String,
    /// How it ended; none while it runs.
    pub status: Option<Status>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended; none while it runs.
    pub ended_at: Option<Timestamp>,
    /// Its input.
    pub input: Arc<Value>,
    /// Its output, if it succeeded.
    pub output: Option<Arc<Value>>,
    /// The error's name, if it failed or was stopped with one.
    pub error: Option<String>,
    /// The cause, if it failed or was stopped with one.
    pub cause: Option<String>,
    /// How often it has been redriven.
    pub redrives: u64,
}

impl Execution {
    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.status.is_none()
    }

    /// Its status as the service's API writes it, `RUNNING` included.
    pub fn status_name(&self) -> &'static str {
        self.status.map_or("RUNNING", Status::name)
    }
}

/// How an execution ended, for the record.
pub(crate) struct Ending {
    pub(crate) at: Timestamp,
    pub(crate) status: Status,
    pub(crate) output: Option<Arc<Value>>,
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
}

/// The executions of one or several engines, by ARN. Clones are of the same record.
#[derive(Clone, Default)]
pub struct Executions {
    record: Arc<Mutex<Record>>,
}

#[derive(Default)]
struct Record {
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
}

struct Entry {
    execution: Execution,
    stop: watch::Sender<Option<Stop>>,
    is_running: watch::Sender<bool>,
}

impl fmt::Debug for Executions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.all()).finish()
    }
}

impl Record {
    fn entry(&mut self, arn: &str) -> Option<&mut Entry> {
        let place = *self.places.get(arn)?;
        self.entries.get_mut(place)
    }

    fn add(&mut self, execution: Execution) -> watch::Receiver<Option<Stop>> {
        let (stop, ordered) = watch::channel(None);
        self.places.insert(execution.arn.clone(), self.entries.len());
        self.entries.push(Entry { execution, stop, is_running: watch::Sender::new(true) });
        ordered
    }
}

impl Executions {
    /// The execution of this ARN.
    pub fn describe(&self, arn: &str) -> Option<Execution> {
        self.lock().entry(arn).map(|entry| entry.execution.clone())
    }

    /// All executions, in the order in which they started.
    pub fn all(&self) -> Vec<Execution> {
        self.lock().entries.iter().map(|entry| entry.execution.clone()).collect()
    }

    /// Waits until the execution of this ARN has ended; there may be none.
    pub async fn ended(&self, arn: &str) -> Option<Execution> {
        let mut is_running = self.lock().entry(arn)?.is_running.subscribe();
        // The sender is in the record, which cannot be gone.
        let _ = is_running.wait_for(|is_running| !is_running).await;
        self.describe(arn)
    }

    /// Orders an execution to stop, as `StopExecution` does; whether there is one of this ARN that runs. It has ended once
    /// its own task has had its turn.
    pub fn stop(&self, arn: &str, stop: Stop) -> bool {
        let mut record = self.lock();
        let running = record.entry(arn).filter(|entry| entry.execution.is_running());
        running.inspect(|entry| entry.stop.send_modify(|ordered| *ordered = Some(stop))).is_some()
    }

    /// Takes note of an execution that starts, and gives the orders to stop it; the error is the one that has its ARN
    /// already.
    pub(crate) fn begin(&self, execution: Execution) -> Result<watch::Receiver<Option<Stop>>, Box<Execution>> {
        let mut record = self.lock();
        match record.entry(&execution.arn) {
            Some(taken) => Err(Box::new(taken.execution.clone())),
            None => Ok(record.add(execution)),
        }
    }

    /// Takes note of an execution that runs again, which another record may have had before.
    pub(crate) fn redriven(&self, execution: Execution) -> watch::Receiver<Option<Stop>> {
        let mut record = self.lock();
        let Some(entry) = record.entry(&execution.arn) else { return record.add(execution) };
        entry.execution = execution;
        entry.stop.send_replace(None);
        entry.is_running.send_replace(true);
        entry.stop.subscribe()
    }

    pub(crate) fn end(&self, arn: &str, ending: Ending) {
        let mut record = self.lock();
        let Some(entry) = record.entry(arn) else { return };
        let Ending { at, status, output, error, cause } = ending;
        let execution = &mut entry.execution;
        execution.status = Some(status);
        execution.ended_at = Some(at);
        (execution.output, execution.error, execution.cause) = (output, error, cause);
        entry.is_running.send_replace(false);
    }

    /// The record is whole at every await and panic.
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
