//! A server to measure a store in.

use redis::{Value, aio::MultiplexedConnection, from_redis_value};
use windlass_servers::{Program, RedisServer, processor_seconds};
use windlass_store::{RedisConfig, RedisStore};

/// A server, its store, and a way past it.
pub(crate) struct Bench {
    pub(crate) name: &'static str,
    _server: RedisServer,
    pub(crate) store: RedisStore,
    pub(crate) past: MultiplexedConnection,
}

impl Bench {
    pub(crate) async fn start(name: &'static str, program: Program) -> Self {
        let server = RedisServer::builder().program(program).start().await;
        let (store, _) = RedisStore::open(&RedisConfig::new(server.url())).await.expect("it opens");
        let client = redis::Client::open(server.url()).expect("an address");
        let past = client.get_multiplexed_async_connection().await.expect("a connection");
        Self { name, _server: server, store, past }
    }

    /// Numbers that the server tells of itself, by the names that it has for them.
    pub(crate) async fn info<const N: usize>(&mut self, fields: [&str; N]) -> [f64; N] {
        let info: Value =
            redis::cmd("INFO").query_async(&mut self.past).await.expect("the server answers");
        let info: String = from_redis_value(info).expect("a text");
        fields.map(|field| {
            let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            value.expect("the field is there").trim().parse().expect("a number")
        })
    }

    /// In seconds: of the server, and of this process.
    pub(crate) async fn processor(&mut self) -> [f64; 2] {
        let [user, system] = self.info(["used_cpu_user", "used_cpu_sys"]).await;
        [user + system, processor_seconds(std::process::id()).expect("this process runs")]
    }
}
