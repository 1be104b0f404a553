//! Several schedulers and launchers beside each other, in one process, on a bus and a store they share: what becomes of
//! partitions, timers and records, whoever comes, goes or dies. Attempts are simulated, or pods of nodes that are played, and their
//! starts are counted.

mod clusters;
mod damage;
mod limits;
mod mangled;
mod partitions;
mod pods;
mod poison;
mod priority;
mod removal;
mod support;
mod timers;
