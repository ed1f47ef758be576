//! Segments against a naive model: growing ones, and sealed ones made by writing a segment file and
//! opening it again, give the same answers.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::wildcard_enum_match_arm, reason = "the model knows three metrics")]

mod coded;
mod grouped;
mod growing;
mod iterators;
mod minhash;
mod model;
mod pruned;
mod same_answers;
mod schema_change;
mod sealed;
mod vector_kinds;
