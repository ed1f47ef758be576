//! The coordinators over a catalogue in memory, with shards that do nothing.
#![expect(clippy::unwrap_used, reason = "a scenario that meets an unplanned error ends there")]

mod roles;
mod schedules;
