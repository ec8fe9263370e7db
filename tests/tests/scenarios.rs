//! Every scenario of the catalogue, in virtual time.

use scenarios::catalogue::catalogue;

#[test]
fn every_scenario_ends_as_it_must() {
    let mut failures = Vec::new();
    for scenario in catalogue() {
        match scenario.run() {
            Err(error) => failures.push(format!("{}: {error}", scenario.name)),
            Ok(run) => {
                let mismatches = run.mismatches();
                if !mismatches.is_empty() {
                    failures.push(format!("{}:\n  {}\n{}", scenario.name, mismatches.join("\n  "), run.story()));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
