//! The stored form of a step: 32 bytes.
//!
//! ```text
//! byte  0      bits 0-3 the state, bit 4 whether there is a cause, bits 5-7 the form
//!       1      the reason
//!       2      failures
//!       4      losses
//!       6      the latest attempt
//!      10      the cause
//!      14 20 26   queued, started, until: 48 bits of milliseconds, all ones for the end of time
//! ```

use windlass_engine::{
    record::{StepIndex, StepRecord},
    time::Timestamp,
};

use super::{
    DecodeError, FORMAT, Reader,
    number::{reason, reason_number, step_state},
};

/// How many bytes a step takes.
pub(crate) const STEP_SIZE: usize = 32;

const WHAT: &str = "step";
const STATE_MASK: u8 = 0x0f;
const HAS_CAUSE: u8 = 0x10;
const FORMAT_SHIFT: u8 = 5;
/// In the year 10889.
const END_OF_TIME: u64 = (1 << 48) - 1;

/// Times from the end of time on are stored as the end of time; all others exactly.
pub(crate) fn encode_step(record: &StepRecord) -> [u8; STEP_SIZE] {
    let has_cause = if record.cause.is_some() { HAS_CAUSE } else { 0 };
    let cause = record.cause.map_or(0, |step| step.0);
    let mut bytes = [0; STEP_SIZE];
    bytes[0] = record.state as u8 | has_cause | FORMAT << FORMAT_SHIFT;
    bytes[1] = reason_number(record.reason);
    bytes[2..4].copy_from_slice(&record.failures.to_le_bytes());
    bytes[4..6].copy_from_slice(&record.losses.to_le_bytes());
    bytes[6..10].copy_from_slice(&record.attempt.to_le_bytes());
    bytes[10..14].copy_from_slice(&cause.to_le_bytes());
    bytes[14..20].copy_from_slice(&encode_time(record.queued_at));
    bytes[20..26].copy_from_slice(&encode_time(record.started_at));
    bytes[26..32].copy_from_slice(&encode_time(record.until));
    bytes
}

/// The inverse of [`encode_step`].
pub(crate) fn decode_step(bytes: &[u8; STEP_SIZE]) -> Result<StepRecord, DecodeError> {
    let mut reader = Reader { what: WHAT, rest: bytes };
    let first = reader.u8()?;
    let format = first >> FORMAT_SHIFT;
    if format != FORMAT {
        return Err(DecodeError::Format { what: WHAT, format });
    }
    let (state_number, reason_number) = (first & STATE_MASK, reader.u8()?);
    let state = step_state(state_number);
    let reason = reason(reason_number);
    let record = StepRecord {
        state: state.ok_or_else(|| reader.means_nothing("state", state_number))?,
        reason: reason.ok_or_else(|| reader.means_nothing("reason", reason_number))?,
        failures: reader.u16()?,
        losses: reader.u16()?,
        attempt: reader.u32()?,
        cause: Some(StepIndex(reader.u32()?)).filter(|_| first & HAS_CAUSE != 0),
        queued_at: decode_time(reader.array()?),
        started_at: decode_time(reader.array()?),
        until: decode_time(reader.array()?),
    };
    reader.end(record)
}

fn encode_time(time: Timestamp) -> [u8; 6] {
    let mut bytes = [0; 6];
    bytes.copy_from_slice(&time.0.min(END_OF_TIME).to_le_bytes()[..6]);
    bytes
}

fn decode_time(bytes: [u8; 6]) -> Timestamp {
    let mut wide = [0; 8];
    wide[..6].copy_from_slice(&bytes);
    match u64::from_le_bytes(wide) {
        END_OF_TIME => Timestamp(u64::MAX),
        time => Timestamp(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times() -> impl Strategy<Value = Timestamp> {
        prop_oneof![0..END_OF_TIME, Just(u64::MAX)].prop_map(Timestamp)
    }

    proptest! {
        #[test]
        fn a_step_is_read_as_it_was_written(
            state in 0..13_u8,
            reason_byte in any::<u8>().prop_filter_map("no reason", reason),
            failures: u16,
            losses: u16,
            attempt: u32,
            cause: Option<u32>,
            queued_at in times(),
            started_at in times(),
            until in times(),
        ) {
            let record = StepRecord {
                state: step_state(state).unwrap(),
                reason: reason_byte,
                failures,
                losses,
                attempt,
                cause: cause.map(StepIndex),
                queued_at,
                started_at,
                until,
            };
            prop_assert_eq!(decode_step(&encode_step(&record)), Ok(record));
        }

        #[test]
        fn bytes_of_any_kind_are_a_step_or_an_error(bytes: [u8; STEP_SIZE]) {
            let _ = decode_step(&bytes);
        }
    }

    #[test]
    fn a_step_takes_32_bytes() {
        assert_eq!(STEP_SIZE, 32);
        assert_eq!(encode_step(&StepRecord::default())[0], 0x20);
    }

    #[test]
    fn a_step_of_another_form_or_without_meaning_is_refused() {
        let refused = |at: usize, value| {
            let mut bytes = encode_step(&StepRecord::default());
            bytes[at] = value;
            decode_step(&bytes).unwrap_err()
        };
        assert_eq!(refused(0, 0x40), DecodeError::Format { what: WHAT, format: 2 });
        let state = DecodeError::Value { what: WHAT, field: "state", value: 15 };
        assert_eq!(refused(0, 0x2f), state);
        let reason = DecodeError::Value { what: WHAT, field: "reason", value: 9 };
        assert_eq!(refused(1, 9), reason);
    }
}
