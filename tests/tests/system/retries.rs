//! What is done about failures of real processes: rules, budgets, and more memory.

use windlass_proto::v1::{self, AttemptState, Reason, RunState, StepState};

use crate::support::World;

async fn attempts(world: &World, run: &str, step: &str) -> Vec<v1::Attempt> {
    let (run_id, step) = (run.to_owned(), step.to_owned());
    let request = v1::ListAttemptsRequest { run_id, step, ..Default::default() };
    world.runs().list_attempts(request).await.unwrap().into_inner().attempts
}

/// Of each attempt its state, reason and exit code.
async fn ends(world: &World, run: &str, step: &str) -> Vec<(AttemptState, Reason, Option<i32>)> {
    let attempts = attempts(world, run, step).await;
    attempts.iter().map(|it| (it.state(), it.reason(), it.exit_code)).collect()
}

#[tokio::test]
async fn exit_codes_are_told_apart_and_both_budgets_are_shown() {
    let world = World::processes().await;
    let run = world
        .submit_file(
            r#"
name: codes
steps:
  comes-again:
    run: |
      [ "$WINDLASS_ATTEMPT" -ge 3 ] || exit 75
    retry: {limit: 2, system_limit: 7, rules: [{exit_codes: [75, 100-110], action: retry}, {reasons: [exit_code], action: fail}]}
  gives-up:
    run: |
      [ "$WINDLASS_ATTEMPT" -ge 2 ] || exit 105
      exit 111
    retry: {limit: 9, rules: [{exit_codes: [75, 100-110], action: retry}, {reasons: [exit_code], action: fail}]}
"#
        )
        .await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    let failed = |code| (AttemptState::Failed, Reason::ExitCode, Some(code));
    let succeeded = (AttemptState::Succeeded, Reason::Unspecified, None);
    assert_eq!(ends(&world, &run, "comes-again").await, [failed(75), failed(75), succeeded]);
    assert_eq!(ends(&world, &run, "gives-up").await, [failed(105), failed(111)]);
    let steps = world.steps(&run).await;
    let budgets = |name: &str| {
        let step = &steps[name];
        [step.failures, step.retry_limit, step.losses, step.system_retry_limit]
    };
    assert_eq!(budgets("comes-again"), [2, 2, 0, 7]);
    assert_eq!(budgets("gives-up"), [2, 9, 0, 3]);
}

#[tokio::test]
async fn an_ignored_failure_is_a_success_without_outputs_that_says_what_was_ignored() {
    let world = World::processes().await;
    let run = world
        .submit_file(
            r#"
name: ignored
steps:
  optional:
    run: |
      printf '{"rows": 3}' > "$WINDLASS_OUTPUT"
      kill -TERM $$
    outputs: rows
    retry: {rules: [{signals: [SIGTERM], action: ignore}]}
  after:
    command: [echo, "${{ steps.optional.state }}"]
  with-rows:
    when: has(steps.optional.outputs.rows)
    run: "true"
  each:
    for_each: [1, 0, 1]
    env: {CODE: "${{ item }}"}
    run: |
      printf '{"n": 5}' > "$WINDLASS_OUTPUT"
      exit "$CODE"
    outputs: n
    retry: {rules: [{exit_codes: [1], action: ignore}]}
  all:
    command: [echo, "${{ steps.each.outputs.n }}"]
"#,
        )
        .await;
    let ended = world.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.message);
    let steps = world.steps(&run).await;
    let optional = &steps["optional"];
    assert_eq!((optional.state(), optional.reason()), (StepState::Succeeded, Reason::Signal));
    assert!(
        optional.message.contains("ignored") && optional.message.contains("SIGTERM"),
        "{}",
        optional.message
    );
    assert!(optional.outputs.is_empty());
    let attempts = attempts(&world, &run, "optional").await;
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    assert_eq!((attempt.state(), attempt.signal), (AttemptState::Failed, Some(15)));
    assert_eq!(steps["with-rows"].reason(), Reason::ConditionFalse);
    let lines = world.lines(&run).await;
    assert_eq!((lines["after"].as_str(), lines["all"].as_str()), ("succeeded", "[null,5,null]"));
}

#[tokio::test]
async fn memory_grows_with_each_attempt_that_runs_out_of_it_and_stays_when_the_run_is_retried() {
    let world = World::processes().await;
    // What `tail` is given has no line feed, so that it keeps all of it, as long as more may come.
    let run = world
        .submit_file(
            r#"
name: memory
steps:
  large:
    run: |
      { head -c 150000000 /dev/zero; [ "$WINDLASS_ATTEMPT" -ge 3 ] || sleep 1000; } | tail > /dev/null
      [ "$WINDLASS_ATTEMPT" -ge 4 ]
    resources: {memory: 64Mi}
    retry: {limit: 1, memory_factor: 2, max_memory: 1Gi}
"#
        )
        .await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    world
        .runs()
        .retry_run(v1::RetryRunRequest { run_id: run.clone(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    let attempts = attempts(&world, &run, "large").await;
    let told: Vec<_> = attempts.iter().map(|it| (it.reason(), it.memory_bytes >> 20)).collect();
    let expected = [
        (Reason::OutOfMemory, 64),
        (Reason::OutOfMemory, 128),
        // Why an attempt failed meanwhile does not matter.
        (Reason::ExitCode, 256),
        (Reason::Unspecified, 256),
    ];
    assert_eq!(told, expected);
    for (attempt, limit) in attempts.iter().zip(["may use 64.0 MiB", "may use 128.0 MiB"]) {
        assert!(attempt.message.contains(limit), "{}", attempt.message);
    }
}
