//! The decisions of a deployment, pure: a request, a policy and evidence go in; a verdict, a decision and a report come
//! out. There is no AWS type here, no clock and no I/O: time is an argument. Whoever wants to know why a deployment did
//! what it did reads this crate and nothing else.

pub mod evidence;
pub mod policy;
pub mod refusal;
pub mod request;
pub mod status;
