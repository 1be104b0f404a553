//! Attempts as pods: schedulers and launchers in this process, a real control plane, nodes that are played, and all that befalls
//! them; in `real`, nodes that run containers.

mod budget;
mod explain;
mod faults;
mod hands;
mod labels;
mod life;
mod limits;
mod nodes;
mod real;
mod servers;
mod settings;
mod support;
