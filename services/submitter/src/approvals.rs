//! Somebody's word on a step that waits for it.

use windlass_engine::{
    event::{Decision, Order},
    graph::NodeKind,
    reason::{FailureReason, Reason},
    record::{StepIndex, StepRecord, StepState},
};
use windlass_proto::{id::RunId, v1};
use windlass_service::error::{ApiError, ErrorReason};

use crate::{Submitter, orders::run_ended};

/// The longest name of somebody who decides, and the longest comment, in characters.
const BY_MAX: usize = 256;
const COMMENT_MAX: usize = 4096;

impl Submitter {
    pub(crate) async fn decide(
        &self,
        request: v1::DecideApprovalRequest,
    ) -> Result<v1::Run, ApiError> {
        check_words(&request)?;
        let v1::DecideApprovalRequest { run_id, step: path, approved, by, comment } = request;
        let view = self.run(&run_id).await?;
        let run = view.submission.id;
        let step = self.names.find(&*self.store, run, &path).await?;
        self.refuse_unless_approval(run, step, &path).await?;
        if view.record.state.is_final() {
            return Err(run_ended(run, view.record.state));
        }
        let before = self.record_of(run, step).await?;
        if before.state != StepState::Suspended {
            return Err(not_waiting(run, &path, &before));
        }
        let decision = Decision { step, approved, by: by.into(), comment: comment.into() };
        let shown = self.place(run, Order::Decide(decision)).await?;
        // Somebody else's word may have come first, or the time-out.
        let after = self.record_of(run, step).await?;
        let is_followed = match after.state {
            StepState::Suspended => true,
            StepState::Succeeded => approved,
            _ => !approved && after.reason == Reason::Failure(FailureReason::Rejected),
        };
        if is_followed { Ok(shown) } else { Err(not_waiting(run, &path, &after)) }
    }

    async fn refuse_unless_approval(
        &self,
        run: RunId,
        step: StepIndex,
        path: &str,
    ) -> Result<(), ApiError> {
        let steps = self.names.of(&*self.store, run, Some(step)).await?;
        let what = match steps.layout().kind(step) {
            NodeKind::Approval => return Ok(()),
            NodeKind::Task => "runs a program",
            NodeKind::Group(_) | NodeKind::Choice(_) | NodeKind::Loop { .. } => "holds other steps",
        };
        let message = format!(
            "step `{path}` of run {run} {what} and is no approval; `windlass get {run}` shows which steps wait for one"
        );
        let error = ApiError::new(ErrorReason::NotAnApproval, message);
        Err(error.with("run_id", &run).with("step", &path))
    }

    async fn record_of(&self, run: RunId, step: StepIndex) -> Result<StepRecord, ApiError> {
        let read = self.store.read_steps(run, &[step]).await?;
        let record = read.and_then(|(_, records)| records.first().copied());
        record.ok_or_else(|| ApiError::run_not_found(run))
    }
}

fn check_words(request: &v1::DecideApprovalRequest) -> Result<(), ApiError> {
    let v1::DecideApprovalRequest { by, comment, .. } = request;
    if by.trim().is_empty() {
        return Err(ApiError::invalid("by", "is empty; say who decides"));
    }
    for (field, text, most) in [("by", by, BY_MAX), ("comment", comment, COMMENT_MAX)] {
        let characters = text.chars().count();
        if characters > most {
            let why = format!("has {characters} characters, and {most} are the most; shorten it");
            return Err(ApiError::invalid(field, why));
        }
        let may_be_there = |letter| field == "comment" && matches!(letter, '\n' | '\t');
        if text.chars().any(|letter| letter.is_control() && !may_be_there(letter)) {
            return Err(ApiError::invalid(field, "has control characters; remove them"));
        }
    }
    Ok(())
}

fn not_waiting(run: RunId, path: &str, record: &StepRecord) -> ApiError {
    let why = match (record.state, record.reason) {
        (StepState::Succeeded, _) => "it was approved".to_owned(),
        (StepState::Failed, Reason::Failure(FailureReason::Rejected)) => {
            "it was rejected".to_owned()
        }
        (StepState::Failed, Reason::Failure(FailureReason::Timeout)) => {
            "its time-out has passed".to_owned()
        }
        (StepState::Failed, _) => "it has failed".to_owned(),
        (StepState::Skipped | StepState::Cancelled, _) => "it was skipped".to_owned(),
        _ => format!("it has not begun; `windlass explain {run} {path}` says what it waits for"),
    };
    let message = format!("step `{path}` of run {run} does not wait for approval: {why}");
    let error = ApiError::new(ErrorReason::ApprovalNotWaiting, message);
    error.with("run_id", &run).with("step", &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_cannot_be_kept_are_refused_with_the_field() {
        let refused = |by: &str, comment: &str| {
            let (by, comment) = (by.to_owned(), comment.to_owned());
            let request = v1::DecideApprovalRequest { by, comment, ..Default::default() };
            check_words(&request).err().map(|error| error.violations[0].field.clone())
        };
        assert_eq!(refused(&"é".repeat(BY_MAX), &"é".repeat(COMMENT_MAX)), None);
        assert_eq!(refused("Ann", "line\n\tand line"), None);
        assert_eq!(refused(" ", "").as_deref(), Some("by"));
        assert_eq!(refused(&"é".repeat(BY_MAX + 1), "").as_deref(), Some("by"));
        assert_eq!(refused("Ann\n", "").as_deref(), Some("by"));
        assert_eq!(refused("Ann", &"é".repeat(COMMENT_MAX + 1)).as_deref(), Some("comment"));
        assert_eq!(refused("Ann", "\u{1b}[2J").as_deref(), Some("comment"));
    }
}
