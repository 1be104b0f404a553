//! The connection.

use std::time::Duration;

use tonic::{
    Request,
    transport::{Channel, Endpoint},
};
use windlass_proto::v1::{
    log_service_client::LogServiceClient, run_service_client::RunServiceClient,
};

use crate::{ClientError, Patience, error::root_cause};

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
}

impl Client {
    /// Connects to `endpoint`, such as `http://127.0.0.1:7878`.
    ///
    /// # Errors
    ///
    /// At once if nobody answers there, or if it is no address.
    pub async fn connect(endpoint: &str) -> Result<Self, ClientError> {
        let invalid = |problem: String| ClientError::InvalidEndpoint {
            endpoint: endpoint.to_owned(),
            problem,
        };
        if !endpoint.starts_with("http://") {
            return Err(invalid("only http:// is spoken".to_owned()));
        }
        let address = Endpoint::from_shared(endpoint.to_owned())
            .map_err(|error| invalid(root_cause(&error)))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        let channel = address.connect().await.map_err(|error| ClientError::Unreachable {
            endpoint: endpoint.to_owned(),
            problem: root_cause(&error),
        })?;
        Ok(Self::from_channel(channel))
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
        }
    }

    /// The same client with another patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }
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
        for bad in ["127.0.0.1:7878", "https://example.org", "http://", "http://a b"] {
            let error = Client::connect(bad).await.unwrap_err();
            assert!(matches!(error, ClientError::InvalidEndpoint { .. }), "{bad}: {error}");
        }
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let error = Client::connect(&format!("http://127.0.0.1:{port}")).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("windlass dev"), "{error}");
    }
}
