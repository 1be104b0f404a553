use serde_json::{Value, json};
use windlass_engine::reason::FailureReason;
use windlass_pod::{label, manifest};

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_500);

fn attempt() -> AttemptKey {
    AttemptKey { run: "run_0123456789abcdefghijklmnop".parse().unwrap(), step: 4, attempt: 2 }
}

/// What a pod is called, as people name the step.
fn named(readable: &str) -> String {
    let AttemptKey { run, step, attempt } = attempt();
    manifest::name("", &run.to_string(), step, attempt, readable)
}

fn place() -> Place {
    Place { namespace: "work".into(), name: named("fit"), shard: 3 }
}

/// The attempt's pod with a status.
fn pod(uid: &str, status: &Value) -> ObservedPod {
    let pod = json!({
        "metadata": {
            "name": named("fit"),
            "namespace": "work",
            "uid": uid,
            "labels": {
                label::RUN: attempt().run.to_string(),
                label::STEP_INDEX: "4",
                label::ATTEMPT: "2",
                label::SHARD: "3",
            },
            "creationTimestamp": "2027-01-15T08:00:00Z",
        },
        "spec": {},
        "status": status,
    });
    serde_json::from_value(pod).unwrap()
}

/// The pod once its deletion was asked for.
fn leaving(mut pod: ObservedPod) -> ObservedPod {
    pod.metadata.deletion_timestamp = pod.metadata.creation_timestamp.clone();
    pod
}

fn waiting(reason: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": "in its own words"}});
    json!({"phase": "Pending", "containerStatuses": [{"name": "main", "state": state}]})
}

fn running() -> Value {
    let state = json!({"running": {"startedAt": "2027-01-15T08:00:00Z"}});
    json!({"phase": "Running", "containerStatuses": [{"name": "main", "state": state}]})
}

fn exited(code: i32) -> Value {
    let state = json!({"terminated": {
        "exitCode": code,
        "startedAt": "2027-01-15T08:00:00Z",
        "finishedAt": "2027-01-15T08:00:01Z",
    }});
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    json!({"phase": phase, "containerStatuses": [{"name": "main", "state": state}]})
}

fn told(acts: Vec<Act>) -> Vec<AttemptPhase> {
    let told = acts.into_iter().filter_map(|act| match act {
        Act::Tell(report) => Some(report.report.phase),
        Act::Delete(_) | Act::Settle(_) => None,
    });
    told.collect()
}

fn reason(phase: &AttemptPhase) -> FailureReason {
    match phase {
        AttemptPhase::Failed(failure) => failure.reason,
        other => panic!("{other:?}"),
    }
}

fn created() -> Pods {
    let mut pods = Pods::default();
    assert!(pods.begin(attempt(), place(), Instant::now()));
    let report = pods.created(attempt(), NOW).unwrap();
    assert_eq!(
        (report.report.phase, report.report.created_at),
        (AttemptPhase::Starting, Some(NOW))
    );
    pods
}

fn see(pods: &mut Pods, pod: &ObservedPod) -> Vec<Act> {
    pods.seen(pod, NOW, Instant::now()).unwrap().1
}

#[test]
fn each_stage_is_told_once_and_only_living_pods_count() {
    let mut pods = created();
    assert_eq!(pods.living().total(), 1);
    assert!(!pods.begin(attempt(), place(), Instant::now()), "it is known");
    assert_eq!(told(see(&mut pods, &pod("1", &waiting("ContainerCreating")))), []);
    for _ in 0..2 {
        let expected: &[AttemptPhase] =
            if pods.present(attempt()).unwrap().unwrap().report.phase == AttemptPhase::Starting {
                &[AttemptPhase::Running]
            } else {
                &[]
            };
        assert_eq!(told(see(&mut pods, &pod("1", &running()))), expected);
    }
    // Its times are whole seconds, and the create was half a second later than the one in which the program began.
    let acts = see(&mut pods, &pod("1", &exited(0)));
    let [Act::Tell(report)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(report.report.phase, AttemptPhase::Succeeded(None));
    assert_eq!(
        (report.report.started_at, report.report.ended_at),
        (Some(NOW), Some(Timestamp(NOW.0 + 500)))
    );
    assert_eq!(see(&mut pods, &pod("1", &exited(0))), []);
    assert_eq!(pods.living().total(), 0);
    assert_eq!(pods.gone(&pod("1", &exited(0)), NOW, Instant::now()), []);
    assert_eq!(pods.keys(), []);
    assert!(
        !pods.begin(attempt(), place(), Instant::now()),
        "it was there: it does not begin again"
    );
}

#[test]
fn a_pod_that_another_launcher_created_is_told_as_it_is() {
    let mut pods = Pods::default();
    assert_eq!(
        told(see(&mut pods, &pod("1", &exited(3)))).iter().map(reason).collect::<Vec<_>>(),
        [FailureReason::ExitCode]
    );
    assert_eq!(pods.living().total(), 0);
    let mut pods = Pods::default();
    assert_eq!(told(see(&mut pods, &pod("1", &running()))), [AttemptPhase::Running]);
    assert_eq!(pods.living().total(), 1);
    pods.keep_shards(&BTreeSet::from([2]));
    assert_eq!((pods.living().total(), pods.keys()), (0, vec![]));
}

#[test]
fn what_waits_for_ever_is_deleted_and_its_failure_told_when_nothing_can_begin_any_more() {
    let mut pods = created();
    let stuck = pod("1", &waiting("InvalidImageName"));
    let acts = see(&mut pods, &stuck);
    let [Act::Delete(found)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!((&*found.name, &*found.uid), (&*named("fit"), "1"));
    assert_eq!(pods.present(attempt()), Some(Err(())));
    assert_eq!(see(&mut pods, &pod("1", &waiting("ContainerCreating"))), []);
    assert_eq!(pods.living().total(), 1);
    assert_eq!(told(pods.gone(&leaving(stuck), NOW, Instant::now())).len(), 1);
    assert_eq!(pods.living().total(), 0);
}

#[test]
fn a_pod_that_somebody_deletes_fails_and_says_what_it_waited_for() {
    let mut pods = created();
    see(&mut pods, &pod("1", &waiting("ErrImagePull")));
    let last = leaving(pod("1", &waiting("ErrImagePull")));
    let phases = told(pods.gone(&last, NOW, Instant::now()));
    assert_eq!(phases.iter().map(reason).collect::<Vec<_>>(), [FailureReason::Deleted]);
    let AttemptPhase::Failed(failure) = &phases[0] else { panic!() };
    assert_eq!(failure.message, "it waited: ErrImagePull: in its own words");
}

#[test]
fn a_list_without_a_pod_that_was_leaving_tells_its_loss_and_spares_those_that_are_new() {
    let mut pods = created();
    let known = pods.seen_in("work", &[3].into());
    assert_eq!(known, BTreeSet::new(), "it was created and not seen");
    assert_eq!(pods.unlisted("work", &known, &BTreeSet::new(), NOW, Instant::now()), []);
    see(&mut pods, &leaving(pod("1", &running())));
    let known = pods.seen_in("work", &[3].into());
    assert_eq!(pods.unlisted("work", &known, &known, NOW, Instant::now()), []);
    let phases = told(pods.unlisted("work", &known, &BTreeSet::new(), NOW, Instant::now()));
    assert_eq!(phases.iter().map(reason).collect::<Vec<_>>(), [FailureReason::Lost]);
    assert_eq!((pods.living().total(), pods.keys()), (0, vec![]));
}

#[test]
fn a_list_of_some_shards_tells_nothing_of_pods_in_others() {
    let mut pods = created();
    see(&mut pods, &pod("1", &running()));
    // Its shard is being given up: it is known until no create is under way there.
    assert_eq!(pods.seen_in("work", &[1, 2].into()), BTreeSet::new());
}

#[test]
fn a_pod_that_was_there_already_is_in_the_shard_that_it_was_made_in() {
    let mut pods = Pods::default();
    pods.begin(attempt(), Place { shard: 5, ..place() }, Instant::now());
    see(&mut pods, &pod("1", &running()));
    pods.not_created(attempt());
    assert_eq!(pods.seen_in("work", &[5].into()), BTreeSet::new());
    pods.keep_shards(&[3].into());
    assert_eq!((pods.keys(), pods.living().total()), (vec![attempt()], 1));
    pods.keep_shards(&[5].into());
    assert_eq!((pods.keys(), pods.living().total()), (vec![], 0));
}

#[test]
fn the_end_of_an_earlier_pod_of_the_same_name_is_not_this_ones() {
    let mut pods = created();
    see(&mut pods, &pod("2", &running()));
    assert_eq!(pods.gone(&pod("1", &exited(1)), NOW, Instant::now()), []);
    assert_eq!(pods.living().total(), 1);
}

#[test]
fn ended_pods_expire_by_age_and_by_number_and_those_that_failed_by_their_own() {
    let mut pods = created();
    let begin = Instant::now();
    pods.seen(&pod("1", &exited(1)), NOW, begin);
    let minute = Duration::from_mins(1);
    let mut expired =
        |succeeded, failed, after| pods.expired(&Retention { succeeded, failed }, begin + after);
    let nearly = NEVER_AFTER.saturating_sub(Duration::from_secs(1));
    assert_eq!(expired((Duration::ZERO, Some(0)), (minute, None), NEVER_AFTER), []);
    assert_eq!(expired((minute, None), (minute, None), minute), [attempt()]);
    assert_eq!(expired((minute, None), (minute, Some(1)), NEVER_AFTER), []);
    assert_eq!(expired((minute, None), (minute, Some(0)), NEVER_AFTER), [attempt()]);
    assert_eq!(expired((minute, None), (Duration::ZERO, Some(0)), nearly), [], "a late create");
}

#[test]
fn what_a_pod_waits_for_is_known_until_it_runs_and_why_it_goes_until_it_is_gone() {
    let exists = |words: &str, is_going| {
        let Place { namespace, name, .. } = place();
        Some(Unstarted::Exists { namespace, name, words: Some(words.to_owned()), is_going })
    };
    let mut pods = Pods::default();
    assert_eq!(pods.unstarted(attempt()), None);
    let since = Instant::now();
    pods.begin(attempt(), place(), since);
    assert_eq!(pods.unstarted(attempt()), Some(Unstarted::Creating { since }));
    see(&mut pods, &pod("1", &waiting("ErrImagePull")));
    let expected = exists("ErrImagePull: in its own words", false);
    assert_eq!(pods.unstarted(attempt()), expected);
    see(&mut pods, &pod("1", &running()));
    assert_eq!(pods.unstarted(attempt()), None);
    let mut pods = created();
    let acts = see(&mut pods, &pod("1", &waiting("InvalidImageName")));
    assert!(matches!(acts[..], [Act::Delete(_)]), "{acts:?}");
    let Some(Unstarted::Exists { words: Some(words), is_going, .. }) = pods.unstarted(attempt())
    else {
        panic!("it is there")
    };
    assert!(is_going && words.contains("InvalidImageName: in its own words"), "{words}");
    pods.gone(&leaving(pod("1", &waiting("InvalidImageName"))), NOW, since);
    assert_eq!(pods.unstarted(attempt()), None);
}

/// A pod with one label set to something else.
fn relabelled(mut pod: ObservedPod, label: &str, value: &str) -> ObservedPod {
    let labels = pod.metadata.labels.as_mut().unwrap();
    labels.insert(label.to_owned(), value.to_owned());
    pod
}

#[test]
fn a_copy_of_a_pod_with_all_its_labels_says_nothing_of_the_attempt() {
    let called = |name: &str, status: Value| {
        let mut copy = pod("2", &status);
        copy.metadata.name = Some(name.to_owned());
        copy
    };
    let mut pods = created();
    see(&mut pods, &pod("1", &running()));
    // Also one that somebody has named after the attempt.
    for name in ["debug-copy", &named("copy")] {
        let copy = called(name, exited(1));
        assert_eq!(pods.seen(&copy, NOW, Instant::now()), None, "{name}");
        assert_eq!(pods.gone(&copy, NOW, Instant::now()), [], "{name}");
    }
    assert_eq!(Pods::default().seen(&called("debug-copy", running()), NOW, Instant::now()), None);
    let mut elsewhere = pod("2", &exited(1));
    elsewhere.metadata.namespace = Some("other".into());
    assert_eq!(pods.seen(&elsewhere, NOW, Instant::now()), None);
    assert_eq!(told(see(&mut pods, &pod("1", &exited(0)))), [AttemptPhase::Succeeded(None)]);
}

#[test]
fn a_pod_whose_labels_name_another_attempt_stays_what_it_is() {
    let other_run = "run_1123456789abcdefghijklmnop";
    for (label, value) in [(label::ATTEMPT, "7"), (label::STEP_INDEX, "0"), (label::RUN, other_run)]
    {
        let changed = |status| relabelled(pod("1", &status), label, value);
        let mut pods = created();
        see(&mut pods, &pod("1", &waiting("ContainerCreating")));
        let seen = pods.seen(&changed(running()), NOW, Instant::now()).unwrap();
        assert_eq!((seen.0, told(seen.1)), (attempt(), vec![AttemptPhase::Running]), "{label}");
        assert_eq!(pods.keys(), [attempt()]);
        let nobodys = Pods::default().seen(&changed(exited(1)), NOW, Instant::now());
        assert_eq!(nobodys, None, "nobody knows whose it was: {label}");
    }
}

#[test]
fn a_pod_that_leaves_without_an_end_is_looked_for_before_anything_is_told() {
    let mut pods = created();
    let last = pod("1", &running());
    see(&mut pods, &last);
    let acts = pods.gone(&last, NOW, Instant::now());
    let [Act::Settle(vanished)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!((vanished.key, &*vanished.found.uid), (attempt(), "1"));
    assert!(pods.is_settling(vanished));
    let known = pods.seen_in("work", &[3].into());
    assert_eq!(pods.unlisted("work", &known, &BTreeSet::new(), NOW, Instant::now()), [], "once");
    assert_eq!(pods.living().total(), 1);

    // Its label is put back.
    assert_eq!(see(&mut pods, &last), []);
    assert!(!pods.is_settling(vanished));
    let acts = pods.unlisted("work", &known, &BTreeSet::new(), NOW, Instant::now());
    let [Act::Settle(again)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(again.last, None);
    let phases = told(pods.settled(attempt(), Unseen::Relabelled, NOW, Instant::now()));
    let [AttemptPhase::Failed(failure)] = &phases[..] else { panic!("{phases:?}") };
    assert_eq!(failure.reason, FailureReason::Lost);
    assert!(failure.message.contains("labels"), "{}", failure.message);
    assert_eq!((pods.living().total(), pods.keys(), pods.is_settling(again)), (0, vec![], false));
}

#[test]
fn a_pod_that_ended_before_its_labels_were_changed_is_told_as_it_ended() {
    let mut pods = created();
    see(&mut pods, &pod("1", &running()));
    pods.gone(&pod("1", &running()), NOW, Instant::now());
    let last = Unseen::Gone(Some(Box::new(pod("1", &exited(0)))));
    let phases = told(pods.settled(attempt(), last, NOW, Instant::now()));
    assert_eq!(phases, [AttemptPhase::Succeeded(None)]);
}
