//! A model of concurrent deployments of one application, checked in every order of every step. The queue and everything
//! that an execution decides are the shipped functions of `lifecycle`; around them stand the handlers' skeletons, call by
//! call, and a service, a table, a person and faults that may do something between any two calls.
//!
//! What is modelled and what is not is told in `docs/reliability.md`, why it is checked by a search of its own in
//! `docs/adr/0013-a-checker-of-our-own.md`.

mod bounds;
mod configurations;
mod execution;
mod explore;
mod intern;
mod report;
mod service;
mod world;

pub use bounds::{Bounds, Change, Mischief, Sabotage};
pub use configurations::{large, sabotaged, small};
pub use report::{Report, check};
pub use world::Property;
