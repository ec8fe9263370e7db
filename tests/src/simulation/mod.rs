//! Deterministic simulation: whole deployments, several at once, with faults drawn by a seed, through the shipped
//! definitions and handlers in virtual time. What is drawn is a plan, playing it leaves an aftermath, and the aftermath
//! is judged by the nine safety rules and by whether everybody was left well, or was told that they were not.

pub mod command;
pub mod coverage;
mod demands;
pub mod exhaustive;
pub mod judge;
pub mod plan;
pub mod play;
pub mod sabotage;
pub mod seeds;
mod situations;
mod story;
pub mod table;
