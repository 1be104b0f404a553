//! The stored form of an attempt that is over. Its step and number are where it is kept, not inside.

use windlass_engine::{
    reason::Failure,
    record::{AttemptEnd, AttemptRecord, CacheSource, StepIndex},
};

use super::{
    DecodeError, FORMAT, Reader,
    number::{failure_reason, failure_reason_number, stop_cause, stop_cause_number},
    put_option,
};

const SUCCEEDED: u8 = 0;
const FAILED: u8 = 1;
const CANCELLED: u8 = 2;
const WITHDRAWN: u8 = 3;
const CACHED: u8 = 4;

pub(crate) fn encode_attempt(record: &AttemptRecord) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bytes.extend(record.queued_at.0.to_le_bytes());
    bytes.extend(record.started_at.0.to_le_bytes());
    bytes.extend(record.ended_at.0.to_le_bytes());
    match &record.end {
        AttemptEnd::Succeeded => bytes.push(SUCCEEDED),
        AttemptEnd::Failed(failure) => {
            bytes.extend([FAILED, failure_reason_number(failure.reason)]);
            put_option(&mut bytes, failure.exit_code.map(i32::to_le_bytes));
            put_option(&mut bytes, failure.signal.map(i32::to_le_bytes));
            bytes.extend_from_slice(failure.message.as_bytes());
        }
        AttemptEnd::Cancelled(cause) => bytes.extend([CANCELLED, stop_cause_number(*cause)]),
        AttemptEnd::Withdrawn => bytes.push(WITHDRAWN),
        AttemptEnd::Cached(CacheSource { run, step, ended_at }) => {
            bytes.push(CACHED);
            bytes.extend(ended_at.0.to_le_bytes());
            // Neither has a space in it.
            bytes.extend_from_slice(format!("{run} {step}").as_bytes());
        }
    }
    bytes
}

/// The inverse of [`encode_attempt`].
pub(crate) fn decode_attempt(
    step: StepIndex,
    attempt: u32,
    bytes: &[u8],
) -> Result<AttemptRecord, DecodeError> {
    let mut reader = Reader::new("attempt", bytes)?;
    let queued_at = reader.time()?;
    let started_at = reader.time()?;
    let ended_at = reader.time()?;
    let end = match reader.u8()? {
        SUCCEEDED => AttemptEnd::Succeeded,
        FAILED => AttemptEnd::Failed(decode_failure(&mut reader)?),
        CANCELLED => {
            let cause = reader.u8()?;
            let known = stop_cause(cause).ok_or_else(|| reader.means_nothing("stop cause", cause));
            AttemptEnd::Cancelled(known?)
        }
        WITHDRAWN => AttemptEnd::Withdrawn,
        CACHED => AttemptEnd::Cached(decode_source(&mut reader)?),
        other => return Err(reader.means_nothing("end", other)),
    };
    reader.end(AttemptRecord { step, attempt, queued_at, started_at, ended_at, end })
}

fn decode_failure(reader: &mut Reader<'_>) -> Result<Failure, DecodeError> {
    let reason = reader.u8()?;
    Ok(Failure {
        reason: failure_reason(reason).ok_or_else(|| reader.means_nothing("reason", reason))?,
        exit_code: reader.option("exit code", Reader::i32)?,
        signal: reader.option("signal", Reader::i32)?,
        message: reader.text()?,
    })
}

fn decode_source(reader: &mut Reader<'_>) -> Result<CacheSource, DecodeError> {
    let ended_at = reader.time()?;
    let names = reader.text()?;
    let (run, step) = names.split_once(' ').unwrap_or((&names, ""));
    Ok(CacheSource { run: run.to_owned(), step: step.to_owned(), ended_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use windlass_engine::time::Timestamp;

    fn ends() -> impl Strategy<Value = AttemptEnd> {
        let failure = (1..13_u8, ".*", any::<Option<i32>>(), any::<Option<i32>>()).prop_map(
            |(reason, message, exit_code, signal)| {
                let reason = failure_reason(reason).unwrap();
                AttemptEnd::Failed(Failure { reason, message, exit_code, signal })
            },
        );
        prop_oneof![
            Just(AttemptEnd::Succeeded),
            failure,
            (1..5_u8).prop_map(|cause| AttemptEnd::Cancelled(stop_cause(cause).unwrap())),
            Just(AttemptEnd::Withdrawn),
            ("[a-z0-9_]*", "[a-z0-9.]*", any::<u64>()).prop_map(|(run, step, time)| {
                AttemptEnd::Cached(CacheSource { run, step, ended_at: Timestamp(time) })
            }),
        ]
    }

    proptest! {
        #[test]
        fn an_attempt_is_read_as_it_was_written(step: u32, attempt: u32, times: [u64; 3], end in ends()) {
            let [queued_at, started_at, ended_at] = times.map(Timestamp);
            let step = StepIndex(step);
            let record = AttemptRecord { step, attempt, queued_at, started_at, ended_at, end };
            prop_assert_eq!(decode_attempt(step, attempt, &encode_attempt(&record)), Ok(record));
        }

        #[test]
        fn bytes_of_any_kind_are_an_attempt_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_attempt(StepIndex(0), 1, &bytes);
        }
    }
}
