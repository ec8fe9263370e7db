//! The service's and Flink's status words. Each has a case for the words that this code does not know yet, because
//! the service may add some at any time: an unknown status is evidence like any other, and never a panic.

use serde::{Deserialize, Serialize};

/// Declares an enum of status words that reads and writes the exact words, and keeps unknown ones.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$case_doc])* $case,)+
            /// A word that this code does not know.
            Unknown(String),
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$case,)+
                    _ => Self::Unknown(word),
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                Self::from(word.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(status: $name) -> Self {
                status.as_str().to_owned()
            }
        }

        impl $name {
            /// The word as the service writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$case => $word,)+
                    Self::Unknown(word) => word,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// `ApplicationStatus` of kinesisanalyticsv2.
    ApplicationStatus {
        /// Exists and is stopped.
        Ready = "READY",
        /// On the way to RUNNING.
        Starting = "STARTING",
        /// The service runs it; says nothing about the job inside.
        Running = "RUNNING",
        /// On the way to READY, with a snapshot if snapshots are enabled.
        Stopping = "STOPPING",
        /// An update is under way.
        Updating = "UPDATING",
        /// The service changes the parallelism.
        Autoscaling = "AUTOSCALING",
        /// On the way to READY without a snapshot.
        ForceStopping = "FORCE_STOPPING",
        /// On the way back to the previous version.
        RollingBack = "ROLLING_BACK",
        /// A rollback of an application that was not running has ended.
        RolledBack = "ROLLED_BACK",
        /// The service patches the application.
        Maintenance = "MAINTENANCE",
        /// On the way out.
        Deleting = "DELETING",
    }
}

words! {
    /// `OperationStatus` of kinesisanalyticsv2.
    OperationStatus {
        /// Not ended.
        InProgress = "IN_PROGRESS",
        /// Ended well; says nothing about the job inside.
        Successful = "SUCCESSFUL",
        /// Ended badly.
        Failed = "FAILED",
        /// Given up, by a forced stop for example.
        Cancelled = "CANCELLED",
    }
}

words! {
    /// `SnapshotStatus` of kinesisanalyticsv2.
    SnapshotStatus {
        /// Being taken.
        Creating = "CREATING",
        /// Can be restored from.
        Ready = "READY",
        /// On the way out.
        Deleting = "DELETING",
        /// Could not be taken.
        Failed = "FAILED",
    }
}

words! {
    /// State of a job in Flink's REST API.
    JobState {
        /// The `JobManager` is being set up.
        Initializing = "INITIALIZING",
        /// Created, not yet scheduled.
        Created = "CREATED",
        /// Scheduled or further: Flink says so before any task runs.
        Running = "RUNNING",
        /// Ending in failure, now.
        Failing = "FAILING",
        /// Ended in failure; nothing restarts it.
        Failed = "FAILED",
        /// Being cancelled.
        Cancelling = "CANCELLING",
        /// Cancelled.
        Canceled = "CANCELED",
        /// A bounded job at its end.
        Finished = "FINISHED",
        /// Waiting for its next attempt after a failure.
        Restarting = "RESTARTING",
        /// Suspended by a change of leader.
        Suspended = "SUSPENDED",
        /// Being reconciled after a change of leader.
        Reconciling = "RECONCILING",
    }
}

impl ApplicationStatus {
    /// The application is stopped: there is no job, and a start is possible.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Ready | Self::RolledBack)
    }

    /// The service is at work and will go on to another status by itself.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Starting
            | Self::Stopping
            | Self::Updating
            | Self::Autoscaling
            | Self::ForceStopping
            | Self::RollingBack
            | Self::Maintenance
            | Self::Deleting => true,
            Self::Ready | Self::Running | Self::RolledBack | Self::Unknown(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_kept() {
        let status: ApplicationStatus = serde_json::from_str("\"HIBERNATING\"").unwrap();
        assert_eq!(status, ApplicationStatus::Unknown("HIBERNATING".into()));
        assert_eq!(serde_json::to_string(&status).unwrap(), "\"HIBERNATING\"");
        assert!(!status.is_passing() && !status.is_stopped());
    }

    #[test]
    fn known_words_read_and_write_the_services_spelling() {
        for word in ["READY", "FORCE_STOPPING", "ROLLED_BACK", "MAINTENANCE"] {
            assert_eq!(ApplicationStatus::from(word).as_str(), word);
            assert!(!matches!(ApplicationStatus::from(word), ApplicationStatus::Unknown(_)));
        }
    }
}
