//! A run, its steps, and a step's attempts.

use std::collections::BTreeMap;

use prost_types::Value;
use serde::Serialize;
use serde_json::Value as Json;
use windlass_client::v1;
use windlass_proto::json;

use super::text;
use crate::render::{time::rfc3339, words};

#[derive(Debug, Serialize)]
pub(crate) struct RunDocument {
    run_id: String,
    namespace: String,
    pipeline: String,
    labels: BTreeMap<String, String>,
    arguments: BTreeMap<String, Json>,
    state: String,
    reason: Option<String>,
    message: Option<String>,
    create_time: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    step_counts: CountsDocument,
    version: u64,
    retries: u32,
    rerun_of: Option<String>,
    priority: i32,
    /// Null where no retry has changed any.
    changed_limits: Option<LimitsDocument>,
}

/// Limits that are other than the pipeline's: those alone, so that null means that there is none.
#[derive(Debug, Serialize)]
struct LimitsDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_parallelism: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<Json>,
}

#[derive(Debug, Serialize)]
struct CountsDocument {
    total: u32,
    waiting: u32,
    queued: u32,
    running: u32,
    stopping: u32,
    succeeded: u32,
    failed: u32,
    skipped: u32,
    cancelled: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct StepDocument {
    name: String,
    index: u32,
    state: String,
    reason: Option<String>,
    message: Option<String>,
    /// The step that the reason speaks of.
    cause: Option<String>,
    /// 0 before the first.
    attempt: u32,
    failures: u32,
    losses: u32,
    /// How many failures are retried, of its own and others.
    retry_limit: u32,
    system_retry_limit: u32,
    queue_time: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    retry_time: Option<String>,
    outputs: BTreeMap<String, Json>,
}

#[derive(Debug, Serialize)]
pub(crate) struct AttemptDocument {
    number: u32,
    state: String,
    reason: Option<String>,
    message: Option<String>,
    queue_time: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    duration_seconds: Option<f64>,
    /// Null where the runtime places no attempts on hosts, and before it has.
    host: Option<String>,
    /// What its processes may use together; null where there is no limit.
    memory_bytes: Option<u64>,
    /// Null where no result was taken from the cache.
    cached_from: Option<CacheSourceDocument>,
}

#[derive(Debug, Serialize)]
struct CacheSourceDocument {
    run_id: String,
    step: String,
    /// When the step ended there.
    time: Option<String>,
}

impl From<&v1::Run> for RunDocument {
    fn from(run: &v1::Run) -> Self {
        Self {
            run_id: run.run_id.clone(),
            namespace: run.namespace.clone(),
            pipeline: run.pipeline.clone(),
            labels: run.labels.clone(),
            arguments: values(&run.arguments),
            state: words::run_state(run.state()),
            reason: words::reason(run.reason()),
            message: text(&run.message),
            create_time: rfc3339(run.create_time),
            start_time: rfc3339(run.start_time),
            end_time: rfc3339(run.end_time),
            step_counts: (&run.step_counts.unwrap_or_default()).into(),
            version: run.version,
            retries: run.retries,
            rerun_of: text(&run.rerun_of),
            priority: run.priority,
            changed_limits: run.changed_limits.as_ref().map(Into::into),
        }
    }
}

impl From<&v1::ChangedLimits> for LimitsDocument {
    fn from(limits: &v1::ChangedLimits) -> Self {
        let timeout = limits.timeout.and_then(|it| std::time::Duration::try_from(it).ok());
        Self {
            max_parallelism: limits.max_parallelism.map(|most| match most {
                0 => Json::Null,
                most => most.into(),
            }),
            timeout_seconds: timeout.map(|timeout| {
                if timeout.is_zero() { Json::Null } else { timeout.as_secs_f64().into() }
            }),
        }
    }
}

impl From<&v1::StepCounts> for CountsDocument {
    fn from(counts: &v1::StepCounts) -> Self {
        Self {
            total: counts.total,
            waiting: counts.waiting,
            queued: counts.queued,
            running: counts.running,
            stopping: counts.stopping,
            succeeded: counts.succeeded,
            failed: counts.failed,
            skipped: counts.skipped,
            cancelled: counts.cancelled,
        }
    }
}

impl From<&v1::StepStatus> for StepDocument {
    fn from(step: &v1::StepStatus) -> Self {
        Self {
            name: step.name.clone(),
            index: step.index,
            state: words::step_state(step.state()),
            reason: words::reason(step.reason()),
            message: text(&step.message),
            cause: text(&step.cause),
            attempt: step.attempt,
            failures: step.failures,
            losses: step.losses,
            retry_limit: step.retry_limit,
            system_retry_limit: step.system_retry_limit,
            queue_time: rfc3339(step.queue_time),
            start_time: rfc3339(step.start_time),
            end_time: rfc3339(step.end_time),
            retry_time: rfc3339(step.retry_time),
            outputs: values(&step.outputs),
        }
    }
}

impl From<&v1::Attempt> for AttemptDocument {
    fn from(attempt: &v1::Attempt) -> Self {
        let duration =
            attempt.duration.and_then(|duration| std::time::Duration::try_from(duration).ok());
        Self {
            number: attempt.number,
            state: words::attempt_state(attempt.state()),
            reason: words::reason(attempt.reason()),
            message: text(&attempt.message),
            queue_time: rfc3339(attempt.queue_time),
            start_time: rfc3339(attempt.start_time),
            end_time: rfc3339(attempt.end_time),
            exit_code: attempt.exit_code,
            signal: attempt.signal,
            duration_seconds: duration.map(|duration| duration.as_secs_f64()),
            host: text(&attempt.host),
            memory_bytes: (attempt.memory_bytes > 0).then_some(attempt.memory_bytes),
            cached_from: attempt.cached_from.as_ref().map(Into::into),
        }
    }
}

impl From<&v1::CacheSource> for CacheSourceDocument {
    fn from(source: &v1::CacheSource) -> Self {
        let v1::CacheSource { run_id, step, time } = source;
        Self { run_id: run_id.clone(), step: step.clone(), time: rfc3339(*time) }
    }
}

fn values(values: &BTreeMap<String, Value>) -> BTreeMap<String, Json> {
    values.iter().map(|(name, value)| (name.clone(), json::from_value(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_run_and_its_steps_keep_their_names() {
        let run = RunDocument::from(&samples::failed_run());
        insta::assert_snapshot!("run", serde_json::to_string_pretty(&run).unwrap());
        let steps: Vec<StepDocument> =
            samples::steps_of_failed_run().iter().map(Into::into).collect();
        insta::assert_snapshot!("step", serde_json::to_string_pretty(&steps[1]).unwrap());
        let changed = |max_parallelism, seconds: Option<i64>| {
            let timeout = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
            let changed = v1::ChangedLimits { max_parallelism, timeout };
            serde_json::to_value(LimitsDocument::from(&changed)).unwrap()
        };
        assert_eq!(changed(Some(0), None), serde_json::json!({"max_parallelism": null}));
        assert_eq!(changed(None, Some(0)), serde_json::json!({"timeout_seconds": null}));
        let both = serde_json::json!({"max_parallelism": 3, "timeout_seconds": 60.0});
        assert_eq!(changed(Some(3), Some(60)), both);
        let attempt = AttemptDocument::from(&samples::attempts()[0]);
        insta::assert_snapshot!("attempt", serde_json::to_string_pretty(&attempt).unwrap());
        let placed = AttemptDocument::from(&samples::attempts_on_hosts()[0]);
        let placed = serde_json::to_value(&placed).unwrap();
        assert_eq!(placed["host"], "north");
        let cached_from = Some(v1::CacheSource {
            run_id: "run_a".to_owned(),
            step: "load".to_owned(),
            time: Some(samples::at(0)),
        });
        let cached = AttemptDocument::from(&v1::Attempt { cached_from, ..v1::Attempt::default() });
        let cached = &serde_json::to_value(&cached).unwrap()["cached_from"];
        let time = rfc3339(Some(samples::at(0)));
        assert_eq!(*cached, serde_json::json!({"run_id": "run_a", "step": "load", "time": time}));
    }
}
