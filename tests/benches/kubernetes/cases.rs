//! What is measured: one function for each case.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use tokio::time::sleep;

use crate::{
    bare::{Bare, Plan},
    counters::{BARE, Counted, Reading},
    figures::title,
    installation::{Ground, Installation},
    observer::{Observer, remove_all},
    processes::peak_memory,
    report, runs,
    work::Work,
};

/// Pods that take no time and wait for none.
const AT_ONCE: Work =
    Work { runs: 1, steps: 1, is_chain: false, gap: Duration::ZERO, pod_runs: Duration::ZERO };

/// How many runs there are where there are several.
const RUNS: u32 = 20;

/// How many pods are to end in a second.
const RATES: [u32; 3] = [1, 10, 40];

/// How long a pod of a rate runs.
const POD_RUNS: Duration = Duration::from_secs(1);

/// How long pods are kept where the benchmark removes them, not the launcher.
const KEPT: Duration = Duration::from_hours(1);

/// The API server counts a call when it has answered it, which is after others have seen what it did.
const COUNTED: Duration = Duration::from_secs(1);

/// The share of the bare client's rate that is to be reached.
pub(crate) const SHARE: f64 = 0.9;

/// What one of the two took in one round.
pub(crate) struct Took {
    /// From the first submission or create until all pods have ended and that is known.
    pub(crate) run: Counted,
    /// From there until none is left.
    pub(crate) removal: Counted,
    /// From each pod's end to the creation of the pod that waited for it.
    pub(crate) gaps: Vec<Duration>,
    /// The most memory that each process has held, in MiB.
    pub(crate) peaks: BTreeMap<&'static str, f64>,
}

/// A case on a cluster: an installation, and a namespace for the bare client.
struct Case<'a> {
    ground: &'a Ground,
    installation: Installation,
    namespace: String,
    work: Work,
    /// Whether the launcher removes its pods in the last round, which takes it most of a minute; otherwise the benchmark does.
    is_removal_seen: bool,
}

impl<'a> Case<'a> {
    async fn start(ground: &'a Ground, work: Work, is_removal_seen: bool) -> anyhow::Result<Self> {
        let keep = if is_removal_seen { Duration::ZERO } else { KEPT };
        let installation = Installation::start(ground, keep).await?;
        let namespace = ground.kubernetes.namespace().await;
        // The first pod goes before something is counted.
        let client = ground.kubernetes.client();
        remove_all(client, &installation.namespace).await?;
        Ok(Self { ground, installation, namespace, work, is_removal_seen })
    }

    /// Both, one after the other, so often; who is first changes each time.
    async fn rounds(&self, rounds: usize) -> anyhow::Result<(Vec<Took>, Vec<Took>)> {
        // Not measured: the first pods on a new API server take it longer than all later ones.
        self.bare(rounds).await?;
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let is_last = round + 1 == rounds;
            if round % 2 == 0 {
                ours.push(self.ours(round, is_last).await?);
                bare.push(self.bare(round).await?);
            } else {
                bare.push(self.bare(round).await?);
                ours.push(self.ours(round, is_last).await?);
            }
        }
        ensure_quiet(&self.installation)?;
        Ok((ours, bare))
    }

    async fn ours(&self, round: usize, is_last: bool) -> anyhow::Result<Took> {
        let Self { ground, installation, work, .. } = self;
        let kubernetes = &ground.kubernetes;
        let mut observer = Observer::start(kubernetes.client(), &installation.namespace).await?;
        let client = installation.client().await?;
        let read = async || Reading::take(kubernetes, &installation.programs, None).await;
        let before = read().await?;
        // A run's id follows from that of its request, and nodes know the runs of all installations.
        let request = format!("{}-{round}", installation.namespace);
        let runs = runs::complete(&client, &request, *work).await?;
        let ended = read().await?;
        if !(self.is_removal_seen && is_last) {
            remove_all(kubernetes.client(), &installation.namespace).await?;
        }
        observer.until_none().await?;
        sleep(COUNTED).await;
        let removed = read().await?;
        self.ensure_started_once(&runs).await?;
        let programs = installation.programs.iter();
        let peaks = programs.map(|it| Ok((it.kind, peak_memory(it.id())?)));
        Ok(Took {
            run: ended.since(&before),
            removal: removed.since(&ended),
            gaps: observer.gaps(),
            peaks: peaks.collect::<anyhow::Result<_>>()?,
        })
    }

    async fn bare(&self, round: usize) -> anyhow::Result<Took> {
        let kubernetes = &self.ground.kubernetes;
        let mut observer = Observer::start(kubernetes.client(), &self.namespace).await?;
        let plan = Plan {
            kubeconfig: kubernetes.kubeconfig(),
            namespace: self.namespace.clone(),
            first_run: round as u64 * 1_000_000,
            work: self.work,
        };
        let mut bare = Bare::start(&plan).await?;
        let id = bare.id()?;
        let read = async || Reading::take(kubernetes, &[], Some(id)).await;
        let before = read().await?;
        bare.create().await?;
        let ended = read().await?;
        bare.remove().await?;
        sleep(COUNTED).await;
        let removed = read().await?;
        observer.until_none().await?;
        Ok(Took {
            run: ended.since(&before),
            removal: removed.since(&ended),
            gaps: observer.gaps(),
            peaks: [(BARE, peak_memory(id)?)].into(),
        })
    }

    /// Each attempt of these runs was started, and none of them twice.
    async fn ensure_started_once(&self, runs: &[String]) -> anyhow::Result<()> {
        let starts = self.ground.nodes().await.attempt_starts();
        let of_runs = starts.iter().filter(|(attempt, _)| runs.contains(&attempt.run));
        let (attempts, all) = of_runs
            .fold((0, 0), |(attempts, all), (_, count)| (attempts + 1, all + *count as usize));
        let pods = self.work.pods();
        ensure!(
            attempts == pods && all == pods,
            "{attempts} of {pods} attempts were started, {all} times in all"
        );
        Ok(())
    }
}

/// A program that warns of something does not do what it should.
fn ensure_quiet(installation: &Installation) -> anyhow::Result<()> {
    for program in &installation.programs {
        let warnings = program.warnings();
        ensure!(warnings.is_empty(), "the {} warns: {warnings:#?}", program.kind);
    }
    Ok(())
}

/// One run whose pods wait for none.
pub(crate) async fn of_a_wide_run(ground: &Ground, pods: u32, rounds: usize) -> anyhow::Result<()> {
    let work = Work { steps: pods, ..AT_ONCE };
    title(&format!("one run of {pods} pods that take no time and wait for none"), "bare");
    let (ours, bare) = Case::start(ground, work, true).await?.rounds(rounds).await?;
    report::compared(&ours, &bare, work.pods());
    Ok(())
}

/// Several runs at once.
pub(crate) async fn of_runs(ground: &Ground, pods: u32, rounds: usize) -> anyhow::Result<()> {
    let work = Work { runs: RUNS, steps: pods, ..AT_ONCE };
    title(&format!("{RUNS} runs of {pods} pods that take no time and wait for none"), "bare");
    let (ours, bare) = Case::start(ground, work, true).await?.rounds(rounds).await?;
    report::compared(&ours, &bare, work.pods());
    Ok(())
}

/// One run whose pods wait for each other.
pub(crate) async fn of_a_chain(ground: &Ground, pods: u32, rounds: usize) -> anyhow::Result<()> {
    let work = Work { steps: pods, is_chain: true, ..AT_ONCE };
    title(&format!("a chain of {pods} pods that take no time"), "bare");
    let (ours, bare) = Case::start(ground, work, true).await?.rounds(rounds).await?;
    report::gaps(&ours, &bare);
    report::compared(&ours, &bare, work.pods());
    Ok(())
}

/// From a pod's end to the creation of the pod that waits for it, with more and more of them in a second.
pub(crate) async fn of_rates(ground: &Ground, pods: u32, rounds: usize) -> anyhow::Result<()> {
    for rate in RATES {
        let (steps, gap) = (pods, POD_RUNS / rate);
        let work = Work { runs: rate, steps, is_chain: true, gap, pod_runs: POD_RUNS };
        let text =
            format!("{rate} chains of {pods} pods that run for a second, begun after each other");
        title(&text, "bare");
        let (ours, bare) = Case::start(ground, work, false).await?.rounds(rounds).await?;
        report::gaps(&ours, &bare);
        report::processor(&ours, &bare, work.pods());
    }
    Ok(())
}
