//! Opening: whether the servers are there, let us in, are what they are said to be, and keep what they are given.

use std::{collections::HashMap, fmt};

use futures::future::try_join_all;
use redis::{
    ClientTlsConfig, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError,
    ServerErrorKind, TlsCertificates, cluster::ClusterClient, from_redis_value,
};

use super::{
    config::{RedisConfig, RedisMode, RedisOpenError},
    connection::{Reconnecting, Target},
    fault::Fault,
    keys::{Keys, Partition},
    link::Link,
    read::LARGEST_ANSWER,
    script::Scripts,
    shared,
};
use crate::Installation;

/// In bytes: enough for what does not take the other connection.
const LARGEST_QUICK: usize = 16 << 20;

/// The first version whose scripts can be refused as a whole.
const OLDEST: u32 = 7;

/// How far the servers keep what they have acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durability {
    /// Whether each server writes a log (`appendonly`).
    pub log: bool,
    /// When the log is on the disk (`appendfsync`); none where it could not be read.
    pub fsync: Option<String>,
    /// How many replicas the server with the fewest has.
    pub replicas: u32,
    /// How many replicas must be there for a write (`min-replicas-to-write`); none where it could not be read.
    pub min_replicas: Option<u32>,
}

impl Durability {
    /// Whether all that is acknowledged survives the end of a server's process and of its machine, as far as is known.
    pub fn is_full(&self) -> bool {
        self.log && self.fsync.as_deref() == Some("always")
    }
}

/// What is in force, and what follows from it.
impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.log, self.fsync.as_deref()) {
            (false, _) => f.write_str(
                "the store's server keeps no log: all runs since its last snapshot are lost when it ends; set appendonly to yes",
            )?,
            (true, Some("always")) => f.write_str(
                "the store's server has its log on the disk before it answers: nothing acknowledged is lost when it or its machine fails",
            )?,
            (true, Some("everysec")) => f.write_str(
                "the store's server has its log on the disk within a second: what it acknowledged last is lost when its machine fails, and is brought forward again by what launchers report; set appendfsync to always to lose nothing",
            )?,
            (true, Some(other)) => write!(
                f,
                "the store's server leaves it to its system when its log is on the disk (appendfsync {other}): half a minute may be lost when its machine fails; set appendfsync to always",
            )?,
            (true, None) => f.write_str(
                "the store's server keeps a log, and does not let this user see when it is on the disk: see that appendfsync is always",
            )?,
        }
        match (self.replicas, self.min_replicas) {
            (0, _) => Ok(()),
            (some, Some(0)) => write!(
                f,
                "; it has {some} replicas and waits for none of them: what it acknowledged last is lost when one of them takes over; set min-replicas-to-write to 1 to lose less"
            ),
            (some, Some(enough)) => write!(
                f,
                "; it has {some} replicas and writes only while {enough} of them follow: what they have not received yet is lost when one of them takes over"
            ),
            (some, None) => write!(
                f,
                "; it has {some} replicas, and does not let this user see how many must follow: see that min-replicas-to-write is 1 or more"
            ),
        }
    }
}

/// What was opened.
pub(super) struct Opened {
    /// For what is short.
    pub(super) quick: Link,
    /// For what is long, so that nothing short has to wait behind it.
    pub(super) bulk: Link,
    pub(super) scripts: Scripts,
    pub(super) keys: Keys,
    pub(super) durability: Durability,
}

pub(super) async fn open(config: &RedisConfig) -> Result<Opened, RedisOpenError> {
    if config.partitions == 0 {
        return Err(RedisOpenError::Settings(
            "`installation.partitions` must be at least 1".into(),
        ));
    }
    let door = Door::new(config)?;
    let (quick, bulk) = (door.link(LARGEST_QUICK).await?, door.link(LARGEST_ANSWER).await?);
    let scripts = Scripts::new();
    let keys = Keys { prefix: config.prefix.clone(), partitions: config.partitions };
    let servers = door.info(&quick).await?;
    for server in &servers {
        check_server(config, server)?;
    }
    let durability = durability(&quick, &servers).await;
    door.check_permissions(&quick, &scripts, &keys).await?;
    door.check_partitions(&quick, &keys).await?;
    Ok(Opened { quick, bulk, scripts, keys, durability })
}

/// What `INFO` says of a server.
struct Info(HashMap<String, String>);

impl Info {
    fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

fn check_server(config: &RedisConfig, server: &Info) -> Result<(), RedisOpenError> {
    // Valkey has another name for it.
    let found = [server.get("redis_mode"), server.get("server_mode")].concat();
    let fits = match config.mode {
        RedisMode::Single | RedisMode::Sentinel { .. } => found == "standalone",
        RedisMode::Cluster => found == "cluster",
    };
    if !fits {
        let (configured, found) = (config.mode.to_string(), found);
        return Err(RedisOpenError::Mode { configured, found });
    }
    let version = server.get("redis_version");
    let major = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0_u32);
    if major < OLDEST {
        return Err(RedisOpenError::TooOld { found: version.to_owned() });
    }
    match server.get("maxmemory_policy") {
        "noeviction" | "" => Ok(()),
        policy => Err(RedisOpenError::Evicts { policy: policy.to_owned() }),
    }
}

/// The weakest of all servers counts.
async fn durability(link: &Link, servers: &[Info]) -> Durability {
    let fsync = setting(link, "appendfsync").await;
    // From the safest on.
    let rank = |policy: &String| ["always", "everysec"].iter().position(|known| known == policy);
    let min_replicas = setting(link, "min-replicas-to-write").await;
    Durability {
        log: servers.iter().all(|server| server.get("aof_enabled") == "1"),
        fsync: fsync.and_then(|all| all.into_iter().max_by_key(|policy| rank(policy).unwrap_or(9))),
        replicas: servers
            .iter()
            .map(|server| server.get("connected_slaves").parse().unwrap_or(0))
            .min()
            .unwrap_or(0),
        min_replicas: min_replicas
            .and_then(|all| all.iter().filter_map(|number| number.parse().ok()).min()),
    }
}

/// What each server has set; none where one does not let us see it.
async fn setting(link: &Link, name: &str) -> Option<Vec<String>> {
    let answers = link.ask_each(redis::cmd("CONFIG").arg("GET").arg(name)).await.ok()?;
    let value = |answer| from_redis_value::<HashMap<String, String>>(answer).ok()?.remove(name);
    let values: Vec<String> = answers.into_iter().map(value).collect::<Option<_>>()?;
    (!values.is_empty()).then_some(values)
}

/// The way in.
struct Door<'a> {
    config: &'a RedisConfig,
    servers: Vec<ConnectionInfo>,
    /// For people.
    address: String,
    tls: Option<TlsCertificates>,
}

impl<'a> Door<'a> {
    fn new(config: &'a RedisConfig) -> Result<Self, RedisOpenError> {
        let (username, password) = match &config.mode {
            RedisMode::Sentinel { username, password, .. } => (username, password),
            RedisMode::Single | RedisMode::Cluster => (&config.username, &config.password),
        };
        let mut servers = Vec::new();
        for url in &config.urls {
            let bad = || {
                // The text itself may have a password in it.
                let form = "`store.url` has the form redis://host:port or rediss://host:port";
                RedisOpenError::Settings(form.into())
            };
            let info = url.as_str().into_connection_info().map_err(|_| bad())?;
            let mut login = info.redis_settings().clone();
            if let Some(username) = username {
                login = login.set_username(username);
            }
            if let Some(password) = password {
                login = login.set_password(password.reveal());
            }
            servers.push(info.set_redis_settings(login));
        }
        if servers.is_empty() || config.mode == RedisMode::Single && servers.len() > 1 {
            let why = format!(
                "`store.url` has {} addresses, and `store.mode` {} needs {}",
                servers.len(),
                config.mode,
                if servers.is_empty() { "one or more" } else { "one" }
            );
            return Err(RedisOpenError::Settings(why));
        }
        let names: Vec<String> = servers.iter().map(|server| server.addr().to_string()).collect();
        let tls = config.tls.as_ref().map(|tls| TlsCertificates {
            client_tls: tls
                .client
                .clone()
                .map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
            root_cert: tls.ca.clone(),
        });
        Ok(Self { config, servers, address: names.join(", "), tls })
    }

    /// For answers of this size at most, in bytes.
    async fn link(&self, largest: usize) -> Result<Link, RedisOpenError> {
        let timeout = self.config.response_timeout;
        let target = match &self.config.mode {
            RedisMode::Cluster => {
                let mut builder = ClusterClient::builder(self.servers.clone());
                if let Some(tls) = &self.tls {
                    builder = builder.certs(tls.clone());
                }
                let link = Link::cluster(builder, timeout, largest).await;
                return link.map_err(|fault| self.judge(fault.error()));
            }
            RedisMode::Single => Target::Server(self.servers[0].clone()),
            RedisMode::Sentinel { master, .. } => Target::Master {
                name: master.clone(),
                sentinels: self.servers.clone(),
                server: self.login_of_master(),
            },
        };
        Ok(Link::one(Reconnecting::to(target, self.tls.clone(), timeout), timeout))
    }

    fn login_of_master(&self) -> redis::RedisConnectionInfo {
        let mut login = redis::RedisConnectionInfo::default();
        if let Some(username) = &self.config.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.config.password {
            login = login.set_password(password.reveal());
        }
        login
    }

    async fn info(&self, link: &Link) -> Result<Vec<Info>, RedisOpenError> {
        let answers = link.ask_each(&redis::cmd("INFO")).await;
        let answers = answers.map_err(|fault| self.judge(fault.error()))?;
        let text = |answer| from_redis_value::<String>(answer).map(|text| Info::parse(&text));
        let infos: Result<Vec<Info>, _> = answers.into_iter().map(text).collect();
        infos.map_err(|error| self.judge(&error.into()))
    }

    /// Every command, and a key of ours, on each node: a cluster's nodes have users of their own, and partitions are on all
    /// nodes that matter.
    async fn check_permissions(
        &self,
        link: &Link,
        scripts: &Scripts,
        keys: &Keys,
    ) -> Result<(), RedisOpenError> {
        let is_cluster = self.config.mode == RedisMode::Cluster;
        let partitions = keys.all().take(if is_cluster { usize::MAX } else { 1 });
        let tried = try_join_all(partitions.map(|it| try_commands(link, scripts, it))).await;
        let refusals = tried.map_err(|fault| self.judge(fault.error()))?;
        if let Some(refusal) = refusals.into_iter().find(|refusal| !refusal.is_empty()) {
            return Err(self.not_permitted(refusal));
        }
        if is_cluster {
            // What the client library sends by itself: to find keys, to look after connections, and where a slot is being
            // moved.
            self.try_on_each(link, redis::cmd("CLUSTER").arg("SLOTS")).await?;
            self.try_on_each(link, &redis::cmd("PING")).await?;
            self.try_on_each(link, &redis::cmd("ASKING")).await?;
        }
        Ok(())
    }

    /// Tries a command on each node.
    async fn try_on_each(&self, link: &Link, command: &Cmd) -> Result<(), RedisOpenError> {
        let answers = link.ask_each(command).await.map_err(|fault| self.judge(fault.error()))?;
        for answer in answers {
            answer.extract_error().map_err(|error| self.judge(&error))?;
        }
        Ok(())
    }

    async fn check_partitions(&self, link: &Link, keys: &Keys) -> Result<(), RedisOpenError> {
        let answer = link
            .ask(redis::cmd("GET").arg(keys.installation()), self.config.response_timeout)
            .await
            .map_err(|fault| self.judge(fault.error()))?;
        let recorded: Option<String> =
            from_redis_value(answer).map_err(|error| self.judge(&error.into()))?;
        match recorded.as_deref().and_then(shared::parse_installation) {
            Some(Installation { partitions: installed, .. }) if installed != keys.partitions => {
                Err(RedisOpenError::Partitions { configured: keys.partitions, installed })
            }
            _ => Ok(()),
        }
    }

    fn not_permitted(&self, why: String) -> RedisOpenError {
        let user = self.config.username.clone().unwrap_or_else(|| "default".into());
        RedisOpenError::Permission { user, prefix: self.config.prefix.clone(), why }
    }

    fn judge(&self, error: &RedisError) -> RedisOpenError {
        let (address, why) = (self.address.clone(), error.to_string());
        let says = |word| why.contains(word);
        if says("NOPERM") || says("ACL failure") {
            return self.not_permitted(why);
        }
        if says("cluster support disabled") {
            let (configured, found) = (self.config.mode.to_string(), "standalone".into());
            return RedisOpenError::Mode { configured, found };
        }
        if ["certificate", "fatal alert", "InvalidContentType", "tls", "TLS"].into_iter().any(says)
        {
            return RedisOpenError::Tls { address, why };
        }
        match error.kind() {
            // A cluster's client library wraps what the first node says.
            _ if ["WRONGPASS", "NOAUTH", "AuthenticationFailed"].into_iter().any(says) => {
                RedisOpenError::Credentials { address, why }
            }
            ErrorKind::AuthenticationFailed => RedisOpenError::Credentials { address, why },
            ErrorKind::MasterNameNotFoundBySentinel => {
                let RedisMode::Sentinel { master, .. } = &self.config.mode else {
                    return RedisOpenError::Refused { address, why };
                };
                RedisOpenError::NoSuchMaster { master: master.clone(), addresses: address, why }
            }
            ErrorKind::InvalidClientConfig => RedisOpenError::Settings(why),
            ErrorKind::Server(ServerErrorKind::NoPerm) => self.not_permitted(why),
            ErrorKind::Server(_) | ErrorKind::Extension => RedisOpenError::Refused { address, why },
            _ => RedisOpenError::Unreachable { address, why },
        }
    }
}

/// Tries every command on a partition, and tells the first refusal that a script met; an empty text where there is none.
async fn try_commands(
    link: &Link,
    scripts: &Scripts,
    partition: Partition,
) -> Result<String, Fault> {
    let probe = scripts.probe.call().keys(partition.probes());
    // A server that knows the script would never be asked to learn it.
    probe.teach(link).await?;
    Ok(from_redis_value(probe.run(link).await?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_said_with_what_to_do() {
        let told = |durability: Durability| (durability.is_full(), durability.to_string());
        let (full, none) = told(Durability::default());
        assert!(!full && none.ends_with("set appendonly to yes"), "{none}");
        let always = Durability {
            log: true,
            fsync: Some("always".into()),
            replicas: 2,
            min_replicas: Some(0),
        };
        let (full, words) = told(always.clone());
        assert!(full && words.contains("nothing acknowledged is lost"), "{words}");
        assert!(words.contains("2 replicas and waits for none"), "{words}");
        let (full, hidden) = told(Durability { fsync: None, min_replicas: None, ..always });
        assert!(!full && hidden.contains("see that appendfsync is always"), "{hidden}");
    }
}
