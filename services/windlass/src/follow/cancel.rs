//! The order to cancel a run, given again until it is taken: whoever pressed Ctrl-C must not have to look whether it was.

use std::{pin::Pin, time::Duration};

use tokio::time::sleep;
use windlass_client::{Client, ClientError};

/// How long to wait after an answer that may be another one later.
const AGAIN: Duration = Duration::from_millis(250);

/// What became of the order.
#[derive(Debug)]
pub(super) enum Answer {
    /// It was taken.
    Taken,
    /// The run has ended: there is nothing to cancel.
    Ended,
    /// It cannot be taken now, and is given again.
    NotNow(ClientError),
    /// It never will be.
    Refused(ClientError),
}

/// The order, on its way.
pub(super) struct Cancel<'a> {
    client: &'a Client,
    run_id: &'a str,
    /// None once the last answer has come.
    call: Option<Call<'a>>,
    /// Whether it was taken.
    pub(super) taken: bool,
    /// Whether an answer was told to people before the last one.
    pub(super) told: bool,
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<(), ClientError>> + 'a>>;

impl<'a> Cancel<'a> {
    pub(super) fn new(client: &'a Client, run_id: &'a str) -> Self {
        let call = Some(call(client, run_id, Duration::ZERO));
        Self { client, run_id, call, taken: false, told: false }
    }

    /// Waits for the next answer; for ever if there is none to come. May be dropped while it waits, and called again.
    pub(super) async fn answer(&mut self) -> Answer {
        let Some(call_made) = &mut self.call else { return std::future::pending().await };
        let answer = call_made.await;
        self.call = None;
        match answer {
            Err(error) if error.reason() == Some("RUN_ENDED") => Answer::Ended,
            Err(error) if error.is_transient() => {
                self.call = Some(call(self.client, self.run_id, AGAIN));
                Answer::NotNow(error)
            }
            Err(error) => Answer::Refused(error),
            Ok(()) => {
                self.taken = true;
                Answer::Taken
            }
        }
    }
}

fn call<'a>(client: &'a Client, run_id: &'a str, after: Duration) -> Call<'a> {
    Box::pin(async move {
        sleep(after).await;
        client.cancel(run_id).await.map(drop)
    })
}
