//! The crate against services that are played in the process: what it asks, and what it makes of the answers.

mod application;
mod bad_input;
mod causes;
mod checkpoints;
mod cloudwatch;
mod directory;
mod job;
mod network;
mod script;
mod snapshots;
