//! A server that answers by a script, over TCP: what a real one does only when it breaks.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::net::TcpListener;
use tokio_stream::{Iter, StreamExt as _, iter, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use windlass_client::{Client, MAX_MESSAGE_BYTES, v1};
use windlass_proto::v1::{
    log_service_server::{LogService, LogServiceServer},
    run_service_server::{RunService, RunServiceServer},
    submit_large_run_request::Part,
};

/// The messages of one answer; an error breaks it off.
pub(crate) type Messages<T> = Vec<Result<T, Status>>;

/// What the server answers, and what it was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub(crate) watches: Queue<Messages<v1::WatchRunResponse>>,
    pub(crate) logs: Queue<Messages<v1::StreamLogsResponse>>,
    pub(crate) submissions: Queue<Result<(), Status>>,
    pub(crate) asked: Queue<Asked>,
}

/// A request that the server was sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    Submit(v1::SubmitRunRequest),
    SubmitLarge(v1::SubmitRunRequest, usize),
    Logs(v1::StreamLogsRequest),
}

/// First in, first out, shared with the server.
#[derive(Debug)]
pub(crate) struct Queue<T>(Arc<Mutex<VecDeque<T>>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Queue<T> {
    pub(crate) fn push(&self, item: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(item);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Script {
    /// Starts the server, and connects to it.
    pub(crate) async fn client(&self) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let runs = RunServiceServer::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let server =
            Server::builder().add_service(runs).add_service(LogServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Client::connect(&format!("http://{address}")).await.expect("the server listens")
    }

    fn submitted(&self) -> Result<Option<v1::Run>, Status> {
        self.submissions.pop().unwrap_or(Ok(()))?;
        Ok(Some(v1::Run { run_id: "r".to_owned(), ..v1::Run::default() }))
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn not_scripted<T>() -> Answer<T> {
    Err(Status::unimplemented("not in the script"))
}

#[tonic::async_trait]
impl RunService for Script {
    type WatchRunStream = Iter<std::vec::IntoIter<Result<v1::WatchRunResponse, Status>>>;

    async fn submit_run(
        &self,
        request: Request<v1::SubmitRunRequest>,
    ) -> Answer<v1::SubmitRunResponse> {
        self.asked.push(Asked::Submit(request.into_inner()));
        Ok(Response::new(v1::SubmitRunResponse { run: self.submitted()? }))
    }

    async fn submit_large_run(
        &self,
        request: Request<Streaming<v1::SubmitLargeRunRequest>>,
    ) -> Answer<v1::SubmitLargeRunResponse> {
        let mut parts = request.into_inner();
        let mut whole = v1::SubmitRunRequest::default();
        let mut messages = 0;
        while let Some(part) = parts.next().await {
            messages += 1;
            match part?.part {
                Some(Part::Request(request)) => whole = request,
                Some(Part::Steps(chunk)) => {
                    whole.pipeline.get_or_insert_default().steps.extend(chunk.steps);
                }
                None => return Err(Status::invalid_argument("an empty part")),
            }
        }
        self.asked.push(Asked::SubmitLarge(whole, messages));
        Ok(Response::new(v1::SubmitLargeRunResponse { run: self.submitted()? }))
    }

    async fn watch_run(&self, _: Request<v1::WatchRunRequest>) -> Answer<Self::WatchRunStream> {
        let messages = self.watches.pop().ok_or_else(|| Status::internal("one watch too many"))?;
        Ok(Response::new(iter(messages)))
    }

    async fn get_run(&self, _: Request<v1::GetRunRequest>) -> Answer<v1::GetRunResponse> {
        not_scripted()
    }

    async fn list_runs(&self, _: Request<v1::ListRunsRequest>) -> Answer<v1::ListRunsResponse> {
        not_scripted()
    }

    /// Three steps, two on a page, and an empty page between.
    async fn list_steps(
        &self,
        request: Request<v1::ListStepsRequest>,
    ) -> Answer<v1::ListStepsResponse> {
        let (indices, next) = match request.into_inner().page_token.as_str() {
            "" => (0..2, "empty"),
            "empty" => (0..0, "last"),
            _ => (2..3, ""),
        };
        let steps = indices.map(|index| v1::StepStatus { index, ..v1::StepStatus::default() });
        let answer =
            v1::ListStepsResponse { steps: steps.collect(), next_page_token: next.to_owned() };
        Ok(Response::new(answer))
    }

    async fn list_attempts(
        &self,
        _: Request<v1::ListAttemptsRequest>,
    ) -> Answer<v1::ListAttemptsResponse> {
        not_scripted()
    }

    async fn cancel_run(&self, _: Request<v1::CancelRunRequest>) -> Answer<v1::CancelRunResponse> {
        not_scripted()
    }

    async fn pause_run(&self, _: Request<v1::PauseRunRequest>) -> Answer<v1::PauseRunResponse> {
        not_scripted()
    }

    async fn resume_run(&self, _: Request<v1::ResumeRunRequest>) -> Answer<v1::ResumeRunResponse> {
        not_scripted()
    }

    async fn retry_run(&self, _: Request<v1::RetryRunRequest>) -> Answer<v1::RetryRunResponse> {
        not_scripted()
    }

    async fn decide_approval(
        &self,
        _: Request<v1::DecideApprovalRequest>,
    ) -> Answer<v1::DecideApprovalResponse> {
        not_scripted()
    }

    async fn rerun_run(&self, _: Request<v1::RerunRunRequest>) -> Answer<v1::RerunRunResponse> {
        not_scripted()
    }

    async fn delete_run(&self, _: Request<v1::DeleteRunRequest>) -> Answer<v1::DeleteRunResponse> {
        not_scripted()
    }

    async fn explain_run(
        &self,
        _: Request<v1::ExplainRunRequest>,
    ) -> Answer<v1::ExplainRunResponse> {
        not_scripted()
    }

    async fn clear_cache(
        &self,
        _: Request<v1::ClearCacheRequest>,
    ) -> Answer<v1::ClearCacheResponse> {
        not_scripted()
    }

    async fn set_limit(&self, _: Request<v1::SetLimitRequest>) -> Answer<v1::SetLimitResponse> {
        not_scripted()
    }

    async fn unset_limit(
        &self,
        _: Request<v1::UnsetLimitRequest>,
    ) -> Answer<v1::UnsetLimitResponse> {
        not_scripted()
    }

    async fn list_limits(
        &self,
        _: Request<v1::ListLimitsRequest>,
    ) -> Answer<v1::ListLimitsResponse> {
        not_scripted()
    }

    async fn get_limit(&self, _: Request<v1::GetLimitRequest>) -> Answer<v1::GetLimitResponse> {
        not_scripted()
    }

    async fn find_unknown_runs(
        &self,
        _: Request<v1::FindUnknownRunsRequest>,
    ) -> Answer<v1::FindUnknownRunsResponse> {
        not_scripted()
    }
}

#[tonic::async_trait]
impl LogService for Script {
    type StreamLogsStream = Iter<std::vec::IntoIter<Result<v1::StreamLogsResponse, Status>>>;
    type DownloadLogsStream = Iter<std::vec::IntoIter<Result<v1::DownloadLogsResponse, Status>>>;

    async fn stream_logs(
        &self,
        request: Request<v1::StreamLogsRequest>,
    ) -> Answer<Self::StreamLogsStream> {
        self.asked.push(Asked::Logs(request.into_inner()));
        let messages = self.logs.pop().ok_or_else(|| Status::internal("one reading too many"))?;
        Ok(Response::new(iter(messages)))
    }

    async fn download_logs(
        &self,
        _: Request<v1::DownloadLogsRequest>,
    ) -> Answer<Self::DownloadLogsStream> {
        not_scripted()
    }
}
