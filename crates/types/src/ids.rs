//! Identities, one type each, so that a segment id cannot be passed where a partition id is meant.
//!
//! All numeric ids are 64-bit, unique over the cluster and never reused.

use std::fmt;
use std::sync::Arc;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }
    };
}

id!(/// A database.
    DatabaseId);
id!(/// A collection.
    CollectionId);
id!(/// A partition of a collection.
    PartitionId);
id!(/// A segment: a set of rows of one partition and one shard.
    SegmentId);
id!(/// A field; user fields count from [`FieldId::FIRST_USER`].
    FieldId);
id!(/// An index definition on a field (not one segment's index files).
    IndexId);
id!(/// A process of the cluster.
    NodeId);

impl DatabaseId {
    /// The id of the database `default`, which always exists.
    pub const DEFAULT: Self = Self(1);
}

impl FieldId {
    /// The hidden row id column.
    pub const ROW_ID: Self = Self(0);
    /// The hidden timestamp column.
    pub const TIMESTAMP: Self = Self(1);
    /// The first id given to a field of a user's schema.
    pub const FIRST_USER: Self = Self(100);
}

/// A shard of a collection, named `{pchannel}_{collection id}v{shard}` as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VChannel(Arc<str>);

impl VChannel {
    /// The vchannel of shard `shard_index` of `collection` on `pchannel`.
    pub fn new(pchannel: &str, collection: CollectionId, shard_index: usize) -> Self {
        Self(format!("{pchannel}_{collection}v{shard_index}").into())
    }

    /// A name read back from metadata or the log.
    pub fn from_name(name: &str) -> Self {
        Self(name.into())
    }

    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The log channel that carries this shard's records.
    pub fn pchannel(&self) -> &str {
        self.0.rsplit_once('_').map_or(&*self.0, |(pchannel, _)| pchannel)
    }
}

impl fmt::Display for VChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vchannel_names_its_pchannel() {
        let channel = VChannel::new("by-dev-rootcoord-dml_3", CollectionId(77), 1);
        assert_eq!(channel.as_str(), "by-dev-rootcoord-dml_3_77v1");
        assert_eq!(channel.pchannel(), "by-dev-rootcoord-dml_3");
    }
}
