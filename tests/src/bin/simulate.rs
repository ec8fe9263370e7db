//! `cargo xtask simulate`: the command line, and nothing else; see `scenarios::simulation`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A simulation allocates most of the time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    scenarios::simulation::command::run()
}
