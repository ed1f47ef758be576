//! Log records: what one record of a shard's log says happened to its rows.
//!
//! A record is a change of one vchannel at one timestamp. Rows travel as Arrow columns: encoding
//! hands their buffers on without copying, decoding gives views of the payload where it is aligned.
//! An upsert is one record, the rows and the keys they replace, so that no crash can part them.
//!
//! Not here: framing, checksums and order of records (`wal`), what applying one does (`streaming`).

mod codec;

use arrow::array::RecordBatch;
use milvus_types::{PartitionId, PrimaryKeys, Timestamp, VChannel};

/// One change of a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// The shard.
    pub vchannel: VChannel,
    /// When, in the cluster's order of events; every row of the record has this timestamp.
    pub timestamp: Timestamp,
    /// What.
    pub body: Body,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Rows came; older rows with the same keys stop being visible.
    Insert {
        /// The partition they are in.
        partition_id: PartitionId,
        /// The version of the schema that `rows` follows.
        schema_version: i32,
        /// The user's columns.
        rows: RecordBatch,
    },
    /// Rows came in the place of others.
    Upsert {
        /// The partition they are in.
        partition_id: PartitionId,
        /// The version of the schema that `rows` follows.
        schema_version: i32,
        /// The user's columns.
        rows: RecordBatch,
        /// The keys deleted first.
        replaced: PrimaryKeys,
        /// Whether they are deleted from every partition, not this one alone.
        everywhere: bool,
    },
    /// Rows were deleted.
    Delete {
        /// The partitions concerned; all if none are named.
        partition_ids: Option<Vec<PartitionId>>,
        /// The keys of the rows.
        keys: PrimaryKeys,
    },
    /// Growing segments were sealed by a user's flush.
    Flush,
    /// A partition came to be.
    CreatePartition {
        /// The partition.
        partition_id: PartitionId,
    },
    /// A partition and its rows are gone.
    DropPartition {
        /// The partition.
        partition_id: PartitionId,
    },
    /// The collection is gone; the shard's last record.
    DropCollection,
    /// All rows are gone, the collection stays.
    Truncate,
    /// The shard's schema is of this version from now on.
    AlterSchema {
        /// The new version.
        schema_version: i32,
    },
}

impl Body {
    /// How many rows it brings.
    pub fn rows(&self) -> usize {
        match self {
            Self::Insert { rows, .. } | Self::Upsert { rows, .. } => rows.num_rows(),
            Self::Delete { .. }
            | Self::Flush
            | Self::CreatePartition { .. }
            | Self::DropPartition { .. }
            | Self::DropCollection
            | Self::Truncate
            | Self::AlterSchema { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests;
