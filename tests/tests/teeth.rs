//! Whether the simulation has teeth: what is broken on purpose is caught. A handful here; all of them by `cargo xtask
//! simulate`.

use scenarios::simulation::sabotage::{Trials, all};

/// Each of another kind: what is sent, what is answered, what a Lambda is given or returns, and what is not done at all.
const TRIED: [&str; 6] = [
    "update without run configuration",
    "change without state",
    "who is over runs",
    "waits for ever",
    "a property's value is told",
    "nobody is told",
];

#[test]
fn what_is_broken_is_caught() -> Result<(), String> {
    let tried = all().into_iter().filter(|sabotage| TRIED.contains(&sabotage.name));
    let trials = Trials(tried.map(|sabotage| sabotage.try_out()).collect::<Result<_, _>>()?);
    assert_eq!(trials.0.len(), TRIED.len());
    assert_eq!(trials.survivors().count(), 0, "{trials}");
    Ok(())
}
