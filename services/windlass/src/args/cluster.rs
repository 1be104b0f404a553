//! `windlass cluster`.

use std::{convert::Infallible, path::PathBuf};

use clap::Subcommand;
use windlass_cluster::ServiceAccountRef;

use super::ServerArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// See whether a Kubernetes cluster has what Windlass needs, and what is missing
    Check(CheckClusterArgs),
    /// Make what Windlass needs in a Kubernetes cluster: namespace, service account, Role and its binding
    Prepare(PrepareClusterArgs),
    /// List the pods in a Kubernetes cluster whose run the server does not know, and remove them where asked to
    Orphans(OrphansArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "With exit code 1, something is missing.")]
pub(crate) struct CheckClusterArgs {
    #[command(flatten)]
    pub(crate) cluster: OneClusterArgs,

    /// Look for this service account, too: NAME in the namespace of the pods, or NAMESPACE/NAME
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub(crate) service_account: Option<ServiceAccountRef>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "To do it again changes nothing.")]
pub(crate) struct PrepareClusterArgs {
    #[command(flatten)]
    pub(crate) cluster: OneClusterArgs,

    /// The service account that Windlass runs as: NAME in the namespace of the pods, or NAMESPACE/NAME
    #[arg(long, value_name = "ACCOUNT", value_parser = account, default_value_t)]
    pub(crate) service_account: ServiceAccountRef,

    /// Print the YAML instead, for `kubectl apply -f -`; no cluster is asked
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Unless --remove is given, nothing is changed. With exit code 1, there are such pods, or some that are too young to be removed. Whoever asks needs the right to list pods in the cluster's namespaces, and to delete them."
)]
pub(crate) struct OrphansArgs {
    #[command(flatten)]
    pub(crate) cluster: OneClusterArgs,

    /// Remove these pods, but for those that are younger than 2 minutes
    #[arg(long)]
    pub(crate) remove: bool,

    /// The installation whose pods they are; that of the server unless given. Where the server is of another one, nothing is done
    #[arg(long, value_name = "NAME")]
    pub(crate) installation: Option<String>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OneClusterArgs {
    /// The cluster's name, as in the clusters file
    pub(crate) name: String,

    /// The clusters file; without one there is only the cluster `default`
    #[arg(long, value_name = "FILE")]
    pub(crate) clusters_file: Option<PathBuf>,
}

fn account(text: &str) -> Result<ServiceAccountRef, Infallible> {
    text.parse()
}
