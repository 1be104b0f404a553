//! The connection to the servers, and what it tells of itself.

use std::{error::Error as _, io, path::Path, time::Duration};

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, ServerError,
    connection::State,
    jetstream::{Context, context::ContextBuilder, response::Response},
};
use nkeys::{KeyPair, KeyPairType};
use secrecy::ExposeSecret as _;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;
use windlass_proto::subject::Subject;

use super::{
    config::{Credentials, JetStreamConfig, Tls},
    error::{ApiError, ConnectError},
};
use crate::BusError;

/// How often the server is asked whether it is still there: a link that is half open is found after two to three times
/// this.
const PING: Duration = Duration::from_secs(10);

/// How long a server may take to answer a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the connection is given to take a message that nobody answers.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest pause between two attempts to connect again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// How many publications may wait for their acknowledgement; further ones wait before they are sent.
const MAX_IN_FLIGHT: usize = 4096;

/// The connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) config: JetStreamConfig,
    pub(super) client: Client,
    pub(super) context: Context,
    signals: Signals,
}

/// What the connection tells of itself.
#[derive(Debug, Clone)]
struct Signals {
    /// Counts how often a connection was made.
    connected: watch::Sender<u64>,
    /// Counts how often messages were dropped since a subscription was full.
    dropped: watch::Sender<u64>,
    /// What the server does not permit.
    denied: watch::Sender<Denied>,
}

#[derive(Debug, Default, Clone)]
struct Denied {
    last: Option<String>,
    /// That this user cannot hear answers, which is said only once.
    answers: Option<String>,
}

impl Signals {
    fn new() -> Self {
        let (connected, dropped) = (watch::Sender::new(0), watch::Sender::new(0));
        Self { connected, dropped, denied: watch::Sender::new(Denied::default()) }
    }

    fn hear(&self, event: Event) {
        match event {
            Event::Connected => {
                self.denied.send_replace(Denied::default());
                self.connected.send_modify(|count| *count += 1);
                tracing::info!("connected to NATS");
            }
            Event::Disconnected => tracing::warn!("the connection to NATS is lost"),
            Event::SlowConsumer(_) => self.dropped.send_modify(|count| *count += 1),
            Event::ServerError(ServerError::Other(text)) => {
                tracing::warn!(error = %text, "NATS reports an error");
                if text.to_ascii_lowercase().starts_with("permissions violation") {
                    self.denied.send_modify(|denied| {
                        if text.contains("_INBOX") {
                            denied.answers = Some(text.clone());
                        }
                        denied.last = Some(text);
                    });
                }
            }
            other => tracing::debug!(event = %other, "NATS"),
        }
    }
}

impl Link {
    pub(super) async fn connect(config: JetStreamConfig) -> Result<Self, ConnectError> {
        let signals = Signals::new();
        let options = options(&config, &signals).await?;
        let client =
            options.connect(&config.servers[..]).await.map_err(|error| refused(&config, &error))?;
        // Waits for the word of this connection, so that nobody takes it for that of a second one.
        let mut connected = signals.connected.subscribe();
        let _ = tokio::time::timeout(REQUEST_TIMEOUT, connected.wait_for(|count| *count > 0)).await;
        let context = ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
            .max_ack_inflight(MAX_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        Ok(Self { config, client, context, signals })
    }

    /// A subject as it is spelled in this installation.
    pub(super) fn spell(&self, subject: Subject) -> String {
        let text = subject.to_string();
        let rest = text.split_once('.').map_or("", |(_, rest)| rest);
        format!("{}.{rest}", self.config.prefix)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Told whenever a connection was made anew.
    pub(super) fn connected(&self) -> watch::Receiver<u64> {
        self.signals.connected.subscribe()
    }

    /// Told whenever messages were dropped since a subscription was full; nobody says which.
    pub(super) fn dropped(&self) -> watch::Receiver<u64> {
        self.signals.dropped.subscribe()
    }

    /// What the server said if it does not permit a publication.
    pub(super) fn denial(&self, subject: &str) -> Option<String> {
        let denied = self.signals.denied.borrow();
        let last = denied.last.as_ref().filter(|text| speaks_of(text, subject));
        last.or(denied.answers.as_ref()).cloned()
    }

    /// Sends a message that nobody answers.
    pub(super) async fn send(
        &self,
        subject: impl async_nats::subject::ToSubject,
        payload: bytes::Bytes,
    ) -> Result<(), BusError> {
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.client.publish(subject, payload)).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(BusError::Unavailable(error.to_string())),
            Err(_) => Err(self.not_connected()),
        }
    }

    /// Waits until the server has taken all that was sent to it so far.
    pub(super) async fn round_trip(&self) -> Result<(), BusError> {
        // Nobody answers on this subject, and that is what the server says then.
        let subject = format!("{}.ping", self.config.prefix);
        match self.client.request(subject, bytes::Bytes::new()).await {
            Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => Ok(()),
            Err(error) => Err(BusError::Unavailable(error.to_string())),
            Ok(_) => Ok(()),
        }
    }

    /// Asks JetStream.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: &str,
        payload: &(impl Serialize + Sync),
    ) -> Result<T, ApiError> {
        let mut denied = self.signals.denied.subscribe();
        if let Some(reason) = denied.borrow_and_update().answers.clone() {
            return Err(ApiError::Denied(reason));
        }
        // Of a request that is not permitted nothing is heard but this.
        let denial = async {
            while denied.changed().await.is_ok() {
                if let Some(reason) = self.denial(request) {
                    return reason;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            answer = self.context.request(request.to_owned(), payload) => match answer? {
                Response::Ok(answer) => Ok(answer),
                Response::Err { error } => Err(ApiError::JetStream(error)),
            },
            reason = denial => Err(ApiError::Denied(reason)),
        }
    }

    pub(super) fn not_connected(&self) -> BusError {
        BusError::Unavailable(format!(
            "there is no connection to NATS at {}",
            self.config.shown_servers()
        ))
    }
}

/// Whether a server's words are about a subject, which they put in quotation marks.
fn speaks_of(text: &str, subject: &str) -> bool {
    text.contains(&format!("{subject}\""))
}

async fn options(
    config: &JetStreamConfig,
    signals: &Signals,
) -> Result<ConnectOptions, ConnectError> {
    config.check()?;
    let signals = signals.clone();
    let options = ConnectOptions::new()
        .name(&config.name)
        .ping_interval(PING)
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let pause = Duration::from_millis(10).saturating_mul(1 << attempts.min(10));
            if attempts <= 1 { Duration::ZERO } else { pause.min(RECONNECT_PAUSE) }
        })
        .event_callback(move |event| {
            let signals = signals.clone();
            async move { signals.hear(event) }
        });
    let options = with_credentials(options, &config.credentials).await?;
    Ok(match &config.tls {
        Some(tls) => with_tls(options, tls).await?,
        None => options,
    })
}

async fn with_credentials(
    options: ConnectOptions,
    credentials: &Credentials,
) -> Result<ConnectOptions, ConnectError> {
    let text = |secret: &secrecy::SecretString| secret.expose_secret().to_owned();
    Ok(match credentials {
        Credentials::None => options,
        Credentials::UserAndPassword { user, password } => {
            options.user_and_password(user.clone(), text(password))
        }
        Credentials::Token(token) => options.token(text(token)),
        Credentials::Nkey(seed) => options.nkey(user_seed(text(seed))?),
        Credentials::File(path) => options.credentials_file(path).await.map_err(|error| {
            let (what, path) = ("credentials file", path.clone());
            ConnectError::File { what, path, reason: error.to_string() }
        })?,
    })
}

/// The seed of a user's `NKey`, where it is one: the servers would only say that they do not let it in.
fn user_seed(text: String) -> Result<String, ConnectError> {
    let key = KeyPair::from_seed(&text);
    let key = key.map_err(|error| ConnectError::Nkey { reason: error.to_string() })?;
    match key.key_pair_type() {
        KeyPairType::User => Ok(text),
        other => {
            Err(ConnectError::Nkey { reason: format!("it is the seed of a key of kind {other:?}") })
        }
    }
}

async fn with_tls(options: ConnectOptions, tls: &Tls) -> Result<ConnectOptions, ConnectError> {
    let mut options = options.require_tls(true);
    if let Some(path) = &tls.authority {
        readable("authority's certificate", path).await?;
        options = options.add_root_certificates(path.clone());
    }
    if let Some(client) = &tls.client {
        readable("client's certificate", &client.certificate).await?;
        readable("client's key", &client.key).await?;
        options = options.add_client_certificate(client.certificate.clone(), client.key.clone());
    }
    Ok(if tls.first { options.tls_first() } else { options })
}

/// Says which file is missing: the connection would only say that one is.
async fn readable(what: &'static str, path: &Path) -> Result<(), ConnectError> {
    tokio::fs::File::open(path).await.map(drop).map_err(|error| ConnectError::File {
        what,
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn refused(config: &JetStreamConfig, error: &async_nats::ConnectError) -> ConnectError {
    let (servers, reason) = (config.shown_servers(), error.to_string());
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            ConnectError::Credentials { servers, reason }
        }
        ConnectErrorKind::Tls => ConnectError::Tls { servers, reason },
        ConnectErrorKind::Io if is_from_tls(error) => ConnectError::Tls { servers, reason },
        ConnectErrorKind::ServerParse
        | ConnectErrorKind::Dns
        | ConnectErrorKind::TimedOut
        | ConnectErrorKind::Io
        | ConnectErrorKind::MaxReconnects => ConnectError::Unreachable { servers, reason },
    }
}

/// Whether a failed read or write is a handshake that failed.
fn is_from_tls(error: &async_nats::ConnectError) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let inner = io.and_then(io::Error::get_ref);
    inner.and_then(|inner| inner.downcast_ref::<async_nats::rustls::Error>()).is_some()
}
