//! The program `windlass-streamer`, built for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_streamer::program::main()
}
