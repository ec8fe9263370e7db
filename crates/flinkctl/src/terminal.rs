//! What people see: lines of text in a few styles, on a terminal or elsewhere.

pub mod line;
pub mod screen;
pub mod words;
