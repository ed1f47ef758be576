//! Coordination: what exists (root), what is flushed and indexed (data), what is loaded (query).
//!
//! Coordinators decide, nodes execute. Every decision is in the catalogue before its effect is
//! visible, so either side may restart at any line. Decisions of one kind are made one after
//! another on a [`serial::Serial`] queue; no lock is held while something is waited for, and a
//! client that goes away does not leave a decision half done.
//!
//! Not here: how metadata is encoded (`meta`), how rows are written (`streaming`), how segments
//! are opened (`query`), how an index is built (`data`).

mod data;
mod ids;
mod mix;
mod query;
mod root;
mod serial;
mod tso;

pub use data::{CompactionOptions, DataStats};
pub use mix::{CoordOptions, CoordParts, MixCoord};
