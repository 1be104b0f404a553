//! Runs that grow, since their loops get items.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::sync::Arc;

use windlass_engine::{
    layout::{Expansion, STEPS_MAX},
    record::{RunRecord, StepIndex, StepRecord},
};

use super::fixture::{
    attempt, commit, commit_to, create, expand, new_run, output, read, run_id, step_record,
};
use crate::{Commit, Committed, Created, RunQuery, RunView, Store, StoredRun, Version};

/// What a run should be, after each commit to it.
struct Model {
    view: RunView,
    steps: Vec<StepRecord>,
    expansions: Vec<Expansion>,
}

impl Model {
    async fn create(store: &dyn Store, steps: u32) -> Self {
        let view = create(store, 1, steps).await;
        Self { view, steps: vec![StepRecord::default(); steps as usize], expansions: Vec::new() }
    }

    /// Commits loops that expand (which, to how many items, of how many steps) and steps with states of their own.
    async fn commit(&mut self, store: &dyn Store, loops: &[(u32, u32, u32)], steps: &[u32]) {
        let mut change = commit_to(&self.view);
        for (step, items, steps_each) in loops {
            expand(&mut change, *step, *items, *steps_each);
        }
        change.steps = steps.iter().map(|step| (StepIndex(*step), step_record(*step))).collect();
        self.view.step_count = change.step_count;
        self.steps.resize(change.step_count as usize, StepRecord::default());
        for (step, record) in &change.steps {
            self.steps[step.0 as usize] = *record;
        }
        self.expansions.extend(&change.expansions);
        self.view.version = commit(store, change).await;
    }

    /// Asserts that it is read so, all of it and around a step.
    async fn assert_read(&self, store: &dyn Store, at: u32) {
        let run = run_id(1);
        assert_eq!(read(store, 1).await, self.view);
        let loaded = store.load(run).await.expect("read").expect("there");
        assert_eq!(loaded.view, self.view);
        assert!(loaded.steps == self.steps, "all steps are as they were committed last");
        assert_eq!(loaded.expansions, self.expansions);
        for from in 0..self.expansions.len() + 2 {
            let rest = self.expansions.get(from..).unwrap_or_default().to_vec();
            assert_eq!(store.read_expansions(run, from).await, Ok(Some(rest)), "from {from} on");
        }
        let (first, beyond) = (at.saturating_sub(3), self.view.step_count.min(at + 3));
        let part = self.steps[first as usize..beyond as usize].to_vec();
        let expected = Ok(Some((self.view.clone(), part)));
        assert_eq!(store.read_step_range(run, first..at + 3).await, expected);
        let names: Vec<_> = (first..beyond).map(StepIndex).collect();
        assert_eq!(store.read_steps(run, &names).await, expected);
        let end = self.view.step_count;
        let last = vec![self.steps[end as usize - 1]];
        let read = store.read_step_range(run, end - 1..u32::MAX).await;
        assert_eq!(read, Ok(Some((self.view.clone(), last))));
        let beyond = store.read_steps(run, &[StepIndex(end)]).await;
        assert!(beyond.is_err(), "{beyond:?}");
    }
}

/// New steps are as they are by default where nothing is said of them; all others, and what was submitted, stay.
pub async fn a_run_grows_by_the_steps_that_its_loops_get(store: Arc<dyn Store>) {
    let mut run = Model::create(&*store, 10).await;
    run.commit(&*store, &[], &[9]).await;
    run.assert_read(&*store, 9).await;
    run.commit(&*store, &[(3, 4, 2)], &[3]).await;
    run.assert_read(&*store, 10).await;
    run.commit(&*store, &[(5, 0, 7), (11, 3, 50)], &[5, 11, 17, 18, 167]).await;
    run.assert_read(&*store, 18).await;
    run.commit(&*store, &[(4, 0, 1)], &[]).await;
    run.assert_read(&*store, 168).await;
    run.commit(&*store, &[(6, 20_000, 1)], &[]).await;
    run.assert_read(&*store, 168).await;
    run.commit(&*store, &[(7, 1000, 1), (20_000, 1, 3)], &[20_167, 20_168, 21_170]).await;
    run.assert_read(&*store, 20_168).await;
    run.commit(&*store, &[(8, 50_000, 2)], &[21_170, 121_170]).await;
    run.assert_read(&*store, 21_171).await;
    assert_eq!(run.view.submission.steps, 10, "that is what it began with");
    assert_eq!(run.view.step_count, 121_171);
    assert_eq!(store.list_runs(&RunQuery::default(), 9).await, Ok(vec![run.view]));
}

/// Neither of another version, nor where it names a step that there is not even now, nor where there would be too many.
pub async fn a_commit_that_is_refused_adds_no_step(store: Arc<dyn Store>) {
    let mut view = create(&*store, 1, 3).await;
    let mut change = commit_to(&view);
    expand(&mut change, 0, 2, 2);
    view.step_count = change.step_count;
    view.version = commit(&*store, change).await;
    let before = store.load(run_id(1)).await;
    let grows = |expected: Version| {
        let mut change = Commit { expected, ..commit_to(&view) };
        expand(&mut change, 1, 5, 1);
        change.attempts = vec![attempt(7, 1, "exit code 2")];
        change.outputs = vec![output(7, "{}")];
        change
    };
    let Version { number, commit } = view.version;
    for expected in [Version::FIRST, Version { number, commit: commit + 1 }] {
        let outcomes = store.commit(vec![grows(expected)]).await;
        assert_eq!(outcomes, Ok(vec![Committed::Conflict]), "{expected:?}");
    }
    let mut beyond = grows(view.version);
    beyond.steps = vec![(StepIndex(11), step_record(1)), (StepIndex(12), step_record(1))];
    let too_many = Commit { step_count: STEPS_MAX + 1, ..grows(view.version) };
    for (change, word) in [(beyond, "12 steps, and none of index 12"), (too_many, "16000001")] {
        let outcomes = store.commit(vec![change]).await.expect("answered");
        let [Committed::Damaged(why)] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert!(why.contains(word), "{why}");
    }
    assert_eq!(store.load(run_id(1)).await, before);
    assert_eq!(store.read_attempts(run_id(1), StepIndex(7)).await, Ok(vec![]));
    assert!(store.read_outputs(run_id(1), &[StepIndex(7)]).await.expect("read").is_empty());
}

/// A later commit of one call knows the steps that an earlier one has added, and none shrinks the run.
pub async fn commits_of_a_batch_build_upon_the_growth_of_those_before(store: Arc<dyn Store>) {
    let (view, other) = (create(&*store, 1, 2).await, create(&*store, 2, 2).await);
    let mut first = commit_to(&view);
    expand(&mut first, 0, 100, 1);
    let mut second = first.clone();
    second.expected = view.version.next(first.commit);
    second.commit += 1;
    second.expansions.clear();
    expand(&mut second, 101, 1, 5);
    second.steps = [101, 102, 106].map(|step| (StepIndex(step), step_record(step))).into();
    let mut third = commit_to(&view);
    third.expected = second.expected.next(second.commit);
    third.commit = second.commit + 1;
    third.step_count = 0;
    third.steps = vec![(StepIndex(105), step_record(105))];
    let mut beyond = commit_to(&other);
    beyond.steps = vec![(StepIndex(2), step_record(1))];
    let versions = [&first, &second, &third].map(|it| it.expected.next(it.commit));
    let expansions = [&first.expansions[..], &second.expansions[..]].concat();
    let outcomes = store.commit(vec![first, beyond, second, third]).await.expect("answered");
    let [one, Committed::Damaged(_), two, three] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!([one, two, three].map(Clone::clone), versions.map(Committed::Done));
    let mut steps = vec![StepRecord::default(); 107];
    for step in [101, 102, 105, 106] {
        steps[step as usize] = step_record(step);
    }
    let StoredRun { view, steps: stored, expansions: found, .. } =
        store.load(run_id(1)).await.expect("read").expect("there");
    assert_eq!((view.version, view.step_count), (versions[2], 107));
    assert_eq!((stored, found), (steps, expansions));
    assert_eq!(read(&*store, 2).await, other);
}

/// Who reads while a run grows sees all of a commit or nothing of it.
pub async fn a_growing_run_is_read_as_it_was_at_one_version(store: Arc<dyn Store>) {
    const COMMITS: u32 = 60;
    let mut view = create(&*store, 1, 1).await;
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 1..=COMMITS {
                let mut change = commit_to(&view);
                expand(&mut change, 0, number, 1);
                change.record = RunRecord { retries: number, ..view.record };
                change.steps = vec![(StepIndex(change.step_count - 1), step_record(number))];
                (view.record, view.step_count) = (change.record.clone(), change.step_count);
                view.version = commit(&*store, change).await;
            }
        })
    };
    let mut seen = 0;
    while seen < COMMITS {
        let loaded = store.load(run_id(1)).await.expect("read").expect("there");
        let number = loaded.view.record.retries;
        let count = 1 + number * (number + 1) / 2;
        assert_eq!((loaded.view.step_count, loaded.steps.len()), (count, count as usize));
        assert_eq!(loaded.expansions.len(), number as usize);
        let last = if number == 0 { StepRecord::default() } else { step_record(number) };
        assert_eq!(loaded.steps.last(), Some(&last));
        let expansions = store.read_expansions(run_id(1), seen as usize).await;
        let expansions = expansions.expect("read").expect("there");
        assert!(expansions.len() >= (number - seen) as usize, "none is gone again");
        let (view, steps) =
            store.read_step_range(run_id(1), 0..u32::MAX).await.expect("read").expect("there");
        assert_eq!(view.step_count as usize, steps.len());
        seen = number;
        tokio::task::yield_now().await;
    }
    writer.await.expect("it does not panic");
}

/// What a run has of its items goes with it, and no other run has it.
pub async fn a_grown_run_leaves_nothing_when_it_is_removed(store: Arc<dyn Store>) {
    let run = run_id(1);
    let mut change = commit_to(&create(&*store, 1, 2).await);
    expand(&mut change, 0, 1000, 5);
    change.steps = vec![(StepIndex(5001), step_record(1))];
    change.attempts = vec![attempt(5001, 1, "exit code 2")];
    change.outputs = vec![output(5001, "{}")];
    let version = commit(&*store, change).await;
    let claims = [(StepIndex(1), 1), (StepIndex(2500), 1), (StepIndex(5001), 2)];
    store.claim(run, "host", &claims).await.expect("claimed");
    assert_eq!(store.remove(run, version).await, Ok(Committed::Done(version)));
    assert_eq!(store.read_expansions(run, 0).await, Ok(None));
    assert_eq!(store.load(run).await, Ok(None));
    assert_eq!(store.read_claims(run, &claims).await, Ok(vec![None; 3]));
    assert_eq!(store.read_attempts(run, StepIndex(5001)).await, Ok(vec![]));
    assert_eq!(store.create(new_run(1, 2)).await, Ok(Created::Removed));

    let mut change = commit_to(&create(&*store, 2, 2).await);
    assert_eq!(store.read_expansions(run_id(2), 0).await, Ok(Some(vec![])));
    expand(&mut change, 1, 1000, 5);
    let expansions = change.expansions.clone();
    commit(&*store, change).await;
    let loaded = store.load(run_id(2)).await.expect("read").expect("there");
    assert_eq!(loaded.expansions, expansions);
    assert!(loaded.steps == vec![StepRecord::default(); 5002], "it has nothing of another one");
}
