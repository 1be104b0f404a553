//! `windlass cluster`: the Kubernetes clusters that steps run on.

use windlass_cluster::{ClusterConfig, Clusters, check, manifests, prepare};

use super::orphans;
use crate::{
    args::{CheckClusterArgs, ClusterCommand, OneClusterArgs, OutputFormat, PrepareClusterArgs},
    document::{CheckClusterResult, ClusterManifestsResult, PrepareClusterResult},
    exit::Exit,
    failure::{ClusterFailure, Failure, InputError},
    output,
    render::{self, Theme},
};

pub(super) async fn cluster(
    command: ClusterCommand,
    format: OutputFormat,
) -> Result<Exit, Failure> {
    match command {
        ClusterCommand::Check(args) => look(&args, format).await,
        ClusterCommand::Prepare(args) if args.dry_run => show(&args, format).await,
        ClusterCommand::Prepare(args) => make(&args, format).await,
        ClusterCommand::Orphans(args) => {
            orphans::orphans(&find(&args.cluster)?, &args, format).await
        }
    }
}

fn find(args: &OneClusterArgs) -> Result<ClusterConfig, InputError> {
    let clusters = Clusters::read(args.clusters_file.as_deref())
        .map_err(|error| InputError::new(error.to_string()))?;
    let found = clusters.get(&args.name).cloned();
    found.map_err(|error| InputError::new(error.to_string()))
}

async fn look(args: &CheckClusterArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let config = find(&args.cluster)?;
    let report =
        check(&config, args.service_account.as_ref()).await.map_err(ClusterFailure::from)?;
    match format {
        OutputFormat::Json => output::write_json(&CheckClusterResult::from(&report))?,
        OutputFormat::Text => output::write(&render::checked(&report, &Theme::stdout()))?,
    }
    Ok(if report.is_complete() { Exit::Success } else { Exit::Failed })
}

async fn show(args: &PrepareClusterArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let config = find(&args.cluster)?;
    let yaml = manifests(&config, &args.service_account).await.map_err(ClusterFailure::from)?;
    match format {
        OutputFormat::Json => {
            output::write_json(&ClusterManifestsResult { cluster: config.name, yaml })?;
        }
        OutputFormat::Text => output::write(&yaml)?,
    }
    Ok(Exit::Success)
}

async fn make(args: &PrepareClusterArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let config = find(&args.cluster)?;
    let done = prepare(&config, &args.service_account).await.map_err(ClusterFailure::from)?;
    match format {
        OutputFormat::Json => {
            output::write_json(&PrepareClusterResult::new(config.name, &done))?;
        }
        OutputFormat::Text => output::write(&render::prepared(&done))?,
    }
    Ok(Exit::Success)
}
