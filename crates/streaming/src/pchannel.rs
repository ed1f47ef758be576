//! A physical channel: one log that several shards share.
//!
//! When it is opened its records are looked through once, to know which shards have records in it
//! and where. It is cut as far as no shard needs it any more.
//!
//! What is certain of the log is compared with what is found. One that begins later than it was cut,
//! or ends before it had reached, has lost records ([`Lost`]): of whom, nobody can say. Shards that
//! may miss some are refused, by name of both positions, and so are new ones, as the places of their
//! records would be taken for those of others. Once no shard is refused any more, as they were dropped
//! or their log was put back, the log is as good as a new one.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use milvus_base::failpoint;
use milvus_format::log_record::LogRecord;
use milvus_roles::{DataCoord, LogBounds};
use milvus_types::{Coded, ErrorCode, Failure, Result, VChannel};
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
    name: String,
    data: Arc<dyn DataCoord>,
    holders: Mutex<Holders>,
    lost: Mutex<Option<Lost>>,
}

/// Records that were in a log and are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It was cut before `cut`, and begins at `begin`.
    Begin { cut: u64, begin: u64 },
    /// It had reached `reached`, and ends at `end`.
    End { reached: u64, end: u64 },
}

impl Lost {
    fn of(bounds: LogBounds, begin: u64, end: u64) -> Option<Self> {
        let LogBounds { cut, reached } = bounds;
        match cut.filter(|cut| begin > *cut) {
            _ if end < reached => Some(Self::End { reached, end }),
            Some(cut) => Some(Self::Begin { cut, begin }),
            None => None,
        }
    }
}

/// A shard cannot be opened: its log lacks records that it may need.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LostRecords {
    #[error(
        "the log of {vchannel} was cut before {cut} but begins at {begin}: records after its \
         checkpoint at {checkpoint} are missing"
    )]
    Begin { vchannel: VChannel, cut: u64, begin: u64, checkpoint: u64 },
    #[error(
        "the log of {vchannel} had reached {reached} but ends at {end}: records after its checkpoint \
         at {checkpoint} are missing"
    )]
    End { vchannel: VChannel, reached: u64, end: u64, checkpoint: u64 },
}

impl Coded for LostRecords {
    fn code(&self) -> ErrorCode {
        ErrorCode::DataIntegrity
    }
}

#[derive(Default)]
struct Holders {
    /// Shards with records in the log that nobody has opened yet.
    unopened: HashMap<VChannel, LogSpan>,
    shards: Vec<Weak<Shard>>,
}

impl PChannel {
    pub(crate) async fn open(
        wal: &dyn Wal,
        name: &str,
        term: u64,
        data: Arc<dyn DataCoord>,
    ) -> Result<Arc<Self>> {
        let log = wal.open(name, term).await.map_err(|error| Failure::from(&error))?;
        let bounds = data.log_bounds(name).await?;
        let lost = Lost::of(bounds, log.trim_point().0, log.end().0);
        match lost {
            Some(lost) => tracing::error!(channel = name, ?lost, "the log has lost records"),
            // From here on there is a mark to compare with.
            None if bounds.cut.is_none() => data.log_cut(name, log.trim_point().0).await?,
            None => {}
        }
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
        Ok(Arc::new(Self { log, name: name.to_owned(), data, holders, lost: Mutex::new(lost) }))
    }

    /// Whether a shard that needs the log from `checkpoint` on finds everything in it.
    pub(crate) fn check(&self, vchannel: &VChannel, checkpoint: u64) -> Result<(), LostRecords> {
        let vchannel = vchannel.clone();
        match *self.lost.lock() {
            Some(Lost::Begin { cut, begin }) if checkpoint < begin => {
                Err(LostRecords::Begin { vchannel, cut, begin, checkpoint })
            }
            Some(Lost::End { reached, end }) => {
                Err(LostRecords::End { vchannel, reached, end, checkpoint })
            }
            Some(Lost::Begin { .. }) | None => Ok(()),
        }
    }

    /// No shard is refused for what the log has lost: it goes on as it is.
    pub(crate) async fn renew(&self) -> Result<()> {
        if self.lost.lock().is_none() {
            return Ok(());
        }
        self.data.log_renewed(&self.name, self.log.trim_point().0).await?;
        *self.lost.lock() = None;
        tracing::info!(channel = self.name, "a log that had lost records is used again");
        Ok(())
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
        // A log that begins later than this says has lost records.
        if let Err(failure) = self.data.log_cut(&self.name, before).await {
            tracing::warn!(%failure, before, "the log was not cut");
            return;
        }
        failpoint::hit("log.cut-recorded");
        if let Err(error) = self.log.truncate(Position(before)).await {
            tracing::warn!(%error, before, "the log was not cut");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_begins_later_than_it_was_cut_or_ends_too_early_has_lost_records() {
        let lost = |cut, reached, begin, end| Lost::of(LogBounds { cut, reached }, begin, end);
        assert_eq!(lost(Some(10), 20, 10, 20), None);
        assert_eq!(lost(Some(10), 20, 4, 30), None, "a stop came between the mark and the cut");
        assert_eq!(lost(Some(10), 20, 11, 30), Some(Lost::Begin { cut: 10, begin: 11 }));
        assert_eq!(lost(Some(10), 20, 10, 19), Some(Lost::End { reached: 20, end: 19 }));
        assert_eq!(lost(Some(10), 20, 15, 15), Some(Lost::End { reached: 20, end: 15 }));
        assert_eq!(lost(None, 0, 15, 15), None, "from before there were marks");
    }
}
