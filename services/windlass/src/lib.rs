//! The `windlass` command: a client of any server, and all four services in one process.
//!
//! ```text
//!   args ──▶ commands ──▶ windlass-client ──▶ a server, or embedded
//!               │  └─ submission: a file and its arguments
//!               ├──▶ render, document     data in, text or JSON out; no I/O
//!               └──▶ follow ──▶ view      a run while it goes on, for people and for programs
//! ```
//!
//! Results go to standard output, everything else to standard error. Exit codes are in `exit.rs`.
//!
//! Never inside: rules about pipelines (`windlass-pipeline`), and what every client needs (`windlass-client`).

mod args;
mod bounded;
mod commands;
mod document;
pub mod embedded;
mod exit;
mod failure;
mod files;
mod follow;
mod orphans;
mod output;
mod render;
mod state;
mod submission;
mod view;
mod warnings;

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _};

use args::Cli;
use exit::Exit;
use failure::{Failure, InputError};

/// Does what the command line says.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Before everything else: one such process lives beside every attempt, and must be small and never fail.
    if let [_, command, dir] = arguments.as_slice()
        && command == "supervise"
    {
        return windlass_launcher::supervisor::main(Path::new(dir));
    }
    let parsed = Cli::command().try_get_matches_from(&arguments);
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => commands::main(cli).into(),
        Err(mut error) => {
            args::show_plain_usage(&mut error, &arguments);
            refuse(&error, &arguments).into()
        }
    }
}

/// Help and version are results; everything else that clap has to say is an error.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> Exit {
    if error.use_stderr() && args::wants_json(arguments) {
        let text = error.render().to_string();
        let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned();
        let failure = Failure::from(InputError::new(message));
        output::report(&failure, args::OutputFormat::Json);
        return failure.exit();
    }
    // A closed pipe is no reason to complain.
    let _ = error.print();
    if error.use_stderr() { Exit::Input } else { Exit::Success }
}
