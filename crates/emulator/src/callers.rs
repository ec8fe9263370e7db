//! How many calls each caller has made, and who waits for one of them: so that a test can let something happen at the very
//! moment of a call, whatever it is.

use std::collections::BTreeMap;

use tokio::sync::watch;

/// Callers, by the access key ids that they sign with.
#[derive(Debug, Default)]
pub(crate) struct Callers(BTreeMap<String, Caller>);

#[derive(Debug, Default)]
struct Caller {
    /// Calls that have come.
    made: u32,
    /// The highest number of a call that was answered.
    answered: watch::Sender<u32>,
}

impl Callers {
    /// Counts a call that has come, and tells its number among those of its caller; 1 is the first.
    pub(crate) fn count(&mut self, principal: &str) -> u32 {
        let caller = self.caller(principal);
        caller.made += 1;
        caller.made
    }

    /// Takes note of an answer to the call of this number.
    pub(crate) fn answered(&mut self, principal: &str, number: u32) {
        self.caller(principal).answered.send_if_modified(|highest| {
            let is_higher = number > *highest;
            *highest = number.max(*highest);
            is_higher
        });
    }

    /// How many calls have come.
    pub(crate) fn made_by(&self, principal: &str) -> u32 {
        self.0.get(principal).map_or(0, |caller| caller.made)
    }

    /// The highest number of a call that was answered, now and later.
    pub(crate) fn answered_to(&mut self, principal: &str) -> watch::Receiver<u32> {
        self.caller(principal).answered.subscribe()
    }

    fn caller(&mut self, principal: &str) -> &mut Caller {
        self.0.entry(principal.to_owned()).or_default()
    }
}
