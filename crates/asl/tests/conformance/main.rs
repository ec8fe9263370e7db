//! The engine against the States Language specification and the documented behaviour of Step Functions.

mod states;
mod support;
