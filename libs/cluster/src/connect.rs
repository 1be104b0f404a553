//! The way to a cluster.

use std::{env, path::PathBuf, time::Duration};

use http::{HeaderValue, header};
use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use crate::{config::ClusterConfig, failure::causes};

/// How long a connection to the API server may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take to be sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long nothing need be heard of an API server: longer than any watch of a launcher lasts, which is ended by the server.
const READ_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a program may take that the kubeconfig names for credentials: somebody may have to log in.
const PLUGIN_TIMEOUT: Duration = Duration::from_mins(2);
/// What API servers write into their audit logs.
const USER_AGENT: &str = concat!("windlass-launcher/", env!("CARGO_PKG_VERSION"));

/// The variable that there is in every pod.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// Why there is no way to a cluster. Nothing was asked of its API server yet.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig that is named will not do.
    #[error(
        "the kubeconfig {} of cluster `{cluster}` cannot be used: {source}; correct it, or name another one with \
         `clusters.{cluster}.kubeconfig`", .path.display()
    )]
    Kubeconfig {
        /// The cluster.
        cluster: String,
        /// The kubeconfig file.
        path: PathBuf,
        /// What is wrong.
        source: Box<KubeconfigError>,
    },
    /// None of the places has what is needed.
    #[error(
        "nothing says how cluster `{cluster}` is reached: there is no service account of a pod ({}), and no kubeconfig that \
         will do in KUBECONFIG or ~/.kube/config ({kubeconfig}); name one with `clusters.{cluster}.kubeconfig` in the clusters \
         file", .in_cluster.as_ref().map_or_else(|| "this is none".to_owned(), ToString::to_string)
    )]
    Nowhere {
        /// The cluster.
        cluster: String,
        /// What is wrong with the service account of this pod; none where this is no pod.
        in_cluster: Option<Box<InClusterError>>,
        /// What is wrong with the kubeconfig.
        kubeconfig: Box<KubeconfigError>,
    },
    /// Certificates, keys or the program for credentials will not do.
    #[error(
        "the credentials for cluster `{cluster}` cannot be used: {}; see the user and the certificates in its kubeconfig",
        causes(.source.as_ref())
    )]
    Credentials {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
    /// The program for credentials does not end.
    #[error(
        "the program that the kubeconfig of cluster `{cluster}` names for credentials has not ended within {} s; run it by hand \
         to see what it waits for", PLUGIN_TIMEOUT.as_secs()
    )]
    PluginSlow {
        /// The cluster.
        cluster: String,
    },
}

/// Makes a client of a cluster; its default namespace is the one where pods are created.
///
/// How the cluster is reached says the first of these that there is:
///
/// 1. the kubeconfig file that is configured, with the context that is configured or its current one;
/// 2. the service account of the pod that this program runs in, unless a context is configured: a service account has none;
/// 3. the kubeconfig files that `KUBECONFIG` names, or `~/.kube/config`.
///
/// A connection must come about within 5 s, and a request be sent within 30 s. A connection on which nothing is heard for 45 s is
/// given up: watches must be asked for so that they end, or say something, within that time. Nothing is tried again here, so that who has a budget hears of each refusal.
pub async fn connect(config: &ClusterConfig) -> Result<Client, ConnectError> {
    client(config, resolve(config).await?).await
}

/// Where the cluster is and who asks.
pub(crate) async fn resolve(config: &ClusterConfig) -> Result<Config, ConnectError> {
    let mut resolved = find(config).await?;
    if let Some(namespace) = &config.namespace {
        resolved.default_namespace.clone_from(namespace);
    }
    resolved.connect_timeout = Some(CONNECT_TIMEOUT);
    resolved.write_timeout = Some(WRITE_TIMEOUT);
    resolved.read_timeout = Some(READ_TIMEOUT);
    // From when a request was sent, and not from when its connection was used before.
    resolved.reset_reader_on_write = true;
    resolved.default_retry = false;
    resolved.headers.push((header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));
    Ok(resolved)
}

async fn find(config: &ClusterConfig) -> Result<Config, ConnectError> {
    let cluster = || config.name.clone();
    let options = KubeConfigOptions { context: config.context.clone(), ..Default::default() };
    if let Some(path) = &config.kubeconfig {
        let refused = |source: KubeconfigError| ConnectError::Kubeconfig {
            cluster: cluster(),
            path: path.clone(),
            source: source.into(),
        };
        let kubeconfig = Kubeconfig::read_from(path).map_err(refused)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(refused);
    }
    let mut in_cluster = None;
    if config.context.is_none() && env::var_os(IN_CLUSTER).is_some() {
        match Config::incluster() {
            Ok(found) => return Ok(found),
            Err(error) => in_cluster = Some(error.into()),
        }
    }
    Config::from_kubeconfig(&options).await.map_err(|kubeconfig| ConnectError::Nowhere {
        cluster: cluster(),
        in_cluster,
        kubeconfig: kubeconfig.into(),
    })
}

pub(crate) async fn client(
    config: &ClusterConfig,
    resolved: Config,
) -> Result<Client, ConnectError> {
    let refused = |source| ConnectError::Credentials {
        cluster: config.name.clone(),
        source: Box::new(source),
    };
    // It may start a program and wait for it.
    let made = tokio::task::spawn_blocking(move || Client::try_from(resolved));
    match tokio::time::timeout(PLUGIN_TIMEOUT, made).await {
        Ok(Ok(client)) => client.map_err(refused),
        Ok(Err(panicked)) => Err(refused(kube::Error::Service(panicked.into()))),
        Err(_) => Err(ConnectError::PluginSlow { cluster: config.name.clone() }),
    }
}
