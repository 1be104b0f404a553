//! Named limits: what a restart has lost, and what is damaged.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use windlass_engine::{
    limits::{LimitConfig, PERIOD_MS_MAX, Rate},
    record::StepIndex,
};
use windlass_servers::{Program, RedisServer};
use windlass_store::{
    Committed, Created, Holder, LimitAnswer, LimitAsk, LimitRequest, LimitView, RedisStore, Store,
    StoreError, Version,
};

use crate::fixture::{commit, config, eventually, new_run, open, run_id, shared, tell};

fn ask(run: u32) -> LimitAsk {
    let holder = Holder { run: run_id(run), step: StepIndex(0), attempt: 1 };
    LimitAsk { holder, limits: Arc::new(["gpu".into()]) }
}

fn asks(runs: &[u32]) -> LimitRequest {
    LimitRequest { asks: runs.iter().copied().map(ask).collect(), ..LimitRequest::default() }
}

fn releases(runs: &[u32]) -> LimitRequest {
    let releases = runs.iter().map(|run| ask(*run).holder).collect();
    LimitRequest { releases, ..LimitRequest::default() }
}

#[expect(clippy::unnecessary_wraps, reason = "as a store answers")]
fn granted(runs: &[u32]) -> Result<LimitAnswer, StoreError> {
    let granted = runs.iter().map(|run| ask(*run).holder).collect();
    Ok(LimitAnswer { granted, next_at: None })
}

/// Asks until the server is there again.
async fn answered(store: &RedisStore, request: &LimitRequest) -> LimitAnswer {
    eventually("an answer", async || store.take_limits("team", request).await.ok()).await
}

#[tokio::test]
async fn limits_that_a_restart_has_lost_are_asserted_before_others_are_granted_them() {
    let server = RedisServer::start().await;
    let mut config = config(&server);
    config.settle_time = Duration::from_secs(2);
    let store = open(&config).await;
    assert_eq!(store.take_limits("team", &asks(&[9])).await, granted(&[9]), "no need to settle");
    assert_eq!(store.take_limits("team", &releases(&[9])).await, granted(&[]));
    let before = server.append_only_file_size();
    assert_eq!(store.take_limits("team", &asks(&[1])).await, granted(&[1]));
    let lost = server.append_only_file_size() - before;
    server.kill();
    server.cut_append_only_file(lost);
    server.start_again().await;

    let told = answered(&store, &asks(&[2, 3])).await;
    let settled = told.next_at.expect("it settles");
    assert_eq!(told.granted, [], "nobody is known to hold it, and nobody gets it");
    let view = LimitView { name: "gpu".into(), config: None, held: 0, waiting: 2 };
    assert_eq!(store.read_limits("team").await, Ok(vec![view.clone()]), "it was lost");
    let known = LimitRequest { holds: vec![ask(1)], ..releases(&[2]) };
    let noted = LimitAnswer { granted: vec![], next_at: Some(settled) };
    assert_eq!(store.take_limits("team", &known).await, Ok(noted));
    let held = LimitAnswer { granted: vec![ask(1).holder], next_at: Some(settled) };
    assert_eq!(store.take_limits("team", &asks(&[1])).await, Ok(held), "it holds it");
    eventually("the end of settling", async || {
        (store.now().await.unwrap() >= settled).then_some(())
    })
    .await;
    assert_eq!(store.take_limits("team", &LimitRequest::default()).await, granted(&[]));
    let view = LimitView { held: 1, waiting: 1, ..view };
    assert_eq!(store.read_limits("team").await, Ok(vec![view]));
    assert_eq!(store.take_limits("team", &releases(&[1])).await, granted(&[3]));
}

#[tokio::test]
async fn what_was_released_while_a_store_settled_is_granted_after_that() {
    let server = RedisServer::start().await;
    let mut config = config(&server);
    config.settle_time = Duration::from_secs(1);
    let store = open(&config).await;
    assert_eq!(store.take_limits("team", &asks(&[1, 2])).await, granted(&[1]));
    server.kill();
    server.start_again().await;
    let told = answered(&store, &releases(&[1])).await;
    let settled = told.next_at.expect("it settles");
    assert_eq!(told.granted, []);
    eventually("the end of settling", async || {
        (store.now().await.unwrap() >= settled).then_some(())
    })
    .await;
    assert_eq!(store.take_limits("team", &LimitRequest::default()).await, granted(&[2]));
}

/// A request that is sent in several parts is one to all who wait.
#[tokio::test]
async fn a_long_request_grants_nothing_that_it_gives_back_itself() {
    let store = open(&config(shared(Program::Valkey).await)).await;
    let many: Vec<u32> = (1..3000).collect();
    assert_eq!(store.take_limits("team", &asks(&many)).await, granted(&[1]));
    assert_eq!(store.take_limits("team", &asks(&many)).await, granted(&[1]));
    assert_eq!(store.take_limits("team", &releases(&many[..2500])).await, granted(&[2501]));
}

/// A limit's name as keys show it, with something behind it.
fn member(name: &str, rest: &[u8]) -> Vec<u8> {
    [&(name.len() as u16).to_be_bytes()[..], name.as_bytes(), rest].concat()
}

fn one_a_day() -> LimitConfig {
    let rate = Rate { starts: NonZeroU32::MIN, period_ms: PERIOD_MS_MAX };
    LimitConfig { size: None, rate: Some(rate) }
}

/// A namespace in which one holds a limit, another one waits for it, and a third one for a rate; and what is kept of it.
async fn with_limits(server: &RedisServer) -> (RedisStore, String) {
    let config = config(server);
    let store = open(&config).await;
    assert_eq!(store.set_limit("team", "mail", Some(one_a_day())).await, granted(&[]));
    assert_eq!(store.take_limits("team", &asks(&[1, 2])).await, granted(&[1]));
    let mails = [3, 4].map(|run| LimitAsk { limits: Arc::new(["mail".into()]), ..ask(run) });
    let mails = LimitRequest { asks: mails.to_vec(), ..LimitRequest::default() };
    let started = store.take_limits("team", &mails).await.expect("answered");
    assert_eq!((started.granted, started.next_at.is_some()), (vec![ask(3).holder], true));
    (store, format!("{}:{{limits:team}}:", config.prefix))
}

/// What is damaged of one namespace harms neither the limits of another one nor a run; and what is kept of it may be removed.
async fn assert_harm_is_contained(store: &RedisStore, server: &RedisServer, prefix: &str) {
    assert_eq!(store.create(new_run(1, 3)).await, Ok(Created::New));
    let done = store.commit(vec![commit(1, Version::FIRST, 0..3)]).await.expect("answered");
    assert!(matches!(done[..], [Committed::Done(_)]), "{done:?}");
    assert_eq!(store.take_limits("others", &asks(&[1])).await, granted(&[1]));
    let keys = ["queue", "held", "starts", "entries", "due", "config", "state"];
    for kind in keys {
        tell(server, &["DEL", &format!("{prefix}{kind}")]).await;
    }
    assert_eq!(store.take_limits("team", &asks(&[2])).await, granted(&[2]));
}

#[tokio::test]
async fn keys_of_another_kind_are_damage_to_the_limits_of_their_namespace() {
    let server = shared(Program::Valkey).await;
    for kind in ["queue", "held", "starts", "entries", "due", "config", "state"] {
        let (store, prefix) = with_limits(server).await;
        tell(server, &["SET", &format!("{prefix}{kind}"), "garbage"]).await;
        let taken = store.take_limits("team", &releases(&[1])).await;
        let Err(StoreError::Damaged(why)) = taken else { panic!("{kind}: {taken:?}") };
        assert!(why.starts_with("limits of the namespace team: "), "{why}");
        let set = store.set_limit("team", "gpu", None).await;
        assert!(matches!(set, Err(StoreError::Damaged(_))), "{kind}: {set:?}");
        assert_harm_is_contained(&store, server, &prefix).await;
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_damage_to_the_limits_of_its_namespace() {
    let server = shared(Program::Valkey).await;
    let entry =
        |run: u32| [&run_id(run).as_str().as_bytes()[4..], &[0, 0, 0, 0, 0, 0, 0, 1]].concat();
    let damage: [(&str, &str, &[u8], Vec<u8>); 6] = [
        ("queue", "ZADD", b"0", member("gpu", b"\0garbage")),
        ("entries", "ZADD", b"0", [&entry(2)[..], b"x"].concat()),
        ("entries", "ZADD", b"0", [&entry(1)[..], b"h\0\0\0\0\0\0\0\x01\0\x09gpu"].concat()),
        ("starts", "ZADD", b"0", member("mail", b"\xfe")),
        ("config", "HSET", b"gpu", b"three numbers".to_vec()),
        ("state", "HSET", b"since", b"garbage".to_vec()),
    ];
    for (kind, command, first, second) in damage {
        let (store, prefix) = with_limits(server).await;
        let what = second.escape_ascii().to_string();
        tell_bytes(
            server,
            &[command.as_bytes(), format!("{prefix}{kind}").as_bytes(), first, &second],
        )
        .await;
        let all = [
            store.take_limits("team", &releases(&[1])).await,
            store.take_limits("team", &asks(&[2, 5])).await,
            store.set_limit("team", "mail", Some(one_a_day())).await,
            store.set_limit("team", "gpu", None).await,
        ];
        let is_damaged = |it: &Result<_, _>| matches!(it, Err(StoreError::Damaged(_)));
        assert!(all.iter().any(is_damaged), "{kind} {what}: {all:?}");
        assert_harm_is_contained(&store, server, &prefix).await;
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_said_to_those_who_read_it() {
    let server = shared(Program::Valkey).await;
    for (kind, garbage) in
        [("held", member("gpu", b"\0")), ("entries", b"0".to_vec()), ("queue", b"\0\xff".to_vec())]
    {
        let (store, prefix) = with_limits(server).await;
        tell_bytes(server, &[b"ZADD", format!("{prefix}{kind}").as_bytes(), b"0", &garbage]).await;
        let damaged = [
            store.read_holders("team", "gpu", 9).await.is_err(),
            store.limited_runs("team").await.is_err(),
            store.read_limits("team").await.is_err(),
        ];
        assert_eq!(damaged, ["held", "entries", "queue"].map(|it| it == kind), "{kind}");
    }
    let (store, prefix) = with_limits(server).await;
    tell(server, &["HSET", &format!("{prefix}config"), "gpu", "1 2"]).await;
    let read = store.read_limits("team").await;
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
}

/// The same as [`tell`] with words that are no text.
async fn tell_bytes(server: &RedisServer, words: &[&[u8]]) {
    let client = redis::Client::open(server.url()).expect("the server does it");
    let mut connection =
        client.get_multiplexed_async_connection().await.expect("the server does it");
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command.exec_async(&mut connection).await.expect("the server does it");
}
