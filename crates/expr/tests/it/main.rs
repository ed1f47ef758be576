//! The filter language from text to bits: a corpus of texts, a second evaluator, arbitrary input.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::wildcard_enum_match_arm, reason = "the plain evaluator is plain")]

mod arbitrary;
mod corpus;
mod evaluate;
mod keys;
mod kinds;
mod mixed;
mod pruned;
mod random;
mod schema;
