//! The supervisor as a program of its own, for hosts of the launcher library that do not bring one: `windlass-supervise
//! <attempt-dir>`. The `windlass` program has its own way in.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(attempt_dir) => windlass_launcher::supervisor::main(Path::new(&attempt_dir)),
        None => ExitCode::from(2),
    }
}
