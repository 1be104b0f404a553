//! `windlass run`.

use std::{num::NonZeroUsize, path::PathBuf};

use super::{SubmissionArgs, limit::name_and_size};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ctrl-C cancels the run and waits for its steps to end; a second one leaves at once. Closing the pipe \
                  that the output goes to cancels the run, too."
)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) submission: SubmissionArgs,

    /// How many steps run at once; as many as there are cores unless given
    #[arg(long, value_name = "N")]
    pub(crate) slots: Option<NonZeroUsize>,

    /// Keep state and logs in this directory; without it they are gone when the run has ended
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// How many steps may hold a limit at once; one unless given. Kept in the --state-dir, where there is one
    #[arg(long = "limit", value_name = "NAME=SIZE", value_parser = name_and_size)]
    pub(crate) limits: Vec<(String, u32)>,

    /// Do not show what steps write
    #[arg(long)]
    pub(crate) no_logs: bool,

    /// Show nothing but the summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
