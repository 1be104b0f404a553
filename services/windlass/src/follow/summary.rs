//! Collecting what is told at a run's end.

use windlass_client::{
    Client, ClientError, LogEvent,
    v1::{ListStepsRequest, LogLine, Run, StepState, StepStatus, StreamLogsRequest},
};

use crate::{
    failure::Failure,
    render::{FailedStep, SkippedGroup, Summary},
};

/// Failed steps that are told one by one.
const FAILED: usize = 10;
/// Lines shown of each.
const LAST_LINES: u32 = 10;
/// Skipped steps that are looked at to group them.
const SKIPPED: usize = 10_000;

pub(super) async fn collect(client: &Client, run: Run) -> Result<Summary, Failure> {
    let counts = run.step_counts.unwrap_or_default();
    let mut failed = Vec::new();
    if counts.failed > 0 {
        for step in steps(client, &run, StepState::Failed, FAILED).await? {
            let last_lines = last_lines(client, &run, &step).await;
            failed.push(FailedStep { step, last_lines });
        }
    }
    let skipped = match counts.skipped {
        0 => Vec::new(),
        _ => SkippedGroup::group(&steps(client, &run, StepState::Skipped, SKIPPED).await?),
    };
    Ok(Summary { run, failed, skipped })
}

async fn steps(
    client: &Client,
    run: &Run,
    state: StepState,
    limit: usize,
) -> Result<Vec<StepStatus>, ClientError> {
    let request = ListStepsRequest {
        run_id: run.run_id.clone(),
        states: vec![state.into()],
        ..ListStepsRequest::default()
    };
    Ok(client.list_steps(request).take(limit).await?.0)
}

/// The end of what the last attempt wrote; nothing if it cannot be read, for the rest of the summary is worth more.
async fn last_lines(client: &Client, run: &Run, step: &StepStatus) -> Vec<LogLine> {
    let mut logs = client.logs(StreamLogsRequest {
        run_id: run.run_id.clone(),
        step: step.name.clone(),
        attempt: step.attempt,
        tail: Some(LAST_LINES),
        ..StreamLogsRequest::default()
    });
    let mut lines = Vec::new();
    while let Ok(Some(event)) = logs.next().await {
        if let LogEvent::Lines(more) = event {
            lines.extend(more);
        }
    }
    lines
}
