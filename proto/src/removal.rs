//! The word that a run is no more, told to all launchers on [`Subject::Removal`](crate::subject::Subject::Removal).

use bytes::Bytes;
use prost::Message as _;

use crate::{id::RunId, v1};

/// Says that a run was removed from the store.
pub fn encode(run: RunId) -> Bytes {
    let command = v1::command::Command::Remove(v1::Remove {});
    let command = v1::Command { run_id: run.to_string(), command: Some(command) };
    command.encode_to_vec().into()
}

/// The run that a message says was removed. Another message means nothing here.
pub fn decode(payload: &[u8]) -> Option<RunId> {
    let command = v1::Command::decode(payload).ok()?;
    matches!(command.command, Some(v1::command::Command::Remove(_)))
        .then(|| command.run_id.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood_and_nothing_else() {
        let run: RunId = "run_0123456789abcdefghijklmnop".parse().unwrap();
        assert_eq!(decode(&encode(run)), Some(run));
        let stop = v1::command::Command::Stop(v1::Stop::default());
        let stop = v1::Command { run_id: run.to_string(), command: Some(stop) };
        for other in [&stop.encode_to_vec()[..], &encode(run)[1..], b""] {
            assert_eq!(decode(other), None);
        }
    }
}
