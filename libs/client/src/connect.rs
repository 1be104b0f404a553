//! The connection.

use std::{error::Error as _, fmt, io, iter, time::Duration};

use tonic::{
    ConnectError, Request,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use windlass_proto::v1::{
    log_service_client::LogServiceClient, run_service_client::RunServiceClient,
};

use crate::{
    ClientError, Patience,
    backoff::Notice,
    error::root_cause,
    scheme::{self, Spoken},
};

/// The largest message either side takes.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether the server is still there, and how long it has to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long a call with one answer may take, once it was sent.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// A client of one server. Cheap to clone; all clones share the connection, which is made again when it breaks.
///
/// Calls that may be repeated without harm are repeated while the server is away, for as long as the client's
/// [`Patience`] lasts: reads, and whatever a request id protects. Orders (cancel, pause, retry, …) are made once.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) runs: RunServiceClient<Channel>,
    pub(crate) logs: LogServiceClient<Channel>,
    pub(crate) patience: Patience,
    pub(crate) notice: Notice,
}

/// Whom a client trusts, and who it is, on connections with TLS.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// The certificates (PEM) of the authorities that the server's certificate must come from; none means those of the
    /// system.
    pub ca_pem: Option<Vec<u8>>,
    /// Who the client is, for servers that ask for it (mutual TLS).
    pub identity: Option<ClientIdentity>,
    /// The name that the server's certificate must have; none means the host of the address.
    pub server_name: Option<String>,
}

/// A certificate and its private key. The key is not shown.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate (PEM), followed by those between it and its authority.
    pub cert_pem: Vec<u8>,
    /// The private key (PEM).
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to `endpoint`, such as `http://127.0.0.1:7878`; with `https://`, to a server whose certificate comes from an
    /// authority that the system trusts.
    ///
    /// # Errors
    ///
    /// At once if nobody answers there, if it is no address, if one side speaks TLS and the other does not, or if the two do
    /// not trust each other; after three connections if a server with TLS closes them unanswered.
    pub async fn connect(endpoint: &str) -> Result<Self, ClientError> {
        Self::connect_with(endpoint, &TlsOptions::default()).await
    }

    /// The same, where an `https://` address is connected to as `tls` says. They mean nothing to an `http://` address.
    pub async fn connect_with(endpoint: &str, tls: &TlsOptions) -> Result<Self, ClientError> {
        let client = Self::from_channel(channel(endpoint, tls).await?);
        if is_https(endpoint) {
            client.is_let_in().await.map_err(|closed| ClientError::NotLetIn {
                endpoint: endpoint.to_owned(),
                identified: tls.identity.is_some(),
                problem: closed.source().map(root_cause).unwrap_or_default(),
            })?;
        } else if client.is_cut_off().await
            && let Some(other) = other_scheme(endpoint, Spoken::Tls).await
        {
            return Err(other);
        }
        Ok(client)
    }

    /// A client over a channel that somebody else has made.
    pub fn from_channel(channel: Channel) -> Self {
        Self {
            runs: RunServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
            logs: LogServiceClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
            patience: Patience::default(),
            notice: Notice::default(),
        }
    }

    /// The same client that reads logs from another server: where the log streamer is reached under an address of its own.
    #[must_use]
    pub fn with_logs_of(mut self, other: &Self) -> Self {
        self.logs = other.logs.clone();
        self
    }

    /// The same client with another patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }
}

fn is_https(endpoint: &str) -> bool {
    endpoint.starts_with("https://")
}

/// A connection, secured where the address says so. That the server takes it is not known yet.
async fn channel(endpoint: &str, tls: &TlsOptions) -> Result<Channel, ClientError> {
    let invalid =
        |problem: String| ClientError::InvalidEndpoint { endpoint: endpoint.to_owned(), problem };
    if !is_https(endpoint) && !endpoint.starts_with("http://") {
        return Err(invalid("it begins with neither http:// nor https://".to_owned()));
    }
    let untrusted =
        |problem: String| ClientError::Untrusted { endpoint: endpoint.to_owned(), problem };
    let mut address = Endpoint::from_shared(endpoint.to_owned())
        .map_err(|error| invalid(root_cause(&error)))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    if is_https(endpoint) {
        address =
            address.tls_config(tls_config(tls)).map_err(|error| untrusted(root_cause(&error)))?;
    }
    let error = match address.connect().await {
        Ok(channel) => return Ok(channel),
        Err(error) => error,
    };
    if is_https(endpoint)
        && let Some(other) = other_scheme(endpoint, Spoken::Plain).await
    {
        return Err(other);
    }
    let problem = root_cause(&error);
    if is_handshake_failure(&error) {
        return Err(untrusted(problem));
    }
    Err(ClientError::Unreachable { endpoint: endpoint.to_owned(), problem })
}

/// What is wrong where a server that cannot be spoken to turns out to speak this.
async fn other_scheme(endpoint: &str, suspected: Spoken) -> Option<ClientError> {
    let spoken = scheme::spoken(endpoint).await.filter(|spoken| *spoken == suspected)?;
    let corrected = scheme::corrected(endpoint, spoken);
    Some(ClientError::OtherScheme { endpoint: endpoint.to_owned(), corrected })
}

fn tls_config(options: &TlsOptions) -> ClientTlsConfig {
    let mut config = match &options.ca_pem {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some(ClientIdentity { cert_pem, key_pem }) = &options.identity {
        config = config.identity(Identity::from_pem(cert_pem, key_pem));
    }
    if let Some(name) = &options.server_name {
        config = config.domain_name(name);
    }
    config.timeout(CONNECT_TIMEOUT)
}

/// Whether somebody answered, and it was the handshake that failed, on either side.
pub(crate) fn is_handshake_failure(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|error| {
        // The handshake is an I/O operation to those who wait for it: the reason is inside.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        error.is::<rustls::Error>()
            || inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
    })
}

/// Whether there was no connection at all.
pub(crate) fn is_unconnected(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(<dyn std::error::Error>::is::<ConnectError>)
}

/// The error, and all that it came of.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

/// A request of a call with one answer.
pub(crate) fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_address_and_where_nobody_answers_is_told_apart() {
        for bad in ["127.0.0.1:7878", "ftp://example.org", "http://", "https://a b"] {
            let error = Client::connect(bad).await.unwrap_err();
            assert!(matches!(error, ClientError::InvalidEndpoint { .. }), "{bad}: {error}");
        }
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let error = Client::connect(&format!("http://127.0.0.1:{port}")).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("check the address"), "{error}");
    }
}
