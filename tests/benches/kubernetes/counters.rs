//! What the kernel counts of processes and the API server of calls: read before and after, so that the difference is what a
//! phase took.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context as _;
use windlass_servers::{Calls, Kubernetes, processor_seconds};

use crate::processes::{Program, children};

/// How the bare client is called among the processes.
pub(crate) const BARE: &str = "bare client";

/// The programs of Windlass.
pub(crate) const PROGRAMS: [&str; 4] = ["submitter", "scheduler", "launcher", "streamer"];

/// The servers that Windlass needs.
pub(crate) const SERVERS: [&str; 2] = ["nats", "redis"];

/// The programs of Kubernetes, taken together.
pub(crate) const CONTROL_PLANE: &str = "control plane";

/// What was counted at one time.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    at: Instant,
    processor: BTreeMap<&'static str, f64>,
    calls: Calls,
}

/// What was counted between two.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// In seconds.
    pub(crate) elapsed: f64,
    /// Seconds of processor time by kind of process.
    pub(crate) processor: BTreeMap<&'static str, f64>,
    /// What the API server was asked, by whomever.
    pub(crate) calls: Calls,
}

impl Reading {
    /// Reads what is counted of the control plane, and of an installation's programs and servers or the bare client.
    pub(crate) async fn take(
        kubernetes: &Kubernetes,
        programs: &[Program],
        bare: Option<u32>,
    ) -> anyhow::Result<Self> {
        let at = Instant::now();
        let mut all: Vec<(&'static str, u32)> =
            programs.iter().map(|program| (program.kind, program.id())).collect();
        all.extend(bare.map(|id| (BARE, id)));
        all.extend(children()?.into_iter().filter_map(|(name, id)| Some((kind(&name)?, id))));
        let mut processor = BTreeMap::new();
        for (kind, id) in all {
            *processor.entry(kind).or_default() +=
                processor_seconds(id).context("the process runs")?;
        }
        Ok(Self { at, processor, calls: kubernetes.metrics().await })
    }

    pub(crate) fn since(&self, before: &Self) -> Counted {
        let processor = self.processor.iter();
        let calls = self.calls.0.iter();
        Counted {
            elapsed: self.at.duration_since(before.at).as_secs_f64(),
            processor: processor
                .map(|(kind, now)| (*kind, now - before.processor.get(kind).unwrap_or(&0.0)))
                .collect(),
            calls: Calls(
                calls
                    .map(|(call, now)| (call.clone(), now - before.calls.0.get(call).unwrap_or(&0)))
                    .filter(|(_, count)| *count > 0)
                    .collect(),
            ),
        }
    }
}

impl Counted {
    /// Seconds of processor time of these kinds of processes.
    pub(crate) fn processor_of(&self, kinds: &[&str]) -> f64 {
        kinds.iter().filter_map(|kind| self.processor.get(kind)).sum()
    }
}

/// What a process that was started here is, by what the kernel calls it.
fn kind(name: &str) -> Option<&'static str> {
    match name {
        "nats-server" => Some("nats"),
        "valkey-server" | "redis-server" => Some("redis"),
        "etcd" | "kube-apiserver" | "kube-controller" | "kube-scheduler" => Some(CONTROL_PLANE),
        _ => None,
    }
}
