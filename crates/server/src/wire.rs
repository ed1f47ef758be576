//! Translation between the wire's messages and the engine's nouns, once in each direction.
//!
//! Nothing here decides anything: what is wrong with a request is for `proxy` to say. Bytes of the
//! wire never panic here; what cannot be decoded is a [`Failure`](milvus_types::Failure).

pub mod aggregation;
pub mod columns;
pub mod function_score;
pub mod key_values;
pub mod placeholder;
pub mod primary_keys;
pub mod schema;
pub mod status;
pub mod template;
