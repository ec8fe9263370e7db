//! Presigned URLs: who may look at an application's Flink dashboard and REST API, and until when.

use jiff::{SignedDuration, Timestamp};

/// The first use of a URL has to come within this time.
const FIRST_USE: SignedDuration = SignedDuration::from_mins(3);

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Name of the application.
    pub(crate) application: String,
    /// The very application, should another take its name.
    pub(crate) instance: u64,
    /// Who asked for the URL, by access key id.
    pub(crate) principal: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) expires: Timestamp,
    /// Whether it was used in time.
    pub(crate) used: bool,
}

impl Session {
    /// Whether the token may be used now; notes the use.
    pub(crate) fn admit(&mut self, now: Timestamp) -> bool {
        let in_time = self.used || now.duration_since(self.created) <= FIRST_USE;
        let admitted = in_time && now < self.expires;
        self.used |= admitted;
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session {
            application: "orders".to_owned(),
            instance: 1,
            principal: None,
            created: Timestamp::UNIX_EPOCH,
            expires: Timestamp::from_second(1_800).unwrap(),
            used: false,
        }
    }

    #[test]
    fn first_use_and_expiry() {
        let admitted = |uses: &[i64]| {
            let mut session = session();
            uses.iter().map(|second| session.admit(Timestamp::from_second(*second).unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(admitted(&[180, 1_799, 1_800]), [true, true, false]);
        assert_eq!(admitted(&[181, 182]), [false, false]);
        assert_eq!(admitted(&[1_800]), [false]);
    }
}
