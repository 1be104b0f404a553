//! The four programs as processes of their own, against real servers: what they do together, and what becomes of runs when any
//! of them, or a server, is killed, cut off, set back or full. Steps are processes, and every start of one leaves a line; in
//! `pods` they are pods, whose starts are counted by the nodes.

mod clocks;
mod clusters;
mod crew;
mod deployment;
mod endings;
mod full;
#[cfg(target_os = "linux")]
mod greedy;
mod handover;
mod hosts;
mod kills;
mod limits;
mod orphans;
mod partitions;
mod pods;
mod prepared;
mod readers;
mod refusals;
mod results;
mod servers;
mod together;
mod told;
mod work;
