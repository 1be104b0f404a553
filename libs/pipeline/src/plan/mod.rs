//! What a run of a pipeline would do, as far as that is known before it starts: the steps in an order in which they could
//! start, with the arguments put in.
//!
//! Nodes are planned, not steps of a run: what is done for each item of a loop is there once. What is not known yet, such as
//! what a step will put out, stays the reference that it is.

mod known;
mod levels;

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use prost_types::Value;
use serde_json::{Map, Value as Json};
use windlass_engine::{
    graph::{Graph, NodeIndex, NodeKind, Place},
    policy::RetryPolicy,
};
use windlass_pod::settings;
use windlass_proto::v1::{self, FailureMode, TriggerRule, for_each, step::Work};

use crate::{arguments, check::Violations, compile, duration::to_ms, outline::Outline};
use known::Known;

/// What a run would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The pipeline's name.
    pub pipeline: String,
    /// The value of every parameter.
    pub arguments: BTreeMap<String, Json>,
    /// What the rest of the run does once a step has failed; never unspecified.
    pub failure_mode: FailureMode,
    /// The run's priority.
    pub priority: i32,
    /// The most attempts in flight at once.
    pub max_parallelism: Option<u32>,
    /// The least time between two starts of attempts.
    pub start_gap: Option<Duration>,
    /// How long the run may take, pauses left out.
    pub timeout: Option<Duration>,
    /// The steps, those first that could start first; exit steps come last.
    pub steps: Vec<PlannedStep>,
}

/// A step, or what is done for each item of a loop.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStep {
    /// Its path in a run, with `*` for the index of an item.
    pub path: String,
    /// From 1: a step could start once those of the levels before have ended. What a step holds begins at its level.
    pub level: u32,
    /// Whether it is an exit step, or lies in one.
    pub is_exit: bool,
    /// The paths of the loops that it lies in, the outermost first.
    pub loops: Vec<String>,
    /// How often it is done; none where that is not known yet. What conditions and failures do to it is left out.
    pub times: Option<u64>,
    /// The paths of the steps that it waits for, references to them included.
    pub waits_for: Vec<String>,
    /// Which of them must have ended how; never unspecified.
    pub trigger_rule: TriggerRule,
    /// Its condition, as it is written.
    pub condition: Option<String>,
    /// What it does.
    pub work: PlannedWork,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum PlannedWork {
    /// A program runs.
    Task(Box<PlannedTask>),
    /// It waits for somebody's word, so long at most.
    Approval {
        /// How long.
        timeout: Option<Duration>,
    },
    /// It holds steps.
    Group,
    /// It holds steps, one of which is taken.
    Branches,
    /// It does what it holds for each item.
    Loop {
        /// Of what list.
        items: PlannedItems,
        /// The most items under way at once.
        max_parallelism: Option<u32>,
    },
}

/// The list of a loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedItems {
    /// It has so many items.
    Known(u64),
    /// It is known once the run is under way: the reference to it.
    Reference(String),
}

/// A program with its surroundings. Texts have values in place of references that are known.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTask {
    /// The image of its container; none where it has none.
    pub image: Option<String>,
    /// The program and its arguments; of the image's own program, its arguments alone.
    pub command: Vec<String>,
    /// What is added to the environment: names and values.
    pub env: Vec<(String, PlannedValue)>,
    /// The cluster that it names; none for `default`.
    pub cluster: Option<String>,
    /// What it asks of its pod, with the keys of a pipeline's file; empty where that is nothing.
    pub pod: Map<String, Json>,
    /// Where it starts; none for the runtime's choice.
    pub working_dir: Option<String>,
    /// Memory that an attempt may use.
    pub memory_bytes: Option<u64>,
    /// How often, and after which delays, it is tried again.
    pub retry: PlannedRetry,
    /// From an attempt's creation until it runs.
    pub startup_timeout: Option<Duration>,
    /// From an attempt's running to its end.
    pub timeout: Option<Duration>,
    /// Named limits that an attempt holds.
    pub limits: Vec<String>,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedValue {
    /// A text.
    Text(String),
    /// What a secret of Kubernetes has, which nobody but the pod reads.
    Secret {
        /// The secret's name.
        name: String,
        /// The key of the value in it.
        key: String,
        /// Whether the program starts without it where it is not there.
        is_optional: bool,
    },
}

/// How a failed attempt is followed by another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedRetry {
    /// Retries of failures that are the step's own.
    pub limit: u32,
    /// Retries of failures that are not.
    pub system_limit: u32,
    /// Before the first retry.
    pub delay: Duration,
    /// By which each further delay is longer than the one before.
    pub factor: f64,
    /// The longest delay.
    pub max_delay: Duration,
    /// The part of a delay that may be taken away, from 0 to 1.
    pub jitter: f64,
    /// How many rules say what is done about some failures.
    pub rules: usize,
}

impl Default for PlannedRetry {
    fn default() -> Self {
        Self::of(None)
    }
}

impl PlannedRetry {
    fn of(retry: Option<&v1::RetryPolicy>) -> Self {
        let policy = retry.map(compile::retry_policy).unwrap_or_default();
        let RetryPolicy { limit, system_limit, delay_ms, factor_permille, max_delay_ms, .. } =
            policy;
        Self {
            limit: limit.into(),
            system_limit: system_limit.into(),
            delay: Duration::from_millis(delay_ms),
            factor: f64::from(factor_permille) / 1000.0,
            max_delay: Duration::from_millis(max_delay_ms),
            jitter: f64::from(policy.jitter_permille) / 1000.0,
            rules: retry.map_or(0, |retry| retry.rules.len()),
        }
    }
}

impl Plan {
    /// Plans a run with these arguments of a pipeline that passed [`check`](crate::check::check). Linear in the size of the
    /// pipeline, but for what values add that stand in place of references, which is at most
    /// [`limits::PLAN_VALUES_BYTES`](crate::limits::PLAN_VALUES_BYTES).
    ///
    /// # Errors
    ///
    /// The arguments are not as they must be, as in [`arguments::resolve`].
    pub fn of(
        pipeline: &v1::Pipeline,
        given: &BTreeMap<String, Value>,
    ) -> Result<Self, Violations> {
        let arguments = arguments::resolve(pipeline, given)?;
        let graph = compile::graph(pipeline, 0)?;
        let Ok(outline) = Outline::of(pipeline) else {
            unreachable!("nothing of it is encoded");
        };
        let steps = Planner::new(pipeline, &graph, &outline, &arguments).steps();
        Ok(Self {
            pipeline: pipeline.name.clone(),
            failure_mode: match pipeline.failure_mode() {
                FailureMode::Unspecified => FailureMode::ContinueOnFailure,
                mode => mode,
            },
            priority: pipeline.priority,
            max_parallelism: more_than_0(pipeline.max_parallelism),
            start_gap: duration(pipeline.start_gap.as_ref()).filter(|gap| !gap.is_zero()),
            timeout: duration(pipeline.timeout.as_ref()),
            steps,
            arguments,
        })
    }
}

/// What is known of the nodes while they are planned.
struct Planner<'a> {
    pipeline: &'a v1::Pipeline,
    graph: &'a Graph,
    outline: &'a Outline,
    known: Known<'a>,
    /// By node.
    paths: Vec<String>,
    levels: Vec<u32>,
}

impl<'a> Planner<'a> {
    fn new(
        pipeline: &'a v1::Pipeline,
        graph: &'a Graph,
        outline: &'a Outline,
        arguments: &'a BTreeMap<String, Json>,
    ) -> Self {
        Self {
            pipeline,
            graph,
            outline,
            known: Known::new(outline, arguments),
            paths: paths(outline),
            levels: levels::levels(graph, outline),
        }
    }

    fn steps(&self) -> Vec<PlannedStep> {
        let mut order = levels::nested_order(self.outline);
        order.sort_by_key(|node| self.levels[node.0 as usize]);
        order.into_iter().map(|node| self.step(node)).collect()
    }

    fn step(&self, node: NodeIndex) -> PlannedStep {
        let definition = self.definition(node);
        let waits_for = self.graph.dependencies(node).iter().map(|on| self.path(*on));
        let loops = self.loops(node);
        PlannedStep {
            path: self.path(node),
            level: self.levels[node.0 as usize] + 1,
            is_exit: self.graph.is_exit(node),
            times: self.times(&loops),
            loops: loops.into_iter().map(|of| self.path(of)).collect(),
            waits_for: waits_for.collect(),
            trigger_rule: match definition.map(v1::Step::trigger_rule) {
                None | Some(TriggerRule::Unspecified) => TriggerRule::AllSucceeded,
                Some(rule) => rule,
            },
            condition: definition.map(|step| step.when.clone()).filter(|when| !when.is_empty()),
            work: self.work(node, definition),
        }
    }

    fn work(&self, node: NodeIndex, definition: Option<&v1::Step>) -> PlannedWork {
        let timeout = duration(definition.and_then(|step| step.timeout.as_ref()));
        match self.graph.kind(node) {
            NodeKind::Task => PlannedWork::Task(Box::new(self.task(node, definition))),
            NodeKind::Approval => PlannedWork::Approval { timeout },
            NodeKind::Group(_) => PlannedWork::Group,
            NodeKind::Choice(_) => PlannedWork::Branches,
            NodeKind::Loop { max_parallelism, .. } => PlannedWork::Loop {
                items: self.items(node),
                max_parallelism: max_parallelism.map(u32::from),
            },
        }
    }

    fn task(&self, node: NodeIndex, definition: Option<&v1::Step>) -> PlannedTask {
        let task = match definition.and_then(|step| step.work.as_ref()) {
            Some(Work::Task(task)) => Some(task),
            _ => None,
        };
        // A step in a loop has a name for each item.
        let name = self.loops(node).is_empty().then(|| self.paths[node.0 as usize].as_str());
        let fill = |text: &str| self.known.fill(node, name, text);
        let texts = task.iter().flat_map(|task| task.command.iter().chain(&task.args));
        let variables = task.iter().flat_map(|task| &task.env);
        let resources = task.and_then(|task| task.resources.as_ref());
        PlannedTask {
            image: task.map(|task| fill(&task.image)).filter(|image| !image.is_empty()),
            command: texts.map(|text| fill(text)).collect(),
            env: variables
                .map(|it| {
                    let value = match &it.secret {
                        Some(secret) => PlannedValue::Secret {
                            name: secret.name.clone(),
                            key: secret.key.clone(),
                            is_optional: secret.optional,
                        },
                        None => PlannedValue::Text(fill(&it.value)),
                    };
                    (it.name.clone(), value)
                })
                .collect(),
            cluster: task.map(|task| task.cluster.clone()).filter(|name| !name.is_empty()),
            pod: task
                .and_then(|task| task.pod.as_ref())
                .map(|pod| filled(pod, &fill))
                .unwrap_or_default(),
            working_dir: task.map(|task| fill(&task.working_dir)).filter(|dir| !dir.is_empty()),
            memory_bytes: resources.map(|it| it.memory_bytes).filter(|bytes| *bytes > 0),
            retry: PlannedRetry::of(definition.and_then(|step| step.retry.as_deref())),
            startup_timeout: duration(definition.and_then(|step| step.startup_timeout.as_ref())),
            timeout: duration(definition.and_then(|step| step.timeout.as_ref())),
            limits: task.map(|task| task.limits.clone()).unwrap_or_default(),
        }
    }

    fn items(&self, of: NodeIndex) -> PlannedItems {
        let for_each = self.definition(of).and_then(|step| step.for_each.as_ref());
        match for_each.and_then(|for_each| for_each.items.as_ref()) {
            Some(for_each::Items::List(list)) => PlannedItems::Known(list.values.len() as u64),
            Some(for_each::Items::Count(count)) => PlannedItems::Known((*count).into()),
            Some(for_each::Items::Reference(text)) => match self.known.len(of, text) {
                Some(len) => PlannedItems::Known(len),
                None => PlannedItems::Reference(text.clone()),
            },
            None => PlannedItems::Known(0),
        }
    }

    /// How often something is done that lies in these loops.
    fn times(&self, loops: &[NodeIndex]) -> Option<u64> {
        loops.iter().try_fold(1_u64, |times, of| match self.items(*of) {
            PlannedItems::Known(items) => times.checked_mul(items),
            PlannedItems::Reference(_) => None,
        })
    }

    /// The loops that a node lies in, the outermost first.
    fn loops(&self, mut node: NodeIndex) -> Vec<NodeIndex> {
        let mut loops = Vec::new();
        while let Place::In(holder) | Place::Items(holder) = self.graph.place(node) {
            if let Place::Items(of) = self.graph.place(node) {
                loops.push(of);
            }
            node = holder;
        }
        loops.reverse();
        loops
    }

    fn definition(&self, node: NodeIndex) -> Option<&'a v1::Step> {
        self.outline.definition(node).or_else(|| self.pipeline.steps.get(node.0 as usize))
    }

    fn path(&self, node: NodeIndex) -> String {
        self.paths[node.0 as usize].clone()
    }
}

fn filled(pod: &v1::Pod, fill: &impl Fn(&str) -> String) -> Map<String, Json> {
    let filled = settings::rendered(pod, &mut |text| Ok::<_, Infallible>(fill(text)));
    match filled {
        Ok(pod) => settings::written(&pod),
        Err(never) => match never {},
    }
}

/// The paths of all nodes.
fn paths(outline: &Outline) -> Vec<String> {
    let mut paths: Vec<String> = Vec::with_capacity(outline.len());
    for (place, nodes) in outline.scopes() {
        let around = match place {
            Place::Run | Place::Exit => String::new(),
            // What holds others comes before them.
            Place::In(holder) => format!("{}.", paths[holder.0 as usize]),
            Place::Items(holder) => format!("{}.*.", paths[holder.0 as usize]),
        };
        for node in nodes {
            let path = format!("{around}{}", outline.name(NodeIndex(node)));
            paths.push(path.trim_end_matches('.').to_owned());
        }
    }
    paths
}

fn duration(duration: Option<&prost_types::Duration>) -> Option<Duration> {
    duration.and_then(to_ms).map(Duration::from_millis)
}

fn more_than_0(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}
