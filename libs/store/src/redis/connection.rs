//! One connection to the server that may be written to, made anew whenever it is lost.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    RedisConnectionInfo, RedisError, TlsCertificates, Value, aio::MultiplexedConnection,
};

use super::{
    fault::Fault,
    link::{in_time, tcp_settings},
};

/// How long after a failure to connect the next ones are told the same without another try.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the server is that may be written to.
pub(super) enum Target {
    /// There.
    Server(ConnectionInfo),
    /// Where one of the sentinels says.
    Master { name: String, sentinels: Vec<ConnectionInfo>, server: RedisConnectionInfo },
}

/// A connection that comes back.
pub(super) struct Reconnecting {
    target: Target,
    tls: Option<TlsCertificates>,
    timeout: Duration,
    current: Mutex<Current>,
    /// Held by the one who connects.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    connection: Option<MultiplexedConnection>,
    /// Rises with every connection.
    number: u64,
    failed: Option<(Instant, RedisError)>,
}

impl Reconnecting {
    /// Connects when it is used.
    pub(super) fn to(target: Target, tls: Option<TlsCertificates>, timeout: Duration) -> Self {
        let (current, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { target, tls, timeout, current, turn }
    }

    /// Uses the connection, and drops it where it turns out to be no good any more.
    pub(super) async fn with<T>(
        &self,
        limit: Duration,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Fault> {
        let (mut connection, number) = self.connection().await?;
        connection.set_response_timeout(limit);
        let answer = in_time(limit, ask(&mut connection)).await;
        if answer.as_ref().is_err_and(Fault::spoils_connection) {
            let mut current = self.current();
            if current.number == number {
                current.connection = None;
            }
        }
        answer
    }

    /// The connection and its number; a new one where there is none.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), Fault> {
        if let Some(ready) = self.current().ready() {
            return Ok(ready);
        }
        let _turn = self.turn.lock().await;
        {
            let current = self.current();
            if let Some(ready) = current.ready() {
                return Ok(ready);
            }
            if let Some((at, error)) = &current.failed
                && at.elapsed() < PAUSE
            {
                return Err(Fault::NotSent(error.clone()));
            }
        }
        let made = in_time(self.timeout, self.connect()).await;
        let mut current = self.current();
        match made {
            Ok(connection) => {
                current.number += 1;
                current.failed = None;
                current.connection = Some(connection.clone());
                Ok((connection, current.number))
            }
            Err(fault) => {
                let error = fault.error().clone();
                current.failed = Some((Instant::now(), error.clone()));
                Err(Fault::NotSent(error))
            }
        }
    }

    /// Nothing in here panics half way through a change.
    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let (name, sentinels, server) = match &self.target {
            Target::Server(server) => return self.connect_to(server.clone()).await,
            Target::Master { name, sentinels, server } => (name, sentinels, server),
        };
        let mut last: RedisError = (ErrorKind::EmptySentinelList, "no sentinels").into();
        for sentinel in sentinels {
            match self.master_of(sentinel, name, server).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, info: ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
        let info = info.set_tcp_settings(tcp_settings());
        let client = match &self.tls {
            Some(certificates) if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, certificates.clone())?
            }
            _ => Client::open(info)?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Connects to the master that a sentinel names, if that one says so too.
    async fn master_of(
        &self,
        sentinel: &ConnectionInfo,
        name: &str,
        server: &RedisConnectionInfo,
    ) -> Result<MultiplexedConnection, RedisError> {
        let mut asked = self.connect_to(sentinel.clone()).await?;
        let named: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(name)
            .query_async(&mut asked)
            .await?;
        let unknown =
            (ErrorKind::MasterNameNotFoundBySentinel, "the sentinel knows no such master");
        let (host, port) = named.ok_or(unknown)?;
        let address = match sentinel.addr() {
            ConnectionAddr::TcpTls { insecure, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        let info = sentinel.clone().set_addr(address).set_redis_settings(server.clone());
        let mut connection = self.connect_to(info).await?;
        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        match role.into_iter().next().map(String::from_redis_value) {
            Some(Ok(role)) if role == "master" => Ok(connection),
            _ => Err((ErrorKind::Io, "the server that the sentinel names is no master yet").into()),
        }
    }
}

impl Current {
    fn ready(&self) -> Option<(MultiplexedConnection, u64)> {
        Some((self.connection.clone()?, self.number))
    }
}
