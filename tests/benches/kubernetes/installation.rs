//! A cluster, and installations on it as an operator would start them: NATS, Valkey and the four programs, each a process.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use tempfile::TempDir;
use tonic::transport::Channel;
use windlass_proto::v1::run_service_client::RunServiceClient;
use windlass_servers::{FakeNodes, Kubernetes, NatsServer, RedisServer};

use crate::{processes::Program, runs, shares::until_shared, work::Work};

/// The installation's name: the first token of subjects, streams and keys, and a label of pods.
pub(crate) const NAME: &str = "windlass";

/// Into how many partitions runs are divided, and pods into shards: the default of the programs.
pub(crate) const PARTITIONS: u32 = 32;

/// A control plane and its nodes, which a thread of this process plays.
pub(crate) struct Ground {
    pub(crate) kubernetes: Kubernetes,
}

impl Ground {
    pub(crate) async fn start() -> Self {
        let kubernetes = Kubernetes::start().await;
        kubernetes.fake_nodes().await;
        Self { kubernetes }
    }

    pub(crate) async fn nodes(&self) -> &FakeNodes {
        self.kubernetes.fake_nodes().await
    }
}

/// Servers and programs. Dropping it kills them all.
pub(crate) struct Installation {
    pub(crate) namespace: String,
    pub(crate) programs: Vec<Program>,
    _redis: RedisServer,
    _nats: NatsServer,
    _directory: TempDir,
}

impl Installation {
    /// Starts one, whose pods are in a namespace of their own and are kept for so long after they have ended; returns when
    /// everything is served and a first pod has ended.
    pub(crate) async fn start(ground: &Ground, keep: Duration) -> anyhow::Result<Self> {
        let (nats, redis) = tokio::join!(NatsServer::builder().start(), RedisServer::start());
        let namespace = ground.kubernetes.namespace().await;
        let directory = tempfile::tempdir()?;
        let clusters = directory.path().join("clusters.toml");
        let kubeconfig = ground.kubernetes.kubeconfig();
        // All else as it is shipped.
        let text = format!(
            "[clusters.default]\nkubeconfig = '{}'\nnamespace = '{namespace}'\nkeep_succeeded = '{}s'\n",
            kubeconfig.display(),
            keep.as_secs()
        );
        fs::write(&clusters, text)?;
        let settings = settings(&nats, &redis, directory.path(), &clusters);
        let mut programs = Vec::new();
        for kind in ["submitter", "streamer", "scheduler", "launcher"] {
            programs.push(Program::start(kind, &settings)?);
        }
        for program in &mut programs {
            program.until_ready().await?;
        }
        for group in ["scheduler", "pods.default"] {
            until_shared(&redis, group, 1, PARTITIONS).await?;
        }
        let installation =
            Self { namespace, programs, _redis: redis, _nats: nats, _directory: directory };
        let first = Work {
            runs: 1,
            steps: 1,
            is_chain: false,
            gap: Duration::ZERO,
            pod_runs: Duration::ZERO,
        };
        runs::complete(&installation.client().await?, "first", first).await?;
        Ok(installation)
    }

    /// A client of the submitter.
    pub(crate) async fn client(&self) -> anyhow::Result<runs::Client> {
        let submitter = self.programs.iter().find(|it| it.kind == "submitter");
        let address = submitter.and_then(|it| it.clients.as_ref()).context("no submitter")?;
        let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
        Ok(RunServiceClient::new(channel))
    }
}

fn settings(
    nats: &NatsServer,
    redis: &RedisServer,
    directory: &Path,
    clusters: &Path,
) -> Vec<String> {
    let mut settings = vec![
        format!("installation.name={NAME}"),
        format!("installation.partitions={PARTITIONS}"),
        format!("bus.url={}", nats.url()),
        format!("store.url={}", redis.url()),
        "launcher.runtime=kubernetes".to_owned(),
        format!("launcher.clusters_file={}", clusters.display()),
    ];
    for program in ["submitter", "streamer"] {
        settings.push(format!("{program}.listen=127.0.0.1:0"));
    }
    for program in ["submitter", "streamer", "scheduler", "launcher"] {
        settings.push(format!("{program}.admin_listen=127.0.0.1:0"));
    }
    for program in ["streamer", "launcher"] {
        settings.push(format!("{program}.directory={}", directory.display()));
    }
    settings
}
