//! The demo: a scenario of the catalogue, or a run of snapshots, with the shipped definitions and the real Lambda binaries,
//! told live to whoever runs `cargo xtask demo`.

pub mod arguments;
pub mod flink;
pub mod narrator;
pub mod news;
pub mod pace;
pub mod performance;
pub mod production;
pub mod report;
pub mod snapshots;
pub mod words;
