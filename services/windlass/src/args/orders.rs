//! Orders to a run that say more than which run.

use super::OneRunArgs;

/// `windlass retry`.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) target: OneRunArgs,

    /// Also do this step again, whatever it had come to, with all that depends on it; also of a run that succeeded
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Option<String>,
}

/// `windlass approve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For example: windlass approve 01hx sign-off --comment \"tried it on staging\""
)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    pub(crate) target: OneRunArgs,

    /// The step's path, as `windlass get` shows it
    pub(crate) step: String,

    /// Reject it instead: the step fails
    #[arg(long)]
    pub(crate) reject: bool,

    /// What to say with it; later steps may read it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) comment: String,

    /// Who decides; unless given, the name of this machine's user
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}
