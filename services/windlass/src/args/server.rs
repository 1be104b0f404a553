//! Which server, and which of its runs.

use std::path::PathBuf;

/// Where `windlass dev` listens unless it is told otherwise.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7878";

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServerArgs {
    /// The server's address; `http://127.0.0.1:7878`, where `windlass dev` listens, unless given
    #[arg(long, value_name = "URL", env = "WINDLASS_SERVER", hide_env_values = true)]
    pub(crate) server: Option<String>,

    /// The address of the log streamer, where it has one of its own
    #[arg(long, value_name = "URL", env = "WINDLASS_LOG_SERVER", hide_env_values = true)]
    pub(crate) log_server: Option<String>,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

impl ServerArgs {
    /// The server's address.
    pub(crate) fn address(&self) -> &str {
        self.server.as_deref().unwrap_or(DEFAULT_SERVER)
    }
}

/// Whom to trust, and who to be, on connections with TLS.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct TlsArgs {
    /// Trust servers with a certificate from these authorities (PEM), and not those the system trusts
    #[arg(long, value_name = "FILE", env = "WINDLASS_TLS_CA", hide_env_values = true)]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Show the server this certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "WINDLASS_TLS_CERT",
        hide_env_values = true,
        requires = "tls_key"
    )]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key (PEM) of that certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "WINDLASS_TLS_KEY",
        hide_env_values = true,
        requires = "tls_cert"
    )]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OneRunArgs {
    /// The run's id, or the beginning of one among the newest 1,000
    pub(crate) run: String,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}
