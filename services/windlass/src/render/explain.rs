//! Why steps of a run do not run.

use std::fmt::Write as _;

use jiff::Timestamp;
use windlass_client::v1::{
    ExplainRunResponse, Obstacle, ObstacleKind, StepExplanation, Wait, wait::Cause,
};

use super::{Theme, run::heading, time, words};

/// The run, what is to be said of it as a whole, and then a block for each step.
pub(crate) fn explained(explained: &ExplainRunResponse, now: Timestamp, theme: &Theme) -> String {
    let run = explained.run.clone().unwrap_or_default();
    let mut text = format!("{}\n", heading(&run, now, theme));
    for obstacle in &explained.obstacles {
        let _ = writeln!(text, "  {}", sentence(obstacle, now, theme));
    }
    if explained.steps.is_empty() && explained.obstacles.is_empty() {
        text.push_str("  nothing is held up: all steps that have not ended run\n");
    }
    for step in &explained.steps {
        text.push_str(&block(step, now, theme));
    }
    if explained.more > 0 {
        let more = words::steps(explained.more as usize);
        let note = format!("… and {more} more: name one to have it explained");
        let _ = writeln!(text, "\n{}", theme.dim(&note));
    }
    text
}

fn block(explanation: &StepExplanation, now: Timestamp, theme: &Theme) -> String {
    let step = explanation.step.clone().unwrap_or_default();
    let name = theme.bold(&words::harmless(&step.name));
    let state = theme.step_state(step.state(), &words::step_state(step.state()));
    let mut text = format!("\n{name} {state}\n");
    if explanation.obstacles.is_empty() {
        text.push_str("  nothing keeps it: it runs\n");
    }
    for obstacle in &explanation.obstacles {
        let _ = writeln!(text, "  {}", sentence(obstacle, now, theme));
    }
    text
}

fn sentence(obstacle: &Obstacle, now: Timestamp, theme: &Theme) -> String {
    let message = words::harmless(&obstacle.message);
    let times = times(obstacle, now);
    if times.is_empty() {
        message
    } else {
        format!("{message} {}", theme.dim(&format!("({})", times.join(", "))))
    }
}

/// How long it has been so, and how long it will be.
fn times(obstacle: &Obstacle, now: Timestamp) -> Vec<String> {
    let since = time::between(obstacle.since, None, now).map(time::length);
    let left = time::until(obstacle.until, now).map(time::length);
    let since = since.map(|since| match obstacle.kind() {
        ObstacleKind::Ended => format!("{since} ago"),
        _ => format!("for {since}"),
    });
    let left = left.map(|left| match obstacle.kind() {
        ObstacleKind::Starting | ObstacleKind::Approval => format!("given up in {left}"),
        _ => format!("{left} left"),
    });
    let in_cluster = obstacle.wait.as_ref().and_then(|wait| in_cluster(wait, now));
    [since, in_cluster, left].into_iter().flatten().collect()
}

/// How long what it waits for in its cluster has been so.
fn in_cluster(wait: &Wait, now: Timestamp) -> Option<String> {
    let since = time::between(wait.since, None, now).map(time::length)?;
    Some(match &wait.cause {
        Some(Cause::Pod(pod)) if pod.node.is_empty() => format!("without a node for {since}"),
        Some(Cause::Pod(_)) => format!("on its node for {since}"),
        Some(Cause::Quota(_)) => format!("used up for {since}"),
        _ => format!("so in its cluster for {since}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn steps_are_explained_one_after_the_other_with_times_as_people_read_them() {
        let text = explained(&samples::explained(), samples::now(), &samples::theme());
        insta::assert_snapshot!("explained", text);
    }

    #[test]
    fn a_run_in_which_nothing_is_held_up_says_so() {
        let run = Some(samples::running_run());
        let answer = ExplainRunResponse { run, ..ExplainRunResponse::default() };
        let text = explained(&answer, samples::now(), &samples::theme());
        assert!(
            text.ends_with("  nothing is held up: all steps that have not ended run\n"),
            "{text}"
        );
    }
}
