//! Managed Service for Apache Flink on a laptop: the service as AWS SDKs and the AWS CLI see it, over a simulated job or
//! a real Apache Flink.
//!
//! [`Emulator`] is the service. [`Emulator::handle`] answers a request of any of its protocols (kinesisanalyticsv2,
//! Flink's REST API through presigned URLs, CloudWatch with its Logs, SNS, EventBridge, DynamoDB, Step Functions, and of S3
//! what an upload needs); in front of it are a server ([`Emulator::serve`]) and, for tests in virtual time, [`InProcessHttp`], an HTTP client for the AWS SDKs that needs no
//! network. What runs the jobs is a [`data_plane::DataPlane`].

#![expect(clippy::doc_markdown, reason = "CloudWatch, EventBridge and TaskManager are names, not code")]

pub mod access;
pub mod cloudwatch;
pub mod code;
pub mod data_plane;
pub mod dynamodb;
pub mod faults;
pub mod flink;
pub mod record;
pub mod simulated;
pub mod sinks;
pub mod step_functions;
pub mod timings;

mod application;
mod callers;
mod calls;
mod configuration;
mod control;
mod emulator;
mod error;
mod in_process;
mod logs;
mod presigned;
mod s3;
mod server;
mod snapshots;
mod temporary;
mod wire;
mod workflow;

pub use access::Access;
pub use code::CodeStore;
pub use control::{ControlError, PlantedSnapshot};
pub use emulator::{ApplicationView, Emulator, EmulatorConfig, TOKEN_MARKER};
pub use faults::{Effect, Fault, Loss, Occurrences};
pub use in_process::{Breaker, InProcessHttp, Unreachable};
pub use record::RecordEntry;
pub use snapshots::SnapshotStatus;
pub use temporary::TemporaryFolder;
pub use timings::Timings;
pub use wire::{HttpRequest, HttpResponse};
