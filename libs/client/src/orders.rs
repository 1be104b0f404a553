//! Orders to a run. Each is made once: whoever gives it should know whether it was taken.

use windlass_proto::v1::{
    CancelRunRequest, DecideApprovalRequest, DeleteRunRequest, PauseRunRequest, ResumeRunRequest,
    RetryRunRequest, Run,
};

use crate::{Client, ClientError, connect::timed};

impl Client {
    /// Stops a run: nothing starts any more, running attempts get TERM, and KILL after their grace.
    pub async fn cancel(&self, run_id: &str) -> Result<Run, ClientError> {
        let request = timed(CancelRunRequest { run_id: run_id.to_owned() });
        let answer = self.runs.clone().cancel_run(request).await?.into_inner();
        answer.run.ok_or(ClientError::Incomplete("run"))
    }

    /// Starts no attempt until the run is resumed.
    pub async fn pause(&self, run_id: &str) -> Result<Run, ClientError> {
        let request = timed(PauseRunRequest { run_id: run_id.to_owned() });
        let answer = self.runs.clone().pause_run(request).await?.into_inner();
        answer.run.ok_or(ClientError::Incomplete("run"))
    }

    /// Ends a pause.
    pub async fn resume(&self, run_id: &str) -> Result<Run, ClientError> {
        let request = timed(ResumeRunRequest { run_id: run_id.to_owned() });
        let answer = self.runs.clone().resume_run(request).await?.into_inner();
        answer.run.ok_or(ClientError::Incomplete("run"))
    }

    /// Takes up an ended run again: steps that did not succeed, and what depends on them, start anew; so does the step that
    /// the request names, whatever it had come to. Parameters and limits are changed where the request says so.
    pub async fn retry(&self, request: RetryRunRequest) -> Result<Run, ClientError> {
        let answer = self.runs.clone().retry_run(timed(request)).await?.into_inner();
        answer.run.ok_or(ClientError::Incomplete("run"))
    }

    /// Approves a step that waits for it, or rejects it.
    pub async fn decide(&self, request: DecideApprovalRequest) -> Result<Run, ClientError> {
        let answer = self.runs.clone().decide_approval(timed(request)).await?.into_inner();
        answer.run.ok_or(ClientError::Incomplete("run"))
    }

    /// Removes an ended run and its logs.
    pub async fn delete(&self, run_id: &str) -> Result<(), ClientError> {
        self.runs.clone().delete_run(timed(DeleteRunRequest { run_id: run_id.to_owned() })).await?;
        Ok(())
    }
}
