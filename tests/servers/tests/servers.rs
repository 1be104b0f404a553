//! The servers are what tests take them for.

use std::{
    env,
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use windlass_servers::{NatsServer, Program, RedisServer, TcpGate};

const PATIENCE: Duration = Duration::from_secs(30);

/// Connects, says something, and answers with the first line that comes back; none where the connection ends.
async fn say(server: SocketAddr, words: &str) -> Option<String> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    stream.write_all(words.as_bytes()).await.ok()?;
    let (mut stream, mut line) = (BufReader::new(stream), String::new());
    let read = timeout(PATIENCE, stream.read_line(&mut line));
    (read.await.expect("a line or the end").ok()? > 0).then_some(line)
}

async fn redis(server: &RedisServer, words: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.expect("it listens");
    stream.write_all(format!("{words}\r\n").as_bytes()).await.expect("it reads");
    let mut lines = BufReader::new(stream).lines();
    let mut answer = lines.next_line().await.expect("it answers");
    if answer.as_ref().is_some_and(|it| it.starts_with('$') && it != "$-1") {
        answer = lines.next_line().await.expect("it answers");
    }
    answer.expect("it answers")
}

async fn until_gone(server: SocketAddr) {
    let limit = Instant::now() + PATIENCE;
    while TcpStream::connect(server).await.is_ok() {
        assert!(Instant::now() < limit, "{server} still answers");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_nats_server_answers_is_killed_and_comes_back() {
    let server = NatsServer::builder().config("server_name: spare").start().await;
    let info = say(server.address(), "").await.expect("it answers");
    assert!(info.contains(r#""jetstream":true"#) && info.contains("spare"), "{info}");
    server.kill();
    assert_eq!(say(server.address(), "").await, None);
    server.start_again().await;
    assert!(say(server.address(), "").await.is_some());
    server.restart().await;
    assert!(say(server.address(), "").await.is_some());
    let address = server.address();
    drop(server);
    until_gone(address).await;
}

#[tokio::test]
async fn one_server_is_shared_while_somebody_holds_it() {
    let (one, other) = tokio::join!(NatsServer::shared(), NatsServer::shared());
    assert_eq!(one.url(), other.url());
    drop(one);
    assert!(say(other.address(), "").await.is_some());
}

#[tokio::test]
async fn what_a_valkey_server_answered_survives_and_can_be_cut_off_or_set_back() {
    survives_and_can_be_cut_off_or_set_back(Program::Valkey).await;
}

#[tokio::test]
async fn what_a_redis_server_answered_survives_and_can_be_cut_off_or_set_back() {
    let missing = std::panic::catch_unwind(|| Program::Redis.find()).is_err();
    if missing && env::var_os("CI").is_none() {
        println!("not tried: redis-server is missing");
        return;
    }
    survives_and_can_be_cut_off_or_set_back(Program::Redis).await;
}

async fn survives_and_can_be_cut_off_or_set_back(program: Program) {
    let server = RedisServer::builder().program(program).start().await;
    assert_eq!(redis(&server, "SET key 1").await, "+OK");
    server.kill();
    server.start_again().await;
    assert_eq!(redis(&server, "GET key").await, "1");
    let saved = server.save_state();
    let size = server.append_only_file_size();
    assert_eq!(redis(&server, "SET key 2").await, "+OK");
    server.set_back(&saved).await;
    assert_eq!(redis(&server, "GET key").await, "1");
    assert_eq!(redis(&server, "SET key 3").await, "+OK");
    let written = server.append_only_file_size() - size;
    server.kill();
    assert_eq!(server.cut_append_only_file(written), size);
    server.start_again().await;
    assert_eq!(redis(&server, "GET key").await, "1");
    server.wipe().await;
    assert_eq!(redis(&server, "GET key").await, "$-1");
    server.pause();
    let answer = timeout(Duration::from_millis(50), redis(&server, "PING")).await;
    assert!(answer.is_err(), "it is paused");
    server.resume();
    assert_eq!(redis(&server, "PING").await, "+PONG");
}

#[tokio::test]
async fn a_gate_parts_and_joins() {
    let server = RedisServer::start().await;
    let gate = TcpGate::to(server.address()).await;
    assert_eq!(say(gate.address(), "PING\r\n").await.as_deref(), Some("+PONG\r\n"));
    let mut stream = BufReader::new(TcpStream::connect(gate.address()).await.unwrap());
    gate.half_open();
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut line = String::new();
    let silent = timeout(Duration::from_millis(50), stream.read_line(&mut line)).await.is_err();
    assert!(silent, "nothing passes");
    gate.open();
    timeout(PATIENCE, stream.read_line(&mut line)).await.expect("it passes now").unwrap();
    assert_eq!(line, "+PONG\r\n");
    gate.cut();
    line.clear();
    let ended = timeout(PATIENCE, stream.read_line(&mut line)).await.expect("it is ended");
    assert!(matches!(ended, Ok(0) | Err(_)), "{line}");
    assert_eq!(say(gate.address(), "PING\r\n").await, None);
    gate.open();
    assert!(say(gate.address(), "PING\r\n").await.is_some());
}

/// Set where a test program is started by the test below to die with a server.
const DIES: &str = "WINDLASS_SERVERS_TEST_DIES";

#[tokio::test]
async fn a_server_ends_with_the_process_that_started_it() {
    if env::var_os(DIES).is_some() {
        let server = NatsServer::start().await;
        println!("\naddress={}", server.address());
        std::process::abort();
    }
    let this = "a_server_ends_with_the_process_that_started_it";
    let directory = tempfile::tempdir().unwrap();
    let died = Command::new(env::current_exe().unwrap())
        .args([this, "--exact", "--nocapture"])
        .env(DIES, "1")
        .env("TMPDIR", directory.path())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(died.stdout).unwrap();
    let address = said.lines().find_map(|line| line.strip_prefix("address="));
    until_gone(address.expect(&said).parse().unwrap()).await;
}
