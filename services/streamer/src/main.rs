//! `windlass-streamer`: the program that serves logs.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_streamer::program::main()
}
