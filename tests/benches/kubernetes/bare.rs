//! The bare client: creates the pods of a case as fast as the API server takes them, watches them, deletes them, and keeps no
//! state beyond which of them have ended. It is a process of its own, so that what it costs is seen.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    env, io,
    path::PathBuf,
    pin::{Pin, pin},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{PartialObjectMeta, Request},
    runtime::watcher::{self, Event, watcher},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::mpsc,
    time::sleep,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use windlass_pod::{manifest, observed::ObservedPod};
use windlass_proto::id::RunId;

use crate::{
    installation::{NAME, PARTITIONS},
    work::{COMMAND, IMAGE, PIPELINE, Work},
};

/// The argument that makes this program the bare client.
pub(crate) const ROLE: &str = "bare-client";

/// How many creates are under way at once: as many as a launcher's settings allow.
const AT_ONCE: usize = 64;

/// How many pods one call removes: as many as a launcher's.
const REMOVED_AT_ONCE: u32 = 500;

/// The time that the programs give a step to end where it names none.
const GRACE: Duration = Duration::from_secs(10);

/// What the client is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) kubeconfig: PathBuf,
    pub(crate) namespace: String,
    /// Where the numbers of its runs begin: names of pods depend on them.
    pub(crate) first_run: u64,
    pub(crate) work: Work,
}

/// What one process says to the other, a line each.
const READY: &str = "ready";
const BEGIN: &str = "begin";
const ENDED: &str = "ended";
const REMOVE: &str = "remove";
const REMOVED: &str = "removed";

/// The client, as who measures it sees it. Dropping it ends it.
pub(crate) struct Bare {
    child: Child,
    asked: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Bare {
    /// Starts it; returns when it watches.
    pub(crate) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args([ROLE, &serde_json::to_string(plan)?]).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asked = child.stdin.take().context("it is piped")?;
        let said = BufReader::new(child.stdout.take().context("it is piped")?).lines();
        let mut bare = Self { child, asked, said };
        bare.until(READY).await?;
        Ok(bare)
    }

    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("it runs")
    }

    /// Has it create its pods; returns when all have ended.
    pub(crate) async fn create(&mut self) -> anyhow::Result<()> {
        self.ask(BEGIN, ENDED).await
    }

    /// Has it remove its pods; returns when none is left.
    pub(crate) async fn remove(&mut self) -> anyhow::Result<()> {
        self.ask(REMOVE, REMOVED).await
    }

    async fn ask(&mut self, what: &str, answer: &str) -> anyhow::Result<()> {
        self.asked.write_all(format!("{what}\n").as_bytes()).await?;
        self.until(answer).await
    }

    async fn until(&mut self, answer: &str) -> anyhow::Result<()> {
        let line = self.said.next_line().await?;
        ensure!(line.as_deref() == Some(answer), "the bare client says {line:?}, not {answer}");
        Ok(())
    }
}

/// The whole life of the client, with its plan as JSON.
pub(crate) fn run(plan: &str) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_str(plan)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work(&plan))
}

async fn work(plan: &Plan) -> anyhow::Result<()> {
    let kubeconfig = Kubeconfig::read_from(&plan.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let pods: Api<ObservedPod> = Api::namespaced(client.clone(), &plan.namespace);
    let mut events: Events<'_> = pin!(watcher(pods, watcher::Config::default()));
    while !matches!(events.try_next().await?, Some(Event::InitDone)) {}
    say(READY);
    heed(BEGIN)?;
    let (queue, queued) = mpsc::unbounded_channel();
    tokio::try_join!(
        create(plan, &client, queued),
        begin(&plan.work, queue.clone()),
        until_ended(plan, &mut events, queue),
    )?;
    say(ENDED);
    heed(REMOVE)?;
    tokio::try_join!(remove(plan, &client), until_removed(&plan.work, &mut events))?;
    say(REMOVED);
    // Until what it took was read.
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn say(word: &str) {
    println!("{word}");
}

fn heed(word: &str) -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    ensure!(line.trim_end() == word, "asked for {line:?}, not {word}");
    Ok(())
}

/// A step of a run, both by number.
type Step = (u32, u32);

/// What the watch tells.
type Events<'a> = Pin<&'a mut (dyn Stream<Item = watcher::Result<Event<ObservedPod>>> + 'a)>;

/// Has all steps created that wait for none.
async fn begin(work: &Work, queue: mpsc::UnboundedSender<Step>) -> anyhow::Result<()> {
    let at_once = if work.is_chain { 1 } else { work.steps };
    for run in 0..work.runs {
        for step in 0..at_once {
            queue.send((run, step))?;
        }
        if !work.gap.is_zero() {
            sleep(work.gap).await;
        }
    }
    Ok(())
}

/// Sees all pods end, and has those created that wait for them.
async fn until_ended(
    plan: &Plan,
    events: &mut Events<'_>,
    queue: mpsc::UnboundedSender<Step>,
) -> anyhow::Result<()> {
    let work = &plan.work;
    let numbers = (0..work.runs).map(|run| Ok((plan.run_id(run).parse()?, run)));
    let runs = numbers.collect::<anyhow::Result<HashMap<RunId, u32>>>()?;
    let mut ended = HashSet::new();
    while ended.len() < work.pods() {
        let Event::Apply(pod) = events.try_next().await?.context("the watch goes on")? else {
            bail!("the watch began anew");
        };
        match pod.status.phase.as_deref() {
            Some("Succeeded") => {}
            Some("Failed") => bail!("a pod has failed: {pod:?}"),
            _ => continue,
        }
        let key = pod.key().context("the pod is the client's")?;
        let step = key.attempt.step.0;
        if ended.insert((key.run, step)) && work.is_chain && step + 1 < work.steps {
            let run = runs.get(&key.run).context("the run is the client's")?;
            queue.send((*run, step + 1))?;
        }
    }
    Ok(())
}

/// Sees all pods go.
async fn until_removed(work: &Work, events: &mut Events<'_>) -> anyhow::Result<()> {
    let mut left = work.pods();
    while left > 0 {
        let event = events.try_next().await?.context("the watch goes on")?;
        left -= usize::from(matches!(event, Event::Delete(_)));
    }
    Ok(())
}

/// Creates what is queued, many at once.
async fn create(
    plan: &Plan,
    client: &Client,
    queued: mpsc::UnboundedReceiver<Step>,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/namespaces/{}/pods", plan.namespace);
    UnboundedReceiverStream::new(queued)
        .map(|step| create_one(plan, client, &path, step))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn create_one(
    plan: &Plan,
    client: &Client,
    path: &str,
    (run, step): Step,
) -> anyhow::Result<()> {
    let body = serde_json::to_vec(&plan.manifest(run, step)?)?;
    let mut request = Request::new(path).create(&PostParams::default(), body)?;
    // As launchers ask: what the answer says the watch says, too.
    let answer = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1".parse()?;
    request.headers_mut().insert("accept", answer);
    client.request_text(request).await?;
    Ok(())
}

/// Removes all pods, many with one call.
async fn remove(plan: &Plan, client: &Client) -> anyhow::Result<()> {
    let pods: Api<PartialObjectMeta<Pod>> = Api::namespaced(client.clone(), &plan.namespace);
    let some = ListParams::default().limit(REMOVED_AT_ONCE);
    loop {
        let removed = pods.delete_collection(&DeleteParams::default(), &some).await?;
        let rest = removed.left().and_then(|list| list.metadata.continue_);
        if rest.is_none_or(|rest| rest.is_empty()) {
            return Ok(());
        }
    }
}

impl Plan {
    fn run_id(&self, run: u32) -> String {
        format!("run_{:026}", self.first_run + u64::from(run))
    }

    /// The pod that a launcher would make.
    fn manifest(&self, run: u32, step: u32) -> anyhow::Result<Pod> {
        let settings = self.work.pod();
        let request = manifest::Request {
            installation: NAME,
            namespace: "default",
            run: &self.run_id(run),
            pipeline: PIPELINE,
            step: &Work::step_name(step),
            step_index: step,
            attempt: 1,
            shard: step % PARTITIONS,
            image: IMAGE,
            command: &[COMMAND.to_owned()],
            args: &[],
            env: &BTreeMap::new(),
            secrets: &BTreeMap::new(),
            working_dir: None,
            memory_bytes: None,
            termination_grace: GRACE,
            outputs: &[],
            cache_key: None,
            settings: &settings,
        };
        Ok(manifest::pod(&request)?)
    }
}
