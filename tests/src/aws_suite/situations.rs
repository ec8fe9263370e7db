//! What happens to applications in the account, and what must come of it.

mod uploads;

use super::scene::Scene;

/// The application that is on the schedule.
pub const SCHEDULE: &str = "on-the-schedule";

/// A situation's play: what it came to in words, else what is wrong.
type Play = for<'a> fn(&'a Scene<'a>) -> std::pin::Pin<Box<dyn Future<Output = Result<String, String>> + 'a>>;

/// A situation.
#[derive(Clone, Copy)]
pub struct Situation {
    /// Its name, and that of its application.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    /// What happens.
    pub play: Play,
}

/// All situations, the longest first, so that none of them is waited for alone at the end.
pub fn situations() -> Vec<Situation> {
    uploads::situations()
}
