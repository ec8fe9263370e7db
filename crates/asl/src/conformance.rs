//! The engine against the States Language specification and the documented behaviour of Step Functions.

mod definitions;
mod errors;
mod executions;
mod expressions;
mod maps;
mod nested;
mod states;
mod support;
