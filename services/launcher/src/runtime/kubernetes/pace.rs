//! How many requests may be under way at once: a pure function of how the API server has answered so far.
//!
//! The rule is that of TCP's congestion window (RFC 5681): it doubles with every round of answers up to where it last went wrong,
//! grows by one with every round beyond, and is halved where the server says that it has too much to do. So it is back within
//! seconds after a pause, and finds the server's limit again without running into it at full speed.

use std::time::{Duration, Instant};

/// An answer that takes longer than the fastest ones by this factor, and longer than [`SLOW`], says that the server is behind.
const SLOWDOWN: u32 = 8;

/// No answer that is faster than this counts as slow.
const SLOW: Duration = Duration::from_millis(500);

/// After which share of the present time between answers the fastest one is forgotten: 1 in this many.
const FORGETTING: u32 = 1024;

/// What an answer says of how busy the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was served, or refused for what it asked.
    Served,
    /// It was not served, since there is too much to do, or since something is broken; with the time to wait, where the server
    /// names one.
    Busy(Option<Duration>),
}

/// The window, and until when nothing is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pace {
    window: f64,
    /// Up to here the window doubles.
    threshold: f64,
    /// The fastest answers take so long, in seconds.
    fastest: Option<f64>,
    /// Requests sent before then do not narrow the window once more.
    narrowed_at: Option<Instant>,
    /// Nothing is sent before.
    rests_until: Option<Instant>,
    /// How often in a row the server was busy.
    in_a_row: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            window: 8.0,
            threshold: f64::INFINITY,
            fastest: None,
            narrowed_at: None,
            rests_until: None,
            in_a_row: 0,
        }
    }
}

/// The shortest rest after the server was busy, and the longest.
const REST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Pace {
    /// How many requests may be under way, `most` of them.
    #[expect(clippy::cast_sign_loss, reason = "a window is at least 1")]
    pub(super) fn window(&self, most: usize) -> usize {
        (self.window as usize).min(most)
    }

    /// When requests may be sent again; none where they may be sent now.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Takes the answer to a request that was sent at `sent` while `most` could be under way. `jitter` is a number from 0 to 1 that
    /// differs from launcher to launcher and from answer to answer.
    pub(super) fn answered(
        &mut self,
        answer: Answer,
        sent: Instant,
        now: Instant,
        most: usize,
        jitter: f64,
    ) {
        match answer {
            Answer::Served => self.served(sent, now, most),
            Answer::Busy(wait) => self.busy(wait, sent, now, jitter),
        }
    }

    fn served(&mut self, sent: Instant, now: Instant, most: usize) {
        let took = now.duration_since(sent).as_secs_f64();
        let fastest = self.fastest.map_or(took, |fastest| {
            // A server that has become slower for good is not held against its youth for ever.
            took.min(fastest + (took - fastest) / f64::from(FORGETTING))
        });
        self.fastest = Some(fastest);
        self.in_a_row = 0;
        if took > fastest * f64::from(SLOWDOWN) && took > SLOW.as_secs_f64() {
            self.narrow(0.9, sent, now);
            return;
        }
        let step = if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        #[expect(clippy::cast_precision_loss, reason = "there are not that many requests")]
        let most = most.max(1) as f64;
        self.window = (self.window + step).min(most);
    }

    fn busy(&mut self, wait: Option<Duration>, sent: Instant, now: Instant, jitter: f64) {
        if !self.narrow(0.5, sent, now) {
            return;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let (shortest, longest) = REST;
        let grown = shortest.saturating_mul(1 << self.in_a_row.min(10)).min(longest);
        let rest = wait.unwrap_or(grown).min(longest);
        self.rests_until = Some(now + rest.mul_f64(0.5 + jitter.clamp(0.0, 1.0)));
    }

    /// Narrows the window, once for all that was under way at the same time. False where that was done already.
    fn narrow(&mut self, by: f64, sent: Instant, now: Instant) -> bool {
        if self.narrowed_at.is_some_and(|at| sent < at) {
            return false;
        }
        self.narrowed_at = Some(now);
        self.window = (self.window * by).max(1.0);
        self.threshold = self.window;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 64;
    const TAKES: Duration = Duration::from_millis(5);

    /// A round of answers: as many as the window allows, sent at once.
    fn round(pace: &mut Pace, answer: Answer, sent: Instant) -> Instant {
        let now = sent + TAKES;
        for _ in 0..pace.window(MOST) {
            pace.answered(answer, sent, now, MOST, 0.5);
        }
        now
    }

    #[test]
    fn one_round_of_refusals_halves_the_window_once_and_seconds_later_it_is_whole_again() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..4 {
            now = round(&mut pace, Answer::Served, now);
        }
        assert_eq!(pace.window(MOST), MOST);
        now = round(&mut pace, Answer::Busy(None), now);
        assert_eq!(pace.window(MOST), MOST / 2);
        let until = pace.rests_until(now).unwrap();
        assert!(until > now && until <= now + Duration::from_millis(300));
        now = until;
        let mut rounds = 0;
        while pace.window(MOST) < MOST {
            now = round(&mut pace, Answer::Served, now);
            rounds += 1;
        }
        assert!(rounds <= MOST / 2 + 1, "{rounds} rounds of {TAKES:?}");
    }

    #[test]
    fn a_server_that_stays_busy_is_asked_less_and_less_and_waits_that_it_names_are_kept() {
        let mut pace = Pace::default();
        let begin = Instant::now();
        let mut now = begin;
        let mut rests = Vec::new();
        for _ in 0..12 {
            now = round(&mut pace, Answer::Busy(None), now);
            let until = pace.rests_until(now).unwrap();
            rests.push(until - now);
            now = until;
        }
        assert_eq!(pace.window(MOST), 1);
        assert!(rests.is_sorted(), "{rests:?}");
        assert_eq!(rests.last(), Some(&REST.1));
        let named = Duration::from_secs(2);
        now = round(&mut pace, Answer::Busy(Some(named)), now);
        assert_eq!(pace.rests_until(now), Some(now + named));
    }

    #[test]
    fn answers_that_become_slow_narrow_the_window_and_fast_machines_are_not_called_slow_for_milliseconds()
     {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..4 {
            now = round(&mut pace, Answer::Served, now);
        }
        let quick = now + 10 * TAKES;
        pace.answered(Answer::Served, now, quick, MOST, 0.5);
        assert_eq!(pace.window(MOST), MOST);
        let late = quick + Duration::from_secs(2);
        pace.answered(Answer::Served, quick, late, MOST, 0.5);
        assert!(pace.window(MOST) < MOST);
    }
}
