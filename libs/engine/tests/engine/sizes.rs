//! What the state of a run takes, and what a damaged one does.

use windlass_engine::{
    layout::{Expansion, ImpossibleExpansion},
    record::{StepIndex, StepRecord, StepState},
    run::{Mismatch, Run},
};

use super::notation::check;

#[test]
fn a_step_takes_48_bytes() {
    assert_eq!(size_of::<StepRecord>(), 48);
}

#[test]
fn records_that_are_not_the_graphs_are_refused() {
    let play = check("a b", "0 submit => RUNNING a=ready b=ready");
    let mut stored = play.store.stored();
    stored.steps.push(StepRecord::default());
    let mismatch = Run::load(play.run.graph().clone(), stored).expect_err("it makes none");
    assert_eq!(mismatch, Mismatch::Steps { records: 3, steps: 2 });
}

#[test]
fn expansions_that_are_not_the_graphs_are_refused() {
    let play = check("a l:items=2 @l* l", "0 submit => RUNNING a=ready l=open(2 items)");
    let expansion =
        |step, first, items| Expansion { step: StepIndex(step), first: StepIndex(first), items };
    let impossible =
        [expansion(0, 2, 2), expansion(1, 3, 2), expansion(1, 2, u32::MAX), expansion(9, 2, 2)];
    for expansion in impossible {
        let mut stored = play.store.stored();
        stored.expansions = vec![expansion];
        let mismatch = Run::load(play.run.graph().clone(), stored).expect_err("it makes none");
        assert_eq!(mismatch, Mismatch::Expansion(ImpossibleExpansion(expansion)));
    }
}

#[test]
fn wrong_counts_are_counted_anew() {
    let play = check("a b", "0 submit; go 1 => RUNNING a=queued b=ready launch:a1");
    let mut stored = play.store.stored();
    stored.record.counts = [9; StepState::COUNT];
    let run = Run::load(play.run.graph().clone(), stored).expect("it makes sense");
    assert_eq!(run, play.run);
}
