//! The program `windlass-launcher`.

use std::{env, io, path::Path, process::ExitCode, sync::Arc};

use tokio::sync::mpsc;
use windlass_cluster::{ClusterConfig, Clusters, ClustersError, UnknownCluster};
use windlass_engine::reason::{Failure, FailureReason};
use windlass_proto::id::stable_hash;
use windlass_service::{
    connect::{self, Connected},
    program::{self, Context, ServiceError},
    settings::{LauncherSettings, Program, RuntimeKind, Settings, SimulatedSettings},
};

use crate::{
    Launcher,
    clusters_file::{self, ClustersFile},
    runtime::{
        AttemptSpec, Report, ReportSender, Runtime,
        kubernetes::{Budget, KubernetesConfig, KubernetesRuntime},
        process::{ProcessConfig, ProcessRuntime, Supervisor},
        simulated::{Plan, SimulatedAttempt, SimulatedEnd, SimulatedRuntime},
    },
    supervisor,
};

/// The argument that makes the program the supervisor of one attempt.
const SUPERVISE: &str = "supervise";

/// The whole life of the program, which supervises attempts, too: it starts itself for each of them.
pub fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    if args.next().is_some_and(|first| first == SUPERVISE) {
        return args.next().map_or(ExitCode::from(2), |dir| supervisor::main(Path::new(&dir)));
    }
    program::run_with(Program::Launcher, env!("CARGO_PKG_VERSION"), read, serve)
}

/// The clusters file will not do for this launcher.
#[derive(Debug, thiserror::Error)]
enum ClusterFileError {
    #[error("`launcher.clusters_file`: {0}")]
    File(#[from] ClustersError),
    #[error("`launcher.cluster`: {0}")]
    Unknown(#[from] UnknownCluster),
}

/// What attempts run on.
enum Ground {
    Process,
    Kubernetes(Box<ClusterConfig>),
    Simulated,
}

/// Reads what no other program understands. A clusters file that is named has to be right whatever attempts run on, so that a
/// configuration that launchers share is right or wrong for all of them.
fn read(settings: &Settings) -> Result<Ground, ServiceError> {
    let LauncherSettings { runtime, cluster, clusters_file, .. } = &settings.launcher;
    let clusters = Clusters::read(clusters_file.as_deref()).map_err(ClusterFileError::from)?;
    Ok(match runtime {
        RuntimeKind::Process => Ground::Process,
        RuntimeKind::Kubernetes => {
            let cluster = clusters.get(cluster).map_err(ClusterFileError::from)?;
            Ground::Kubernetes(Box::new(cluster.clone()))
        }
        RuntimeKind::Simulated => Ground::Simulated,
    })
}

/// The program cannot run attempts.
#[derive(Debug, thiserror::Error)]
enum HostError {
    #[error("the name of this machine cannot be found out: {0}; set `launcher.host`")]
    Name(#[source] io::Error),
    #[error(
        "the path of this program cannot be found out, and it starts itself for each attempt: {0}; start it by its full path"
    )]
    OwnPath(#[source] io::Error),
}

async fn serve(context: Context, ground: Ground) -> Result<(), ServiceError> {
    let Some(connected) = connect::connect(Program::Launcher, &context).await? else {
        return Ok(());
    };
    let settings = context.settings.launcher.clone();
    let (reports, reported) = mpsc::unbounded_channel();
    match ground {
        Ground::Process => {
            let runtime = ProcessRuntime::open(process_config(&settings)?, reports.clone())?;
            launch(context, connected, runtime.into(), reports, reported).await;
        }
        Ground::Kubernetes(cluster) => {
            let client = windlass_cluster::connect(&cluster).await?;
            let config = kubernetes_config(&cluster, &client, &context.settings);
            let budget = Budget::from(&*cluster);
            let runtime = KubernetesRuntime::new(client, config, budget, reports.clone());
            let runtime = Arc::new(runtime);
            let (file, follower) = (settings.clusters_file, runtime.clone());
            let shutdown = context.shutdown.clone();
            let follow = async move {
                if let Some(path) = file {
                    let file = ClustersFile::new(path, *cluster);
                    clusters_file::follow(file, &follower, shutdown).await;
                }
            };
            tokio::join!(follow, launch(context, connected, runtime, reports, reported));
        }
        Ground::Simulated => {
            let runtime = SimulatedRuntime::new(reports.clone(), plan(&settings.simulated));
            launch(context, connected, runtime.into(), reports, reported).await;
        }
    }
    Ok(())
}

async fn launch<R: Runtime>(
    context: Context,
    Connected { bus, store }: Connected,
    runtime: Arc<R>,
    reports: ReportSender,
    reported: mpsc::UnboundedReceiver<Report>,
) {
    let launcher = Launcher {
        partitions: context.settings.installation.partitions,
        cluster: context.settings.launcher.cluster.clone(),
        host_lost_after: context.settings.launcher.host_lost_after,
        list_dirs: context.settings.launcher.list_dirs.clone().map(Into::into),
        bus,
        store,
        runtime,
        reports,
        reported,
    };
    launcher.run(context.shutdown).await;
}

/// Each host has a directory of its own in the one that launchers share with streamers. That its name is one for a directory,
/// the settings have been checked for.
fn process_config(settings: &LauncherSettings) -> Result<ProcessConfig, HostError> {
    let host = settings.host_name().map_err(HostError::Name)?;
    let program = env::current_exe().map_err(HostError::OwnPath)?;
    let supervisor = Supervisor { program, args: vec![SUPERVISE.into()] };
    let mut config = ProcessConfig::new(settings.directory.join(&host), supervisor);
    config.slots = settings.slots.unwrap_or(config.slots);
    config.host = Some(host);
    Ok(config)
}

/// Pods are divided into as many shards as runs are into partitions: a number that is the same for all programs, for ever.
fn kubernetes_config(
    cluster: &ClusterConfig,
    client: &kube::Client,
    settings: &Settings,
) -> KubernetesConfig {
    let namespace = cluster.namespace.as_deref().unwrap_or(client.default_namespace());
    KubernetesConfig {
        installation: settings.installation.name.clone(),
        cluster: settings.launcher.cluster.clone(),
        namespace: namespace.to_owned(),
        other_namespaces: cluster.other_namespaces.clone(),
        shards: settings.installation.partitions,
    }
}

/// What a simulated attempt does: takes its time, and fails as often as it should. Which ones fail is a function of the attempt.
fn plan(settings: &SimulatedSettings) -> Plan {
    let SimulatedSettings { duration, failure_share, .. } = *settings;
    Arc::new(move |attempt: &AttemptSpec| {
        let key = attempt.key;
        let hash = stable_hash(key.to_string().as_bytes());
        #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
        let place = (hash >> 11) as f64 / (1_u64 << 53) as f64;
        let end = if place < failure_share {
            let message = "simulated".to_owned();
            let reason = FailureReason::ExitCode;
            SimulatedEnd::Fail(Failure { reason, message, exit_code: Some(1), signal: None })
        } else {
            SimulatedEnd::Succeed(None)
        };
        SimulatedAttempt { duration, end }
    })
}
