//! A node that runs containers.

use std::{path::PathBuf, process::Command};

use super::{Kubernetes, missing, programs};
use crate::process::{Process, Start};

/// A node that runs containers, with the label `type=real`: containerd, runc and a kubelet, by `tests/kubernetes/node`. It
/// needs root and Debian's packages of these. A machine has one at a time; who starts another waits for that to end.
#[derive(Debug)]
pub struct RealNode {
    process: Process,
}

impl RealNode {
    /// The image that it has: a busybox.
    pub const IMAGE: &str = "localhost/busybox:1";

    /// Whether this machine cannot have one. Then it says why, for a test to end by; where `CI` is set, where all tests
    /// count, it panics.
    pub fn is_impossible() -> bool {
        let check = Command::new(script()).arg("--check").output().expect("the script runs");
        let why = String::from_utf8_lossy(&check.stderr);
        Kubernetes::is_missing() || (!check.status.success() && missing(why.trim()))
    }

    /// Adds one to a control plane, and waits until it is ready.
    pub async fn start(kubernetes: &Kubernetes) -> Self {
        let programs = programs::find().unwrap_or_else(|why| panic!("{why}"));
        let (url, authority) = (kubernetes.url(), &kubernetes.authority);
        let kubeconfig = authority.kubeconfig(&url, "system:node:real-0", Some("system:nodes"));
        let process = Process::start(|directory, port| Start {
            program: script(),
            arguments: vec![
                directory.into(),
                programs.clone().into(),
                kubeconfig.clone().into(),
                authority.certificate().into(),
                port.to_string().into(),
            ],
            environment: Vec::new(),
            ready: "the node is ready",
        });
        Self { process: process.await }
    }

    /// Ends it at once (SIGKILL), with all of its containers, as a host ends that loses its power.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// What containerd and the kubelet have written into their logs.
    pub fn log(&self) -> String {
        self.process.said()
    }
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kubernetes/node")
}
