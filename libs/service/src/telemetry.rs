//! What a process tells of itself: log lines on standard error.

use std::io;

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    let filter = EnvFilter::builder()
        .with_default_directive(default.into())
        .with_env_var("WINDLASS_LOG")
        .from_env_lossy();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // An error means that somebody has set up telemetry before.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
