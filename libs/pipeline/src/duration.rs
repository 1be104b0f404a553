//! Durations of the contract as milliseconds, which is what the engine counts in.

use prost_types::Duration;

/// A duration in milliseconds, a started one counting as a whole, so that what is longer than nothing stays so. None for
/// what is negative or no lawful duration message.
pub fn to_ms(duration: &Duration) -> Option<u64> {
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u64::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    seconds.checked_mul(1000)?.checked_add(nanos.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_nothing_stays_so() {
        let ms = |seconds, nanos| to_ms(&Duration { seconds, nanos });
        assert_eq!(ms(0, 0), Some(0));
        assert_eq!(ms(0, 1), Some(1));
        assert_eq!(ms(2, 1_500_000), Some(2002));
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            assert_eq!(ms(seconds, nanos), None, "{seconds} {nanos}");
        }
    }
}
