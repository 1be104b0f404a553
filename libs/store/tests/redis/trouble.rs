//! Servers that end, come back with less, hang, are full, or may not be written to.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use windlass_engine::{event::Order, layout::Expansion, record::StepIndex};
use windlass_servers::{RedisServer, TcpGate};
use windlass_store::{
    Commit, Committed, Created, RedisStore, ShareRequest, Shares, Store, StoreError, Version,
};

use crate::fixture::{LIMIT, commit, config, eventually, new_run, open, run_id, tell};

const STEPS: u32 = 100;

/// Commits to a run one after the other, each of which has it grow by a step, and tells the last version that was acknowledged when the server is gone.
async fn commit_until_it_fails(store: Arc<RedisStore>, run: u32) -> Version {
    let mut version = Version::FIRST;
    loop {
        let number = u32::try_from(version.number).expect("few versions");
        let steps = [number % STEPS, (number * 7 + 3) % STEPS];
        let first = StepIndex(STEPS + number - 1);
        let expansions = vec![Expansion { step: StepIndex(0), first, items: 1 }];
        let step_count = STEPS + number;
        let change = Commit { expansions, step_count, ..commit(run, version, steps.into_iter()) };
        match store.commit(vec![change]).await {
            Ok(done) => match done[..] {
                [Committed::Done(next)] => version = next,
                ref other => panic!("nobody else commits: {other:?}"),
            },
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                return version;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_acknowledged_survives_a_kill_and_the_way_is_found_again() {
    const RUNS: u32 = 8;
    let server = RedisServer::start().await;
    let store = Arc::new(open(&config(&server)).await);
    for run in 0..RUNS {
        assert_eq!(store.create(new_run(run, STEPS)).await, Ok(Created::New));
    }
    let incarnation = store.incarnation().await.unwrap();
    let mut writers = JoinSet::new();
    for run in 0..RUNS {
        let store = Arc::clone(&store);
        writers.spawn(async move { (run, commit_until_it_fails(store, run).await) });
    }
    eventually("some commits", async || {
        let view = store.read_run(run_id(RUNS - 1)).await.unwrap()?;
        (view.version.number > 20).then_some(())
    })
    .await;
    server.kill();
    let acknowledged: BTreeMap<u32, Version> = writers.join_all().await.into_iter().collect();
    assert!(matches!(store.now().await, Err(StoreError::Unavailable(_))));
    server.start_again().await;
    eventually("the way back", async || store.load(run_id(0)).await.ok()).await;
    eventually("the other way back", async || store.now().await.ok()).await;
    for (run, version) in acknowledged {
        let loaded = store.load(run_id(run)).await.unwrap().expect("it is there");
        let now = loaded.view.version;
        assert!(now == version || now.number == version.number + 1, "{now:?} after {version:?}");
        // The latest commit is there as a whole.
        let number = u32::try_from(now.number).unwrap();
        assert_eq!(loaded.view.record.launch_generation, number);
        assert_eq!(loaded.expansions.len() + 1, number as usize);
        assert_eq!(loaded.steps.len(), (STEPS + number - 1) as usize);
        assert_eq!(loaded.steps[((number - 1) % STEPS) as usize].attempt, number);
        let outputs = store.read_outputs(run_id(run), &[StepIndex(0)]).await.unwrap();
        assert_eq!(*outputs[&StepIndex(0)], *format!("{{\"by\":{number}}}"));
    }
    assert_ne!(store.incarnation().await.unwrap(), incarnation);
}

#[tokio::test]
async fn claims_that_a_restart_has_lost_are_asserted_before_others_can_have_them() {
    let server = RedisServer::start().await;
    let mut config = config(&server);
    config.settle_time = Duration::from_secs(2);
    let store = open(&config).await;
    let (run, attempt) = (run_id(1), [(StepIndex(4), 1)]);
    store.create(new_run(1, STEPS)).await.unwrap();
    let kept = [(StepIndex(3), 1)];
    assert_eq!(
        store.claim(run, "one", &kept).await,
        Ok(Some(vec!["one".into()])),
        "no need to settle"
    );
    let before = server.append_only_file_size();
    assert_eq!(store.claim(run, "one", &attempt).await, Ok(Some(vec!["one".into()])));
    let lost = server.append_only_file_size() - before;
    server.kill();
    server.cut_append_only_file(lost);
    server.start_again().await;
    let refused = eventually("an answer", async || match store.claim(run, "two", &attempt).await {
        Err(error) if !error.to_string().contains("settling") => None,
        answer => Some(answer),
    })
    .await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.read_claims(run, &attempt).await, Ok(vec![None]), "it was lost");
    assert_eq!(store.assert_claims(run, "one", &attempt).await, Ok(Some(vec!["one".into()])));
    let both = [attempt[0], kept[0], (StepIndex(5), 1)];
    let claimed = eventually("the end of settling", async || {
        store.claim(run, "two", &both).await.ok().flatten()
    })
    .await;
    assert_eq!(claimed, ["one", "one", "two"].map(Arc::<str>::from));
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time_and_a_commit_is_done_once() {
    let server = RedisServer::start().await;
    let mut config = config(&server);
    config.response_timeout = Duration::from_millis(300);
    let store = open(&config).await;
    let version = eventually("a commit", async || {
        store.create(new_run(1, STEPS)).await.ok()?;
        store.commit(vec![commit(1, Version::FIRST, 0..3)]).await.ok()?;
        Some(store.read_run(run_id(1)).await.ok()??.version)
    })
    .await;
    assert_eq!(version.number, 2);
    let gate = TcpGate::to(server.address()).await;
    config.urls = vec![format!("redis://{}", gate.address())];
    let store = eventually("the way", async || RedisStore::open(&config).await.ok()).await.0;
    gate.half_open();
    let began = Instant::now();
    let read = store.read_run(run_id(1)).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(began.elapsed() < LIMIT, "it gives up");
    gate.open();
    eventually("the way back", async || store.now().await.ok()).await;
    server.pause();
    let asked = store.commit(vec![commit(1, version, 0..3)]).await;
    assert!(matches!(asked, Err(StoreError::Unknown(_))), "{asked:?}");
    server.resume();
    // What was sent is done when the server goes on.
    let after = eventually("the commit", async || {
        let view = store.read_run(run_id(1)).await.ok()??;
        (view.version != version).then_some(view.version)
    })
    .await;
    assert_eq!(after, version.next(commit(1, version, 0..0).commit));
    gate.cut();
    let cut = store.place_order(run_id(1), Order::Cancel).await;
    assert!(cut.is_err_and(|error| error.is_retryable()));
    gate.open();
    eventually("the way back", async || store.place_order(run_id(1), Order::Cancel).await.ok())
        .await;
}

#[tokio::test]
async fn a_server_that_refuses_writes_has_changed_nothing_and_says_why() {
    let server = RedisServer::start().await;
    let store = open(&config(&server)).await;
    for run in 1..=2 {
        store.create(new_run(run, STEPS)).await.unwrap();
    }
    let before = store.load(run_id(1)).await.unwrap().unwrap();
    let refused = async |word: &str| {
        let change = commit(1, Version::FIRST, 0..STEPS);
        let calls = [
            store.commit(vec![change]).await.map(drop),
            store.create(new_run(3, STEPS)).await.map(drop),
            store.place_order(run_id(1), Order::Cancel).await.map(drop),
            store.claim(run_id(1), "one", &[(StepIndex(0), 1)]).await.map(drop),
        ];
        for call in calls {
            let Err(StoreError::Unavailable(why)) = &call else { panic!("{word}: {call:?}") };
            assert!(why.contains(word), "{why}");
        }
        assert_eq!(store.load(run_id(1)).await.unwrap().unwrap(), before, "{word}");
    };
    tell(&server, &["CONFIG", "SET", "maxmemory", "1"]).await;
    refused("OOM").await;
    let removed = store.remove(run_id(2), Version::FIRST).await;
    assert_eq!(removed, Ok(Committed::Done(Version::FIRST)), "that makes room");
    tell(&server, &["CONFIG", "SET", "maxmemory", "0"]).await;
    tell(&server, &["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    refused("NOREPLICAS").await;
    tell(&server, &["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    tell(&server, &["SCRIPT", "FLUSH"]).await;
    let done = store.commit(vec![commit(1, Version::FIRST, 0..STEPS)]).await;
    assert!(matches!(done.unwrap()[..], [Committed::Done(_)]), "scripts are sent again");
}

#[tokio::test]
async fn what_cannot_be_read_of_a_group_is_dropped() {
    let server = RedisServer::start().await;
    let config = config(&server);
    let store = open(&config).await;
    let group = format!("{}:group:scheduler", config.prefix);
    let late = "9999999999999 5000 ";
    tell(&server, &["HSET", &group, "l7", "garbage", "mghost", "", "l1", "12x one"]).await;
    tell(&server, &["HSET", &group, "lxyz", &format!("{late}ghost"), "l2", late]).await;
    tell(&server, &["HSET", &group, "m\u{ff}", late, "l12345678901", &format!("{late}ghost")])
        .await;
    tell(&server, &["HSET", &group, "mghost", "9999999999999 9999999999999"]).await;
    let request = ShareRequest {
        group: "scheduler".into(),
        member: "one".into(),
        leaving: false,
        ttl: Duration::from_mins(1),
        acquire: vec![1, 7],
        release: Vec::new(),
    };
    let shares = store.share(&request).await.unwrap();
    let leases = [1, 7].map(|lease| (lease, "one".into()));
    let expected = Shares { members: ["one".into()].into(), leases: leases.into() };
    assert_eq!(shares, expected);
    tell(&server, &["SET", &group, "no group"]).await;
    assert_eq!(store.share(&request).await.unwrap(), expected);
}
