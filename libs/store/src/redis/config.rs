//! What a store in Redis is told, and why it could not be opened.

use std::{fmt, time::Duration};

/// Where the servers are, how to get in, and how runs are laid out in them.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// What the servers are to each other.
    pub mode: RedisMode,
    /// `redis://host:port` or, for TLS, `rediss://host:port`, with `/number` behind it for another database than 0: the
    /// server; or the sentinels; or some nodes of the cluster.
    pub urls: Vec<String>,
    /// The user; none for the one called `default`.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<RedisPassword>,
    /// Certificates, for addresses with TLS.
    pub tls: Option<RedisTls>,
    /// How long to wait for a connection, and for an answer; for large ones longer, by their size.
    pub response_timeout: Duration,
    /// Over how many partitions runs are spread. Never changes once there are runs.
    pub partitions: u32,
    /// How the names of all keys begin: one for each installation.
    pub prefix: String,
    /// How long claims wait after the server was restarted or replaced: longer than any launcher needs to notice it and
    /// to assert what it has.
    pub settle_time: Duration,
    /// How long removed runs are remembered: longer than anybody repeats a request.
    pub tombstones: Duration,
}

impl RedisConfig {
    /// One server without a password, and else what suits most.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            mode: RedisMode::Single,
            urls: vec![url.into()],
            username: None,
            password: None,
            tls: None,
            response_timeout: Duration::from_secs(5),
            partitions: 16,
            prefix: "windlass".into(),
            settle_time: Duration::from_secs(3),
            tombstones: Duration::from_hours(30 * 24),
        }
    }
}

/// What the servers are to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisMode {
    /// There is one, or one address behind which the one is that may be written to.
    Single,
    /// Sentinels tell which one it is.
    Sentinel {
        /// What they call it.
        master: String,
        /// The user at the sentinels; none for the one called `default`.
        username: Option<String>,
        /// The password at the sentinels.
        password: Option<RedisPassword>,
    },
    /// They share the partitions among themselves.
    Cluster,
}

impl fmt::Display for RedisMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Sentinel { .. } => "sentinel",
            Self::Cluster => "cluster",
        })
    }
}

/// A password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisPassword(String);

impl RedisPassword {
    /// Takes the password as it is.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RedisPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Certificates, each in PEM.
#[derive(Clone, Default)]
pub struct RedisTls {
    /// Whom to trust; none for those whom the system trusts.
    pub ca: Option<Vec<u8>>,
    /// The client's own certificate, and its key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTls")
            .field("ca", &self.ca.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}

/// Why a store in Redis could not be opened. Nothing was written to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisOpenError {
    /// The configuration cannot be meant.
    #[error("the store's settings cannot be used: {0}")]
    Settings(String),
    /// Nobody answers.
    #[error(
        "the store at {address} cannot be reached ({why}): start it, or correct `store.url`, and see that nothing between blocks the port"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        why: String,
    },
    /// The two ends do not trust each other.
    #[error(
        "the store at {address} and this program do not agree on TLS ({why}): check the certificates of `store.tls`, and whether `store.url` should begin with redis:// or rediss://"
    )]
    Tls {
        /// Where.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// The user or the password is not accepted.
    #[error(
        "the store at {address} does not let this program in ({why}): correct `store.username` and its password"
    )]
    Credentials {
        /// Where.
        address: String,
        /// What the server said.
        why: String,
    },
    /// The user may not do what is needed.
    #[error(
        "the store's user may not do what Windlass needs ({why}): grant it, for instance with ACL SETUSER {user} ~{prefix}:* +@read +@write +@connection +@scripting +cluster +config|get +info +role +time"
    )]
    Permission {
        /// The user.
        user: String,
        /// How the names of keys begin.
        prefix: String,
        /// What was refused.
        why: String,
    },
    /// The sentinels know no such master.
    #[error(
        "no sentinel of {addresses} knows a master called {master} ({why}): correct `store.sentinel_master` or `store.url`"
    )]
    NoSuchMaster {
        /// What it was called.
        master: String,
        /// Of the sentinels.
        addresses: String,
        /// What the last one said.
        why: String,
    },
    /// The servers are of another kind than configured.
    #[error(
        "the store is configured as {configured}, and the server says that it is {found}: correct `store.mode` or `store.url`"
    )]
    Mode {
        /// As configured.
        configured: String,
        /// As the server puts it.
        found: String,
    },
    /// The server is too old.
    #[error(
        "the store's server has the version {found}: Windlass needs Redis 7.0 or later, or Valkey"
    )]
    TooOld {
        /// Its version.
        found: String,
    },
    /// The server throws away what it should keep.
    #[error(
        "the store's server removes keys by the policy {policy} when its memory is full, and runs with them: set maxmemory-policy to noeviction"
    )]
    Evicts {
        /// Its policy.
        policy: String,
    },
    /// The installation has another number of partitions.
    #[error(
        "the store was installed with {installed} partitions, and {configured} are configured: set `installation.partitions` to {installed}, or give another installation another `installation.name`"
    )]
    Partitions {
        /// As configured.
        configured: u32,
        /// As stored.
        installed: u32,
    },
    /// The server answers, and cannot be used now.
    #[error("the store at {address} cannot be used now: {why}")]
    Refused {
        /// Where.
        address: String,
        /// What the server said.
        why: String,
    },
}
