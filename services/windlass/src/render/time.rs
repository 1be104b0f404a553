//! Times and lengths of time.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use prost_types::Timestamp as Moment;

/// As programs read it; none for no time, or for one that no calendar has.
pub(crate) fn rfc3339(moment: Option<Moment>) -> Option<String> {
    timestamp(moment).map(|time| time.to_string())
}

/// The contract's time; none for no time, or for one that no calendar has.
pub(crate) fn timestamp(moment: Option<Moment>) -> Option<Timestamp> {
    moment.and_then(|moment| Timestamp::new(moment.seconds, moment.nanos).ok())
}

/// The contract's word for a time.
pub(crate) fn moment(time: Timestamp) -> Moment {
    Moment { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// `12:00:01`
pub(crate) fn clock(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// `2026-01-31 12:00:01`
pub(crate) fn date_and_clock(moment: Option<Moment>, zone: &TimeZone) -> String {
    timestamp(moment).map_or_else(
        || "-".to_owned(),
        |time| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// How long it is from `start` to `end`, or to `now` where there is no end yet; none without a start.
pub(crate) fn between(
    start: Option<Moment>,
    end: Option<Moment>,
    now: Timestamp,
) -> Option<Duration> {
    let start = timestamp(start)?;
    let end = timestamp(end).unwrap_or(now);
    // Clocks of two machines differ: an end before the start is no time at all.
    Some(Duration::try_from(end.duration_since(start)).unwrap_or_default())
}

/// How long it is from `now` to a time that is to come, in steps of 100 ms: news of it comes a little late.
pub(crate) fn until(time: Option<Moment>, now: Timestamp) -> Option<Duration> {
    let left = Duration::try_from(timestamp(time)?.duration_since(now)).unwrap_or_default();
    let tenths = left.as_millis().div_ceil(100);
    Some(Duration::from_millis(u64::try_from(tenths).unwrap_or(u64::MAX).saturating_mul(100)))
}

/// `350 ms`, `1.2 s`, `2 min 3 s`, `1 h 5 min`, `3 d 2 h`: as precise as anybody wants to know.
pub(crate) fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.subsec_millis()),
        1..60 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_precise_as_they_are_long() {
        let lengths =
            [350, 1_250, 123_000, 3_900_000, 266_400_000].map(Duration::from_millis).map(length);
        assert_eq!(lengths, ["350 ms", "1.2 s", "2 min 3 s", "1 h 5 min", "3 d 2 h"]);
    }

    #[test]
    fn an_end_before_the_start_is_no_time_at_all() {
        let at = |seconds| Some(Moment { seconds, nanos: 0 });
        let now = Timestamp::from_second(20).unwrap();
        assert_eq!(between(at(10), at(8), now), Some(Duration::ZERO));
        assert_eq!(between(at(10), None, now), Some(Duration::from_secs(10)));
        assert_eq!(between(None, at(8), now), None);
    }
}
