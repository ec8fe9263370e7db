//! What happens in an execution, as it happens: enough to draw a timeline, and every value that Step Functions would
//! keep in the execution's history, for a check that no secret is among them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::definition::StateKind;
use crate::engine::Status;

/// Gets every event of every execution, in order within each. Called in the execution's own task: it should be quick.
pub trait Observer: Send + Sync {
    /// Takes note of an event.
    fn observe(&self, event: &Event<'_>);

    /// Takes note of an event and of where it happened, for those who have to tell executions of the same name, or the
    /// iterations of a Map, apart. This is what the engine calls; left as it is, it calls [`Observer::observe`].
    fn observe_at(&self, _place: &Place<'_>, event: &Event<'_>) {
        self.observe(event);
    }
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _: &Event<'_>) {}
}

/// Where something happens.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The execution's ARN.
    pub execution_arn: &'a str,
    /// The iterations that it happens in, by the index of their items, the outermost first; empty outside of Maps.
    pub iterations: &'a [usize],
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// When it happened, by the engine's clock.
    pub at: Timestamp,
    /// The execution's name.
    pub execution: &'a str,
    /// What happened.
    pub kind: EventKind<'a>,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum EventKind<'a> {
    /// The execution began, or was redriven.
    ExecutionStarted {
        /// The execution's input.
        input: &'a Value,
        /// How often it has been redriven; 0 at the start.
        redrives: u64,
    },
    /// A state was entered. Not repeated for retries.
    StateEntered {
        /// The state.
        state: &'a str,
        /// Its type.
        kind: StateKind,
        /// Its input.
        input: &'a Value,
    },
    /// A Task's function was called, or an execution is to be started.
    TaskScheduled {
        /// The state.
        state: &'a str,
        /// The function's name, or that of the state machine to start, without the rest of its ARN.
        function_name: &'a str,
        /// What it was given.
        payload: &'a Value,
        /// How many retries came before: 0 for the first attempt.
        attempt: u64,
    },
    /// The function answered, or the execution that was started succeeded.
    TaskSucceeded {
        /// The state.
        state: &'a str,
        /// `$states.result`: the answer as `Payload`, beside `ExecutedVersion` and `StatusCode`; or what `DescribeExecution`
        /// says of the execution.
        result: &'a Value,
        /// The attempt that succeeded, from 0.
        attempt: u64,
    },
    /// An attempt of a Task or Map failed, be it in the function, the execution or the iteration, by time-out or in an
    /// expression of the state.
    TaskFailed {
        /// The state.
        state: &'a str,
        /// The error's name.
        error: &'a str,
        /// What is known of why; empty for time-outs.
        cause: &'a str,
        /// The attempt that failed, from 0.
        attempt: u64,
    },
    /// A retrier matched: the Task or Map will be tried again.
    Retry {
        /// The state.
        state: &'a str,
        /// The coming attempt, from 1.
        attempt: u64,
        /// How long until then.
        delay: Duration,
    },
    /// A catcher matched.
    Caught {
        /// The state.
        state: &'a str,
        /// The error's name.
        error: &'a str,
        /// The state that comes next.
        next: &'a str,
    },
    /// A Wait began.
    Waiting {
        /// The state.
        state: &'a str,
        /// When it will end; may be in the past.
        until: Timestamp,
    },
    /// A variable was set.
    Assigned {
        /// The state.
        state: &'a str,
        /// The variable's name, without `$`.
        variable: &'a str,
        /// Its new value.
        value: &'a Value,
    },
    /// A state was left.
    StateExited {
        /// The state.
        state: &'a str,
        /// Its output.
        output: &'a Value,
    },
    /// The execution ended.
    ExecutionEnded {
        /// How.
        status: Status,
        /// The output of an execution that succeeded.
        output: Option<&'a Value>,
        /// The error's name of one that did not.
        error: Option<&'a str>,
        /// The cause of one that did not.
        cause: Option<&'a str>,
    },
}
