//! Threads that are there before it is known what they are for, so that what they are for is not lost where there is none.

use std::{io, sync::mpsc, thread};

type Work = Box<dyn FnOnce() + Send>;

/// A thread that waits for its work; without any, it ends.
#[derive(Debug)]
pub(crate) struct Helper(mpsc::Sender<Work>);

impl Helper {
    /// Starts a thread.
    ///
    /// # Errors
    ///
    /// If the system has no room for it.
    pub(crate) fn start() -> io::Result<Self> {
        let (give, take) = mpsc::channel::<Work>();
        thread::Builder::new().spawn(move || take.recv().map(|work| work()))?;
        Ok(Self(give))
    }

    /// Has the thread do this, and end.
    pub(crate) fn give(self, work: impl FnOnce() + Send + 'static) {
        // The thread waits for nothing else.
        let _ = self.0.send(Box::new(work));
    }
}
