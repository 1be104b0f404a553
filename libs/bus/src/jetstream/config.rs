//! How to reach the servers, and what is kept on them.

use std::{fmt, path::PathBuf, time::Duration};

pub use secrecy::SecretString;

use super::error::ConnectError;

/// How to reach NATS, and what is kept there. All services of one installation are given the same streams.
#[derive(Clone)]
pub struct JetStreamConfig {
    /// Where the servers are, such as `nats://nats-1:4222`; further ones of their cluster are found by themselves.
    pub servers: Vec<String>,
    /// What this connection is called in the servers' monitoring.
    pub name: String,
    /// The installation: the first token of every subject, and the beginning of every stream's name. Letters, digits, `-`
    /// and `_`.
    pub prefix: String,
    /// Who is connecting.
    pub credentials: Credentials,
    /// Encryption; none means that the servers decide.
    pub tls: Option<Tls>,
    /// What is kept on the servers.
    pub streams: Streams,
    /// After which time a message that is not acknowledged is delivered again.
    pub ack_wait: Duration,
    /// How many messages the consumers of a subject may have together that are not acknowledged; there are no more until
    /// some of them are.
    pub max_ack_pending: u32,
    /// How long publishing may wait: for room, for an answer, for a connection.
    pub publish_timeout: Duration,
    /// How many messages a listener may be behind before the oldest ones are lost to it.
    pub backlog: usize,
}

impl Default for JetStreamConfig {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".into()],
            name: "windlass".into(),
            prefix: "windlass".into(),
            credentials: Credentials::None,
            tls: None,
            streams: Streams::default(),
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 20_000,
            publish_timeout: Duration::from_secs(5),
            backlog: 1024,
        }
    }
}

impl JetStreamConfig {
    /// Whether it can be at all.
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        let lawful = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if self.prefix.is_empty() || !self.prefix.bytes().all(lawful) {
            return Err(ConnectError::Setting {
                setting: "`installation.name`",
                is: self.prefix.clone(),
                wanted: "use letters, digits, `-` and `_`",
            });
        }
        let limits = [
            ("`bus.streams.event.max_bytes`", self.streams.event),
            ("`bus.streams.launch.max_bytes`", self.streams.launch),
            ("`bus.streams.dead_letter.max_bytes`", self.streams.dead_letter),
        ];
        match limits.into_iter().find(|(_, limits)| limits.max_bytes == 0) {
            None => Ok(()),
            Some((setting, _)) => Err(ConnectError::Setting {
                setting,
                is: "0".into(),
                wanted: "give a size above 0; NATS takes 0 for no limit, and a stream without one fills the disk",
            }),
        }
    }

    /// The servers, to be shown: without the user and password that an address may carry.
    pub(super) fn shown_servers(&self) -> String {
        let shown = |server: &String| match (server.split_once("://"), server.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, address))) => format!("{scheme}://{address}"),
            (None, Some((_, address))) => address.to_owned(),
            (_, None) => server.clone(),
        };
        self.servers.iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for JetStreamConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamConfig")
            .field("servers", &self.shown_servers())
            .field("name", &self.name)
            .field("prefix", &self.prefix)
            .field("credentials", &self.credentials)
            .field("tls", &self.tls)
            .field("streams", &self.streams)
            .field("ack_wait", &self.ack_wait)
            .field("max_ack_pending", &self.max_ack_pending)
            .field("publish_timeout", &self.publish_timeout)
            .field("backlog", &self.backlog)
            .finish()
    }
}

/// Who is connecting.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Nobody in particular, or whom the client certificate or the servers' addresses name.
    #[default]
    None,
    /// A user with a password.
    UserAndPassword {
        /// The user.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// A token.
    Token(SecretString),
    /// The seed of a user's `NKey`: a text that begins with `SU`.
    Nkey(SecretString),
    /// A credentials file: a user's JWT and seed, as `nsc` writes them.
    File(PathBuf),
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The certificates of the authorities to trust, in PEM; none means those of the system.
    pub authority: Option<PathBuf>,
    /// What this side shows the servers.
    pub client: Option<ClientCertificate>,
    /// Begins with the handshake, for servers with `handshake_first`.
    pub first: bool,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What is kept on the servers: three streams, for events, for commands, and for dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// Where they are kept.
    pub storage: Storage,
    /// On how many servers of a cluster each is kept: 1 to 5.
    pub replicas: usize,
    /// How long a publication is known, so that its repeat is dropped.
    pub duplicate_window: Duration,
    /// How many messages a subject holds that are not acknowledged; further publishers wait.
    pub subject_messages: u32,
    /// How many dead letters are kept before the oldest ones are dropped.
    pub dead_letters: u32,
    /// What the stream of events holds; while it is full, publishers wait.
    pub event: StreamLimits,
    /// What the stream of commands holds; while it is full, publishers wait.
    pub launch: StreamLimits,
    /// What the stream of dead letters holds; the oldest ones make room for others.
    pub dead_letter: StreamLimits,
}

/// How much a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// The most bytes, those of headers and of what NATS adds included; not 0.
    pub max_bytes: u64,
    /// How long a message is kept that nobody acknowledges: all can be derived again. Zero means for ever.
    pub max_age: Duration,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            storage: Storage::File,
            replicas: 1,
            duplicate_window: Duration::from_mins(2),
            subject_messages: 65_536,
            dead_letters: 10_000,
            event: StreamLimits { max_bytes: 1 << 30, max_age: Duration::from_hours(1) },
            launch: StreamLimits { max_bytes: 256 << 20, max_age: Duration::from_hours(1) },
            dead_letter: StreamLimits {
                max_bytes: 64 << 20,
                max_age: Duration::from_hours(30 * 24),
            },
        }
    }
}

/// Where a stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In files: survives a restart of the server.
    File,
    /// In memory.
    Memory,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_a_limit_is_refused_by_the_name_of_its_setting() {
        assert!(JetStreamConfig::default().check().is_ok());
        let unlimited = StreamLimits { max_bytes: 0, max_age: Duration::ZERO };
        for (streams, named) in [
            (Streams { event: unlimited, ..Streams::default() }, "`bus.streams.event.max_bytes`"),
            (Streams { launch: unlimited, ..Streams::default() }, "`bus.streams.launch.max_bytes`"),
            (
                Streams { dead_letter: unlimited, ..Streams::default() },
                "`bus.streams.dead_letter.max_bytes`",
            ),
        ] {
            let refused = JetStreamConfig { streams, ..JetStreamConfig::default() }.check();
            let Err(ConnectError::Setting { setting, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(setting, named);
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let secret = || SecretString::from("xyzzy");
        for credentials in [
            Credentials::UserAndPassword { user: "somebody".into(), password: secret() },
            Credentials::Token(secret()),
            Credentials::Nkey(secret()),
        ] {
            let servers = vec!["nats://somebody:xyzzy@nats-1:4222".into(), "xyzzy@nats-2".into()];
            let config = JetStreamConfig { servers, credentials, ..JetStreamConfig::default() };
            let shown = format!("{config:?}");
            assert!(shown.contains("nats://nats-1:4222, nats-2"), "{shown}");
            assert!(!shown.contains("xyzzy"), "{shown}");
        }
    }
}
