//! `[bus]`: NATS with JetStream.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    duration,
    file::{FileError, read_secret},
    kind::{DurationText, PathText, SecretText, ServersText, SizeText},
    secret::Secret,
    servers::Servers,
    size,
};
use crate::tls::{ClientTls, ClientTlsFiles, TlsError};

/// The connection to NATS with JetStream, and the streams that Windlass keeps there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BusSettings {
    /// The NATS servers, with the scheme `nats`, or `tls` for TLS from the first byte. Any servers of one cluster will do: the
    /// others are found through them.
    #[schemars(with = "ServersText")]
    pub url: Servers,
    /// The user to connect as; needs a password.
    pub user: Option<String>,
    /// The user's password.
    #[schemars(with = "Option<SecretText>")]
    pub password: Option<Secret>,
    /// A file that holds the user's password.
    #[schemars(with = "Option<PathText>")]
    pub password_file: Option<PathBuf>,
    /// The token to connect with.
    #[schemars(with = "Option<SecretText>")]
    pub token: Option<Secret>,
    /// A file that holds the token.
    #[schemars(with = "Option<PathText>")]
    pub token_file: Option<PathBuf>,
    /// A file that holds the seed of an `NKey`.
    #[schemars(with = "Option<PathText>")]
    pub nkey_seed_file: Option<PathBuf>,
    /// A credentials file, as `nsc` writes it: a JWT and the seed that belongs to it.
    #[schemars(with = "Option<PathText>")]
    pub credentials_file: Option<PathBuf>,
    /// How the connection is encrypted.
    pub tls: BusTlsSettings,
    /// How many servers keep a copy of each stream. With 3, one server can be lost without losing a message.
    #[schemars(range(min = 1, max = 5))]
    pub replicas: u8,
    /// Where the servers keep the streams.
    pub storage: StreamStorage,
    /// How much the streams may hold.
    pub streams: StreamsSettings,
    /// How long a program has to acknowledge a message before another one gets it. Working on it longer is possible: the
    /// program says so in time.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub ack_wait: Duration,
    /// The most messages of one consumer that are delivered and not acknowledged.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_ack_pending: u32,
    /// How long the servers have to confirm a message before the program sends it again.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub publish_timeout: Duration,
}

/// How the connection to NATS is encrypted. Certificates are read when a program starts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct BusTlsSettings {
    /// Never speak without TLS, also where the URL says `nats` and the server does not ask for it.
    pub required: bool,
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

/// Where NATS keeps a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamStorage {
    /// On disk.
    File,
    /// In memory: faster, and gone when the servers end. All that is lost can be derived again.
    Memory,
}

/// How much each stream may hold. What is older or beyond it is dropped, and derived again from the store.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StreamsSettings {
    /// What happened, for the schedulers.
    pub event: StreamLimits,
    /// What must be started, for the launchers.
    pub launch: StreamLimits,
    /// What nobody could understand, for people.
    pub dead_letter: StreamLimits,
}

/// How much a stream may hold.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StreamLimits {
    /// The most bytes.
    #[serde(with = "size")]
    #[schemars(with = "SizeText")]
    pub max_bytes: u64,
    /// How long a message is kept at most.
    #[serde(with = "duration")]
    #[schemars(with = "DurationText")]
    pub max_age: Duration,
}

impl Default for BusSettings {
    fn default() -> Self {
        let limits = |max_bytes, max_age| StreamLimits { max_bytes, max_age };
        Self {
            url: Servers::constant("nats://127.0.0.1:4222"),
            user: None,
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            nkey_seed_file: None,
            credentials_file: None,
            tls: BusTlsSettings::default(),
            replicas: 1,
            storage: StreamStorage::File,
            streams: StreamsSettings {
                event: limits(1 << 30, Duration::from_hours(1)),
                launch: limits(256 << 20, Duration::from_hours(1)),
                dead_letter: limits(64 << 20, Duration::from_hours(30 * 24)),
            },
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 4096,
            publish_timeout: Duration::from_secs(5),
        }
    }
}

/// Who a program is to NATS.
#[derive(Debug, Clone)]
pub enum BusAuthentication {
    /// Nobody.
    Anonymous,
    /// A user with a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// Whoever has the token.
    Token(SecretString),
    /// Whoever has the seed of an `NKey`.
    NkeySeed(SecretString),
    /// The text of a credentials file.
    Credentials(SecretString),
}

impl BusSettings {
    /// Who the program is, read from files where the settings name them.
    pub fn authentication(&self) -> Result<BusAuthentication, FileError> {
        if let Some(user) = &self.user {
            let password = secret(self.password.as_ref(), self.password_file.as_ref())?;
            if let Some(password) = password {
                return Ok(BusAuthentication::Password { user: user.clone(), password });
            }
        }
        if let Some(token) = secret(self.token.as_ref(), self.token_file.as_ref())? {
            return Ok(BusAuthentication::Token(token));
        }
        if let Some(path) = &self.nkey_seed_file {
            return read_secret(path).map(BusAuthentication::NkeySeed);
        }
        if let Some(path) = &self.credentials_file {
            return read_secret(path).map(BusAuthentication::Credentials);
        }
        Ok(BusAuthentication::Anonymous)
    }

    /// The certificates, read from the files that the settings name.
    pub fn client_tls(&self) -> Result<ClientTls, TlsError> {
        let BusTlsSettings { ca_file, cert_file, key_file, .. } = &self.tls;
        let identity = cert_file.clone().zip(key_file.clone());
        ClientTls::read(&ClientTlsFiles { ca_file: ca_file.clone(), identity })
    }
}

/// A secret that stands in the settings or in a file; none if it is in neither.
pub(super) fn secret(
    set: Option<&Secret>,
    file: Option<&PathBuf>,
) -> Result<Option<SecretString>, FileError> {
    match (set, file) {
        (Some(secret), _) => Ok(Some(secret.expose().clone())),
        (None, Some(path)) => read_secret(path).map(Some),
        (None, None) => Ok(None),
    }
}
