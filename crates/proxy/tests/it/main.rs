//! The front door before roles that keep everything in memory: one scenario per file.
#![expect(clippy::unwrap_used, reason = "a scenario that meets an unplanned error ends there")]

mod ddl;
mod dml;
mod hybrid;
mod query;
mod roles;
mod search;
