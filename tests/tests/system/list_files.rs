//! Loops over lists that lie in files: as large as they may be, and what happens where a file is not what it was said to be.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use windlass_launcher::runtime::{
    AttemptSpec,
    simulated::{SimulatedAttempt, SimulatedEnd},
};
use windlass_proto::v1::{self, Reason, RunState, StepState};

use crate::support::World;

/// What a step does that has put the items into the file `$LIST`: it puts out the list `list`.
const LISTED: &str = concat!(
    r#"printf '{"list": {"list_file": "%s", "items": %d, "sha256": "%s"}}' "$LIST" "$(wc -l < "$LIST")" "#,
    r#""$(sha256sum < "$LIST" | cut -d ' ' -f 1)" > "$WINDLASS_OUTPUT""#
);

/// A pipeline with steps behind one that puts these lines into the file, and puts the list out.
fn listing(file: &Path, lines: &str, rest: &str) -> String {
    let file = file.display();
    format!(
        r#"
name: listed
defaults: {{env: {{LIST: "{file}"}}}}
steps:
  list:
    run: |
      printf '{lines}' > "$LIST"
      {LISTED}
    outputs: list
{rest}"#
    )
}

#[tokio::test]
async fn each_of_20000_items_gets_its_own_line_of_a_list_that_is_no_output_any_more() {
    const ITEMS: u32 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list.jsonl");
    let text = (0..ITEMS).fold(String::new(), |mut text, item| {
        writeln!(text, r#"{{"name": "item {item}"}}"#).unwrap();
        text
    });
    assert!(text.len() > 4 * (64 << 10));
    fs::write(&path, &text).unwrap();
    let output = std::process::Command::new("sha256sum").arg(&path).output().unwrap();
    let digest = String::from_utf8(output.stdout).unwrap()[..64].to_owned();
    let list = format!(
        r#"{{"list": {{"list_file": "{}", "items": {ITEMS}, "sha256": "{digest}"}}}}"#,
        path.display()
    );
    let told: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let plan = {
        let told = told.clone();
        move |attempt: &AttemptSpec| {
            let output = (attempt.step == "list").then(|| list.clone());
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.insert(attempt.step.clone(), attempt.command.join(" "));
            let end = SimulatedEnd::Succeed(output.map(Arc::from));
            SimulatedAttempt { duration: Duration::ZERO, end }
        }
    };
    let world = World::simulated_with(Arc::new(plan)).await;
    let run = world
        .submit_file(
            r#"
name: many
steps:
  list: {command: [list], outputs: list}
  each: {for_each: "${{ steps.list.outputs.list }}", command: [go, "${{ index }}", "${{ item.name }}"]}
"#,
        )
        .await;
    let ended = world.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.message);
    let counts = ended.step_counts.unwrap();
    assert_eq!((counts.total, counts.succeeded), (ITEMS + 2, ITEMS + 2));
    let told = told.lock().unwrap();
    assert_eq!(told.len(), ITEMS as usize + 1);
    for item in 0..ITEMS {
        assert_eq!(told[&format!("each.{item}")], format!("go {item} item {item}"));
    }
}

#[tokio::test]
async fn lists_in_files_lie_in_each_other_with_others_and_results_come_together_as_ever() {
    let world = World::processes().await;
    let (outer, inner) = (world.file("outer.jsonl"), world.file("inner.jsonl"));
    fs::write(&inner, "\"x\"\n\"y\"\n").unwrap();
    let rest = format!(
        r#"
  whole:
    command: [echo, "${{{{ steps.list.outputs.list }}}}"]
  each:
    for_each: "${{{{ steps.list.outputs.list }}}}"
    steps:
      inner:
        env: {{LIST: "{}", NAME: "${{{{ item.name }}}}"}}
        run: |
          {LISTED}
        outputs: list
      again:
        for_each: "${{{{ steps.inner.outputs.list }}}}"
        env: {{OUTER: "${{{{ loops.each.item.name }}}}", INNER: "${{{{ item }}}}"}}
        run: |
          printf '{{"word": "%s%s"}}' "$OUTER" "$INNER" > "$WINDLASS_OUTPUT"
        outputs: word
    outputs: {{words: "${{{{ steps.again.outputs.word }}}}"}}
  listed:
    for_each: "${{{{ steps.each.outputs.words }}}}"
    command: [echo, "${{{{ item }}}}"]
"#,
        inner.display()
    );
    let lines = r#"{"name": "a"}\n{"name": "b"}\n"#;
    let run = world.submit_file(&listing(&outer, lines, &rest)).await;
    let ended = world.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.message);
    let lines = world.lines(&run).await;
    assert_eq!(lines["listed.0"], r#"["ax","ay"]"#);
    assert_eq!(lines["listed.1"], r#"["bx","by"]"#);
    let object = format!(r#"{{"items":2,"list_file":"{}","sha256":"#, outer.display());
    assert!(lines["whole"].starts_with(&object), "{}", lines["whole"]);
}

#[tokio::test]
async fn a_file_that_was_changed_after_its_loop_began_fails_items_until_it_is_as_it_was() {
    let world = World::processes().await;
    let file = world.file("list.jsonl");
    let rest = r#"
  each:
    for_each: {items: "${{ steps.list.outputs.list }}", max_parallelism: 1}
    env: {ITEM: "${{ item }}"}
    run: |
      printf '1\n9\n3\n' > "$LIST"
      echo "did $ITEM"
"#;
    let run = world.submit_file(&listing(&file, r"1\n2\n3\n", rest)).await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    let steps = world.steps(&run).await;
    assert_eq!(steps["each.0"].state(), StepState::Succeeded);
    for item in ["each.1", "each.2"] {
        assert_eq!(steps[item].reason(), Reason::CannotStart);
        let message = &steps[item].message;
        let said = format!("the list file {} has another SHA-256 than was said", file.display());
        assert!(message.contains(&said), "{message}");
    }
    fs::write(&file, "1\n2\n3\n").unwrap();
    let again = v1::RetryRunRequest { run_id: run.clone(), ..Default::default() };
    world.runs().retry_run(again).await.unwrap();
    // The second item changes the file again.
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    let lines = world.lines(&run).await;
    assert_eq!((lines["each.0"].as_str(), lines["each.1"].as_str()), ("did 1", "did 2"));
    assert!(!lines.contains_key("each.2"), "{lines:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_list_file_is_told_by_the_step_that_needs_it() {
    let world = World::processes().await;
    let file = world.file("list.jsonl");
    let none = format!(
        r#"{{type: object, default: {{list_file: "{}", items: 2, sha256: "{}"}}}}"#,
        world.file("none.jsonl").display(),
        "0".repeat(64)
    );
    let rest = format!(
        r#"
  lines: {{for_each: "${{{{ steps.list.outputs.list }}}}", command: [echo, "${{{{ item }}}}"]}}
  missing: {{for_each: "${{{{ params.none }}}}", command: [echo, "${{{{ item }}}}"]}}
  malformed: {{for_each: "${{{{ params.malformed }}}}", command: [echo, "${{{{ item }}}}"]}}
  too-many: {{for_each: "${{{{ params.many }}}}", command: [echo, "${{{{ item }}}}"]}}
  unused: {{for_each: "${{{{ params.none }}}}", command: [echo, "${{{{ index }}}}"]}}
  grouped:
    for_each: "${{{{ params.none }}}}"
    steps:
      asks: {{when: item == 1, command: [echo, no]}}
      loops: {{for_each: "${{{{ item }}}}", command: [echo, no]}}
parameters:
  none: {none}
  malformed: {{type: object, default: {{list_file: list.jsonl, items: 2}}}}
  many: {}
"#,
        none.replace("items: 2", "items: 10000001")
    );
    let lines = r#"1\n[2\n"three"\n"#;
    let run = world.submit_file(&listing(&file, lines, &rest)).await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    let steps = world.steps(&run).await;
    let told = |step: &str, reason, said: &[&str]| {
        let status = &steps[step];
        assert_eq!((status.state(), status.reason()), (StepState::Failed, reason), "{step}");
        for said in said {
            assert!(status.message.contains(said), "{said} is not in: {}", status.message);
        }
    };
    told("lines.1", Reason::CannotStart, &["list.jsonl has no JSON value in line 2"]);
    told("missing.0", Reason::CannotStart, &["none.jsonl is not there", "write it where"]);
    let malformed = ["`list_file` is `\"list.jsonl\"`", "write `{\"list_file\": \"/PATH\""];
    told("malformed", Reason::ExpressionInvalid, &malformed);
    told("too-many", Reason::ExpressionInvalid, &["has 10000001 items, and 10000000 are the most"]);
    let unread = ["an item of the list file `", "have a step in the loop put out"];
    told("grouped.0.asks", Reason::ExpressionInvalid, &unread);
    told("grouped.1.loops", Reason::ExpressionInvalid, &unread);
    let lines = world.lines(&run).await;
    assert_eq!((lines["lines.0"].as_str(), lines["lines.2"].as_str()), ("1", "three"));
    assert_eq!(lines["unused.1"], "1", "what needs no item needs no file");
}

#[tokio::test]
async fn outputs_that_are_too_large_are_told_how_a_loop_gets_its_list_from_a_file() {
    let world = World::processes().await;
    let run = world
        .submit_file(
            r#"
name: large
steps:
  list:
    run: printf '{"list":[%070000d]}' 0 > "$WINDLASS_OUTPUT"
    outputs: list
  each: {for_each: "${{ steps.list.outputs.list }}", run: ":"}
"#,
        )
        .await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    let list = &world.steps(&run).await["list"];
    assert_eq!(list.reason(), Reason::OutputInvalid);
    for said in ["more than 65536 bytes", "the list of a loop", r#"{"list_file": "/PATH""#] {
        assert!(list.message.contains(said), "{}", list.message);
    }
}
