//! `windlass-submitter`: the program that takes runs and orders.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_submitter::program::main()
}
