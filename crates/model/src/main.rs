//! Checks configurations of the model, prints the bounds and what was found in each, and fails if a property is broken.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use model::{Report, check, large, sabotaged, small};

/// Goes through every order of every step of concurrent deployments, within bounds.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which configurations.
    #[arg(long, value_enum, default_value_t = Which::Small)]
    bounds: Which,
    /// Only those whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// Those of every test run.
    Small,
    /// Those of a few minutes.
    Large,
    /// Those with something broken in them, to see how it is shown.
    Sabotaged,
}

fn main() -> io::Result<ExitCode> {
    let Arguments { bounds, only } = Arguments::parse();
    let configurations = match bounds {
        Which::Small => small(),
        Which::Large => large(),
        Which::Sabotaged => sabotaged().into_iter().map(|(bounds, _)| bounds).collect(),
    };
    let mut out = io::stdout().lock();
    let (mut all_hold, mut states, mut steps) = (true, 0, 0);
    #[expect(clippy::disallowed_methods, reason = "how long it takes is told to whoever waits for it")]
    let now = Instant::now;
    let begun = now();
    for bounds in configurations.iter().filter(|bounds| bounds.name.contains(&only)) {
        let begun = now();
        let report: Report = check(bounds);
        write!(out, "{report}")?;
        writeln!(out, "  in {:.1} s", begun.elapsed().as_secs_f64())?;
        all_hold &= report.holds();
        states += report.states;
        steps += report.steps;
    }
    writeln!(out, "{states} states, {steps} steps in {:.1} s", begun.elapsed().as_secs_f64())?;
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
