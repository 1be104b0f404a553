//! The stored form of a run's own state: about 119 bytes, whatever the number of its steps; and the defect that ended it, where
//! one did.

use windlass_engine::record::{RunRecord, StepIndex, StepState};

use super::{
    DecodeError, FORMAT, Reader,
    number::{run_state, stop_cause, stop_cause_number},
    put_option,
};

/// Of the longest form without a defect.
const MAX_SIZE: usize = 121;

pub(crate) fn encode_run(record: &RunRecord) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAX_SIZE);
    bytes.push(FORMAT);
    bytes.push(record.state as u8);
    bytes.push(record.stop_cause.map_or(0, stop_cause_number));
    put_option(&mut bytes, record.failed_step.map(|step| step.0.to_le_bytes()));
    put_option(&mut bytes, record.paused_at.map(|time| time.0.to_le_bytes()));
    bytes.extend(record.paused_ms.to_le_bytes());
    bytes.extend(record.launch_generation.to_le_bytes());
    bytes.extend(record.retries.to_le_bytes());
    bytes.extend(record.started_at.0.to_le_bytes());
    bytes.extend(record.ended_at.0.to_le_bytes());
    bytes.extend(record.last_start_at.0.to_le_bytes());
    bytes.extend(record.counts.iter().flat_map(|count| count.to_le_bytes()));
    bytes.extend(record.exit_at.0.to_le_bytes());
    bytes.extend_from_slice(record.defect.as_deref().unwrap_or_default().as_bytes());
    bytes
}

/// The inverse of [`encode_run`].
pub(crate) fn decode_run(bytes: &[u8]) -> Result<RunRecord, DecodeError> {
    let mut reader = Reader::new("run", bytes)?;
    let state = reader.u8()?;
    let cause = reader.u8()?;
    let mut record = RunRecord {
        state: run_state(state).ok_or_else(|| reader.means_nothing("state", state))?,
        stop_cause: stop_cause(cause),
        ..RunRecord::default()
    };
    if cause != 0 && record.stop_cause.is_none() {
        return Err(reader.means_nothing("stop cause", cause));
    }
    record.failed_step = reader.option("failed step", Reader::u32)?.map(StepIndex);
    record.paused_at = reader.option("pause", Reader::time)?;
    record.paused_ms = reader.u64()?;
    record.launch_generation = reader.u32()?;
    record.retries = reader.u32()?;
    record.started_at = reader.time()?;
    record.ended_at = reader.time()?;
    record.last_start_at = reader.time()?;
    let mut counts = [0; StepState::COUNT];
    for count in &mut counts {
        *count = reader.u32()?;
    }
    record.counts = counts;
    record.exit_at = reader.time()?;
    let defect = reader.text()?;
    record.defect = (!defect.is_empty()).then(|| defect.into());
    reader.end(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use windlass_engine::time::Timestamp;

    proptest! {
        #[test]
        fn a_run_is_read_as_it_was_written_and_no_part_of_it_is_a_run(
            state in 0..7_u8,
            cause in 0..5_u8,
            failed_step: Option<u32>,
            paused_at: Option<u64>,
            numbers: [u32; 2],
            times: [u64; 5],
            counts: [u32; StepState::COUNT],
            defect in prop::option::of(".+"),
        ) {
            let record = RunRecord {
                state: run_state(state).unwrap(),
                stop_cause: stop_cause(cause),
                failed_step: failed_step.map(StepIndex),
                paused_at: paused_at.map(Timestamp),
                paused_ms: times[0],
                launch_generation: numbers[0],
                retries: numbers[1],
                started_at: Timestamp(times[1]),
                ended_at: Timestamp(times[2]),
                exit_at: Timestamp(times[3]),
                last_start_at: Timestamp(times[4]),
                counts,
                defect: None,
            };
            let bytes = encode_run(&record);
            prop_assert!(bytes.len() <= MAX_SIZE);
            prop_assert_eq!(decode_run(&bytes), Ok(record.clone()));
            for end in 0..bytes.len() {
                prop_assert_eq!(decode_run(&bytes[..end]), Err(DecodeError::Short { what: "run" }));
            }
            let defective = RunRecord { defect: defect.map(Into::into), ..record };
            prop_assert_eq!(decode_run(&encode_run(&defective)), Ok(defective));
        }

        #[test]
        fn bytes_of_any_kind_are_a_run_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = decode_run(&bytes);
        }
    }
}
