//! `flinkctl`: verified deployments of Managed Service for Apache Flink applications for people and pipelines. It starts
//! executions of the installed state machines, follows them, and reads what there is to know. It changes no application
//! itself; it uploads code and deletes snapshots where it is told to.

pub mod arguments;
pub mod change;
pub mod commands;
pub mod context;
pub mod executions;
pub mod failure;
pub mod follow;
pub mod html;
pub mod steps;
pub mod terminal;
pub mod visits;
