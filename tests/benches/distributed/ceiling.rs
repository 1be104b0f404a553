//! The ceiling: what the same servers do with nothing in between, measured in the same run.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::jetstream::{
    self,
    consumer::pull,
    context::ContextBuilder,
    stream::{Config, RetentionPolicy},
};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use redis::aio::MultiplexedConnection;

use crate::{
    counters::{BENCH, Counters, Counting},
    installation::Installation,
};

/// Operations at least, so that there is something to measure.
const OPERATIONS: u64 = 20_000;

/// How many messages are on their way at once.
const MESSAGES_AT_ONCE: usize = 256;

/// How many calls of scripts are under way at once.
const SCRIPTS_AT_ONCE: usize = 32;

/// The name of the stream, its subject and the key.
pub(crate) const RAW: &str = "raw";

/// Writes a piece into a text and replaces another one, as a commit does.
pub(crate) const SCRIPT: &str =
    "redis.call('SETRANGE', KEYS[1], 0, ARGV[1]) redis.call('SET', KEYS[2], ARGV[2]) return 1";

/// What the servers need for what a case had them do.
#[derive(Debug, Clone)]
pub(crate) struct Ceiling {
    /// How long they take, with everything batched and nobody waiting for anything else.
    pub(crate) elapsed: Duration,
    /// Seconds of processor time of both servers.
    pub(crate) servers: f64,
    /// Seconds of processor time of the bare client.
    pub(crate) client: f64,
}

/// A stream like those of an installation, and its consumer.
pub(crate) async fn stream_of(
    installation: &Installation,
) -> anyhow::Result<(jetstream::Context, pull::Stream)> {
    let client = async_nats::connect(installation.nats.url()).await?;
    let context =
        ContextBuilder::new().max_ack_inflight(4096).backpressure_on_inflight(true).build(client);
    let config = Config {
        name: RAW.into(),
        subjects: vec![format!("{RAW}.*")],
        retention: RetentionPolicy::WorkQueue,
        ..Config::default()
    };
    let stream = context.get_or_create_stream(config).await?;
    let config = pull::Config {
        durable_name: Some(RAW.into()),
        max_ack_pending: 20_000,
        filter_subject: format!("{RAW}.event"),
        ..pull::Config::default()
    };
    let messages = stream.get_or_create_consumer(RAW, config).await?.messages().await?;
    Ok((context, messages))
}

pub(crate) async fn redis_of(installation: &Installation) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(installation.redis.url())?;
    Ok(client.get_multiplexed_async_connection().await?)
}

/// Has the servers do the same number of publications, deliveries, acknowledgements and script calls, with as many bytes in
/// each.
pub(crate) async fn measure(
    installation: &Installation,
    counting: &mut Counting<'_>,
    case: &Counters,
) -> anyhow::Result<Ceiling> {
    // Reads are plain commands, many at once, and have no counter of their own: the ceiling is without them.
    let calls = case.scripts();
    let times = OPERATIONS.div_ceil((case.kept_messages + calls).max(1)).max(1);
    let message = vec![7; (case.message_bytes / case.kept_messages.max(1)) as usize];
    let argument = vec![7; (case.command_bytes / calls.max(1)) as usize];
    let before = counting.read().await?;
    let began = Instant::now();
    tokio::try_join!(
        messages(installation, case.kept_messages * times, message.into()),
        scripts(installation, calls * times, &argument),
    )?;
    let elapsed = began.elapsed();
    let took = counting.read().await?.since(&before);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let each = |seconds: f64| seconds / times as f64;
    Ok(Ceiling {
        elapsed: elapsed.div_f64(each(1.0).recip()),
        servers: each(took.processor_of(&["nats", "redis"])),
        client: each(took.processor_of(&[BENCH])),
    })
}

async fn messages(installation: &Installation, count: u64, payload: Bytes) -> anyhow::Result<()> {
    let (context, mut delivered) = stream_of(installation).await?;
    let publish = async {
        stream::iter(0..count)
            .map(|_| async {
                context.publish(format!("{RAW}.event"), payload.clone()).await?.await?;
                anyhow::Ok(())
            })
            .buffer_unordered(MESSAGES_AT_ONCE)
            .try_collect::<()>()
            .await
    };
    let consume = async {
        for _ in 0..count {
            let message = delivered.next().await.context("the stream goes on")??;
            message.ack().await.map_err(anyhow::Error::from_boxed)?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(publish, consume)?;
    Ok(())
}

async fn scripts(installation: &Installation, count: u64, argument: &[u8]) -> anyhow::Result<()> {
    let redis = redis_of(installation).await?;
    let script = redis::Script::new(SCRIPT);
    script.prepare_invoke().load_async(&mut redis.clone()).await?;
    stream::iter(0..count)
        .map(|number| {
            let (mut redis, mut call) = (redis.clone(), script.prepare_invoke());
            let place = number % SCRIPTS_AT_ONCE as u64;
            call.key(format!("{RAW}:t:{place}")).key(format!("{RAW}:h:{place}"));
            call.arg(argument).arg("head");
            async move {
                call.invoke_async::<i64>(&mut redis).await?;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(SCRIPTS_AT_ONCE)
        .try_collect::<()>()
        .await
}
