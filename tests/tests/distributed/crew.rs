//! All programs of an installation, and work in whose midst something happens.

use windlass_proto::v1::RunState;

use crate::{
    deployment::{Deployment, Kind, Program, submit, until_ended},
    work::Ledger,
};

/// How many steps of a run are beside each other.
const WIDTH: u32 = 8;

/// How many runs there are.
const RUNS: usize = 3;

/// How many attempts have been started when it happens: some of each run, and not half of all.
const STARTED: usize = 10;

/// One of each program, and two launchers.
pub(crate) struct Crew {
    pub(crate) submitter: Program,
    pub(crate) scheduler: Program,
    pub(crate) streamer: Program,
    pub(crate) north: Program,
    pub(crate) south: Program,
}

impl Crew {
    pub(crate) async fn start(deployment: &Deployment) -> Self {
        Self::start_with(deployment, &[], |_| Vec::new()).await
    }

    /// With settings for all, and further ones by kind.
    pub(crate) async fn start_with(
        deployment: &Deployment,
        settings: &[&str],
        further: impl Fn(Kind) -> Vec<String>,
    ) -> Self {
        let start = |kind, host: &str| {
            let mut all: Vec<String> = settings.iter().map(|it| (*it).to_owned()).collect();
            all.extend([format!("launcher.host={host}"), "launcher.slots=2".to_owned()]);
            all.extend(further(kind));
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            deployment.spawn(kind, &all, &[])
        };
        let crew = Self {
            submitter: start(Kind::Submitter, ""),
            scheduler: start(Kind::Scheduler, ""),
            streamer: start(Kind::Streamer, ""),
            north: start(Kind::Launcher, "north"),
            south: start(Kind::Launcher, "south"),
        };
        for program in crew.all() {
            program.until_ready().await;
        }
        crew
    }

    pub(crate) fn all(&self) -> [&Program; 5] {
        [&self.submitter, &self.scheduler, &self.streamer, &self.north, &self.south]
    }

    /// Has runs do their work, lets something happen in their midst, and asserts that they end as if it had not: every step
    /// succeeds, with its first attempt, which was started once; and no program has ended.
    pub(crate) async fn is_undisturbed_by(
        &self,
        deployment: &Deployment,
        fault: impl AsyncFnOnce(),
    ) {
        let ledger = Ledger::new(deployment.file("ledger"));
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(submit(&self.submitter, &ledger.diamond(WIDTH)).await);
        }
        ledger.until_started(STARTED).await;
        fault().await;
        for run_id in &runs {
            let run = until_ended(&self.submitter, run_id).await;
            assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
            let counts = run.step_counts.expect("a run has counts");
            assert_eq!((counts.total, counts.succeeded), (WIDTH + 2, WIDTH + 2));
            ledger.assert_undisturbed(run_id, WIDTH);
        }
        for program in self.all() {
            assert!(!program.has_ended(), "the {:?} has ended", program.kind);
            program.until_ready().await;
        }
    }
}
