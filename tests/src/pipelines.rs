//! The pipelines that the benchmarks run, and how they are submitted.

use prost::Message as _;
use windlass_proto::v1::{self, step::Work, submit_large_run_request::Part};

/// How many steps one message of a large submission carries.
const CHUNK: usize = 20_000;

/// The steps that a step of a graph of so many waits for.
pub type Dependencies = fn(usize, usize) -> Vec<usize>;

/// One step, then all but one at once, then one.
pub fn wide(step: usize, steps: usize) -> Vec<usize> {
    match step {
        0 => Vec::new(),
        _ if step + 1 < steps => vec![0],
        _ => (1..step).step_by(step.div_ceil(1000).max(1)).collect(),
    }
}

/// Layers of 1,000 steps, each with two dependencies in the layer before.
pub fn layers(step: usize, _: usize) -> Vec<usize> {
    let Some(above) = step.checked_sub(1000) else { return Vec::new() };
    vec![above, above / 1000 * 1000 + step * 7919 % 1000]
}

/// One step after the other.
pub fn chain(step: usize, _: usize) -> Vec<usize> {
    step.checked_sub(1).into_iter().collect()
}

fn step(index: usize, steps: usize, dependencies: Dependencies) -> v1::Step {
    let task = v1::Task { command: vec!["true".into()], ..Default::default() };
    v1::Step {
        name: format!("s{index}"),
        depends_on: dependencies(index, steps).into_iter().map(|on| format!("s{on}")).collect(),
        work: Some(Work::Task(Box::new(task))),
        ..Default::default()
    }
}

/// The bytes that the steps of such a pipeline take up, encoded.
pub fn encoded_len(steps: usize, dependencies: Dependencies) -> usize {
    let parts = parts(String::new(), steps, dependencies);
    parts
        .map(|part| match part.part {
            Some(Part::Steps(chunk)) => chunk.encoded_len(),
            _ => 0,
        })
        .sum()
}

/// A submission in one message: for pipelines that fit into it.
pub fn whole(request_id: String, steps: usize, dependencies: Dependencies) -> v1::SubmitRunRequest {
    let steps = (0..steps).map(|index| step(index, steps, dependencies)).collect();
    let pipeline = v1::Pipeline { name: "benchmark".into(), steps, ..Default::default() };
    v1::SubmitRunRequest { request_id, pipeline: Some(pipeline), ..Default::default() }
}

/// The parts of a submission, made as they are sent.
pub fn parts(
    request_id: String,
    steps: usize,
    dependencies: Dependencies,
) -> impl Iterator<Item = v1::SubmitLargeRunRequest> {
    let pipeline = v1::Pipeline { name: "benchmark".into(), ..Default::default() };
    let request =
        v1::SubmitRunRequest { request_id, pipeline: Some(pipeline), ..Default::default() };
    let chunks = (0..steps).step_by(CHUNK).map(move |from| {
        let chunk = from..steps.min(from + CHUNK);
        let steps = chunk.map(|index| step(index, steps, dependencies)).collect();
        Part::Steps(v1::StepChunk { steps })
    });
    let parts = [Part::Request(request)].into_iter().chain(chunks);
    parts.map(|part| v1::SubmitLargeRunRequest { part: Some(part) })
}
