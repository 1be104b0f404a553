//! Connects a program to the servers that its configuration names, and waits for those that are not there yet.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use windlass_bus::{
    Bus,
    jetstream::{
        ClientCertificate, ConnectError, Credentials, JetStreamBus, JetStreamConfig, ShapeError,
        Storage, StreamLimits, Streams, Tls,
    },
};
use windlass_store::{
    Installation, RedisConfig, RedisMode, RedisOpenError, RedisPassword, RedisStore, RedisTls,
    Store,
};

use crate::{
    health::{Check, Readiness},
    program::{Context, ServiceError},
    recurring::Recurring,
    settings::{self, BusAuthentication, FileError, Program, Settings, StoreMode, StreamStorage},
};

/// How long to wait before a server that cannot be reached is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The servers of an installation.
#[derive(Debug, Clone)]
pub struct Connected {
    /// NATS.
    pub bus: Arc<dyn Bus>,
    /// Redis.
    pub store: Arc<dyn Store>,
}

/// Connects to NATS and Redis, and makes their health the program's. None if the program is to end before they are reached.
///
/// # Errors
///
/// If waiting is of no use: the servers refuse the program, or are not what the configuration says.
pub async fn connect(
    program: Program,
    context: &Context,
) -> Result<Option<Connected>, ServiceError> {
    let settings = &context.settings;
    let redis = redis_config(settings)?;
    let jetstream = jetstream_config(program, settings)?;
    let mut waits = Waits { readiness: &context.readiness, troubles: Recurring::default() };
    let connected = async {
        let store = open_store(&redis, &mut waits).await?;
        let bus = open_bus(&jetstream, &mut waits).await?;
        record_partitions(&store, settings.installation.partitions, &mut waits).await?;
        Ok::<_, ServiceError>(Connected { bus: Arc::new(bus), store: Arc::new(store) })
    };
    let connected = tokio::select! {
        connected = connected => connected?,
        () = context.shutdown.cancelled() => return Ok(None),
    };
    context.readiness.begin(connected.checks());
    Ok(Some(connected))
}

impl Connected {
    /// Whether the servers are reached.
    fn checks(&self) -> Vec<Check> {
        let (bus, store) = (self.bus.clone(), self.store.clone());
        vec![
            Check::new("bus", move || {
                let bus = bus.clone();
                async move { bus.check().await.map_err(|error| error.to_string()) }
            }),
            Check::new("store", move || {
                let store = store.clone();
                async move { store.now().await.map(drop).map_err(|error| error.to_string()) }
            }),
        ]
    }
}

async fn open_store(
    config: &RedisConfig,
    waits: &mut Waits<'_>,
) -> Result<RedisStore, ServiceError> {
    let (store, durability) = loop {
        let error = match RedisStore::open(config).await {
            Ok(opened) => break opened,
            Err(error) => error,
        };
        let (RedisOpenError::Unreachable { address, why }
        | RedisOpenError::Refused { address, why }) = &error
        else {
            return Err(error.into());
        };
        waits.wait("store", &format!("Redis at {address}: {why}"), &error).await;
    };
    if durability.is_full() {
        info!("{durability}");
    } else {
        warn!("{durability}");
    }
    Ok(store)
}

async fn open_bus(
    config: &JetStreamConfig,
    waits: &mut Waits<'_>,
) -> Result<JetStreamBus, ServiceError> {
    loop {
        let error = match JetStreamBus::connect(config.clone()).await {
            Ok(bus) => return Ok(bus),
            Err(error) => error,
        };
        let what = match &error {
            ConnectError::Unreachable { servers, reason } => format!("NATS at {servers}: {reason}"),
            // A cluster that is only starting takes long to make streams.
            ConnectError::Shape(ShapeError::Unavailable { what, reason }) => {
                format!("NATS to answer for {what}: {reason}")
            }
            _ => return Err(error.into()),
        };
        waits.wait("bus", &what, &error).await;
    }
}

/// The first program of an installation fixes the number of partitions; one with another number was not let in when it connected.
async fn record_partitions(
    store: &dyn Store,
    partitions: u32,
    waits: &mut Waits<'_>,
) -> Result<(), ServiceError> {
    loop {
        match store.install(Installation::new(partitions)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_retryable() => {
                waits.wait("store", &format!("Redis: {error}"), &error).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for servers, and says for which: always to operators, in the log now and then.
struct Waits<'a> {
    readiness: &'a Readiness,
    troubles: Recurring,
}

impl Waits<'_> {
    async fn wait(&mut self, server: &str, what: &str, error: &impl std::fmt::Display) {
        self.readiness.wait_for(what);
        if let Some(untold) = self.troubles.came(&error.to_string(), Instant::now()) {
            warn!(server, %error, untold, "waiting");
        }
        sleep(PAUSE).await;
    }
}

fn redis_config(settings: &Settings) -> Result<RedisConfig, ServiceError> {
    let it = &settings.store;
    let authentication = it.authentication()?;
    let mode = match it.mode {
        StoreMode::Single => RedisMode::Single,
        StoreMode::Cluster => RedisMode::Cluster,
        StoreMode::Sentinel => RedisMode::Sentinel {
            master: it.sentinel_master.clone().unwrap_or_default(),
            username: None,
            password: None,
        },
    };
    let tls = it.client_tls()?.map(|tls| RedisTls {
        ca: tls.ca_pem,
        client: tls.identity.map(|it| (it.cert_pem, it.key_pem.expose_secret().to_vec())),
    });
    let [first, ..] = it.url.as_slice() else {
        return Err("`store.url` names no server".into());
    };
    Ok(RedisConfig {
        mode,
        urls: it.url.as_slice().iter().map(ToString::to_string).collect(),
        username: authentication.username,
        password: authentication.password.map(|it| RedisPassword::new(it.expose_secret())),
        tls,
        response_timeout: it.response_timeout,
        partitions: settings.installation.partitions,
        prefix: settings.installation.name.clone(),
        ..RedisConfig::new(first.to_string())
    })
}

fn jetstream_config(program: Program, settings: &Settings) -> Result<JetStreamConfig, FileError> {
    let it = &settings.bus;
    let credentials = match (it.authentication()?, &it.credentials_file) {
        (BusAuthentication::Anonymous, _) => Credentials::None,
        (BusAuthentication::Password { user, password }, _) => {
            Credentials::UserAndPassword { user, password }
        }
        (BusAuthentication::Token(token), _) => Credentials::Token(token),
        (BusAuthentication::NkeySeed(seed), _) => Credentials::Nkey(seed),
        (BusAuthentication::Credentials(_), path) => {
            Credentials::File(path.clone().unwrap_or_default())
        }
    };
    let servers: Vec<String> = it.url.as_slice().iter().map(ToString::to_string).collect();
    let tls = &it.tls;
    let encrypted = tls.required || servers.iter().any(|server| server.starts_with("tls:"));
    let client = tls.cert_file.clone().zip(tls.key_file.clone());
    let limits = &it.streams;
    Ok(JetStreamConfig {
        servers,
        name: program.name().to_owned(),
        prefix: settings.installation.name.clone(),
        credentials,
        tls: (encrypted || tls.ca_file.is_some() || client.is_some()).then(|| Tls {
            authority: tls.ca_file.clone(),
            client: client.map(|(certificate, key)| ClientCertificate { certificate, key }),
            first: false,
        }),
        streams: Streams {
            storage: match it.storage {
                StreamStorage::File => Storage::File,
                StreamStorage::Memory => Storage::Memory,
            },
            replicas: it.replicas.into(),
            event: stream_limits(&limits.event),
            launch: stream_limits(&limits.launch),
            dead_letter: stream_limits(&limits.dead_letter),
            ..Streams::default()
        },
        ack_wait: it.ack_wait,
        max_ack_pending: it.max_ack_pending,
        publish_timeout: it.publish_timeout,
        ..JetStreamConfig::default()
    })
}

fn stream_limits(it: &settings::StreamLimits) -> StreamLimits {
    StreamLimits { max_bytes: it.max_bytes, max_age: it.max_age }
}
