//! The way to a cluster.

use std::{env, path::PathBuf, time::Duration};

use data_encoding::BASE64;
use http::{HeaderValue, Request, Response, header};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, DynBody},
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tower::{BoxError, Service, util::MapFutureLayer};

use crate::{
    config::ClusterConfig,
    failure::told,
    plugin::{Plugin, PluginError},
    renew::Renewal,
};

/// How long a connection to the API server may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take to be sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long nothing need be heard of an API server: longer than any watch of a launcher lasts, which is ended by the server.
const READ_TIMEOUT: Duration = Duration::from_secs(45);
/// How long an answer may take until it begins: whatever keeps a request from being answered, the next one is not kept by it. What
/// an answer says after that, as a watch does, may take as long as it takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
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
    /// Certificates or keys will not do.
    #[error(
        "the credentials for cluster `{cluster}` cannot be used: {}; see the user and the certificates in its kubeconfig",
        told(.source.as_ref())
    )]
    Credentials {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
    /// The program for credentials gives none.
    #[error(
        "the program that the kubeconfig of cluster `{cluster}` names for credentials gives none: {source}"
    )]
    Plugin {
        /// The cluster.
        cluster: String,
        /// What is wrong with it.
        source: PluginError,
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
/// given up: watches must be asked for so that they end, or say something, within that time. An answer begins within 30 s, or there
/// is none. Nothing is tried again here, so that who has a budget hears of each refusal.
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
    mut resolved: Config,
) -> Result<Client, ConnectError> {
    let cluster = || config.name.clone();
    let refused =
        |source| ConnectError::Credentials { cluster: cluster(), source: Box::new(source) };
    let renewal = match Plugin::take(&mut resolved.auth_info) {
        None => None,
        Some(plugin) => {
            let given = plugin.run(PLUGIN_TIMEOUT).await;
            let given = given.map_err(|source| ConnectError::Plugin { cluster: cluster(), source });
            Some(Renewal { plugin, credentials: given?, limit: ANSWER_TIMEOUT })
        }
    };
    let certificate = renewal.as_ref().and_then(|it| it.credentials.certificate.as_ref());
    let valid_until = certificate.and(renewal.as_ref()).and_then(|it| it.credentials.expire_at);
    if let Some((certificate, key)) = certificate {
        let user = &mut resolved.auth_info;
        user.client_certificate_data = Some(BASE64.encode(certificate.as_bytes()));
        user.client_key_data = Some(BASE64.encode(key.as_bytes()).into());
    }
    // An outdated form of kubeconfigs has it start a program and wait for it.
    let made = tokio::task::spawn_blocking(move || ClientBuilder::try_from(resolved));
    let builder = match tokio::time::timeout(PLUGIN_TIMEOUT, made).await {
        Ok(Ok(builder)) => builder.map_err(refused)?,
        Ok(Err(panicked)) => return Err(refused(kube::Error::Service(panicked.into()))),
        Err(late) => return Err(refused(kube::Error::Service(late.into()))),
    };
    let builder = builder.with_valid_until(valid_until);
    Ok(match renewal {
        None => limited(builder),
        Some(renewal) => limited(builder.with_layer(&renewal)),
    })
}

/// A client whose requests are answered within [`ANSWER_TIMEOUT`], or fail.
fn limited<S>(builder: ClientBuilder<S>) -> Client
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S: Send + 'static,
    S::Future: Send + 'static,
{
    let limit = MapFutureLayer::new(|answer| async move {
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(BoxError::from(Unanswered)),
        }
    });
    builder.with_layer(&limit).build()
}

/// Nobody answers.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", ANSWER_TIMEOUT.as_secs())]
struct Unanswered;

#[cfg(test)]
mod tests {
    use tower::service_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_whose_answer_never_begins_fails() {
        let silent = service_fn(|_: Request<Body>| std::future::pending());
        let asked = limited(ClientBuilder::new(silent, "jobs")).apiserver_version().await;
        let error = told(&asked.unwrap_err());
        assert!(error.ends_with("no answer within 30 s"), "{error}");
    }
}
