//! How fresh a read must be, from what clients send.
//!
//! A client sends a level, a timestamp with the magic values 0 (strong), 1 (eventually) and
//! 2 (bounded), or both, or leaves it to the collection. Only Strong and Bounded need to know what
//! time it is, and a timestamp of the future: the read waits until its time has come, as nothing else
//! can promise that it sees every write until then.

use std::time::Duration;

use milvus_base::clock;
use milvus_types::{Collection, ConsistencyLevel, ErrorCode, Failure, Result, Timestamp};

use crate::Proxy;
use crate::api::ReadConsistency;
use crate::search::shards::Moment;

const BOUNDED: u64 = 2;

/// `queryNode.scheduler.maxTimestampLag`: how far ahead a timestamp may be.
const MAX_LAG_MS: u64 = 86_400_000;

/// What a read waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Everything until now.
    Now,
    /// Everything until a while ago.
    Lagging,
    /// Everything until then.
    At(u64),
}

fn of_level(level: ConsistencyLevel, timestamp: u64) -> Wanted {
    match level {
        ConsistencyLevel::Strong => Wanted::Now,
        ConsistencyLevel::Bounded => Wanted::Lagging,
        ConsistencyLevel::Eventually => Wanted::At(1),
        ConsistencyLevel::Session | ConsistencyLevel::Customized => Wanted::At(timestamp),
    }
}

fn wanted(request: ReadConsistency, of_collection: ConsistencyLevel) -> Wanted {
    let timestamp = request.guarantee_timestamp;
    if request.use_default {
        return of_level(of_collection, timestamp);
    }
    match (ConsistencyLevel::from_number(request.level), timestamp) {
        // Old clients send the timestamp alone.
        (Some(ConsistencyLevel::Strong), BOUNDED) => Wanted::Lagging,
        (Some(ConsistencyLevel::Strong), timestamp) if timestamp > 0 => Wanted::At(timestamp),
        (Some(level), timestamp) => of_level(level, timestamp),
        // A level nobody knows leaves the timestamp as it is.
        (None, timestamp) => Wanted::At(timestamp),
    }
}

impl Proxy {
    /// When a read reads: an iterator that names a snapshot reads exactly that.
    pub(crate) async fn moment(
        &self,
        collection: &Collection,
        request: ReadConsistency,
        iterator: bool,
    ) -> Result<Moment> {
        if iterator && request.guarantee_timestamp > 0 {
            let snapshot = self.reached(Timestamp(request.guarantee_timestamp)).await?;
            return Ok(Moment { guarantee: snapshot, mvcc: Some(snapshot) });
        }
        Ok(Moment { guarantee: self.guarantee(collection, request).await?, mvcc: None })
    }

    /// The timestamp up to which a read of `collection` must see every write.
    pub(crate) async fn guarantee(
        &self,
        collection: &Collection,
        request: ReadConsistency,
    ) -> Result<Timestamp> {
        let guarantee = match wanted(request, collection.consistency_level) {
            Wanted::At(timestamp) => self.reached(Timestamp(timestamp)).await?,
            Wanted::Now => self.allocate_timestamp().await?,
            Wanted::Lagging => {
                let now = self.allocate_timestamp().await?;
                now.saturating_sub_ms(self.options().limits.graceful_time_ms)
            }
        };
        // A read never runs before the schema it was planned for.
        Ok(guarantee.max(collection.update_ts))
    }

    /// Returns `timestamp` once every later write has a later one.
    async fn reached(&self, timestamp: Timestamp) -> Result<Timestamp> {
        // Timestamps never lag behind the machine's clock; after a restart they can be ahead of it.
        while ahead_ms(timestamp, clock::now_ms())? > 0 {
            let now = self.allocate_timestamp().await?;
            if now >= timestamp {
                break;
            }
            let ahead = ahead_ms(timestamp, now.physical_ms())?.max(1);
            clock::sleep(Duration::from_millis(ahead)).await;
        }
        Ok(timestamp)
    }
}

/// How far `timestamp` is ahead of `now_ms`.
fn ahead_ms(timestamp: Timestamp, now_ms: u64) -> Result<u64> {
    let lag = timestamp.physical_ms().saturating_sub(now_ms);
    if lag <= MAX_LAG_MS {
        return Ok(lag);
    }
    let text = format!("lag({} s) max({} s)", lag / 1000, MAX_LAG_MS / 1000);
    Err(Failure::wrap(ErrorCode::TSafeStalled, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_magic_timestamps() {
        let read = |guarantee_timestamp, level, use_default| {
            let request = ReadConsistency { guarantee_timestamp, level, use_default };
            wanted(request, ConsistencyLevel::Bounded)
        };
        assert_eq!(read(0, 0, false), Wanted::Now);
        assert_eq!(read(1, 0, false), Wanted::At(1));
        assert_eq!(read(2, 0, false), Wanted::Lagging);
        assert_eq!(read(2, 2, false), Wanted::Lagging);
        assert_eq!(read(99, 1, false), Wanted::At(99));
        assert_eq!(read(0, 3, false), Wanted::At(1));
        assert_eq!(read(99, 4, false), Wanted::At(99));
        assert_eq!(read(99, 0, true), Wanted::Lagging);
        assert_eq!(read(7, 99, false), Wanted::At(7));
    }

    #[test]
    fn a_time_too_far_ahead_is_refused() {
        let at = |ms| Timestamp::new(ms, 0);
        assert_eq!(ahead_ms(at(5), 9), Ok(0));
        assert_eq!(ahead_ms(at(1_000 + MAX_LAG_MS), 1_000), Ok(MAX_LAG_MS));
        let refused = ahead_ms(at(90_000_000 + 1_000), 1_000).unwrap_err();
        assert_eq!(refused.code, ErrorCode::TSafeStalled);
        assert_eq!(refused.reason, "lag(90000 s) max(86400 s): tsafe stalled");
    }
}
