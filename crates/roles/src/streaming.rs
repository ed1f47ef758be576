//! Streaming: the one owner of each shard. Writes go through it, and it answers reads of the shard.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;

use milvus_expr::Plan;
use milvus_format::manifest::{Manifest, SegmentEntry};
use milvus_segment::{Boosts, Cursor, GroupBy, GroupValue, Queries, RangeBounds};
use milvus_types::{
    Collection, CollectionId, Failure, KeyValue, MetricType, PartitionId, PrimaryKey, PrimaryKeys,
    Result, SegmentId, Timestamp, VChannel,
};

use crate::MovedRows;

/// Which partitions of a collection answer reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadScope {
    /// None: the collection is not loaded.
    Nothing,
    /// All, those created later included.
    Collection,
    /// These.
    Partitions(Vec<PartitionId>),
}

impl LoadScope {
    /// Whether rows of `partition` answer reads.
    pub fn covers(&self, partition: PartitionId) -> bool {
        match self {
            Self::Nothing => false,
            Self::Collection => true,
            Self::Partitions(partitions) => partitions.contains(&partition),
        }
    }
}

/// A shard to own from now on.
#[derive(Clone, Debug)]
pub struct OpenChannel {
    /// The collection.
    pub collection: Arc<Collection>,
    /// The shard.
    pub vchannel: VChannel,
    /// What is flushed; the log is replayed from its checkpoint for this shard.
    pub manifest: Arc<Manifest>,
    /// What answers reads.
    pub load: LoadScope,
}

/// What a write does.
#[derive(Clone, Debug)]
pub enum WriteKind {
    /// Adds rows.
    Insert {
        /// To this partition.
        partition_id: PartitionId,
        /// All columns of the schema, Arrow layout of `milvus_types::columns`.
        rows: RecordBatch,
        /// Whether every key was just made by the server, so that no older row can have it.
        fresh_keys: bool,
    },
    /// Deletes `replaced`, then adds rows, at one timestamp.
    Upsert {
        /// To this partition.
        partition_id: PartitionId,
        /// As for `Insert`.
        rows: RecordBatch,
        /// Keys whose rows in this partition go.
        replaced: PrimaryKeys,
        /// Whether the rows with these keys go from every partition instead.
        everywhere: bool,
    },
    /// Deletes rows by key.
    Delete {
        /// Only in these partitions; `None` for all.
        partitions: Option<Vec<PartitionId>>,
        /// The keys.
        keys: PrimaryKeys,
    },
}

/// A write to one shard.
#[derive(Clone, Debug)]
pub struct Write {
    /// The shard.
    pub vchannel: VChannel,
    /// What it does.
    pub kind: WriteKind,
}

/// A write that would survive a crash from now on, and that every later read sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteAck {
    /// When it happened.
    pub timestamp: Timestamp,
}

/// What a flush sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlushTicket {
    /// Segments sealed by this call.
    pub sealed: Vec<SegmentId>,
    /// Segments of the collection that were flushed before.
    pub flushed: Vec<SegmentId>,
    /// Everything up to here will be flushed.
    pub flush_ts: Timestamp,
}

/// A growing or sealed, not yet flushed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrowingStatus {
    /// Its identity.
    pub segment_id: SegmentId,
    /// Its partition.
    pub partition_id: PartitionId,
    /// Rows inserted.
    pub rows: u64,
    /// Whether it takes no more rows.
    pub sealed: bool,
    /// When its first row came.
    pub min_ts: Timestamp,
}

/// A search of one shard.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// The collection.
    pub collection_id: CollectionId,
    /// The shard.
    pub vchannel: VChannel,
    /// Only these partitions; `None` for all that are loaded.
    pub partitions: Option<Arc<[PartitionId]>>,
    /// The vector field's name.
    pub field: String,
    /// How vectors are compared.
    pub metric: MetricType,
    /// The query vectors. A field of vector lists is searched by element unless queries are lists.
    pub queries: Arc<Queries>,
    /// How many hits per query; how many groups where hits are grouped.
    pub k: usize,
    /// Search parameters (`ef`, ...), flattened.
    pub params: Vec<KeyValue>,
    /// Which rows count.
    pub filter: Plan,
    /// Only hits within these scores.
    pub range: Option<RangeBounds>,
    /// Groups of hits.
    pub group_by: Option<GroupBy>,
    /// Whether this is a page of an iterator: ties at its end are cut by key exactly.
    pub iterator: bool,
    /// Only hits behind this one.
    pub after: Option<Cursor>,
    /// Changes of scores, applied to each segment's best hits.
    pub boosts: Option<Arc<Boosts>>,
    /// Leave out rows that are not flushed.
    pub ignore_growing: bool,
    /// See every write up to here.
    pub guarantee: Timestamp,
    /// Read at exactly this snapshot; `None` for the freshest that `guarantee` allows.
    pub mvcc: Option<Timestamp>,
}

/// Where a row lies. Stays good while the segment is growing, flushed or re-indexed, and for a while
/// after it was compacted; [`Streaming::fetch`] then answers `inconsistent requery result` (2200, retriable).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowLocation {
    /// The segment.
    pub segment_id: SegmentId,
    /// The row in it.
    pub row: u32,
}

/// One hit of a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardHit {
    /// The metric's value, natural sign.
    pub score: f32,
    /// The row's key.
    pub key: PrimaryKey,
    /// Where to fetch its fields.
    pub location: RowLocation,
    /// The element of the row, in a search of elements.
    pub element: Option<u32>,
    /// The values it is grouped by, one for each field.
    pub group: Option<Arc<[GroupValue]>>,
}

/// What a shard found.
#[derive(Clone, Debug)]
pub struct SearchReply {
    /// The snapshot that was read.
    pub mvcc: Timestamp,
    /// `[nq][<= k]`, best first, ties by ascending key, then element. Grouped: the best hits of the
    /// `k` best groups in the same order.
    pub hits: Vec<Vec<ShardHit>>,
}

/// A query (retrieval) of one shard.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// The collection.
    pub collection_id: CollectionId,
    /// The shard.
    pub vchannel: VChannel,
    /// Only these partitions; `None` for all that are loaded.
    pub partitions: Option<Arc<[PartitionId]>>,
    /// Which rows.
    pub filter: Plan,
    /// Only these keys.
    pub keys: Option<PrimaryKeys>,
    /// At most so many rows, smallest keys first.
    pub limit: Option<usize>,
    /// Count only.
    pub count: bool,
    /// Leave out rows that are not flushed.
    pub ignore_growing: bool,
    /// See every write up to here.
    pub guarantee: Timestamp,
    /// Read at exactly this snapshot; `None` for the freshest that `guarantee` allows.
    pub mvcc: Option<Timestamp>,
}

/// What a shard answers to a query: the rows' places; columns are fetched for the winners only.
#[derive(Clone, Debug)]
pub struct QueryReply {
    /// The snapshot that was read.
    pub mvcc: Timestamp,
    /// Matching rows in ascending order of key; empty for a count.
    pub rows: Vec<(PrimaryKey, RowLocation)>,
    /// How many rows match.
    pub count: u64,
}

/// Columns of rows found before.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The shard.
    pub vchannel: VChannel,
    /// The rows.
    pub rows: Vec<RowLocation>,
    /// The columns, by field name.
    pub columns: Vec<String>,
}

/// Segments of a shard that compaction has written anew.
#[derive(Clone, Debug)]
pub struct SegmentReplacement {
    /// The collection.
    pub collection_id: CollectionId,
    /// The shard.
    pub vchannel: VChannel,
    /// What was compacted, as compaction read it: deletes of its delete files are in `outputs`.
    pub inputs: Vec<SegmentEntry>,
    /// What takes their place: durable files, with their indexes; none where every row is gone.
    pub outputs: Vec<SegmentEntry>,
    /// Where the rows of each input went, in the order of `inputs`.
    pub moved: Vec<MovedRows>,
}

/// Owns shards. A shard it does not own is `channel not found` (500).
#[async_trait]
pub trait Streaming: Send + Sync {
    /// Takes a shard over: fences the former owner, replays the log. Returns when it can serve.
    async fn open_channel(&self, request: OpenChannel) -> Result<()>;

    /// A shard cannot be opened: every use of it answers `why` from now on.
    async fn refuse_channel(&self, vchannel: &VChannel, why: Failure) -> Result<()>;

    /// Every shard that could be opened after a start is open. What the log holds of shards that
    /// are not among `known` may go; what it holds of known ones that did not open stays.
    async fn recovered(&self, known: &[VChannel]) -> Result<()>;

    /// Gives a shard up for good: its rows and its part of the log may go.
    async fn drop_channel(&self, vchannel: &VChannel) -> Result<()>;

    /// The collection's metadata changed: partitions, name, properties, schema. A partition that has
    /// another identity under its old name was emptied: writes and loads of the old one are of the
    /// new one from then on.
    async fn collection_changed(&self, collection: Arc<Collection>) -> Result<()>;

    /// The collection's manifest changed (an index was built or dropped): segments are reopened.
    async fn manifest_changed(&self, manifest: Arc<Manifest>) -> Result<()>;

    /// What answers reads from now on. Returns when every segment of every owned shard of the
    /// collection is served (or released).
    async fn set_load(&self, collection_id: CollectionId, load: LoadScope) -> Result<()>;

    /// 0..=100 of the segments that `set_load` asked for.
    async fn load_progress(&self, collection_id: CollectionId) -> Result<i64>;

    /// Writes. Returns once the write is durable and visible.
    async fn write(&self, write: Write) -> Result<WriteAck>;

    /// Seals every growing segment of a shard and begins to flush it. With `wait`, returns when
    /// the flush is committed.
    async fn flush(&self, vchannel: &VChannel, wait: bool) -> Result<FlushTicket>;

    /// Has `outputs` take the place of `inputs`, in the manifest and for every read: no read finds a
    /// row missing, twice, or alive after its delete. Deletes that came since `inputs` were read
    /// are brought over. The inputs answer reads that began before for a while.
    ///
    /// False, and nothing is changed, where an input is gone by now: its partition was dropped or
    /// its collection truncated.
    async fn replace_segments(&self, replacement: SegmentReplacement) -> Result<bool>;

    /// Bytes of rows written to all shards of this process since it started.
    async fn written_bytes(&self) -> Result<u64>;

    /// Segments of a shard that are not flushed yet.
    async fn growing_segments(&self, vchannel: &VChannel) -> Result<Vec<GrowingStatus>>;

    /// Searches one shard. `collection not loaded` (101), `partition not loaded` (201).
    async fn search(&self, request: SearchRequest) -> Result<SearchReply>;

    /// Finds or counts rows of one shard.
    async fn query(&self, request: QueryRequest) -> Result<QueryReply>;

    /// The named columns of rows found before, in the order of `rows`.
    async fn fetch(&self, request: FetchRequest) -> Result<RecordBatch>;
}
