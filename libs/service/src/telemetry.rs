//! What a process tells of itself: log lines on standard error.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// How log lines look.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// Sends log lines to standard error: from `default` up, unless the variable `WINDLASS_LOG` says otherwise (in the words of
/// `tracing_subscriber::EnvFilter`, such as `info,windlass_scheduler=debug`). Called a second time, it changes nothing.
pub fn init(format: LogFormat, default: LevelFilter) {
    init_with(format, &default.to_string());
}

/// The same with a default in the words of `EnvFilter`. What it does not understand there, it passes over.
pub fn init_with(format: LogFormat, default: &str) {
    let directives = env::var("WINDLASS_LOG").ok().filter(|directives| !directives.is_empty());
    let filter = EnvFilter::builder().parse_lossy(directives.as_deref().unwrap_or(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(wants_colors());
    // An error means that somebody has set up telemetry before.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Escape sequences are for terminals, and not for people who have said that they do not want them (no-color.org).
fn wants_colors() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && io::stderr().is_terminal()
}
