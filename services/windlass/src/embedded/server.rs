//! The submitter as it is served here.

use std::convert::Infallible;

use tonic::{
    body::Body,
    codegen::{
        Service,
        http::{HeaderName, HeaderValue, Request, Response},
    },
    server::NamedService,
    service::LayerExt as _,
};
use tower::util::MapResponseLayer;
use windlass_client::FILES_HEADER;
use windlass_proto::v1::run_service_server::RunServiceServer;
use windlass_service::grpc::MAX_MESSAGE_BYTES;
use windlass_submitter::Submitter;

use crate::files;

/// A service that a gRPC server takes.
pub(super) trait Served:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Served for S where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Serves `submitter`. Every answer tells which files steps see: they run where this process does.
pub(super) fn runs(submitter: Submitter) -> impl Served {
    let service = RunServiceServer::new(submitter)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let files = files::identity().and_then(|files| HeaderValue::try_from(files).ok());
    let tell = move |mut answer: Response<Body>| {
        if let Some(files) = &files {
            answer.headers_mut().insert(HeaderName::from_static(FILES_HEADER), files.clone());
        }
        answer
    };
    MapResponseLayer::new(tell).named_layer(service)
}
