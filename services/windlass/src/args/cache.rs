//! `windlass cache`.

use clap::Subcommand;

use super::ServerArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Forget results that are kept of steps with a cache: they run again
    Clear(ClearCacheArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClearCacheArgs {
    /// Whose results
    #[arg(long, default_value = "default")]
    pub(crate) namespace: String,

    /// Only results of this pipeline
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) pipeline: String,

    /// Only results of the step of this path, and of all that it holds
    #[arg(
        long,
        value_name = "PATH",
        default_value = "",
        hide_default_value = true,
        requires = "pipeline"
    )]
    pub(crate) step: String,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}
