//! What a grant of a named limit costs in Redis: microseconds for each, of the server's and of this process's processor and in
//! all; beside what a bare client needs for the writes that a grant cannot do without.
//!
//! In a turn as many holders as the limit has places give them back and ask again, so that as many wait as before.

#![expect(clippy::print_stdout, reason = "it reports")]

mod bench;

use std::{num::NonZeroU32, sync::Arc, time::Instant};

use bench::Bench;
use redis::Script;
use windlass_engine::{limits::LimitConfig, record::StepIndex};
use windlass_servers::Program;
use windlass_store::{Holder, LimitAsk, LimitRequest, Store as _};

const NAMESPACE: &str = "bench";

/// Grants of a measurement.
const GRANTS: u32 = 12_800;

/// A holder leaves, and its entry; it waits, and has an entry for that; the next one waits no more, and holds.
const BARE: &str = "
for i = 1, #ARGV, 2 do
  local out, into = ARGV[i], ARGV[i + 1]
  redis.call('ZREM', KEYS[1], out) redis.call('ZREM', KEYS[3], out)
  redis.call('ZADD', KEYS[2], 0, out) redis.call('ZADD', KEYS[3], 0, out)
  redis.call('ZREM', KEYS[2], into) redis.call('ZREM', KEYS[3], into)
  redis.call('ZADD', KEYS[1], 0, into) redis.call('ZADD', KEYS[3], 0, into)
end
return #ARGV";

/// Microseconds for each grant: of the server's processor, of this process's, and in all.
#[derive(Debug, Clone, Copy)]
struct Cost([f64; 3]);

impl Bench {
    /// What so many grants took that were begun then.
    async fn cost(&mut self, (before, began): ([f64; 2], Instant)) -> Cost {
        let took = began.elapsed().as_secs_f64();
        let after = self.processor().await;
        let all = [after[0] - before[0], after[1] - before[1], took];
        Cost(all.map(|seconds| seconds * 1e6 / f64::from(GRANTS)))
    }

    async fn grants(&mut self, waiters: u32, places: u32) -> Cost {
        let limits: Arc<[Arc<str>]> = Arc::new([format!("limit-{waiters}-{places}").into()]);
        let config = LimitConfig { size: NonZeroU32::new(places), rate: None };
        self.store.set_limit(NAMESPACE, &limits[0], Some(config)).await.expect("configured");
        let ask = |holder| LimitAsk { holder, limits: Arc::clone(&limits) };
        let all: Vec<_> =
            (0..waiters + places).map(|step| ask(holder(waiters, places, step))).collect();
        let asks = LimitRequest { asks: all, ..LimitRequest::default() };
        let mut held = self.store.take_limits(NAMESPACE, &asks).await.expect("answered").granted;
        let start = (self.processor().await, Instant::now());
        for _ in 0..GRANTS / places {
            let asks = held.iter().copied().map(ask).collect();
            let request = LimitRequest { releases: held, asks, ..LimitRequest::default() };
            held = self.store.take_limits(NAMESPACE, &request).await.expect("answered").granted;
            assert_eq!(held.len(), places as usize, "all places are taken again");
        }
        self.cost(start).await
    }

    async fn bare(&mut self, waiters: u32, places: u32) -> Cost {
        let keys =
            ["held", "queue", "entries"].map(|kind| format!("bare:{waiters}:{places}:{kind}"));
        let script = Script::new(BARE);
        let all = waiters + places;
        // As long as what a store keeps.
        let member = |number: u32| format!("{:056}", number % all);
        for number in 0..all {
            let set = &keys[usize::from(number >= places)];
            for key in [set, &keys[2]] {
                let mut add = redis::cmd("ZADD");
                add.arg(key).arg(0).arg(member(number));
                add.exec_async(&mut self.past).await.expect("added");
            }
        }
        let start = (self.processor().await, Instant::now());
        for turn in 0..GRANTS / places {
            let mut call = script.prepare_invoke();
            for key in &keys {
                call.key(key);
            }
            for number in 0..places {
                call.arg(member(turn * places + number));
                call.arg(member((turn + 1) * places + number));
            }
            let _: u32 = call.invoke_async(&mut self.past).await.expect("answered");
        }
        self.cost(start).await
    }

    async fn report(&mut self, waiters: u32, places: u32) {
        let Cost([server, own, all]) = self.grants(waiters, places).await;
        let Cost([bare_server, bare_own, bare_all]) = self.bare(waiters, places).await;
        println!(
            "{}: {waiters} waiters, {places} granted by a call: for each grant {server:.1} µs of the server's processor ({:.1} x bare), {own:.1} µs of the client's ({:.1} x), {all:.1} µs in all ({:.1} x)",
            self.name,
            server / bare_server,
            own / bare_own,
            all / bare_all,
        );
    }
}

fn holder(waiters: u32, places: u32, step: u32) -> Holder {
    let run = format!("run_{:026}", u64::from(waiters) * 1000 + u64::from(places));
    Holder { run: run.parse().expect("an id"), step: StepIndex(step), attempt: 1 }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (name, program) in [("Valkey", Program::Valkey), ("Redis", Program::Redis)] {
        let mut bench = Bench::start(name, program).await;
        for places in [1, 64] {
            for waiters in [100, 10_000] {
                bench.report(waiters, places).await;
            }
        }
    }
}
