//! From what the engine decided to the messages that tell it.

use bytes::Bytes;
use prost::Message as _;
use windlass_engine::{output::Effect, record::StepIndex};
use windlass_proto::{convert, id::RunId, subject::Subject, v1};
use windlass_store::Version;

/// The commands that carry out effects, and where they go, in order: neighbours of one kind share a command, of at most `size`
/// attempts.
pub(crate) fn commands(
    run: RunId,
    generation: u32,
    effects: &[Effect],
    size: usize,
) -> Vec<(Subject, Bytes)> {
    use v1::command::Command as Body;
    effects
        .chunk_by(|one, next| std::mem::discriminant(one) == std::mem::discriminant(next))
        .flat_map(|alike| alike.chunks(size))
        .filter_map(|chunk| {
            let attempts = chunk
                .iter()
                .map(|effect| convert::attempt_ref_to_proto(effect.attempt()))
                .collect();
            let (subject, body) = match chunk[0] {
                Effect::Launch(_) => {
                    (Subject::Launch, Body::Launch(v1::Launch { generation, attempts }))
                }
                Effect::Stop(_) => (Subject::Control, Body::Stop(v1::Stop { attempts })),
                Effect::Probe(_) => (Subject::Control, Body::Probe(v1::Probe { attempts })),
                // Limits are the store's.
                Effect::Acquire(_) | Effect::Hold(_) | Effect::Release(_) => return None,
            };
            let command = v1::Command { run_id: run.to_string(), command: Some(body) };
            Some((subject, command.encode_to_vec().into()))
        })
        .collect()
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
    use windlass_engine::output::AttemptRef;

    #[test]
    fn neighbours_of_one_kind_share_a_command_up_to_its_size() {
        let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let attempt = |step| AttemptRef { step: StepIndex(step), attempt: 1 };
        let effects = [
            Effect::Launch(attempt(0)),
            Effect::Launch(attempt(1)),
            Effect::Launch(attempt(2)),
            Effect::Stop(attempt(3)),
            Effect::Launch(attempt(4)),
        ];
        let steps =
            |attempts: &[v1::AttemptRef]| attempts.iter().map(|a| a.step).collect::<Vec<_>>();
        let told: Vec<_> = commands(run, 7, &effects, 2)
            .iter()
            .map(|(subject, bytes)| {
                match (*subject, v1::Command::decode(bytes.as_ref()).unwrap().command.unwrap()) {
                    (Subject::Launch, v1::command::Command::Launch(launch)) => {
                        assert_eq!(launch.generation, 7);
                        ("launch", steps(&launch.attempts))
                    }
                    (Subject::Control, v1::command::Command::Stop(stop)) => {
                        ("stop", steps(&stop.attempts))
                    }
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        let expected =
            [("launch", vec![0, 1]), ("launch", vec![2]), ("stop", vec![3]), ("launch", vec![4])];
        assert_eq!(told, expected);
    }
}
