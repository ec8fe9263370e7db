//! `template.yaml` as it is, deployed by sam into an engine that is not ours: ministack, with its S3, `EventBridge`,
//! Scheduler, Step Functions, Lambda, `DynamoDB`, SNS and SQS. Only Managed Service for Apache Flink and `CloudWatch` are our
//! emulator's. Each situation is an application of its own that something happens to; several go on at a time.
//!
//! The state machines' clock and the emulator's run faster than real time, in step: deployments keep the default policy,
//! with its minutes, and are over in seconds. The Lambdas take their time from the state machine, so they do not see it.

pub mod account;
pub mod arguments;
pub mod cloud;
pub mod conformance;
pub mod host;
pub mod letters;
pub mod run;
pub mod scene;
pub mod situations;
