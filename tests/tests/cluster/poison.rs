//! Records that can never be understood.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use windlass_bus::Bus;
use windlass_engine::{
    reason::StopCause,
    record::{RunState, StepIndex, StepState},
};
use windlass_proto::{
    id::RunId,
    subject::{ClusterToken, Subject},
    v1,
};
use windlass_scheduler::Ownership;

use crate::support::{Cluster, PARTITIONS, diamond, eventually, taking};

const LAUNCH: Subject = Subject::Launch { cluster: ClusterToken::DEFAULT };

async fn dead_letters(bus: &dyn Bus, count: usize) -> Vec<v1::DeadLetter> {
    let mut consumer = bus.consume(Subject::DeadLetter).await.expect("a consumer");
    let mut letters = Vec::new();
    while letters.len() < count {
        let fetched = tokio::time::timeout(Duration::from_mins(1), consumer.fetch(8));
        for delivery in fetched.await.expect("in time").expect("fetched") {
            letters.push(v1::DeadLetter::decode(delivery.payload.clone()).expect("a dead letter"));
            delivery.receipt.ack().await.expect("acknowledged");
        }
    }
    letters
}

async fn publish(cluster: &Cluster, run: RunId, events: Vec<v1::Event>) {
    let batch = v1::EventBatch { runs: vec![v1::RunEvents { run_id: run.to_string(), events }] };
    let subject = Subject::Event { partition: run.partition(PARTITIONS) };
    let payload = Bytes::from(batch.encode_to_vec());
    cluster.bus.publish(subject, payload.into()).await.expect("published");
}

fn report(step: u32, attempt: u32, phase: v1::AttemptPhase) -> v1::Event {
    let report =
        v1::AttemptReport { step, attempt, phase: phase.into(), ..v1::AttemptReport::default() };
    v1::Event { event: Some(v1::event::Event::Report(report)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_means_nothing_fails_its_run_and_is_kept_for_an_operator() {
    let cluster = Cluster::new();
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, _) = cluster.launcher(taking(Duration::from_hours(1)));
    let unknown_phase = report(0, 1, v1::AttemptPhase::Unspecified);
    let unknown_step = report(77, 1, v1::AttemptPhase::Running);
    for event in [unknown_phase, unknown_step] {
        let bystander = cluster.submit(diamond(2)).await;
        let run = cluster.submit(diamond(2)).await;
        publish(&cluster, run, vec![event.clone()]).await;
        let record = cluster.end_of(run).await;
        let defect = record.defect.expect("the reason is told");
        assert_eq!((record.state, record.stop_cause), (RunState::Failed, Some(StopCause::Defect)));
        let letters = dead_letters(&*cluster.bus, 1).await;
        assert_eq!(letters[0].run_id, run.to_string());
        assert!(defect.contains(&letters[0].reason), "{defect}: {}", letters[0].reason);
        let Some(v1::event::Event::Report(sent)) = event.event else { panic!("it is a report") };
        assert_eq!(v1::AttemptReport::decode(letters[0].record.clone()).unwrap(), sent);
        let bystander = cluster.store.read_run(bystander).await.unwrap().unwrap();
        assert!(!bystander.record.state.is_final(), "it goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_none_is_kept_for_an_operator_and_holds_nobody_up() {
    let cluster = Cluster::new();
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, _) = cluster.launcher(taking(Duration::ZERO));
    let garbage = Bytes::from_static(b"\xff\xff\xff");
    let mut subjects: Vec<_> =
        (0..PARTITIONS).map(|partition| Subject::Event { partition }).collect();
    subjects.extend([LAUNCH, Subject::Control]);
    for subject in &subjects {
        cluster.bus.publish(*subject, garbage.clone().into()).await.expect("published");
    }
    let mut letters = dead_letters(&*cluster.bus, subjects.len()).await;
    letters.sort_by(|one, next| one.subject.cmp(&next.subject));
    let mut expected: Vec<_> = subjects.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(letters.iter().map(|it| it.subject.clone()).collect::<Vec<_>>(), expected);
    assert!(letters.iter().all(|it| it.record == garbage && it.run_id.is_empty()));
    let run = cluster.submit(diamond(3)).await;
    assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
}

/// A letter about the largest message that a bus takes must be one that it takes.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_large_record_the_beginning_is_kept() {
    let cluster = Cluster::new();
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, _) = cluster.launcher(taking(Duration::ZERO));
    let garbage = Bytes::from(vec![0xff; 1 << 20]);
    let subjects = [Subject::Event { partition: 0 }, LAUNCH, Subject::Control];
    for subject in subjects {
        cluster.bus.publish(subject, garbage.clone().into()).await.expect("published");
    }
    let letters = dead_letters(&*cluster.bus, subjects.len()).await;
    assert!(letters.iter().all(|it| it.record == garbage[..64 << 10]), "the first 64 KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_only_a_newer_scheduler_knows_is_no_poison() {
    let cluster = Cluster::new();
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, _) = cluster.launcher(taking(Duration::ZERO));
    let run = cluster.submit(diamond(3)).await;
    publish(&cluster, run, vec![v1::Event { event: None }]).await;
    assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_stored_pipeline_cannot_be_read_fails_with_the_reason() {
    let cluster = Cluster::new();
    let run: RunId = "run_0123456789abcdefghijklmnop".parse().unwrap();
    cluster.create(run, b"\xff no pipeline", 2).await;
    let _scheduler = cluster.scheduler(Ownership::All);
    let record = cluster.end_of(run).await;
    assert_eq!((record.state, record.stop_cause), (RunState::Failed, Some(StopCause::Defect)));
    assert!(record.defect.expect("the reason is told").contains("cannot be read"));
    eventually("it is active no more", async || {
        let active = cluster.store.active_runs(run.partition(PARTITIONS), PARTITIONS).await;
        active.expect("read").is_empty().then_some(())
    })
    .await;
    let (_, steps) = cluster.store.read_steps(run, &[StepIndex(0)]).await.unwrap().unwrap();
    assert_eq!(steps[0].state, StepState::Waiting);
}
