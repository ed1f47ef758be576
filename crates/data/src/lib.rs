//! Background work: index builds.
//!
//! A build maps a flushed segment's columns, builds over the values where they lie and writes one
//! index container, of vectors or of scalars. It takes memory from the governor first and waits for
//! room; it runs on threads of its own, never on those that answer searches.
//!
//! Not here: which segments need which index and the commit of what was built (`coord`), the
//! algorithms and the containers' bytes (`index`, `scalar`).

mod build;
mod column;
mod error;
mod output;
mod progress;
mod service;

pub use progress::BuildStatus;
pub use service::{DataOptions, DataService};
