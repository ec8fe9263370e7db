//! The configurations that are checked, and those with something broken in them.

use crate::bounds::Mischief::{
    Abort, Crash, DuplicateEvent, LateCall, LostAnswer, OperationFails, Person, Redrive, StaleApplication,
    StaleExecution,
};
use crate::bounds::{Bounds, Change, Mischief, Sabotage};
use crate::world::Property;

const OLDER: Change = Change::Upload { order: 0 };
const NEWER: Change = Change::Upload { order: 1 };
const NEWEST: Change = Change::Upload { order: 2 };
const RESTART: Change = Change::Restart { is_forced: false };
const FORCED_RESTART: Change = Change::Restart { is_forced: true };

/// These changes, and each of these kinds of mischief once, but no more than so many together.
fn bounds(name: &'static str, changes: &[Change], most_together: u8, mischief: &[Mischief]) -> Bounds {
    Bounds {
        name,
        changes: changes.to_vec(),
        most: mischief.iter().map(|mischief| (*mischief, 1)).collect(),
        most_together,
        rolls_back: false,
        sabotage: Sabotage::None,
    }
}

/// The same kinds, each as often as all of them together.
fn often(bounds: Bounds) -> Bounds {
    let most = bounds.most.iter().map(|(mischief, _)| (*mischief, bounds.most_together)).collect();
    Bounds { most, ..bounds }
}

fn with_system_rollback(bounds: Bounds) -> Bounds {
    Bounds { rolls_back: true, ..bounds }
}

/// Small enough for every test run.
pub fn small() -> Vec<Bounds> {
    vec![
        bounds("queue", &[OLDER, NEWER], 1, &[DuplicateEvent, StaleExecution]),
        bounds("twins", &[OLDER, OLDER], 0, &[]),
        bounds("lost between two", &[Change::Update, Change::Update], 1, &[LostAnswer]),
        bounds("abort", &[Change::Update, RESTART], 1, &[Abort]),
        bounds("alone, two of all", &[OLDER], 2, &Mischief::ALL),
        bounds("restart, two of all", &[FORCED_RESTART], 2, &Mischief::ALL),
        bounds("correction, one of all", &[Change::Correction], 1, &Mischief::ALL),
        with_system_rollback(bounds("system rollback", &[OLDER], 2, &[OperationFails, LostAnswer, Crash, Person])),
    ]
}

/// As large as a few minutes allow.
pub fn large() -> Vec<Bounds> {
    vec![
        bounds("two uploads, one of all", &[OLDER, NEWER], 1, &Mischief::ALL),
        bounds("two by hand, one of all", &[Change::Update, Change::Update], 1, &Mischief::ALL),
        bounds("restart and upload, one of all", &[FORCED_RESTART, OLDER], 1, &Mischief::ALL),
        bounds("correction and restart, one of all", &[Change::Correction, RESTART], 1, &Mischief::ALL),
        bounds("aborted and redriven", &[OLDER, NEWER], 2, &[Abort, Redrive]),
        often(bounds("two lost", &[OLDER, NEWER], 2, &[LostAnswer, LateCall, Crash])),
        bounds("person and fault", &[Change::Update, RESTART], 2, &[Person, LostAnswer, LateCall, StaleApplication]),
        with_system_rollback(bounds(
            "system rollback between two",
            &[Change::Update, Change::Update],
            2,
            &[OperationFails, LostAnswer],
        )),
        bounds("alone, three", &[OLDER], 3, &[Person, LostAnswer, Crash, StaleApplication, OperationFails]),
        bounds("three uploads", &[OLDER, NEWER, NEWEST], 0, &[]),
        bounds("three by hand", &[Change::Update, RESTART, Change::Update], 0, &[]),
    ]
}

/// Something broken each, in a configuration that shows it, with the property that has to show it: none where it is that
/// not everything comes to an end.
pub fn sabotaged() -> Vec<(Bounds, Option<Property>)> {
    let broken = |sabotage, changes: &[Change], mischief: &[Mischief], shown_by| {
        let bounds = bounds("sabotage", changes, 1, mischief);
        (Bounds { sabotage, ..bounds }, shown_by)
    };
    let by_hand = [Change::Update, Change::Update];
    vec![
        broken(Sabotage::TurnsAreWrittenBlindly, &by_hand, &[], Some(Property::OneAtATime)),
        broken(Sabotage::TurnIsNotWritten, &by_hand, &[], Some(Property::OneAtATime)),
        broken(Sabotage::RunningShownAsOver, &by_hand, &[StaleExecution], Some(Property::OneAtATime)),
        broken(Sabotage::OverNeverShown, &by_hand, &[], None),
        broken(Sabotage::UploadIsNotClaimed, &[OLDER, NEWER], &[], Some(Property::NewestUploadWins)),
        broken(Sabotage::FenceIsDown, &[Change::Update], &[Person], Some(Property::ActsOnItsOwnVersion)),
        broken(Sabotage::FenceIsMoved, &[Change::Update], &[Person], Some(Property::ActsOnItsOwnVersion)),
        broken(Sabotage::StopWithoutLook, &[RESTART], &[], Some(Property::LooksBeforeItStopsOrStarts)),
        broken(
            Sabotage::NothingIsAdopted,
            &[Change::Update],
            &[LostAnswer],
            Some(Property::TouchesNothingWhereItSaysSo),
        ),
        (
            Bounds {
                sabotage: Sabotage::StaleLookIsBelieved,
                ..bounds("sabotage", &[Change::Update], 2, &[LostAnswer, Crash, StaleApplication])
            },
            Some(Property::TouchesNothingWhereItSaysSo),
        ),
        broken(Sabotage::StopBeforeUpdateIsIgnored, &[Change::Update], &[Person], Some(Property::TellsTheTruth)),
        broken(Sabotage::StateIsNotStated, &[RESTART], &[], Some(Property::StartsWithState)),
    ]
}
