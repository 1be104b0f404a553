//! The bus over NATS, against real servers.

mod conformance;
mod connecting;
mod delivery;
mod failures;
mod fixture;
mod shapes;
