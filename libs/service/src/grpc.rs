//! The gRPC server around the services of a process: with health (`grpc.health.v1`) and reflection.

use std::convert::Infallible;

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
use windlass_proto::FILE_DESCRIPTOR_SET;

/// The largest message a service takes.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// The services of one process.
#[derive(Debug)]
pub struct GrpcServer {
    routes: Routes,
    health: tonic_health::server::HealthReporter,
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
        Ok(Self { routes, health })
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
        self.routes = self.routes.add_service(service);
        self
    }

    /// Serves connections until `shutdown`, then lets running requests end.
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
        let router = Server::builder().add_routes(self.routes.clone());
        async move {
            router.serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned()).await?;
            Ok(())
        }
    }
}
