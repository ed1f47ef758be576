//! A collection as coordinators know it: schema, partitions, shards, properties.

use crate::consistency::ConsistencyLevel;
use crate::ids::{CollectionId, DatabaseId, PartitionId, VChannel};
use crate::index_meta::{KeyValue, find};
use crate::schema::CollectionSchema;
use crate::timestamp::Timestamp;

/// A collection's metadata at one version; immutable, shared by `Arc`.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    /// Its identity.
    pub id: CollectionId,
    /// The database it lies in.
    pub db_id: DatabaseId,
    /// That database's name.
    pub db_name: String,
    /// Its name (never an alias).
    pub name: String,
    /// Fields and their parameters, `$meta` included where the dynamic field is on.
    pub schema: CollectionSchema,
    /// Partitions in order of creation; the first is the default partition.
    pub partitions: Vec<Partition>,
    /// One vchannel for each shard, in shard order.
    pub vchannels: Vec<VChannel>,
    /// The level of reads that name none.
    pub consistency_level: ConsistencyLevel,
    /// Collection properties as set by users, `timezone` included.
    pub properties: Vec<KeyValue>,
    /// When it was created.
    pub create_ts: Timestamp,
    /// When its schema last changed; clients send it back as `schema_timestamp`.
    pub update_ts: Timestamp,
}

impl Collection {
    /// The partition called `name`.
    pub fn partition(&self, name: &str) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.name == name)
    }

    /// The partition with identity `id`.
    pub fn partition_by_id(&self, id: PartitionId) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.id == id)
    }

    /// The value of property `key`.
    pub fn property(&self, key: &str) -> Option<&str> {
        find(&self.properties, key)
    }
}

/// A partition of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// Its identity.
    pub id: PartitionId,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub create_ts: Timestamp,
}

/// The name of the partition every collection has.
pub const DEFAULT_PARTITION: &str = "_default";
