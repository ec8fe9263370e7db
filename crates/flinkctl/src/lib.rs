//! `flinkctl`: verified deployments of Managed Service for Apache Flink applications for people and pipelines. It starts
//! executions of the installed state machines, follows them, and reads what there is to know; it changes no application
//! itself.

pub mod executions;
pub mod html;
pub mod steps;
pub mod terminal;
pub mod visits;
