//! The decisions of a deployment, pure: a request, a policy and evidence go in; a verdict, a decision and a report come
//! out. There is no AWS type here, no clock and no I/O: time is an argument. Whoever wants to know why a deployment did
//! what it did reads this crate and nothing else.

#![deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::wildcard_enum_match_arm, clippy::indexing_slicing, reason = "a test that panics has failed")
)]

pub mod cause;
pub mod configuration;
pub mod data;
pub mod decision;
pub mod deployment;
pub mod evidence;
pub mod logged;
pub mod policy;
pub mod preflight;
pub mod refusal;
pub mod report;
pub mod request;
pub mod retention;
pub mod snapshots;
pub mod status;
pub mod stopped;
pub mod timings;
pub mod turn;
pub mod verdict;
pub mod watch;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod walk;
