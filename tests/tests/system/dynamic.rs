//! Graphs that grow while they run: loops, groups, branches, conditions and exit steps, from the file to the processes.

use std::collections::BTreeMap;

use windlass_proto::v1::{self, Reason, RunState, StepState};

use crate::support::World;

/// The states of all steps.
async fn states(world: &World, run: &str) -> BTreeMap<String, StepState> {
    let steps = world.steps(run).await;
    steps.into_iter().map(|(name, step)| (name, step.state())).collect()
}

#[tokio::test]
async fn a_loop_over_an_output_runs_for_each_item_and_its_outputs_come_together_in_order() {
    let world = World::processes().await;
    let run = world
        .submit_file(
            r#"
name: sweep
steps:
  list:
    run: |
      printf '{"sizes": [{"name": "small", "n": 2}, {"name": "large", "n": 3}]}' > "$WINDLASS_OUTPUT"
    outputs: sizes
  size:
    for_each: "${{ steps.list.outputs.sizes }}"
    steps:
      begin:
        env: {NAME: "${{ item.name }}", AT: "${{ index }}"}
        run: echo "$AT $NAME"
      square:
        for_each: {count: 3, max_parallelism: 2}
        depends_on: begin
        env: {N: "${{ loops.size.item.n }}", I: "${{ item }}"}
        run: |
          printf '{"value": %s}' "$((N * I))" > "$WINDLASS_OUTPUT"
        outputs: value
    outputs: {values: "${{ steps.square.outputs.value }}"}
  all:
    command: [echo, "${{ steps.size.outputs.values }}"]
"#
        )
        .await;
    let ended = world.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.message);
    let lines = world.lines(&run).await;
    assert_eq!(lines["all"], "[[0,2,4],[0,3,6]]");
    assert_eq!(
        (lines["size.0.begin"].as_str(), lines["size.1.begin"].as_str()),
        ("0 small", "1 large")
    );
    let steps = world.steps(&run).await;
    assert_eq!(steps.len(), 3 + 2 * 2 + 2 * 3);
    assert!(steps.values().all(|step| step.state() == StepState::Succeeded));
    assert_eq!(steps["size.1.square.2"].attempt, 1);
}

#[tokio::test]
async fn the_first_branch_whose_condition_holds_runs_and_what_depends_on_the_others_is_skipped() {
    let world = World::processes().await;
    let run = world
        .submit_file(
            r#"
name: choose
parameters: {limit: 10}
steps:
  score:
    run: |
      printf '{"value": 7}' > "$WINDLASS_OUTPUT"
    outputs: value
  choose:
    branches:
      high:
        when: steps.score.outputs.value > params.limit
        run: |
          printf '{"word": "high"}' > "$WINDLASS_OUTPUT"
        outputs: word
      middle:
        when: steps.score.outputs.value > 5
        steps:
          say:
            run: |
              printf '{"word": "middle"}' > "$WINDLASS_OUTPUT"
            outputs: word
        outputs: {word: "${{ steps.say.outputs.word }}"}
      low:
        run: |
          printf '{"word": "low"}' > "$WINDLASS_OUTPUT"
        outputs: word
  tell:
    command: [echo, "${{ steps.choose.outputs.word }}"]
  never:
    when: steps.score.outputs.value == 8
    run: "true"
  after:
    depends_on: never
    run: "true"
  broken:
    when: steps.score.outputs.value.nothing
    run: "true"
"#,
        )
        .await;
    let ended = world.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Failed);
    let steps = world.steps(&run).await;
    let state = |name: &str| (steps[name].state(), steps[name].reason());
    assert_eq!(state("choose.middle.say"), (StepState::Succeeded, Reason::Unspecified));
    assert_eq!(state("choose.high"), (StepState::Skipped, Reason::ConditionFalse));
    assert_eq!(state("choose.low"), (StepState::Skipped, Reason::ConditionFalse));
    assert_eq!(state("never"), (StepState::Skipped, Reason::ConditionFalse));
    assert_eq!(state("after"), (StepState::Skipped, Reason::UpstreamSkipped));
    assert_eq!(state("broken"), (StepState::Failed, Reason::ExpressionInvalid));
    let message = &steps["broken"].message;
    for part in ["steps.score.outputs.value.nothing", "7"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert_eq!(world.lines(&run).await["tell"], "middle");
}

#[tokio::test]
async fn exit_steps_run_once_after_a_cancel_and_see_what_became_of_the_run() {
    let world = World::processes().await;
    let run = world
        .submit_file(
            r#"
name: cancelled
steps:
  wait: {run: "exec sleep 1000"}
  after: {depends_on: wait, run: "true"}
exit_steps:
  report:
    env: {RUN: "${{ run.state }}", WAIT: "${{ steps.wait.state }}", AFTER: "${{ steps.after.state }}"}
    run: echo "$RUN $WAIT $AFTER"
  only-on-success:
    when: run.state == "succeeded"
    run: "true"
"#
        )
        .await;
    world.until_step(&run, "wait", StepState::Running).await;
    world.runs().cancel_run(v1::CancelRunRequest { run_id: run.clone() }).await.unwrap();
    let ended = world.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Cancelled);
    assert_eq!(world.lines(&run).await["report"], "cancelled cancelled skipped");
    let states = states(&world, &run).await;
    assert_eq!(states["only-on-success"], StepState::Skipped);
    assert_eq!(world.steps(&run).await["report"].attempt, 1);
}

#[tokio::test]
async fn a_retry_of_the_run_does_only_the_failed_items_of_a_loop_again() {
    let world = World::processes().await;
    let mark = world.file("mark");
    let text = format!(
        r#"
name: retried
steps:
  each:
    for_each: [a, b, c]
    env: {{ITEM: "${{{{ item }}}}", MARK: "{}"}}
    run: |
      [ "$ITEM" != b ] || [ -e "$MARK" ] || exit 3
      printf '{{"item": "%s"}}' "$ITEM" > "$WINDLASS_OUTPUT"
    outputs: item
  all:
    command: [echo, "${{{{ steps.each.outputs.item }}}}"]
"#,
        mark.display()
    );
    let run = world.submit_file(&text).await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    let states = states(&world, &run).await;
    assert_eq!((states["each"], states["each.1"]), (StepState::Failed, StepState::Failed));
    assert_eq!(states["all"], StepState::Skipped);
    std::fs::write(&mark, "").unwrap();
    world
        .runs()
        .retry_run(v1::RetryRunRequest { run_id: run.clone(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    assert_eq!(world.lines(&run).await["all"], r#"["a","b","c"]"#);
    let steps = world.steps(&run).await;
    assert_eq!(["each.0", "each.1", "each.2"].map(|name| steps[name].attempt), [1, 2, 1]);
}

#[tokio::test]
async fn a_loop_of_many_items_ends_and_an_empty_one_succeeds_at_once() {
    let world = World::simulated().await;
    let run = world
        .submit_file(
            r#"
name: many
parameters: {none: []}
steps:
  many: {for_each: 20000, command: [go]}
  none: {for_each: "${{ params.none }}", command: [go]}
  last: {depends_on: [many, none], command: [go]}
"#,
        )
        .await;
    let ended = world.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Succeeded);
    let counts = ended.step_counts.unwrap();
    assert_eq!((counts.total, counts.succeeded), (20_003, 20_003));
}

#[tokio::test]
async fn a_loop_over_what_is_no_list_fails_and_says_what_it_got() {
    let world = World::processes().await;
    let run = world
        .submit_file(
            r#"
name: no-list
steps:
  list:
    run: |
      printf '{"items": "a,b,c"}' > "$WINDLASS_OUTPUT"
    outputs: items
  each: {for_each: "${{ steps.list.outputs.items }}", run: "true"}
"#,
        )
        .await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    let steps = world.steps(&run).await;
    assert_eq!(steps["each"].reason(), Reason::ExpressionInvalid);
    let message = &steps["each"].message;
    assert!(message.contains("a,b,c") && message.contains("JSON array"), "{message}");
}
