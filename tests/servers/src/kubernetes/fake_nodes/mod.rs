//! Nodes that run nothing, and say of their pods what these ask them to say.
//!
//! A pod's annotations drive it. All may be changed while it lives, and count as long as it has not ended. What is not
//! understood fails the pod with the reason `BadAnnotation`.
//!
//! | annotation | effect |
//! |---|---|
//! | `fake/start-after: 500ms` | Pending (`ContainerCreating`) for so long |
//! | `fake/waiting: ImagePullBackOff` | Pending, with this reason, as long as the annotation is there |
//! | `fake/init-fails: "1"` | the first init container exits with this instead of 0 |
//! | `fake/run-for: 2s` | Running for so long; else it ends as soon as it was said to run |
//! | `fake/run: forever` | Running until it is deleted, or over its `activeDeadlineSeconds` |
//! | `fake/exit: "3"` | the first container's exit code |
//! | `fake/signal: "9"` | the same, as that of a process that this signal killed (137) |
//! | `fake/message: text` | the first container's termination message |
//! | `fake/reason: OOMKilled` | the first container's reason, with exit code 1 for `Error`, 137 for all others |
//! | `fake/reason: Evicted` | all are killed, and this is the pod's reason: so for `Evicted`, `Preempting`, `Terminated` (by a node that shuts down), `NodeLost`, all with the condition `DisruptionTarget`, and `DeadlineExceeded` |
//! | `fake/reason: NodeShutdown` | the node refuses the pod: nothing starts |
//! | `fake/term-after: 1s` | goes on so long after it was deleted, and is killed (137) where its grace is shorter |
//! | `fake/term-exit: "0"` | ends with this where it was deleted and is not killed, and leaves its message behind |
//!
//! Init containers take no time. Those that restart always (sidecars) run while the containers run. A deleted pod ends with
//! 143, unless it says otherwise, and is then removed. No pod is restarted, whatever its `restartPolicy`.

mod behavior;
mod board;
mod ending;
mod kubelets;
mod nodes;
mod plan;
mod status;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, thread};

use tokio::{runtime::Builder, sync::oneshot, time::interval};

pub use self::board::StartedAttempt;
use self::{board::Board, kubelets::Kubelets};
use super::{Kubernetes, connect};

/// Nodes that run nothing; see the module. They have room for everything and the label `type=fake`. Dropping it stops them,
/// and leaves their objects.
#[derive(Debug)]
pub struct FakeNodes {
    kubeconfig: PathBuf,
    board: Arc<Board>,
    /// Ends the thread when it is dropped.
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl FakeNodes {
    /// Adds nodes to a control plane, called `NAME-0` and so on, and waits until pods can come to them: not to one that is
    /// shared, where pods of other tests would come to them as well.
    pub async fn start(kubernetes: &Kubernetes, name: &str, count: u32) -> Self {
        let kubeconfig = kubernetes.kubeconfig();
        let board = Arc::new(Board::new((0..count).map(|number| format!("{name}-{number}"))));
        let client = connect(&kubeconfig);
        let names = board.working();
        futures::future::join_all(names.iter().map(|name| nodes::register(&client, name))).await;
        let (end, ended) = oneshot::channel();
        let thread = thread::spawn({
            let (kubeconfig, board) = (kubeconfig.clone(), board.clone());
            // A runtime of their own: they go on while the test that started them blocks, and after it has ended.
            move || {
                let runtime = Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let client = connect(&kubeconfig);
                    tokio::select! {
                        _ = ended => {}
                        () = beat(&client, &board) => {}
                        () = Kubelets::new(client.clone(), board.clone()).run() => {}
                    }
                });
            }
        });
        Self { kubeconfig, board, end: Some(end), thread: Some(thread) }
    }

    /// The nodes that work.
    pub fn working(&self) -> Vec<String> {
        self.board.working()
    }

    /// How often pods of each name were started, as `NAMESPACE/NAME`, of one object after the other: a start is that of
    /// its containers, after its init containers.
    pub fn starts(&self) -> BTreeMap<String, u32> {
        self.board.starts()
    }

    /// How often pods of each attempt were started, those that have its labels.
    pub fn attempt_starts(&self) -> BTreeMap<StartedAttempt, u32> {
        self.board.attempts()
    }

    /// Loses touch with a node: it says and does nothing any more, and is not ready. Pods that tolerate that for no longer
    /// than the default are deleted by a controller some seconds later, which the node does not follow.
    pub async fn stop_node(&self, name: &str) {
        self.board.set_works(name, false);
        let _telling = self.board.telling.lock().await;
        let lost = nodes::lose(&connect(&self.kubeconfig), name).await;
        lost.expect("the node can be lost");
    }

    /// Lets a node that was stopped work again. Its pods go on from where they would be.
    pub async fn start_node(&self, name: &str) {
        let _telling = self.board.telling.lock().await;
        let back = nodes::beat(&connect(&self.kubeconfig), name).await;
        back.expect("the node comes back");
        self.board.set_works(name, true);
    }

    /// Removes a node: it works no more, and its object is gone. A controller fails and removes its pods when it finds that,
    /// a minute later.
    pub async fn delete_node(&self, name: &str) {
        self.board.remove(name);
        let _telling = self.board.telling.lock().await;
        nodes::remove(&connect(&self.kubeconfig), name).await.expect("the node is removed");
    }
}

impl Drop for FakeNodes {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It panics where a test has failed already.
            let _ = thread.join();
        }
    }
}

/// Says again and again that the nodes are alive that are.
async fn beat(client: &kube::Client, board: &Board) {
    let mut next = interval(nodes::BEAT);
    loop {
        next.tick().await;
        for name in board.working() {
            let _telling = board.telling.lock().await;
            if board.works(&name) {
                // The next one counts as well: a node is lost only after several.
                let _ = nodes::beat(client, &name).await;
            }
        }
    }
}
