//! The program `windlass-streamer`.

use std::process::ExitCode;

use tracing::warn;
use windlass_proto::v1::log_service_server::LogServiceServer;
use windlass_service::{
    connect::{self, Connected},
    grpc::GrpcServer,
    program::{self, Context, ServiceError},
    settings::Program,
};

use crate::{LogPlaces, Streamer};

/// The whole life of the program.
pub fn main() -> ExitCode {
    program::run(Program::Streamer, env!("CARGO_PKG_VERSION"), serve)
}

async fn serve(context: Context) -> Result<(), ServiceError> {
    let Some(Connected { bus, store }) = connect::connect(Program::Streamer, &context).await?
    else {
        return Ok(());
    };
    let directory = context.settings.streamer.directory.clone();
    if !directory.is_dir() {
        warn!(
            directory = %directory.display(),
            "there is no such directory: no log is found until launchers make it; see that `streamer.directory` is theirs, and mounted"
        );
    }
    let places = LogPlaces::Hosts(directory);
    let streamer = Streamer::new(bus, store, places, context.shutdown.clone());
    let server = GrpcServer::new()?.with(LogServiceServer::new(streamer)).await;
    context.serve_grpc(server, context.settings.streamer.listen).await
}
