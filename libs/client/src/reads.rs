//! Reading one run, and the beginnings of all longer reads.

use windlass_proto::v1::{
    DownloadLogsRequest, ExplainRunRequest, ExplainRunResponse, FindUnknownRunsRequest,
    FindUnknownRunsResponse, GetRunRequest, ListAttemptsRequest, ListRunsRequest, ListStepsRequest,
    Run, StreamLogsRequest,
};

use crate::{Client, ClientError, LogDownload, LogLines, Pages, RunWatch, connect::timed};

impl Client {
    /// Reads one run.
    pub async fn get(&self, run_id: &str) -> Result<Run, ClientError> {
        let request = GetRunRequest { run_id: run_id.to_owned() };
        self.repeat(|| async {
            let answer = self.runs.clone().get_run(timed(request.clone())).await?.into_inner();
            answer.run.ok_or(ClientError::Incomplete("run"))
        })
        .await
    }

    /// Tells which of these runs, at most 1,000, there are not, and of which installation the server is.
    pub async fn find_unknown_runs(
        &self,
        run_ids: Vec<String>,
    ) -> Result<FindUnknownRunsResponse, ClientError> {
        let request = FindUnknownRunsRequest { run_ids };
        self.repeat(|| async {
            Ok(self.runs.clone().find_unknown_runs(timed(request.clone())).await?.into_inner())
        })
        .await
    }

    /// Lists runs, the newest first.
    pub fn list_runs(&self, request: ListRunsRequest) -> Pages<ListRunsRequest> {
        Pages::new(self.clone(), request)
    }

    /// Lists a run's steps in the pipeline's order.
    pub fn list_steps(&self, request: ListStepsRequest) -> Pages<ListStepsRequest> {
        Pages::new(self.clone(), request)
    }

    /// Lists the attempts of one step, from the first.
    pub fn list_attempts(&self, request: ListAttemptsRequest) -> Pages<ListAttemptsRequest> {
        Pages::new(self.clone(), request)
    }

    /// Tells why a step of a run, by its path, does not run or not yet; without one, why those do not that are closest to
    /// running.
    pub async fn explain(
        &self,
        run_id: &str,
        step: Option<&str>,
    ) -> Result<ExplainRunResponse, ClientError> {
        let step = step.unwrap_or_default().to_owned();
        let request = ExplainRunRequest { run_id: run_id.to_owned(), step };
        self.repeat(|| async {
            Ok(self.runs.clone().explain_run(timed(request.clone())).await?.into_inner())
        })
        .await
    }

    /// Follows a run with all its steps until it has ended.
    pub fn watch(&self, run_id: &str) -> RunWatch {
        RunWatch::new(self.clone(), run_id, false)
    }

    /// Follows a run until it has ended, without its steps.
    pub fn watch_run_only(&self, run_id: &str) -> RunWatch {
        RunWatch::new(self.clone(), run_id, true)
    }

    /// Reads the lines of a step or of a whole run, and follows them where the request says so.
    pub fn logs(&self, request: StreamLogsRequest) -> LogLines {
        LogLines::new(self.clone(), request)
    }

    /// Reads all of a step's or a run's log as text.
    pub async fn download_logs(
        &self,
        request: DownloadLogsRequest,
    ) -> Result<LogDownload, ClientError> {
        let stream = self.logs.clone().download_logs(request).await?.into_inner();
        Ok(LogDownload::new(stream))
    }
}
