//! Why steps of a run do not run.

use serde::Serialize;
use windlass_client::v1;

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
    };
    obstacles.iter().map(document).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn an_explanation_keeps_its_names() {
        let explained = ExplainResult::from(&samples::explained());
        let step = serde_json::to_value(&explained.steps[1]).unwrap();
        insta::assert_snapshot!(
            "obstacles",
            serde_json::to_string_pretty(&step["obstacles"]).unwrap()
        );
        let explained = serde_json::to_value(&explained).unwrap();
        let names: Vec<_> = explained.as_object().unwrap().keys().collect();
        assert_eq!(names, ["more", "obstacles", "run", "steps"]);
        assert_eq!(explained["more"], 12);
    }
}
