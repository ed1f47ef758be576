//! The kinds of entries, one file each: what its key is called, what its bytes are.
//!
//! | key under `milvus/v1/` | entry |
//! |---|---|
//! | `format` | [`FormatEntry`]: the format of everything here |
//! | `database/{db}` | [`DatabaseEntry`] |
//! | `collection/{db}/{collection}` | [`CollectionEntry`] |
//! | `alias/{db}/{name}` | [`AliasEntry`] |
//! | `index/{collection}/{index}` | `milvus_types::IndexMeta` |
//! | `load/{collection}` | [`LoadEntry`]: present while loaded or loading |
//! | `manifest/{collection}` | [`ManifestEntry`]: the current version of the manifest |
//! | `compaction/{id}` | [`CompactionEntry`]: asked for by hand, kept a while after it has ended |
//! | `log-cut/{pchannel}` | [`LogCutEntry`]: nobody needs the log before it |
//! | `tso` | [`TsoEntry`]: no timestamp above it was handed out |
//! | `id` | [`IdEntry`]: no id from it on was handed out |

mod alias;
mod collection;
mod compaction;
mod counter;
mod database;
mod format;
pub(crate) mod index;
mod load;
mod log_cut;
mod manifest;
mod placement;
#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;

pub use alias::AliasEntry;
pub use collection::{CollectionEntry, CollectionState};
pub use compaction::{AskedCompaction, CompactionEntry, CompactionPart, CompactionPartState};
pub use counter::{IdEntry, TsoEntry};
pub use database::DatabaseEntry;
pub use format::FormatEntry;
pub use load::{LoadEntry, LoadType};
pub use log_cut::LogCutEntry;
pub use manifest::ManifestEntry;
pub use placement::PlacementEntry;

use crate::error::Undecodable;

/// What every key begins with.
pub(crate) const ROOT: &str = "milvus/v1/";

/// A kind of entry.
pub trait Entry: Sized + Clone + Send + Sync {
    /// What tells one entry of the kind from another.
    type Id: Send + Sync;

    /// What the keys of the kind begin with; unlike that of every other kind.
    fn prefix() -> String;

    /// The key of the entry with identity `id`.
    fn key_of(id: &Self::Id) -> String;

    /// The identity of this entry.
    fn id(&self) -> Self::Id;

    /// Its value.
    fn encode(&self) -> Bytes;

    /// The entry with the value `bytes`, found at `key`.
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable>;

    /// The key of this entry.
    fn key(&self) -> String {
        Self::key_of(&self.id())
    }
}
