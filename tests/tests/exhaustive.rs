//! The exhaustive simulation, in small: whole scenarios with few calls, single calls of longer ones, and what the command
//! line is told. The whole of it is run by `cargo xtask simulate`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::atomic::{AtomicU64, Ordering};

use lifecycle::report::Outcome;
use scenarios::simulation::coverage::Group;
use scenarios::simulation::exhaustive::{ExhaustiveSummary, Options, Variant, run};

fn all_of(scenarios: &[&str]) -> Options {
    Options {
        threads: 2,
        scenarios: scenarios.iter().map(|name| (*name).to_owned()).collect(),
        call: None,
        variants: Vec::new(),
    }
}

fn made(options: &Options) -> ExhaustiveSummary {
    let summary = run(options, &|_, _| {}).unwrap();
    let violations: Vec<String> = summary.violations.iter().map(ToString::to_string).collect();
    assert_eq!(violations, Vec::<String>::new());
    summary
}

#[test]
fn every_call_of_a_refused_deployment() {
    let progress = AtomicU64::new(0);
    let options = all_of(&["application-missing"]);
    let summary = run(&options, &|made, of| {
        assert!(made <= of, "{made} of {of}");
        progress.fetch_max(made, Ordering::Relaxed);
    });
    let summary = summary.unwrap();
    assert_eq!(summary.violations.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(progress.into_inner(), summary.runs());
    let calls = u64::try_from(summary.calls["application-missing"]).unwrap();
    assert_eq!(summary.operations.values().sum::<u64>(), calls);
    for variant in Variant::ALL {
        let count = &summary.variants[&variant];
        assert_eq!(count.runs + count.same, calls, "{variant:?}: each call once");
    }
    assert_eq!(summary.runs() + summary.same(), 9 * calls);
    // The deployment itself, and the one that was started when it was aborted.
    let aborted = &summary.variants[&Variant::Aborted].outcomes;
    assert_eq!((aborted[&None], aborted[&Some(Outcome::Refused)]), (calls, calls));
    assert!(summary.coverage.times(Group::Outcome, "deployment: Refused") > calls);
    assert_eq!(summary.coverage.times(Group::State, "deploy: RollBack"), 0);
}

#[test]
fn the_update_of_a_healthy_change() {
    let undisturbed = made(&Options { variants: vec![Variant::Twice], call: Some(1), ..all_of(&["healthy"]) });
    let calls = undisturbed.calls["healthy"];
    let is_update = |number: &usize| {
        let options = Options { variants: vec![Variant::Lost], call: Some(*number), ..all_of(&["healthy"]) };
        made(&options).variants[&Variant::Lost].outcomes == [(Some(Outcome::Deployed), 1)].into()
    };
    // Whatever answer of the first ten calls is lost, the change goes live.
    assert_eq!((1..=10.min(calls)).filter(is_update).count(), 10);
}

#[test]
fn the_same_runs_come_to_the_same_end() {
    let options = Options { call: Some(4), ..all_of(&["application-missing"]) };
    let (first, second) = (made(&options), made(&Options { threads: 1, ..options.clone() }));
    assert_eq!((&first.variants, &first.coverage), (&second.variants, &second.coverage));
    assert_eq!(first.to_string(), second.to_string());
}

#[test]
fn what_there_is_not_is_refused() {
    let error = run(&all_of(&["healthy", "unheard-of"]), &|_, _| {}).unwrap_err();
    assert_eq!(error, "there is no scenario unheard-of");
    let error = run(&Options { call: Some(1_000), ..all_of(&["application-missing"]) }, &|_, _| {}).unwrap_err();
    assert!(error.starts_with("application-missing has the calls 1 to "), "{error}");
}
