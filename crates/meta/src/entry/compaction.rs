//! Compactions asked for by hand, so that a client that waits for one hears how it went, whatever
//! happens to the server meanwhile.
//!
//! The entry is there before the client has the identity, says what was asked for, and is written
//! again with every part that ends. One that has ended stays for a while, to be asked about.

use bytes::Bytes;
use milvus_types::{CollectionId, PartitionId, SegmentId, VChannel};
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{seal, unseal};
use crate::error::Undecodable;

/// A compaction asked for by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionEntry {
    /// What the client calls it.
    pub id: i64,
    /// The collection.
    pub collection_id: CollectionId,
    /// What was asked for.
    pub asked: AskedCompaction,
    /// Only this partition.
    pub partition_id: Option<PartitionId>,
    /// Only this shard.
    pub vchannel: Option<VChannel>,
    /// Only these segments; empty for all.
    pub segments: Vec<SegmentId>,
    /// When deletes that it is to take out are old enough; milliseconds since the epoch.
    pub ready_ms: u64,
    /// When it ended; `None` while there is something to do. Milliseconds since the epoch.
    pub ended_ms: Option<u64>,
    /// Its parts, as far as they are known.
    pub parts: Vec<CompactionPart>,
}

/// What a compaction is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedCompaction {
    /// Merge small segments and take dead rows out.
    Merge,
    /// The same, into segments of so many MiB.
    Force {
        /// MiB.
        target_mib: u64,
    },
    /// Merge the delete files of each segment.
    Deletes,
    /// Order rows by the clustering key.
    Clustering,
}

/// Segments that are written anew together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionPart {
    /// What is compacted.
    pub sources: Vec<SegmentId>,
    /// What came of it.
    pub targets: Vec<SegmentId>,
    /// How far it is.
    pub state: CompactionPartState,
}

/// How far a part is; numbers as on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionPartState {
    /// Waits, or is worked on.
    Executing = 1,
    /// Done.
    Completed = 2,
    /// Given up.
    Failed = 3,
}

#[derive(Clone, PartialEq, Message)]
struct CompactionMessage {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    collection_id: i64,
    /// 1 merge, 2 force, 3 deletes, 4 clustering.
    #[prost(int32, tag = "3")]
    asked: i32,
    #[prost(uint64, tag = "4")]
    target_mib: u64,
    #[prost(int64, optional, tag = "5")]
    partition_id: Option<i64>,
    #[prost(string, optional, tag = "6")]
    vchannel: Option<String>,
    #[prost(int64, repeated, tag = "7")]
    segments: Vec<i64>,
    #[prost(uint64, tag = "8")]
    ready_ms: u64,
    #[prost(uint64, optional, tag = "9")]
    ended_ms: Option<u64>,
    #[prost(message, repeated, tag = "10")]
    parts: Vec<PartMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct PartMessage {
    #[prost(int64, repeated, tag = "1")]
    sources: Vec<i64>,
    #[prost(int64, repeated, tag = "2")]
    targets: Vec<i64>,
    #[prost(int32, tag = "3")]
    state: i32,
}

impl Entry for CompactionEntry {
    type Id = i64;

    fn prefix() -> String {
        format!("{ROOT}compaction/")
    }

    fn key_of(id: &i64) -> String {
        format!("{}{id}", Self::prefix())
    }

    fn id(&self) -> i64 {
        self.id
    }

    fn encode(&self) -> Bytes {
        let (asked, target_mib) = match self.asked {
            AskedCompaction::Merge => (1, 0),
            AskedCompaction::Force { target_mib } => (2, target_mib),
            AskedCompaction::Deletes => (3, 0),
            AskedCompaction::Clustering => (4, 0),
        };
        let message = CompactionMessage {
            id: self.id,
            collection_id: self.collection_id.0,
            asked,
            target_mib,
            partition_id: self.partition_id.map(|id| id.0),
            vchannel: self.vchannel.as_ref().map(|vchannel| vchannel.as_str().to_owned()),
            segments: numbers(&self.segments),
            ready_ms: self.ready_ms,
            ended_ms: self.ended_ms,
            parts: self.parts.iter().map(part_message).collect(),
        };
        seal(1, &message)
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: CompactionMessage = unseal(key, 1, bytes)?;
        let asked = match (message.asked, message.target_mib) {
            (1, _) => AskedCompaction::Merge,
            (2, target_mib) => AskedCompaction::Force { target_mib },
            (3, _) => AskedCompaction::Deletes,
            (4, _) => AskedCompaction::Clustering,
            (other, _) => return Err(Undecodable::new(key, format!("it has kind {other}"))),
        };
        Ok(Self {
            id: message.id,
            collection_id: CollectionId(message.collection_id),
            asked,
            partition_id: message.partition_id.map(PartitionId),
            vchannel: message.vchannel.as_deref().map(VChannel::from_name),
            segments: ids(message.segments),
            ready_ms: message.ready_ms,
            ended_ms: message.ended_ms,
            parts: message.parts.into_iter().map(|it| part(key, it)).collect::<Result<_, _>>()?,
        })
    }
}

fn part_message(part: &CompactionPart) -> PartMessage {
    PartMessage {
        sources: numbers(&part.sources),
        targets: numbers(&part.targets),
        state: part.state as i32,
    }
}

fn part(key: &str, message: PartMessage) -> Result<CompactionPart, Undecodable> {
    let state = match message.state {
        1 => CompactionPartState::Executing,
        2 => CompactionPartState::Completed,
        3 => CompactionPartState::Failed,
        other => return Err(Undecodable::new(key, format!("a part of it has state {other}"))),
    };
    Ok(CompactionPart { sources: ids(message.sources), targets: ids(message.targets), state })
}

fn numbers(segments: &[SegmentId]) -> Vec<i64> {
    segments.iter().map(|segment| segment.0).collect()
}

fn ids(numbers: Vec<i64>) -> Vec<SegmentId> {
    numbers.into_iter().map(SegmentId).collect()
}
