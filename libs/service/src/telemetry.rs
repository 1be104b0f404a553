//! What a process tells of itself: log lines on standard error.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The client of Kubernetes writes each error of a watch into the log, with all that belongs to it. What is of interest in that
/// programs tell themselves, and less often.
const NOT_TOLD: &str = "kube_client=off,kube_runtime=off";

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

/// The same with a default in the words of `EnvFilter`. What it does not understand there, it passes over. What libraries write
/// that programs tell themselves is left out where nobody names the library.
pub fn init_with(format: LogFormat, default: &str) {
    let directives = env::var("WINDLASS_LOG").ok().filter(|directives| !directives.is_empty());
    let filter =
        directives.map_or_else(|| by_default(default), |it| EnvFilter::builder().parse_lossy(it));
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

fn by_default(directives: &str) -> EnvFilter {
    // Of two for the same library, the last one counts.
    EnvFilter::builder().parse_lossy(format!("{NOT_TOLD},{directives}"))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use tracing::{subscriber, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of a warning of the client, one of its runtime, and one of Windlass.
    fn written(default: &str) -> Vec<String> {
        let all = Written::default();
        let writer = all.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(by_default(default))
            .with_writer(move || writer.clone())
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_ansi(false)
            .finish();
        subscriber::with_default(subscriber, || {
            warn!(target: "kube_client::client", "client");
            warn!(target: "kube_runtime::watcher", "watcher");
            warn!("own");
        });
        let bytes = all.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_client_of_kubernetes_writes_nothing_unless_it_is_named() {
        assert_eq!(written("info"), ["own"]);
        assert_eq!(written("debug"), ["own"]);
        assert_eq!(written("warn,kube_runtime=warn"), ["watcher", "own"]);
        assert_eq!(written("off"), [""; 0]);
    }
}
