//! The program `windlass-submitter`.

use std::process::ExitCode;

use windlass_proto::v1::run_service_server::RunServiceServer;
use windlass_service::{
    connect::{self, Connected},
    grpc::{GrpcServer, MAX_MESSAGE_BYTES},
    program::{self, Context, ServiceError},
    settings::Program,
};

use crate::{Submitter, SubmitterConfig};

/// The whole life of the program.
pub fn main() -> ExitCode {
    program::run(Program::Submitter, env!("CARGO_PKG_VERSION"), serve)
}

async fn serve(context: Context) -> Result<(), ServiceError> {
    let Some(Connected { bus, store }) = connect::connect(Program::Submitter, &context).await?
    else {
        return Ok(());
    };
    let installation = context.settings.installation.clone();
    let config =
        SubmitterConfig { installation: installation.name, partitions: installation.partitions };
    let submitter = Submitter::new(config, bus, store, context.shutdown.clone());
    let service = RunServiceServer::new(submitter)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let server = GrpcServer::new()?.with(service).await;
    context.serve_grpc(server, context.settings.submitter.listen).await
}
