//! What the engine asks of a pipeline: whether conditions hold, and how many items lists have.

use std::{cell::RefCell, collections::HashMap, path::PathBuf, sync::Arc};

use serde_json::{Map, Value};
use windlass_engine::{
    graph::NodeIndex,
    logic::{Facts, Logic},
    record::StepIndex,
};
use windlass_proto::v1::for_each::Items;

use crate::{
    condition::Condition,
    limits,
    list_file::{FORM, ListFile, ListFiles},
    outline::Outline,
    quote::quote,
    resolve::{At, Resolver, Site},
};

/// The logic of one run: its pipeline, with its arguments.
#[derive(Debug)]
pub(crate) struct PipelineLogic {
    outline: Arc<Outline>,
    arguments: Map<String, Value>,
    conditions: HashMap<NodeIndex, Condition>,
    run_id: String,
}

impl PipelineLogic {
    /// For a run with these arguments.
    pub(crate) fn new(
        outline: Arc<Outline>,
        run_id: String,
        arguments: Map<String, Value>,
        conditions: HashMap<NodeIndex, Condition>,
    ) -> Self {
        Self { outline, arguments, conditions, run_id }
    }
}

impl Logic for PipelineLogic {
    fn condition(&self, step: StepIndex, facts: &dyn Facts) -> Result<bool, String> {
        let Some(condition) = self.conditions.get(&facts.layout().node(step)) else {
            return Ok(true);
        };
        let unread = Unread::default();
        let resolver = Resolver::new(&self.outline, &self.arguments, facts)
            .with_run_id(&self.run_id)
            .with_list_files(&unread);
        let result = condition.evaluate(&At { resolver, site: Site::at(step) });
        // Whatever came of it without the item, with the item it might be something else.
        match unread.problem() {
            Some(problem) => Err(format!("the condition {}: {problem}", quote(condition.text()))),
            None => result.map_err(|error| error.to_string()),
        }
    }

    fn items(&self, step: StepIndex, facts: &dyn Facts) -> Result<u32, String> {
        let unread = Unread::default();
        let resolver =
            Resolver::new(&self.outline, &self.arguments, facts).with_list_files(&unread);
        match resolver.count(step) {
            Ok(count) => u32::try_from(count)
                .ok()
                .filter(|count| *count as usize <= limits::ITEMS)
                .ok_or_else(|| too_many(count)),
            Err(other) => {
                let reference = self.list_of(facts.layout().node(step));
                Err(match unread.problem() {
                    Some(problem) => format!("{reference}: {problem}"),
                    None => no_list(reference, other),
                })
            }
        }
    }
}

impl PipelineLogic {
    /// The reference to a loop's list.
    fn list_of(&self, node: NodeIndex) -> &str {
        let for_each = self.outline.definition(node).and_then(|step| step.for_each.as_ref());
        match for_each.and_then(|for_each| for_each.items.as_ref()) {
            Some(Items::Reference(text)) => text,
            Some(Items::List(_) | Items::Count(_)) | None => "the list",
        }
    }
}

fn too_many(count: u64) -> String {
    format!(
        "the list of the loop has {count} items, and {} are the most; split it, or have one step do more",
        limits::ITEMS
    )
}

fn no_list(reference: &str, other: Option<Value>) -> String {
    let Some(value) = other else {
        return format!(
            "{reference} has no value, and a loop needs a list; refer to steps that succeed and write it"
        );
    };
    let shown = value.to_string();
    let shown = quote(&shown);
    match ListFile::of(&value) {
        Some(Err(problem)) => {
            format!("{reference} is {shown}, which is no list file: {problem}; write `{FORM}`")
        }
        Some(Ok(_)) | None => format!(
            "{reference} is {shown}, and a loop needs a list; have it written as a JSON array, or as a list file: `{FORM}`"
        ),
    }
}

/// Knows no item of any list file, since none is read here, and remembers which file was asked for.
#[derive(Default)]
struct Unread(RefCell<Option<PathBuf>>);

impl Unread {
    fn problem(&self) -> Option<String> {
        let path = self.0.take()?;
        let path = path.to_string_lossy();
        Some(format!(
            "it takes an item of the list file {}, which is read only where attempts start; have a step in the loop put out what \
             is needed of the item, and refer to that",
            quote(&path)
        ))
    }
}

impl ListFiles for Unread {
    fn item(&self, list: &ListFile, _: u32) -> Option<Value> {
        self.0.replace(Some(list.path.clone()));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compile::graph_of_run,
        file::{self, FileOptions},
    };
    use prost::Message as _;
    use serde_json::json;
    use windlass_engine::{
        layout::{Expansion, Layout},
        policy::LimitChanges,
        record::{RunState, StepState},
    };
    use windlass_proto::encoded::EncodedPipeline;

    /// A run whose first step has put this out.
    struct Run {
        layout: Layout,
        outputs: Arc<Value>,
    }

    impl Facts for Run {
        fn layout(&self) -> &Layout {
            &self.layout
        }

        fn state(&self, _: StepIndex) -> StepState {
            StepState::Succeeded
        }

        fn outputs(&self, step: StepIndex) -> Option<Arc<Value>> {
            (step.0 == 0).then(|| self.outputs.clone())
        }

        fn run_state(&self) -> RunState {
            RunState::Running
        }
    }

    fn run(text: &str, output: &Value) -> Run {
        let pipeline = file::parse(text.as_bytes(), &FileOptions::default()).unwrap();
        let encoded = EncodedPipeline::new(pipeline.encode_to_vec().into()).unwrap();
        let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let graph = graph_of_run(&encoded, run, Map::new(), LimitChanges::default()).unwrap();
        Run { layout: Layout::new(Arc::new(graph)), outputs: Arc::new(json!({"list": output})) }
    }

    fn items(output: &Value) -> Result<u32, String> {
        let text = r#"
name: p
steps:
  a: {command: [x], outputs: list}
  b: {for_each: "${{ steps.a.outputs.list }}", command: [x]}
"#;
        let run = run(text, output);
        run.layout.graph().logic().items(StepIndex(1), &run)
    }

    fn list_file(items: impl Into<Value>) -> Value {
        json!({"list_file": "/data/list", "items": items.into(), "sha256": "0".repeat(64)})
    }

    #[test]
    fn a_loop_over_a_list_file_has_as_many_items_as_that_says() {
        for count in [0, 1, 10_000_000] {
            assert_eq!(items(&list_file(count)), Ok(count));
        }
        for count in [10_000_001, u64::from(u32::MAX) + 2, u64::MAX] {
            let said = format!("the list of the loop has {count} items, and 10000000 are the most");
            assert!(items(&list_file(count)).unwrap_err().starts_with(&said));
        }
    }

    #[test]
    fn what_is_no_list_file_is_shown_with_what_to_write() {
        let error = items(&list_file(-1)).unwrap_err();
        let said = "${{ steps.a.outputs.list }} is `{\"items\":-1,\"list_file\":\"/data/list\"";
        assert!(error.starts_with(said), "{error}");
        let said =
            "`items` is `-1`, and must be the number of lines; write `{\"list_file\": \"/PATH\"";
        assert!(error.contains(said), "{error}");
        let error = items(&json!({"items": 3})).unwrap_err();
        assert!(error.contains("a JSON array, or as a list file: `{\"list_file\""), "{error}");
    }

    #[test]
    fn what_depends_on_an_item_of_a_list_file_is_told_that_nobody_reads_it_here() {
        let text = r#"
name: p
steps:
  a: {command: [x], outputs: list}
  b:
    for_each: "${{ steps.a.outputs.list }}"
    steps:
      c: {for_each: "${{ item }}", command: [x]}
      d: {when: "index == 0 && (true || item == 1)", command: [x]}
      e: {when: index == 0, command: [x]}
"#;
        let mut run = run(text, &list_file(2));
        let steps = run.layout.len() as u32;
        run.layout
            .add(Expansion { step: StepIndex(1), first: StepIndex(steps), items: 2 })
            .unwrap();
        let logic = run.layout.graph().logic();
        let [c, d, e] = [0, 1, 2].map(|place| StepIndex(steps + place));
        for error in [logic.items(c, &run).unwrap_err(), logic.condition(d, &run).unwrap_err()] {
            assert!(error.contains("an item of the list file `/data/list`"), "{error}");
            assert!(error.contains("have a step in the loop put out what is needed"), "{error}");
        }
        assert_eq!(logic.condition(e, &run), Ok(true));
    }
}
