//! The engine: the pure state machine of a run.
//!
//! ```text
//!    Event, now ──▶ Run::apply ────┐
//!                                  ├──▶ Output { delta, effects }
//!    room, now ───▶ Run::dispatch ─┘        │        └─▶ carried out, once the delta is durable
//!                                           └─▶ committed to the store
//! ```
//!
//! All rules live here and only here: what a step waits for, when it is tried again, what a failure, a time-out, a
//! cancel or a pause does to the rest. A shell around it reads events, asks [`run::Run`] what they mean, commits the
//! [`output::Delta`], and carries out the [`output::Effect`]s. What holds among runs is in [`limits`].
//!
//! **Invariants.** Nothing here reads a clock, draws a random number, waits, or does I/O: the same calls give the same
//! answers everywhere, so that a simulation can run years in seconds. Nothing here knows the bus, the store, a runtime, or
//! a generated type. What is stored ([`record`]) never holds what can be derived from it.

pub mod event;
pub mod graph;
pub mod layout;
pub mod limits;
pub mod logic;
pub mod output;
pub mod policy;
pub mod reason;
pub mod record;
pub mod run;
pub mod share;
pub mod time;
pub mod window;
