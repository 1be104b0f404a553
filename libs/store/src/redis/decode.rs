//! What is read of a run, made of the texts that the server answers with.

use std::sync::Arc;

use windlass_engine::{
    layout::Expansion,
    record::{AttemptRecord, StepIndex, StepRecord},
};
use windlass_proto::id::RunId;

use super::{head::Head, link::Text};
use crate::{
    Amendment, RunView, StoreError,
    codec::{self, STEP_SIZE},
    growth::check_expansions,
};

pub(super) fn decode_head(text: Text) -> Result<Option<Head>, StoreError> {
    text.map(|bytes| Head::decode(&bytes)).transpose()
}

pub(super) fn view(
    run: RunId,
    head: &Head,
    submission: &[u8],
    amendment: Option<Arc<Amendment>>,
) -> Result<RunView, StoreError> {
    Ok(RunView {
        submission: Arc::new(codec::decode_submission(run, submission)?),
        created_at: head.created_at,
        version: head.version,
        record: head.record.clone(),
        step_count: head.steps,
        amendment,
    })
}

pub(super) fn cut_off(run: RunId) -> StoreError {
    StoreError::Damaged(format!("what was submitted as {run} ends too early"))
}

pub(super) fn decode_steps(
    run: RunId,
    bytes: &[u8],
    count: usize,
) -> Result<Vec<StepRecord>, StoreError> {
    let (records, rest) = bytes.as_chunks::<STEP_SIZE>();
    if records.len() != count || !rest.is_empty() {
        let size = bytes.len();
        return Err(StoreError::Damaged(format!(
            "{count} steps of run {run} take {size} bytes in place of {}",
            count * STEP_SIZE
        )));
    }
    let decode = |bytes: &[u8; STEP_SIZE]| {
        // Never written.
        if *bytes == [0; STEP_SIZE] {
            return Ok(StepRecord::default());
        }
        codec::decode_step(bytes).map_err(StoreError::from)
    };
    records.iter().map(decode).collect()
}

/// Those from the `from`-th on.
pub(super) fn decode_expansions(
    view: &RunView,
    from: usize,
    text: Text,
) -> Result<Vec<Expansion>, StoreError> {
    let expansions = codec::decode_expansions(&text.unwrap_or_default())?;
    check_expansions(view, from, &expansions)?;
    Ok(expansions)
}

/// Attempts behind each other, each behind its number and its size.
pub(super) fn decode_attempts(
    step: StepIndex,
    bytes: &[u8],
) -> Result<Vec<AttemptRecord>, StoreError> {
    let short = || StoreError::Damaged(format!("attempts of step {} end too early", step.0));
    let mut rest = bytes;
    let mut attempts = Vec::new();
    while !rest.is_empty() {
        let (number, tail) = rest.split_first_chunk().ok_or_else(short)?;
        let (size, tail) = tail.split_first_chunk().ok_or_else(short)?;
        let size = u32::from_le_bytes(*size) as usize;
        let (record, tail) = tail.split_at_checked(size).ok_or_else(short)?;
        attempts.push(codec::decode_attempt(step, u32::from_le_bytes(*number), record)?);
        rest = tail;
    }
    Ok(attempts)
}
