//! What the engine asks of a pipeline: whether conditions hold, and how many items lists have.

use std::{collections::HashMap, sync::Arc};

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
        let resolver =
            Resolver::new(&self.outline, &self.arguments, facts).with_run_id(&self.run_id);
        condition
            .evaluate(&At { resolver, site: Site::at(step) })
            .map_err(|error| error.to_string())
    }

    fn items(&self, step: StepIndex, facts: &dyn Facts) -> Result<u32, String> {
        let resolver = Resolver::new(&self.outline, &self.arguments, facts);
        match resolver.count(step) {
            Ok(count) if count <= limits::ITEMS => Ok(count as u32),
            Ok(count) => Err(format!(
                "the list of the loop has {count} items, and {} are the most; split it, or have one step do more",
                limits::ITEMS
            )),
            Err(other) => Err(self.no_list(facts.layout().node(step), other)),
        }
    }
}

impl PipelineLogic {
    fn no_list(&self, node: NodeIndex, other: Option<Value>) -> String {
        let for_each = self.outline.definition(node).and_then(|step| step.for_each.as_ref());
        let reference = match for_each.and_then(|for_each| for_each.items.as_ref()) {
            Some(Items::Reference(text)) => text.as_str(),
            Some(Items::List(_) | Items::Count(_)) | None => "the list",
        };
        match other {
            Some(value) => format!(
                "{reference} is {}, and a loop needs a list; have it written as a JSON array",
                quote(&value.to_string())
            ),
            None => format!(
                "{reference} has no value, and a loop needs a list; refer to steps that succeed and write it"
            ),
        }
    }
}
