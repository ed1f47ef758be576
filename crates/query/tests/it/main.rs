//! The query node over a local object store: load, read, delete, replace, and broken files.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod broken;
mod fixture;
mod residency;
mod serving;
