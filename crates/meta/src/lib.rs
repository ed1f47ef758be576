//! The catalogue: what collections, indexes and loads there are, kept where no crash can tear it.
//!
//! ```text
//!   Catalogue      typed entries, atomic transactions over several of them       catalogue.rs
//!   entry          one file for each kind: its key, its bytes, its version       entry/
//!   Kv             get, range, transactions with compares                        kv/
//!                  embedded (one file) · memory (tests) · etcd (to come)
//! ```
//!
//! Segments are not here: a collection has a manifest in object storage, and the catalogue holds its
//! current version only, so that metadata grows with collections and not with data.
#![warn(missing_docs)]

mod catalogue;
mod codec;
pub mod entry;
pub mod error;
pub mod kv;

pub use catalogue::{Catalogue, CatalogueTransaction, FIRST_ID, Stored};
pub use entry::{
    AliasEntry, AskedCompaction, CollectionEntry, CollectionState, CompactionEntry, CompactionPart,
    CompactionPartState, DatabaseEntry, Entry, LoadEntry, LoadType, LogCutEntry, ManifestEntry,
    PlacementEntry,
};
pub use error::{CommitError, Conflict, LoadError, OpenError, Undecodable};
pub use kv::{Compare, EmbeddedKv, Kv, KvError, MemoryKv, Op, Transaction};
