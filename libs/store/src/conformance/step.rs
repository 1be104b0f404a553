//! What is kept for each step.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::{collections::BTreeMap, sync::Arc};

use windlass_engine::record::{StepIndex, StepRecord};

use super::fixture::{attempt, commit, commit_to, create, output, read, run_id, step_record};
use crate::{Committed, Store, StoreError};

/// A range is cut to what the run has; names are answered in the order asked, twice where asked twice.
pub async fn steps_are_read_by_range_and_by_name(store: Arc<dyn Store>) {
    let mut change = commit_to(&create(&*store, 1, 200).await);
    change.steps = [3, 150, 199].map(|step| (StepIndex(step), step_record(step))).into();
    let version = commit(&*store, change).await;
    let expected = |step| match step {
        3 | 150 | 199 => step_record(step),
        _ => StepRecord::default(),
    };
    for range in [0..200, 100..151, 3..4, 190..u32::MAX, 5..5, 200..300] {
        let (view, steps) =
            store.read_step_range(run_id(1), range.clone()).await.expect("read").expect("there");
        assert_eq!(view.version, version);
        let end = range.end.min(200);
        assert!(steps.into_iter().eq((range.start..end).map(expected)), "{range:?}");
    }
    let names = [199, 0, 3, 199, 150].map(StepIndex);
    let (view, steps) = store.read_steps(run_id(1), &names).await.expect("read").expect("there");
    assert_eq!(view.version, version);
    assert_eq!(steps, names.map(|step| expected(step.0)));
}

/// A step that the run does not have is damage wherever it is named, and of that run alone.
pub async fn steps_that_do_not_exist_are_refused(store: Arc<dyn Store>) {
    let (one, two) = (create(&*store, 1, 2).await, create(&*store, 2, 2).await);
    let read_beyond = store.read_steps(run_id(1), &[StepIndex(0), StepIndex(2)]).await;
    assert!(matches!(read_beyond, Err(StoreError::Damaged(_))), "{read_beyond:?}");
    let mut beyond = commit_to(&two);
    beyond.steps = vec![(StepIndex(2), step_record(1))];
    beyond.attempts = vec![attempt(0, 1, "exit code 2")];
    let committed = store.commit(vec![beyond, commit_to(&one)]).await.expect("answered");
    let [Committed::Damaged(why), Committed::Done(version)] = &committed[..] else {
        panic!("{committed:?}")
    };
    assert!(why.contains("index 2"), "{why}");
    assert_eq!((read(&*store, 1).await.version, read(&*store, 2).await), (*version, two));
    assert_eq!(store.read_attempts(run_id(2), StepIndex(0)).await, Ok(vec![]));
}

/// What a run of 100,000 steps went through in pieces of every kind is what is read.
pub async fn steps_of_a_large_run_are_read_as_they_were_committed(store: Arc<dyn Store>) {
    const STEPS: u32 = 100_000;
    let mut view = create(&*store, 1, STEPS).await;
    let mut expected = vec![StepRecord::default(); STEPS as usize];
    let pieces: [Vec<u32>; 6] = [
        (0..STEPS).collect(),
        vec![0, 1, STEPS - 1],
        (30_000..34_097).collect(),
        (0..STEPS).step_by(97).collect(),
        vec![61, 62, 63, 123, 124, 125, 126, 127, 128, 255, 256],
        (STEPS - 100..STEPS).collect(),
    ];
    for (number, piece) in (1_u32..).zip(pieces) {
        let mut change = commit_to(&view);
        change.steps =
            piece.iter().map(|step| (StepIndex(*step), step_record(step ^ number << 20))).collect();
        for (step, record) in &change.steps {
            expected[step.0 as usize] = *record;
        }
        view.version = commit(&*store, change).await;
    }
    let loaded = store.load(run_id(1)).await.expect("read").expect("there");
    assert_eq!(loaded.view, view);
    assert!(loaded.steps == expected, "all steps are as they were committed last");
    let (_, part) =
        store.read_step_range(run_id(1), 33_990..34_110).await.expect("read").expect("there");
    assert!(part == expected[33_990..34_110]);
}

/// A second record of one attempt, and second outputs of one step, take the place of the first.
pub async fn attempts_and_outputs_replace_earlier_ones(store: Arc<dyn Store>) {
    let view = create(&*store, 1, 9).await;
    let mut change = commit_to(&view);
    change.attempts = vec![attempt(2, 10, "ten"), attempt(2, 9, "nine"), attempt(3, 1, "one")];
    change.outputs = vec![output(2, r#"{"rows":1}"#), output(3, "{}")];
    commit(&*store, change).await;
    let mut change = commit_to(&read(&*store, 1).await);
    change.attempts = vec![attempt(2, 9, "nine again")];
    change.outputs = vec![output(2, r#"{"rows":2}"#)];
    commit(&*store, change).await;

    let attempts = store.read_attempts(run_id(1), StepIndex(2)).await;
    assert_eq!(attempts, Ok(vec![attempt(2, 9, "nine again"), attempt(2, 10, "ten")]));
    assert_eq!(store.read_attempts(run_id(1), StepIndex(1)).await, Ok(vec![]));
    let steps = [1, 2, 3].map(StepIndex);
    let latest = [(StepIndex(2), attempt(2, 10, "ten")), (StepIndex(3), attempt(3, 1, "one"))];
    assert_eq!(store.read_latest_attempts(run_id(1), &steps).await, Ok(BTreeMap::from(latest)));
    let outputs = BTreeMap::from([output(2, r#"{"rows":2}"#), output(3, "{}")]);
    assert_eq!(store.read_outputs(run_id(1), &steps).await, Ok(outputs));
}
