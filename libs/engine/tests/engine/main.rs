//! The engine's rules, as tables and as properties.

mod book;
mod failure_modes;
mod limits;
mod model;
mod notation;
mod orders;
mod pauses;
mod properties;
mod reports;
mod retries;
mod runs_taken_up_again;
mod sizes;
mod timeouts;
mod trigger_rules;
mod world;
