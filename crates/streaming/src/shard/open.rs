//! Taking a shard over: flushed segments from the manifest, then the log from the checkpoint on.
//!
//! Time goes with the unflushed tail of the log and with the key indexes of flushed segments, whose
//! checksums are verified. Loading the segments that shall answer reads only begins here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use milvus_base::{Clock, Purpose, Shutdown, task};
use milvus_format::delete_file;
use milvus_format::key_index::KeyIndex;
use milvus_format::log_record::{Body, LogRecord};
use milvus_format::manifest::SegmentEntry;
use milvus_format::{FileMeta, verify};
use milvus_roles::{LoadScope, OpenChannel};
use milvus_segment::SegmentSchema;
use milvus_types::{Failure, Result, Timestamp};
use milvus_wal::{LogChannel, Position};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, mpsc, watch};

use super::distribution::Current;
use super::inflight::Inflight;
use super::keys::estimate_row_bytes;
use super::state::{Change, Effects, Flushed, ShardState};
use super::{LoadProgress, Parts, Shard, idle, maintenance, write};
use crate::options::PlantedBug;
use crate::pchannel::LogSpan;

/// Records applied between two looks at the size of what grows.
const REPLAY_STEP: usize = 64;

impl Shard {
    /// Opens the shard of `request` on `log`. `span` is where the log has records of it, if any.
    pub(crate) async fn open(
        parts: Arc<Parts>,
        request: OpenChannel,
        log: Arc<dyn LogChannel>,
        span: Option<LogSpan>,
        truncate: Box<dyn Fn(u64) + Send + Sync>,
    ) -> Result<Arc<Self>> {
        let OpenChannel { collection, vchannel, manifest, load } = request;
        let pk_field = collection
            .schema
            .primary_key()
            .map(|field| field.name.clone())
            .ok_or_else(|| Failure::internal("a collection without a primary key"))?;
        let schema = SegmentSchema::new(&collection.schema);
        let schema = Arc::new(schema.map_err(|error| Failure::from(&error))?);
        let checkpoint = manifest.checkpoint(&vchannel);
        let from = checkpoint.map_or(0, |checkpoint| checkpoint.position);
        let applied = checkpoint.map_or(collection.create_ts, |checkpoint| checkpoint.timestamp);
        let state = ShardState {
            schema,
            schema_version: collection.schema.version,
            pk_field: pk_field.clone(),
            pk_type: collection.schema.pk_type(),
            partitions: collection.partitions.iter().map(|partition| partition.id).collect(),
            growing: Vec::new(),
            flushing: Vec::new(),
            committed: Vec::new(),
            flushed: BTreeMap::new(),
            retiring: BTreeMap::new(),
            manifest_version: manifest.version,
            position: from,
            timestamp: applied,
            sealed_ts: applied,
            dirty_from: None,
            flushing_from: VecDeque::new(),
            spare_ids: Vec::new(),
            governor: parts.governor.clone(),
        };
        let (queue, items) = mpsc::unbounded_channel();
        let (tasks, to_do) = mpsc::unbounded_channel();
        let shard = Arc::new(Self {
            collection_id: collection.id,
            pk_field,
            inflight: Inflight::new(applied, Clock::system()),
            state: Mutex::new(state),
            current: Current::new(LoadScope::Nothing),
            swaps: Mutex::default(),
            retired: Mutex::default(),
            queue,
            maintenance: tasks,
            progress: LoadProgress::default(),
            pending_loads: watch::channel(0).0,
            wrote: Notify::new(),
            writes: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            truncate,
            stop: Shutdown::new(),
            dropped: AtomicBool::new(false),
            trouble: Mutex::default(),
            collection: RwLock::new(collection),
            renewed: RwLock::default(),
            parts,
            vchannel,
            log,
        });
        let collection = shard.collection();
        // A flush may have been committed while its partition was dropped.
        let is_ours = |entry: &&SegmentEntry| {
            entry.vchannel == shard.vchannel
                && collection.partition_by_id(entry.partition_id).is_some()
        };
        for entry in manifest.segments.iter().filter(is_ours) {
            shard.adopt_segment(entry).await?;
        }
        if let Some(span) = span {
            shard.replay(span, from).await?;
        }
        if load != LoadScope::Nothing {
            // Checking every byte of the segments takes longer than replaying the tail of the log:
            // the shard is open before it has done so, and reads wait.
            drop(shard.begin_load(load)?);
        }
        task::spawn("shard-apply", write::apply_loop(shard.clone(), items));
        task::spawn("shard-maintenance", maintenance::maintenance_loop(shard.clone(), to_do));
        task::spawn("shard-idle", idle::idle_loop(shard.clone()));
        shard.wrote.notify_one();
        Ok(shard)
    }

    async fn adopt_segment(&self, entry: &SegmentEntry) -> Result<()> {
        let keys = self.open_keys(&entry.key_index).await?;
        let mut dead = FxHashMap::default();
        for file in &entry.delete_files {
            let bytes = self.parts.store.map(&file.file.path).await;
            let bytes = bytes.map_err(|error| Failure::from(&error))?;
            verify(&bytes, &file.file)
                .and_then(|()| delete_file::read_deletes(&bytes))
                .map_err(|error| Failure::from(&error).context(&file.file.path))?
                .into_iter()
                .for_each(|delete| {
                    dead.entry(delete.row)
                        .and_modify(|at: &mut Timestamp| *at = (*at).min(delete.timestamp))
                        .or_insert(delete.timestamp);
                });
        }
        let flushed = Flushed {
            entry: entry.clone(),
            keys,
            dead,
            unpersisted: Vec::new(),
            served: false,
            served_indexes: Vec::new(),
        };
        self.state.lock().flushed.insert(entry.id, flushed);
        Ok(())
    }

    /// Maps a key index. Its own checksum is verified as it is opened.
    pub(super) async fn open_keys(&self, file: &FileMeta) -> Result<KeyIndex> {
        let bytes = self.parts.store.map(&file.path).await;
        let bytes = bytes.map_err(|error| Failure::from(&error))?;
        milvus_base::io::run(move || KeyIndex::open(&bytes))
            .await
            .map_err(Failure::internal)?
            .map_err(|error| Failure::from(&error).context(&file.path))
    }

    /// Applies the shard's records at and after `from`.
    async fn replay(self: &Arc<Self>, span: LogSpan, from: u64) -> Result<()> {
        let mut at = Position(from.max(span.first));
        let planted = self.parts.options.planted_bug;
        while at.0 <= span.last {
            self.keep_spare_ids(REPLAY_STEP).await?;
            let shard = self.clone();
            let (next, effects) =
                milvus_base::io::run(move || shard.replay_some(at, span, planted))
                    .await
                    .map_err(Failure::internal)??;
            let opened = effects.opened;
            self.current.change(|distribution| distribution.growing.extend(opened));
            at = next;
        }
        let (applied, (bytes, rows)) = {
            let state = self.state.lock();
            (state.timestamp, state.growing_size())
        };
        self.inflight.finish(applied);
        tracing::info!(vchannel = %self.vchannel, rows, bytes, "log replayed");
        Ok(())
    }

    fn replay_some(
        &self,
        from: Position,
        span: LogSpan,
        planted: Option<PlantedBug>,
    ) -> Result<(Position, Effects)> {
        let mut effects = Effects::default();
        let mut at = from;
        let mut state = self.state.lock();
        for record in self.log.read(from) {
            let record = record.map_err(|error| Failure::from(&error))?;
            at = record.next;
            let last = record.position.0 >= span.last;
            if planted == Some(PlantedBug::DropLastOnReplay) && last {
                break;
            }
            let change = LogRecord::decode(&record.payload)
                .map_err(|error| Failure::from(&error).context(&self.vchannel))?;
            if change.vchannel == self.vchannel {
                self.replay_record(&mut state, change, record.position, record.next, &mut effects)?;
            }
            if last || effects.opened.len() >= REPLAY_STEP {
                break;
            }
        }
        if at == from {
            at = Position(span.last + 1); // nothing more there
        }
        Ok((at, effects))
    }

    fn replay_record(
        &self,
        state: &mut ShardState,
        record: LogRecord,
        at: Position,
        next: Position,
        effects: &mut Effects,
    ) -> Result<()> {
        let LogRecord { timestamp, body, .. } = record;
        if let Body::Insert { partition_id, rows, .. } | Body::Upsert { partition_id, rows, .. } =
            &body
        {
            if !state.partitions.contains(partition_id) {
                return Ok(()); // dropped after this record was written
            }
            let bytes = estimate_row_bytes(rows, state.schema.fields(), &self.pk_field);
            let memory = self.parts.governor.reserve(Purpose::Insert, bytes);
            let change = Change {
                body: &body,
                timestamp,
                at: at.0,
                next: next.0,
                fresh_keys: false,
                memory,
            };
            return state.apply(change, effects);
        }
        let memory = self.parts.governor.reserve(Purpose::Insert, 0);
        let change =
            Change { body: &body, timestamp, at: at.0, next: next.0, fresh_keys: false, memory };
        state.apply(change, effects)
    }
}
