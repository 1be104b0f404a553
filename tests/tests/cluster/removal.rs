//! The word that a run was removed, true or not.

use windlass_engine::record::RunState;
use windlass_launcher::runtime::AttemptKey;
use windlass_proto::{removal, subject::Subject};
use windlass_scheduler::Ownership;

use crate::support::{Cluster, diamond, eventually, hanging};

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_told_of_a_removal_removes_nothing_of_a_run_that_is_still_there() {
    let cluster = Cluster::new();
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, host) = cluster.launcher_of("north", hanging());
    let (kept, removed) = (cluster.submit(diamond(2)).await, cluster.submit(diamond(2)).await);
    for run in [kept, removed] {
        eventually("it runs", async || {
            (host.starts(AttemptKey { run, step: 0, attempt: 1 }) == 1).then_some(())
        })
        .await;
    }
    cluster.bus.publish(Subject::Removal, removal::encode(kept).into()).await.expect("told");
    cluster.cancel(removed).await.expect("cancelled");
    assert_eq!(cluster.end_of(removed).await.state, RunState::Cancelled);
    cluster.delete(removed).await.expect("deleted");
    // Words are heard in order.
    eventually("the other one is removed", async || {
        host.removed().contains(&removed).then_some(())
    })
    .await;
    assert_eq!(host.removed(), [removed]);
    let record = cluster.store.read_run(kept).await.expect("read").expect("there").record;
    assert_eq!(record.state, RunState::Running);
}
