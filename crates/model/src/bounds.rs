//! What is checked: who deploys what, what may go wrong and how often. Everything below is a bound: within it every order
//! of every step is gone through, and nothing is said about what lies beyond.

use std::fmt;

/// What an execution is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Deploy an upload to S3; of two the one of the higher order is the newer.
    Upload {
        /// Its place among the uploads.
        order: u8,
    },
    /// Deploy a change that a person sends.
    Update,
    /// Stop the application and start it again.
    Restart {
        /// Without a snapshot.
        is_forced: bool,
    },
    /// Stop by force, update, start.
    Correction,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upload { order } => write!(formatter, "upload {order}"),
            Self::Update => formatter.write_str("an update by hand"),
            Self::Restart { is_forced: false } => formatter.write_str("a restart"),
            Self::Restart { is_forced: true } => formatter.write_str("a forced restart"),
            Self::Correction => formatter.write_str("a forced stop with a correction"),
        }
    }
}

/// Something that the environment does to the executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mischief {
    /// The event of an upload is delivered once more, at whatever time.
    DuplicateEvent,
    /// A person acts at the console: update, stop with and without force, rollback, start.
    Person,
    /// `DescribeApplication` answers what was so before the last change.
    StaleApplication,
    /// `DescribeExecution` answers that an ended execution runs, or that a running one is unknown.
    StaleExecution,
    /// A call is not done, and goes unanswered.
    Unanswered,
    /// A call is done, and its answer is lost.
    LostAnswer,
    /// A call that carries a version goes unanswered and is done later, at whatever time.
    LateCall,
    /// The Lambda dies before a call, or after it.
    Crash,
    /// The execution is aborted; the Lambda that is running may go on to its end.
    Abort,
    /// An aborted execution is redriven.
    Redrive,
    /// An operation of the service fails.
    OperationFails,
}

impl Mischief {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::DuplicateEvent,
        Self::Person,
        Self::StaleApplication,
        Self::StaleExecution,
        Self::Unanswered,
        Self::LostAnswer,
        Self::LateCall,
        Self::Crash,
        Self::Abort,
        Self::Redrive,
        Self::OperationFails,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::DuplicateEvent => "duplicate event",
            Self::Person => "person",
            Self::StaleApplication => "stale application",
            Self::StaleExecution => "stale execution",
            Self::Unanswered => "unanswered call",
            Self::LostAnswer => "lost answer",
            Self::LateCall => "late call",
            Self::Crash => "crash",
            Self::Abort => "abort",
            Self::Redrive => "redrive",
            Self::OperationFails => "failing operation",
        }
    }
}

/// The model with something broken in it, which the properties have to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    /// Nothing is.
    #[default]
    None,
    /// The turns are written whatever has been written since they were read.
    TurnsAreWrittenBlindly,
    /// An execution begins without having written that it is its turn.
    TurnIsNotWritten,
    /// `DescribeExecution` may answer that an execution is over which runs.
    RunningShownAsOver,
    /// `DescribeExecution` never answers that an execution is over.
    OverNeverShown,
    /// An execution's claim does not say which upload it deploys.
    UploadIsNotClaimed,
    /// The service does not heed the version that a call carries.
    FenceIsDown,
    /// The update carries the version at hand and not the one that was observed.
    FenceIsMoved,
    /// The application is stopped without a look at it.
    StopWithoutLook,
    /// A call that was not answered counts as refused.
    NothingIsAdopted,
    /// An application that was described as it was before its newest operation counts as unchanged.
    StaleLookIsBelieved,
    /// An update that has met a stopped application counts as one of a job that has come to its end.
    StopBeforeUpdateIsIgnored,
    /// A start does not say which state it is from.
    StateIsNotStated,
}

/// One configuration with its bounds.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Its name.
    pub name: &'static str,
    /// What each execution is to do; at most three.
    pub changes: Vec<Change>,
    /// How often each kind of mischief may happen; what is not named happens never.
    pub most: Vec<(Mischief, u8)>,
    /// How often any of them may happen, together.
    pub most_together: u8,
    /// Whether the service answers a failed update by a rollback of its own.
    pub rolls_back: bool,
    /// What is broken.
    pub sabotage: Sabotage,
}

impl fmt::Display for Bounds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: Vec<_> = self.changes.iter().map(ToString::to_string).collect();
        let most: Vec<_> = self.most.iter().map(|(mischief, most)| format!("{most} {}", mischief.words())).collect();
        let rolls_back = if self.rolls_back { ", system rollback on" } else { "" };
        let most = if most.is_empty() {
            "nothing goes wrong".to_owned()
        } else {
            format!("at most {} of: {}", self.most_together, most.join(", "))
        };
        write!(formatter, "{} executions ({}){rolls_back}; {most}", self.changes.len(), changes.join("; "))
    }
}
