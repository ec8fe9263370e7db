//! What happens to applications in the account, and what must come of it.

mod by_hand;
mod of_the_catalogue;
mod sample_inputs;
mod schedule;
mod uploads;

use std::pin::Pin;

use super::scene::Scene;

pub use schedule::NAME as SCHEDULE;

/// What a situation came to in words, else what is wrong.
type Playing<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + 'a>>;

/// A situation.
#[derive(Clone, Copy)]
pub struct Situation {
    /// Its name, and that of its application.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    /// What happens.
    pub play: for<'a> fn(&'a Scene<'a>) -> Playing<'a>,
}

/// All situations. The samples come first: one of them takes longest, and should not be waited for alone at the end.
///
/// # Errors
/// When the samples cannot be read.
pub fn situations() -> Result<Vec<Situation>, String> {
    let samples = sample_inputs::situations()?;
    Ok([samples, schedule::situations(), uploads::situations(), by_hand::situations(), of_the_catalogue::situations()]
        .concat())
}
