//! The sections of the programs, and what they have in common.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_proto::cluster;

use super::{
    directories::Directories,
    duration,
    kind::{
        AddressText, ClusterText, DirectivesText, DirectoriesText, DurationText, NameText,
        PathText, SwitchText,
    },
    switch,
};
use crate::{
    telemetry::LogFormat,
    tls::{ServerTls, ServerTlsFiles, TlsError},
};

/// Where launchers keep the directories of attempts, and streamers look for the logs in them.
const ATTEMPTS: &str = "/var/lib/windlass/attempts";

/// What all programs of an installation must agree on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InstallationSettings {
    /// Tells this installation from others on the same NATS and Redis servers. Give it once: runs of another name are not
    /// found.
    #[schemars(with = "NameText")]
    pub name: String,
    /// Into how many partitions runs are divided. The same for all programs and for ever: with another number, runs are not
    /// found.
    #[schemars(range(min = 1, max = 1024))]
    pub partitions: u32,
}

/// The gRPC servers of the submitter and the streamer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct GrpcSettings {
    /// Listen without TLS on an address that other machines can reach. Whoever can connect can run programs, and read what is
    /// sent. Without TLS on a loopback address it need not be said.
    pub plaintext: bool,
    /// The certificates of the servers. Setting `cert_file` and `key_file` turns TLS on.
    pub tls: GrpcTlsSettings,
}

/// The certificates of the gRPC servers. They are read when a program starts: after replacing them, start it again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct GrpcTlsSettings {
    /// The server's certificate (PEM), followed by those between it and its authority; needs `key_file`.
    #[schemars(with = "Option<PathText>")]
    pub cert_file: Option<PathBuf>,
    /// The private key (PEM) of `cert_file`.
    #[schemars(with = "Option<PathText>")]
    pub key_file: Option<PathBuf>,
    /// The certificates (PEM) of the authorities that clients' certificates must come from. If it is set, clients without such
    /// a certificate are refused (mutual TLS).
    #[schemars(with = "Option<PathText>")]
    pub client_ca_file: Option<PathBuf>,
}

impl GrpcSettings {
    /// The server's certificates, read from the files that the settings name; none without TLS.
    pub fn server_tls(&self) -> Result<Option<ServerTls>, TlsError> {
        let GrpcTlsSettings { cert_file, key_file, client_ca_file } = &self.tls;
        let (Some(cert_file), Some(key_file)) = (cert_file, key_file) else { return Ok(None) };
        ServerTls::read(&ServerTlsFiles {
            cert_file: cert_file.clone(),
            key_file: key_file.clone(),
            client_ca_file: client_ca_file.clone(),
        })
        .map(Some)
    }
}

/// The program that takes runs and orders and shows runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SubmitterSettings {
    /// Where its gRPC server listens. Port 0 takes a free one.
    #[schemars(with = "AddressText")]
    pub listen: SocketAddr,
    /// Where its port for operators (`/livez`, `/readyz`) listens: HTTP without TLS, and without anything secret.
    #[serde(with = "switch")]
    #[schemars(with = "SwitchText")]
    pub admin_listen: Option<SocketAddr>,
}

/// The program that decides what runs next.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SchedulerSettings {
    /// Where its port for operators (`/livez`, `/readyz`) listens: HTTP without TLS, and without anything secret.
    #[serde(with = "switch")]
    #[schemars(with = "SwitchText")]
    pub admin_listen: Option<SocketAddr>,
    /// The most attempts of one partition and one cluster that are ordered and of which no launcher has said that they exist. A
    /// larger one keeps more launchers busy; a smaller one keeps wide runs from standing in the way of others.
    pub launch_window: NonZeroUsize,
    /// The most attempts that one command names.
    pub command_size: NonZeroUsize,
    /// The most messages that are handled at once.
    pub batch: NonZeroUsize,
    /// How often what is owed for longer than this is asked for again.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub sweep: Duration,
    /// How long a partition stays with a scheduler that says nothing. Another one takes it over then.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub lease_time: Duration,
}

/// The program that starts attempts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LauncherSettings {
    /// Where its port for operators (`/livez`, `/readyz`) listens: HTTP without TLS, and without anything secret.
    #[serde(with = "switch")]
    #[schemars(with = "SwitchText")]
    pub admin_listen: Option<SocketAddr>,
    /// What attempts run on.
    pub runtime: RuntimeKind,
    /// The cluster that it serves: it creates the attempts of steps that name it, and those that name none are of `default`. All
    /// launchers of a cluster share its work. Where attempts are pods, it is the cluster's name in `clusters_file`. Lower-case
    /// letters, digits, `-` and `_`, a letter first, at most 63 characters.
    #[schemars(with = "ClusterText")]
    pub cluster: String,
    /// The name of this machine, by which attempts are found again after a restart; the machine's host name if it is not set.
    /// Two launchers must not have the same. It names a directory: letters, digits, `-`, `_` and `.`.
    pub host: Option<String>,
    /// How many attempts run at once; as many as there are processors if it is not set.
    pub slots: Option<NonZeroUsize>,
    /// Where attempts have their directories and log files. It must outlive the program.
    #[schemars(with = "PathText")]
    pub directory: PathBuf,
    /// After how long without a word from a host its attempts count as lost, and are tried again elsewhere. If the host was
    /// alive after all, an attempt runs twice: this is the one setting that allows it. Not set, attempts wait for their host.
    #[serde(with = "duration::optional")]
    #[schemars(with = "Option<DurationText>")]
    pub host_lost_after: Option<Duration>,
    /// Where the files may lie that hold lists of loops; an empty list allows none. Not set, they may lie anywhere: they are read
    /// with the launcher's rights, which the programs of steps have anyway.
    #[schemars(with = "Option<DirectoriesText>")]
    pub list_dirs: Option<Directories>,
    /// The file (TOML) that says which Kubernetes clusters there are and how they are reached. Not set, there is one, called
    /// `default`: that of the launcher's own pod, or of the kubeconfig that `KUBECONFIG` names. docs/kubernetes.md describes it.
    #[schemars(with = "Option<PathText>")]
    pub clusters_file: Option<PathBuf>,
    /// What the simulated runtime does. For trying out an installation.
    pub simulated: SimulatedSettings,
}

/// What attempts run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// Processes of the launcher's machine.
    Process,
    /// Pods of the Kubernetes cluster that `launcher.cluster` names.
    Kubernetes,
    /// Nothing: attempts only take time.
    Simulated,
}

/// What the simulated runtime does.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SimulatedSettings {
    /// How long each attempt takes.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub duration: Duration,
    /// Which share of the attempts fails.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub failure_share: f64,
}

impl LauncherSettings {
    /// The name of this machine: as set, or as the system says.
    pub fn host_name(&self) -> Result<String, std::io::Error> {
        if let Some(host) = &self.host {
            return Ok(host.clone());
        }
        Ok(nix::unistd::gethostname()?.to_string_lossy().into_owned())
    }
}

/// Whether a text can name a host, and the directory that is named for it.
pub(super) fn is_host_name(text: &str) -> bool {
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(lawful)
}

/// The program that serves logs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StreamerSettings {
    /// Where its gRPC server listens. Port 0 takes a free one.
    #[schemars(with = "AddressText")]
    pub listen: SocketAddr,
    /// Where its port for operators (`/livez`, `/readyz`) listens: HTTP without TLS, and without anything secret.
    #[serde(with = "switch")]
    #[schemars(with = "SwitchText")]
    pub admin_listen: Option<SocketAddr>,
    /// Where the directories of attempts are: the launchers' `launcher.directory`.
    #[schemars(with = "PathText")]
    pub directory: PathBuf,
}

/// How a program ends when SIGTERM or SIGINT asks for it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ShutdownSettings {
    /// How long the program goes on taking requests after `/readyz` has begun to say that it ends, so that load balancers
    /// notice first.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub delay: Duration,
    /// How long requests and work have to end after that. What has not ended then is left, and nothing is lost by it.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub limit: Duration,
}

/// What a program tells of itself, on standard error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LogSettings {
    /// From which level up, for all or by module. The variable `WINDLASS_LOG`, where it is set, is stronger.
    #[schemars(with = "DirectivesText")]
    pub level: String,
    /// How log lines look. The flag `--log-format` sets it, too.
    pub format: LogFormat,
}

impl Default for InstallationSettings {
    fn default() -> Self {
        Self { name: "windlass".to_owned(), partitions: 32 }
    }
}

impl Default for SubmitterSettings {
    fn default() -> Self {
        Self { listen: local(4600), admin_listen: Some(local(4610)) }
    }
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self {
            admin_listen: Some(local(4611)),
            launch_window: constant(1024),
            command_size: constant(1024),
            batch: constant(1024),
            sweep: Duration::from_mins(1),
            lease_time: Duration::from_secs(3),
        }
    }
}

impl Default for LauncherSettings {
    fn default() -> Self {
        Self {
            admin_listen: Some(local(4612)),
            runtime: RuntimeKind::Process,
            cluster: cluster::DEFAULT.to_owned(),
            host: None,
            slots: None,
            directory: ATTEMPTS.into(),
            host_lost_after: None,
            list_dirs: None,
            clusters_file: None,
            simulated: SimulatedSettings { duration: Duration::ZERO, failure_share: 0.0 },
        }
    }
}

impl Default for StreamerSettings {
    fn default() -> Self {
        Self { listen: local(4601), admin_listen: Some(local(4613)), directory: ATTEMPTS.into() }
    }
}

impl Default for ShutdownSettings {
    fn default() -> Self {
        Self { delay: Duration::ZERO, limit: Duration::from_secs(30) }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn constant(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("written as a number above 0")
}
