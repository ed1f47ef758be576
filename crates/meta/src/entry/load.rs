//! What of a collection users asked to have loaded. How far loading has come is not kept.

use bytes::Bytes;
use milvus_types::{CollectionId, FieldId, PartitionId};
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{seal, unseal};
use crate::error::Undecodable;

/// Whether a collection was loaded as a whole, later partitions included; numbers as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadType {
    /// Only the partitions named.
    Partitions = 1,
    /// All partitions, now and later.
    Collection = 2,
}

/// A load that was asked for and not released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadEntry {
    /// The collection.
    pub collection_id: CollectionId,
    /// Whether as a whole.
    pub load_type: LoadType,
    /// The partitions loaded.
    pub partition_ids: Vec<PartitionId>,
    /// How many times over.
    pub replica_number: i32,
    /// The fields loaded; empty for all.
    pub load_fields: Vec<FieldId>,
}

#[derive(Clone, PartialEq, Message)]
struct LoadMessage {
    #[prost(int64, tag = "1")]
    collection_id: i64,
    #[prost(int32, tag = "2")]
    load_type: i32,
    #[prost(int64, repeated, tag = "3")]
    partition_ids: Vec<i64>,
    #[prost(int32, tag = "4")]
    replica_number: i32,
    #[prost(int64, repeated, tag = "5")]
    load_fields: Vec<i64>,
}

impl Entry for LoadEntry {
    type Id = CollectionId;

    fn prefix() -> String {
        format!("{ROOT}load/")
    }

    fn key_of(id: &CollectionId) -> String {
        format!("{}{id}", Self::prefix())
    }

    fn id(&self) -> CollectionId {
        self.collection_id
    }

    fn encode(&self) -> Bytes {
        let message = LoadMessage {
            collection_id: self.collection_id.0,
            load_type: self.load_type as i32,
            partition_ids: self.partition_ids.iter().map(|id| id.0).collect(),
            replica_number: self.replica_number,
            load_fields: self.load_fields.iter().map(|id| id.0).collect(),
        };
        seal(1, &message)
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: LoadMessage = unseal(key, 1, bytes)?;
        let load_type = match message.load_type {
            1 => LoadType::Partitions,
            2 => LoadType::Collection,
            other => return Err(Undecodable::new(key, format!("it has load type {other}"))),
        };
        Ok(Self {
            collection_id: CollectionId(message.collection_id),
            load_type,
            partition_ids: message.partition_ids.into_iter().map(PartitionId).collect(),
            replica_number: message.replica_number,
            load_fields: message.load_fields.into_iter().map(FieldId).collect(),
        })
    }
}
