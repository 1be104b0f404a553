//! `windlass-launcher`: the program that starts attempts.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_launcher::program::main()
}
