//! Whether a program is ready: named checks, and the two ways in which it tells.
//!
//! ```text
//!   checks ──▶ Readiness ──┬─▶ /readyz          (`http`)
//!                          └─▶ grpc.health.v1   (`GrpcServer::follow`)
//! ```

pub mod http;

use std::{fmt, sync::Arc, time::Duration};

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tokio::{sync::watch, time::timeout};

/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Something that must be so for a program to be ready.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    run: Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl Check {
    /// A check of this name. It answers within 2 s, or counts as failed; an error says why, for people.
    pub fn new<F, R>(name: &'static str, run: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { name, run: Arc::new(move || run().boxed()) }
    }

    async fn outcome(&self) -> Outcome {
        // In a task of its own, so that a panic in it is an outcome, too.
        let limited = timeout(CHECK_TIMEOUT, (self.run)());
        let result = match tokio::spawn(limited).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(format!("no answer within {CHECK_TIMEOUT:?}")),
            Err(_) => Err("the check failed; see the log".to_owned()),
        };
        Outcome { name: self.name, result }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What became of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The check's name.
    pub name: &'static str,
    /// Why it failed, if it did.
    pub result: Result<(), String>,
}

/// Whether a program is ready. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    stage: Arc<watch::Sender<Stage>>,
}

/// How far a program is in its life.
#[derive(Debug, Clone)]
enum Stage {
    /// Not ready yet, and what it waits for.
    Starting(Option<String>),
    /// Ready if all checks are.
    Running(Vec<Check>),
    /// Never ready again.
    Ending,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Starting(None)
    }
}

/// How ready a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It has not started yet.
    Starting {
        /// What it waits for, and why that is not there; none where it does not wait.
        waits_for: Option<String>,
    },
    /// It runs, and these are its checks, in their order.
    Running(Vec<Outcome>),
    /// It is about to end.
    Ending,
}

impl Readiness {
    /// Says what keeps the program from beginning: `NATS at nats://127.0.0.1:4222: connection refused`. Changes nothing once it
    /// has begun.
    pub fn wait_for(&self, what: impl Into<String>) {
        let what = what.into();
        self.stage.send_if_modified(|stage| {
            if let Stage::Starting(waits_for) = stage {
                *waits_for = Some(what);
            }
            // Who follows it is told whether it is ready, which is as before.
            false
        });
    }

    /// From now on, the program is ready if all of these are well. Changes nothing once it is ending.
    pub fn begin(&self, checks: Vec<Check>) {
        self.stage.send_if_modified(|stage| match stage {
            Stage::Starting(_) | Stage::Running(_) => {
                *stage = Stage::Running(checks);
                true
            }
            Stage::Ending => false,
        });
    }

    /// From now on, the program is not ready.
    pub fn end(&self) {
        self.stage.send_replace(Stage::Ending);
    }

    /// Runs all checks at once.
    pub async fn report(&self) -> Report {
        let stage = self.stage.borrow().clone();
        match stage {
            Stage::Starting(waits_for) => Report::Starting { waits_for },
            Stage::Running(checks) => {
                Report::Running(join_all(checks.iter().map(Check::outcome)).await)
            }
            Stage::Ending => Report::Ending,
        }
    }

    /// A report now, one whenever the program begins or ends, and one every `interval`.
    pub(crate) fn reports(&self, interval: Duration) -> Reports {
        let mut stages = self.stage.subscribe();
        stages.mark_changed();
        Reports { readiness: self.clone(), stages, interval }
    }
}

/// Reports of a program, one after the other.
#[derive(Debug)]
pub(crate) struct Reports {
    readiness: Readiness,
    stages: watch::Receiver<Stage>,
    interval: Duration,
}

impl Reports {
    pub(crate) async fn next(&mut self) -> Report {
        // Whether the stage has changed or the time is over, the next thing to do is the same.
        let _ = timeout(self.interval, self.stages.changed()).await;
        self.readiness.report().await
    }
}

impl Report {
    /// Whether the program is ready.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Running(outcomes) => outcomes.iter().all(|outcome| outcome.result.is_ok()),
            Self::Starting { .. } | Self::Ending => false,
        }
    }
}

/// A line for each check: its name, and `ok` or why not; before it has begun, one that says what it waits for.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting { waits_for: None } => f.write_str("starting\n"),
            Self::Starting { waits_for: Some(what) } => writeln!(f, "waiting for {}", line(what)),
            Self::Ending => f.write_str("ending\n"),
            Self::Running(outcomes) if outcomes.is_empty() => f.write_str("ok\n"),
            Self::Running(outcomes) => outcomes.iter().try_for_each(|outcome| {
                let said = outcome.result.as_ref().map_or_else(String::as_str, |()| "ok");
                writeln!(f, "{}: {}", outcome.name, line(said))
            }),
        }
    }
}

/// One line, whatever an error says.
fn line(said: &str) -> String {
    said.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reports_come_at_once_on_every_change_and_in_between() {
        let readiness = Readiness::default();
        let mut reports = readiness.reports(Duration::from_secs(3));
        assert_eq!(reports.next().await, Report::Starting { waits_for: None });
        let is_well = Arc::new(AtomicBool::new(true));
        let switch = is_well.clone();
        let check = Check::new("store", move || {
            let is_well = switch.load(Ordering::SeqCst);
            async move { is_well.then_some(()).ok_or_else(|| "away".to_owned()) }
        });
        readiness.begin(vec![check]);
        assert!(reports.next().await.is_ready());
        is_well.store(false, Ordering::SeqCst);
        assert!(!reports.next().await.is_ready(), "nothing began or ended, and it was told");
        readiness.end();
        assert_eq!(reports.next().await, Report::Ending);
    }
}
