//! Ending the services of a process while a run goes on.

use std::{fs, num::NonZeroUsize, path::Path};

use nix::{sys::signal::kill, unistd::Pid};
use windlass_proto::v1::StepState;

use crate::support::{World, limited, pipeline, script};

/// Which process a step is, once it has said so.
async fn process(file: &Path) -> Pid {
    limited(async {
        loop {
            let said = fs::read_to_string(file).unwrap_or_default();
            if said.ends_with('\n') {
                return Pid::from_raw(said.trim().parse().unwrap());
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

async fn until_gone(process: Pid) {
    limited(async {
        while kill(process, None).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_leaves_has_every_attempt_of_the_run_stopped_without_a_scheduler_and_no_other_runs() {
    let world = World::processes_in(NonZeroUsize::new(2).unwrap()).await;
    let step = |name: &str| {
        let file = world.file(name);
        script(name, &format!("echo $$ > '{}'; exec sleep 1000", file.display()))
    };
    let other = world.submit(pipeline("other", vec![step("other")])).await;
    world.until_step(&other, "other", StepState::Running).await;
    // One of them runs; the other is ordered, and waits for a slot.
    let run = world.submit(pipeline("left", vec![step("a"), step("b")])).await;
    limited(async {
        loop {
            let steps = world.steps(&run).await;
            let mut states = [steps["a"].state(), steps["b"].state()];
            states.sort();
            if states == [StepState::Queued, StepState::Running] {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let is_a = world.steps(&run).await["a"].state() == StepState::Running;
    let (running, waiting) = if is_a { ("a", "b") } else { ("b", "a") };
    let (running, waiting) = (world.file(running), world.file(waiting));
    let (first, others) = (process(&running).await, process(&world.file("other")).await);
    let left = world.leave(&run).await;
    until_gone(first).await;
    assert!(!waiting.exists(), "what waited for the slot has begun");
    assert!(kill(others, None).is_ok(), "the other run is stopped, too");
    kill(others, nix::sys::signal::Signal::SIGKILL).unwrap();
    until_gone(others).await;
    drop(left);
}
