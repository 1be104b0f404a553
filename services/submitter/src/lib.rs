//! The submitter: takes runs and orders over gRPC, and shows runs to those who ask.
//!
//! ```text
//!   SubmitRun ──▶ check ──▶ create in the store ──▶ RunSubmitted ─▶ EVENT
//!   CancelRun ──▶ check ──▶ order in the run's inbox ──▶ OrderPlaced ─▶ EVENT
//!   WatchRun ◀── read the store ◀── CHANGE
//! ```
//!
//! **Invariants.** It owns nothing and decides nothing about runs: what it accepts is in the store before it answers, and the event is only
//! the bell. It holds no state but caches.

mod approvals;
mod cache;
mod explain;
mod failure;
mod limits;
mod names;
mod orders;
mod page;
pub mod program;
mod read;
mod retry;
mod submit;
mod trace;
mod unknown;
mod upload;
mod view;
mod watch;

use std::{fmt, sync::Arc};

use tokio::sync::Semaphore;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use windlass_bus::{Bus, Headers};
use windlass_proto::v1::{self, run_service_server::RunService};
use windlass_service::error::ApiError;
use windlass_store::{RunView, Store};

pub use crate::limits::check_limit;
use crate::names::NamesCache;

/// What a submitter needs to know.
#[derive(Debug, Clone)]
pub struct SubmitterConfig {
    /// Names this installation: run ids are a function of it, so that two installations never share one.
    pub installation: String,
    /// Into how many partitions runs are divided; the same for all services, for ever.
    pub partitions: u32,
}

/// The submitter: serves `windlass.v1.RunService`. Clones share everything.
#[derive(Clone)]
pub struct Submitter {
    config: Arc<SubmitterConfig>,
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    names: Arc<NamesCache>,
    /// Ends the watches, which would not end by themselves.
    stop: CancellationToken,
    /// Room for large submissions that are under way.
    uploads: Arc<Semaphore>,
    /// Room for runs that are loaded to be explained.
    loads: Arc<Semaphore>,
    /// The trace of the call that this clone answers.
    trace: Headers,
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Submitter {
    /// A submitter on a bus and a store. With `stop`, those who watch are told to connect again.
    pub fn new(
        config: SubmitterConfig,
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            config: Arc::new(config),
            bus,
            store,
            names: Arc::default(),
            stop,
            uploads: Arc::new(Semaphore::new(upload::AT_ONCE)),
            loads: Arc::new(Semaphore::new(explain::AT_ONCE)),
            trace: Headers::default(),
        }
    }

    /// A clone that answers a call, as part of its trace.
    fn traced<T>(&self, request: &Request<T>) -> Self {
        Self { trace: trace::context_of(request.metadata()), ..self.clone() }
    }

    /// Reads the run that a request names.
    async fn run(&self, run_id: &str) -> Result<RunView, ApiError> {
        let run = page::run_id(run_id)?;
        self.store.read_run(run).await?.ok_or_else(|| ApiError::run_not_found(run))
    }
}

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RunService for Submitter {
    async fn submit_run(
        &self,
        request: Request<v1::SubmitRunRequest>,
    ) -> Reply<v1::SubmitRunResponse> {
        let run = self.traced(&request).submit(request.into_inner()).await?;
        Ok(Response::new(v1::SubmitRunResponse { run: Some(run) }))
    }

    async fn submit_large_run(
        &self,
        request: Request<Streaming<v1::SubmitLargeRunRequest>>,
    ) -> Reply<v1::SubmitLargeRunResponse> {
        let traced = self.traced(&request);
        let request = upload::collect(request.into_inner(), &self.uploads).await?;
        let run = traced.submit(request).await?;
        Ok(Response::new(v1::SubmitLargeRunResponse { run: Some(run) }))
    }

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Reply<v1::GetRunResponse> {
        let view = self.run(&request.into_inner().run_id).await?;
        let run = self.show(&view).await?;
        Ok(Response::new(v1::GetRunResponse { run: Some(run) }))
    }

    async fn list_runs(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Reply<v1::ListRunsResponse> {
        Ok(Response::new(self.runs(request.into_inner()).await?))
    }

    async fn list_steps(
        &self,
        request: Request<v1::ListStepsRequest>,
    ) -> Reply<v1::ListStepsResponse> {
        Ok(Response::new(self.steps(request.into_inner()).await?))
    }

    async fn list_attempts(
        &self,
        request: Request<v1::ListAttemptsRequest>,
    ) -> Reply<v1::ListAttemptsResponse> {
        Ok(Response::new(self.attempts(request.into_inner()).await?))
    }

    async fn explain_run(
        &self,
        request: Request<v1::ExplainRunRequest>,
    ) -> Reply<v1::ExplainRunResponse> {
        Ok(Response::new(self.explain(request.into_inner()).await?))
    }

    type WatchRunStream = ReceiverStream<Result<v1::WatchRunResponse, Status>>;

    async fn watch_run(
        &self,
        request: Request<v1::WatchRunRequest>,
    ) -> Reply<Self::WatchRunStream> {
        let request = request.into_inner();
        let run = page::run_id(&request.run_id)?;
        Ok(Response::new(self.watch(run, request.run_only).await?))
    }

    async fn cancel_run(
        &self,
        request: Request<v1::CancelRunRequest>,
    ) -> Reply<v1::CancelRunResponse> {
        let run = self.traced(&request).cancel(&request.into_inner().run_id).await?;
        Ok(Response::new(v1::CancelRunResponse { run: Some(run) }))
    }

    async fn pause_run(
        &self,
        request: Request<v1::PauseRunRequest>,
    ) -> Reply<v1::PauseRunResponse> {
        let run = self.traced(&request).pause(&request.into_inner().run_id).await?;
        Ok(Response::new(v1::PauseRunResponse { run: Some(run) }))
    }

    async fn resume_run(
        &self,
        request: Request<v1::ResumeRunRequest>,
    ) -> Reply<v1::ResumeRunResponse> {
        let run = self.traced(&request).resume(&request.into_inner().run_id).await?;
        Ok(Response::new(v1::ResumeRunResponse { run: Some(run) }))
    }

    async fn retry_run(
        &self,
        request: Request<v1::RetryRunRequest>,
    ) -> Reply<v1::RetryRunResponse> {
        let run = self.traced(&request).retry(request.into_inner()).await?;
        Ok(Response::new(v1::RetryRunResponse { run: Some(run) }))
    }

    async fn decide_approval(
        &self,
        request: Request<v1::DecideApprovalRequest>,
    ) -> Reply<v1::DecideApprovalResponse> {
        let run = self.traced(&request).decide(request.into_inner()).await?;
        Ok(Response::new(v1::DecideApprovalResponse { run: Some(run) }))
    }

    async fn rerun_run(
        &self,
        request: Request<v1::RerunRunRequest>,
    ) -> Reply<v1::RerunRunResponse> {
        let run = self.traced(&request).rerun(request.into_inner()).await?;
        Ok(Response::new(v1::RerunRunResponse { run: Some(run) }))
    }

    async fn delete_run(
        &self,
        request: Request<v1::DeleteRunRequest>,
    ) -> Reply<v1::DeleteRunResponse> {
        self.traced(&request).delete(&request.into_inner().run_id).await?;
        Ok(Response::new(v1::DeleteRunResponse {}))
    }

    async fn clear_cache(
        &self,
        request: Request<v1::ClearCacheRequest>,
    ) -> Reply<v1::ClearCacheResponse> {
        let forgotten = self.forget_results(request.into_inner()).await?;
        Ok(Response::new(v1::ClearCacheResponse { forgotten }))
    }

    async fn set_limit(
        &self,
        request: Request<v1::SetLimitRequest>,
    ) -> Reply<v1::SetLimitResponse> {
        let limit = self.traced(&request).define_limit(request.into_inner()).await?;
        Ok(Response::new(v1::SetLimitResponse { limit: Some(limit) }))
    }

    async fn unset_limit(
        &self,
        request: Request<v1::UnsetLimitRequest>,
    ) -> Reply<v1::UnsetLimitResponse> {
        let limit = self.traced(&request).forget_limit(request.into_inner()).await?;
        Ok(Response::new(v1::UnsetLimitResponse { limit: Some(limit) }))
    }

    async fn list_limits(
        &self,
        request: Request<v1::ListLimitsRequest>,
    ) -> Reply<v1::ListLimitsResponse> {
        let limits = self.limits(request.into_inner()).await?;
        Ok(Response::new(v1::ListLimitsResponse { limits }))
    }

    async fn get_limit(
        &self,
        request: Request<v1::GetLimitRequest>,
    ) -> Reply<v1::GetLimitResponse> {
        Ok(Response::new(self.limit(request.into_inner()).await?))
    }

    async fn find_unknown_runs(
        &self,
        request: Request<v1::FindUnknownRunsRequest>,
    ) -> Reply<v1::FindUnknownRunsResponse> {
        Ok(Response::new(self.unknown_runs(request.into_inner()).await?))
    }
}
