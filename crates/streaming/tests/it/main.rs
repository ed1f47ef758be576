//! Shards with real coordinators and query nodes around them; log and objects in a directory.
#![expect(clippy::unwrap_used, reason = "a scenario that meets an unplanned error ends there")]

mod churn;
mod crash;
mod gate;
mod node;
mod switch;
mod world;
