//! What is told of attempts for which there is no room on the disk.

use tracing::{info, warn};

use crate::runtime::AttemptKey;

/// An attempt that may wait for room. However often it tries in vain for the same reason, that is told once.
#[derive(Debug)]
pub(super) struct Waiting {
    key: AttemptKey,
    told: Option<String>,
}

impl Waiting {
    pub(super) fn new(key: AttemptKey) -> Self {
        Self { key, told: None }
    }

    /// It has tried, and waits.
    pub(super) fn waits(&mut self, error: &str) {
        if self.is_news(error) {
            warn!(key = %self.key, %error, "an attempt waits for room");
        }
    }

    fn is_news(&mut self, error: &str) -> bool {
        let is_news = self.told.as_deref() != Some(error);
        if is_news {
            self.told = Some(error.to_owned());
        }
        is_news
    }

    /// It need not wait any more.
    pub(super) fn is_over(&mut self) {
        if self.told.take().is_some() {
            info!(key = %self.key, "an attempt waits no more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_want_of_room_is_told_once_however_often_it_is_met() {
        let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let mut waiting = Waiting::new(AttemptKey { run, step: 0, attempt: 1 });
        assert!(waiting.is_news("no room for the lock"));
        assert!(!waiting.is_news("no room for the lock"));
        assert!(waiting.is_news("no room for the outcome"));
        waiting.is_over();
        assert!(waiting.is_news("no room for the outcome"), "it is another time");
    }
}
