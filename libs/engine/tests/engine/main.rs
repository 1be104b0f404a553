//! The engine's rules, as tables and as properties.

mod amendments;
mod answers;
mod approvals;
mod blocked;
mod book;
mod choices;
mod clusters;
mod conditions;
mod exit_steps;
mod explain;
mod failure_modes;
mod graphs;
mod groups;
mod limits;
mod loops;
mod model;

mod named_limits;
mod notation;
mod orders;
mod paths;
mod pauses;
mod properties;
mod reports;
mod resumed_from_a_step;
mod retries;
mod retry_rules;
mod runs_taken_up_again;
mod sharing;
mod sizes;
mod store;
mod timeouts;
mod trigger_rules;
mod world;
