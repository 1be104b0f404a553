//! Which server, and which of its runs.

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServerArgs {
    /// The server's address
    #[arg(
        long,
        value_name = "URL",
        env = "WINDLASS_SERVER",
        hide_env_values = true,
        default_value = "http://127.0.0.1:7878"
    )]
    pub(crate) server: String,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OneRunArgs {
    /// The run's id, or the beginning of one among the newest 1,000
    pub(crate) run: String,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}
