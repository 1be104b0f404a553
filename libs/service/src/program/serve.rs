//! Serves gRPC as it is configured.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tracing::info;

use super::{Context, ServiceError};
use crate::grpc::GrpcServer;

/// The port for clients cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; set `listen` of the program to another address")]
struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

impl Context {
    /// Serves `server` on an address until the program ends: with TLS where certificates are configured. Health tells whether the
    /// program is ready.
    pub async fn serve_grpc(
        &self,
        server: GrpcServer,
        address: SocketAddr,
    ) -> Result<(), ServiceError> {
        let listener =
            TcpListener::bind(address).await.map_err(|source| ListenError { address, source })?;
        let tls = self.settings.grpc.server_tls()?;
        info!(address = %listener.local_addr()?, tls = tls.is_some(), "clients are answered");
        let incoming = TcpListenerStream::new(listener);
        let stop = self.shutdown.clone();
        let serving = async {
            match tls {
                Some(tls) => server.serve_tls(incoming, &tls, stop)?.await,
                None => server.serve(incoming, stop).await,
            }
        };
        tokio::select! {
            result = serving => Ok(result?),
            () = server.follow(self.readiness.clone()) => Ok(()),
        }
    }
}
