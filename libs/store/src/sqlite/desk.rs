//! The thread that owns the connection. All that has been asked when it gets round to it is done in one transaction, so
//! that one wait for the disk serves many; every answer is given after the transaction has ended.
//!
//! Where a transaction fails, each request of the group is done again on its own, so that none fails for another one's
//! fault. That is safe because nothing of the group was kept.

use std::{fmt, path::Path, sync::mpsc, thread};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{fault::Fault, open::OpenError};
use crate::StoreError;

/// How many requests one transaction holds at most, so that the first one of many does not wait for all.
const LARGEST_GROUP: usize = 512;

/// Where requests are handed in.
pub(super) struct Desk {
    /// Some until the desk is dropped.
    requests: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Desk {
    pub(super) fn start(connection: Connection, path: &Path) -> Result<Self, OpenError> {
        let (requests, receiver) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("windlass-store".into())
            .spawn(move || serve(&connection, &receiver))
            .map_err(|error| OpenError::unusable(path, &error))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Has work done and waits for its outcome to be durable. The work is done even if nobody waits any more, and may be
    /// done again after it was undone.
    pub(super) async fn ask<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(Asked { work, result: None, reply });
        let gone = || StoreError::Unknown("its thread has ended".into());
        self.requests.as_ref().ok_or_else(gone)?.send(request).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread has panicked: please report it");
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

trait Request: Send {
    /// Does the work within the present transaction, and keeps the result.
    fn work(&mut self, db: &Connection) -> Result<(), Fault>;

    /// Tells the result, or why there is none.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Asked<T, W> {
    work: W,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Request for Asked<T, W>
where
    T: Send,
    W: FnMut(&Connection) -> Result<T, Fault> + Send,
{
    fn work(&mut self, db: &Connection) -> Result<(), Fault> {
        self.result = Some((self.work)(db)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let undone = || StoreError::Unknown("it was not done".into());
        // Nobody waits for it where the caller's future was dropped.
        let _ = reply.send(outcome.and_then(|()| result.ok_or_else(undone)));
    }
}

fn serve(db: &Connection, requests: &mpsc::Receiver<Box<dyn Request>>) {
    while let Ok(first) = requests.recv() {
        let mut group = vec![first];
        group.extend(requests.try_iter().take(LARGEST_GROUP - 1));
        settle(db, group);
    }
}

fn settle(db: &Connection, mut group: Vec<Box<dyn Request>>) {
    let outcome = transact(db, &mut group);
    let again = group.len() > 1 && outcome.as_ref().is_err_and(Fault::undid_everything);
    let outcome = outcome.map_err(StoreError::from);
    for mut request in group {
        let outcome = if again {
            transact(db, std::slice::from_mut(&mut request)).map_err(StoreError::from)
        } else {
            outcome.clone()
        };
        request.answer(outcome);
    }
}

/// Does all of these in one transaction, or nothing.
fn transact(db: &Connection, group: &mut [Box<dyn Request>]) -> Result<(), Fault> {
    db.execute_batch("BEGIN")?;
    let done = group
        .iter_mut()
        .try_for_each(|request| request.work(db))
        .and_then(|()| db.execute_batch("COMMIT").map_err(Fault::AtCommit));
    // Some failures end the transaction by themselves.
    if done.is_err() && !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    done
}
