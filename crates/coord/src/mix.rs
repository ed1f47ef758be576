//! [`MixCoord`]: the coordinators in one process, and how they start.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::future::join_all;
use milvus_format::manifest::{ChannelCheckpoint, IndexEntry, Manifest};
use milvus_meta::Catalogue;
use milvus_roles::{
    Alias, CollectionChange, CompactCollection, CompactionCommit, CompactionJob, CreateCollection,
    CreateIndex, DataCoord, DataNode, Database, FlushCommit, FlushTicket, IdAllocator,
    IndexProgress, LoadRequest, LoadStatus, LogBounds, OpenChannel, PropertyChange, QueryCoord,
    RootCoord, SegmentStatus, Streaming, TimestampOracle,
};
use milvus_storage::ObjectStore;
use milvus_types::limits::Limits;
use milvus_types::{
    Collection, CollectionId, Failure, IndexMeta, KeyValue, Result, SegmentId, Timestamp, VChannel,
};

use crate::data::{CompactionOptions, DataCoordinator, DataStats};
use crate::ids::Ids;
use crate::query::QueryCoordinator;
use crate::root::{Others, RootCoordinator};
use crate::tso::Tso;

/// Settings of the coordinators.
#[derive(Clone, Debug)]
pub struct CoordOptions {
    /// How many of everything there may be.
    pub limits: Limits,
    /// `rootCoord.dmlChannelNum`: log channels that shards are spread over.
    pub pchannels: usize,
    /// `msgChannel.chanNamePrefix.cluster` and `.rootCoordDml`, joined: `by-dev-rootcoord-dml`.
    pub pchannel_prefix: String,
    /// `indexCoord.segment.minSegmentNumRowsToEnableIndex`: smaller segments are scanned.
    pub min_rows_to_index: u64,
    /// When and how segments are compacted.
    pub compaction: CompactionOptions,
}

impl Default for CoordOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            pchannels: 16,
            pchannel_prefix: "by-dev-rootcoord-dml".to_owned(),
            min_rows_to_index: 1024,
            compaction: CompactionOptions::default(),
        }
    }
}

/// What a [`MixCoord`] is made of.
pub struct CoordParts {
    /// Settings.
    pub options: CoordOptions,
    /// Metadata.
    pub catalogue: Catalogue,
    /// Manifests and the files they name.
    pub store: Arc<dyn ObjectStore>,
    /// Who builds indexes.
    pub builder: Arc<dyn DataNode>,
}

/// The shards' owner, known once it is made: it needs the coordinators itself.
#[derive(Default)]
pub(crate) struct StreamingSlot(OnceLock<Arc<dyn Streaming>>);

impl StreamingSlot {
    pub(crate) fn get(&self) -> Result<&Arc<dyn Streaming>> {
        let not_ready = || Failure::wrap(milvus_types::ErrorCode::ServiceNotReady, "starting");
        self.0.get().ok_or_else(not_ready)
    }
}

/// Root, data and query coordination over one catalogue.
pub struct MixCoord {
    tso: Tso,
    ids: Arc<Ids>,
    root: Arc<RootCoordinator>,
    data: Arc<DataCoordinator>,
    query: Arc<QueryCoordinator>,
    streaming: Arc<StreamingSlot>,
}

impl MixCoord {
    /// Reads the catalogue and the manifests. Nothing is served before [`recover`](Self::recover).
    pub async fn open(parts: CoordParts) -> Result<Arc<Self>> {
        let CoordParts { options, catalogue, store, builder } = parts;
        let tso = Tso::open(catalogue.clone()).await?;
        let ids = Arc::new(Ids::new(catalogue.clone()));
        let streaming = Arc::new(StreamingSlot::default());
        let root = RootCoordinator::open(options.clone(), catalogue.clone()).await?;
        let data = DataCoordinator::open(crate::data::Parts {
            options,
            catalogue: catalogue.clone(),
            store,
            builder,
            ids: ids.clone(),
            root: root.clone(),
            streaming: streaming.clone(),
        })
        .await?;
        let query =
            QueryCoordinator::open(catalogue, root.clone(), data.clone(), streaming.clone())
                .await?;
        Ok(Arc::new(Self { tso, ids, root, data, query, streaming }))
    }

    /// Hands every shard to `streaming`, which replays its log, and resumes what was under way.
    ///
    /// A collection whose files or log are damaged does not keep the others from being served: it
    /// is named in the log, and every use of it fails until it is repaired or dropped.
    pub async fn recover(&self, streaming: Arc<dyn Streaming>) -> Result<()> {
        // Set first: a shard that replays a large tail may commit a flush at once.
        let _ = self.streaming.0.set(streaming.clone());
        let collections = self.root.all();
        let openings = collections.iter().flat_map(|collection| {
            collection
                .vchannels
                .iter()
                .map(|vchannel| self.open_one(collection, vchannel, &streaming))
        });
        join_all(openings).await;
        let known: Vec<_> =
            collections.iter().flat_map(|collection| collection.vchannels.clone()).collect();
        streaming.recovered(&known).await?;
        self.query.resume();
        self.data.resume();
        Ok(())
    }

    async fn open_one(
        &self,
        collection: &Arc<Collection>,
        vchannel: &VChannel,
        streaming: &Arc<dyn Streaming>,
    ) {
        let opened = match self.data.current(collection.id) {
            Ok(manifest) => {
                let request = OpenChannel {
                    collection: collection.clone(),
                    vchannel: vchannel.clone(),
                    manifest,
                    load: self.query.scope(collection.id),
                };
                streaming.open_channel(request).await
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = opened {
            tracing::error!(
                collection = %collection.name, %vchannel, %failure,
                "shard cannot be opened; the rest is served without it"
            );
            let _ = streaming.refuse_channel(vchannel, failure).await;
        }
    }

    fn others(&self) -> Others {
        Others {
            ids: self.ids.clone(),
            data: self.data.clone(),
            query: self.query.clone(),
            streaming: self.streaming.clone(),
        }
    }

    /// What `/metrics` shows of manifests and index builds.
    pub fn data_stats(&self) -> DataStats {
        self.data.stats()
    }
}

#[async_trait]
impl TimestampOracle for MixCoord {
    fn try_allocate(&self) -> Option<Timestamp> {
        self.tso.try_allocate()
    }

    async fn extend(&self) -> Result<()> {
        self.tso.extend().await
    }
}

#[async_trait]
impl IdAllocator for MixCoord {
    async fn allocate_ids(&self, count: u64) -> Result<i64> {
        self.ids.allocate(count).await
    }
}

#[async_trait]
impl RootCoord for MixCoord {
    async fn list_databases(&self) -> Result<Vec<Database>> {
        Ok(self.root.databases())
    }

    async fn create_database(&self, name: &str, properties: Vec<KeyValue>) -> Result<()> {
        let create_ts = self.allocate().await?;
        self.root.create_database(name, properties, create_ts, self.ids.clone()).await
    }

    async fn drop_database(&self, name: &str) -> Result<()> {
        self.root.drop_database(name).await
    }

    async fn alter_database(&self, name: &str, change: PropertyChange) -> Result<()> {
        self.root.alter_database(name, change).await
    }

    async fn create_alias(&self, db_name: &str, alias: &str, collection: &str) -> Result<()> {
        self.root.create_alias(db_name, alias, collection).await
    }

    async fn drop_alias(&self, db_name: &str, alias: &str) -> Result<()> {
        self.root.drop_alias(db_name, alias).await
    }

    async fn alter_alias(&self, db_name: &str, alias: &str, collection: &str) -> Result<()> {
        self.root.alter_alias(db_name, alias, collection).await
    }

    async fn list_aliases(&self, db_name: &str, collection: Option<&str>) -> Result<Vec<Alias>> {
        self.root.list_aliases(db_name, collection)
    }

    async fn truncate_collection(&self, db_name: &str, name: &str) -> Result<()> {
        let create_ts = self.allocate().await?;
        self.root.truncate_collection(db_name, name, create_ts, self.others()).await
    }

    async fn alter_collection(
        &self,
        db_name: &str,
        name: &str,
        change: CollectionChange,
    ) -> Result<()> {
        let update_ts = self.allocate().await?;
        self.root.alter_collection(db_name, name, change, update_ts, self.others()).await
    }

    async fn create_collection(&self, request: CreateCollection) -> Result<Arc<Collection>> {
        let create_ts = self.allocate().await?;
        let (data, streaming) = (self.data.clone(), self.streaming.clone());
        self.root.create_collection(request, create_ts, self.ids.clone(), data, streaming).await
    }

    async fn drop_collection(&self, db_name: &str, name: &str) -> Result<()> {
        let (data, query) = (self.data.clone(), self.query.clone());
        self.root.drop_collection(db_name, name, data, query, self.streaming.clone()).await
    }

    async fn rename_collection(
        &self,
        db_name: &str,
        name: &str,
        new_db_name: &str,
        new_name: &str,
    ) -> Result<()> {
        let update_ts = self.allocate().await?;
        let streaming = self.streaming.clone();
        self.root
            .rename_collection(db_name, name, new_db_name, new_name, update_ts, streaming)
            .await
    }

    async fn describe_collection(&self, db_name: &str, name: &str) -> Result<Arc<Collection>> {
        self.root.by_name(db_name, name)
    }

    async fn describe_collection_by_id(&self, id: CollectionId) -> Result<Arc<Collection>> {
        self.root.by_id(id)
    }

    async fn list_collections(&self, db_name: &str) -> Result<Vec<Arc<Collection>>> {
        self.root.list(db_name)
    }

    async fn create_partition(
        &self,
        db_name: &str,
        collection: &str,
        partition: &str,
    ) -> Result<()> {
        let create_ts = self.allocate().await?;
        let (ids, streaming) = (self.ids.clone(), self.streaming.clone());
        self.root.create_partition(db_name, collection, partition, create_ts, ids, streaming).await
    }

    async fn drop_partition(&self, db_name: &str, collection: &str, partition: &str) -> Result<()> {
        let (data, query) = (self.data.clone(), self.query.clone());
        let streaming = self.streaming.clone();
        self.root.drop_partition(db_name, collection, partition, data, query, streaming).await
    }
}

#[async_trait]
impl DataCoord for MixCoord {
    async fn manifest(&self, collection_id: CollectionId) -> Result<Arc<Manifest>> {
        self.data.current(collection_id)
    }

    async fn commit_flush(&self, commit: FlushCommit) -> Result<Arc<Manifest>> {
        self.data.commit_flush(commit).await
    }

    async fn commit_compaction(&self, commit: CompactionCommit) -> Result<Option<Arc<Manifest>>> {
        self.data.commit_compaction(commit).await
    }

    async fn compact(&self, request: CompactCollection) -> Result<CompactionJob> {
        self.data.compact(request).await
    }

    async fn compaction_job(&self, id: i64) -> Result<CompactionJob> {
        Ok(self.data.compaction_job(id))
    }

    async fn commit_index(
        &self,
        collection_id: CollectionId,
        segment_id: SegmentId,
        entry: IndexEntry,
    ) -> Result<()> {
        self.data.commit_index(collection_id, segment_id, entry).await
    }

    async fn create_index(&self, request: CreateIndex) -> Result<()> {
        let create_ts = self.allocate().await?;
        self.data.create_index(request, create_ts).await
    }

    async fn drop_index(
        &self,
        collection_id: CollectionId,
        field_name: &str,
        index_name: &str,
    ) -> Result<()> {
        let loaded = self.query.is_loaded(collection_id);
        self.data.drop_index(collection_id, field_name, index_name, loaded).await
    }

    async fn alter_index(
        &self,
        collection_id: CollectionId,
        index_name: &str,
        change: PropertyChange,
    ) -> Result<()> {
        self.data.alter_index(collection_id, index_name, change).await
    }

    async fn list_indexes(&self, collection_id: CollectionId) -> Result<Vec<Arc<IndexMeta>>> {
        Ok(self.data.indexes(collection_id))
    }

    async fn index_progress(
        &self,
        index: &IndexMeta,
        before: Option<Timestamp>,
    ) -> Result<IndexProgress> {
        self.data.index_progress(index, before).await
    }

    async fn list_segments(&self, collection_id: CollectionId) -> Result<Vec<SegmentStatus>> {
        self.data.list_segments(collection_id).await
    }

    async fn sorted_segments(&self, collection_id: CollectionId) -> Result<HashSet<SegmentId>> {
        self.data.sorted_segments(collection_id).await
    }

    async fn flush(&self, collection_id: CollectionId) -> Result<FlushTicket> {
        self.data.flush(collection_id).await
    }

    async fn is_flushed(
        &self,
        collection_id: CollectionId,
        segments: &[SegmentId],
        flush_ts: Timestamp,
    ) -> Result<bool> {
        self.data.is_flushed(collection_id, segments, flush_ts).await
    }

    async fn log_bounds(&self, pchannel: &str) -> Result<LogBounds> {
        self.data.log_bounds(pchannel).await
    }

    async fn log_cut(&self, pchannel: &str, before: u64) -> Result<()> {
        self.data.log_cut(pchannel, before).await
    }

    async fn log_renewed(&self, pchannel: &str, position: u64) -> Result<()> {
        self.data.log_renewed(pchannel, position).await
    }

    async fn checkpoint(&self, vchannel: &VChannel) -> Result<Option<ChannelCheckpoint>> {
        Ok(self.data.checkpoint(vchannel))
    }
}

#[async_trait]
impl QueryCoord for MixCoord {
    async fn load(&self, request: LoadRequest) -> Result<()> {
        self.query.load(request).await
    }

    async fn release(
        &self,
        collection_id: CollectionId,
        partitions: Option<Vec<milvus_types::PartitionId>>,
    ) -> Result<()> {
        self.query.release(collection_id, partitions).await
    }

    async fn load_status(&self, collection_id: CollectionId) -> Result<Option<LoadStatus>> {
        self.query.status(collection_id).await
    }
}
