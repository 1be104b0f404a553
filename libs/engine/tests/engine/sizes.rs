//! What the state of a run takes, and what a damaged one does.

use windlass_engine::{
    record::{RunRecord, StepRecord, StepState},
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
    let graph = play.run.graph().clone();
    let steps = vec![StepRecord::default(); 3];
    let mismatch = Run::load(graph, RunRecord::default(), steps).expect_err("it makes none");
    assert_eq!(mismatch, Mismatch { records: 3, steps: 2 });
}

#[test]
fn wrong_counts_are_counted_anew() {
    let play = check("a b", "0 submit; go 1 => RUNNING a=queued b=ready launch:a1");
    let mut record = play.run.record().clone();
    record.counts = [9; StepState::COUNT];
    let run = Run::load(play.run.graph().clone(), record, play.run.steps().to_vec())
        .expect("it makes sense");
    assert_eq!(run, play.run);
}
