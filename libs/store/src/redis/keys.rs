//! Names of keys. All that belongs to a partition has the partition's number as its hash tag, so that one script may touch
//! it and a cluster keeps it together.

use windlass_engine::{record::StepIndex, time::Timestamp};
use windlass_proto::{id::RunId, v1};

/// How many steps share a bucket of claims: with one attempt each, few enough for the short form of a hash.
const BUCKET: u32 = 128;

/// The field of a run's details that holds what retries have changed of the run; see [`super::amendment`].
pub(super) const AMENDMENT: &str = "m";

/// The states by which runs are listed.
pub(super) const STATES: [v1::RunState; 7] = [
    v1::RunState::Pending,
    v1::RunState::Running,
    v1::RunState::Paused,
    v1::RunState::Stopping,
    v1::RunState::Succeeded,
    v1::RunState::Failed,
    v1::RunState::Cancelled,
];

/// What all runs' ids begin with, and keys leave out.
const RUN_PREFIX: &str = "run_";

/// How all names begin, and over how many partitions runs are spread.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) prefix: String,
    pub(super) partitions: u32,
}

impl Keys {
    pub(super) fn partition(&self, number: u32) -> Partition {
        Partition { number, prefix: format!("{}:{{{number}}}:", self.prefix) }
    }

    pub(super) fn of(&self, run: RunId) -> Partition {
        self.partition(run.partition(self.partitions))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Partition> {
        (0..self.partitions.max(1)).map(|number| self.partition(number))
    }

    pub(super) fn installation(&self) -> String {
        format!("{}:installation", self.prefix)
    }

    /// A shard of the results of a namespace: a hash of what is kept under each key, one of the names of those results, and a
    /// sorted set of the keys by when the steps ended. A hash tag of its own, for no partition has anything to do with it.
    pub(super) fn cache(&self, namespace: &str, shard: u8) -> [String; 3] {
        ["results", "names", "ages"]
            .map(|kind| format!("{}:{{cache:{namespace}:{shard}}}:{kind}", self.prefix))
    }

    /// What is kept of the limits of a namespace: see `lua/limits.lua`.
    pub(super) fn limits(&self, namespace: &str) -> LimitKeys {
        let key = |kind| format!("{}:{{limits:{namespace}}}:{kind}", self.prefix);
        LimitKeys {
            queue: key("queue"),
            held: key("held"),
            starts: key("starts"),
            entries: key("entries"),
            due: key("due"),
            config: key("config"),
            state: key("state"),
        }
    }

    /// A set: namespaces in which somebody has asked for limits.
    pub(super) fn limited(&self) -> String {
        format!("{}:limited", self.prefix)
    }

    pub(super) fn group(&self, name: &str) -> String {
        format!("{}:group:{name}", self.prefix)
    }
}

/// The names of what is kept of the limits of a namespace, in one place.
#[derive(Debug, Clone)]
pub(super) struct LimitKeys {
    pub(super) queue: String,
    pub(super) held: String,
    pub(super) starts: String,
    pub(super) entries: String,
    pub(super) due: String,
    pub(super) config: String,
    pub(super) state: String,
}

impl LimitKeys {
    /// As the script takes them.
    pub(super) fn all(self) -> [String; 7] {
        let Self { queue, held, starts, entries, due, config, state } = self;
        [queue, held, starts, entries, due, config, state]
    }
}

/// The names of a partition.
#[derive(Debug, Clone)]
pub(super) struct Partition {
    pub(super) number: u32,
    prefix: String,
}

impl Partition {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn of_run(&self, kind: char, run: RunId) -> String {
        format!("{}{kind}:{}", self.prefix, short(&run))
    }

    /// A set: runs that have not ended or have orders.
    pub(super) fn active(&self) -> String {
        self.key("active")
    }

    /// A sorted set: all other runs, by when they ended.
    pub(super) fn finished(&self) -> String {
        self.key("finished")
    }

    /// A sorted set: the [places](place) of runs in this state.
    pub(super) fn of_state(&self, state: i32) -> String {
        format!("{}state:{state}", self.prefix)
    }

    /// The sorted sets of all states.
    pub(super) fn states(&self) -> impl Iterator<Item = String> {
        STATES.into_iter().map(|state| self.of_state(state.into()))
    }

    /// A sorted set: the places of runs in this namespace, each with the pipeline's name behind it.
    pub(super) fn of_namespace(&self, namespace: &str) -> String {
        format!("{}namespace:{namespace}", self.prefix)
    }

    /// A hash: which server the latest claim came to, and since when another one than before.
    pub(super) fn server(&self) -> String {
        self.key("server")
    }

    /// A hash: the names of those who hold claims, and their numbers.
    pub(super) fn holders(&self) -> String {
        self.key("holders")
    }

    /// A text: version, record, inbox; see [`super::head`].
    pub(super) fn head(&self, run: RunId) -> String {
        self.of_run('h', run)
    }

    /// A text: what was submitted, and the pipeline behind it.
    pub(super) fn submission(&self, run: RunId) -> String {
        self.of_run('s', run)
    }

    /// A text: the records of all steps, zeros for those that have not changed yet.
    pub(super) fn steps(&self, run: RunId) -> String {
        self.of_run('t', run)
    }

    /// A hash: for each step its attempts that are over (`a` and the step), and its outputs (`o` and the step);
    /// and what retries have changed of the run, under [`AMENDMENT`].
    pub(super) fn details(&self, run: RunId) -> String {
        self.of_run('d', run)
    }

    /// A text: how the run's loops have expanded, one behind the other; nothing where none has.
    pub(super) fn expansions(&self, run: RunId) -> String {
        self.of_run('e', run)
    }

    /// A text that is there for some time after the run was removed.
    pub(super) fn tombstone(&self, run: RunId) -> String {
        self.of_run('x', run)
    }

    /// A hash: the numbers of those who hold claims of some steps.
    pub(super) fn claims(&self, run: RunId, bucket: u32) -> String {
        format!("{}:{bucket}", self.of_run('c', run))
    }

    /// The buckets of a run of so many steps.
    pub(super) fn all_claims(&self, run: RunId, steps: u32) -> impl Iterator<Item = String> {
        (0..steps.div_ceil(BUCKET)).map(move |bucket| self.claims(run, bucket))
    }

    /// Keys of which nothing is stored, to try commands with.
    pub(super) fn probes(&self) -> impl Iterator<Item = String> {
        ["text", "hash", "set", "sorted"].into_iter().map(|kind| self.key(&format!("probe:{kind}")))
    }
}

/// A run's id as keys and members show it: 26 bytes.
pub(super) fn short(run: &RunId) -> &str {
    let id = run.as_str();
    id.strip_prefix(RUN_PREFIX).unwrap_or(id)
}

/// The inverse of [`short`].
pub(super) fn long(short: &[u8]) -> Option<RunId> {
    format!("{RUN_PREFIX}{}", str::from_utf8(short).ok()?).parse().ok()
}

/// Which bucket an attempt's claim is in, and its field there: a small number, which takes up few bytes.
pub(super) fn claim(step: StepIndex, attempt: u32) -> (u32, u64) {
    (step.0 / BUCKET, u64::from(attempt) * u64::from(BUCKET) + u64::from(step.0 % BUCKET))
}

/// How a time is stored where the latest comes first: 48 bits, the larger the earlier.
pub(super) fn inverted(time: Timestamp) -> [u8; 6] {
    let mut bytes = [0; 6];
    bytes.copy_from_slice(&(END_OF_TIME - time.0.min(END_OF_TIME)).to_be_bytes()[2..]);
    bytes
}

/// The inverse of [`inverted`].
pub(super) fn time(inverted: [u8; 6]) -> Timestamp {
    let mut wide = [0; 8];
    wide[2..].copy_from_slice(&inverted);
    Timestamp(END_OF_TIME - u64::from_be_bytes(wide))
}

/// In the year 10889.
const END_OF_TIME: u64 = (1 << 48) - 1;

/// A run's place in the list of all runs: sorted as bytes, the newest comes first, and then the smallest id.
pub(super) fn place(created_at: Timestamp, run: RunId) -> Vec<u8> {
    [&inverted(created_at)[..], short(&run).as_bytes()].concat()
}

/// How much of a place is the time.
pub(super) const TIME_SIZE: usize = 6;

/// How long a place is, what may follow it left out.
pub(super) const PLACE_SIZE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_ordered_as_the_list_is() {
        let run = |number: u32| -> RunId { format!("run_{number:026}").parse().unwrap() };
        let places = [(9, 1), (9, 2), (8, 0), (0, 5)].map(|(at, id)| place(Timestamp(at), run(id)));
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(long(&places[1][TIME_SIZE..]), Some(run(2)));
        assert_eq!(places[0].len(), PLACE_SIZE);
        for at in [0, 1, 1_700_000_000_000, END_OF_TIME] {
            assert_eq!(time(inverted(Timestamp(at))), Timestamp(at));
        }
    }
}
