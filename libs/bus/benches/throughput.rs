//! How many messages go through an acknowledged subject in a second: published, fetched, acknowledged.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Builder;
use windlass_bus::{Bus, Consumer, MemoryBus};
use windlass_proto::subject::Subject;

const MESSAGES: u32 = 10_000;
const SUBJECT: Subject = Subject::Event { partition: 0 };

async fn pass_all(bus: &MemoryBus, consumer: &mut dyn Consumer) {
    let publish = async {
        for _ in 0..MESSAGES {
            bus.publish(SUBJECT, bytes::Bytes::from_static(b"something")).await.expect("published");
            tokio::task::coop::consume_budget().await;
        }
    };
    let consume = async {
        let mut taken = 0;
        while taken < MESSAGES {
            for delivery in consumer.fetch(256).await.expect("fetched") {
                delivery.receipt.ack().await.expect("acknowledged");
                taken += 1;
            }
        }
    };
    tokio::join!(publish, consume);
}

fn memory(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let bus = MemoryBus::new();
    let mut consumer = runtime.block_on(bus.consume(SUBJECT)).expect("a consumer");
    let mut group = criterion.benchmark_group("memory");
    group.sample_size(20).throughput(Throughput::Elements(MESSAGES.into()));
    group.bench_function("one publisher, one consumer", |bencher| {
        bencher.iter(|| runtime.block_on(pass_all(&bus, &mut *consumer)));
    });
    group.finish();
}

criterion_group!(benches, memory);
criterion_main!(benches);
