//! Shards with real coordinators and query nodes around them; log and objects in a directory.
#![expect(clippy::unwrap_used, reason = "a scenario that meets an unplanned error ends there")]

mod churn;
mod crash;
mod drops;
mod fuse;
mod gate;
mod kills;
mod lost_log;
mod node;
mod outage;
mod retries;
mod stalling;
mod switch;
mod world;
