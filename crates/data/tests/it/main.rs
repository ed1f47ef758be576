//! Index builds, compaction and export over an object store.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod build;
mod columns;
mod compact;
mod export;
mod faults;
mod fixture;
mod hooked;
