//! The program `windlass-launcher`, built for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_launcher::program::main()
}
