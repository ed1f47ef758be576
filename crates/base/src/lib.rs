//! The process underneath: time, randomness, threads, memory and the order of stopping.
//!
//! Nothing here knows what a collection is. Everything that a test or a simulation must be able to
//! steer (the clock, random numbers, spawning) goes through this crate and nowhere else; `clippy.toml`
//! forbids the originals.
//!
//! Without the feature `tokio` only the parts that need no runtime are built: [`clock`] without
//! sleeping, [`memory`] and [`random`].
#![warn(missing_docs)]

pub mod clock;
#[cfg(feature = "tokio")]
pub mod cpu;
pub mod failpoint;
#[cfg(feature = "tokio")]
pub mod io;
pub mod memory;
#[cfg(feature = "tokio")]
mod panic;
pub mod random;
#[cfg(feature = "tokio")]
pub mod retry;
#[cfg(feature = "tokio")]
pub mod shutdown;
#[cfg(feature = "tokio")]
pub mod task;

pub use clock::Clock;
#[cfg(feature = "tokio")]
pub use cpu::{CpuError, CpuPool, Priority};
pub use memory::{Governor, MemoryLimitExceeded, Purpose, Reservation};
#[cfg(feature = "tokio")]
pub use panic::Panicked;
#[cfg(feature = "tokio")]
pub use shutdown::{Drain, Shutdown};
