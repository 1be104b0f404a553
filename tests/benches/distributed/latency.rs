//! From one step's end to the command that launches the next one: heard on the bus, where the services tell each other.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use futures::StreamExt as _;
use prost::Message as _;
use tokio::time::{MissedTickBehavior, interval};
use windlass_proto::v1::{self, AttemptPhase, command::Command as Body, event::Event};

use crate::{
    ceiling::{RAW, SCRIPT, redis_of, stream_of},
    figures::Percentiles,
    installation::{Installation, NAME},
};

/// How often a second a bare step is made.
const BARE_STEPS: u32 = 1000;

/// An end is told in whole milliseconds, what is beyond them cut off: that is half of one on average.
const CUT_OFF: Duration = Duration::from_micros(500);

/// What was heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// From the report of a step's end, on its way to a scheduler, to the next step's launch command, on its way to a launcher.
    pub(crate) from_report: Percentiles,
    /// From the end as the launcher's clock saw it.
    pub(crate) from_end: Percentiles,
}

/// Listens to the chains of an installation until all of so many steps have been launched.
pub(crate) async fn listen(
    installation: &Installation,
    steps: usize,
) -> anyhow::Result<impl Future<Output = anyhow::Result<Heard>> + use<>> {
    let client = async_nats::connect(installation.nats.url()).await?;
    let mut events = client.subscribe(format!("{NAME}.event.*")).await?;
    let mut launches = client.subscribe(format!("{NAME}.launch")).await?;
    client.flush().await?;
    Ok(async move {
        let mut ends: HashMap<(String, u32), (Instant, Duration)> = HashMap::new();
        let (mut from_report, mut from_end, mut begun) = (Vec::new(), Vec::new(), 0);
        while begun < steps {
            tokio::select! {
                biased;
                message = events.next() => {
                    let now = Instant::now();
                    let batch = v1::EventBatch::decode(message.context("events")?.payload)?;
                    for run in batch.runs {
                        for event in run.events {
                            let Some(Event::Report(report)) = event.event else { continue };
                            if report.phase() == AttemptPhase::Ended {
                                let end = Duration::from_millis(report.end_time_ms.unsigned_abs());
                                ends.insert((run.run_id.clone(), report.step), (now, end));
                            }
                        }
                    }
                }
                message = launches.next() => {
                    let (now, time) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?);
                    let command = v1::Command::decode(message.context("commands")?.payload)?;
                    let Some(Body::Launch(launch)) = command.command else { continue };
                    for attempt in launch.attempts {
                        begun += 1;
                        let before = attempt.step.checked_sub(1).map(|it| (command.run_id.clone(), it));
                        if let Some((heard, end)) = before.and_then(|before| ends.remove(&before)) {
                            from_report.push(now.duration_since(heard));
                            from_end.push(time.saturating_sub(end + CUT_OFF));
                        }
                    }
                }
            }
        }
        Ok(Heard {
            from_report: from_report.into_iter().collect(),
            from_end: from_end.into_iter().collect(),
        })
    })
}

/// The same with nothing in between, for so long: a message into a stream, from there to a script, from there to another
/// message. From hearing the one to hearing the other.
pub(crate) async fn bare(
    installation: &Installation,
    time: Duration,
) -> anyhow::Result<Percentiles> {
    let (context, delivered) = stream_of(installation).await?;
    let redis = redis_of(installation).await?;
    let client = async_nats::connect(installation.nats.url()).await?;
    let mut heard = client.subscribe(format!("{RAW}.*")).await?;
    client.flush().await?;
    let answering = context.clone();
    let answer = tokio::spawn(async move {
        let script = redis::Script::new(SCRIPT);
        let mut delivered = delivered.ready_chunks(256);
        while let Some(messages) = delivered.next().await {
            let mut call = script.prepare_invoke();
            call.key(format!("{RAW}:t")).key(format!("{RAW}:h")).arg(vec![7; 64]).arg("head");
            call.invoke_async::<i64>(&mut redis.clone()).await?;
            for message in messages {
                let message = message?;
                answering.publish(format!("{RAW}.launch"), message.payload.clone()).await?;
                message.ack().await.map_err(anyhow::Error::from_boxed)?;
            }
        }
        anyhow::Ok(())
    });
    let publish = tokio::spawn(async move {
        let mut ticks = interval(Duration::from_secs(1) / BARE_STEPS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for number in 0_u64.. {
            ticks.tick().await;
            context.publish(format!("{RAW}.event"), number.to_le_bytes().to_vec().into()).await?;
        }
        anyhow::Ok(())
    });
    let (began, mut events, mut durations) = (Instant::now(), HashMap::new(), Vec::new());
    while began.elapsed() < time {
        let message = heard.next().await.context("messages")?;
        if message.subject.ends_with("event") {
            events.insert(message.payload, Instant::now());
        } else if let Some(event) = events.remove(&message.payload) {
            durations.push(event.elapsed());
        }
    }
    publish.abort();
    answer.abort();
    Ok(durations.into_iter().collect())
}
