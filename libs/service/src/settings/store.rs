//! `[store]`: Redis or Valkey.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    bus::secret,
    duration,
    file::FileError,
    kind::{DurationText, PathText, SecretText, ServersText},
    secret::Secret,
    servers::Servers,
};
use crate::tls::{ClientTls, ClientTlsFiles, TlsError};

/// The connection to Redis or Valkey, and how long runs are kept there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StoreSettings {
    /// The servers, with the scheme `redis`, or `rediss` for TLS: the one server, the sentinels, or any nodes of the cluster.
    #[schemars(with = "ServersText")]
    pub url: Servers,
    /// What the servers are.
    pub mode: StoreMode,
    /// The name by which the sentinels know the server; needed if `mode` is `sentinel`.
    pub sentinel_master: Option<String>,
    /// The user to connect as; Redis calls the one without a name `default`.
    pub username: Option<String>,
    /// The user's password.
    #[schemars(with = "Option<SecretText>")]
    pub password: Option<Secret>,
    /// A file that holds the user's password.
    #[schemars(with = "Option<PathText>")]
    pub password_file: Option<PathBuf>,
    /// How the connection is encrypted; only with `rediss` URLs.
    pub tls: StoreTlsSettings,
    /// How long a server has to answer before the program takes the connection for broken.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub response_timeout: Duration,
    /// Which finished runs are kept. One that is beyond any of the two limits is removed.
    pub retention: RetentionSettings,
}

/// How the connection to Redis is encrypted. Certificates are read when a program starts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct StoreTlsSettings {
    /// The certificates (PEM) of the authorities that the servers' certificates must come from; those of the system if it is not
    /// set.
    #[schemars(with = "Option<PathText>")]
    pub ca_file: Option<PathBuf>,
    /// The certificate (PEM) that this program shows; needs `key_file`.
    #[schemars(with = "Option<PathText>")]
    pub cert_file: Option<PathBuf>,
    /// The private key (PEM) of `cert_file`.
    #[schemars(with = "Option<PathText>")]
    pub key_file: Option<PathBuf>,
}

/// What the servers of the store are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreMode {
    /// One server.
    Single,
    /// Sentinels, which know the server that is in charge.
    Sentinel,
    /// Nodes of a Redis Cluster.
    Cluster,
}

/// Which finished runs are kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RetentionSettings {
    /// How long a run is kept after its end.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub finished_for: Duration,
    /// How many finished runs are kept.
    #[schemars(range(min = 1))]
    pub finished_runs: u64,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            url: Servers::constant("redis://127.0.0.1:6379"),
            mode: StoreMode::Single,
            sentinel_master: None,
            username: None,
            password: None,
            password_file: None,
            tls: StoreTlsSettings::default(),
            response_timeout: Duration::from_secs(5),
            retention: RetentionSettings {
                finished_for: Duration::from_hours(30 * 24),
                finished_runs: 100_000,
            },
        }
    }
}

/// Who a program is to Redis.
#[derive(Debug, Clone, Default)]
pub struct StoreAuthentication {
    /// The user; none for the one that Redis calls `default`.
    pub username: Option<String>,
    /// The password; none if there is none.
    pub password: Option<SecretString>,
}

impl StoreSettings {
    /// Who the program is, read from files where the settings name them.
    pub fn authentication(&self) -> Result<StoreAuthentication, FileError> {
        let password = secret(self.password.as_ref(), self.password_file.as_ref())?;
        Ok(StoreAuthentication { username: self.username.clone(), password })
    }

    /// The certificates, read from the files that the settings name; none if the servers are spoken to without TLS.
    pub fn client_tls(&self) -> Result<Option<ClientTls>, TlsError> {
        if !self.url.as_slice().iter().any(|server| server.scheme() == "rediss") {
            return Ok(None);
        }
        let StoreTlsSettings { ca_file, cert_file, key_file } = &self.tls;
        let identity = cert_file.clone().zip(key_file.clone());
        ClientTls::read(&ClientTlsFiles { ca_file: ca_file.clone(), identity }).map(Some)
    }
}
