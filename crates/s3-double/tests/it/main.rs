//! The double is what it says, seen by a plain client that repeats nothing.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod client;
mod faults;
mod lists;
mod races;
