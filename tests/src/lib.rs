//! Scenarios: the shipped definition and the shipped handlers against the emulated service, in virtual time, with an
//! independent checker of the safety rules behind each.

pub mod aws_suite;
pub mod browser;
pub mod catalogue;
pub mod checker;
pub mod demo;
pub mod flink_suite;
pub mod pages;
pub mod permissions;
pub mod samples;
pub mod sandbox;
pub mod scenario;
pub mod secrets;
pub mod simulation;
pub mod snapshot_scenarios;
pub mod suites;
pub mod upload_scenarios;
pub mod wire;
pub mod world;
