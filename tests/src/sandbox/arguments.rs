//! The sandbox's command line.

use clap::Parser;
use emulator::flink::FlinkVersion;

use super::{BAD_KEY, GOOD_KEY, Options, Sandbox};
use crate::world::BUCKET;

/// Exit codes, below the options in the help.
const AFTER_HELP: &str = "\
The clock begins at the time of day. While a deployment waits, and while the service is
at work on an application, it runs faster; while a Lambda is at work, and while nothing
is, it runs as fast as any. All that clients are told is in this clock's time.

Exit code: 0 after Ctrl-C or SIGTERM, 1 when it could not be set up, 2 for misuse.
Nothing of what it held is kept.";

/// The whole product on this machine, until Ctrl-C: the shipped state machines, the real Lambdas and an emulated Managed
/// Service for Apache Flink at a local port, with an application `orders` that runs.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(bin_name = "cargo xtask sandbox", after_help = AFTER_HELP, max_term_width = 90)]
pub struct Arguments {
    /// Port on the loopback interface; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 4600)]
    pub port: u16,
    /// How many times as fast as real time waits go by [default: 25; 1 with --flink]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub speed: Option<u32>,
    /// Run the jobs on a real Apache Flink of this version: 1.20, 2.2 or 2.3. The first use downloads it (230 MB).
    #[arg(long, value_name = "VERSION")]
    pub flink: Option<FlinkVersion>,
}

impl Arguments {
    /// What the sandbox is to be.
    pub fn options(&self) -> Options {
        let usual = Options::default();
        let speed = self.speed.unwrap_or(if self.flink.is_some() { 1 } else { usual.speed });
        Options { port: self.port, speed, flink: self.flink }
    }
}

/// What people are told once the sandbox is ready.
pub fn guide(sandbox: &Sandbox) -> String {
    let endpoint = sandbox.endpoint();
    format!(
        "The sandbox answers at {endpoint}; Ctrl-C ends it. In another terminal:

  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=any

The application orders runs. To look at it, to deploy code that is healthy, and code
that crash-loops and so comes back:

  flinkctl status orders
  flinkctl deploy orders --code s3://{BUCKET}/{GOOD_KEY}
  flinkctl deploy orders --code s3://{BUCKET}/{BAD_KEY}
"
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parsed(arguments: &[&str]) -> Arguments {
        Arguments::try_parse_from([&["sandbox"], arguments].concat()).unwrap()
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        assert_eq!(parsed(&[]).options(), Options { port: 4600, ..Options::default() });
        let slow = parsed(&["--flink", "1.20", "--port", "0"]).options();
        assert_eq!((slow.port, slow.speed), (0, 1));
        assert_eq!(parsed(&["--flink", "1.20", "--speed", "5"]).options().speed, 5);
    }

    #[test]
    fn misuse_is_refused() {
        for arguments in [&["--speed", "0"][..], &["--port", "70000"], &["--flink", "1.15"], &["extra"]] {
            let arguments = [&["sandbox"], arguments].concat();
            assert_eq!(Arguments::try_parse_from(arguments.clone()).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }
}
