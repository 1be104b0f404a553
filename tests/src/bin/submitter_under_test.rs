//! The program `windlass-submitter`, built for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_submitter::program::main()
}
