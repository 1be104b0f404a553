//! The Kubernetes clusters that steps run on: how they are configured, how they are reached, and which rights are needed there.
//!
//! ```text
//!   clusters.toml ──▶ Clusters ──▶ ClusterConfig ──▶ connect ──▶ a client
//!                                                └─▶ check      what is missing there
//!                                                ├─▶ prepare    makes what is missing
//!                                                └─▶ pods       what an installation has there
//! ```
//!
//! Never inside: what pods mean for attempts, and decisions about them.

mod check;
mod config;
mod connect;
mod failure;
mod plugin;
mod pods;
mod prepare;
mod renew;
mod report;
mod rights;

pub use self::{
    check::{CheckError, OLDEST_VERSION, check},
    config::{
        Change, ClusterConfig, Clusters, ClustersError, DEFAULT_CLUSTER, Problem, UnknownCluster,
    },
    connect::{ConnectError, connect},
    failure::told,
    plugin::PluginError,
    pods::{AttemptPod, InstallationPods, PodsError, Removed},
    prepare::{
        Done, Outcome, PrepareError, SERVICE_ACCOUNT, ServiceAccountRef, manifests, prepare,
    },
    report::{Finding, Item, Report, Verdict},
    rights::{RIGHTS, Right},
};
