//! The process runtime, with real processes under real supervisors.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adoption;
mod cached;
mod ends;
mod host;
mod logs;
mod slots;
mod stops;
