//! What a retry may change of a run: the values of parameters, where no step that keeps its result has come from the old ones;
//! and limits.
//!
//! A step that is done again sees the new values. One that is not would have to be what it is with the old ones in a run that
//! says it has the new ones: so the retry is refused. Whether a step has used a value cannot be seen in what it came to, so that
//! every reference counts, wherever it leads: through what a group is given, too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use prost::DecodeError;
use prost_types::Duration;
use serde_json::{Map, Value as Json};
use windlass_engine::{
    graph::NodeIndex, layout::Layout, policy::LimitChanges, record::StepIndex, run::Kept,
};
use windlass_proto::{
    encoded::EncodedPipeline,
    json,
    v1::{self, for_each::Items},
};

use crate::{
    arguments,
    check::{self, Violations},
    compile::task_texts,
    condition::Condition,
    duration,
    outline::Outline,
    template::{self, Reference},
};

/// How many steps are named that keep a value from being changed.
const NAMED: usize = 5;

/// The values of a run's parameters, some of which are to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// The value of every parameter.
    pub values: BTreeMap<String, Json>,
    /// The parameters whose value is another one than before.
    pub changed: BTreeSet<String>,
}

/// Puts given values in place of those that a run has.
///
/// # Errors
///
/// As when a run is submitted: see [`arguments::resolve`].
pub fn arguments(
    pipeline: &v1::Pipeline,
    current: &Map<String, Json>,
    given: &Map<String, Json>,
) -> Result<Arguments, Violations> {
    // What is given comes later, and stays.
    let all = current.iter().chain(given);
    let all = all.map(|(name, value)| (name.clone(), json::to_value(value))).collect();
    let values = arguments::resolve(pipeline, &all)?;
    let is_changed = |(name, value): &(&String, &Json)| current.get(*name) != Some(*value);
    let changed = values.iter().filter(is_changed).map(|(name, _)| name.clone()).collect();
    Ok(Arguments { values, changed })
}

/// Limits in place of those that a run has; 0 lifts one, and none leaves it as it is.
///
/// # Errors
///
/// A time-out that is negative or too long.
pub fn limits(
    max_parallelism: Option<u32>,
    timeout: Option<&Duration>,
) -> Result<LimitChanges, Violations> {
    check::changed_timeout(timeout)?;
    Ok(LimitChanges { max_parallelism, timeout_ms: timeout.and_then(duration::to_ms) })
}

/// Steps that keep results which have come from values that are to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// The parameters.
    pub parameters: Vec<String>,
    /// The paths of the first steps, a few.
    pub steps: Vec<String>,
    /// How many there are beyond those.
    pub more: usize,
}

/// Whether steps that a run keeps have come from values that are to be changed; none where they have not.
pub fn in_use(
    pipeline: &EncodedPipeline,
    layout: &Layout,
    kept: &[(StepIndex, Kept)],
    changed: &BTreeSet<String>,
) -> Result<Option<InUse>, DecodeError> {
    if changed.is_empty() || kept.is_empty() {
        return Ok(None);
    }
    let outline = Outline::of(pipeline)?;
    let uses = Uses::of_all(pipeline, &outline, changed)?;
    let mut found = InUse { parameters: Vec::new(), steps: Vec::new(), more: 0 };
    let mut parameters = BTreeSet::new();
    for (step, kept) in kept {
        let Some(uses) = uses.get(&layout.node(*step)) else { continue };
        let before = uses.by(*kept);
        if before.is_empty() {
            continue;
        }
        parameters.extend(before);
        if found.steps.len() < NAMED {
            found.steps.push(outline.path(*step, layout));
        } else {
            found.more += 1;
        }
    }
    found.parameters = parameters.into_iter().map(str::to_owned).collect();
    Ok((!found.steps.is_empty()).then_some(found))
}

/// Which of some parameters a node refers to, and where.
#[derive(Debug, Default)]
struct Uses<'a> {
    condition: BTreeSet<&'a str>,
    list: BTreeSet<&'a str>,
    work: BTreeSet<&'a str>,
}

impl<'a> Uses<'a> {
    /// Of all nodes that refer to any.
    fn of_all(
        pipeline: &EncodedPipeline,
        outline: &Outline,
        of: &'a BTreeSet<String>,
    ) -> Result<HashMap<NodeIndex, Self>, DecodeError> {
        let mut all = HashMap::new();
        let mut add = |node, step: &v1::Step| {
            let uses = Self::of(node, step, outline, of);
            if !uses.by(Kept::Whole).is_empty() {
                all.insert(node, uses);
            }
        };
        for (node, step) in (0..).map(NodeIndex).zip(pipeline.steps()) {
            if outline.definition(node).is_none() {
                add(node, &step?);
            }
        }
        outline.definitions().for_each(|(node, step)| add(node, step));
        Ok(all)
    }

    fn of(node: NodeIndex, step: &v1::Step, outline: &Outline, of: &'a BTreeSet<String>) -> Self {
        let mut uses = Self::default();
        let look = Look { outline, of };
        if !step.when.is_empty()
            && let Ok(condition) = Condition::parse(&step.when)
        {
            condition.references().for_each(|it| look.up(node, it, &mut uses.condition));
        }
        if let Some(Items::Reference(text)) =
            step.for_each.as_ref().and_then(|it| it.items.as_ref())
        {
            template::references(text).for_each(|it| look.up(node, it, &mut uses.list));
        }
        for text in task_texts(step) {
            template::references(text).for_each(|it| look.up(node, it, &mut uses.work));
        }
        uses
    }

    /// Those that a step has come from of which so much is kept.
    fn by(&self, kept: Kept) -> BTreeSet<&'a str> {
        let (list, work) = match kept {
            Kept::Condition => (None, None),
            Kept::Opening => (Some(&self.list), None),
            Kept::Whole => (Some(&self.list), Some(&self.work)),
        };
        let parts = [Some(&self.condition), list, work];
        parts.into_iter().flatten().flatten().copied().collect()
    }
}

/// Looks up where references lead.
struct Look<'a, 'o> {
    outline: &'o Outline,
    of: &'a BTreeSet<String>,
}

impl<'a> Look<'a, '_> {
    /// Notes the parameter of the pipeline that a reference leads to, where it is one that is looked for. An item of a loop is
    /// looked up with the loop's list; what steps put out is their own.
    fn up(&self, node: NodeIndex, reference: Reference<'_>, found: &mut BTreeSet<&'a str>) {
        let Reference::Param(name) = reference else { return };
        if let Some((given_at, value)) = self.outline.argument(node, name) {
            if let Json::String(text) = json::from_value(value) {
                template::references(&text).for_each(|it| self.up(given_at, it, found));
            }
        } else if self.outline.sees_parameters(node)
            && let Some(name) = self.of.get(name)
        {
            found.insert(name);
        }
    }
}
