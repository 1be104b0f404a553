//! Conditions: what they say, what they refuse, and that they end.

mod bounds;
mod known;
mod meaning;
mod messages;
mod properties;
