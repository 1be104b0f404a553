//! The gRPC server around the services of a process: with health (`grpc.health.v1`) and reflection.

use std::{convert::Infallible, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
    service::Routes,
    transport::{Server, server::Connected},
};
use tonic_health::ServingStatus;
use windlass_proto::FILE_DESCRIPTOR_SET;

use crate::{
    connections::{KEEP_ALIVE, tended},
    health::Readiness,
    tls::ServerTls,
};

/// The largest message a service takes.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// How often health is told anew while nothing begins or ends.
const HEALTH_INTERVAL: Duration = Duration::from_secs(3);

/// The services of one process.
#[derive(Debug)]
pub struct GrpcServer {
    routes: Routes,
    health: tonic_health::server::HealthReporter,
    /// The services that health tells of; the one without a name is the server as a whole.
    names: Vec<&'static str>,
}

/// The server could not be set up or failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The contract compiled into the program is broken.
    #[error("reflection cannot be set up: {0}; this is a defect of Windlass, please report it")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The connections could not be served.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

impl GrpcServer {
    /// A server with health and reflection alone.
    pub fn new() -> Result<Self, ServeError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let routes = Routes::new(health_service).add_service(reflection);
        Ok(Self { routes, health, names: vec![""] })
    }

    /// Adds a service; health tells that it serves.
    #[must_use]
    pub async fn with<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
        S: NamedService + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.health.set_serving::<S>().await;
        self.names.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// Lets health tell whether the program is ready, for as long as this is polled.
    pub fn follow(&self, readiness: Readiness) -> impl Future<Output = ()> + Send + use<> {
        let (health, names) = (self.health.clone(), self.names.clone());
        async move {
            let mut reports = readiness.reports(HEALTH_INTERVAL);
            loop {
                let status = if reports.next().await.is_ready() {
                    ServingStatus::Serving
                } else {
                    ServingStatus::NotServing
                };
                for name in &names {
                    health.set_service_status(*name, status).await;
                }
            }
        }
    }

    /// Serves connections without TLS until `shutdown`, then lets running requests end. A client that does not answer for a
    /// minute is taken for gone; while the system has no room for connections, those who connect wait.
    pub fn serve<I, IO, IE>(
        &self,
        incoming: I,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), ServeError>> + use<I, IO, IE>
    where
        I: Stream<Item = Result<IO, IE>>,
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        IE: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.serve_by(builder(), incoming, shutdown)
    }

    /// The same with TLS. A connection whose handshake fails is closed, and the others go on.
    ///
    /// # Errors
    ///
    /// At once if the certificates cannot be used, which [`ServerTls::read`] has seen that they can.
    pub fn serve_tls<I, IO, IE>(
        &self,
        incoming: I,
        tls: &ServerTls,
        shutdown: CancellationToken,
    ) -> Result<impl Future<Output = Result<(), ServeError>> + use<I, IO, IE>, ServeError>
    where
        I: Stream<Item = Result<IO, IE>>,
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        IE: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let server = builder().tls_config(tls.config())?;
        Ok(self.serve_by(server, incoming, shutdown))
    }

    fn serve_by<I, IO, IE>(
        &self,
        mut server: Server,
        incoming: I,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), ServeError>> + use<I, IO, IE>
    where
        I: Stream<Item = Result<IO, IE>>,
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        IE: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let router = server.add_routes(self.routes.clone());
        async move {
            let incoming = tended(incoming);
            router.serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned()).await?;
            Ok(())
        }
    }
}

/// A server that lets go of clients which are gone without a word.
fn builder() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use hyper_util::rt::TokioIo;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::{sleep, timeout},
    };
    use tonic::transport::Endpoint;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    /// The client's side of the one connection that a server ever gets.
    fn connection() -> DuplexStream {
        let (client, server) = duplex(64 << 10);
        let incoming = stream::iter([Ok::<_, Infallible>(server)]).chain(stream::pending());
        let serving = GrpcServer::new().unwrap().serve(incoming, CancellationToken::new());
        tokio::spawn(serving);
        client
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_never_speak_and_those_that_answer_no_more_are_let_go() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        for said in [&[][..], &preface[..10], &[&preface[..], &settings].concat()] {
            let mut client = connection();
            client.write_all(said).await.unwrap();
            // Until the connection ends; by the clock of the test.
            let mut answered = Vec::new();
            let ended = timeout(Duration::from_hours(1), client.read_to_end(&mut answered)).await;
            ended.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_nothing_to_ask_keeps_its_connection() {
        let mut connection = Some(TokioIo::new(connection()));
        let connect =
            tower::service_fn(move |_| std::future::ready(connection.take().ok_or("there is one")));
        let channel =
            Endpoint::from_static("http://in-process").connect_with_connector(connect).await;
        let mut health = HealthClient::new(channel.unwrap());
        for _ in 0..3 {
            health.check(HealthCheckRequest::default()).await.unwrap();
            sleep(Duration::from_hours(1)).await;
        }
    }
}
