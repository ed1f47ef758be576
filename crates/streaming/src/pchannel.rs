//! A physical channel: one log that several shards share.
//!
//! When it is opened its records are looked through once, to know which shards have records in it
//! and where. It is cut as far as no shard needs it any more.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use milvus_format::log_record::LogRecord;
use milvus_types::{Failure, Result, VChannel};
use milvus_wal::{LogChannel, Position, Wal};
use parking_lot::Mutex;

use crate::shard::Shard;

/// Where a log has records of a shard: first and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogSpan {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

pub(crate) struct PChannel {
    pub(crate) log: Arc<dyn LogChannel>,
    holders: Mutex<Holders>,
}

#[derive(Default)]
struct Holders {
    /// Shards with records in the log that nobody has opened yet.
    unopened: HashMap<VChannel, LogSpan>,
    shards: Vec<Weak<Shard>>,
}

impl PChannel {
    pub(crate) async fn open(wal: &dyn Wal, name: &str, term: u64) -> Result<Arc<Self>> {
        let log = wal.open(name, term).await.map_err(|error| Failure::from(&error))?;
        let reader = log.read(log.trim_point());
        let unopened = milvus_base::io::run(move || {
            let mut spans: HashMap<VChannel, LogSpan> = HashMap::new();
            for record in reader {
                let record = record.map_err(|error| Failure::from(&error))?;
                let vchannel = LogRecord::decode_vchannel(&record.payload)
                    .map_err(|error| Failure::from(&error))?;
                let at = record.position.0;
                spans
                    .entry(vchannel)
                    .and_modify(|span| span.last = at)
                    .or_insert(LogSpan { first: at, last: at });
            }
            Ok::<_, Failure>(spans)
        })
        .await
        .map_err(Failure::internal)??;
        let holders = Mutex::new(Holders { unopened, shards: Vec::new() });
        Ok(Arc::new(Self { log, holders }))
    }

    /// Where the log had records of `vchannel` when it was opened.
    pub(crate) fn span(&self, vchannel: &VChannel) -> Option<LogSpan> {
        self.holders.lock().unopened.get(vchannel).copied()
    }

    pub(crate) fn add(&self, shard: &Arc<Shard>) {
        let mut holders = self.holders.lock();
        holders.unopened.remove(shard.vchannel());
        holders.shards.push(Arc::downgrade(shard));
    }

    pub(crate) fn remove(&self, vchannel: &VChannel) {
        let mut holders = self.holders.lock();
        holders.unopened.remove(vchannel);
        holders
            .shards
            .retain(|shard| shard.upgrade().is_some_and(|shard| shard.vchannel() != vchannel));
    }

    /// Shards in the log that are not `known` no longer exist; known ones keep their records.
    pub(crate) fn recovered(&self, known: &[VChannel]) {
        self.holders.lock().unopened.retain(|vchannel, _| known.contains(vchannel));
    }

    /// Cuts the log before `position`, or before what another shard still needs.
    pub(crate) async fn truncate(&self, position: u64) {
        let before = {
            let holders = self.holders.lock();
            let unopened = holders.unopened.values().map(|span| span.first);
            let open = holders.shards.iter().filter_map(Weak::upgrade).filter_map(|shard| {
                match shard.needs_log_from() {
                    Ok(needed) => needed,
                    Err(at_most) => Some(at_most),
                }
            });
            unopened.chain(open).fold(position, u64::min)
        };
        if before <= self.log.trim_point().0 {
            return;
        }
        if let Err(error) = self.log.truncate(Position(before)).await {
            tracing::warn!(%error, before, "the log was not cut");
        }
    }
}
