//! The path of a write: memory, timestamp and log order, then durability, then apply, then the
//! acknowledgement.
//!
//! [`Shard::write`] enters the log and the apply queue under one lock, so both have the same order.
//! The apply loop takes writes from the queue as they become durable, many at a time, and applies
//! them on the CPU pool.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use milvus_base::{Priority, Reservation, clock};
use milvus_format::log_record::{Body, LogRecord};
use milvus_roles::{FlushTicket, WriteAck, WriteKind};
use milvus_segment::SegmentSchema;
use milvus_types::{Collection, ErrorCode, Failure, Result, SegmentId, Timestamp};
use milvus_wal::AppendFuture;
use tokio::sync::{mpsc, oneshot};

use super::Shard;
use super::keys::estimate_row_bytes;
use super::maintenance::Task;
use super::state::{Change, Effects, SealedSet};

/// Ids kept in reserve so that apply never waits for one.
const SPARE_IDS: u32 = 64;
/// Writes applied in one job at most.
const APPLY_BATCH: usize = 256;

/// What the apply loop takes in order.
pub(super) enum Item {
    Write(Box<PendingWrite>),
    Seal { reply: Option<oneshot::Sender<Sealed>> },
    Changed { collection: Arc<Collection>, reply: oneshot::Sender<()> },
}

pub(super) struct PendingWrite {
    record: LogRecord,
    fresh_keys: bool,
    durable: AppendFuture,
    memory: Reservation,
    reply: oneshot::Sender<Result<WriteAck>>,
}

/// What a seal did, and where to hear that its flush is committed.
pub(super) struct Sealed {
    pub(super) ticket: FlushTicket,
    pub(super) committed: Option<oneshot::Receiver<Result<()>>>,
}

impl Shard {
    pub(crate) async fn write(self: &Arc<Self>, kind: WriteKind) -> Result<WriteAck> {
        let fresh_keys = matches!(&kind, WriteKind::Insert { fresh_keys: true, .. });
        let mut body = into_body(kind, self.collection().schema.version);
        self.renewed.read().renew(&mut body);
        if let Body::Insert { partition_id, .. } | Body::Upsert { partition_id, .. } = &body
            && self.collection().partition_by_id(*partition_id).is_none()
        {
            return Err(Failure::partition_not_found(partition_id));
        }
        let memory = self.room(self.memory_of(&body)).await?;
        let bytes = memory.bytes();
        let (vchannel, timestamp) = (self.vchannel.clone(), Timestamp::ZERO);
        let record = LogRecord { vchannel, timestamp, body };
        let (reply, done) = oneshot::channel();
        let mut entering = Some((record, memory, reply));
        loop {
            let entered = self.inflight.begin(&*self.parts.oracle, |timestamp| {
                entering.take().map_or(Ok(()), |(mut record, memory, reply)| {
                    record.timestamp = timestamp;
                    // Partitions do not change while this runs.
                    self.renewed.read().renew(&mut record.body);
                    // Column buffers are handed on, not copied: this is short.
                    let payload = record.encode().map_err(|error| Failure::from(&error))?;
                    let durable = self.log.append(payload);
                    let write = PendingWrite { record, fresh_keys, durable, memory, reply };
                    self.enqueue(Item::Write(Box::new(write)))
                })
            });
            match entered {
                Some(entered) => break entered?,
                None => self.parts.oracle.extend().await?,
            }
        }
        let ack = done.await.map_err(|_| self.gone())??;
        self.parts.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.wrote.notify_one();
        Ok(ack)
    }

    /// What applying `body` takes.
    fn memory_of(&self, body: &Body) -> u64 {
        match body {
            Body::Insert { rows, .. } | Body::Upsert { rows, .. } => {
                estimate_row_bytes(rows, &self.collection().schema.fields, &self.pk_field)
            }
            Body::Delete { .. }
            | Body::Flush
            | Body::CreatePartition { .. }
            | Body::DropPartition { .. }
            | Body::DropCollection
            | Body::Truncate
            | Body::AlterSchema { .. } => 0,
        }
    }

    pub(super) fn enqueue(&self, item: Item) -> Result<()> {
        self.queue.send(item).map_err(|_| self.gone())
    }

    pub(super) fn gone(&self) -> Failure {
        Failure::with_fields(ErrorCode::ChannelNotFound, &[("channel", &self.vchannel)])
    }

    /// Seals what grows; returns when it is sealed.
    pub(super) async fn seal(&self) -> Result<Sealed> {
        let (reply, sealed) = oneshot::channel();
        self.enqueue(Item::Seal { reply: Some(reply) })?;
        sealed.await.map_err(|_| self.gone())
    }

    /// Takes over new metadata, in order with the writes around it.
    pub(crate) async fn collection_changed(&self, collection: Arc<Collection>) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.inflight.exclusive(|| {
            let old = std::mem::replace(&mut *self.collection.write(), collection.clone());
            self.renewed.write().learn(&old, &collection);
            self.enqueue(Item::Changed { collection, reply })
        })?;
        done.await.map_err(|_| self.gone())
    }
}

fn into_body(kind: WriteKind, schema_version: i32) -> Body {
    match kind {
        WriteKind::Insert { partition_id, rows, fresh_keys } => {
            let _ = fresh_keys;
            Body::Insert { partition_id, schema_version, rows }
        }
        WriteKind::Upsert { partition_id, rows, replaced, everywhere } => {
            Body::Upsert { partition_id, schema_version, rows, replaced, everywhere }
        }
        WriteKind::Delete { partitions, keys } => Body::Delete { partition_ids: partitions, keys },
    }
}

pub(super) fn cpu_failure(error: milvus_base::CpuError) -> Failure {
    match error {
        milvus_base::CpuError::QueueFull { .. } => Failure::wrap(ErrorCode::TooManyRequests, error),
        milvus_base::CpuError::Closed { .. }
        | milvus_base::CpuError::NoThread { .. }
        | milvus_base::CpuError::Panicked { .. } => Failure::internal(error),
    }
}

/// A write that is in the log (or failed to be), waiting for apply.
struct Durable {
    record: LogRecord,
    fresh_keys: bool,
    memory: Reservation,
    at: u64,
    next: u64,
    reply: oneshot::Sender<Result<WriteAck>>,
}

/// Runs until the shard is dropped: applies writes in order as they become durable.
pub(super) async fn apply_loop(shard: Arc<Shard>, mut queue: mpsc::UnboundedReceiver<Item>) {
    let mut held: Option<Item> = None;
    loop {
        let item = match held.take() {
            Some(item) => item,
            None => tokio::select! {
                item = queue.recv() => match item { Some(item) => item, None => return },
                () = shard.stop.wait() => return,
            },
        };
        match item {
            Item::Write(first) => {
                let mut batch = Vec::new();
                shard.settle(first, &mut batch).await;
                // Whatever else is durable by now goes along.
                while batch.len() < APPLY_BATCH {
                    match queue.try_recv() {
                        Ok(Item::Write(mut next)) => match (&mut next.durable).now_or_never() {
                            Some(outcome) => shard.settled(next, outcome, &mut batch),
                            None => {
                                held = Some(Item::Write(next));
                                break;
                            }
                        },
                        Ok(other) => {
                            held = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                shard.apply(batch).await;
            }
            Item::Seal { reply } => {
                let sealed = shard.seal_now().await;
                if let Some(reply) = reply {
                    let _ = reply.send(sealed);
                }
            }
            Item::Changed { collection, reply } => {
                shard.change(&collection).await;
                let _ = reply.send(());
            }
        }
    }
}

impl Shard {
    async fn settle(&self, mut write: Box<PendingWrite>, batch: &mut Vec<Durable>) {
        let outcome = (&mut write.durable).await;
        self.settled(write, outcome, batch);
    }

    fn settled(
        &self,
        write: Box<PendingWrite>,
        outcome: Result<milvus_wal::Appended, milvus_wal::AppendError>,
        batch: &mut Vec<Durable>,
    ) {
        let PendingWrite { record, fresh_keys, memory, reply, .. } = *write;
        self.appended(outcome.as_ref().map(|_| ()));
        match outcome {
            Ok(appended) => batch.push(Durable {
                record,
                fresh_keys,
                memory,
                at: appended.position.0,
                next: appended.next.0,
                reply,
            }),
            Err(error) => {
                self.inflight.finish(record.timestamp);
                let _ = reply.send(Err(Failure::from(&error)));
            }
        }
    }

    /// Applies durable writes, makes them visible everywhere, then acknowledges them.
    async fn apply(self: &Arc<Self>, batch: Vec<Durable>) {
        if batch.is_empty() {
            return;
        }
        if let Err(failure) = self.keep_spare_ids(batch.len()).await {
            tracing::warn!(vchannel = %self.vchannel, %failure, "no segment ids to be had");
        }
        let shard = self.clone();
        let applied = self.parts.apply.run(Priority::Write, move || shard.apply_batch(batch)).await;
        let (effects, replies, full) = match applied {
            Ok(applied) => applied,
            Err(error) => {
                // The records are in the log: a restart applies them. Until then nothing may be
                // acknowledged or read past them.
                tracing::error!(vchannel = %self.vchannel, %error, "apply failed; shard stops");
                self.stop.trigger();
                self.inflight.close();
                return;
            }
        };
        if !effects.forward.is_empty()
            && let Err(failure) = self.parts.query.apply_deletes(effects.forward).await
        {
            // Released meanwhile, or not yet served: whoever serves it next is told all deletes.
            if failure.code == ErrorCode::SegmentNotLoaded {
                tracing::debug!(vchannel = %self.vchannel, %failure, "deletes were not forwarded");
            } else {
                tracing::error!(vchannel = %self.vchannel, %failure, "deletes were not forwarded");
            }
        }
        for (timestamp, result, reply) in replies {
            self.inflight.finish(timestamp);
            let _ = reply.send(result);
        }
        if full {
            let _ = self.seal_now().await;
        }
    }

    #[expect(clippy::type_complexity, reason = "handed to the loop above and taken apart at once")]
    fn apply_batch(
        &self,
        batch: Vec<Durable>,
    ) -> (Effects, Vec<(Timestamp, Result<WriteAck>, oneshot::Sender<Result<WriteAck>>)>, bool)
    {
        let mut effects = Effects::default();
        let mut replies = Vec::with_capacity(batch.len());
        let mut state = self.state.lock();
        for write in batch {
            let Durable { record, fresh_keys, memory, at, next, reply } = write;
            let LogRecord { timestamp, body, .. } = record;
            let next = next.max(state.position);
            let change = Change { body: &body, timestamp, at, next, fresh_keys, memory };
            let result = state.apply(change, &mut effects).map(|()| WriteAck { timestamp });
            replies.push((timestamp, result, reply));
        }
        let (bytes, rows) = state.growing_size();
        let options = &self.parts.options;
        let full = bytes >= options.seal_bytes || rows >= options.seal_rows;
        drop(state);
        if !effects.opened.is_empty() {
            let opened = std::mem::take(&mut effects.opened);
            self.current.change(|distribution| distribution.growing.extend(opened));
        }
        self.count_writes(replies.len());
        (effects, replies, full)
    }

    pub(super) async fn keep_spare_ids(&self, wanted: usize) -> Result<()> {
        let have = self.state.lock().spare_ids.len();
        if have < wanted {
            let count = u32::try_from(wanted).unwrap_or(u32::MAX).max(SPARE_IDS);
            let first = self.parts.ids.allocate_ids(u64::from(count)).await?;
            let ids = (first..first + i64::from(count)).rev().map(SegmentId);
            let mut state = self.state.lock();
            state.spare_ids.splice(0..0, ids);
        }
        Ok(())
    }

    /// Seals and hands the flush to maintenance.
    pub(super) async fn seal_now(&self) -> Sealed {
        let flush_ts = match self.parts.oracle.allocate().await {
            Ok(timestamp) => timestamp,
            Err(_) => self.state.lock().timestamp,
        };
        let (set, flushed): (Option<SealedSet>, Vec<SegmentId>) = {
            let mut state = self.state.lock();
            let set = state.seal();
            (set, state.flushed.keys().copied().collect())
        };
        let mut ticket = FlushTicket { sealed: Vec::new(), flushed, flush_ts };
        let Some(set) = set else {
            return Sealed { ticket, committed: None };
        };
        ticket.sealed = set.segments.clone();
        let (reply, committed) = oneshot::channel();
        let sent = self.maintenance.send(Task::Flush { set, reply });
        Sealed { ticket, committed: sent.is_ok().then_some(committed) }
    }

    async fn change(&self, collection: &Arc<Collection>) {
        let load = self.renewed.read().load(&self.current.get().load);
        self.current.change(|distribution| distribution.load = load);
        self.change_schema(collection).await;
        let partitions: HashSet<_> =
            collection.partitions.iter().map(|partition| partition.id).collect();
        let gone = self.state.lock().keep_partitions(partitions.clone());
        self.release_retired_of(|partition| !partitions.contains(&partition)).await;
        if gone.is_empty() {
            return;
        }
        self.current.change(|distribution| {
            distribution
                .growing
                .retain(|segment| !gone.contains(&milvus_segment::Segment::id(&**segment)));
            distribution.sealed.retain(|(segment, _)| !gone.contains(segment));
        });
        for segment in gone {
            if let Err(failure) = self.parts.query.release_segment(segment).await {
                tracing::warn!(%segment, %failure, "segment of a dropped partition stays loaded");
            }
        }
    }

    /// Has every segment answer by the collection's schema.
    async fn change_schema(&self, collection: &Arc<Collection>) {
        let version = collection.schema.version;
        if self.state.lock().schema_version == version {
            return;
        }
        match SegmentSchema::new(&collection.schema) {
            Ok(schema) => self.state.lock().set_schema(Arc::new(schema), version),
            Err(error) => {
                tracing::error!(vchannel = %self.vchannel, %error, "schema cannot be taken over");
                return;
            }
        }
        if let Err(failure) = self.parts.query.schema_changed(collection.clone()).await {
            tracing::error!(vchannel = %self.vchannel, %failure, "segments keep the old schema");
        }
    }

    /// Milliseconds since the oldest unflushed row came, if there is any.
    pub(super) fn oldest_unflushed_ms(&self) -> Option<u64> {
        let state = self.state.lock();
        let oldest = state.growing.iter().map(|unflushed| unflushed.min_ts).min()?;
        Some(clock::now_ms().saturating_sub(oldest.physical_ms()))
    }
}
