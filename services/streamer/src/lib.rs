//! The log streamer: the lines that steps wrote, while they write and afterwards.
//!
//! ```text
//!   StreamLogs ──▶ targets ──▶ merge ──▶ lines
//!                  │ which attempts there are: Store, CHANGE
//!                  └ log files of attempts, read in place
//! ```
//!
//! A supervisor writes each line once, with its time, into the file of its attempt; the file is log and archive in one.
//! **Invariants.** Nothing is copied, so nothing can be lost on the way. A slow reader holds no memory here: its place in a
//! file is a number, and what it has not read stays in the file.

mod follow;
mod merge;
mod places;
pub mod program;
mod reach;
mod targets;
mod text;

use std::{fmt, sync::Arc};

use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use windlass_bus::Bus;
use windlass_proto::v1::{self, log_service_server::LogService};
use windlass_service::error::ApiError;
use windlass_store::Store;

pub use places::LogPlaces;

use crate::follow::{Follow, Selection};

/// The log streamer: serves `windlass.v1.LogService`. Clones share everything.
#[derive(Clone)]
pub struct Streamer {
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    /// Where the log files are.
    places: Arc<LogPlaces>,
    /// Ends what is followed, which would not end by itself.
    stop: CancellationToken,
}

impl fmt::Debug for Streamer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamer").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Streamer {
    /// A streamer of the logs that a process runtime keeps in a directory. With `stop`, those who follow are told to
    /// connect again.
    pub fn new(
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
        places: LogPlaces,
        stop: CancellationToken,
    ) -> Self {
        Self { bus, store, places: Arc::new(places), stop }
    }

    /// Starts to read what was selected; lines come in batches.
    async fn lines(
        &self,
        selection: Selection,
    ) -> Result<ReceiverStream<Result<Vec<v1::LogLine>, ApiError>>, ApiError> {
        let follow =
            Follow::new(&*self.bus, self.store.clone(), self.places.clone(), selection).await?;
        Ok(follow.start(self.stop.clone()))
    }
}

#[tonic::async_trait]
impl LogService for Streamer {
    type StreamLogsStream =
        futures::stream::BoxStream<'static, Result<v1::StreamLogsResponse, Status>>;

    async fn stream_logs(
        &self,
        request: Request<v1::StreamLogsRequest>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        let lines = self.lines(Selection::of(request.into_inner())?).await?;
        let replies = lines.map(|batch| match batch {
            Ok(lines) => Ok(v1::StreamLogsResponse { lines }),
            Err(error) => Err(error.into()),
        });
        Ok(Response::new(Box::pin(replies)))
    }

    type DownloadLogsStream =
        futures::stream::BoxStream<'static, Result<v1::DownloadLogsResponse, Status>>;

    async fn download_logs(
        &self,
        request: Request<v1::DownloadLogsRequest>,
    ) -> Result<Response<Self::DownloadLogsStream>, Status> {
        let v1::DownloadLogsRequest { run_id, step } = request.into_inner();
        let all = v1::StreamLogsRequest { run_id, step, ..v1::StreamLogsRequest::default() };
        let lines = self.lines(Selection::of(all)?).await?;
        let replies = lines.map(|batch| match batch {
            Ok(lines) => Ok(v1::DownloadLogsResponse { data: text::render(&lines) }),
            Err(error) => Err(error.into()),
        });
        Ok(Response::new(Box::pin(replies)))
    }
}
