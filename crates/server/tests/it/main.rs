//! The binary from outside: what it prints, serves and refuses.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod binary;
mod refusals;
mod service;
