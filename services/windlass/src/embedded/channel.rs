//! A connection between client and server that never leaves the process.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_stream::{StreamExt as _, wrappers::UnboundedReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};
use tracing::error;
use windlass_service::grpc::GrpcServer;

/// Bytes under way in one direction.
const BUFFER_BYTES: usize = 256 << 10;

/// Serves `server` within the process. The task ends with `stop`.
pub(super) fn in_process(
    server: &GrpcServer,
    stop: CancellationToken,
) -> (Channel, JoinHandle<()>) {
    let (connect, connections) = mpsc::unbounded_channel::<DuplexStream>();
    let incoming = UnboundedReceiverStream::new(connections).map(Ok::<_, io::Error>);
    let serving = server.serve(incoming, stop);
    let serving = tokio::spawn(async move {
        if let Err(error) = serving.await {
            error!(%error, "the connection within the process failed");
        }
    });
    let connector = tower::service_fn(move |_: Uri| {
        let (client, server) = duplex(BUFFER_BYTES);
        let connected = connect.send(server).map(|()| TokioIo::new(client)).map_err(|_| {
            io::Error::new(io::ErrorKind::ConnectionRefused, "the services have ended")
        });
        std::future::ready(connected)
    });
    // The address is asked for and not used.
    let channel = Endpoint::from_static("http://in-process").connect_with_connector_lazy(connector);
    (channel, serving)
}
