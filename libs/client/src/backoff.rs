//! When to try again.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::ClientError;

/// The longest wait between two tries.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// The wait before the second try.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// How long a call goes on trying when the server cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(pub Duration);

impl Default for Patience {
    /// A minute: longer than a server takes to start again.
    fn default() -> Self {
        Self(Duration::from_mins(1))
    }
}

/// The waits of one call: doubling, each shortened by up to a half at random, so that the clients of a server that comes
/// back do not all come at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    patience: Patience,
    delay: Duration,
    failing_since: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(patience: Patience) -> Self {
        Self { patience, delay: FIRST_DELAY, failing_since: None }
    }

    /// Forgets the failures so far: the server has answered.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.patience);
    }

    /// How long to wait after `error`; the error itself if another try is of no use.
    pub(crate) fn after(&mut self, error: ClientError) -> Result<Duration, ClientError> {
        let now = Instant::now();
        let since = *self.failing_since.get_or_insert(now);
        if !error.is_transient() || now.duration_since(since) >= self.patience.0 {
            return Err(error);
        }
        let delay =
            jittered(self.delay).max(error.retry_after().unwrap_or_default()).min(MAX_DELAY);
        self.delay = self.delay.saturating_mul(2).min(MAX_DELAY);
        Ok(delay)
    }
}

fn jittered(delay: Duration) -> Duration {
    // The standard library's only source of randomness, and a good enough one.
    let random = RandomState::new().hash_one(()) % 512;
    delay.mul_f64(0.5 + f64::from(u16::try_from(random).expect("less than 512")) / 1024.0)
}

/// Makes a call that may be repeated until it is answered, refused for good, or patience ends.
pub(crate) async fn repeat<T, F>(
    patience: Patience,
    mut call: impl FnMut() -> F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut backoff = Backoff::new(patience);
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => sleep(backoff.after(error)?).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Status;

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_while_the_server_is_away_and_no_longer_than_patience_lasts() {
        let started = Instant::now();
        let mut calls = 0;
        let answer = repeat(Patience::default(), || {
            calls += 1;
            let call = calls;
            async move { if call < 5 { Err(Status::unavailable("away").into()) } else { Ok(call) } }
        });
        assert_eq!(answer.await.unwrap(), 5);

        let gone = repeat(Patience::default(), || async {
            Err::<(), _>(Status::unavailable("gone").into())
        });
        assert_eq!(gone.await.unwrap_err().to_string(), "gone");
        let waited = started.elapsed();
        assert!(waited >= Duration::from_mins(1) && waited < Duration::from_secs(90), "{waited:?}");
    }

    #[tokio::test]
    async fn a_refusal_is_not_tried_again() {
        let mut calls = 0;
        let refused = repeat(Patience::default(), || {
            calls += 1;
            async { Err::<(), _>(Status::not_found("no such run").into()) }
        });
        assert!(refused.await.is_err());
        assert_eq!(calls, 1);
    }
}
