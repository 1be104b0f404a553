//! Consuming: a task asks the server for messages while a fetch waits for them.
//!
//! A request asks for what is there, at most as much as the fetch takes, and waits for the first message where there is none
//! (`no_wait` with `expires`). The server says when it is done with a request, so that exactly one is alive while a fetch
//! waits, and none is left to take messages that nobody waits for: what comes for a fetch that was given up ends its request.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Message, StatusCode, Subscriber,
    jetstream::{AckKind, consumer::pull::BatchConfig},
};
use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tracing::debug;
use windlass_proto::subject::Subject;

use super::{
    desk::{Desk, Found, Reply},
    link::Link,
    shape::{Shared, StreamKind, ensure_consumer},
};
use crate::{BusError, Consumer, Delivery};

/// The most messages of a request.
const MAX_BATCH: usize = 4096;

/// How long a request waits for its first message.
const EXPIRES: Duration = Duration::from_secs(30);

/// How often the server says that a request is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// After what time of silence a request is taken for dead.
const SILENCE: Duration = Duration::from_secs(11);

/// How long to wait for more of a request where the server does not say that there is no more: it has reached the limit of
/// what may be unacknowledged, or other requests share what there is.
const GRACE: Duration = Duration::from_millis(5);

/// How long what has arrived for a fetch that was given up waits for the next one.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long nobody may answer requests to a consumer that has just been made: where several make the same one, a server tells
/// some of them that it is there before it is.
const SETTLING: Duration = Duration::from_secs(1);

/// How long to wait before asking a server again that had to refuse.
const PAUSE: Duration = Duration::from_millis(100);

/// A consumer of one subject.
#[derive(Debug)]
pub(super) struct PullConsumer {
    desk: Arc<Desk>,
}

impl PullConsumer {
    pub(super) async fn new(
        link: Arc<Link>,
        subject: Subject,
        kind: StreamKind,
    ) -> Result<Self, BusError> {
        let shared = ensure_consumer(&link, subject, kind).await?;
        let inbox = link.client.new_inbox();
        let answers = link.client.subscribe(format!("{inbox}.*")).await;
        let answers = answers.map_err(|error| BusError::Unavailable(error.to_string()))?;
        let (desk, returned) = Desk::new(Arc::clone(&link));
        let puller = Puller {
            requests: format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", shared.stream, shared.name),
            shared,
            connected: link.connected(),
            desk: Arc::clone(&desk),
            inbox,
            answers,
            returned,
            request: None,
            sent: 0,
            alone: true,
            made: Instant::now(),
            not_before: Instant::now(),
            arrived: Instant::now(),
            ended: None,
        };
        tokio::spawn(puller.run());
        Ok(Self { desk })
    }
}

#[async_trait]
impl Consumer for PullConsumer {
    async fn fetch(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let waiting = Waiting(&self.desk);
        loop {
            match waiting.0.take(limit) {
                Found::Deliveries(deliveries) => return Ok(deliveries),
                Found::Failure(error) => return Err(error),
                Found::NotYet => {}
            }
            waiting.0.asked.notify_one();
            waiting.0.arrived.notified().await;
        }
    }
}

impl Drop for PullConsumer {
    fn drop(&mut self) {
        self.desk.end();
    }
}

/// A fetch that is under way.
struct Waiting<'a>(&'a Arc<Desk>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.stop_waiting();
    }
}

/// Asks for messages, and puts them on the desk.
#[derive(Debug)]
struct Puller {
    desk: Arc<Desk>,
    shared: Shared,
    /// Where requests go.
    requests: String,
    /// What answers are sent to, each request's to a subject below.
    inbox: String,
    answers: Subscriber,
    returned: mpsc::UnboundedReceiver<Reply>,
    connected: watch::Receiver<u64>,
    /// The request that is alive.
    request: Option<Request>,
    /// How many requests were sent.
    sent: u64,
    /// Whether a request may ask for all there is. Where others wait for as much as there is, the server refuses that.
    alone: bool,
    /// When the consumer was made, or found.
    made: Instant,
    /// When to send the next request at the earliest.
    not_before: Instant,
    /// When the last message arrived.
    arrived: Instant,
    /// When the consumer ended.
    ended: Option<Instant>,
}

#[derive(Debug)]
struct Request {
    number: u64,
    /// How many messages are still to come.
    left: usize,
    /// When the server last gave a sign of life.
    heard: Instant,
}

impl Puller {
    async fn run(mut self) {
        while !self.is_over() {
            self.ask().await;
            let wakeup = self.wakeup();
            tokio::select! {
                answer = self.answers.next() => match answer {
                    Some(answer) => self.take_all(answer),
                    // The connection has been closed for good.
                    None => return,
                },
                Some(reply) = self.returned.recv() => self.give_back(reply).await,
                () = self.desk.asked.notified() => {}
                Ok(()) = self.connected.changed() => self.request = None,
                () = sleep_until(wakeup) => {}
            }
            self.look_at_the_time().await;
        }
    }

    /// Whether the consumer has ended, and nothing can come for it any more.
    fn is_over(&mut self) -> bool {
        if self.ended.is_none() && self.desk.wishes().ended {
            self.ended = Some(Instant::now());
        }
        let late = self.ended.is_some_and(|ended| ended.elapsed() > EXPIRES);
        self.ended.is_some() && self.returned.is_empty() && (late || self.request.is_none())
    }

    /// Sends a request if a fetch waits and none is alive.
    async fn ask(&mut self) {
        let wanted = self.desk.wishes().wanted;
        let due = self.ended.is_none() && wanted > 0 && self.request.is_none();
        if !due || Instant::now() < self.not_before || !self.desk.link.is_connected() {
            return;
        }
        let batch = if self.alone { wanted.min(MAX_BATCH) } else { 1 };
        let config = BatchConfig {
            batch,
            expires: Some(EXPIRES),
            no_wait: self.alone,
            idle_heartbeat: HEARTBEAT,
            ..BatchConfig::default()
        };
        let payload = serde_json::to_vec(&config).expect("numbers and flags can be written");
        let (number, client) = (self.sent, self.desk.link.client.clone());
        let reply = format!("{}.{number}", self.inbox);
        match client.publish_with_reply(self.requests.clone(), reply, payload.into()).await {
            Ok(()) => {
                self.sent += 1;
                self.alone = true;
                self.request = Some(Request { number, left: batch, heard: Instant::now() });
            }
            Err(error) => self.desk.fail(BusError::Unavailable(error.to_string())),
        }
    }

    /// When to look at the time again.
    fn wakeup(&self) -> Instant {
        let wishes = self.desk.wishes();
        let silence = self.request.as_ref().map(|request| request.heard + SILENCE);
        let grace = wishes.incomplete.then_some(self.arrived + GRACE);
        let patience = wishes.abandoned.then_some(self.arrived + PATIENCE);
        let again = (self.request.is_none() && wishes.wanted > 0)
            .then(|| self.not_before.max(Instant::now() + PAUSE));
        let ended = self.ended.map(|ended| ended + EXPIRES);
        let never = Instant::now() + EXPIRES;
        [silence, grace, patience, again, ended].into_iter().flatten().min().unwrap_or(never)
    }

    async fn look_at_the_time(&mut self) {
        let (now, wishes) = (Instant::now(), self.desk.wishes());
        if self.request.as_ref().is_some_and(|request| now >= request.heard + SILENCE) {
            debug!(consumer = self.shared.name, "the server forgot a request");
            self.request = None;
        }
        if wishes.incomplete && now >= self.arrived + GRACE {
            self.desk.complete();
        }
        if wishes.abandoned && now >= self.arrived + PATIENCE {
            for reply in self.desk.clear_held() {
                self.give_back(reply).await;
            }
        }
    }

    /// Takes an answer, and all that have come with it.
    fn take_all(&mut self, answer: Message) {
        let mut next = Some(answer);
        while let Some(answer) = next {
            self.take(answer);
            next = self.answers.next().now_or_never().flatten();
        }
    }

    fn take(&mut self, answer: Message) {
        let said = answer.reply.clone().and_then(|reply| Some((delivered(&reply)?, reply)));
        let Some(((deliveries, pending), reply)) = said else {
            return self.take_status(&answer);
        };
        self.arrived = Instant::now();
        if let Some(request) = &mut self.request {
            request.heard = self.arrived;
            request.left = request.left.saturating_sub(1);
            if request.left == 0 {
                self.request = None;
            }
        }
        self.desk.put(answer, reply, deliveries, pending == 0);
    }

    /// What the server says of a request.
    fn take_status(&mut self, answer: &Message) {
        let number = answer.subject.rsplit_once('.').and_then(|(_, number)| number.parse().ok());
        let Some(request) = self.request.as_mut().filter(|it| Some(it.number) == number) else {
            // Of one that was given up for dead.
            return;
        };
        let description = answer.description.as_deref().unwrap_or_default();
        match answer.status {
            Some(StatusCode::IDLE_HEARTBEAT) => {
                request.heard = Instant::now();
                return;
            }
            // Done, or expired.
            Some(StatusCode::NOT_FOUND) => {}
            Some(StatusCode::TIMEOUT) => self.alone = !description.contains("Requests Pending"),
            Some(StatusCode::REQUEST_TERMINATED) if passes(description) => {
                self.not_before = Instant::now() + PAUSE;
            }
            Some(StatusCode::NO_RESPONDERS) if self.made.elapsed() < SETTLING => {
                self.not_before = Instant::now() + PAUSE;
            }
            Some(status)
                if status == StatusCode::NO_RESPONDERS || description == "Consumer Deleted" =>
            {
                let Shared { stream, name } = &self.shared;
                let gone = format!("consumer {name} of stream {stream} is gone");
                self.desk.fail(BusError::Unavailable(gone));
            }
            status => {
                let code = status.map_or(0, |status| status.as_u16());
                let reason = format!("NATS refuses a pull request: {code} {description}");
                self.desk.fail(BusError::Unavailable(reason));
            }
        }
        self.request = None;
        self.desk.complete();
    }

    async fn give_back(&mut self, reply: Reply) {
        if let Err(error) = self.desk.link.send(reply, AckKind::Nak(None).into()).await {
            // It comes again once its time is over.
            debug!(%error, "a message is given back late");
        }
    }
}

/// Whether what ended a request does not stand in the way of the next one.
fn passes(description: &str) -> bool {
    ["Leadership Change", "Server Shutdown"].iter().any(|it| description.contains(it))
}

/// How often a message was delivered, and how many wait behind it, as the subject says where it is acknowledged: after
/// stream and consumer come the deliveries, two sequences, a time, and what is pending. None if it is no message of a stream.
fn delivered(reply: &str) -> Option<(u32, u64)> {
    let tokens = reply.strip_prefix("$JS.ACK.")?;
    let before = match tokens.split('.').count() {
        7 => 2,
        // Newer servers put domain and account before the stream.
        9.. => 4,
        _ => return None,
    };
    let mut numbers = tokens.split('.').skip(before);
    Some((numbers.next()?.parse().ok()?, numbers.nth(3)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_and_pending_are_read_from_both_forms_of_a_reply() {
        for reply in [
            "$JS.ACK.w-EVENT.scheduler-0.3.17.18.1700000000000000000.5",
            "$JS.ACK.hub.ACC.w-EVENT.scheduler-0.3.17.18.1700000000000000000.5",
            "$JS.ACK.hub.ACC.w-EVENT.scheduler-0.3.17.18.1700000000000000000.5.token",
        ] {
            assert_eq!(delivered(reply), Some((3, 5)), "{reply}");
        }
        for reply in ["_INBOX.1.2", "$JS.ACK.w-EVENT.scheduler-0.x.17.18.1.5", "$JS.ACK.a.b.c"] {
            assert_eq!(delivered(reply), None, "{reply}");
        }
    }
}
