//! Segments: a set of rows of one partition and one shard, growing or sealed.
//!
//! A growing segment takes rows in memory; a sealed one reads them in place from its mapped file.
//! Both answer the same questions, each at a given snapshot: the nearest vectors, the rows that pass
//! a filter, how many they are, and the columns of rows found before. Deletes are marks beside the
//! rows in both.
//!
//! Sans-IO: a segment is given bytes and batches; `streaming` and `query` do the waiting.
#![warn(missing_docs)]

mod boost;
mod chunk;
mod coded;
mod codes;
mod constant;
mod deletes;
mod error;
mod exact;
mod expiry;
mod fetch;
mod gather;
mod group;
mod growing;
mod indexed;
mod live;
mod pages;
mod ranking;
mod schema;
mod sealed;
mod search;
mod segment;
mod select;
mod sieve;
mod spec;
mod target;
mod vectors;

pub use codes::code_bytes;
pub use constant::constant;
pub use deletes::{DeleteBitmap, DeleteSnapshot, merge_deletes};
pub use error::{
    ColumnNotFound, ColumnType, DimensionMismatch, FetchError, FilterError, GroupCast, InsertError,
    MetricNotSupported, OpenError, QueryError, RowOutOfRange, SchemaError, SearchError,
};
pub use expiry::Expiry;
pub use gather::gather;
pub use growing::{CHUNK_ROWS, GrowingSegment};
pub use pages::PAGE_BYTES_PER_ROW;
pub use schema::SegmentSchema;
pub use sealed::{SealedParts, SealedSegment, SegmentIndex};
pub use segment::Segment;
pub use spec::{
    Boost, BoostMode, Boosts, Cursor, GroupBy, GroupField, GroupSet, GroupValue, HASH_BITS, Hit,
    Queries, RandomScore, RangeBounds, SearchSpec, Selection, result_order,
};
pub use vectors::{vector_data, vector_type};
