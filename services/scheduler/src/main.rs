//! `windlass-scheduler`: the program that decides what runs next.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_scheduler::program::main()
}
