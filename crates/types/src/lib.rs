//! The nouns of Milvus: what every other crate means by a collection, a field, a timestamp, an error.
//!
//! Plain data with public fields. No I/O, no protobuf, no JSON, no async: the wire forms live in
//! `server` (clients), `meta` and `format` (bytes at rest).
#![warn(missing_docs)]

pub mod collection;
pub mod columns;
pub mod consistency;
pub mod data_type;
pub mod error;
pub mod ids;
pub mod index_meta;
pub mod limits;
pub mod metric;
pub mod primary_key;
pub mod schema;
pub mod stats;
pub mod timestamp;

pub use collection::{Collection, Partition};
pub use consistency::ConsistencyLevel;
pub use data_type::DataType;
pub use error::{Coded, ErrorCode, Failure, Result};
pub use ids::{
    CollectionId, DatabaseId, FieldId, IndexId, NodeId, PartitionId, SegmentId, VChannel,
};
pub use index_meta::{IndexMeta, IndexState, KeyValue};
pub use metric::MetricType;
pub use primary_key::{PkType, PrimaryKey, PrimaryKeys};
pub use schema::{CollectionSchema, FieldSchema, StructField, Value};
pub use stats::{FieldStats, ValueRange};
pub use timestamp::Timestamp;
