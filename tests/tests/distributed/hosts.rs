//! Hosts that go down with all that runs on them, and hosts that lose their launcher alone.

use std::{fs, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::sleep;
use windlass_proto::v1::{self, AttemptState, Reason, RunState};

use crate::{
    deployment::{Deployment, Kind, Program, eventually, submit, until_ended},
    work::Ledger,
};

/// How many steps run on the host that is lost.
const STEPS: u32 = 2;

/// Long enough that schedulers have asked more than once for what is owed.
const AWAY: Duration = Duration::from_secs(6);

/// A run whose steps all run on the host `doomed`, and another host that has room for them.
struct Stand {
    deployment: Deployment,
    ledger: Ledger,
    submitter: Program,
    _scheduler: Program,
    doomed: Program,
    _other: Program,
    run_id: String,
}

impl Stand {
    async fn start(settings: &[&str]) -> Self {
        let deployment = Deployment::start().await;
        let ledger = Ledger::new(deployment.file("ledger"));
        let (submitter, scheduler, doomed) = tokio::join!(
            deployment.program(Kind::Submitter),
            deployment.program(Kind::Scheduler),
            launcher(&deployment, "doomed", settings),
        );
        let run_id = submit(&submitter, &ledger.held_beside_each_other(STEPS)).await;
        ledger.until_started(STEPS as usize).await;
        let other = launcher(&deployment, "other", settings).await;
        let stand = Self {
            deployment,
            ledger,
            submitter,
            _scheduler: scheduler,
            doomed,
            _other: other,
            run_id,
        };
        // That they run is told a little later.
        eventually("all steps are known to run", async || {
            let attempts = stand.attempts().await;
            attempts.iter().all(|it| *it == [running_on_the_doomed()]).then_some(())
        })
        .await;
        stand
    }

    /// Ends all that runs on the host, as its power does.
    async fn lose_host(&self) {
        self.doomed.kill();
        let directory = self.deployment.file("attempts").join("doomed").display().to_string();
        // Supervisors first: none is to tell that its program was killed.
        for file in ["cmdline", "environ"] {
            eventually("the host is down", async || {
                let left = processes_with(file, &directory);
                for process in &left {
                    let _ = kill(*process, Signal::SIGKILL);
                }
                left.is_empty().then_some(())
            })
            .await;
        }
    }

    /// Of each step, the attempts with their hosts, states and reasons.
    async fn attempts(&self) -> Vec<Vec<(String, AttemptState, Reason)>> {
        let mut all = Vec::new();
        for step in 0..STEPS {
            let request = v1::ListAttemptsRequest {
                run_id: self.run_id.clone(),
                step: format!("s{step}"),
                ..Default::default()
            };
            let attempts = self.submitter.runs().list_attempts(request).await.expect("listed");
            let attempts = attempts.into_inner().attempts.into_iter();
            all.push(attempts.map(|it| (it.host.clone(), it.state(), it.reason())).collect());
        }
        all
    }

    /// Lets steps end, and asserts that each of them was lost once and then succeeded there, and that each attempt was started
    /// once.
    async fn ends_with_second_attempts_on(&self, hosts: &[&str]) {
        self.ledger.let_go();
        let run = until_ended(&self.submitter, &self.run_id).await;
        assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
        for attempts in self.attempts().await {
            let [first, second] = &attempts[..] else { panic!("{attempts:?}") };
            let lost = ("doomed".to_owned(), AttemptState::Failed, Reason::Lost);
            assert_eq!(*first, lost);
            assert!(hosts.contains(&&*second.0), "{attempts:?}");
            assert_eq!(second.1, AttemptState::Succeeded);
        }
        self.assert_starts(2);
    }

    /// Asserts that each step has been started so often, with an attempt of its own each time.
    fn assert_starts(&self, attempts: u32) {
        let steps = (0..STEPS).map(|step| format!("s{step}"));
        let expected = steps
            .flat_map(|step| (1..=attempts).map(move |attempt| ((step.clone(), attempt), 1)))
            .collect();
        assert_eq!(self.ledger.starts(&self.run_id), expected);
    }
}

/// The attempt of a step that has its first one, which goes on, as far as anybody knows.
fn running_on_the_doomed() -> (String, AttemptState, Reason) {
    ("doomed".to_owned(), AttemptState::Running, Reason::Unspecified)
}

async fn launcher(deployment: &Deployment, host: &str, settings: &[&str]) -> Program {
    let host = format!("launcher.host={host}");
    let settings = [&[&*host, "launcher.slots=2"], settings].concat();
    deployment.program_with(Kind::Launcher, &settings, &[]).await
}

/// The processes whose file of this name in `/proc` holds a text.
fn processes_with(file: &str, text: &str) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("the processes are listed").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let holds = |number: &i32| {
        // One that has ended has none.
        let content = fs::read(format!("/proc/{number}/{file}")).unwrap_or_default();
        content.windows(text.len()).any(|part| part == text.as_bytes())
    };
    // The launcher itself has been waited for, and this process is not on the host.
    numbers.filter(holds).map(Pid::from_raw).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_on_a_host_that_never_comes_back_is_tried_again_on_another() {
    let stand = Stand::start(&["launcher.host_lost_after=3s"]).await;
    stand.lose_host().await;
    stand.ledger.until_started(2 * STEPS as usize).await;
    stand.ends_with_second_attempts_on(&["other"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_on_a_host_that_is_down_waits_for_it_and_is_tried_again_then() {
    let stand = Stand::start(&[]).await;
    stand.lose_host().await;
    sleep(AWAY).await;
    for attempts in stand.attempts().await {
        assert_eq!(attempts, [running_on_the_doomed()]);
    }
    stand.assert_starts(1);
    let _back = launcher(&stand.deployment, "doomed", &[]).await;
    stand.ledger.until_started(2 * STEPS as usize).await;
    stand.ends_with_second_attempts_on(&["doomed", "other"]).await;
}

/// The one case in which two attempts of a step run at once. Each of them is started once all the same, and the step ends once.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_given_up_and_comes_back_changes_nothing() {
    let stand = Stand::start(&["launcher.host_lost_after=3s"]).await;
    stand.doomed.kill();
    stand.ledger.until_started(2 * STEPS as usize).await;
    let _back = launcher(&stand.deployment, "doomed", &["launcher.host_lost_after=3s"]).await;
    stand.ends_with_second_attempts_on(&["other"]).await;
}
