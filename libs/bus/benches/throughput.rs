//! How many messages go through an acknowledged subject in a second: published, fetched, acknowledged. For NATS beside what
//! its own client reaches on the same server.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, PullConsumer, pull},
    context::ContextBuilder,
    stream::{Config, DiscardPolicy, RetentionPolicy},
};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::{StreamExt as _, future::join_all};
use tokio::runtime::{Builder, Runtime};
use windlass_bus::{Bus, Consumer, JetStreamBus, JetStreamConfig, MemoryBus};
use windlass_proto::subject::Subject;
use windlass_servers::NatsServer;

const MESSAGES: u32 = 10_000;
const SUBJECT: Subject = Subject::Event { partition: 0 };
const PAYLOAD: Bytes = Bytes::from_static(&[7; 200]);

/// How many are published at once, and fetched at most at once.
const AT_ONCE: usize = 256;

/// Passes all messages through: `publishers` publish at the same time, each message after the one before is safe.
async fn pass_all(bus: Arc<dyn Bus>, consumer: &mut dyn Consumer, publishers: u32) {
    let publish = join_all((0..publishers).map(|_| {
        let bus = Arc::clone(&bus);
        async move {
            for _ in 0..MESSAGES / publishers {
                bus.publish(SUBJECT, PAYLOAD.into()).await.expect("published");
                tokio::task::coop::consume_budget().await;
            }
        }
    }));
    let consume = async {
        let mut taken = 0;
        while taken < MESSAGES / publishers * publishers {
            for delivery in consumer.fetch(AT_ONCE).await.expect("fetched") {
                delivery.receipt.ack().await.expect("acknowledged");
                taken += 1;
            }
        }
    };
    tokio::join!(publish, consume);
}

fn memory(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    let mut consumer = runtime.block_on(bus.consume(SUBJECT)).expect("a consumer");
    let mut group = criterion.benchmark_group("memory");
    group.sample_size(20).throughput(Throughput::Elements(MESSAGES.into()));
    group.bench_function("one publisher, one consumer", |bencher| {
        bencher.iter(|| runtime.block_on(pass_all(Arc::clone(&bus), &mut *consumer, 1)));
    });
    group.finish();
}

fn nats(criterion: &mut Criterion) {
    let runtime =
        Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let server = runtime.block_on(NatsServer::start());
    let mut group = criterion.benchmark_group("nats");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements((MESSAGES / 256 * 256).into()));

    let config = JetStreamConfig { servers: vec![server.url()], ..JetStreamConfig::default() };
    let bus = runtime.block_on(JetStreamBus::connect(config)).expect("connected");
    let bus: Arc<dyn Bus> = Arc::new(bus);
    let mut consumer = runtime.block_on(bus.consume(SUBJECT)).expect("a consumer");
    group.bench_function("256 publishers, one consumer", |bencher| {
        bencher.iter(|| runtime.block_on(pass_all(Arc::clone(&bus), &mut *consumer, 256)));
    });
    drop(consumer);
    raw_client(&mut group, &runtime, &server);
    group.finish();
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

/// The same over the client alone, in a stream of the same kind.
fn raw_client(group: &mut Group<'_>, runtime: &Runtime, server: &NatsServer) {
    let (context, consumer) = runtime.block_on(async {
        let client = async_nats::connect(server.url()).await.expect("connected");
        let context = ContextBuilder::new().build(client);
        let config = Config {
            name: "raw".into(),
            subjects: vec!["raw.*".into()],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            ..Config::default()
        };
        let stream = context.create_stream(config).await.expect("a stream");
        let config = pull::Config {
            durable_name: Some("raw".into()),
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: 20_000,
            ..pull::Config::default()
        };
        let consumer: PullConsumer = stream.create_consumer(config).await.expect("a consumer");
        (context, consumer)
    });
    let messages = consumer.stream().max_messages_per_batch(AT_ONCE).messages();
    let mut messages = runtime.block_on(messages).expect("a pull");
    group.bench_function("the client alone", |bencher| {
        bencher.iter(|| runtime.block_on(pass_all_raw(&context, &mut messages)));
    });
}

async fn pass_all_raw(context: &jetstream::Context, messages: &mut pull::Stream) {
    let publish = join_all((0..256).map(|_| async {
        for _ in 0..MESSAGES / 256 {
            context.publish("raw.0", PAYLOAD).await.expect("sent").await.expect("published");
        }
    }));
    let consume = async {
        for _ in 0..MESSAGES / 256 * 256 {
            let message = messages.next().await.expect("it goes on").expect("fetched");
            message.ack().await.expect("acknowledged");
        }
    };
    tokio::join!(publish, consume);
}

criterion_group!(benches, memory, nats);
criterion_main!(benches);
