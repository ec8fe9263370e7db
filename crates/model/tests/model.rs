//! The small configurations hold, and whatever is broken on purpose is shown.

use model::{check, sabotaged, small};

#[test]
fn every_property_holds_within_the_small_bounds() {
    for bounds in small() {
        let report = check(&bounds);
        assert!(report.holds(), "{report}");
        assert!(report.ends > 0, "nothing comes to an end: {report}");
    }
}

#[test]
fn whatever_is_broken_is_shown() {
    for (bounds, shown_by) in sabotaged() {
        let report = check(&bounds);
        let found = report.counterexample.as_ref().map(|found| found.broken);
        assert_eq!(found, Some(shown_by), "{:?} is not shown: {report}", bounds.sabotage);
    }
}
