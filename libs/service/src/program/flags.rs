//! The flags that all programs have.

use std::{ffi::OsString, path::PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum as _};

use crate::{
    settings::{Program, Sources},
    telemetry::LogFormat,
};

/// The variable that names the file.
const CONFIG: &str = "WINDLASS_CONFIG";

/// Shown at the end of `--help`.
const AFTER_HELP: &str = "\
Every key of the configuration can be set in the file, by a variable such as WINDLASS_BUS__URL, or
by --set; each of them overrides those before it. docs/configuration.md lists all keys.

Exit codes:
    0  ended as asked
    1  failed
    2  the command line or the configuration is wrong
  130  left by a second signal before all had ended";

/// The flags of a program.
#[derive(Debug, Parser)]
pub(super) struct Flags {
    /// The configuration file (TOML)
    #[arg(long, value_name = "PATH", env = CONFIG, hide_env_values = true)]
    config: Option<PathBuf>,

    /// Set a key of the configuration, such as `bus.url=nats://nats:4222`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Read the configuration and all files it names, show what is in force, and end
    #[arg(long)]
    pub(super) check_config: bool,

    /// How log lines look
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

impl Flags {
    pub(super) fn parse(
        program: Program,
        version: &'static str,
        args: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let command = Self::command()
            .name(program.name())
            .bin_name(program.name())
            .version(version)
            .about(program.about())
            .after_help(AFTER_HELP);
        Self::from_arg_matches(&command.try_get_matches_from(args)?)
    }

    /// What the configuration is read from.
    pub(super) fn sources(self, environment: Vec<(OsString, OsString)>) -> Sources {
        let mut flags: Vec<_> = self.set.into_iter().map(|set| ("--set", set)).collect();
        if let Some(format) = self.log_format.and_then(|format| format.to_possible_value()) {
            flags.push(("--log-format", format!("log.format={}", format.get_name())));
        }
        // An empty variable is one that somebody could not leave out.
        let file = self.config.filter(|path| !path.as_os_str().is_empty());
        Sources { file, environment, flags }
    }
}
