//! The windlass command, as the package `windlass` has it.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass::main()
}
