//! What is told of steps whose pods do not exist yet, and of those whose pods do not run.

use k8s_openapi::api::core::v1::Pod;
use windlass_proto::{
    id::RunId,
    v1::{self, ObstacleKind, wait::Cause},
};
use windlass_servers::{Fault, Rule, Verb};

use super::{
    limits::quota,
    support::{Ground, pipeline, pod, step, wide},
};
use crate::support::eventually;

impl Ground<'_> {
    /// Waits until it is told of so many steps of a run that they wait for something of this sort in their cluster.
    async fn until_told<T>(
        &self,
        run: RunId,
        count: usize,
        sort: impl Fn(&Cause) -> Option<T>,
    ) -> Vec<(v1::Obstacle, T)> {
        eventually(&format!("it is told of {count} steps"), async || {
            let told = self.cluster.obstacles(run).await.into_values().filter_map(|obstacle| {
                let cause = obstacle.wait.as_ref()?.cause.as_ref();
                let told = sort(cause?)?;
                Some((obstacle, told))
            });
            let told: Vec<_> = told.collect();
            (told.len() == count).then_some(told)
        })
        .await
    }

    /// The same of one step whose attempt is known to exist, and what its pod waits for.
    async fn until_told_of_pod(&self, run: RunId) -> (v1::Obstacle, v1::PodWait) {
        eventually("it is told of a pod", async || {
            let (_, obstacle) = self.cluster.obstacles(run).await.pop_first()?;
            match obstacle.wait.as_ref()?.cause.as_ref()? {
                // The scheduler may not have heard of it yet, and nobody may have looked at it.
                Cause::Pod(pod)
                    if obstacle.kind() == ObstacleKind::Starting && !pod.reason.is_empty() =>
                {
                    let pod = pod.clone();
                    Some((obstacle, pod))
                }
                _ => None,
            }
        })
        .await
    }
}

fn name_of(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_finds_no_node_is_named_with_the_schedulers_words_and_until_when_it_may_wait() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let mut alone = step("alone", &[], &[]);
    pod(&mut alone).node_selector.insert("type".into(), "unheard-of".into());
    alone.startup_timeout = Some(prost_types::Duration { seconds: 600, nanos: 0 });
    let run = ground.cluster.submit(pipeline([alone])).await;
    let (obstacle, waits) = ground.until_told_of_pod(run).await;
    let pods = ground.pods().await;
    assert_eq!((&*waits.name, &*waits.namespace), (name_of(&pods[0]), &*ground.namespace));
    assert_eq!((&*waits.reason, &*waits.node), ("Unschedulable", ""));
    assert!(waits.message.contains("nodes are available"), "{waits:?}");
    assert!(obstacle.message.contains(&waits.name), "{obstacle:?}");
    assert!(obstacle.message.contains(&waits.message), "{obstacle:?}");
    let wait = obstacle.wait.expect("it is told");
    assert!(wait.since.is_some(), "since when it has no node");
    assert!(obstacle.until.is_some(), "when it is given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_waits_on_its_node_is_told_with_the_nodes_words() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(1, &[("waiting", "ErrImagePull")])).await;
    let (_, waits) = ground.until_told_of_pod(run).await;
    let pods = ground.pods().await;
    let node = pods[0].spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    assert_eq!((&*waits.reason, Some(&*waits.node)), ("ErrImagePull", node));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_told_in_the_words_of_the_api_server() {
    let Some(ground) = Ground::shared().await else { return };
    quota(&ground, 2).await;
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(4, &[("run", "forever")])).await;
    let of_quota = |cause: &Cause| match cause {
        Cause::Quota(quota) => Some(quota.clone()),
        _ => None,
    };
    for (obstacle, waits) in ground.until_told(run, 2, of_quota).await {
        assert_eq!(obstacle.kind(), ObstacleKind::Launcher);
        assert_eq!(waits.namespace, ground.namespace);
        assert!(waits.message.starts_with("exceeded quota: small"), "{waits:?}");
        assert!(waits.message.contains("used: pods=2, limited: pods=2"), "{waits:?}");
        assert!(obstacle.message.contains(&waits.message), "{obstacle:?}");
        assert!(obstacle.wait.expect("it is told").since.is_some(), "since when it is used up");
    }
    ground.cluster.cancel(run).await.expect("taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_live_pods_is_told_with_its_numbers_those_of_all_launchers_together() {
    let Some(ground) = Ground::shared().await else { return };
    let _launchers = [(); 2].map(|()| ground.launcher_within(|budget| budget.live_pods = 4));
    let run = ground.cluster.submit(wide(6, &[("run", "forever")])).await;
    let all = v1::LivePodsWait { namespace: String::new(), limit: 4, share: 4, live: 4 };
    let of_all = |cause: &Cause| (*cause == Cause::LivePods(all.clone())).then_some(());
    for (obstacle, ()) in ground.until_told(run, 2, of_all).await {
        assert!(obstacle.message.contains("(live_pods), and has 4"), "{obstacle:?}");
    }
    ground.cluster.cancel(run).await.expect("taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_a_namespace_is_told_with_its_name() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher_within(|budget| budget.live_pods_per_namespace = Some(2));
    let run = ground.cluster.submit(wide(3, &[("run", "forever")])).await;
    let namespace = ground.namespace.clone();
    let full = Cause::LivePods(v1::LivePodsWait { namespace, limit: 2, share: 2, live: 2 });
    let told = ground.until_told(run, 1, |cause| (*cause == full).then_some(())).await;
    assert!(told[0].0.message.contains("(live_pods_per_namespace), and has 2"), "{told:?}");
    ground.cluster.cancel(run).await.expect("taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_refuses_and_one_that_is_not_reached_are_told_apart() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let of_server = |code: u32| {
        move |cause: &Cause| match cause {
            Cause::ApiServer(server) if server.code == code => Some(server.message.clone()),
            _ => None,
        }
    };
    let refused = Fault::TooManyRequests { retry_after: 1 };
    ground.gate.add(Rule::new(refused).verb(Verb::Create));
    let run = ground.cluster.submit(wide(1, &[])).await;
    let (obstacle, words) = ground.until_told(run, 1, of_server(429)).await.remove(0);
    assert!(obstacle.message.contains(&format!("it answers with 429, {words}")), "{obstacle:?}");
    ground.gate.heal();
    ground.gate.add(Rule::new(Fault::LostRequest).verb(Verb::Create));
    let (obstacle, words) = ground.until_told(run, 1, of_server(0)).await.remove(0);
    assert!(!words.is_empty() && obstacle.message.contains(&words), "{obstacle:?}");
    assert!(obstacle.wait.expect("it is told").since.is_some(), "for how long");
    ground.gate.heal();
    ground.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_nobody_answers_is_told_while_it_is_under_way() {
    let Some(ground) = Ground::shared().await else { return };
    ground.gate.add(Rule::new(Fault::Silence).verb(Verb::Create));
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(1, &[])).await;
    let is_sent = |cause: &Cause| match cause {
        Cause::Creation(creation) => {
            ((creation.under_way, creation.waiting) == (1, 1)).then_some(())
        }
        _ => None,
    };
    let told = ground.until_told(run, 1, is_sent).await;
    assert!(told[0].0.message.contains("1 request is under way"), "{told:?}");
    ground.gate.heal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_in_which_nothing_is_launched_says_so() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher_within(|budget| budget.launching = false);
    let run = ground.cluster.submit(wide(1, &[])).await;
    let is_off = |cause: &Cause| matches!(cause, Cause::NotLaunching(_)).then_some(());
    let told = ground.until_told(run, 1, is_off).await;
    assert!(told[0].0.message.contains("`launching = false`"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn launchers_that_do_not_answer_are_not_waited_for() {
    let Some(ground) = Ground::shared().await else { return };
    let launcher = ground.launcher();
    eventually("the launcher is known", async || {
        let launchers = ground.cluster.store.read_members("cluster.default").await;
        (!launchers.expect("read").is_empty()).then_some(())
    })
    .await;
    // The store believes in it for a while.
    launcher.kill();
    let run = ground.cluster.submit(wide(1, &[])).await;
    eventually("it is told that nobody tells", async || {
        let told = ground.cluster.explain(run).await.remove("s0")?;
        told.ends_with("no launcher of cluster `default` has told in time what it waits for")
            .then_some(())
    })
    .await;
}
