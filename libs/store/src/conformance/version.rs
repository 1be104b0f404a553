//! Creating, committing and removing, and what a version protects.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::sync::Arc;

use windlass_engine::{
    event::Order,
    record::{RunRecord, RunState, StepIndex, StepRecord},
};

use super::fixture::{
    attempt, commit, commit_to, create, new_run, output, read, run_id, step_record,
};
use crate::{Committed, Created, NewRun, Placed, RunQuery, Store, StoreError, StoredRun, Version};

/// The store's time does not go back, and a run was created between two moments of it.
pub async fn time_goes_forward(store: Arc<dyn Store>) {
    let before = store.now().await.expect("a time");
    let created_at = create(&*store, 1, 1).await.created_at;
    let after = store.now().await.expect("a time");
    assert!(before <= created_at && created_at <= after, "{before:?} {created_at:?} {after:?}");
}

/// All that was submitted is there, and nothing has happened to it.
pub async fn a_created_run_is_read_as_it_was_submitted(store: Arc<dyn Store>) {
    let NewRun { submission, pipeline, record } = new_run(1, 70);
    let view = create(&*store, 1, 70).await;
    assert_eq!(*view.submission, submission);
    assert_eq!((view.version.number, &view.record, view.step_count), (1, &record, 70));
    let loaded = store.load(run_id(1)).await;
    let steps = vec![StepRecord::default(); 70];
    let (expansions, orders) = (vec![], vec![]);
    let expected = StoredRun { view, steps, expansions, pipeline: pipeline.clone(), orders };
    assert_eq!(loaded, Ok(Some(expected)));
    assert_eq!(store.read_pipeline(run_id(1)).await, Ok(Some(pipeline)));
    assert_eq!(store.read_record(run_id(1)).await, Ok(Some((Version::FIRST, record))));
}

/// Creating a run again tells the first one's digest and changes nothing.
pub async fn a_run_is_created_once(store: Arc<dyn Store>) {
    let first = create(&*store, 1, 3).await;
    let mut other = new_run(1, 9);
    other.submission.digest = [99; 32];
    let existed = Created::Existed { digest: first.submission.digest };
    assert_eq!(store.create(other).await, Ok(existed));
    assert_eq!(read(&*store, 1).await, first);
}

/// An older number, or the same number of another history: refused as a whole.
pub async fn a_commit_to_another_version_changes_nothing(store: Arc<dyn Store>) {
    let old = create(&*store, 1, 3).await;
    commit(&*store, commit_to(&old)).await;
    store.place_order(run_id(1), Order::Pause).await.expect("placed");
    let before = store.load(run_id(1)).await;
    let Version { number, commit } = read(&*store, 1).await.version;
    let others = [
        old.version,
        Version { number, commit: commit + 1 },
        Version { number: number + 1, commit },
    ];
    for expected in others {
        let mut change = commit_to(&old);
        change.expected = expected;
        change.record.state = RunState::Failed;
        change.steps = vec![(StepIndex(1), step_record(1))];
        change.attempts = vec![attempt(1, 1, "exit code 2")];
        change.outputs = vec![output(1, "{}")];
        change.orders_taken = Some(u64::MAX);
        assert_eq!(store.commit(vec![change]).await, Ok(vec![Committed::Conflict]), "{expected:?}");
    }
    assert_eq!(store.load(run_id(1)).await, before);
    assert_eq!(store.read_attempts(run_id(1), StepIndex(1)).await, Ok(vec![]));
    assert!(store.read_outputs(run_id(1), &[StepIndex(1)]).await.expect("read").is_empty());
}

/// One conflict in a batch is no other commit's, and two commits to one run follow each other.
pub async fn commits_of_a_batch_succeed_or_fail_on_their_own(store: Arc<dyn Store>) {
    let (one, two) = (create(&*store, 1, 2).await, create(&*store, 2, 2).await);
    let mut stale = commit_to(&two);
    stale.expected.number += 1;
    let mut unknown = commit_to(&two);
    unknown.run = run_id(3);
    let first = commit_to(&one);
    let mut second = first.clone();
    second.expected = Version { number: 2, commit: first.commit };
    second.commit += 1;
    second.steps = vec![(StepIndex(1), step_record(5))];
    let latest = Version { number: 3, commit: second.commit };
    let answers = store.commit(vec![stale, first, unknown, second]).await.expect("answered");
    let expected = [
        Committed::Conflict,
        Committed::Done(Version { number: 2, commit: latest.commit - 1 }),
        Committed::Conflict,
        Committed::Done(latest),
    ];
    assert_eq!(answers, expected);
    assert_eq!(read(&*store, 2).await, two);
    let (view, steps) = store.read_step_range(run_id(1), 0..2).await.expect("read").expect("there");
    assert_eq!((view.version, steps), (latest, vec![StepRecord::default(), step_record(5)]));
}

/// However many commit to one version at once, one is done and it is whole.
pub async fn of_those_who_race_for_a_version_one_wins(store: Arc<dyn Store>) {
    let view = create(&*store, 1, 16).await;
    let racers: Vec<_> = (0..16_u32)
        .map(|racer| {
            let (store, mut change) = (Arc::clone(&store), commit_to(&view));
            change.commit = u64::from(racer) + 100;
            change.steps = vec![(StepIndex(racer), step_record(racer + 1))];
            tokio::spawn(async move { store.commit(vec![change]).await.expect("answered") })
        })
        .collect();
    let mut winners = Vec::new();
    for (racer, task) in (0_u32..).zip(racers) {
        match task.await.expect("it does not panic")[..] {
            [Committed::Done(version)] => winners.push((racer, version)),
            [Committed::Conflict] => {}
            ref other => panic!("one answer for one commit, not {other:?}"),
        }
    }
    let [(racer, version)] = winners[..] else { panic!("one wins, not {winners:?}") };
    let (view, steps) =
        store.read_step_range(run_id(1), 0..16).await.expect("read").expect("there");
    assert_eq!(view.version, version);
    let changed = (0..16)
        .map(|step| if step == racer { step_record(step + 1) } else { StepRecord::default() });
    assert!(steps.into_iter().eq(changed));
}

/// Who reads while others commit sees all of a commit or nothing of it.
pub async fn a_read_is_of_one_version(store: Arc<dyn Store>) {
    const COMMITS: u32 = 100;
    let mut view = create(&*store, 1, 200).await;
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 1..=COMMITS {
                let mut change = commit_to(&view);
                change.record = RunRecord { retries: number, ..view.record };
                change.steps =
                    (0..200).map(|step| (StepIndex(step), step_record(number))).collect();
                view.record = change.record.clone();
                view.version = commit(&*store, change).await;
            }
        })
    };
    let mut seen = 0;
    while seen < COMMITS {
        let (view, steps) =
            store.read_step_range(run_id(1), 0..200).await.expect("read").expect("there");
        let number = view.record.retries;
        assert_eq!(view.version.number, u64::from(number) + 1);
        let expected = if number == 0 { StepRecord::default() } else { step_record(number) };
        assert!(steps.iter().all(|step| *step == expected), "all steps are of commit {number}");
        assert!(number >= seen, "a later read is not of an earlier version");
        seen = number;
        tokio::task::yield_now().await;
    }
    writer.await.expect("it does not panic");
}

/// A run that has moved on is not removed.
pub async fn a_run_is_removed_at_its_version_only(store: Arc<dyn Store>) {
    let old = create(&*store, 1, 2).await;
    commit(&*store, commit_to(&old)).await;
    let before = store.load(run_id(1)).await;
    assert_eq!(store.remove(run_id(1), old.version).await, Ok(Committed::Conflict));
    assert_eq!(store.remove_damaged(run_id(1)).await, Ok(false), "it can be read");
    assert_eq!(store.load(run_id(1)).await, before);
    assert_eq!(store.remove(run_id(2), old.version).await, Ok(Committed::Conflict));
}

/// Nothing of a removed run can be read, and its id is never used again.
pub async fn a_removed_run_leaves_nothing_but_a_memory(store: Arc<dyn Store>) {
    let mut change = commit_to(&create(&*store, 1, 2).await);
    change.steps = vec![(StepIndex(0), step_record(1))];
    change.attempts = vec![attempt(0, 1, "exit code 2")];
    change.outputs = vec![output(0, "{}")];
    let version = commit(&*store, change).await;
    store.place_order(run_id(1), Order::Cancel).await.expect("placed");
    assert_eq!(store.remove(run_id(1), version).await, Ok(Committed::Done(version)));
    assert_that_nothing_is_known_of_run_1(&*store).await;
    assert_eq!(store.remove(run_id(1), version).await, Ok(Committed::Conflict));
    assert_eq!(store.create(new_run(1, 2)).await, Ok(Created::Removed));
    create(&*store, 2, 2).await;
    let steps = store.read_step_range(run_id(2), 0..2).await.expect("read").map(|(_, steps)| steps);
    assert_eq!(steps, Some(vec![StepRecord::default(); 2]), "another run has nothing of it");
    assert_eq!(store.read_attempts(run_id(2), StepIndex(0)).await, Ok(vec![]));
}

/// Every question about a run that never was is answered.
pub async fn nothing_is_known_of_an_unknown_run(store: Arc<dyn Store>) {
    let mut change = commit_to(&create(&*store, 2, 1).await);
    change.run = run_id(1);
    assert_that_nothing_is_known_of_run_1(&*store).await;
    assert_eq!(store.place_order(run_id(1), Order::Cancel).await, Ok(Placed::NoRun));
    assert_eq!(store.commit(vec![change]).await, Ok(vec![Committed::Conflict]));
    assert_eq!(store.commit(vec![]).await, Ok(vec![]));
}

async fn assert_that_nothing_is_known_of_run_1(store: &dyn Store) {
    let (run, step) = (run_id(1), StepIndex(0));
    assert_eq!(store.load(run).await, Ok(None));
    assert_eq!(store.read_run(run).await, Ok(None));
    assert_eq!(store.read_record(run).await, Ok(None));
    assert_eq!(store.remove_damaged(run).await, Ok(false));
    assert_eq!(store.read_pipeline(run).await, Ok(None));
    assert_eq!(store.read_orders(run).await, Ok(vec![]));
    assert_eq!(store.read_expansions(run, 0).await, Ok(None));
    assert_eq!(store.read_step_range(run, 0..1).await, Ok(None));
    assert_eq!(store.read_steps(run, &[step]).await, Ok(None));
    assert_eq!(store.read_attempts(run, step).await, Ok(vec![]));
    assert!(store.read_latest_attempts(run, &[step]).await.expect("read").is_empty());
    assert!(store.read_outputs(run, &[step]).await.expect("read").is_empty());
    assert!(!store.active_runs(0, 1).await.expect("read").contains(&run));
    let listed: Result<Vec<_>, StoreError> = store.list_runs(&RunQuery::default(), 10).await;
    assert!(listed.expect("listed").iter().all(|view| view.submission.id != run));
}
