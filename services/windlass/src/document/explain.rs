//! Why steps of a run do not run.

use serde::Serialize;
use windlass_client::v1::{self, wait::Cause};

use super::{RunDocument, StepDocument};
use crate::render::{time::rfc3339, words};

/// Of `explain`.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainResult {
    run: RunDocument,
    /// What is to be said of the run as a whole.
    obstacles: Vec<ObstacleDocument>,
    steps: Vec<ExplanationDocument>,
    /// How many further steps neither run nor have ended.
    more: u32,
}

#[derive(Debug, Serialize)]
struct ExplanationDocument {
    step: StepDocument,
    /// Empty while its attempt runs.
    obstacles: Vec<ObstacleDocument>,
}

#[derive(Debug, Serialize)]
struct ObstacleDocument {
    kind: String,
    message: String,
    /// The steps that the message speaks of.
    steps: Vec<String>,
    since: Option<String>,
    until: Option<String>,
    /// What it waits for in its cluster; null where the launchers there tell nothing.
    wait: Option<WaitDocument>,
}

#[derive(Debug, Serialize)]
struct WaitDocument {
    cluster: String,
    since: Option<String>,
    #[serde(flatten)]
    cause: CauseDocument,
}

/// Told apart by `for`. What is not known is null.
#[derive(Debug, Serialize)]
#[serde(tag = "for", rename_all = "snake_case")]
enum CauseDocument {
    Pod {
        namespace: String,
        name: String,
        node: Option<String>,
        container: Option<String>,
        reason: Option<String>,
        message: Option<String>,
    },
    Quota {
        namespace: String,
        message: String,
    },
    LivePods {
        /// Null where the limit is that of the whole cluster.
        namespace: Option<String>,
        limit: u32,
        share: u32,
        live: u32,
    },
    ApiServer {
        /// Null where it does not answer.
        code: Option<u32>,
        message: String,
    },
    Creation {
        under_way: u32,
        allowed: u32,
        waiting: u32,
    },
    NotLaunching,
    /// Something that only a newer command knows.
    Unknown,
}

impl From<&v1::ExplainRunResponse> for ExplainResult {
    fn from(explained: &v1::ExplainRunResponse) -> Self {
        let steps = explained.steps.iter().map(|explanation| ExplanationDocument {
            step: explanation
                .step
                .as_ref()
                .map_or_else(|| StepDocument::from(&v1::StepStatus::default()), StepDocument::from),
            obstacles: obstacles(&explanation.obstacles),
        });
        Self {
            run: explained
                .run
                .as_ref()
                .map_or_else(|| RunDocument::from(&v1::Run::default()), RunDocument::from),
            obstacles: obstacles(&explained.obstacles),
            steps: steps.collect(),
            more: explained.more,
        }
    }
}

fn obstacles(obstacles: &[v1::Obstacle]) -> Vec<ObstacleDocument> {
    let document = |obstacle: &v1::Obstacle| ObstacleDocument {
        kind: words::obstacle(obstacle.kind()),
        message: obstacle.message.clone(),
        steps: obstacle.steps.clone(),
        since: rfc3339(obstacle.since),
        until: rfc3339(obstacle.until),
        wait: obstacle.wait.as_ref().map(WaitDocument::from),
    };
    obstacles.iter().map(document).collect()
}

impl From<&v1::Wait> for WaitDocument {
    fn from(wait: &v1::Wait) -> Self {
        let cause = wait.cause.as_ref().map_or(CauseDocument::Unknown, CauseDocument::from);
        Self { cluster: wait.cluster.clone(), since: rfc3339(wait.since), cause }
    }
}

impl From<&Cause> for CauseDocument {
    fn from(cause: &Cause) -> Self {
        let known = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        match cause {
            Cause::Pod(it) => Self::Pod {
                namespace: it.namespace.clone(),
                name: it.name.clone(),
                node: known(&it.node),
                container: known(&it.container),
                reason: known(&it.reason),
                message: known(&it.message),
            },
            Cause::Quota(it) => {
                Self::Quota { namespace: it.namespace.clone(), message: it.message.clone() }
            }
            Cause::LivePods(it) => Self::LivePods {
                namespace: known(&it.namespace),
                limit: it.limit,
                share: it.share,
                live: it.live,
            },
            Cause::ApiServer(it) => Self::ApiServer {
                code: (it.code > 0).then_some(it.code),
                message: it.message.clone(),
            },
            Cause::Creation(it) => {
                Self::Creation { under_way: it.under_way, allowed: it.allowed, waiting: it.waiting }
            }
            Cause::NotLaunching(v1::NotLaunching {}) => Self::NotLaunching,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn an_explanation_keeps_its_names() {
        let explained = ExplainResult::from(&samples::explained());
        for (step, name) in [(1, "obstacles"), (3, "wait")] {
            let step = serde_json::to_value(&explained.steps[step]).unwrap();
            let obstacles = serde_json::to_string_pretty(&step["obstacles"]).unwrap();
            insta::assert_snapshot!(name, obstacles);
        }
        let explained = serde_json::to_value(&explained).unwrap();
        let names: Vec<_> = explained.as_object().unwrap().keys().collect();
        assert_eq!(names, ["more", "obstacles", "run", "steps"]);
        assert_eq!(explained["more"], 12);
    }
}
