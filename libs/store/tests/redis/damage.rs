//! Keys that hold what they should not, or are gone: whose run they are of, and nobody else, is harmed.

use std::sync::Arc;

use redis::{RedisResult, Value, from_redis_value};
use windlass_engine::{
    event::Order,
    layout::Expansion,
    record::{AttemptEnd, AttemptRecord, RunRecord, RunState, StepIndex},
    time::Timestamp,
};
use windlass_proto::{id::RunId, v1};
use windlass_servers::{Program, RedisServer};
use windlass_store::{
    Amendment, Commit, Committed, Created, RedisConfig, RedisStore, RunQuery, Store, StoreError,
    Version,
};

use crate::fixture::{
    cluster_config, commit, config, new_run, open, run_id, shared, shared_cluster, tell_at,
};

/// What runs begin with, and what they grow to.
const STEPS: u32 = 3;
const GROWN: u32 = 303;

/// A store, and a way past it.
struct Stand {
    store: RedisStore,
    config: RedisConfig,
    nodes: Vec<String>,
}

impl Stand {
    async fn on(servers: &[RedisServer], config: RedisConfig) -> Self {
        let nodes = servers.iter().map(RedisServer::url).collect();
        Self { store: open(&config).await, config, nodes }
    }

    async fn one(program: Program) -> Self {
        let server = shared(program).await;
        // What is asked of runs of one partition is asked in one go.
        let config = RedisConfig { partitions: 1, ..config(server) };
        Self::on(std::slice::from_ref(server), config).await
    }

    /// A key of a run.
    fn key(&self, kind: &str, run: RunId) -> String {
        let RedisConfig { prefix, partitions, .. } = &self.config;
        let id = run.as_str().trim_start_matches("run_");
        format!("{prefix}:{{{}}}:{kind}:{id}", run.partition(*partitions))
    }

    /// What is kept of all runs of a run's partition under this name.
    fn shared_key(&self, name: &str, run: RunId) -> String {
        let RedisConfig { prefix, partitions, .. } = &self.config;
        format!("{prefix}:{{{}}}:{name}", run.partition(*partitions))
    }

    /// Has the node do it that has the key.
    async fn tell(&self, words: &[&str]) -> Value {
        let mut refused: Option<RedisResult<Value>> = None;
        for node in &self.nodes {
            match tell_at(node, words).await {
                Ok(answer) => return answer,
                refusal => refused = Some(refusal),
            }
        }
        panic!("{words:?}: {refused:?}")
    }

    async fn bytes(&self, words: &[&str]) -> Vec<u8> {
        from_redis_value(self.tell(words).await).expect("a text")
    }

    /// The names of all keys that are a run's.
    async fn keys_of(&self, run: RunId) -> Vec<String> {
        let id = run.as_str().trim_start_matches("run_");
        let pattern = format!("{}:*{id}*", self.config.prefix);
        let mut keys = Vec::new();
        for node in &self.nodes {
            let found = tell_at(node, &["KEYS", &pattern]).await.expect("listed");
            keys.extend(from_redis_value::<Vec<String>>(found).expect("names"));
        }
        keys
    }

    async fn list(&self, query: &RunQuery) -> Vec<RunId> {
        let views = self.store.list_runs(query, 100).await.expect("it can be listed");
        views.iter().map(|view| view.submission.id).collect()
    }

    /// A run that has ended, or one that has not, with something of every kind kept of it.
    async fn create(&self, run: u32, state: RunState) -> Version {
        assert_eq!(self.store.create(new_run(run, STEPS)).await, Ok(Created::New));
        let claims = [(StepIndex(0), 1), (StepIndex(GROWN - 1), 1)];
        self.store.claim(run_id(run), "one", &claims).await.expect("claimed");
        let mut change = commit(run, Version::FIRST, 0..STEPS);
        change.expansions = vec![expansion(STEPS, GROWN - STEPS)];
        change.step_count = GROWN;
        change.record = RunRecord { state, ended_at: Timestamp(run.into()), ..change.record };
        change.attempts = vec![attempt(1)];
        let done = self.store.commit(vec![change]).await.expect("committed");
        let [Committed::Done(version)] = done[..] else { panic!("{done:?}") };
        version
    }
}

fn expansion(first: u32, items: u32) -> Expansion {
    Expansion { step: StepIndex(0), first: StepIndex(first), items }
}

fn attempt(number: u32) -> AttemptRecord {
    AttemptRecord {
        step: StepIndex(1),
        attempt: number,
        queued_at: Timestamp(1),
        started_at: Timestamp(2),
        ended_at: Timestamp(3),
        end: AttemptEnd::Withdrawn,
    }
}

/// What can happen to a run of which nothing can be read any more; the last field says whether its state still can be.
const UNREADABLE: [(&str, &str, &[&str], bool); 9] = [
    ("a head overwritten in the middle", "h", &["SETRANGE", "KEY", "30", "garbage garbage"], false),
    ("a head that contradicts itself", "h", &["SETRANGE", "KEY", "34", "\u{9}"], false),
    ("a head cut off", "h", &["SET", "KEY", "short"], false),
    ("an order cut off", "h", &["APPEND", "KEY", "half an order"], false),
    ("a head of another kind", "h", &["RPUSH", "KEY", "a list"], false),
    ("a head that is gone", "h", &["DEL", "KEY"], false),
    ("a submission cut off", "s", &["SET", "KEY", "short"], true),
    ("a submission of another kind", "s", &["RPUSH", "KEY", "a list"], true),
    ("a submission that is gone", "s", &["DEL", "KEY"], true),
];

impl Stand {
    async fn damage(&self, run: RunId, kind: &str, words: &[&str]) {
        let key = self.key(kind, run);
        if words[0] == "RPUSH" {
            self.tell(&["DEL", &key]).await;
        }
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "KEY" { &key } else { *word }).collect();
        self.tell(&words).await;
    }

    /// Two runs that are well and two that are not: the others see nothing of it, and it can be removed.
    async fn harms_its_run_alone(&self, what: &str, kind: &str, words: &[&str], keeps_state: bool) {
        let store = &self.store;
        let versions = [
            self.create(1, RunState::Succeeded).await,
            self.create(2, RunState::Succeeded).await,
            self.create(3, RunState::Running).await,
            self.create(4, RunState::Running).await,
        ];
        for run in [2, 4].map(run_id) {
            self.damage(run, kind, words).await;
            let gone = kind == "h" && words[0] == "DEL";
            let read = store.read_run(run).await;
            assert_eq!(read.is_ok(), gone, "{what}: {read:?}");
            assert_eq!(matches!(store.read_record(run).await, Ok(Some(_))), keeps_state, "{what}");
        }
        let everything = RunQuery::default();
        let namespace = RunQuery { namespace: Some("team".into()), ..RunQuery::default() };
        let states = vec![v1::RunState::Running, v1::RunState::Succeeded];
        let in_states = RunQuery { states, ..RunQuery::default() };
        for query in [&everything, &namespace, &in_states] {
            assert_eq!(self.list(query).await, [3, 1].map(run_id), "{what}");
        }
        let finished = store.finished_runs(1).await.expect("found");
        assert_eq!(finished.oldest[0].run, run_id(1), "{what}");
        let finished = store.finished_runs(2).await.expect("found");
        assert_eq!((finished.total, finished.oldest.len()), (1, 1), "{what}");

        let both = vec![commit(4, versions[3], 0..1), commit(3, versions[2], 0..1)];
        let outcomes = store.commit(both).await.expect("answered");
        assert!(matches!(outcomes[1], Committed::Done(_)), "{what}: {outcomes:?}");
        assert_eq!(matches!(outcomes[0], Committed::Done(_)), keeps_state, "{what}: {outcomes:?}");

        for run in [2, 4].map(run_id) {
            assert_eq!(store.remove_damaged(run).await, Ok(true), "{what}");
            assert_eq!(self.keys_of(run).await, [self.key("x", run)], "{what}: all but a memory");
            assert_eq!(store.remove_damaged(run).await, Ok(false), "{what}: it is gone");
            assert_eq!(store.read_run(run).await, Ok(None), "{what}");
        }
        assert_eq!(store.create(new_run(2, STEPS)).await, Ok(Created::Removed), "{what}");
        assert_eq!(store.remove_damaged(run_id(1)).await, Ok(false), "{what}: it can be read");
        assert_eq!(self.list(&everything).await, [3, 1].map(run_id), "{what}");
        let partitions = self.config.partitions;
        let active = store.active_runs(run_id(4).partition(partitions), partitions).await;
        assert!(!active.expect("read").contains(&run_id(4)), "{what}");
        for state in 1..=7 {
            let index = self.shared_key(&format!("state:{state}"), run_id(4));
            let members = self.tell(&["ZRANGE", &index, "0", "-1"]).await;
            let members: Vec<Vec<u8>> = from_redis_value(members).expect("members");
            let (run, prefix) = (run_id(4), "run_".len());
            let leads_there =
                |member: &Vec<u8>| member.ends_with(&run.as_str().as_bytes()[prefix..]);
            assert!(!members.iter().any(leads_there), "{what}");
        }
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_read_is_passed_over_by_all_that_look_at_many_and_can_be_removed() {
    for (what, kind, words, keeps_state) in UNREADABLE {
        for program in [Program::Valkey, Program::Redis] {
            let stand = Stand::one(program).await;
            stand.harms_its_run_alone(what, kind, words, keeps_state).await;
        }
        let cluster = shared_cluster().await;
        let stand = Stand::on(cluster, cluster_config(cluster)).await;
        stand.harms_its_run_alone(what, kind, words, keeps_state).await;
    }
}

#[tokio::test]
async fn a_commit_to_a_damaged_run_is_refused_as_a_whole_and_the_others_of_the_call_are_done() {
    let stand = Stand::one(Program::Valkey).await;
    let mut good = stand.create(1, RunState::Running).await;
    let bad = stand.create(2, RunState::Running).await;
    let (run, key) = (run_id(2), |kind| stand.key(kind, run_id(2)));
    let whole = |version| Commit { attempts: vec![attempt(2)], ..commit(2, version, 0..STEPS) };
    let cases: [(&str, Vec<&str>); 5] = [
        ("t", vec!["SETRANGE", "KEY", "9694", "longer"]),
        ("t", vec!["SET", "KEY", "shorter"]),
        ("t", vec!["DEL", "KEY"]),
        ("t", vec!["RPUSH", "KEY", "a list"]),
        ("d", vec!["RPUSH", "KEY", "a list"]),
    ];
    for (kind, words) in cases {
        let (head, saved) = (stand.bytes(&["GET", &key("h")]).await, key("saved"));
        stand.tell(&["COPY", &key(kind), &saved]).await;
        stand.damage(run, kind, &words).await;
        let outcomes =
            stand.store.commit(vec![whole(bad), commit(1, good, 0..1)]).await.expect("answered");
        let [Committed::Damaged(why), Committed::Done(version)] = &outcomes[..] else {
            panic!("{words:?}: {outcomes:?}")
        };
        assert!(why.contains(run.as_str()), "{why}");
        good = *version;
        assert_eq!(stand.bytes(&["GET", &key("h")]).await, head, "{words:?}");
        stand.tell(&["DEL", &key(kind)]).await;
        stand.tell(&["RENAME", &saved, &key(kind)]).await;
    }
    // What a commit does not touch does not stop it: so a run is failed whose steps cannot be read.
    stand.damage(run, "t", &["SET", "KEY", "shorter"]).await;
    stand.damage(run, "d", &["RPUSH", "KEY", "a list"]).await;
    assert!(matches!(stand.store.load(run).await, Err(StoreError::Damaged(_))));
    let end = Commit { outputs: Vec::new(), ..commit(2, bad, 0..0) };
    let done = stand.store.commit(vec![end]).await.expect("answered");
    assert!(matches!(done[..], [Committed::Done(_)]), "{done:?}");
    let version = stand.store.read_run(run).await.expect("read").expect("there").version;
    let removed = stand.store.remove(run, version).await;
    assert_eq!(removed, Ok(Committed::Done(version)), "it has a version to be trusted");
}

/// What can happen to what is kept of the growth of a run; the last field says whether who adds to it sees that.
const NO_GROWTH: [(&str, &str, &[&str], bool); 8] = [
    ("expansions of another kind", "e", &["RPUSH", "KEY", "a list"], true),
    ("expansions cut off", "e", &["SET", "KEY", "short"], true),
    ("an expansion that goes on", "e", &["SETRANGE", "KEY", "12", "more"], true),
    ("more items than there are steps for", "e", &["SETRANGE", "KEY", "9", "\u{2}"], false),
    ("items in the midst of other steps", "e", &["SETRANGE", "KEY", "4", "\u{2}"], false),
    ("expansions that are gone", "e", &["DEL", "KEY"], false),
    ("fewer steps than there were", "h", &["SETRANGE", "KEY", "22", ","], true),
    ("more steps than there were", "h", &["SETRANGE", "KEY", "24", "\u{7}"], true),
];

#[tokio::test]
async fn damage_to_the_growth_of_a_run_harms_that_run_alone() {
    let stand = Stand::one(Program::Valkey).await;
    let store = &stand.store;
    let mut good = stand.create(1, RunState::Running).await;
    let well = store.load(run_id(1)).await.expect("read").expect("there").expansions;
    assert_eq!(well, [expansion(STEPS, GROWN - STEPS)]);
    for (number, (what, kind, words, is_seen)) in (2..).zip(NO_GROWTH) {
        let (bad, run) = (stand.create(number, RunState::Running).await, run_id(number));
        stand.damage(run, kind, words).await;
        assert!(matches!(store.load(run).await, Err(StoreError::Damaged(_))), "{what}");
        let expansions = store.read_expansions(run, 0).await;
        let is_whole = kind == "h" && expansions == Ok(Some(well.clone()));
        let is_damaged = matches!(expansions, Err(StoreError::Damaged(_)));
        assert!(is_whole || is_damaged, "{what}: {expansions:?}");
        let view = store.read_run(run).await.expect("read").expect("there");
        assert_eq!(view.version, bad, "{what}");
        assert_eq!(stand.list(&RunQuery::default()).await, [run, run_id(1)], "{what}");
        let step_count = view.step_count.max(GROWN) + 1;
        let expansions = vec![expansion(step_count - 1, 1)];
        let growth = Commit { expansions, step_count, ..commit(number, bad, 0..1) };
        let both = vec![growth, commit(1, good, 0..1)];
        let outcomes = store.commit(both).await.expect("answered");
        let [of_bad, Committed::Done(version)] = &outcomes[..] else {
            panic!("{what}: {outcomes:?}")
        };
        assert_eq!(matches!(of_bad, Committed::Damaged(_)), is_seen, "{what}: {outcomes:?}");
        assert!(matches!(store.load(run).await, Err(StoreError::Damaged(_))), "{what}");
        good = *version;

        let bad = store.read_record(run).await.expect("read").expect("there").0;
        let end = Commit { outputs: Vec::new(), ..commit(number, bad, 0..0) };
        let ended = store.commit(vec![end]).await.expect("answered");
        let [Committed::Done(bad)] = ended[..] else { panic!("{what}: {ended:?}") };
        assert_eq!(store.remove(run, bad).await, Ok(Committed::Done(bad)), "{what}");
        assert_eq!(stand.keys_of(run).await, [stand.key("x", run)], "{what}: all but a memory");
    }
    let loaded = store.load(run_id(1)).await.expect("read").expect("there");
    assert_eq!((loaded.view.version, loaded.expansions), (good, well));
}

#[tokio::test]
async fn an_order_that_means_nothing_can_be_taken_and_leaves_the_run_itself_readable() {
    let stand = Stand::one(Program::Valkey).await;
    let (store, run) = (&stand.store, run_id(1));
    let version = stand.create(1, RunState::Running).await;
    store.place_order(run, Order::Pause).await.expect("placed");
    // Of sequence 9, one byte long, and no message.
    stand.tell(&["APPEND", &stand.key("h", run), "\u{9}\0\0\0\u{1}\0\0\0\u{7}"]).await;
    let is_damage = |error: &StoreError| matches!(error, StoreError::Damaged(_));
    assert!(store.read_orders(run).await.is_err_and(|error| is_damage(&error)));
    assert!(store.load(run).await.is_err_and(|error| is_damage(&error)));
    assert_eq!(store.read_record(run).await.expect("read").expect("there").0, version);
    let end = Commit { orders_taken: Some(u64::MAX), ..commit(1, version, 0..0) };
    let done = store.commit(vec![end]).await.expect("answered");
    assert!(matches!(done[..], [Committed::Done(_)]), "{done:?}");
    assert_eq!(store.read_orders(run).await, Ok(vec![]));
}

#[tokio::test]
async fn expansions_that_are_all_that_is_left_of_a_run_are_removed() {
    let stand = Stand::one(Program::Valkey).await;
    let run = run_id(1);
    stand.tell(&["SET", &stand.key("e", run), "expansions"]).await;
    assert_eq!(stand.store.remove_damaged(run).await, Ok(true));
    assert_eq!(stand.keys_of(run).await, [stand.key("x", run)]);
}

#[tokio::test]
async fn attempts_that_are_cut_off_do_not_stop_a_commit_half_way() {
    let stand = Stand::one(Program::Valkey).await;
    let version = stand.create(1, RunState::Running).await;
    let key = stand.key("d", run_id(1));
    let stored = stand.bytes(&["HGET", &key, "a1"]).await;
    let client = redis::Client::open(&*stand.nodes[0]).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let cut = [&stored[..], &stored[..stored.len() - 1]].concat();
    let () =
        redis::cmd("HSET").arg(&key).arg("a1").arg(cut).query_async(&mut connection).await.unwrap();
    assert!(stand.store.read_attempts(run_id(1), StepIndex(1)).await.is_err());
    let change = Commit { attempts: vec![attempt(2)], ..commit(1, version, 0..STEPS) };
    let done = stand.store.commit(vec![change]).await.expect("answered");
    assert!(matches!(done[..], [Committed::Done(_)]), "{done:?}");
    let attempts = stand.store.read_attempts(run_id(1), StepIndex(1)).await;
    assert_eq!(attempts, Ok(vec![attempt(1), attempt(2)]), "what can be read stays");
}

#[tokio::test]
async fn a_claim_that_names_no_holder_is_damage_and_no_claim_of_nobody() {
    let stand = Stand::one(Program::Valkey).await;
    for run in [1, 2] {
        stand.create(run, RunState::Running).await;
    }
    let (run, damaged, other) = (run_id(1), [(StepIndex(0), 1)], [(StepIndex(1), 1)]);
    let key = stand.key("c", run) + ":0";
    let fields: Vec<String> = from_redis_value(stand.tell(&["HKEYS", &key]).await).unwrap();
    stand.tell(&["HSET", &key, &fields[0], "garbage"]).await;
    let is_damage = |error: &StoreError| matches!(error, StoreError::Damaged(_));
    let claimed = stand.store.claim(run, "two", &damaged).await;
    assert!(claimed.as_ref().is_err_and(is_damage), "{claimed:?}");
    let read = stand.store.read_claims(run, &damaged).await;
    assert!(read.as_ref().is_err_and(is_damage), "{read:?}");
    assert_eq!(stand.store.claim(run, "two", &other).await, Ok(Some(vec!["two".into()])));
    stand.tell(&["SET", &key, "garbage"]).await;
    for attempts in [&damaged, &other] {
        let claimed = stand.store.claim(run, "two", attempts).await;
        assert!(claimed.as_ref().is_err_and(is_damage), "{claimed:?}");
    }
    let holders: Result<_, StoreError> = Ok(vec![Some(Arc::<str>::from("one"))]);
    assert_eq!(stand.store.read_claims(run_id(2), &damaged).await, holders, "another run's");
}

#[tokio::test]
async fn what_names_no_run_in_an_index_is_passed_over() {
    let stand = Stand::one(Program::Valkey).await;
    for run in [1, 2] {
        stand.create(run, RunState::Succeeded).await;
    }
    stand
        .store
        .place_order(run_id(2), Order::Retry { from: None, changes: None })
        .await
        .expect("placed");
    for run in [1, 2].map(run_id) {
        stand.tell(&["SADD", &stand.shared_key("active", run), "garbage"]).await;
        stand.tell(&["ZADD", &stand.shared_key("finished", run), "0", "garbage"]).await;
        for index in ["state:5", "namespace:team"] {
            stand.tell(&["ZADD", &stand.shared_key(index, run), "0", "garbage"]).await;
        }
    }
    assert_eq!(stand.store.active_runs(0, 1).await, Ok(vec![run_id(2)]));
    let finished = stand.store.finished_runs(1).await.expect("found");
    assert_eq!(finished.oldest[0].run, run_id(1));
    assert_eq!(stand.list(&RunQuery::default()).await, [2, 1].map(run_id));
    let namespace = RunQuery { namespace: Some("team".into()), ..RunQuery::default() };
    assert_eq!(stand.list(&namespace).await, [2, 1].map(run_id));
}

#[tokio::test]
async fn an_amendment_that_cannot_be_understood_harms_its_run_alone() {
    let stand = Stand::one(Program::Valkey).await;
    for (run, words) in [
        (2, ["HSET", "KEY", "m", "garbage"].as_slice()),
        (4, &["HSET", "KEY", "m", "behind a number\u{7}"]),
        (3, &["RPUSH", "KEY", "a list"]),
    ] {
        for number in [1, run] {
            let version = match stand.store.read_run(run_id(number)).await.expect("read") {
                Some(view) => view.version,
                None => stand.create(number, RunState::Failed).await,
            };
            let mut change = commit(number, version, 0..1);
            change.record.retries = 1;
            change.amendment = Some(Arc::new(Amendment::default()));
            let done = stand.store.commit(vec![change]).await.expect("answered");
            assert!(matches!(done[..], [Committed::Done(_)]), "{done:?}");
        }
        stand.damage(run_id(run), "d", words).await;
        let (bad, good) = (stand.store.read_run(run_id(run)), stand.store.read_run(run_id(1)));
        assert!(matches!(bad.await, Err(StoreError::Damaged(_))), "{words:?}");
        assert!(good.await.expect("read").expect("there").amendment.is_some());
        assert!(matches!(stand.store.load(run_id(run)).await, Err(StoreError::Damaged(_))));
        assert!(stand.store.read_record(run_id(run)).await.expect("read").is_some());
        assert_eq!(stand.list(&RunQuery::default()).await, [run_id(1)]);
        assert_eq!(stand.store.remove_damaged(run_id(run)).await, Ok(true));
        assert_eq!(stand.store.read_run(run_id(run)).await, Ok(None));
    }
}
