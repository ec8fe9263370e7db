//! `cargo xtask simulate`: the command line, and nothing else; see `scenarios::simulation`.

use std::process::ExitCode;

fn main() -> ExitCode {
    scenarios::simulation::command::run()
}
