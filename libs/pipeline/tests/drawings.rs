//! Pipelines as pictures.

use windlass_pipeline::{
    drawing,
    file::{self, FileOptions},
};
use windlass_proto::v1;

const PIPELINE: &str = r#"
name: drawn
parameters: {list: [1, 2]}
steps:
  load: {run: "true", outputs: rows}
  each:
    for_each: ${{ params.list }}
    when: |
      steps.load.outputs.rows > 1
        && "a<b" != ''
    steps:
      fit: {run: "true"}
      score: {depends_on: fit, run: "true"}
  choose:
    depends_on: each
    trigger_rule: all_done
    branches:
      good: {when: steps.load.state == 'succeeded', run: "true"}
      bad: {for_each: 3, run: "true"}
exit_steps:
  tidy: {run: "true"}
"#;

fn pipeline() -> v1::Pipeline {
    file::parse(PIPELINE.as_bytes(), &FileOptions::default()).expect("it is lawful")
}

#[test]
fn dot_draws_what_holds_others_as_clusters() {
    insta::assert_snapshot!(drawing::dot(&pipeline()).expect("it compiles"));
}

#[test]
fn mermaid_draws_what_holds_others_as_subgraphs() {
    insta::assert_snapshot!(drawing::mermaid(&pipeline()).expect("it compiles"));
}
