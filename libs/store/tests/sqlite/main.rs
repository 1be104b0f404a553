//! What holds of the store in a file alone: it survives its process, it is held once, a full disk is not its end, and it
//! leaves alone what it does not understand.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "the helpers of tests are tests")]

mod damage;
mod disk;
mod fixture;
mod held;
mod limits;
mod restart;
mod results;
mod upgrade;
