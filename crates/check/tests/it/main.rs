//! A check of real data directories, whole and damaged in every way, and their repair.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod bucket;
mod catalogue;
mod damage;
mod fixture;
mod log;
mod lost;
mod newer;
mod planted;
mod repair;
mod untouched;
mod whole;
mod woodpecker;
