//! What a run would do.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value as Json};
use windlass_pipeline::plan::{
    Plan, PlannedItems, PlannedRetry, PlannedStep, PlannedTask, PlannedValue, PlannedWork,
};

use crate::render::words;

/// Of `run --dry-run` and `submit --dry-run`.
#[derive(Debug, Serialize)]
pub(crate) struct PlanResult {
    pub(crate) plan: PlanDocument,
}

#[derive(Debug, Serialize)]
pub(crate) struct PlanDocument {
    pipeline: String,
    arguments: BTreeMap<String, Json>,
    failure_mode: String,
    priority: i32,
    max_parallelism: Option<u32>,
    start_gap_seconds: Option<f64>,
    timeout_seconds: Option<f64>,
    /// Those first that could start first; exit steps come last.
    steps: Vec<PlannedStepDocument>,
}

#[derive(Debug, Serialize)]
struct PlannedStepDocument {
    path: String,
    /// From 1.
    level: u32,
    exit: bool,
    /// `task`, `approval`, `group`, `branches` or `loop`.
    kind: &'static str,
    /// The loops that it lies in, the outermost first.
    loops: Vec<String>,
    /// How often it is done; null where that is not known yet.
    times: Option<u64>,
    waits_for: Vec<String>,
    trigger_rule: String,
    condition: Option<String>,
    timeout_seconds: Option<f64>,
    /// Of a loop: how many items it has, or the reference to its list.
    items: Option<u64>,
    items_of: Option<String>,
    /// Of a loop: the most items under way at once.
    max_parallelism: Option<u32>,
    task: Option<TaskDocument>,
}

#[derive(Debug, Serialize)]
struct TaskDocument {
    /// Of the container that it runs in, where it runs in one.
    image: Option<String>,
    command: Vec<String>,
    /// Without those whose values secrets have.
    env: BTreeMap<String, String>,
    /// By variable.
    secrets: BTreeMap<String, SecretDocument>,
    /// Null where none is named.
    cluster: Option<String>,
    /// With the keys of a pipeline's file; null where nothing is asked of the pod.
    pod: Option<Map<String, Json>>,
    working_dir: Option<String>,
    memory_bytes: Option<u64>,
    startup_timeout_seconds: Option<f64>,
    retry: RetryDocument,
    /// Named limits that an attempt holds.
    limits: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SecretDocument {
    name: String,
    key: String,
    optional: bool,
}

#[derive(Debug, Serialize)]
struct RetryDocument {
    limit: u32,
    system_limit: u32,
    delay_seconds: f64,
    factor: f64,
    max_delay_seconds: f64,
    jitter: f64,
    /// How many rules there are.
    rules: usize,
}

impl From<Plan> for PlanDocument {
    fn from(plan: Plan) -> Self {
        Self {
            pipeline: plan.pipeline,
            arguments: plan.arguments,
            failure_mode: words::failure_mode(plan.failure_mode),
            priority: plan.priority,
            max_parallelism: plan.max_parallelism,
            start_gap_seconds: seconds(plan.start_gap),
            timeout_seconds: seconds(plan.timeout),
            steps: plan.steps.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<PlannedStep> for PlannedStepDocument {
    fn from(step: PlannedStep) -> Self {
        let mut document = Self {
            path: step.path,
            level: step.level,
            exit: step.is_exit,
            kind: "task",
            loops: step.loops,
            times: step.times,
            waits_for: step.waits_for,
            trigger_rule: words::trigger_rule(step.trigger_rule),
            condition: step.condition,
            timeout_seconds: None,
            items: None,
            items_of: None,
            max_parallelism: None,
            task: None,
        };
        match step.work {
            PlannedWork::Task(task) => {
                document.timeout_seconds = seconds(task.timeout);
                document.task = Some((*task).into());
            }
            PlannedWork::Approval { timeout } => {
                document.kind = "approval";
                document.timeout_seconds = seconds(timeout);
            }
            PlannedWork::Group => document.kind = "group",
            PlannedWork::Branches => document.kind = "branches",
            PlannedWork::Loop { items, max_parallelism } => {
                document.kind = "loop";
                document.max_parallelism = max_parallelism;
                match items {
                    PlannedItems::Known(items) => document.items = Some(items),
                    PlannedItems::Reference(text) => document.items_of = Some(text),
                }
            }
        }
        document
    }
}

impl From<PlannedTask> for TaskDocument {
    fn from(task: PlannedTask) -> Self {
        let (mut env, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for (variable, value) in task.env {
            match value {
                PlannedValue::Text(text) => {
                    env.insert(variable, text);
                }
                PlannedValue::Secret { name, key, is_optional } => {
                    secrets.insert(variable, SecretDocument { name, key, optional: is_optional });
                }
            }
        }
        Self {
            image: task.image,
            command: task.command,
            env,
            secrets,
            cluster: task.cluster,
            pod: Some(task.pod).filter(|pod| !pod.is_empty()),
            working_dir: task.working_dir,
            memory_bytes: task.memory_bytes,
            startup_timeout_seconds: seconds(task.startup_timeout),
            retry: task.retry.into(),
            limits: task.limits,
        }
    }
}

impl From<PlannedRetry> for RetryDocument {
    fn from(retry: PlannedRetry) -> Self {
        Self {
            limit: retry.limit,
            system_limit: retry.system_limit,
            delay_seconds: retry.delay.as_secs_f64(),
            factor: retry.factor,
            max_delay_seconds: retry.max_delay.as_secs_f64(),
            jitter: retry.jitter,
            rules: retry.rules,
        }
    }
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_plan_keeps_its_names() {
        let result = PlanResult { plan: samples::plan().into() };
        insta::assert_snapshot!("plan", serde_json::to_string_pretty(&result).unwrap());
    }
}
