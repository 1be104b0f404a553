//! Runs that are taken up again from a step.

use std::fs;

use windlass_proto::v1::{self, RunState, StepState};

use crate::support::{World, reason};

async fn retry(world: &World, run: &str, from: &str) -> Result<v1::Run, tonic::Status> {
    let request = v1::RetryRunRequest {
        run_id: run.to_owned(),
        from_step: from.to_owned(),
        ..Default::default()
    };
    Ok(world.runs().retry_run(request).await?.into_inner().run.unwrap())
}

/// The attempts of all steps.
async fn attempts(world: &World, run: &str) -> Vec<(String, u32)> {
    let steps = world.steps(run).await;
    steps.into_iter().map(|(name, step)| (name, step.attempt)).collect()
}

fn counted(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_step_that_had_succeeded_is_done_again_with_what_depends_on_it_and_nothing_else() {
    let world = World::processes().await;
    let list = world.file("list");
    fs::write(&list, r#"{"names": ["x", "y"]}"#).unwrap();
    let text = format!(
        r#"
name: resumed
steps:
  other: {{run: "true"}}
  list:
    run: cat {} > "$WINDLASS_OUTPUT"
    outputs: names
  each:
    for_each: ${{{{ steps.list.outputs.names }}}}
    command: [echo, "${{{{ item }}}}"]
  tell:
    depends_on: [each, other]
    run: "true"
"#,
        list.display()
    );
    let run = world.submit_file(&text).await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);

    let refused = retry(&world, &run, "").await.unwrap_err();
    assert_eq!(reason(&refused), "RUN_SUCCEEDED");
    let refused = retry(&world, &run, "each.2").await.unwrap_err();
    assert_eq!(reason(&refused), "STEP_NOT_FOUND");

    retry(&world, &run, "each.1").await.unwrap();
    let ended = world.until_ended(&run).await;
    assert_eq!((ended.state(), ended.retries), (RunState::Succeeded, 1));
    let expected =
        [("each", 0), ("each.0", 1), ("each.1", 2), ("list", 1), ("other", 1), ("tell", 2)];
    assert_eq!(attempts(&world, &run).await, counted(&expected));

    fs::write(&list, r#"{"names": ["z"]}"#).unwrap();
    retry(&world, &run, "list").await.unwrap();
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    let expected = [("each", 0), ("each.0", 1), ("list", 2), ("other", 1), ("tell", 3)];
    assert_eq!(attempts(&world, &run).await, counted(&expected), "another list");
    let refused = retry(&world, &run, "each.1").await.unwrap_err();
    assert_eq!(reason(&refused), "STEP_NOT_FOUND", "it counts no more");
}

#[tokio::test]
async fn a_run_that_has_not_ended_is_not_retried_from_a_step() {
    let world = World::processes().await;
    let text =
        "name: p\nsteps:\n  a: {run: \"true\"}\n  b: {depends_on: a, run: exec sleep 1000}\n";
    let run = world.submit_file(text).await;
    world.until_step(&run, "b", StepState::Running).await;
    let refused = retry(&world, &run, "a").await.unwrap_err();
    assert_eq!(reason(&refused), "RUN_NOT_ENDED");
    world.runs().cancel_run(v1::CancelRunRequest { run_id: run.clone() }).await.unwrap();
    assert_eq!(world.until_ended(&run).await.state(), RunState::Cancelled);
    retry(&world, &run, "a").await.unwrap();
    world.until_step(&run, "b", StepState::Running).await;
    assert_eq!(attempts(&world, &run).await, counted(&[("a", 2), ("b", 2)]));
    world.leave(&run).await;
}
