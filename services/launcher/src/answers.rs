//! Answers those who want to know what attempts wait for. Nothing is told unless somebody asks, and nothing of it is kept.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use windlass_bus::{Bus, BusError, Heard};
use windlass_proto::{
    subject::{ClusterToken, Subject},
    v1,
};
use windlass_service::recurring::Recurring;

use crate::{
    launch::key,
    runtime::{AttemptKey, Runtime, Waits},
};

/// How many questions are answered at once. Who asks more than that gets no answer in time.
const AT_ONCE: usize = 4;

/// How many attempts of a question are looked at.
const ATTEMPTS: usize = 100;

/// How long to wait after the bus has failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Answers the questions that a cluster's launchers are asked, until `stop`.
pub(crate) async fn run<R: Runtime>(
    bus: &dyn Bus,
    runtime: &R,
    cluster: ClusterToken,
    stop: CancellationToken,
) {
    let mut troubles = Recurring::default();
    while let Some(Err(error)) = stop.run_until_cancelled(listen(bus, runtime, cluster)).await {
        if let Some(untold) = troubles.came(&error.to_string(), Instant::now().into()) {
            warn!(%error, untold, "nobody is told what attempts wait for");
        }
        stop.run_until_cancelled(tokio::time::sleep(PAUSE_AFTER_ERROR)).await;
    }
}

async fn listen<R: Runtime>(
    bus: &dyn Bus,
    runtime: &R,
    cluster: ClusterToken,
) -> Result<Infallible, BusError> {
    let mut questions = bus.listen(Subject::Question { cluster }).await?;
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = under_way.next() => {}
            heard = questions.next(), if under_way.len() < AT_ONCE => match heard? {
                Heard::Message(message) => under_way.push(answer(bus, runtime, cluster, message.payload)),
                // Whoever asked waits for a second at most, and asks again.
                Heard::Gap => {}
            },
        }
    }
}

async fn answer<R: Runtime>(bus: &dyn Bus, runtime: &R, cluster: ClusterToken, payload: Bytes) {
    let Some((question, attempts)) = decode(&payload) else { return };
    let Waits { known, next, has_room } = runtime.waits(attempts).await;
    let told = |(key, wait): (AttemptKey, v1::Wait)| {
        let attempt = v1::AttemptRef { step: key.step, attempt: key.attempt };
        v1::AttemptWait { attempt: Some(attempt), wait: Some(wait) }
    };
    let attempts = known.into_iter().map(told).collect();
    let answer = v1::WaitAnswer { cluster: cluster.0, attempts, next, has_room };
    // An answer that is lost is one that did not come in time.
    let _ = bus.publish(Subject::Answer { question }, answer.encode_to_vec().into()).await;
}

/// What is asked; none where that makes no sense.
fn decode(payload: &Bytes) -> Option<(u64, Vec<AttemptKey>)> {
    let v1::WaitQuestion { question, run_id, attempts } =
        v1::WaitQuestion::decode(payload.as_ref()).ok()?;
    let run = run_id.parse().ok()?;
    let attempts = attempts.into_iter().take(ATTEMPTS).map(|it| key(run, it)).collect();
    Some((question, attempts))
}
