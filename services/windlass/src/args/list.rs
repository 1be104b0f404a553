//! `windlass list`.

use clap::ValueEnum;
use windlass_client::v1::RunState;

use super::{ServerArgs, key_value};

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only runs in one of these states
    #[arg(long = "state", value_enum, value_name = "STATE")]
    pub(crate) states: Vec<StateArg>,

    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) pipeline: String,

    /// Only runs with this label; all of them where it is given more than once
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) labels: Vec<(String, String)>,

    /// Only runs of this namespace
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) namespace: String,

    /// The most runs to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// The state of a run as it is written on a command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StateArg {
    Pending,
    Running,
    Paused,
    Stopping,
    Succeeded,
    Failed,
    Cancelled,
}

impl From<StateArg> for RunState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Pending => Self::Pending,
            StateArg::Running => Self::Running,
            StateArg::Paused => Self::Paused,
            StateArg::Stopping => Self::Stopping,
            StateArg::Succeeded => Self::Succeeded,
            StateArg::Failed => Self::Failed,
            StateArg::Cancelled => Self::Cancelled,
        }
    }
}
