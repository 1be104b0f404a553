//! When to try again.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{Client, ClientError};

/// The longest wait between two tries.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// The wait before the second try.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// A call that fails for so long, or is to wait for so long, is told of.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// How long a call goes on trying when the server cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(pub Duration);

impl Default for Patience {
    /// A minute: longer than a server takes to start again.
    fn default() -> Self {
        Self(Duration::from_mins(1))
    }
}

/// A call that is not answered yet, and is made again.
#[derive(Debug)]
pub struct Waiting<'a> {
    /// Why it was not answered the last time.
    pub error: &'a ClientError,
    /// For how long, from its first failure, it is made again.
    pub patience: Patience,
}

/// Whom to tell of calls that are waiting.
#[derive(Clone, Default)]
pub(crate) struct Notice(Option<Tell>);

type Tell = Arc<dyn Fn(&Waiting<'_>) + Send + Sync>;

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notice").field(&self.0.is_some()).finish()
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

impl Client {
    /// The same client that tells of each call which it makes again and again: once, when that takes longer than a moment.
    /// What is followed tells of that itself.
    #[must_use]
    pub fn with_notice(mut self, tell: impl Fn(&Waiting<'_>) + Send + Sync + 'static) -> Self {
        self.notice = Notice(Some(Arc::new(tell)));
        self
    }

    /// The same client that tells nobody.
    #[must_use]
    pub fn without_notice(mut self) -> Self {
        self.notice = Notice::default();
        self
    }

    /// Makes a call that may be repeated until it is answered, refused for good, or patience ends.
    pub(crate) async fn repeat<T, F>(&self, call: impl FnMut() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        repeat(self.patience, &self.notice, call).await
    }
}

async fn repeat<T, F>(
    patience: Patience,
    notice: &Notice,
    mut call: impl FnMut() -> F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let begun = Instant::now();
    let mut backoff = Backoff::new(patience);
    let mut told = false;
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let delay = backoff.after(error.clone())?;
        if let Some(tell) = &notice.0
            && !told
            && begun.elapsed() + delay >= TOLD_AFTER
        {
            tell(&Waiting { error: &error, patience });
            told = true;
        }
        sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Status;

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_while_the_server_is_away_and_no_longer_than_patience_lasts() {
        let (started, silent) = (Instant::now(), Notice::default());
        let mut calls = 0;
        let answer = repeat(Patience::default(), &silent, || {
            calls += 1;
            let call = calls;
            async move { if call < 5 { Err(Status::unavailable("away").into()) } else { Ok(call) } }
        });
        assert_eq!(answer.await.unwrap(), 5);

        let gone = repeat(Patience::default(), &silent, || async {
            Err::<(), _>(Status::unavailable("gone").into())
        });
        assert_eq!(gone.await.unwrap_err().to_string(), "gone");
        let waited = started.elapsed();
        assert!(waited >= Duration::from_mins(1) && waited < Duration::from_secs(90), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_made_again_is_told_of_once_and_one_that_is_soon_answered_never() {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let list = told.clone();
        let notice = Notice(Some(Arc::new(move |waiting: &Waiting<'_>| {
            list.lock().unwrap().push(waiting.error.to_string());
        })));
        for failures in [1, 20] {
            let mut calls = 0;
            let answer = repeat(Patience::default(), &notice, || {
                calls += 1;
                let error = (calls <= failures).then(|| Status::unavailable("away").into());
                async { error.map_or(Ok(()), Err) }
            });
            answer.await.unwrap();
            assert_eq!(told.lock().unwrap().len(), usize::from(failures > 1));
        }
        assert_eq!(*told.lock().unwrap(), ["away"]);
    }

    #[tokio::test]
    async fn a_refusal_is_not_tried_again() {
        let (mut calls, silent) = (0, Notice::default());
        let refused = repeat(Patience::default(), &silent, || {
            calls += 1;
            async { Err::<(), _>(Status::not_found("no such run").into()) }
        });
        assert!(refused.await.is_err());
        assert_eq!(calls, 1);
    }
}
