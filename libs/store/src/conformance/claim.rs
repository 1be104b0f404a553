//! Who may create an attempt.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::{collections::BTreeSet, sync::Arc};

use windlass_engine::record::StepIndex;

use super::fixture::{create, new_run, read, run_id};
use crate::{Committed, Created, Store};

/// A few attempts of two steps, one of which lies far from the other.
const ATTEMPTS: [(StepIndex, u32); 4] =
    [(StepIndex(0), 1), (StepIndex(0), 2), (StepIndex(4999), 1), (StepIndex(4999), 70_000)];

/// The first one has it for ever, however often and by whom it is claimed again; a step's next attempt is another one's.
pub async fn an_attempt_belongs_to_who_claimed_it_first(store: Arc<dyn Store>) {
    let view = create(&*store, 1, 5000).await;
    create(&*store, 2, 5000).await;
    let [first, second, far, high] = ATTEMPTS;
    let (one, two): (Arc<str>, Arc<str>) = ("host-one/boot".into(), "host-two".into());
    let run = run_id(1);
    let claimed = store.claim(run, &one, &[far, first, far]).await;
    assert_eq!(claimed, Ok(Some(vec![Arc::clone(&one), Arc::clone(&one), Arc::clone(&one)])));
    let claimed = store.claim(run, &two, &[first, second, far]).await;
    assert_eq!(claimed, Ok(Some(vec![Arc::clone(&one), Arc::clone(&two), Arc::clone(&one)])));
    let asserted = store.assert_claims(run, &one, &[second, high]).await;
    assert_eq!(asserted, Ok(Some(vec![Arc::clone(&two), Arc::clone(&one)])));
    let holders = vec![Some(Arc::clone(&one)), Some(two), Some(Arc::clone(&one)), Some(one)];
    assert_eq!(store.read_claims(run, &ATTEMPTS).await, Ok(holders));
    assert_eq!(store.read_claims(run_id(2), &ATTEMPTS).await, Ok(vec![None; 4]), "another run");
    assert_eq!(store.claim(run, "host-two", &[]).await, Ok(Some(vec![])));
    assert_eq!(read(&*store, 1).await, view, "claims leave the run as it is");
}

/// However many claim at once, all are told the same holder, who is one of them.
pub async fn of_those_who_race_for_an_attempt_one_has_it(store: Arc<dyn Store>) {
    create(&*store, 1, 300).await;
    let attempts: Vec<_> = (0..300).map(|step| (StepIndex(step), 1)).collect();
    let racers: Vec<_> = (0..8)
        .map(|racer| {
            let (store, mut attempts) = (Arc::clone(&store), attempts.clone());
            attempts.rotate_left(racer * 37);
            tokio::spawn(async move {
                let holder = format!("host-{racer}");
                let holders = store.claim(run_id(1), &holder, &attempts).await;
                let holders = holders.expect("answered").expect("there is such a run");
                attempts.into_iter().zip(holders).collect::<BTreeSet<_>>()
            })
        })
        .collect();
    let mut answers = BTreeSet::new();
    for racer in racers {
        answers.insert(racer.await.expect("it does not panic"));
    }
    let stored = store.read_claims(run_id(1), &attempts).await.expect("read");
    let stored = attempts.into_iter().zip(stored.into_iter().flatten()).collect();
    assert_eq!(answers, BTreeSet::from([stored]));
}

/// There is nothing to claim of a run that is not there, and a removed one takes its claims along.
pub async fn claims_go_with_their_run(store: Arc<dyn Store>) {
    let run = run_id(1);
    assert_eq!(store.claim(run, "host", &ATTEMPTS).await, Ok(None));
    assert_eq!(store.assert_claims(run, "host", &ATTEMPTS).await, Ok(None));
    assert_eq!(store.read_claims(run, &ATTEMPTS).await, Ok(vec![None; 4]));
    let version = create(&*store, 1, 5000).await.version;
    store.claim(run, "host", &ATTEMPTS).await.expect("claimed");
    assert_eq!(store.remove(run, version).await, Ok(Committed::Done(version)));
    assert_eq!(store.claim(run, "host", &ATTEMPTS).await, Ok(None));
    assert_eq!(store.read_claims(run, &ATTEMPTS).await, Ok(vec![None; 4]));
    assert_eq!(store.create(new_run(1, 5000)).await, Ok(Created::Removed));
}
