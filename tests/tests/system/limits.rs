//! Named limits: who may start, across runs, whatever happens to those who hold and wait.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use windlass_proto::v1::{self, ObstacleKind, RunState, StepState};

use crate::{
    recovery::{Server, submit},
    support::{Runs, World, limited, parsed, until_ended},
};

/// A file in which steps leave a mark when they begin and when they end, and gates that let them end.
struct Marks {
    dir: PathBuf,
}

impl Marks {
    fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// A pipeline of steps, each with its limits, its gate and more keys. A step runs until its gate is open.
    fn pipeline(&self, steps: &[(&str, &str, &str, &str)]) -> v1::Pipeline {
        let marks = self.dir.join("marks").display().to_string();
        let step = |(name, limits, gate, more): &(&str, &str, &str, &str)| {
            let gate = self.dir.join(gate).display().to_string();
            let mark = |what: &str| format!("echo \"{what} {name} $(date +%s%3N)\" >> {marks}");
            let lines = [
                format!("  {name}:\n    limits: [{limits}]\n    {more}\n    run: |"),
                format!("      {}", mark("begin")),
                format!("      until [ -e {gate} ]; do sleep 0.02; done"),
                format!("      {}\n", mark("end")),
            ];
            lines.join("\n")
        };
        let steps: String = steps.iter().map(step).collect();
        parsed(&format!("name: marked\nsteps:\n{steps}"))
    }

    fn open(&self, gate: &str) {
        fs::write(self.dir.join(gate), "").unwrap();
    }

    fn lines(&self) -> Vec<(String, String, u64)> {
        let text = fs::read_to_string(self.dir.join("marks")).unwrap_or_default();
        let lines = text.lines().map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            (words[0].to_owned(), words[1].to_owned(), words[2].parse().unwrap())
        });
        lines.collect()
    }

    /// The steps that have begun, in that order.
    fn begun(&self) -> Vec<String> {
        let begun = self.lines().into_iter().filter(|(what, ..)| what == "begin");
        begun.map(|(_, step, _)| step).collect()
    }

    /// How many were under way at the same time at most.
    fn most_at_once(&self) -> i32 {
        let mut under_way = 0;
        let counts = self.lines().into_iter().map(|(what, ..)| {
            under_way += if what == "begin" { 1 } else { -1 };
            under_way
        });
        counts.max().unwrap_or_default()
    }

    async fn until_begun(&self, count: usize) {
        limited(async {
            while self.begun().len() < count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

async fn world() -> (World, Marks) {
    let world = World::processes().await;
    let marks = Marks::new(world.file("").as_path());
    (world, marks)
}

fn rate(starts: u32, ms: u64) -> v1::LimitRate {
    let period = std::time::Duration::from_millis(ms).try_into().ok();
    v1::LimitRate { starts, period }
}

async fn set(
    runs: &mut Runs,
    name: &str,
    size: Option<u32>,
    rate: Option<v1::LimitRate>,
) -> v1::Limit {
    let name = name.to_owned();
    let request = v1::SetLimitRequest { name, size, rate, ..Default::default() };
    runs.set_limit(request).await.unwrap().into_inner().limit.unwrap()
}

impl World {
    async fn limit(&self, name: &str) -> v1::GetLimitResponse {
        let request = v1::GetLimitRequest { name: name.to_owned(), ..Default::default() };
        self.runs().get_limit(request).await.unwrap().into_inner()
    }

    /// Submits a run of one step, and waits until that stands in line.
    async fn submit_blocked(&self, pipeline: v1::Pipeline) -> String {
        let step = pipeline.steps[0].name.clone();
        let run = self.submit(pipeline).await;
        self.until_exactly(&run, &step, StepState::Blocked).await;
        run
    }

    async fn until_exactly(&self, run: &str, step: &str, state: StepState) {
        limited(async {
            while self.steps(run).await[step].state() != state {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn why_in_line(&self, run: &str, step: &str) -> v1::Obstacle {
        let request = v1::ExplainRunRequest { run_id: run.to_owned(), step: step.to_owned() };
        let explained = self.runs().explain_run(request).await.unwrap().into_inner();
        let mut obstacles = explained.steps[0].obstacles.clone();
        assert_eq!(obstacles.len(), 1, "{obstacles:?}");
        assert_eq!(obstacles[0].kind(), ObstacleKind::Limits);
        obstacles.remove(0)
    }
}

#[tokio::test]
async fn a_limit_that_nobody_has_set_is_held_by_one_step_at_a_time_across_runs() {
    let (world, marks) = world().await;
    marks.open("open");
    let steps = ["a", "b", "c"].map(|name| (name, "db", "open", ""));
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(world.submit(marks.pipeline(&steps)).await);
    }
    for run in runs {
        assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    }
    assert_eq!((marks.begun().len(), marks.most_at_once()), (9, 1));
}

#[tokio::test]
async fn a_limit_lets_as_many_start_as_its_size_and_the_rest_are_told_who_holds_it() {
    let (world, marks) = world().await;
    set(&mut world.runs(), "gpu", Some(2), None).await;
    let first = world.submit(marks.pipeline(&[("a", "gpu", "gate", "")])).await;
    marks.until_begun(1).await;
    let second = world
        .submit(marks.pipeline(&[
            ("b", "gpu", "gate", ""),
            ("c", "gpu", "gate", "depends_on: x"),
            ("d", "gpu", "gate", "depends_on: c"),
            ("x", "", "open", ""),
        ]))
        .await;
    marks.until_begun(3).await;
    marks.open("open");
    world.until_exactly(&second, "c", StepState::Blocked).await;

    let why = world.why_in_line(&second, "c").await;
    let expected = format!(
        "it stands in line for limit `gpu` (2 at once): held by `a` of {first} and `b` of this run; it is the next one"
    );
    assert_eq!((why.message, why.steps), (expected, vec!["b".to_owned()]));
    assert!(why.since.is_some());
    let third = world.submit_blocked(marks.pipeline(&[("e", "gpu", "gate", "")])).await;
    let why = world.why_in_line(&third, "e").await.message;
    assert!(why.ends_with(&format!("and `b` of {second}; 1 stands before it")), "{why}");
    let message = world.steps(&third).await["e"].message.clone();
    assert_eq!(message, "stands in line for `gpu`");

    let gpu = world.limit("gpu").await;
    let limit = gpu.limit.unwrap();
    assert_eq!((limit.size, limit.is_set, limit.held, limit.waiting), (Some(2), true, 2, 2));
    let holders: Vec<_> =
        gpu.holders.iter().map(|it| (it.run_id.as_str(), it.step.as_str(), it.attempt)).collect();
    assert_eq!(holders, [(first.as_str(), "a", 1), (second.as_str(), "b", 1)]);
    assert!(gpu.holders.iter().all(|it| it.since.is_some()));

    marks.open("gate");
    for run in [first, second, third] {
        assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    }
    let limit = world.limit("gpu").await.limit.unwrap();
    assert_eq!((limit.held, limit.waiting), (0, 0));
}

#[tokio::test]
async fn a_step_gets_all_of_its_limits_or_none_and_nobody_passes_it() {
    let (world, marks) = world().await;
    let first = world.submit(marks.pipeline(&[("first", "a", "gate", "")])).await;
    marks.until_begun(1).await;
    let both = world.submit_blocked(marks.pipeline(&[("both", "a, b", "gate", "")])).await;
    let last = world.submit_blocked(marks.pipeline(&[("last", "b", "gate", "")])).await;
    let b = world.limit("b").await.limit.unwrap();
    assert_eq!((b.held, b.waiting, b.is_set, b.size), (0, 2, false, Some(1)));
    let why = world.why_in_line(&both, "both").await.message;
    let expected = format!(
        "it stands in line for limits that it needs all at once: `a` (1 at once): held by `first` of {first}, and it is the next \
         one; `b` (1 at once): it is the next one"
    );
    assert_eq!(why, expected);
    let message = world.steps(&both).await["both"].message.clone();
    assert_eq!(message, "stands in line for limits `a` and `b`");
    marks.open("gate");
    for run in [first, both, last] {
        assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    }
    assert_eq!(marks.begun(), ["first", "both", "last"]);
}

#[tokio::test]
async fn steps_of_many_runs_start_in_the_order_in_which_they_came() {
    let (world, marks) = world().await;
    let mut runs = vec![world.submit(marks.pipeline(&[("s0", "db", "gate", "")])).await];
    marks.until_begun(1).await;
    for name in ["s1", "s2", "s3", "s4"] {
        runs.push(world.submit_blocked(marks.pipeline(&[(name, "db", "gate", "")])).await);
    }
    marks.open("gate");
    for run in runs {
        assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    }
    assert_eq!(marks.begun(), ["s0", "s1", "s2", "s3", "s4"]);
    assert_eq!(marks.most_at_once(), 1);
}

#[tokio::test]
async fn paused_and_cancelled_runs_leave_the_line_and_what_a_cancelled_one_held_is_free() {
    let (world, marks) = world().await;
    let holder = world.submit(marks.pipeline(&[("holder", "db", "never", "")])).await;
    marks.until_begun(1).await;
    let paused = world.submit_blocked(marks.pipeline(&[("paused", "db", "gate", "")])).await;
    let cancelled = world.submit_blocked(marks.pipeline(&[("cancelled", "db", "gate", "")])).await;
    let last = world.submit_blocked(marks.pipeline(&[("last", "db", "gate", "")])).await;
    let mut runs = world.runs();
    runs.pause_run(v1::PauseRunRequest { run_id: paused.clone() }).await.unwrap();
    runs.cancel_run(v1::CancelRunRequest { run_id: cancelled.clone() }).await.unwrap();
    world.until_exactly(&paused, "paused", StepState::Ready).await;
    assert_eq!(world.until_ended(&cancelled).await.state(), RunState::Cancelled);
    runs.cancel_run(v1::CancelRunRequest { run_id: holder.clone() }).await.unwrap();
    assert_eq!(world.until_ended(&holder).await.state(), RunState::Cancelled);
    marks.open("gate");
    assert_eq!(world.until_ended(&last).await.state(), RunState::Succeeded);
    assert_eq!(marks.begun(), ["holder", "last"]);
    runs.resume_run(v1::ResumeRunRequest { run_id: paused.clone() }).await.unwrap();
    assert_eq!(world.until_ended(&paused).await.state(), RunState::Succeeded);
    assert_eq!(marks.begun(), ["holder", "last", "paused"]);
    assert_eq!(world.limit("db").await.holders, []);
}

#[tokio::test]
async fn a_retry_stands_in_line_behind_those_who_came_before_it() {
    let (world, marks) = world().await;
    let mut failing = marks.pipeline(&[("again", "db", "gate", "retry: 1")]);
    let Some(v1::step::Work::Task(task)) = &mut failing.steps[0].work else { panic!("no task") };
    task.command[2].push_str("[ $WINDLASS_ATTEMPT = 2 ]\n");
    let again = world.submit(failing).await;
    marks.until_begun(1).await;
    let other = world.submit_blocked(marks.pipeline(&[("other", "db", "gate", "")])).await;
    marks.open("gate");
    for run in [again, other] {
        assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    }
    assert_eq!(marks.begun(), ["again", "other", "again"]);
    assert_eq!(marks.most_at_once(), 1);
}

#[tokio::test]
async fn a_larger_size_lets_those_start_at_once_who_stand_in_line_and_a_smaller_one_takes_nothing_away()
 {
    let (world, marks) = world().await;
    let first = world.submit(marks.pipeline(&[("a", "gpu", "gate", "")])).await;
    marks.until_begun(1).await;
    let second = world.submit_blocked(marks.pipeline(&[("b", "gpu", "gate", "")])).await;
    let third = world.submit_blocked(marks.pipeline(&[("c", "gpu", "gate", "")])).await;
    let limit = set(&mut world.runs(), "gpu", Some(3), None).await;
    assert_eq!((limit.held, limit.waiting), (3, 0));
    marks.until_begun(3).await;
    let request = v1::UnsetLimitRequest { name: "gpu".to_owned(), ..Default::default() };
    let limit = world.runs().unset_limit(request).await.unwrap().into_inner().limit.unwrap();
    assert_eq!((limit.held, limit.size, limit.is_set), (3, Some(1), false));
    marks.open("gate");
    for run in [first, second, third] {
        assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    }
    let listed = world.runs().list_limits(v1::ListLimitsRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().limits, [], "nothing is left to be told");
}

#[tokio::test]
async fn no_more_start_in_a_period_than_the_rate_says() {
    const PERIOD_MS: u64 = 400;
    let (world, marks) = world().await;
    marks.open("open");
    set(&mut world.runs(), "api", None, Some(rate(2, PERIOD_MS))).await;
    let names = ["a", "b", "c", "d", "e", "f"];
    let run = world.submit(marks.pipeline(&names.map(|name| (name, "api", "open", "")))).await;
    let run = world.until_ended(&run).await;
    assert_eq!(run.state(), RunState::Succeeded);
    // None was granted anything before the run was there, and each began after it was granted that.
    let there = run.create_time.unwrap();
    let there = u64::try_from(there.seconds * 1000 + i64::from(there.nanos / 1_000_000)).unwrap();
    let mut begun: Vec<_> =
        marks.lines().into_iter().filter(|(what, ..)| what == "begin").map(|(.., at)| at).collect();
    begun.sort_unstable();
    assert_eq!(begun.len(), names.len());
    for (place, at) in (0u64..).zip(begun) {
        assert!(at >= there + place / 2 * PERIOD_MS, "start {place} at {at}, run at {there}");
    }
}

#[tokio::test]
async fn a_rate_holds_back_whom_nothing_else_does_until_it_is_set_to_let_them_start() {
    let (world, marks) = world().await;
    marks.open("open");
    let mut runs = world.runs();
    set(&mut runs, "api", None, Some(rate(1, 3_600_000))).await;
    let first = world.submit(marks.pipeline(&[("a", "api", "open", "")])).await;
    world.until_ended(&first).await;
    let second = world.submit_blocked(marks.pipeline(&[("b", "api", "open", "")])).await;
    let why = world.why_in_line(&second, "b").await.message;
    let expected = "it stands in line for limit `api` (1 start in 1 h): it is the next one, as soon as its rate lets another one \
                    start";
    assert_eq!(why, expected);
    // Its scheduler knows of an hour, and is told that it is less.
    set(&mut runs, "api", None, Some(rate(1, 5000))).await;
    assert_eq!(world.until_ended(&second).await.state(), RunState::Succeeded);
    let third = world.submit_blocked(marks.pipeline(&[("c", "api", "open", "")])).await;
    set(&mut runs, "api", Some(1), None).await;
    assert_eq!(world.until_ended(&third).await.state(), RunState::Succeeded);
}

#[tokio::test]
async fn what_is_held_and_who_waits_survives_a_server_that_is_killed() {
    let dir = TempDir::new().unwrap();
    let (state, marks) = (dir.path().join("state"), Marks::new(dir.path()));
    let server = Server::start(&state).await;
    set(&mut server.runs().await, "api", None, Some(rate(1, 2000))).await;
    let first = submit(&server, marks.pipeline(&[("a", "db", "gate", "")])).await;
    marks.until_begun(1).await;
    let second = submit(&server, marks.pipeline(&[("b", "db", "gate", "")])).await;
    marks.open("open");
    let quick = submit(&server, marks.pipeline(&[("quick", "api", "open", "")])).await;
    let late = submit(&server, marks.pipeline(&[("late", "api", "open", "")])).await;
    until_ended(&mut server.runs().await, &quick).await;
    for (run, step) in [(&second, "b"), (&late, "late")] {
        until_asked(&mut server.runs().await, run, step).await;
    }
    server.kill();
    let server = Server::start(&state).await;
    let mut runs = server.runs().await;
    // Nothing else happens to it than that time passes.
    assert_eq!(until_ended(&mut runs, &late).await.state(), RunState::Succeeded);
    assert!(!marks.begun().contains(&"b".to_owned()), "its limit is held");
    marks.open("gate");
    for run in [first, second] {
        assert_eq!(until_ended(&mut runs, &run).await.state(), RunState::Succeeded);
    }
    let order: Vec<_> = marks.begun().into_iter().filter(|step| step.len() == 1).collect();
    assert_eq!(order, ["a", "b"]);
    server.kill();
}

/// Waits until a step stands in line, or has its limits.
async fn until_asked(runs: &mut Runs, run: &str, step: &str) {
    limited(async {
        loop {
            let request = v1::ListStepsRequest { run_id: run.to_owned(), ..Default::default() };
            let steps = runs.list_steps(request).await.unwrap().into_inner().steps;
            let step = steps.iter().find(|it| it.name == step).unwrap();
            if step.attempt > 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}
