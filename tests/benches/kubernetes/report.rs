//! The figures of a case: medians of its rounds, ours beside the bare client's.

use windlass_servers::Verb;

use crate::{
    cases::{SHARE, Took},
    counters::{BARE, CONTROL_PLANE, Counted, PROGRAMS, SERVERS},
    figures::{Aim, Percentiles, as_f64, figure, per},
};

/// What a pod may cost all four programs together, in microseconds of processor time.
const PROCESSOR: f64 = 1000.0;

/// What is asked of pods by launchers and by the bare client, and by nobody else: nodes that are played and the scheduler write
/// `pods/status` and `pods/binding`. A watch counts when it ends.
const VERBS: [(Verb, &str); 6] = [
    (Verb::Create, "create"),
    (Verb::Get, "get"),
    (Verb::List, "list"),
    (Verb::Watch, "watch"),
    (Verb::Delete, "delete"),
    (Verb::DeleteCollection, "deletecollection"),
];

/// The median of what is read of each round.
fn median(rounds: &[Took], read: impl Fn(&Took) -> f64) -> f64 {
    let mut all: Vec<f64> = rounds.iter().map(read).collect();
    all.sort_unstable_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// All figures of a case that is as fast as it can be.
pub(crate) fn compared(ours: &[Took], bare: &[Took], pods: usize) {
    let rate = |took: &Took| as_f64(pods) / took.run.elapsed;
    let bare_rate = median(bare, rate);
    let aim = Aim::AtLeast(bare_rate * SHARE);
    figure("pods per second", median(ours, rate), aim, Some(bare_rate));
    let least = ours.iter().map(rate).fold(f64::INFINITY, f64::min);
    let bare_least = bare.iter().map(rate).fold(f64::INFINITY, f64::min);
    figure("  the least of all rounds", least, Aim::None, Some(bare_least));
    processor(ours, bare, pods);
    // Only the last round's has pods removed by who created them.
    if let (Some(ours), Some(bare)) = (ours.last(), bare.last()) {
        removal(ours, bare, pods);
        calls(ours, bare, pods);
    }
    memory(ours, bare);
}

/// From pods' ends to their dependents' creations, of all rounds together.
pub(crate) fn gaps(ours: &[Took], bare: &[Took]) {
    let all = |rounds: &[Took]| -> Percentiles {
        rounds.iter().flat_map(|took| took.gaps.iter().copied()).collect()
    };
    let rate = |took: &Took| as_f64(took.gaps.len()) / took.run.elapsed;
    let name = "dependents created per second, beginning and end included";
    figure(name, median(ours, rate), Aim::None, Some(median(bare, rate)));
    let (ours, bare) = (all(ours), all(bare));
    for share in [0.5, 0.95] {
        let name =
            format!("from a pod's end to its dependent's creation, p{:.0}, ms", share * 100.0);
        figure(&name, ours.at(share), Aim::None, Some(bare.at(share)));
    }
    figure("  how many were seen", as_f64(ours.len()), Aim::None, Some(as_f64(bare.len())));
}

/// The processor time per pod until all have ended, by process.
pub(crate) fn processor(ours: &[Took], bare: &[Took], pods: usize) {
    let each = |kinds: &'static [&'static str]| {
        move |took: &Took| took.run.processor_of(kinds) * 1e6 / as_f64(pods)
    };
    let name = "processor time per pod, the four programs, µs";
    let of_bare = Some(median(bare, each(&[BARE])));
    figure(name, median(ours, each(&PROGRAMS)), Aim::Below(PROCESSOR), of_bare);
    for (number, kind) in PROGRAMS.iter().enumerate() {
        let value = median(ours, each(&PROGRAMS[number..=number]));
        figure(&format!("  {kind}"), value, Aim::None, None);
    }
    figure("  beside them, NATS", median(ours, each(&SERVERS[..1])), Aim::None, None);
    figure("  and Valkey", median(ours, each(&SERVERS[1..])), Aim::None, None);
    let of_bare = Some(median(bare, each(&[CONTROL_PLANE])));
    figure("  the control plane", median(ours, each(&[CONTROL_PLANE])), Aim::None, of_bare);
}

/// What comes after the last end.
fn removal(ours: &Took, bare: &Took, pods: usize) {
    let [seconds, of_bare] = [ours, bare].map(|took| took.removal.elapsed);
    figure("seconds from there until no pod is left", seconds, Aim::None, Some(of_bare));
    let each = |took: &Took, kinds| took.removal.processor_of(kinds) * 1e6 / as_f64(pods);
    let name = "  processor time per pod, the four programs, µs";
    figure(name, each(ours, &PROGRAMS), Aim::None, Some(each(bare, &[BARE])));
}

/// What the API server was asked from the beginning until no pod is left.
fn calls(ours: &Took, bare: &Took, pods: usize) {
    let figure_of = |name: &str, count: &dyn Fn(&Counted) -> u64| {
        let each = |took: &Took| per(count(&took.run) + count(&took.removal), pods);
        figure(name, each(ours), Aim::None, Some(each(bare)));
    };
    for (verb, name) in VERBS {
        figure_of(&format!("calls per pod: {name}"), &|counted| counted.calls.of(verb, "pods"));
    }
    let name = "  all calls, those of the control plane and its nodes too";
    figure_of(name, &|counted| counted.calls.all());
}

fn memory(ours: &[Took], bare: &[Took]) {
    let peak =
        |kind: &'static str| move |took: &Took| took.peaks.get(kind).copied().unwrap_or(f64::NAN);
    for kind in PROGRAMS {
        // The bare client is what a launcher would be without anything else.
        let of_bare = (kind == "launcher").then(|| median(bare, peak(BARE)));
        figure(
            &format!("peak memory of the {kind}, MiB"),
            median(ours, peak(kind)),
            Aim::None,
            of_bare,
        );
    }
}
