//! The program `windlass-scheduler`, built for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_scheduler::program::main()
}
