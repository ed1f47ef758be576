//! [`StreamingService`]: the shards that this process owns, by name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::future::try_join_all;
use milvus_base::{CpuPool, Governor, task};
use milvus_format::manifest::Manifest;
use milvus_roles::{
    DataCoord, FetchRequest, FlushTicket, GrowingStatus, IdAllocator, LoadScope, OpenChannel,
    QueryNode, QueryReply, QueryRequest, SearchReply, SearchRequest, SegmentReplacement, Streaming,
    TimestampOracle, Write, WriteAck,
};
use milvus_storage::ObjectStore;
use milvus_types::{Collection, CollectionId, ErrorCode, Failure, Result, VChannel};
use milvus_wal::Wal;
use parking_lot::RwLock;
use tokio::sync::OnceCell;

use crate::options::StreamingOptions;
use crate::pchannel::PChannel;
use crate::relief::{self, Shards};
use crate::shard::{Parts, Shard};
use crate::stats::StreamingStats;

/// What a [`StreamingService`] is made of.
pub struct StreamingParts {
    /// Settings.
    pub options: StreamingOptions,
    /// Timestamps.
    pub oracle: Arc<dyn TimestampOracle>,
    /// Segment ids and terms.
    pub ids: Arc<dyn IdAllocator>,
    /// Where flushes are committed.
    pub data: Arc<dyn DataCoord>,
    /// Who serves sealed segments.
    pub query: Arc<dyn QueryNode>,
    /// Where files go.
    pub store: Arc<dyn ObjectStore>,
    /// The log.
    pub wal: Arc<dyn Wal>,
    /// Threads for searching what grows.
    pub cpu: CpuPool,
    /// Threads for applying writes. Its queue must not refuse: an apply that is refused stops its
    /// shard.
    pub apply: CpuPool,
    /// The memory budget.
    pub governor: Governor,
}

type Slot = Arc<OnceCell<Arc<PChannel>>>;

/// Owns shards; see the crate's header for what it promises.
pub struct StreamingService {
    parts: Arc<Parts>,
    wal: Arc<dyn Wal>,
    pchannels: RwLock<HashMap<String, Slot>>,
    shards: Arc<Shards>,
    /// Started with the first shard: it needs a runtime.
    relief: Once,
    /// Shards that could not be opened, and why: every use of them answers that.
    unopened: RwLock<HashMap<VChannel, Failure>>,
    /// Every shard there was at the start is open or among `unopened`.
    recovered: AtomicBool,
}

impl StreamingService {
    /// A service that owns no shard yet.
    pub fn new(parts: StreamingParts) -> Self {
        let StreamingParts { options, oracle, ids, data, query, store, wal, cpu, apply, governor } =
            parts;
        Self {
            parts: Arc::new(Parts {
                options,
                oracle,
                ids,
                data,
                query,
                store,
                cpu,
                apply,
                governor,
                written_bytes: AtomicU64::new(0),
            }),
            wal,
            pchannels: RwLock::default(),
            shards: Arc::default(),
            relief: Once::new(),
            unopened: RwLock::default(),
            recovered: AtomicBool::new(false),
        }
    }

    /// What `/metrics` shows.
    pub fn stats(&self) -> StreamingStats {
        let mut stats = StreamingStats::default();
        for shard in self.shards.read().values() {
            shard.add_stats(&mut stats);
        }
        stats
    }

    /// What the log channels have done since they were opened.
    pub fn log_stats(&self) -> Vec<(String, milvus_wal::ChannelStats)> {
        let pchannels = self.pchannels.read();
        let open = pchannels.iter().filter_map(|(name, slot)| Some((name, slot.get()?)));
        open.map(|(name, pchannel)| (name.clone(), pchannel.log.stats())).collect()
    }

    /// Stops every shard. What is acknowledged is durable already.
    pub async fn close(&self) {
        let shards: Vec<_> = self.shards.write().drain().map(|(_, shard)| shard).collect();
        for shard in shards {
            shard.stop.trigger();
        }
        let slots: Vec<_> = self.pchannels.read().values().cloned().collect();
        for pchannel in slots.iter().filter_map(|slot| slot.get()) {
            pchannel.log.close().await;
        }
    }

    fn shard(&self, vchannel: &VChannel) -> Result<Arc<Shard>> {
        if let Some(shard) = self.shards.read().get(vchannel) {
            return Ok(shard.clone());
        }
        let missing = || Failure::with_fields(ErrorCode::ChannelNotFound, &[("channel", vchannel)]);
        Err(self.unopened.read().get(vchannel).cloned().unwrap_or_else(missing))
    }

    fn shards_of(&self, collection: CollectionId) -> Vec<Arc<Shard>> {
        let shards = self.shards.read();
        shards.values().filter(|shard| shard.collection_id() == collection).cloned().collect()
    }

    async fn pchannel(&self, name: &str) -> Result<Arc<PChannel>> {
        let slot = {
            let mut pchannels = self.pchannels.write();
            pchannels.entry(name.to_owned()).or_default().clone()
        };
        let opened = slot.get_or_try_init(|| async {
            let term = self.parts.ids.allocate_ids(1).await?;
            PChannel::open(&*self.wal, name, term.unsigned_abs(), self.parts.data.clone()).await
        });
        opened.await.cloned()
    }
}

impl StreamingService {
    async fn open(&self, request: OpenChannel) -> Result<Arc<Shard>> {
        let pchannel = self.pchannel(request.vchannel.pchannel()).await?;
        if self.recovered.load(Ordering::Acquire) {
            // A log that nobody used may only now be found to have lost what nobody needs.
            self.renew_logs().await;
        }
        let checkpoint = request.manifest.checkpoint(&request.vchannel);
        pchannel
            .check(&request.vchannel, checkpoint.map_or(0, |checkpoint| checkpoint.position))
            .map_err(|error| Failure::from(&error))?;
        let span = pchannel.span(&request.vchannel);
        let cut = Arc::downgrade(&pchannel);
        let truncate = Box::new(move |position| {
            if let Some(pchannel) = cut.upgrade() {
                task::spawn("log-truncate", async move { pchannel.truncate(position).await });
            }
        });
        let log = pchannel.log.clone();
        let shard = Shard::open(self.parts.clone(), request, log, span, truncate).await?;
        pchannel.add(&shard);
        Ok(shard)
    }
}

impl StreamingService {
    /// Logs that have lost records are used again once no shard on them is refused.
    async fn renew_logs(&self) {
        let slots: Vec<_> = self.pchannels.read().clone().into_iter().collect();
        for (name, slot) in slots {
            let refused = self.unopened.read().keys().any(|shard| shard.pchannel() == name);
            let Some(pchannel) = slot.get().filter(|_| !refused) else { continue };
            if let Err(failure) = pchannel.renew().await {
                tracing::warn!(channel = name, %failure, "a log that has lost records stays refused");
            }
        }
    }
}

#[async_trait]
impl Streaming for StreamingService {
    async fn open_channel(&self, request: OpenChannel) -> Result<()> {
        if self.shards.read().contains_key(&request.vchannel) {
            return Ok(());
        }
        let vchannel = request.vchannel.clone();
        let shard = Box::pin(self.open(request)).await?;
        self.unopened.write().remove(&vchannel);
        self.shards.write().insert(vchannel, shard);
        self.relief.call_once(|| {
            relief::start(self.parts.governor.clone(), Arc::downgrade(&self.shards));
        });
        Ok(())
    }

    async fn refuse_channel(&self, vchannel: &VChannel, why: Failure) -> Result<()> {
        self.unopened.write().insert(vchannel.clone(), why);
        Ok(())
    }

    async fn recovered(&self, known: &[VChannel]) -> Result<()> {
        let slots: Vec<_> = self.pchannels.read().values().cloned().collect();
        for pchannel in slots.iter().filter_map(|slot| slot.get()) {
            pchannel.recovered(known);
        }
        self.recovered.store(true, Ordering::Release);
        self.renew_logs().await;
        Ok(())
    }

    async fn drop_channel(&self, vchannel: &VChannel) -> Result<()> {
        self.unopened.write().remove(vchannel);
        let shard = self.shards.write().remove(vchannel);
        if let Some(shard) = shard {
            shard.drop_all().await;
        }
        // Also a shard that could not be opened lets go of its part of the log.
        let slot = self.pchannels.read().get(vchannel.pchannel()).cloned();
        if let Some(pchannel) = slot.as_ref().and_then(|slot| slot.get()) {
            pchannel.remove(vchannel);
        }
        self.renew_logs().await;
        Ok(())
    }

    async fn collection_changed(&self, collection: Arc<Collection>) -> Result<()> {
        let shards = self.shards_of(collection.id);
        let changes = shards.iter().map(|shard| shard.collection_changed(collection.clone()));
        try_join_all(changes).await.map(|_| ())
    }

    async fn manifest_changed(&self, manifest: Arc<Manifest>) -> Result<()> {
        let shards = self.shards_of(manifest.collection_id);
        let changes = shards.iter().map(|shard| shard.manifest_changed(manifest.clone()));
        try_join_all(changes).await.map(|_| ())
    }

    async fn set_load(&self, collection_id: CollectionId, load: LoadScope) -> Result<()> {
        let shards = self.shards_of(collection_id);
        try_join_all(shards.iter().map(|shard| shard.set_load(load.clone()))).await.map(|_| ())
    }

    async fn load_progress(&self, collection_id: CollectionId) -> Result<i64> {
        let shards = self.shards_of(collection_id);
        let (done, total) = shards
            .iter()
            .map(|shard| shard.load_progress())
            .fold((0_u64, 0_u64), |(done, total), (more_done, more)| {
                (done + more_done, total + more)
            });
        let percent = (done * 100).checked_div(total).unwrap_or(100);
        Ok(i64::try_from(percent).unwrap_or(100))
    }

    async fn write(&self, write: Write) -> Result<WriteAck> {
        self.shard(&write.vchannel)?.write(write.kind).await
    }

    async fn flush(&self, vchannel: &VChannel, wait: bool) -> Result<FlushTicket> {
        self.shard(vchannel)?.flush(wait).await
    }

    async fn replace_segments(&self, replacement: SegmentReplacement) -> Result<bool> {
        self.shard(&replacement.vchannel)?.replace_segments(replacement).await
    }

    async fn written_bytes(&self) -> Result<u64> {
        Ok(self.parts.written_bytes.load(Ordering::Relaxed))
    }

    async fn growing_segments(&self, vchannel: &VChannel) -> Result<Vec<GrowingStatus>> {
        Ok(self.shard(vchannel)?.growing_segments())
    }

    async fn search(&self, request: SearchRequest) -> Result<SearchReply> {
        self.shard(&request.vchannel)?.search(request).await
    }

    async fn query(&self, request: QueryRequest) -> Result<QueryReply> {
        self.shard(&request.vchannel)?.query(request).await
    }

    async fn fetch(&self, request: FetchRequest) -> Result<RecordBatch> {
        self.shard(&request.vchannel)?.fetch(request).await
    }
}
