//! The `windlass` program: nothing but its entry.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass::main()
}
