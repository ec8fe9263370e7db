//! Why a request is refused, said so that the person who sent it can put it right.

use serde::{Deserialize, Serialize};

/// Longest text of a refusal, in characters.
const LONGEST_TEXT: usize = 400;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Path of the field in the request, such as `policy.bakeSeconds`.
    pub field: String,
    /// What is wrong with it. Never carries a runtime property's value.
    pub problem: String,
    /// What to do about it.
    pub cure: String,
}

impl Refusal {
    /// Says that `field` has this problem and that cure.
    pub fn new(field: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        let field = field.into();
        // JSON may have a member without a name.
        let field = if field.trim().is_empty() { "(a field without a name)".to_owned() } else { field };
        Self { field: shortened(field), problem: shortened(problem.into()), cure: shortened(cure.into()) }
    }
}

/// A text that may be the request's own, as far as a person would read it.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}; {}", self.field, self.problem, self.cure)
    }
}
