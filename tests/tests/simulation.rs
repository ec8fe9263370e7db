//! The simulation itself: some seeds of it, what the same seed gives twice, and what is left of a plan that violates
//! something. Many seeds are `cargo xtask simulate`.

use std::sync::Arc;

use scenarios::simulation::plan::Plan;
use scenarios::simulation::sabotage::all;
use scenarios::simulation::seeds::{play_all, shrink};
use scenarios::world::InProcess;

/// As many as take some seconds of a debug build.
const SEEDS: u64 = 40;

#[test]
fn whatever_is_drawn_the_rules_hold_and_everybody_is_left_well_or_told() {
    let (tally, violation) = play_all(0..SEEDS, 2, &|_| {}).unwrap();
    assert!(violation.is_none(), "{}", violation.unwrap());
    assert_eq!(tally.seeds, SEEDS);
    assert!(tally.injected.values().sum::<u64>() > 100, "{:?}", tally.injected);
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for seed in 0..5 {
        let [one, other] = [(), ()].map(|()| Plan::draw(seed).play(Arc::new(InProcess)).unwrap().trace());
        assert!(one == other, "seed {seed}");
    }
}

/// Of a plan that violates something the parts are left that it needs, and those numbers replay it.
#[test]
fn a_violation_is_shrunk_and_can_be_replayed() {
    let sabotage = all().into_iter().find(|it| it.name == "update without run configuration").unwrap();
    let seed = sabotage.try_out().unwrap().caught.unwrap().0;
    let violation = shrink(Plan::draw(seed), &|| sabotage.stage()).unwrap().unwrap();
    assert!(violation.plan.kept().count() < Plan::draw(seed).parts.len());
    let replayed = Plan::draw(seed).without(violation.plan.left_out.clone()).play(sabotage.stage()).unwrap();
    assert_eq!(replayed.mistakes(), violation.mistakes);
    assert_eq!(replayed.timeline(), violation.timeline);
    let told = violation.to_string();
    assert!(told.contains(&format!("cargo xtask simulate --seeds 1 --from {seed} --without ")), "{told}");
}

#[test]
fn what_does_no_harm_is_not_shrunk() {
    assert!(shrink(Plan::draw(0), &|| Arc::new(InProcess)).unwrap().is_none());
}
