//! What a program waits for when it connects to servers, and what ends it.

use windlass_servers::{NatsServer, RedisServer};

use crate::process::{Process, get};

/// A program that connects to these servers, and where operators ask it.
fn connect(nats: &NatsServer, redis: &RedisServer) -> (Process, String) {
    let (bus, store) = (format!("bus.url={}", nats.url()), format!("store.url={}", redis.url()));
    let mut process = Process::start("connect", &[&bus, &store]);
    let line = process.line("operators are answered");
    let address = line.trim().rsplit_once("address=").unwrap().1.to_owned();
    (process, address)
}

/// A server of a cluster of two, which knows of another one by its address for such.
async fn clustered(name: &str, other: &str) -> NatsServer {
    let config = format!(
        "server_name: {name}\n\
         cluster {{ name: test, listen: \"127.0.0.1:-1\", routes: [\"nats-route://{other}\"] }}"
    );
    NatsServer::builder().config(&config).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_told_which_server_is_waited_for_and_why() {
    let (nats, redis) = tokio::join!(NatsServer::start(), RedisServer::start());
    nats.kill();
    redis.kill();
    let (mut process, operators) = connect(&nats, &redis);
    let address = |url: String| url.split_once("://").unwrap().1.to_owned();
    let until_waiting_for = |process: &mut Process, server: &str, of_log: &str| {
        process.line(of_log);
        let told = get(&operators, "/readyz");
        let (_, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(told.starts_with("HTTP/1.1 503") && body.starts_with(server), "{told}");
        assert!(body.contains("refused"), "{body}");
    };
    let server = format!("waiting for Redis at {}: ", address(redis.url()));
    until_waiting_for(&mut process, &server, "waiting server=\"store\"");
    redis.start_again().await;
    let server = format!("waiting for NATS at {}: ", nats.url());
    until_waiting_for(&mut process, &server, "waiting server=\"bus\"");
    nats.start_again().await;
    process.line("connected to both");
    process.signal();
    assert_eq!(process.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_a_leader_is_waited_for() {
    let redis = RedisServer::start().await;
    // Nobody is there.
    let first = clustered("first", "127.0.0.1:1").await;
    let (mut process, operators) = connect(&first, &redis);
    let line = process.line("waiting");
    assert!(line.contains("NATS does not answer for"), "{line}");
    assert_eq!(get(&operators, "/readyz").lines().next(), Some("HTTP/1.1 503 Service Unavailable"));

    let log = first.log();
    let routes = log.lines().find_map(|line| line.split_once("route connections on "));
    let _second = clustered("second", routes.expect("its address").1.trim()).await;
    process.line("connected to both");
    let ready = get(&operators, "/readyz");
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.ends_with("bus: ok\nstore: ok\n"),
        "{ready}"
    );
    process.signal();
    assert_eq!(process.end().0, 0);
}

/// Nobody turns that on by waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_jetstream_ends_the_program_with_what_to_do() {
    let redis = RedisServer::start().await;
    let nats = NatsServer::builder().without_jetstream().start().await;
    let (code, log) = connect(&nats, &redis).0.end();
    assert_eq!(code, 1, "{log}");
    let words = ["failed: NATS has no JetStream", "enable it (`jetstream {}`"];
    assert!(words.iter().all(|words| log.contains(words)) && !log.contains("waiting"), "{log}");
}
