//! What the programs share, tried from outside: configuration, TLS, health, and a program's life.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod certificates;
mod configuration;
mod documentation;
mod health;
mod life;
mod named_files;
mod process;
mod tls;
mod waiting;
