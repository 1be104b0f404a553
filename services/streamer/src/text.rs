//! Lines as text, for a download.

use bytes::Bytes;
use windlass_proto::v1;

/// Each line with its time, step and attempt before it. What the step wrote is left as it is.
pub(crate) fn render(lines: &[v1::LogLine]) -> Bytes {
    let mut text = Vec::new();
    for line in lines {
        let time = line.time.unwrap_or_default();
        // Nothing but a time out of range is refused, and no clock tells one.
        let time = jiff::Timestamp::new(time.seconds, time.nanos).unwrap_or_default();
        let prefix = format!("{time:.3} {}/{} ", line.step, line.attempt);
        text.extend_from_slice(prefix.as_bytes());
        text.extend_from_slice(&line.content);
        text.push(b'\n');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_time_step_and_attempt_before_it_and_its_bytes_are_kept() {
        let line = v1::LogLine {
            step: "load".into(),
            attempt: 2,
            time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5_000_000 }),
            content: Bytes::from_static(b"caf\xe9"),
            ..v1::LogLine::default()
        };
        let expected = b"2023-11-14T22:13:20.005Z load/2 caf\xe9\n";
        assert_eq!(render(&[line]), expected.as_slice());
    }
}
