//! The root cause of a failure: what kind of thing went wrong, what that usually means and what to do about it, by the
//! exceptions' classes and words. Where they do not tell, the cause is unknown, and that is what is said.

mod root;
mod trace;
mod words;

use serde::{Deserialize, Serialize};

pub use root::RootCause;
pub use trace::{Trace, is_class};

use trace::Thrown;

/// Where a cause lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Category {
    /// In the job's code, or in how it is packed.
    Code,
    /// The state does not fit the code.
    State,
    /// In the configuration.
    Configuration,
    /// A permission is missing.
    Permission,
    /// Between the job and what it talks to.
    Network,
    /// A source or sink does not take as much.
    Throttling,
    /// Memory, disk or slots.
    Resources,
    /// Checkpoints fail, or take too long.
    Checkpoints,
    /// In the service.
    Service,
    /// It is an effect: the cause shows elsewhere.
    Symptom,
    /// The evidence does not tell.
    Unknown,
}

impl std::fmt::Display for Category {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Code => "code",
            Self::State => "state incompatibility",
            Self::Configuration => "configuration",
            Self::Permission => "permission",
            Self::Network => "connector or network",
            Self::Throttling => "throttled source or sink",
            Self::Resources => "resources",
            Self::Checkpoints => "checkpoints",
            Self::Service => "service",
            Self::Symptom => "symptom",
            Self::Unknown => "unknown",
        })
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "`meaning` says of each what it is")]
pub enum Kind {
    OwnException,
    MissingClass,
    UnusableJar,
    NoJob,
    NotSerializable,
    UnknownTypes,
    Serializer,
    NullKey,
    NoTimestamps,
    DuplicateUid,
    StackOverflow,
    OperatorRemoved,
    MaxParallelism,
    StateType,
    SnapshotMissing,
    MissingParameter,
    BadOption,
    AccessDenied,
    Throttled,
    HeapMemory,
    DirectMemory,
    Metaspace,
    OutOfMemory,
    Disk,
    NetworkBuffers,
    Slots,
    LostTaskManager,
    CheckpointsExpire,
    CheckpointsFail,
    Tls,
    UnknownHost,
    Unreachable,
    TimedOut,
    ServiceGaveUp,
    #[default]
    Unknown,
}

/// What tells a kind: one of these classes (without their packages), and one of these words in the first line of the
/// message; where there are none of either, any will do.
struct Sign {
    kind: Kind,
    classes: &'static [&'static str],
    words: &'static [&'static str],
}

const fn sign(kind: Kind, classes: &'static [&'static str], words: &'static [&'static str]) -> Sign {
    Sign { kind, classes, words }
}

/// The signs; the first that any exception of a trace has decides. What is said for certain stands before what may be its
/// effect: a lost `TaskManager` before the connections that broke with it, a failed checkpoint before what it failed of.
const SIGNS: [Sign; 44] = [
    sign(Kind::HeapMemory, &["OutOfMemoryError"], &["Java heap space", "GC overhead limit exceeded"]),
    sign(Kind::DirectMemory, &["OutOfMemoryError"], &["Direct buffer memory", "direct buffer memory"]),
    sign(Kind::Metaspace, &["OutOfMemoryError"], &["Metaspace"]),
    sign(Kind::OutOfMemory, &["OutOfMemoryError"], &[]),
    sign(Kind::Disk, &[], &["No space left on device"]),
    sign(Kind::NetworkBuffers, &[], &["Insufficient number of network buffers"]),
    sign(Kind::Slots, &["NoResourceAvailableException"], &[]),
    sign(Kind::LostTaskManager, &[], &["Heartbeat of TaskManager", "TaskExecutor is shutting down"]),
    sign(Kind::LostTaskManager, &[], &["is no longer reachable", "closed by remote task manager"]),
    sign(Kind::LostTaskManager, &["RemoteTransportException", "PartitionNotFoundException"], &[]),
    sign(Kind::OperatorRemoved, &[], &["Cannot map checkpoint/savepoint state for operator"]),
    sign(Kind::MaxParallelism, &[], &["Max parallelism mismatch"]),
    sign(Kind::StateType, &["StateMigrationException"], &[]),
    sign(Kind::SnapshotMissing, &[], &["Cannot find checkpoint or savepoint", "Cannot find meta data file"]),
    sign(Kind::AccessDenied, &["AccessDeniedException", "AccessControlException"], &[]),
    sign(Kind::AccessDenied, &["TopicAuthorizationException", "GroupAuthorizationException"], &[]),
    sign(Kind::AccessDenied, &["SaslAuthenticationException", "ClusterAuthorizationException"], &[]),
    sign(Kind::AccessDenied, &[], &["is not authorized to perform", "Access Denied", "Status Code: 403"]),
    sign(Kind::AccessDenied, &[], &["Please check the role provided"]),
    sign(Kind::Throttled, &["ProvisionedThroughputExceededException", "ThrottlingException"], &[]),
    sign(Kind::Throttled, &["ThroughputExceededException", "RequestLimitExceededException"], &[]),
    sign(Kind::Throttled, &[], &["Rate exceeded", "reduce your request rate"]),
    sign(Kind::MissingClass, &["NoClassDefFoundError", "ClassNotFoundException", "UnsupportedClassVersionError"], &[]),
    sign(Kind::MissingClass, &["NoSuchMethodError", "NoSuchFieldError", "AbstractMethodError"], &[]),
    sign(Kind::MissingClass, &[], &["could not be loaded due to a linkage failure"]),
    sign(
        Kind::UnusableJar,
        &[],
        &[
            "Neither a 'Main-Class'",
            "was not found in the jar file",
            "Error while opening jar file",
            "zip END header not found",
        ],
    ),
    sign(Kind::NoJob, &[], &["No jobs included in application"]),
    sign(Kind::NotSerializable, &["NotSerializableException"], &[]),
    sign(Kind::UnknownTypes, &["InvalidTypesException"], &[]),
    sign(Kind::DuplicateUid, &[], &["Hash collision on user-specified ID"]),
    sign(Kind::NullKey, &[], &["Assigned key must not be null"]),
    sign(Kind::NoTimestamps, &[], &["Record has Long.MIN_VALUE timestamp", "Record has Java Long.MIN_VALUE"]),
    sign(Kind::Serializer, &["KryoException"], &[]),
    sign(Kind::StackOverflow, &["StackOverflowError"], &[]),
    sign(Kind::MissingParameter, &[], &["No data for required key"]),
    sign(Kind::BadOption, &[], &["Could not parse value '"]),
    sign(Kind::CheckpointsExpire, &[], &["expired before completing"]),
    sign(
        Kind::CheckpointsFail,
        &[],
        &["Exceeded checkpoint tolerable failure threshold", "Could not perform checkpoint"],
    ),
    sign(Kind::Tls, &["SSLException", "SSLHandshakeException", "SSLPeerUnverifiedException"], &[]),
    sign(Kind::UnknownHost, &["UnknownHostException"], &[]),
    sign(Kind::TimedOut, &["SocketTimeoutException", "HttpTimeoutException", "HttpConnectTimeoutException"], &[]),
    sign(Kind::Unreachable, &["ConnectException", "NoRouteToHostException", "SocketException"], &[]),
    sign(Kind::Unreachable, &["NetworkException", "DisconnectException", "BrokerNotAvailableException"], &[]),
    sign(Kind::Unreachable, &[], &["Unable to execute HTTP request", "No resolvable bootstrap urls"]),
];

impl Sign {
    fn shows_in(&self, thrown: &Thrown<'_>) -> bool {
        let has_class = self.classes.is_empty() || self.classes.contains(&thrown.simple_class());
        has_class && (self.words.is_empty() || self.words.iter().any(|words| thrown.message.contains(words)))
    }
}

impl Kind {
    /// What a trace tells.
    pub fn of(trace: &Trace<'_>) -> Self {
        let sign = SIGNS.iter().find(|sign| trace.causes().any(|thrown| sign.shows_in(thrown)));
        let own = || trace.root().is_some_and(Thrown::is_own).then_some(Self::OwnException);
        sign.map(|sign| sign.kind).or_else(own).unwrap_or_default()
    }

    /// Where it lies.
    pub fn category(self) -> Category {
        match self {
            Self::OwnException
            | Self::MissingClass
            | Self::UnusableJar
            | Self::NoJob
            | Self::NotSerializable
            | Self::UnknownTypes
            | Self::Serializer
            | Self::NullKey
            | Self::NoTimestamps
            | Self::DuplicateUid
            | Self::StackOverflow => Category::Code,
            Self::OperatorRemoved | Self::MaxParallelism | Self::StateType | Self::SnapshotMissing => Category::State,
            Self::MissingParameter | Self::BadOption => Category::Configuration,
            Self::AccessDenied => Category::Permission,
            Self::Throttled => Category::Throttling,
            Self::HeapMemory
            | Self::DirectMemory
            | Self::Metaspace
            | Self::OutOfMemory
            | Self::Disk
            | Self::NetworkBuffers
            | Self::Slots => Category::Resources,
            Self::LostTaskManager => Category::Symptom,
            Self::CheckpointsExpire | Self::CheckpointsFail => Category::Checkpoints,
            Self::Tls | Self::UnknownHost | Self::Unreachable | Self::TimedOut => Category::Network,
            Self::ServiceGaveUp => Category::Service,
            Self::Unknown => Category::Unknown,
        }
    }
}
