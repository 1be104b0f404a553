//! `windlass dev`.

use std::{num::NonZeroUsize, path::PathBuf};

/// Where `dev` listens and clients look.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:7878";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ctrl-C ends the server. Steps that run go on, and the next start on the same directory finds \
                        them again."
)]
pub(crate) struct DevArgs {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_ADDRESS)]
    pub(crate) listen: String,

    /// Where state and logs are kept; `windlass` in `$XDG_STATE_HOME` or `~/.local/state` unless given
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// How many steps run at once; as many as there are cores unless given
    #[arg(long, value_name = "N")]
    pub(crate) slots: Option<NonZeroUsize>,

    /// Listen where other machines can connect. Whoever can connect can run any program as you
    #[arg(long)]
    pub(crate) allow_remote: bool,
}
