//! From what the engine decided to the messages that tell it.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use windlass_engine::{
    output::{AttemptRef, Effect},
    record::StepIndex,
};
use windlass_proto::{
    convert,
    id::RunId,
    subject::{ClusterToken, Subject},
    v1,
};
use windlass_store::Version;

/// The commands that carry out effects, and where they go, in order: neighbours of one kind share a command, of at most `size`
/// attempts. Of launches beside each other, those of one cluster do.
pub(crate) fn commands(
    run: RunId,
    generation: u32,
    effects: &[Effect],
    size: usize,
    cluster: impl Fn(StepIndex) -> ClusterToken,
) -> Vec<(Subject, Bytes)> {
    use v1::command::Command as Body;
    let mut commands = Vec::new();
    let mut tell = |subject, body: fn(u32, Vec<v1::AttemptRef>) -> Body, told: &[AttemptRef]| {
        for chunk in told.chunks(size) {
            let attempts = chunk.iter().map(|it| convert::attempt_ref_to_proto(*it)).collect();
            let command = Some(body(generation, attempts));
            let command = v1::Command { run_id: run.to_string(), command };
            commands.push((subject, Bytes::from(command.encode_to_vec())));
        }
    };
    for alike in
        effects.chunk_by(|one, next| std::mem::discriminant(one) == std::mem::discriminant(next))
    {
        let attempts: Vec<_> = alike.iter().map(|effect| effect.attempt()).collect();
        match alike[0] {
            Effect::Launch(_) => {
                let launch =
                    |generation, attempts| Body::Launch(v1::Launch { generation, attempts });
                for (cluster, attempts) in by_cluster(attempts, &cluster) {
                    tell(Subject::Launch { cluster }, launch, &attempts);
                }
            }
            Effect::Stop(_) => {
                tell(Subject::Control, |_, attempts| Body::Stop(v1::Stop { attempts }), &attempts);
            }
            Effect::Probe(_) => {
                let probe = |_, attempts| Body::Probe(v1::Probe { attempts });
                tell(Subject::Control, probe, &attempts);
            }
            // Limits are the store's.
            Effect::Acquire(_) | Effect::Hold(_) | Effect::Release(_) => {}
        }
    }
    commands
}

/// Attempts by the clusters of their steps, in the order given.
fn by_cluster(
    attempts: Vec<AttemptRef>,
    cluster: impl Fn(StepIndex) -> ClusterToken,
) -> BTreeMap<ClusterToken, Vec<AttemptRef>> {
    let mut sorted: BTreeMap<ClusterToken, Vec<AttemptRef>> = BTreeMap::new();
    for attempt in attempts {
        sorted.entry(cluster(attempt.step)).or_default().push(attempt);
    }
    sorted
}

/// The most steps that one change names: about 250 kB of them, where buses take a megabyte.
const CHANGE_STEPS: usize = 50_000;

/// The bell that tells watchers of a commit.
pub(crate) fn change(run: RunId, before: Version, after: Version, steps: &[StepIndex]) -> Bytes {
    let all_steps = steps.len() > CHANGE_STEPS;
    let steps = if all_steps { &[] } else { steps };
    let change = v1::Change {
        run_id: run.to_string(),
        version: after.number,
        commit: after.commit,
        previous_version: before.number,
        previous_commit: before.commit,
        steps: steps.iter().map(|step| step.0).collect(),
        all_steps,
    };
    change.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_kind_and_cluster_share_a_command_up_to_its_size() {
        let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let attempt = |step| AttemptRef { step: StepIndex(step), attempt: 1 };
        let effects = [
            Effect::Launch(attempt(0)),
            Effect::Launch(attempt(1)),
            Effect::Launch(attempt(2)),
            Effect::Stop(attempt(3)),
            Effect::Launch(attempt(4)),
            Effect::Launch(attempt(5)),
            Effect::Launch(attempt(6)),
        ];
        let [even, odd] = [ClusterToken(0), ClusterToken(1)];
        let cluster = |step: StepIndex| match step.0 {
            0..=2 => even,
            step => ClusterToken(u64::from(step % 2)),
        };
        let steps =
            |attempts: &[v1::AttemptRef]| attempts.iter().map(|a| a.step).collect::<Vec<_>>();
        let told: Vec<_> = commands(run, 7, &effects, 2, cluster)
            .iter()
            .map(|(subject, bytes)| {
                match (*subject, v1::Command::decode(bytes.as_ref()).unwrap().command.unwrap()) {
                    (Subject::Launch { cluster }, v1::command::Command::Launch(launch)) => {
                        assert_eq!(launch.generation, 7);
                        let word = if cluster == odd { "odd" } else { "even" };
                        (word, steps(&launch.attempts))
                    }
                    (Subject::Control, v1::command::Command::Stop(stop)) => {
                        ("stop", steps(&stop.attempts))
                    }
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        let first = [("even", vec![0, 1]), ("even", vec![2]), ("stop", vec![3])];
        let expected = [&first[..], &[("even", vec![4, 6]), ("odd", vec![5])]].concat();
        assert_eq!(told, expected);
    }
}
