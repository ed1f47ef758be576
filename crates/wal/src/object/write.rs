//! The writer: takes what is queued as one batch, puts it, and only then tells those who wait.
//!
//! ```text
//!   batch at p --put_if_absent--> there -----------------------------> acknowledged
//!       |                         another's claim is there ----------> fenced
//!       `-- no answer, for give_up_after: in doubt, appends refused
//!                |
//!                `-- claim at p --put_if_absent--> there ------------> the batch never will be; go on
//!                                                  the batch is there > its records are; go on
//!                                                  another's claim ---> fenced
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milvus_storage::{Payload, StoreError};

use super::block::{BlockHeader, Kind as BlockKind, encode_record, record_bytes, unique_id};
use super::channel::{Pending, Shared, fail};
use super::extents::{Extent, Kind};
use super::manifest_keeper::{KeepError, new_owner, own};
use super::merge;
use super::remote::Put;
use crate::error::{AppendError, WalDamaged};
use crate::log::{Appended, Position};
use crate::planted::PlantedBug;

/// So many batches are put until the writer looks whether somebody waits for it to end: a new owner
/// whose claim always comes second.
const CHECK_OWNER_EVERY: u64 = 64;

/// A batch on its way.
struct Batch {
    header: BlockHeader,
    block: Payload,
    records: Vec<Pending>,
}

/// Writes batch after batch until nothing is queued. Only for who set `State::writing`.
pub(super) async fn drain(shared: Arc<Shared>) {
    let on_panic = StopOnPanic(&shared);
    let mut begun = None;
    loop {
        if let Some(begun) = begun {
            gather(&shared, begun).await;
        }
        let Some((number, records)) = take_batch(&shared) else {
            break;
        };
        begun = Some(shared.remote.options.clock.monotonic());
        if number.is_multiple_of(CHECK_OWNER_EVERY)
            && let Some(by) = new_owner(&shared).await
        {
            shared.fence(by);
            fail(records, &shared.fenced(by));
            continue;
        }
        let batch = lay_out(&shared, records);
        write(&shared, batch, number).await;
        merge::start_if_due(&shared);
    }
    std::mem::forget(on_panic);
    shared.idle.notify_waiters();
}

/// If the writer panics, or its runtime ends, nobody is left waiting and nothing more is accepted.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        let channel = self.0.remote.channel.clone();
        let cause = "the writer ended before its time".to_owned();
        self.0.stop(AppendError::Poisoned { channel, cause });
        self.0.state.lock().writing = false;
        self.0.idle.notify_waiters();
    }
}

/// Waits for more to share the next batch, as long as the options say since the last one `begun`.
async fn gather(shared: &Shared, begun: Duration) {
    let options = &shared.remote.options;
    let since = options.clock.monotonic().saturating_sub(begun);
    let left = options.flush_interval.saturating_sub(since);
    let is_waiting = {
        let state = shared.state.lock();
        !state.queue.is_empty() && state.queued_bytes < options.max_batch_bytes
    };
    if is_waiting && !left.is_zero() {
        options.clock.sleep(left).await;
    }
}

/// The next records to be written together, and how manyth batch they are; `None`, and the writer counts
/// as gone, if there are none.
fn take_batch(shared: &Shared) -> Option<(u64, Vec<Pending>)> {
    let limit = shared.remote.options.max_batch_bytes;
    let mut state = shared.state.lock();
    let (mut bytes, mut count) = (0, 0);
    for pending in &state.queue {
        let more = record_bytes(pending.length.into());
        if count > 0 && bytes + more > limit {
            break;
        }
        bytes += more;
        count += 1;
    }
    if count == 0 {
        state.writing = false;
        return None;
    }
    state.queued_bytes = state.queued_bytes.saturating_sub(bytes);
    state.batches_begun += 1;
    Some((state.batches_begun, state.queue.drain(..count).collect()))
}

/// The block of `records` at the tail.
fn lay_out(shared: &Shared, records: Vec<Pending>) -> Batch {
    let (first, end) = {
        let state = shared.state.lock();
        (state.log.tail, state.log.end)
    };
    lay_out_at(shared, records, first, end)
}

fn lay_out_at(shared: &Shared, records: Vec<Pending>, first: u64, end: u64) -> Batch {
    let id = unique_id();
    let mut chunks = vec![Bytes::new()];
    let mut body_bytes = 0;
    for (position, pending) in (first..).zip(&records) {
        let header = encode_record(&id, position, pending.length, &pending.payload);
        chunks.push(Bytes::copy_from_slice(&header));
        chunks.extend(pending.payload.iter().filter(|part| !part.is_empty()).cloned());
        body_bytes += record_bytes(pending.length.into());
    }
    let header = BlockHeader {
        of: shared.of,
        kind: BlockKind::Batch,
        term: shared.remote.term,
        first,
        // Each record has 8 bytes, and a batch fewer than 2^35.
        count: u32::try_from(records.len()).unwrap_or(u32::MAX),
        end,
        id,
        body_bytes,
    };
    if let Some(front) = chunks.first_mut() {
        *front = header.encode();
    }
    Batch { header, block: chunks.into(), records }
}

/// Puts `batch`, the writer's `number`th, and settles it.
async fn write(shared: &Arc<Shared>, batch: Batch, number: u64) {
    match shared.remote.options.planted_bug {
        PlantedBug::AcknowledgeUnwritten { one_in } if number.is_multiple_of(one_in) => {
            return acknowledge(batch);
        }
        PlantedBug::RenameOnTimeout => return write_renaming(shared, batch).await,
        PlantedBug::None | PlantedBug::SkipSync | PlantedBug::AcknowledgeUnwritten { .. } => {}
    }
    milvus_base::failpoint::hit("wal.object.before-put");
    let give_up_after = shared.remote.options.give_up_after;
    let put = shared.remote.put_block(&batch.header, &batch.block, give_up_after).await;
    milvus_base::failpoint::hit("wal.object.after-put");
    match put {
        Put::Written => {
            publish(shared, &batch.header, &batch.block);
            acknowledge(batch);
        }
        Put::Taken(by) => lost_to(shared, batch.records, &by),
        Put::Obstructed(damage) => obstructed(shared, batch.records, &damage),
        Put::Unknown(error) => settle(shared, batch, Arc::new(error)).await,
    }
}

/// Nobody knows whether `batch` is in the log: says so to those who wait, refuses everything until the
/// store answers, then goes on behind whatever has its name.
async fn settle(shared: &Arc<Shared>, batch: Batch, source: Arc<StoreError>) {
    let Batch { header, block, records } = batch;
    let (channel, term) = (shared.remote.channel.clone(), shared.remote.term);
    let position = Position(header.first);
    let cause = crate::error::chain(&*source);
    tracing::error!(channel, term, %position, cause, "the log's store takes nothing");
    let (of, why) = (channel.clone(), Arc::clone(&source));
    fail(records, &AppendError::InDoubt { channel: of, position, term, source: why });
    let outage = AppendError::Unavailable { channel: channel.clone(), position, term, source };
    let queued = {
        let mut state = shared.state.lock();
        state.outage = Some(outage.clone());
        state.take_queue()
    };
    fail(queued, &outage);
    let claim = BlockHeader::claim(shared.of, term, header.first, header.end);
    let claim_block = Payload::from(claim.encode());
    let mut failures = 0;
    while !shared.is_refusing() {
        shared.remote.pause(failures).await;
        failures = failures.saturating_add(1);
        match shared.remote.put_block(&claim, &claim_block, Duration::ZERO).await {
            Put::Written => match own(shared).await {
                Ok(_) => publish(shared, &claim, &claim_block),
                // The batch may have been there, and a new owner's claim behind it: it gave the batch up,
                // and with it the object that this claim should have run into.
                Err(KeepError::Fenced { by }) => shared.fence(by),
                Err(KeepError::Gone) => shared.stop(shared.closed()),
                Err(KeepError::Unreadable(_) | KeepError::Store(_)) => continue,
            },
            Put::Taken(found) if found.id == header.id => {
                let path = shared.remote.batch_path(shared.of, header.first);
                if shared.remote.put_again(&path, &block).await.is_err() {
                    continue;
                }
                publish(shared, &header, &block);
            }
            Put::Taken(by) => lost_to(shared, Vec::new(), &by),
            Put::Obstructed(damage) => obstructed(shared, Vec::new(), &damage),
            Put::Unknown(_) => continue,
        }
        tracing::info!(channel, term, %position, "the log's store takes objects again");
        break;
    }
    shared.state.lock().outage = None;
}

/// Makes what was put visible to readers.
fn publish(shared: &Shared, header: &BlockHeader, block: &Payload) {
    let kind = match header.kind {
        BlockKind::Batch => Kind::Batch,
        BlockKind::Claim => Kind::Claim,
    };
    let extent = Extent { first: header.first, end: header.next(), bytes: block.len(), kind };
    let mut state = shared.state.lock();
    state.log.push(extent, header.data_end());
    state.stats.syncs += 1;
    if header.kind == BlockKind::Batch {
        state.stats.records += u64::from(header.count);
        state.stats.bytes += block.len();
        state.stats.batches += 1;
    }
}

fn acknowledge(batch: Batch) {
    for (position, pending) in (batch.header.first..).zip(batch.records) {
        let place = Appended { position: Position(position), next: Position(position + 1) };
        // Who no longer waits does not want to know.
        let _ = pending.outcome.send(Ok(place));
    }
}

/// Another owner's block is where ours was to go.
fn lost_to(shared: &Shared, records: Vec<Pending>, by: &BlockHeader) {
    tracing::warn!(
        channel = shared.remote.channel,
        term = shared.remote.term,
        by = by.term,
        position = by.first,
        "another owner took the channel"
    );
    shared.fence(by.term);
    fail(records, &shared.fenced(by.term));
}

/// Something that is no block of this log is where ours was to go: somebody must look.
fn obstructed(shared: &Shared, records: Vec<Pending>, damage: &WalDamaged) {
    let channel = shared.remote.channel.clone();
    tracing::error!(channel, error = %damage, "channel accepts no more records");
    let poisoned = AppendError::Poisoned { channel, cause: damage.to_string() };
    shared.stop(poisoned.clone());
    fail(records, &poisoned);
}

/// The planted bug: what was not acknowledged is written again under the next name.
async fn write_renaming(shared: &Arc<Shared>, mut batch: Batch) {
    loop {
        let path = shared.remote.batch_path(shared.of, batch.header.first);
        let put = shared.remote.store.put_if_absent(&path, batch.block.clone()).await;
        if put.is_ok() {
            publish(shared, &batch.header, &batch.block);
            return acknowledge(batch);
        }
        if put.is_err_and(|error| error.is_conflict()) {
            let by = shared.remote.head(shared.of, batch.header.first).await;
            match by {
                Ok(Some(by)) => return lost_to(shared, batch.records, &by),
                Ok(None) | Err(_) => continue,
            }
        }
        shared.remote.pause(0).await;
        let next = batch.header.next();
        batch = lay_out_at(shared, batch.records, next, next);
    }
}
